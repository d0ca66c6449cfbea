#!/bin/sh
# INT, TERM and KILL at random moments of a run that keeps its samples: the store always opens, is sound, holds whole samples
# only, no worker outlives the command, and --resume brings the run to its end.
#
#   tests/cli/test_interrupt.sh BUILD_DIR        ROUNDS=12 SEED=n
set -u
. "$(dirname "$0")/../support/command.sh"
command -v python3 >/dev/null || { echo "no python3 to look into the store with"; exit 77; }
rounds=${ROUNDS:-12}
seed=${SEED:-$$}
echo "seed $seed, $rounds rounds"
next() { seed=$(((seed * 1103515245 + 12345) % 2147483648)); }

# look: prints "samples planned" of the last run, after an integrity check
cat >look.py <<'PY'
import sqlite3, sys
db = sqlite3.connect(sys.argv[1])
assert db.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
if db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0] == 0:  # killed before the layout was there
    print("0 0")
    sys.exit()
run = db.execute("SELECT id, planned FROM run ORDER BY id DESC LIMIT 1").fetchone()
if run is None:
    print("0 0")
    sys.exit()
n = db.execute("SELECT count(*) FROM sample WHERE run=?", (run[0],)).fetchone()[0]
for status, results in db.execute(
        "SELECT status, (SELECT count(*) FROM result WHERE sample=sample.id) FROM sample WHERE run=?", (run[0],)):
    assert status != "ok" or results > 3, "half a sample"
print(n, run[1])
PY

# A worker that was just being started when its parent was killed is "another process" until it sees that.
resume() {
	until "$cmd" run --store s.db --resume -f json -o out.json >/dev/null 2>err; do
		grep -q 'in progress in another process' err || return 1
		sleep 0.1
	done
}

i=0
while [ "$i" -lt "$rounds" ]; do
	i=$((i + 1))
	rm -f s.db s.db-wal s.db-shm out.json
	"$cmd" run -w churn -p ops=50000 --reps 8 --counters none --store s.db -f json -o out.json >/dev/null 2>err &
	pid=$!
	next
	case $((seed / 65536 % 3)) in 0) sig=INT ;; 1) sig=TERM ;; *) sig=KILL ;; esac
	next
	sleep "0.$(printf '%03d' $((seed / 65536 % 400)))"
	# a background job of sh ignores INT: TERM stands in for it where that is so
	[ $sig = INT ] && sig=TERM
	worker=$(cat "/proc/$pid/task/$pid/children" 2>/dev/null)
	kill -$sig $pid 2>/dev/null
	wait $pid 2>/dev/null
	status=$?
	for w in $worker; do
		n=0
		while kill -0 "$w" 2>/dev/null && [ "$(cut -d' ' -f3 "/proc/$w/stat" 2>/dev/null)" != Z ]; do
			n=$((n + 1))
			[ $n -gt 1200 ] && { bad "round $i: worker $w outlived $sig"; break; }
			sleep 0.1
		done
	done
	[ $sig = KILL ] || case $status in
	0 | 143) [ -e out.json ] || continue # before the handler was in place: the signal's own effect
		python3 -c "import json; json.load(open('out.json'))" || bad "round $i: no whole report after $sig" ;;
	*) bad "round $i: status $status after $sig: $(cat err)" ;;
	esac
	[ -s s.db ] || continue
	seen=$(python3 look.py s.db) || { bad "round $i ($sig): the store is not sound"; continue; }
	set -- $seen
	[ "$2" != 0 ] && [ "$1" -lt "$2" ] || continue
	resume || bad "round $i: --resume: $(tail -1 err)"
	[ "$(python3 look.py s.db)" = "$2 $2" ] || bad "round $i: --resume left $(python3 look.py s.db)"
done
finish
