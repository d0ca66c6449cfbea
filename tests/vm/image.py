#!/usr/bin/env python3
"""Writes the initramfs of the emulated machines of one architecture.

    tests/vm/image.py --arch arm64|amd64 --build BUILD_DIR --cache CACHE --hold PROGRAM --out FILE [--sysroot DIR] [--strip TOOL]

Holds busybox, the guest's init, the build tree's programs (stripped) with the shared libraries they need, and the
files of the source tree that programs and tests read. The tree lies in /spanmark as it lies here, so relative paths
work. The archive is written directly, so neither root nor a cpio program is needed.
"""

import argparse
import glob
import os
import re
import stat
import subprocess
import sys
import tempfile

# What tests and the command read at run time, besides the programs themselves.
DATA = ["tests/run.sh", "tests/machine", "tests/golden", "tests/data", "perf/sets", "data"]


class Cpio:
    """The "newc" format that the kernel unpacks."""

    def __init__(self, path):
        self.f = open(path, "wb")
        self.ino = 0
        self.dirs = set()

    def _entry(self, name, mode, data=b"", rdev=(0, 0)):
        self.ino += 1
        raw = name.encode() + b"\0"
        fields = [self.ino, mode, 0, 0, 1, 0, len(data), 0, 0, rdev[0], rdev[1], len(raw), 0]
        self.f.write(b"070701" + b"".join(b"%08X" % v for v in fields) + raw)
        self._pad()
        self.f.write(data)
        self._pad()

    def _pad(self):
        self.f.write(b"\0" * (-self.f.tell() % 4))

    def mkdir(self, name):
        if not name or name in self.dirs:
            return
        self.mkdir(os.path.dirname(name))
        self.dirs.add(name)
        self._entry(name, stat.S_IFDIR | 0o755)

    def file(self, name, path, mode=None):
        self.mkdir(os.path.dirname(name))
        with open(path, "rb") as f:
            data = f.read()
        self._entry(name, stat.S_IFREG | (mode or (0o755 if os.access(path, os.X_OK) else 0o644)), data)

    def link(self, name, target):
        self.mkdir(os.path.dirname(name))
        self._entry(name, stat.S_IFLNK | 0o777, target.encode())

    def device(self, name, major, minor):
        self.mkdir(os.path.dirname(name))
        self._entry(name, stat.S_IFCHR | 0o600, b"", (major, minor))

    def close(self):
        self._entry("TRAILER!!!", 0)
        self.f.close()


def dynamic(path):
    """(interpreter or None, needed sonames) of an ELF file."""
    out = subprocess.run(["readelf", "-l", "-d", path], capture_output=True, text=True).stdout
    interp = re.search(r"interpreter: ([^\]]+)\]", out)
    return interp and interp.group(1), re.findall(r"\(NEEDED\).*\[([^\]]+)\]", out)


def library_dirs(sysroot, triple):
    if sysroot:
        return [f"{sysroot}/lib/{triple}", f"{sysroot}/usr/lib/{triple}", f"{sysroot}/lib"]
    return [f"/lib/{triple}", f"/usr/lib/{triple}", "/lib64", "/usr/lib64", "/lib", "/usr/lib"]


def add_libraries(cpio, programs, sysroot, triple):
    dirs = library_dirs(sysroot, triple)
    want = ["libgcc_s.so.1"]  # glibc loads it when a thread is cancelled or unwound
    interps = set()
    for p in programs:
        interp, needed = dynamic(p)
        if interp:
            interps.add(interp)
        want += needed
    seen = set()
    for interp in interps:
        cpio.file(interp.lstrip("/"), os.path.realpath((sysroot or "") + interp), 0o755)
        seen.add(os.path.basename(interp))
    while want:
        name = want.pop()
        if name in seen or "/" in name:
            continue
        seen.add(name)
        path = next((f"{d}/{name}" for d in dirs if os.path.exists(f"{d}/{name}")), None)
        if not path:
            sys.exit(f"vm: the library {name} is in none of {', '.join(dirs)}")
        path = os.path.realpath(path)
        cpio.file(f"usr/lib/{triple}/{name}", path, 0o755)
        want += dynamic(path)[1]
    # The loader's default paths differ between distributions: /lib/TRIPLE and /usr/lib/TRIPLE both lead here.
    if f"lib/{triple}" not in cpio.dirs:
        cpio.link(f"lib/{triple}", f"/usr/lib/{triple}")


def programs_of(build):
    """The command, and every test program whose source is still there."""
    found = []
    for name in sorted(os.listdir(f"{build}/tests")) if os.path.isdir(f"{build}/tests") else []:
        path = f"{build}/tests/{name}"
        if os.path.isfile(path) and os.access(path, os.X_OK) and glob.glob(f"tests/*/{name}.c"):
            found.append(path)
    for name in ("spanmark", "libspanmark-malloc.so", "libspanmark.so.0"):
        if os.path.exists(f"{build}/{name}"):
            found.append(f"{build}/{name}")
    return found


def main():
    ap = argparse.ArgumentParser()
    for flag in ("arch", "build", "cache", "hold", "out"):
        ap.add_argument(f"--{flag}", required=True)
    ap.add_argument("--sysroot", default="")
    ap.add_argument("--strip", default="strip")
    a = ap.parse_args()
    triple = {"arm64": "aarch64-linux-gnu", "amd64": "x86_64-linux-gnu"}[a.arch]

    os.makedirs(os.path.dirname(a.out), exist_ok=True)
    cpio = Cpio(a.out + ".part")
    cpio.device("dev/console", 5, 1)
    cpio.device("dev/null", 1, 3)
    cpio.file("bin/busybox", f"{a.cache}/busybox-{a.arch}", 0o755)
    cpio.link("bin/sh", "busybox")
    cpio.file("init", "tests/vm/guest/init", 0o755)
    cpio.file("bin/hold", a.hold, 0o755)
    for root in DATA:
        if os.path.isfile(root):
            cpio.file(f"spanmark/{root}", root)
        for folder, _, files in os.walk(root):
            for name in sorted(files):
                cpio.file(f"spanmark/{folder}/{name}", f"{folder}/{name}")
    programs = programs_of(a.build)
    add_libraries(cpio, programs, a.sysroot, triple)
    with tempfile.TemporaryDirectory() as tmp:
        for p in programs:
            stripped = f"{tmp}/{os.path.basename(p)}"
            subprocess.run([a.strip, "-o", stripped, p], check=True)
            cpio.file(f"spanmark/{p}", stripped, 0o755)
    cpio.close()
    os.rename(a.out + ".part", a.out)


if __name__ == "__main__":
    main()
