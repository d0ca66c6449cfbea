/*
 * class_counts.h: what a cache of whatever kind counts of a size class, and the settings that hold
 * for it.
 *
 * Counted on slow paths alone. Hits are derived, so that they cost nothing:
 *
 *     objects handed out = taken - returned - slots still there;  hits = those less one a refill
 */
#ifndef SM_ALLOCATOR_CLASS_COUNTS_H
#define SM_ALLOCATOR_CLASS_COUNTS_H

#include "allocator/base/base.h"
#include "allocator/base/config.h"

struct sm_class_counts {
	uint64_t refills;	  /* times that there was nothing, and more was asked for */
	uint64_t overflows;	  /* times that a list was full */
	uint64_t taken, returned; /* slots that came; of those, slots that went back unallocated */
	uint64_t steals;	  /* refills that another node's lists served */
	/* slots of another node that came with a refill, or were sent home */
	uint64_t remote;
};

SM_INLINE void sm__counts_add(struct sm_class_counts *sum, const struct sm_class_counts *n)
{
	sum->refills += n->refills;
	sum->overflows += n->overflows;
	sum->taken += n->taken;
	sum->returned += n->returned;
	sum->steals += n->steals;
	sum->remote += n->remote;
}

/* Of a CPU, where any thread counts: relaxed, nothing is published by it. */
SM_INLINE void sm__count_shared(uint64_t *count, uint64_t n)
{
	__atomic_fetch_add(count, n, __ATOMIC_RELAXED);
}

/* Of a cache with an owner, which alone counts: others read. */
SM_INLINE void sm__count_own(uint64_t *count, uint64_t n)
{
	__atomic_store_n(count, *count + n, __ATOMIC_RELAXED);
}

SM_INLINE uint64_t sm__count_read(const uint64_t *count)
{
	return __atomic_load_n(count, __ATOMIC_RELAXED);
}

/* What it was a moment ago; each member is read whole. */
SM_INLINE struct sm_class_counts sm__counts_read(const struct sm_class_counts *n)
{
	return (struct sm_class_counts){
		.refills = sm__count_read(&n->refills),
		.overflows = sm__count_read(&n->overflows),
		.taken = sm__count_read(&n->taken),
		.returned = sm__count_read(&n->returned),
		.steals = sm__count_read(&n->steals),
		.remote = sm__count_read(&n->remote),
	};
}

/* The settings cache.* (spanmark/heap.h) as they hold for a class on a core; 0: automatic. */
struct sm_knobs {
	uint32_t window; /* bytes */
	uint32_t slots, batch, spans;
};

SM_INLINE struct sm_knobs sm__knobs_of(const struct sm_heap_config *cfg, unsigned cls, int cpu)
{
	return (struct sm_knobs){
		.window = (uint32_t)sm__config_knob(cfg, SM_KNOB_WINDOW, cls, cpu),
		.slots = (uint32_t)sm__config_knob(cfg, SM_KNOB_SLOTS, cls, cpu),
		.batch = (uint32_t)sm__config_knob(cfg, SM_KNOB_BATCH, cls, cpu),
		.spans = (uint32_t)sm__config_knob(cfg, SM_KNOB_SPANS, cls, cpu),
	};
}

#endif
