#!/bin/sh
# The user's locale never changes a number: what a store, the machine and the tables of options give is the same to the byte
# where a comma is the decimal point, and what is measured there is read back by programs that know points alone.
#
#   tests/cli/test_locale.sh BUILD_DIR
set -u
. "$(dirname "$0")/../support/command.sh"
command -v localedef >/dev/null || { echo "SKIP: no localedef"; exit 77; }
mkdir locale
localedef -i de_DE -f UTF-8 "$tmp/locale/de_DE.UTF-8" >/dev/null 2>&1
german="env LOCPATH=$tmp/locale LC_ALL=de_DE.UTF-8 LANGUAGE=de"
# or the test could not fail
[ "$($german python3 -c 'import locale; locale.setlocale(locale.LC_ALL, ""); print(locale.str(1.5))' 2>/dev/null)" = "1,5" ] ||
	{ echo "SKIP: no locale de_DE can be made here (Debian: locales)"; exit 77; }

run="run -w churn -p ops=20000 -b gc,span --set gc.percent=50,100 --counters none --timeout 60"
expect 0 $german "$cmd" $run --reps 6 --store lab.db -f json -o run.json
equal() { # equal ARGUMENT..: prints the same in both
	tried=$((tried + 1))
	env LC_ALL=C "$cmd" "$@" >c 2>c.err
	c=$?
	$german "$cmd" "$@" >de 2>de.err
	[ $? = $c ] || bad "another status: $*"
	[ -s c ] || [ -s c.err ] || bad "prints nothing: $*"
	cmp -s c de && cmp -s c.err de.err || { bad "differs: $*"; diff c de | head -5; diff c.err de.err | head -5; }
}
for format in table csv json; do
	equal compare --store lab.db gc span --format $format --metric wall_s,ns_per_op,peak_rss_kib --margin 1.5%
	equal lbo --store lab.db -f $format
	equal runs --store lab.db -f $format
done
for c in "" help "run --help" list "events --sets" topo "topo -f json" "run --dry-run -w graph --seed 1" "--complete run -w ''"; do
	eval "equal $c"
done
mkdir c.man de.man
expect 0 env LC_ALL=C "$cmd" help --manual c.man
expect 0 $german "$cmd" help --manual de.man
diff -r c.man de.man || bad "the manual differs"

# What is typed has a point everywhere, in a file too.
expect 0 $german "$cmd" run --dry-run -w churn --until 2.5% --timeout 0.5
refuse "0,5" run --dry-run -w churn --timeout 0,5
printf '[run]\nworkload = churn\ntimeout = 1.5\n' >plan.ini
expect 0 $german "$cmd" run --dry-run --config plan.ini
expect 2 $german "$cmd" compare --store lab.db gc span --fail-if 'wall_s > 1,03'

# Every format that a run prints, for programs that know points alone.
formats=$("$cmd" --complete run -f "" | cut -f1)
[ "$(echo "$formats" | wc -l)" -ge 3 ] || bad "formats: $formats"
for format in $formats; do
	expect 0 $german "$cmd" $run --reps 2 -f "$format" --store "$format.db"
	mv out "out.$format"
done
python3 - <<'PY' || fails=$((fails + 1))
import csv, glob, json, re, sqlite3
stored = {row[0] for row in sqlite3.connect("json.db").execute("SELECT value FROM result WHERE value IS NOT NULL")} \
    if sqlite3.connect("json.db").execute("SELECT 1 FROM sqlite_master WHERE name='result'").fetchone() else None
numbers = [v for s in json.load(open("out.json"))["samples"] for v in s["results"].values() if v is not None]
assert len(numbers) > 50 and any(v != int(v) for v in numbers)
assert stored is None or set(numbers) <= stored, sorted(set(numbers) - stored)[:5]
values = [float(row["value"]) for row in csv.DictReader(open("out.csv")) if row["value"]]
assert len(values) > 50 and any(v != int(v) for v in values)
for name in glob.glob("out.*"): # a unit behind a number with a comma in it
    text = open(name).read()
    assert text, name
    assert re.search(r"\d[.]\d", text), name
    found = re.findall(r"(?<![\w,.=])\d+,\d+ ?(?:[mun]?s|[KMGT]i?B|%|[kMG])\b", text)
    assert not found, (name, found)
PY
finish
