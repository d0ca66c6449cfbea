#!/usr/bin/env python3
"""Reads timelines of both formats, and checks them.

  timeline.py --check FILE REPORT.json   what a run with --trace FILE recorded, against its report
  timeline.py --same FILE.pftrace FILE.json   both hold the same samples, tracks and events
  timeline.py --dropped FILE N   exactly so many events are said to be dropped, and what is left is nested
  timeline.py --count FILE   events, samples
  timeline.py --schema PACKAGE.py   the numbers of tests/data/track_event.proto against the package's descriptors

Both formats become one thing: samples, in the order of the file. protoc and python3-protobuf decode Perfetto's with the public schema.
A file may be of any length, for a run may be: --count holds one record of it at a time, the others refuse one of more than MOST bytes.
"""
import collections
import importlib.util
import json
import os
import subprocess
import sys
import tempfile

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
COUNTERS = {"heap": "bytes", "goal": "bytes", "RSS": "bytes", "grey queue": "packets"}
NO_THREAD = 1 << 22
MOST = 128 << 20  # of a file whose events are held, 100 bytes and more for each of 15 or 70


def die(text):
    sys.exit("FAIL timeline: " + text)


class Sample:
    def named(self, name):
        """The events of all tracks of this name."""
        return [x for track, events in self.tracks.items() if track[0] == name for x in slices(events)]

    def __init__(self, label):
        self.label = label
        # By (name, thread), for a workload may start its threads more than once; thread 0: it is no thread's.
        self.tracks = {}  # [(ts in ns, "B" or "E", name)], in the order of the file
        self.waits = {}  # [(since, until, cause)]
        self.counters = collections.defaultdict(list)  # name -> [(ts, value)]
        self.units = {}
        self.dropped = collections.Counter()  # by track


# ---- Perfetto -----------------------------------------------------------------------------------------------------------

def schema():
    with tempfile.TemporaryDirectory() as out:
        data = os.path.join(ROOT, "data")
        subprocess.run(["protoc", "-I", data, "--python_out", out, "track_event.proto"], check=True)
        spec = importlib.util.spec_from_file_location("track_event_pb2", os.path.join(out, "track_event_pb2.py"))
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    return module


class Sequence:
    """A sample's packets: names are interned once, tracks described before they are used."""

    def __init__(self):
        self.names, self.categories, self.tracks, self.sample = {}, {}, {}, None

    def describe(self, d):
        if d.uuid in self.tracks:
            die("track %d is described twice" % d.uuid)
        if d.HasField("process"):
            self.sample = Sample(d.process.process_name)
            self.pid = d.process.pid
            where = ("process", None)
        elif d.HasField("thread"):
            if d.thread.pid != self.pid:
                die("a thread of another process")
            where = ("track", (d.thread.thread_name, d.thread.tid))
            self.sample.tracks.setdefault(where[1], [])
        elif d.HasField("counter"):
            where = ("counter", d.name)
            bytes_unit = d.counter.unit == d.counter.UNIT_SIZE_BYTES
            self.sample.units[d.name] = "bytes" if bytes_unit else d.counter.unit_name
        elif d.name == "waits":
            where = ("waits", self.tracks[d.parent_uuid][1])
            self.sample.waits.setdefault(where[1], [])
        else:
            where = ("track", (d.name, 0))
            self.sample.tracks.setdefault(where[1], [])
        if not d.HasField("process") and d.HasField("parent_uuid") and d.parent_uuid not in self.tracks:
            die("track '%s' has a parent that is not described" % d.name)
        self.tracks[d.uuid] = where

    def event(self, ts, e):
        kind, name = self.tracks[e.track_uuid]
        what = e.name or self.names.get(e.name_iid)
        if e.type in (e.TYPE_SLICE_BEGIN,):
            if what is None or [self.categories.get(i) for i in e.category_iids] == [None]:
                die("an event of a name or category that was not interned")
        if e.type == e.TYPE_COUNTER:
            self.sample.counters[name].append((ts, e.counter_value))
        elif e.type == e.TYPE_INSTANT:
            self.sample.dropped[name] += e.debug_annotations[0].uint_value
        elif kind == "waits":
            if e.type == e.TYPE_SLICE_BEGIN:
                self.open_wait = (ts, what)
            else:
                since, cause = self.open_wait
                self.sample.waits[name].append((since, ts, cause))
        else:
            self.sample.tracks[name].append((ts, "B" if e.type == e.TYPE_SLICE_BEGIN else "E", what))


def unknown_fields(message, path="Trace"):
    """What the schema does not know would be skipped in silence: a wrong number is one."""
    try:
        from google.protobuf.unknown_fields import UnknownFieldSet
        n = len(UnknownFieldSet(message))
    except ImportError:
        n = len(message.UnknownFields())
    if n:
        die("%s has %d fields that the schema does not know" % (path, n))
    for field, value in message.ListFields():
        if field.type == field.TYPE_MESSAGE:
            for m in value if field.label == field.LABEL_REPEATED else [value]:
                unknown_fields(m, path + "." + field.name)


def packets(f):
    """Of a Trace each packet: it has no other field."""
    module, n = schema(), 0
    while True:
        tag = f.read(1)
        if not tag:
            return
        length, shift, byte = 0, 0, 0x80
        while byte & 0x80:
            byte = (f.read(1) or die("the file ends within a packet"))[0]
            length |= (byte & 0x7f) << shift
            shift += 7
        data = f.read(length)
        if tag != b"\n" or len(data) != length:
            die("at byte %d: no packet" % f.tell())
        packet = module.TracePacket.FromString(data)
        n += 1
        if n < 20000:
            unknown_fields(packet, "TracePacket")
        yield packet


def read_perfetto(f):
    sequences = collections.OrderedDict()
    for p in packets(f):
        s = sequences.setdefault(p.trusted_packet_sequence_id, Sequence())
        if p.HasField("interned_data"):
            if not p.sequence_flags & p.SEQ_INCREMENTAL_STATE_CLEARED or s.names:
                die("names are interned in the middle of a sequence")
            s.names = {n.iid: n.name for n in p.interned_data.event_names}
            s.categories = {n.iid: n.name for n in p.interned_data.event_categories}
        if p.HasField("track_descriptor"):
            s.describe(p.track_descriptor)
        if p.HasField("track_event"):
            if not p.sequence_flags & p.SEQ_NEEDS_INCREMENTAL_STATE or p.timestamp == 0:
                die("an event without its flag or time")
            s.event(p.timestamp, p.track_event)
    uuids = [u for s in sequences.values() for u in s.tracks]
    if len(set(uuids)) != len(uuids):
        die("two samples share a track")
    return [s.sample for s in sequences.values()]


# ---- Chrome -------------------------------------------------------------------------------------------------------------

def read_chrome(f):
    ns = lambda us: round(us * 1000)
    # As decimals: a double has no nanoseconds left in microseconds since boot.
    from decimal import Decimal
    events = json.load(f, parse_float=Decimal)["traceEvents"]
    samples, names = {}, {}
    for e in events:
        pid, tid, ph = e["pid"], e["tid"], e["ph"]
        if ph == "M":
            if e["name"] == "process_name":
                samples[pid] = Sample(e["args"]["name"])
            elif e["name"] == "thread_name":
                name = e["args"]["name"]
                if name == "waits":
                    name = ("waits", names[pid, tid & ~NO_THREAD])
                    samples[pid].waits.setdefault(name[1], [])
                else:
                    name = (name, tid if tid < NO_THREAD else 0)
                    samples[pid].tracks.setdefault(name, [])
                names[pid, tid] = name
            continue
        s, ts = samples[pid], ns(e["ts"])
        if ph == "C":
            (unit, value), = e["args"].items()
            s.units[e["name"]] = unit
            s.counters[e["name"]].append((ts, value))
        elif ph == "i":
            s.dropped[names[pid, tid]] += e["args"]["events"]
        elif ph == "X":
            s.waits[names[pid, tid][1]].append((ts, ts + ns(e["dur"]), e["name"]))
        else:
            s.tracks[names[pid, tid]].append((ts, ph, e.get("name")))
    return list(samples.values())


def read(path):
    if os.path.getsize(path) > MOST:
        die("%s has %d bytes; what is held in memory: up to %d" % (path, os.path.getsize(path), MOST))
    with open(path, "rb") as f:
        return read_chrome(f) if path.endswith(".json") else read_perfetto(f)


def count(path):
    """Slices' begins and ends, and samples, without holding any. In JSON a record is a line."""
    events = samples = 0
    with open(path, "rb") as f:
        if not path.endswith(".json"):
            for p in packets(f):
                samples += p.HasField("track_descriptor") and p.track_descriptor.HasField("process")
                events += p.track_event.type in (p.track_event.TYPE_SLICE_BEGIN, p.track_event.TYPE_SLICE_END)
            return events, samples
        if not f.readline().endswith(b'"traceEvents":[\n'):
            die("no list of events")
        for line in f:
            if line == b"]}\n":
                break
            e = json.loads(line.rstrip(b",\n"))
            samples += e["ph"] == "M" and e["name"] == "process_name"
            events += {"B": 1, "E": 1, "X": 2}.get(e["ph"], 0)
        else:
            die("the list of events does not end")
        if f.read():
            die("more behind the list of events")
    return events, samples


# ---- what must hold of every sample ---------------------------------------------------------------------------------------

def check_nested(s):
    for name, events in s.tracks.items():
        latest, depth = 0, 0
        for ts, ph, _ in events:
            if ts < latest:
                die("%s, %s: goes back by %d ns" % (s.label, name[0], latest - ts))
            latest = ts
            depth += 1 if ph == "B" else -1
            if depth < 0:
                die("%s, %s: an end without a begin" % (s.label, name[0]))
        if depth:
            die("%s, %s: %d begins without an end" % (s.label, name[0], depth))
    for name, waits in s.waits.items():
        open_until = []
        for since, until, cause in sorted(waits, key=lambda w: (w[0], -w[1])):
            if until < since:
                die("%s, %s: a wait of less than nothing" % (s.label, name[0]))
            while open_until and open_until[-1] <= since:
                open_until.pop()
            if open_until and until > open_until[-1]:
                die("%s, %s: waits that overlap" % (s.label, name[0]))
            open_until.append(until)
    for name, points in s.counters.items():
        if [p[0] for p in points] != sorted(p[0] for p in points):
            die("%s, counter %s: goes back" % (s.label, name))
        if s.units.get(name) != COUNTERS[name]:
            die("%s, counter %s: in %s" % (s.label, name, s.units.get(name)))


def slices(events):
    """[(begin, end, name, time without what lies inside)]"""
    out, stack = [], []
    for ts, ph, name in events:
        if ph == "B":
            stack.append([ts, name, 0])
        else:
            begin, what, inside = stack.pop()
            if stack:
                stack[-1][2] += ts - begin
            out.append((begin, ts, what, ts - begin - inside))
    return out


# ---- against the report ---------------------------------------------------------------------------------------------------

def check_phases(s, sample, timed):
    """Sums of phases within the timed part. A phase across its border belongs to the side where it began, in the report
    too, but for the thread's own view of where the border is: one such phase a thread, whose whole length is allowed; and
    the machine may take a CPU away between the two clocks: a tenth of the wall time more, and of the counts one."""
    wall = sample["results"]["wall_s"] * 1e9
    threads = [name for name, _ in s.tracks]
    checked = 0
    for m in sample["metrics"]:
        if m.get("thread") is None or m["metric"] not in ("time", "enters"):
            continue
        if m["phase"] in ("app", "idle", "total"):
            continue
        name = "%s %d" % (m["role"], m["thread"])
        if name not in threads:
            die("%s: no track for %s" % (s.label, name))
        every = [x for x in s.named(name) if x[2] == m["phase"]]
        mine = [x for x in every if timed[0] <= x[0] < timed[1]]
        across = max((x[3] for x in every for b in timed if x[0] <= b + wall / 100 and b <= x[0] + x[3]), default=0)
        have = sum(x[3] for x in mine) if m["metric"] == "time" else len(mine)
        allowed = wall / 10 + across if m["metric"] == "time" else 1
        if abs(have - m["value"]) > allowed:
            die("%s, %s, %s: %s is %s in the timeline, %s in the report" %
                (s.label, name, m["phase"], m["metric"], have, m["value"]))
        checked += 1
    return checked


def check_sample(s, sample):
    check_nested(s)
    r = sample["results"]
    timed = [x[:2] for x in s.named("timed part")]
    if not timed:
        die(s.label + ": no timed part")
    if abs(sum(b - a for a, b in timed) - r["wall_s"] * 1e9) > r["wall_s"] * 1e8:
        die(s.label + ": the timed part is not as long as in the report")
    mutators = set(name for name, _ in s.tracks if name.startswith("mutator "))
    if len(mutators) != sample["placement"]["threads"]:
        die("%s: tracks of mutators: %s" % (s.label, mutators))
    if "RSS" not in s.counters:
        die(s.label + ": no counter RSS")
    if sum(s.dropped.values()) != r["trace_dropped"]:
        die("%s: dropped in the timeline %s, in the report %s" % (s.label, dict(s.dropped), r["trace_dropped"]))
    if max(v for _, v in s.counters["RSS"]) > r["peak_rss_kib"] * 1024 * 1.05:
        die(s.label + ": more resident than the peak")
    if sample["backend"] == "gc":
        check_collected(s, sample, timed)
    elif sample["backend"] == "span" and "heap" not in s.counters:
        die(s.label + ": no counter heap")
    if r["trace_dropped"] == 0 and len(timed) == 1:
        return check_phases(s, sample, timed[0])
    return 0


def check_collected(s, sample, timed):
    r = sample["results"]
    missing = [c for c in COUNTERS if c not in s.counters]
    if missing:
        die("%s: no counter %s" % (s.label, missing))
    if not any(name.startswith("mark ") for name, _ in s.tracks):
        die(s.label + ": no track of a mark worker")
    if r["trace_dropped"] > 0:
        return
    is_timed = lambda ts: any(a <= ts < b for a, b in timed)
    # Counted when their marking is over: one in the middle of a border is on either side.
    inside = sum(is_timed(b) for b, *_ in s.named("collections"))
    if abs(inside - r["gc_cycles"]) > len(timed):
        die("%s: %d collections in the timeline, %d in the report" % (s.label, inside, r["gc_cycles"]))
    # Both are told by one call; those at the borders are on one side or the other.
    waits = sum(is_timed(w[1]) for t in s.waits.values() for w in t)
    if abs(waits - r["stalls"]) > 2 * len(timed) + r["stalls"] / 100:
        die("%s: %d waits in the timeline, %d in the report" % (s.label, waits, r["stalls"]))


def check(path, report):
    samples = read(path)
    with open(report) as f:
        reported = sorted(json.load(f)["samples"], key=lambda r: r["ordinal"])
    if len(samples) != len(reported):
        die("%d samples in the timeline, %d in the report" % (len(samples), len(reported)))
    checked = 0
    for s, r in zip(samples, reported):
        end = " rep %d" % (r["rep"] + 1) + (" pass %d" % (r["pass"] + 1) if r["pass"] else "")
        if not s.label.startswith(r["workload"] + " ") or not s.label.endswith(end) or r["backend"] not in s.label.split():
            die("sample '%s' is not %s %s%s" % (s.label, r["workload"], r["backend"], end))
        checked += check_sample(s, r)
    # Of one sample assists may do it all.
    if not any(x[2] == "mark" for s in samples for t in s.tracks for x in slices(s.tracks[t]) if t[0] == "mark 0"):
        die("no mark worker marks")
    print("%s: %d samples, %d phases of threads as in the report" % (path, len(samples), checked))
    if not checked and not os.environ.get("TIMELINE_MAY_DROP"):
        die("nothing was compared")


def same(a, b):
    a, b = read(a), read(b)
    if [s.label for s in a] != [s.label for s in b]:
        die("labels: %s, %s" % ([s.label for s in a], [s.label for s in b]))
    for ours, theirs in zip(a, b):
        check_nested(ours)
        check_nested(theirs)
        for part in ("tracks", "waits", "counters", "units", "dropped"):
            x, y = getattr(ours, part), getattr(theirs, part)
            if part == "tracks":  # an end has no name in one of them
                x, y = ({k: [e[:2] + (e[2] if e[1] == "B" else None,) for e in v] for k, v in t.items()} for t in (x, y))
            if part == "units":  # the one describes counters that never come
                x = {k: v for k, v in x.items() if k in y}
            if dict(x) != dict(y):
                die("%s: %s differ:\n%s\n%s" % (ours.label, part, x, y))
    print("same: %d samples" % len(a))


def dropped(path, n):
    samples = read(path)
    for s in samples:
        check_nested(s)
    have = sum(sum(s.dropped.values()) for s in samples)
    if have != n:
        die("%s: %d dropped, not %d" % (path, have, n))


def check_schema(package):
    spec = importlib.util.spec_from_file_location("perfetto_trace_pb2", package)
    theirs = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(theirs)
    for name, ours in schema().DESCRIPTOR.message_types_by_name.items():
        real = theirs.DESCRIPTOR.message_types_by_name[name]
        for f in ours.fields:
            other = real.fields_by_name[f.name]
            if (f.number, f.type) != (other.number, other.type):
                die("%s.%s: %d of type %d, not %d of %d" % (name, f.name, f.number, f.type, other.number, other.type))
        for e in ours.enum_types:
            for v in e.values:
                if real.enum_types_by_name[e.name].values_by_name[v.name].number != v.number:
                    die("%s.%s" % (e.name, v.name))
    print("schema: as the package has it")


def main(argv):
    if argv[1] == "--check":
        check(argv[2], argv[3])
    elif argv[1] == "--same":
        same(argv[2], argv[3])
    elif argv[1] == "--dropped":
        dropped(argv[2], int(argv[3]))
    elif argv[1] == "--count":
        print(*count(argv[2]))
    else:
        check_schema(argv[2])


main(sys.argv)
