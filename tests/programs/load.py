"""Containers, threads, child processes, extension modules, a large array."""
import array
import collections
import ctypes
import hashlib
import json
import multiprocessing
import re
import sqlite3
import subprocess
import threading
import zlib

d = {str(i): [i] * (i % 50) for i in range(20000)}
assert json.loads(json.dumps(d)) == d
print(len(re.findall(r"(\d+)7", " ".join(map(str, range(50000))))))


def count(n, out):
    c = collections.Counter(str(i * n)[-2:] for i in range(20000))
    out[n] = sum(c.values())


out = {}
threads = [threading.Thread(target=count, args=(n, out)) for n in range(1, 9)]
for t in threads:
    t.start()
for t in threads:
    t.join()
print(sorted(out.items()))
db = sqlite3.connect(":memory:")
db.execute("create table t(a, b)")
db.executemany("insert into t values(?, ?)", ((i, "x" * (i % 99)) for i in range(30000)))
print(db.execute("select sum(length(b)), count(distinct b) from t").fetchone())
print(hashlib.sha256(zlib.compress(b"abc" * 1000000)).hexdigest())
a = array.array("d", range(5000000))
del a[::2]
print(len(a), ctypes.CDLL(None).abs(-5))
print(subprocess.run(["sh", "-c", "echo a child"], capture_output=True, text=True).stdout)
with multiprocessing.get_context("fork").Pool(2) as pool:
    print(sum(pool.map(len, [["x"] * i for i in range(300)])))
try:
    bytearray(1 << 60)
except MemoryError:
    print("MemoryError")
