/*
 * bench_scankernel: what a span costs each kernel of the dense scan, by size and density.
 *
 *   bench_scankernel [SLOT_BYTES POINTERS]     default: some usual ones
 *
 * Each density has MASKS different random masks, each over memory of its own, gone through in
 * turn: one mask repeated would teach the branch predictor the span. The memory of all of them
 * does not fit into the second cache, as it does not where a marker works; it is there in the last
 * one. Told: nanoseconds of CPU time a span of 16 KiB and an object, the best of ROUNDS; in the
 * columns' order kernels take turns. "one by one" is what the mark loop does below gc.dense
 * (markspan_loop.c, scan_sparse and scan_some), without its edges: objects wait in a ring for
 * their lines, and the kind of each is looked up again. For a kernel the lines of the next span
 * are asked for, as there. Behind each shape stands the crossover: the least density from which on
 * a kernel is no slower than that.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "collector/span/scankernel.h"

#define MASKS  512
#define WORDS  16
#define SPAN   (WORDS * 1024)
#define ROUNDS 25
#define BASE   ((uintptr_t)1 << 40)
#define BYTES  ((size_t)1 << 30)
#define MOST   9 /* kernels, and one by one */
#define RING   2048
#define AHEAD  48 /* gc.fifo */
#define BATCH  32

static uint64_t todo[MASKS][WORDS];
static char *memory;
static uintptr_t out[SPAN / 8 + 64 + SM_KERNEL_SLACK];

static uint64_t rnd(void)
{
	static uint64_t s = 88172645463325252u;

	s ^= s << 13;
	s ^= s >> 7;
	s ^= s << 17;
	return s;
}

static size_t fill(unsigned slot, unsigned percent)
{
	size_t n = 0;

	memset(todo, 0, sizeof(todo));
	for (unsigned m = 0; m < MASKS; m++)
		for (unsigned at = 0; at + slot <= SPAN; at += slot)
			if (rnd() % 100 < percent) {
				todo[m][at / 1024] |= UINT64_C(1) << (at / 16 % 64);
				n++;
			}
	return n;
}

/* As if of every unit: the loop looks it up by the object's. */
static uint32_t kinds[MASKS];

/* The oldest BATCH objects of the ring, or all that there are. */
static uintptr_t *scan_some(const uintptr_t *ring, unsigned *first, unsigned last, uintptr_t *to)
{
	for (unsigned n = 0; n < BATCH && *first != last; n++) {
		const uintptr_t *w = (const uintptr_t *)ring[(*first)++ % RING];
		const uintptr_t *end = w + kinds[((uintptr_t)w - (uintptr_t)memory) / SPAN];

		for (; w < end; w++) {
			uintptr_t p = *(const volatile uintptr_t *)w;

			*to = p;
			to += p - BASE < BYTES;
		}
	}
	return to;
}

static size_t one_by_one(const struct sm_scan_job *j, uintptr_t *to)
{
	static uintptr_t ring[RING];
	static unsigned first, last;
	uintptr_t *at = to;

	for (unsigned w = 0; w < j->words; w++)
		for (uint64_t bits = j->todo[w]; bits; bits &= bits - 1) {
			uintptr_t p = sm__scan_address(j, w, (unsigned)__builtin_ctzll(bits));

			__builtin_prefetch((const void *)p);
			ring[last++ % RING] = p;
		}
	while (last - first > AHEAD)
		at = scan_some(ring, &first, last, at);
	return (size_t)(at - to);
}

static bool always(void)
{
	return true;
}

static const struct sm_scan_kernel sparse = {"one by one", one_by_one, always};

/* [0] is what kernels are compared with. */
static const struct sm_scan_kernel *way(unsigned i)
{
	return i == 0 ? &sparse : sm__scan_kernel_at(i - 1);
}

/* A kernel's span waits until the lines of the next one have been asked for (dense_waits). */
static void ask_for(const struct sm_scan_job *j)
{
	for (unsigned w = 0; w < j->words; w++)
		for (uint64_t bits = j->todo[w]; bits; bits &= bits - 1)
			__builtin_prefetch((const void *)sm__scan_address(
				j, w, (unsigned)__builtin_ctzll(bits)));
}

static struct sm_scan_job job_of(unsigned m, unsigned slot, unsigned nptrs)
{
	return (struct sm_scan_job){.unit = (uintptr_t)(memory + (size_t)m * SPAN),
				    .todo = todo[m % MASKS],
				    .words = WORDS,
				    .slot_bytes = slot,
				    .nptrs = nptrs,
				    .base = BASE,
				    .bytes = BYTES};
}

static double once(const struct sm_scan_kernel *k, unsigned slot, unsigned nptrs)
{
	static volatile size_t sink;
	struct timespec a, b;

	for (unsigned m = 0; m < MASKS; m++)
		kinds[m] = nptrs;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &a);
	for (unsigned m = 0; m < MASKS; m++) {
		struct sm_scan_job j = job_of(m, slot, nptrs), next = job_of(m + 1, slot, nptrs);

		if (k != &sparse && m + 1 < MASKS)
			ask_for(&next);
		sink += k->fn(&j, out);
	}
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &b);
	return (double)(b.tv_sec - a.tv_sec) * 1e9 + (double)(b.tv_nsec - a.tv_nsec);
}

static const unsigned percents[] = {1, 2, 5, 10, 20, 40, 70, 100};
#define PERCENTS (sizeof(percents) / sizeof(percents[0]))

/* ns of all masks; 0: this CPU has no such kernel. */
static void row(unsigned slot, unsigned nptrs, unsigned percent, double best[MOST])
{
	const struct sm_scan_kernel *k;
	size_t n = fill(slot, percent);

	for (unsigned r = 0; r < ROUNDS; r++) {
		for (unsigned i = 0; i < MOST && (k = way(i)) != NULL; i++) {
			double ns = k->usable() ? once(k, slot, nptrs) : 0;

			if (best[i] == 0 || ns < best[i])
				best[i] = ns;
		}
	}
	printf("%5u %8u %7u%%", slot, nptrs, percent);
	for (unsigned i = 0; i < MOST && (k = way(i)) != NULL; i++) {
		if (k->usable())
			printf(" %10.0f %5.1f", best[i] / MASKS, n ? best[i] / (double)n : 0.0);
		else
			printf(" %10s %5s", "n/a", "n/a");
	}
	printf("\n");
}

static void rows(unsigned slot, unsigned nptrs)
{
	double best[PERCENTS][MOST] = {{0}};
	const struct sm_scan_kernel *k;

	for (unsigned i = 0; i < PERCENTS; i++)
		row(slot, nptrs, percents[i], best[i]);
	printf("%5s %8s %8s %16s", "", "", "from", "");
	for (unsigned w = 1; w < MOST && (k = way(w)) != NULL; w++) {
		unsigned from = PERCENTS;

		while (from > 0 && best[from - 1][w] <= best[from - 1][0])
			from--;
		if (k->usable() && from < PERCENTS)
			printf(" %15u%%", percents[from]);
		else
			printf(" %16s", k->usable() ? "never" : "n/a");
	}
	printf("\n");
}

int main(int argc, char **argv)
{
	const struct sm_scan_kernel *k;

	memory = aligned_alloc(4096, (size_t)MASKS * SPAN + 4096);
	if (memory == NULL)
		return 1;
	for (size_t i = 0; i < (size_t)MASKS * SPAN / 8; i++)
		((uintptr_t *)memory)[i] = rnd() % 4 == 0 ? 0 : BASE + rnd() % BYTES / 16 * 16;
	printf("%5s %8s %8s", "slot", "pointers", "density");
	for (unsigned i = 0; i < MOST && (k = way(i)) != NULL; i++)
		printf(" %10s %5s", k->name, "/obj");
	printf("   ns a span, ns an object\n");
	if (argc == 3) {
		rows((unsigned)atoi(argv[1]), (unsigned)atoi(argv[2]));
		return 0;
	}
	rows(16, 2);
	rows(24, 2);
	rows(64, 4);
	rows(64, 8);
	rows(192, 24);
	rows(512, 64);
	return 0;
}
