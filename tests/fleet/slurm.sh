#!/bin/sh
# contrib/slurm/spanmark.sbatch under a real Slurm: a controller and two nodes on this machine, each with a host name of its
# own, as root in a folder and a PID namespace of their own, which end with this script. A user submits; the merged store has
# both nodes' runs, apart by host, and one report compares them. Then a node's command dies, and then a node.
#
#   tests/fleet/slurm.sh BUILD_DIR      status 77 with the reason where that cannot be done
set -u
if [ "${SM_FLEET_INSIDE:-}" = "" ]; then
	[ "$(id -u)" = 0 ] || { echo "a Slurm of one's own needs root"; exit 77; }
	for tool in munged slurmctld slurmd sbatch setpriv python3; do
		command -v $tool >/dev/null || { echo "no $tool here"; exit 77; }
	done
	space="unshare --uts --mount --pid --fork --kill-child --mount-proc"
	$space true 2>/dev/null || { echo "no namespaces of one's own here"; exit 77; }
	SM_FLEET_INSIDE=$(mktemp -d /tmp/spanmark-fleet.XXXXXX)
	export SM_FLEET_INSIDE
	trap 'rm -rf "$SM_FLEET_INSIDE"' EXIT
	$space sh "$0" "$@"
	exit
fi
. "$(dirname "$0")/../support/command.sh"
at=$SM_FLEET_INSIDE
chmod 755 "$at"

# ---- the cluster ----
mkdir "$at/munge" "$at/state" "$at/n1" "$at/n2" "$at/bin"
head -c 1024 /dev/urandom >"$at/key"
chmod 400 "$at/key"
munged --foreground --socket="$at/munge/socket" --key-file="$at/key" --log-file="$at/munge.log" \
	--pid-file="$at/munge/pid" --seed-file="$at/munge/seed" >"$at/munged.out" 2>&1 &
# shellcheck disable=SC2046
set -- $(python3 -c '
import socket
all = [socket.socket() for _ in range(3)]
for s in all:
    s.bind(("127.0.0.1", 0))
print(*[s.getsockname()[1] for s in all])')
hostname login
cat >"$at/slurm.conf" <<C
ClusterName=spanmark
SlurmctldHost=login(127.0.0.1)
SlurmctldPort=$1
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket=$at/munge/socket
StateSaveLocation=$at/state
SlurmdSpoolDir=$at/%n
SlurmctldPidFile=$at/slurmctld.pid
SlurmdPidFile=$at/%n/slurmd.pid
SlurmctldLogFile=$at/slurmctld.log
SlurmdLogFile=$at/%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SelectType=select/linear
SlurmdTimeout=5
KillWait=1
NodeName=n1 NodeHostname=login NodeAddr=127.0.0.1 Port=$2
NodeName=n2 NodeHostname=login NodeAddr=127.0.0.1 Port=$3
PartitionName=all Nodes=n1,n2 Default=YES State=UP
C
export SLURM_CONF="$at/slurm.conf"
slurmctld -D >"$at/slurmctld.out" 2>&1 &
node() { # node NAME: a machine, as far as Slurm and the store can tell; in a PID namespace, so that it can lose its power
	setsid unshare --uts --pid --fork --kill-child --mount-proc \
		sh -c 'hostname "$0"; exec slurmd -D -N "$0"' "$1" >"$at/$1.out" 2>&1 &
}
node n1
node n2
n2=$!
for _ in $(seq 300); do
	[ "$(sinfo -h -t idle -o %D 2>/dev/null)" = 2 ] && break
	sleep 0.1
done
[ "$(sinfo -h -t idle -o %D)" = 2 ] || { bad "no two idle nodes"; tail -n 20 "$at"/*.log "$at"/*.out; finish; exit 1; }

# ---- a user, who has a folder that all nodes see ----
install -d -o 65534 -g 65534 "$at/home"
cd "$at/home" || exit 1
cp "$cmd" "$at/bin/spanmark"
# submit STATUS NAME ARGUMENTS..: what sbatch --wait ends with is the job's status
submit() {
	want=$1 what=$2
	shift 2
	tried=$((tried + 1))
	PATH=$at/bin:$PATH HOME=$at/home setpriv --reuid 65534 --regid 65534 --clear-groups \
		timeout 300 sbatch --parsable --wait -N 2 "$root/contrib/slurm/spanmark.sbatch" "$@" >"$at/id" 2>"$at/err" </dev/null
	seen=$?
	job=spanmark-$(cat "$at/id")
	case $want:$seen in
	0:0 | [!0]*:[!0]*) ;;
	*) bad "$what: status $seen: $(cat "$at/err")"; tail -n 20 "$job.log" "$job"/*.log "$at"/*.log ;;
	esac
}
facts() { # facts NAME EXPRESSION: of the runs in the job's store, by host
	"$cmd" runs --store "$job.db" -f json >runs.json && python3 - "$2" <<'P' || { bad "$1: $2"; cat "$job.log" runs.json; }
import json, sys
runs = json.load(open("runs.json"))
n = {r["host"]: r for r in runs}
assert len(n) == len(runs)
sys.exit(not eval(sys.argv[1]))
P
}
both='sorted(n) == ["n1", "n2"] and n["n1"]["identity"] != n["n2"]["identity"] and n["n1"]["state"] == "done" and n["n1"]["samples"] == 3'

submit 0 "two nodes" -w churn -p ops=2000 --backend libc --reps 3 -c none
facts "two nodes" "$both and n['n2']['samples'] == 3 and [r['command_line'].split()[-2:] for r in runs] == [['--seed', '1']] * 2"
says "A = " "$job.log"
says "B = " "$job.log"
says "churn" "$job.log"

# ---- the command on n2 dies in its third call, while n1 goes on; then all of n2 ----
mkfifo reached
chmod 666 reached
cat >work <<'W'
#!/bin/sh
[ "$(hostname)" = n2 ] || exit 0
echo x >>calls
[ "$(wc -l <calls)" = 3 ] || exit 0
echo >reached
exec sleep 600
W
chmod 755 work
for dies in command node; do
	rm -f calls
	(
		read -r _ <reached
		case $dies in
		command) for p in $(pgrep -x spanmark); do [ "$(nsenter -t "$p" -u hostname 2>/dev/null)" = n2 ] && kill -9 "$p"; done ;;
		node) kill -9 "$n2" ;;
		esac
	) &
	submit 1 "a $dies dies" --program "$PWD/work" --reps 3 -c none
	facts "a $dies dies" "$both and n['n2']['state'] != 'done' and 1 <= n['n2']['samples'] < 3"
	says "1 of 2 nodes did all" "$job.log"
done
finish
