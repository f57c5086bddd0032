#!/bin/sh
# Every shell script passes shellcheck.
set -eu
cd "$(dirname "$0")/../.."
. tests/lint/tracked.sh
command -v shellcheck >/dev/null || { echo "shellcheck is not installed"; exit 77; }
tracked '*' | while IFS= read -r file; do
  case $file in *.sh) echo "$file" ;; *) head -c 64 "$file" | head -n 1 | grep -aqE '^#!.*/(sh|bash|env bash)' && echo "$file" ;; esac
done | xargs shellcheck --source-path=SCRIPTDIR/../.. --external-sources
