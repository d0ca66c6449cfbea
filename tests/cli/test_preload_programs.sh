#!/bin/sh
# Programs of others under libspanmark-malloc.so: output and status must be those without it. What is not installed is
# skipped with one line.
#
#   tests/cli/test_preload_programs.sh BUILD_DIR
set -eu
lib=$(readlink -f "$1/libspanmark-malloc.so" 2>/dev/null || true)
[ -n "$lib" ] && [ -f "$lib" ] || { echo "no libspanmark-malloc.so in $1"; exit 77; }
case $1 in *address* | *thread* | *undefined*) echo "a sanitizer has a malloc of its own"; exit 77 ;; esac
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
failed=0
same() { # same PROGRAM ARGUMENT...
	command -v "$1" >/dev/null 2>&1 || { echo "skipped  $1: not installed"; return 0; }
	a=0 b=0
	timeout 30 "$@" >"$dir/without" 2>&1 </dev/null || a=$?
	timeout 30 env LD_PRELOAD="$lib" "$@" >"$dir/with" 2>&1 </dev/null || b=$?
	if [ $a = $b ] && cmp -s "$dir/with" "$dir/without"; then
		echo "ok       $1"
	else
		echo "FAILED   $1: status $b, $a without"; diff "$dir/without" "$dir/with" | head -n 5; failed=1
	fi
}
same perl -e 'my %h; $h{$_} = "x" x ($_ % 300) for 1..60000; delete $h{$_} for 1..30000; print scalar(keys %h), "\n"'
same lua5.4 -e 'local t = {} for i = 1, 100000 do t[i] = {tostring(i)} end print(#t)'
same php -r '$a = []; for ($i = 0; $i < 100000; $i++) $a[] = str_repeat("x", $i % 100); echo count($a), "\n";'
same ruby -e 'h = {}; 100000.times { |i| h[i.to_s] = "x" * (i % 100) }; puts h.size'
same node -e 'const m = new Map(); for (let i = 0; i < 50000; i++) m.set(String(i), Buffer.alloc(i % 500)); console.log(m.size)'
same openssl dgst -sha256 "$0"
same gdb -q -batch -ex 'print 6 * 7'
same awk 'BEGIN { for (i = 0; i < 100000; i++) a[i] = i "x"; n = 0; for (k in a) n++; print n }'
same bash -c 'for i in {1..20000}; do a[i]=$i; done; echo ${#a[@]}'
same nginx -v
same redis-server --version
same memcached --version
exit $failed
