#!/bin/sh
# cache.mode=cpu where restartable sequences cannot be had: one line says why, and everything works with caches per
# thread. Switched off by the C library's tunable; under valgrind; with a kernel that is too old (a C program plays
# that one: test_rseq).
#
#   tests/cli/test_fallback.sh BUILD_DIR
set -eu
lib=$(readlink -f "$1/libspanmark-malloc.so" 2>/dev/null || true)
command=$(readlink -f "$1/spanmark" 2>/dev/null || true)
[ -n "$lib" ] && [ -f "$lib" ] && [ -x "$command" ] || { echo "no libspanmark-malloc.so or command in $1"; exit 77; }
case $1 in *address* | *thread* | *undefined*) echo "a sanitizer has a malloc of its own"; exit 77 ;; esac
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
failed=0

# says NAME PATTERN COMMAND...: status 0, and exactly one line about caches, which has PATTERN.
says() {
	name=$1 pattern=$2
	shift 2
	status=0
	timeout 300 "$@" >"$dir/out" 2>"$dir/err" || status=$?
	lines=$(grep -c 'caches are per thread' "$dir/err" || true)
	if [ "$status" = 0 ] && [ "$lines" = 1 ] && grep -q "restartable sequences: $pattern" "$dir/err"; then
		echo "ok       $name"
	else
		echo "FAILED   $name: status $status, $lines lines"
		tail -n 5 "$dir/err"
		failed=1
	fi
}
# quiet NAME COMMAND...: status 0 and no such line: here they work, or were not asked for.
quiet() {
	name=$1
	shift
	if timeout 300 "$@" >"$dir/out" 2>"$dir/err" && ! grep -q 'caches are per thread' "$dir/err"; then
		echo "ok       $name"
	else
		echo "FAILED   $name"
		tail -n 5 "$dir/err"
		failed=1
	fi
}

off=GLIBC_TUNABLES=glibc.pthread.rseq=0
# Preloaded, the library says something only when asked.
cpu=SPANMARK_MALLOC=cache.mode=cpu,verbose=1
seq 20000 >"$dir/numbers"
run="$command run -w churn -q -n 1 --place none -c none --set cache.mode=cpu"

quiet "not asked for" env LD_PRELOAD="$lib" $off sort "$dir/numbers"
if env LD_PRELOAD="$lib" $cpu true 2>&1 | grep -q 'caches are per thread'; then
	says "this system has none" "" env LD_PRELOAD="$lib" $cpu sort "$dir/numbers"
else
	quiet "where they work" env LD_PRELOAD="$lib" $cpu sort "$dir/numbers"
	says "switched off by the tunable" ".*switched off" env LD_PRELOAD="$lib" $cpu $off sort "$dir/numbers"
	# One line from the worker process, whichever heap.
	says "switched off, collected heap" ".*switched off" env $off $run --backend gc
	says "switched off, malloc heap" ".*switched off" env $off $run --backend span
fi
if command -v valgrind >/dev/null 2>&1; then
	# The launcher is a process of its own, where they work; then comes the program.
	quiet "valgrind, a place that is taken" env SM_TEST_CASE=a_place_that_is_taken_is_refused \
		valgrind -q --tool=none "$1/tests/test_os"
	says "valgrind" "" env LD_PRELOAD="$lib" $cpu valgrind -q --tool=none sort "$dir/numbers"
else
	echo "skipped  valgrind is not installed"
fi
exit "$failed"
