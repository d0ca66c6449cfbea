/*
 * compact_plan.c: which spans are evacuated.
 *
 * Of each node and bin as many as fit into the free slots of the others: what remains is as few
 * spans as can be. Which of them go is a choice: those in the 2 MiB of least use first, so that
 * these come free as a whole, where no large object, stack or pinned object stays anyway; of one
 * such those with the fewest objects, which are the cheapest to copy. (A heap that frees spans out
 * of the middle of huge pages dissolves them for nothing: OxCaml's #3177.)
 *
 * The plan needs memory of its own, 16 bytes a span; objects move to slots that are there.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "allocator/os/os.h"
#include "collector/compact/compact_internal.h"

/* ---- tables ------------------------------------------------------------------------------- */

void sm__compact_plan_forget(struct sm_move *v)
{
	sm__os_unmap(v->spans, v->room * sizeof(*v->spans));
	sm__os_unmap(v->bins, v->nbins * sizeof(*v->bins));
	sm__os_unmap(v->regions, v->nregions * sizeof(*v->regions));
	sm__os_unmap(v->ranked, v->nregions * sizeof(struct sm_region *));
	v->spans = NULL;
	v->bins = NULL;
	v->regions = NULL;
	v->ranked = NULL;
}

/* ---- regions ------------------------------------------------------------------------------ */

/* What takes memory and is not in the plan stays: large objects, stacks. */
static void note_stays(void *arg, struct sm_span *s)
{
	struct sm_move *v = arg;
	uintptr_t p = sm_span_base(&v->gc->range, s);

	if (sm_load_relaxed(&s->state) == SM_SPAN_SMALL)
		return;
	for (size_t i = sm__region_of(v->gc, p);
	     i <= sm__region_of(v->gc, p + sm_span_bytes(s) - 1); i++)
		v->regions[i].stays++;
}

static unsigned count_pinned(const struct sm_gc *gc, const struct sm_span *s)
{
	uint64_t marks[SM_MARK_SLOTS_WORDS];
	unsigned n = 0;

	if (!sm__marks_gather(&gc->compact.pinned, s, marks))
		return 0;
	for (unsigned w = 0; w < (s->nslots + 63u) / 64; w++)
		n += (unsigned)__builtin_popcountll(marks[w]);
	return n;
}

static void note_span(struct sm_move *v, struct sm_plan *p)
{
	struct sm_span *s = sm__plan_span(v->gc, p);
	struct sm_region *r = &v->regions[sm__region_of(v->gc, sm_span_base(&v->gc->range, s))];

	v->n.objects += sm_load_relaxed(&s->nalloc);
	p->pinned = (uint16_t)count_pinned(v->gc, s);
	r->stays += p->pinned != 0;
	r->bytes += (uint32_t)p->used * s->slot_bytes;
}

/* ---- taking and giving back --------------------------------------------------------------- */

#define BATCH 64

static void take_bin(struct sm_move *v, unsigned node, unsigned bin, struct sm_plan_bin *b)
{
	struct sm_span *taken[BATCH];
	unsigned n;

	while ((n = sm__compact_take_swept_some(v->gc->heap, node, bin, taken, BATCH)) != 0)
		for (unsigned i = 0; i < n; i++)
			sm__compact_plan_add(v->gc, b, taken[i]);
}

void sm__compact_open_shut(struct sm_gc *gc)
{
	while (gc->compact.shut != 0) {
		struct sm_span *s = &gc->range.spans[gc->compact.shut];

		gc->compact.shut = s->next;
		gc->compact.nshut--;
		s->next = 0;
		sm__span_unshut(gc->heap, s);
	}
}

int sm__compact_plan_list(struct sm_move *v, sm__plan_list_fn *list)
{
	struct sm_heap *h = v->gc->heap;
	uint32_t nbins = sm_load_acquire(&h->nbins);
	struct sm_plan *next;

	sm__compact_open_shut(v->gc);
	v->nbins = (size_t)h->pages.nnodes * SM_BINS_MAX;
	v->nregions = (v->gc->range.bytes >> SM_REGION_SHIFT) + 2;
	for (unsigned node = 0; node < h->pages.nnodes; node++)
		for (unsigned bin = 1; bin < nbins; bin++)
			v->nspans += sm__compact_swept(h, node, bin);
	v->room = v->nspans + 1;
	v->spans = sm__os_map(v->room * sizeof(*v->spans));
	v->bins = sm__os_map(v->nbins * sizeof(*v->bins));
	v->regions = sm__os_map(v->nregions * sizeof(*v->regions));
	v->ranked = sm__os_map(v->nregions * sizeof(struct sm_region *));
	if (v->spans == NULL || v->bins == NULL || v->regions == NULL || v->ranked == NULL) {
		sm__compact_plan_forget(v);
		return -ENOMEM;
	}
	next = v->spans;
	for (unsigned node = 0; node < h->pages.nnodes; node++)
		for (unsigned bin = 1; bin < nbins; bin++) {
			struct sm_plan_bin *b = &v->bins[node * SM_BINS_MAX + bin];

			b->spans = next;
			b->room = (size_t)(v->spans + v->room - next);
			list(v, node, bin, b);
			next += b->n;
		}
	v->nspans = (size_t)(next - v->spans);
	return 0;
}

int sm__compact_plan_take(struct sm_move *v)
{
	return sm__compact_plan_list(v, take_bin);
}

/* An evacuated span. Shut, it is not used before the next compaction: what still points there
 * faults. */
#define SHUT_MOST 1024 /* each is a mapping of its own */

bool sm__compact_shut(struct sm_gc *gc, struct sm_span *s)
{
	if (!(gc->config.heap.debug_fill || gc->config.verify) || gc->compact.nshut == SHUT_MOST ||
	    !sm__span_shut(gc->heap, s))
		return false;
	gc->compact.nshut++;
	s->next = gc->compact.shut;
	gc->compact.shut = sm_span_unit(&gc->range, s);
	return true;
}

void sm__compact_flag(struct sm_gc *gc, uint32_t unit, uint32_t nunits, uint8_t flag, bool on)
{
	for (uint32_t i = unit; i < unit + nunits; i++) {
		if (on)
			sm_fetch_or_relaxed(&gc->unit_flags[i], flag);
		else
			sm_fetch_and_relaxed(&gc->unit_flags[i], (uint8_t)~flag);
	}
}

static void empty_span(struct sm_gc *gc, struct sm_span *s)
{
	for (unsigned w = 0; w < (s->nslots + 63u) / 64; w++)
		sm_store_relaxed(&s->alloc[w], 0);
	if (sm__gen_on(gc))
		sm__gen_left(gc, s);
	sm__compact_flag(gc, sm_span_unit(&gc->range, s), s->nunits, SM_UNIT_EVACUATED, false);
}

static void give_bin(struct sm_move *v, struct sm_plan_bin *b)
{
	struct sm_gc *gc = v->gc;
	struct sm_span *spans[BATCH];
	unsigned in_use[BATCH], n = 0;

	for (size_t i = 0; i < b->n; i++) {
		struct sm_span *s = sm__plan_span(gc, &b->spans[i]);

		sm__marks_clear(&gc->compact.pinned, s);
		if (i < b->evacuated) {
			v->n.freed_bytes += sm_span_bytes(s);
			v->n.evacuated++;
			empty_span(gc, s);
			if (sm__compact_shut(gc, s))
				continue;
		}
		in_use[n] = i < b->evacuated ? 0 : sm_load_relaxed(&s->nalloc);
		spans[n++] = s;
		if (n == BATCH) {
			sm__central_put_swept_some(gc->heap, spans, in_use, n);
			n = 0;
		}
	}
	sm__central_put_swept_some(gc->heap, spans, in_use, n);
}

/* By the tables of the plan, as if no evacuated span were shut. */
static void count_regions_after(struct sm_move *v)
{
	for (size_t i = 0; i < v->nregions; i++)
		v->regions[i].bytes = 0;
	for (size_t i = 0; i < v->nbins; i++)
		for (size_t k = v->bins[i].evacuated; k < v->bins[i].n; k++) {
			struct sm_span *s = sm__plan_span(v->gc, &v->bins[i].spans[k]);

			v->regions[sm__region_of(v->gc, sm_span_base(&v->gc->range, s))].bytes = 1;
		}
	for (size_t i = 0; i < v->nregions; i++)
		v->n.regions_after += v->regions[i].bytes != 0 || v->regions[i].stays != 0;
}

void sm__compact_plan_give(struct sm_move *v)
{
	count_regions_after(v);
	for (size_t i = 0; i < v->nbins; i++)
		if (v->bins[i].n != 0)
			give_bin(v, &v->bins[i]);
	sm__compact_plan_forget(v);
}

/* ---- choosing ----------------------------------------------------------------------------- */

static int by_use(const void *a, const void *b)
{
	const struct sm_region *x = *(struct sm_region *const *)a,
			       *y = *(struct sm_region *const *)b;

	if ((x->stays != 0) != (y->stays != 0))
		return x->stays != 0 ? 1 : -1;
	if (x->bytes != y->bytes)
		return x->bytes < y->bytes ? -1 : 1;
	return x->index > y->index ? -1 : x->index < y->index;
}

/*
 * The order is one for all bins: where all regions are alike, each would leave its spans in others.
 */
void sm__compact_rank_region(struct sm_move *v, struct sm_region *r)
{
	r->index = (uint32_t)(r - v->regions);
	v->ranked[v->nranked++] = r;
}

void sm__compact_rank_regions(struct sm_move *v)
{
	qsort(v->ranked, v->nranked, sizeof(struct sm_region *), by_use);
	for (size_t i = 0; i < v->nranked; i++)
		v->ranked[i]->rank = (uint32_t)i;
	v->n.regions_before = v->nranked;
}

static void set_key(struct sm_move *v, struct sm_plan *p)
{
	uintptr_t at = v->gc->range.base + ((uintptr_t)p->unit << SM_UNIT_SHIFT);

	p->rank = v->regions[sm__region_of(v->gc, at)].rank;
	p->fill = (uint16_t)(p->used * 1024u / (p->used + p->room));
}

static int by_key(const void *a, const void *b)
{
	const struct sm_plan *x = a, *y = b;

	if ((x->pinned != 0) != (y->pinned != 0))
		return x->pinned != 0 ? 1 : -1;
	if (x->rank != y->rank)
		return x->rank < y->rank ? -1 : 1;
	if (x->fill != y->fill)
		return x->fill < y->fill ? -1 : 1;
	return x->unit > y->unit ? -1 : x->unit < y->unit; /* high addresses go first */
}

/*
 * The first k go if what they hold fits into the free slots of those behind the kth. Copying fills
 * from the end, so it comes to none that goes: all that is copied has room behind it.
 */
void sm__compact_choose(struct sm_move *v, struct sm_plan_bin *b, uint32_t nunits, uint8_t flag)
{
	size_t room = 0, moved = 0;

	for (size_t i = 0; i < b->n; i++) {
		set_key(v, &b->spans[i]);
		room += b->spans[i].room;
	}
	qsort(b->spans, b->n, sizeof(*b->spans), by_key);
	for (size_t i = 0; i < b->n && b->spans[i].pinned == 0; i++) {
		room -= b->spans[i].room;
		moved += b->spans[i].used;
		if (moved > room)
			break;
		sm__compact_flag(v->gc, b->spans[i].unit, nunits, flag, true);
		b->evacuated++;
	}
	v->n.candidates += b->evacuated;
}

void sm__compact_plan(struct sm_move *v)
{
	sm__heap_foreach_span(v->gc->heap, note_stays, v);
	for (size_t i = 0; i < v->nspans; i++)
		note_span(v, &v->spans[i]);
	for (size_t i = 0; i < v->nregions; i++)
		if (v->regions[i].bytes != 0 || v->regions[i].stays != 0)
			sm__compact_rank_region(v, &v->regions[i]);
	sm__compact_rank_regions(v);
	for (size_t i = 0; i < v->nbins; i++)
		if (v->bins[i].n > 1)
			sm__compact_choose(v, &v->bins[i],
					   sm__plan_span(v->gc, &v->bins[i].spans[0])->nunits,
					   SM_UNIT_EVACUATED);
	v->n.spans = v->nspans;
}
