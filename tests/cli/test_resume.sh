#!/bin/sh
# --resume goes on with what was begun and with nothing else: each difference of the command line, of the program and of the
# machine is one line and status 2; what is left is measured by the stored job.
#
#   tests/cli/test_resume.sh BUILD_DIR
set -u
. "$(dirname "$0")/../support/command.sh"
command -v python3 >/dev/null || { echo "no python3 to unmake a run with"; exit 77; }

# unmake STORE RUN: takes all samples but the first from a run
unmake() {
	python3 - "$@" <<'PY'
import sqlite3, sys
db = sqlite3.connect(sys.argv[1])
run = int(sys.argv[2])
for (id,) in db.execute("SELECT id FROM sample WHERE run=? AND ordinal>0", (run,)).fetchall():
    for t in "result", "metric":
        db.execute(f"DELETE FROM {t} WHERE sample=?", (id,))
    db.execute("DELETE FROM sample WHERE id=?", (id,))
db.commit()
PY
}
sql() { python3 -c 'import sqlite3,sys; db=sqlite3.connect(sys.argv[1]); print(*[r[0] for r in db.execute(sys.argv[2])]); db.commit()' "$@"; }

run="run -w churn -p ops=20000 --counters none --timeout 60 --seed 5 --backend gc --by core"
"$cmd" $run --reps 3 --store s.db -f csv >/dev/null 2>&1 || bad "a run"
"$cmd" $run --reps 2 --store s.db -f csv >/dev/null 2>&1 || bad "a second run"
refuse "every run is complete" run --store s.db --resume
refuse "no such run: 7" run --store s.db --resume 7
unmake s.db 1
refuse "run 2 is complete" run --store s.db --resume 2
# One that ended behind its last sample, before it said so, goes on to its end and measures nothing.
for state in running interrupted; do
	cp s.db whole.db
	sql whole.db "update run set state='$state', finished=NULL where id=2" >/dev/null
	expect 0 "$cmd" runs --store whole.db; [ "$state" = interrupted ] || says unfinished
	was=$(sql whole.db "select sum(took_s) from sample")
	expect 0 "$cmd" run --store whole.db --resume 2; says "2 repetitions"
	[ "$(sql whole.db "select state from run where id=2")" = "done" ] || bad "$state: it is still $(sql whole.db "select state from run where id=2")"
	[ "$(sql whole.db "select sum(took_s) from sample")" = "$was" ] || bad "$state: something was measured again"
done

# ---- what is said must be what was said ----
refuse "--workload 'churn', not 'graph'" run --store s.db --resume -w graph
refuse "--reps '3', not '4'" run --store s.db --resume -n 4
refuse "--counters 'none', not 'auto'" run --store s.db --resume --counters auto
refuse "--seed '5', not '6'" run --store s.db --resume --seed 6
refuse "--timeout '60', not '30'" run --store s.db --resume --timeout 30
refuse "--quick 'no', not 'yes'" run --store s.db --resume --quick
refuse "--param 'ops=20000', not 'ops=30000'" run --store s.db --resume -p ops=30000
refuse "--backend 'gc', not 'libc'" run --store s.db --resume --backend libc
refuse "--set '', not 'gc.mode=stw'" run --store s.db --resume --set gc.mode=stw
refuse "--threads '', not '2'" run --store s.db --resume --threads 2
refuse "--by 'core', not 'role'" run --store s.db --resume --by role
refuse "--no-shuffle 'no', not 'yes'" run --store s.db --resume --no-shuffle
refuse "--dry-run" run --store s.db --resume --dry-run
refuse "'x' is no run; allowed: a number" run --store s.db --resume=x
[ "$(sql s.db 'select count(*) from sample where run=1')" = 1 ] || bad "a refusal measured"

# ---- the program and the machine ----
# edit KEY VALUE: the run's environment says otherwise
keep=$(sql s.db "select environment from run where id=1")
edit() { sql s.db "update run set environment=json_set(environment,'\$.$1','$2') where id=1" >/dev/null; }
for at in versions.spanmark versions.build cpu_model kernel thp topology.pus; do
	edit $at other
	refuse "${at##*.} 'other'" run --store s.db --resume
	sql s.db "update run set environment='$keep' where id=1" >/dev/null
done
sql s.db "update run set environment=json_remove(environment,'\$.asked') where id=1" >/dev/null
refuse "older spanmark" run --store s.db --resume
sql s.db "update run set environment='$keep' where id=1" >/dev/null

# ---- and the rest is measured by the stored job: here its limit, which is not said again ----
sql s.db "update plan set job=json_set(job,'\$.timeout_s',0.001) where run=1 and ordinal=2" >/dev/null
"$cmd" run --store s.db --resume 1 --reps 3 --timeout 1m --seed 5 -f json -o out.json 2>err
[ $? = 1 ] || bad "--resume: $(cat err)"
[ "$(sql s.db 'select status from sample where run=1 order by ordinal')" = "ok ok timeout" ] ||
	bad "--resume 1: $(sql s.db 'select status from sample where run=1 order by ordinal')"
[ "$(sql s.db 'select count(*) from sample where run=2')" = 2 ] || bad "--resume 1 touched run 2"
finish
