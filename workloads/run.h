/*
 * run.h: what a workload's run function works with.
 *
 * The thread that calls workload->run is mutator 0: pinned, attached to the collector (backend gc),
 * counted. sm_run_parallel starts the others; each gets a struct sm_thread of its own, which it
 * alone uses. Results are reported by thread 0.
 */
#ifndef SM_WORKLOADS_RUN_H
#define SM_WORKLOADS_RUN_H

#include "spanmark/gc.h"
#include "workloads/results.h"
#include "workloads/rng.h"
#include "workloads/workload.h"

struct sm_run;

/* A mutator thread of a run. Owner thread only. */
struct sm_thread {
	struct sm_mutator *m; /* backend gc; NULL otherwise */
	struct sm_run *run;
	unsigned index; /* 0.. */
	long moves;	/* between CPUs, when it began; -1: not known */
	uint64_t began_ns;
	struct sm_rng rng; /* seeded from the job's seed and the index */
} __attribute__((aligned(SM_CACHELINE)));

/* ---- what the job says -------------------------------------------------------------------- */

struct sm_thread *sm_run_thread(struct sm_run *run); /* thread 0 */
enum sm_wl_backend sm_run_backend(const struct sm_run *run);
const struct sm_params *sm_run_params(const struct sm_run *run);
unsigned sm_run_threads(const struct sm_run *run); /* mutator threads to use */
struct sm_gc *sm_run_gc(struct sm_run *run);	   /* backend gc; NULL otherwise */
bool sm_run_moves(const struct sm_run *run);	   /* objects may: gc.compact is on */

/* ---- what the workload does --------------------------------------------------------------- */

/*
 * Opens and closes the timed part, in thread 0, no other thread of the run being active. Several
 * parts add up. What lies outside is set-up.
 */
void sm_run_timed_begin(struct sm_run *run);
void sm_run_timed_end(struct sm_run *run);
/* A thread that runs across a border of the timed part calls this there, so that its counts are
 * split. */
void sm_run_timed_sync(struct sm_thread *t);

/*
 * Calls fn(thread, arg) on n threads (thread 0 is the caller) that start together: each is pinned,
 * attached and counted before any of them begins. Returns when all are done. 0, the first error
 * that an fn returned, or -errno of what could not be started (reported by sm_run_fail).
 */
int sm_run_parallel(struct sm_run *run, unsigned n, int (*fn)(struct sm_thread *t, void *arg),
		    void *arg);
/* The same as a timed part: from the moment all start together to the last one's return. */
int sm_run_parallel_timed(struct sm_run *run, unsigned n, int (*fn)(struct sm_thread *t, void *arg),
			  void *arg);

/* A collection, and a compaction behind it where the settings say so. 0 or -errno. */
int sm_run_collect(struct sm_thread *t);
/* Lets time pass; the collector need not wait for the thread. */
void sm_run_sleep(struct sm_thread *t, uint64_t ns);

/* ---- what it reports ---------------------------------------------------------------------- */

/* Operations done in the timed part: gives `ops` and `ns_per_op`. */
void sm_run_ops(struct sm_run *run, uint64_t ops);
void sm_run_result(struct sm_run *run, enum sm_result_id what, double value);
void sm_run_result_none(struct sm_run *run, enum sm_result_id what, const char *reason);
/* Appends to the sample's output. */
void sm_run_print(struct sm_run *run, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Adds a line to the sample's warnings. Any thread. */
void sm_run_warn(struct sm_run *run, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Records why the run failed (the first reason stays) and returns err. Any thread. */
int sm_run_fail(struct sm_run *run, int err, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

#endif
