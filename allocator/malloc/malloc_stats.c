/*
 * malloc_stats.c: malloc's part in a heap's checks and figures (struct sm_heap_owner).
 */
#include "allocator/malloc/malloc_internal.h"
#include "allocator/stats/corestats.h"

/* ---- lists ----------------------------------------------------------------------------------------- */

static void add_lists(struct sm_core_stats *out, unsigned cls, const struct sm_mcount *n, uint64_t left)
{
	uint64_t taken = n->pops + n->bumped;
	struct sm_core_class k = {
		.hits = taken > n->refills ? taken - n->refills : 0,
		.refills = n->refills,
		.overflows = n->overflows,
		.steals = n->steals,
		.remote = n->remote,
	};

	sm__core_add(out, cls, &k, left);
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

static void add_cores(unsigned from, unsigned to, struct sm_core_stats *out)
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

/* ---- depots ---- */

static void add_depots(struct sm_heap_stats *out, unsigned cls)
{
	struct sm_manual *g = &sm__manual;

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

/* ---- checks ---- */

static const char *check(void)
{
	const char *why = sm__shard_check();

	return why == NULL && sm__manual.percpu ? sm__mbudget_check() : why;
}

const struct sm_heap_owner sm__malloc_owner = {
	.check_span = sm__munits_check,
	.check = check,
	.add_cores = add_cores,
	.add_depots = add_all_depots,
};
