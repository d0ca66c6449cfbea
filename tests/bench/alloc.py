#!/usr/bin/env python3
"""Compares libspanmark-malloc.so with other allocators: the same binary under LD_PRELOAD, runs interleaved.

    tests/bench/alloc.py BUILD_DIR [--rounds N] [--only NAME,..]

Prints one table: medians, and ours as a ratio of the best of the others. Times vary with what else the machine
does; ratios of interleaved runs do so much less. CPU seconds (of all threads) are given beside wall seconds.
"""
import argparse
import os
import re
import statistics
import subprocess
import sys

LIBRARIES = {
    "mimalloc": ["libmimalloc.so.2", "libmimalloc.so"],
    "jemalloc": ["libjemalloc.so.2"],
    "tcmalloc": ["libtcmalloc_minimal.so.4"],
}
BENCHES = [
    # name, arguments, what is compared
    ("64 B loop", ["loop", "20000000"], ("wall", "cpu")),
    ("trees 18, 1 thread", ["trees", "18", "1"], ("wall", "cpu", "rss")),
    ("trees 18, 2 threads", ["trees", "18", "2"], ("wall", "cpu", "rss")),
    ("handoff", ["handoff", "5000000"], ("wall", "cpu", "rss")),
    ("server", ["server", "500000"], ("wall", "cpu", "rss")),
    ("1000 threads", ["threads", "1000"], ("rss",)),
]
UNITS = {"wall": "wall s", "cpu": "CPU s", "rss": "peak KiB", "instructions": "instr/pair"}


def find_library(names):
    paths = subprocess.run(["/sbin/ldconfig", "-p"], capture_output=True, text=True).stdout
    for name in names:
        found = re.search(r"\s%s .*=> (\S+)" % re.escape(name), paths)
        if found:
            return found.group(1)
    return None


def allocators(build):
    ours = os.path.abspath(os.path.join(build, "libspanmark-malloc.so"))
    if not os.path.exists(ours):
        sys.exit("alloc.py: %s is not built" % ours)
    found = {"spanmark": (ours, {}), "spanmark cpu": (ours, {"SPANMARK_MALLOC": "cache.mode=cpu"})}
    for name, names in LIBRARIES.items():
        path = find_library(names)
        if path:
            found[name] = (path, {})
        else:
            print("alloc.py: %s is not installed: left out" % name, file=sys.stderr)
    found["glibc"] = (None, {})
    return found


def environment(entry):
    env = dict(os.environ)
    env.pop("LD_PRELOAD", None)
    env.update(entry[1])
    if entry[0]:
        env["LD_PRELOAD"] = entry[0]
    return env


def run(program, args, entry):
    out = subprocess.run([program] + args, env=environment(entry), capture_output=True, text=True, timeout=120)
    if out.returncode != 0:
        sys.exit("alloc.py: %s %s under %s: %s" % (program, args, entry[0], out.stderr.strip()))
    return {k: float(v) for k, v in re.findall(r"(\w+)=([\d.]+)", out.stdout)}


def instructions(program, entry):
    """Per malloc+free pair of the loop, by callgrind: the difference of two lengths, so start-up drops out."""
    totals = []
    for n in (100000, 600000):
        out = subprocess.run(["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", program, "loop", str(n)],
                             env=environment(entry), capture_output=True, text=True)
        found = re.search(r"Collected : (\d+)", out.stderr)
        if not found:
            return None
        totals.append(int(found.group(1)))
    return (totals[1] - totals[0]) / 500000


def row(title, unit, values, names):
    cells = []
    for name in names:
        v = values.get(name)
        cells.append("n/a" if v is None else "%.0f" % v if v >= 1000 else "%.3g" % v if v < 10 else "%.1f" % v)
    peers = [values[n] for n in names if not n.startswith("spanmark") and values.get(n) is not None]
    mine = values.get("spanmark")
    cells.append("%.2f" % (mine / min(peers)) if peers and mine is not None else "n/a")
    print("%-20s %-10s" % (title, unit) + "".join("%13s" % c for c in cells))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", default="")
    opts = parser.parse_args()
    program = os.path.join(opts.build, "tests", "bench_alloc")
    table = allocators(opts.build)
    names = list(table)
    only = [o for o in opts.only.split(",") if o]
    print("%-20s %-10s" % ("", "") + "".join("%13s" % n for n in names) + "%13s" % "ours/best")
    if not only or "loop" in only:
        # Valgrind has no restartable sequences: mode cpu would measure the fallback.
        counts = {n: None if n == "spanmark cpu" else instructions(program, table[n]) for n in names}
        row("64 B loop", UNITS["instructions"], counts, names)
    for title, args, metrics in BENCHES:
        if only and args[0] not in only:
            continue
        samples = {n: [] for n in names}
        for _ in range(opts.rounds):
            for n in names:
                samples[n].append(run(program, args, table[n]))
        for metric in metrics:
            values = {n: statistics.median(s[metric] for s in samples[n]) for n in names}
            row(title, UNITS[metric], values, names)
            sys.stdout.flush()


main()
