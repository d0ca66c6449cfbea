#!/bin/sh
# A C++ program with threads, exceptions, thread_local variables and static destructors against the public headers and
# the library: tests/install/threads.cc, with what compilers there are.
set -eu
build=${1:?usage: test_cxx.sh BUILD_DIR}
case $build in
*address* | *thread* | *undefined*) echo "SKIP: the library is built with a sanitizer of C"; exit 77 ;;
esac
command -v g++ >/dev/null || { echo "SKIP: no g++"; exit 77; }
here=$(cd "$(dirname "$0")/.." && pwd)
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

try() { # try COMPILER OPTIONS..
	"$@" -std=c++20 -Wall -Wextra -Werror -I"$here/../include" -o "$tmp/program" "$here/install/threads.cc" \
		"$build/libspanmark.a" -lm -pthread
	out=$(timeout 300 "$tmp/program") || { echo "FAIL: $*: status $?"; exit 1; }
	[ "$out" = ok ] || { echo "FAIL: $*: $out"; exit 1; }
	echo "ok: $*"
}
try g++ -O0
try g++ -O2
try g++ -O2 -fomit-frame-pointer -DSM_CHECK_CALLS
if command -v clang++ >/dev/null; then
	try clang++ -O2
else
	echo "SKIP headers in clang++: no clang++"
fi
