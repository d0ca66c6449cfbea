#!/bin/sh
# Takes a CPU away from `spanmark run` in the middle of a sample (scenario 23): by taking it offline, or by shrinking the
# cpuset that the run lives in. The run must end by itself, call the samples it hurt something other than "ok", and
# still write valid JSON.
#
#   tests/machine/hotplug.sh offline|cpuset SPANMARK OUT_DIR
#
# Only on emulated machines or when SM_HOTPLUG=1 says so: CPUs of a machine in use must not vanish.
set -u
how=$1
spanmark=$2
out=$3
skip() { echo "SKIP: $*"; exit 77; }

[ "$(id -u)" = 0 ] || skip "needs root"
[ -n "${SM_HOTPLUG:-}" ] || grep -q sm.machine= /proc/cmdline || skip "takes CPUs offline: set SM_HOTPLUG=1 to allow it"
last=$(cat /sys/devices/system/cpu/online | sed 's/.*[-,]//')
[ "$last" -ge 1 ] || skip "needs two CPUs"

case $how in
offline)
	switch=/sys/devices/system/cpu/cpu$last/online
	[ -w "$switch" ] || skip "CPU $last cannot be taken offline"
	prepare() { :; }
	take() { echo 0 >"$switch"; }
	restore() { echo 1 >"$switch"; }
	;;
cpuset)
	group=/sys/fs/cgroup/spanmark-test
	grep -q cpuset /sys/fs/cgroup/cgroup.controllers 2>/dev/null || skip "no cgroup v2 cpuset controller"
	prepare() {
		echo +cpuset >/sys/fs/cgroup/cgroup.subtree_control
		mkdir -p $group
		echo "0-$last" >$group/cpuset.cpus
		echo $$ >$group/cgroup.procs
	}
	take() { echo "0-$((last - 1))" >$group/cpuset.cpus; }
	restore() {
		echo $$ >/sys/fs/cgroup/cgroup.procs
		sleep 1 # until the last worker is gone
		rmdir $group
	}
	;;
*) echo "usage: hotplug.sh offline|cpuset SPANMARK OUT_DIR" >&2; exit 2 ;;
esac

prepare || skip "cannot prepare the $how"
trap restore EXIT
# Waits until a worker process has all its mutators: threads as many as CPUs, at least.
running() {
	for try in $(seq 1 300); do
		awk -v want=$((last + 2)) 'FNR == 1 { ours = /spanmark/ } ours && /^Threads:/ && $2 >= want { found = 1 }
			END { exit !found }' /proc/[0-9]*/status 2>/dev/null && return 0
		kill -0 $run 2>/dev/null || return 1
		sleep 0.1
	done
	return 1
}

# A mutator on every CPU, so that the one that goes is in use; a sample of several seconds, so that it goes during one.
timeout -k 5 150 "$spanmark" run -w churn -p ops="${SM_HOTPLUG_OPS:-8000000}" --threads $((last + 1)) --workers 1 \
	--place one-per-core --mark-place shared --reps 2 --timeout 120 --format json -o "$out/$how.json" &
run=$!
running || { echo "no sample ever ran"; exit 1; }
sleep 0.3
take || { echo "could not take CPU $last away"; kill $run; exit 1; }
echo "took CPU $last away"
wait $run
status=$?
echo "the run ended with status $status"
[ $status = 1 ] # 0: it noticed nothing; 124: it hung; others: it fell over
