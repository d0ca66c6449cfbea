#!/bin/sh
# What cannot be built is said in one line before anything is compiled: another machine, another C library, a sysroot
# that is not there, headers that are missing; and what cannot be installed, where sudo wants a password.
#
#   tests/cli/test_target.sh BUILD_DIR
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
target=$root/tests/setup/target.sh
[ -f "$target" ] || { echo "not in a source tree"; exit 77; }
command -v gcc >/dev/null || { echo "no gcc here"; exit 77; }
dir=$(mktemp -d /tmp/sm-targetXXXXXX)
trap 'rm -rf "$dir"' EXIT
fail() { echo "FAILED: $*"; exit 1; }

# says WORDS COMMAND..: it fails, and its only line holds the words.
says() {
	words=$1
	shift
	if "$@" >"$dir/out" 2>&1; then fail "$* went through"; fi
	[ "$(wc -l <"$dir/out")" = 1 ] || fail "$*: $(cat "$dir/out")"
	grep -q "$words" "$dir/out" || fail "no '$words': $(cat "$dir/out")"
}

"$target" gcc -D_GNU_SOURCE || fail "this machine cannot build"
says "compiler called nosuchcc" "$target" nosuchcc
says "no folder /nonexistent" "$target" gcc --sysroot=/nonexistent
case $(uname -m) in x86_64) says "64-bit x86 and ARM" "$target" "gcc -m32" ;; esac
# A C library that is not glibc, and none of the others' headers.
mkdir "$dir/include"
: >"$dir/include/limits.h"
says "needs glibc" "$target" gcc -nostdinc -isystem "$dir/include"
echo '#define __GLIBC__ 2' >"$dir/include/limits.h"
says "libhwloc-dev.* libsqlite3-dev" "$target" gcc -nostdinc -isystem "$dir/include"
rm "$dir/include/limits.h"
says "SYSROOT=FOLDER" "$target" gcc -nostdinc -isystem "$dir/include"

# Not root, a sudo that wants a password, no terminal; and a package that is missing.
mkdir "$dir/bin"
printf '#!/bin/sh\nexit 1\n' >"$dir/bin/sudo"
printf '#!/bin/sh\necho 1000\n' >"$dir/bin/id"
printf '#!/bin/sh\nexit 1\n' >"$dir/bin/dpkg-query"
printf '#!/bin/sh\nexit 1\n' >"$dir/bin/apt-get"
cp "$dir/bin/apt-get" "$dir/bin/apt-cache"
chmod +x "$dir/bin/"*
PATH=$dir/bin:$PATH
unset SM_NO_DEPS
export PATH
says "sudo wants a password" "$root/tests/setup/deps.sh" sim </dev/null
echo "every refusal is one line"
