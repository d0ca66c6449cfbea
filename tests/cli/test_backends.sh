#!/bin/sh
# spanmark's malloc backends from the command line: that the library which was asked for serves malloc, and is named with
# version and build id in every format; what is not installed, and what cannot be preloaded.
#
#   tests/cli/test_backends.sh BUILD_DIR
set -u
. "$(dirname "$0")/../support/command.sh"
case $build in
*address* | *thread* | *undefined*) echo "SKIP: a sanitizer has a malloc of its own, which must come first"; exit 77 ;;
esac
unset LD_PRELOAD
small="-w churn -p ops=2000 --reps 2 --seed 3 -c none"

# column NAME BACKEND FILE: the values of a column of the CSV in the rows of a backend, each once
column() {
	awk -F, -v name="$1" -v backend="$2" 'NR == 1 { for (i = 1; i <= NF; i++) at[$i] = i; next }
		$at["backend"] == backend { print $at[name] }' "$3" | sort -u
}
build_id() { readelf -n "$1" 2>/dev/null | sed -n 's/.*Build ID: //p'; }

# ---- a library of any kind ------------------------------------------------------------------------
forward=$build/mallocs/forward.so
cp "$forward" ./copy.so
expect 0 "$cmd" run $small --backend "libc,preload:$forward,preload:./copy.so" --store lab.db -f csv -o out.csv
[ "$(column library "preload:$forward" out.csv)" = "$(realpath "$forward")" ] || bad "library: $(cat out.csv)"
[ "$(column library preload:./copy.so out.csv)" = "$(realpath ./copy.so)" ] || bad "the copy: $(cat out.csv)"
[ "$(column version "preload:$forward" out.csv)" = "" ] || bad "a version that nobody told"
case $(column library libc out.csv) in */libc.so.6 | */libc-*.so) ;; *) bad "libc: $(column library libc out.csv)" ;; esac
if command -v readelf >/dev/null; then
	[ "$(column build_id "preload:$forward" out.csv)" = "$(build_id "$forward")" ] || bad "build id"
	[ -n "$(column build_id libc out.csv)" ] || bad "no build id of the C library"
else
	echo "SKIP build ids: no readelf"
fi
# What is one's own is one's own: preloaded by the user it stands behind libc, and not beside another.
tried=$((tried + 1))
LD_PRELOAD=$forward timeout 300 "$cmd" run $small --backend "libc,preload:./copy.so,span" -f json >out.json 2>err || bad "$(cat err)"
if command -v python3 >/dev/null; then
	python3 - out.json <<'PY' || bad "JSON: $(cat out.json)"
import json, sys
d = json.load(open(sys.argv[1]))
assert d["environment"]["malloc_variables"] == "LD_PRELOAD=forward.so"
names = {(s["backend"], (s["library"] or {"path": ""})["path"].split("/")[-1]) for s in d["samples"]}
assert names == {("libc", "forward.so"), ("preload:./copy.so", "copy.so"), ("span", "")}, names
PY
else
	echo "SKIP JSON: no python3"
fi

# ---- what cannot serve ----------------------------------------------------------------------------
refuse "nothere.so: cannot be read: No such file" run $small --backend preload:nothere.so
refuse "is no file" run $small --backend preload:.
refuse "is no ELF file" run $small --backend preload:/etc/passwd,libc
refuse "has no malloc" run $small --backend "preload:$build/libspanmark.so.0"
refuse "has no free" run $small --backend "preload:$build/mallocs/nofree.so"
refuse "did you mean 'preload:PATH'" run $small --backend preload:
refuse "unknown value 'jemaloc'; did you mean 'jemalloc'" run $small --backend jemaloc
: >empty.so
refuse "is empty" run $small --backend preload:empty.so
head -c 3000 "$forward" | tail -c 2900 >rubbish.so
refuse "is no ELF file" run $small --backend preload:rubbish.so
# Another machine's: its number is in the 19th byte.
{ head -c 18 "$forward"; printf '\377'; tail -c +20 "$forward"; } >other.so
refuse "is of another machine" run $small --backend preload:other.so
cp "$forward" "with blank.so"
refuse "its path has one of blank" run $small --backend "preload:with blank.so"
# It is there, and gone when the program runs: the sample fails and says so.
expect 1 "$cmd" run $small --backend "preload:$build/mallocs/leaves.so,libc" -f csv
grep -q '"malloc is served by /.*, not by /.*"' out || bad "$(cat out)"
grep ',sample,.*failed' out | grep -qv ',,,$' && bad "a library that was not proved: $(cat out)"
grep -q ',libc,ns_per_op,' out || bad "the other backend was not run: $(cat out)"

# A program file with rights of its own: the loader ignores LD_PRELOAD. Rights of the caller are no hindrance.
as_nobody() { setpriv --reuid 65534 --regid 65534 --clear-groups "$@"; }
if [ "$(id -u)" = 0 ] && command -v setcap >/dev/null && command -v setpriv >/dev/null &&
	mkdir rights && cp "$cmd" "$forward" rights/ && chmod 755 . rights && setcap cap_perfmon=p rights/spanmark 2>/dev/null &&
	as_nobody rights/spanmark --version >/dev/null 2>&1; then
	tried=$((tried + 2))
	mkdir -m 777 home
	as_nobody env HOME="$tmp/home" timeout 300 rights/spanmark run $small --backend preload:rights/forward.so -f csv >out 2>err
	case $?:$(cat out) in
	1:*"gives it rights (setuid, capabilities), so the loader ignores LD_PRELOAD"*) ;;
	0:*) echo "SKIP a program with rights of its own: the kernel grants none here (nosuid?)" ;;
	*) bad "rights of the file: $(cat out err)" ;;
	esac
	cp "$cmd" rights/plain
	as_nobody --inh-caps=+perfmon --ambient-caps=+perfmon env HOME="$tmp/home" timeout 300 rights/plain run $small \
		--backend preload:rights/forward.so >out 2>err || bad "rights of the caller: $(cat out err)"
else
	echo "SKIP a program with rights of its own: not root, no setcap or setpriv, or no capabilities of files here"
fi

# A malloc that has no memory and leaves errno alone.
timeout 300 "$cmd" run $small --backend "preload:$build/mallocs/nothing.so" >out 2>err && bad "no malloc, and status 0"
tr -s ' \n' ' ' <out | grep -q "cannot read the job: Cannot allocate memory" || bad "no malloc: $(cat out err)"
# The longest name is whole, within 100 columns.
expect 0 "$cmd" run $small --backend libc,spanmark-malloc
says "churn        spanmark-malloc "
[ -z "$(awk 'length($0) > 100' out)" ] || bad "wider than 100 columns: $(awk 'length($0) > 100' out)"

# ---- what is not installed ------------------------------------------------------------------------
# A loader's cache and folders that hold nothing would take a machine of its own: a copy of the command without its library.
mkdir -p alone/bin && cp "$cmd" alone/bin/
tried=$((tried + 1))
timeout 300 alone/bin/spanmark run $small --backend libc,spanmark-malloc --store lab.db >out 2>err || bad "status $?: $(cat err)"
if grep -q "^churn *spanmark-malloc *n/a 2" out; then
	says "n/a 2: not installed: no libspanmark-malloc.so beside spanmark"
	says "[1/3] 1 of 2 cases done" err
	timeout 300 alone/bin/spanmark run $small --backend libc,spanmark-malloc -f csv >out 2>err || bad "status $?"
	grep -q ',spanmark-malloc,sample,,,,,,n/a,' out || bad "CSV: $(cat out)"
	[ "$(grep -c ',spanmark-malloc,' out)" = 1 ] || bad "one row of what is not there: $(cat out)"
	timeout 300 alone/bin/spanmark run $small --backend spanmark-malloc >out 2>err
	[ $? = 2 ] || bad "nothing can run: status"
	says "nothing of this can run here: backend spanmark-malloc is not installed" err
	timeout 60 "$cmd" compare --store lab.db libc spanmark-malloc >out 2>err
	[ $? = 2 ] || bad "compare with what is not there: status"
	says "churn: spanmark-malloc of spanmark-malloc: not installed" err
	# Repetitions until intervals are narrow do not wait for it.
	timeout 60 alone/bin/spanmark run -w churn -p ops=2000 --seed 3 -c none --until 50% --max-time 20s \
		--backend libc,spanmark-malloc >out 2>err || bad "until: status $?: $(cat err)"
	grep -q "^churn *spanmark-malloc *n/a 2" out || bad "until: $(cat out)"
	[ "$(sed -n 's/^.\([0-9]*\)\/\([0-9]*\)\] .*/\1 \2/p' err | tail -1 | awk '{ print $1 == $2 }')" = 1 ] ||
		grep -q "max-time" err || bad "until: samples are counted that are never run: $(cat err)"
else
	echo "SKIP a library that is not there: it is installed here"
fi
mkdir -p alone/lib && cp "$build/libspanmark-malloc.so" alone/lib/
timeout 300 alone/bin/spanmark run $small --backend spanmark-malloc -f csv >out.csv 2>err || bad "installed: $(cat err)"
[ "$(column library spanmark-malloc out.csv)" = "$(realpath alone/lib/libspanmark-malloc.so)" ] || bad "installed: $(cat out.csv)"
[ -n "$(column version spanmark-malloc out.csv)" ] || bad "our own library has no version"

# ---- those of others ------------------------------------------------------------------------------
for name in mimalloc jemalloc tcmalloc; do
	if "$cmd" list backends | grep -A1 "^  $name " | grep -q "not installed"; then
		echo "SKIP $name: not installed"
		continue
	fi
	expect 0 "$cmd" run $small --backend $name -f csv -o out.csv
	case $(column library $name out.csv) in *lib$name*) ;; *) bad "$name: $(cat out.csv)" ;; esac
	case $(column version $name out.csv) in [0-9]*.[0-9]*) ;; *) bad "version of $name: $(column version $name out.csv)" ;; esac
	expect 0 "$cmd" run $small --backend $name
	says "library  $name $(column version $name out.csv) (lib$name"
done

if "$cmd" list backends | grep -A1 "^  bdwgc " | grep -q "not installed"; then
	echo "SKIP bdwgc: not installed"
else
	expect 0 "$cmd" run $small --backend bdwgc,gc -f csv -o out.csv
	case $(column library bdwgc out.csv) in *libgc.so*) ;; *) bad "bdwgc: $(cat out.csv)" ;; esac
	case $(column version bdwgc out.csv) in [0-9]*.[0-9]*.[0-9]*) ;; *) bad "version of bdwgc: $(column version bdwgc out.csv)" ;; esac
	[ -z "$(column library gc out.csv)" ] || bad "gc has a library: $(cat out.csv)"
	[ "$(grep -c '^[^,]*,0,,,,,,,bdwgc,gc_cycles,,[0-9]*,cycles,,,ok,' out.csv)" = 1 ] || bad "no cycles of bdwgc: $(cat out.csv)"
	# Its own threads are counted by nobody, which is said; without them nothing is.
	tried=$((tried + 1))
	GC_MARKERS=1 timeout 300 "$cmd" run $small --backend bdwgc >out 2>err || bad "GC_MARKERS=1: $(cat err)"
	grep -q "bdwgc marks with" out && bad "threads that are not there: $(cat out)"
	refuse "graph: backend=bdwgc: must be gc" run $small -w graph -p ops=1 --backend bdwgc
fi

# ---- programs -------------------------------------------------------------------------------------
# Debian's python3 is linked for one place: malloc's address in it is a stub of its own, whoever serves it.
if python=$(python3 -c "import os, sys; print(os.path.realpath(sys.executable))" 2>/dev/null); then
	expect 0 "$cmd" run --program "$python -c 1" --reps 1 -c none --backend "libc,spanmark-malloc,preload:$forward" -f csv -o out.csv
	[ "$(column library "preload:$forward" out.csv)" = "$(realpath "$forward")" ] || bad "python3: $(cat out.csv)"
	case $(column library libc out.csv) in */libc.so.6 | */libc-*.so) ;; *) bad "python3 on libc: $(cat out.csv)" ;; esac
	# Asked of a process of ours that runs with it.
	case $(column version libc out.csv) in [0-9]*.[0-9]*) ;; *) bad "python3: version of libc: $(column version libc out.csv)" ;; esac
	[ -n "$(column version spanmark-malloc out.csv)" ] || bad "python3: our version: $(cat out.csv)"
else
	echo "SKIP programs: no python3"
fi

# ---- compare --------------------------------------------------------------------------------------
cp "$build/libspanmark-malloc.so" ./copy.so
expect 0 "$cmd" run $small --backend "preload:./copy.so" --store lab.db
run=$(sqlite3 lab.db 'SELECT max(id) FROM run' 2>/dev/null || echo)
if [ -n "$run" ]; then
	timeout 300 "$cmd" compare --store lab.db 1/preload:./copy.so "$run/preload:./copy.so" >out 2>err || bad "compare: $(cat err)"
	says "differs: preload:./copy.so: version unknown (copy.so, build"
	timeout 300 "$cmd" compare --store lab.db 1/libc 1/preload:./copy.so >out 2>err || bad "compare: $(cat err)"
	grep -q "differs: .*libc" out && bad "two backends are no hidden difference: $(cat out)"
else
	echo "SKIP compare: no sqlite3"
fi

# ---- Callgrind ------------------------------------------------------------------------------------
if command -v valgrind >/dev/null; then
	expect 0 "$cmd" run -w churn -p ops=2000 --reps 1 --seed 3 -c sim --backend "preload:$forward" -f csv -o out.csv
	[ "$(column library "preload:$forward" out.csv)" = "$(realpath "$forward")" ] || bad "under Callgrind: $(cat out.csv)"
else
	echo "SKIP Callgrind: no valgrind"
fi

finish
