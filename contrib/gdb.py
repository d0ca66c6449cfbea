"""gdb commands for a program that uses spanmark, live or from a core file.

    (gdb) source contrib/gdb.py
    (gdb) sm-gcs                    every collector: address, phase, mutators, cycles
    (gdb) sm-mutators [GC]          each mutator: thread, state, barrier, stack, buffered records
    (gdb) sm-span ADDRESS [GC]      the span of an address: class, layout, slot, allocated, marked
    (gdb) sm-queues [GC]            the grey queues: packets and entries by node, active markers

GC is an expression for a struct sm_gc *; without it the first collector of the process is taken. The
program, or the library, must have been built with -g (ours always is).
"""
import gdb

STATES = ["running", "blocked", "held", "held, owner waits"]
SPAN_STATES = ["free", "small", "large", "malloc", "malloc large", "stack", "other"]
KINDS = ["no pointers", "all pointers", "prefix", "mask", "bitmap", "conservative"]
PHASES = ["off", "starting", "marking", "terminating", "sweeping"]


def plain(value):
    """The number in a value that may be _Atomic."""
    return int(value.cast(gdb.lookup_type("unsigned long")) if value.type.sizeof == 8 else value)


def name(names, value):
    i = plain(value)
    return names[i] if i < len(names) else str(i)


def collectors():
    """All collectors, by the list that the fork handler keeps."""
    symbol = gdb.lookup_static_symbol("list", gdb.SYMBOL_VAR_DOMAIN)
    gc = gdb.parse_and_eval("'fork.c'::list") if symbol is None else symbol.value()
    while gc:
        yield gc
        gc = gc["next"]


def gc_of(words):
    """The collector that the last word names, or the first of the process."""
    if words:
        return gdb.parse_and_eval(words[0])
    for gc in collectors():
        return gc
    raise gdb.GdbError("there is no collector in this process")


class Collectors(gdb.Command):
    """sm-gcs: every collector of the process."""

    def __init__(self):
        super().__init__("sm-gcs", gdb.COMMAND_DATA)

    def invoke(self, arg, tty):
        for gc in collectors():
            print("gc %#x: %s, %d mutators, cycles: %d started, %d completed" % (
                int(gc), name(PHASES, gc["phase"]), int(gc["nmutators"]), plain(gc["cycles_started"]), plain(gc["cycles_completed"])))


class Mutators(gdb.Command):
    """sm-mutators [GC]: each mutator's thread, state, barrier, stack and buffered records."""

    def __init__(self):
        super().__init__("sm-mutators", gdb.COMMAND_DATA)

    def invoke(self, arg, tty):
        p = gc_of(gdb.string_to_argv(arg))["mutators"]
        while p:
            m = p["m"]
            recorded = int(m["buf_next"]) - int(p["buffer"])
            print("mutator %#x: thread %d, %s, barrier %s, poll %d, stack %#x..%#x%s, %d records" % (
                int(m), int(p["tid"]), name(STATES, p["state"]), "on" if m["barrier"] else "off", plain(m["poll"]),
                int(p["own"]["start"]), int(p["own"]["end"]), " (scanned)" if p["stack_black"] else "", recorded // 8))
            p = p["next"]


class Span(gdb.Command):
    """sm-span ADDRESS [GC]: the span that an address lies in, and its slot there."""

    def __init__(self):
        super().__init__("sm-span", gdb.COMMAND_DATA)

    def invoke(self, arg, tty):
        words = gdb.string_to_argv(arg)
        if not words:
            raise gdb.GdbError("usage: sm-span ADDRESS [GC]")
        address = int(gdb.parse_and_eval(words[0]))
        r = gc_of(words[1:])["range"]
        base, shift = int(r["base"]), self.unit_shift()
        if not base <= address < base + int(r["bytes"]):
            print("%#x lies outside the heap (%#x..%#x)" % (address, base, base + int(r["bytes"])))
            return
        unit = (address - base) >> shift
        unit -= int(r["spans"][unit]["back"])
        s = r["spans"][unit]
        start = base + (unit << shift)
        print("span of unit %d at %#x: %s, class %d, bin %d, %d units, node %d, sweepgen %d" % (
            unit, start, name(SPAN_STATES, s["state"]), int(s["cls"]), int(s["bin"]), int(s["nunits"]), int(s["node"]),
            plain(s["sweepgen"])))
        if not s["slot_bytes"]:
            return
        layout = s["layout"]
        slot = (address - start) // int(s["slot_bytes"])
        at = start + slot * int(s["slot_bytes"])
        bit = (at - base) >> 4
        marked = plain(r["marks"][bit >> 6]) >> (bit & 63) & 1
        allocated = plain(s["alloc"][slot >> 6]) >> (slot & 63) & 1
        print("  slot %d of %d, %d bytes, begins %#x: %s, %s; %d slots in use; layout %d: %s" % (
            slot, int(s["nslots"]), int(s["slot_bytes"]), at, "allocated" if allocated else "free",
            "marked" if marked else "not marked", int(s["nalloc"]), int(layout["id"]), name(KINDS, layout["kind"])))

    @staticmethod
    def unit_shift():
        """Of this build: the smallest span's bytes are not recorded, so the macro is asked for first."""
        try:
            return int(gdb.parse_and_eval("SM_UNIT_SHIFT"))
        except gdb.error:
            return 14


class Queues(gdb.Command):
    """sm-queues [GC]: packets and grey entries on each node's queue, and who may hold more."""

    def __init__(self):
        super().__init__("sm-queues", gdb.COMMAND_DATA)

    def invoke(self, arg, tty):
        gc = gc_of(gdb.string_to_argv(arg))
        q = gc["workq"]
        load = plain(q["load"])
        print("packets queued %d, active markers %d, parked workers %d, found from outside %d, shut %d, overflowed %d" % (
            load >> 32, load & 0x3fffffff, plain(q["parked"]), load >> 30 & 1, load >> 31 & 1, plain(gc["overflowed"])))
        for node in range(int(q["nnodes"])):
            packet, packets, entries = q["node"][node]["first"], 0, 0
            while packet:
                packets, entries = packets + 1, entries + int(packet["n"])
                packet = packet["next"]
            print("  node %d: %d packets, %d entries" % (node, packets, entries))


Collectors()
Mutators()
Span()
Queues()
