#!/bin/sh
# tests/run.sh runs every test there is, and says so when one fails, is skipped or never ends.
set -eu
here=$(cd "$(dirname "$0")/.." && pwd)
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
mkdir -p "$tmp/tests/some" "$tmp/tests/support" "$tmp/build/tests"
cp "$here/run.sh" "$tmp/tests/"
unset TEST_LOGS TEST_SKIP TEST_JOBS
fails=0
script() { printf '#!/bin/sh\n%s\n' "$2" >"$tmp/tests/some/test_$1.sh"; }
expect() { # expect STATUS LINE [NAME...]
	want=$1 line=$2 status=0
	shift 2
	TEST_TIMEOUT=${limit:-100} "$tmp/tests/run.sh" "$tmp/build" "$@" >"$tmp/log" 2>&1 || status=$?
	[ "$status" = "$want" ] && grep -qE "$line" "$tmp/log" && return
	echo "FAIL: status $status, or no line '$line'"; cat "$tmp/log"; fails=1
}
# Its mode is no matter: a script that was not executable was once left out of every run.
script plain 'exit 0'
chmod 644 "$tmp/tests/some/test_plain.sh"
expect 0 '^1 passed, 0 failed, 0 skipped; 0 cases, 0 of them not run$'
script absent 'echo "no such machine"; exit 77'
expect 0 '^skipped .*test_absent.*no such machine'
expect 0 '^1 passed, 0 failed, 1 skipped; 0 cases, 0 of them not run$'
script wrong 'echo the reason; exit 3'
expect 1 '^the reason$'
expect 1 '^1 passed, 1 failed, 1 skipped; 0 cases, 0 of them not run$'
expect 0 '^1 passed, 0 failed, 0 skipped; 0 cases, 0 of them not run$' plain
script endless 'sleep 60'
limit=2
expect 1 '^FAILED .*test_endless.*ran past 2 s' endless
limit=
# Cases within a program that passed: counted, and named where this machine cannot run them.
script partly 'echo "SKIP at_night: no moon"; echo "SKIP at_night: no moon"; echo "100%: Checks: 5, Failures: 0, Errors: 0"'
expect 0 '^not run  test_partly.sh: at_night: no moon .2 times.$' partly
expect 0 '^1 passed, 0 failed, 0 skipped; 5 cases, 2 of them not run$' partly
# A program whose source is gone is of an older build.
printf '#!/bin/sh\nexit 1\n' >"$tmp/build/tests/test_old"
chmod 755 "$tmp/build/tests/test_old"
expect 0 '^0 passed, 0 failed, 0 skipped; 0 cases, 0 of them not run$' old
exit $fails
