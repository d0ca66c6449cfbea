/* heapstats.c: gathers a heap's figures. */
#include "spanmark/heap.h"

#include <string.h>

#include "allocator/stats/corestats.h"
#include "allocator/objects/heap.h"
#include "allocator/pages/meta.h"
#include "allocator/pages/pageheap_internal.h"

static void add_pageheaps(struct sm_heap *h, struct sm_heap_stats *out)
{
	for (unsigned i = 0; i < h->pages.nnodes; i++) {
		struct sm_pageheap_stats st;

		sm__pageheap_stats(&h->pages, i, &st);
		out->committed_bytes += st.committed_bytes;
		out->in_use_bytes += st.in_use_bytes;
		out->free_bytes += st.free_bytes;
		out->released_bytes += st.released_bytes;
		out->free_runs += st.free_runs;
		out->pageheap_allocs += st.allocs;
		out->pageheap_search_steps += st.search_steps;
		out->remote_allocs += st.remote;
		if (st.largest_free_bytes > out->largest_free_bytes)
			out->largest_free_bytes = st.largest_free_bytes;
	}
}

/* The units may change hands while we look: what is read here is read whole, and what follows from
 * the class comes from its table. */
static void add_span(struct sm_heap_stats *out, const struct sm_span *s)
{
	unsigned cls, nalloc;

	switch (sm_load_acquire(&s->state)) {
	case SM_SPAN_LARGE:
	case SM_SPAN_MALLOC_LARGE:
		out->large_objects++;
		out->large_bytes += (uint64_t)__atomic_load_n(&s->nunits, __ATOMIC_RELAXED)
				    << SM_UNIT_SHIFT;
		out->cls[0].spans++;
		return;
	case SM_SPAN_SMALL:
	case SM_SPAN_MALLOC: break;
	default: return;
	}
	cls = __atomic_load_n(&s->cls, __ATOMIC_RELAXED);
	nalloc = sm_load_relaxed(&s->nalloc);
	out->cls[cls].spans++;
	out->cls[cls].slots += sm__sizeclasses[cls].nslots;
	out->cls[cls].in_use += nalloc;
	out->slot_bytes += (uint64_t)nalloc * sm__sizeclasses[cls].slot_bytes;
}

/* Unit by unit, since a span's length may change while we look: only heads that are in use count.
 */
static void add_units(struct sm_heap *h, struct sm_ph_node *nd, uint32_t from, uint32_t to,
		      struct sm_heap_stats *out)
{
	for (uint32_t unit = from; unit < to; unit++) {
		const struct sm_span *s = sm__ph_desc(&h->pages, nd, unit);

		/* Atomic, because the page heap may be handing these units out right now. */
		if (__atomic_load_n(&s->back, __ATOMIC_RELAXED) == 0)
			add_span(out, s);
	}
}

static void add_spans(struct sm_heap *h, struct sm_heap_stats *out)
{
	struct sm_pageheap *ph = sm__ph(&h->pages);

	for (unsigned i = 0; i < h->pages.nnodes; i++) {
		struct sm_ph_node *nd = &ph->nodes[i];

		add_units(h, nd, 1, nd->frontier, out);
		add_units(h, nd, nd->own_start, nd->units, out);
	}
}

/* Of windows: counted by the caches themselves, as totals. */
static void add_cache_stats(struct sm_heap_stats *out, const struct sm_cache_stats *s)
{
	out->swept_spans += sm__count_read(&s->swept_spans);
	out->remote_spans += sm__count_read(&s->remote_spans);
	out->fresh_spans += sm__count_read(&s->fresh_spans);
}

static void add_window_stats(struct sm_heap *h, struct sm_heap_stats *out)
{
	sm_lock_acquire(&h->caches_lock);
	add_cache_stats(out, &h->dead_stats);
	for (const struct sm_cache *c = h->caches; c != NULL; c = c->next)
		add_cache_stats(out, &c->stats);
	sm_lock_release(&h->caches_lock);
}

static void add_class(struct sm_heap_stats *out, unsigned cls, const struct sm_core_class *k)
{
	out->cls[cls].cores = *k;
	out->cls[cls].cached = k->held_bytes / sm__sizeclasses[cls].slot_bytes;
	out->hits += k->hits;
	out->refills += k->refills;
	out->overflows += k->overflows;
	out->steals += k->steals;
	out->remote_slots += k->remote;
}

void sm_heap_stats(struct sm_heap *h, struct sm_heap_stats *out)
{
	struct sm_core_stats cores;

	memset(out, 0, sizeof(*out));
	out->version = SM_HEAP_STATS_VERSION;
	out->nclasses = sm__nclasses;
	for (unsigned cls = 0; cls < sm__nclasses; cls++)
		out->cls[cls].slot_bytes = sm__sizeclasses[cls].slot_bytes;
	out->reserved_bytes = h->pages.range.bytes;
	out->mapped_bytes = sm_load_relaxed(&h->pages.mapped_bytes);
	out->meta_bytes = sm__meta_bytes(&h->pages);
	out->allocated_bytes = sm_load_relaxed(&h->allocated_bytes);
	add_pageheaps(h, out);
	add_spans(h, out);
	add_window_stats(h, out);
	sm__core_sum(h, -1, &cores);
	out->caches = cores.caches;
	out->cached_bytes = cores.held_bytes;
	for (unsigned cls = 1; cls < sm__nclasses; cls++)
		add_class(out, cls, &cores.cls[cls]);
	if (h->owner != NULL)
		h->owner->add_depots(out);
}
