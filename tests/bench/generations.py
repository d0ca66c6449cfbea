#!/usr/bin/env python3
"""What gc.generations costs a store, and what it does to workloads: on and auto against off.

    generations.py BUILD_DIR [REPS]

Two tables. A store while no cycle marks: instructions, by callgrind (those of a long run less those
of a short one, so they repeat), and time, the median of interleaved processes, as a multiple of
`off`. Workloads: `spanmark run` with both settings, shuffled, each sample a process of its own;
medians, as multiples of `off`: CPU time, time on the clock, peak memory, time spent marking; the
99.9th percentile of waits and the longest one of both; of the cycles those that were minor, and
what one of these marked of what was alive. The last row of young-garbage has 1 GiB alive, and with
generations a gc.percent at which the peak is that of `off`.
"""
import json
import statistics
import subprocess
import sys
import tempfile

KINDS = ["off", "on", "auto"]
STORES = {"off": "off", "on": "cards"}  # as bench_store calls them
# Workload, parameters other than the default ones, gc.percent with generations.
WORKLOADS = [("young-garbage", "", 100), ("churn", "", 100), ("lru-cache", "", 100), ("binary-trees", "", 100),
             ("ring", "", 100), ("mutate", "", 100), ("young-garbage", "live=2000000 ops=16000000", 95)]


def instructions(program, kind, stores):
    out = subprocess.run(["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", program, STORES[kind], "again",
                          str(stores)],
                         capture_output=True, text=True, check=True)
    line = [l for l in out.stderr.splitlines() if "Collected" in l][0]
    return int(line.split(":")[1].split()[0])


def store_table(build, reps):
    program = build + "/tests/bench_store"
    times = {k: [] for k in KINDS[:2]}
    for _ in range(reps):
        for kind in times:
            times[kind].append(float(subprocess.run([program, STORES[kind], "again", "200000000"], capture_output=True, text=True,
                                                    check=True).stdout))
    print(f"{'a store':12} {'instructions':>12} {'ns':>8} {'of off':>8}")
    for kind in times:
        insn = (instructions(program, kind, 1100000) - instructions(program, kind, 100000)) / 1e6
        ratio = statistics.median(t / o for t, o in zip(times[kind], times["off"]))
        print(f"{kind:12} {insn:12.2f} {statistics.median(times[kind]):8.2f} {ratio:8.2f}")


def sample(build, workload, params, kind, percent):
    with tempfile.NamedTemporaryFile(suffix=".json") as out:
        subprocess.run([build + "/spanmark", "run", "-w", workload, "-b", "gc", "-n", "1", "-f", "json", "-o", out.name, "-s",
                        "gc.generations=" + kind, "-s", f"gc.percent={100 if kind == 'off' else percent}"] +
                       [w for p in params.split() for w in ("-p", p)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
        with open(out.name, encoding="utf-8") as f:
            return json.load(f)["samples"][0]["results"]


def middle(rows, key):
    return statistics.median(r.get(key) or 0 for r in rows)


def cpu(row):
    return row["user_s"] + row["system_s"]


def ratio(off, rows, what):
    return statistics.median(what(r) / max(what(o), 1e-9) for r, o in zip(rows, off))


def workload_table(build, reps):
    print(f"\n{'of off':24} {'CPU':>6} {'clock':>6} {'memory':>6} {'marking':>7} {'99.9% us':>12} {'max stall us':>16}"
          f" {'minor':>8} {'marks':>6}")
    for workload, params, percent in WORKLOADS:
        of = {k: [] for k in KINDS}
        for _ in range(reps):
            for kind in KINDS:
                of[kind].append(sample(build, workload, params, kind, percent))
        off = of["off"]
        for kind in KINDS[1:]:
            on = of[kind]
            minors, live = middle(on, "minor_cycles"), middle(on, "old_bytes")
            # Where next to nothing is alive, its share says nothing.
            marks = f"{100 * middle(on, 'minor_marked_bytes') / minors / live:.1f}%" if minors and live > 1 << 20 else "n/a"
            ratios = [ratio(off, on, cpu)] + [ratio(off, on, lambda r, k=k: r.get(k) or 0)
                                              for k in ("wall_s", "peak_rss_kib", "mark_ns")]
            print(f"{workload + (', 1 GiB' if params else '') + ' ' + kind:24} {ratios[0]:6.2f} {ratios[1]:6.2f} {ratios[2]:6.2f}"
                  f" {ratios[3]:7.2f} {middle(off, 'stall_p999_us'):5.0f} {middle(on, 'stall_p999_us'):6.0f}"
                  f" {middle(off, 'stall_max_us'):7.0f} {middle(on, 'stall_max_us'):8.0f}"
                  f" {minors:4.0f}/{middle(on, 'gc_cycles'):<3.0f} {marks:>6}", flush=True)


def main():
    build, reps = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 5
    store_table(build, reps)
    workload_table(build, reps)


main()
