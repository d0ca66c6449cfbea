#!/bin/sh
# Fetches what the emulated machines are made of, by package name, into build/vm-cache; installs nothing.
#
#   tests/vm/fetch.sh KIND [libs]     prints nothing when everything is there already
#
# KIND is arm64, amd64 or arm64-16k (the ARM64 kernel with 16 KiB pages, from the backports).
# Leaves in build/vm-cache:
#   kernel-KIND     a Debian kernel image        kernel-KIND.version   the package it came from
#   busybox-ARCH    a static busybox
#   sysroot-ARCH/   with "libs": libraries and headers to cross-compile with, copied into the guest too
#
# apt runs with a configuration, package lists and state of its own below the cache, so that a foreign
# architecture is never added to the host. SM_VM_MIRROR and SM_VM_SUITE choose another Debian.
set -eu
kind=${1:?usage: tests/vm/fetch.sh arm64|arm64-16k|amd64 [libs]}
libs=${2:-}
self=$(cksum <"$0")
cd "$(dirname "$0")/../.."
CACHE=${SM_VM_CACHE:-$PWD/build/vm-cache}
MIRROR=${SM_VM_MIRROR:-http://deb.debian.org/debian}
SUITE=${SM_VM_SUITE:-bookworm}
KEYRING=/usr/share/keyrings/debian-archive-keyring.gpg

case $kind in
arm64) arch=arm64 kernel=linux-image-arm64 ;;
arm64-16k) arch=arm64 kernel=linux-image-arm64-16k ;;
amd64) arch=amd64 kernel=linux-image-cloud-amd64 ;;
*) echo "vm: no kind of machine is called '$kind': arm64, arm64-16k or amd64" >&2; exit 2 ;;
esac
DEV="libc6-dev linux-libc-dev libgcc-12-dev libpfm4-dev libhwloc-dev libsqlite3-dev libinih-dev libcjson-dev check libsubunit-dev libseccomp-dev libnuma-dev"
# Pulled in by the C library's development package, used by nothing here.
SKIP='^lib(asan|tsan|lsan|hwasan|gomp|itm|stdc|ssl|krb5|k5crypto|gssapi|com-err|tirpc|nsl|keyutils|perl|pam|dpkg|apt|selinux|db5|ltdl)'

die() { echo "vm: $*" >&2; exit 1; }

# A stamp names what was fetched and by which version of this file: one for the kernel, one for the libraries, which all
# kernels of an architecture share.
key="$MIRROR $SUITE $self"
stamp=$CACHE/stamp-$kind
stamp_libs=$CACHE/stamp-libs-$arch
have() { [ -f "$1" ] && [ "$(cat "$1")" = "$key" ]; }
if have "$stamp_libs"; then libs=""; fi
[ -z "$libs" ] && have "$stamp" && exit 0

command -v apt-get >/dev/null 2>&1 || die "no apt-get here to fetch Debian packages with"
[ -f "$KEYRING" ] || die "no $KEYRING to check Debian's packages with (package debian-archive-keyring)"

apt=$CACHE/apt
debs=$CACHE/debs-$kind
mkdir -p "$apt/lists/partial" "$apt/archives/partial" "$apt/preferences.d" "$debs"
: >"$apt/status"
for suite in $SUITE $SUITE-backports; do
	echo "deb [signed-by=$KEYRING] $MIRROR $suite main"
done >"$apt/sources.list"
{
	apt-config dump | grep -E '^Acquire::(https?|Check|Retries)' || true # the host's proxies
	cat <<CONF
APT::Architecture "amd64";
APT::Architectures { "amd64"; "arm64"; };
APT::Sandbox::User "";
APT::Install-Recommends "false";
Acquire::Languages "none";
Acquire::GzipIndexes "true";
Dir::Cache::srcpkgcache "";
Acquire::Retries "3";
Dir::Etc::main "/dev/null";
Dir::Etc::parts "/dev/null";
Dir::Etc::sourcelist "$apt/sources.list";
Dir::Etc::sourceparts "/dev/null";
Dir::Etc::preferencesparts "$apt/preferences.d";
Dir::State "$apt";
Dir::State::lists "$apt/lists";
Dir::State::status "$apt/status";
Dir::Cache "$apt";
Dir::Cache::archives "$apt/archives";
CONF
} >"$apt/apt.conf"
export APT_CONFIG="$apt/apt.conf" DEBIAN_FRONTEND=noninteractive

echo "vm: fetching ${libs:+libraries and }the kernel $kernel into ${CACHE#"$PWD"/} (once)" >&2
log=$apt/log
if [ ! -f "$apt/updated" ] || [ -n "$(find "$apt/updated" -mmin +1440)" ]; then
	apt-get -qq -o APT::Update::Error-Mode=any update >"$log" 2>&1 || { tail -n 5 "$log" >&2; die "cannot read $MIRROR ($SUITE): is there a network?"; }
	touch "$apt/updated"
fi

# The libraries: apt works out the whole set against an empty machine. Of that set only the packages with files that
# a program is built with or runs on.
names=""
if [ -n "$libs" ]; then
	list=$(for p in $DEV; do echo "$p:$arch"; done)
	# shellcheck disable=SC2086
	uris=$(apt-get -qq --print-uris -y install $list 2>"$log") || { tail -n 5 "$log" >&2; die "these do not resolve:" $list; }
	names=$(printf '%s\n' "$uris" | awk '{print $2}' | sed 's/_.*//' | sort -u |
		grep -E '^(lib|linux-libc-dev|check|zlib1g)' | grep -vE "$SKIP" | sed "s/\$/:$arch/")
fi
image=$(apt-cache depends "$kernel:$arch" | sed -n 's/.*Depends: \(linux-image-[^ :]*\).*/\1/p' | head -n 1)
[ -n "$image" ] || die "the package $kernel:$arch names no kernel image"
# shellcheck disable=SC2086
(cd "$debs" && rm -f ./*.deb && apt-get -qq download $names "$image:$arch" "busybox-static:$arch" >"$log" 2>&1) ||
	{ tail -n 5 "$log" >&2; die "downloading packages for $kind failed: is there a network?"; }

tmp=$CACHE/tmp-$kind
sysroot=$CACHE/sysroot-$arch
rm -rf "$tmp"
mkdir -p "$tmp"
[ -z "$libs" ] || { rm -rf "$sysroot"; mkdir -p "$sysroot"; }
for deb in "$debs"/*.deb; do
	case ${deb##*/} in
	linux-image-*) dpkg --fsys-tarfile "$deb" | tar -x -C "$tmp" --wildcards './boot/vmlinuz*' './boot/config*' ;;
	busybox-*) dpkg -x "$deb" "$tmp" ;;
	*) dpkg -x "$deb" "$sysroot" ;;
	esac
done
cp "$tmp"/boot/vmlinuz* "$CACHE/kernel-$kind"
cp "$tmp"/boot/config* "$CACHE/kernel-$kind.config"
cp "$tmp/bin/busybox" "$CACHE/busybox-$arch"
echo "$image" >"$CACHE/kernel-$kind.version"
# Absolute links inside the sysroot must point into it.
if [ -n "$libs" ]; then
	find "$sysroot" -type l -lname '/*' | while read -r link; do ln -sfn "$sysroot$(readlink "$link")" "$link"; done
fi
rm -rf "$tmp" "$debs"
[ -z "$libs" ] || echo "$key" >"$stamp_libs"
echo "$key" >"$stamp"
