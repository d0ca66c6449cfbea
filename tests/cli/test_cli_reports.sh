#!/bin/sh
# What the command prints, end to end: the table fits in every combination, colour and progress only where they belong, the
# examples of --help run, a calibration comes back with the runs and marks what it found off.
#
#   tests/cli/test_cli_reports.sh BUILD_DIR
set -u
. "$(dirname "$0")/../support/command.sh"
command -v python3 >/dev/null || { echo "no python3"; exit 77; }
export XDG_STATE_HOME="$tmp/state" XDG_CONFIG_HOME="$tmp/config"
small="-w churn,slices -p churn.ops=20000 --reps 1 --timeout 60"

# ---- the table fits --------------------------------------------------------------------------------
fits() { # fits OPTION..
	"$cmd" run $small "$@" >out 2>err </dev/null || { bad "run $*: $(cat err)"; return; }
	python3 - "$*" <<'PY' || fails=$((fails + 1))
import re, sys
text = re.sub("\033\\[[0-9]*m", "", open("out", encoding="utf-8").read())
wide = [l for l in text.split("\n") if len(l) > 100]
if wide:
    print("FAIL", len(wide), "lines are wider than 100 columns: run", sys.argv[1])
    print("   ", wide[0])
sys.exit(bool(wide))
PY
}
all=cycles,cache,tlb,branch,stall,numa,memory,soft
for by in role thread core l3 node kind; do fits -C $all --by $by; done
fits -C $all --by thread --set gc.fractional=20 --set gc.idle_workers=1 --workers 1,2
fits -C soft -e amd64_fam19h_zen4::RETIRED_INSTRUCTIONS,rffff,r100001ea0,cpu/event=0xc2,umask=0xff,cmask=0x10/,tp::kmem:mm_page_alloc_zone_locked,sw::voluntary-switches
fits -p slices.sizes=1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31,32,33,34,35 --counters none
fits -w churn -p live=10,100 -p size=16,32 --backend gc,span,libc --set gc.percent=50,100 --counters sw
fits --multiplex -C cycles,cache
fits --color always --counters sw

# ---- the table of make run, with counts by simulation where there is valgrind, and without: a screen -
screen() { # screen OPTION..
	"$cmd" run --quick --reps 2 --backend gc,span,libc -w binary-trees,churn,graph,ring,slices "$@" >out 2>err </dev/null ||
		bad "run --quick $*: $(cat err)"
	[ "$(wc -l <out)" -le 40 ] || bad "$(wc -l <out) lines, more than 40: run --quick $*: $(cat out)"
}
simulates && screen
screen --counters sw

# ---- colour and progress ---------------------------------------------------------------------------
cat >onterm.py <<'PY'
# onterm.py WHICH COMMAND..: runs it with stdout (o), stderr (e) or both (oe) on a terminal of 80 columns, prints what came there
import os, pty, subprocess, sys, fcntl, termios, struct, threading
which, cmd = sys.argv[1], sys.argv[2:]
m, s = pty.openpty()
fcntl.ioctl(s, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
p = subprocess.Popen(cmd, stdin=subprocess.DEVNULL, stdout=s if "o" in which else subprocess.DEVNULL,
                     stderr=s if "e" in which else subprocess.DEVNULL)
# What a terminal still holds when its last writer goes may be lost: it stays open, and a mark follows the last output.
end = b"\0\0end\0\0"
threading.Thread(target=lambda: (p.wait(), os.write(s, end))).start()
got = b""
while end not in got:
    got += os.read(m, 65536)
got = got.replace(end, b"")
sys.stdout.buffer.write(got)
PY
esc=$(printf '\033')
run="$cmd run $small --counters none"
unset NO_COLOR
TERM=xterm python3 onterm.py o $run >out; grep -q "$esc\[1m" out || bad "no colour on a terminal"
TERM=xterm NO_COLOR=1 python3 onterm.py o $run >out; grep -q "$esc" out && bad "colour in spite of NO_COLOR"
TERM=xterm NO_COLOR= python3 onterm.py o $run >out; grep -q "$esc" out || bad "an empty NO_COLOR says nothing (no-color.org)"
TERM=dumb python3 onterm.py o $run >out; grep -q "$esc" out && bad "colour on a dumb terminal"
TERM=xterm python3 onterm.py o $run -f csv >out; grep -q "$esc" out && bad "colour in CSV"
TERM=xterm python3 onterm.py o $run -f json --color always >out; grep -q "$esc" out && bad "colour in JSON"
TERM=xterm python3 onterm.py o $run -o file >out; grep -q "$esc" file && bad "colour in a file"
TERM=xterm NO_COLOR=1 python3 onterm.py o $run --color always >out; grep -q "$esc" out || bad "--color always is overruled"
# a line that is written over, with what is done, the time left and the case, gone in the end; a line for each tenth elsewhere
TERM=xterm python3 onterm.py e $run --reps 5 >out
tr '\r' '\n' <out | grep -q "left" || bad "no time left on a terminal: $(tr '\r' '\n' <out | tail -3)"
tr '\r' '\n' <out | grep -q "\[9/10\] [01] of 2 cases done, [0-9:]* [a-z]* left: [cs][a-z]* gc rep 5" || bad "progress on a terminal: $(cat -v out)"
[ "$(tail -c 4 out)" = "$(printf '\r\033[K')" ] || bad "a progress line is left on the terminal: $(cat -v out)"
$run --reps 20 2>err >out; [ "$(grep -c '^\[[0-9]*/40\] ' err)" = 10 ] || bad "progress in a file: $(cat err)"
grep '^\[' err | tail -1 | grep -qx '\[40/40\] 2 of 2 cases done' || bad "the last tenth: $(cat err)"
grep -q "$(printf '\r')" err && bad "carriage returns in a file"

# ---- the examples of --help ------------------------------------------------------------------------
mkdir ex && cd ex || exit 1
cp "$root/perf/sets/soft.ini" my-set.ini
cp "$root/docs/examples/plan.ini" .
# Two packages of 8 cores, as lstopo -i "pack:2 [numa] l3:1 core:8 pu:1" --of xml writes it: not of the machine that runs this.
cp "$root/tests/data/server.xml" .
examples=0
for c in "" run topo events doctor list; do
	"$cmd" $c --help >help || bad "$c --help"
	grep '^  spanmark ' help | sed 's/   .*//; s/^  //' | tr ';' '\n' | sed 's/^ *//' | grep -vE 'COMMAND|\[OPTION' >lines
	while read -r line; do
		case $line in *'|'* | *--resume*) continue ;; esac # no plan of its own
		case "$(nproc):$line" in 1:*"--threads "*2*) continue ;; esac # refused where there is one CPU
		case $line in "spanmark run"*) line="$line --dry-run" ;; esac
		examples=$((examples + 1))
		(PATH=$build:$PATH; eval "timeout 600 $line") >out 2>err </dev/null
		got=$?
		case "$line:$got" in *:0 | "spanmark doctor"*:1 | "spanmark events"*:0) ;; *) bad "example '$line': status $got: $(cat err)" ;; esac
	done <lines
done
[ $examples -ge 16 ] || bad "only $examples examples were found"
cd ..

# ---- calibration -----------------------------------------------------------------------------------
# the example above has kept one: it is stored with a run and printed with it
"$cmd" run $small -C soft -f json -o cal.json --store cal.db 2>err || bad "run: $(cat err)"
python3 - <<'PY' || fails=$((fails + 1))
import json, sqlite3
d = json.load(open("cal.json"))
kept = json.load(open("state/spanmark/calibration.json"))
assert kept["cpu_model"] == d["environment"]["cpu_model"]
assert len(d["calibration"]) == len(kept["calibration"]) > 5
for a, b in zip(d["calibration"], kept["calibration"]):
    assert (a["metric"], a["event"], a["kernel"], a["verdict"]) == (b["metric"], b["event"], b["kernel"], b["verdict"]), (a, b)
    assert (a["counted"] is None) == (b["counted"] is None), (a, b)
    assert b["counted"] is None or abs(a["counted"] - b["counted"]) <= 1e-6 * abs(b["counted"]), (a, b)
assert any(a["event"] == "sw::minor-faults" and a["verdict"] in ("exact", "good") for a in d["calibration"]), d["calibration"]
assert sqlite3.connect("cal.db").execute("SELECT count(*) FROM calibration WHERE label='sw::minor-faults'").fetchone()[0] >= 1
# the same machine, but now the page faults are said to be off, and context switches never to count
kept["calibration"] = [
    {"kernel": "fresh pages", "metric": "minor_faults", "event": "sw::minor-faults", "expected": 100, "counted": 50, "error": -0.5, "verdict": "off"},
    {"kernel": "sleeps", "metric": "ctx_switches", "event": "sw::context-switches", "expected": 100, "counted": 0, "error": -1, "verdict": "reads 0"}]
json.dump(kept, open("state/spanmark/calibration.json", "w"))
PY
"$cmd" run $small -C soft -f json -o off.json 2>err || bad "run: $(cat err)"
"$cmd" run $small -C soft -f csv -o off.csv 2>err || bad "run: $(cat err)"
"$cmd" run $small -C soft >off.txt 2>err || bad "run: $(cat err)"
python3 - <<'PY' || fails=$((fails + 1))
import json
ms = [m for s in json.load(open("off.json"))["samples"] for m in s["metrics"]]
seen = {}
for m in ms:
    seen.setdefault(m["metric"], []).append(m)
assert all(m.get("calibration") == "off" for m in seen["minor_faults"] + seen["faults_per_op"])
assert all("calibration" not in m for m in seen["task_clock"])
for m in seen["ctx_switches"]:
    assert m["value"] is None and m["status"] == "not_counted", m
    assert "never counts" in m["reason"] or "light region" in m["reason"], m
assert any("never counts" in m["reason"] for m in seen["ctx_switches"])
import csv
rows = [r for r in csv.DictReader(open("off.csv")) if r["event"]]
assert {r["metric"] for r in rows if r["calibration"] == "off"} == {"minor_faults", "faults_per_op"}
assert all(r["calibration"] in ("", "off") for r in rows)
assert all(r["calibration"] == "off" for r in rows if r["metric"] in ("minor_faults", "faults_per_op"))
PY
tr -s ' \n' ' ' <off.txt >off.line
grep -q "an event behind it is off by calibration" off.line || bad "the table does not explain its mark"
grep -q "minor_faults under 'fresh pages' counted 50 where 100 were expected" off.line || bad "the table does not say what is off"
grep -q "ctx_switches never counts here" off.line || bad "the table does not say what never counts: $(cat off.txt)"
sed -i 's/"cpu_model": "[^"]*"/"cpu_model": "Another 9000"/' state/spanmark/calibration.json
"$cmd" run $small -C soft >other.txt 2>err || bad "run: $(cat err)"
grep -q "of another machine (Another 9000)" err || bad "another machine's calibration is used: $(cat err)"
grep -q "calibration" other.txt && bad "another machine's calibration is in the table"

# ---- a simulated pass where there is no PMU --------------------------------------------------------
if simulates && ! "$cmd" run $small --no-store --counters pmu >/dev/null 2>&1; then
	"$cmd" run $small --reps 2 --store sim.db >out 2>err || bad "auto without a PMU: $(cat err)"
	says "instr Ir, L1D D1, LLC DL [sim]"
	says "note     [sim] counts are of a pass under Callgrind"
	python3 - <<'PY' || fails=$((fails + 1))
import sqlite3
db = sqlite3.connect("sim.db")
of = lambda what, sample: {v for (v,) in db.execute(what, (sample,))}
beside = 0
for sample, ppass, rep, status in db.execute("SELECT id, pass, rep, status FROM sample ORDER BY ordinal").fetchall():
    names = of("SELECT name FROM result WHERE sample=?", sample)
    sources = of("SELECT DISTINCT source FROM metric WHERE sample=?", sample)
    assert status == "ok", (sample, status)
    if "simulated_ops" not in names:
        assert "sim" not in sources and "wall_s" in names and beside == 0, (sample, sources, names)
        continue
    # behind all others, and nothing but what was simulated
    beside += 1
    names = {n for n in names if not (n.startswith("mark_") and n.endswith("_per_object"))}
    assert names == {"simulated_ops"} and sources == {"sim"} and (ppass, rep) == (1, 0), (sample, names, sources, ppass, rep)
assert beside == 2, beside
PY
	expect 0 "$cmd" run $small --no-store --counters sw
	grep -q sim:: out && bad "--counters sw simulates"
else
	echo "SKIP a simulated pass: see above, or there is a PMU"
fi

echo "$examples examples run"
finish
