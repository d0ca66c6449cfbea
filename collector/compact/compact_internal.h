/*
 * compact_internal.h: what the steps of a compaction share: its spans, and where an object went.
 */
#ifndef SM_COLLECTOR_COMPACT_INTERNAL_H
#define SM_COLLECTOR_COMPACT_INTERNAL_H

#include "allocator/objects/central.h"
#include "allocator/objects/markmap.h"
#include "collector/compact/compact.h"
#include "collector/cycle/gc_internal.h"

/* Memory comes free for the system by so much. */
#define SM_REGION_SHIFT 21

/* A span of small objects. */
struct sm_plan {
	uint32_t unit;
	uint32_t rank;	     /* of its 2 MiB: spans are evacuated in this order .. */
	uint16_t fill;	     /* .. then in this, objects in 1024ths of its slots .. */
	uint16_t pinned;     /* .. but those with pinned objects */
	uint16_t used, room; /* slots */
};

/* The spans of a node's bin, in the order above: the first `evacuated` go. */
struct sm_plan_bin {
	struct sm_plan *spans;
	size_t n, evacuated;
	size_t room; /* for so many while they are listed */
};

/* Of the 2 MiB at an address. */
struct sm_region {
	uint32_t index;
	uint32_t bytes; /* that objects which may move take */
	uint32_t stays; /* spans, or parts of some, that will not go */
	uint32_t units; /* gc.compact=auto: of spans in the plan, then of those that stay */
	uint32_t rank;	/* the higher, the longer its spans stay */
};

struct sm_move {
	struct sm_gc *gc;
	struct sm_plan *spans; /* of all bins */
	size_t nspans, room;   /* room: in that table */
	struct sm_plan_bin *listing;
	struct sm_plan_bin *bins; /* [node * SM_BINS_MAX + bin] */
	size_t nbins;
	struct sm_region *regions, **ranked;
	size_t nregions, nranked; /* nranked: of those in which there is any span */
	enum sm_pin_cause cause;  /* of what is being pinned */
	uint8_t only;		  /* .. in units with this flag; 0: in any */
	struct sm_compaction n;
};

/* Which 2 MiB p lies in. */
SM_INLINE size_t sm__region_of(const struct sm_gc *gc, uintptr_t p)
{
	return (p >> SM_REGION_SHIFT) - (gc->range.base >> SM_REGION_SHIFT);
}

/* The holder of s, or of the lock of its list, notes it. */
SM_INLINE void sm__compact_plan_add(const struct sm_gc *gc, struct sm_plan_bin *b,
				    const struct sm_span *s)
{
	uint16_t used = sm_load_relaxed(&s->nalloc);

	b->spans[b->n++] = (struct sm_plan){.unit = sm_span_unit(&gc->range, s),
					    .used = used,
					    .room = (uint16_t)(s->nslots - used)};
}

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
	return sm__unit_has(gc, word, SM_UNIT_EVACUATED) ? sm__compact_moved_to(gc, word) : word;
}

/* compact.c: around what is done while the world stands still, windows given back or not: mutators
 * wait because of a compaction, the control thread's time is its phase's. `from` is what stop
 * returned; go_on returns how long it took, which it has put among the slices. */
uint64_t sm__compact_stop(struct sm_gc *gc, bool retire);
uint64_t sm__compact_go_on(struct sm_gc *gc, uint64_t from);
/* Before the first stop of a compaction; when its memory has gone back. */
void sm__compact_tell(struct sm_gc *gc, bool begins);
/* Mutators stand still; a thread that is not attached may be comparing what a handle holds. */
SM_INLINE void sm__compact_patch_word(const struct sm_gc *gc, uintptr_t *w)
{
	_Atomic(uintptr_t) *at = (_Atomic(uintptr_t) *)w;
	uintptr_t old = sm_load_relaxed(at), new = sm__compact_forward(gc, old);

	if (new != old)
		sm_store_relaxed(at, new);
}

/* compact_pin.c */
void sm__compact_pin(struct sm_move *v);
/* Its steps: what word leads to; what the program and the threads pin. */
void sm__compact_pin_at(struct sm_move *v, uintptr_t word);
void sm__compact_pin_asked(struct sm_move *v);
void sm__compact_pin_threads(struct sm_move *v);
/* compact_plan.c: takes the spans off their lists (-ENOMEM: nothing was done), chooses, and gives
 * them back. */
int sm__compact_plan_take(struct sm_move *v);
void sm__compact_plan(struct sm_move *v);
void sm__compact_plan_give(struct sm_move *v);
/* Its steps. Tables of all swept spans that `list` adds, bin by bin; -ENOMEM. */
typedef void sm__plan_list_fn(struct sm_move *v, unsigned node, unsigned bin,
			      struct sm_plan_bin *b);
int sm__compact_plan_list(struct sm_move *v, sm__plan_list_fn *list);
/* r is one of those that are ranked. */
void sm__compact_rank_region(struct sm_move *v, struct sm_region *r);
void sm__compact_rank_regions(struct sm_move *v);
void sm__compact_choose(struct sm_move *v, struct sm_plan_bin *b, uint32_t nunits, uint8_t flag);
void sm__compact_plan_forget(struct sm_move *v);
/* unit_flags of a span's units. */
void sm__compact_flag(struct sm_gc *gc, uint32_t unit, uint32_t nunits, uint8_t flag, bool on);
/* An evacuated span becomes inaccessible until the next compaction, if that is asked for. */
bool sm__compact_shut(struct sm_gc *gc, struct sm_span *s);
void sm__compact_open_shut(struct sm_gc *gc);
/*
 * compact_lists.c. Precondition: no thread allocates or sweeps, every window went
 * back, all is swept. So every span of the bin is on one of two lists: takes up to n of them off,
 * from the old end, and returns how many. They go back, their counts set anew, as swept ones do.
 */
unsigned sm__compact_take_swept_some(struct sm_heap *h, unsigned node, unsigned bin,
				     struct sm_span **spans, unsigned n);
/* So many there are. */
size_t sm__compact_swept(struct sm_heap *h, unsigned node, unsigned bin);
/*
 * The same beside mutators, a few spans at a time under the lock. Tells fn of each swept span of
 * the bin, some twice perhaps, and not of those that come or go meanwhile; one of which fn says so
 * is held: on a list from which no cache takes it, and which the caller sweeps.
 */
void sm__compact_hold_some(struct sm_heap *h, unsigned node, unsigned bin,
			   bool (*fn)(void *ctx, struct sm_span *s), void *ctx);
/* Takes s, which is held, off that list. It goes back as swept ones do. */
void sm__compact_unhold(struct sm_heap *h, struct sm_span *s);
/* A span of the bin with room, swept, off its list; if there is none, a new one. NULL: no
 * memory. */
struct sm_span *sm__compact_take_room(struct sm_heap *h, unsigned node, unsigned bin);

/* compact_copy.c */
void sm__compact_copy(struct sm_move *v);
/* The object's new address. free_slot is allocated, of a span of the same bin. */
uintptr_t sm__compact_copy_to(struct sm_move *v, const struct sm_span *from, uint32_t slot,
			      struct sm_span *to, uint32_t free_slot);
/* Allocates a slot of s, at or behind *word of its bits, for an object that moves. False: none. */
bool sm__compact_take_slot(struct sm_span *s, unsigned *word, uint32_t *slot);
/* compact_patch.c */
void sm__compact_patch(struct sm_move *v);
void sm__compact_patch_tables(struct sm_gc *gc);
/* compact.c */
void sm__compact_add(struct sm_compaction *to, const struct sm_compaction *n);
unsigned sm__compact_verify(struct sm_gc *gc, size_t before);
void sm__compact_publish(struct sm_gc *gc, const struct sm_compaction *n, uint64_t longest_ns,
			 unsigned errors);
/* By the owners of tables of addresses; the world is stopped. */
void sm__finalizers_patch(struct sm_gc *gc);
/* The same of one, by the number of its cell. */
void sm__finalizer_patch(struct sm_gc *gc, uint64_t number);

#endif
