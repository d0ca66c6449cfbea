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
check "down one layer" 0 collector/gc.c allocator/objects/span.h
check "down two layers" 0 harness/main.c allocator/objects/span.h
check "tests see all" 0 tests/test_x.c harness/plan.h
check "allocator up to collector" 1 allocator/objects/span.c collector/mark.h
check "collector up to harness" 1 collector/mark.h harness/plan.h
check "perf to allocator" 1 perf/pin.c allocator/os/os.h
check "allocator to perf" 1 allocator/os/os.c perf/clock.h
check "collector to perf" 1 collector/mark.c perf/clock.h
check "workloads up to harness" 1 workloads/wl_graph.c harness/options.h
check "anything to tests" 1 harness/run.c tests/support/x.h
check "not root-relative" 1 allocator/base/lock.c lock.h
check "relative climb" 1 allocator/base/lock.c ../collector/mark.h
"$here/layers.sh" || fails=1
exit $fails
