#!/bin/sh
# The examples of docs/protocol.md, run as printed against the real daemon, with curl:
# tests/daemon/protocol_examples.sh PREFLIGHTD
set -eu
program=$1
page=$(cd "$(dirname "$0")/../.." && pwd)/docs/protocol.md
folder=$(mktemp -d)
daemon=
finish() {
  if [ -n "$daemon" ]; then
    kill "$daemon"
    wait "$daemon" || true
  fi
  rm -rf "$folder"
}
trap finish EXIT
cd "$folder"

mkdir img v07
printf 'not really a picture' > img/one.png
printf 'not really a film' > v07/cut.mp4
cat > bundle.json << 'JSON'
{"schema":"preflight.bundle/1","id":"brewa-v07","locale":"en-GB","product_class":"food",
 "placements":["tiktok.infeed"],"copy":{"headline":"First bag free"},
 "assets":[{"id":"pack","role":"product_image","path":"img/one.png"},
           {"id":"cut","role":"video","path":"v07/cut.mp4"}]}
JSON
printf '[state]\ncache_dir = "%s/cache"\n' "$folder" > preflight.toml
"$program" --config preflight.toml --state state --socket s 2> log &
daemon=$!
while [ ! -S s ]; do
  kill -0 "$daemon" || { cat log; exit 1; }
  sleep 0.1
done

# One script of all blocks, in order, with the one line replaced that says where the socket is.
awk '/^```sh$/ { on = 1; next } /^```$/ { on = 0 } on' "$page" |
  sed "s#^S=.*#S=$folder/s#; s#^curl #curl --silent --show-error --write-out ' [%{http_code}]\\\\n' #" \
    > examples
grep -q '^S=' examples
set -x
# shellcheck source=/dev/null
. ./examples > said
set +x
cat said

expect() { grep -q "$1" said || { echo "the examples did not say: $1"; exit 1; }; }
expect '"status":.*\[503\]'
expect '"models":\[\]'
expect '"bundle_id":"brewa-v07"'
expect '^event: started$'
expect '^event: done$'
expect '"schema":"preflight.report/1"'
expect '^ \[204\]$'
