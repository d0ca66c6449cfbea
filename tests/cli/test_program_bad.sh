#!/bin/sh
# spanmark run --program with tests/program/behave.c, which does not behave: each has a defined end, its sample is kept, and
# nothing of it runs afterwards; not even where the command itself is killed.
#
#   tests/cli/test_program_bad.sh BUILD_DIR
. "$(dirname "$0")/../support/program.sh"

# ---- what misbehaves ----------------------------------------------------------------------------
run "a status" 1 's["status"] == "failed"' '"exited with status 7; it said: last words" in s["message"]' '"first words" in s["output"]' \
	-- $plain --program "$b status 7"
run "a signal" 1 's["status"] == "failed"' '"ended by signal 11" in s["message"]' -- $plain --program "$b signal 11"
limit=$(limit --program "$b stubborn")
run "a limit" 1 's["status"] == "timeout"' '"limit of '"$limit"' s" in s["message"] and "I stay" in s["message"]' -- $plain \
	--timeout "$limit" --program "$b stubborn"
run "a daemon" 0 's["status"] == "ok"' '"lived on after the program" in w' 's["output"] == "started\n"' -- $plain --program "$b daemon"
run "a GiB of output" 0 's["status"] == "ok"' 'r["first"] == 1 and r["last"] == 42' 'len(s["output"]) < 20000' -- $plain \
	--program "$b flood 1024" --metric 'first=first ([0-9]+)' --metric 'last=last ([0-9]+)'
run "a thousand children" 0 's["status"] == "ok"' 'r["children"] == 1000' 'not s["warnings"]' -- $plain --program "$b fork 1000" \
	--metric 'children=children ([0-9]+)'
# Small processes, many of them: that none is large bounds nothing.
run "a thousand children left behind" 0 's["status"] == "ok"' '"1000 processes" in w' \
	'r["peak_rss_kib"] is not None or "no process had more" in s["missing"]["peak_rss_kib"]' -- $plain --program "$b leave 1000"
run "closed descriptors" 0 's["status"] == "ok"' 's["output"] == ""' -- $plain --program "$b close"
run "something else executed" 0 's["output"] == "x y\n"' 's["workload"] == "'"$mark"'"' -- $plain --program "$b exec $b print 'x y'"
if [ "$(nproc)" -gt 1 ]; then
	run "other CPUs" 0 '"pins did not hold" in w' -- $plain -t 1 --place compact --program "$b affinity 5"
	run "no pins" 0 'not s["warnings"]' -- $plain -t 1 --place none --program "$b affinity 1"
else
	echo "SKIP other CPUs: there is one"
fi

# ---- before and after ---------------------------------------------------------------------------
run "setup and teardown" 0 's["status"] == "ok" and s["output"] == "made\n"' -- $plain --setup "sh -c 'echo made >made'" --program "cat made" \
	--teardown "mv made unmade"
[ -f unmade ] && [ ! -f made ] || bad "setup and teardown: not run"
rm -f unmade
run "a setup that fails" 1 '"setup" in s["message"] and "status 4; it said: oh" in s["message"]' -- $plain --setup "sh -c 'echo oh; exit 4'" \
	--program "$b print x" --teardown "touch torn"
[ -f torn ] || bad "a setup that fails: no teardown"
run "a teardown that fails" 0 's["status"] == "ok"' '"teardown" in w' -- $plain --program "$b print x" --teardown false
rm -f torn
run "a teardown after a limit" 1 's["status"] == "timeout"' -- $plain --timeout 1 --program "$b stubborn" --teardown "touch torn"
[ -f torn ] || bad "a teardown after a limit: not run"
# What a setup leaves running is there for the program, not of it, and ended last; it writes on.
run "a setup's daemon" 0 's["status"] == "ok" and not s["warnings"]' 's["output"] == "it lives\n"' -- $plain --setup "$b chatter" \
	--program "sh -c 'sleep 0.3; grep -qs ^$mark /proc/[0-9]*/comm && echo it lives'"

# ---- the command ends in the middle of it ---------------------------------------------------------
mkfifo tell
for sig in TERM KILL; do
	for what in "--program '$b stay'" "--server '$b stay' --ready never --client true" "--setup '$b stay' --program true"; do
		SM_TELL=$tmp/tell sh -c "exec '$cmd' run -n 1 -c none -f json -o out.json $what --teardown 'touch torn-$sig'" >log 2>&1 &
		pid=$!
		rm -f "torn-$sig"
		read -r told <tell
		[ "$told" = told ] || bad "$sig: nothing was started"
		kill -s $sig $pid
		wait $pid
		gone "$sig, $what" 1200
		[ $sig = KILL ] || [ -f "torn-$sig" ] || bad "$sig, $what: no teardown"
	done
done
# The worker itself is killed: the command ends what it left.
SM_TELL=$tmp/tell "$cmd" run -n 1 -c none --program "$b stay" >log 2>&1 &
pid=$!
read -r told <tell
worker=$(tr -d ' ' </proc/$pid/task/$pid/children)
kill -9 "$worker"
wait $pid
grep -q 'signal 9' log || { bad "a killed worker"; cat log; }
gone "a killed worker" 1200
left=$(find /sys/fs/cgroup -name "spanmark-$worker" 2>/dev/null)
[ -z "$left" ] || bad "a killed worker: the control group $left is left"

finish
