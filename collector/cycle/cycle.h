/*
 * cycle.h: one cycle: its phases and its figures.
 */
#ifndef SM_COLLECTOR_CYCLE_H
#define SM_COLLECTOR_CYCLE_H

#include "collector/mark/mark.h"

/* What the cycle is doing, for traces and for the fork handler; written by the control thread. */
enum sm_gc_phase { SM_GC_OFF, SM_GC_STARTING, SM_GC_MARKING, SM_GC_TERMINATING, SM_GC_SWEEPING };

/* Figures of one cycle, for sm_gc_stats and gc.trace. Control thread; copied under stats_lock. */
struct sm_cycle {
	bool minor;	   /* gc.generations */
	bool generational; /* .. are on */
	bool switches;	   /* gc.generations=auto: the next cycle will not be so, or will */
	uint64_t start, marking, marked, off, swept; /* times */
	size_t spans; /* bytes of all spans in use at the end, nothing swept yet */
	size_t heap_before, heap_marked, goal, trigger, allocated_during;
	struct sm_mark_counts n;
	struct sm_span_counts spans_n;
	uint64_t by_workers;	       /* of n.objects, those that mark workers marked */
	uint64_t worker_ns, assist_ns; /* CPU time; time on the clock */
	uint64_t assist_cpu_ns;	       /* with gc.trace=1 */
	unsigned rounds;	       /* of termination */
	size_t old_bytes;	       /* what a minor one did not mark again */
	uint64_t cards_ns; /* CPU time of looking at the remembered set, the control thread's */
	size_t born;	   /* allocated between barrier on and the end of marking */
	const char *why;
};

/* Is told of a cycle when its figures are complete, by the control thread, which holds stats_lock:
 * it takes no lock and allocates nothing. */
typedef void sm__cycle_fn(void *ctx, const struct sm_cycle *c);

/* ---- what it tells the pacer: cycle_pace.c, control thread ---------------------------------- */

size_t sm__heap_allocated(struct sm_gc *gc);
/* Windows are counted when they are taken, and what is left of them is taken off when they go back,
 * as all do at BLACK: what was allocated may then be less than before, though nothing was freed. */
size_t sm__allocated_since(size_t now, size_t from);
/* Marking is over, nothing is swept: sets goal and trigger for the next cycle. */
void sm__pace_next_cycle(struct sm_gc *gc, struct sm_cycle *c);
/* Spans that were emptied are free units, of which growth up to the next goal is made; but beyond
 * the limit none may stay. */
void sm__keep_limit(struct sm_gc *gc);

/* The control thread. */
void *sm__control_main(void *gc);

#endif
