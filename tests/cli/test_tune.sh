#!/bin/sh
# spanmark tune on knobs whose effect is known: what is much better is found, confirmed and written; what does nothing is not
# recommended; an interrupted tuning goes on with the steps that lack; the file is read by run, by the libraries, by --check.
#
#   tests/cli/test_tune.sh BUILD_DIR
set -u
. "$(dirname "$0")/../support/command.sh"
case $build in *address* | *thread* | *undefined*) echo "SKIP: a sanitizer has a malloc of its own, which must come first"; exit 77 ;; esac
command -v python3 >/dev/null || { echo "no python3 to look into results with"; exit 77; }
py() { python3 -c "import json,sqlite3,sys
$1" || bad "$2"; }

# ---- what is asked wrongly -------------------------------------------------------------------------
refuse "--budget: 'soon' is not allowed; allowed: 1s to 7 days" tune --budget soon
refuse "--max-rss: '1.1' is not allowed; allowed: a multiple of the default's, such as 1.1x" tune --max-rss 1.1
refuse "--objective 'tim'; allowed: time, p999, memory" tune --objective tim
refuse "--objective 'time:0'" tune --objective time:0
refuse "--backend 'gc,span': allowed: one" tune -b gc,span
refuse "did you mean 'cache.window'" tune -b gc -k cache.windw=1k
refuse "--knob 'cache.window=': allowed: KEY=VALUE,VALUE" tune -b gc -k cache.window=
refuse "--knob env.X has no effect on backend gc" tune -b gc -k env.X=1
refuse "--knob cache.window has no effect on backend jemalloc" tune -b jemalloc -k cache.window=8k
refuse "cache.window: 'many' is not allowed" tune -b gc -k cache.window=8k,many
refuse "--set env.MALLOC_CONF: parts of it are knobs here" tune -b jemalloc -w churn -s env.MALLOC_CONF=thp:always
refuse "--set 'gc.percent=50,100': allowed: one value, which stays; --knob gc.percent=50,100 turns it" tune -w churn -s gc.percent=50,100
refuse "--knob gc.percent is given twice" tune -w churn -k gc.percent -k gc.percent=50
refuse "--knob MALLOC_CONF:thp is given twice" tune -b jemalloc -w churn -k MALLOC_CONF:thp=never -k MALLOC_CONF:thp
refuse "--knob gc.percent: the value '50' is given twice" tune -w churn -k gc.percent=50,200,50
refuse "--knob cache.window: the value '8192' is given twice" tune -w churn -k cache.window=8k,8192
refuse "--knob gc.percent has no value but the default" tune -w churn -k gc.percent=100
expect 0 "$cmd" tune --dry-run -w churn -s gc.percent=50 -k gc.percent=50,100 && says "default, 100"
expect 0 "$cmd" tune --dry-run -w churn -s pageheap=bitmap && says "cache.window"
refuse "backend bdwgc has no knobs that are known" tune -b bdwgc
refuse "--method exhaustive: the knobs span more than 1024" tune -b gc --method exhaustive
refuse "unknown option '--reps'" tune --reps 3
refuse "cannot read 'none.ini'" tune --check none.ini
printf '[set]\ncache.window = 64k\n' >plain.ini
refuse "no file of spanmark tune" tune --check plain.ini
asked='[tune]\nbackend = span\nobjective = time\n%s\n[set]\ncache.slots = 8\n'
for line in "option = --output" "option = --help" "option = --workload"; do
	# shellcheck disable=SC2059
	printf "$asked" "$line" >plain.ini
	refuse "is none that spanmark tune passes on" tune --check plain.ini
done
for line in "margin = nan" "max-rss = -1" "weight = churn"; do
	# shellcheck disable=SC2059
	printf "$asked" "$line" >plain.ini
	refuse "'plain.ini' line 4: no file of spanmark tune" tune --check plain.ini
done
# A program's line comes back as it was, with what would begin a comment, and longer than a screen.
long=$(printf "'a ; b' # %0250d" 7)
printf '[tune]\nbackend = libc\nobjective = time\noption = --program\noption = "echo %s"\n[set]\nenv.A = 1\n' "$long" >long.ini
expect 0 "$cmd" tune --check long.ini --dry-run && says "echo $long"
rm long.ini
refuse "there is no store" tune -w churn --resume
refuse "--output: cannot write 'no/x.ini'" tune -w churn -b span --budget 1s -o no/x.ini
refuse "--output 'spanmark.db' is the store" tune -w churn -b span --budget 1s -o spanmark.db
# What spanmark run refuses, tune does, in its words, before anything is measured or kept, and with --dry-run.
for dry in "" --dry-run; do
	# shellcheck disable=SC2086
	{
		refuse "did you mean 'churn'" tune $dry -w chrn
		refuse "unknown parameter 'opps'" tune $dry -w churn -p opps=1
		refuse "unknown setting 'gc.percnt'" tune $dry -w churn -s gc.percnt=1
		refuse "env.NAME" tune $dry -w churn -s gc.percnt=1
		refuse "'/no/such' does not exist" tune $dry --program /no/such -b libc
		refuse "--backend gc does not apply to a program" tune $dry --program true
		refuse "--place up: unknown policy" tune $dry -w churn -k place=up
		refuse "--variant: workers=257: allowed: 1 to 256" tune $dry -w churn -k workers=257
		refuse "--counters=none contradicts" tune $dry -w churn --objective misses --counters none
		for weight in ring=2 churn=-1 churn=2x churn=nan; do
			refuse "--weight '$weight'; allowed: WORKLOAD=NUMBER, of a workload that is measured" \
				tune $dry -w churn --weight $weight
		done
	}
done
refuse "--weight: 'churn' is not allowed; allowed: WORKLOAD=N" tune -w churn --weight churn
refuse "--weight: no workload counts" tune -w churn,ring --weight churn=0 --weight ring=0
expect 0 "$cmd" tune --dry-run -w churn,ring --weight churn=0
expect 0 "$cmd" tune --dry-run -w churn --weight churn=0.5
expect 0 "$cmd" tune --dry-run -b gc && says "cache.window" && says "8k, 16k" && says "configurations to screen" &&
	says "churn,binary-trees,lru-cache,handoff,larson,ring" && says "gc.dense" && says "gc.kernel"
# What stays is turned by nobody, unless the user says so.
expect 0 "$cmd" tune --dry-run -w churn -s gc.percent=50 -s cache.window=8k && says "cache.spans"
grep -E "^(gc.percent|cache.window)$" out && bad "a setting that stays is a knob"
expect 0 "$cmd" tune --dry-run -w churn -s gc.workers=1 && grep -E "^workers$" out && bad "a setting that stays is a knob"
expect 0 "$cmd" tune --dry-run -w churn -s gc.percent=50 -k gc.percent=200 && says "default, 200"
[ "$(ls -A)" = "err
out
plain.ini" ] || bad "something was left: $(ls -A)"
# What only a sample tells.
expect 2 "$cmd" tune -w churn --budget 1s --objective p999 -b span -k cache.slots && says "churn reports none of the objective's" err
rm -f spanmark.db*

# ---- a knob that matters ---------------------------------------------------------------------------
# Without caches everything is slow: a cache is ten times better, by time and by instructions.
small="-w churn -p ops=200000 -b span -s cache.mode=none -s pageheap=bitmap"
expect 0 "$cmd" tune $small -s "env.WORDS=a ;b" -k cache.mode=thread -k scavenge.pace=2 --budget 1s -f json
says "or SPANMARK_CONFIG=spanmark.ini" err
py 'd = json.load(open("out"))
assert d["advice"] == "take", d
assert "cache.mode=thread" in d["settings"], d["settings"]
c = d["confirmed"]
assert 0 < c["low"] <= c["ratio"] <= c["high"] < 0.7, c
assert c["verdict"] == "better" and c["pairs"] >= 12
assert [w["workload"] for w in c["workloads"]] == ["churn"], c
by = {x["title"]: [p["x"] for p in x["points"]] for x in d["curves"]}
assert any(x["x"] == "slots of a list" for x in d["curves"]), by
assert by["cache.mode"] == ["default", "thread"], by
assert sum(p["chosen"] for p in d["pareto"]) == 1 and any(p["front"] for p in d["pareto"])
db = sqlite3.connect("spanmark.db")
env = json.loads(db.execute("SELECT environment FROM run ORDER BY id DESC LIMIT 1").fetchone()[0])
assert env["tuning"]["id"] == d["id"] and env["note"].endswith(" confirm"), env["note"]
stages = [json.loads(e)["note"].split()[-1] for (e,) in db.execute("SELECT environment FROM run ORDER BY id")]
assert stages[:3] == ["record", "pilot", "screen"] and stages[-1] == "confirm", stages
seeds = [s for (s,) in db.execute("SELECT seed FROM run")]
assert len(set(seeds)) == len(seeds), "the confirmation repeats the seed of a step before it"' "what was found"
for line in "[machine]" "identity = " "[tune]" "backend = span" "objective = time" "option = --workload" "[set]" "pageheap = bitmap" 'env.WORDS = "a ;b"' "cache.mode = thread" \
	"; alone " "; On fresh samples"; do
	says "$line" spanmark.ini
done
grep -q "cache.mode = none" spanmark.ini && bad "the file has what was to be left"
expect 0 "$cmd" run --config spanmark.ini -w churn -p ops=1000 -b span --counters none --store run.db -f json
py 'assert json.load(open("out"))["samples"][0]["config"]["cache.mode"] == "thread"' "run --config does not take it"
[ ! -e "$build/libspanmark-malloc.so" ] || SPANMARK_CONFIG=spanmark.ini LD_PRELOAD=$build/libspanmark-malloc.so cat plain.ini >out 2>err ||
	bad "preloaded: $(cat err)"
[ -s err ] && bad "the malloc library complains of the file of this machine: $(cat err)"
# Does the file hold? Here it does; a setting that does nothing does not.
expect 0 "$cmd" tune --check spanmark.ini --budget 1s && says "still holds" err
# What it was found under is asked again: a bound on memory, weights.
says "margin = 0.01" spanmark.ini
sed 's/^backend = span/backend = span\nmax-rss = 0.1/' spanmark.ini >bound.ini
expect 3 "$cmd" tune --check bound.ini --budget 1s && says "of the default's memory: more than allowed"
sed 's/^backend = span/backend = span\nweight = ring=2/' spanmark.ini >weight.ini
expect 2 "$cmd" tune --check weight.ini --budget 1s && says "--weight 'ring=2'" err
sed 's/^cache.mode = thread/scavenge.pace = 2/' spanmark.ini >nothing.ini
expect 3 "$cmd" tune --check nothing.ini --budget 1s && says "does not hold here" err

# ---- what sizes would have done, and what they did ---------------------------------------------------
expect 0 "$cmd" tune -w larson -t 2 -b span -k cache.slots=8,16 --budget 1s --store c.db -o c.ini -f json
py 'd = json.load(open("out"))
top = d["classes"][0]
assert top["share"] > 0.05 and top["binds"] and top["fresh"] < 0.5, top
by = {p["size"]: p for p in top["points"]}
for size in 8, 16: # what was computed is what was counted
    p = by[size]
    assert 0.7 < p["predicted"] / p["measured"] < 1.4, (size, p)
assert by[2]["predicted"] > by[8]["predicted"] > by[64]["predicted"], by
assert by[2]["held_bytes"] < by[64]["held_bytes"], by
assert "measured" not in by[64], by' "prediction and measurement"

# ---- how marking is done, where something is marked so ------------------------------------------------
expect 0 "$cmd" tune -w churn -p ops=2000 -b gc --budget 1s --store m.db -o m.ini -f json
says "gc.mark, gc.dense, gc.kernel, gc.fifo, gc.assist_slice left out: there is no collection" err
py 'd = json.load(open("out"))
knobs = [c["title"] for c in d["curves"]]
assert "gc.percent" in knobs and not [k for k in knobs if k in ("gc.mark", "gc.dense", "gc.kernel", "gc.fifo")], knobs' "knobs of marking"

# ---- a program, by its environment -----------------------------------------------------------------
printf '#!/bin/sh\n[ "${KNOB:-}" = fast ] || sleep 0.1\n' >slow && chmod +x slow
expect 0 "$cmd" tune --program "$tmp/slow" -b libc -k env.KNOB=slow,fast --budget 1s --store p.db -o p.ini && says "recommended" &&
	says "env.KNOB = fast" p.ini && says "or its variables of the environment" err &&
	says "more than --budget has" err && says ": 3 configurations of 1 knob" out

# What ends before anyone can look has no peak RSS, and the report says so.
expect 0 "$cmd" tune --program true -b libc -k env.KNOB=1 --budget 1s --store t.db -o t.ini && py 'out = open("out").read()
front = out.split("what nothing beats in both\n")[1].split("\n\n")[0]
assert front.strip(), out' "an empty list"

# What fails in one sample of three is no recommendation, however fast the rest is.
cat >flaky <<'END'
#!/bin/sh
[ "${KNOB:-}" = fast ] || { sleep 0.1; exit 0; }
n=$(cat count 2>/dev/null || echo 0)
echo $((n + 1)) >count
[ $((n % 3)) != 2 ]
END
chmod +x flaky
sed -i "s,count,$tmp/count,g" flaky
expect 0 "$cmd" tune --program "$tmp/flaky" -b libc -k env.KNOB=fast --budget 1s --store q.db -o q.ini &&
	says "keep the default: what looked best fails more often than the default"
[ ! -e q.ini ] || bad "what fails was recommended"
# Instructions that nothing counts are said to be so, and no reason to keep the default.
expect 0 "$cmd" run -w churn -p ops=1000 -b span --counter-set cycles --reps 1 --store i.db -f json
if ! python3 -c 'import json
assert any(m["metric"] == "instructions" and m["value"] for m in json.load(open("out"))["samples"][0]["metrics"])' 2>/dev/null; then
	"$cmd" tune -w churn -p ops=1000 -b span -k cache.slots=8 --objective instructions --budget 1s --store i.db -o i.ini >out 2>err </dev/null
	[ $? = 2 ] && says "--objective: churn has no instructions of an operation: " err
fi
# Simulated, they are counted on any machine: a cache saves instructions.
if simulates; then
	expect 0 "$cmd" tune -w churn -p ops=20000 -b span -s cache.mode=none -k cache.mode=thread --objective instructions --counters sim \
		--budget 1s --store v.db -o v.ini && says "recommended" && says "span, instructions (simulated): " && says "option = sim" v.ini
fi

# ---- interrupted, and gone on with -----------------------------------------------------------------
mkfifo line ends
"$cmd" tune $small -k cache.mode=thread,cpu --budget 1s --store g.db -o g.ini >/dev/null 2>line &
pid=$!
while read -r text; do
	case $text in "tune: refine"*) kill -TERM $pid ;; esac
done <line
wait $pid
status=$?
[ $status = 143 ] || bad "an interrupted tuning ends with $status, not 143"
before=$(python3 -c 'import sqlite3; print(sqlite3.connect("g.db").execute("SELECT count(*) FROM sample").fetchone()[0])')
[ "$before" -ge 2 ] || bad "nothing was kept"
expect 2 "$cmd" tune $small -k cache.mode=cpu --budget 1s --store g.db --resume && says "begun with other options" err
expect 0 "$cmd" tune $small -k cache.mode=thread,cpu --budget 1s --store g.db -o g.ini --resume && says "recommended"
py 'db = sqlite3.connect("g.db")
notes = [json.loads(e)["note"] for (e,) in db.execute("SELECT environment FROM run ORDER BY id")]
notes = [n for n in notes if not n.endswith(" record")]
steps = [n.split()[4] for n in notes]
assert steps == [str(i + 1) for i in range(len(steps))], notes
assert len({n.split()[1] for n in notes}) == 1, notes
assert db.execute("SELECT count(*) FROM run WHERE planned != (SELECT count(*) FROM sample WHERE run = run.id)").fetchone()[0] == 0
assert db.execute("SELECT count(*) FROM (SELECT run, ordinal FROM sample GROUP BY run, ordinal HAVING count(*) > 1)").fetchone()[0] == 0' \
	"what was resumed"
[ -s g.ini ] || bad "no file after --resume"
# A step that was interrupted behind its last sample has all that it takes, and no tuning is stuck there.
py 'db = sqlite3.connect("g.db")
db.execute("UPDATE run SET state = ? WHERE id = (SELECT max(id) FROM run)", ("interrupted",))
db.commit()' "the last step"
expect 0 "$cmd" tune $small -k cache.mode=thread,cpu --budget 1s --store g.db -o g.ini --resume && says "recommended"
# It goes on with the knobs that were chosen by the record then: another record may choose others.
"$cmd" tune -w larson -p ops=20000 -b span --budget 1s --store h.db -o h.ini >/dev/null 2>line &
pid=$!
while read -r text; do
	case $text in "tune: pilot"*) kill -TERM $pid ;; esac
done <line
wait $pid
py 'db = sqlite3.connect("h.db")
run, env = db.execute("SELECT id, environment FROM run ORDER BY id LIMIT 1").fetchone()
env = json.loads(env)
assert env["note"].endswith("record") and env["space"], env
env["space"] = ["cache.slots@512=77"]
db.execute("UPDATE run SET environment = ? WHERE id = ?", (json.dumps(env), run))
db.commit()' "what was chosen is not kept"
expect 0 "$cmd" tune -w larson -p ops=20000 -b span --budget 1s --store h.db -o h.ini --resume -f json
py 'd = json.load(open("out"))
knobs = [c["title"] for c in d["curves"] if "@" in c["title"] or c["title"].startswith("cache")]
assert "cache.slots@512" in knobs and "cache.slots" not in knobs, knobs' "it goes on with other knobs"
# Killed, it leaves nothing behind that runs: all that had the other end of the pipe have ended.
"$cmd" tune --program "sleep 250" -b libc -k env.KNOB=1 --budget 1s --store z.db -o z.ini >/dev/null 2>line 7>ends &
pid=$!
timeout 100 cat ends >/dev/null &
waits=$!
while read -r text; do
	case $text in "tune: record"*) kill -KILL $pid ;; esac
done <line
wait $pid
wait $waits || bad "what a killed tuning began goes on"

finish
