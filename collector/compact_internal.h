/*
 * compact_internal.h: what the steps of a compaction share: its spans, and where an object went.
 */
#ifndef SM_COLLECTOR_COMPACT_INTERNAL_H
#define SM_COLLECTOR_COMPACT_INTERNAL_H

#include "allocator/objects/central.h"
#include "allocator/objects/markmap.h"
#include "collector/compact.h"
#include "collector/gc_internal.h"

/* Memory comes free for the system by so much. */
#define SM_REGION_SHIFT 21

/* A span of small objects. */
struct sm_plan {
	uint32_t unit;
	uint32_t rank;	 /* of its 2 MiB: spans are evacuated in this order .. */
	uint16_t fill;	 /* .. then in this, objects in 1024ths of its slots .. */
	uint16_t pinned; /* .. but those with pinned objects */
};

/* The spans of a node's bin, in the order above: the first `evacuated` go. */
struct sm_plan_bin {
	struct sm_plan *spans;
	size_t n, evacuated;
};

/* Of the 2 MiB at an address. */
struct sm_region {
	uint32_t index;
	uint32_t bytes; /* that objects which may move take */
	uint32_t stays; /* spans, or parts of some, that will not go */
	uint32_t rank;	/* the higher, the longer its spans stay */
};

struct sm_move {
	struct sm_gc *gc;
	struct sm_plan *spans; /* of all bins */
	size_t nspans;
	struct sm_plan_bin *bins; /* [node * SM_BINS_MAX + bin] */
	size_t nbins;
	struct sm_region *regions, **ranked;
	size_t nregions;
	enum sm_pin_cause cause; /* of what is being pinned */
	struct sm_compaction n;
};

SM_INLINE struct sm_span *sm__plan_span(const struct sm_gc *gc, const struct sm_plan *p)
{
	return &gc->range.spans[p->unit];
}

/* The slot of an object that word points to or into; false: none. As a conservative word is judged
 * (mark_internal.h). small: of a span of small objects alone. */
SM_INLINE bool sm__slot_at(const struct sm_range *r, uintptr_t word, struct sm_span **in,
			   uint32_t *slot)
{
	uintptr_t off = word - r->base;
	struct sm_span *s;

	if (off >= r->bytes)
		return false;
	s = &r->spans[off >> SM_UNIT_SHIFT];
	s -= __atomic_load_n(&s->back, __ATOMIC_RELAXED);
	if (sm_load_acquire(&s->state) != SM_SPAN_SMALL)
		return false;
	*in = s;
	*slot = sm_span_slot(r, s, word);
	return *slot < s->nslots &&
	       (sm_load_relaxed(&s->alloc[*slot / 64]) >> (*slot % 64) & 1) != 0;
}

uintptr_t sm__compact_moved_to(const struct sm_gc *gc, uintptr_t word);

/* Where the object that word points to or into is now; the word itself, when it has not moved, or
 * is none. */
SM_INLINE uintptr_t sm__compact_forward(const struct sm_gc *gc, uintptr_t word)
{
	uintptr_t off = word - gc->range.base;

	if (off >= gc->range.bytes ||
	    (sm_load_relaxed(&gc->unit_flags[off >> SM_UNIT_SHIFT]) & SM_UNIT_EVACUATED) == 0)
		return word;
	return sm__compact_moved_to(gc, word);
}

/* compact.c: around what is done while the world stands still, windows given back or not: mutators
 * wait because of a compaction, the control thread's time is its phase's. */
void sm__compact_stop(struct sm_gc *gc, bool retire);
void sm__compact_go_on(struct sm_gc *gc);
/* Before the first stop of a compaction; when its memory has gone back. */
void sm__compact_tell(struct sm_gc *gc, bool begins);
/* compact_pin.c */
void sm__compact_pin(struct sm_move *v);
/* compact_plan.c: takes the spans off their lists (-ENOMEM: nothing was done), chooses, and gives
 * them back. */
int sm__compact_plan_take(struct sm_move *v);
void sm__compact_plan(struct sm_move *v);
void sm__compact_plan_give(struct sm_move *v);
/* compact_copy.c */
void sm__compact_copy(struct sm_move *v);
/* compact_patch.c */
void sm__compact_patch(struct sm_move *v);
/* By the owners of tables of addresses; the world is stopped. */
void sm__finalizers_patch(struct sm_gc *gc);

#endif
