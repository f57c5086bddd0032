#!/bin/sh
# What the repository may hold: no large file, test data within its allowance, no path or address
# of the machine somebody worked on.
set -eu
cd "$(dirname "$0")/../.."
. tests/lint/tracked.sh
max_file_bytes=8388608
max_data_bytes=41943040
failed=0

large=$(tracked '*' | while IFS= read -r file; do
  bytes=$(stat -c %s "$file")
  [ "$bytes" -le $max_file_bytes ] || echo "$file: $bytes bytes, at most $max_file_bytes"
done)
[ -z "$large" ] || { echo "$large"; failed=1; }

data_bytes=$(tracked 'tests/data/*' | xargs -r stat -c %s | awk '{ sum += $1 } END { print sum + 0 }')
if [ "$data_bytes" -gt $max_data_bytes ]; then
  echo "tests/data: $data_bytes bytes, at most $max_data_bytes"
  failed=1
fi

# Home and work folders, folders beside the repository, hosts given by number or port.
private='(^|[^A-Za-z0-9_.$}>/-])/(wor[k]|roo[t]|home/[a-z]+)/|\.\./share[d]|https?://([0-9]+\.){3}[0-9]+|https?://[a-z0-9.-]+:[0-9]+/'
if tracked '*' | xargs grep -nIE "$private"; then
  echo "the lines above name a place that only one machine has"
  failed=1
fi
exit $failed
