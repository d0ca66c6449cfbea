#!/bin/sh
# Runs the stress programs over and over, each time with another seed, and prints what they did as a table.
#
#   tests/stress/soak.sh BUILD_DIR SECONDS [NAME ...]     all of stress_*, or those whose name contains a NAME
#
# Ends with the first failure: its log, its seed, status 1. SOAK_JOBS programs run at a time (2). SOAK_SEED is what
# seeds are counted from (the clock), so that a soak can be had again as far as scheduling allows. SOAK_EACH: seconds
# that a run lasts (10).
set -eu

[ $# -ge 2 ] || { echo "usage: tests/stress/soak.sh BUILD_DIR SECONDS [NAME ...]" >&2; exit 2; }
build=$1 time=$2
shift 2
seed=${SOAK_SEED:-$(date +%s)000}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
export SM_TEST_SECONDS="${SOAK_EACH:-10}"

names=""
for prog in "$build"/tests/stress_*; do
	case $prog in *.[od] | *.log) continue ;; esac
	name=${prog##*/}
	# stress_pageheap has no collector: nothing to count
	[ -x "$prog" ] && [ -f "$prog" ] && [ "$name" != stress_pageheap ] || continue
	[ $# = 0 ] && names="$names $name"
	for want in "$@"; do case $name in *"$want"*) names="$names $name" ;; esac; done
done
[ -n "$names" ] || { echo "soak: no stress program is called that in $build/tests" >&2; exit 2; }

once() { # once NAME SEED
	log=$work/$1.$2.log status=0
	SM_TEST_TALLY=$work/tally.$2 SM_TEST_SEED=$2 timeout -k 10 1800 "$build/tests/$1" >"$log" 2>&1 </dev/null ||
		status=$?
	case $status in 0 | 77) rm -f "$log" && return ;; esac
	echo "soak: $1 failed with status $status; SM_TEST_SEED=$2" >&2
	tail -n 30 "$log" >&2
	: >"$work/failed"
}

# The programs in turn until the time is up; job n begins with the nth, and has seeds of its own.
turns() { # turns JOB
	k=0
	while :; do
		for name in $names; do
			k=$((k + 1))
			[ "$k" -ge "$1" ] || continue
			[ "$(date +%s)" -lt "$end" ] && [ ! -e "$work/failed" ] || return 0
			once "$name" $((seed + $1 * 100000 + k))
		done
	done
}
began=$(date +%s)
end=$((began + time))
for j in $(seq "${SOAK_JOBS:-2}"); do turns "$j" & done
wait

cat "$work"/tally.* 2>/dev/null | awk -v took=$(($(date +%s) - began)) '
	{
		if (!(($1, $2) in seen)) { seen[$1, $2]; seeds[$1]++ }
		cycles[$1] += $3; objects[$1] += $4; stores[$1] += $5; threads[$1] += $6
	}
	function line(name, a, b, c, d, e) { printf "%-18s %8s %12s %18s %18s %12s\n", name, a, b, c, d, e }
	END {
		printf "soak of %d s:\n", took
		line("program", "seeds", "cycles", "objects", "stores", "threads")
		n = split("finalizer graph memory migrate roots slots threads", order, " ")
		for (i = 1; i <= n; i++) {
			p = "stress_" order[i]
			if (!(p in seeds)) continue
			line(p, seeds[p], cycles[p], objects[p], stores[p], threads[p])
			s += seeds[p]; c += cycles[p]; o += objects[p]; w += stores[p]; t += threads[p]
		}
		line("all", s + 0, c + 0, o + 0, w + 0, t + 0)
		print "seeds: runs; cycles: each verified; objects: marked in them; stores: with a barrier on; threads: attached"
	}'
[ ! -e "$work/failed" ]
