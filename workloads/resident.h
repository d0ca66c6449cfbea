/*
 * resident.h: the process's resident memory over a run, against what the workload holds.
 *
 * A workload calls sm_resident_begin when its tables stand and before its first object, and
 * sm_resident_step at the points of its definition. A ratio is of what became resident since the
 * first call to the bytes that the workload holds by its own account. Memory is what
 * /proc/self/smaps_rollup has: the kernel walks the page tables for it, so it is exact, where statm
 * lags behind by some pages for each CPU or thread. A huge page counts whole when a byte of it was
 * touched; pages given back by MADV_FREE count until the kernel takes them (LazyFree). Without that
 * file every result is n/a. Thread 0 only, outside of what is timed.
 */
#ifndef SM_WORKLOADS_RESIDENT_H
#define SM_WORKLOADS_RESIDENT_H

#include "workloads/run.h"

#define SM_STEPS_MAX 16 /* numbered steps that results.def has results for */

/* In bytes. */
struct sm_rss {
	uint64_t all, huge, lazy;
};
/* 0, or -errno. Allocates nothing. */
int sm_rss_read(struct sm_rss *rss);
/* Huge pages (AnonHugePages of /proc/self/smaps) of the mappings in a range. 0, or -errno.
 * Allocates nothing; takes as long as the kernel needs to walk all that is mapped. */
int sm_huge_read(uintptr_t start, size_t bytes, uint64_t *huge);

struct sm_resident {
	struct sm_rss base, now;
	int err;      /* of reading: 0, or what the first failure was */
	double worst; /* rss_over_live of all steps */
};

void sm_resident_begin(struct sm_resident *r);
/* Reads again: the bytes that became resident since the beginning. */
uint64_t sm_resident_read(struct sm_resident *r);
/* Reads again and reports: the workload holds `live` bytes. n in 1..SM_STEPS_MAX: as that step,
 * too. */
void sm_resident_step(struct sm_run *run, struct sm_resident *r, unsigned n, uint64_t live);

#endif
