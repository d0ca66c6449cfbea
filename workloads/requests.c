/*
 * requests.c: when the requests of a run began and ended, and what they tell.
 */
#include "workloads/requests.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "collector/cycle/gcstats.h"
#include "workloads/latency.h"
#include "workloads/mmu.h"
#include "workloads/run_internal.h"

/* Of an entry of sm_requests.at: the start of a series, no end. */
#define SERIES ((uint64_t)1 << 63)

/* Of a run: its threads' requests, then their meters, then their ends, in one mapping. */
struct sm_requests_plan {
	size_t bytes;
	uint64_t ops; /* of a request */
	struct sm_requests of[];
};

static uint64_t ops_of_request(uint64_t threads, uint64_t series, uint64_t ops)
{
	uint64_t all, n;

	if (__builtin_mul_overflow(threads * series, ops, &all))
		all = UINT64_MAX;
	n = all / SM_REQUESTS_MOST + (all % SM_REQUESTS_MOST != 0);
	return n > SM_REQUEST_LEAST ? n : SM_REQUEST_LEAST;
}

/* Is there a collector that says when mutators wait for it? */
static bool tells_waits(const struct sm_run *run)
{
	return run->gc != NULL || (run->job->backend == SM_WL_BDWGC && sm_bdwgc_tells_times());
}

int sm_requests_plan(struct sm_run *run, uint64_t series, uint64_t ops)
{
	unsigned threads = run->nthreads;
	uint64_t each = ops_of_request(threads, series, ops);
	size_t room = ops < each ? 0 : series * (ops / each + 1), head, meters, bytes;
	bool metered = tells_waits(run) && !sm__run_simulated(run);
	struct sm_requests_plan *p;
	struct sm_mmu *mmu;
	uint64_t *at;

	head = sizeof(*p) + threads * sizeof(p->of[0]);
	meters = metered ? threads * sizeof(*mmu) : 0;
	bytes = head + meters + threads * room * sizeof(*at);
	/* Touched now: page faults of the timed part are the workload's. */
	p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE,
		 -1, 0);
	if (p == MAP_FAILED)
		return sm_run_fail(run, -ENOMEM, "out of memory for %zu bytes of latencies", bytes);
	mmu = (struct sm_mmu *)(void *)((char *)p + head);
	at = (uint64_t *)(void *)((char *)p + head + meters);
	p->bytes = bytes;
	p->ops = each;
	for (unsigned i = 0; i < threads; i++)
		p->of[i] = (struct sm_requests){.ops = each,
						.at = at + i * room,
						.room = room,
						.mmu = metered ? mmu + i : NULL};
	run->requests = p;
	sm_clock_ticks_per_ns(); /* its calibration must not fall into a request */
	return 0;
}

void sm__requests_free(struct sm_run *run)
{
	if (run->requests != NULL)
		munmap(run->requests, run->requests->bytes);
	run->requests = NULL;
}

/* ---- in the timed part -------------------------------------------------------------------- */

static void note(struct sm_requests *r, uint64_t ticks, uint64_t flag)
{
	/* None: the series are shorter than a request. */
	if (r->room == 0)
		return;
	SM_CHECK(r->n < r->room); /* the thread does what was planned */
	r->at[r->n++] = sm_clock_delta(r->base_ticks, ticks) | flag;
}

static void waited(void *ctx, uint64_t since, uint64_t until)
{
	struct sm_requests *r = ctx;

	sm_mmu_wait(r->mmu, sm_clock_delta(r->base_ns, since), sm_clock_delta(r->base_ns, until));
}

void sm__requests_stopped(void *ctx, uint64_t since, uint64_t until)
{
	struct sm_run *run = ctx;
	uint64_t base = run->at_begin.ns - run->timed.ns;

	for (unsigned i = 0; i < run->nthreads; i++)
		if (run->requests->of[i].mmu != NULL)
			sm_mmu_wait(run->requests->of[i].mmu, sm_clock_delta(base, since),
				    sm_clock_delta(base, until));
}

struct sm_requests *sm_requests_begin(struct sm_thread *t)
{
	struct sm_run *run = t->run;
	struct sm_requests *r = &run->requests->of[t->index];

	r->base_ticks = run->base_ticks;
	r->base_ns = run->at_begin.ns - run->timed.ns;
	if (r->mmu != NULL && t->m != NULL)
		sm__stalls_tell(t->m, waited, r);
	note(r, sm_clock_ticks(), SERIES);
	return r;
}

void sm_requests_done(struct sm_requests *r, uint64_t n, uint64_t ticks)
{
	if (n == r->ops)
		note(r, ticks, 0);
}

void sm_requests_end(struct sm_thread *t)
{
	if (t->m != NULL)
		sm__stalls_tell(t->m, NULL, NULL);
}

/* ---- reports ------------------------------------------------------------------------------ */

static const double quantiles[] = {0.5, 0.9, 0.99, 0.999, 0.9999};
#define QUANTILES (sizeof(quantiles) / sizeof(quantiles[0]))

_Static_assert(SM_RESULT_max_us == SM_RESULT_p50_us + QUANTILES &&
		       SM_RESULT_request_max_us == SM_RESULT_request_p50_us + QUANTILES &&
		       SM_RESULT_metered_100ms_max_us ==
			       SM_RESULT_metered_100ms_p50_us + QUANTILES &&
		       SM_RESULT_metered_full_max_us == SM_RESULT_metered_full_p50_us + QUANTILES &&
		       SM_RESULT_mmu_1s + 1 == SM_RESULT_mmu_1ms + SM_MMU_WINDOWS,
	       "results.def has blocks of latencies, and windows as in mmu.h");

void sm_run_latency(struct sm_run *run, enum sm_result_id first, const struct sm_histogram *ticks)
{
	double us = sm_clock_ticks_per_ns() * 1000;

	for (unsigned i = 0; i < QUANTILES; i++)
		sm_run_result(run, first + i,
			      (double)sm_histogram_quantile(ticks, quantiles[i]) / us);
	sm_run_result(run, first + QUANTILES, (double)ticks->max / us);
}

/* The requests of all threads as one stream; *n receives how many. To be freed; NULL: no memory. */
static struct sm_request *stream(const struct sm_run *run, size_t *n)
{
	struct sm_request *all = malloc((SM_REQUESTS_MOST + 1) * sizeof(*all));

	*n = 0;
	for (unsigned t = 0; t < run->nthreads && all != NULL; t++) {
		const struct sm_requests *r = &run->requests->of[t];

		for (size_t i = 1; i < r->n; i++) {
			uint64_t start = r->at[i - 1] & ~SERIES, end = r->at[i];

			/* A clock that went back makes a request of no length. */
			if ((end & SERIES) == 0)
				all[(*n)++] = (struct sm_request){start, end > start ? end : start};
		}
	}
	if (all != NULL)
		sm_latency_sort(all, *n);
	return all;
}

static void report_latency(struct sm_run *run, const struct sm_request *all, size_t n)
{
	struct sm_histogram *h = calloc(3, sizeof(*h));

	if (h == NULL) {
		sm_run_fail(run, -ENOMEM, "out of memory for latencies");
		return;
	}
	sm_latency_simple(all, n, &h[0]);
	sm_latency_metered(all, n, (uint64_t)(100e6 * sm_clock_ticks_per_ns()), &h[1]);
	sm_latency_metered(all, n, SM_LATENCY_UNBOUNDED, &h[2]);
	sm_run_latency(run, SM_RESULT_request_p50_us, &h[0]);
	sm_run_latency(run, SM_RESULT_metered_100ms_p50_us, &h[1]);
	sm_run_latency(run, SM_RESULT_metered_full_p50_us, &h[2]);
	free(h);
}

/* The worst mutator's. */
static void report_mmu(struct sm_run *run)
{
	for (unsigned w = 0; w < SM_MMU_WINDOWS; w++) {
		const char *why = !tells_waits(run)	   ? "no collector"
				  : sm__run_simulated(run) ? "simulated: times mean nothing"
				  : run->timed.ns < sm_mmu_lengths[w] ? "longer than the timed part"
								      : NULL;
		double least = 100;

		for (unsigned t = 0; t < run->nthreads && why == NULL; t++) {
			double percent = sm_mmu_percent(run->requests->of[t].mmu, w);

			least = percent < least ? percent : least;
		}
		if (why == NULL)
			sm_run_result(run, SM_RESULT_mmu_1ms + w, least);
		else
			sm_run_result_none(run, SM_RESULT_mmu_1ms + w, why);
	}
}

void sm__requests_report(struct sm_run *run)
{
	struct sm_request *all;
	size_t n;

	if (run->requests == NULL)
		return;
	all = stream(run, &n);
	if (all == NULL)
		sm_run_fail(run, -ENOMEM, "out of memory for latencies");
	sm_run_result(run, SM_RESULT_request_ops, (double)run->requests->ops);
	sm_run_result(run, SM_RESULT_requests, (double)n);
	if (n > 0)
		report_latency(run, all, n);
	for (unsigned i = SM_RESULT_request_p50_us; i <= SM_RESULT_metered_full_max_us && n == 0;
	     i++)
		sm_run_result_none(run, i, "no thread did a request's operations in a row");
	free(all);
	report_mmu(run);
}
