#!/bin/sh
# spanmark lbo from the command line, on a small run: formats, what the bound promises, and what it refuses in one line.
#
#   tests/cli/test_lbo.sh BUILD_DIR
set -u
. "$(dirname "$0")/../support/command.sh"
command -v python3 >/dev/null || { echo "no python3 to read JSON with"; exit 77; }
timeout 600 "$cmd" run -w binary-trees,churn -p depth=8 -p ops=2000 --backend gc,span,libc --set gc.percent=50,400 --reps 12 -C soft \
	--store lab.db >/dev/null 2>err || { cat err; bad "run"; }
expect 0 "$cmd" lbo --store lab.db
says "binary-trees: wall, for an operation"
says "churn: cpu, for an operation"
says "/ span"
grep -q quotients out || bad "does not say what a bound is: $(cat out)"
says "All intervals hold together with 95 %"
expect 0 "$cmd" lbo lab.db:1 --format csv --metric wall -w churn
[ "$(wc -l <out)" = 5 ] || bad "a head and four configurations: $(cat out)"
expect 0 "$cmd" lbo --store lab.db 1 -f json
python3 - <<'P' || bad "json: $(head -50 out)"
import json
rows = json.load(open("out"))["rows"]
assert {r["metric"] for r in rows} >= {"wall", "cpu"} and {r["case"] for r in rows} == {"binary-trees", "churn"}, rows
for case in {(r["case"], r["metric"]) for r in rows}:
    of = [r for r in rows if (r["case"], r["metric"]) == case]
    least = [r for r in of if r["least"]]
    assert len(of) == 4 and len(least) == 1 and not least[0]["manual"]
    # Nothing collected costs less than the ideal's bound, and the bound of no row is below that of a pair.
    for r in of:
        assert r["distilled"] <= r["total"]
        if not r["manual"]:
            assert r["bound"]["ratio"] >= 1 and r["bound"]["low"] >= 1 and least[0]["distilled"] <= r["distilled"], r
        assert (r["truth"]["ratio"] == 1) == (r["config"] == "span") or r["config"] != "span", r
P

# One configuration, and none.
timeout 600 "$cmd" run -w churn -p ops=2000 --backend gc,span --reps 1 -c none --store one.db >/dev/null 2>&1
refuse "lbo: run 1: churn: one configuration of the collector; it needs two" lbo --store one.db
says "spanmark run --store one.db -w churn --backend gc,span --set gc.percent=50,100,200 --reps 12" err
refuse "no such case" lbo --store one.db -w graph
refuse "have a figure" lbo --store lab.db -w churn --metric cycles,instructions
refuse "allowed: wall, cpu, cycles, instructions" lbo --store lab.db --metric time
refuse "allowed: table, csv, json" lbo --store lab.db -f yaml
refuse "there is no store 'spanmark.db'" lbo
refuse "there is no store 'none.db'" lbo --store none.db
[ ! -e none.db ] || bad "made a store"
refuse "no such run: 9" lbo --store lab.db 9
refuse "is no run" lbo --store lab.db gc
refuse "'lab.db:x' is no run; allowed: RUN, STORE:RUN" lbo lab.db:x
refuse "one too many" lbo --store lab.db 1 2
refuse "unknown option" lbo --bogus
# A heap that never grows so far; a program, which no collector serves.
timeout 600 "$cmd" run -w churn -p ops=2000 --backend gc --set gc.percent=50,400 --set gc.min_heap=1g --reps 1 -c none --store idle.db \
	>/dev/null 2>err || { cat err; bad "run"; }
expect 0 "$cmd" lbo --store idle.db
says "no collection took place"
timeout 600 "$cmd" run --program true --backend libc --reps 1 -c none --store program.db >/dev/null 2>err || { cat err; bad "run"; }
refuse "'true' is a program, which frees explicitly; allowed: runs of workloads with --backend gc" lbo --store program.db
expect 0 "$cmd" lbo --help
says "usage: spanmark lbo"; says "Examples:"

finish
