#!/bin/sh
# Plan files: several sections in one run, printed and run again, resumed by the same plan and by no other, refused with file and
# line; the example in docs/.
#
#   tests/cli/test_plan_files.sh BUILD_DIR
set -u
. "$(dirname "$0")/../support/command.sh"

cat >plan.ini <<'P'
; two sections and a program
[defaults]
reps = 2
counters = none      ; the whole run's
backend = gc, libc
threads = 1
store = s.db

[churn]
ops = 1000, 2000
[graph small]
objects = 1000
backend = gc
gc.percent = 50,
   200
[sorting]
program = sh -c "echo a ; true" # a comment
backend = libc
P
# cases FILE: workload, backend, what was asked of the case; sorted
cases() { python3 -c '
import json, sys
for c in sorted({(s["workload"], s["backend"], str(s["params"].get("ops", s["params"].get("objects", s["params"].get("program")))),
                  s["config"].get("gc.percent", "")) for s in json.load(open(sys.argv[1]))["samples"]}): print(*c)' "$1"; }

# ---- a run ----
if command -v python3 >/dev/null; then
	expect 0 "$cmd" run plan.ini -f json -o a.json --seed 7
	cases a.json >seen
	printf '%s\n' "churn gc 1000 " "churn gc 2000 " "churn libc 1000 " "churn libc 2000 " "graph gc 1000 200" "graph gc 1000 50" \
		'sh libc sh -c "echo a ; true" ' >wanted
	cmp -s seen wanted || bad "cases: $(diff wanted seen)"

	# what is printed runs the same, from a file and from a pipe; the command line wins
	expect 0 "$cmd" run plan.ini --print-plan --seed 7; mv out again.ini
	expect 0 "$cmd" run again.ini -f json -o b.json
	cases b.json | cmp -s - wanted || bad "cases of the printed plan"
	"$cmd" run - --dry-run <again.ini >piped 2>/dev/null || bad "a plan from a pipe"
	expect 0 "$cmd" run again.ini --dry-run; cmp -s out piped || bad "a pipe is another plan"
	expect 0 "$cmd" run plan.ini --reps 1 -p ops=500 -f json -o c.json --store other.db
	[ "$(cases c.json | grep churn | tr '\n' ,)" = "churn gc 500 ,churn libc 500 ," ] || bad "-p of the command line: $(cases c.json)"

	# one run in the store, resumed by the same plan, by none, and by no other
	python3 - s.db <<'PY'
import sqlite3, sys
db = sqlite3.connect(sys.argv[1])
for t in "result", "metric": db.execute(f"DELETE FROM {t} WHERE sample IN (SELECT id FROM sample WHERE run=1 AND ordinal>2)")
db.execute("DELETE FROM sample WHERE run=1 AND ordinal>2")
db.commit()
PY
	sed 's/ops = 1000, 2000/ops = 1000/' plan.ini >less.ini
	refuse "--resume: the run was begun with --param" run less.ini --resume 1
	expect 0 "$cmd" run plan.ini --resume 1 -f json -o d.json
	cases d.json | cmp -s - wanted || bad "cases of the resumed run"
	[ "$(python3 -c 'import json; print(len(json.load(open("d.json"))["samples"]))')" = 14 ] || bad "samples of the resumed run"
else
	echo "SKIP runs of a plan: no python3"
fi

# ---- the matrix without a run ----
expect 0 "$cmd" run plan.ini --dry-run --seed 7
says "7 cases x 1 counter passes x 2 repetitions = 14 samples"
says "[graph small]"
if command -v python3 >/dev/null; then # s.db has all of its cases, and none of another source of counts
	says "time: about "; says "by earlier samples of these cases"
fi
expect 0 "$cmd" run plan.ini --dry-run --counters sw; says "time: n/a: s.db has no sample of these cases; at most "
expect 0 "$cmd" run plan.ini --dry-run --store none.db; says "time: n/a: there is no store with earlier samples"
[ ! -e none.db ] || bad "--dry-run made a store"
printf '[churn]\n' >one.ini
expect 0 "$cmd" run one.ini plan.ini --dry-run; says "9 cases"
says "for 14 of the 18 samples, by earlier ones"

# ---- refusals ----
refuse "cannot read 'nosuch.ini'" run nosuch.ini
refuse "workloads are named with -w" run churn
refuse "--workload: the plan's sections say what runs" run plan.ini -w churn
printf '[churn]\n\nsise = 3\n' >bad.ini; refuse "'bad.ini' line 3: unknown option or parameter 'sise'; did you mean 'size'" run bad.ini
printf '[churn]\nsize = 16,\n  big\n' >bad.ini; refuse "'bad.ini' line 2: churn: size=big" run bad.ini
printf '[churn]\nreps = 3\n' >bad.ini; refuse "'bad.ini' line 2: 'reps' holds for the whole run" run bad.ini
printf '[grpah]\n' >bad.ini; refuse "'bad.ini' line 1: without workload" run bad.ini
printf '[churn]\n[graph]\ngc.mod = stw\n' >bad.ini; refuse "'bad.ini' line 2 [graph]: unknown setting 'gc.mod'" run bad.ini
printf '\377\0\n' >bad.ini; refuse "'bad.ini' line 1" run bad.ini

# ---- the example ----
sed 's/libc, jemalloc/libc/' "$root/docs/examples/plan.ini" >example.ini
expect 0 "$cmd" run example.ini --dry-run -c sw
says "[graph large]"; says "graph gc objects=10000000 gc.mode=concurrent"; says "sort libc"
finish
