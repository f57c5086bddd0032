#!/bin/sh
# Runs the host code's tests as built by the preset asan (scripts/test builds them first).
set -eu
cd "$(dirname "$0")/../.."
[ -f build/asan/CTestTestfile.cmake ] || { echo "no build/asan: scripts/test makes it"; exit 77; }
export UBSAN_OPTIONS=print_stacktrace=1
exec ctest --test-dir build/asan -L '^host$' --output-on-failure -j "$(nproc)"
