/*
 * corestats.c: what caches counted, core by core. Hits are derived, so that counting them costs
 * nothing:
 *
 *   windows        slots taken - slots returned - slots left = objects; less those that came with a
 *                  refill
 *   lists          objects popped (in room[], thread_cache.h) and bumped; less those that came with
 *                  a refill
 *   lists per CPU  pops, counted in the stack's word (rseq.h), less those of objects that were
 *                  given away
 *
 * Owners go on while we look: each read is an aligned word, a difference may be a moment old and is
 * never negative.
 */
#include "allocator/stats/corestats.h"

#include <errno.h>
#include <string.h>

#include "allocator/objects/cache_cpu.h"

static uint64_t less(uint64_t a, uint64_t b)
{
	return a > b ? a - b : 0;
}

void sm__core_add(struct sm_core_stats *out, unsigned cls, const struct sm_class_counts *n,
		  uint64_t left, uint64_t held)
{
	struct sm_core_class *o = &out->cls[cls];

	o->hits += less(less(n->taken, n->returned), left + n->refills);
	o->refills += n->refills;
	o->overflows += n->overflows;
	o->steals += n->steals;
	o->remote += n->remote;
	o->held_bytes += held * sm__sizeclasses[cls].slot_bytes;
	out->held_bytes += held * sm__sizeclasses[cls].slot_bytes;
}

static void add_cache(struct sm_heap *h, const struct sm_cache *c, struct sm_core_stats *out)
{
	uint32_t nbins = sm_load_acquire(&h->nbins);
	uint64_t left[SM_NCLASSES_MAX] = {0};

	for (uint32_t bin = 1; bin < nbins; bin++) {
		const struct sm_window *w = &c->windows[bin];
		const char *cur = __atomic_load_n(&w->cur, __ATOMIC_RELAXED);
		const char *end = __atomic_load_n(&w->end, __ATOMIC_RELAXED);

		if (cur != NULL && end > cur)
			left[h->bins[bin].cls] += (uint64_t)(end - cur) /
						  sm__sizeclasses[h->bins[bin].cls].slot_bytes;
	}
	for (unsigned cls = 1; cls < sm__nclasses; cls++) {
		struct sm_class_counts n = sm__counts_read(&c->cls[cls]);

		sm__core_add(out, cls, &n, left[cls], left[cls]);
	}
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
		struct sm_class_counts n = sm__counts_read(&k->cls[cls]);

		sm__core_add(out, cls, &n, left[cls], left[cls]);
	}
	out->drains += sm_load_relaxed(&k->drains);
	out->budget_bytes = budget == SIZE_MAX ? 0 : budget;
}

void sm__core_add_dead(struct sm_core_stats *out, const struct sm_class_counts *dead)
{
	for (unsigned cls = 1; dead != NULL && cls < sm__nclasses; cls++)
		sm__core_add(out, cls, &dead[cls], 0, 0);
}

static void add_heap(struct sm_heap *h, unsigned from, unsigned to, struct sm_core_stats *out)
{
	sm_lock_acquire(&h->caches_lock);
	for (const struct sm_cache *c = h->caches; c != NULL; c = c->next)
		if ((unsigned)c->cpu >= from && (unsigned)c->cpu < to)
			add_cache(h, c, out);
	for (unsigned cpu = from; cpu < to; cpu++)
		sm__core_add_dead(out, sm__dead_counts(h, h->dead_classes, cpu, false));
	sm_lock_release(&h->caches_lock);
	for (unsigned cpu = from; h->cpus != NULL && cpu < to && cpu < h->cpus->table.ncpus; cpu++)
		add_cpu_windows(h, cpu, out);
}

/* ---- the calls ---------------------------------------------------------------------------- */

void sm__core_sum(struct sm_heap *h, int cpu, struct sm_core_stats *out)
{
	unsigned from = cpu < 0 ? 0 : (unsigned)cpu, to = cpu < 0 ? h->ncpus : from + 1;

	memset(out, 0, sizeof(*out));
	out->version = SM_CORE_STATS_VERSION;
	out->cpu = from;
	if (h->owner != NULL)
		h->owner->add_cores(from, to, out);
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
