#!/bin/sh
# `make install` into a staging folder must be enough to build and run a program against: through pkg-config,
# shared and static, in C and in C++ (test_headers.sh tries each header on its own); `make uninstall` must leave no file.
set -eu
build=${1:?usage: test_install.sh BUILD_DIR}
case ${build##*/} in
*-gcc) ;;
*) echo "SKIP: the installed tree is checked in the plain gcc build only"; exit 77 ;;
esac
cd "$(dirname "$0")/../.."
unset MAKEFLAGS MFLAGS MAKELEVEL || true

stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT
make --no-print-directory install DESTDIR="$stage" PREFIX=/opt/sm >"$stage/log" 2>&1 || { cat "$stage/log"; exit 1; }
rm "$stage/log"
for f in bin/spanmark share/man/man1/spanmark.1 share/man/man1/spanmark-run.1 share/bash-completion/completions/spanmark share/zsh/site-functions/_spanmark \
	share/fish/vendor_completions.d/spanmark.fish \
	share/spanmark/sets/cycles.ini; do
	[ -s "$stage/opt/sm/$f" ] || { echo "FAIL: $f was not installed"; exit 1; }
done

export PKG_CONFIG_PATH="$stage/opt/sm/lib/pkgconfig" PKG_CONFIG_SYSROOT_DIR="$stage"
cflags=$(pkg-config --cflags spanmark)
libs=$(pkg-config --libs spanmark)
static_libs=$(pkg-config --libs --static spanmark)
lib=$stage/opt/sm/lib
soname=$(readelf -d "$lib/libspanmark.so" | sed -n 's/.*SONAME.*\[\(.*\)\]/\1/p')
[ -f "$lib/$soname" ] || { echo "FAIL: soname '$soname' is not an installed file"; exit 1; }

# Exactly the door.
headers=$(ls include/spanmark)
(cd "$stage/opt/sm/include" && find . -type f | sed "s,^\./,," | sort) >"$stage/headers"
printf 'spanmark/%s\n' $headers | sort | cmp -s - "$stage/headers" ||
	{ echo "FAIL: installed headers are"; cat "$stage/headers"; exit 1; }
rm "$stage/headers"

# A user's programs, in C and in C++, shared and static.
build_and_run() { # build_and_run COMPILER SOURCE
	$1 -Wall -Wextra -Werror $cflags -o "$stage/shared" "$2" $libs -pthread
	LD_LIBRARY_PATH=$lib "$stage/shared"
	mv "$lib/libspanmark.so" "$lib/dev.so"
	$1 $cflags -o "$stage/static" "$2" $static_libs
	mv "$lib/dev.so" "$lib/libspanmark.so"
	"$stage/static"
	rm -f "$stage/shared" "$stage/static"
}
build_and_run "gcc -std=c17 -O1" tests/install/program.c
if command -v g++ >/dev/null; then
	build_and_run "g++ -std=c++20 -O1" tests/install/program.cc
fi

make --no-print-directory uninstall DESTDIR="$stage" PREFIX=/opt/sm >/dev/null
left=$(find "$stage" ! -type d)
[ -z "$left" ] || { echo "FAIL: uninstall left $left"; exit 1; }
echo "installed $(echo $headers | wc -w) headers, soname $soname"
