#!/usr/bin/env python3
"""The ring workload's latency and heap, run after run, beside what the machine itself takes away.

    tests/bench/ring.py BUILD_DIR [RUNS]

Before each run a thread that only looks at the clock runs for half a second on the mutator's CPU (bench_gaps). Its gaps of
over 100 us are not the process's doing; they come over the collector's waits as over everything else, in
proportion to how much of the run is waits. The last column is how many of the runs that alone would take over 100 us.
"""
import math
import statistics
import subprocess
import sys

CASES = (("pinned", ["-P", "0,1"]), ("not pinned", []))
LIVE_KIB = 200000 * (1024 + 16) / 1024


def lines(command):
    """The "name value unit" lines of a program as numbers; what is n/a is left out."""
    out = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    values = {}
    for line in out.splitlines():
        words = line.split()
        try:
            values[words[0]] = float(words[1])
        except (IndexError, ValueError):
            pass
    return values


def row(name, runs):
    """One line of the table, of (ring, gaps) pairs."""
    p999 = [r["p999_us"] for r, _ in runs]
    stall = [r["stall_max_us"] for r, _ in runs]
    rss = [r["peak_rss_kib"] / LIVE_KIB for r, _ in runs]
    gaps = [g["gaps_100us_per_s"] for _, g in runs]
    hit = sum(1 - math.exp(-g["gaps_100us_per_s"] * r["stall_total_ns"] / 1e9) for r, g in runs)
    n = len(runs)
    return (name, f"{statistics.median(p999):.2f}", f"{sum(x <= 2 for x in p999)}/{n}",
            f"{statistics.median(stall):.0f}", f"{sum(x <= 100 for x in stall)}/{n}", f"{max(stall):.0f}",
            f"{statistics.median(rss):.2f}", f"{sum(x <= 2.2 for x in rss)}/{n}", f"{max(rss):.2f}",
            f"{statistics.median(gaps):.0f}", f"{hit:.1f}")


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    tests = sys.argv[1] + "/tests/"
    count = int(sys.argv[2]) if len(sys.argv) > 2 else 10
    runs = {name: [] for name, _ in CASES}
    for i in range(count):
        for name, options in CASES:
            gaps = lines([tests + "bench_gaps", "0.5", "0", "1"])
            ring = lines([tests + "bench_session", "ring", "ops=5000000", "-k", "1"] + options)
            runs[name].append((ring, gaps))
        print(f"\rrun {i + 1} of {count}", end="", file=sys.stderr)
    print(file=sys.stderr)
    head = ("mutator", "p99.9", "<= 2", "wait", "<= 100", "longest", "RSS/live", "<= 2.2", "most", "gaps/s", "by gaps")
    table = [head] + [row(name, runs[name]) for name, _ in CASES]
    widths = [max(len(r[i]) for r in table) for i in range(len(head))]
    for r in table:
        print("  ".join(c.ljust(w) if i == 0 else c.rjust(w) for i, (c, w) in enumerate(zip(r, widths))))
    print("p99.9 and waits in us, medians of the runs; gaps: over 100 us, of an idle thread; by gaps: runs over 100 us "
          "that they alone explain")


main()
