#!/usr/bin/env python3
"""What each kind of remembered set (gc.remember) costs a store, in one table.

    remember.py BUILD_DIR [REPS]

`again`: a store into an array that was stored into since the last cycle. `first`: one store into each of a million
old objects between two minor cycles, in no order (tests/bench/bench_store.c). Instructions, first-level and last-level
data misses a store by callgrind, which models the caches: those of a long run less those of a short one, so that they
repeat. Time: the median of interleaved processes, as a multiple of `off` (gc.generations=off). What the kernel does for
`none`, a page fault for the first store to a page, is in the time alone; its instructions are those of `off`, for the
code is the same.
"""
import re
import statistics
import subprocess
import sys

KINDS = ["off", "cards", "objects", "none"]
STORES = {"again": 50000000, "first": 4 << 20}  # timed
COUNTED = {"again": (100000, 1100000), "first": (1000, 1001000)}


def counts(program, kind, how, stores):
    out = subprocess.run(["valgrind", "--tool=callgrind", "--cache-sim=yes", "--callgrind-out-file=/dev/null", program,
                          kind, how, str(stores)] + (["fake"] if kind == "none" else []),
                         capture_output=True, text=True, check=True).stderr

    return [int(re.search(pattern + r"\s*([\d,]+)", out).group(1).replace(",", ""))
            for pattern in (r"I\s+refs:", r"D1\s+misses:", r"LLd\s+misses:")]


def a_store(program, kind, how):
    few, many = COUNTED[how]
    return [(b - a) / (many - few) for a, b in zip(counts(program, kind, how, few), counts(program, kind, how, many))]


def seconds(program, kind, how):
    run = subprocess.run([program, kind, how, str(STORES[how])], capture_output=True, text=True, check=False)
    return (float(run.stdout), "") if run.returncode == 0 else (None, run.stderr.strip())


def table(program, how, reps):
    times = {k: [] for k in KINDS}
    why = {}
    for _ in range(reps):
        for kind in KINDS:
            t, said = seconds(program, kind, how)
            if t is None:
                why[kind] = said
            times[kind].append(t)
    for kind in KINDS:
        insn, d1, ll = a_store(program, kind, how)
        time = "      n/a      n/a"
        if kind not in why:
            ratio = statistics.median(t / o for t, o in zip(times[kind], times["off"]))
            time = f"{statistics.median(times[kind]):9.2f} {ratio:8.2f}"
        print(f"{how:7} {kind:8} {insn:12.2f} {d1:9.3f} {ll:9.3f} {time}", flush=True)
    for kind, said in why.items():
        print(f"{kind}: {said}")


def main():
    program, reps = sys.argv[1] + "/tests/bench_store", int(sys.argv[2]) if len(sys.argv) > 2 else 5
    print(f"{'a store':7} {'kind':8} {'instructions':>12} {'D1 misses':>9} {'LL misses':>9} {'ns':>9} {'of off':>8}")
    for how in STORES:
        table(program, how, reps)


main()
