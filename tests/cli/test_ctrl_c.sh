#!/bin/sh
# INT at a sample in flight: the first lets it finish, prints what there is, and ends the command by the signal (status 130); the
# second drops the sample, likewise. TERM and HUP do not wait. Every step is told by the other side through a pipe.
#
#   tests/cli/test_ctrl_c.sh BUILD_DIR
set -u
. "$(dirname "$0")/../support/command.sh"
command -v python3 >/dev/null || { echo "no python3"; exit 77; }

# The program that is measured says on the FIFO `began` that it runs, and ends when FIFO `go` says so.
mkfifo began go
cat >program <<'PY'
#!/bin/sh
echo "$$" >began
read -r word <go
PY
chmod +x program

cat >press.py <<'PY'
# press.py SIGNALS COMMAND..: runs it, waits until the program runs, sends one signal after the other, each when the one before has
# been answered; lets the program go after the first where it is alone
import json, os, pty, signal, subprocess, sys
signals, cmd = [getattr(signal, "SIG" + s) for s in sys.argv[1].split(",")], sys.argv[2:]
p = subprocess.Popen(cmd, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                     preexec_fn=lambda: [signal.signal(s, signal.SIG_DFL) for s in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)])
said = b""
def until(text):
    global said
    while text not in said:
        got = os.read(p.stderr.fileno(), 4096)
        assert got, "it ended: %r" % said
        said += got
program = int(open("began").read())  # opens when the program does
p.send_signal(signals[0])
if signals[0] == signal.SIGINT:
    until(b"a second interrupt drops it")
if len(signals) > 1:
    p.send_signal(signals[1])
elif signals[0] == signal.SIGINT:
    open("go", "w").write("go\n")
said += p.stderr.read()
status = p.wait()
assert status == -signals[-1], (status, said)
left = json.load(open("out.json"))
left = left["state"] != "done" or len(left["samples"]) < left["planned"]
assert (b"interrupted: the report has what was measured until then" in said) == left, said
assert (b"interrupted: all samples had been measured" in said) == (not left), said
try:
    os.kill(program, 0)
    alive = open("/proc/%d/stat" % program).read().rsplit(")", 1)[1].split()[0] != "Z"
except (ProcessLookupError, FileNotFoundError):
    alive = False
assert not alive, "the program lives"
report = json.load(open("out.json"))
print(report["state"], " ".join(s["status"] for s in report["samples"]))
PY
run="$cmd run --program ./program --reps 3 --counters none --timeout 200 -f json -o out.json"
press() { # press SIGNALS WANTED
	rm -f out.json
	expect 0 timeout 250 python3 press.py "$1" $run || return
	[ "$(cat out)" = "$2" ] || bad "$1: '$(cat out)' instead of '$2'"
}
press INT "interrupted ok"
press INT,INT "interrupted "
press INT,TERM "interrupted "
run="$run --reps 1"
press INT "done ok"
press TERM "interrupted "
run="${run% --reps 1}"
press TERM "interrupted "
press HUP "interrupted "
finish
