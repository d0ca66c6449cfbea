#!/bin/sh
# Real programs under libspanmark-malloc.so: each must do what it does without it.
#
#   tests/cli/test_preload.sh BUILD_DIR
#
# A program that is not installed is skipped with one line; the test passes if at least the two of our own ran.
set -eu
here=$(dirname "$0")/..
lib=$(readlink -f "$1/libspanmark-malloc.so" 2>/dev/null || true)
[ -n "$lib" ] && [ -f "$lib" ] || { echo "no libspanmark-malloc.so in $1"; exit 77; }
case $1 in *address* | *thread* | *undefined*) echo "a sanitizer has a malloc of its own"; exit 77 ;; esac
cc=${CC:-cc}
command -v "$cc" >/dev/null 2>&1 || { echo "no compiler here"; exit 77; }
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
failed=0

# Under our malloc: "$@" must end with status 0.
under() { timeout 300 env LD_PRELOAD="$lib" ${SETTINGS:+SPANMARK_MALLOC="$SETTINGS"} "$@"; }
check() { # check NAME COMMAND...
	name=$1
	shift
	if "$@" >"$dir/log" 2>&1; then
		echo "ok       $name${SETTINGS:+ ($SETTINGS)}"
	else
		echo "FAILED   $name${SETTINGS:+ ($SETTINGS)} (status $?)"
		tail -n 5 "$dir/log"
		failed=1
	fi
}
have() { command -v "$1" >/dev/null 2>&1 || { echo "skipped  $2: $1 is not installed"; return 1; }; }

"$cc" -O2 -pthread -Wno-deprecated-declarations -o "$dir/churn" "$here/preload/churn.c"
if have g++ operators; then g++ -O2 -std=c++17 -pthread -o "$dir/operators" "$here/preload/operators.cpp"; fi

ours() { # is the library really in charge of this process?
	under sh -c 'grep -q libspanmark-malloc /proc/self/maps'
}
sorted() {
	seq 200000 | under sort -R -S 4M --parallel=2 >"$dir/shuffled"
	under sort -n "$dir/shuffled" >"$dir/sorted"
	seq 200000 | cmp - "$dir/sorted"
}
database() {
	under sqlite3 "$dir/db" 'create table t(a integer primary key, b text);
		with recursive c(x) as (select 1 union all select x+1 from c where x<50000)
		insert into t select x, hex(randomblob(x % 50)) from c;
		create index i on t(b); delete from t where a % 3 = 0; vacuum;
		select case when count(*)=33334 then "good" else "bad" end from t;' | grep -qx good
	under sqlite3 "$dir/db" 'pragma integrity_check' | grep -qx ok
	rm -f "$dir/db"
}
compiles() {
	under "$cc" -O2 -pthread -Wno-deprecated-declarations -o "$dir/churn2" "$here/preload/churn.c"
	test -x "$dir/churn2"
}
repository() {
	rm -rf "$dir/repo"
	under git init -q "$dir/repo"
	cp -r "$here/preload" "$dir/repo/"
	(
		cd "$dir/repo"
		under git add -A
		under git -c user.name=t -c user.email=t@t commit -qm one
		under git -c gc.auto=0 repack -adq
		under git fsck --strict
		under git log -p | grep -q churn
	)
}
# CPython's own test modules, where they are installed; a program that does the same kinds of thing otherwise.
python() {
	if python3 -c 'import test.test_list, test.test_json' 2>/dev/null; then
		under python3 -m test -q test_list test_dict test_json test_threading_local
	else
		under python3 -X dev -c '
import json, re, threading, subprocess, collections
d = {str(i): [i] * (i % 50) for i in range(20000)}
assert json.loads(json.dumps(d)) == d
assert len(re.findall(r"(\d+)7", " ".join(map(str, range(50000))))) > 1000
def f(n):
    c = collections.Counter(str(i * n)[-2:] for i in range(20000))
    assert sum(c.values()) == 20000
ts = [threading.Thread(target=f, args=(n,)) for n in range(1, 9)]
[t.start() for t in ts]; [t.join() for t in ts]
assert subprocess.run(["true"]).returncode == 0'
	fi
}

for SETTINGS in "" cache.mode=cpu; do
	check maps ours
	check churn under "$dir/churn"
	if [ -x "$dir/operators" ]; then check operators under "$dir/operators"; fi
	if have python3 python3; then check python3 python; fi
	if have sqlite3 sqlite3; then check sqlite3 database; fi
	if have git git; then check git repository; fi
	if have sort sort; then check sort sorted; fi
	check compiler compiles
	if have stress-ng stress-ng; then
		check stress-ng under stress-ng --malloc 2 --malloc-ops 2000 --malloc-bytes 64M --timeout 20 -q
	fi
done
# Settings for one class and one core, small enough that every slow path is taken all the time.
for SETTINGS in cache.slots=3,cache.batch=5,cache.budget=64k,cache.window@64=1k,malloc.list=1k \
	cache.mode=cpu,cache.budget=32k,cache.slots@cpu0=9,cache.batch@64@cpu1=2 \
	cache.mode=none,pageheap=bitmap; do
	check churn under "$dir/churn"
	if [ -x "$dir/operators" ]; then check operators under "$dir/operators"; fi
	check sort sorted
	if command -v sqlite3 >/dev/null 2>&1; then check sqlite3 database; fi
done
# What is wrong is said in one line, and nothing else is, where it is asked for (verbose=1); the program runs.
wrong() {
	SETTINGS=verbose=1,$1
	under sort /dev/null 2>"$dir/wrong" || return
	cat "$dir/wrong"
	grep -q "$2" "$dir/wrong" && [ "$(wc -l <"$dir/wrong")" = 1 ]
}
check "a bad value is named" wrong cache.slots@64=0 'cache.slots@64: .0. is not allowed; allowed: 1..8192'
check "a bad place is named" wrong cache.window@core1=4k '@core1'
check "a bad key is named" wrong cache.windows@64=4k 'cache.windows'
exit "$failed"
