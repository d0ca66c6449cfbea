/*
 * cpu_avoid.h: the collector's own threads keep off the CPUs on which mutators run.
 *
 * The kernel may wake the control thread or a worker on a mutator's CPU. The mutator then waits for
 * as long as the other works, up to a time slice of milliseconds, even if another CPU is free. So
 * the control thread binds the collector's threads once a cycle. In the first handshake each
 * running mutator reports its CPU. The control thread, the scavenger and as many dedicated workers
 * as there are CPUs left are bound to the CPUs that are left.
 *
 * A binding that was there before (by the program in config.worker_start, by taskset, by a cpuset)
 * is only narrowed, and never to nothing. It returns when the mutators are gone. A change from
 * outside holds from the next cycle on. gc.avoid_cpus=0: off.
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

/* Called by the thread itself, after config.worker_start. */
void sm__cpu_avoid_ready(struct sm_cpu_avoid *a);
/* Control thread, at the start of a cycle: each mutator has reported its CPU. */
void sm__cpu_avoid_step(struct sm_gc *gc);

/* The mask that one thread gets: own without busy, or own where nothing would be left. Exposed for
 * the tests. */
void sm__cpu_avoid_mask(cpu_set_t *want, const cpu_set_t *own, const cpu_set_t *busy);

#endif
