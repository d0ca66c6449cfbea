/*
 * measure.h: one sample of a program, or of a server while a client loads it, in this process,
 * which the caller has for this sample alone.
 *
 *     setup   program                               teardown        the rest is ended
 *     |-----| |===================================| |------|
 *             ^ exec                              ^ its end: wall
 *
 *     setup   server            client              server is told   teardown
 *     |-----| |-----------|=====================|-| |------|
 *                         ^ ready   its end: wall ^ TERM, 5 s later KILL
 *
 * Measured is the tree, = above: the process and all that it starts. CPU time, page faults and
 * switches are what the kernel accounts to processes that were waited for; where a control group of
 * its own may be made, CPU time is the group's. Memory is sampled, at most a fiftieth of one CPU's
 * time; a tree of one process tells its peak itself.
 *
 * Whatever the program does, nothing of it runs when this returns. SIGTERM ends the sample (see
 * runner.h), teardown included.
 */
#ifndef SM_HARNESS_PROGRAM_MEASURE_H
#define SM_HARNESS_PROGRAM_MEASURE_H

#include "harness/program/preload.h"
#include "harness/program/program.h"
#include "workloads/session.h"

struct sm_program_run {
	const struct sm_program *program;
	const char *library; /* put before its malloc; NULL: libc's */
	const int *cpus;     /* which it may use; NULL: as we may */
	unsigned ncpus;
	const struct sm_counterset *counters; /* NULL: nothing */
	unsigned pass;
	double timeout_s; /* of the program, of setup and of teardown each */
};

/*
 * 0; -ETIMEDOUT: it ran past its limit; -EINTR: we were told to end; another -errno; each with
 * out->error. proof: what served malloc, where that was to be proved. *out is to be freed in every
 * case.
 */
int sm_program_measure(const struct sm_program_run *r, struct sm_sample *out,
		       struct sm_preload_proof *proof);

/* The longest that it may take, all told: whoever waits for it waits that long. */
double sm_program_longest(double timeout_s);
#define SM_PROGRAM_GRACE 12.0 /* seconds from SIGTERM to its end */

#endif
