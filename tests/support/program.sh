# What the tests of whole programs share: tests/cli/test_program*.sh, test_server.sh. Sourced as command.sh is, which it begins
# with; tests/program/behave.c lies in the folder, under a name of its own, as $b.
set -u
. "$(dirname "$0")/../support/command.sh"
command -v python3 >/dev/null || { echo "no python3 to read JSON with"; exit 77; }
# A name of its own: what still runs of it is found by that.
mark=behave-$$
cp "$build/program/behave" "$mark" && cp "$build/program/behave-static" "$mark-static" || { echo "no $build/program/behave"; exit 77; }
b=$tmp/$mark
echo "$b" >name
running() { # the processes in whose command line our name is
	grep -lsaF -f name /proc/[0-9]*/cmdline | sed 's/[^0-9]//g'
}
trap 'for p in $(running); do kill -9 "$p"; done; rm -rf "$tmp"' EXIT
gone() { # gone WHAT: at once, or within a while where the command itself was killed
	for _ in $(seq "${2:-1}"); do
		left=$(running)
		[ -n "$left" ] || return 0
		[ "${2:-1}" = 1 ] || sleep 0.1
	done
	bad "$1: still runs: $left"
	for p in $left; do kill -9 "$p"; done
}
# run NAME STATUS EXPRESSIONS.. -- OPTIONS..: what is true of sample s (the first), its results r and warnings w, of all samples?
cat >run.py <<'PY'
import json, os, subprocess, sys
cmd, name, want, *rest = sys.argv[1:]
expressions, options = rest[:rest.index("--")], rest[rest.index("--") + 1:]
def bad(*words):
    print("FAIL", name + ":", *words)
    sys.exit(1)
if os.path.exists("out.json"):
    os.unlink("out.json")
with open("log", "w") as log:
    try:
        status = subprocess.run([cmd, "run", "-n", "1", "-f", "json", "-o", "out.json", *options], stdout=log, stderr=log,
                                timeout=600).returncode
    except subprocess.TimeoutExpired:
        bad("does not end")
if status != int(want):
    bad("status", status, "not", want, open("log").read()[-600:])
all = json.load(open("out.json"))["samples"]
s = all[0]
# how busy this machine is, is another matter
s["warnings"] = [x for x in s["warnings"] if not x.startswith("meanwhile: ")]
r, w = s["results"], " ".join(s["warnings"])
for e in expressions:
    if not eval(e):
        bad(e, "\n  is not true of", {k: s[k] for k in ("status", "message", "warnings", "results", "output")})
PY
run() {
	python3 run.py "$cmd" "$@" || fails=$((fails + 1))
	gone "$1"
}
# refused NAME TEXT OPTIONS..: status 2, a line with the text, nothing run
refused() {
	name=$1 text=$2
	shift 2
	timeout 300 "$cmd" run -n 1 "$@" >log 2>&1
	status=$?
	[ "$status" = 2 ] || { bad "$name: status $status, not 2"; tail -n 3 log; }
	grep -qF -- "$text" log || { bad "$name: does not say '$text'"; cat log; }
	[ "$(wc -l <log)" = 1 ] || { bad "$name: not one line"; cat log; }
	gone "$name"
}
plain="-c none"
# limit OPTIONS..: the least of some that lasts until the stubborn one has said that it stays, on this machine
limit() {
	for limit in 1 5 25 100; do
		"$cmd" run -n 1 -f json $plain --timeout $limit "$@" >log 2>&1
		! grep -q 'I stay' log || break
	done
	echo $limit
}
case $build in *address* | *thread* | *undefined*) sane= ;; *) sane=1 ;; esac
