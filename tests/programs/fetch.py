"""Fetches files over a unix socket, plain and compressed: usage: fetch.py SOCKET TIMES."""
import gzip
import hashlib
import http.client
import socket
import sys


class Connection(http.client.HTTPConnection):
    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(sys.argv[1])


seen = {}
for i in range(int(sys.argv[2])):
    path = ("/numbers.txt", "/hello.txt", "/absent.txt")[i % 3]
    c = Connection("localhost")
    c.request("GET", path, headers={"Accept-Encoding": "gzip"} if i % 2 else {})
    r = c.getresponse()
    body = r.read()
    if r.getheader("Content-Encoding") == "gzip":
        body = gzip.decompress(body)
    c.close()
    key = (path, r.status, hashlib.sha256(body).hexdigest() if r.status == 200 else "")
    seen[key] = seen.get(key, 0) + 1
for key in sorted(seen):
    print(*key, seen[key])
