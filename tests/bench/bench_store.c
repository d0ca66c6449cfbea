/*
 * bench_store: what a store of a pointer costs while no cycle marks, by what is remembered of it.
 *
 *   bench_store off|cards|objects|none again|first STORES [fake]
 *
 * off: gc.generations=off; otherwise it is on, with that gc.remember.
 *   again   slots of an array that is old, 64 KiB of it, one after the other, over and over
 *   first   old objects of 64 bytes, 64 MiB of them, in an order that no cache foresees, one store
 *           into each, then a minor cycle, and so on: what is remembered is always news
 *
 * Prints ns a store, of the stores alone. Under callgrind the instructions of two runs, less the
 * smaller's, are those of the stores; with `first` there, no cycle runs, and STORES is no more than
 * there are objects. fake: off in place of none, whose stores are the same and which no kernel
 * serves under callgrind.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "collector/cycle/gc_internal.h"

#define SLOTS	8192
#define OBJECTS (1u << 20)

static double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static __attribute__((noinline)) void store_again(struct sm_mutator *m, void **slots, void *value,
						  unsigned long n)
{
	for (unsigned long i = 0; i < n; i++)
		sm_store(m, &slots[i % SLOTS], value);
}

/* One store into each of n objects, in an order that has a period of all of them. */
static __attribute__((noinline)) void store_first(struct sm_mutator *m, void **table, void *value,
						  unsigned long n)
{
	uint32_t at = 1;

	for (unsigned long i = 0; i < n; i++) {
		at = (at * 1664525u + 1013904223u) % OBJECTS;
		sm_store(m, (void **)table[at], value);
	}
}

static void minor(struct sm_gc *gc, struct sm_mutator *m)
{
	gc->pacer.minor = true;
	if (sm__gc_collect_and_wait(gc, m, false) != 0)
		exit(1);
}

static double again(struct sm_gc *gc, struct sm_mutator *m, unsigned long n)
{
	void **slots = sm_new_array(m, sm_type_pointers(gc, 1), SLOTS);
	double begin;

	sm_collect(gc, m);
	sm_collect(gc, m);
	store_again(m, slots, slots, SLOTS);
	begin = seconds();
	store_again(m, slots, slots, n);
	return (seconds() - begin) / (double)n;
}

static double first(struct sm_gc *gc, struct sm_mutator *m, unsigned long n)
{
	const struct sm_type *node = sm_type_prefix(gc, 64, 1);
	void **table = sm_new_array(m, sm_type_pointers(gc, 1), OBJECTS);
	double spent = 0;

	for (unsigned i = 0; i < OBJECTS; i++)
		sm_store(m, &table[i], sm_new(m, node));
	sm_collect(gc, m);
	sm_collect(gc, m);
	for (unsigned long left = n; left > 0;) {
		unsigned long now = left < OBJECTS ? left : OBJECTS;
		double begin;

		if (gc->gen.made && n > OBJECTS)
			minor(gc, m);
		begin = seconds();
		store_first(m, table, table, now);
		spent += seconds() - begin;
		left -= now;
	}
	return spent / (double)n;
}

static int usage(void)
{
	fprintf(stderr, "usage: bench_store off|cards|objects|none again|first STORES [fake]\n");
	return 2;
}

int main(int argc, char **argv)
{
	unsigned long n = argc >= 4 ? strtoul(argv[3], NULL, 10) : 0;
	bool off = n > 0 && (strcmp(argv[1], "off") == 0 || argc > 4);
	struct sm_gc_config cfg;
	struct sm_mutator *m;
	struct sm_gc *gc;
	char err[300];

	sm_gc_config_init(&cfg);
	cfg.growth_percent = 0;
	cfg.generations = off ? SM_GC_GENERATIONS_OFF : SM_GC_GENERATIONS_ON;
	if (n == 0 ||
	    (!off && sm_gc_config_set(&cfg, "gc.remember", argv[1], err, sizeof(err)) != 0))
		return usage();
	gc = sm_gc_create(&cfg, err, sizeof(err));
	m = gc ? sm_mutator_attach(gc) : NULL;
	if (m == NULL) {
		fprintf(stderr, "bench_store: %s\n", gc ? "no memory" : err);
		return 1;
	}
	printf("%.4f\n", (strcmp(argv[2], "first") == 0 ? first(gc, m, n) : again(gc, m, n)) * 1e9);
	sm_mutator_detach(m);
	sm_gc_destroy(gc);
	return 0;
}
