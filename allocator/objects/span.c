/* span.c: a span's birth and end, its bitmaps, and what must be true of it. */
#include "allocator/pages/span.h"

#include <errno.h>

#include "allocator/objects/central.h"
#include "allocator/objects/markmap.h"
#include "allocator/objects/mixed.h"
#include "allocator/pages/meta.h"
#include "allocator/os/os.h"

static unsigned bitmap_words(const struct sm_span *s)
{
	return ((unsigned)s->nslots + 63) / 64;
}

static bool alloc_is_inline(const struct sm_span *s)
{
	return s->nslots <= SM_SPAN_INLINE_SLOTS;
}

static void set_units(struct sm_heap *h, const struct sm_span *s, unsigned kind)
{
	for (unsigned i = 0; h->pages.range.unit_kind != NULL && i < s->nunits; i++)
		h->pages.range.unit_kind[sm_span_unit(&h->pages.range, s) + i] = (uint8_t)kind;
}

/* The bitmaps that a span of s's class and layout has outside its descriptor. */
static int make_bitmaps(struct sm_heap *h, struct sm_span *s)
{
	s->alloc = s->inline_alloc;
	if (!alloc_is_inline(s) &&
	    (s->alloc = sm__meta_alloc(&h->pages, 8 * bitmap_words(s))) == NULL)
		return -ENOMEM;
	if (s->layout->kind != SM_SCAN_MIXED)
		return 0;
	s->pointers = sm__meta_alloc(&h->pages, sm__mixed_bytes(s));
	if (s->pointers != NULL)
		return 0;
	if (!alloc_is_inline(s))
		sm__meta_free(&h->pages, s->alloc, 8 * bitmap_words(s));
	return -ENOMEM;
}

int sm__span_init_small(struct sm_heap *h, struct sm_span *s, unsigned bin)
{
	const struct sm_bin *b = &h->bins[bin];
	const struct sm_sizeclass *k = &sm__sizeclasses[b->cls];

	s->recip = k->recip;
	s->slot_bytes = k->slot_bytes;
	s->nslots = k->nslots;
	/* A reader of statistics may have the units in view. */
	__atomic_store_n(&s->cls, b->cls, __ATOMIC_RELAXED);
	s->bin = (uint16_t)bin;
	s->layout = b->layout;
	if (make_bitmaps(h, s) != 0)
		return -ENOMEM;
	set_units(h, s, b->kind);
	sm_store_relaxed(&s->sweepgen, sm_load_relaxed(&h->sweepgen));
	return 0;
}

void sm__span_init_large(struct sm_heap *h, struct sm_span *s, const struct sm_layout *layout)
{
	s->nslots = 1;
	s->layout = layout;
	s->alloc = s->inline_alloc;
	sm_store_relaxed(&s->alloc[0], 1);
	sm_store_relaxed(&s->nalloc, 1);
	sm_store_relaxed(&s->sweepgen, sm_load_relaxed(&h->sweepgen));
}

bool sm__span_bury(struct sm_heap *h, struct sm_span *s)
{
	void *p = (void *)sm_span_base(&h->pages.range, s);

	/* Refused when there are too many mappings: then it is freed like others. */
	if (sm__os_protect(p, sm_span_bytes(s), false) != 0)
		return false;
	(void)sm__os_release(p, sm_span_bytes(s));
	s->flags |= SM_SPANF_BURIED;
	sm_store_release(&s->state, SM_SPAN_OTHER);
	return true;
}

/* All that makes it a span of objects. */
static void strip(struct sm_heap *h, struct sm_span *s)
{
	if (!alloc_is_inline(s))
		sm__meta_free(&h->pages, s->alloc, 8 * bitmap_words(s));
	if (s->pointers != NULL)
		sm__meta_free(&h->pages, s->pointers, sm__mixed_bytes(s));
	s->pointers = NULL;
	if (s->slot_bytes != 0)
		set_units(h, s, 0);
	s->recip = 0;
	s->layout = NULL;
}

bool sm__span_shut(struct sm_heap *h, struct sm_span *s)
{
	if (sm__os_protect((void *)sm_span_base(&h->pages.range, s), sm_span_bytes(s), false) != 0)
		return false;
	strip(h, s);
	sm_store_release(&s->state, SM_SPAN_OTHER);
	return true;
}

void sm__span_unshut(struct sm_heap *h, struct sm_span *s)
{
	/* Refused: it stays out of use. */
	if (sm__os_protect((void *)sm_span_base(&h->pages.range, s), sm_span_bytes(s), true) == 0)
		sm__pageheap_free(&h->pages, s);
}

void sm__span_release(struct sm_heap *h, struct sm_span *s)
{
	strip(h, s);
	if (SM_UNLIKELY(h->config.page_per_object) && sm__span_bury(h, s))
		return;
	sm__pageheap_free(&h->pages, s);
}

unsigned sm__span_find_run(const struct sm_span *s, unsigned from, unsigned max, unsigned *first)
{
	unsigned nslots = s->nslots, w = from / 64, start, n;
	uint64_t free;

	if (from >= nslots)
		return 0;
	free = ~sm_load_relaxed(&s->alloc[w]) & (~UINT64_C(0) << (from % 64));
	while (free == 0) {
		if (++w * 64 >= nslots)
			return 0;
		free = ~sm_load_relaxed(&s->alloc[w]);
	}
	start = w * 64 + (unsigned)__builtin_ctzl(free);
	/* Bits behind the last slot are always clear, hence the cut at nslots here and below. */
	if (start >= nslots)
		return 0;
	*first = start;
	free = ~(free >> (start % 64));
	n = free ? (unsigned)__builtin_ctzl(free) : 64;
	/* The run reaches the word's end: it may go on in the words behind. */
	while (start + n == (w + 1) * 64 && n < max && start + n < nslots) {
		uint64_t used = sm_load_relaxed(&s->alloc[++w]);

		if (used != 0) {
			n += (unsigned)__builtin_ctzl(used);
			break;
		}
		n += 64;
	}
	if (n > max)
		n = max;
	return start + n > nslots ? nslots - start : n;
}

unsigned sm__span_find_line(const struct sm_span *s, unsigned from, unsigned max, unsigned *first)
{
	unsigned slots = sm_span_line_slots(s), w;

	if (slots == 1)
		return sm__span_find_run(s, from, max, first);
	/* Spans begin with a line. A line with a slot before `from` is not free. */
	for (w = from / 64; w * 64 < s->nslots; w++) {
		uint64_t free = ~sm_load_relaxed(&s->alloc[w]);

		free &= free >> 1;
		if (slots == 4)
			free &= free >> 2;
		free &= ~UINT64_C(0) / ((1u << slots) - 1); /* of each line the first bit */
		if (free != 0)
			return sm__span_find_run(s, w * 64 + (unsigned)__builtin_ctzl(free), max,
						 first);
	}
	return 0;
}

/* Bits [first, last] of word w, of a run first_slot..last_slot. */
static uint64_t run_mask(unsigned w, unsigned first_slot, unsigned last_slot)
{
	uint64_t mask = ~UINT64_C(0);

	if (w == first_slot / 64)
		mask <<= first_slot % 64;
	if (w == last_slot / 64)
		mask &= ~UINT64_C(0) >> (63 - last_slot % 64);
	return mask;
}

/*
 * Relaxed loads and stores suffice for alloc: only the span's owner writes it. A conservative
 * scanner reads it while marking, and decides on what it sees: set too early, it finds a slot of a
 * window that is black already (window_taken runs before the slot leaves the cache, and a window
 * present when marking starts is blackened at the handshake), so it scans nothing; seen late, it
 * skips a slot whose address no stack that it scans can hold as an object, or that is black.
 */
void sm__span_set_run(struct sm_span *s, unsigned first, unsigned count)
{
	unsigned last = first + count - 1, w;

	for (w = first / 64; w <= last / 64; w++)
		sm_store_relaxed(&s->alloc[w],
				 sm_load_relaxed(&s->alloc[w]) | run_mask(w, first, last));
	sm_store_relaxed(&s->nalloc, (uint16_t)(sm_load_relaxed(&s->nalloc) + count));
}

void sm__span_clear_run(struct sm_span *s, unsigned first, unsigned count)
{
	unsigned last = first + count - 1, w;

	for (w = first / 64; w <= last / 64; w++)
		sm_store_relaxed(&s->alloc[w],
				 sm_load_relaxed(&s->alloc[w]) & ~run_mask(w, first, last));
	sm_store_relaxed(&s->nalloc, (uint16_t)(sm_load_relaxed(&s->nalloc) - count));
	if (first < s->scan_from)
		s->scan_from = (uint16_t)first;
}

static unsigned count_alloc(const struct sm_span *s)
{
	unsigned n = 0, w;

	for (w = 0; w < bitmap_words(s); w++)
		n += (unsigned)__builtin_popcountl(sm_load_relaxed(&s->alloc[w]));
	return n;
}

/* Tail bits set, or free slots in front of scan_from? */
static const char *alloc_bits_are_valid(const struct sm_span *s)
{
	unsigned i;

	if (s->nslots % 64 != 0 &&
	    sm_load_relaxed(&s->alloc[s->nslots / 64]) & (~UINT64_C(0) << (s->nslots % 64)))
		return "alloc bits are set behind the last slot";
	if (count_alloc(s) != sm_load_relaxed(&s->nalloc))
		return "popcount(alloc) differs from nalloc";
	for (i = 0; i < s->scan_from && i < s->nslots; i++)
		if (!(sm_load_relaxed(&s->alloc[i / 64]) >> (i % 64) & 1))
			return "a free slot lies in front of scan_from";
	return NULL;
}

static const char *geometry_is_valid(const struct sm_heap *h, const struct sm_span *s)
{
	const struct sm_sizeclass *k;
	uint32_t i;

	for (i = 0; i < s->nunits; i++)
		if (s[i].back != i)
			return "a unit does not lead back to its head";
	if (h->pages.range.unit_kind != NULL)
		for (i = 0; i < s->nunits; i++)
			if (h->pages.range.unit_kind[sm_span_unit(&h->pages.range, s) + i] !=
			    (s->slot_bytes ? h->bins[s->bin].kind : 0))
				return "the table of units does not agree with the descriptor";
	if (s->node >= h->pages.nnodes)
		return "node is out of range";
	if (s->slot_bytes == 0)
		return s->nslots == 1 && s->cls == 0 ? NULL
						     : "a large span has other than one slot";
	if (s->cls == 0 || s->cls >= sm__nclasses)
		return "size class is out of range";
	k = &sm__sizeclasses[s->cls];
	if (s->slot_bytes != k->slot_bytes || s->nslots != k->nslots || s->recip != k->recip ||
	    s->nunits != k->nunits)
		return "geometry differs from the size class";
	if (s->bin == 0 || s->bin >= sm_load_acquire(&h->nbins) || h->bins[s->bin].cls != s->cls)
		return "bin does not agree with class";
	if (h->bins[s->bin].layout != s->layout)
		return "bin does not agree with layout";
	return NULL;
}

const char *sm__span_is_valid(const struct sm_heap *h, const struct sm_span *s)
{
	enum sm_span_state state = (enum sm_span_state)sm_load_acquire(&s->state);
	const char *why;

	if (state == SM_SPAN_FREE)
		return "free";
	if (state > SM_SPAN_OTHER)
		return "state is not one of the states";
	if (s->back != 0 || s->nunits == 0)
		return "not a span's head";
	if (state == SM_SPAN_STACK || state == SM_SPAN_OTHER)
		return NULL;
	if (state == SM_SPAN_MALLOC_LARGE)
		return s->slot_bytes == 0 && s->nslots == 1
			       ? NULL
			       : "a large span has other than one slot";
	if (s->layout == NULL || s->alloc == NULL)
		return "no layout or no bitmap";
	if (alloc_is_inline(s) != (s->alloc == s->inline_alloc))
		return "the bitmap lies in the wrong place";
	if ((s->layout->kind == SM_SCAN_MIXED) != (s->pointers != NULL))
		return "mixed layouts without a bitmap, or the other way round";
	why = geometry_is_valid(h, s);
	return why ? why : alloc_bits_are_valid(s);
}
