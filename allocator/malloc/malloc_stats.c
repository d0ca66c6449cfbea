/*
 * malloc_stats.c: malloc's figures, and its part in a heap's (struct sm_heap_owner).
 */
#include "allocator/malloc/cpu_cache.h"
#include "allocator/malloc/depot.h"
#include "allocator/stats/corestats.h"
#include "spanmark/malloc.h"

/* ---- lists -------------------------------------------------------------------------------- */

static void add_mcache(const struct sm_mcache *c, struct sm_core_stats *out)
{
	for (unsigned cls = 1; cls < sm__nclasses; cls++) {
		struct sm_class_counts n = sm__mcache_count(c, cls);

		sm__core_add(out, cls, &n, 0, sm__mcache_objects(c, cls));
	}
	out->caches++;
	out->budget_bytes = c->budget;
}

static void add_cpu_lists(unsigned cpu, struct sm_core_stats *out)
{
	const struct sm_mcpu *m = &sm__process_heap.slabs[cpu];
	bool holds = false;

	for (unsigned cls = 1; cls < sm__nclasses; cls++) {
		const struct sm_mcpu_class *k = &m->cls[cls];
		struct sm_class_counts n = sm__counts_read(&k->n);
		uint64_t left = sm__mcpu_held(cpu, cls) / sm__sizeclasses[cls].slot_bytes;

		/* A refill's first object is not pushed and popped. */
		n.taken = sm__mcpu_pops(cpu, cls) + n.refills;
		sm__core_add(out, cls, &n, 0, left);
		holds |= left != 0;
	}
	out->caches += holds;
	out->drains += sm_load_relaxed(&m->drains);
	out->budget_bytes = sm_load_relaxed(&m->budget);
}

static void add_cores(unsigned from, unsigned to, struct sm_core_stats *out)
{
	struct sm_process_heap *g = &sm__process_heap;

	sm_lock_acquire(&g->lock);
	for (const struct sm_mcache *c = g->caches; c != NULL; c = c->next)
		if ((unsigned)c->cpu >= from && (unsigned)c->cpu < to)
			add_mcache(c, out);
	for (unsigned cpu = from; cpu < to; cpu++)
		sm__core_add_dead(out, sm__dead_counts(g->heap, g->dead, cpu, false));
	sm_lock_release(&g->lock);
	for (unsigned cpu = from; cpu < to && cpu < g->nslabs; cpu++)
		if (sm_load_acquire(&g->slabs[cpu].ready))
			add_cpu_lists(cpu, out);
}

/* ---- depots ------------------------------------------------------------------------------- */

static void add_depots(struct sm_heap_stats *out, unsigned cls)
{
	struct sm_process_heap *g = &sm__process_heap;

	for (unsigned node = 0; node < g->nnodes; node++) {
		struct sm_depot *d = sm__depot_of(node, cls);

		out->cls[cls].depot += sm__shard_objects(node, cls);
		sm_lock_acquire(&d->lock);
		out->fresh_spans += d->fresh;
		sm_lock_release(&d->lock);
	}
	out->depot_bytes += out->cls[cls].depot * sm__sizeclasses[cls].slot_bytes;
}

static void add_all_depots(struct sm_heap_stats *out)
{
	for (unsigned cls = 1; cls < sm__nclasses; cls++)
		add_depots(out, cls);
}

/* ---- sm_malloc_stats ---------------------------------------------------------------------- */

static void count_dead(struct sm_malloc_stats *out, const struct sm_class_counts *dead)
{
	for (unsigned cls = 1; dead != NULL && cls < sm__nclasses; cls++) {
		out->refills += dead[cls].refills;
		out->overflows += dead[cls].overflows;
	}
}

static void count_caches(struct sm_malloc_stats *out)
{
	struct sm_process_heap *g = &sm__process_heap;

	sm_lock_acquire(&g->lock);
	for (unsigned cpu = 0; cpu < g->ncpus; cpu++)
		count_dead(out, sm__dead_counts(g->heap, g->dead, cpu, false));
	/* Owners go on changing their figures: each read is one aligned word, so a sum may be a
	 * moment old, never torn. */
	for (struct sm_mcache *c = g->caches; c != NULL; c = c->next) {
		out->caches++;
		out->cached_bytes += sm__mcache_held(c);
		for (unsigned cls = 1; cls < sm__nclasses; cls++) {
			out->refills += c->cold[cls].n.refills;
			out->overflows += c->cold[cls].n.overflows;
		}
	}
	sm_lock_release(&g->lock);
}

static void count_cpus(struct sm_malloc_stats *out)
{
	struct sm_process_heap *g = &sm__process_heap;

	for (unsigned cpu = 0; cpu < g->nslabs; cpu++) {
		struct sm_mcpu *m = &g->slabs[cpu];
		size_t held = 0;

		if (!sm_load_relaxed(&m->ready))
			continue;
		for (unsigned cls = 1; cls < sm__nclasses; cls++) {
			held += sm__mcpu_held(cpu, cls);
			out->refills += sm__count_read(&m->cls[cls].n.refills);
			out->overflows += sm__count_read(&m->cls[cls].n.overflows);
		}
		out->cached_bytes += held;
		out->caches += held != 0;
	}
}

static void count_depots(struct sm_malloc_stats *out)
{
	struct sm_process_heap *g = &sm__process_heap;

	for (unsigned i = 0; i < g->nnodes * sm__nclasses; i++) {
		struct sm_depot *d = &g->depots[i];

		if (i % sm__nclasses == 0)
			continue;
		out->depot_bytes += sm__shard_objects(i / sm__nclasses, i % sm__nclasses) *
				    sm__sizeclasses[i % sm__nclasses].slot_bytes;
		sm_lock_acquire(&d->lock);
		out->drained += d->drained;
		sm_lock_release(&d->lock);
	}
}

void sm_malloc_stats(struct sm_malloc_stats *out)
{
	struct sm_process_heap *g = &sm__process_heap;

	*out = (struct sm_malloc_stats){.version = SM_MALLOC_STATS_VERSION};
	if (!sm__malloc_ready())
		return;
	count_caches(out);
	count_cpus(out);
	count_depots(out);
	out->large_objects = sm_load_relaxed(&g->large_objects);
	out->large_bytes = sm_load_relaxed(&g->large_bytes);
}

/* ---- checks ------------------------------------------------------------------------------- */

static void foreach_list(void (*fn)(void *ctx, const struct sm_span_list *l, unsigned bin),
			 void *ctx)
{
	for (unsigned node = 0; node < sm__process_heap.nnodes; node++)
		for (unsigned cls = 1; cls < sm__nclasses; cls++)
			fn(ctx, &sm__depot_of(node, cls)->partial, cls);
}

static const char *check_malloc(void)
{
	const char *why = sm__shard_check();

	return why == NULL && sm__process_heap.nslabs != 0 ? sm__mbudget_check() : why;
}

const struct sm_heap_owner sm__malloc_owner = {
	.check_span = sm__munits_check,
	.check = check_malloc,
	.foreach_list = foreach_list,
	.add_cores = add_cores,
	.add_depots = add_all_depots,
};
