/*
 * requests.h: the operations of a workload as requests to a server, for simple and metered latency
 * (latency.h) and, with a collector, for the MMU curve (mmu.h).
 *
 * A request is a fixed number of operations in a row, of one thread: at least SM_REQUEST_LEAST, so
 * that a reading of the clock costs nothing beside them, and so many that all threads together make
 * at most SM_REQUESTS_MOST. So every start is kept, in memory that is small beside what is
 * measured. The number follows from the parameters alone and is the same on every backend.
 * Operations left over at the end of a series are no request.
 *
 * In set-up: sm_requests_plan. In the timed part, each thread: sm_requests_begin; for each
 * request sm_requests_next, its operations, sm_requests_done; sm_requests_end. The session reports.
 */
#ifndef SM_WORKLOADS_REQUESTS_H
#define SM_WORKLOADS_REQUESTS_H

#include "perf/clock.h"
#include "workloads/run.h"

#define SM_REQUEST_LEAST 64
#define SM_REQUESTS_MOST 16384

struct sm_histogram;

/* A thread's. Owner only; a thread of the same index may go on in a later timed part. */
struct sm_requests {
	uint64_t ops;	     /* of a request */
	uint64_t base_ticks; /* the clocks at 0 of the timed part */
	uint64_t base_ns;
	uint64_t *at; /* ends, in ticks of the timed part; starts of series */
	size_t n, room;
	struct sm_mmu *mmu; /* NULL: none */
} __attribute__((aligned(SM_CACHELINE)));

/* Each thread will do `series` times `ops` operations. 0, or -ENOMEM through sm_run_fail. */
int sm_requests_plan(struct sm_run *run, uint64_t series, uint64_t ops);

/* The first request starts now; waits for the collector count from now on. */
struct sm_requests *sm_requests_begin(struct sm_thread *t);
void sm_requests_end(struct sm_thread *t);

/* Operations of the next request, of `left` that are to be done. */
SM_INLINE uint64_t sm_requests_next(const struct sm_requests *r, uint64_t left)
{
	return left < r->ops ? left : r->ops;
}

/* These `n` are done, at `ticks`. */
void sm_requests_done(struct sm_requests *r, uint64_t n, uint64_t ticks);

/* Reports a distribution of ticks as the block of results that begins with `first`, a p50. */
void sm_run_latency(struct sm_run *run, enum sm_result_id first, const struct sm_histogram *ticks);

/* Of the run `ctx`: every mutator waited from since until until, by sm_clock_ns. */
void sm__requests_stopped(void *ctx, uint64_t since, uint64_t until);
/* The session's: reports and frees what was planned, if anything was. */
void sm__requests_report(struct sm_run *run);
void sm__requests_free(struct sm_run *run);

#endif
