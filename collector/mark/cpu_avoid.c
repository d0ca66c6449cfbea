/* cpu_avoid.c: finding the busy CPUs, and binding the collector's threads away from them. */
#include "collector/mark/cpu_avoid.h"

#include <sys/syscall.h>
#include <unistd.h>

#include "collector/cycle/gc_internal.h"

void sm__cpu_avoid_ready(struct sm_cpu_avoid *a)
{
	sm_store_release(&a->tid, (pid_t)syscall(SYS_gettid));
}

void sm__cpu_avoid_mask(cpu_set_t *want, const cpu_set_t *own, const cpu_set_t *busy)
{
	cpu_set_t both;

	CPU_AND(&both, own, busy);
	CPU_XOR(want, own, &both);
	if (CPU_COUNT(want) == 0)
		*want = *own;
}

/* The CPUs of mutators that run. One in a blocking section needs none. */
static void find_busy(struct sm_gc *gc, cpu_set_t *busy)
{
	CPU_ZERO(busy);
	sm_lock_acquire(&gc->mutators_lock);
	for (struct sm_mutator_priv *p = gc->mutators; p; p = p->next) {
		int cpu = sm_load_relaxed(&p->cpu);

		if (cpu >= 0 && cpu < CPU_SETSIZE)
			CPU_SET(cpu, busy);
	}
	sm_lock_release(&gc->mutators_lock);
}

/* More CPUs than a cpu_set_t has, or a thread that is gone: errors leave everything as it is. */
static void bind_thread(struct sm_cpu_avoid *a, const cpu_set_t *busy)
{
	pid_t tid = sm_load_acquire(&a->tid);
	cpu_set_t now, want;

	if (tid == 0 || sched_getaffinity(tid, sizeof(now), &now) != 0)
		return;
	if (!CPU_EQUAL(&now, &a->set))
		a->own = now; /* the program's choice */
	sm__cpu_avoid_mask(&want, &a->own, busy);
	a->set = now;
	if (!CPU_EQUAL(&want, &now) && sched_setaffinity(tid, sizeof(want), &want) == 0)
		a->set = want;
}

/* How many CPUs a thread that is bound to nothing else would have left. */
static unsigned count_left(const struct sm_cpu_avoid *a, const cpu_set_t *busy)
{
	cpu_set_t both;

	CPU_AND(&both, &a->own, busy);
	return (unsigned)(CPU_COUNT(&a->own) - CPU_COUNT(&both));
}

void sm__cpu_avoid_step(struct sm_gc *gc)
{
	static const cpu_set_t none;
	cpu_set_t busy;
	unsigned left;

	if (!gc->config.tuning.avoid_cpus)
		return;
	find_busy(gc, &busy);
	bind_thread(&gc->control_cpu_avoid, &busy);
	bind_thread(&gc->scavenger_cpu_avoid, &busy);
	left = count_left(&gc->control_cpu_avoid, &busy);
	sm_store_relaxed(&gc->own_cpus, left > 0);
	/* A worker for which no CPU is left shares one with a mutator: the program asked for so
	 * many. Idle workers delay no thread. */
	for (unsigned i = 0; i < gc->nall_workers; i++) {
		struct sm_mark_worker *w = &gc->workers[i];

		if (w->kind != SM_WORKER_IDLE)
			bind_thread(&w->cpu_avoid, i < left ? &busy : &none);
	}
}
