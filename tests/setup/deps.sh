#!/bin/sh
# Installs the Debian packages that a step of the build needs, and only those that are missing.
#
#   tests/setup/deps.sh build|test|format|tidy|clang|fuzz|model|vm|bench|sim|page ...
#
# Quiet and instant when nothing is missing. Otherwise it says what it installs and why, and uses
# apt-get, through sudo when not root. It runs on a bare machine: POSIX sh, no compiler.
#
# SM_NO_DEPS=1   install nothing, check nothing (for systems without apt-get)
# SM_DEPS_LIST=1 print the packages of the groups, one a line, and stop
set -eu

BUILD="gcc make pkg-config libc6-dev libpfm4-dev libhwloc-dev libsqlite3-dev libinih-dev libcjson-dev"

# One package a word. "a|b" is the first of the two that this release has.
packages_of() {
	case $1 in
	build) echo "$BUILD" ;;
	test) echo "$BUILD check libsubunit-dev libseccomp-dev valgrind python3 g++ sqlite3 git stress-ng zsh fish groff-base mandoc shellcheck locales binutils gdb systemtap-sdt-dev protobuf-compiler python3-protobuf" "python3-jsonschema python3-prometheus-client" \
		"libgc1 libjemalloc2 libmimalloc2.0|libmimalloc3|libmimalloc2 libtcmalloc-minimal4|libtcmalloc-minimal4t64" ;;
	format) echo "clang-format git" ;;
	tidy) echo "clang-tidy python3" ;;
	clang) echo "$BUILD clang libclang-rt-14-dev|libclang-rt-dev check libsubunit-dev" ;;
	fuzz) echo "$BUILD clang libclang-rt-14-dev|libclang-rt-dev" ;;
	model) echo "spin gcc libc6-dev" ;;
	vm) echo "$BUILD check libsubunit-dev qemu-system-arm qemu-system-x86 gcc-aarch64-linux-gnu libc6-dev-arm64-cross" \
		"binutils-aarch64-linux-gnu python3" ;;
	bench) echo "$BUILD g++ libgc-dev libmimalloc2.0|libmimalloc2 libjemalloc2 libtcmalloc-minimal4|libtcmalloc-minimal4t64 valgrind python3" ;;
	jdk) echo "openjdk-17-jdk-headless" ;;
	go) echo "golang-go" ;;
	sim) echo "valgrind" ;;
	page) echo "$BUILD python3 chromium chromium-driver" ;;
	programs) echo "$BUILD libseccomp-dev python3 perl openssl redis-server redis-tools memcached nginx-light lua5.4 ruby" \
		"php-cli php-mbstring php-xml php-sqlite3 php-curl php-intl gdb emacs-nox default-jre-headless postgresql nodejs" ;;
	fleet) echo "$BUILD python3 slurm-wlm munge openssh-server openssh-client" ;;
	*) return 1 ;;
	esac
}

reason_of() {
	case $1 in
	build) echo "the compiler and the libraries that spanmark is built with" ;;
	test) echo "the test framework, the tools that tests run and the allocators that they preload" ;;
	format) echo "the formatting check" ;;
	tidy) echo "the static checks" ;;
	clang) echo "the second compiler and its sanitizers" ;;
	fuzz) echo "the fuzzer and its sanitizers" ;;
	model) echo "the model checker" ;;
	vm) echo "the emulated machines and the ARM64 cross compiler" ;;
	bench) echo "the allocators that the benchmarks compare with" ;;
	jdk) echo "the Java collector that the benchmarks compare with" ;;
	go) echo "the Go collector that the benchmarks compare with" ;;
	sim) echo "the simulated counters (callgrind)" ;;
	fleet) echo "the batch system and the ssh server that the fleet's scripts are tried with" ;;
	page) echo "the browser that report pages are looked at in (350 MB installed)" ;;
	programs) echo "the programs that the preloaded malloc is tried with (200 MB to fetch, 800 MB installed)" ;;
	esac
}

say() { echo "deps: $*" >&2; }
die() { say "$*"; exit 1; }

installed() { [ "$(dpkg-query -W -f='${db:Status-Status}' "$1" 2>/dev/null)" = installed ]; }

# Prints the package that stands for "a|b|c": one that is installed, else the first that apt knows, else a.
choose() {
	for p in $(echo "$1" | tr '|' ' '); do
		if installed "$p"; then echo "$p"; return; fi
	done
	for p in $(echo "$1" | tr '|' ' '); do
		if apt-cache show "$p" >/dev/null 2>&1; then echo "$p"; return; fi
	done
	echo "${1%%|*}"
}

missing_of() {
	for want in "$@"; do
		p=$(choose "$want")
		installed "$p" || echo "$p"
	done | sort -u
}

[ $# -gt 0 ] || die "usage: tests/setup/deps.sh build|test|format|tidy|clang|fuzz|model|vm|bench|jdk|go|sim|page ..."
wanted=""
reasons=""
for group in "$@"; do
	wanted="$wanted $(packages_of "$group")" || die "no group of packages is called '$group'"
	reasons="${reasons:+$reasons; }$(reason_of "$group")"
done

if [ -n "${SM_DEPS_LIST:-}" ]; then
	for p in $wanted; do echo "$p"; done | sort -u
	exit 0
fi
[ -z "${SM_NO_DEPS:-}" ] || exit 0

if ! command -v dpkg-query >/dev/null 2>&1 || ! command -v apt-get >/dev/null 2>&1; then
	say "this system has no apt-get, so nothing can be installed here."
	say "install what these Debian packages hold, then run again with SM_NO_DEPS=1:"
	die "$(echo $wanted)"
fi

# shellcheck disable=SC2086
missing=$(missing_of $wanted)
[ -n "$missing" ] || exit 0

# Servers among them are not to be started by their installation.
policy=/usr/sbin/policy-rc.d
start_no_servers() {
	[ ! -e "$policy" ] || return 0
	printf '#!/bin/sh\nexit 101\n' | $as_root tee "$policy" >/dev/null
	$as_root chmod 755 "$policy"
	trap '$as_root rm -f "$policy"; rm -f "$log"' EXIT
}

as_root=""
if [ "$(id -u)" != 0 ]; then
	command -v sudo >/dev/null 2>&1 || die "not root and no sudo: as root, run 'apt-get install $(echo $missing)'"
	as_root=sudo
	# What asks for a password does so now, where one can be typed, and not with its output in a file.
	if ! sudo -n true 2>/dev/null; then
		[ -t 0 ] || die "sudo wants a password, and there is no terminal to ask: as root, run 'apt-get install $(echo $missing)'"
		say "installing $(echo $missing) takes sudo, which may ask for your password"
		sudo -v || die "sudo said no: as root, run 'apt-get install $(echo $missing)'"
	fi
fi

export DEBIAN_FRONTEND=noninteractive
apt() { $as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=900 -o Dpkg::Use-Pty=0 "$@"; }

say "installing $(echo $missing)"
say "for: $reasons"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
case " $* " in *" programs "* | *" fleet "*) start_no_servers ;; esac
# Fresh lists only when the ones that are here do not do: an update costs more than most installs.
# shellcheck disable=SC2086
if ! apt install -y --no-install-recommends $missing >"$log" 2>&1; then
	apt update >"$log" 2>&1 || true
	missing=$(missing_of $wanted)
	# shellcheck disable=SC2086
	if ! apt install -y --no-install-recommends $missing >>"$log" 2>&1; then
		tail -n 20 "$log" >&2
		die "apt-get could not install $(echo $missing): is there a network, and does this release have these packages?"
	fi
fi
left=$(missing_of $wanted)
[ -z "$left" ] || die "still missing after apt-get: $(echo $left)"
