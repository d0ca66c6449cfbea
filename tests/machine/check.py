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
    pus, nodes = topo.get("pus", []), topo.get("nodes", [])
    r.check(len(pus) == expect["cpus"], "topo: CPUs", f"{len(pus)} instead of {expect['cpus']}")
    packages = topo.get("n_packages")
    r.check(packages == expect["packages"], "topo: packages", f"{packages} instead of {expect['packages']}")
    if not expect["nodes"]:
        return
    # Nodes come in hwloc's order, the expectation in the kernel's.
    order = sorted(range(len(nodes)), key=lambda i: nodes[i]["os"])
    seen = [(nodes[i]["os"], sorted(p["os"] for p in pus if p["node"] == nodes[i]["os"])) for i in order]
    want = [(n["id"], n["cpus"]) for n in expect["nodes"]]
    r.check(seen == want, "topo: nodes and their CPUs", f"{seen} instead of {want}")
    bare = [nodes[i]["os"] for i in order if not nodes[i]["has_cpu"]]
    want = [n["id"] for n in expect["nodes"] if not n["cpus"]]
    r.check(bare == want, "topo: nodes without CPUs", f"{bare} instead of {want}")
    rows = topo.get("distances", [])
    seen = [[rows[a][b] for b in order] for a in order] if len(rows) == len(nodes) else rows
    r.check(seen == expect["distances"], "topo: distances", f"{seen} instead of {expect['distances']}")


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
    page = doc.get("environment", {}).get("topology", {}).get("page_bytes")
    r.check(page == expect["page_size"], "run: page size", f"{page} instead of {expect['page_size']}")
    bad = [f"{s.get('workload')}: {s.get('status')} {s.get('message') or ''}" for s in samples if s.get("status") != "ok"]
    r.check(samples and not bad, f"run: {len(samples)} samples are ok", "; ".join(bad[:5]) or "there are none")
    missing = sorted({k for s in samples if s.get("status") == "ok" for k in RESULTS if k not in s.get("results", {})})
    r.check(not missing, "run: every sample has the common results", f"missing {', '.join(missing)}")
    check_metrics(doc, r, "run")
    node_of = {c: n["id"] for n in expect["nodes"] for c in n["cpus"]}
    check_sums(doc, r)
    check_shares(doc, node_of, r)
    if expect.get("machine") == "arm64-n1":
        check_n1(doc, r)
    placed = [(m["cpu"], m["node"]) for s in samples for m in s.get("metrics", [])
              if m.get("role") == "mutator" and m.get("cpu") is not None and m["cpu"] >= 0]
    wrong = sorted({(c, n) for c, n in placed if node_of.get(c, 0) != n})
    r.check(placed and not wrong, "run: mutators are pinned, and on the node of their CPU",
            f"(cpu, node) {wrong[:5]}" if wrong else "no metric names a CPU")


def marked_near(sample, node_of):
    """(do its workers run on its mutators' nodes?, per cent of the objects marked on their own node or None)"""
    placed = sample.get("placement", {})
    nodes = [{node_of.get(c, 0) for c in placed.get(k, [])} for k in ("mutator_cpus", "worker_cpus")]
    return nodes[0] == nodes[1], sample.get("results", {}).get("mark_local_share")


def check_shares(doc, node_of, r):
    """Where a thread's objects are marked on the node that it runs on, nearly all of them are local to their marker."""
    if len(set(node_of.values())) < 2:
        return
    seen = [(s["workload"], share) for s in doc["samples"] for near, share in [marked_near(s, node_of)]
            if near and share is not None]
    wrong = [f"{w}: {share:.1f} %" for w, share in seen if share < 95]
    r.check(seen and not wrong, f"run: at least 95 % of the objects are marked on their own node ({len(seen)} samples)",
            "; ".join(wrong) or "no sample says")


def check_marking(out, expect, r):
    """One worker on the objects' node marks nearly all of them locally, one on another node nearly none."""
    node_of = {c: n["id"] for n in expect["nodes"] for c in n["cpus"]}
    for where, near in (("dedicated", True), ("remote-node", False)):
        doc = load(f"{out}/marking-{where}.json", r, "marking")
        if doc is None:
            continue
        seen = [marked_near(s, node_of) for s in doc["samples"] if s["status"] == "ok"]
        right = seen and all(n == near and share is not None and (share >= 95 if near else share <= 5) for n, share in seen)
        r.check(right, f"marking: {where}: {', '.join(f'{s:.1f}' for _, s in seen if s is not None)} % local",
                f"{'at least 95' if near else 'at most 5'} % should be; (same node?, per cent): {seen}")


def check_sums(doc, r):
    """Phases exclude each other: over a thread they sum to its total."""
    wrong, n = [], 0
    for s in doc["samples"]:
        threads = {}
        for m in s.get("metrics", []):
            if m["metric"] in ("time", "instructions", "cycles"):
                key = (m["role"], m["thread"], m["metric"], m.get("core_kind"))
                threads.setdefault(key, {})[m["phase"]] = m["value"]
        for key, phases in threads.items():
            total = phases.pop("total", None)
            # A thread that the collector never woke has no phase at all, only time that it lived.
            if total is None or None in phases.values() or (not phases and key[0] != "mutator"):
                continue
            n += 1
            if abs(sum(phases.values()) - total) > 1e-6 * total + 1:
                wrong.append(f"{s['workload']} {key}: phases sum to {sum(phases.values())}, the total is {total}")
    r.check(n > 0 and not wrong, f"run: phases sum to the total ({n} threads and metrics)",
            "; ".join(wrong[:5]) or "no thread has a total")


def check_n1(doc, r):
    """The emulated Neoverse N1: instructions and cycles count, at two cycles an instruction; nothing else does."""
    rows, bad_ratio, zeros = {}, [], set()
    for s in doc["samples"]:
        for m in s.get("metrics", []):
            if m["source"] != "pmu":
                continue
            rows.setdefault((s["workload"], m["role"], m["thread"], m["phase"]), {})[m["metric"]] = m
    counted = 0
    for key, row in rows.items():
        insn, cycles = (row.get(k, {}).get("value") for k in ("instructions", "cycles"))
        if insn and insn > 50000 and cycles:
            counted += 1
            # The two are read one after the other, and other CPUs count in between: exactness is test_pmu_exact's.
            if key[3] == "total" and not 1.9 <= cycles / insn <= 2.1:
                bad_ratio.append(f"{key}: {cycles} cycles, {insn} instructions")
        for name, m in row.items():
            event = m.get("event", "")
            if m["value"] is not None and not ("INST_RETIRED" in event or "CPU_CYCLES" in event):
                zeros.add(f"{name} ({event}): {m['value']}")
    r.check(counted >= 5, f"run: the PMU counted instructions and cycles ({counted} rows)", f"{counted} rows")
    r.check(not bad_ratio, "run: cycles are twice the instructions", "; ".join(bad_ratio[:5]))
    r.check(not zeros, "run: what the emulation cannot count is n/a", "; ".join(sorted(zeros)[:5]))


def check_taken(out, how, r):
    """A CPU was taken away in the middle of the first sample: that one says so, and the rest of the file is whole."""
    doc = load(f"{out}/{how}.json", r, how)
    if doc is None:
        return
    samples = doc.get("samples", [])
    for i, s in enumerate(samples):
        r.check(s.get("status") not in ("ok", "crashed", "timeout"), f"{how}: sample {i + 1} is {s.get('status')}",
                s.get("message") or "though a CPU that it used went away")
    r.check(bool(samples), f"{how}: there are samples")


# ---- counters -----------------------------------------------------------------------------------


def check_calibration(out, expect, r):
    doc = load(f"{out}/calibration.json", r, "doctor --calibrate")
    if doc is None or expect.get("machine") != "arm64-n1":
        return
    checks = {(c["kernel"], c["metric"]): c for c in doc.get("calibration", [])}
    loop = checks.get(("loop", "instructions"), {})
    error = loop.get("error")
    r.check(error is not None and abs(error) < 0.01, "doctor: instructions are counted to within 1%", str(loop))
    dead = sorted({m for (_, m), c in checks.items() if c.get("verdict") == "reads 0"})
    r.check({"l1d_miss", "dtlb_walk"} <= set(dead), f"doctor: found out that these do not count: {', '.join(dead)}",
            str(dead))


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
        elif name == "marking" and status == 0:
            check_marking(a.out, expect, r)
        elif name == "doctor":
            check_calibration(a.out, expect, r)
        elif name in ("hotplug", "cpuset"):
            check_taken(a.out, "offline" if name == "hotplug" else name, r)
    return 1 if r.failed else 0


if __name__ == "__main__":
    sys.exit(main())
