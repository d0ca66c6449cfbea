/*
 * runner_internal.h: a worker process between its start (runner_start.c) and its end (runner.c).
 */
#ifndef SM_HARNESS_RUNNER_INTERNAL_H
#define SM_HARNESS_RUNNER_INTERNAL_H

#include <sys/types.h>

#include "harness/run/runner.h"

enum { SM__PIPE_SAMPLE, SM__PIPE_OUT, SM__PIPE_ERR, SM__NPIPES };

/* What the parent holds of a worker. */
struct sm__process {
	pid_t pid;
	int pidfd;	    /* -1: not available */
	int fd[SM__NPIPES]; /* read ends; -1 after their end */
	double deadline;    /* in seconds of sm_clock_ns(); not the start's */
};

/* Sets all but the deadline. 0, or -errno: then nothing was started and nothing is held. */
int sm__worker_start(struct sm__process *p, const struct sm_runner *r, const char *job);

#endif
