// gcbench, lru-cache, young-garbage and layouts in Java, the same work as workloads/wl_gcbench.c, wl_lru_cache.c,
// wl_young_garbage.c and wl_layouts.c: the same objects, operations and random numbers, and so the same check, hit_share
// and followed.
//
//   Versus gcbench STRETCH LONG_LIVED ARRAY LONGEST | lru-cache SIZE LIVE OPS |
//          young-garbage LIVE BURST OPS KEEP | layouts TYPES OBJECTS ROUNDS
//
// Prints "name value" lines; timing is inside, as in spanmark: the start of the virtual machine does not count.

import java.io.ByteArrayOutputStream;
import java.io.DataOutputStream;
import java.lang.management.GarbageCollectorMXBean;
import java.lang.management.ManagementFactory;
import java.lang.reflect.Field;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;
import sun.misc.Unsafe;

public final class Versus {
    static void check(boolean holds, String what) {
        if (!holds) {
            System.err.println("Versus: " + what);
            System.exit(1);
        }
    }

    // ---- gcbench ------------------------------------------------------------------------------

    static final class Node {
        Node left, right;
        long i, j;

        static void populate(int depth, Node n) {
            if (depth <= 0)
                return;
            n.left = new Node();
            n.right = new Node();
            populate(depth - 1, n.left);
            populate(depth - 1, n.right);
        }

        static Node makeUp(int depth) {
            Node left = null, right = null;
            if (depth > 0) {
                left = makeUp(depth - 1);
                right = makeUp(depth - 1);
            }
            Node n = new Node();
            n.left = left;
            n.right = right;
            return n;
        }

        static Node makeDown(int depth) {
            Node n = new Node();
            populate(depth, n);
            return n;
        }

        static long count(Node n) {
            return n == null ? 0 : 1 + count(n.left) + count(n.right);
        }
    }

    static long nodesOf(int depth) {
        return (2L << depth) - 1;
    }

    static Node dropped; // what is made must be made: the last tree that was dropped

    static void gcbench(int stretch, int longLived, int array, int longest) {
        long begin = System.nanoTime();
        dropped = Node.makeUp(stretch);
        dropped = null;
        Node stays = Node.makeDown(longLived);
        double[] numbers = new double[array];
        for (int i = 0; i < array / 2; i++)
            numbers[i] = 1.0 / (i + 1);
        long made = 0;
        for (int d = 4; d <= longest; d += 2) {
            long trees = 2 * nodesOf(stretch) / nodesOf(d);
            for (long i = 0; i < trees; i++) {
                dropped = Node.makeDown(d);
                dropped = null;
            }
            for (long i = 0; i < trees; i++) {
                dropped = Node.makeUp(d);
                dropped = null;
            }
            made += 2 * trees * nodesOf(d);
        }
        long ns = System.nanoTime() - begin;
        check(Node.count(stays) == nodesOf(longLived) && numbers[array / 2 - 1] == 1.0 / (array / 2),
                "the tree or the array that stays was damaged");
        System.out.printf("wall_s %.6f%ncheck %d%n", ns * 1e-9, made);
    }

    // ---- lru-cache ----------------------------------------------------------------------------

    static long mixed(long number) { // the next of splitmix64
        long z = number + 0x9e3779b97f4a7c15L;
        z = (z ^ z >>> 30) * 0xbf58476d1ce4e5b9L;
        z = (z ^ z >>> 27) * 0x94d049bb133111ebL;
        return z ^ z >>> 31;
    }

    static final class Rng {
        long a, b, c, d;

        Rng(long seed, long stream) {
            long state = seed ^ (stream * 0xd1342543de82ef95L + 0x2545f4914f6cdd1dL), step = 0x9e3779b97f4a7c15L;
            a = mixed(state);
            b = mixed(state + step);
            c = mixed(state + 2 * step);
            d = mixed(state + 3 * step);
        }

        long next() {
            long result = Long.rotateLeft(a + d, 23) + a, t = b << 17;
            c ^= a;
            d ^= b;
            b ^= c;
            a ^= d;
            c ^= t;
            d = Long.rotateLeft(d, 45);
            return result;
        }
    }

    static final class Entry {
        Entry chain, newer, older;
        byte[] key;
        long[] value;
        long number;
    }

    static final class Cache {
        Entry newest, oldest;
        Entry[] buckets;
        long n, mask;

        int bucketOf(long number) {
            return (int) (mixed(number) & mask);
        }

        void unlinkUse(Entry e) {
            if (e.newer != null)
                e.newer.older = e.older;
            else
                newest = e.older;
            if (e.older != null)
                e.older.newer = e.newer;
            else
                oldest = e.newer;
        }

        void use(Entry e) {
            e.newer = null;
            e.older = newest;
            if (newest != null)
                newest.newer = e;
            else
                oldest = e;
            newest = e;
        }

        void evict() {
            Entry e = oldest;
            int bucket = bucketOf(e.number);
            if (buckets[bucket] == e) {
                buckets[bucket] = e.chain;
            } else {
                Entry before = buckets[bucket];
                while (before.chain != e)
                    before = before.chain;
                before.chain = e.chain;
            }
            unlinkUse(e);
            n--;
        }

        void insert(long number, int size) {
            Entry e = new Entry();
            int bucket = bucketOf(number), digits = 1;
            e.number = number;
            for (long rest = number; rest >= 10; rest /= 10)
                digits++;
            byte[] key = new byte[5 + digits + 1];
            key[0] = 'u';
            key[1] = 's';
            key[2] = 'e';
            key[3] = 'r';
            key[4] = ':';
            long rest = number;
            for (int at = 4 + digits; at > 4; at--, rest /= 10)
                key[at] = (byte) ('0' + rest % 10);
            e.key = key;
            e.value = new long[size / 8];
            e.value[0] = e.value[size / 8 - 1] = number;
            e.chain = buckets[bucket];
            buckets[bucket] = e;
            use(e);
            n++;
        }
    }

    static void lru(int size, int live, int ops) {
        long begin = System.nanoTime(), hits = 0;
        Rng r = new Rng(1, 0);
        Cache c = new Cache();
        int nbuckets = 1;
        while (nbuckets < live)
            nbuckets *= 2;
        c.mask = nbuckets - 1;
        c.buckets = new Entry[nbuckets];
        double keys = 4.0 * live;
        for (int i = 0; i < ops; i++) {
            double u = (double) (r.next() >>> 11) / 9007199254740992.0;
            long number = (long) (keys * u * u * u);
            Entry e = c.buckets[c.bucketOf(number)];
            while (e != null && e.number != number)
                e = e.chain;
            if (e == null) {
                if (c.n == live)
                    c.evict();
                c.insert(number, size);
                continue;
            }
            hits++;
            check(e.value[0] == number && e.value[size / 8 - 1] == number, "a cached value was overwritten");
            c.unlinkUse(e);
            c.use(e);
        }
        System.out.printf("wall_s %.6f%nhit_share %.6f%n", (System.nanoTime() - begin) * 1e-9, 100.0 * hits / ops);
    }

    // ---- layouts ------------------------------------------------------------------------------

    static final Unsafe UNSAFE = unsafe();

    static Unsafe unsafe() {
        try {
            Field f = Unsafe.class.getDeclaredField("theUnsafe");
            f.setAccessible(true);
            return (Unsafe) f.get(null);
        } catch (ReflectiveOperationException e) {
            throw new AssertionError(e);
        }
    }

    static int wordsOf(long kind) {
        return 14 + (int) (kind % 16);
    }

    static long pointersOf(long kind) {
        return ((kind / 16 + 1) * 0x9e5 & (1 << 13) - 1) << 1;
    }

    /** A class of a long or a reference for each word of its layout, as a program of as many classes would have. */
    static final class Shapes extends ClassLoader {
        // Where the virtual machine puts the fields follows from how many of both there are: looked at once for each pair.
        final Map<Integer, long[][]> seen = new HashMap<>();

        Class<?> define(int kind) throws Exception {
            ByteArrayOutputStream bytes = new ByteArrayOutputStream();
            DataOutputStream out = new DataOutputStream(bytes);
            int words = wordsOf(kind);
            long pointers = pointersOf(kind);
            String[] names = {"Shape" + kind, "java/lang/Object", "J", "Ljava/lang/Object;"};

            out.writeInt(0xcafebabe);
            out.writeInt(52);
            out.writeShort(7 + words);
            for (String name : names) {
                out.writeByte(1);
                out.writeUTF(name);
            }
            for (int i = 1; i <= 2; i++) { // 5 is this class, 6 its superclass
                out.writeByte(7);
                out.writeShort(i);
            }
            for (int w = 0; w < words; w++) {
                out.writeByte(1);
                out.writeUTF("w" + w);
            }
            for (int x : new int[] {0x31, 5, 6, 0, words})
                out.writeShort(x);
            for (int w = 0; w < words; w++)
                for (int x : new int[] {1, 7 + w, (pointers >> w & 1) != 0 ? 4 : 3, 0})
                    out.writeShort(x);
            out.writeInt(0); // no methods, no attributes
            return defineClass(names[0], bytes.toByteArray(), 0, bytes.size());
        }

        long[] offsets(Class<?> c, int kind) throws Exception {
            int words = wordsOf(kind), references = Long.bitCount(pointersOf(kind)), longs = words - references;
            long[][] both = seen.get(references << 8 | longs);
            if (both == null) {
                both = new long[][] {new long[longs], new long[references]};
                int[] at = {0, 0};
                for (int w = 0; w < words; w++) {
                    int which = (int) (pointersOf(kind) >> w & 1);
                    both[which][at[which]++] = UNSAFE.objectFieldOffset(c.getDeclaredField("w" + w));
                }
                seen.put(references << 8 | longs, both);
            }
            long[] offsets = new long[words];
            int[] at = {0, 0};
            for (int w = 0; w < words; w++) {
                int which = (int) (pointersOf(kind) >> w & 1);
                offsets[w] = both[which][at[which]++];
            }
            return offsets;
        }
    }

    static final class Layouts {
        final Class<?>[] classes;
        final long[][] offsets;
        final long number; // where each object has its own
        final Object[] slots;
        long round, followed;

        Layouts(int kinds, int n) throws Exception {
            Shapes shapes = new Shapes();
            classes = new Class<?>[kinds];
            offsets = new long[kinds][];
            for (int k = 0; k < kinds; k++) {
                classes[k] = shapes.define(k);
                offsets[k] = shapes.offsets(classes[k], k);
                check(offsets[k][0] == offsets[0][0], "the numbers of objects are not at one place");
                UNSAFE.ensureClassInitialized(classes[k]);
            }
            number = offsets[0][0];
            slots = new Object[n];
        }

        long targetOf(long i, long pointers, int word) {
            long h = (i << 8 | word) * 0x9e3779b97f4a7c15L + round;
            if ((pointers & (1L << word) - 1) == 0)
                return i > 0 ? i - 1 : 0;
            return (h >>> 32) * (i + 1) >>> 32;
        }

        void make(int i) throws InstantiationException {
            int kind = i % classes.length, words = wordsOf(kind);
            long pointers = pointersOf(kind);
            long[] at = offsets[kind];
            Object o = UNSAFE.allocateInstance(classes[kind]);
            UNSAFE.putLong(o, number, i);
            slots[i] = o;
            for (int w = 1; w < words; w++) {
                if ((pointers >> w & 1) != 0)
                    UNSAFE.putObject(o, at[w], slots[(int) targetOf(i, pointers, w)]);
                else
                    UNSAFE.putLong(o, at[w], i);
            }
        }

        void build() throws InstantiationException {
            slots[slots.length - 1] = null;
            for (int i = 0; i < slots.length; i++)
                make(i);
            Arrays.fill(slots, 0, slots.length - 1, null);
        }

        int follow(Object o, long i) {
            int kind = (int) (i % classes.length), words = wordsOf(kind), count = 0;
            long pointers = pointersOf(kind);
            long[] at = offsets[kind];
            for (int w = 0; w < words; w++) {
                if ((pointers >> w & 1) != 0) {
                    if (UNSAFE.getLong(UNSAFE.getObject(o, at[w]), number) != targetOf(i, pointers, w))
                        return 0;
                    count++;
                } else if (UNSAFE.getLong(o, at[w]) != i) {
                    return 0;
                }
            }
            return count;
        }

        void visit() {
            Object o = slots[slots.length - 1];
            for (int i = slots.length; i-- > 0;) {
                int count = follow(o, i), kind = i % classes.length;
                check(count != 0, "an object was lost or overwritten");
                followed += count;
                o = UNSAFE.getObject(o, offsets[kind][Long.numberOfTrailingZeros(pointersOf(kind))]);
            }
        }
    }

    static void layouts(int kinds, int objects, int rounds) throws Exception {
        Layouts l = new Layouts(kinds, kinds * objects);
        long begin = System.nanoTime();
        for (; l.round < rounds; l.round++) {
            l.build();
            System.gc();
            l.visit();
        }
        System.out.printf("wall_s %.6f%nfollowed %d%n", (System.nanoTime() - begin) * 1e-9, l.followed);
    }

    // ---- young-garbage ------------------------------------------------------------------------

    static final class Young { // 64 bytes, with compressed pointers
        final Young next;
        final long number;
        long a, b, c, d, e;

        Young(Young next, long number) {
            this.next = next;
            this.number = number;
        }
    }

    static Young makeList(int burst, long list) {
        Young first = null;
        for (int place = burst; place-- > 0;)
            first = new Young(first, list << 20 | place);
        return first;
    }

    static void checkList(int burst, Young n) {
        long list = n.number >>> 20;
        for (int place = 0; place < burst; place++, n = n.next)
            check(n != null && n.number == (list << 20 | place), "a list was overwritten");
        check(n == null, "a list was overwritten");
    }

    static void youngGarbage(int live, int burst, int ops, int keep) {
        Young[] lists = new Young[live];
        for (int i = 0; i < live; i++)
            lists[i] = makeList(burst, i);
        Rng r = new Rng(1, 0);
        long begin = System.nanoTime();
        for (int i = 0; i < ops; i++) {
            Young made = makeList(burst, live + (long) i);
            checkList(burst, made);
            if ((i + 1) % keep == 0) {
                int at = (int) ((r.next() >>> 32) * live >>> 32);
                checkList(burst, lists[at]);
                lists[at] = made;
            }
        }
        System.out.printf("wall_s %.6f%n", (System.nanoTime() - begin) * 1e-9);
        for (Young l : lists)
            checkList(burst, l);
    }

    public static void main(String[] a) throws Exception {
        int[] n = new int[4];
        for (int i = 0; i < n.length && i + 1 < a.length; i++)
            n[i] = Integer.parseInt(a[i + 1]);
        switch (a.length > 0 ? a[0] : "") {
            case "gcbench": gcbench(n[0], n[1], n[2], n[3]); break;
            case "lru-cache": lru(n[0], n[1], n[2]); break;
            case "young-garbage": youngGarbage(n[0], n[1], n[2], n[3]); break;
            case "layouts": layouts(n[0], n[1], n[2]); break;
            default: check(false, "gcbench STRETCH LONG_LIVED ARRAY LONGEST | lru-cache SIZE LIVE OPS | young-garbage LIVE BURST OPS KEEP | layouts TYPES OBJECTS ROUNDS");
        }
        long cycles = 0;
        for (GarbageCollectorMXBean b : ManagementFactory.getGarbageCollectorMXBeans())
            cycles += b.getCollectionCount();
        System.out.println("gc_cycles " + cycles);
        for (String line : Files.readAllLines(Path.of("/proc/self/status")))
            if (line.startsWith("VmHWM:"))
                System.out.println("peak_rss_kib " + line.replaceAll("\\D", ""));
    }
}
