#!/bin/sh
# tests/layers.sh must accept the tree as it is and refuse each kind of bad include planted in a copy.
set -eu
here=$(cd "$(dirname "$0")/.." && pwd)
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
fails=0

# check NAME EXPECTED_STATUS FILE INCLUDE
check() {
	mkdir -p "$(dirname "$tmp/$3")"
	printf '#include <stdio.h>\n  # include "%s"\n' "$4" >"$tmp/$3"
	status=0
	"$here/layers.sh" "$tmp" >"$tmp/log" 2>&1 || status=$?
	if [ "$status" != "$2" ]; then
		echo "FAIL $1: status $status, expected $2"; cat "$tmp/log"; fails=1
	elif [ "$2" = 1 ] && ! grep -q "^$3:2: .*$4" "$tmp/log"; then
		echo "FAIL $1: the message does not name $3:2 and $4"; cat "$tmp/log"; fails=1
	fi
	rm -f "$tmp/$3"
}
check "down one layer" 0 collector/cycle/gc.c allocator/pages/span.h
check "through the door" 0 collector/cycle/gc.c spanmark/gc.h
check "allocator to the collector's door" 1 allocator/objects/span.c spanmark/gc.h
check "the door to a room" 1 include/spanmark/gc.h allocator/pages/span.h
check "down two layers" 0 harness/main.c allocator/pages/span.h
check "tests see all" 0 tests/test_x.c harness/plan/plan.h
check "allocator up to collector" 1 allocator/objects/span.c collector/mark/mark.h
check "collector up to harness" 1 collector/mark/mark.h harness/plan/plan.h
check "perf to allocator" 1 perf/pin.c allocator/os/os.h
check "allocator to perf" 1 allocator/os/os.c perf/clock.h
check "collector to perf" 1 collector/mark/mark.c perf/clock.h
check "workloads up to harness" 1 workloads/wl_graph.c harness/options/options.h
check "anything to tests" 1 harness/run/x.c tests/support/x.h
check "a room to itself" 0 allocator/pages/arena.c allocator/pages/range.h
check "malloc to stats" 0 allocator/malloc/malloc.c allocator/stats/corestats.h
check "base up to os" 1 allocator/base/lock.c allocator/os/os.h
check "os up to pages" 1 allocator/os/os.c allocator/pages/pages.h
check "pages up to objects" 1 allocator/pages/range.h allocator/objects/heap.h
check "pages up to malloc" 1 allocator/pages/scavenge.c allocator/malloc/depot.h
check "pages to the heap.s door" 0 allocator/pages/range.h spanmark/heap.h
check "pages to a stack.s door" 1 allocator/pages/range.h spanmark/stack.h
check "stats to malloc.s door" 1 allocator/stats/heapstats.c spanmark/malloc.h
check "objects up to malloc" 1 allocator/objects/mapfile.c spanmark/malloc.h
check "objects up to stats" 1 allocator/objects/heap.c allocator/stats/corestats.h
check "stats up to malloc" 1 allocator/stats/heapcheck.c allocator/malloc/depot.h
check "a folder of a room up" 1 allocator/os/arch/x86_64/rseq.h allocator/pages/pages.h
check "marking up to compaction" 1 collector/mark/mark.h collector/compact/compact.h
check "cycles down to marking" 0 collector/cycle/cycle.h collector/mark/mark.h
check "the collector as a whole" 0 collector/mark/mark.c collector/cycle/gc_internal.h
check "run to store" 0 harness/run/x.c harness/store/store.h
check "store up to run" 1 harness/store/x.c harness/run/runner.h
check "options up to plan" 1 harness/options/x.h harness/plan/plan.h
check "a room's folder up" 1 harness/program/witness/x.c harness/store/store.h
check "not root-relative" 1 allocator/base/lock.c lock.h
check "relative climb" 1 allocator/base/lock.c ../collector/mark/mark.h
# 20 files are a room, one more is not; what lies in its folders is not counted.
mkdir -p "$tmp/allocator/stats/arch"
for i in $(seq 20); do : >"$tmp/allocator/stats/f$i.c"; : >"$tmp/allocator/stats/arch/f$i.h"; done
"$here/layers.sh" "$tmp" >"$tmp/log" 2>&1 || { echo "FAIL a room of 20 files"; cat "$tmp/log"; fails=1; }
: >"$tmp/allocator/stats/f21.c"
if "$here/layers.sh" "$tmp" >"$tmp/log" 2>&1 || ! grep -q '^allocator/stats: 21 files' "$tmp/log"; then
	echo "FAIL a room of 21 files"; cat "$tmp/log"; fails=1
fi
rm "$tmp/allocator/stats/f21.c"
mkdir "$tmp/harness/attic"
: >"$tmp/harness/x.c"
if "$here/layers.sh" "$tmp" >"$tmp/log" 2>&1 || ! grep -q '^harness/attic: ' "$tmp/log" ||
	! grep -q '^harness/x.c: ' "$tmp/log"; then
	echo "FAIL a room and a file without a place"; cat "$tmp/log"; fails=1
fi
"$here/layers.sh" || fails=1
exit $fails
