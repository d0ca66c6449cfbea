#!/bin/sh
# Can this compiler, with these flags, build spanmark? One line that says why not, before anything is compiled; status 1.
#
#   tests/setup/target.sh CC FLAGS...      (the Makefile, when the flags of a build tree are new)
set -eu
cc=$1
shift

no() { echo "build: $*" >&2; exit 1; }

for flag in "$@"; do
	case $flag in
	--sysroot=*) [ -d "${flag#--sysroot=}" ] || no "SYSROOT: there is no folder ${flag#--sysroot=} (tests/vm/fetch.sh makes some)" ;;
	esac
done
command -v "${cc%% *}" >/dev/null 2>&1 || no "there is no compiler called ${cc%% *}"

# shellcheck disable=SC2086
case $(echo "__x86_64__ __aarch64__ __LP64__" | $cc "$@" -E -P -x c - 2>/dev/null) in
"1 "*" 1" | *" 1 1") ;;
*) no "spanmark runs on 64-bit x86 and ARM; $cc compiles for another machine" ;;
esac
# shellcheck disable=SC2086
seen=$(
	$cc "$@" -E -P -x c - <<-'END' 2>/dev/null
		#include <limits.h>
		#ifndef __GLIBC__
		libc
		#endif
		#if !__has_include(<perfmon/pfmlib.h>)
		libpfm4-dev
		#endif
		#if !__has_include(<hwloc.h>)
		libhwloc-dev
		#endif
		#if !__has_include(<sqlite3.h>)
		libsqlite3-dev
		#endif
		#if !__has_include(<ini.h>)
		libinih-dev
		#endif
		#if !__has_include(<cjson/cJSON.h>)
		libcjson-dev
		#endif
	END
) || no "$cc does not compile for $($cc -dumpmachine 2>/dev/null || echo its machine): C headers missing? (a cross build wants SYSROOT=FOLDER)"
lacks=""
for word in $(echo "$seen" | grep -oE '^(libc|lib[a-z0-9]+-dev)$' || true); do
	case $word in
	libc) no "spanmark needs glibc; $cc compiles for another C library" ;;
	*) lacks="$lacks $word" ;;
	esac
done
[ -z "$lacks" ] || no "$cc finds no headers of$lacks (make deps installs them; a cross build wants SYSROOT=FOLDER)"
