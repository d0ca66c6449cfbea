#!/bin/sh
# `make install` into a staging folder must be enough to build and run a program against: through pkg-config,
# shared and static, with every installed header compiling on its own; `make uninstall` must leave no file.
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
for f in bin/spanmark share/man/man1/spanmark.1 share/bash-completion/completions/spanmark share/zsh/site-functions/_spanmark \
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

headers=$(cd "$stage/opt/sm/include/spanmark" && find . -name "*.h" | sed "s,^\./,,")
for h in $headers; do
	printf '#include "%s"\nint main(void) { return 0; }\n' "$h" >"$stage/h.c"
	gcc -std=gnu17 -D_GNU_SOURCE -Wall -Wextra -Werror $cflags -c -o "$stage/h.o" "$stage/h.c" ||
		{ echo "FAIL: $h does not compile on its own"; exit 1; }
done
# Until the collector is there, only the headers can be checked.
if [ -f collector/gc.c ]; then
	gcc -std=gnu17 -D_GNU_SOURCE -O1 -Wall -Wextra -Werror $cflags -o "$stage/shared" tests/install/program.c $libs -pthread
	LD_LIBRARY_PATH=$lib "$stage/shared"
	mv "$lib/libspanmark.so" "$lib/dev.so"
	gcc -std=gnu17 -D_GNU_SOURCE -O1 $cflags -o "$stage/static" tests/install/program.c $static_libs
	mv "$lib/dev.so" "$lib/libspanmark.so"
	"$stage/static"
	rm -f "$stage/shared" "$stage/static"
fi
rm -f "$stage/h.c" "$stage/h.o"

make --no-print-directory uninstall DESTDIR="$stage" PREFIX=/opt/sm >/dev/null
left=$(find "$stage" ! -type d)
[ -z "$left" ] || { echo "FAIL: uninstall left $left"; exit 1; }
echo "installed $(echo $headers | wc -w) headers, soname $soname"
