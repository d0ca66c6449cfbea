/*
 * armed_choose.c: which spans objects are to leave, chosen beside mutators.
 *
 * The plan is that of gc.compact=full (compact_plan.c), of the spans on the lists of swept ones,
 * which are looked at a few at a time under each list's lock. A span may go to a cache meanwhile:
 * so chosen ones are flagged, and those that are still on a list at a second look are held.
 *
 * Below gc.compact_percent of the heap nothing is chosen. What counts are whole regions of 2 MiB:
 * those of which something would stay (a large object, a stack, a cache's span) are left alone.
 */
#include <errno.h>
#include <string.h>

#include "allocator/os/os.h"
#include "allocator/pages/pageheap.h"
#include "collector/compact/armed_internal.h"

static bool list_span(void *arg, struct sm_span *s)
{
	struct sm_move *v = arg;

	if (v->listing->n < v->listing->room && !s->layout->fixed)
		sm__compact_plan_add(v->gc, v->listing, s);
	return false;
}

static void list_bin(struct sm_move *v, unsigned node, unsigned bin, struct sm_plan_bin *b)
{
	v->listing = b;
	sm__compact_hold_some(v->gc->heap, node, bin, list_span, v);
}

static uint32_t units_of_bin(const struct sm_gc *gc, size_t i)
{
	return sm__sizeclasses[gc->heap->bins[i % SM_BINS_MAX].cls].nunits;
}

static struct sm_region *region_of(struct sm_move *v, const struct sm_plan *p)
{
	return &v->regions[sm__region_of(v->gc, v->gc->range.base +
							((uintptr_t)p->unit << SM_UNIT_SHIFT))];
}

/* What is in use and not listed stays. The range may have a million regions: only those of spans
 * are looked at. */
static void note_regions(struct sm_move *v)
{
	struct sm_gc *gc = v->gc;
	size_t first = gc->range.base >> SM_REGION_SHIFT,
	       units = (size_t)1 << (SM_REGION_SHIFT - SM_UNIT_SHIFT);

	for (size_t i = 0; i < v->nbins; i++) {
		struct sm_plan_bin *b = &v->bins[i];

		for (size_t k = 0; k < b->n; k++) {
			struct sm_region *r = region_of(v, &b->spans[k]);

			if (r->units == 0)
				sm__compact_rank_region(v, r);
			v->n.objects += b->spans[k].used;
			r->units += units_of_bin(gc, i);
			r->bytes += (uint32_t)b->spans[k].used *
				    sm__sizeclasses[gc->heap->bins[i % SM_BINS_MAX].cls].slot_bytes;
		}
	}
	for (size_t i = 0; i < v->nranked; i++) {
		struct sm_region *r = v->ranked[i];
		size_t used = sm__pageheap_used_at(&gc->heap->pages,
						   (first + r->index) << SM_REGION_SHIFT, units);

		r->stays = used > r->units ? (uint32_t)used - r->units : 0;
	}
}

static void choose_bins(struct sm_move *v)
{
	for (size_t i = 0; i < v->nbins; i++)
		if (v->bins[i].n > 1)
			sm__compact_choose(v, &v->bins[i], units_of_bin(v->gc, i),
					   SM_UNIT_CANDIDATE);
}

/* Takes the flag off those of which fn says so. */
static void unflag(struct sm_move *v, bool (*fn)(struct sm_move *v, const struct sm_plan *p))
{
	for (size_t i = 0; i < v->nbins; i++)
		for (size_t k = 0; k < v->bins[i].evacuated; k++)
			if (fn(v, &v->bins[i].spans[k]))
				sm__compact_flag(v->gc, v->bins[i].spans[k].unit,
						 units_of_bin(v->gc, i), SM_UNIT_CANDIDATE, false);
}

static bool region_stays(struct sm_move *v, const struct sm_plan *p)
{
	const struct sm_region *r = region_of(v, p);

	return r->stays != 0 || r->units != 0;
}

static bool is_any(struct sm_move *v, const struct sm_plan *p)
{
	(void)v;
	(void)p;
	return true;
}

static bool is_not_held(struct sm_move *v, const struct sm_plan *p)
{
	return v->gc->armed.index[p->unit] == 0;
}

/* Whether whole regions of so many per cent of the heap come free; if so, they alone are chosen. */
static bool is_worth_it(struct sm_move *v, unsigned percent)
{
	size_t in_use, dirty, whole = 0;

	for (size_t i = 0; i < v->nbins; i++)
		for (size_t k = 0; k < v->bins[i].evacuated; k++)
			region_of(v, &v->bins[i].spans[k])->units -= units_of_bin(v->gc, i);
	for (size_t i = 0; i < v->nranked; i++)
		whole += v->ranked[i]->stays == 0 && v->ranked[i]->units == 0;
	sm__pageheap_resident(&v->gc->heap->pages, &in_use, &dirty);
	if (whole == 0 || (whole << SM_REGION_SHIFT) < in_use / 100 * percent) {
		unflag(v, is_any);
		return false;
	}
	unflag(v, region_stays);
	return true;
}

static bool hold_span(void *arg, struct sm_span *s)
{
	struct sm_move *v = arg;
	struct sm_gc *gc = v->gc;
	struct sm_armed *a = &gc->armed;
	uint32_t unit = sm_span_unit(&gc->range, s);

	if ((sm_load_relaxed(&gc->unit_flags[unit]) & SM_UNIT_CANDIDATE) == 0 ||
	    a->ncandidates == a->room)
		return false;
	a->candidate[a->ncandidates++] = (struct sm_candidate){.unit = unit};
	for (uint32_t i = 0; i < s->nunits; i++)
		a->index[unit + i] = (uint32_t)a->ncandidates;
	return true;
}

static int make_tables(struct sm_gc *gc, size_t room)
{
	struct sm_armed *a = &gc->armed;

	if (a->index == NULL)
		a->index = sm__os_map((gc->range.bytes >> SM_UNIT_SHIFT) * sizeof(*a->index));
	a->room = room;
	a->candidate = sm__os_map(room * sizeof(*a->candidate));
	a->seen = sm__os_map(SM_SLOTS_SEEN * sizeof(*a->seen));
	if (a->index == NULL || a->candidate == NULL || a->seen == NULL) {
		sm__armed_forget(gc);
		return -ENOMEM;
	}
	return 0;
}

static void hold_all(struct sm_move *v)
{
	struct sm_heap *h = v->gc->heap;
	uint32_t nbins = sm_load_acquire(&h->nbins);

	for (unsigned node = 0; node < h->pages.nnodes; node++)
		for (unsigned bin = 1; bin < nbins; bin++)
			if (v->bins[node * SM_BINS_MAX + bin].evacuated != 0)
				sm__compact_hold_some(h, node, bin, hold_span, v);
	unflag(v, is_not_held);
}

/* Notes: as many as the candidates have slots, a few times over. */
#define NOTES_A_SLOT 16
#define NOTES_LEAST  ((size_t)1 << 22)

static void set_limit(struct sm_gc *gc)
{
	struct sm_armed *a = &gc->armed;
	size_t most = NOTES_LEAST;

	for (size_t i = 0; i < a->ncandidates; i++)
		most += (size_t)sm_load_relaxed(&sm__candidate_span(gc, &a->candidate[i])->nalloc) *
			NOTES_A_SLOT;
	sm_lock_acquire(&a->lock);
	a->most = most / (SM_SLOT_CHUNK * SM_SLOT_CHUNKS) + 1;
	sm_lock_release(&a->lock);
}

int sm__armed_choose(struct sm_gc *gc, unsigned percent)
{
	struct sm_move v = {.gc = gc};
	int err = sm__compact_plan_list(&v, list_bin);

	if (err)
		return err;
	memset(&gc->armed.n, 0, sizeof(gc->armed.n));
	note_regions(&v);
	sm__compact_rank_regions(&v);
	choose_bins(&v);
	if (v.n.candidates != 0 && (percent == 0 || is_worth_it(&v, percent))) {
		err = make_tables(gc, v.n.candidates);
		if (err)
			unflag(&v, is_any);
		else
			hold_all(&v);
		set_limit(gc);
	}
	gc->armed.n.spans = v.nspans;
	gc->armed.n.objects = v.n.objects;
	gc->armed.n.candidates = gc->armed.ncandidates;
	gc->armed.n.regions_before = v.n.regions_before;
	sm__compact_plan_forget(&v);
	return err;
}

void sm__armed_drop(struct sm_gc *gc, struct sm_candidate *c, unsigned in_use)
{
	struct sm_span *s = sm__candidate_span(gc, c);

	sm__compact_flag(gc, c->unit, s->nunits, SM_UNIT_CANDIDATE, false);
	for (uint32_t i = 0; i < s->nunits; i++)
		gc->armed.index[c->unit + i] = 0;
	c->unit = 0;
	sm__compact_unhold(gc->heap, s);
	if (in_use != 0 || !sm__compact_shut(gc, s))
		sm__central_put_swept_some(gc->heap, &s, &in_use, 1);
}
