/* heapcheck.c: a walk over every span in use, and the full check of every counting identity. */
#include "allocator/objects/central.h"
#include "allocator/base/say.h"
#include "allocator/objects/mixed.h"
#include "allocator/pages/pageheap_internal.h"

/* ---- walking ------------------------------------------------------------------------------ */

static void walk_units(struct sm_heap *h, const struct sm_ph_node *nd, uint32_t from, uint32_t to,
		       void (*fn)(void *ctx, struct sm_span *s), void *ctx)
{
	uint32_t unit = from;

	while (unit < to) {
		struct sm_span *s = sm__ph_desc(&h->pages, nd, unit);

		if (sm_load_acquire(&s->state) == SM_SPAN_FREE) {
			unit++;
			continue;
		}
		/* Before fn, which may free it. A corrupt count must not stop the walk. */
		unit += s->nunits ? s->nunits : 1;
		fn(ctx, s);
	}
}

void sm__heap_foreach_span(struct sm_heap *h, void (*fn)(void *ctx, struct sm_span *s), void *ctx)
{
	struct sm_pageheap *ph = sm__ph(&h->pages);
	unsigned i;

	for (i = 0; i < h->pages.nnodes; i++) {
		struct sm_ph_node *nd = &ph->nodes[i];

		walk_units(h, nd, 1, nd->frontier, fn, ctx);
		walk_units(h, nd, nd->own_start, nd->units, fn, ctx);
	}
}

/* ---- checking ----------------------------------------------------------------------------- */

struct check {
	struct sm_heap *heap;
	unsigned violations;
	size_t spans, spans_with_slots; /* seen in the table; of those, collected or malloc */
	size_t owned;			/* in the hands of caches */
	size_t listed;			/* on central lists */
	size_t slot_bytes;		/* handed out, by the spans' counts */
	size_t in_use_units;
};

static void report_span(struct check *k, const struct sm_span *s, const char *why)
{
	k->violations++;
	if (s == NULL)
		sm__say("heap check: %s", why);
	else
		sm__say("heap check: span at unit %u (state %d, class %u): %s",
			sm_span_unit(&k->heap->pages.range, s), sm_load_relaxed(&s->state), s->cls,
			why);
}

static void check_span(void *ctx, struct sm_span *s)
{
	struct check *k = ctx;
	const char *why = sm__span_is_valid(k->heap, s);
	enum sm_span_state state = (enum sm_span_state)sm_load_relaxed(&s->state);

	if (why == NULL && k->heap->owner != NULL)
		why = k->heap->owner->check_span(s);
	k->spans++;
	k->in_use_units += s->nunits;
	if (why != NULL)
		report_span(k, s, why);
	if (state == SM_SPAN_STACK || state == SM_SPAN_OTHER)
		return;
	/* malloc's spans are on a list while they have room, and on none else; large ones never. */
	k->spans_with_slots +=
		state == SM_SPAN_MALLOC ? sm_span_has_line(s) : state != SM_SPAN_MALLOC_LARGE;
	k->slot_bytes += s->slot_bytes ? (size_t)sm_load_relaxed(&s->nalloc) * s->slot_bytes
				       : sm_span_bytes(s);
}

enum fill { ANY, PARTIAL, FULL };

static void check_list(struct check *k, const struct sm_span_list *l, unsigned bin, enum fill fill)
{
	const struct sm_range *r = &k->heap->pages.range;
	uint32_t unit = l->first, prev = 0, n = 0;

	while (unit != 0 && n <= sm_load_relaxed(&l->count)) {
		const struct sm_span *s = &r->spans[unit];

		if (s->prev != prev)
			report_span(k, s, "a list's back link is wrong");
		if (sm_load_relaxed(&s->state) == SM_SPAN_FREE)
			report_span(k, s, "a free span is on a list");
		if (s->bin != bin)
			report_span(k, s, "a span is on another bin's list");
		if (fill != ANY && sm_span_is_full(s) != (fill == FULL))
			report_span(k, s, "full and partial lists are mixed up");
		prev = unit;
		unit = s->next;
		n++;
	}
	if (n != sm_load_relaxed(&l->count) || l->last != prev)
		report_span(k, NULL, "a list's count or end is wrong");
	k->listed += n;
}

static void check_lists(struct check *k)
{
	struct sm_heap *h = k->heap;
	uint32_t nbins = sm_load_acquire(&h->nbins), bin;
	unsigned node, i;

	for (node = 0; node < h->pages.nnodes; node++)
		for (bin = 0; bin < nbins; bin++)
			for (i = 0; i < 2; i++) {
				struct sm_central *c = sm__central_of(h, node, bin);

				check_list(k, &c->partial[i], bin, PARTIAL);
				check_list(k, &c->full[i], bin, FULL);
				if (i == 0)
					check_list(k, &c->held, bin, ANY);
			}
}

static void check_owners_list(void *ctx, const struct sm_span_list *l, unsigned bin)
{
	check_list(ctx, l, bin, PARTIAL);
}

/* A run of a span that c does not own: slots of the bin, allocated, side by side. */
static void check_run(struct check *k, const struct sm_window *w, unsigned bin)
{
	const struct sm_range *r = &k->heap->pages.range;
	uintptr_t cur = sm__run_address(r, w->cur), end = sm__run_address(r, w->end);
	const struct sm_span *s = sm_span_of(r, cur);

	if (!k->heap->bins[bin].shared)
		report_span(k, NULL, "a window with room has no span");
	else if (sm_load_relaxed(&s->state) != SM_SPAN_SMALL || s->bin != bin)
		report_span(k, s, "a run lies in another bin's span");
	else if (cur > end || end > sm_span_base(r, s) + (uintptr_t)s->nslots * s->slot_bytes)
		report_span(k, s, "a run lies outside its span");
	else
		for (uintptr_t p = cur; p < end; p += s->slot_bytes) {
			uint32_t slot = sm_span_slot(r, s, p);

			if (!(sm_load_relaxed(&s->alloc[slot / 64]) >> (slot % 64) & 1))
				report_span(k, s, "a slot of a run is not allocated");
		}
}

static void check_window(struct check *k, const struct sm_cache *c, unsigned bin)
{
	const struct sm_window *w = &c->windows[bin];
	const struct sm_span *s = w->span;
	uintptr_t base;

	if (s == NULL) {
		if (w->cur != w->end)
			check_run(k, w, bin);
		return;
	}
	k->owned++;
	base = sm_span_base(&k->heap->pages.range, s);
	if (s->next != 0 || s->prev != 0)
		report_span(k, s, "an owned span is linked");
	if (s->bin != bin)
		report_span(k, s, "an owned span is of another bin");
	if (w->cur > w->end || ((uintptr_t)w->cur - base) % s->slot_bytes != 0 ||
	    (uintptr_t)w->end > base + (uintptr_t)s->nslots * s->slot_bytes)
		if (w->cur != NULL)
			report_span(k, s, "a window lies outside its span");
}

/* cache.spans: owned, and linked among themselves. */
static void check_reserve(struct check *k, const struct sm_cache *c, unsigned bin)
{
	uint32_t unit = c->reserve[bin], n = 0;

	for (; unit != 0 && n <= c->nreserve; unit = k->heap->pages.range.spans[unit].next, n++)
		if (k->heap->pages.range.spans[unit].bin != bin)
			report_span(k, &k->heap->pages.range.spans[unit],
				    "an owned span is of another bin");
	k->owned += n;
}

static void check_caches(struct check *k)
{
	struct sm_heap *h = k->heap;
	uint32_t nbins = sm_load_acquire(&h->nbins), bin;
	struct sm_cache *c;

	sm_lock_acquire(&h->caches_lock);
	for (c = h->caches; c != NULL; c = c->next)
		for (bin = 1; bin < nbins; bin++) {
			check_window(k, c, bin);
			check_reserve(k, c, bin);
		}
	sm_lock_release(&h->caches_lock);
}

/*
 * Every span, and the sum of their units. With the pool of stacks locked: the scavenger gives free
 * stacks back whenever it runs, and callers have no way to keep it from that.
 */
static void check_spans(struct check *k)
{
	struct sm_heap *h = k->heap;
	struct sm_lock *stacks = &sm__ph(&h->pages)->stacks.lock;
	struct sm_pageheap_stats st;
	size_t in_use = 0;

	sm_lock_acquire(stacks);
	sm__heap_foreach_span(h, check_span, k);
	for (unsigned i = 0; i < h->pages.nnodes; i++) {
		sm__pageheap_stats(&h->pages, i, &st);
		in_use += st.in_use_bytes;
	}
	sm_lock_release(stacks);
	if (in_use != k->in_use_units << SM_UNIT_SHIFT)
		report_span(k, NULL, "bytes in use differ from the units of all spans");
}

unsigned sm_heap_check(struct sm_heap *h)
{
	struct check k = {.heap = h};

	check_spans(&k);
	check_lists(&k);
	if (h->owner != NULL)
		h->owner->foreach_list(check_owners_list, &k);
	check_caches(&k);
	if (k.listed + k.owned != k.spans_with_slots)
		report_span(&k, NULL, "a span is neither on a list nor owned by a cache, or both");
	if (h->owner != NULL && h->owner->check() != NULL)
		report_span(&k, NULL, h->owner->check());
	return k.violations + sm__pageheap_check(&h->pages);
}
