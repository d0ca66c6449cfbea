/* cycle_pace.c: what a cycle has found, for the pacer, and what it makes of that. */
#include "collector/cycle/cycle.h"

#include "allocator/pages/scavenge.h"
#include "collector/cycle/gc_internal.h"

size_t sm__heap_allocated(struct sm_gc *gc)
{
	return sm_load_relaxed(&gc->heap->allocated_bytes);
}

size_t sm__allocated_since(size_t now, size_t from)
{
	return now > from ? now - from : 0;
}

/* What a stack holds is not known until it is scanned: a page each. */
static size_t stack_bytes(struct sm_gc *gc)
{
	unsigned n;

	sm_lock_acquire(&gc->mutators_lock);
	n = gc->nmutators;
	sm_lock_release(&gc->mutators_lock);
	return n * 4 * SM_KIB;
}

/* What the heap takes of memory: spans, free units that are resident, metadata of both. */
static size_t heap_mapped(struct sm_gc *gc, size_t *in_use, size_t *dirty)
{
	size_t unit = SM_UNIT + sizeof(struct sm_span) + (gc->by_span.made ? 2 : 1) * SM_UNIT / 128;

	if (sm__gen_on(gc))
		unit += sm__gen_unit_bytes(gc);
	sm__pageheap_resident(&gc->heap->pages, in_use, dirty);
	return (*in_use + *dirty) / SM_UNIT * unit + gc->workq.bytes +
	       sm_load_relaxed(&gc->remember.log_bytes);
}

void sm__keep_limit(struct sm_gc *gc)
{
	size_t in_use, dirty, now = heap_mapped(gc, &in_use, &dirty),
			      limit = gc->pacer.config.limit;

	if (limit != 0 && now > limit && dirty != 0)
		sm__scavenge(&gc->heap->pages, now - limit < dirty ? dirty - (now - limit) : 0);
}

/* Mutators read the limit, see throttle.c: any of the two values does for them. */
static void take_settings(struct sm_gc *gc)
{
	size_t limit = sm_exchange_acqrel(&gc->set_limit, SM_SET_NONE);
	size_t percent = sm_exchange_acqrel(&gc->set_percent, SM_SET_NONE);

	if (limit != SM_SET_NONE)
		__atomic_store_n(&gc->pacer.config.limit, limit ? limit : gc->config.heap.limit,
				 __ATOMIC_RELAXED);
	if (percent != SM_SET_NONE)
		gc->pacer.config.percent = (unsigned)percent;
}

/* Live is what was marked, and what was handed out since the barrier went on, which is black or
 * alive. */
void sm__pace_next_cycle(struct sm_gc *gc, struct sm_cycle *c)
{
	struct sm_pacer_cycle pc = {0};
	size_t now = sm__heap_allocated(gc), dirty;
	double wall = (double)(c->marked - c->marking);
	uint64_t cpu = sm__process_ns();

	take_settings(gc);
	c->allocated_during = sm__allocated_since(now, gc->alloc_at_start);
	pc.born = sm__allocated_since(now, gc->born_from);
	pc.minor = c->minor;
	pc.live = c->old_bytes + c->n.bytes + pc.born;
	pc.growth =
		sm__throttle_unheld(gc, sm__allocated_since(now, gc->due_from), c->off - c->start);
	pc.scan = c->n.scan_bytes;
	/* Nothing has been swept yet: now is when the heap takes most. */
	pc.mapped = heap_mapped(gc, &c->spans, &dirty) - dirty;
	pc.heap = now + sm_load_relaxed(&gc->throttle.live);
	pc.roots = stack_bytes(gc) + sm__roots_bytes(gc);
	c->assist_ns = sm_load_relaxed(&gc->assist_ns);
	c->assist_cpu_ns = sm_load_relaxed(&gc->assist_cpu_ns);
	/* With gc.sync the goal is a function of the heap alone, not of time. */
	if (wall > 0 && !gc->config.tuning.sync)
		pc.utilization = (double)(c->worker_ns + c->assist_ns) / (wall * (double)gc->cpus);
	if (cpu > gc->cpu_at_end && !gc->config.tuning.sync)
		pc.cost = (double)(c->worker_ns + c->assist_ns) / (double)(cpu - gc->cpu_at_end);
	gc->cpu_at_end = cpu;
	c->heap_marked = pc.live;
	sm__pacer_end_cycle(&gc->pacer, &pc);
	sm__gen_judge(gc, c);
	c->goal = gc->pacer.goal;
	c->trigger = gc->pacer.trigger;
	sm_store_relaxed(&gc->throttle.live, pc.live - now);
	sm__throttle_set(gc, now, pc.live);
}
