#!/usr/bin/env python3
"""Judges what tests/machine/run.sh left in a folder: one line a check, status 1 when one failed.

    tests/machine/check.py OUT_DIR [--expect FILE]

FILE describes an emulated machine (tests/vm/machines.py writes it). Without it the kernel's own account in /sys is
what `spanmark topo` is held to: this is how a real machine is checked.
"""

import argparse
import glob
import json
import os
import re
import sys


class Report:
    def __init__(self):
        self.failed = 0

    def line(self, result, what, detail=""):
        self.failed += result == "FAILED"
        print(f"{result:8} {what}{': ' + detail if detail else ''}")

    def check(self, ok, what, detail=""):
        self.line("ok" if ok else "FAILED", what, "" if ok else detail)
        return ok


def load(path, r, what):
    try:
        with open(path) as f:
            return json.load(f)
    except (OSError, ValueError) as e:
        r.line("FAILED", what, f"{os.path.basename(path)}: {e}")
        return None


def tail(path, n=12):
    try:
        with open(path, errors="replace") as f:
            return "".join("     | " + x for x in f.read().splitlines(True)[-n:]).rstrip()
    except OSError:
        return ""


# ---- topology -----------------------------------------------------------------------------------


def cpus_of(text):
    found = []
    for part in text.strip().split(","):
        if part:
            first, _, last = part.partition("-")
            found += range(int(first), int(last or first) + 1)
    return found


def from_sys():
    """What /sys says of this machine, in the shape of an expectation."""

    def read(path):
        with open(path) as f:
            return f.read()

    online = cpus_of(read("/sys/devices/system/cpu/online"))
    nodes, distances = [], []
    folders = sorted(glob.glob("/sys/devices/system/node/node[0-9]*"), key=lambda p: int(re.search(r"\d+$", p)[0]))
    for folder in folders:
        nodes.append({"id": int(re.search(r"\d+$", folder)[0]), "cpus": cpus_of(read(folder + "/cpulist"))})
        distances.append([int(x) for x in read(folder + "/distance").split()])
    packages = set()
    for cpu in online:
        try:
            packages.add(read(f"/sys/devices/system/cpu/cpu{cpu}/topology/physical_package_id").strip())
        except OSError:
            pass
    return {
        "arch": os.uname().machine, "cpus": len(online), "packages": len(packages) or 1, "nodes": nodes,
        "distances": distances, "page_size": os.sysconf("SC_PAGESIZE"),
    }


def check_topo(out, expect, r):
    topo = load(f"{out}/topo.json", r, "topo")
    if topo is None:
        return
    pus = topo.get("pus", [])
    r.check(len(pus) == expect["cpus"], "topo: CPUs", f"{len(pus)} instead of {expect['cpus']}")
    packages = topo.get("packages", [])
    r.check(len(packages) == expect["packages"], "topo: packages", f"{len(packages)} instead of {expect['packages']}")
    if expect["nodes"]:
        seen = [(n["os"], sorted(n["cpus"])) for n in topo.get("nodes", [])]
        want = [(n["id"], n["cpus"]) for n in expect["nodes"]]
        r.check(seen == want, "topo: nodes and their CPUs", f"{seen} instead of {want}")
        r.check(topo.get("distances") == expect["distances"], "topo: distances",
                f"{topo.get('distances')} instead of {expect['distances']}")
    page = topo.get("page_size")
    r.check(page == expect["page_size"], "topo: page size", f"{page} instead of {expect['page_size']}")


# ---- samples ------------------------------------------------------------------------------------

RESULTS = ("wall_s", "ops", "ns_per_op", "gc_cycles", "peak_rss_kib")
STATUSES = ("ok", "multiplexed", "unsupported", "denied", "not_counted")


def check_metrics(doc, r, what):
    """A number is right or it is absent: a value exactly where the status says so."""
    wrong, n = [], 0
    for s in doc["samples"]:
        for m in s.get("metrics", []):
            n += 1
            has = m.get("value") is not None
            if m.get("status") not in STATUSES or has != (m["status"] in ("ok", "multiplexed")):
                wrong.append(f"{s['workload']} {m.get('metric')}: {m.get('value')} with status {m.get('status')}")
            elif has and (not isinstance(m["value"], (int, float)) or m["value"] != m["value"] or m["value"] < 0):
                wrong.append(f"{s['workload']} {m['metric']}: value {m['value']}")
    r.check(n > 0 and not wrong, f"{what}: {n} metrics have a value or a reason", "; ".join(wrong[:5]) or "no metrics")


def check_quick(out, expect, r):
    doc = load(f"{out}/quick.json", r, "run --quick")
    if doc is None:
        return
    r.check(doc.get("schema_version") == 1, "run: schema_version", str(doc.get("schema_version")))
    samples = doc.get("samples", [])
    bad = [f"{s.get('workload')}: {s.get('status')} {s.get('reason') or ''}" for s in samples if s.get("status") != "ok"]
    r.check(samples and not bad, f"run: {len(samples)} samples are ok", "; ".join(bad[:5]) or "there are none")
    missing = sorted({k for s in samples if s.get("status") == "ok" for k in RESULTS if k not in s.get("results", {})})
    r.check(not missing, "run: every sample has the common results", f"missing {', '.join(missing)}")
    check_metrics(doc, r, "run")
    node_of = {c: n["id"] for n in expect["nodes"] for c in n["cpus"]}
    placed = [(m["cpu"], m["node"]) for s in samples for m in s.get("metrics", [])
              if m.get("role") == "mutator" and m.get("cpu") is not None and m["cpu"] >= 0]
    wrong = sorted({(c, n) for c, n in placed if node_of.get(c, 0) != n})
    r.check(placed and not wrong, "run: mutators are pinned, and on the node of their CPU",
            f"(cpu, node) {wrong[:5]}" if wrong else "no metric names a CPU")


def check_taken(out, how, r):
    """A CPU was taken away in the middle: some sample says so, and the rest of the file is whole."""
    doc = load(f"{out}/{how}.json", r, how)
    if doc is None:
        return
    hurt = [s for s in doc.get("samples", []) if s.get("status") != "ok"]
    said = f"{len(hurt)} of {len(doc.get('samples', []))}"
    r.check(bool(hurt), f"{how}: the samples it hurt are marked ({said})", "all samples claim to be ok")
    check_metrics(doc, r, how)


# ---- counters -----------------------------------------------------------------------------------


def check_calibration(out, r):
    doc = load(f"{out}/calibration.json", r, "doctor --calibrate")
    if doc is None:
        return
    return doc


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("out")
    ap.add_argument("--expect")
    a = ap.parse_args()
    r = Report()
    expect = from_sys()
    if a.expect:
        with open(a.expect) as f:
            expect = json.load(f)
    steps = {}
    try:
        with open(f"{a.out}/steps.tsv") as f:
            for line in f:
                name, status, seconds = line.split("\t")
                steps[name] = (int(status), int(seconds))
    except OSError as e:
        r.line("FAILED", "the list of steps", str(e))
    for name, (status, seconds) in steps.items():
        log = tail(f"{a.out}/{name}.log")
        if status == 77:
            r.line("skipped", f"step {name}", log.replace("     | ", "").splitlines()[-1] if log else "")
            continue
        if name == "unit":
            unit = open(f"{a.out}/unit.txt", errors="replace").read().splitlines()
            totals = unit[-1] if unit else "nothing ran"
            failed = [x for x in unit if x.startswith("FAILED")]
            r.line("FAILED" if status else "ok", f"unit tests ({totals}; {seconds} s)", "")
            for x in unit if failed else []:
                if not x.startswith("ok"):
                    print("     | " + x)
            continue
        if not r.check(status == 0, f"step {name} ({seconds} s)", f"status {status}"):
            print(log)
        if name == "topo":
            check_topo(a.out, expect, r)
        elif name == "quick":
            check_quick(a.out, expect, r)
        elif name == "doctor":
            check_calibration(a.out, r)
        elif name in ("hotplug", "cpuset"):
            check_taken(a.out, "offline" if name == "hotplug" else name, r)
    return 1 if r.failed else 0


if __name__ == "__main__":
    sys.exit(main())
