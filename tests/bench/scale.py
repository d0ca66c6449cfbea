#!/usr/bin/env python3
"""Memory and waiting at scale, beside bdwgc and Go: one table of medians. Then memory and speed by the number of mutators, and
what a collection costs by what is live; both with what is held beside it.

    tests/bench/scale.py BUILD_DIR [REPS] [BASE_TREE]
    tests/bench/scale.py --mutators BUILD_DIR [REPS] [N ..]
    tests/bench/scale.py --cycles BUILD_DIR [REPS] [MIB ..]

The other forms print the last tables alone; N: 1 2 4 8 16 32 64; MIB: 64 256 1024 4096 8192, of which a process holds one at a
time (a size for which there is no memory now is left out). Every repetition runs every candidate once, in turn, on two CPUs.
BASE_TREE: another checkout that has been built, to compare with. What is not there (libgc-dev, go) is left out. The programs are
tests/bench/peers/scale.{c,go} and tests/bench/bench_cycle.c.
"""
import os
import shutil
import statistics
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
SOURCE = HERE + "/peers/scale.c"

# Group, arguments, what is shown, and what is wanted of ours.
GROUPS = (
    ("1 mutator", "mutators 1 128 20000000", ("peak_over_live", "cpu_ns_per_object", "wall_s"), "peak 2.3"),
    ("8 mutators", "mutators 8 128 20000000", ("peak_over_live", "cpu_ns_per_object", "wall_s"), "peak 2.3"),
    ("64 mutators", "mutators 64 128 20000000", ("peak_over_live", "cpu_ns_per_object", "wall_s"), "peak 2.3"),
    ("sawtooth", "sawtooth 512 3 40", ("full_2", "dropped_0s_2", "dropped_5s_2", "cpu_s"), "1.5, -, 3.0"),
    ("strings", "strings 20000 20000000", ("wall_s", "cpu_s", "peak_mib"), "wall of bdwgc's: 1.0"),
)
LIMITED = ("1", "8", "64")

COUNTS = (1, 2, 4, 8, 16, 32, 64)
HELD = ("metadata", "windows", "fragmentation", "free_units", "resident")

# Shapes and kinds of collections, each over all sizes; all with one worker, and none before the first that is asked for.
WAYS = (("trees", "stw objects", "gc.mode=stw gc.mark=objects"), ("trees", "stw spans", "gc.mode=stw gc.mark=spans"),
        ("trees", "concurrent objects", "gc.mark=objects"), ("trees", "concurrent spans", "gc.mark=spans"),
        ("random", "stw objects", "gc.mode=stw gc.mark=objects"))
SIZES = (64, 256, 1024, 4096, 8192)
ROUNDS, ROUND_MIB = 5, 2048


def run(command):
    """A command's "name value" lines."""
    if os.cpu_count() > 2 and shutil.which("taskset"):
        command = ["taskset", "-c", "0,1"] + command
    out = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False).stdout
    values = {}
    for line in out.splitlines():
        words = line.split()
        if len(words) == 2:
            values[words[0]] = float(words[1])
    return values


def build_ours(tree, build, name):
    """The program against a tree's library."""
    to = os.path.join(build, "peers", name)
    os.makedirs(os.path.dirname(to), exist_ok=True)
    subprocess.run(["gcc", "-O2", "-D_GNU_SOURCE", "-I" + tree, "-I" + tree + "/include", "-o", to, SOURCE,
                    build + "/libspanmark.a", "-lm", "-pthread"], check=True)
    return to


def candidates(build, base):
    """Name -> program; what cannot be built is left out."""
    os.makedirs(build + "/peers", exist_ok=True)
    all_of = {"spanmark": build_ours(os.path.join(HERE, "../.."), build, "scale")}
    if base:
        all_of["base"] = build_ours(base, os.path.join(base, "build", os.path.basename(build)), "scale")
    for name, command in (("bdwgc", ["gcc", "-O2", "-DBDW", "-o", build + "/peers/scale-bdw", SOURCE, "-lgc", "-pthread"]),
                          ("Go", ["go", "build", "-o", build + "/peers/scale-go", HERE + "/peers/scale.go"])):
        if shutil.which(command[0]) and subprocess.run(command, stderr=subprocess.DEVNULL, check=False,
                                                       env=dict(os.environ, GO111MODULE="off")).returncode == 0:
            all_of[name] = command[command.index("-o") + 1]
        else:
            print("bench-scale: no " + name + ": left out", file=sys.stderr)
    return all_of


def show(rows):
    """Columns in line."""
    widths = [max(len(r[i]) for r in rows) for i in range(len(rows[0]))]
    for r in rows:
        print("  ".join(c.ljust(w) if i < 2 else c.rjust(w) for i, (c, w) in enumerate(zip(r, widths))).rstrip())


def available_mib():
    """Of memory, now."""
    with open("/proc/meminfo", encoding="utf-8") as f:
        return {w[0]: int(w[1]) for w in (line.split() for line in f)}["MemAvailable:"] / 1024


def of(runs, name, pick=statistics.median):
    """A figure of the runs that have it."""
    values = [r[name] for r in runs if name in r]
    return pick(values) if values else float("nan")


def cycles(build, reps, sizes):
    """CPU time of a full collection for each KiB that is live, the least of all rounds of all processes; what is held."""
    seen = {}
    for i in range(reps):
        for shape, way, settings in WAYS:
            for mib in sizes:
                if available_mib() > mib * 1.4:
                    seen.setdefault((shape, way, mib), []).append(
                        run([build + "/tests/bench_cycle", shape, str(mib), str(ROUNDS), str(ROUND_MIB), "gc.workers=1",
                             "gc.percent=0", *settings.split()]))
        print(f"\rrepetition {i + 1} of {reps}", end="", file=sys.stderr)
    print(file=sys.stderr)

    def cells(shape, way, name, digits=0, pick=min):
        values = [of(seen.get((shape, way, mib), []), name, pick) for mib in sizes]
        return tuple(f"{v:.{digits}f}" if v == v else "-" for v in values)

    def costs(shape, way, name):
        values = [of(seen[key], name, min) for key in seen if key[:2] == (shape, way)]
        return (*cells(shape, way, name), f"{max(values) / min(values):.2f}" if values else "-")

    rows = [("ns of CPU a KiB live", "", *(f"{mib} MiB" for mib in sizes), "most / least")]
    for shape, way, _ in WAYS:
        rows.append((shape, way, *costs(shape, way, "cpu_ns_per_kib")))
        rows.append(("", "marking alone", *costs(shape, way, "mark_ns_per_kib")))
    rows.append(("random", "a load each", *costs("random", "stw objects", "load_ns_per_kib")))
    show(rows)
    print()
    rows = [("of live bytes", "", *(f"{mib} MiB" for mib in sizes))]
    for way in ("stw objects", "concurrent spans"):
        rows += [(way, name.replace("_", " "), *cells("trees", way, name, 4, statistics.median)) for name in (*HELD, "huge")]
    show(rows)


def mutators(program, reps, counts):
    """Speed and memory by the number of mutators that share 128 MiB; what is held behind a collection beside all of them."""
    seen = {}
    for i in range(reps):
        for n in counts:
            seen.setdefault(n, []).append(run([program, "mutators", str(n), "128", "20000000"]))
        print(f"\rrepetition {i + 1} of {reps}", end="", file=sys.stderr)
    print(file=sys.stderr)
    rows = [("mutators", "", "M objects/s", "of first", "CPU ns/object", "cycles", "peak", "|",
             *(h.replace("_", " ") for h in HELD))]
    for n in counts:
        speed = [20 / r["wall_s"] for r in seen[n] if "wall_s" in r]
        pairs = [one["wall_s"] / r["wall_s"] for one, r in zip(seen[counts[0]], seen[n]) if "wall_s" in one and "wall_s" in r]
        rows.append((str(n), "", f"{statistics.median(speed):.1f}", f"{statistics.median(pairs):.2f}",
                     f"{of(seen[n], 'cpu_ns_per_object'):.0f}", f"{of(seen[n], 'cycles'):.0f}",
                     f"{of(seen[n], 'peak_over_live'):.2f}",
                     "|", *(f"{of(seen[n], name):.3f}" for name in HELD)))
    print("peak, and behind the bar, of live bytes; that behind a collection with all mutators there")
    show(rows)


def main():
    """Runs and prints."""
    if len(sys.argv) > 2 and sys.argv[1] in ("--cycles", "--mutators"):
        build, rest = os.path.abspath(sys.argv[2]), [int(n) for n in sys.argv[3:]]
        if sys.argv[1] == "--cycles":
            cycles(build, rest[0] if rest else 3, rest[1:] or SIZES)
        else:
            mutators(build_ours(os.path.join(HERE, "../.."), build, "scale"), rest[0] if rest else 5, rest[1:] or COUNTS)
        return
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    build, reps = os.path.abspath(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 5
    programs = candidates(build, sys.argv[3] if len(sys.argv) > 3 else "")
    seen, limited = {}, {}
    for i in range(reps):
        for group, arguments, _, _ in GROUPS:
            for name, program in programs.items():
                if name == "Go" and group == "strings":
                    continue
                seen.setdefault((group, name), []).append(run([program] + arguments.split()))
        for n in LIMITED:
            for name in programs:
                if name not in ("bdwgc", "Go"):
                    limited.setdefault((n, name), []).append(
                        run([programs[name], "mutators", n, "128", "20000000", "gc.limit=256m"]))
        print(f"\rrepetition {i + 1} of {reps}", end="", file=sys.stderr)
    print(file=sys.stderr)
    rows = [("work", "figure", *programs, "wanted")]
    for group, _, figures, wanted in GROUPS:
        for f in figures:
            cells = [[r[f] for r in seen.get((group, name), []) if f in r] for name in programs]
            rows.append((group, f, *(f"{statistics.median(c):.3g}" if c else "-" for c in cells),
                         wanted if f == figures[0] else ""))
    for n in LIMITED:
        cells = [[r["peak_mib"] / 256 for r in limited.get((n, name), []) if "peak_mib" in r] for name in programs]
        rows.append((n + " mutators", "peak / gc.limit", *(f"{max(c):.2f} at most" if c else "-" for c in cells), "1.10"))
    show(rows)
    print()
    mutators(programs["spanmark"], reps, COUNTS)
    print()
    cycles(build, reps, SIZES)


main()
