/*
 * cpu_budget.c: how much the cache of each CPU may hold (cache.mode=cpu): cache.budget, and which
 * cache yields to which.
 *
 * A list grows by need: to two batches when it is first used, further only when it overflowed after
 * it had run dry, which is when more would have helped (TCMalloc's rule). What it may have is
 * `cap`, paid for from the CPU's budget:
 *
 *     grow --> the CPU's own budget, as far as it is unused
 *          --> other CPUs' budgets: what is unused there; what
 *              they have beyond their share, if we have less than ours
 *          --> its own classes that are idle give half of theirs
 *          --> a CPU that is idle is drained: the next to grow finds its budget
 *
 * A CPU is idle that took no slow path since the last look; a look is taken once in LOOK_EVERY
 * times that budget is short.
 *
 * No CPU's budget falls below a quarter of its share, so a CPU that wakes up can work at once, and
 * gets the rest back from those that have more than a share. Taking from a cap takes no object:
 * `over` tells the next slow path on that CPU to give away what lists have too much.
 *
 * All of it under one lock that is only tried: a CPU that finds it taken does not grow.
 */
#include <errno.h>

#include "allocator/malloc/cpu_cache.h"
#include "allocator/malloc/depot.h"

#define DEFAULT_BUDGET (2 * SM_MIB)
#define MOST_BATCHES   16   /* bound of a list without cache.slots, */
#define MOST	       8192 /* and of any: as SM_SLOTS_MAX in config.c */
#define LOOK_EVERY     64

static size_t slot_bytes(unsigned cls)
{
	return sm__sizeclasses[cls].slot_bytes;
}

static uint64_t slow_paths(const struct sm_mcpu_class *k)
{
	return sm__count_read(&k->n.refills) + sm__count_read(&k->n.overflows);
}

/* m is ready. */
static void set_cap(struct sm_mcpu *m, unsigned cls, uint32_t cap)
{
	sm_store_relaxed(&m->cap[cls], cap);
	sm_store_relaxed(&sm_load_relaxed(&m->slab)->end[cls], m->cls[cls].begin + cap);
}

/* ---- tunables ----------------------------------------------------------------------------- */

static void read_tunables(struct sm_mcpu *m, unsigned cpu)
{
	const struct sm_process_heap *g = &sm__process_heap;
	const struct sm_heap_config *cfg = &g->heap->config;

	for (unsigned cls = 1; cls < sm__nclasses; cls++) {
		struct sm_mcpu_class *k = &m->cls[cls];
		struct sm_knobs set = sm__knobs_of(cfg, cls, (int)cpu);

		k->most = set.slots ? set.slots : MOST_BATCHES * g->list[cls];
		k->most = k->most < MOST ? k->most : MOST;
		k->batch = set.batch ? set.batch : g->list[cls];
		if (k->batch > k->most)
			k->batch = k->most;
		k->spans = set.spans ? set.spans : SM_MALLOC_SPANS;
	}
}

void sm__mbudget_prepare(unsigned cpu)
{
	struct sm_process_heap *g = &sm__process_heap;
	struct sm_mcpu *m = &g->slabs[cpu];

	sm_lock_acquire(&g->budget_lock);
	if (!sm_load_relaxed(&m->ready)) {
		size_t budget = sm__config_knob(&g->heap->config, SM_KNOB_BUDGET, 0, (int)cpu);

		read_tunables(m, cpu);
		if (!sm__mcpu_make_locked(cpu)) {
			sm_lock_release(&g->budget_lock);
			return;
		}
		m->share = budget ? budget : DEFAULT_BUDGET;
		sm_store_relaxed(&m->budget, m->share);
		m->hand = 1;
		sm_store_release(&m->ready, true);
	}
	sm_lock_release(&g->budget_lock);
}

/* ---- taking, under budget_lock ------------------------------------------------------------ */

static size_t unused(const struct sm_mcpu *m)
{
	size_t budget = sm_load_relaxed(&m->budget), used = sm_load_relaxed(&m->used);

	return budget > used ? budget - used : 0;
}

static void cut_cap(struct sm_mcpu *m, unsigned cls, uint32_t n)
{
	uint32_t cap = sm_load_relaxed(&m->cap[cls]);

	SM_CHECK(n <= cap);
	set_cap(m, cls, cap - n);
	sm_store_relaxed(&m->used, sm_load_relaxed(&m->used) - n * slot_bytes(cls));
	sm_store_release(&m->over, true);
}

enum classes { IDLE, ALL };

/* The classes of a CPU give `bytes`, those first whose turn it is: half of what each has. */
static void take_from_classes(struct sm_mcpu *m, unsigned but, size_t bytes, enum classes of)
{
	size_t wanted = unused(m) + bytes;

	for (unsigned i = 1; i < sm__nclasses && unused(m) < wanted; i++) {
		unsigned cls = m->hand;
		struct sm_mcpu_class *k = &m->cls[cls];
		uint64_t slow = slow_paths(k);
		bool busy = slow != k->seen;

		m->hand = cls + 1 < sm__nclasses ? cls + 1 : 1;
		if (cls != but && (of == ALL || !busy) && sm_load_relaxed(&m->cap[cls]) != 0)
			cut_cap(m, cls, (sm_load_relaxed(&m->cap[cls]) + 1) / 2);
	}
}

static void move_budget(struct sm_mcpu *from, struct sm_mcpu *to, size_t bytes)
{
	sm_store_relaxed(&from->budget, sm_load_relaxed(&from->budget) - bytes);
	sm_store_relaxed(&to->budget, sm_load_relaxed(&to->budget) + bytes);
}

/* What `o` can do without, at most bytes. */
static size_t to_spare(struct sm_mcpu *o, const struct sm_mcpu *m, size_t bytes)
{
	size_t budget = sm_load_relaxed(&o->budget), least = o->share / 4, free;

	if (budget > o->share && sm_load_relaxed(&m->budget) < m->share && unused(o) < bytes) {
		size_t more = budget - o->share, short_of = bytes - unused(o);

		take_from_classes(o, 0, more < short_of ? more : short_of, ALL);
	}
	free = budget > least ? budget - least : 0;
	free = free < unused(o) ? free : unused(o);
	return free < bytes ? free : bytes;
}

/* Other CPUs give `bytes`, or what they have. */
static void take_from_cpus(struct sm_mcpu *m, size_t bytes)
{
	struct sm_process_heap *g = &sm__process_heap;

	for (unsigned i = 0; i < g->nslabs && bytes > 0; i++) {
		unsigned cpu = g->budget_hand;
		struct sm_mcpu *o = &g->slabs[cpu];
		size_t given;

		g->budget_hand = cpu + 1 < g->nslabs ? cpu + 1 : 0;
		if (o == m || !sm_load_relaxed(&o->ready))
			continue;
		given = to_spare(o, m, bytes);
		move_budget(o, m, given);
		bytes -= given;
	}
}

/* Takes a look: which of m's classes are idle from here on; and a CPU that is idle and holds
 * something, or -1. */
static int look_at_cpus(struct sm_mcpu *m)
{
	struct sm_process_heap *g = &sm__process_heap;
	int idle = -1;

	for (unsigned cls = 1; cls < sm__nclasses; cls++) {
		struct sm_mcpu_class *k = &m->cls[cls];

		k->seen = slow_paths(k);
	}
	for (unsigned cpu = 0; cpu < g->nslabs; cpu++) {
		struct sm_mcpu *o = &g->slabs[cpu];
		uint32_t slow = sm_load_relaxed(&o->slow);

		if (o == m || !sm_load_relaxed(&o->ready))
			continue;
		if (slow == sm_load_relaxed(&o->seen_budget) && sm_load_relaxed(&o->used) != 0)
			idle = (int)cpu;
		sm_store_relaxed(&o->seen_budget, slow);
	}
	return idle;
}

/* ---- for cpu_cache.c ---------------------------------------------------------------------- */

static unsigned grow_locked(struct sm_mcpu *m, unsigned cls, unsigned want, int *idle)
{
	uint32_t cap = sm_load_relaxed(&m->cap[cls]), most = m->cls[cls].most;
	size_t slot = slot_bytes(cls), bytes;

	want = cap >= most ? 0 : want < most - cap ? want : most - cap;
	bytes = want * slot;
	if (unused(m) < bytes)
		take_from_cpus(m, bytes - unused(m));
	if (unused(m) < bytes)
		take_from_classes(m, cls, bytes - unused(m), IDLE);
	if (unused(m) < bytes && sm__process_heap.budget_short++ % LOOK_EVERY == 0)
		*idle = look_at_cpus(m);
	/* A list that has nothing at all is worth half of what others have. */
	if (unused(m) < slot && cap == 0)
		take_from_classes(m, cls, slot, ALL);
	if (unused(m) < bytes)
		want = (unsigned)(unused(m) / slot);
	set_cap(m, cls, cap + want);
	sm_store_relaxed(&m->used, sm_load_relaxed(&m->used) + want * slot);
	return want;
}

unsigned sm__mbudget_grow(unsigned cpu, unsigned cls, unsigned want, int *idle)
{
	struct sm_process_heap *g = &sm__process_heap;
	unsigned got;

	*idle = -1;
	/* A CPU whose stacks found no memory has no use for budget, and would lose it when they do
	 * (prepare). */
	if (!sm_load_acquire(&g->slabs[cpu].ready) || !sm_lock_try(&g->budget_lock))
		return 0;
	got = grow_locked(&g->slabs[cpu], cls, want, idle);
	sm_lock_release(&g->budget_lock);
	return got;
}

void sm__mbudget_drained(unsigned cpu)
{
	struct sm_process_heap *g = &sm__process_heap;
	struct sm_mcpu *m = &g->slabs[cpu];

	sm_lock_acquire(&g->budget_lock);
	for (unsigned cls = 1; cls < sm__nclasses; cls++)
		set_cap(m, cls, 0);
	sm_store_relaxed(&m->used, 0);
	sm_lock_release(&g->budget_lock);
}

const char *sm__mbudget_check(void)
{
	struct sm_process_heap *g = &sm__process_heap;
	size_t budgets = 0, shares = 0;
	const char *why = NULL;

	sm_lock_acquire(&g->budget_lock);
	for (unsigned cpu = 0; cpu < g->nslabs; cpu++) {
		struct sm_mcpu *m = &g->slabs[cpu];
		size_t used = 0;

		for (unsigned cls = 1; cls < sm__nclasses; cls++)
			used += sm_load_relaxed(&m->cap[cls]) * slot_bytes(cls);
		if (used != sm_load_relaxed(&m->used))
			why = "a CPU's used budget is not the sum of its lists";
		if (used > sm_load_relaxed(&m->budget))
			why = "a CPU uses more than its budget";
		budgets += sm_load_relaxed(&m->budget);
		shares += m->share;
	}
	if (budgets != shares)
		why = "budgets do not add up to the shares";
	sm_lock_release(&g->budget_lock);
	return why;
}
