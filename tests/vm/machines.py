"""The emulated machines: what QEMU is asked for, and so what the guest must see.

`expect` is the topology that `spanmark topo` and the tests are held to: nodes in kernel numbering, the CPUs of
each, and the distance matrix in the order of the nodes.
"""

from dataclasses import dataclass, field

# What depends on nodes, CPUs and pages, as opposed to what was tested on the host already: a quick run on a machine
# of the host's architecture does these alone.
PLACES = "locality topology placement pin numa dirty pageheap mark_steal mark_nodes rseq stress_graph stress_migrate"
# What is about threads that run at once: for the machine that has most of them on ARM64.
THREADS = ("stress_graph stress_threads stress_slots stress_finalizer stress_roots stress_migrate stress_compact "
           "stress_generations barrier mark_nodes moments workq central rseq shard finalizer roots session workloads test_lock "
           "locality topology pin numa")


@dataclass
class Node:
    cpus: str  # "" for a node of memory alone
    mem: str
    nodeid: int


@dataclass
class Machine:
    name: str
    arch: str  # Debian's name: arm64, amd64
    kernel: str  # kind of kernel that tests/vm/fetch.sh knows
    about: str
    qemu: list
    cpus: int
    packages: int
    nodes: list
    distances: dict  # (from, to) -> distance; what is not named is 20, or 10 to itself
    quick: str = ""  # names of the tests that a quick run does here
    time_limit: int = 720  # seconds of wall clock, boot included
    env: dict = field(default_factory=dict)  # environment of the list in the guest
    page_size: int = 4096

    def distance(self, a, b):
        return self.distances.get((a, b), 10 if a == b else 20)

    def command(self, cache, image):
        cmd = list(self.qemu)
        total = 0
        for n in self.nodes:
            mib = int(n.mem[:-1])
            total += mib
            cmd += ["-object", f"memory-backend-ram,id=m{n.nodeid},size={n.mem}"]
            cpus = f"cpus={n.cpus}," if n.cpus else ""
            cmd += ["-numa", f"node,{cpus}nodeid={n.nodeid},memdev=m{n.nodeid}"]
        for a in self.nodes:
            for b in self.nodes:
                if a is not b:
                    d = self.distance(a.nodeid, b.nodeid)
                    cmd += ["-numa", f"dist,src={a.nodeid},dst={b.nodeid},val={d}"]
        console = "ttyAMA0" if self.arch == "arm64" else "ttyS0"
        # What these switch off costs emulated instructions (zeroing pages: five times slower) and protects nothing here.
        append = f"console={console} loglevel=3 panic=-1 mitigations=off init_on_alloc=0 nokaslr no_timer_check sm.machine={self.name} SM_MACHINE={self.name}"
        if self.arch == "amd64":
            # The emulated TSC is one clock for all CPUs; any other clock costs an exit from the emulation to read.
            append += " tsc=reliable clocksource=tsc"
        append += "".join(f' {k}="{v}"' if " " in v else f" {k}={v}" for k, v in self.env.items())
        return cmd + [
            "-m", f"{total}M", "-nodefaults", "-nographic", "-serial", "stdio", "-no-reboot",
            "-kernel", f"{cache}/kernel-{self.kernel}", "-initrd", image, "-append", append,
        ]

    def expect(self):
        return {
            "machine": self.name,
            "arch": {"arm64": "aarch64", "amd64": "x86_64"}[self.arch],
            "cpus": self.cpus,
            "packages": self.packages,
            "page_size": self.page_size,
            "nodes": [{"id": n.nodeid, "cpus": cpu_list(n.cpus)} for n in self.nodes],
            "distances": [[self.distance(a.nodeid, b.nodeid) for b in self.nodes] for a in self.nodes],
        }


def cpu_list(text):
    if not text:
        return []
    first, _, last = text.partition("-")
    return list(range(int(first), int(last or first) + 1))


ARM = ["qemu-system-aarch64", "-M", "virt,gic-version=3", "-cpu", "neoverse-n1"]
X86 = ["qemu-system-x86_64", "-accel", "tcg,thread=multi,tb-size=256", "-M", "q35", "-cpu", "EPYC-Rome"]

MACHINES = [
    Machine(
        "arm64-n1", "arm64", "arm64",
        "Neoverse N1, 4 CPUs, 2 nodes, deterministic instruction clock: the counters count",
        ARM + ["-smp", "4", "-icount", "shift=1,sleep=off"],
        cpus=4, packages=1,
        nodes=[Node("0-1", "512M", 0), Node("2-3", "512M", 1)], distances={},
        quick="pmu region counter doctor locality topology pin",
        # One program at a time: the emulated PMU counts the instructions of every CPU that runs meanwhile.
        env={"SM_TEST_ICOUNT_SHIFT": "1", "TEST_JOBS": "1", "SM_HOTPLUG_OPS": "10000000"},
    ),
    Machine(
        "arm64-smp", "arm64", "arm64",
        "Neoverse N1, 8 CPUs in 2 sockets, 2 nodes, threads really at once",
        ARM + ["-accel", "tcg,thread=multi,tb-size=256", "-smp", "8,sockets=2,cores=4,threads=1"],
        cpus=8, packages=2,
        nodes=[Node("0-3", "768M", 0), Node("4-7", "768M", 1)], distances={},
        quick=THREADS,
    ),
    Machine(
        "x86-2s", "amd64", "amd64",
        "Zen 2, 2 sockets of 4 cores, 2 nodes",
        X86 + ["-smp", "8,sockets=2,dies=1,cores=4,threads=1"],
        cpus=8, packages=2,
        nodes=[Node("0-3", "768M", 0), Node("4-7", "768M", 1)], distances={},
        quick=PLACES,
    ),
    Machine(
        "x86-odd", "amd64", "amd64",
        "Zen 2, 6 CPUs, 4 nodes of unequal size, one without CPUs, asymmetric distances",
        X86 + ["-smp", "6,sockets=1,dies=1,cores=6,threads=1"],
        cpus=6, packages=1,
        nodes=[Node("0-2", "768M", 0), Node("3", "256M", 1), Node("4-5", "512M", 2), Node("", "256M", 3)],
        distances={(0, 1): 16, (1, 0): 14, (0, 2): 21, (2, 0): 28, (1, 2): 24, (2, 1): 31,
                   (0, 3): 40, (3, 0): 42, (1, 3): 17, (3, 1): 17, (2, 3): 60, (3, 2): 61},
        quick=PLACES,
    ),
    Machine(
        "arm64-16k", "arm64", "arm64-16k",
        "Neoverse N1, 4 CPUs, 2 nodes, kernel with 16 KiB pages (Debian has none with 64 KiB)",
        ARM + ["-accel", "tcg,thread=multi,tb-size=256", "-smp", "4"],
        cpus=4, packages=1,
        nodes=[Node("0-1", "768M", 0), Node("2-3", "768M", 1)], distances={},
        page_size=16384,
        quick=PLACES + " os range mapfile tiny",
    ),
]


# Machines that were wanted and cannot be had, and why.
ABSENT = {
    "arm64-64k": "no Debian kernel has 64 KiB pages (not in bookworm, its backports, trixie or sid); arm64-16k stands in",
}


def unknown_names(tests):
    """Names in this file that no test program has: a list that outlived what it lists would skip silently."""
    words = [(m.name, w) for m in MACHINES for w in m.quick.split()]
    return [f"{where}: {w}" for where, w in words if not any(w in t for t in tests)]


def find(name):
    for m in MACHINES:
        if m.name == name:
            return m
    if name in ABSENT:
        raise SystemExit(f"vm: there is no machine {name}: {ABSENT[name]}")
    raise SystemExit(f"vm: no machine is called '{name}'; there are: " + ", ".join(m.name for m in MACHINES))
