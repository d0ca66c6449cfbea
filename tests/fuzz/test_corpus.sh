#!/bin/sh
# Every seed of every fuzz target once, and what fuzzing has found: as built by any compiler, without a fuzzer.
set -eu
build=$1
corpus=$(dirname "$0")/corpus
n=0
for prog in "$build"/fuzz/fuzz_*; do
	case $prog in *.[od]) continue ;; esac
	name=${prog##*/fuzz_}
	set -- "$corpus/$name"/*
	[ -f "$1" ] || { echo "fuzz_$name has no seeds in tests/fuzz/corpus/$name"; exit 1; }
	"$prog" "$@" >"${TEST_LOGS:-/tmp}/fuzz_$name.out" 2>&1 || {
		echo "fuzz_$name fails for:"
		tail -n 20 "${TEST_LOGS:-/tmp}/fuzz_$name.out"
		exit 1
	}
	n=$((n + $#))
done
[ "$n" -gt 0 ] || { echo "there is no fuzz target in $build/fuzz"; exit 1; }
echo "$n inputs"
