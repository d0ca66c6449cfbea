/*
 * bench_scankernel: what a span costs each kernel of the dense scan, by size and density.
 *
 *   bench_scankernel [SLOT_BYTES POINTERS]     default: some usual ones
 *
 * Each density has MASKS different random masks, each over memory of its own, gone through in
 * turn: one mask repeated would teach the branch predictor the span. The memory of all of them
 * does not fit into the second cache, as it does not where a marker works; it is there in the last
 * one. Told: nanoseconds a span of 16 KiB and an object, the best of ROUNDS; in the columns' order
 * kernels take turns.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "collector/scankernel.h"

#define MASKS  512
#define WORDS  16
#define SPAN   (WORDS * 1024)
#define ROUNDS 7
#define BASE   ((uintptr_t)1 << 40)
#define BYTES  ((size_t)1 << 30)
#define MOST   8 /* kernels */

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

static double once(const struct sm_scan_kernel *k, unsigned slot, unsigned nptrs)
{
	static volatile size_t sink;
	struct timespec a, b;

	clock_gettime(CLOCK_MONOTONIC, &a);
	for (unsigned m = 0; m < MASKS; m++) {
		struct sm_scan_job j = {.unit = (uintptr_t)(memory + (size_t)m * SPAN),
					.todo = todo[m],
					.words = WORDS,
					.slot_bytes = slot,
					.nptrs = nptrs,
					.base = BASE,
					.bytes = BYTES};

		sink += k->fn(&j, out);
	}
	clock_gettime(CLOCK_MONOTONIC, &b);
	return (double)(b.tv_sec - a.tv_sec) * 1e9 + (double)(b.tv_nsec - a.tv_nsec);
}

static void row(unsigned slot, unsigned nptrs, unsigned percent)
{
	const struct sm_scan_kernel *k;
	double best[MOST] = {0};
	size_t n = fill(slot, percent);

	for (unsigned r = 0; r < ROUNDS; r++) {
		for (unsigned i = 0; i < MOST && (k = sm__scan_kernel_at(i)) != NULL; i++) {
			double ns = k->usable() ? once(k, slot, nptrs) : 0;

			if (best[i] == 0 || ns < best[i])
				best[i] = ns;
		}
	}
	printf("%5u %8u %7u%%", slot, nptrs, percent);
	for (unsigned i = 0; i < MOST && (k = sm__scan_kernel_at(i)) != NULL; i++) {
		if (k->usable())
			printf(" %8.0f %5.1f", best[i] / MASKS, n ? best[i] / (double)n : 0.0);
		else
			printf(" %8s %5s", "n/a", "n/a");
	}
	printf("\n");
}

static void rows(unsigned slot, unsigned nptrs)
{
	static const unsigned percents[] = {1, 2, 5, 10, 20, 40, 70, 100};

	for (unsigned i = 0; i < sizeof(percents) / sizeof(percents[0]); i++)
		row(slot, nptrs, percents[i]);
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
	for (unsigned i = 0; i < MOST && (k = sm__scan_kernel_at(i)) != NULL; i++)
		printf(" %8s %5s", k->name, "/obj");
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
