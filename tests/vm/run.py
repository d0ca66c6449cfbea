#!/usr/bin/env python3
"""Boots emulated machines, collects what their test list leaves, and judges it.

    tests/vm/run.py [--quick] [--jobs N] [--steps "unit topo"] [--tests "pmu locality"] [--env NAME=VALUE] [MACHINE ...]
    tests/vm/run.py --list

The serial line of each machine is kept in build/vm/MACHINE/serial.log, the files that it sent in build/vm/MACHINE/out.
Status 0 when every machine passed, 77 when none could be started (no emulator, no packages) outside CI, 1 otherwise.
"""

import argparse
import base64
import concurrent.futures
import glob
import gzip
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import machines  # noqa: E402

ROOT = os.path.abspath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))
CACHE = os.environ.get("SM_VM_CACHE", f"{ROOT}/build/vm-cache")
HOST = {"x86_64": "amd64", "aarch64": "arm64"}.get(os.uname().machine, "")
SLOWER = float(os.environ.get("SM_VM_SLOWER", "1"))  # stretches time limits on a slow or busy machine
TEST_TIMEOUT = 180  # seconds for a test program, by the guest's clock: there to end one that hangs
SILENCE = 120  # seconds; a machine that works says so every 3 s of its own time
KERNEL = re.compile(r"\[ *\d+\.\d+\] ")
TRIPLE = {"arm64": "aarch64-linux-gnu", "amd64": "x86_64-linux-gnu"}
say_lock = threading.Lock()


def say(text):
    with say_lock:
        print(text, flush=True)


class Missing(Exception):
    """Something to emulate with is not here: a reason to skip, except in CI."""


def prepare(arch, kernels):
    """Kernels, libraries, a build of spanmark and its tests, and the initramfs for one architecture."""
    cross = arch != HOST
    for i, kernel in enumerate(sorted(kernels)):
        args = ["tests/vm/fetch.sh", kernel] + (["libs"] if cross and i == 0 else [])
        r = subprocess.run(args, stderr=subprocess.PIPE, text=True)
        sys.stderr.write(r.stderr)
        if r.returncode:
            raise Missing(r.stderr.strip().splitlines()[-1] if r.stderr else "fetching failed")
    make = ["make", "--no-print-directory", f"-j{os.cpu_count()}"]
    strip = "strip"
    cc = "gcc"
    if cross:
        cc = f"{TRIPLE[arch]}-gcc"
        if not shutil.which(cc):
            raise Missing(f"no cross compiler {cc} here (tests/setup/deps.sh vm installs it)")
        make += [f"CC={cc}", f"SYSROOT={CACHE}/sysroot-{arch}"]
        strip = f"{TRIPLE[arch]}-strip"
    env = {k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL")}
    if subprocess.run(make + ["all", "build-tests"], env=env).returncode:
        raise SystemExit(f"vm: the build for {arch} failed")
    build = subprocess.run(make + ["-s", "print-build"], check=True, env=env, capture_output=True, text=True).stdout.strip()
    image, hold = f"build/vm/{arch}.cpio", f"build/vm/hold-{arch}"
    os.makedirs("build/vm", exist_ok=True)
    subprocess.run([cc, "-O2", "-Wall", "-static", "-o", hold, "tests/vm/guest/hold.c"]
                   + ([f"--sysroot={CACHE}/sysroot-{arch}"] if cross else []), check=True)
    args = ["tests/vm/image.py", "--arch", arch, "--build", build, "--cache", CACHE, "--hold", hold, "--out", image, "--strip", strip]
    subprocess.run(args + (["--sysroot", f"{CACHE}/sysroot-{arch}"] if cross else []), check=True)
    return build, image


def collect(lines, out):
    """Reads the guest's framed files out of its serial line. Returns (booted, done status or None, problems)."""
    booted = status = None
    problems = []
    name = None
    for line in lines:
        if name is not None:
            if line == "@@END":
                try:
                    data = gzip.decompress(base64.b64decode("".join(body)))
                except (ValueError, OSError, EOFError) as e:
                    data = None
                    problems.append(f"the file {name} did not come through the serial line: {e}")
                if data is not None and hashlib.md5(data).hexdigest() != digest:
                    problems.append(f"the file {name} came through the serial line damaged")
                elif data is not None:
                    path = os.path.normpath(f"{out}/{name}")
                    if not path.startswith(out):
                        raise SystemExit(f"vm: the guest named a file outside its folder: {name}")
                    os.makedirs(os.path.dirname(path), exist_ok=True)
                    with open(path, "wb") as f:
                        f.write(data)
                name = None
            else:
                body.append(line)
        elif m := re.match(r"@@FILE (\S+) (\S+)$", line):
            name, digest, body = m.group(1), m.group(2), []
        elif m := re.match(r"@@BOOTED (\S+)$", line):
            booted = float(m.group(1))
        elif m := re.match(r"@@DONE (\d+) (\S+)$", line):
            status = int(m.group(1))
    return booted, status, problems


class Stopped(Exception):
    """Not even the machine's first process runs any more: no program in it can bring that about, the emulator can."""


def watch(proc, limit, lines, ended):
    """Ends the emulator when it runs past its limit, or when nothing has come from the machine for too long."""
    start = heard = time.monotonic()
    n = 0
    while not ended.wait(1):
        now = time.monotonic()
        # What the kernel says of CPUs that are stuck is no sign of life of the first process.
        if any(not KERNEL.match(x) for x in lines[n:]):
            heard = now
        n = len(lines)
        reason = "limit" if now - start > limit else "silence" if now - heard > SILENCE * SLOWER else None
        if reason:
            proc.send_signal(signal.SIGKILL)
            return reason
    return None


def wait(proc):
    """Until the emulator has ended; the CPU seconds that it took."""
    try:
        _, status, usage = os.wait4(proc.pid, 0)
    except ChildProcessError:  # the watcher was faster
        proc.wait()
        return 0
    proc.returncode = os.waitstatus_to_exitcode(status)
    return usage.ru_utime + usage.ru_stime


def boot(m, build, image, verbose):
    """Runs one machine to its end or its time limit. Returns (its lines, its times, what went wrong or None)."""
    work = f"build/vm/{m.name}"
    shutil.rmtree(work, ignore_errors=True)
    os.makedirs(f"{work}/out")
    m.env["SM_BUILD"] = build
    cmd = m.command(CACHE, image)
    with open(f"{work}/command", "w") as f:
        f.write(" ".join(f"'{a}'" if " " in a else a for a in cmd) + "\n")
    limit = m.time_limit * SLOWER
    start = time.monotonic()
    errors = open(f"{work}/qemu.log", "w")
    proc = subprocess.Popen(cmd, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors)
    lines = []
    ended = threading.Event()
    watcher = concurrent.futures.ThreadPoolExecutor(1)
    killed = watcher.submit(watch, proc, limit, lines, ended)
    try:
        with open(f"{work}/serial.log", "w") as log:
            for raw in proc.stdout:
                line = raw.decode("utf-8", "replace").replace("\r", "").rstrip("\n")
                log.write(line + "\n")
                log.flush()
                lines.append(line)
                if verbose and not line.startswith("@@"):
                    say(f"{m.name}: {line}")
        cpu = wait(proc)
    finally:
        ended.set()
        watcher.shutdown()
        errors.close()
        if proc.poll() is None:
            proc.kill()
    took = time.monotonic() - start
    wrong = None
    step = [x for x in lines if x.startswith("@@STEP")]
    where = f"in step {step[-1][7:]}" if step else "before its first step"
    if killed.result() == "silence":
        raise Stopped(f"the whole machine stood still {where}, after {took:.0f} s")
    if killed.result():
        wrong = f"ran past its limit of {limit:.0f} s {where}"
    elif proc.returncode:
        with open(f"{work}/qemu.log") as f:
            said = [x for x in f.read().splitlines() if "TCG doesn't support requested feature" not in x]
        wrong = f"the emulator ended with status {proc.returncode}: {said[-1] if said else 'it gave no reason'}"
    return lines, f"{took:.0f} s in all, {cpu:.0f} s of CPU time", wrong


def run(m, build, image, verbose):
    """One machine from boot to verdict. Returns its report: (passed, text)."""
    work = os.path.abspath(f"build/vm/{m.name}")
    again = ""
    try:
        lines, took, wrong = boot(m, build, image, verbose)
    except Stopped as e:
        again = f"\n     booted a second time, because the emulator failed the first time: {e}"
        say(f"{m.name}: {e}; booting it again")
        try:
            lines, took, wrong = boot(m, build, image, verbose)
        except Stopped as e:
            return False, f"==== {m.name}: {m.about}{again}\nFAILED   {e}\n"
    booted, status, problems = collect(lines, f"{work}/out")
    with open(f"{work}/expect.json", "w") as f:
        json.dump(m.expect(), f, indent=1)
    if wrong:
        problems.insert(0, wrong)
    elif booted is None:
        problems.insert(0, "it never reached its init")
    elif status is None:
        problems.insert(0, "it went down before its list was done")
    check = subprocess.run([sys.executable, "tests/machine/check.py", f"{work}/out", "--expect", f"{work}/expect.json"],
                           stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    ok = not problems and check.returncode == 0
    head = f"==== {m.name}: {m.about}\n     booted in {booted or 0:.1f} s of its own time, {took}{again}"
    body = check.stdout.rstrip()
    if problems:
        tail = "\n".join("     | " + x for x in lines[-30:] if x != "@@PULSE" and not re.fullmatch(r"[A-Za-z0-9+/=]{40,}", x))
        body += "".join(f"\nFAILED   {p}" for p in problems) + f"\n     end of its serial line ({work}/serial.log):\n{tail}"
    return ok, f"{head}\n{body}\n"


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("machines", nargs="*")
    ap.add_argument("--jobs", type=int, default=2)
    ap.add_argument("--list", action="store_true")
    ap.add_argument("--quick", action="store_true", help="each machine only does the tests that it is there for")
    ap.add_argument("--steps", help="only these steps of tests/machine/run.sh")
    ap.add_argument("--tests", help="only the test programs whose names contain one of these words")
    ap.add_argument("--env", action="append", default=[], help="NAME=VALUE in the guest")
    ap.add_argument("--verbose", action="store_true", help="show the serial lines as they come")
    a = ap.parse_args()
    if a.list:
        for m in machines.MACHINES:
            print(f"{m.name:12} {m.about}")
        for name, why in machines.ABSENT.items():
            print(f"{name:12} absent: {why}")
        return 0
    os.chdir(ROOT)
    extra = dict(e.split("=", 1) for e in a.env)
    extra.update({k: v for k, v in (("SM_STEPS", a.steps), ("SM_TESTS", a.tests)) if v})
    wanted = [machines.find(n) for n in a.machines] or machines.MACHINES
    unknown = machines.unknown_names([os.path.basename(f)[:-2] for f in glob.glob("tests/*/*.c")])
    if unknown:
        raise SystemExit(f"vm: tests/vm/machines.py names tests that there are not: {', '.join(unknown)}")
    for m in wanted:
        if a.quick:
            m.env["SM_TESTS"] = m.quick
            m.env["SM_TEST_SCALE"] = "10"
            m.env["SM_TEST_SECONDS"] = "3"
        m.env["TEST_TIMEOUT"] = str(int(TEST_TIMEOUT * SLOWER))
        m.env.update(extra)
    in_ci = os.environ.get("CI", "") not in ("", "0", "false")
    try:
        for m in wanted:
            if not shutil.which(m.qemu[0]):
                raise Missing(f"no {m.qemu[0]} here (tests/setup/deps.sh vm installs it)")
        ready = {}
        for arch in sorted({m.arch for m in wanted}):
            ready[arch] = prepare(arch, {m.kernel for m in wanted if m.arch == arch})
    except Missing as e:
        say(f"{'FAILED' if in_ci else 'SKIP'}: emulated machines: {e}")
        return 1 if in_ci else 77
    passed = 0
    with concurrent.futures.ThreadPoolExecutor(a.jobs) as pool:
        jobs = [pool.submit(run, m, *ready[m.arch], a.verbose) for m in wanted]
        for job in concurrent.futures.as_completed(jobs):
            ok, text = job.result()
            passed += ok
            say(text)
    for name, why in machines.ABSENT.items() if not a.machines else ():
        say(f"absent: {name}: {why}")
    say(f"{passed} machines passed, {len(wanted) - passed} failed")
    return 0 if passed == len(wanted) else 1


if __name__ == "__main__":
    sys.exit(main())
