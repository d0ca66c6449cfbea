/*
 * counting.h: the counters of a run. Each thread has its regions (perf/region.h), one for each
 * phase that the allocator and the collector announce (allocator/base/phase.h) and one for all that
 * lies outside the timed parts. All calls accept a NULL struct sm_counting, which counts nothing.
 *
 * A thread notices that a timed part began or ended when it next changes its phase at the outermost
 * level, or calls sm__counting_sync. So a mark worker that marks across the border of a timed part
 * has its whole mark phase on the side where it began.
 */
#ifndef SM_WORKLOADS_COUNTING_H
#define SM_WORKLOADS_COUNTING_H

#include "workloads/session.h"

struct sm_counting;
struct sm_run;

/* From the job. *out is NULL when nothing is to be counted. 0 or -errno, reported by sm_run_fail.
 */
int sm__counting_new(struct sm_run *run, struct sm_counting **out);
/* Opens and closes the timed part for every thread. Thread 0, which is synchronised at once. */
void sm__counting_arm(struct sm_counting *c, bool on);
/* The calling thread is counted from here on / no longer. What cannot be counted is n/a, not an
 * error. */
void sm__counting_thread_start(struct sm_counting *c, const char *role, unsigned index,
			       const struct sm_seat *seat);
void sm__counting_thread_stop(struct sm_counting *c);
/* The calling thread, outside all phases: take notice of the timed part's border now. */
void sm__counting_sync(struct sm_counting *c);
/*
 * Adds the metrics of all threads, which have ended, to the sample. `ops`: operations of the run, 0
 * when there are none; `timed_ns`: length of the timed parts. 0 or -ENOMEM.
 */
int sm__counting_collect(struct sm_counting *c, struct sm_sample *sample, uint64_t ops,
			 uint64_t timed_ns);
void sm__counting_free(struct sm_counting *c);

#endif
