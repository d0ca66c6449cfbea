#!/bin/sh
# spanmark run --trace: both formats decode with the public schema, hold the same of the same events, and say what the
# report says; what is dropped is counted and shown; the file appears whole or not at all.
#
#   tests/cli/test_trace.sh BUILD_DIR
set -u
# shellcheck source=tests/support/command.sh
. "$(dirname "$0")/../support/command.sh"

# Debian's python3 has the package; one that comes first in PATH may not.
python=""
for p in python3 /usr/bin/python3; do
	if "$p" -c 'import google.protobuf' 2>/dev/null && command -v protoc >/dev/null; then python=$p; break; fi
done
timeline() { "$python" "$root/tests/support/timeline.py" "$@"; }

# ---- what is refused ----
refuse "--trace: cannot write" run -q -w churn --trace .
refuse "--trace: cannot write" run -q -w churn --trace none/t
refuse "--trace: '/dev/null' is no regular file" run -q -w churn --trace /dev/null
refuse "--counters=sim" run -q -w churn --trace t -c sim
refuse "--program" run -q --trace t --program true
refuse "--server" run -q --trace t --server 'sleep 9' --client true --ready 1
refuse "--trace and --output name one file, 't'" run -q -w churn --trace t -o t
refuse "--trace and --store name one file, 't'" run -q -w churn --trace t --store t
refuse "leave --resume out" run --store t --resume --trace u
expect 0 "$cmd" run -q -w churn --trace t --dry-run
[ ! -e t ] || bad "--dry-run wrote a timeline"

# ---- the same events in both formats; dropped ones ----
"$build/tests/test_trace" --print . >dropped
[ "$(wc -l <dropped)" = 2 ] || bad "no files of dropped events"
if [ -n "$python" ]; then
	timeline --same same.pftrace same.json || bad "formats differ"
	while read -r file n; do timeline --dropped "$file" "$n" || bad "dropped events of $file"; done <dropped
else
	echo "SKIP both formats decoded: no protoc and python3-protobuf"
fi

# ---- a run against its report: threads, several samples, backends, modes; without counters ----
try() { # FILE OPTIONS..
	file=$1
	shift
	expect 0 "$cmd" run -q --seed 1 "$@" --trace "$file" -f json -o report.json
	grep -q "timeline is in '$file': [0-9]* events of [0-9]* samples, [0-9]* dropped" err || bad "$(cat err)"
	[ -z "$python" ] || timeline --check "$file" report.json || bad "the timeline of $*"
	if ls "$file".* >/dev/null 2>&1; then bad "a temporary file is left"; fi
}
for format in pftrace json; do
	try "run.$format" -w binary-trees,churn -b gc,span,libc --threads 1,2
	try "modes.$format" -w graph,larson -b gc --set gc.mode=stw,concurrent
	TIMELINE_MAY_DROP=1 try "bare.$format" -w churn -b gc --counters none
done

# ---- a sample that crashes stays as far as it got, and the file is whole ----
if [ -n "$python" ]; then
	for format in pftrace json; do
		expect 1 "$cmd" run -w churn -b gc -p ops=1000g --reps 1 --timeout 1 --trace "cut.$format" -o /dev/null
		[ "$(timeline --count "cut.$format" | cut -d' ' -f2)" = 1 ] || bad "a sample that was killed is not in cut.$format"
		says "0 events of 0 samples, 0 dropped, and a part of 1 sample;" err
	done
fi

# ---- a disk that is full: the file is whole, nobody counts what it lacks, the run goes on ----
for format in pftrace json; do
	(trap '' XFSZ; ulimit -f 600; exec "$cmd" run -q -w churn -b gc -p ops=20m --reps 2 -c none --no-store --trace "full.$format" \
		-f json -o full.report >out 2>err) || bad "a full disk is no failure of the run: $(cat err)"
	# How much of each fits is the writer's pace: both are told of, the first has a part
	grep -Eq " 0 events of 0 samples, 0 dropped, and a part of (1 sample, and nothing of 1 sample|2 samples);" err ||
		bad "a full disk: $(cat err)"
	grep -q "the timeline ends early" full.report || bad "a full disk is not told"
	if grep -q '"trace_events"' full.report; then bad "events that nobody has are counted"; fi
	[ -z "$python" ] || timeline --count "full.$format" | cut -d' ' -f2 | grep -qx '[12]' || bad "a full disk: full.$format"
done

# ---- who reads one of any length holds little of it ----
if [ -n "$python" ]; then
	for i in 1 2 3 4 5 6 7 8 9 10 11 12; do cat same.pftrace; done >long.pftrace
	(ulimit -v 160000; timeline --count long.pftrace) >count || bad "counting holds the file"
	truncate -s 200M huge.json
	timeline --dropped huge.json 0 2>err && bad "a file of any length is held"
	says "up to 134217728" err
fi

# ---- interrupted, it holds what was measured; the rest is not measured without ----
"$cmd" run -q -w churn -b libc,gc --reps 1000 --trace i.pftrace --store s.db -o /dev/null >out 2>err &
pid=$!
# Until the first sample is being written; what there is of it stays. (A shell has its children ignore INT.)
while kill -0 $pid 2>/dev/null && ! [ -s "$(ls i.pftrace.* 2>/dev/null)" ]; do sleep 0.1; done
kill -TERM $pid
wait $pid
grep -q "timeline is in 'i.pftrace'" err || bad "interrupted: $(cat err)"
[ -z "$python" ] || [ "$(timeline --count i.pftrace | cut -d' ' -f2)" -ge 1 ] || bad "an interrupted run's timeline is empty"
refuse "begun with --trace" run --store s.db --resume
finish
