/*
 * neighbours.h: what went on beside a sample and spoils it: other processes that took CPU time,
 * CPUs that were throttled, a limit of the control group, time that the hypervisor gave to others.
 *
 * Between samples, never within one, /proc and /sys are looked at; what was counted since the look
 * before is told in lines for the sample's warnings. A look is left out where the last one is so
 * recent that looks would take more than a fiftieth of the time, or that clock ticks tell nothing:
 * the next one tells of both samples then.
 */
#ifndef SM_HARNESS_NEIGHBOURS_H
#define SM_HARNESS_NEIGHBOURS_H

#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include "harness/process/tree.h"

/* What had been counted at one moment, since each thing began. */
struct sm_neighbours_moment {
	uint64_t ns;
	struct sm_tree all;
	uint64_t busy, stolen;		    /* ticks of all CPUs */
	uint64_t throttled;		    /* events of cores and packages */
	uint64_t limited_times, limited_us; /* by the control group */
};

struct sm_neighbours {
	const char *root; /* of /proc and /sys, "" but for tests */
	pid_t self;	  /* it and what is below it are no neighbours */
	uint64_t rest_ns; /* until the next look pays */
	struct sm_neighbours_moment then;
};

/* Looks for the first time. 0 or -errno: then it tells nothing ever. */
int sm_neighbours_begin(struct sm_neighbours *n, const char *root, pid_t self, uint64_t now_ns);
/* Looks again, and writes a line for each thing; lines NULL: it is not to be told. */
void sm_neighbours_tell(struct sm_neighbours *n, uint64_t now_ns, FILE *lines);
void sm_neighbours_free(struct sm_neighbours *n);

#endif
