/*
 * cpu_avoid.h: the collector's own threads keep off the CPUs on which mutators run.
 *
 * The kernel does not know that a mutator beside which the control thread or a worker wakes is the one thread that is
 * not to wait: it may put them on one CPU, where the mutator then stands still for as long as the other works, up to a
 * time slice of milliseconds, while a CPU next to it serves the collector's other threads. So once a cycle, behind its
 * first handshake, in which each running mutator tells its CPU, the control thread, the scavenger and so many dedicated workers as
 * there are CPUs left are bound to the CPUs that are left.
 *
 * Nothing is forced: what a thread was bound to before (by the program in config.worker_start, by taskset, by a
 * cpuset) is only ever narrowed, never where nothing would be left, and given back when mutators are gone. A change
 * from outside is taken over at the next cycle. gc.aside=0: off.
 */
#ifndef SM_COLLECTOR_CPU_AVOID_H
#define SM_COLLECTOR_CPU_AVOID_H

#include <sched.h>
#include <stdbool.h>
#include <sys/types.h>

#include "allocator/base/atomic.h"

struct sm_gc;

/* A thread of the collector's. */
struct sm_cpu_avoid {
	_Atomic(pid_t) tid; /* set by itself once it may be bound; 0: not yet */
	/* control thread */
	cpu_set_t own; /* what it is bound to without us */
	cpu_set_t set; /* what we bound it to last */
};

/* Called by the thread itself, when whoever starts it has bound it as they like. */
void sm__cpu_avoid_ready(struct sm_cpu_avoid *a);
/* Control thread, at the start of a cycle: each mutator has told its CPU. */
void sm__cpu_avoid_step(struct sm_gc *gc);

/* The mask that one thread gets: own without busy, or own where nothing would be left. Exposed for the tests. */
void sm__cpu_avoid_mask(cpu_set_t *want, const cpu_set_t *own, const cpu_set_t *busy);

#endif
