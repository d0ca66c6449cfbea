/*
 * watch.h: what a sample of a program holds while its processes run, and the one loop that hears
 * them: what they print, their ends, our own SIGTERM, and the next look at their memory.
 */
#ifndef SM_HARNESS_PROGRAM_WATCH_H
#define SM_HARNESS_PROGRAM_WATCH_H

#include "harness/process/cgroup.h"
#include "harness/process/count.h"
#include "harness/program/figures.h"
#include "harness/program/measure.h"
#include "harness/process/spawn.h"
#include "harness/process/tree.h"

#include <sched.h>

#define SM_WATCH_BEFORE 64 /* processes that a setup may leave */

/* A process that we started. */
struct sm_watched {
	struct sm_spawn s;
	struct sm_kept out, err;
	bool started, ended;
	int status;
	struct rusage used; /* once ended; from its exec on */
	uint64_t from_ns, ended_ns;
};

struct sm_watch {
	const struct sm_program_run *run;
	struct sm_sample *sample;
	struct sm_preload preload;
	struct sm_watched main, other; /* other: setup, client, teardown, one after another */
	struct sm_watched left;	       /* the setup, when it has ended: its daemons may write on */
	/* what was there before the program: not of its tree; ends with 0 */
	pid_t before[SM_WATCH_BEFORE + 2];
	struct sm_cgroup group;
	struct sm_count *counters;
	struct rusage reaped; /* of its tree, waited for by us */
	/* of its memory */
	struct sm_tree_memory peak;
	unsigned looks;
	uint64_t next_look, period;
	uint64_t group_peak_kib; /* 0: not known */
	bool strayed;
	bool windowed;	       /* only a part of its time is measured */
	bool ticks;	       /* its CPU time in steps of the kernel's ticks */
	int rest[CPU_SETSIZE]; /* a client's CPUs; none: as we may */
	unsigned nrest;
	int signals;  /* descriptor */
	bool stopped; /* by SIGTERM */
};

int sm_watch_begin(struct sm_watch *w);
/* Ends all that is left of anything, and frees. */
void sm_watch_end(struct sm_watch *w);

/* Starts a part of the program; it waits for sm_watch_go. 0, or -errno and the sample's error. */
int sm_watch_start(struct sm_watch *w, struct sm_watched *p, enum sm_part part);
int sm_watch_go(struct sm_watch *w, struct sm_watched *p, enum sm_part part);
void sm_watch_forget(struct sm_watched *p);

/* One wait for news, until `until` at most. */
void sm_watch_pump(struct sm_watch *w, uint64_t until);
/* Until it, or a client's server, has ended. 0; -ETIMEDOUT, -EINTR and the sample's error. */
int sm_watch_wait(struct sm_watch *w, struct sm_watched *p, enum sm_part part, double limit_s);

/* Ends the program's tree at once, and a client. */
void sm_watch_kill(struct sm_watch *w);
/* The processes that live now are not the program's. */
void sm_watch_set_aside(struct sm_watch *w);

/* Fails the sample where p did not end with status 0. 0 or -EIO. */
int sm_watch_judge(struct sm_watch *w, const struct sm_watched *p, enum sm_part part);
/* The sample's error, with what p said last. Returns rc. */
int sm_watch_fail(struct sm_watch *w, const struct sm_watched *p, int rc, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
void sm_watch_warn(struct sm_watch *w, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* All that is not of the program's tree; ends with 0. */
void sm_watch_others(const struct sm_watch *w, pid_t except[SM_WATCH_BEFORE + 3]);

/* serve.c: is the port that says that it is ready still silent? 0, or -EADDRINUSE and the error. */
int sm__watch_port_is_free(struct sm_watch *w);
/* serve.c: from the server's exec to its end, the client's load between. */
int sm__watch_serve(struct sm_watch *w, struct rusage *used, double *wall_s);

#endif
