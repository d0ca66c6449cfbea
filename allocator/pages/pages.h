/*
 * pages.h: the page layer's own view of a heap: an address range, the units in it, what of it is
 * memory.
 *
 *     pages.h, span.h        the struct and the descriptor of a unit: what all of the layer see
 *     range.h                birth and end of the reservation; the limit
 *     pageheap.h             runs of units          (arena.c, ownmap.c, pageheap_*.c)
 *     scavenge.h             free units go back to the operating system
 *     stackpool.h            runs with a guard that wait for the next stack
 *     meta.h                 memory for tables and bitmaps, away from objects
 *
 * Nothing here knows what is in a run: size classes, caches, collectors and malloc lie above
 * (objects/, malloc/). A heap embeds this struct as its first member, and hands its address down.
 */
#ifndef SM_ALLOCATOR_PAGES_H
#define SM_ALLOCATOR_PAGES_H

#include "allocator/base/config.h"
#include "allocator/pages/span.h"

struct sm_pageheap;
struct sm_meta;

struct sm_pages {
	/* fixed after sm__range_create */
	struct sm_range range;
	const struct sm_heap_config *config;
	unsigned nnodes;
	/* what is not committed is not mapped at all, descriptors included */
	bool sparse;
	/* bit i: a page is mapped inaccessible at i sixteenths of the range; sm__range_clear */
	_Atomic(uint32_t) stakes;
	struct sm_pageheap *pageheap; /* pageheap_internal.h */
	struct sm_meta *meta;	      /* meta.c */

	/* atomic */
	_Atomic(size_t) limit;		 /* of mapped_bytes, 0: none */
	_Atomic(uint64_t) limit_read_ns; /* when a group's was read last */
	_Atomic(size_t) mapped_bytes;	 /* committed by arenas, own mappings and metadata */
};

#endif
