#!/bin/sh
# The command as its users meet it: help, refusals (one line, status 2, nothing written), formats, failures, signals, full
# disks, hostile environments. Needs a build of the command; uses small workloads only.
#
#   tests/cli/test_cli.sh BUILD_DIR
set -u
. "$(dirname "$0")/../support/command.sh"
small="-w churn -p ops=20000 --reps 1 --counters none --timeout 60"

# await COMMAND..: until it succeeds, for two minutes
await() {
	for _ in $(seq 1200); do
		"$@" 2>/dev/null && return
		sleep 0.1
	done
	return 1
}
first_child() { { cat "/proc/$1/task/$1/children" || ps -o pid= --ppid "$1"; } 2>/dev/null | awk '{ print $1; exit }'; }

# ---- help and names --------------------------------------------------------------------------------
expect 0 "$cmd" --help; says "spanmark run --quick"
expect 0 "$cmd" --version; grep -qE '^spanmark [0-9]+\.[0-9]+\.[0-9]+$' out || bad "--version: $(cat out)"
expect 0 "$cmd"; for word in Measure Compare Tune "spanmark help"; do says "$word"; done
expect 0 "$cmd" help; cp out all; expect 0 "$cmd" --help; cmp -s all out || bad "help and --help differ"
expect 0 "$cmd" help run; says "--reps N"
expect 2 "$cmd" help rum; says "did you mean 'run'" err
expect 2 "$cmd" foo; grep -q "did you mean" err && bad "foo is like nothing: $(cat err)"
expect 2 "$cmd" -v; says "unknown option '-v'; allowed before a command: --help, --version" err
expect 2 "$cmd" rum; says "did you mean 'run'" err
expect 0 "$cmd" run --help; says "Examples:"
expect 0 "$cmd" list; says "binary-trees"; says "gc.mode"; says "compact"
expect 2 "$cmd" list wrkloads; says "did you mean 'workloads'" err
expect 2 "$cmd" __worker; [ "$(wc -l <err)" = 1 ] || bad "__worker by hand: $(cat err)"

# ---- refusals --------------------------------------------------------------------------------------
: >keep; : >out; : >err
refuse "did you mean 'graph'" run -w grpah
refuse "did you mean 'objects'" run -w graph -p objcts=3
refuse "2 to" run -w graph -p objects=1
refuse "did you mean 'gc.mode'" run -w graph --set gc.mod=stw
refuse "stw" run -w graph --set gc.mode=fast
refuse "allowed: 1..8192" run -w graph --set cache.slots@64=0
refuse "@cpuN, N: 0" run -w graph --set cache.window@core1=4k
refuse "did you mean 'cache.window'" run -w graph --set cache.windw@64=4k
refuse "allowed: cache.window" run -w graph --set pageheap@64=buddy
refuse "cahe" run -w graph -C cahe
refuse "no_such_event" run -w graph -e no_such_event
refuse "one-per-core" run -w graph --place nowhere
refuse "allowed: 1 to" run -w churn --threads 4096
refuse "1 to 1000" run -w churn --reps 0
refuse "/does/not/exist" run $small -o /does/not/exist/out.json
refuse "directory" run $small -o .
refuse "/does/not/exist" run $small --store /does/not/exist/store.db
refuse "did you mean '--format'" run --fromat json
if [ "$(id -u)" != 0 ]; then
	mkdir closed && chmod 500 closed
	refuse "Permission denied" run $small -o closed/out.json
	: >readonly && chmod 400 readonly
	refuse "Permission denied" run $small -o readonly
fi
printf 'text that is no database, longer than a header of a hundred bytes. %s\n' "$(seq 40 | tr '\n' ' ')" >notdb
refuse "not a SQLite database" run $small --store notdb
refuse "nothing to resume" run $small --store fresh.db --resume 2>/dev/null || true
rm -f fresh.db*

# ---- formats ---------------------------------------------------------------------------------------
expect 0 "$cmd" run $small; says "churn"; says "per op"
[ "$(awk '{ if (length($0) > 100) n++ } END { print n + 0 }' out)" = 0 ] || bad "the table is wider than 100 columns"
grep -q "$(printf '\033')" out && bad "escape sequences in a file"
expect 0 env TERM=xterm "$cmd" run $small --color always; grep -q "$(printf '\033')" out || bad "--color always has no colour"
expect 0 "$cmd" run $small -f csv -o out.csv
[ "$(head -1 out.csv)" = "run,rep,phase,role,thread,cpu,node,core_kind,backend,metric,event,value,unit,enabled_ns,running_ns,status,source,calibration,core,l3,pass,reason,library,version,build_id" ] ||
	bad "CSV header: $(head -1 out.csv)"
grep -q ',gc,ns_per_op,,[0-9.]*,ns,,,ok,sw,,,,0,,,,$' out.csv || bad "no ns_per_op in the CSV"
expect 0 "$cmd" run -w churn -p ops=20000 --reps 2 --seed 5 -C soft -f json -o out.json
if command -v python3 >/dev/null; then
	python3 - out.json <<'PY' || bad "JSON"
import json, sys
d = json.load(open(sys.argv[1]))
assert d["schema_version"] == 1
e = d["environment"]
for k in ("cpu_model", "microcode", "kernel", "governor", "turbo", "smt", "thp", "aslr", "versions", "command_line", "seed"):
    assert k in e, k
assert e["seed"] == "5" and "churn" in e["command_line"]
assert len(d["samples"]) == 2
for s in d["samples"]:
    assert s["status"] == "ok" and s["workload"] == "churn" and s["params"]["ops"] == 20000
    assert {"place", "mark_place", "threads", "workers"} <= set(s["placement"])
    assert all(isinstance(v, (int, float)) or v is None for v in s["results"].values())
    assert s["results"]["wall_s"] > 0 and s["results"]["ops"] == 20000
    assert s["metrics"]
    for m in s["metrics"]:
        assert {"role", "phase", "thread", "cpu", "node", "metric", "event", "value", "unit", "status", "source"} <= set(m)
        assert (m["value"] is None) == (m["status"] in ("unsupported", "denied", "not_counted")), m
        assert m["source"] in ("pmu", "sw", "sim")
PY
fi

# ---- the rate of the clock: found once, by the parent ------------------------------------------------
"$cmd" run -w churn -p ops=100g --reps 1 -c none --timeout 600 -f csv -o clock.csv 2>/dev/null &
p=$!
handed() {
	w=$(first_child $p)
	[ -n "$w" ] && tr '\0' ' ' <"/proc/$w/cmdline" 2>/dev/null | grep -Eq ' [0-9]+(\.[0-9]+)? $'
}
await handed || bad "a worker is not told the clock's rate"
kill -TERM $p; wait $p

# ---- simulated counts ------------------------------------------------------------------------------
if simulates; then
	expect 0 env TMPDIR=/does/not/exist "$cmd" run -w churn -p ops=20000 --reps 1 --counters sim -C cycles -f csv -o sim.csv
	grep -qE ',total,mutator,-?[0-9]*,.*,instructions,sim::Ir,[1-9][0-9]*,insn,.*,ok,sim,,' sim.csv || bad "no simulated instructions"
	# A collected run counts the same twice: cycles are where they are due, however threads are switched.
	expect 0 "$cmd" run -w churn -p ops=500000 --reps 3 --seed 1 --counters sim -C cycles -f csv -o sim.csv
	awk -F, '$3=="total" && $4=="mutator" && $5=="" && $10=="instructions" { n++; if (min == "" || $12 < min) min = $12; if ($12 > max) max = $12 }
		$10=="gc_cycles" && $12 >= 1 { cycles++ }
		END { if (n != 3 || cycles != 3 || max - min > min / 2000) { print "instructions: " n " rows, " min " to " max "; cycles in " cycles; exit 1 } }' sim.csv || bad "simulated counts differ"
	[ -z "$(ls -d spanmark-sim-* 2>/dev/null)" ] || bad "Callgrind's dumps were left behind"
fi

# ---- failures: named, and the rest goes on ----------------------------------------------------------
for limit in 2 10 50; do # by then the good one is over, on this machine
	expect 1 "$cmd" run -w churn -p ops=20000,100000000000 --reps 1 --counters none --timeout $limit -f csv -o failed.csv
	grep -q 'ops=20000/.*,wall_s,' failed.csv && break
done
grep -q ',sample,,,,,,timeout,' failed.csv || bad "the timeout is not in the CSV"
grep -q 'ops=20000/.*,wall_s,' failed.csv || bad "the good sample is missing"
says "timeout" err
expect 1 "$cmd" run -w churn --reps 2 --counters none --timeout 1ms; says "FAILED"; says "timeout"
says "no sample"
# a worker killed from outside
"$cmd" run -w churn -p ops=100000000000,20000 --no-shuffle --reps 1 --counters none --timeout 60 -f json -o killed.json 2>err &
run=$!
has_worker() { worker=$(first_child "$run"); [ -n "$worker" ]; }
if await has_worker; then
	sleep 0.2
	kill -9 "$worker"
	wait "$run"
	[ $? = 1 ] || bad "kill -9 of a worker: status"
	grep -q '"status":"crashed"' killed.json || bad "the killed sample is not reported"
	grep -q '"status":"ok"' killed.json || bad "the other sample did not run"
else
	kill "$run"; wait "$run"
	bad "no worker"
fi

# ---- interruption ----------------------------------------------------------------------------------
for limit in 2 10 50; do # TERM comes when the first is over and the second is not
	rm -f int.db*
	: >err
	"$cmd" run -w churn -p ops=20000,100000000000 --no-shuffle --reps 1 --counters none --timeout $limit --store int.db -f json \
		-o int.json 2>err &
	run=$!
	await grep -q '^\[1/2\]' err
	sleep 0.3
	kill -TERM "$run"
	wait "$run"
	got=$?
	[ $got = 143 ] && grep -q '"status":"ok"' int.json && break
done
[ $got = 143 ] || bad "TERM: status $got"
says "interrupted" err
grep -q '"state":"interrupted"' int.json || bad "TERM: no report"
grep -q '"status":"ok"' int.json || bad "TERM: what was measured is missing"
expect 1 "$cmd" run --store int.db --resume -f json -o resumed.json
[ "$(grep -c '"status":"ok"' resumed.json)" = 1 ] || bad "--resume did not go on"
says '"status":"timeout"' resumed.json

# A run that another process measures is not resumed beside it; it ends with its process, however that ends.
"$cmd" run -w churn -p ops=100000000000 --reps 2 --counters none --timeout 600 --store live.db >/dev/null 2>live.err &
run=$!
await has_worker || bad "no worker"
expect 2 "$cmd" run --store live.db --resume
says "run 1 is in progress in another process" err
kill -KILL "$run"
wait "$run" 2>/dev/null
# A worker that was just being started still has what its parent had, until it sees that this is gone.
gone() { ! MALLOC_ARENA_MAX=1 "$cmd" run --store live.db --resume 2>&1 | grep -q 'in progress'; }
await gone
expect 2 env MALLOC_ARENA_MAX=1 "$cmd" run --store live.db --resume
says "begun with malloc_variables '', here it is 'MALLOC_ARENA_MAX=1'" err

# In the middle of a report a signal leaves nothing (test_ctrl_c.sh has INT)
mkfifo slow
sh -c 'dd bs=1 count=1 of=began 2>/dev/null; exec sleep 600' <slow &
reader=$!
"$cmd" run -w churn -p ops=1000 --reps 100 --counters none -f csv -o slow >/dev/null 2>err &
run=$!
await test -s began
kill -TERM $run
wait $run
[ $? = 143 ] || bad "TERM while the report is written: status"
kill $reader 2>/dev/null
# a caller that ignores SIGCHLD; a limit of file sizes; a closed stdout
if command -v python3 >/dev/null; then
	expect 0 python3 -c 'import signal,os,sys; signal.signal(signal.SIGCHLD, signal.SIG_IGN); os.execv(sys.argv[1], sys.argv[1:])' \
		"$cmd" run $small --timeout 20 -f csv
	says ",wall_s,"
fi
echo old >limited.csv
expect 1 sh -c "ulimit -f 0; exec '$cmd' run $small -f csv -o limited.csv"
[ "$(cat limited.csv)" = old ] || bad "SIGXFSZ: the old file is gone"
[ -z "$(ls limited.csv.* 2>/dev/null)" ] || bad "SIGXFSZ: a temporary file was left"
expect 1 sh -c "ulimit -f 0; exec '$cmd' run $small --store limited.db"
expect 1 sh -c "exec '$cmd' run $small >&-"
expect 1 sh -c "exec '$cmd' list >&-"; says "cannot write" err
expect 1 sh -c "exec '$cmd' --version >&-"
# the program's file is replaced, then removed, while it runs: every sample is the old one's
for how in "mv new sm" "rm sm"; do
	cp "$cmd" sm
	printf '#!/bin/sh\necho "$@" >>called\n' >new && chmod +x new
	: >err # nothing of the round before
	./sm run -w churn -p ops=2000000 --reps 4 -c none -f csv >moved.csv 2>err &
	run=$!
	await grep -q '^\[1/4\]' err
	$how
	wait $run || bad "$how: status $?: $(tail -1 err)"
	[ "$(grep -c ',wall_s,' moved.csv)" = 4 ] && [ ! -e called ] || bad "$how: $(cat called)"
done
# a path that is not UTF-8, in JSON
if command -v python3 >/dev/null; then
	odd=$(printf 'x\351.xml')
	expect 0 "$cmd" run $small --store odd.db
	python3 -c 'import sqlite3,sys; print(sqlite3.connect("odd.db").execute("select topology from run").fetchone()[0])' >"$odd"
	expect 0 "$cmd" topo --xml "$odd" --format json
	python3 -c "import json; json.load(open('out', encoding='utf-8'))" || bad "topo: no JSON of a path that is not UTF-8"
fi

# ---- full disk -------------------------------------------------------------------------------------
if [ -w /dev/full ]; then
	expect 1 sh -c "'$cmd' run $small >/dev/full"
	mkdir rescue
	expect 1 env TMPDIR="$tmp/rescue" "$cmd" run $small --no-store -f csv -o /dev/full; says "No space left" err
	says "the report is in '$tmp/rescue/spanmark-report-" err
	grep -q ',wall_s,' rescue/spanmark-report-* || bad "what could not be written is lost"
	expect 1 sh -c "'$cmd' list >/dev/full"; says "No space left" err
fi
echo old >small.out
expect 1 sh -c "ulimit -f 1; trap '' XFSZ; '$cmd' run -w churn -p ops=20000 --reps 3 -C soft -f json -o small.out"
[ "$(cat small.out)" = old ] || bad "a full disk took the old results"
[ -z "$(ls small.out.* 2>/dev/null)" ] || bad "a temporary file was left"

# ---- odd surroundings ------------------------------------------------------------------------------
expect 0 env -i "$cmd" run $small
expect 0 env -u HOME TMPDIR=/does/not/exist "$cmd" run $small
expect 0 env LC_ALL=de_DE.UTF-8 LANG=tr_TR.UTF-8 "$cmd" run $small -f csv; grep -q ',wall_s,,[0-9]*\.[0-9]' out || bad "locale: $(grep wall_s out)"
expect 0 sh -c "'$cmd' run $small <&-"
expect 0 sh -c "'$cmd' run $small -f csv -o closed.csv <&- >&- 2>&-"
head -1 closed.csv | grep -q '^run,rep' || bad "closed descriptors: $(head -1 closed.csv)"
grep -q 'spanmark' closed.csv && bad "a message went into the results"
"$cmd" run $small 2>err | true; grep -q spanmark: err && bad "run: a reader that leaves: $(cat err)"
sh -c "'$cmd' list | true" 2>err; [ ! -s err ] || bad "a reader that leaves: $(cat err)"
# a home that we may not look into: no sets of the user's, no failure ($tmp is ours alone)
if [ "$(id -u)" = 0 ] && command -v setpriv >/dev/null && setpriv --reuid 65534 --clear-groups test -x "$cmd"; then
	expect 0 setpriv --reuid 65534 --regid 65534 --clear-groups env HOME="$tmp" "$cmd" run -w churn -C cycles --dry-run
fi
evil=$(printf 'a\033[31mb\nc')
expect 2 "$cmd" run -w "$evil"; [ "$(wc -l <err)" = 1 ] || bad "a hostile name makes two lines"
grep -q "$(printf '\033')" err && bad "a hostile name reaches the terminal"
mkdir '=odd ; $(dir)'; expect 0 "$cmd" run $small -f csv -o '=odd ; $(dir)/o.csv'; [ -s '=odd ; $(dir)/o.csv' ] || bad "odd file name"
printf '[run]\nworkload = churn\nreps = 1\ncounters = none\n[params]\nops = 20000\n' >run.ini
expect 0 "$cmd" run --config run.ini; says "churn"
expect 2 "$cmd" run --config out.json; [ "$(wc -l <err)" = 1 ] || bad "JSON as a configuration file: $(cat err)"

# ---- the same seed does the same -------------------------------------------------------------------
expect 0 "$cmd" run -w churn,slices -p ops=20000 --reps 2 --counters none --seed 7 --dry-run; cp out plan1
expect 0 "$cmd" run -w churn,slices -p ops=20000 --reps 2 --counters none --seed 7 --dry-run; cmp -s out plan1 || bad "plans differ"
expect 0 "$cmd" run -w churn --backend libc,span --reps 3 --counters none --seed 7 --dry-run
[ "$(sed -n '/^order of repetition 2/,/^order of repetition 3/p' out | sed '1d;$d' | sort | tr '\n' ',')" = "  churn libc,  churn span," ] ||
	bad "--dry-run shows no order: $(cat out)"

finish
