/*
 * central.h: spans on their way between caches, the sweeper and the page heap.
 *
 * The life of a small span, with the acting thread on each edge:
 *
 *     page heap --cache: sm__central_take--> owned by a cache --full, or retired--> on a list
 *         ^                                       ^   |                                        |
 *         |                                       |   +--- sm__central_exchange: with room <---+
 *         |                                       |                                            |
 *         +-- empty after a sweep ------- swept by a cache on its way (sm__central_take)  <----+
 *         +-- empty after a sweep ------- sweeper: sm__central_put_swept_some             <----+
 *
 * A span that compaction is about to empty is on a list of its own, held
 * (collector/compact/compact_lists.c).
 *
 * A span on a list belongs to the holder of the list's lock; off the lists it belongs to the thread
 * that took it. Its sweepgen says which of the two lists (swept or not) it goes to: by parity, so a
 * cycle's end turns every swept list into an unswept one without touching it.
 */
#ifndef SM_ALLOCATOR_CENTRAL_H
#define SM_ALLOCATOR_CENTRAL_H

#include "allocator/objects/heap.h"

SM_INLINE struct sm_central *sm__central_of(struct sm_heap *h, unsigned node, unsigned bin)
{
	return bin == 0 ? &h->large[node] : &h->central[(size_t)node * SM_BINS_MAX + bin];
}

/* Which of two lists a span of this generation is on. */
SM_INLINE unsigned sm__central_parity(uint32_t sweepgen)
{
	return sweepgen / 2 % 2;
}

/* Under the lock of the list. */
SM_INLINE void sm__list_push(struct sm_heap *h, struct sm_span_list *l, struct sm_span *s)
{
	uint32_t u = sm_span_unit(&h->pages.range, s);

	s->prev = 0;
	s->next = l->first;
	if (l->first != 0)
		h->pages.range.spans[l->first].prev = u;
	else
		l->last = u;
	l->first = u;
	sm_store_relaxed(&l->count, sm_load_relaxed(&l->count) + 1);
}

SM_INLINE void sm__list_remove(struct sm_heap *h, struct sm_span_list *l, struct sm_span *s)
{
	if (s->prev != 0)
		h->pages.range.spans[s->prev].next = s->next;
	else
		l->first = s->next;
	if (s->next != 0)
		h->pages.range.spans[s->next].prev = s->prev;
	else
		l->last = s->prev;
	s->next = s->prev = 0;
	sm_store_relaxed(&l->count, sm_load_relaxed(&l->count) - 1);
}

/* cache.spans: s, which c owns, waits behind bin's window; and the way back. */
SM_INLINE void sm__cache_reserve(struct sm_cache *c, unsigned bin, struct sm_span *s)
{
	s->next = c->reserve[bin];
	c->reserve[bin] = sm_span_unit(&c->heap->pages.range, s);
	c->nreserve++;
}

SM_INLINE struct sm_span *sm__cache_unreserve(struct sm_cache *c, unsigned bin)
{
	struct sm_span *s = &c->heap->pages.range.spans[c->reserve[bin]];

	c->reserve[bin] = s->next;
	s->next = 0;
	c->nreserve--;
	return s;
}

/*
 * Gives `old` (owned by c, of this bin; may be NULL) back and takes another span of the bin with at
 * least one free slot, now owned by c. NULL with errno ENOMEM.
 */
struct sm_span *sm__central_exchange(struct sm_heap *h, struct sm_cache *c, unsigned bin,
				     struct sm_span *old);
/* Gives an owned span back; one that is empty goes to the page heap unless marking may be reading
 * it. */
void sm__central_put(struct sm_heap *h, struct sm_cache *c, struct sm_span *s);
/* Puts a new large span, complete but unpublished, on its node's list and publishes it. */
void sm__central_put_large(struct sm_heap *h, struct sm_span *s);
/* Takes a span off its list, whichever that is (sm_unmap_file). */
void sm__central_remove(struct sm_heap *h, struct sm_span *s);
/* Sets SM_SPANF_GONE of a mapped file, which must not be set yet, likewise from any thread. */
void sm__central_file_gone(struct sm_heap *h, struct sm_span *s);

/* What sweeping leaves behind: `in_use` slots, the rest free, dirty unless nothing was freed. s is
 * the caller's. */
void sm__central_note_swept(struct sm_heap *h, struct sm_span *s, unsigned in_use);
/* A new span, of whatever memory there is or only of such as was touched before. NULL: ENOMEM. */
struct sm_span *sm__central_make(struct sm_heap *h, unsigned bin, unsigned node, bool touched);

/* span.c: turns a run of units into a span of bin; everything but the store of `state`. 0, -ENOMEM.
 */
int sm__span_init_small(struct sm_heap *h, struct sm_span *s, unsigned bin);
void sm__span_init_large(struct sm_heap *h, struct sm_span *s, const struct sm_layout *layout);
/*
 * The first half of a release: the bitmaps go, the memory becomes inaccessible, the units are
 * nobody's (SM_SPAN_OTHER) until sm__span_unshut gives them back. False: refused, nothing happened.
 */
bool sm__span_shut(struct sm_heap *h, struct sm_span *s);
void sm__span_unshut(struct sm_heap *h, struct sm_span *s);
/* Gives the bitmaps and the units back. The span is on no list and no thread reads its bits. */
void sm__span_release(struct sm_heap *h, struct sm_span *s);
/* The first run of clear bits at or after `from`, cut at `max`; returns its length, 0: none. */
unsigned sm__span_find_run(const struct sm_span *s, unsigned from, unsigned max, unsigned *first);
/* The same, of runs that begin with a line of which every slot is clear. */
unsigned sm__span_find_line(const struct sm_span *s, unsigned from, unsigned max, unsigned *first);
/* Owner: set or clear the alloc bits of a run, and count. */
void sm__span_set_run(struct sm_span *s, unsigned first, unsigned count);
void sm__span_clear_run(struct sm_span *s, unsigned first, unsigned count);
/* debug.fill: bytes of slots that were never handed out or are handed out now, and of freed ones.
 */
#define SM_FILL_FRESH 0xa5
#define SM_FILL_FREED 0xdb
/* debug.page_per_object: the pages become inaccessible, their memory is dropped, and they are not
 * used again. */
bool sm__span_bury(struct sm_heap *h, struct sm_span *s);
/* Every identity that span.h states, for a span that is not changing. NULL, or what is wrong. */
const char *sm__span_is_valid(const struct sm_heap *h, const struct sm_span *s);

#endif
