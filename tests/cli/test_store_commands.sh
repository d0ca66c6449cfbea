#!/bin/sh
# spanmark runs, merge, import, export and delete from the command line: what they print, what they refuse in one line, and
# that a store which is only read stays as it is. What they do to the rows: test_merge.c.
#
#   tests/cli/test_store_commands.sh BUILD_DIR
set -u
. "$(dirname "$0")/../support/command.sh"
command -v python3 >/dev/null || { echo "no python3 to read JSON with"; exit 77; }
for n in 1 2; do
	timeout 600 "$cmd" run -w churn -p ops=2000 --backend libc --reps $n -c none --store n$n.db >/dev/null 2>err || { cat err; bad "run $n"; }
done
timeout 600 "$cmd" run --program false --reps 1 -c none --store n2.db >/dev/null 2>&1
cp n2.db kept.db

# ---- runs ----
expect 0 "$cmd" runs --store n2.db; says "2/2"; says "done"; says "--program false"
expect 0 "$cmd" runs --store n2.db -f csv
[ "$(wc -l <out)" = 3 ] || bad "a head and two runs: $(cat out)"
expect 0 "$cmd" runs --store n2.db --format json
python3 - <<'P' || bad "json: $(cat out)"
import json
a, b = json.load(open("out"))
assert a["run"] == 1 and a["samples"] == a["planned"] == 2 and a["failed"] == 0 and a["state"] == "done", a
assert b["run"] == 2 and b["failed"] == 1 and len(b["identity"]) == 32 and b["identity"] != a["identity"] and b["host"], b
open("id", "w").write(b["identity"])
P
id=$(cat id)

# ---- merge ----
expect 0 "$cmd" merge --store fleet.db n1.db n2.db
[ "$(cat out)" = "1 new n1.db:1
2 new n2.db:1
3 new n2.db:2" ] || bad "merge: $(cat out)"
expect 0 "$cmd" import --store fleet.db n2.db n1.db
[ "$(cat out)" = "2 known n2.db:1
3 known n2.db:2
1 known n1.db:1" ] || bad "merge again: $(cat out)"
expect 0 "$cmd" merge --store fleet.db fleet.db; says "3 known fleet.db:3"
cmp -s n2.db kept.db || bad "merge changed what it read"
refuse "there is no store 'none.db'" merge --store new.db n1.db none.db
seq 1000 >notdb
refuse "not a SQLite database" merge --store new.db n1.db notdb
refuse "merge: wants FILE" merge --store new.db
refuse "import: wants FILE" import --store new.db
refuse "did you mean '--store'" merge --stroe new.db n1.db

# ---- export ----
expect 0 "$cmd" export --store fleet.db 2 "$(echo "$id" | cut -c1-8)" two.db
expect 0 "$cmd" export --store fleet.db --all all.db
expect 0 "$cmd" runs --store two.db -f csv
[ "$(wc -l <out)" = 3 ] && says "$id" || bad "export: $(cat out)"
expect 0 "$cmd" merge --store n1.db all.db
[ "$(cat out)" = "1 known all.db:1
2 new all.db:2
3 new all.db:3" ] || bad "import of an export: $(cat out)"
[ "$(ls -- *.part* 2>/dev/null)" = "" ] || bad "left parts"
refuse "there is a file 'two.db'" export --store fleet.db last two.db
refuse "no such run: 9" export --store fleet.db 9 x.db
refuse "'x' is no run; allowed: a number" export --store fleet.db x x.db
refuse "RUN .. FILE" export --store fleet.db 1
refuse "RUN .. FILE" export
refuse "RUN .. FILE" export --store fleet.db --all 1 x.db
refuse "there is no store 'spanmark.db'" export 1 x.db
refuse "store 'nowhere/x.db': unable to open database file (No such file or directory)" export --store fleet.db 1 nowhere/x.db
expect 1 sh -c "trap '' XFSZ; ulimit -f 80; exec '$cmd' export --store fleet.db 1 small.db" && says "store 'small.db': " err
[ ! -e small.db ] || bad "a part of an export is left"
expect 1 sh -c "trap '' XFSZ; ulimit -f 80; exec '$cmd' merge --store small.db fleet.db" && says "store 'small.db': " err
rm -f small.db*
# A folder, and a store that was cut off.
head -c 10000 all.db >cut.db
for c in "runs --store" "show --store" "report -o r.html --store" "merge" "export --all x.db --store" "delete 1 --store" "run -w churn -p ops=2000 -n 1 -c none --store" \
	"tune -w churn -k cache.spans --budget 1s --store" "compare libc gc --store"; do
	# shellcheck disable=SC2086
	{
		refuse "'cut.db': cut off: 10000 bytes are left of " $c cut.db
		refuse "'.': is a folder; allowed: a file" $c .
	}
done
cp all.db later.db && python3 -c 'import sqlite3; sqlite3.connect("later.db").execute("PRAGMA user_version=99")' &&
	refuse "layout 99 is of a later spanmark" tune -w churn -k cache.spans --budget 1s --store later.db

# ---- show ----
timeout 600 "$cmd" run -w churn -p ops=2000 --backend libc --reps 2 -c sw -C soft --by core --store show.db -f json -o was.json 2>/dev/null
for f in table csv json go markdown openmetrics; do
	expect 0 "$cmd" show --store show.db -f $f --color never; cp out shown
	[ -s shown ] || bad "show -f $f prints nothing"
	expect 0 "$cmd" show show.db:1 -f $f -o again; cmp -s again shown || bad "show -f $f -o differs"
done
expect 0 "$cmd" show show.db:last -f json; cmp -s out was.json || bad "show prints another report than the run did"
expect 0 "$cmd" show --store show.db; cp out core; says " core "
expect 0 "$cmd" show --store show.db --by core; cmp -s out core || bad "by core, as it was measured"
expect 0 "$cmd" show --store show.db --by thread; ! cmp -s out core || bad "by thread is by core"
expect 0 "$cmd" show --store show.db --wide; ! cmp -s out core || bad "--wide is the short table"
refuse "--by l3: run 1 was measured --by core; allowed: role, thread, core" show --store show.db --by l3
refuse "no such run: 9" show --store show.db 9
refuse "show: 'libc' is no run; allowed: RUN, STORE:RUN" show --store show.db libc
refuse "show: '1/libc' is no run" show --store show.db 1/libc
refuse "there is no store 'none.db'" show --store none.db
refuse "one file" show --store show.db -o show.db
refuse "nowhere/x" show --store show.db -o nowhere/x
refuse "allowed: table, csv, json" show --store show.db -f yaml
if [ -w /dev/full ]; then
	expect 1 "$cmd" run -w churn -p ops=2000 --backend libc --reps 1 -c none --store show.db -o /dev/full
	says "the run is kept: spanmark show show.db:2" err
fi

# ---- delete ----
refuse "no such run: 9" delete --store fleet.db 1 9
refuse "delete: wants RUN" delete --store fleet.db
refuse "there is no store" delete --store none.db 1
expect 0 "$cmd" delete --store fleet.db last 1
expect 0 "$cmd" runs --store fleet.db -f csv
[ "$(cut -d, -f1 out | tr '\n' ' ')" = "run 2 " ] || bad "delete: $(cat out)"
timeout 600 "$cmd" run -w churn -p ops=2000 --backend libc --reps 1 -c none --store fleet.db >/dev/null 2>&1
expect 0 "$cmd" runs --store fleet.db -f csv
[ "$(cut -d, -f1 out | tr '\n' ' ')" = "run 2 4 " ] || bad "a number was given twice: $(cat out)"
refuse "'4' is not an option; spanmark show RUN" runs --store fleet.db 4
refuse "allowed: table, csv, json" runs --store fleet.db -f yaml

# ---- the store of the folder ----
mkdir folder && cd folder || exit 1
once="-w churn -p ops=2000 --backend libc,span --reps 6 -c none"
expect 0 "$cmd" run $once
expect 0 "$cmd" run $once --no-store; expect 0 "$cmd" run $once --store other.db
expect 0 "$cmd" runs -f csv; [ "$(wc -l <out)" = 2 ] || bad "one run: $(cat out)"
expect 0 "$cmd" compare libc span; says "run 1"
expect 0 "$cmd" runs -f csv; id=$(sed -n '2s/^1,\(.\{12\}\).*/\1/p' out)
expect 0 "$cmd" compare last/libc "$id/span"; says "A = last/libc (run 1"; says "B = $id/span (run 1"
expect 0 "$cmd" compare "spanmark.db:$id" ../two.db:1; says "churn libc"
echo 'no-store = yes' | sed '1i [run]' >none.ini
expect 0 "$cmd" run $once --config none.ini
expect 0 "$cmd" run $once --config none.ini --store spanmark.db
expect 0 "$cmd" runs -f csv; [ "$(wc -l <out)" = 3 ] || bad "two runs: $(cat out)"
refuse "run 2 is complete" run --resume last
refuse "one file" run $once -o spanmark.db
# Another program's file, or a later spanmark's, is left alone and fails nothing; one that was named does.
cp ../notdb spanmark.db; rm -f spanmark.db-*
expect 0 "$cmd" run $once
[ "$(wc -l <err)" -le 2 ] && says "not a SQLite database: this run is kept in no store (--store FILE names one)" err
cmp -s ../notdb spanmark.db || bad "changed another program's file"
refuse "not a SQLite database" run $once --store spanmark.db
rm spanmark.db
if [ "$(id -u)" != 0 ]; then
	chmod a-w .
	cd .. # where out and err can be written
	expect 0 sh -c 'cd folder && "$@"' sh "$cmd" run $once; says "this run is kept in no store" err
	cd folder || exit 1
	chmod u+w .
fi
cd .. || exit 1
for c in runs show merge import export delete; do
	expect 0 "$cmd" $c --help; says "usage: spanmark"; says "Examples:"
done
finish
