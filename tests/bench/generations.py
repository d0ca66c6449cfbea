#!/usr/bin/env python3
"""What gc.generations costs a store, and what it does to workloads: on against off.

    generations.py BUILD_DIR [REPS]

Two tables. A store while no cycle marks: instructions, by callgrind (those of a long run less those
of a short one, so they repeat), and time, the median of interleaved processes, as a multiple of
`off`. Workloads: `spanmark run` with both settings, shuffled, each sample a process of its own;
medians, as multiples of `off`: CPU time, time on the clock, peak memory, time spent marking; the
longest wait of both; of the cycles those that were minor, and what one of these marked of what was
alive.
"""
import json
import statistics
import subprocess
import sys
import tempfile

KINDS = ["off", "on"]
# Workload, and parameters other than the default ones.
WORKLOADS = [("young-garbage", ""), ("lru-cache", ""), ("binary-trees", ""), ("ring", ""), ("mutate", "")]


def instructions(program, kind, stores):
    out = subprocess.run(["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", program, kind, str(stores)],
                         capture_output=True, text=True, check=True)
    line = [l for l in out.stderr.splitlines() if "Collected" in l][0]
    return int(line.split(":")[1].split()[0])


def store_table(build, reps):
    program = build + "/tests/bench_store"
    times = {k: [] for k in KINDS}
    for _ in range(reps):
        for kind in KINDS:
            times[kind].append(float(subprocess.run([program, kind, "200000000"], capture_output=True, text=True,
                                                    check=True).stdout))
    print(f"{'a store':12} {'instructions':>12} {'ns':>8} {'of off':>8}")
    for kind in KINDS:
        insn = (instructions(program, kind, 1100000) - instructions(program, kind, 100000)) / 1e6
        ratio = statistics.median(t / o for t, o in zip(times[kind], times["off"]))
        print(f"{kind:12} {insn:12.2f} {statistics.median(times[kind]):8.2f} {ratio:8.2f}")


def samples(build, workload, params, reps):
    with tempfile.NamedTemporaryFile(suffix=".json") as out:
        subprocess.run([build + "/spanmark", "run", "-w", workload, "-b", "gc", "-n", str(reps), "-f", "json", "-o",
                        out.name, "-s", "gc.generations=" + ",".join(KINDS)] + (["-p", params] if params else []),
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
        with open(out.name, encoding="utf-8") as f:
            doc = json.load(f)
    of = {k: [] for k in KINDS}
    for s in doc["samples"]:
        if s["status"] == "ok":
            of[s["config"]["gc.generations"]].append(s["results"])
    return of


def middle(rows, key):
    return statistics.median(r.get(key) or 0 for r in rows)


def cpu(rows):
    return statistics.median(r["user_s"] + r["system_s"] for r in rows)


def workload_table(build, reps):
    print(f"\n{'on/off':14} {'CPU':>6} {'clock':>6} {'memory':>6} {'marking':>7} {'max stall us':>16} {'minor':>8}"
          f" {'marks':>6}")
    for workload, params in WORKLOADS:
        of = samples(build, workload, params, reps)
        off, on = of["off"], of["on"]
        minors, live = middle(on, "minor_cycles"), middle(on, "heap_live_bytes")
        ratio = [cpu(on) / cpu(off)] + [middle(on, k) / max(middle(off, k), 1e-9)
                                        for k in ("wall_s", "peak_rss_kib", "mark_ns")]
        marks = middle(on, "minor_marked_bytes") / minors / live if minors and live else 0
        print(f"{workload:14} {ratio[0]:6.2f} {ratio[1]:6.2f} {ratio[2]:6.2f} {ratio[3]:7.2f}"
              f" {middle(off, 'stall_max_us'):7.0f} {middle(on, 'stall_max_us'):8.0f}"
              f" {minors:4.0f}/{middle(on, 'gc_cycles'):<3.0f} {100 * marks:5.1f}%", flush=True)


def main():
    build, reps = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 5
    store_table(build, reps)
    workload_table(build, reps)


main()
