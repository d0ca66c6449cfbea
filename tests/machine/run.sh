#!/bin/sh
# The list of tests for one machine, run on that machine: an emulated one (tests/vm) or a real one (make test-machine).
#
#   tests/machine/run.sh BUILD_DIR OUT_DIR
#
# Leaves in OUT_DIR what tests/machine/check.py judges. Needs a POSIX shell and busybox's tools.
set -u
build=$1
out=$2
mkdir -p "$out"
export CK_TIMEOUT_MULTIPLIER="${CK_TIMEOUT_MULTIPLIER:-20}"

echo "@@STEP unit"
TEST_LOGS=/tmp/logs TEST_TIMEOUT=${TEST_TIMEOUT:-60} TEST_JOBS=${TEST_JOBS:-2} tests/run.sh "$build" >"$out/unit.txt" 2>&1
cat "$out/unit.txt"
