#!/usr/bin/env python3
"""What the tests ran, from the counts that a coverage build left beside its objects.

    tests/coverage.py BUILD_DIR [--functions]

One line a folder: lines and branches that were run, of all. --functions: the functions that never ran, by file.
Every object of a source counts (the command's, the library's, the preloaded malloc's), and so does every process
that ended in any way but by a signal it could not catch.
"""
import collections
import concurrent.futures
import json
import os
import subprocess
import sys

FOLDERS = ("allocator", "collector", "perf", "workloads", "harness")


def counts_of(notes):
    """gcov's report of one object, as a list of (file, lines, functions)."""
    out = subprocess.run(["gcov", "--json-format", "--stdout", "--branch-probabilities", notes],
                         capture_output=True, check=False).stdout
    found = []
    for line in out.splitlines():
        for f in json.loads(line)["files"]:
            found.append((f["file"], f["lines"], f["functions"]))
    return found


def merge(build):
    notes = [os.path.join(d, n) for d, _, names in os.walk(build) for n in names if n.endswith(".gcno")
             and "/tests/" not in d + "/"]
    lines = collections.defaultdict(lambda: collections.defaultdict(int))
    branches = collections.defaultdict(lambda: collections.defaultdict(int))
    functions = collections.defaultdict(lambda: collections.defaultdict(int))
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for found in pool.map(counts_of, notes):
            for name, ls, fs in found:
                if not name.startswith(FOLDERS):
                    continue
                for l in ls:
                    lines[name][l["line_number"]] += l["count"]
                    for i, b in enumerate(l["branches"]):
                        branches[name][l["line_number"], i] += b["count"]
                for f in fs:
                    functions[name][f["name"], f["start_line"]] += f["execution_count"]
    return lines, branches, functions


def share(counts):
    values = [c for per_file in counts for c in per_file.values()]
    run = sum(c > 0 for c in values)
    return f"{run:6} of {len(values):6} {100 * run / max(1, len(values)):5.1f} %"


def main():
    lines, branches, functions = merge(sys.argv[1])
    if not lines:
        sys.exit("coverage: no counts in " + sys.argv[1] + ": build with COVERAGE=1 and run the tests")
    for folder in FOLDERS:
        mine = [n for n in lines if n.startswith(folder + "/")]
        print(f"{folder:12} lines {share([lines[n] for n in mine])}   branches {share([branches[n] for n in mine])}")
    print(f"{'all':12} lines {share(lines.values())}   branches {share(branches.values())}")
    if "--functions" in sys.argv[2:]:
        for name in sorted(functions):
            never = sorted((line, f) for (f, line), n in functions[name].items() if n == 0)
            if never:
                print(f"{name}: " + ", ".join(f"{f} ({line})" for line, f in never))
        worst = sorted((sum(c > 0 for c in lines[n].values()) / len(lines[n]), n) for n in lines if len(lines[n]) >= 10)
        print("least covered: " + ", ".join(f"{n} {100 * c:.0f} %" for c, n in worst[:20]))


main()
