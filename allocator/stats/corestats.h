/* corestats.h: what caches counted, core by core. */
#ifndef SM_ALLOCATOR_CORESTATS_H
#define SM_ALLOCATOR_CORESTATS_H

#include "allocator/objects/class_counts.h"
#include "spanmark/heap.h"

/* Adds what one cache did for a class: `left` of the slots that it took are not handed out, it
 * holds `held`. */
void sm__core_add(struct sm_core_stats *out, unsigned cls, const struct sm_class_counts *n,
		  uint64_t left, uint64_t held);
/* The same for what is left of caches that are gone, of all classes; NULL: nothing. */
void sm__core_add_dead(struct sm_core_stats *out, const struct sm_class_counts *dead);
/* One core's figures, or with cpu -1 the sums over all; budget and drains are a core's alone. */
void sm__core_sum(struct sm_heap *h, int cpu, struct sm_core_stats *out);

#endif
