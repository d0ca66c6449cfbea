/*
 * lines.c: kernels about where objects lie: cache lines that threads share, sizes from lines to
 * MiB, and a heap that ages.
 */
#include "tests/bench/malloc/kernel.h"

struct writer {
	long who, n;
	volatile unsigned char *given;
	uint64_t sum;
};

static struct writer writers[MOST_THREADS];

static uint64_t write_all(long n, long m, void *(*fn)(void *), int give)
{
	uint64_t sum = 0;

	for (long i = 0; i < m && i < MOST_THREADS; i++) {
		writers[i] = (struct writer){.who = i, .n = n};
		/* All of them lie beside each other. */
		if (give)
			writers[i].given = calloc(1, 8);
	}
	run_threads(m, fn, writers, sizeof(writers[0]));
	for (long i = 0; i < m; i++)
		sum += writers[i].sum;
	return sum;
}

static uint64_t write_often(volatile unsigned char *p, long i)
{
	*p = (unsigned char)i;
	for (int k = 0; k < 200; k++)
		*p = (unsigned char)(*p + k);
	return *p;
}

/* Active false sharing (the kind of cache-thrash): does the malloc give two threads parts of one
 * line? */
static void *write_own(void *arg)
{
	struct writer *w = arg;

	for (long i = 0; i < w->n; i++) {
		volatile unsigned char *p = malloc(8);

		w->sum += write_often(p, i);
		free((void *)p);
	}
	return NULL;
}

/* N objects of 8 B in each of M threads, each written 200 times. */
uint64_t kernel_active(long n, long m)
{
	return write_all(n, m, write_own, 0);
}

/* Passive false sharing (the kind of cache-scratch): a thread frees an object that shares its line
 * with another thread's; is that what it gets when it allocates next? */
static void *write_given(void *arg)
{
	struct writer *w = arg;

	w->sum += write_often(w->given, w->who);
	free((void *)w->given);
	return write_own(w);
}

/* The same, after a first object that the main thread allocated for each. */
uint64_t kernel_passive(long n, long m)
{
	return write_all(n, m, write_given, 1);
}

/* ---- power (the kind of glibc's benchmark with threads) ----------------------------------- */

enum { POWER_OBJECTS = 1024 };

/* 4..32768 B, a size twice as large half as often. */
static void *power(void *arg)
{
	struct writer *w = arg;
	void **p = calloc(POWER_OBJECTS, sizeof(*p));
	uint64_t state = seed_of(w->who);

	for (long i = 0; i < w->n; i++) {
		uint32_t k = below(&state, POWER_OBJECTS), r = draw(&state) | 1u << 18;
		uint32_t high = 4u << __builtin_ctz(r) % 14;

		w->sum += take(p[k]);
		p[k] = stamped(high + below(&state, high), (uint64_t)i << 8 | (uint64_t)w->who);
	}
	for (int k = 0; k < POWER_OBJECTS; k++)
		w->sum += take(p[k]);
	free(p);
	return NULL;
}

/* N replacements in each of M threads. */
uint64_t kernel_power(long n, long m)
{
	return write_all(n, m, power, 0);
}

/* ---- large (the kind of malloc-large) ----------------------------------------------------- */

/* N replacements among M objects of 1..8 MiB, of which every page is written. */
uint64_t kernel_large(long n, long m)
{
	unsigned char **p = calloc((size_t)m, sizeof(*p));
	uint64_t state = seed_of(m), sum = 0;

	for (long i = 0; i < n; i++) {
		uint32_t k = below(&state, (uint32_t)m);
		size_t size = (1u << 20) + below(&state, 7u << 20);

		sum += take(p[k]);
		p[k] = stamped(size, (uint64_t)i);
		for (size_t at = 4096; at < size - 1; at += 4096)
			p[k][at] = (unsigned char)at;
	}
	for (long k = 0; k < m; k++)
		sum += take(p[k]);
	free(p);
	return sum;
}

/* ---- ages --------------------------------------------------------------------------------- */

/*
 * A heap that ages: in each of N epochs another range of sizes is popular; objects are allocated up
 * to M MiB, and four fifths of them are freed at random before the next epoch. What the survivors
 * pin is what a malloc's memory grows by.
 */
uint64_t kernel_ages(long n, long m)
{
	size_t most = (size_t)m << 20, live = 0, used = 0, room = most / 32;
	void **p = calloc(room, sizeof(*p));
	uint64_t state = seed_of(n), sum = 0;

	for (long epoch = 0; epoch < n; epoch++) {
		uint32_t base = 24u << (unsigned)epoch % 7;

		while (live < most && used < room) {
			struct stamp *s =
				stamped(base + below(&state, base), (uint64_t)epoch << 32 | used);

			live += s->size;
			p[used++] = s;
		}
		for (size_t i = 0; i < used;) {
			if (below(&state, 5) == 0) {
				i++;
				continue;
			}
			live -= ((struct stamp *)p[i])->size;
			sum += take(p[i]);
			p[i] = p[--used];
		}
	}
	for (size_t i = 0; i < used; i++)
		sum += take(p[i]);
	free(p);
	return sum;
}
