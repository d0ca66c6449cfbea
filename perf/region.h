/*
 * Time and counts of one thread, attributed to regions.
 *
 * A region is a small integer that the caller names (application code, refill, mark, sweep, ...; at
 * most SM_REGION_MAX). A thread opens its counters once with sm_region_thread_open() and is then
 * always in exactly one region: sm_region_enter() pushes, sm_region_leave() pops, and each of them
 * reads the clock and the counters and gives what passed since the last change to the region that
 * was current. So regions nest, accounting is *exclusive*, and the sums over regions equal the
 * thread's total by construction (sm_region_total, tested).
 *
 *     t = sm_region_thread_open(cs, &(struct sm_region_options){.n_regions = N, .pass = p, .pu_os =
 *     cpu}, ...); sm_region_enter(t, REFILL);  ...  sm_region_leave(t);
 *     sm_region_thread_stop(t);                 // by the thread itself, at its end
 *     sm_region_get(t, REFILL, kind, readings, &time);   // by any thread
 *
 * Cost: a tick read and, per group, a user-space counter read (tens of ns) or one system call
 * (hundreds). It is measured when the thread opens and reported (sm_region_cost); regions that
 * change every few microseconds can be made *light*: then groups that need a system call are not
 * read there and their counts stay with the enclosing region, which is what the light region's
 * readings say. Time and user-readable counters are exclusive everywhere.
 *
 * Threads: enter, leave, reset and stop belong to the owner. sm_region_get/total/cost may be called
 * by any thread at any time; they see a consistent state of the last change (a sequence lock). NULL
 * is a valid sm_region_thread everywhere: nothing happens, so that hooks need no test. Signals: a
 * handler that interrupts enter or leave and calls them itself is ignored (counted in `dropped`).
 */
#ifndef SM_PERF_REGION_H
#define SM_PERF_REGION_H

#include "perf/counterset.h"

#define SM_REGION_MAX	16
#define SM_REGION_DEPTH 16 /* nesting; deeper entries are attributed to the region at this depth */

struct sm_region_thread;

struct sm_region_options {
	unsigned n_regions; /* 1 .. SM_REGION_MAX */
	unsigned first;	    /* the region that the thread starts in */
	unsigned pass;	    /* which pass of the set to count */
	int pu_os;	    /* the CPU it is pinned to, -1: not pinned */
	uint32_t light;	    /* bit set of light regions */
};

struct sm_region_time {
	uint64_t ns;	 /* wall time in the region, exclusive */
	uint64_t enters; /* how often it was entered */
};

/* What the measuring itself costs. */
struct sm_region_cost {
	double ns_per_change;		/* one enter or leave, everything read */
	double ns_per_light_change;	/* ... of a light region */
	double instructions_per_change; /* user-mode instructions, NAN when they are not counted */
	uint64_t changes, light_changes;
	uint64_t total_ns;	/* the thread's time in all regions */
	double share;		/* of total_ns, estimated: changes x cost / total */
	enum sm_read_mode mode; /* how hardware events are read (none: there are none) */
	/* enters or leaves ignored: from signal handlers, or leave without enter */
	uint64_t dropped;
};

/*
 * Opens the counters of one pass for the calling thread and starts in region `first`. Events that
 * cannot be opened are told in the readings. Returns 0 and *out; -EINVAL (n_regions, pass) or
 * -ENOMEM with err.
 */
int sm_region_thread_open(const struct sm_counterset *cs, const struct sm_region_options *opt,
			  struct sm_region_thread **out, char *err, size_t errlen);

/* Owner only. Unknown region numbers are taken as `first`. */
void sm_region_enter(struct sm_region_thread *t, unsigned region);
void sm_region_leave(struct sm_region_thread *t);

/* Owner only: forgets everything counted so far (after a warm-up), staying in the current region.
 */
void sm_region_reset(struct sm_region_thread *t);

/* Owner only: accounts for the time since the last change, stops and closes the counters. Readings
 * remain. */
void sm_region_thread_stop(struct sm_region_thread *t);

/* Frees; the thread must have stopped (or ended). */
void sm_region_thread_free(struct sm_region_thread *t);

/*
 * The readings of one region on one core kind: readings[i] for event i of the set (cs->n_events of
 * them), and the time. Kinds other than that of the thread's CPU read "not opened". time may be
 * NULL.
 */
void sm_region_get(const struct sm_region_thread *t, unsigned region, unsigned kind,
		   struct sm_reading *readings, struct sm_region_time *time);

/* The same over all regions, by the thread's first and last reading, not by adding up: light
 * regions included. */
void sm_region_total(const struct sm_region_thread *t, unsigned kind, struct sm_reading *readings,
		     struct sm_region_time *time);

void sm_region_cost(const struct sm_region_thread *t, struct sm_region_cost *out);

/* The kind of core the thread's counters belong to; 0 when it is not pinned. */
unsigned sm_region_kind(const struct sm_region_thread *t);

#endif
