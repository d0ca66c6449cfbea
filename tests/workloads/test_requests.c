/* workloads/requests.h: what a request is, which time is theirs, and that waits for the collector
 * reach the MMU curve, those of the timed part alone. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "perf/clock.h"
#include "workloads/mmu.h"
#include "workloads/requests.h"
#include "workloads/session.h"
#include "tests/support/run.h"
#include "tests/support/wait.h"

static struct sm_sample sample;

/* Runs `run` on `threads` threads. */
static void go(int (*run)(struct sm_run *run), enum sm_wl_backend backend, int threads)
{
	static const struct sm_param_desc params[] = {SM_PARAM_THREADS(1, 1, ""), {0}};
	static struct sm_workload w;
	/* Nothing is collected unless we ask. */
	static const struct sm_setting calm = {"gc.min_heap", "1g"};
	struct sm_params p;
	struct sm_job job;

	w = (struct sm_workload){.name = "test",
				 .summary = "requests",
				 .op = "step",
				 .params = params,
				 .backends = 1u << SM_WL_GC | 1u << SM_WL_LIBC,
				 .run = run};
	sm_params_init(&p, &w, false);
	p.values[0].number = threads;
	sm_job_init(&job, &p);
	job.backend = backend;
	job.settings = &calm;
	job.nsettings = backend == SM_WL_GC;
	ck_assert_msg(sm_session_run(&job, &sample) == 0, "%s", sample.error);
}

static double value_of(const char *name)
{
	const struct sm_result *r = sm_sample_result(&sample, name);

	ck_assert_msg(r != NULL && r->has_value, "no value of %s", name);
	return r->value;
}

static void none(const char *name, const char *why)
{
	const struct sm_result *r = sm_sample_result(&sample, name);

	ck_assert_msg(r != NULL && !r->has_value, "a value of %s", name);
	ck_assert_str_eq(r->reason, why);
}

static const char *const parts[] = {"p50", "p90", "p99", "p999", "p9999", "max"};

static double part_of(const char *kind, unsigned part)
{
	char name[64];

	snprintf(name, sizeof(name), "%s_%s_us", kind, parts[part]);
	return value_of(name);
}

/* Quantiles ascend, and no metered latency is below the simple one. */
static void latencies_are_sane(void)
{
	for (unsigned i = 0; i < 6; i++) {
		double s = part_of("request", i), w = part_of("metered_100ms", i),
		       f = part_of("metered_full", i);

		ck_assert(s >= 0 && s <= w && s <= f);
		if (i > 0)
			ck_assert(s >= part_of("request", i - 1) &&
				  w >= part_of("metered_100ms", i - 1) &&
				  f >= part_of("metered_full", i - 1));
	}
}

/* ---- how many ----------------------------------------------------------------------------- */

static uint64_t series, ops;

static int some_operations(struct sm_thread *t, void *arg)
{
	struct sm_requests *r = sm_requests_begin(t);

	for (uint64_t left = *(uint64_t *)arg, n; left > 0; left -= n) {
		n = sm_requests_next(r, left);
		sm_requests_done(r, n, sm_clock_ticks());
	}
	sm_requests_end(t);
	return 0;
}

static int in_series(struct sm_run *run)
{
	int err = sm_requests_plan(run, series, ops);

	for (uint64_t i = 0; err == 0 && i < series; i++)
		err = sm_run_parallel_timed(run, sm_run_threads(run), some_operations, &ops);
	return err;
}

START_TEST(requests_by_threads_and_series)
{
	static const struct {
		uint64_t series, ops, threads, each, n;
	} cases[] = {
		{1, 64, 1, 64, 1},
		{1, 1000, 1, 64, 15},	       /* 40 are left over */
		{4, 1000, 3, 64, 180},	       /* in each series of each thread */
		{1, 64 * 16384, 1, 64, 16384}, /* the most */
		{1, 64 * 16384 + 1, 1, 65, 16131},
		{2, 3000000, 2, 733, 16368},
	};

	series = cases[_i].series;
	ops = cases[_i].ops;
	go(in_series, _i & 1 ? SM_WL_GC : SM_WL_LIBC, (int)cases[_i].threads);
	ck_assert_double_eq(value_of("request_ops"), (double)cases[_i].each);
	ck_assert_double_eq(value_of("requests"), (double)cases[_i].n);
	latencies_are_sane();
	sm_sample_free(&sample);
}
END_TEST

START_TEST(too_few_operations)
{
	static const char why[] = "no thread did a request's operations in a row";

	series = 20000; /* each of them shorter than a request is then */
	ops = 100;
	if (_i == 0)
		series = 2, ops = 63;
	go(in_series, SM_WL_LIBC, 1);
	ck_assert_double_eq(value_of("requests"), 0);
	none("request_p50_us", why);
	none("metered_100ms_p99_us", why);
	none("metered_full_max_us", why);
	none("mmu_1ms", "no collector");
	none("mmu_1s", "no collector");
	sm_sample_free(&sample);
}
END_TEST

/* ---- which time --------------------------------------------------------------------------- */

static void spin(uint64_t ns)
{
	for (uint64_t from = sm_clock_ns(); sm_clock_ns() - from < ns;)
		continue;
}

/* Two equal timed parts, far apart. */
static int far_apart(struct sm_run *run)
{
	uint64_t n = 64 * 200, from, took;
	int err = sm_requests_plan(run, 2, n);

	from = sm_clock_ns();
	if (err == 0)
		err = sm_run_parallel_timed(run, 1, some_operations, &n);
	took = sm_clock_ns() - from;
	spin(20 * took);
	if (err == 0)
		err = sm_run_parallel_timed(run, 1, some_operations, &n);
	return err;
}

/* If the time between counted, the first of the second part would be charged with half of it. */
START_TEST(what_lies_between_is_not_charged)
{
	go(far_apart, SM_WL_LIBC, 1);
	ck_assert_double_eq(value_of("requests"), 400);
	latencies_are_sane();
	ck_assert(value_of("metered_full_max_us") <= value_of("wall_s") * 1.01e6);
	sm_sample_free(&sample);
}
END_TEST

/* A wait of the past `ns`. */
static void note_wait(struct sm_thread *t, uint64_t ns)
{
	spin(ns);
	waited_for(t->m, ns);
}

static int waiting(struct sm_thread *t, void *arg)
{
	/* The second thread waits longer, in all. */
	uint64_t ns = t->index ? 500000 : 100000;
	struct sm_requests *r;

	(void)arg;
	note_wait(t, 3000000);
	r = sm_requests_begin(t);
	spin(3000000);
	note_wait(t, ns);
	sm_requests_done(r, sm_requests_next(r, 64), sm_clock_ticks());
	spin(9000000);
	sm_requests_end(t);
	note_wait(t, 3000000);
	return 0;
}

static int waits_in_and_out(struct sm_run *run)
{
	int err = sm_requests_plan(run, 1, 64);

	note_wait(sm_run_thread(run), 3000000);
	if (err == 0)
		err = sm_run_parallel_timed(run, sm_run_threads(run), waiting, NULL);
	note_wait(sm_run_thread(run), 3000000);
	return err;
}

/* A wait of known length, and longer ones before and after the requests: the curve is the worst
 * mutator's. */
START_TEST(waits_make_the_curve)
{
	static const char *const names[SM_MMU_WINDOWS] = {
		"mmu_1ms",  "mmu_2ms",	 "mmu_5ms",   "mmu_10ms",  "mmu_20ms",
		"mmu_50ms", "mmu_100ms", "mmu_200ms", "mmu_500ms", "mmu_1s"};
	double wait = _i == 1 ? 100000 : 500000;

	go(waits_in_and_out, SM_WL_GC, _i);
	for (unsigned w = 0; w < SM_MMU_WINDOWS; w++) {
		double ns = (double)sm_mmu_lengths[w];

		if (ns > value_of("wall_s") * 1e9)
			none(names[w], "longer than the timed part");
		else
			ck_assert_double_eq_tol(value_of(names[w]), 100 - 100 * wait / ns, 1e-6);
	}
	sm_sample_free(&sample);
}
END_TEST

int main(void)
{
	return SM_SUITE("requests", 60, SM_LOOP(requests_by_threads_and_series, 0, 6),
			SM_LOOP(too_few_operations, 0, 2), SM_T(what_lies_between_is_not_charged),
			SM_LOOP(waits_make_the_curve, 1, 3));
}
