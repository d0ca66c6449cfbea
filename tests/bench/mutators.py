#!/usr/bin/env python3
"""How throughput and memory go with the number of mutators on two CPUs: churn and binary-trees, 1 to 64 of them.

    tests/bench/mutators.py BUILD_DIR [REPS]

The work is the same for any number of mutators, and so is what churn keeps alive (64 MiB). Every repetition runs every
number once, in turn. `of one`: throughput over that of one mutator. `peak / live`: peak resident set over what is alive at
most, for churn: the tables and their objects. `cpu ns/op` is the whole process's, the collector's threads included.
"""
import os
import shutil
import statistics
import subprocess
import sys

COUNTS = (1, 2, 4, 8, 16, 32, 64)
OBJECTS, OPS, SIZE = 1 << 20, 20_000_000, 64
LIVE = OBJECTS * (SIZE + 8)
WORK = {
    "churn": lambda n: ["churn", f"size={SIZE}", f"live={OBJECTS // n}", f"ops={OPS // n}", f"threads={n}"],
    "binary-trees": lambda n: ["binary-trees", "depth=18", f"threads={n}"],
}


def run(command):
    """A command's "name value" lines with its CPU time."""
    if os.cpu_count() > 2 and shutil.which("taskset"):
        command = ["taskset", "-c", "0,1"] + command
    before = os.times()
    out = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
    after = os.times()
    values = {w[0]: float(w[1]) for w in (line.split() for line in out.splitlines()) if len(w) > 1 and w[1] != "n/a"}
    values["cpu_s"] = sum(after[2:4]) - sum(before[2:4])
    return values


def show(rows):
    """Columns in line."""
    widths = [max(len(r[i]) for r in rows) for i in range(len(rows[0]))]
    for r in rows:
        print("  ".join(c.ljust(w) if i == 0 else c.rjust(w) for i, (c, w) in enumerate(zip(r, widths))).rstrip())


def main():
    """Runs and prints."""
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    session, reps = sys.argv[1] + "/tests/bench_session", int(sys.argv[2]) if len(sys.argv) > 2 else 7
    load = os.getloadavg()[0]
    seen = {}
    for i in range(reps):
        for name, arguments in WORK.items():
            for n in COUNTS:
                seen.setdefault((name, n), []).append(run([session] + arguments(n)))
        print(f"\rrepetition {i + 1} of {reps}", end="", file=sys.stderr)
    print(file=sys.stderr)
    rows = [("work", "mutators", "M ops/s", "of one", "cpu ns/op", "cycles", "peak MiB", "peak / live")]
    for name in WORK:
        for n in COUNTS:
            def median(figure, runs=seen[name, n]):
                return statistics.median(figure(r) for r in runs)
            pairs = zip(seen[name, n], seen[name, 1])
            rows.append((name, str(n), f"{median(lambda r: r['ops_per_s']) / 1e6:.1f}",
                         f"{statistics.median(a['ops_per_s'] / b['ops_per_s'] for a, b in pairs):.2f}",
                         f"{median(lambda r: r['cpu_s'] / (r['wall_s'] * r['ops_per_s']) * 1e9):.1f}",
                         f"{median(lambda r: r['gc_cycles']):.0f}", f"{median(lambda r: r['peak_rss_kib']) / 1024:.0f}",
                         f"{median(lambda r: r['peak_rss_kib'] * 1024) / LIVE:.2f}" if name == "churn" else ""))
    print(f"load {load:.1f} at first, {os.getloadavg()[0]:.1f} at last; medians of {reps}\n")
    show(rows)


main()
