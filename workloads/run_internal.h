/*
 * run_internal.h: the inside of a run, shared by run.c (threads, reports), timed.c (timed part),
 * session.c (heap, collector, results) and counting.c (counters of each thread).
 */
#ifndef SM_WORKLOADS_RUN_INTERNAL_H
#define SM_WORKLOADS_RUN_INTERNAL_H

#include <pthread.h>
#include <setjmp.h>
#include <sys/resource.h>

#include "collector/cycle/gcstats.h"
#include "workloads/bdwgc.h"
#include "workloads/compactions.h"
#include "workloads/run.h"
#include "workloads/series.h"
#include "workloads/session.h"

struct sm_counting;
struct sm_counted;
struct sm_requests_plan;
struct sm_trace;

/* Totals that only grow, read at both ends of a timed part. */
struct sm_totals {
	uint64_t ns;
	struct sm_gc_stats gc;	       /* all 0 without spanmark's collector */
	struct sm_span_counts scanned; /* likewise; by size class what gc has sums of */
	uint64_t by_workers;	       /* objects that mark workers marked */
	struct sm_bdwgc_totals bdwgc;  /* likewise */
	struct rusage usage;	       /* of the process */
};

struct sm_run {
	/* fixed before the workload runs */
	const struct sm_job *job;
	struct sm_gc *gc;
	bool compacts; /* gc.compact is on */
	unsigned nthreads;
	struct sm_counting *counting;	   /* NULL: nothing is counted */
	struct sm_requests_plan *requests; /* NULL: the workload has none */
	struct sm_trace *trace;		   /* NULL: no timeline */

	/* thread 0 only */
	struct sm_sample *sample;
	struct sm_thread thread0;
	uint64_t start_ns; /* of the session: set-up is what is not timed */
	bool timing;
	struct sm_totals at_begin, timed; /* timed: sums of differences over closed parts */
	uint64_t ticks, base_ticks;	  /* in closed parts; where the clock stood at 0 */
	bool have_ops;
	uint64_t ops;
	struct sm_trail heap; /* history.c; the control thread's while it is told of cycles */
	/* looked at once: results and series tell the same, though looking may wait for a lock */
	struct sm_stall_hist waits[SM_STALL_CAUSES];

	/* Under lock; any thread. */
	pthread_mutex_t lock;
	int error;
	struct sm_huge_pages huge[2]; /* before and behind the last compaction */
};

/* Where a thread that is out of memory goes: see sm_run_out_of_memory. */
struct sm_thread_exit {
	jmp_buf env;
};
extern __thread struct sm_thread_exit *sm__thread_exit;

/* Counts come from Callgrind: instructions are to repeat, and times mean nothing. */
bool sm__run_simulated(const struct sm_run *run);

/* Pins the calling thread to a seat, or lets it run anywhere; -EIO etc. through sm_run_fail. */
int sm__run_seat(struct sm_run *run, const struct sm_seat *seat, const char *who);
/* Fails the run when the calling thread is no longer bound to its seat. */
void sm__run_seat_check(struct sm_run *run, const struct sm_seat *seat, const char *who);
/* The heap at each cycle from now on, and what became of it: a series. history.c */
void sm__history_begin(struct sm_run *run);
void sm__history_report(struct sm_run *run);
/* What the caches of the heap did for each size class. */
void sm__history_caches(struct sm_run *run);
/* What a run reports when its workload is done. report.c */
void sm__run_report(struct sm_run *run);
/* Prepares and undoes the calling thread as mutator `index`: pin, attach, count. */
int sm__thread_start(struct sm_thread *t, struct sm_run *run, unsigned index);
void sm__thread_stop(struct sm_thread *t);

#endif
