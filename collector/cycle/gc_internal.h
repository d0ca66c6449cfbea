/*
 * gc_internal.h: struct sm_gc, what every file of the collector shares.
 */
#ifndef SM_COLLECTOR_GC_INTERNAL_H
#define SM_COLLECTOR_GC_INTERNAL_H

#include "allocator/base/lock.h"
#include "collector/compact/armed.h"
#include "collector/compact/compact.h"
#include "collector/mark/cpu_avoid.h"
#include "collector/cycle/cycle.h"
#include "collector/roots/ephemeron.h"
#include "collector/roots/finalizer.h"
#include "collector/generations/generation.h"
#include "spanmark/gc.h"
#include "collector/roots/handle.h"
#include "collector/mutator/handshake.h"
#include "collector/mark/mark.h"
#include "collector/mark/markchoice.h"
#include "collector/span/markspan.h"
#include "collector/mark/markworker.h"
#include "collector/mutator/mutator_internal.h"
#include "collector/cycle/pacer.h"
#include "collector/generations/remember.h"
#include "collector/roots/roots.h"
#include "collector/mutator/throttle.h"
#include "collector/types/typedesc.h"
#include "collector/roots/weak.h"

struct sm_inspection;

#define SM_SET_NONE SIZE_MAX

struct sm_gc {
	/* fixed after creation */
	struct sm_range range; /* a copy of the heap's */
	struct sm_remember remember;
	struct sm_heap *heap;
	struct sm_gc_config config;
	unsigned nnodes;
	unsigned cpus;		      /* that the creating thread might run on */
	unsigned nworkers;	      /* dedicated */
	unsigned nall_workers;	      /* those, then fractional, then idle ones */
	_Atomic(uint8_t) *unit_flags; /* SM_UNIT_*, [unit] */
	bool have_control;
	struct sm_by_span by_span;
	struct sm_generations gen;

	struct sm_throttle throttle;

	/* Written by mutators now and then. */
	_Atomic(uint32_t) overflowed __attribute__((aligned(SM_CACHELINE)));
	/* there are types whose words may be anything: set for good */
	_Atomic(uint32_t) doubtful;
	_Atomic(uint32_t) windows_black; /* all of them, the BLACK round is over; control thread */
	/* the collector's threads have CPUs on which no mutator ran: cpu_avoid.c */
	_Atomic(uint32_t) own_cpus;
	_Atomic(uint64_t) assist_ns, assist_bytes;
	/* with gc.trace=1: reading that clock costs a system call */
	_Atomic(uint64_t) assist_cpu_ns;
	_Atomic(uint64_t) scan_done; /* bytes scanned in this cycle, in steps */
	_Atomic(uint64_t) swept;     /* spans swept in this cycle, by all threads */

	struct sm_workq workq;

	struct sm_lock mutators_lock;
	struct sm_mutator_priv *mutators;
	unsigned nmutators;
	struct sm_mutator_priv *idle; /* of threads that are gone, for the next ones */
	unsigned nidle;
	struct sm_view view;
	struct sm_handshake hs;

	struct sm_roots roots;
	struct sm_cells handles;
	struct sm_marker root_marker; /* under roots.marker_lock */
	struct sm_cells weaks;
	struct sm_ephemerons ephemerons;
	struct sm_finalizers finalizers;
	struct sm_pins pins;
	struct sm_compact compact;
	struct sm_armed armed;

	struct sm_gc *next; /* list of all, under fork.c's lock */

	struct sm_lock types_lock;
	struct sm_type_table types;
	/* bytes of one span of each bin that a shape has earned; written under types_lock */
	_Atomic(size_t) promised;

	/* Cycles. Counts only grow. */
	struct sm_lock control_lock;
	/* Asked for by sm_gc_set_*, taken over by pace_next_cycle(); SET_NONE: nothing. */
	_Atomic(size_t) set_limit, set_percent;
	struct sm_lock callback_lock; /* held while it runs, so below all that it may take */
	sm_cycle_fn *on_cycle;	      /* under callback_lock */
	void *on_cycle_ctx;
	_Atomic(struct sm_inspection *) inspections; /* written under the lock; inspect.h */
	_Atomic(uint64_t) cycles_wanted;	     /* so many cycles are to be started */
	/* .. and have been; written by the control thread */
	_Atomic(uint64_t) cycles_started;
	_Atomic(uint64_t) cycles_completed; /* .. and are swept; likewise */
	_Atomic(uint32_t) quit;
	/* set when the control thread has ended: a cycle needs its workers */
	_Atomic(uint32_t) workers_quit;
	_Atomic(uint32_t) forked; /* this is the child of a fork: no threads, no cycles */
	struct sm_event wake;	  /* the control thread's */
	struct sm_event done;	  /* a cycle was completed */
	pthread_t control;
	_Atomic(uint32_t) phase; /* enum sm_gc_phase */

	/* control thread */
	struct sm_cpu_avoid control_cpu_avoid, scavenger_cpu_avoid;
	struct sm_marker marker;
	struct sm_pacer pacer;
	struct sm_cycle cycle;

	struct sm_mark_choice choice; /* gc.mark=auto */
	/* one worker and the world stopped: it marks without read-modify-writes */
	bool plain_marks;
	size_t verify_reached;
	uint64_t spans_last;   /* swept in the last cycle */
	size_t alloc_at_start; /* heap->allocated_bytes when the current cycle began */
	size_t born_from;      /* .. when mutators began to allocate black */
	size_t due_from;       /* .. when it was due: growth counts from here */
	uint64_t cpu_at_end;   /* CPU time of the process when the last cycle was paced */

	struct sm_mark_worker *workers;
	_Atomic(uint32_t) worker_epoch; /* odd: workers mark */
	_Atomic(uint32_t) workers_in;	/* that have come and not yet left */
	struct sm_event workers_go, workers_out;

	struct sm_lock stats_lock;
	struct sm_gc_stats stats;	   /* under stats_lock */
	struct sm_stall_set dead_stalls;   /* of mutators that are gone */
	uint64_t stalls_traced;		   /* how many the trace has printed */
	struct sm_mark_counts dead_counts; /* likewise; taken over at each cycle's end */
	struct sm_span_counts dead_spans;  /* likewise */
	struct sm_span_counts spans_total; /* of all cycles, under stats_lock */
	uint64_t marked_by_workers;	   /* likewise */
	struct sm_cycle last;
	/* told of each cycle; NULL: nobody is */
	sm__cycle_fn *cycle_told;
	void *cycle_told_ctx;
};

/* Any thread that sweeps or marks. */
SM_INLINE bool sm__gen_on(const struct sm_gc *gc)
{
	return sm_load_relaxed(&gc->gen.on) != 0;
}

/* Has the unit that addr lies in this flag, SM_UNIT_*? addr may be any word. */
SM_INLINE bool sm__unit_has(const struct sm_gc *gc, uintptr_t addr, uint8_t flag)
{
	uintptr_t off = addr - gc->range.base;

	return off < gc->range.bytes &&
	       (sm_load_relaxed(&gc->unit_flags[off >> SM_UNIT_SHIFT]) & flag) != 0;
}

/* gc.c */
void sm__gc_ask(struct sm_gc *gc); /* wake the control thread for one more cycle */
/* Wakes the control thread and waits until it has signalled `done` with *count at `least`, in a
 * blocking section of m unless that is NULL. */
void sm__gc_wait(struct sm_gc *gc, struct sm_mutator *m, const _Atomic(uint64_t) *count,
		 uint64_t least);
/* A cycle that starts after the call has completed; full: not a minor one. -ENOTSUP in the child of
 * a fork. */
int sm__gc_collect_and_wait(struct sm_gc *gc, struct sm_mutator *m, bool full);
/* .. and objects have moved behind it. -ENOMEM: they have not. */
int sm__gc_compact_and_wait(struct sm_gc *gc, struct sm_mutator *m);

/* Testing (gc.delay_us): widens the window between two steps that a race could hit. */
void sm__delay_slow(struct sm_gc *gc);
SM_INLINE void sm__delay(struct sm_gc *gc)
{
	if (SM_UNLIKELY(gc->config.tuning.delay_us != 0))
		sm__delay_slow(gc);
}

/* Is every member what its key takes? 0, or -EINVAL and a line in err (errlen bytes). */
int sm__gc_config_check(const struct sm_gc_config *cfg, char *err, size_t errlen);

#endif
