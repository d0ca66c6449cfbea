"""memcached's text protocol over a unix socket, four clients: what was set is what one gets."""
import socket
import sys
import threading


def client(n, failures):
    s = socket.socket(socket.AF_UNIX)
    s.connect(sys.argv[1])
    f = s.makefile("rwb")
    for i in range(3000):
        value = b"%d " % (i * n) * (i % 200 + 1)
        f.write(b"set k%d.%d 0 0 %d\r\n%s\r\n" % (n, i, len(value), value))
        f.flush()
        if f.readline() != b"STORED\r\n":
            failures.append("set %d" % i)
        f.write(b"get k%d.%d\r\n" % (n, i))
        f.flush()
        head = f.readline().split()
        body = f.read(int(head[3]) + 2) if len(head) == 4 else b""
        if body[:-2] != value or f.readline() != b"END\r\n":
            failures.append("get %d" % i)
        if i % 3 == 0:
            f.write(b"delete k%d.%d noreply\r\n" % (n, i))
    s.close()


bad = []
clients = [threading.Thread(target=client, args=(n, bad)) for n in range(1, 5)]
for c in clients:
    c.start()
for c in clients:
    c.join()
print(bad[:5] or "as it was set")
