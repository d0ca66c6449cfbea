/* What counting.c (threads) and counting_report.c (metrics) share. */
#ifndef SM_WORKLOADS_COUNTING_INTERNAL_H
#define SM_WORKLOADS_COUNTING_INTERNAL_H

#include <pthread.h>

#include "allocator/base/phase.h"
#include "perf/counterset.h"
#include "perf/region.h"
#include "workloads/counting.h"
#include "workloads/run_internal.h"

/* Regions are the phases, and one more for what is not timed. */
#define SM_REGION_OUTSIDE ((unsigned)SM_PHASE_COUNT)
#define SM_REGIONS	  ((unsigned)SM_PHASE_COUNT + 1)
_Static_assert(SM_REGIONS <= SM_REGION_MAX, "a region for each phase");

/* Phases that change every few microseconds: only what can be read without a system call is split
 * there. */
#define SM_REGIONS_LIGHT (1u << SM_PHASE_REFILL | 1u << SM_PHASE_BARRIER | 1u << SM_PHASE_SWEEP)

struct sm_counted {
	/* fixed once started */
	struct sm_counting *counting;
	char role[16];
	unsigned index;
	struct sm_seat seat;
	struct sm_region_thread *regions; /* NULL when they could not be opened */
	struct sm_phase_hook hook;
	struct sm_counted *next; /* under counting->lock */
	/* owner thread only */
	bool timed;	/* what it knows of counting->armed */
	unsigned depth; /* phases entered and not left */
};

struct sm_counting {
	/* fixed after creation */
	struct sm_run *run;
	const struct sm_counterset *set;
	unsigned pass;
	struct sm_uncore_run *uncore; /* NULL: no packages or L3s to count */
	/*
	 * Written by thread 0; read relaxed by all: each thread splits its own counts when it sees
	 * the change, nothing else depends on it.
	 */
	_Atomic(bool) armed;
	pthread_mutex_t lock;
	struct sm_counted *threads; /* under lock while threads run */
};

/* Metrics of this pass, all where the kernel rotates them; those that cannot be counted at all are
 * told in the first pass. */
static inline bool sm__counting_has(const struct sm_counterset *set, unsigned pass,
				    const struct sm_cs_metric *m)
{
	if (m->uncore)
		return false;
	if (m->refused != SM_STATUS_OK)
		return pass == 0;
	return m->source == SM_SOURCE_SW || set->opt.multiplex || m->pass == pass;
}

/*
 * counting_report.c: evaluates a metric over a row's readings; *m has the row's names and times,
 * the rest is filled in and it is added to the sample. 0 or -ENOMEM.
 */
int sm__counting_metric(struct sm_sample *sample, const struct sm_counterset *set,
			const struct sm_cs_metric *cm, unsigned kind,
			const struct sm_reading *readings, const struct sm_metric_env *env,
			struct sm_metric *m);

#endif
