/*
 * corestats.c: what caches counted, core by core. Hits are derived, so that counting them costs nothing:
 *
 *   windows        slots taken - slots returned - slots left = objects; less those that came with a refill
 *   lists          objects popped (in room[], malloc_internal.h) and bumped; less those that came with a refill
 *   lists per CPU  pops, counted in the stack's word (rseq.h), less those of objects that were given away
 *
 * Owners go on while we look: each read is an aligned word, a difference may be a moment old and is never negative.
 */
#include "allocator/stats/corestats.h"

#include <errno.h>
#include <string.h>

#include "allocator/objects/cache_cpu.h"
#include "allocator/malloc/malloc_internal.h"

static uint64_t less(uint64_t a, uint64_t b)
{
	return a > b ? a - b : 0;
}

static void add_held(struct sm_core_stats *out, unsigned cls, uint64_t slots)
{
	uint64_t bytes = slots * sm__sizeclasses[cls].slot_bytes;

	out->cls[cls].held_bytes += bytes;
	out->held_bytes += bytes;
}

/* ---- windows --------------------------------------------------------------------------------------- */

static void add_windows(struct sm_core_stats *out, unsigned cls, const struct sm_cache_class *k,
			uint64_t left)
{
	struct sm_core_class *o = &out->cls[cls];

	o->hits += less(less(k->taken, k->returned), left + k->refills);
	o->refills += k->refills;
	o->steals += k->steals;
	o->remote += k->remote;
	add_held(out, cls, left);
}

static void add_cache(struct sm_heap *h, const struct sm_cache *c, struct sm_core_stats *out)
{
	uint32_t nbins = sm_load_acquire(&h->nbins);
	uint64_t left[SM_NCLASSES_MAX] = {0};

	for (uint32_t bin = 1; bin < nbins; bin++) {
		const struct sm_window *w = &c->windows[bin];
		const char *cur = w->cur, *end = w->end;

		if (cur != NULL && end > cur)
			left[h->bins[bin].cls] +=
				(uint64_t)(end - cur) / sm__sizeclasses[h->bins[bin].cls].slot_bytes;
	}
	for (unsigned cls = 1; cls < sm__nclasses; cls++)
		add_windows(out, cls, &c->cls[cls], left[cls]);
	out->caches++;
	out->budget_bytes = c->budget;
}

static void add_cpu_windows(struct sm_heap *h, unsigned cpu, struct sm_core_stats *out)
{
	const struct sm_cpu_cache *k = &h->cpus->caches[cpu];
	uint64_t left[SM_NCLASSES_MAX] = {0};
	size_t budget = sm_load_relaxed(&k->budget);

	sm__cache_cpu_slots(h, cpu, left);
	for (unsigned cls = 1; cls < sm__nclasses; cls++) {
		const struct sm_cpu_class *n = &k->cls[cls];
		struct sm_cache_class sum = {
			.refills = sm_load_relaxed(&n->refills),
			.taken = sm_load_relaxed(&n->alone) + sm_load_relaxed(&n->left),
			.returned = sm_load_relaxed(&n->forgotten),
			.steals = sm_load_relaxed(&n->steals),
			.remote = sm_load_relaxed(&n->remote),
		};

		add_windows(out, cls, &sum, left[cls]);
	}
	out->drains += sm_load_relaxed(&k->drains);
	out->budget_bytes = budget == SIZE_MAX ? 0 : budget;
}

static void add_heap(struct sm_heap *h, unsigned from, unsigned to, struct sm_core_stats *out)
{
	sm_lock_acquire(&h->caches_lock);
	for (const struct sm_cache *c = h->caches; c != NULL; c = c->next)
		if ((unsigned)c->cpu >= from && (unsigned)c->cpu < to)
			add_cache(h, c, out);
	for (size_t i = (size_t)from * sm__nclasses; i < (size_t)to * sm__nclasses; i++)
		add_windows(out, (unsigned)(i % sm__nclasses), &h->dead_classes[i], 0);
	sm_lock_release(&h->caches_lock);
	for (unsigned cpu = from; h->cpus != NULL && cpu < to && cpu < h->cpus->table.ncpus; cpu++)
		add_cpu_windows(h, cpu, out);
}

/* ---- lists ----------------------------------------------------------------------------------------- */

static void add_lists(struct sm_core_stats *out, unsigned cls, const struct sm_mcount *n, uint64_t left)
{
	struct sm_core_class *o = &out->cls[cls];

	o->hits += less(n->pops + n->bumped, n->refills);
	o->refills += n->refills;
	o->overflows += n->overflows;
	o->steals += n->steals;
	o->remote += n->remote;
	add_held(out, cls, left);
}

static void add_mcache(const struct sm_mcache *c, struct sm_core_stats *out)
{
	for (unsigned cls = 1; cls < sm__nclasses; cls++) {
		struct sm_mcount n = sm__mcache_count(c, cls);

		add_lists(out, cls, &n, sm__mcache_objects(c, cls));
	}
	out->caches++;
	out->budget_bytes = c->budget;
}

static void add_cpu_lists(unsigned cpu, struct sm_core_stats *out)
{
	const struct sm_mcpu *m = &sm__manual.slabs[cpu];
	bool holds = false;

	for (unsigned cls = 1; cls < sm__nclasses; cls++) {
		const struct sm_mcpu_class *k = &m->cls[cls];
		struct sm_mcount n = {
			.refills = sm_load_relaxed(&k->refills),
			.overflows = sm_load_relaxed(&k->overflows),
			.steals = sm_load_relaxed(&k->steals),
			.remote = sm_load_relaxed(&k->remote),
		};
		uint64_t left = sm__mcpu_held(cpu, cls) / sm__sizeclasses[cls].slot_bytes;

		/* A refill's first object is not pushed and popped. */
		n.pops = sm__mcpu_pops(cpu, cls) + n.refills;
		add_lists(out, cls, &n, left);
		holds |= left != 0;
	}
	out->caches += holds;
	out->drains += sm_load_relaxed(&m->drains);
	out->budget_bytes = sm_load_relaxed(&m->budget);
}

static void add_manual(unsigned from, unsigned to, struct sm_core_stats *out)
{
	struct sm_manual *g = &sm__manual;

	sm_lock_acquire(&g->lock);
	for (const struct sm_mcache *c = g->caches; c != NULL; c = c->next)
		if ((unsigned)c->cpu >= from && (unsigned)c->cpu < to)
			add_mcache(c, out);
	for (size_t i = (size_t)from * sm__nclasses; i < (size_t)to * sm__nclasses; i++)
		add_lists(out, (unsigned)(i % sm__nclasses), &g->dead[i], 0);
	sm_lock_release(&g->lock);
	if (!g->percpu)
		return;
	for (unsigned cpu = from; cpu < to && cpu < g->nslabs; cpu++)
		if (sm_load_acquire(&g->slabs[cpu].ready))
			add_cpu_lists(cpu, out);
}

/* ---- the calls ------------------------------------------------------------------------------------- */

void sm__core_sum(struct sm_heap *h, int cpu, struct sm_core_stats *out)
{
	unsigned from = cpu < 0 ? 0 : (unsigned)cpu, to = cpu < 0 ? h->ncpus : from + 1;

	memset(out, 0, sizeof(*out));
	out->version = SM_CORE_STATS_VERSION;
	out->cpu = from;
	if (h == sm__manual.heap)
		add_manual(from, to, out);
	else
		add_heap(h, from, to, out);
}

int sm_heap_core_stats(struct sm_heap *h, unsigned cpu, struct sm_core_stats *out)
{
	if (cpu >= h->ncpus)
		return -ENOENT;
	sm__core_sum(h, (int)cpu, out);
	return 0;
}
