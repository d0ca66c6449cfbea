#!/bin/sh
# spanmark with cap_perfmon as a file capability, run by the user nobody: what needs permission is counted, and the environment is
# not obeyed; without the capability the same metric is denied, not 0.
#
#   tests/cli/test_run_privilege.sh BUILD_DIR
set -eu
build=$1

skip() { echo "$*"; exit 77; }
fail() { echo "FAILED: $*"; exit 1; }

[ -x "$build/spanmark" ] || skip "no spanmark in $build"
case $build in *address* | *thread*) skip "a sanitized program does not run with capabilities" ;; esac
[ "$(id -u)" = 0 ] || skip "needs root to set a file capability"
command -v setcap >/dev/null && command -v setpriv >/dev/null || skip "setcap or setpriv is not installed"
level=$(cat /proc/sys/kernel/perf_event_paranoid 2>/dev/null || echo none)
case $level in 2 | 3 | 4) ;; *) skip "perf_event_paranoid is $level: nothing is denied that the capability would allow" ;; esac

dir=$(mktemp -d /tmp/sm-privXXXXXX)
trap 'rm -rf "$dir"' EXIT
chmod 755 "$dir"
cp "$build/spanmark" "$dir/spanmark"
mkdir "$dir/home"
chmod 777 "$dir/home"

# The row of a mutator's migrations, as CSV.
migrations() {
	(cd "$dir/home" && setpriv --reuid 65534 --regid 65534 --clear-groups env HOME="$dir/home" XDG_DATA_HOME="$dir/home" \
		"$@" "$dir/spanmark" run -w churn --quick -C soft --format csv 2>"$dir/err") >"$dir/out" ||
		fail "run: $(cat "$dir/err")"
	grep ',total,mutator,.*,migrations,' "$dir/out" | head -n 1
}

denied=$(migrations env -u HWLOC_XMLFILE)
case $denied in *,denied,sw,*) ;; *) fail "without the capability: $denied" ;; esac

setcap cap_perfmon=p "$dir/spanmark" 2>/dev/null || skip "this file system keeps no file capabilities"
# An environment that would make hwloc read a file that is no topology, and fail.
allowed=$(migrations env HWLOC_XMLFILE=/etc/passwd SPANMARK_SETS=/nonexistent)
case $allowed in
*,ok,sw,*) ;;
*,denied,sw,*) skip "the kernel grants no file capabilities here (nosuid?)" ;;
*) fail "with the capability: $allowed" ;;
esac
echo "denied without, counted with cap_perfmon"
