#!/bin/sh
# doctor --calibrate as a table, and topo's plan as JSON: what they print agrees with itself and with the other form.
#
#   tests/cli/test_cli_tables.sh BUILD_DIR
set -eu
. "$(dirname "$0")/../support/command.sh"
command -v python3 >/dev/null || { echo "no python3 here"; exit 77; }
fail() { echo "FAILED: $*"; exit 1; }

# ---- doctor --calibrate ----------------------------------------------------------------------
status=0
"$cmd" doctor --calibrate >table || status=$?
[ "$status" -le 1 ] || fail "doctor --calibrate: status $status"
python3 - table <<'END' || fail "$(cat table)"
import re, sys
text = open(sys.argv[1]).read()
rows = text[text.index("\nkernel "):].strip().split("\n")
assert rows[0].split() == "kernel event expected counted error ns/op verdict".split(), rows[0]
total = next(i for i, line in enumerate(rows) if re.match(r"\d+ exact, ", line))
counts = dict((w, int(n)) for n, w in re.findall(r"(\d+) (exact|good|off|read 0|n/a)", rows[total]))
verdicts = [re.search(r"(exact|good|off|reads 0|n/a)$", line).group(1) for line in rows[1:total]]
assert sum(counts.values()) == len(verdicts) >= 16, (counts, verdicts)
for word in ("exact", "good", "off", "n/a"):
    assert counts[word] == verdicts.count(word), word
for line in rows[1:total]:
    expected, counted, error = line[44:].split()[:3]
    # What was not counted has no error, and is never 0.
    assert (counted == "n/a") == line.endswith("n/a"), line
    assert counted != "n/a" or error == "n/a", line
# Page faults are counted on every machine.
faults = next(line for line in rows if line.startswith("fresh pages"))
assert faults.split()[3:6] == ["2000", "2000", "+0.00%"] or faults.endswith(("exact", "good")), faults
# Each reason once, and one for whatever is missing.
reasons = [line for line in rows[total + 1:] if line.startswith("n/a: ")]
assert len(set(reasons)) == len(reasons) and bool(reasons) == (counts["n/a"] > 0), reasons
END

# ---- topo: a plan ----------------------------------------------------------------------------
machine="pack:2 [numa] l3:1 core:2 pu:2"
"$cmd" topo --synthetic "$machine" --place compact --threads 3 --workers 1 --mark-place dedicated --format json >plan
"$cmd" topo --synthetic "$machine" --place compact --threads 3 --workers 1 --mark-place dedicated >plan.txt
python3 - <<'END' || fail "$(cat plan)"
import json
plan = json.load(open("plan"))
threads = plan["placement"]
assert [(t["role"], t["index"]) for t in threads] == \
    [("mutator", 0), ("mutator", 1), ("mutator", 2), ("mark-worker", 0)], threads
# Compact: one core's PUs, then the next core's.
assert [t["pu"] for t in threads[:3]] == [0, 1, 2], threads
assert [t["core"] for t in threads[:3]] == [0, 0, 1], threads
# A worker of its own core is on none of theirs.
assert threads[3]["core"] not in (0, 1), threads
assert all(t["package"] == t["node"] == t["core"] // 2 for t in threads), threads
assert plan["placed"] and plan["placed"] in open("plan.txt").read(), plan["placed"]
END
"$cmd" topo --synthetic "$machine" --place none --threads 1 --format json >plan
python3 -c "import json; t = json.load(open('plan'))['placement'][0]; assert t['pu'] is None and t['kind'] is None, t" ||
	fail "an unpinned thread has a place: $(cat plan)"
"$cmd" topo --synthetic "$machine" --format json >plan
python3 -c "import json; assert 'placement' not in json.load(open('plan'))" || fail "a plan that nobody asked for"

# ---- events --check: a set with faults -------------------------------------------------------
cat >bad.ini <<'END'
[set]
name = bad
title = A set with faults
[metric wrong]
formula = a +
unit = x
help = no end
[metric lost]
formula = nowhere / ops
unit = x
help = no such event
[pmu any]
a = sw::nonsense
END
status=0
"$cmd" events --check bad.ini >table 2>err || status=$?
[ "$status" = 1 ] || fail "events --check of a bad set: status $status, $(cat table err)"
for word in "error: .*wrong" "error: .*nowhere" "error: .*nonsense"; do
	grep -q "$word" table || fail "events --check does not say '$word': $(cat table)"
done
grep -q " $(grep -c ': error: ' table) errors$" table || fail "events --check counts other errors: $(cat table)"
echo "doctor's table, topo's plan and the faults of a set agree with themselves"
