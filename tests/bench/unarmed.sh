#!/bin/sh
# Whether gc.compact=auto differs from off where nothing moves: the workloads that ask for no collection (the others ask for a
# compaction where there is one), both settings in turn in one run, and what spanmark compare says of them. Sizes are those of
# --quick; with SIZE=full the workloads' own. gc.compact_percent=100 asks for all of the heap: no plan comes to that.
# COUNTERS=sim compares simulated instructions by role instead of wall time: long, but other load does not touch them.
#
#   tests/bench/unarmed.sh BUILD_DIR [REPS]
set -eu
cmd=$(realpath "$1")/spanmark reps=${2:-12} counters=${COUNTERS:-none}
tmp=$(mktemp -d)
set --
trap 'rm -rf "$tmp"' EXIT
cd "$(dirname "$0")/../.."
[ "${SIZE:-quick}" = full ] && quick='' || quick=--quick
names=$(grep -Lw 'sm_backend_collect\|sm_run_collect' workloads/wl_*.c | sed 's,.*/wl_\(.*\)\.c,\1,' | tr '_\n' '-,')
# shellcheck disable=SC2086
"$cmd" run $quick -w "${names%,}" --backend gc --set gc.compact=off,auto --set gc.compact_percent=100 \
	--reps "$reps" --counters "$counters" --store "$tmp/unarmed.db" >/dev/null
[ "$counters" = sim ] || set -- --metric wall_s
"$cmd" compare --store "$tmp/unarmed.db" --margin 1% "$@" gc.compact=off gc.compact=auto
