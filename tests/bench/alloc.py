#!/usr/bin/env python3
"""Compares libspanmark-malloc.so with other allocators: the same binary under LD_PRELOAD, runs interleaved.

    tests/bench/alloc.py BUILD_DIR [--rounds N] [--scale F] [--only ROW,..] [--peers NAME,..] [--no-fetch]

Prints one table: medians; ours as a ratio of the best of the others, for which smaller is better; and the spread of
ours, half the distance between its quartiles in per cent of its median. A ratio says no more than the spread lets it:
times vary with what else the machine does, CPU time (of all threads) less than wall time, instructions not at all.
Peers are those of the distribution and those that tests/bench/peers/mallocs.sh can fetch and build.
--scale 0.2 makes every row a fifth as long. --only takes first words of rows' titles.
"""
import argparse
import csv
import io
import math
import os
import re
import statistics
import subprocess
import sys
import textwrap

# Name, and the libraries that a distribution has it as. mi3 and mi2 are mimalloc.
INSTALLED = [
    ("mi2", ["libmimalloc.so.2", "libmimalloc.so"]),
    ("jemalloc", ["libjemalloc.so.2"]),
    ("tcmalloc", ["libtcmalloc_minimal.so.4"]),
]
ORDER = ["spanmark", "sm cpu", "mi3", "mi2", "jemalloc", "tcmalloc", "snmalloc", "rpmalloc", "glibc"]
OURS = ("spanmark", "sm cpu")

TIMES = ("cpu", "wall")
ALL = ("cpu", "wall", "rss")
ROWS = [
    # title, kernel, N, M, what is compared
    ("loop of 64 B", "loop", 30000000, 1, TIMES),
    ("trees, 1 thread", "trees", 17, 1, ALL),
    ("trees, 2 threads", "trees", 17, 2, ALL),
    ("handoff", "handoff", 3000000, 1, ALL),
    ("server", "server", 500000, 1, ALL),
    ("numbers", "numbers", 4000000, 1, ALL),
    ("pareto, 1 thread", "pareto", 2500000, 1, ALL),
    ("pareto, 2 threads", "pareto", 1200000, 2, ALL),
    ("batches", "batches", 1600, 1, ALL),
    ("orders, 1 thread", "orders", 1200, 1, ALL),
    ("orders, 2 threads", "orders", 300, 2, ALL),
    ("vectors", "vectors", 8000000, 1, ALL),
    ("phases", "phases", 300000, 6, ALL),
    ("cross, 2 threads", "cross", 1000000, 2, ALL),
    ("asym, 1 to 1", "asym", 20000, 1, ALL),
    ("asym, 4 to 4", "asym", 5000, 4, ALL),
    ("larson", "larson", 100, 2, ALL),
    ("larson, sized", "larson-sized", 100, 2, ALL),
    ("leaks", "leaks", 2000, 1, ALL),
    ("power, 2 threads", "power", 10000000, 2, ALL),
    ("active sharing", "active", 300000, 2, TIMES),
    ("passive sharing", "passive", 300000, 2, TIMES),
    ("large, of MiB", "large", 300, 8, ALL),
    ("ages", "ages", 10, 16, ALL),
    ("1000 threads", "threads", 1000, 1, ("rss",)),
]
# Workloads of spanmark run, over the malloc that is loaded. "held" is the memory over time: the mean over their steps.
WORKLOADS = [
    ("fragment", ["live=32m", "steps=8", "settle=0"], ("cpu", "wall", "rss", "held")),
    ("lru-cache", ["live=50000", "ops=1500000"], ALL),
]
# Kernels of one thread, whose instructions callgrind can count: those of the second N less those of the first.
COUNTED = [
    ("loop of 64 B", "loop", 100000, 200000, 1),
    ("trees, 1 thread", "trees", 8, 11, 1),
    ("numbers", "numbers", 20000, 60000, 1),
    ("pareto, 1 thread", "pareto", 20000, 80000, 1),
    ("batches", "batches", 8, 16, 1),
    ("orders, 1 thread", "orders", 3, 9, 1),
    ("vectors", "vectors", 100000, 300000, 1),
]
UNITS = {"wall": "wall s", "cpu": "CPU s", "rss": "MiB", "held": "MiB avg", "instr": "M instr"}


def find_library(names):
    paths = subprocess.run(["/sbin/ldconfig", "-p"], capture_output=True, text=True).stdout
    for name in names:
        found = re.search(r"\s%s .*=> (\S+)" % re.escape(name), paths)
        if found:
            return os.path.realpath(found.group(1))
    return None


def version_of(path):
    """A package's version, where dpkg knows the file."""
    for p in (path, path.replace("/usr/lib/", "/lib/")):
        owner = subprocess.run(["dpkg-query", "-S", p], capture_output=True, text=True).stdout.split(": ")[0]
        if owner:
            asked = ["dpkg-query", "-W", "-f=${Version}", owner.split(",")[0]]
            return subprocess.run(asked, capture_output=True, text=True).stdout
    return os.path.basename(path)


def glibc_version():
    return os.confstr("CS_GNU_LIBC_VERSION").split()[-1]


def allocators(build, fetch):
    """Name -> (library or None, environment, version)."""
    ours = os.path.abspath(os.path.join(build, "libspanmark-malloc.so"))
    if not os.path.exists(ours):
        sys.exit("alloc.py: %s is not built" % ours)
    found = {
        "spanmark": (ours, {}, "this tree"),
        "sm cpu": (ours, {"SPANMARK_MALLOC": "cache.mode=cpu"}, "this tree, cache.mode=cpu"),
        "glibc": (None, {}, glibc_version()),
    }
    if fetch:
        script = os.path.join(os.path.dirname(os.path.abspath(__file__)), "peers", "mallocs.sh")
        folder = os.path.join(os.path.dirname(os.path.abspath(build)), "peers")
        out = subprocess.run([script, folder], stdout=subprocess.PIPE, text=True).stdout
        for line in out.splitlines():
            name, version, path = line.split("\t")
            found[name] = (path, {}, version)
    for name, names in INSTALLED:
        path = find_library(names)
        if name in found:
            continue
        if path:
            found[name] = (path, {}, version_of(path))
        else:
            print("alloc.py: %s is not installed: left out" % name, file=sys.stderr)
    return {n: found[n] for n in ORDER if n in found}


def environment(entry):
    env = dict(os.environ)
    for name in list(env):
        if name == "LD_PRELOAD" or name.startswith(("SPANMARK_", "MIMALLOC_", "MALLOC_")):
            del env[name]
    env.update(entry[1])
    if entry[0]:
        env["LD_PRELOAD"] = entry[0]
    return env


def run(command, entry):
    out = subprocess.run(command, env=environment(entry), capture_output=True, text=True, timeout=600)
    if out.returncode != 0:
        return None, "%s under %s: exit %d: %s" % (command[1:], entry[0], out.returncode, out.stderr.strip()[-200:])
    found = dict(re.findall(r"(\w+)=([\d.]+)", out.stdout))
    return {k: int(v) if k == "check" else float(v) for k, v in found.items()}, None


def run_workload(spanmark, name, params, entry):
    """One sample of a workload, from the CSV that spanmark run prints."""
    command = [spanmark, "run", "-w", name, "-n", "1", "-c", "none", "-f", "csv", "--no-store", "--seed", "1"]
    command += ["-b", "preload:" + entry[0] if entry[0] else "libc"]
    for p in params:
        command += ["-p", p]
    # Settings reach the sample; the library itself is the backend's business.
    out = subprocess.run(command, env=environment((None, entry[1])), capture_output=True, text=True, timeout=600)
    if out.returncode != 0:
        return None, "%s over %s: exit %d: %s" % (name, entry[0], out.returncode, out.stderr.strip()[-200:])
    got = {}
    for line in csv.DictReader(io.StringIO(out.stdout)):
        if line["status"] == "ok" and not line["phase"]:
            got[line["metric"]] = float(line["value"])
    steps = [v for k, v in got.items() if re.fullmatch(r"rss_kib_\d+", k)]
    held = sum(steps) / len(steps) if steps else 0
    return {"check": int(got["ops"]), "cpu": got["user_s"] + got["system_s"], "wall": got["wall_s"],
            "rss": got["peak_rss_kib"], "held": held / 1024}, None


def instructions(command, entry):
    out = subprocess.run(["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null"] + command,
                         env=environment(entry), capture_output=True, text=True)
    found = re.search(r"Collected : (\d+)", out.stderr)
    return int(found.group(1)) if out.returncode == 0 and found else None


class Table:
    def __init__(self, names):
        self.names = names
        self.ratios = {unit: [] for unit in UNITS}  # of each row: ours by the best
        self.against = {unit: {n: [] for n in names} for unit in UNITS}  # ours by each

    def head(self):
        print("%-18s%-7s" % ("", "") + "".join("%9s" % n for n in self.names) + "%7s%7s" % ("/best", "spread"))

    def row(self, title, unit, samples):
        """samples: name -> list of values, or None where it failed."""
        values = {n: statistics.median(s) for n, s in samples.items() if s}
        cells = "".join("%9s" % shown(values.get(n)) for n in self.names)
        peers = {n: v for n, v in values.items() if n not in OURS}
        mine = values.get("spanmark")
        ratio = spread = ""
        if mine and peers:
            ratio = mine / max(min(peers.values()), 1e-9)
            self.ratios[unit].append(ratio)
            for n, v in values.items():
                self.against[unit][n].append(mine / max(v, 1e-9))
            spread = half_quartiles(samples["spanmark"])
            ratio = "%.2f" % ratio
        print("%-18s%-7s%s%7s%7s" % (title, UNITS[unit], cells, ratio, spread), flush=True)

    def summary(self):
        print()
        for unit, most in (("cpu", 1.0), ("wall", 1.0), ("rss", 1.1), ("held", 1.1), ("instr", 1.0)):
            got = self.ratios[unit]
            if got:
                good = sum(r <= most + 0.0005 for r in got)
                print("%-8s ours at most %.1f of the best in %d of %d rows (%d %%)"
                      % (UNITS[unit], most, good, len(got), 100 * good // len(got)))
        for unit in UNITS:
            if self.ratios[unit]:
                cells = "".join("%9s" % ("" if n == "spanmark" else mean(self.against[unit][n])) for n in self.names)
                print("%-18s%-7s%s" % ("ours, geom. mean", UNITS[unit], cells))


def mean(ratios):
    return "%.3f" % math.exp(sum(map(math.log, ratios)) / len(ratios)) if ratios else "n/a"


def shown(v):
    if v is None:
        return "n/a"
    return "%.0f" % v if v >= 1000 else "%.1f" % v if v >= 100 else "%.2f" % v if v >= 10 else "%.3f" % v


def half_quartiles(samples):
    if len(samples) < 3:
        return ""
    low, _, high = statistics.quantiles(samples, n=4, method="inclusive")
    return "%.0f %%" % (50 * (high - low) / statistics.median(samples))


def measure(title, sample, metrics, table, names, rounds):
    """One row: interleaved rounds, so that what the machine does meets all alike. sample(NAME) -> figures, or why none."""
    samples = {name: [] for name in names}
    checks = {}
    failed = set()
    for _ in range(rounds):
        for name in names:
            if name in failed:
                continue
            got, why = sample(name)
            if why:
                print("alloc.py: " + why, file=sys.stderr)
                failed.add(name)
                samples[name] = []
                continue
            got["rss"] /= 1024
            samples[name].append(got)
            checks.setdefault(got["check"], set()).add(name)
    if len(checks) > 1:
        print("alloc.py: %s: sums differ: %s" % (title, checks), file=sys.stderr)
    for metric in metrics:
        table.row(title, metric, {name: [s[metric] for s in samples[name]] for name in names})


def measure_kernel(program, row, table, names, opts):
    title, kernel, n, m, metrics = row
    # Depths, epochs and numbers of threads are no lengths.
    long = n if kernel in ("trees", "ages", "threads") else max(1, int(n * opts.scale))
    # Memory repeats: three are enough where nothing else is asked.
    rounds = opts.rounds if "cpu" in metrics else min(3, opts.rounds)
    measure(title, lambda name: run([program, kernel, str(long), str(m)], opts.found[name]), metrics, table, names, rounds)


def measure_workload(build, row, table, names, opts):
    spanmark = os.path.join(build, "spanmark")
    measure(row[0], lambda name: run_workload(spanmark, row[0], row[1], opts.found[name]), row[2], table, names, opts.rounds)


def count(program, row, table, names, found):
    """Instructions of more operations: the difference of two lengths, so start-up drops out."""
    title, kernel, short, long, m = row
    samples = {}
    for name in names:
        # Valgrind has no restartable sequences: mode cpu would measure the fallback.
        runs = [] if name == "sm cpu" else [[program, kernel, str(n), str(m)] for n in (short, long)]
        both = [instructions(command, found[name]) for command in runs]
        samples[name] = None if not both or None in both else [(both[1] - both[0]) / 1e6]
    table.row(title, "instr", samples)


def options():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--only", default="", help="rows whose titles begin with one of these")
    parser.add_argument("--peers", default="", help="only these, besides ours")
    parser.add_argument("--no-fetch", action="store_true", help="only what the distribution has")
    parser.add_argument("--no-count", action="store_true", help="no instructions")
    return parser.parse_args()


def main():
    opts = options()
    program = os.path.join(opts.build, "tests", "bench_alloc")
    opts.found = allocators(opts.build, not opts.no_fetch)
    peers = [p for p in opts.peers.split(",") if p]
    names = [n for n in opts.found if n in OURS or not peers or n in peers]
    only = tuple(o for o in opts.only.split(",") if o)
    print(textwrap.fill("; ".join("%s: %s" % (n, opts.found[n][2]) for n in names if n not in OURS), 120))
    print("medians of %d interleaved rounds, load %.1f on %d CPUs\n" % (opts.rounds, os.getloadavg()[0], os.cpu_count()))
    table = Table(names)
    table.head()
    if not opts.no_count:
        for row in COUNTED:
            if not only or row[0].startswith(only):
                count(program, row, table, names, opts.found)
    for row in ROWS:
        if not only or row[0].startswith(only):
            measure_kernel(program, row, table, names, opts)
    for row in WORKLOADS:
        if not only or row[0].startswith(only):
            measure_workload(opts.build, row, table, names, opts)
    table.summary()


if __name__ == "__main__":
    main()
