/*
 * marksim.h: the least collector that the allocator's hooks can be tried with: one thread, the test
 * says which objects live.
 */
#ifndef SM_TESTS_SUPPORT_MARKSIM_H
#define SM_TESTS_SUPPORT_MARKSIM_H

#include "allocator/objects/heap.h"

struct marksim {
	struct sm_heap *heap;
	unsigned refills, taken, returned, larges, sweeps, ooms;
	size_t refill_bytes;
	bool oom_answer; /* what the out_of_memory hook says, once */
};

/* A heap from `set` ("key=value" pairs, NULL-terminated), hooks installed. Aborts when it cannot.
 */
void marksim_init(struct marksim *m, const char *const *set);
/* With so many nodes, all of them the machine's node 0. */
void marksim_init_nodes(struct marksim *m, unsigned nodes, const char *const *set);
/* Checks the heap (aborts on a violation) and destroys it. */
void marksim_fini(struct marksim *m);

struct sm_cache *marksim_cache_new(struct marksim *m);
void marksim_cache_free(struct sm_cache *c);

/* Marks the object that starts at, or contains, p. */
void marksim_mark(struct marksim *m, const void *p);
bool marksim_is_marked(struct marksim *m, const void *p);
/* What the end of marking does: every cache gives its windows back, then the generation advances.
 */
void marksim_advance(struct marksim *m);
/* Sweeps everything that is left, as a background sweeper does. Returns spans swept. */
unsigned marksim_sweep_all(struct marksim *m);
/* Bytes in the windows of CPUs. */
size_t marksim_cpu_held(const struct marksim *m);

#endif
