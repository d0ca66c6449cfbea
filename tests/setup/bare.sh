#!/bin/sh
# Proves that `make run` works on a bare Debian with only git and make: a fresh system in a folder (debootstrap), the
# tracked and new files of this tree copied in, and the command run there under chroot.
#
#   tests/setup/bare.sh [MAKE_TARGET ...]     default: run
#
# Status 77 with the reason where that cannot be done (not root, no debootstrap, no chroot with /proc): what a machine lets
# root do says nothing about this tree. The bare system is kept packed in build/bare-cache between runs.
set -eu
cd "$(dirname "$0")/../.."
suite=${SM_BARE_SUITE:-bookworm}
mirror=${SM_VM_MIRROR:-http://deb.debian.org/debian}
skip() { echo "SKIP: $*"; exit 77; }

[ "$(id -u)" = 0 ] || skip "a bare system in a folder needs root (chroot)"
if ! command -v debootstrap >/dev/null 2>&1; then
	DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=900 install -y --no-install-recommends debootstrap >/dev/null 2>&1 ||
		skip "no debootstrap here"
fi

root=$(mktemp -d /tmp/spanmark-bare.XXXXXX)
cleanup() {
	umount -l "$root/proc" "$root/sys" "$root/dev" 2>/dev/null || true
	if grep -q " $root/" /proc/mounts; then
		echo "bare: $root is still mounted, left in place" >&2
	else
		rm -rf "$root"
	fi
}
trap cleanup EXIT

cache=build/bare-cache/$suite.tar
mkdir -p build/bare-cache
if [ -f "$cache" ]; then
	tar -C "$root" -xf "$cache"
else
	echo "bare: fetching a bare Debian $suite with git and make (once)"
	debootstrap --variant=minbase --include=git,make,ca-certificates "$suite" "$root" "$mirror" >"$root.log" 2>&1 ||
		{ tail -n 5 "$root.log"; rm -f "$root.log"; skip "debootstrap of $suite failed"; }
	rm -f "$root.log"
	tar -C "$root" -cf "$cache.part" . && mv "$cache.part" "$cache"
fi

mkdir -p "$root/src"
tests/files.sh all | while read -r f; do [ -e "$f" ] && echo "$f"; done | tar -cf - -T - | tar -C "$root/src" -xf -
for f in /etc/resolv.conf /etc/hosts; do [ -e $f ] && cp -L $f "$root/etc/"; done
mount -t proc proc "$root/proc" && mount --rbind /sys "$root/sys" && mount --rbind /dev "$root/dev" ||
	skip "cannot mount /proc, /sys and /dev for a chroot"
mount --make-rslave "$root/sys"
mount --make-rslave "$root/dev"
! chroot "$root" sh -c 'command -v gcc' >/dev/null || { echo "FAILED: the bare system has a compiler already"; exit 1; }

for target in "${@:-run}"; do
	echo "bare: make $target on Debian $suite with git and make alone"
	chroot "$root" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root CI="${CI:-}" make -C /src "$target"
done
# The set-up is done: a second one says and does nothing.
said=$(chroot "$root" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin make -s -C /src deps 2>&1)
[ -z "$said" ] || { echo "FAILED: a second 'make deps' was not quiet: $said"; exit 1; }
echo "bare: ok"
