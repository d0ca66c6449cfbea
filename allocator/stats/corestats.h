/* corestats.h: what caches counted, core by core. */
#ifndef SM_ALLOCATOR_CORESTATS_H
#define SM_ALLOCATOR_CORESTATS_H

#include "spanmark/stats.h"

/* One core's figures, or with cpu -1 the sums over all; budget and drains are a core's alone. */
void sm__core_sum(struct sm_heap *h, int cpu, struct sm_core_stats *out);

#endif
