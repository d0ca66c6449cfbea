/*
 * pageheap.h: whole units, in runs; two implementations behind one interface.
 *
 *   sm__pageheap_alloc -> node's own free runs -> (none fit) a new arena of that node
 *                      -> the next node in distance order -> NULL, ENOMEM
 *
 * `buddy` (pageheap_buddy.c): binary buddy over units, out-of-line bitmaps; a request that is no power
 * of two gives its tail back, so nothing is rounded up. `bitmap` (pageheap_bitmap.c): address-ordered
 * first fit over a bitmap with a summary. One lock for each node, rank SM_RANK_PAGEHEAP.
 */
#ifndef SM_ALLOCATOR_PAGEHEAP_H
#define SM_ALLOCATOR_PAGEHEAP_H

#include "allocator/span.h"

struct sm_heap;

/*
 * A run of nunits units, as a span head: back is set in every unit's descriptor, nunits, node and
 * SM_SPANF_ZEROED (accurate: memory is known to be all zero) are set, every other field is zero, state
 * is SM_SPAN_FREE. The memory is committed. The caller fills the rest and publishes it by storing
 * `state` with release. node is a preference; s->node says what was got. Returns NULL with errno ENOMEM.
 */
struct sm_span *sm__pageheap_alloc(struct sm_heap *h, unsigned node, size_t nunits);
/* As above with the base address aligned to align_units (a power of two). */
struct sm_span *sm__pageheap_alloc_aligned(struct sm_heap *h, unsigned node, size_t nunits,
					   size_t align_units);
/* Stores SM_SPAN_FREE and gives the run back. */
void sm__pageheap_free(struct sm_heap *h, struct sm_span *s);
/* Grows in place when the units behind are free; false when not. */
bool sm__pageheap_grow(struct sm_heap *h, struct sm_span *s, size_t nunits);
/* Cuts the tail off and gives it back; nunits >= 1. */
void sm__pageheap_shrink(struct sm_heap *h, struct sm_span *s, size_t nunits);

struct sm_pageheap_stats {
	size_t committed_bytes; /* arenas made usable */
	size_t in_use_bytes;	/* handed out */
	size_t free_bytes;	/* committed, free, resident as far as we know */
	size_t released_bytes;	/* free and returned to the operating system */
	size_t largest_free_bytes;
	uint64_t allocs, frees, search_steps; /* search_steps: bitmap words or order lists looked at */
	size_t free_runs;
};
void sm__pageheap_stats(struct sm_heap *h, unsigned node, struct sm_pageheap_stats *out);

#endif
