#!/bin/bash
# clang-tidy over every C++ file that ships, from the build in DIR: tidy.sh DIR. The checks are those of .clang-tidy.
set -euo pipefail
build=$(realpath "$1")
cd "$(dirname "$0")/../.."
command -v run-clang-tidy-14 >/dev/null || { echo "clang-tidy-14 is not installed"; exit 77; }
# What ships, file by file or many in one as the build takes them; generated sources are nobody's
# style. Clang 14 does not parse all of the C++20 in the tests.
folders='(vk|engine|daemon|client|bench)/'
units="^($PWD/$folders|$build/$folders.*/Unity/)"
status=0
output=$(run-clang-tidy-14 -quiet -p "$build" -j "$(nproc)" "$units" 2>&1) || status=$?
# Each file's command line and the count of muted warnings are noise; what is left is the news.
printf '%s\n' "$output" | grep -vE '^clang-tidy-14 |^[0-9]+ warnings? generated|^Suppressed |^Use -header-filter|^$' || true
exit $status
