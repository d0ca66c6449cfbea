/*
 * pageheap.h: whole units, in runs; two implementations behind one interface.
 *
 *   sm__pageheap_alloc -> node's own free runs -> (none fit) a new arena of that node
 *                      -> the next node in distance order -> NULL, ENOMEM
 *
 * `buddy` (pageheap_buddy.c): binary buddy over units, out-of-line bitmaps; a request that is no
 * power of two gives its tail back, so nothing is rounded up. `bitmap` (pageheap_bitmap.c):
 * address-ordered first fit over a bitmap with a summary. One lock for each node, rank
 * SM_RANK_PAGEHEAP.
 */
#ifndef SM_ALLOCATOR_PAGEHEAP_H
#define SM_ALLOCATOR_PAGEHEAP_H

#include "allocator/pages/pages.h"

/*
 * Every descriptor in the range reads as follows, at every moment that no thread is inside a call
 * here:
 *
 *   unit of a free run, or never committed   back 0, state SM_SPAN_FREE
 *   head of a run that was handed out        back 0, state SM_SPAN_OTHER, then as its user stored
 *                                            it
 *   the nth unit behind a head               back n
 *
 * so that a lookup of any address, stale ones included, finds the span that covers it or a free
 * one. A run counts as used exactly while its state is not SM_SPAN_FREE, under the node's lock: so
 * a process that is forked at any moment passes the check.
 *
 * What is larger than the largest block (an arena) gets a mapping of its own in the upper part of
 * the node's range: same calls, SM_SPANF_OWNMAP set; freeing it unmaps it.
 */

/*
 * A run of nunits units, as a span head: back is set in every unit's descriptor, nunits, node and
 * SM_SPANF_ZEROED (accurate: memory is known to be all zero) are set, every other field is zero,
 * state is SM_SPAN_OTHER. The memory is committed. The caller fills the rest and publishes it by
 * storing `state` with release. node is a preference; s->node says what was got. Returns NULL with
 * errno ENOMEM.
 */
struct sm_span *sm__pageheap_alloc(struct sm_pages *pg, unsigned node, size_t nunits);
/* As above with the base address aligned to align_units (a power of two). */
struct sm_span *sm__pageheap_alloc_aligned(struct sm_pages *pg, unsigned node, size_t nunits,
					   size_t align_units);
/*
 * Which node serves a thread that runs on `node`, by policy: its own; the bound one; the one whose
 * turn it is (interleave: each call is a turn). Where that one has no memory for this process, the
 * nearest that has. A caller that keeps lists by node looks there first, and then asks for new
 * memory with sm__pageheap_alloc_on, which prefers `node` as it is, without applying the policy a
 * second time.
 */
unsigned sm__pageheap_prefer(struct sm_pages *pg, unsigned node);
struct sm_span *sm__pageheap_alloc_on(struct sm_pages *pg, unsigned node, size_t nunits);
/* The same of this node alone and only while so much of what is free there has been in use before;
 * else NULL. */
struct sm_span *sm__pageheap_alloc_touched(struct sm_pages *pg, unsigned node, size_t nunits);
/* The nodes in order of distance: i = 0 is node itself, nnodes - 1 the farthest. */
unsigned sm__pageheap_nearest(struct sm_pages *pg, unsigned node, unsigned i);

/*
 * May the descriptor of this address of the range be read? In a sparse heap only those of what was
 * committed: for a caller that looks up an address of unknown origin. Without a lock: true stays
 * true while the memory is in use.
 */
bool sm__pageheap_covers(const struct sm_pages *pg, uintptr_t addr);

/* Stores SM_SPAN_FREE and gives the run back. */
void sm__pageheap_free(struct sm_pages *pg, struct sm_span *s);
/* Grows in place when the units behind are free; false when not. Afterwards SM_SPANF_ZEROED says
 * whether the units that were added are known to be zero. */
bool sm__pageheap_grow(struct sm_pages *pg, struct sm_span *s, size_t nunits);
/* Cuts the tail off and gives it back; nunits >= 1. */
void sm__pageheap_shrink(struct sm_pages *pg, struct sm_span *s, size_t nunits);

/* committed == in_use + free + released + lost. */
struct sm_pageheap_stats {
	size_t committed_bytes;	   /* arenas made usable */
	size_t in_use_bytes;	   /* handed out */
	size_t free_bytes;	   /* committed, free, resident as far as we know */
	size_t released_bytes;	   /* free and returned to the operating system, or never touched */
	size_t own_bytes;	   /* of committed and in use: mappings of their own */
	size_t largest_free_bytes; /* the largest request that finds room without committing more */
	uint64_t allocs, frees, search_steps; /* search_steps: bitmap or summary words looked at */
	uint64_t grown, failed;		      /* grown in place; requests turned down */
	uint64_t remote;		      /* requests for this node that another one served */
	/* free runs as the page heap keeps them (buddy: blocks) */
	size_t free_runs;
};
void sm__pageheap_stats(struct sm_pages *pg, unsigned node, struct sm_pageheap_stats *out);

/* Bytes in use and bytes free but resident, of all nodes: without a lock, so each figure is true of
 * some moment. */
void sm__pageheap_resident(struct sm_pages *pg, size_t *in_use, size_t *dirty);
/* Of n units from the address at, those in use. */
size_t sm__pageheap_used_at(struct sm_pages *pg, uintptr_t at, size_t n);

/* Checks every counting identity and descriptor; one line on stderr for each violation. Returns how
 * many. Precondition: no thread allocates or frees; the scavenger may run. */
unsigned sm__pageheap_check(struct sm_pages *pg);

/*
 * A file as a span, state SM_SPAN_OTHER as above, SM_SPANF_FILE | SM_SPANF_OWNMAP set:
 * bytes of fd from
 * offset (a multiple of the page size). sm__pageheap_free unmaps it. Bytes behind the end of the
 * file on its last page read as zero; units behind that cannot be accessed. NULL with errno
 * (mmap's, ENOMEM).
 */
struct sm_span *sm__pageheap_map_file(struct sm_pages *pg, unsigned node, int fd, int64_t offset,
				      size_t bytes, bool shared, bool writable);

/* Around fork: takes and releases every lock here; the child resets them. */
void sm__pageheap_fork_prepare(struct sm_pages *pg);
void sm__pageheap_fork_parent(struct sm_pages *pg);
void sm__pageheap_fork_child(struct sm_pages *pg);

#endif
