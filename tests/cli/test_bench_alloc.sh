#!/bin/sh
# The kernels of bench_alloc, small, under libspanmark-malloc.so: each must find its objects as it left them, and come to
# the sum that it comes to under libc's malloc, whoever freed what, and with threads that ended before their objects.
#
#   tests/cli/test_bench_alloc.sh BUILD_DIR
set -eu
lib=$(readlink -f "$1/libspanmark-malloc.so" 2>/dev/null || true)
program=$1/tests/bench_alloc
[ -n "$lib" ] && [ -f "$lib" ] || { echo "no libspanmark-malloc.so in $1"; exit 77; }
[ -x "$program" ] || { echo "no bench_alloc in $1"; exit 77; }
case $1 in *address* | *thread* | *undefined*) echo "a sanitizer has a malloc of its own"; exit 77 ;; esac

# What a kernel says its sum is, or why it said none.
sum_of() { "$@" 2>&1 | sed 's/^check=\([0-9]*\) .*/\1/'; }

failed=0
count=0
compare() { # SETTINGS KERNEL N M: with what libc's malloc gave in $want
	got=$(sum_of env LD_PRELOAD="$lib" SPANMARK_MALLOC="$1" timeout 300 "$program" "$2" "$3" "$4")
	[ "$got" = "$want" ] || { echo "FAILED: $2 $3 $4 with '$1': $got, not $want"; failed=1; }
}
"$program" --list >"$1/bench_alloc.list.$$"
trap 'rm -f "$1/bench_alloc.list.$$"' EXIT
while read -r kernel n m; do
	want=$(sum_of timeout 300 "$program" "$kernel" "$n" "$m")
	case $want in '' | *[!0-9]*) echo "FAILED: $kernel $n $m under libc: '$want'"; failed=1 ;; esac
	compare "" "$kernel" "$n" "$m"
	compare cache.mode=cpu "$kernel" "$n" "$m"
	count=$((count + 1))
done <"$1/bench_alloc.list.$$"
[ "$count" -ge 20 ] || { echo "FAILED: only $count kernels"; failed=1; }
# A sum that data do not change would prove nothing: another length gives another.
[ "$(sum_of "$program" phases 1000 2)" != "$(sum_of "$program" phases 1001 2)" ] || { echo "FAILED: a sum that says nothing"; failed=1; }
echo "$count kernels"
exit $failed
