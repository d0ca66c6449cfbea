#!/bin/sh
# Fetches and builds the current mallocs that `make bench-alloc` compares with, as libraries for LD_PRELOAD.
#
#   tests/bench/peers/mallocs.sh FOLDER
#
# Prints "NAME<tab>VERSION<tab>PATH" for each that is there at the end; what could not be had gets one line on stderr.
# Sources come as crates that hold an allocator's C or C++ code (cargo), and are compiled here, with the malloc interface
# that the allocator itself brings: a call of malloc goes straight in, and no shim stands between. mimalloc's newest
# release is no crate yet; a Python wheel has it built by CMake's defaults (pip). The folder keeps what was built, so a
# second run fetches nothing; remove the folder to ask again for newer ones.
set -eu

[ $# = 1 ] || { echo "usage: tests/bench/peers/mallocs.sh FOLDER" >&2; exit 2; }
mkdir -p "$1"
cd "$1"
here=$(pwd)

left_out() { echo "mallocs.sh: $1: left out ($2; see $here/$1.log)" >&2; }

fetch_crates() {
	[ -d crates/libmimalloc-sys ] && return 0
	command -v cargo >/dev/null 2>&1 || { echo "no cargo" >fetch.log; return 1; }
	mkdir -p src
	: >src/lib.rs
	cat >Cargo.toml <<-'END'
		[package]
		name = "peers"
		version = "0.0.0"
		edition = "2021"
		[dependencies]
		libmimalloc-sys = "0.1"
		tikv-jemalloc-sys = "0.7"
		snmalloc-sys = "0.7"
		rpmalloc-sys = "0.2"
	END
	timeout 300 cargo vendor -q crates >fetch.log 2>&1
}

# The flags of mimalloc's own CMake file for its shared library, without those for a newer CPU, which are off there too.
mimalloc() { # v2|v3 FILE
	src=crates/libmimalloc-sys/c_src/mimalloc/$1
	${CC:-cc} -O3 -DNDEBUG -DMI_BUILD_RELEASE -DMI_MALLOC_OVERRIDE -DMI_SHARED_LIB -DMI_SHARED_LIB_EXPORT -std=gnu11 -fPIC \
		-shared -fvisibility=hidden -ftls-model=initial-exec -fno-builtin-malloc -I "$src/include" -I "$src/src" \
		-o "$2" "$src/src/static.c" -pthread -lrt
}

jemalloc() { # FILE
	rm -rf je
	cp -r crates/tikv-jemalloc-sys/jemalloc je &&
		{ [ -f je/configure ] || cp crates/tikv-jemalloc-sys/configure/configure je/; } &&
		(cd je && sh ./configure --with-version="$jemalloc_full" --enable-doc=no --enable-static=no &&
			make -j2 build_lib_shared) &&
		cp je/lib/libjemalloc.so.2 "$1" && rm -rf je
}

# Upstream's list for snmallocshim: no run-time types, and 16-byte compare and swap.
snmalloc() { # FILE
	src=crates/snmalloc-sys/upstream/src/snmalloc/override
	wide=""
	[ "$(uname -m)" != x86_64 ] || wide=-mcx16
	${CXX:-c++} -std=c++20 -O3 -DNDEBUG -DSNMALLOC_USE_WAIT_ON_ADDRESS=1 $wide -fPIC -shared -fvisibility=hidden \
		-ftls-model=initial-exec -fno-rtti -fomit-frame-pointer -I crates/snmalloc-sys/upstream/src \
		-o "$1" "$src/malloc.cc" "$src/new.cc" -pthread -latomic
}

rpmalloc() { # FILE
	src=crates/rpmalloc-sys/rpmalloc/rpmalloc
	${CC:-cc} -std=gnu11 -O3 -DNDEBUG -D_GNU_SOURCE -DENABLE_PRELOAD=1 -DENABLE_OVERRIDE=1 -fPIC -shared -fno-builtin \
		-ftls-model=initial-exec -I "$src" -o "$1" "$src/rpmalloc.c" -pthread -ldl
}

mimalloc_wheel() { # FILE
	rm -rf wheel
	timeout 120 python3 -m pip download -q --no-deps --only-binary=:all: -d wheel cmeel-mimalloc &&
		(cd wheel && python3 -m zipfile -e ./*.whl .) &&
		cp "$(find wheel -type f -name 'libmimalloc.so.*' | head -n 1)" "$1" &&
		echo wheel/*.whl | sed 's/.*mimalloc-\([0-9.]*\).*/\1/' >mimalloc3.version && rm -rf wheel
}

crate_version() { sed -n 's/^version = "\(.*\)"/\1/p' "crates/$1/Cargo.toml" | head -n 1; }

# mimalloc's header has 30302 for 3.3.2.
mimalloc_version() {
	sed -n 's/^#define MI_MALLOC_VERSION  *\([0-9]*\).*/\1/p' "crates/libmimalloc-sys/c_src/mimalloc/$1/include/mimalloc.h" |
		sed 's/^\([0-9]*\)\([0-9][0-9]\)\([0-9][0-9]\)$/\1.\2.\3/; s/\.0/./g'
}

# A library that exports no malloc, or that a program does not start with, is none.
have() { # NAME FUNCTION ARGUMENT..: makes NAME.so if need be
	name=$1
	shift
	if [ ! -s "$name.so" ]; then
		rm -f "$name.so" "$name.tmp"
		if ! "$@" "$name.tmp" >"$name.log" 2>&1; then return 1; fi
		if ! nm -D "$name.tmp" | grep -q ' [TW] malloc$'; then return 1; fi
		if ! LD_PRELOAD="$here/$name.tmp" /bin/ls / >>"$name.log" 2>&1; then return 1; fi
		mv "$name.tmp" "$name.so"
	fi
}
offer() { printf '%s\t%s\t%s\n' "$1" "$2" "$here/$3.so"; }

crates=yes
fetch_crates || { crates="" && echo "mallocs.sh: the crates' allocators: left out (no cargo, or no registry; see $here/fetch.log)" >&2; }

if have mimalloc3 mimalloc_wheel; then
	offer mi3 "mimalloc $(cat mimalloc3.version), wheel" mimalloc3
elif [ -n "$crates" ] && have mimalloc33 mimalloc v3; then
	offer mi3 "mimalloc $(mimalloc_version v3), crate" mimalloc33
else
	left_out mimalloc3 "neither the wheel nor the crate"
fi
if [ -n "$crates" ]; then
	jemalloc_full=$(crate_version tikv-jemalloc-sys | sed 's/.*+//')
	if have mimalloc2 mimalloc v2; then offer mi2 "mimalloc $(mimalloc_version v2), crate" mimalloc2; else left_out mimalloc2 "no build"; fi
	if have jemalloc jemalloc; then
		offer jemalloc "${jemalloc_full%%-*}, crate" jemalloc
	else
		left_out jemalloc "no build"
	fi
	if have snmalloc snmalloc; then offer snmalloc "$(crate_version snmalloc-sys), crate" snmalloc; else left_out snmalloc "no build"; fi
	if have rpmalloc rpmalloc; then
		offer rpmalloc "$(sed -n '1s/[^0-9.]*\([0-9.]*\).*/\1/p' crates/rpmalloc-sys/rpmalloc/CHANGELOG), crate" rpmalloc
	else
		left_out rpmalloc "no build"
	fi
fi
