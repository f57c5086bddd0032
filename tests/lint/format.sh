#!/bin/sh
# Every C++ file looks as clang-format 14 leaves it. scripts/format does that.
set -eu
cd "$(dirname "$0")/../.."
. tests/lint/tracked.sh
command -v clang-format-14 >/dev/null || { echo "clang-format-14 is not installed"; exit 77; }
tracked '*.cpp' '*.h' | xargs clang-format-14 --dry-run -Werror
