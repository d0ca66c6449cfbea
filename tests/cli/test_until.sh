#!/bin/sh
# spanmark run --until: ends where the intervals are narrow, or at --max-time, in whole repetitions, and says which; a run that
# was interrupted after its plan had grown goes on, and so does one that was killed before it looked.
#
#   tests/cli/test_until.sh BUILD_DIR
set -u
. "$(dirname "$0")/../support/command.sh"
command -v python3 >/dev/null || { echo "no python3 to look into a store with"; exit 77; }
sql() { python3 -c 'import sqlite3,sys; db=sqlite3.connect(sys.argv[1]); print(*[r[0] for r in db.execute(sys.argv[2])]); db.commit()' "$@"; }
# whole STORE: the last run has a sample of every job, and as many of each repetition
whole() {
	[ "$(sql "$1" "SELECT planned=(SELECT count(*) FROM sample WHERE run=run.id) AND planned=(SELECT count(*) FROM plan WHERE
		run=run.id) AND state='done' FROM run ORDER BY id DESC LIMIT 1")" = 1 ] || bad "$1: not whole"
	[ "$(sql "$1" "SELECT count(DISTINCT n) FROM (SELECT count(*) AS n FROM sample WHERE run=(SELECT max(id) FROM run) GROUP BY rep)")" = 1 ] ||
		bad "$1: repetitions that are not whole"
}
run="run -w churn -p ops=2000 --counters none --seed 5 --backend libc,span"

# Operations are as many each time: narrow at the first look.
"$cmd" $run --store s.db --until ops=1% >out 2>err || bad "status: $(tail -1 err)"
says "±0 % after 10 repetitions (churn libc, ops)" err
says "10 repetitions" out
says "--until looked 1 time: each interval is one of 97.5%" out
whole s.db
"$cmd" run --store s.db --resume >out 2>err && bad "a run that is done was resumed"
says "every run is complete" err
"$cmd" compare --store s.db libc span >out 2>err || bad "compare: $(cat err)"
says "wider for the" out

# Time is up after a repetition; what was measured is the run.
"$cmd" $run --store t.db --until 0.0001% --max-time 1ms -f csv >out 2>err || bad "status: $(tail -1 err)"
says "no interval after 1 repetition (churn libc, ns_per_op) at --max-time 0.001 s; wanted was 0.0001 %" err
whole t.db

# Grown once, then interrupted; the rest is measured by --resume, which looks and ends by its own --max-time.
mkfifo line
"$cmd" $run --store g.db --until 0.0001% --max-time 60 >/dev/null 2>line &
pid=$!
while read -r text; do
	case $text in *": 6 more") kill -TERM $pid ;; esac
done <line
wait $pid
[ $? = 143 ] || bad "not ended by its signal"
[ "$(sql g.db "SELECT planned FROM run")" = 32 ] || bad "planned: $(sql g.db "SELECT planned FROM run"), not 32"
[ "$(sql g.db "SELECT count(*) FROM sample")" -ge 20 ] || bad "no samples"
"$cmd" run --store g.db --resume --until 5% >out 2>err && bad "resumed with another --until"
says "--until '0.0001%', not '5%'" err
# Without one of its own it is the run's.
[ "$(sql g.db "SELECT json_extract(environment, '$.until.max_time_s') FROM run")" = 60 ] || bad "the limit of time is not kept"
sql g.db "UPDATE run SET environment = json_set(environment, '$.until.max_time_s', 0.002)"
cp g.db h.db
"$cmd" run --store h.db --resume >out 2>err || bad "resume: $(tail -1 err)"
says "at --max-time 0.002 s" err
"$cmd" run --store g.db --resume --max-time 1ms >out 2>err || bad "resume: $(tail -1 err)"
says "at --max-time 0.001 s" err
whole g.db

# Killed when all was measured, but before the look: what narrows at once is done at once.
sql s.db "UPDATE run SET state='running'"
"$cmd" run --store s.db --resume >out 2>err || bad "resume: $(tail -1 err)"
says "±0 % after 10 repetitions" err
whole s.db

# All squares are whole, and --reps is the least.
"$cmd" $run --until ops=1% --reps 17 -f csv >out 2>err || bad "status: $(tail -1 err)"
says "after 18 repetitions" err

# A figure that a program prints.
"$cmd" run --program 'echo score 7' --metric 'score=score ([0-9]+)' --better score=higher --backend libc -c none --until score=1% >out 2>err ||
	bad "status: $(tail -1 err)"
says ", score)" err
says "±0 % after 10 repetitions" err

# A figure that no sample has; one that failed everywhere.
"$cmd" $run --until p99_us=1% >out 2>err || bad "status: $(tail -1 err)"
says "no sample has a figure that --until looks at" err
"$cmd" $run --until 1% --dry-run >out 2>err || bad "status: $(tail -1 err)"
says "--until looks after 10, 16, 24 repetitions and so on" out
refuse "no workload reports it" run --until nope=1%
refuse "--until '1'; allowed: a width" run --until 1
refuse "--until '1%,2%': one width is given twice; allowed: one for all, and one for each RESULT" run --until 1%,2%
refuse "one width is given twice" run --until ns_per_op=1%,2%,ns_per_op=1%
refuse "--max-time ends --until" run --max-time 5
refuse "--max-time: 'x'" run --until 1% --max-time x

finish
