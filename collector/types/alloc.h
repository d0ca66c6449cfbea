/*
 * alloc.h: what a refill calls in the collector, and requests for which there is no memory.
 */
#ifndef SM_COLLECTOR_ALLOC_H
#define SM_COLLECTOR_ALLOC_H

#include "allocator/objects/cache.h"

/* The last request for memory that the system, or the limit, had no memory for. */
struct sm_oom {
	/* windows and large objects that the cache had been given by then: which request it is */
	uint64_t taken;
	size_t allocated; /* heap->allocated_bytes before the last cycle for it */
	unsigned tries;	  /* cycles for it; 0: there is none */
	unsigned in_vain; /* of those, the last in a row that gave no mutator anything */
};

/* The hooks of a refill; ctx: the struct sm_gc. */
void sm__before_refill(void *ctx, struct sm_cache *c, size_t bytes);
bool sm__out_of_memory(void *ctx, struct sm_cache *c, size_t bytes);

#endif
