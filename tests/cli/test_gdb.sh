#!/bin/sh
# contrib/gdb.py answers for a program stopped in the middle of a cycle: its collector, mutators, queues, and the span
# of an object.
#
#   tests/cli/test_gdb.sh BUILD_DIR
set -eu
build=$1
root=$(cd "$(dirname "$0")/../.." && pwd)
command -v gdb >/dev/null 2>&1 || { echo "SKIP: gdb is not installed"; exit 77; }
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cat >"$dir/script" <<SCRIPT
set pagination off
set confirm off
set breakpoint pending on
set environment CK_FORK=no
set environment SM_TEST_SECONDS=100
handle SIGURG nostop noprint pass
source $root/contrib/gdb.py
break sm__verify_stw
run
sm-gcs
sm-mutators
sm-queues
python p = gc_of([])["mutators"]
python gdb.execute("sm-span %d" % (int(p["m"]["gc"]["range"]["base"]) + (1 << 14)))
sm-span 1
kill
SCRIPT
timeout 300 gdb -batch -x "$dir/script" "$build/tests/stress_graph" >"$dir/out" 2>&1 </dev/null || true
if grep -q 'ptrace.*not permitted\|Could not trace' "$dir/out"; then echo "SKIP: no ptrace here"; exit 77; fi
fails=0
want() { grep -qE "$1" "$dir/out" || { echo "FAIL: no line '$1'"; fails=1; }; }
want '^gc 0x[0-9a-f]+: (marking|terminating), [0-9]+ mutators, cycles: [0-9]+ started, [0-9]+ completed$'
want '^mutator 0x[0-9a-f]+: thread [0-9]+, (held|held, owner waits|running|blocked), barrier (on|off), poll'
want '^packets queued 0, active markers 0,'
want '^  node 0: 0 packets, 0 entries$'
want '^span of unit [0-9]+ at 0x[0-9a-f]+: '
want '^0x1 lies outside the heap'
[ "$fails" = 0 ] || { tail -40 "$dir/out"; exit 1; }
