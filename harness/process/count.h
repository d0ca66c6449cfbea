/*
 * count.h: the counters of a tree of processes: those of one pass of a set, opened for a process
 * before its exec and inherited by all that it starts. Software metrics of the kernel's accounting
 * (page faults, CPU time) are taken from what the tree used, at the end.
 *
 * A pass is what fits on the PMU at once, so its events are a group here too (perf/counter.h,
 * `inherit`). Rows are of the role "program".
 */
#ifndef SM_HARNESS_PROGRAM_COUNT_H
#define SM_HARNESS_PROGRAM_COUNT_H

#include <sys/resource.h>

#include "perf/counterset.h"
#include "workloads/session.h"

struct sm_count;

/* *out NULL: set is NULL, nothing to count. What cannot be opened says so in its metric. 0 or
 * -ENOMEM. */
int sm_count_open(const struct sm_counterset *set, unsigned pass, pid_t pid, struct sm_count **out);
/* What was counted until now is not to be reported; the last call counts. */
void sm_count_begin(struct sm_count *c);
/* Nor is what will be counted from now on. */
void sm_count_end(struct sm_count *c);

struct sm_count_total {
	const struct rusage *used;
	bool switches; /* are context switches known? */
	double ops;    /* 0: none */
	double wall_s;
};
/* Adds the metrics to the sample. 0 or -ENOMEM. */
int sm_count_report(const struct sm_count *c, const struct sm_count_total *t, struct sm_sample *s);
void sm_count_close(struct sm_count *c);

#endif
