# shellcheck shell=sh
# command.sh: what tests of the command begin with. A script in tests/cli sources it with its own arguments and gets
#
#   build, root, cmd         the build tree that it was called with, the sources, the command: absolute. Skips without one
#   tmp                      an empty folder but for out and err, in which it is, and which goes when it ends
#   bad WHAT                 counts and shows a failure
#   expect STATUS COMMAND..  within five minutes; out and err hold what was printed. Status 1: it was another one
#   says TEXT [FILE]         out, or FILE, has the text
#   refuse TEXT ARGUMENT..   the command refuses: status 2, one line on stderr that has the text, nothing on stdout, no file
#   simulates                are there simulated counts? Valgrind is installed, and the build no sanitizer's (else: SKIP)
#   finish                   the script's last line: how many commands were tried; status 1 where something failed
build=${1:-${TEST_BUILD:-}}
[ -n "$build" ] || { echo "usage: $0 BUILD_DIR"; exit 2; }
case $build in /*) ;; *) build=$PWD/$build ;; esac
root=$(cd "$(dirname "$0")/../.." && pwd)
cmd=$build/spanmark
[ -x "$cmd" ] || { echo "no command in $build"; exit 77; }
tmp=$(mktemp -d)
trap 'chmod -R u+w "$tmp" 2>/dev/null; rm -rf "$tmp"' EXIT
cd "$tmp" || exit 1
: >out
: >err
fails=0 tried=0

bad() { echo "FAIL $*"; fails=$((fails + 1)); }

simulates() {
	case $build in
	*address* | *thread* | *undefined*) ;;
	*) ! command -v valgrind >/dev/null || return 0 ;;
	esac
	echo "SKIP simulated counts: no valgrind, or a sanitized build"
	return 1
}

expect() {
	tried=$((tried + 1))
	expected=$1
	shift
	timeout 300 "$@" >out 2>err </dev/null
	seen=$?
	[ "$seen" = "$expected" ] || { bad "status $seen instead of $expected: $*"; sed 's/^/    /' err | head -20; return 1; }
}

says() { grep -qF -- "$1" "${2:-out}" || { bad "${2:-out} lacks '$1'"; sed 's/^/    /' "${2:-out}" | head -20; }; }

refuse() {
	text_wanted=$1
	shift
	files_before=$(ls -A)
	expect 2 "$cmd" "$@" || return
	[ ! -s out ] || bad "printed something on stdout: $*"
	[ "$(wc -l <err)" = 1 ] || bad "$(wc -l <err) lines instead of one: $*: $(cat err)"
	says "$text_wanted" err
	[ "$files_before" = "$(ls -A)" ] || bad "left files: $*: $(ls -A)"
}

finish() {
	echo "$tried commands, $fails failures"
	[ "$fails" = 0 ]
}
