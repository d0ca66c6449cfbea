#!/bin/sh
# Fuzzes: every target of a build tree made with FUZZ=1, or those whose name contains a NAME, some seconds each.
#
#   tests/fuzz/run.sh BUILD_DIR SECONDS [NAME ...]
#
# One line a target; the log and the input of what was found, and status 1. Inputs that reach new code are kept in
# build/fuzz/NAME and used the next time; those of a finding in build/fuzz/found. FUZZ_JOBS targets run at a time (2).
# FUZZ_SEED: the same inputs in the same order again.
set -eu

fuzz_one() { # fuzz_one PROGRAM SECONDS
	name=${1##*/fuzz_}
	kept=build/fuzz/$name log=build/fuzz/$name.log
	mkdir -p "$kept" build/fuzz/found
	leaks=1 seeds=tests/fuzz/corpus/$name
	case $name in
	gc | malloc) leaks=0 ;; # heaps that the leak detector does not know
	topology) leaks=0 ;;    # hwloc 2.9 leaks an object of a topology that it refuses
	setfile) seeds="$seeds perf/sets" ;;
	esac
	status=0
	# shellcheck disable=SC2086
	ASAN_OPTIONS=detect_stack_use_after_return=0:allocator_may_return_null=1:detect_leaks=$leaks \
	UBSAN_OPTIONS=print_stacktrace=1 \
		"$1" -max_total_time="$2" -timeout=300 -rss_limit_mb=3000 -max_len=4096 -print_final_stats=1 -verbosity=1 \
		${FUZZ_SEED:+-seed=$FUZZ_SEED} \
		-artifact_prefix="build/fuzz/found/$name-" "$kept" $seeds >"$log" 2>&1 </dev/null || status=$?
	awk -v name="$name" -v status="$status" '
		/cov: / { for (i = 1; i < NF; i++) if ($i == "cov:") cov = $(i + 1) }
		/stat::number_of_executed_units/ { runs = $2 }
		END { printf "%-8s fuzz_%-12s %9d inputs, %6d edges reached\n", status ? "FOUND" : "ok", name, runs, cov }' "$log"
	[ "$status" = 0 ] || { tail -n 60 "$log"; exit 1; }
}

if [ "${1:-}" = --one ]; then
	fuzz_one "$2" "$3"
	exit
fi
[ $# -ge 2 ] || { echo "usage: tests/fuzz/run.sh BUILD_DIR SECONDS [NAME ...]" >&2; exit 2; }
cd "$(dirname "$0")/../.."
build=$1 seconds=$2
shift 2
for prog in "$build"/fuzz/fuzz_*; do
	case $prog in *.[od]) continue ;; esac
	[ $# = 0 ] && echo "$prog"
	for want in "$@"; do case ${prog##*/} in *"$want"*) echo "$prog" ;; esac; done
done | xargs -r -P "${FUZZ_JOBS:-2}" -I PROG tests/fuzz/run.sh --one PROG "$seconds"
