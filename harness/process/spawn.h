/*
 * spawn.h: a program in a process that waits before it executes, so that counters can be opened and
 * a group made for it first.
 *
 *     we                                   the child
 *       | fork ---------------------------->| session of its own, CPUs, descriptors
 *       | group, counters, clock            | waits
 *       |---- sm_spawn_go ----------------->|
 *       |<--- what it has used until now ---|
 *       |<--- end of the pipe, or an errno -| exec
 *
 * It dies with us (PDEATHSIG).
 */
#ifndef SM_HARNESS_PROGRAM_SPAWN_H
#define SM_HARNESS_PROGRAM_SPAWN_H

#include <sys/resource.h>
#include <sys/types.h>

struct sm_spawn {
	char *const *argv; /* argv[0] is a path */
	char *const *env;  /* NULL: ours */
	const int *cpus;   /* which it may use; NULL: as we may */
	unsigned ncpus;
	/* filled */
	pid_t pid;
	int out, err;	      /* what it prints: read ends, not blocking */
	int go, told;	      /* until sm_spawn_go */
	struct rusage before; /* used before its exec; ru_maxrss: the least that it will ever say */
};

/* 0 or -errno. */
int sm_spawn(struct sm_spawn *s);
/* 0 once it executes; -errno: it could not, has ended, and is to be waited for. */
int sm_spawn_go(struct sm_spawn *s);
/* Closes what is open. */
void sm_spawn_close(struct sm_spawn *s);

#endif
