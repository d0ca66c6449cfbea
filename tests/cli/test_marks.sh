#!/bin/sh
# What a run tells of marking: with gc.mark=spans, how objects came to be scanned, in all and by size class, in every report; the
# same from the store.
#
#   tests/cli/test_marks.sh BUILD_DIR
set -u
. "$(dirname "$0")/../support/command.sh"
command -v python3 >/dev/null || { echo "no python3 to look into results with"; exit 77; }
py() { python3 -c "import json,csv
$1" || bad "$2"; }

# ---- by size class ---------------------------------------------------------------------------------
graph="-w graph -b gc -p objects=20000 -p collections=2 --reps 2"
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
    # but for the first ones, in spans that several layouts share
    assert 30000 <= sum(by[h][64] for h in hows) < 41000, by
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

finish
