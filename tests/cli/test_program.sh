#!/bin/sh
# spanmark run --program: programs that behave well, the figures in what they print, and what is refused before anything runs.
#
#   tests/cli/test_program.sh BUILD_DIR
. "$(dirname "$0")/../support/program.sh"

# ---- what it should be --------------------------------------------------------------------------
run "a program" 0 's["status"] == "ok"' 's["workload"] == "'"$mark"'"' 's["params"]["program"] == "'"$b"' memory 64"' \
	'r["wall_s"] > 0 and r["ns_per_op"] > 0 and r["ops"] == 1' '64 * 1024 <= r["peak_rss_kib"] < 80 * 1024' \
	's["how"]["peak_rss_kib"]' 'r["minor_faults"] > 10' 's["output"] == "byte 1\n"' 's["library"]["path"].endswith("libc.so.6")' \
	'any(m["metric"] == "minor_faults" and m["role"] == "program" and m["value"] > 10 for m in s["metrics"])' \
	'not s["warnings"]' -- -C soft --program "$b memory 64"
# How its memory was measured is said in the same words by each sample: no number is in them.
run "a shell and its children" 0 's["status"] == "ok"' 'r["peak_rss_kib"] >= 32 * 1024' \
	'not any(c.isdigit() for c in s["how"]["peak_rss_kib"])' -- $plain \
	--program "sh -c '$b memory 32 & $b memory 16; wait'"
run "many programs" 0 'len(all) == 3' '[x["params"]["program"][-1] for x in sorted(all, key=lambda x: x["case"])] == ["1", "2", "3"]' \
	-- $plain --program "$b memory 1" --program "$b memory 2" --program "$b memory 1" --program "$b memory 3"
printf '# some\n\n  %s memory 1\n%s memory 2\r\n' "$b" "$b" >list
run "a file of programs" 0 'len(all) == 2' -- $plain --programs list
run "words" 0 's["output"] == "a b \"c\" $x\n"' -- $plain --program "$b print 'a b \"c\" \$x'"
run "beside workloads" 0 'len(all) == 2' '{x["workload"] for x in all} == {"churn", "'"$mark"'"}' -- $plain -q -w churn --program "$b memory 1"
if [ -n "$sane" ]; then
	run "our malloc" 0 's["library"]["path"].endswith("libspanmark-malloc.so")' 'not s["warnings"]' -- $plain -b spanmark-malloc \
		--program "$b memory 1"
	run "our malloc in all of a tree" 0 'not s["warnings"]' -- $plain -b spanmark-malloc --program "sh -c '$b memory 1; exec $b memory 2'"
	# A program that takes the library out of its children's environment: told.
	run "a child without it" 0 'all[0]["status"] == "ok"' -- $plain -b spanmark-malloc --program "env -u SPANMARK_WITNESS $b memory 1"
	printf '#include <stdlib.h>\nvoid *malloc(size_t n) { static char b[1 << 20]; static size_t at; return b + (at += n + 15 & ~15ul) - (n + 15 & ~15ul); }\nvoid free(void *p) { (void)p; }\nint main(void) { return malloc(10) == NULL; }\n' >own.c
	if ${CC:-cc} -O0 -o own own.c 2>/dev/null; then
		refused "a malloc of its own" "has a malloc of its own" --program "$tmp/own" -b spanmark-malloc
		run "a malloc of its own, as it is" 0 '"malloc of its own" in w' -- $plain -b libc --program "$tmp/own"
	fi
fi

# ---- figures ------------------------------------------------------------------------------------
run "figures" 0 'r["x"] == 12.5 and r["ops"] == 12.5' 'abs(r["ns_per_op"] * 12.5 / 1e9 - r["wall_s"]) < 1e-6' -- $plain \
	--program "$b print 'x: 1, x: 12.5'" --metric 'x=x: ([0-9.]+)' --metric 'ops=x: ([0-9.]+)' --better x=lower
run "no figure" 0 's["status"] == "ok"' 'r["x"] is None' 's["missing"]["x"] == "no line of the output matches"' '"x" in w' -- $plain \
	--program "$b print hello" --metric 'x=x: ([0-9.]+)'
run "no number" 0 'r["x"] is None' '"is not a number" in s["missing"]["x"]' -- $plain --program "$b print 'x: many'" --metric 'x=x: (.*)'
refused "no group" "no group" --program "$b print 1" --metric 'x=[0-9]+'
refused "a wrong expression" "regular expression is wrong" --program "$b print 1" --metric 'x=([0-9]+'
refused "no name" "NAME=REGEX" --program "$b print 1" --metric '=([0-9]+)'
refused "a name of ours" "measured anyway" --program "$b print 1" --metric 'wall_s=([0-9]+)'
refused "a direction" "NAME=higher" --program "$b print 1" --metric 'x=([0-9]+)' --better x=more
refused "a direction of nothing" "no --metric has this name" --program "$b print 1" --better x=lower
refused "a figure of nothing" "belong to --program" --metric 'x=([0-9]+)'
# The direction is kept with the samples: compare knows it.
if [ -n "$sane" ]; then
	"$cmd" run --store s.db -n 3 $plain -b libc,spanmark-malloc --program "$b print 'x: 7'" --metric 'x=x: ([0-9])' --better x=higher \
		--metric 'y=x: ([0-9])' >log 2>&1 || { bad "compare: run"; cat log; }
	"$cmd" compare --store s.db libc spanmark-malloc -f json >out.json 2>log || { bad "compare"; cat log; }
	grep -q '"x"' out.json || { bad "compare: x is no row"; cat out.json; }
	grep -q '"y"' out.json || { bad "compare: y, of no direction, is no row"; cat out.json; }
fi

# ---- what does not exist, or cannot be -----------------------------------------------------------
refused "no such file" "does not exist" --program "$tmp/none"
refused "not in PATH" "does not exist in any folder of PATH" --program "no-such-program-$$"
touch plain-file
refused "not executable" "is no file that may be executed" --program "$tmp/plain-file"
refused "a folder" "is no file that may be executed" --program "$tmp"
refused "an open quote" "is not closed" --program "$b print 'x"
refused "a pipe" "sh -c" --program "$b print x | cat"
refused "no command" "no command" --program "  "
refused "a file that is not there" "--programs: cannot read" --programs none
printf '%s print x\n\n%s print "x\n' "$b" "$b" >list
refused "a line of a file" "line 3" --programs list
echo "# nothing" >list
refused "a file of nothing" "there is no program in it" --programs list
refused "simulated" "--counters=sim" --program "$b print x" --counters sim
refused "gc" "does not apply to a program" --program "$b print x" -b gc
refused "span" "does not apply to a program" --program "$b print x" -b span
refused "a static program" "is linked statically" --program "$b-static print x" -b libc,spanmark-malloc
printf '#!%s print\n' "$b-static" >script && chmod +x script
refused "a script of one" "is linked statically" --program "$tmp/script" -b spanmark-malloc
run "a static program as it is" 0 's["status"] == "ok"' '"linked statically" in w' -- $plain -b libc --program "$b-static print x"
if [ "$(id -u)" = 0 ]; then
	cp "$b" "$b-setuid" && chown 65534 "$b-setuid" && chmod 4755 "$b-setuid"
	refused "a setuid program" "is setuid" --program "$b-setuid print x" -b spanmark-malloc
	run "a setuid program as it is" 0 's["status"] == "ok"' '"is setuid" in w' -- $plain -b libc --program "$b-setuid print x"
else
	echo "SKIP setuid: only root can give a file another owner"
fi
printf 'no binary' >garbage && chmod +x garbage
run "not a program" 1 's["status"] == "failed"' '"could not be executed" in s["message"]' -- $plain --program "$tmp/garbage"

# A setting env.NAME is in the environment of what is measured, and tells cases apart.
KNOB=1 "$cmd" run --program env --metric 'knob=KNOB=([0-9]+)' --counters none --reps 1 \
	--variant default --variant env.KNOB=7 --set env.OTHER=x -f json >knob.json 2>err || bad "env.: $(cat err)"
python3 - <<'PY' || bad "env. does not reach the program"
import json
seen = {s["config"].get("env.KNOB", "1"): s["results"]["knob"] for s in json.load(open("knob.json"))["samples"]}
assert seen == {"1": 1, "7": 7}, seen
PY

finish
