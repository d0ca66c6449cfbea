/*
 * bench_store: what a store of a pointer costs while no cycle marks, by what is remembered of it.
 *
 *   bench_store off|on STORES      gc.generations
 *
 * Stores into slots of an array that is old, 64 KiB of it, one after the other. Prints ns a store;
 * under callgrind the instructions of two runs, less the smaller's, are those of the stores.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "spanmark/gc.h"

#define SLOTS 8192

static double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static __attribute__((noinline)) void store(struct sm_mutator *m, void **slots, void *value,
					    unsigned long n)
{
	for (unsigned long i = 0; i < n; i++)
		sm_store(m, &slots[i % SLOTS], value);
}

int main(int argc, char **argv)
{
	unsigned long n = argc == 3 ? strtoul(argv[2], NULL, 10) : 0;
	struct sm_gc_config cfg;
	struct sm_mutator *m;
	struct sm_gc *gc;
	void **slots;
	char err[200];
	double begin;

	sm_gc_config_init(&cfg);
	cfg.growth_percent = 0;
	if (n == 0 || sm_gc_config_set(&cfg, "gc.generations", argv[1], err, sizeof(err)) != 0) {
		fprintf(stderr, "usage: bench_store off|on STORES\n");
		return 2;
	}
	gc = sm_gc_create(&cfg, err, sizeof(err));
	m = gc ? sm_mutator_attach(gc) : NULL;
	slots = m ? sm_new_array(m, sm_type_pointers(gc, 1), SLOTS) : NULL;
	if (slots == NULL) {
		fprintf(stderr, "bench_store: no memory\n");
		return 1;
	}
	sm_collect(gc, m);
	sm_collect(gc, m);
	store(m, slots, slots, SLOTS);
	begin = seconds();
	store(m, slots, slots, n);
	printf("%.4f\n", (seconds() - begin) * 1e9 / (double)n);
	sm_mutator_detach(m);
	sm_gc_destroy(gc);
	return 0;
}
