/*
 * runner.h: one worker process, from start to its last byte.
 *
 *      command                                     worker (its own process group)
 *         | fork, exec /proc/self/exe __worker          |
 *         |---- job JSON on descriptor 3 -------------->|
 *         |<--- sample JSON on descriptor 4 ------------|
 *         |<--- what it prints on 1 and 2 --------------|
 *         | exit, signal, time limit, or our own INT/TERM/TSTP |
 *         |---- SIGKILL to the whole group ------------>|
 *
 * Whatever the worker does (crash, hang, fork, close its descriptors, write rubbish) ends in a
 * struct sm_worker_end; nothing it does can block or end the command. It dies with the command
 * (PDEATHSIG).
 */
#ifndef SM_HARNESS_RUNNER_H
#define SM_HARNESS_RUNNER_H

#include <stdbool.h>
#include <stddef.h>

#include "harness/plan/record.h"
#include "workloads/series.h"

#define SM_WORKER_JOB_FD    3
#define SM_WORKER_SAMPLE_FD 4
#define SM_WORKER_TRACE_FD  5 /* where it has arguments that say what goes there */

/* Bytes that came through a pipe. What is beyond the limit is read and dropped, and `cut` is set.
 */
struct sm_bytes {
	char *data; /* NUL-terminated when not NULL */
	size_t len, cap, limit;
	bool cut;
};

enum sm_worker_how {
	SM_WORKER_EXITED,      /* code: exit status */
	SM_WORKER_SIGNALLED,   /* code: signal */
	SM_WORKER_TIMEOUT,     /* code: 0 */
	SM_WORKER_INTERRUPTED, /* by our second INT, or TERM; code: 0 */
	SM_WORKER_NOT_STARTED, /* code: errno */
};

struct sm_worker_end {
	enum sm_worker_how how;
	int code;
	double took_s;
	struct sm_bytes sample;	  /* descriptor 4 */
	struct sm_bytes output;	  /* what it printed on 1 */
	struct sm_bytes diag;	  /* the end of what it printed on 2 */
	struct sm_trail resident; /* with watch_memory: of its memory, in bytes */
};

struct sm_runner {
	char *const *argv; /* what to exec, NULL-terminated; argv[0] is a path */
	/* NAME=VALUE, NULL-terminated, in place of the command's own; NULL: nothing. */
	const char *const *env;
	double timeout_s;
	/* It has processes of its own, which it ends when it gets a TERM, within so many seconds;
	 * what is left then is ended here. 0: it is killed at once. */
	double grace_s;
	int trace_fd; /* becomes SM_WORKER_TRACE_FD; 0: there is none */
	/* Its resident memory is looked at from here, where that takes no time of its own. */
	bool watch_memory;
	/* Called with whole pieces of the worker's stderr as they come; may be NULL. */
	void (*on_stderr)(void *ctx, const char *data, size_t len);
	/* Called when the first INT has come and the worker is waited for; may be NULL. */
	void (*on_interrupt)(void *ctx);
	void *ctx;
};

/* Runs one worker. Always fills *end; free it with sm_worker_end_free. */
void sm_runner_run(const struct sm_runner *r, const char *job, struct sm_worker_end *end);
void sm_worker_end_free(struct sm_worker_end *end);

/*
 * Turns the end into a record: parses the sample, or sets status and a one-line message that says
 * what happened, with the worker's last words.
 */
void sm_runner_record(const struct sm_runner *r, const struct sm_worker_end *end,
		      struct sm_record *rec, struct sm_pool *pool);

/*
 * Catches INT, TERM and HUP from now on: they set sm_runner_interrupted, and no further worker is
 * started. The running one is ended by TERM, HUP and a second INT; after the first INT, which says
 * that somebody sits there, it may finish. TSTP ends it too, but when the command goes on its job
 * is begun anew: a sample that stood still is none.
 */
int sm_runner_catch_signals(void);
bool sm_runner_interrupted(void);
/* From now on they end the command at once, after a call of tidy, which may do what a signal
 * handler may; NULL: none. */
void sm_runner_release_signals(void (*tidy)(void));
/* Ends the process by the signal that interrupted it, if any: its status is 128 + signal, and a
 * shell's loop ends with it. */
void sm_runner_end_by_signal(void);

/*
 * A path that leads to this very program though its file has been replaced meanwhile: static
 * storage; NULL where there is none. for_others: one that another program can open too.
 */
const char *sm_runner_self(bool for_others);

/* The hidden command (worker.c): a worker process. The job comes on descriptor SM_WORKER_JOB_FD. */
int sm_cmd_worker(int argc, char **argv);
#define SM_WORKER_COMMAND "__worker"

#endif
