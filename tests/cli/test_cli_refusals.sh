#!/bin/sh
# Every option of every command with hostile values: one line on stderr that names it and says what is allowed, nothing on
# stdout, status 2, nothing written. And outputs that cannot be written.
#
#   tests/cli/test_cli_refusals.sh BUILD_DIR
set -u
. "$(dirname "$0")/../support/command.sh"

long=$(printf 'a%.0s' $(seq 300))
# ---- run: names and lists ----
for o in --workload --backend --threads --workers --place --mark-place --counter-set --event; do
	refuse "$o" run $o ''
	refuse "$o" run $o ,
	refuse "$o" run $o a,,b
	refuse "$o" run $o
done
for o in --param --set; do
	refuse "KEY=VALUE" run $o ''
	refuse "KEY=VALUE" run $o novalue
	refuse "KEY=VALUE" run $o =3
	refuse "KEY=VALUE" run $o k=
	refuse "nokey" run -w graph $o nokey=1
	refuse "$(printf 'a%.0s' $(seq 20))" run -w graph $o "$long=1"
done
for o in --backend --place --mark-place --counters --by --format --color; do
	refuse "allowed:" run $o nonsense
	refuse "allowed:" run $o "$long"
done
refuse "gc" run -w slices --backend libc
refuse "nosuch" run -w nosuch
refuse "nosuch" run -w graph -C nosuch
refuse "/nosuch.ini" run -w graph -C /nosuch.ini
for e in nosuch r rzz sw::nosuch sw:: tp::a tp:: sim::nosuch cpu/ cpu// cpu/event=/ cpu/event=zz/ cpu/event=1/x /event=1/ \
	cpu/,/ "cpu/=1/" ../event=1/ "$long"; do
	refuse "$(printf '%.8s' "$e")" run -w churn -e "$e"
done
# ---- run: numbers ----
for v in -1 x 2x 0x2 1.5 nan 99999999999999999999; do
	refuse "--threads" run -w churn --threads $v
	refuse "--workers" run -w graph --workers $v
	refuse "--reps" run -w churn --reps $v
	refuse "objects" run -w graph -p objects=$v
	refuse "gc.percent" run -w graph --set gc.percent=$v
done
refuse "1 to 4096" run -w churn --threads 0
refuse "0 (the default) to 256" run -w graph --workers 257
refuse "1 to 1000" run --reps 1001
refuse "allowed: 1 to" run -w churn --threads 4096
# A kernel that does not tell which pages were written: a container's filter denies userfaultfd.
if ${CC:-cc} -O1 -o filter "$root/tests/programs/filtered.c" -lseccomp 2>err; then
	printf '#!/bin/sh\nexec "%s/filter" docker "%s" "$@"\n' "$tmp" "$cmd" >filtered
	chmod +x filtered
	if ./filtered run -w churn -b gc --set gc.generations=on --set gc.remember=none --dry-run >out 2>&1; then
		echo "SKIP gc.remember=none: this kernel has soft-dirty bits"
	else
		(
			cmd=$tmp/filtered
			refuse "set cards or objects" run -w churn -b gc --set gc.generations=on --set gc.remember=none
			[ $fails = 0 ]
		) || fails=$((fails + 1))
	fi
else
	echo "SKIP gc.remember=none: no libseccomp"
fi
for v in 0 -1 nan inf 1e99 x 169h 1h30 ''; do refuse "--timeout" run --timeout "$v"; done
for v in -1 x 0x 18446744073709551616 ''; do refuse "--seed" run --seed "$v"; done
# ---- run: what does not go together ----
refuse "allowed" run -w graph --workers 4096
refuse "dedicated" run -w graph --workers 256 --mark-place dedicated
refuse "--workers 1 contradicts --set gc.workers=3" run -w graph --workers 1 --set gc.workers=3
expect 0 "$cmd" run -w graph --workers 3 --set gc.workers=0,3 --dry-run
refuse "--dry-run" run --topology core:2
refuse "no L3" run --topology "core:2 pu:1" --dry-run --by l3
refuse "there is no store 'spanmark.db'" run --resume
refuse "--no-store" run --resume --no-store
refuse "nothing to resume" run --resume --store none.db
refuse "-e and -C" run --counters none -C cycles
refuse "one file" run -o x.db --store x.db
refuse "one file" run -o ./x.db --store x.db
refuse "one file" run -o x.db-wal --store x.db
refuse "--topology" run --topology core:0 --dry-run
refuse "--topology" run --topology /nosuch.xml --dry-run
refuse "--topology" run --topology /dev/null --dry-run
refuse "allowed: 1 to 2" run --topology "core:2 pu:1" --dry-run -w churn --threads 3
for o in '' --dry-run; do
	refuse "threads=3: must be even" run -w churn,handoff -t 3 $o
	refuse "min_size=600: must be at most max_size, 100" run -w larson -p min_size=600 -p max_size=100 $o
	refuse "edges=4096: must be at most 2" run -w graph -p edges=4096 -p size=16 $o
	refuse "longest=26: must be at most stretch, 4" run -w gcbench -p stretch=4 -p longest=26 $o
done
# ---- run: places ----
for f in /nosuch/x . /proc/1/x; do refuse "$f" run -w churn -o $f; done
for f in /nosuch/x.db . /proc/x.db; do refuse "$f" run -w churn --store $f; done
[ -w /dev/full ] && refuse "/dev/full" run -w churn --store /dev/full
for f in /nosuch .; do refuse "$f" run --config $f; done
# ---- run: the options themselves ----
refuse "--nosuch" run --nosuch
refuse "did you mean '--workload'" run --work graph
refuse "-Z" run -Z
refuse "takes no value" run --quick=3
refuse "stray" run stray
# ---- the other commands ----
# An empty name, as an unset variable of a script makes it, is no name.
while read -r c o; do
	refuse "--$o: '' is not allowed; allowed: a name that is not empty" "$c" --"$o" ''
done <<END
run store
show store
report store
report output
compare store
lbo store
runs store
tune store
tune output
tune check
doctor output
topo xml
END
for c in report delete compare events; do
	refuse "'' is not allowed; allowed: something that is not empty" "$c" ''
	grep -q null err && bad "$c: an operand is called (null): $(cat err)"
done
for v in x -1 4097 1.5 ''; do
	refuse "--threads" topo --threads "$v"
	refuse "--workers" topo --workers "$v"
done
for c in topo doctor; do
	refuse "allowed: table, json" $c --format csv
	refuse "allowed: table, json" $c -f csv
	refuse "--format needs a value" $c -f
	refuse "stray" $c stray
	refuse "--nosuch" $c --nosuch
	refuse "--format" $c --format
done
refuse "allowed" topo --place nowhere
refuse "allowed" topo --mark-place nowhere
refuse "of one kind; allowed: all" topo --synthetic "core:2 pu:1" --kind p --threads 1
refuse "of one kind; allowed: all" topo --synthetic "core:2 pu:1" --kind z
refuse "of one kind; allowed: all" run -w churn --topology "core:2 pu:1" --dry-run --kind p
refuse "allowed" topo --threads 4096 --place compact
refuse "/nosuch" topo --xml /nosuch
refuse "/dev/null" topo --xml /dev/null
refuse "zzz" topo --synthetic zzz
refuse "exclude" topo --xml /dev/null --synthetic core:2
refuse "--output: cannot write '/nosuch/x'" doctor -o /nosuch/x
refuse "Is a directory" doctor --script -o .
# What cannot be written leaves what stood there.
echo kept >kept.sh
expect 1 sh -c "trap '' XFSZ; ulimit -f 1; exec '$cmd' doctor --script -o kept.sh" && says "--output: cannot write" err
[ "$(cat kept.sh)" = kept ] || bad "doctor -o: a full disk took the file that was there"
rm kept.sh
refuse "nosuch" events --pmu nosuch
refuse "/nosuch.ini" events --check /nosuch.ini
refuse "--nosuch" events --nosuch
refuse "nosuch" list nosuch
refuse "one too many" list sets more
refuse "nosuch" nosuch
# ---- a full disk: one line, status 1 ----
if [ -w /dev/full ]; then
	for c in --help --version list topo "topo --format json" "events --sets" "run --help" "topo --threads 1" \
		"run -w churn -p ops=20000 --reps 1 --counters none --dry-run"; do
		tried=$((tried + 1))
		timeout 300 "$cmd" $c >/dev/full 2>err </dev/null
		got=$?
		[ $got = 1 ] && [ "$(wc -l <err)" = 1 ] && grep -q "No space left" err ||
			bad "status $got, $(wc -l <err) lines: $c >/dev/full: $(cat err)"
	done
fi
finish
