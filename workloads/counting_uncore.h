/*
 * The counters of packages and L3s of a run (perf/uncore.h): opened for all processes' traffic
 * while a timed part lasts, reported as rows of the roles "package" and "l3", whose thread is the
 * number of the package or L3. All calls accept NULL, which is what sm__uncore_new gives where
 * there is nothing to count.
 */
#ifndef SM_WORKLOADS_COUNTING_UNCORE_H
#define SM_WORKLOADS_COUNTING_UNCORE_H

#include "workloads/session.h"

struct sm_uncore_run;

/* NULL: no such events in this pass of the set, no topology, or no memory. */
struct sm_uncore_run *sm__uncore_new(const struct sm_counterset *set, unsigned pass,
				     const struct sm_topology *topology);
/* The borders of a timed part. */
void sm__uncore_arm(struct sm_uncore_run *u, bool on);
/* 0 or -ENOMEM. */
int sm__uncore_collect(const struct sm_uncore_run *u, struct sm_sample *sample, double ops,
		       uint64_t timed_ns);
void sm__uncore_free(struct sm_uncore_run *u);

#endif
