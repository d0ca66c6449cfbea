#!/bin/sh
# Runs the test programs of a build tree and reports one line each.
#
#   tests/run.sh BUILD_DIR [NAME ...]     all of test_* and stress_*, or only those whose name contains a NAME
#
# A program passes with status 0, is skipped with status 77 (its last line says why) and fails otherwise or when
# it runs past its time limit. The log of a failed one is shown, and so is each case within a program that this
# machine cannot run ("SKIP NAME: why" in its log). Ends with exactly one line of totals; status 1 when something
# failed. POSIX sh and busybox tools suffice: the emulated machines run this same file.
#
# TEST_TIMEOUT  seconds for each program (600)      TEST_JOBS  programs at a time (2)
# TEST_LOGS     where logs go (BUILD_DIR/logs)      TEST_SKIP  names (space separated) not to run here
#
# Limits of time are there to end what hangs: a machine on which others run may be ten times slower than a quiet one, so
# a case within a program has five times what it gives itself (CK_TIMEOUT_MULTIPLIER).
set -eu

now_cs() { # hundredths of a second since boot
	read -r up _ </proc/uptime
	echo "${up%.*}${up#*.}"
}

run_one() { # run_one PROGRAM: called again below by xargs, so that programs run side by side
	name=${1##*/}
	log=$TEST_LOGS/$name.log
	start=$(now_cs)
	status=0
	case $1 in
	*.sh) setsid timeout -k 10 "$TEST_TIMEOUT" sh "$1" "$TEST_BUILD" >"$log" 2>&1 </dev/null || status=$? ;;
	*) setsid timeout -k 10 "$TEST_TIMEOUT" "$1" >"$log" 2>&1 </dev/null || status=$? ;;
	esac
	took=$(($(now_cs) - start))
	took=$(printf '%d.%02d s' $((took / 100)) $((took % 100)))
	why=""
	case $status in
	0) result=ok ;;
	77) result=skipped; why="  ($(tail -n 1 "$log"))" ;;
	124 | 137 | 143) result=FAILED; why="  (ran past ${TEST_TIMEOUT} s)" ;;
	*)
		result=FAILED
		if [ "$status" -gt 128 ]; then why="  (signal $((status - 128)))"; else why="  (status $status)"; fi
		;;
	esac
	echo "$result" >"$TEST_LOGS/$name.result"
	printf '%-8s %-36s %10s%s\n' "$result" "$name" "$took" "$why"
}

if [ "${1:-}" = --one ]; then
	run_one "$2"
	exit 0
fi

[ $# -ge 1 ] || { echo "usage: tests/run.sh BUILD_DIR [NAME ...]" >&2; exit 2; }
TEST_BUILD=$1
shift
here=$(dirname "$0")
export TEST_BUILD
export TEST_TIMEOUT="${TEST_TIMEOUT:-600}"
export CK_TIMEOUT_MULTIPLIER="${CK_TIMEOUT_MULTIPLIER:-5}"
export TEST_LOGS="${TEST_LOGS:-$TEST_BUILD/logs}"
rm -rf "$TEST_LOGS"
mkdir -p "$TEST_LOGS"

wanted() { # wanted PROGRAM NAME...: is it among the names, and not switched off?
	name=${1##*/}
	shift
	case " ${TEST_SKIP:-} " in *" $name "*) return 1 ;; esac
	[ $# -gt 0 ] || return 0
	for pattern in "$@"; do
		case $name in *"$pattern"*) return 0 ;; esac
	done
	return 1
}

# The long ones first, so that the last program to finish is a short one.
list=$TEST_LOGS/list
: >"$list"
for prog in "$TEST_BUILD"/tests/stress_* "$here"/*/test_*.sh "$TEST_BUILD"/tests/test_*; do
	# A script is run by sh, whatever its mode says.
	case $prog in *.[od] | *.log) continue ;; *.sh) ;; *) [ -x "$prog" ] || continue ;; esac
	[ -f "$prog" ] || continue
	# A program whose source is gone is left over from an older build.
	case $prog in *.sh) ;; *) [ ! -d "$here/support" ] || ls "$here"/*/"${prog##*/}.c" >/dev/null 2>&1 || continue ;; esac
	if wanted "$prog" "$@"; then echo "$prog" >>"$list"; fi
done

xargs -r -P "${TEST_JOBS:-2}" -n 1 "$0" --one <"$list"

passed=$(cat "$TEST_LOGS"/*.result 2>/dev/null | grep -c '^ok' || true)
failed=$(cat "$TEST_LOGS"/*.result 2>/dev/null | grep -c '^FAILED' || true)
skipped=$(cat "$TEST_LOGS"/*.result 2>/dev/null | grep -c '^skipped' || true)
for result in "$TEST_LOGS"/*.result; do
	[ -f "$result" ] && grep -q '^FAILED' "$result" || continue
	name=$(basename "$result" .result)
	echo "---- log of $name (last 60 lines)"
	tail -n 60 "$TEST_LOGS/$name.log"
done
lost=$(($(wc -l <"$list") - passed - failed - skipped))
failed=$((failed + lost))
# A program that passed may hold cases that this machine cannot run: each is named, with its reason.
cases=0
left_out=0
for log in "$TEST_LOGS"/*.log; do
	[ -f "$log" ] || continue
	n=$(sed -n 's/^[0-9]*%: Checks: \([0-9]*\),.*/\1/p' "$log" | head -n 1)
	cases=$((cases + ${n:-0}))
	name=$(basename "$log" .log)
	left_out=$((left_out + $(grep -c '^SKIP ' "$log" || true)))
	grep '^SKIP ' "$log" | sort | uniq -c | while read -r times _ why; do
		if [ "$times" -gt 1 ]; then why="$why ($times times)"; fi
		echo "not run  $name: $why"
	done
done
echo "$passed passed, $failed failed, $skipped skipped; $cases cases, $left_out of them not run"
[ "$failed" = 0 ]
