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
#include <sys/mman.h>

#include "allocator/os/os.h"
#include "collector/compact_internal.h"

/* ---- tables ------------------------------------------------------------------------------- */

static void *map_table(size_t bytes)
{
	void *p;

	if (bytes == 0 || sm__os_fault(SM_OS_RESERVE))
		return NULL;
	p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
		 -1, 0);
	return p == MAP_FAILED ? NULL : p;
}

static void unmap_table(void *p, size_t bytes)
{
	if (p)
		munmap(p, bytes);
}

static void unmap_tables(struct sm_move *v)
{
	unmap_table(v->spans, (v->nspans + 1) * sizeof(*v->spans));
	unmap_table(v->bins, v->nbins * sizeof(*v->bins));
	unmap_table(v->regions, v->nregions * sizeof(*v->regions));
	unmap_table(v->ranked, v->nregions * sizeof(struct sm_region *));
	v->spans = NULL;
	v->bins = NULL;
	v->regions = NULL;
	v->ranked = NULL;
}

/* ---- regions ------------------------------------------------------------------------------ */

static size_t region_of(const struct sm_gc *gc, uintptr_t p)
{
	return (p >> SM_REGION_SHIFT) - (gc->range.base >> SM_REGION_SHIFT);
}

/* What takes memory and is not in the plan stays: large objects, stacks. */
static void note_stays(void *arg, struct sm_span *s)
{
	struct sm_move *v = arg;
	uintptr_t p = sm_span_base(&v->gc->range, s);

	if (sm_load_relaxed(&s->state) == SM_SPAN_SMALL)
		return;
	for (size_t i = region_of(v->gc, p); i <= region_of(v->gc, p + sm_span_bytes(s) - 1); i++)
		v->regions[i].stays++;
}

static unsigned count_pinned(const struct sm_gc *gc, const struct sm_span *s)
{
	uint64_t marks[SM_MARK_SLOTS_WORDS];
	unsigned n = 0;

	if (!sm__marks_gather(&gc->range, s, marks))
		return 0;
	for (unsigned w = 0; w < (s->nslots + 63u) / 64; w++)
		n += (unsigned)__builtin_popcountll(marks[w]);
	return n;
}

static void note_span(struct sm_move *v, struct sm_plan *p)
{
	struct sm_span *s = sm__plan_span(v->gc, p);
	struct sm_region *r = &v->regions[region_of(v->gc, sm_span_base(&v->gc->range, s))];

	v->n.objects += sm_load_relaxed(&s->nalloc);
	p->pinned = (uint16_t)count_pinned(v->gc, s);
	r->stays += p->pinned != 0;
	r->bytes += (uint32_t)sm_load_relaxed(&s->nalloc) * s->slot_bytes;
}

/* ---- taking and giving back --------------------------------------------------------------- */

#define BATCH 64

static void take_bin(struct sm_move *v, unsigned node, unsigned bin, struct sm_plan_bin *b)
{
	struct sm_span *taken[BATCH];
	unsigned n;

	while ((n = sm__central_take_swept_some(v->gc->heap, node, bin, taken, BATCH)) != 0)
		for (unsigned i = 0; i < n; i++)
			b->spans[b->n++] =
				(struct sm_plan){.unit = sm_span_unit(&v->gc->range, taken[i])};
}

static void open_shut_spans(struct sm_gc *gc)
{
	while (gc->compact.shut != 0) {
		struct sm_span *s = &gc->range.spans[gc->compact.shut];

		gc->compact.shut = s->next;
		gc->compact.nshut--;
		s->next = 0;
		sm__span_unshut(gc->heap, s);
	}
}

int sm__compact_plan_take(struct sm_move *v)
{
	struct sm_heap *h = v->gc->heap;
	uint32_t nbins = sm_load_acquire(&h->nbins);
	struct sm_plan *next;

	open_shut_spans(v->gc);
	v->nbins = (size_t)h->pages.nnodes * SM_BINS_MAX;
	v->nregions = (v->gc->range.bytes >> SM_REGION_SHIFT) + 2;
	for (unsigned node = 0; node < h->pages.nnodes; node++)
		for (unsigned bin = 1; bin < nbins; bin++)
			v->nspans += sm__central_swept(h, node, bin);
	v->spans = map_table((v->nspans + 1) * sizeof(*v->spans));
	v->bins = map_table(v->nbins * sizeof(*v->bins));
	v->regions = map_table(v->nregions * sizeof(*v->regions));
	v->ranked = map_table(v->nregions * sizeof(struct sm_region *));
	if (v->spans == NULL || v->bins == NULL || v->regions == NULL || v->ranked == NULL) {
		unmap_tables(v);
		return -ENOMEM;
	}
	next = v->spans;
	for (unsigned node = 0; node < h->pages.nnodes; node++)
		for (unsigned bin = 1; bin < nbins; bin++) {
			struct sm_plan_bin *b = &v->bins[node * SM_BINS_MAX + bin];

			b->spans = next;
			take_bin(v, node, bin, b);
			next += b->n;
		}
	return 0;
}

/* An evacuated span. Shut, it is not used before the next compaction: what still points there
 * faults. */
#define SHUT_MOST 1024 /* each is a mapping of its own */

static bool shut_span(struct sm_gc *gc, struct sm_span *s)
{
	if (!(gc->config.heap.debug_fill || gc->config.verify) || gc->compact.nshut == SHUT_MOST ||
	    !sm__span_shut(gc->heap, s))
		return false;
	gc->compact.nshut++;
	s->next = gc->compact.shut;
	gc->compact.shut = sm_span_unit(&gc->range, s);
	return true;
}

static void set_unit_flags(struct sm_gc *gc, const struct sm_span *s, bool evacuated)
{
	uint32_t unit = sm_span_unit(&gc->range, s);

	for (uint32_t i = 0; i < s->nunits; i++) {
		if (evacuated)
			sm_fetch_or_relaxed(&gc->unit_flags[unit + i], SM_UNIT_EVACUATED);
		else
			sm_fetch_and_relaxed(&gc->unit_flags[unit + i],
					     (uint8_t)~SM_UNIT_EVACUATED);
	}
}

static void empty_span(struct sm_gc *gc, struct sm_span *s)
{
	for (unsigned w = 0; w < (s->nslots + 63u) / 64; w++)
		sm_store_relaxed(&s->alloc[w], 0);
	set_unit_flags(gc, s, false);
}

static void give_bin(struct sm_move *v, struct sm_plan_bin *b)
{
	struct sm_gc *gc = v->gc;
	struct sm_span *spans[BATCH];
	unsigned in_use[BATCH], n = 0;

	for (size_t i = 0; i < b->n; i++) {
		struct sm_span *s = sm__plan_span(gc, &b->spans[i]);

		sm__marks_clear(&gc->range, s);
		if (i < b->evacuated) {
			v->n.freed_bytes += sm_span_bytes(s);
			v->n.evacuated++;
			empty_span(gc, s);
			if (shut_span(gc, s))
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

			v->regions[region_of(v->gc, sm_span_base(&v->gc->range, s))].bytes = 1;
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
	unmap_tables(v);
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
static void rank_regions(struct sm_move *v)
{
	size_t n = 0;

	for (size_t i = 0; i < v->nregions; i++) {
		if (v->regions[i].bytes == 0 && v->regions[i].stays == 0)
			continue;
		v->regions[i].index = (uint32_t)i;
		v->ranked[n++] = &v->regions[i];
	}
	qsort(v->ranked, n, sizeof(struct sm_region *), by_use);
	for (size_t i = 0; i < n; i++)
		v->ranked[i]->rank = (uint32_t)i;
	v->n.regions_before = n;
}

static void set_key(struct sm_move *v, struct sm_plan *p)
{
	const struct sm_span *s = sm__plan_span(v->gc, p);

	p->rank = v->regions[region_of(v->gc, sm_span_base(&v->gc->range, s))].rank;
	p->fill = (uint16_t)(sm_load_relaxed(&s->nalloc) * 1024u / s->nslots);
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
static void choose_bin(struct sm_move *v, struct sm_plan_bin *b)
{
	size_t room = 0, moved = 0;

	for (size_t i = 0; i < b->n; i++)
		set_key(v, &b->spans[i]);
	qsort(b->spans, b->n, sizeof(*b->spans), by_key);
	for (size_t i = 0; i < b->n; i++) {
		struct sm_span *s = sm__plan_span(v->gc, &b->spans[i]);

		room += s->nslots - sm_load_relaxed(&s->nalloc);
	}
	for (size_t i = 0; i < b->n && b->spans[i].pinned == 0; i++) {
		struct sm_span *s = sm__plan_span(v->gc, &b->spans[i]);

		room -= s->nslots - sm_load_relaxed(&s->nalloc);
		moved += sm_load_relaxed(&s->nalloc);
		if (moved > room)
			break;
		set_unit_flags(v->gc, s, true);
		b->evacuated++;
	}
	v->n.candidates += b->evacuated;
}

void sm__compact_plan(struct sm_move *v)
{
	sm__heap_foreach_span(v->gc->heap, note_stays, v);
	for (size_t i = 0; i < v->nspans; i++)
		note_span(v, &v->spans[i]);
	rank_regions(v);
	for (size_t i = 0; i < v->nbins; i++)
		if (v->bins[i].n > 1)
			choose_bin(v, &v->bins[i]);
	v->n.spans = v->nspans;
}
