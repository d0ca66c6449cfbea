/*
 * compactions.h: what the compactions of a run did. Results (results.def) that a run without
 * gc.compact lacks; n/a where none came.
 */
#ifndef SM_WORKLOADS_COMPACTIONS_H
#define SM_WORKLOADS_COMPACTIONS_H

#include <stdbool.h>
#include <stdint.h>

struct sm_run;

/* Of the heap, in AnonHugePages. */
struct sm_huge_pages {
	uint64_t bytes;
	int err; /* of reading */
	bool known;
};

/* Looks at huge pages before each compaction and behind it, from now on. */
void sm__compactions_begin(struct sm_run *run);
void sm__compactions_report(struct sm_run *run);

#endif
