#!/bin/sh
# spanmark report: the page is whole, says the numbers that JSON and compare say, lets nothing load or run but its own script
# (whose hash is right), and shows hostile names as text. What a browser makes of it: test_report_browser.sh.
#
#   tests/cli/test_report.sh BUILD_DIR
set -u
. "$(dirname "$0")/../support/command.sh"
command -v python3 >/dev/null || { echo "no python3 to read the page with"; exit 77; }
PYTHONPATH=$root/tests/support PYTHONDONTWRITEBYTECODE=1
export PYTHONPATH PYTHONDONTWRITEBYTECODE

timeout 600 "$cmd" run -q -w churn,ring,binary-trees --backend libc,gc --reps 7 --store lab.db -f json -o run.json >/dev/null 2>err ||
	{ cat err; bad "run"; }
expect 0 "$cmd" report --store lab.db -o report.html
[ ! -s out ] || bad "printed beside -o: $(head -c 200 out)"
"$cmd" report --store lab.db 1 >piped.html || bad "to a pipe"
cmp -s report.html piped.html || bad "another page on a pipe"
"$cmd" compare --store lab.db libc gc -f json >compare.json || bad "compare"

python3 - <<'P' || bad "the page"
import base64, hashlib, json
import page
text = open("report.html", encoding="utf-8").read()
p = page.Page(text)
assert not p.problems, p.problems
assert len(text) < 1 << 20, len(text)
doc = json.load(open("run.json"))
assert page.check_results(p.tables, doc) > 300
assert page.check_counters(p.tables, doc) > 20
assert page.check_ratios(p.tables, json.load(open("compare.json"))) > 10
assert len(p.svgs) >= 12 and all(s["title"] for s in p.svgs), p.svgs
assert len(p.script) == 1 and len(p.style) == 1
digest = lambda s: base64.b64encode(hashlib.sha256(s.encode()).digest()).decode()
assert p.policy == f"default-src 'none'; script-src 'sha256-{digest(p.script[0])}'; style-src 'sha256-{digest(p.style[0])}'; " \
    "base-uri 'none'; form-action 'none'", p.policy
assert not p.tags & {"img", "iframe", "object", "embed", "link", "form", "video", "audio", "base", "foreignObject"}, p.tags
words = " ".join(" ".join(p.text).split())
for want in ("Against libc", "Waits for the collector", "Heap and memory over time", "before", "Machine and threads", "Counters", "7 repetitions",
             "M0", "W0"):
    assert want in words, want
for s in doc["samples"]:
    names = {x["name"] for x in s["series"]}
    assert s["backend"] == "gc" or not any(n.startswith("heap_") for n in names), s
    # Not the other way round: a cycle between two timed parts has a point, but is not counted.
    assert s["backend"] != "gc" or s["results"]["gc_cycles"] == 0 or {"heap_before", "heap_live", "heap_goal"} <= names, s
    for x in s["series"]:
        if x["name"].startswith("stall_"):
            assert sum(n for _, n in x["points"]) == s["results"][x["name"] + "_count"], x
assert any(x["name"] == "rss" for s in doc["samples"] for x in s["series"])
P

# ---- several runs, several stores, another baseline -------------------------------------------------
timeout 600 "$cmd" run -q -w churn --backend gc --set gc.percent=50,200 --reps 2 -c none --store lab.db >/dev/null 2>&1 || bad "run 2"
timeout 600 "$cmd" run -q -w churn --backend gc,libc --reps 2 -c none --store lab.db >/dev/null 2>&1 || bad "run 3"
cp lab.db other.db
expect 0 "$cmd" report --store lab.db 1 other.db:3 -o two.html
[ ! -s err ] || bad "said: $(cat err)"
expect 0 "$cmd" report --store lab.db 1 2 -o nothing.html # in common
says "not compared" err
expect 0 "$cmd" report --store lab.db 2 --baseline gc.percent=200 -o settings.html
expect 0 "$cmd" report --store lab.db last -o last.html
id=$("$cmd" runs --store lab.db -f json | sed -n 's/.*"identity":[^"]*"\([0-9a-f]\{8\}\).*/\1/p' | head -n 1)
expect 0 "$cmd" report --store lab.db "${id:-no identity}" -o identity.html
python3 - <<'P' || bad "several runs"
import page
two = page.Page(open("two.html", encoding="utf-8").read())
assert not two.problems and {"results-0", "results-1"} <= set(two.tables), two.tables.keys()
assert "Against 1" in " ".join(" ".join(two.text).split())
settings = page.Page(open("settings.html", encoding="utf-8").read())
assert all("gc.percent=50" == r["cells"][1]["text"] for r in settings.tables["ratios-table"]["rows"])
P
# Settings that go together are compared with what has none, whichever was named first.
timeout 600 "$cmd" run -q -w churn -p ops=2000 -b gc --variant "gc.percent=50 cache.window=8k" --variant default --reps 2 -c none \
	--store v.db >/dev/null 2>err || { cat err; bad "variants"; }
for base in "" "--baseline default" "--baseline gc.percent=50"; do
	# shellcheck disable=SC2086
	expect 0 "$cmd" report --store v.db $base -o v.html
	text=$(sed 's/<[^>]*>//g' v.html | tr -s '\n ' ' ')
	case $base:$text in
	"--baseline gc"*:*"Against gc.percent=50 default is "* | [!g]*:*"Against default gc.percent=50,cache.window=8k is "* | \
		:*"Against default gc.percent=50,cache.window=8k is "*) ;;
	*) bad "report $base of variants: $(printf %.300s "${text#*Against}")" ;;
	esac
done

# ---- many cases: no chart leaves any out in silence; every case's failures; marks that are explained ----
timeout 600 "$cmd" run -q -w churn --backend gc --set "gc.percent=$(seq -s, 101 126)" -p ops=20k --reps 1 -c none --store many.db >/dev/null 2>&1 ||
	bad "run of many"
python3 - <<'P'
import sqlite3
db = sqlite3.connect("many.db")
db.execute("delete from series where name='rss'")
db.execute("insert into series select id, 'rss', 'ns', 'bytes', '[[0,1],[5,2]]' from sample")
db.commit()
P
expect 0 "$cmd" report --store many.db -o many.html
says "not compared: more than 16 sides" err
cp lab.db marks.db
python3 - <<'P' || bad "many cases"
import re, sqlite3
text = open("many.html", encoding="utf-8").read()
chart = text[re.search("<section id=.distributions", text).start():]
chart = chart[:chart.index("</svg>")]
assert chart.count('class="strip ') == 26, chart.count('class="strip ')
assert "the first 8 of 26 cases" in text
db = sqlite3.connect("marks.db")
db.execute("update sample set status='failed', message='the same for all' where run=1 and rep=0")
db.execute("update result set value=value*1000 where name='ns_per_op' and sample in (select id from sample where run=1 and rep=1)")
db.commit()
P
expect 0 "$cmd" report --store marks.db 1 -o marks.html
# Interrupted before the first sample: the page has a title, and says so.
cp lab.db empty.db
python3 -c 'import sqlite3
db = sqlite3.connect("empty.db")
for table in "result", "series", "metric", "sample":
    db.execute(f"delete from {table}")
db.commit()'
expect 0 "$cmd" report --store empty.db 1 -o empty.html
says "<h1>no sample</h1>" empty.html
python3 - <<'P' || bad "marks"
import re
text = open("marks.html", encoding="utf-8").read()
assert len(re.findall("<li>.*the same for all", text)) == 6, re.findall("<li>.*the same for all", text)
assert "! Some repetitions lie far out" in text
P

# ---- what is small is no 0, and what is tuned for has its name -----------------------------------------
cp lab.db small.db
python3 - <<'P' || bad "small.db"
import json, sqlite3
db = sqlite3.connect("small.db")
first, other = [b for (b,) in db.execute("select backend from sample where run=1 group by backend order by min(grp)")][:2]
db.execute("update result set value=value/5000 where name='ns_per_op' and sample in (select id from sample where run=1 and backend=?)", (other,))
env = json.loads(db.execute("select environment from run where id=1").fetchone()[0])
env["tuning"] = {"advice": "take", "settings": "a=1", "why": "", "objective": "instructions", "curves": [],
                 "pareto": [{"label": "default", "time_ratio": 1, "rss_ratio": 1, "front": True}]}
db.execute("update run set environment=? where id=1", (json.dumps(env),))
db.commit()
P
expect 0 "$cmd" report --store small.db 1 -o small.html
says "objective, ratio</text>" small.html; says "Objective against memory" small.html
if grep -q ">0\.00[< ]" small.html; then bad "a ratio that is small is 0.00"; fi

# ---- hostile names ----------------------------------------------------------------------------------
cp lab.db hostile.db
cat >hostile.py <<'P'
import json, sqlite3, sys
BAD = ['</script><script>alert(1)</script>', '"><svg onload=alert(2)>', "' onmouseover='alert(3)", "<!--", "]]>", "&lt;b&gt;", "{{7*7}}",
       "\u202egnp.exe", "\u05d0\u05d1\u05d2 \u0645\u0631\u062d\u0628\u0627", "javascript:alert(4)", "</style>", "</title><h1>x", "a\x01b\x1b[31m"]
db = sqlite3.connect(sys.argv[1])
all = " ".join(BAD)
env = json.loads(db.execute("select environment from run where id=1").fetchone()[0])
env["cpu_model"] = env["kernel"] = all
env[all] = all
env["tuning"] = {"advice": "take", "settings": all, "why": all, "objective": all, "curves": [{"title": all, "x": all + " (bytes)", "y": all + " (ns)", "points": [
    {"x": 1024 << i, "y": 50 - i, "low": 49 - i, "high": 52 - i} for i in range(8)]}, {"title": 3, "points": "no list"},
    {"title": "names", "x": all, "y": "ratio", "why": all, "points": [{"x": x, "y": 1, "low": None} for x in BAD]},
    {"title": "mixture", "x": all, "y": "ratio", "points": [{"x": "a", "y": 1}, {"x": 2, "y": 1}]}],
    "pareto": [{"label": all, "time_ratio": 0.9, "rss_ratio": 1.2, "front": True, "chosen": True},
               {"label": "default", "time_ratio": 1, "rss_ratio": 1, "front": False}, {"label": "half", "time_ratio": 1}]}
db.execute("update run set environment=?, command_line=?, started=?, state=? where id=1", (json.dumps(env), all, all, all))
db.execute("update sample set workload=?, backend=?||backend, params=?, config=?, warnings=?, message=? where run=1",
           (all, all, json.dumps({all: all}), json.dumps({all: all}), all + "\n" + all[::-1], all))
db.execute("update sample set status='failed' where id=1")
db.execute("update metric set role=?||role, phase=?||phase", (all, all))
db.execute("update result set unit=?||unit, name=name||? where name not in ('wall_s','ns_per_op','ops','peak_rss_kib')", (all, all))
db.execute("update series set points=? where name='heap_goal'", (all,))
db.commit()
P
python3 hostile.py hostile.db
expect 0 "$cmd" report --store hostile.db 1 -o hostile.html
python3 - <<'P' || bad "hostile names"
import page
source = {}
exec(open("hostile.py").read().split("db = ")[0], source)
text = open("hostile.html", encoding="utf-8").read()
p = page.Page(text)
assert not p.problems, p.problems
assert len(p.script) == 1 and "alert" not in p.script[0] and len(p.style) == 1
assert text.count("<script") == 1 and "<svg onload" not in text and "\u202e" not in text and "\x1b" not in text
words = " ".join(p.text)
for bad in source["BAD"]:
    bad = bad.replace("\u202e", "???").replace("\x01", "?").replace("\x1b", "?")
    assert bad in words, bad
assert "Tuning" in words and len(p.tables["pareto-0"]["rows"]) == 3
row = p.tables["pareto-0"]["rows"][0]["cells"]
assert row[1]["data-v"] == "0.9" and row[2]["data-v"] == "1.2" and row[3]["text"] == "looked best"
P

# ---- refusals ---------------------------------------------------------------------------------------
echo old >old.html
refuse "there is no store 'spanmark.db'" report -o x.html
refuse "there is no store 'none.db'" report --store none.db -o x.html
refuse "no such run: 77" report --store lab.db 77 -o x.html
refuse "is no run" report --store lab.db libc -o x.html
refuse "--baseline tcmalloc: " report --store lab.db 1 --baseline tcmalloc -o old.html
refuse "allowed: a percentage" report --store lab.db --margin wide -o x.html
refuse "names a store" report --store lab.db -o lab.db
refuse "nowhere/x.html" report --store lab.db -o nowhere/x.html
[ "$(cat old.html)" = old ] || bad "an old file changed"
if [ -e /dev/full ]; then
	"$cmd" report --store lab.db >/dev/full 2>err && bad "a full disk is no failure"
	[ "$(wc -l <err)" = 1 ] || bad "a full disk: $(cat err)"
fi
if command -v script >/dev/null; then
	script -qec "'$cmd' report --store lab.db" /dev/null >out </dev/null && bad "a page on a terminal"
	says "wants -o FILE"
fi
finish
