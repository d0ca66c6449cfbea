#!/bin/sh
# The list of tests for one machine, run on that machine: an emulated one (tests/vm) or a real one (make test-machine).
#
#   tests/machine/run.sh BUILD_DIR OUT_DIR
#
# Leaves in OUT_DIR what tests/machine/check.py judges: steps.tsv (name, status, seconds) and what each step wrote.
# Needs a POSIX shell and busybox's tools. A step that needs root or a second CPU skips itself with status 77.
#
# SM_STEPS   the steps to run (all)       SM_TESTS   names of unit tests to run (all)
set -u
build=$1
out=$2
mkdir -p "$out"
export CK_TIMEOUT_MULTIPLIER="${CK_TIMEOUT_MULTIPLIER:-20}"
export SM_TEST_SCALE="${SM_TEST_SCALE:-25}" # stress tests do a quarter of their work
spanmark=$build/spanmark

# Step functions write below $out; their standard output and error go to $out/NAME.log.
unit() {
	# shellcheck disable=SC2086
	TEST_LOGS="$out/unit-logs" TEST_TIMEOUT="${TEST_TIMEOUT:-180}" TEST_JOBS="${TEST_JOBS:-2}" \
		tests/run.sh "$build" ${SM_TESTS:-} | tee "$out/unit.txt" >&3
	tail -n 1 "$out/unit.txt" | grep -q ' 0 failed'
}
topo() {
	"$spanmark" topo >"$out/topo.txt" && "$spanmark" topo --format json >"$out/topo.json"
}
doctor() {
	# Status 1: something here could be better. Anything else is a failure of ours.
	"$spanmark" doctor >"$out/doctor.txt" || [ $? = 1 ]
	"$spanmark" doctor --calibrate --format json >"$out/calibration.json" || [ $? = 1 ]
}
quick() {
	"$spanmark" run --quick --timeout 300 --format json -o "$out/quick.json" && "$spanmark" run --quick --timeout 300 >"$out/quick.txt"
}
# Who marks what: a worker on the objects' node, and, so that the figure is seen to move, one on another node.
marking() {
	nodes=$(cat /sys/devices/system/node/node[0-9]*/cpulist 2>/dev/null | grep -c .)
	[ "$nodes" -ge 2 ] || { echo "SKIP: needs two NUMA nodes with CPUs, here is $nodes"; return 77; }
	for where in dedicated remote-node; do
		"$spanmark" run -w graph -p objects=100000 -p collections=3 --place per-node --mark-place $where \
			--workers 1 --reps 1 --format json -o "$out/marking-$where.json" || return 1
	done
}
hotplug() { sh tests/machine/hotplug.sh offline "$spanmark" "$out"; }
cpuset() { sh tests/machine/hotplug.sh cpuset "$spanmark" "$out"; }

steps="unit topo doctor quick marking hotplug cpuset"
[ -x "$spanmark" ] || steps=unit # a tree of libraries and tests alone
: >"$out/steps.tsv"
for step in ${SM_STEPS:-$steps}; do
	echo "@@STEP $step"
	read -r t0 _ </proc/uptime
	(set -e; "$step") 3>&1 >"$out/$step.log" 2>&1 # 3: where a step shows how far it is
	status=$?
	read -r t1 _ </proc/uptime
	seconds=$((${t1%.*} - ${t0%.*}))
	printf '%s\t%d\t%d\n' "$step" "$status" "$seconds" >>"$out/steps.tsv"
	echo "$step: status $status, $seconds s"
done
