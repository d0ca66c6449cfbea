#!/bin/sh
# A run that is killed (SIGKILL) at 200 random moments and goes on each time by --resume ID: no sample that was there is gone or
# another one, none is there twice, and in the end each job of each run has one. Four runs at once into one store, beside readers.
# What a single write leaves behind: test_killed.c.
#
#   tests/cli/test_store_killed.sh BUILD_DIR        SM_TEST_SEED=N for the moments of another time
set -u
. "$(dirname "$0")/../support/command.sh"
command -v python3 >/dev/null || { echo "no python3 to look into the store with"; exit 77; }

cat >kill.py <<'PY'
import os, random, sqlite3, subprocess, sys, time
cmd = sys.argv[1]
# A sanitized command takes ten times as long to begin.
moments = 20 if any(s in cmd for s in ("address", "thread", "undefined")) else 200
seed = int(os.environ.get("SM_TEST_SEED") or int.from_bytes(os.urandom(4), "big"))
print("seed", seed)
random.seed(seed)
begin = [cmd, "run", "-w", "churn", "-p", "ops=100", "--backend", "libc,span", "-c", "none", "--reps", "20", "-f", "csv", "-o", "/dev/null"]
def go_on(run):
    return [cmd, "run", "--resume", str(run), "-f", "csv", "-o", "/dev/null"]
def samples():
    """{run: (planned, {ordinal: what was measured})}; sound, too"""
    if not os.path.exists("spanmark.db") or os.path.getsize("spanmark.db") == 0:
        return {}
    db = sqlite3.connect("spanmark.db", timeout=60)
    assert db.execute("PRAGMA quick_check").fetchall() == [("ok",)]
    if not db.execute("SELECT 1 FROM sqlite_master WHERE name='run'").fetchone():
        return {}
    found = {r: (p, {}) for r, p in db.execute("SELECT id,planned FROM run")}
    for run, ordinal, *rest in db.execute("SELECT run,ordinal,at,took_s,status,(SELECT count(*) FROM result WHERE sample=sample.id),"
                                          "(SELECT total(value) FROM result WHERE sample=sample.id) FROM sample"):
        assert ordinal not in found[run][1], (run, ordinal)
        found[run][1][ordinal] = rest
    db.close()
    return found
def unfinished(found):
    return [r for r, (planned, have) in found.items() if len(have) < planned]
def measure(argv):
    began = time.monotonic()
    status = subprocess.run(argv, stdout=subprocess.DEVNULL, stderr=open("log", "w"), stdin=subprocess.DEVNULL).returncode
    assert status == 0, (status, argv, open("log").read())
    return time.monotonic() - began
# Moments are spread over a start and a dozen samples, however slow this machine is.
whole = measure(begin[:-6] + ["--reps", "6"] + begin[-4:] + ["--store", "other.db"])
before, killed = {}, 0
while killed < moments:
    left = unfinished(before)
    process = subprocess.Popen(go_on(left[-1]) if left else begin, stdout=subprocess.DEVNULL, stderr=open("log", "w"), stdin=subprocess.DEVNULL)
    time.sleep(random.uniform(0, whole))
    ended = process.poll()
    process.kill()
    process.wait()
    assert ended in (None, 0), (ended, open("log").read())
    killed += ended is None
    now = samples()
    for run, (planned, have) in before.items():
        assert run in now and now[run][0] == planned, run
        for ordinal, was in have.items():
            assert now[run][1].get(ordinal) == was, (run, ordinal, was, now[run][1].get(ordinal))
    before = now
for run in unfinished(before):
    measure(go_on(run))
# One that was killed behind its last sample has not come to its end either.
for run in sqlite3.connect("spanmark.db").execute("SELECT id FROM run WHERE state<>'done'").fetchall():
    measure(go_on(run[0]))
assert sqlite3.connect("spanmark.db").execute("SELECT count(*) FROM run WHERE state<>'done'").fetchone() == (0,)
found = samples()
for run, (planned, have) in found.items():
    assert planned == 40 and sorted(have) == list(range(planned)), (run, sorted(have))
    assert all(h[2] == "ok" and h[3] > 3 for h in have.values()), (run, have)
print(killed, "moments,", len(found), "runs,", sum(len(h) for _, h in found.values()), "samples")
assert found
PY
timeout 590 python3 kill.py "$cmd" >killed 2>&1 || bad "$(cat killed)"
cat killed

# ---- several at once ----
for i in 1 2 3 4; do
	"$cmd" run -w churn -p ops=100 --backend libc,span -c none --reps 10 --store shared.db -f csv -o "$i.csv" >/dev/null 2>"$i.err" &
done
for i in 1 2 3 4 5 6 7 8; do
	[ ! -s shared.db ] || "$cmd" runs --store shared.db >/dev/null 2>"read.err" || bad "a reader beside them: $(cat read.err)"
done
wait
for i in 1 2 3 4; do
	[ "$(grep -c ',wall_s,' "$i.csv")" = 20 ] || bad "run $i of four at once: $(tail -2 "$i.err")"
done
expect 0 "$cmd" runs --store shared.db -f csv
[ "$(grep -c ',done,20,20,0,' out)" = 4 ] || bad "four runs at once: $(cat out)"
finish
