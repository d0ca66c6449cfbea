#!/bin/sh
# spanmark compare from the command line: sides, formats, exit status 3 of --fail-if and 1 of --require-power, and what it
# refuses in one line with status 2, without making a store.
#
#   tests/cli/test_compare.sh BUILD_DIR
set -u
. "$(dirname "$0")/../support/command.sh"

for i in 1 2; do
	timeout 600 "$cmd" run -q -w churn -p ops=2000 --backend libc,span --reps 10 -c none --store lab.db >/dev/null 2>err ||
		{ cat err; bad "run $i"; }
done

expect 0 "$cmd" compare libc span --store lab.db
says "A = libc (run 2"; says "10 pairs"; says "peak_rss_kib"; says "All intervals hold together"
expect 0 "$cmd" compare --store lab.db 1/libc 2/libc; says "10+10"; says "differs: seed"
expect 0 "$cmd" compare lab.db:1 lab.db:2; says "churn libc"; says "churn span"; says "geometric mean of ns_per_op over 2 rows"
expect 0 "$cmd" compare --store lab.db --last 2 --metric peak_rss_kib; says "A = 1 (run 1"; says "B = 2 (run 2"
[ "$(grep -c peak_rss_kib out)" = 3 ] || bad "two rows and a mean: $(cat out)"

# Configurations of one backend: a case is not compared with itself, and the default has a name.
timeout 600 "$cmd" run -q -w churn -p ops=2000 -b gc --variant default --variant "gc.percent=50 cache.window=8k" --reps 10 -c none \
	--store v.db >/dev/null 2>err || { cat err; bad "variants"; }
expect 0 "$cmd" compare --store v.db default gc.percent=50 -f csv && cut -d, -f3- out >default.csv
for side in gc 1/gc 1; do
	expect 0 "$cmd" compare --store v.db $side gc.percent=50 -f csv
	cut -d, -f3- out | cmp -s - default.csv || bad "$side is not all but gc.percent=50"
done
expect 0 "$cmd" compare --store v.db gc.percent=50 gc; says "B = gc (run 1"
expect 0 "$cmd" compare --store v.db gc,default gc.percent=50; says "A = gc,default (run 1"
python3 - <<'P' || bad "a case beside itself"
import csv
rows = [r for r in csv.DictReader(open("default.csv")) if r["metric"] == "ns_per_op"]
assert len(rows) == 1 and float(rows[0]["ratio"]) != 1, rows
P
refuse "gc.percent=50 and cache.window=8k are the same cases of run 1" compare --store v.db gc.percent=50 cache.window=8k
expect 0 "$cmd" compare --store v.db gc.percent=50 gc.percent=50; says "same"
refuse "default: run 1 has no such case" compare --store v.db libc,default gc.percent=50

# The same run on both sides: every ratio is 1, and no gate at 1 is met.
expect 0 "$cmd" compare --store lab.db 1 1 --fail-if 'peak_rss_kib > 1' --fail-if 'peak_rss_kib<1'; says "same"
expect 3 "$cmd" compare --store lab.db 1 1 --fail-if 'peak_rss_kib > 0.99'; says "churn libc: the ratio is 1 (1..1)" err
expect 3 "$cmd" compare --store lab.db 1 1 --fail-if 'peak_rss_kib < 1.01'
# Not even a bound of a thousandth is met by an interval that is not there.
timeout 600 "$cmd" run -q -w churn -p ops=2000 --backend libc,span --reps 2 -c none --store few.db >/dev/null 2>&1
expect 0 "$cmd" compare --store few.db libc span --fail-if 'ns_per_op > 0.001'; says "unclear"; says "2 pairs: 95 % over the whole table takes"
says "'ns_per_op > 0.001': churn: no interval, so not met" err
expect 1 "$cmd" compare --store few.db libc span --require-power 3%; says "takes" ; says "too few repetitions" err
expect 0 "$cmd" compare --store lab.db 1 1 --require-power 3

# A case whose samples all failed on one side is named, and no gate passes it.
python3 - <<'P' || bad "store"
import shutil, sqlite3
shutil.copy("lab.db", "failed.db")
s = sqlite3.connect("failed.db")
s.execute("UPDATE sample SET status='crashed', message='killed by signal 11' WHERE run=2 AND backend='span'")
s.commit()
P
lost="10 of 10 samples of 2 failed (crashed: killed by signal 11)"
expect 0 "$cmd" compare --store failed.db 1 2; says "not compared: 1 alone has churn span: 10 of 10 samples of 2 failed"
expect 0 "$cmd" compare --store failed.db 1 2 --format csv; says "$lost"
expect 0 "$cmd" compare --store failed.db 1 2 --format json; says "1 alone has churn span: $lost"
expect 1 "$cmd" compare --store failed.db 1 2 --fail-if 'ns_per_op > 1000'
[ "$(wc -l <err)" = 1 ] || bad "lines: $(cat err)"
says "--fail-if cannot be judged: churn span: $lost" err
expect 1 "$cmd" compare --store failed.db 1 2 --require-power 900%
says "--require-power cannot be judged: churn span: $lost" err
expect 3 "$cmd" compare --store failed.db 1 2 --fail-if 'ns_per_op > 0.001'
refuse "10 of 10 samples of 2/span failed" compare --store failed.db 1/span 2/span

# A case that one side lacks altogether passes no gate either; -w leaves it out.
timeout 600 "$cmd" run -q -w churn,binary-trees --backend libc --reps 10 -c none --store lacks.db >/dev/null 2>&1 &&
	timeout 600 "$cmd" run -q -w churn --backend libc --reps 10 -c none --store lacks.db >/dev/null 2>&1 || bad "lacks.db"
expect 0 "$cmd" compare --store lacks.db 1 2; says "not compared: 1 alone has binary-trees libc"
expect 1 "$cmd" compare --store lacks.db 1 2 --fail-if 'peak_rss_kib > 1000'
says "--fail-if cannot be judged: binary-trees libc: 1 alone has it" err
expect 1 "$cmd" compare --store lacks.db 2 1 --fail-if 'peak_rss_kib > 1000'; says "1 alone has it" err
expect 3 "$cmd" compare --store lacks.db 1 2 --fail-if 'peak_rss_kib > 0.001'
expect 0 "$cmd" compare --store lacks.db 1 2 --fail-if 'peak_rss_kib > 1000' -w churn
refuse "no such case" compare --store lacks.db 1 2 -w graph
# A figure that one side lacks.
python3 - <<'P' || bad "store"
import shutil, sqlite3
shutil.copy("lab.db", "half.db")
s = sqlite3.connect("half.db")
s.execute("DELETE FROM result WHERE name='ns_per_op' AND sample IN (SELECT id FROM sample WHERE run=2 AND backend='span')")
s.commit()
P
expect 1 "$cmd" compare --store half.db 1 2 --fail-if 'ns_per_op > 1000'
says "cannot be judged: churn span: not measured on both sides" err

# Of a series each step would widen all intervals: compared when asked for.
timeout 120 "$cmd" run -q -w fragment -p live=64k -p settle=0 --backend libc,span --reps 2 -c none --store series.db >/dev/null 2>&1
expect 0 "$cmd" compare --store series.db libc span
grep -q "rss_over_live_1\|rss_kib_1" out && bad "the steps of a series: $(cat out)"
if grep -q LazyFree /proc/self/smaps_rollup 2>/dev/null; then
	says "rss_over_live_worst"
	expect 0 "$cmd" compare --store series.db libc span --metric rss_over_live_1,rss_kib_1
	says "rss_over_live_1 "; says "rss_kib_1 "
fi

# Comparing leaves the store as it is, to the byte, and nothing beside it.
before=$(sha256sum lab.db; ls)
expect 0 "$cmd" compare --store lab.db 1 2
[ "$before" = "$(sha256sum lab.db; ls)" ] || bad "changed: $before, now $(sha256sum lab.db; ls)"
# A store on a read-only disk: a folder that we may not write to, as somebody else where we are root.
mkdir ro
cp lab.db "ro/la b?#%41.db"
chmod 555 ro "ro/la b?#%41.db"
as=
if [ "$(id -u)" = 0 ]; then
	as="setpriv --reuid=65534 --regid=65534 --clear-groups"
	chmod 711 "$tmp"
fi
if $as "$cmd" --version >/dev/null 2>&1; then
	tried=$((tried + 1))
	$as "$cmd" compare --store "ro/la b?#%41.db" 1 2 >out 2>err || bad "read-only: $(cat err)"
	says "All intervals hold together"
	[ "$(ls ro | wc -l)" = 1 ] || bad "left beside it: $(ls ro)"
	chmod 755 ro
	echo x >"ro/la b?#%41.db-wal"
	chmod 555 ro
	$as "$cmd" compare --store "ro/la b?#%41.db" 1 2 >out 2>err && bad "read without its samples"
	says "samples in its -wal file" err
	chmod 755 ro
else
	echo "SKIP read-only: nobody may run $cmd"
fi
# One of an older layout is read, and stays what it was.
python3 - <<'P' || bad "store"
import shutil, sqlite3
shutil.copy("lab.db", "old.db")
s = sqlite3.connect("old.db")
s.execute("ALTER TABLE result DROP COLUMN reason")
s.commit()
P
before=$(sha256sum old.db)
expect 0 "$cmd" compare --store old.db 1 2
[ "$before" = "$(sha256sum old.db)" ] || bad "an old store was changed"

expect 0 "$cmd" compare --store lab.db libc span libc --format csv
[ "$(head -1 out | cut -d, -f1-3)" = base,other,case ] || bad "csv: $(head -1 out)"
[ "$(grep -c '"libc","libc",' out)" -ge 2 ] && [ "$(grep -c '"libc","span",' out)" -ge 2 ] || bad "csv: $(cat out)"
expect 0 "$cmd" compare --store lab.db libc span --format json
python3 - <<'P' || bad "json"
import json
d = json.load(open("out"))
r = d[0]["rows"][0]
assert d[0]["base"] == "libc" and r["paired"] and len(r["base"]) == 10, d
P

expect 0 "$cmd" compare --store lab.db libc libc; says "'libc' and 'libc' are the same: each ratio is 1" err
expect 0 "$cmd" compare --store lab.db libc span; [ ! -s err ] || bad "not the same: $(cat err)"

refuse "there is no store 'spanmark.db'" compare 1 2
refuse "no store" compare --store none.db 1 2
refuse "no store" compare none.db:1 none.db:2
[ ! -e none.db ] || bad "made a store"
refuse "two sides" compare --store lab.db libc
refuse "unknown backend 'lib'" compare --store lab.db lib span
refuse "run 2 has no such case" compare --store lab.db gc span
refuse "no such run" compare --store lab.db 1 9
refuse "is no side" compare --store lab.db 1x 2
refuse "no such run: 0" compare --store lab.db 0 2
refuse "is no side" compare --store lab.db 1/ 2
refuse "'nope'" compare --store lab.db 1 2 --metric nope
refuse "no row is of it" compare --store lab.db 1 2 --fail-if 'p99_us > 2'
for g in ns_per_op 'ns_per_op = 2' 'ns_per_op > ' '> 2' 'ns_per_op > x' 'ns_per_op > -1' 'ns_per_op > 1 2' 'ns_per_op > inf'; do
	refuse "--fail-if" compare --store lab.db 1 2 --fail-if "$g"
done
for p in x -1 '' 3x 1e9 nan; do refuse "--margin" compare --store lab.db 1 2 --margin "$p"; done
for p in 0 0% -0 1%; do refuse "above --margin" compare --store lab.db 1 2 --require-power $p; done
for n in 0 1 99 x -2; do refuse "--last" compare --store lab.db --last "$n"; done
refuse "--last 3" compare --store lab.db --last 3
refuse "--last names the sides" compare --store lab.db --last 2 1
refuse "unknown option" compare --bogus
refuse "needs a value" compare --store
refuse "table, csv, json" compare --store lab.db 1 2 --format yaml
refuse "table, csv, json" compare --store lab.db 1 2 -f yaml
refuse "--format needs a value" compare -f
echo text >text.db
refuse "not a SQLite database" compare --store text.db 1 2

expect 0 "$cmd" compare --help; says "usage: spanmark compare"; says "Examples:"
timeout 300 "$cmd" compare --store lab.db 1 1 >/dev/full 2>err && bad "no error for a full disk"

finish
