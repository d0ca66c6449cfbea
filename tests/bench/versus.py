#!/usr/bin/env python3
"""The collector against Go, OpenJDK's Parallel and mimalloc, the same work at the same memory: one table.

    tests/bench/versus.py BUILD_DIR [-n REPS] [-m MALLOC.so] [ROW ..]

Rows: trees1 trees2 gcbench lru-cache young-garbage layouts (all when none is named). young-garbage is beside OpenJDK's other
collectors, too, those of JDK 25 where that is in /usr/lib/jvm, and spanmark there by gc.generations. Where a row is at
equal memory, GOGC and -Xmx are first searched for so that the peer's peak RSS is ours within 5 %. Then every repetition runs every candidate once, in turn.
A ratio is ours over the candidate's, the median of those of the repetitions: below 1, spanmark is better. `wall` is timed
inside, so the start of a virtual machine does not count; `cpu` is the whole process's. All must have done the same: a row
in which checks differ fails. -m: the malloc that trees are compared with (default: mimalloc 3
as peers/mallocs.sh has it, or the one that is installed).
"""
import argparse
import ctypes
import mmap
import os
import re
import shutil
import statistics
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
PEERS = HERE + "/peers"
CHECKS = ("check", "long_lived", "hit_share", "followed")

# Name -> our arguments, the peers', equal memory?, what is wanted at most of each candidate.
ROWS = {
    "trees1": ("binary-trees depth=18 threads=1", "trees 18 1", False, {"JDK17-Parallel": 0.9, "malloc": 0.9}),
    "trees2": ("binary-trees depth=18 threads=2", "trees 18 2", False, {"JDK17-Parallel": 0.9, "malloc": 0.9}),
    "gcbench": ("gcbench", "gcbench 18 16 500000 16", True, {"JDK17-Parallel": 1.0, "Go": 0.7}),
    "lru-cache": ("lru-cache", "lru-cache 200 200000 5000000", True, {"JDK17-Parallel": 1.0, "Go": 0.7}),
    "young-garbage": ("young-garbage", "young-garbage 400000 8 4000000 50", True, {}),
    "layouts": ("layouts", "layouts 10000 100 2", True, {"JDK17-Parallel": 1.0, "Go": 0.7}),
}
LAYOUTS = 10000
JDK25 = "/usr/lib/jvm/temurin-25-jdk-amd64/bin/java"
JAVAS = {
    "JDK17-Parallel": ["java", "-XX:+UseParallelGC"],
    "JDK17-G1": ["java", "-XX:+UseG1GC"],
    "JDK25-ZGC": [JDK25, "-XX:+UseZGC"],
    "JDK25-Shenandoah": [JDK25, "-XX:+UseShenandoahGC", "-XX:ShenandoahGCMode=generational"],
}


def say(what):
    print("bench-versus: " + what, file=sys.stderr)


def warm_memory():
    """What tests/bench/gc.sh says of a virtual machine's free memory. As huge pages: those are made small ones for who wants
    these, but memory that was freed as small pages is not what the next huge ones are made of, and only the candidates that
    ask for huge pages would wait for the host."""
    size = 512 << 20
    with mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as m:
        if hasattr(mmap, "MADV_HUGEPAGE"):
            try:
                m.madvise(mmap.MADV_HUGEPAGE)
            except OSError:
                pass # a kernel without them
        m[::4096] = bytes(size // 4096)


def run(command, env=None, limit=300):
    """A command's "name value" lines with its CPU time; {} when it fails or takes too long."""
    if os.cpu_count() > 2 and shutil.which("taskset"):
        command = ["taskset", "-c", "0,1"] + command
    warm_memory()
    before = os.times()
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=False,
                              env=dict(os.environ, **(env or {})), timeout=limit)
    except subprocess.TimeoutExpired:
        return {}
    after = os.times()
    if done.returncode != 0:
        return {}
    values = {}
    for line in done.stdout.splitlines():
        words = line.split()
        if len(words) >= 2 and re.fullmatch(r"[0-9.e+-]+", words[1]):
            values[words[0]] = float(words[1])
    values["cpu_s"] = sum(after[2:4]) - sum(before[2:4])
    return values


# ---- the peers ------------------------------------------------------------------------------------

def shape(kind):
    """The words of a layout (wl_layouts.c) as fields of a type of Go's, a run of a kind each."""
    words, pointers, fields, w = 14 + kind % 16, ((kind // 16 + 1) * 0x9E5 & 0x1FFF) << 1, [], 0
    while w < words:
        end = w
        while end < words and (pointers >> end & 1) == (pointers >> w & 1):
            end += 1
        fields.append(f"f{w} [{end - w}]" + ("unsafe.Pointer" if pointers >> w & 1 else "uint64"))
        w = end
    return "; ".join(fields)


def write_shapes(path):
    with open(path, "w", encoding="ascii") as f:
        f.write("package main\n\nimport \"unsafe\"\n\n")
        f.writelines(f"type t{k} struct {{ {shape(k)} }}\n" for k in range(LAYOUTS))
        f.write("\nvar shapes = [...]any{" + ", ".join(f"(*t{k})(nil)" for k in range(LAYOUTS)) + "}\n")


def build(to):
    """What can be built of "c", "go", "versus", "java"."""
    os.makedirs(to + "/versus", exist_ok=True)
    for name in ("versus.go", "rng.go"):
        shutil.copy(PEERS + "/" + name, to + "/versus/" + name)
    write_shapes(to + "/versus/shapes.go")
    go = ["go", "build", "-o"]
    commands = {
        "c": ["gcc", "-O2", "-pthread", "-o", to + "/c", PEERS + "/peer.c"],
        "go": go + [to + "/go", PEERS + "/peer.go"],
        "versus": go + [to + "/versus/versus", to + "/versus/versus.go", to + "/versus/rng.go", to + "/versus/shapes.go"],
        "java": ["javac", "-nowarn", "-XDignore.symbol.file", "-d", to, PEERS + "/Peer.java", PEERS + "/Versus.java"],
    }
    built = set()
    for name, command in commands.items():
        if shutil.which(command[0]) and subprocess.run(command, check=False, stderr=subprocess.DEVNULL,
                                                       env=dict(os.environ, GO111MODULE="off", GOFLAGS="")).returncode == 0:
            built.add(name)
        else:
            say(f"{command[0]} is not there, or builds no {name}: left out")
    return built


def find_malloc(build_dir):
    """mimalloc 3 where mallocs.sh can fetch it, else the distribution's."""
    if os.path.exists(PEERS + "/mallocs.sh"):
        out = subprocess.run([PEERS + "/mallocs.sh", os.path.dirname(os.path.abspath(build_dir)) + "/peers"],
                             stdout=subprocess.PIPE, text=True, check=False).stdout
        for line in out.splitlines():
            if line.startswith("mi3\t"):
                return line.split("\t")[2]
    for folder in ("/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib", "/usr/local/lib"):
        for name in ("libmimalloc.so.3", "libmimalloc.so.2.1", "libmimalloc.so.2.0", "libmimalloc.so.2"):
            if os.path.exists(f"{folder}/{name}"):
                return f"{folder}/{name}"
    return None


def malloc_name(path):
    """mimalloc tells its version; of another only its file is known."""
    lib = ctypes.CDLL(path)
    if not hasattr(lib, "mi_version"):
        return os.path.basename(path)
    v = lib.mi_version() # 2.0.9 is 209, 3.1.5 is 315, later ones 30401
    return "mimalloc " + (f"{v // 100}.{v // 10 % 10}.{v % 10}" if v < 10000 else f"{v // 10000}.{v // 100 % 100}.{v % 100}")


def candidates(row, built, to, malloc):
    """Name -> function of a setting (GOGC, or MiB of heap; None: the default) that runs it."""
    ours, peers, _, _ = ROWS[row]
    trees = row.startswith("trees")
    session = to + "/../tests/bench_session"
    found = {"spanmark": lambda _: run([session] + ours.split())}
    if row == "young-garbage":
        for kind in ("on", "auto"):
            found["spanmark, " + kind] = lambda _, kind=kind: run([session] + ours.split() + ["-s", "gc.generations=" + kind])
    if "go" in built and "versus" in built:
        program = to + ("/go" if trees else "/versus/versus")
        found["Go"] = lambda gogc: run([program] + peers.split(), {"GOGC": str(gogc)} if gogc else {})
    if "java" in built:
        main = ["-cp", to, "Peer" if trees else "Versus"]
        for name, java in JAVAS.items():
            if name == "JDK17-Parallel" or (row == "young-garbage" and shutil.which(java[0])):
                found[name] = lambda mib, java=java: run(java + ([f"-Xmx{mib}m"] if mib else []) + main + peers.split())
    if trees and "c" in built and malloc:
        found["malloc"] = lambda _: run([to + "/c"] + peers.split(), {"LD_PRELOAD": malloc})
    return found


# ---- equal memory ---------------------------------------------------------------------------------

def search(what, wanted, least, most):
    """The setting at which what(setting) has a peak of `wanted` KiB; None where it has none that works."""
    best, seen = None, {}
    for _ in range(11):
        at = (least + most) // 2
        if at in seen:
            break
        peaks = [what(at).get("peak_rss_kib", 0) for _ in range(2)]
        seen[at] = min(peaks) and statistics.mean(peaks)
        if seen[at] and (best is None or abs(seen[at] - wanted) < abs(seen[best] - wanted)):
            best = at
        if seen[at] and abs(seen[at] / wanted - 1) < 0.02:
            break
        if seen[at] < wanted:
            least = at
        else:
            most = at
    return best


def settings_of(row, found):
    """Name -> the setting at which its peak is ours."""
    settings = dict.fromkeys(found)
    if not ROWS[row][2]:
        return settings
    wanted = statistics.median(found["spanmark"](None).get("peak_rss_kib", 0) for _ in range(3))
    for name, least, most in [("Go", 5, 1500)] + [(name, 8, 1500) for name in JAVAS]:
        if name in found:
            settings[name] = search(found[name], wanted, least, most)
    return settings


# ---- the table ------------------------------------------------------------------------------------

def median_of(runs, figure):
    return statistics.median(r[figure] for r in runs)


def ratio(ours, theirs, figure):
    pairs = [a[figure] / b[figure] for a, b in zip(ours, theirs) if a and b and b.get(figure)]
    return statistics.median(pairs) if pairs else float("nan")


def check(row, runs):
    """Everyone did the same work."""
    for name in CHECKS:
        values = {round(r[name], 4) for rs in runs.values() for r in rs if r and name in r}
        if len(values) > 1:
            sys.exit(f"bench-versus: {row}: {name} differs: {sorted(values)}")


def rows_of(row, runs, settings, malloc):
    wanted = ROWS[row][3]
    for name, rs in runs.items():
        good = [r for r in rs if r]
        if not good:
            yield (row, name, "failed", *("",) * 7)
            continue
        setting = settings.get(name)
        label = name if not setting else f"Go, GOGC={setting}" if name == "Go" else f"{name}, -Xmx{setting}m"
        if name == "malloc":
            label = malloc_name(malloc)
        cells = [f"{median_of(good, 'wall_s'):.3f}", f"{median_of(good, 'cpu_s'):.3f}", f"{median_of(good, 'peak_rss_kib') / 1024:.0f}"]
        ratios = ["", "", "", ""]
        if name != "spanmark":
            ratios = [f"{ratio(runs['spanmark'], rs, f):.2f}" for f in ("wall_s", "cpu_s", "peak_rss_kib")] + [str(wanted.get(name, ""))]
        yield (row, label, *cells, *ratios)


def show(rows):
    widths = [max(len(r[i]) for r in rows) for i in range(len(rows[0]))]
    for r in rows:
        print("  ".join(c.ljust(w) if i < 2 else c.rjust(w) for i, (c, w) in enumerate(zip(r, widths))).rstrip())


def versions(malloc):
    for command in (["go", "version"], ["java", "-version"]):
        if shutil.which(command[0]):
            out = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False).stdout
            print(out.splitlines()[0])
    if malloc:
        print(malloc_name(malloc) + ": " + malloc)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("build")
    parser.add_argument("-n", type=int, default=7)
    parser.add_argument("-m", default=None)
    parser.add_argument("rows", nargs="*", metavar="ROW")
    args = parser.parse_intermixed_args()
    unknown = [r for r in args.rows if r not in ROWS]
    if unknown:
        sys.exit(f"bench-versus: no row '{unknown[0]}': there are {' '.join(ROWS)}")
    to = os.path.abspath(args.build) + "/peers"
    built, malloc = build(to), args.m or find_malloc(args.build)
    table = [("work", "candidate", "wall s", "cpu s", "peak MiB", "wall", "cpu", "peak", "wanted")]
    load = os.getloadavg()[0]
    for row in args.rows or ROWS:
        found = candidates(row, built, to, malloc)
        say(f"{row}: looks for equal memory" if ROWS[row][2] else row)
        settings = settings_of(row, found)
        runs = {name: [] for name in found}
        for _ in range(args.n):
            for name, what in found.items():
                runs[name].append(what(settings[name]))
        check(row, runs)
        table.extend(rows_of(row, runs, settings, malloc))
    versions(malloc)
    print(f"load {load:.1f} at first, {os.getloadavg()[0]:.1f} at last; medians of {args.n}\n")
    show(table)


if __name__ == "__main__":
    main()
