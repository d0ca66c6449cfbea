/* workloads/run.c, session.c, counting.c: what belongs to the timed part, in which unit, and the
 * rights that end with its beginning. */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "perf/clock.h"
#include "perf/counterset.h"
#include "perf/pin.h"
#include "perf/privilege.h"
#include "perf/topology.h"
#include "spanmark/gc.h"
#include "workloads/run.h"
#include "workloads/session.h"
#include "tests/support/elevated.h"
#include "tests/support/faketree.h"
#include "tests/support/mockperf.h"
#include "tests/support/run.h"
#include "tests/support/skip.h"

static struct sm_sample sample;
static struct sm_params params;
static struct sm_job job;
static char err[512];

static void prepare(const struct sm_workload *w, const char *const *assignments)
{
	sm_params_init(&params, w, true);
	for (; assignments && *assignments; assignments++)
		ck_assert_msg(sm_params_set(&params, *assignments, err, sizeof(err)) == 0, "%s",
			      err);
	sm_job_init(&job, &params);
}

static void go(void)
{
	int rc = sm_session_run(&job, &sample);

	ck_assert_msg(rc == 0, "%s", sample.error);
}

static double value_of(const char *name)
{
	const struct sm_result *r = sm_sample_result(&sample, name);

	ck_assert_msg(r != NULL && r->has_value, "no value of %s", name);
	return r->value;
}

static struct sm_counterset *software_set(void)
{
	static const char *const events[] = {"sw::minor-faults", "sw::task-clock"};
	struct sm_counterset_options opt = {
		.events = events, .n_events = 2, .from = SM_COUNTERS_SW};
	struct sm_counterset *set;

	ck_assert_msg(sm_counterset_new(&opt, &set, err, sizeof(err)) == 0, "%s", err);
	return set;
}

static const struct sm_metric *total(const char *name)
{
	for (unsigned i = 0; i < sample.nmetrics; i++) {
		const struct sm_metric *m = &sample.metrics[i];

		if (strcmp(m->role, "mutator") == 0 && m->thread == 0 &&
		    strcmp(m->phase, "total") == 0 && strcmp(m->metric, name) == 0)
			return m;
	}
	ck_abort_msg("no metric %s", name);
	return NULL;
}

/* ---- several timed parts ------------------------------------------------------------------ */

static struct sm_gc_stats begun, ended;
static uint64_t outside_ns[2]; /* around the timed parts, by our own clock */

static void make_garbage(struct sm_run *run)
{
	for (unsigned i = 0; i < 200000; i++)
		ck_assert_ptr_nonnull(sm_new_bytes(sm_run_thread(run)->m, 64));
	ck_assert_int_eq(sm_collect(sm_run_gc(run), sm_run_thread(run)->m), 0);
}

static void spin(uint64_t ns)
{
	for (uint64_t from = sm_clock_ns(); sm_clock_ns() - from < ns;)
		continue;
}

/* Two timed parts in which nothing happens but time; all the work lies outside of them. */
static int two_parts(struct sm_run *run)
{
	make_garbage(run);
	for (int i = 0; i < 2; i++) {
		uint64_t from = sm_clock_ns();

		sm_run_timed_begin(run);
		spin(2000000);
		sm_run_timed_end(run);
		outside_ns[i] = sm_clock_ns() - from;
		if (i == 0) {
			sm_gc_stats(sm_run_gc(run), &begun);
			make_garbage(run);
			sm_gc_stats(sm_run_gc(run), &ended);
		}
	}
	sm_run_ops(run, 10);
	return 0;
}

static const struct sm_param_desc no_params[] = {{0}};
static const struct sm_workload parts = {
	.name = "parts",
	.summary = "two timed parts",
	.op = "step",
	.params = no_params,
	.backends = 1u << SM_WL_GC,
	.run = two_parts,
};

START_TEST(what_lies_between_is_not_counted)
{
	static const struct sm_setting small = {"gc.min_heap", "256k"};
	double wall;

	prepare(&parts, NULL);
	job.settings = &small;
	job.nsettings = 1;
	go();
	/* Enough happened between the two: */
	ck_assert_uint_gt(ended.cycles, begun.cycles);
	ck_assert_uint_gt(ended.stalls, begun.stalls);
	ck_assert_double_eq(value_of("gc_cycles"), 0);
	ck_assert_double_eq(value_of("stalls"), 0);
	ck_assert_double_eq(value_of("alloc_bytes"), 0);
	ck_assert_double_eq(value_of("mark_ns"), 0);
	wall = value_of("wall_s") * 1e9;
	ck_assert(wall >= 4e6 && wall <= (double)(outside_ns[0] + outside_ns[1]));
	ck_assert_double_eq_tol(value_of("ns_per_op"), wall / 10, wall * 1e-6);
	ck_assert_double_eq_tol(value_of("ops_per_s"), 10e9 / wall, 1e9 / wall * 1e-3);
	sm_sample_free(&sample);
}
END_TEST

/* A thread's counters run from the first border to the second of each part, no further. */
START_TEST(counters_keep_to_the_timed_parts)
{
	struct sm_counterset *set = software_set();
	double time;

	prepare(&parts, NULL);
	job.counters = set;
	go();
	time = total("time")->value;
	/* A thousandth: two clocks. */
	ck_assert(time >= value_of("wall_s") * 1e9 * 0.999);
	ck_assert(time <= (double)(outside_ns[0] + outside_ns[1]) * 1.001);
	sm_sample_free(&sample);
	sm_counterset_free(set);
}
END_TEST

/* ---- units -------------------------------------------------------------------------------- */

/* Threads that work side by side: an operation takes each of them so long. */
START_TEST(an_operation_is_one_thread_s)
{
	static const char *const two[] = {"ops=1000", "threads=2", NULL};

	prepare(&sm__wl_churn, two);
	go();
	ck_assert_double_eq(value_of("ops"), 2000);
	ck_assert_double_eq_tol(value_of("ns_per_op"), value_of("wall_s") * 1e9 * 2 / 2000,
				value_of("wall_s"));
	sm_sample_free(&sample);
}
END_TEST

/* A machine of two nodes whose CPUs, as far as there are any, are all on the first: all that is
 * marked is marked near by. */
START_TEST(local_share_is_of_what_is_near)
{
	static const char *const small[] = {"objects=20000", "collections=2", NULL};
	struct sm_topology *t;

	ck_assert_int_eq(
		sm_topology_load(&(struct sm_topology_source){.synthetic = "pack:2 [numa] core:512 "
									   "pu:1"},
				 &t, err, sizeof(err)),
		0);
	t->is_thissystem = true;
	t->nodes[1].os = t->nodes[0].os;
	prepare(&sm__wl_graph, small);
	job.topology = t;
	go();
	ck_assert(value_of("mark_local_objects") >= 40000);
	ck_assert(value_of("mark_local_share") > 99);
	sm_sample_free(&sample);
	sm_topology_free(t);
}
END_TEST

/* ---- threads that take over -------------------------------------------------------------- */

static bool same_row(const struct sm_metric *a, const struct sm_metric *b)
{
	return a->thread == b->thread && strcmp(a->role, b->role) == 0 &&
	       strcmp(a->phase, b->phase) == 0 && strcmp(a->metric, b->metric) == 0;
}

/* Each generation of larson starts its threads anew: by thread, number 1 is one row. */
START_TEST(generations_are_one_thread)
{
	static const char *const small[] = {"ops=20000", "generations=4", "threads=2", NULL};
	struct sm_counterset *set = software_set();

	prepare(&sm__wl_larson, small);
	job.backend = SM_WL_LIBC;
	job.counters = set;
	go();
	for (unsigned i = 0; i < sample.nmetrics; i++) {
		const struct sm_metric *m = &sample.metrics[i];

		if (m->thread < 0)
			continue;
		for (unsigned k = i + 1; k < sample.nmetrics; k++)
			ck_assert_msg(!same_row(m, &sample.metrics[k]), "%s %d: %s %s twice",
				      m->role, m->thread, m->phase, m->metric);
	}
	sm_sample_free(&sample);
	sm_counterset_free(set);
}
END_TEST

/* ---- seats -------------------------------------------------------------------------------- */

static int moves_away(struct sm_run *run)
{
	sm_run_timed_begin(run);
	ck_assert_int_eq(sm_pin_release(), 0);
	sm_run_timed_end(run);
	return 0;
}

static const struct sm_workload deserter = {
	.name = "deserter",
	.summary = "leaves its seat",
	.op = "step",
	.params = no_params,
	.backends = 1u << SM_WL_GC,
	.run = moves_away,
};

/* A thread that is no longer where it was put: what it measured is not what was asked for. */
START_TEST(who_leaves_its_seat_is_found_out)
{
	struct sm_seat seat = {.node = -1};
	struct sm_topology *t;

	ck_assert_int_eq(sm_topology_load(&(struct sm_topology_source){0}, &t, err, sizeof(err)),
			 0);
	if (t->n_allowed < 2) {
		sm_topology_free(t);
		SM_SKIP("one CPU: nowhere to go");
	}
	for (int i = t->n_pus; i-- > 0;)
		if (t->pus[i].allowed)
			seat.cpu = t->pus[i].os;
	prepare(&deserter, NULL);
	job.mutators = &seat;
	ck_assert_int_eq(sm_session_run(&job, &sample), -EIO);
	ck_assert_msg(strstr(sample.error, "mutator 0") != NULL, "%s", sample.error);
	ck_assert_uint_eq(sample.nresults, 0);
	sm_sample_free(&sample);
	sm_topology_free(t);
}
END_TEST

/* ---- metrics ------------------------------------------------------------------------------ */

/* Counters of a machine that is made up, which run for a quarter of the time. */
START_TEST(metrics_are_in_their_units)
{
	static const char *const few[] = {"ops=1000", NULL}, *sets[] = {"cycles", "soft"};
	struct faketree tree;
	struct mock_perf mock;
	struct sm_counterset_options o = {
		.sets = sets, .n_sets = 2, .user_dir = "", .no_screen = true, .multiplex = true};
	struct sm_counterset *set;

	faketree_init(&tree);
	faketree_x86(&tree, "AuthenticAMD", 0x1a, 2);
	mock_perf_init(&mock, 6);
	mock.percent = 25;
	o.root = tree.root;
	o.opener = &mock.ops;
	ck_assert_msg(!sm_counterset_new(&o, &set, err, sizeof(err)), "%s", err);
	prepare(&sm__wl_churn, few);
	job.counters = set;
	go();
	ck_assert(total("cycles")->value > 0);
	ck_assert_uint_eq(total("cycles")->enabled_ns, 4 * total("cycles")->running_ns);
	ck_assert_double_eq_tol(total("cycles_per_op")->value, total("cycles")->value / 1000,
				total("cycles")->value * 1e-9);
	ck_assert_double_eq_tol(total("cpu_share")->value * total("time")->value,
				total("task_clock")->value, total("task_clock")->value * 1e-6);
	sm_sample_free(&sample);
	sm_counterset_free(set);
	faketree_remove(&tree);
}
END_TEST

/* ---- rights ------------------------------------------------------------------------------- */

/* Exit status: the number of the first expectation that failed; 1: not elevated. */
static int child(void)
{
	static const char *const events[] = {"sw::minor-faults"};
	struct sm_counterset_options opt = {
		.events = events, .n_events = 1, .from = SM_COUNTERS_SW};
	struct sm_counterset *set;

	if (!sm_privilege_elevated())
		return 1;
	if (sm_privilege_init(err, sizeof(err)) || !sm_privilege_has_perfmon())
		return 2;
	if (sm_counterset_new(&opt, &set, err, sizeof(err)))
		return 3;
	sm_params_init(&params, &sm__wl_churn, true);
	if (sm_params_set(&params, "ops=1000", err, sizeof(err)))
		return 4;
	sm_job_init(&job, &params);
	job.counters = set;
	if (sm_session_run(&job, &sample))
		return 5;
	return sm_privilege_has_perfmon() ? 6 : 0;
}

/* Once every thread has opened its counters, no thread has the file's rights any more. */
START_TEST(rights_of_the_file_end_with_set_up)
{
	char *env[] = {NULL};
	int status = elevated_run("--child", env);

	if (status != -1)
		ck_assert_int_eq(status, 0);
}
END_TEST

int main(int argc, char **argv)
{
	if (argc > 1 && strcmp(argv[1], "--child") == 0)
		return child();
	return SM_SUITE("timed", 60, SM_T(what_lies_between_is_not_counted),
			SM_T(counters_keep_to_the_timed_parts), SM_T(an_operation_is_one_thread_s),
			SM_T(local_share_is_of_what_is_near), SM_T(generations_are_one_thread),
			SM_T(who_leaves_its_seat_is_found_out), SM_T(metrics_are_in_their_units),
			SM_T(rights_of_the_file_end_with_set_up));
}
