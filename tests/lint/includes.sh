#!/bin/sh
# Includes go one way: shaders/params <- vk <- engine <- daemon; the client knows only the protocol;
# what measures sees the engine and is seen by nobody.
# Our own headers are named from the root of the repository.
set -eu
cd "$(dirname "$0")/../.."
. tests/lint/tracked.sh

# may FOLDER REGEX: what files under FOLDER may include in quotes.
failed=0
may() {
  wrong=$(tracked "$1/*.cpp" "$1/*.h" | grep -v "${3:-^$}" |
    xargs -r grep -HnE '^[[:space:]]*#[[:space:]]*include[[:space:]]*"' |
    grep -vE "#[[:space:]]*include[[:space:]]*\"($2)" || true)
  if [ -n "$wrong" ]; then
    printf '%s/ may include only %s:\n%s\n' "$1" "$2" "$wrong"
    failed=1
  fi
}

media='engine/media/[a-z_]+\.h"'
may shaders 'shaders/params/|params/'
may vk 'vk/|shaders/params/'
may engine 'engine/|vk/|shaders/'
may daemon/protocol 'daemon/protocol/'
may daemon "daemon/|vk/(build_id|error)\\.h\"|engine/engine\\.h\"|$media" '^daemon/protocol/'
may client 'client/|daemon/protocol/'
may bench 'bench/|engine/|vk/|shaders/'
exit $failed
