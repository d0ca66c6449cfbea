#!/usr/bin/env python3
"""What --trace costs: the same case with and without, one run of each after the other, in pairs.

  trace.py BUILD_DIR [PAIRS]

For each case: the medians of the pairs' ratios of wall time and of CPU time (the writer's in it, and on a busy machine the
steadier one), the least and the largest of the latter; and what the timeline holds. Ratios of pairs, since what else the
machine does changes within a minute.
"""
import json
import os
import statistics
import subprocess
import sys
import tempfile

CASES = [("binary-trees", "gc"), ("churn", "gc"), ("churn", "span"), ("graph", "gc"), ("ring", "gc"), ("strings", "gc")]


def sample(spanmark, folder, workload, backend, trace):
    out = os.path.join(folder, "out.json")
    line = [spanmark, "run", "-w", workload, "-b", backend, "--reps", "1", "--seed", "1", "--no-store", "-f", "json", "-o", out]
    subprocess.run(line + (["--trace", trace] if trace else []), check=True, stderr=subprocess.DEVNULL)
    with open(out) as f:
        return json.load(f)["samples"][0]["results"]


def cpu(results):
    return results["user_s"] + results["system_s"]


def main(build, pairs=9):
    spanmark = os.path.join(build, "spanmark")
    print("%-16s %-5s %7s %7s %15s %12s %8s %9s" % ("workload", "", "wall", "CPU", "least..largest", "events/s", "dropped", "MB/s"))
    with tempfile.TemporaryDirectory() as folder:
        trace = os.path.join(folder, "t.pftrace")
        for workload, backend in CASES:
            walls, cpus, rates, lost, sizes = [], [], [], 0, []
            for i in range(pairs):
                # Each is first as often as the other.
                both = {}
                for traced in (True, False) if i % 2 else (False, True):
                    both[traced] = sample(spanmark, folder, workload, backend, trace if traced else None)
                wall = both[True]["wall_s"]
                walls.append(wall / both[False]["wall_s"])
                cpus.append(cpu(both[True]) / cpu(both[False]))
                rates.append(both[True]["trace_events"] / wall)
                sizes.append(os.path.getsize(trace) / wall / 1e6)
                lost += both[True]["trace_dropped"]
            print("%-16s %-5s %7.3f %7.3f %7.2f..%-6.2f %12.0f %8.0f %9.1f" % (
                workload, backend, statistics.median(walls), statistics.median(cpus), min(cpus), max(cpus),
                statistics.median(rates), lost, statistics.median(sizes)), flush=True)


main(sys.argv[1], *map(int, sys.argv[2:]))
