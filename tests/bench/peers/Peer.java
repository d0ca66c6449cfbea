// The workloads in Java, as a Java program would have them.
//
//   Peer trees DEPTH THREADS | churn SIZE OPS THREADS | ring LIVE SIZE OPS | graph OBJECTS EDGES COLLECTIONS
//
// Prints "name value" lines; timing is inside, as in spanmark: the start of the virtual machine does not count.

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.IntConsumer;

public final class Peer {
    static final class Node {
        Node left, right;

        static Node grow(int d) {
            Node n = new Node();
            if (d > 0) {
                n.left = grow(d - 1);
                n.right = grow(d - 1);
            }
            return n;
        }

        int count() {
            return left == null ? 1 : 1 + left.count() + right.count();
        }
    }

    static void parallel(int threads, IntConsumer f) throws Exception {
        Thread[] all = new Thread[threads];
        for (int i = 0; i < threads; i++) {
            final int index = i;
            all[i] = new Thread(() -> f.accept(index));
            all[i].start();
        }
        for (Thread t : all)
            t.join();
    }

    static void trees(int depth, int threads) throws Exception {
        long begin = System.nanoTime();
        Node longLived = Node.grow(depth);
        AtomicLong check = new AtomicLong();
        parallel(threads, t -> {
            long nodes = 0;
            for (int d = 4; d <= depth; d += 4) {
                long n = 1L << (depth - d + 4);
                for (long i = n * t / threads; i < n * (t + 1) / threads; i++)
                    nodes += Node.grow(d).count();
            }
            check.addAndGet(nodes);
        });
        int kept = longLived.count();
        System.out.printf("wall_s %.6f%ncheck %d%nlong_lived %d%n", (System.nanoTime() - begin) * 1e-9, check.get(), kept);
    }

    static void churn(int size, long ops, int threads) throws Exception {
        long begin = System.nanoTime();
        parallel(threads, t -> {
            byte[][] table = new byte[256][];
            for (long i = 0; i < ops; i++) {
                byte[] p = new byte[size];
                p[0] = (byte) i;
                table[(int) i & 255] = p;
            }
        });
        long ns = System.nanoTime() - begin;
        System.out.printf("wall_s %.6f%nns_per_op %.4f%n", ns * 1e-9, (double) ns / ops);
    }

    static final class Message {
        Message next;
        byte[] payload;

        Message(int size) {
            payload = new byte[size];
        }
    }

    static void ring(int live, int size, int ops) {
        int[] ns = new int[ops];
        Message newest = new Message(size);
        newest.next = newest;
        for (int i = 1; i < live; i++) {
            Message m = new Message(size);
            m.next = newest.next;
            newest.next = m;
            newest = m;
        }
        long begin = System.nanoTime(), before = begin;
        for (int i = 0; i < ops; i++) {
            Message m = new Message(size);
            m.next = newest.next.next;
            newest.next = m;
            newest = m;
            long now = System.nanoTime();
            ns[i] = (int) (now - before);
            before = now;
        }
        double wall = (System.nanoTime() - begin) * 1e-9;
        Arrays.sort(ns);
        System.out.printf("wall_s %.6f%np50_us %.3f%np99_us %.3f%np999_us %.3f%np9999_us %.3f%nmax_us %.3f%n", wall,
                ns[ops / 2] * 1e-3, ns[(int) (ops * 0.99)] * 1e-3, ns[(int) (ops * 0.999)] * 1e-3,
                ns[(int) (ops * 0.9999)] * 1e-3, ns[ops - 1] * 1e-3);
    }

    static final class Vertex {
        Vertex a, b, c, d;
        long p, q, r, s; // 16 B header and references, 32 B here: 64 B with compressed references
    }

    static void graph(int objects, int edges, int collections) {
        Vertex[] nodes = new Vertex[objects];
        for (int i = 0; i < objects; i++)
            nodes[i] = new Vertex();
        long x = 1;
        for (int i = 0; i < objects; i++) {
            Vertex v = nodes[i];
            v.a = nodes[(i + 1) % objects];
            v.b = nodes[(int) (((x = next(x)) >>> 32) * objects >>> 32)];
            v.c = nodes[(int) (((x = next(x)) >>> 32) * objects >>> 32)];
            v.d = nodes[(int) (((x = next(x)) >>> 32) * objects >>> 32)];
        }
        Vertex root = nodes[0];
        nodes = null;
        System.gc();
        double[] rates = new double[collections];
        for (int i = 0; i < collections; i++) {
            long begin = System.nanoTime();
            System.gc();
            rates[i] = objects / ((System.nanoTime() - begin) * 1e-9);
        }
        Arrays.sort(rates);
        System.out.printf("mark_objects_per_s %.0f%n", rates[collections / 2]);
        if (root.a == null)
            throw new AssertionError();
    }

    static long next(long x) {
        return x * 6364136223846793005L + 1442695040888963407L;
    }

    public static void main(String[] a) throws Exception {
        switch (a[0]) {
            case "trees": trees(Integer.parseInt(a[1]), Integer.parseInt(a[2])); break;
            case "churn": churn(Integer.parseInt(a[1]), Long.parseLong(a[2]), Integer.parseInt(a[3])); break;
            case "ring": ring(Integer.parseInt(a[1]), Integer.parseInt(a[2]), Integer.parseInt(a[3])); break;
            case "graph": graph(Integer.parseInt(a[1]), Integer.parseInt(a[2]), Integer.parseInt(a[3])); break;
            default: System.exit(2);
        }
        for (String line : Files.readAllLines(Path.of("/proc/self/status")))
            if (line.startsWith("VmHWM:"))
                System.out.println("peak_rss_kib " + line.replaceAll("\\D", ""));
    }
}
