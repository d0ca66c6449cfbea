/* workloads/session.c, run.c, counting.c, sample.c: jobs that are refused, fail, time and count. */
#include <check.h>
#include <errno.h>
#include <math.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "allocator/objects/cache.h"
#include "perf/counterset.h"
#include "perf/pin.h"
#include "perf/topology.h"
#include "spanmark/gc.h"
#include "workloads/results.h"
#include "workloads/run.h"
#include "workloads/session.h"
#include "tests/support/run.h"
#include "tests/support/skip.h"

static struct sm_sample sample;
static struct sm_params params;
static struct sm_job job;
static char err[512];

static void prepare(const char *name, const char *assignments)
{
	static char text[256];
	const struct sm_workload *w = sm_workload_find(name, err, sizeof(err));

	ck_assert_msg(w != NULL, "%s", err);
	sm_params_init(&params, w, true);
	snprintf(text, sizeof(text), "%s", assignments);
	for (char *save = NULL, *t = strtok_r(text, " ", &save); t; t = strtok_r(NULL, " ", &save))
		ck_assert_msg(sm_params_set(&params, t, err, sizeof(err)) == 0, "%s", err);
	sm_job_init(&job, &params);
}

static double value_of(const char *name)
{
	const struct sm_result *r = sm_sample_result(&sample, name);

	ck_assert_msg(r != NULL && r->has_value, "no value of %s", name);
	return r->value;
}

/* ---- refusals ----------------------------------------------------------------------------- */

static void refused(const struct sm_setting *setting, const char *words)
{
	job.settings = setting;
	job.nsettings = setting != NULL;
	ck_assert_int_eq(sm_job_check(&job, err, sizeof(err)), -EINVAL);
	ck_assert_msg(strstr(err, words) != NULL, "'%s' lacks '%s'", err, words);
	ck_assert_ptr_null(strchr(err, '\n'));
	ck_assert_int_eq(sm_session_run(&job, &sample), -EINVAL);
	ck_assert_str_eq(sample.error, err);
	ck_assert_uint_eq(sample.nresults, 0);
	sm_sample_free(&sample);
}

START_TEST(bad_jobs)
{
	prepare("slices", "");
	job.backend = SM_WL_LIBC;
	refused(NULL, "backend=libc: must be gc");
	prepare("slices", "");
	refused(&(struct sm_setting){"cache.windows", "1k"}, "cache.windows");
	refused(&(struct sm_setting){"cache.window", "x"}, "x");
	refused(&(struct sm_setting){"gc.mode", "never"}, "never");
	refused(&(struct sm_setting){"gc.percent", "-1"}, "gc.percent");
	ck_assert_int_eq((prepare("slices", ""), sm_job_check(&job, err, sizeof(err))), 0);
}
END_TEST

static void count_key(void *ctx, const char *key, const char *values, const char *help)
{
	unsigned *n = ctx;

	ck_assert(key != NULL && values != NULL && help != NULL);
	*n += strcmp(key, "gc.mode") == 0 || strcmp(key, "cache.window") == 0;
}

START_TEST(keys_of_both_tables)
{
	unsigned n = 0;

	sm_job_setting_keys(count_key, &n);
	ck_assert_uint_eq(n, 2);
}
END_TEST

START_TEST(no_such_cpu)
{
	struct sm_seat seat = {.cpu = 100000, .node = -1};

	prepare("slices", "");
	job.mutators = &seat;
	ck_assert_int_lt(sm_session_run(&job, &sample), 0);
	ck_assert_ptr_nonnull(strstr(sample.error, "100000"));
	ck_assert_ptr_nonnull(strstr(sample.error, "mutator 0"));
	ck_assert_uint_eq(sample.nresults, 0);
	sm_sample_free(&sample);
}
END_TEST

/* The second mutator's seat does not exist: the session does not wait for it forever. */
START_TEST(no_such_cpu_for_one)
{
	struct sm_seat seats[2] = {{.cpu = -1, .node = -1}, {.cpu = 100000, .node = -1}};

	prepare("churn", "ops=1000 threads=2");
	job.mutators = seats;
	ck_assert_int_lt(sm_session_run(&job, &sample), 0);
	ck_assert_ptr_nonnull(strstr(sample.error, "mutator 1"));
	sm_sample_free(&sample);
}
END_TEST

/* 100 MB live do not fit into 16 MiB: the run says so, and keeps no half results. */
START_TEST(out_of_memory)
{
	static const struct sm_setting limit = {"heap.limit", "16m"};
	static const char *const cases[][2] = {
		{"ring", "live=100000 size=1024 ops=10"},
		{"binary-trees", "depth=21 threads=2"},
	};

	prepare(cases[_i][0], cases[_i][1]);
	job.settings = &limit;
	job.nsettings = 1;
	ck_assert_int_eq(sm_session_run(&job, &sample), -ENOMEM);
	ck_assert_msg(strstr(sample.error, "out of memory") != NULL, "%s", sample.error);
	ck_assert_uint_eq(sample.nresults, 0);
	ck_assert_uint_eq(sample.nmetrics, 0);
	sm_sample_free(&sample);
}
END_TEST

/* ---- what is timed and told --------------------------------------------------------------- */

START_TEST(time_adds_up)
{
	prepare("ring", "live=5000 size=1024 ops=20000");
	ck_assert_int_eq(sm_session_run(&job, &sample), 0);
	ck_assert(value_of("wall_s") > 0);
	ck_assert(value_of("setup_s") > 0);
	ck_assert_double_eq_tol(value_of("ns_per_op"), value_of("wall_s") * 1e9 / 20000, 1e-3);
	/*
	 * 20000 steps allocate a node and a payload each; what was built before does not count.
	 * Bytes are counted by the window, so each of the two bins may have begun in a window taken
	 * before (32 KiB), and a cache may not have posted its last (SM_POST_BYTES and a window).
	 */
	ck_assert(value_of("alloc_bytes") >= 20000 * 1040.0 - 3 * 32 * 1024 - SM_POST_BYTES);
	ck_assert(value_of("alloc_bytes") < 23000 * 1040.0 + 1e6);
	ck_assert(value_of("peak_rss_kib") > 5000);
	sm_sample_free(&sample);
}
END_TEST

START_TEST(pinned_to_what_there_is)
{
	struct sm_topology_source here = {0};
	struct sm_topology *t;
	struct sm_seat seats[2];
	unsigned n = 0;

	ck_assert_int_eq(sm_topology_load(&here, &t, err, sizeof(err)), 0);
	for (int i = 0; i < t->n_pus && n < 2; i++)
		if (t->pus[i].allowed)
			seats[n++] = (struct sm_seat){.cpu = t->pus[i].os,
						      .node = t->nodes[t->pus[i].node].os};
	prepare("churn", n == 2 ? "ops=100000 threads=2" : "ops=100000");
	job.mutators = seats;
	job.marks = seats;
	job.workers = 1;
	job.topology = t;
	ck_assert_msg(sm_session_run(&job, &sample) == 0, "%s", sample.error);
	ck_assert_double_eq(value_of("ops"), n * 100000);
	sm_sample_free(&sample);
	sm_topology_free(t);
}
END_TEST

/* A workload whose thread moves to the other CPU and back, again and again. */
static struct sm_seat seats_to_swap[2];
static unsigned swaps;

static int restless(struct sm_run *run)
{
	char why[200];

	sm_run_timed_begin(run);
	for (unsigned i = 0; i < swaps; i++) {
		ck_assert_int_eq(sm_pin_thread(seats_to_swap[1].cpu, why, sizeof(why)), 0);
		ck_assert_int_eq(sm_pin_thread(seats_to_swap[0].cpu, why, sizeof(why)), 0);
	}
	sm_run_timed_end(run);
	sm_run_ops(run, 1);
	return 0;
}

static const char *warnings_of_restless(unsigned n, bool pinned)
{
	static struct sm_workload w;

	sm_sample_free(&sample);
	w = *params.workload;
	w.run = restless;
	params.workload = &w;
	swaps = n;
	job.mutators = pinned ? seats_to_swap : NULL;
	ck_assert_msg(sm_session_run(&job, &sample) == 0, "%s", sample.error);
	return sample.warnings != NULL ? sample.warnings : "";
}

START_TEST(moves_are_told)
{
	struct sm_topology_source here = {0};
	struct sm_topology *t;
	unsigned n = 0;
	cpu_set_t both;

	ck_assert_int_eq(sm_topology_load(&here, &t, err, sizeof(err)), 0);
	for (int i = 0; i < t->n_pus && n < 2; i++)
		if (t->pus[i].allowed)
			seats_to_swap[n++] = (struct sm_seat){.cpu = t->pus[i].os, .node = -1};
	sm_topology_free(t);
	if (n < 2 || sm_pin_moves() < 0)
		SM_SKIP(n < 2 ? "one CPU" : "the kernel does not tell moves");
	prepare("slices", "");
	ck_assert_str_eq(warnings_of_restless(0, true), "");
	ck_assert_str_eq(warnings_of_restless(1, true),
			 "mutator 0 is pinned, but was moved between CPUs 2 times\n");
	/* two moves are nothing where nobody pinned; many in a short time are */
	CPU_ZERO(&both);
	CPU_SET((unsigned)seats_to_swap[0].cpu, &both);
	CPU_SET((unsigned)seats_to_swap[1].cpu, &both);
	ck_assert_int_eq(sched_setaffinity(0, sizeof(both), &both), 0);
	ck_assert_ptr_nonnull(
		strstr(warnings_of_restless(500, false), "mutator 0 moved between CPUs 1"));
	sm_sample_free(&sample);
}
END_TEST

/* ---- counters ----------------------------------------------------------------------------- */

static const struct sm_metric *metric_of(const char *role, int thread, const char *phase,
					 const char *metric)
{
	for (unsigned i = 0; i < sample.nmetrics; i++) {
		const struct sm_metric *m = &sample.metrics[i];

		if (strcmp(m->role, role) == 0 && m->thread == thread &&
		    strcmp(m->phase, phase) == 0 && strcmp(m->metric, metric) == 0)
			return m;
	}
	return NULL;
}

static double metric(const char *role, int thread, const char *phase, const char *name)
{
	const struct sm_metric *m = metric_of(role, thread, phase, name);

	ck_assert_msg(m != NULL, "no metric %s %d %s %s", role, thread, phase, name);
	ck_assert_msg(m->has_value, "%s %d %s %s: %s", role, thread, phase, name, m->reason);
	return m->value;
}

/* Sum of a metric over the phases of a thread, "total" left out. */
static double sum_of_phases(const char *role, int thread, const char *name)
{
	double sum = 0;

	for (unsigned i = 0; i < sample.nmetrics; i++) {
		const struct sm_metric *m = &sample.metrics[i];

		if (strcmp(m->role, role) == 0 && m->thread == thread &&
		    strcmp(m->metric, name) == 0 && strcmp(m->phase, "total") != 0)
			sum += m->value;
	}
	return sum;
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

START_TEST(phases_sum_to_totals)
{
	struct sm_counterset *set = software_set();

	prepare("binary-trees", "depth=14 threads=2");
	job.settings = &(struct sm_setting){"gc.min_heap", "1m"};
	job.nsettings = 1;
	job.counters = set;
	job.workers = 1;
	ck_assert_msg(sm_session_run(&job, &sample) == 0, "%s", sample.error);
	for (int t = -1; t < 2; t++) {
		ck_assert_double_eq_tol(sum_of_phases("mutator", t, "time"),
					metric("mutator", t, "total", "time"), 1);
		ck_assert_double_eq_tol(sum_of_phases("mutator", t, "sw::minor-faults"),
					metric("mutator", t, "total", "sw::minor-faults"), 0.5);
		/* What costs a system call to read is left with the phase around it, and said to
		 * be. */
		ck_assert(!metric_of("mutator", t, "refill", "sw::minor-faults")->has_value);
	}
	/* Thread 0 is in the timed part for all of it (two clocks; test_timed.c has the rest). */
	ck_assert(metric("mutator", 0, "total", "time") >= value_of("wall_s") * 1e9 * 0.999);
	ck_assert(metric("mutator", 0, "refill", "time") > 0);
	ck_assert(metric("mutator", -1, "app", "time") >= metric("mutator", 0, "app", "time"));
	ck_assert_double_eq(metric("mutator", -1, "refill", "enters"),
			    metric("mutator", 0, "refill", "enters") +
				    metric("mutator", 1, "refill", "enters"));
	if (value_of("gc_cycles") > 0)
		ck_assert(metric("mark", -1, "mark", "time") > 0);
	ck_assert(value_of("counting_share") < 1);
	sm_sample_free(&sample);
	sm_counterset_free(set);
}
END_TEST

/* What the control thread does while objects move stands beside its other phases. */
START_TEST(a_compaction_is_a_phase)
{
	struct sm_counterset *set = software_set();

	prepare("slices", "around=2000");
	job.settings = &(struct sm_setting){"gc.compact", "full"};
	job.nsettings = 1;
	job.counters = set;
	ck_assert_msg(sm_session_run(&job, &sample) == 0, "%s", sample.error);
	ck_assert(metric("control", -1, "compact", "time") > 0);
	ck_assert_double_eq(metric("control", -1, "compact", "enters"), 1);
	ck_assert(metric_of("control", -1, "compact", "sw::minor-faults")->has_value);
	sm_sample_free(&sample);
	sm_counterset_free(set);
}
END_TEST

/* What happens before the timed part is counted nowhere: building the graph faults its memory in.
 */
START_TEST(set_up_is_not_counted)
{
	struct sm_counterset *set = software_set();

	prepare("graph", "objects=200000 collections=2");
	job.counters = set;
	ck_assert_msg(sm_session_run(&job, &sample) == 0, "%s", sample.error);
	/* built: 3125 pages of 4 KiB */
	ck_assert(metric("mutator", 0, "total", "sw::minor-faults") < 1000);
	sm_sample_free(&sample);
	sm_counterset_free(set);
}
END_TEST

/* Stalls of the set-up are forgotten: a graph that is built with cycles, then a collection with a
 * single mutator that waits for it, leaves a handful of handshakes. */
START_TEST(set_up_stalls_are_forgotten)
{
	static const struct sm_setting small = {"gc.min_heap", "256k"};

	prepare("graph", "objects=100000 collections=1");
	job.settings = &small;
	job.nsettings = 1;
	ck_assert_msg(sm_session_run(&job, &sample) == 0, "%s", sample.error);
	/* building stores into old objects */
	ck_assert_double_eq(value_of("stall_barrier_count"), 0);
	ck_assert_double_eq(value_of("stall_assist_count"), 0);
	ck_assert(value_of("stalls") < 100);
	sm_sample_free(&sample);
}
END_TEST

START_TEST(no_such_pass)
{
	struct sm_counterset *set = software_set();

	prepare("slices", "");
	job.counters = set;
	job.pass = 99;
	ck_assert_int_lt(sm_session_run(&job, &sample), 0);
	ck_assert_ptr_nonnull(strstr(sample.error, "pass 99"));
	sm_sample_free(&sample);
	sm_counterset_free(set);
}
END_TEST

/* ---- samples ------------------------------------------------------------------------------ */

static void add(const char *name, bool has_value, double value, const char *reason)
{
	struct sm_result r = {.name = name,
			      .unit = "x",
			      .has_value = has_value,
			      .value = value,
			      .reason = reason};

	ck_assert_int_eq(sm_sample_add_result(&sample, &r), 0);
}

/* The blocks of waits in results.def follow the collector's causes, and their parts enum
 * sm_wait_part. */
START_TEST(waits_have_the_names_of_their_causes)
{
	static const char *const parts[SM_WAIT_PARTS] = {"count",   "p50_us",	  "p99_us",
							 "p999_us", "max_us",	  "kept_max_us",
							 "lost",    "lost_max_us"};
	char name[64];

	for (int c = 0; c < SM_STALL_CAUSES; c++)
		for (unsigned p = 0; p < SM_WAIT_PARTS; p++) {
			snprintf(name, sizeof(name), "stall_%s_%s",
				 sm_stall_name((enum sm_stall_cause)c), parts[p]);
			ck_assert_str_eq(sm_results[sm_wait_result(c, (enum sm_wait_part)p)].name,
					 name);
			if (p == 0)
				continue;
			snprintf(name, sizeof(name), "stall_%s", parts[p]);
			ck_assert_str_eq(
				sm_results[sm_wait_result(SM_WAITS_ALL, (enum sm_wait_part)p)].name,
				name);
		}
	ck_assert_int_eq(sm_result_shown("of another version"), SM_SHOWN_MORE);
	ck_assert_int_eq(sm_result_shown("stall_pace_lost"), SM_SHOWN_FILES);
}
END_TEST

START_TEST(samples_hold_what_is_added)
{
	struct sm_metric m;
	char name[32];

	sm_sample_init(&sample);
	sm_row_init(&sm_metric_type, &m);
	m.role = "mark";
	m.has_value = true;
	for (int i = 0; i < 300; i++) {
		snprintf(name, sizeof(name), "r%d", i);
		add(name, true, i, "");
		m.value = i;
		ck_assert_int_eq(sm_sample_add_metric(&sample, &m), 0);
	}
	add("r7", true, 0.5, "");
	add("r8", false, 0, "because");
	add("r9", true, INFINITY, "");
	ck_assert_uint_eq(sample.nresults, 300);
	ck_assert_uint_eq(sample.nmetrics, 300);
	ck_assert_double_eq(sample.metrics[299].value, 299);
	ck_assert_str_eq(sample.metrics[0].role, "mark");
	ck_assert_double_eq(sm_sample_result(&sample, "r299")->value, 299);
	ck_assert_double_eq(sm_sample_result(&sample, "r7")->value, 0.5);
	ck_assert(!sm_sample_result(&sample, "r8")->has_value);
	ck_assert_str_eq(sm_sample_result(&sample, "r8")->reason, "because");
	ck_assert(!sm_sample_result(&sample, "r9")->has_value);
	ck_assert_str_eq(sm_sample_result(&sample, "r9")->reason, "not a finite number");
	ck_assert_ptr_null(sm_sample_result(&sample, "r300"));
	sm_sample_free(&sample);
}
END_TEST

/* What a simulated pass beside measured samples sends: no time, no memory, no word. */
START_TEST(a_simulated_pass_keeps_its_counts)
{
	struct sm_metric m = {.role = "mutator",
			      .phase = "app",
			      .metric = "time",
			      .event = "clock",
			      .reason = "",
			      .core_kind = "",
			      .unit = "ns",
			      .calibration = "",
			      .has_value = true,
			      .value = 5,
			      .source = SM_SOURCE_SW};

	sm_sample_init(&sample);
	add("ops", true, 40, "");
	add("wall_s", true, 3, "");
	ck_assert_int_eq(sm_sample_add_metric(&sample, &m), 0);
	m.metric = "instructions";
	m.source = SM_SOURCE_SIM;
	m.value = 7;
	ck_assert_int_eq(sm_sample_add_metric(&sample, &m), 0);
	sample.warnings = strdup("slow\n");
	ck_assert_int_eq(sm_sample_keep_simulated(&sample), 0);
	ck_assert_uint_eq(sample.nresults, 1);
	ck_assert_double_eq(sm_sample_result(&sample, "simulated_ops")->value, 40);
	ck_assert_uint_eq(sample.nmetrics, 1);
	ck_assert_str_eq(sample.metrics[0].metric, "instructions");
	ck_assert_ptr_null(sample.warnings);
	sm_sample_free(&sample);
}
END_TEST

int main(void)
{
	return SM_SUITE("session", 60, SM_T(bad_jobs), SM_T(keys_of_both_tables), SM_T(no_such_cpu),
			SM_T(no_such_cpu_for_one), SM_LOOP(out_of_memory, 0, 2), SM_T(time_adds_up),
			SM_T(pinned_to_what_there_is), SM_T(moves_are_told),
			SM_T(phases_sum_to_totals), SM_T(a_compaction_is_a_phase),
			SM_T(set_up_is_not_counted), SM_T(set_up_stalls_are_forgotten),
			SM_T(no_such_pass), SM_T(samples_hold_what_is_added),
			SM_T(a_simulated_pass_keeps_its_counts),
			SM_T(waits_have_the_names_of_their_causes));
}
