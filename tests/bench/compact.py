#!/usr/bin/env python3
"""What compaction gives, and what it costs where nothing is compacted: a table each.

    tests/bench/compact.py BUILD_DIR [-n REPS] [-s SETTLE_MS] [-b BASE_TREE] [memory | pins | loop | unarmed ..]

memory   `fragment` drops nine of ten objects, four times; resident memory over the bytes that are held then, beside mimalloc,
         jemalloc and Go: medians of the repetitions, and the worst of all of them. Every repetition runs every candidate once,
         in turn. All make the same objects: counts that differ fail. Go's second row asks it to return all that it can
         (debug.FreeOSMemory). SETTLE_MS (200): from the collection to the look. Mallocs: as peers/mallocs.sh has them, or
         those that are installed.
pins     every workload at its default size, or a smaller one that is named, with a compaction every 20 ms beside it: what was
         pinned of the objects that were there, all compactions together.
loop     a program that loops over its live set, before a compaction and after (bench_compact), and before and after a plain
         collection, which shows what time alone does. A ratio is after over before: below 1, it became better; the median
         of the processes, the least and the most.
unarmed  with gc.compact=off, beside BASE_TREE, another checkout that has been built: instructions (Callgrind) of the functions
         that mark and of those of the barrier, of all threads, whose ratio should be 1; and of each of them how many it consists
         of, and whether these are the same, operands aside.
"""
import argparse
import glob
import os
import re
import shutil
import statistics
import subprocess
import sys

import versus

HERE = os.path.dirname(os.path.abspath(__file__))
PEERS = HERE + "/peers"
WORK = {"live": 128 << 20, "drop": 90, "steps": 8}
STEPS = ("rss_over_live_2", "rss_over_live_4", "rss_over_live_6", "rss_over_live_8")
CAUSES = ("stack", "conservative", "program", "type")
# Where the default takes long beside compactions that go through the whole heap.
SMALLER = {"graph": "objects=1000000", "mutate": "nodes=200000"}


def say(what):
    print("bench-compact: " + what, file=sys.stderr)


def mallocs(build):
    """Name -> library: mimalloc and jemalloc, the current ones where they can be had."""
    found = {}
    if os.path.exists(PEERS + "/mallocs.sh"):
        out = subprocess.run([PEERS + "/mallocs.sh", os.path.dirname(os.path.abspath(build)) + "/peers"],
                             stdout=subprocess.PIPE, text=True, check=False).stdout
        for line in out.splitlines():
            name, version, path = line.split("\t")
            if name == "mi3":
                found[version.split(",")[0]] = path
            if name == "jemalloc":
                found["jemalloc " + version.split(",")[0]] = path
    for kind, name in (("mimalloc", "libmimalloc.so.2.0"), ("mimalloc", "libmimalloc.so.2"), ("jemalloc", "libjemalloc.so.2")):
        for folder in ("/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib"):
            if not any(n.startswith(kind) for n in found) and os.path.exists(f"{folder}/{name}"):
                found[kind + ", installed"] = f"{folder}/{name}"
    return found


def candidates(build, settle):
    """Name -> (command, environment)."""
    session = [build + "/tests/bench_session", "fragment", *(f"{k}={v}" for k, v in WORK.items()), f"settle={settle}"]
    found = {f"gc, gc.compact={kind}": (session + ["-s", f"gc.compact={kind}"], {}) for kind in ("full", "auto", "force", "off")}
    for name, path in mallocs(build).items():
        found[name] = (session + ["-b", "libc"], {"LD_PRELOAD": path})
    go = build + "/peers/fragment"
    os.makedirs(build + "/peers", exist_ok=True)
    if shutil.which("go") and subprocess.run(["go", "build", "-o", go, PEERS + "/fragment.go", PEERS + "/rng.go"], check=False,
                                             env=dict(os.environ, GO111MODULE="off", GOFLAGS="")).returncode == 0:
        peer = [go, *(str(v) for v in WORK.values()), str(settle)]
        version = subprocess.run(["go", "env", "GOVERSION"], stdout=subprocess.PIPE, text=True, check=False).stdout.strip()
        found[version.replace("go", "Go ", 1)] = (peer, {})
        found[version.replace("go", "Go ", 1) + ", returned"] = (peer + ["give"], {})
    else:
        say("no go: left out")
    return found


def memory(build, reps, settle):
    """The first table."""
    found = candidates(build, settle)
    runs = {name: [] for name in found}
    for i in range(reps):
        for name, (command, env) in found.items():
            runs[name].append(versus.run(command, env))
        print(f"\rrepetition {i + 1} of {reps}", end="", file=sys.stderr)
    print(file=sys.stderr)
    made = {r["ops"] for rs in runs.values() for r in rs if r}
    if len(made) != 1:
        sys.exit(f"bench-compact: not the same work, or none: {sorted(made)} objects")
    rows = [("resident / live, behind drop", "1", "2", "3", "4", "worst", "wanted")]
    for name, rs in runs.items():
        good = [r for r in rs if all(s in r for s in STEPS)]
        if not good:
            rows.append((name, *("failed",) * 5, ""))
            continue
        rows.append((name, *(f"{statistics.median(r[s] for r in good):.2f}" for s in STEPS),
                     f"{max(r[s] for r in good for s in STEPS):.2f}", "1.25" if "compact=" in name and "off" not in name else ""))
    show(rows)


def workloads():
    """Those of workloads.def, as they are called."""
    with open(HERE + "/../../workloads/workloads.def", encoding="ascii") as f:
        return [line[2:-2].replace("_", "-") for line in f if line.startswith("X(")]


def pins(build):
    """The second table."""
    rows = [("workload", "compactions", "objects", "pinned", "share %", *CAUSES, "wanted")]
    for name in workloads():
        size = SMALLER.get(name, "").split()
        r = versus.run([build + "/tests/bench_session", name, *size, "-s", "gc.compact=full", "-c", "20"])
        if not r.get("compacted_objects"):
            rows.append((name, *("none",) * 4, *("",) * 5))
            continue
        times = r["compacted_times"]
        by = [r["compacted_pinned_" + c] for c in CAUSES]
        rows.append((" ".join([name] + size), f"{times:.0f}", f"{r['compacted_objects'] / times:.0f}", f"{sum(by) / times:.1f}",
                     f"{100 * sum(by) / r['compacted_objects']:.4f}", *(f"{n / times:.1f}" for n in by), "0.1"))
        say(name)
    print("objects, and those pinned by cause: of one compaction, on average")
    show(rows)


# ---- a loop over the live set ---------------------------------------------------------------------

FIGURES = (("table", "ns in table order"), ("list", "ns in list order"), ("dtlb_miss", "dTLB misses (model)"),
           ("dtlb_walk", "dTLB walks (model)"), ("pages", "4 KiB pages"), ("2mib", "2 MiB regions"), ("rss", "RSS, KiB"),
           ("huge", "AnonHugePages, KiB"))


def loop(build, reps):
    """What bench_compact tells."""
    ways = (("compaction", []), ("collection", ["-o"]))
    runs = {name: [] for name, _ in ways}
    for i in range(reps):
        for name, options in ways:
            runs[name].append(versus.run([build + "/tests/bench_compact"] + options))
        print(f"\rrepetition {i + 1} of {reps}", end="", file=sys.stderr)
    print(file=sys.stderr)
    for name, _ in ways:
        rows = [("behind a " + name, "before", "after", "ratio", "least", "most")]
        for key, title in FIGURES:
            good = [(r["before_" + key], r["after_" + key]) for r in runs[name] if r.get("before_" + key)]
            if not good:
                rows.append((title, *("n/a",) * 5))
                continue
            ratios = [after / before for before, after in good]
            rows.append((title, *(f"{statistics.median(x):.5g}" for x in zip(*good)), f"{statistics.median(ratios):.2f}",
                         f"{min(ratios):.2f}", f"{max(ratios):.2f}"))
        show(rows)
        print()


# ---- where nothing is compacted -------------------------------------------------------------------

GROUPS = {"mark": ("mark", "markloop", "markspan", "markspan_loop", "markspan_scan", "rescan"), "barrier": ("barrier",)}
SIMULATED = ("graph objects=20000 collections=3", "mutate nodes=5000 stores=20000", "binary-trees depth=12",
             "lru-cache live=20000 ops=50000", "churn ops=200000")


def objects(build, name):
    """An older tree has no rooms."""
    return glob.glob(f"{build}/collector/{name}.o") + glob.glob(f"{build}/collector/*/{name}.o")


def functions(tree, build):
    """Group -> names of functions, of a tree's objects."""
    found = {}
    for group, files in GROUPS.items():
        paths = [p for f in files for p in objects(build, f)]
        out = subprocess.run(["nm", *paths], stdout=subprocess.PIPE, text=True, check=True, cwd=tree).stdout
        found[group] = {w[2].split(".")[0] for w in (line.split() for line in out.splitlines()) if len(w) == 3 and w[1] in "tT"}
    return found


def code(build, group):
    """Function -> its instructions without operands: an offset in a struct may differ."""
    paths = [p for f in GROUPS[group] for p in objects(build, f)]
    out = subprocess.run(["objdump", "-d", "--no-show-raw-insn", *paths], stdout=subprocess.PIPE, text=True, check=True).stdout
    found, name = {}, ""
    for line in out.splitlines():
        m = re.match(r"[0-9a-f]+ <([\w.]+)>:", line)
        if m:
            name = m.group(1).split(".")[0]
        elif re.match(r"\s+[0-9a-f]+:\s+\w", line) and "nop" not in line:
            found.setdefault(name, []).append(line.split(":", 1)[1].split()[0])
    return found


def counted(tree, build, work):
    """Group -> instructions."""
    to = f"{build}/peers/callgrind.{os.getpid()}"
    os.makedirs(os.path.dirname(to), exist_ok=True)
    done = subprocess.run(["valgrind", "-q", "--tool=callgrind", "--callgrind-out-file=" + to, build + "/tests/bench_session",
                           *work.split(), "-k", "1", "-s", "gc.sync=1", "-s", "scavenge.interval=0", "-s", "gc.min_heap=256k"],
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
    if done.returncode != 0 or not os.path.exists(to):
        return {}
    out = subprocess.run(["callgrind_annotate", "--threshold=100", "--auto=no", to], stdout=subprocess.PIPE, text=True,
                         check=True).stdout
    os.remove(to)
    names, sums = functions(tree, build), dict.fromkeys([*GROUPS, "all"], 0)
    for line in out.splitlines():
        m = re.match(r"\s*([0-9,]+) \([^)]*\)\s+(PROGRAM TOTALS|\S+?:([\w.]+))", line)
        if not m:
            continue
        n = int(m.group(1).replace(",", ""))
        if m.group(2) == "PROGRAM TOTALS":
            sums["all"] = n
        for group, members in names.items():
            if m.group(3) and m.group(3).split(".")[0] in members:
                sums[group] += n
    return sums


def unarmed(build, base):
    """Instructions here and there."""
    if not base:
        sys.exit("bench-compact: unarmed needs BASE=TREE, a checkout that has been built with `make build-benches`")
    there = os.path.join(os.path.abspath(base), "build", os.path.basename(build))
    rows = [("work", "instructions of", "base", "now", "ratio")]
    for work in SIMULATED:
        old, new = counted(base, there, work), counted(os.path.join(HERE, "../.."), build, work)
        for group in [*GROUPS, "all"]:
            if not old.get(group) or not new.get(group):
                rows.append((work, group, *(str(x.get(group, "failed")) for x in (old, new)), ""))
            else:
                rows.append((work, group, str(old[group]), str(new[group]), f"{new[group] / old[group]:.4f}"))
        say(work)
    show(rows)
    print()
    rows = [("function", "instructions of it", "base", "now", "the same")]
    for group in GROUPS:
        old, new = code(there, group), code(build, group)
        for name in sorted({*old, *new}):
            same = "yes" if old.get(name) == new.get(name) else "no"
            rows.append((name, group, *(str(len(c.get(name, []))) for c in (old, new)), same))
    show(rows)


def show(rows):
    """The first column to the left, the others to the right."""
    widths = [max(len(r[i]) for r in rows) for i in range(len(rows[0]))]
    for r in rows:
        print("  ".join(c.rjust(w) if i else c.ljust(w) for i, (c, w) in enumerate(zip(r, widths))).rstrip())


def main():
    """Prints the tables that are named, or the first two."""
    parser = argparse.ArgumentParser()
    parser.add_argument("build")
    parser.add_argument("-n", type=int, default=5)
    parser.add_argument("-s", type=int, default=200)
    parser.add_argument("-b", default="")
    parser.add_argument("tables", nargs="*")
    args = parser.parse_intermixed_args()
    build, load = os.path.abspath(args.build), os.getloadavg()[0]
    tables = {"memory": lambda: memory(build, args.n, args.s), "pins": lambda: pins(build), "loop": lambda: loop(build, args.n),
              "unarmed": lambda: unarmed(build, args.b)}
    unknown = [t for t in args.tables if t not in tables]
    if unknown:
        sys.exit(f"bench-compact: no table '{unknown[0]}': there are {' '.join(tables)}")
    for name in args.tables or ["memory", "pins"]:
        tables[name]()
        print()
    print(f"load {load:.1f} at first, {os.getloadavg()[0]:.1f} at last")


main()
