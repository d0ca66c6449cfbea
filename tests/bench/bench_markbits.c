/*
 * bench_markbits: what a mark loop could do, by where the mark bits lie.
 *
 *   bench_markbits [ROUNDS [MILLIONS]]     default 4 rounds of 8 M objects
 *
 * The graph of the workload `graph` (64-byte nodes, one edge to the next and three random ones)
 * without a heap: an array in huge pages, and a loop of the collector's shape (two packets, a ring
 * between pop and scan). Rows:
 *
 *   lines          every object's line, prefetched, in a random order that is known in advance: the
 *                  bound
 *   lines+4        the same, and for each object the descriptor lines of its four edges
 *   descriptor     mark bits in the span's descriptor: descriptor -> slot -> bit
 *   flat           mark bits in one bitmap, one for every 16 bytes of heap, by address alone; the
 *                  class of the scanned object from a table of one byte a unit: as in
 *                  allocator/objects/markmap.h
 *
 * the last two with plain stores (one marker alone) and with atomic ones (any number). Best of the
 * rounds, which interleave the rows.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "allocator/base/atomic.h"
#include "allocator/base/base.h"
#include "perf/clock.h"
#include "workloads/rng.h"

#define NODE	 64
#define EDGES	 4
#define RING	 64
#define DEPTH	 32
#define AHEAD	 8
#define PACK	 256
#define PER_UNIT (SM_UNIT / NODE)

enum bits { DESCRIPTOR, FLAT };

struct descriptor {
	uint32_t recip;
	uint16_t quick;
	_Atomic(uint64_t) *marks;
	char fields[16];
	_Atomic(uint64_t) inline_marks[PER_UNIT / 64 > 4 ? PER_UNIT / 64 : 4];
} __attribute__((aligned(2 * SM_CACHELINE)));

static size_t n;		 /* nodes */
static char *heap;		 /* n * NODE bytes */
static struct descriptor *table; /* one a unit */
static _Atomic(uint64_t) *flat;	 /* a bit for 16 bytes */
static uint8_t *class_of;	 /* one byte a unit */
static uint8_t pointers[256];	 /* [class] at the front of an object */
static char **order;		 /* every entry a random node */
static uintptr_t *stack;	 /* full packets */
static size_t visited;

static void *map(size_t bytes)
{
	size_t huge = 2 * SM_MIB;
	char *p = mmap(NULL, bytes + huge, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p == MAP_FAILED) {
		perror("bench_markbits: mmap");
		exit(1);
	}
	p = (char *)sm_align_up((uintptr_t)p, huge);
	(void)madvise(p, bytes, MADV_HUGEPAGE);
	return p;
}

/* ---- the loop ----------------------------------------------------------------------------- */

SM_INLINE _Atomic(uint64_t) *bit_of(enum bits bits, size_t off, unsigned *bit)
{
	if (bits == FLAT) {
		*bit = (unsigned)(off / 16 % 64);
		return &flat[off / 1024];
	} else {
		struct descriptor *d = &table[off / SM_UNIT];
		uint32_t slot = (uint32_t)(((off % SM_UNIT) * (uint64_t)d->recip) >> 32);

		if (SM_UNLIKELY(d->quick == 0))
			abort();
		*bit = slot % 64;
		return &d->marks[slot / 64];
	}
}

SM_INLINE unsigned pointers_of(enum bits bits, size_t off)
{
	return bits == FLAT ? pointers[class_of[off / SM_UNIT]] : table[off / SM_UNIT].quick;
}

SM_INLINE void look_ahead(enum bits bits, const uintptr_t *w, size_t bytes)
{
	for (unsigned i = 0; i < EDGES; i++) {
		size_t off = w[i] - (uintptr_t)heap;

		if (off < bytes && bits == FLAT)
			SM_PREFETCH_R(&flat[off / 1024]);
		else if (off < bytes)
			SM_PREFETCH_R(&table[off / SM_UNIT]);
	}
}

SM_INLINE uintptr_t *mark_edge(enum bits bits, bool atomic, uintptr_t p, size_t bytes,
			       uintptr_t *next)
{
	size_t off = p - (uintptr_t)heap;
	_Atomic(uint64_t) *word;
	uint64_t old, one;
	unsigned bit;

	if (off >= bytes)
		return next;
	word = bit_of(bits, off, &bit);
	one = (uint64_t)1 << bit;
	old = sm_load_relaxed(word);
	if (atomic) {
		if ((old & one) == 0 && (sm_fetch_or_relaxed(word, one) & one) == 0)
			*next++ = p;
		return next;
	}
	sm_store_relaxed(word, old | one);
	*next = p;
	return next + ((old & one) == 0);
}

SM_INLINE void mark_all(enum bits bits, bool atomic)
{
	static uintptr_t packet[2][PACK + EDGES];
	uintptr_t ring[RING], *full = stack, *first = packet[0], *take = first, *filled = packet[1],
			      *next;
	size_t bytes = n * NODE, scanned = 0;
	unsigned head = 0, tail = 0;

	next = mark_edge(bits, atomic, (uintptr_t)heap, bytes, filled);
	for (;;) {
		while (tail - head < DEPTH) {
			uintptr_t in;

			if (SM_UNLIKELY(take == first)) {
				uintptr_t *empty = first;

				if (next != filled) {
					first = filled;
					take = next;
					filled = next = empty;
				} else if (full != stack) {
					full -= PACK;
					memcpy(first, full, PACK * sizeof(*full));
					take = first + PACK;
				} else {
					break;
				}
			}
			in = *--take;
			SM_PREFETCH_R((const void *)in);
			ring[tail++ % RING] = in;
		}
		if (tail == head)
			break;
		if (tail - head > AHEAD)
			look_ahead(bits, (const uintptr_t *)ring[(head + AHEAD) % RING], bytes);
		if (SM_UNLIKELY(next - filled >= PACK)) {
			next -= PACK;
			memcpy(full, next, PACK * sizeof(*full));
			full += PACK;
		}
		uintptr_t at = ring[head++ % RING];
		const uintptr_t *w = (const uintptr_t *)at,
				*end = w + pointers_of(bits, at - (uintptr_t)heap);

		for (; w < end; w++)
			next = mark_edge(bits, atomic, *w, bytes, next);
		scanned++;
	}
	visited = scanned;
}

/* ---- rows --------------------------------------------------------------------------------- */

SM_INLINE void visit_lines(bool descriptors)
{
	static volatile uint64_t sink;
	uint64_t sum = 0;

	for (size_t i = 0; i < n; i++) {
		const uintptr_t *w = (const uintptr_t *)order[i];

		SM_PREFETCH_R(order[i + DEPTH]);
		sum += w[0];
		for (unsigned e = 0; descriptors && e < EDGES; e++)
			sum += table[(w[e] - (uintptr_t)heap) / SM_UNIT].inline_marks[0];
	}
	sink = sum;
	(void)sink;
	visited = n;
}

static SM_NOINLINE void lines(void)
{
	visit_lines(false);
}
static SM_NOINLINE void lines_and_4(void)
{
	visit_lines(true);
}
static SM_NOINLINE void descriptor_plain(void)
{
	mark_all(DESCRIPTOR, false);
}
static SM_NOINLINE void descriptor_atomic(void)
{
	mark_all(DESCRIPTOR, true);
}
static SM_NOINLINE void flat_plain(void)
{
	mark_all(FLAT, false);
}
static SM_NOINLINE void flat_atomic(void)
{
	mark_all(FLAT, true);
}

static const struct row {
	const char *name;
	void (*run)(void);
} rows[] = {
	{"lines", lines},
	{"lines+4", lines_and_4},
	{"descriptor, plain", descriptor_plain},
	{"descriptor, atomic", descriptor_atomic},
	{"flat, plain", flat_plain},
	{"flat, atomic", flat_atomic},
};
#define NROWS (sizeof(rows) / sizeof(rows[0]))

static void make(void)
{
	size_t units = n / PER_UNIT;
	struct sm_rng rng;

	sm_rng_seed(&rng, 42, 0);
	heap = map(n * NODE);
	table = map(units * sizeof(*table));
	flat = map(n * NODE / 128);
	class_of = map(units);
	order = map((n + DEPTH) * sizeof(*order));
	stack = map(n * sizeof(*stack));
	pointers[6] = EDGES;
	for (size_t u = 0; u < units; u++) {
		class_of[u] = 6;
		table[u].recip = (uint32_t)((UINT64_C(1) << 32) / NODE);
		table[u].quick = EDGES;
		table[u].marks = table[u].inline_marks;
	}
	for (size_t i = 0; i < n; i++) {
		uintptr_t *w = (uintptr_t *)(heap + i * NODE);

		w[0] = (uintptr_t)heap + (i + 1) % n * NODE;
		for (unsigned e = 1; e < EDGES; e++)
			w[e] = (uintptr_t)heap + sm_rng_below(&rng, n) * NODE;
	}
	for (size_t i = 0; i < n + DEPTH; i++)
		order[i] = heap + sm_rng_below(&rng, n) * NODE;
}

static void clear(void)
{
	for (size_t u = 0; u < n / PER_UNIT; u++)
		memset((void *)table[u].inline_marks, 0, sizeof(table[u].inline_marks));
	memset((void *)flat, 0, n * NODE / 128);
}

int main(int argc, char **argv)
{
	unsigned long rounds = argc > 1 ? strtoul(argv[1], NULL, 10) : 4;
	double best[NROWS] = {0};

	n = (argc > 2 ? strtoul(argv[2], NULL, 10) : 8) << 20;
	if (rounds == 0 || n == 0 || argc > 3) {
		fprintf(stderr, "usage: bench_markbits [ROUNDS [MILLIONS]], both at least 1\n");
		return 2;
	}
	make();
	for (unsigned long r = 0; r < rounds; r++) {
		for (unsigned i = 0; i < NROWS; i++) {
			uint64_t begin;
			double rate;

			clear();
			begin = sm_clock_ns();
			rows[i].run();
			rate = (double)n * 1e3 / (double)sm_clock_delta(begin, sm_clock_ns());
			if (visited != n) {
				fprintf(stderr, "bench_markbits: %s visited %zu of %zu\n",
					rows[i].name, visited, n);
				return 1;
			}
			best[i] = rate > best[i] ? rate : best[i];
		}
	}
	for (unsigned i = 0; i < NROWS; i++)
		printf("%-20s %6.1f M/s  %.2f of lines\n", rows[i].name, best[i],
		       best[i] / best[0]);
	return 0;
}
