#!/bin/sh
# What a run tells of marking: with gc.mark=spans, how objects came to be scanned, in all and by size class, in every report; the
# same from the store.
#
#   tests/cli/test_marks.sh BUILD_DIR
set -u
. "$(dirname "$0")/../support/command.sh"
case $build in *hostile*) echo "queues of a few entries: what does not fit is scanned again, and by others"; exit 77 ;; esac
command -v python3 >/dev/null || { echo "no python3 to look into results with"; exit 77; }
py() { python3 -c "import json,csv
$1" || bad "$2"; }

case $build in *unit13*) unit=8192 ;; *unit16*) unit=65536 ;; *) unit=16384 ;; esac

# ---- by size class ---------------------------------------------------------------------------------
graph="-w graph -b gc -p objects=20000 -p collections=2 --reps 2 -s gc.dense=10"
expect 0 "$cmd" run $graph --counters none --variant gc.mark=objects --variant gc.mark=spans -f json
py 'd = json.load(open("out"))
hows = ["mark_span_alone", "mark_span_sparse", "mark_span_dense"]
for s in d["samples"]:
    by = {x["name"]: dict(x["points"]) for x in s["series"] if x["name"] in hows}
    if s["config"]["gc.mark"] == "objects":
        assert not by and "mark_spans" not in s["results"], s
        continue
    assert sorted(by) == sorted(hows), by
    for how in hows:  # the sum of its classes, of the timed part alone
        assert sum(by[how].values()) == s["results"][how], (how, by, s["results"])
    assert len({tuple(by[h]) for h in hows}) == 1, "classes differ"
    # but for the first ones, in spans that several layouts share: eight units of them
    assert 40000 - 2 * 9 * ('"$unit"' >> 6) <= sum(by[h][64] for h in hows) < 41000, by
    assert {(x["x_unit"], x["y_unit"]) for x in s["series"] if x["name"] in hows} == {("bytes", "objects")}' "counts by size class"
expect 0 "$cmd" show last --wide
for text in "mark_span_alone " "mark_span_sparse " "mark_span_dense " "mark_spans " "Objects scanned by span in the mean sample"; do
	says "$text"
done
grep -Eq '^graph +gc +64 +[0-9.k]+ +[0-9.k]+ +[0-9.k]+$' out || bad "no row of the class of 64 bytes"
expect 0 "$cmd" show last && { grep -q "mark_span" out && bad "the short table has them, too"; }
expect 0 "$cmd" show last -f csv
py 'rows = [r for r in csv.DictReader(open("out")) if r["metric"] == "mark_span_dense"]
assert len(rows) == 2 and all(float(r["value"]) > 0 for r in rows), rows' "CSV"
expect 0 "$cmd" report last -o page.html && says "mark_span_dense" page.html
# A trace has a line a cycle, with the classes behind the sums.
expect 0 "$cmd" run -w graph -b gc -p objects=20000 -p collections=1 --reps 1 --counters none -s gc.mark=spans -s gc.trace=1 --no-store -f json
grep -Eq 'spans [0-9]+/[0-9]+/[0-9]+ objects [0-9]+/[0-9]+/[0-9]+ \(64 B [0-9]+/[0-9]+/[0-9]+\)' err out || bad "no classes in the trace"

# ---- what the heap's memory is made up of ------------------------------------------------------------
expect 0 "$cmd" run -w fragment -b gc -p live=2m -p steps=2 --reps 1 --counters none -f json
py 'd = json.load(open("out"))
parts = ["heap_" + p + "_bytes" for p in ("object", "window", "hole", "free", "meta")]
for s in d["samples"]:
    r = s["results"]
    assert all(r[p] >= 0 for p in parts), r
    # nine objects of ten were dropped, at random: a span stays for the tenth
    assert 100000 < r["heap_object_bytes"] < 2000000 and r["heap_hole_bytes"] > 2 * r["heap_object_bytes"], r
    assert r["heap_meta_bytes"] > 0, r
assert len(d["samples"]) == 1' "parts of the heap"
expect 0 "$cmd" show last --wide && says "heap_hole_bytes "
# A large object has a span of its own, and is no hole.
expect 0 "$cmd" run -w churn -b gc -p size=1m -p live=16 -p ops=40 --reps 1 --counters none --no-store -f json
py 'd = json.load(open("out"))
r = d["samples"][0]["results"]
assert r["heap_object_bytes"] >= 16 << 20 and r["heap_hole_bytes"] < 1 << 20, r' "large objects"

# ---- counts for a marked object --------------------------------------------------------------------
small="-w graph -b gc -p objects=3000 -p collections=2 --reps 1 --variant gc.mark=objects --variant gc.mark=spans"
if simulates; then
	expect 0 "$cmd" run $small --counters sim -f json
	py 'd = json.load(open("out"))
seen = {}
for s in d["samples"]:
    r, ways = s["results"], s["how"]
    mark = {m["metric"]: m["value"] for m in s["metrics"] if m["role"] == "mark" and m["phase"] == "mark"}
    n = mark["instructions"] / r["mark_insn_per_object"]
    assert 5900 < n < 6200, (n, r)  # what was marked
    for name, metric in ("mark_l1d_miss_per_object", "l1d_miss"), ("mark_llc_miss_per_object", "llc_miss"):
        assert abs(r[name] * n - mark[metric]) < 1e-6 * mark[metric] + 1e-9, (name, r, mark)
    assert ways["mark_insn_per_object"] == "sim::Ir [sim]", ways
    seen[s["config"]["gc.mark"]] = r["mark_insn_per_object"]
    for name in "mark_cycles_per_object", "mark_dtlb_walk_per_object":
        assert r.get(name) is None and "Callgrind does not simulate it" in s["missing"][name], s["missing"]
assert 50 < seen["spans"] < 5000 and 50 < seen["objects"] < 5000 and seen["spans"] != seen["objects"], seen' "counts for an object"
	expect 0 "$cmd" show --wide last && says "Counts of mark workers for one object that they marked" && says "instr sim::Ir [sim]; L1D sim::D1 [sim]"
	expect 0 "$cmd" compare last gc.mark=spans gc.mark=objects --metric mark_insn_per_object && says "mark_insn_per_object"
fi
# Nothing counts: the reason, and no table of nothing. Nothing is marked: no word of it.
expect 0 "$cmd" run $small --counters sw --counter-set cycles,cache -f json
py 'd = json.load(open("out"))
for s in d["samples"]:
    assert s["results"].get("mark_insn_per_object") is None and s["missing"]["mark_insn_per_object"], s' "why there are no counts for an object"
expect 0 "$cmd" show last && { grep -q "for one object" out && bad "a table of nothing"; }
expect 0 "$cmd" run -w churn -b gc -p ops=1000 --reps 1 --counters sw -f json
py 's = json.load(open("out"))["samples"][0]
assert not [n for n in list(s["results"]) + list(s["missing"]) if n.endswith("_per_object")], s' "counts for an object where none was marked"

finish
