/*
 * Counters from one end to the other on machines that are not here: fake sysfs trees and a mock
 * opener, through counter set (passes), session, the worker's JSON, store and report, to the table
 * and JSON that a user sees.
 */
#include <check.h>
#include <cjson/cJSON.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/report/writer.h"
#include "perf/counterset.h"
#include "perf/topology.h"
#include "tests/support/fake_run.h"
#include "tests/support/faketree.h"
#include "tests/support/mockperf.h"
#include "workloads/session.h"
#include "tests/support/run.h"

static struct faketree tree;
static struct mock_perf mock;
static struct sm_topology *topo;
static struct sm_report report;
static char *table, *json;

static void setup(void)
{
	faketree_init(&tree);
	mock_perf_init(&mock, 6);
	topo = NULL;
	report = (struct sm_report){0};
	table = json = NULL;
}

static void teardown(void)
{
	faketree_remove(&tree);
	sm_report_free(&report);
	sm_topology_free(topo);
	free(table);
	free(json);
	ck_assert_uint_eq(mock_perf_leaks(&mock), 0);
}

static char *print(enum sm_format format, enum sm_by by)
{
	struct sm_writer w = {.format = format, .by = by, .wide = true};
	char *text = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&text, &len);

	ck_assert_int_eq(sm_report_write(&report, &w, f), 0);
	fclose(f);
	return text;
}

/* One pass in this process, its sample as the worker sends it. malloc'ed. */
static char *measure(const struct sm_counterset *cs, unsigned pass, enum sm_by by)
{
	static const struct sm_seat seats[2] = {{0, 0}, {1, 0}};
	static const struct sm_setting stw = {"gc.mode", "stw"};
	struct sm_params params;
	struct sm_job job;
	struct sm_sample sample;
	char err[300], *wire;
	int rc;

	sm_params_init(&params, sm_workload_find("graph", err, sizeof(err)), true);
	ck_assert_int_eq(sm_params_set(&params, "objects=2000", err, sizeof(err)), 0);
	sm_job_init(&job, &params);
	job.settings = &stw;
	job.nsettings = 1;
	job.mutators = &seats[0];
	job.workers = 1;
	job.marks = &seats[1];
	job.counters = cs;
	job.topology = topo;
	job.pass = pass;
	job.by = by;
	rc = sm_session_run(&job, &sample);
	if (rc == -EINVAL && strstr(sample.error, "cpu")) { /* no second CPU to pin to */
		printf("%s\n", sample.error);
		exit(77);
	}
	ck_assert_msg(rc == 0, "%s", sample.error);
	wire = sm_record_format(&sample, NULL, rc);
	sm_sample_free(&sample);
	return wire;
}

/* The counters that the workers find; 0: as many as the parent. */
static unsigned found;

/* The set as the worker builds it: by the parent's plan. */
static struct sm_counterset *worker_set(const struct sm_counterset *parent,
					struct sm_counterset_options o)
{
	struct sm_pass_plan plan;
	struct sm_counterset *cs;
	char err[300] = "";

	ck_assert_int_eq(sm_counterset_plan(parent, &plan), 0);
	if (found > 0)
		mock.counters = found;
	o.plan = &plan;
	ck_assert_msg(!sm_counterset_new(&o, &cs, err, sizeof(err)), "%s", err);
	free(plan.metrics);
	free(plan.verdicts);
	return cs;
}

/* Everything from the sets' names to `table` and `json`. Returns the number of passes. */
static unsigned run(const char *const *sets, unsigned n_sets, bool multiplex, enum sm_by by)
{
	struct sm_counterset_options o = {.sets = sets,
					  .n_sets = n_sets,
					  .user_dir = "",
					  .root = tree.root,
					  .opener = &mock.ops,
					  .multiplex = multiplex,
					  .no_screen = true};
	struct fake_sample samples[16] = {0};
	char environment[400], err[300] = "";
	struct sm_counterset *parent, *cs;
	struct sm_store *s;
	unsigned passes;

	ck_assert_msg(!sm_counterset_new(&o, &parent, err, sizeof(err)), "%s", err);
	passes = parent->n_passes ? parent->n_passes : 1;
	cs = worker_set(parent, o);
	ck_assert_uint_le(passes, 16);
	for (unsigned i = 0; i < passes; i++) {
		samples[i].ordinal = samples[i].pass = i;
		samples[i].wire = measure(cs, i, by);
	}
	snprintf(
		environment, sizeof(environment),
		"{\"cpu_model\":\"Test "
		"CPU\",\"kernel\":\"6.1\",\"repetitions\":1,\"topology\":{\"cores\":2,\"nodes\":1},"
		"\"counters\":{\"passes\":%u,\"chosen\":false,\"metrics\":[]}}",
		passes);
	ck_assert_int_eq(sm_store_open(NULL, &s, err, sizeof(err)), 0);
	ck_assert_int_eq(
		sm_store_load(s, fake_run(s, environment, samples, passes, passes), &report), 0);
	sm_store_close(s);
	for (unsigned i = 0; i < passes; i++)
		free((char *)samples[i].wire);
	sm_counterset_free(cs);
	sm_counterset_free(parent);
	table = print(SM_FORMAT_TABLE, by);
	json = print(SM_FORMAT_JSON, by);
	return passes;
}

static void has(const char *text, const char *fragment)
{
	ck_assert_msg(strstr(text, fragment) != NULL, "no '%s' in:\n%s", fragment, text);
}

/* Calls fn for each metric of this name in the samples; returns how many. */
static unsigned each(const char *metric,
		     void (*fn)(const struct sm_record *, const struct sm_metric *))
{
	unsigned n = 0;

	for (size_t i = 0; i < report.nrecords; i++)
		for (size_t k = 0; k < report.records[i].nmetrics; k++)
			if (!strcmp(report.records[i].metrics[k].metric, metric)) {
				fn(&report.records[i], &report.records[i].metrics[k]);
				n++;
			}
	return n;
}

/* The line of the table that starts so; the test fails without. Static. */
static const char *line_of(const char *start)
{
	static char line[200];
	const char *p = table;

	while (p && strncmp(p, start, strlen(start)))
		p = strchr(p, '\n') ? strchr(p, '\n') + 1 : NULL;
	ck_assert_msg(p != NULL, "no line '%s' in:\n%s", start, table);
	snprintf(line, sizeof(line), "%.*s", (int)strcspn(p, "\n"), p);
	return line;
}

/* ---- passes ------------------------------------------------------------------------------- */

static void is_ok(const struct sm_record *rec, const struct sm_metric *m)
{
	(void)rec;
	ck_assert_msg(m->status == SM_STATUS_OK || strstr(m->reason, "light region"),
		      "%s of %s/%s: %s (%s)", m->metric, m->role, m->phase,
		      sm_status_names[m->status], m->reason);
	ck_assert_int_eq(m->has_value, m->status == SM_STATUS_OK);
}

/* Three counters: cycles, cache and TLB take several passes; every column of the table has its
 * value from one of them. */
START_TEST(passes_are_joined)
{
	static const char *const sets[] = {"cycles", "cache", "tlb"};
	unsigned passes;
	char head[80];

	faketree_x86(&tree, "AuthenticAMD", 0x1a, 2); /* Zen 5 */
	mock_perf_init(&mock, 3);
	passes = run(sets, 3, false, SM_BY_ROLE);
	ck_assert_uint_ge(passes, 2);
	snprintf(head, sizeof(head), "%u counter passes joined", passes);
	has(table, head);
	ck_assert_ptr_null(strstr(line_of("graph        gc   mutator  app"), "n/a"));
	has(line_of("cycles   "), "r76, per operation [pmu, pass 1]");
	has(line_of("L1D      "), "rff43, per operation [pmu, pass ");
	has(line_of("dTLB     "), "rf045, per operation [pmu, pass ");
	ck_assert_ptr_null(strstr(line_of("dTLB     "), "pass 1]")); /* not with the first three */
	ck_assert_uint_gt(each("cycles", is_ok), 0);
	ck_assert_uint_gt(each("l1d_miss", is_ok), 0);
	ck_assert_uint_gt(each("dtlb_walk", is_ok), 0);
	has(json, "\"pass\":1");
}
END_TEST

static void is_counted_or_explained(const struct sm_record *rec, const struct sm_metric *m)
{
	(void)rec;
	ck_assert_int_ne(m->status, SM_STATUS_UNSUPPORTED); /* the parent counted it */
	ck_assert(m->has_value || m->reason[0]);
}

/*
 * Planned with three counters, run with another number: the passes stay, no sample fails, each
 * metric is in each sample of its pass, counted or with the reason why not; with more counters all
 * are counted.
 */
START_TEST(a_plan_outlives_its_counters)
{
	static const char *const sets[] = {"cycles", "cache", "tlb"};
	static const char *const metrics[] = {"cycles",	 "instructions", "ipc",	     "l1d_miss",
					      "l2_miss", "llc_miss",	 "dtlb_walk"};

	faketree_x86(&tree, "AuthenticAMD", 0x1a, 2);
	mock_perf_init(&mock, 3);
	found = (unsigned)_i + 1;
	ck_assert_uint_ge(run(sets, 3, false, SM_BY_ROLE), 2);
	for (unsigned i = 0; i < sizeof(metrics) / sizeof(metrics[0]); i++)
		ck_assert_msg(each(metrics[i], is_counted_or_explained) > 0,
			      "%s is absent without a word", metrics[i]);
	if (found >= 3)
		ck_assert_ptr_null(strstr(line_of("graph        gc   mutator  app"), "n/a"));
	else
		has(json, "it could be counted when the run was planned");
	found = 0;
}
END_TEST

/* With counters for all there is one pass, and nothing is said about passes. */
START_TEST(one_pass_is_enough)
{
	static const char *const sets[] = {"cycles"};

	faketree_x86(&tree, "AuthenticAMD", 0x1a, 2);
	ck_assert_uint_eq(run(sets, 1, false, SM_BY_ROLE), 1);
	ck_assert_ptr_null(strstr(table, "pass"));
	has(line_of("IPC      "), "[pmu]");
}
END_TEST

static void is_scaled(const struct sm_record *rec, const struct sm_metric *m)
{
	(void)rec;
	if (!m->has_value)
		return;
	ck_assert_int_eq(m->status, SM_STATUS_MULTIPLEXED);
	ck_assert_uint_lt(m->running_ns, m->enabled_ns);
}

START_TEST(multiplexed_is_scaled_and_labelled)
{
	static const char *const sets[] = {"cycles", "cache", "tlb"};

	faketree_x86(&tree, "AuthenticAMD", 0x1a, 2);
	mock_perf_init(&mock, 4);
	mock.percent = 50;
	ck_assert_uint_eq(run(sets, 3, true, SM_BY_ROLE), 1);
	ck_assert_uint_gt(each("cycles", is_scaled), 0);
	ck_assert_ptr_nonnull(strchr(line_of("graph        gc   mutator  app"), '~'));
	has(table, "~        scaled: the counter ran for a part of the time (multiplexed)");
	has(json, "\"status\":\"multiplexed\"");
}
END_TEST

/* ---- kinds of cores ----------------------------------------------------------------------- */

static void of_its_core(const struct sm_record *rec, const struct sm_metric *m)
{
	(void)rec;
	if (m->thread < 0 || m->cpu < 0)
		return;
	ck_assert_str_eq(m->core_kind, m->cpu == 0 ? "adl_p" : "adl_e");
	has(m->event, "r003c");
	ck_assert(m->has_value);
}

static void hybrid_tree(void)
{
	faketree_write(&tree, "/proc/cpuinfo",
		       "processor : 0\nvendor_id : GenuineIntel\ncpu family : 6\nmodel : 151");
	faketree_pmu(&tree, "cpu_core", 4, "cpus", "0");
	faketree_pmu(&tree, "cpu_atom", 10, "cpus", "1");
}

/* The mutator on a P core, the mark worker on an E core: rows of their own, each with its PMU's
 * event, never added up. */
START_TEST(hybrid_rows_by_role)
{
	static const char *const sets[] = {"cycles", "stall"};

	hybrid_tree();
	run(sets, 2, false, SM_BY_ROLE);
	has(table, "mutator adl_p");
	has(table, "mark adl_e");
	ck_assert_ptr_null(strstr(table, "mutator adl_e"));
	ck_assert_uint_gt(each("cycles", of_its_core), 0);
}
END_TEST

START_TEST(hybrid_rows_by_kind)
{
	static const char *const sets[] = {"cycles"};
	struct sm_topology_source from = {.synthetic = "core:2 pu:1"};
	char err[200];

	hybrid_tree();
	ck_assert_int_eq(sm_topology_load(&from, &topo, err, sizeof(err)), 0);
	run(sets, 1, false, SM_BY_KIND);
	has(table, "adl_p");
	has(table, "adl_e");
	ck_assert_ptr_null(strstr(table, "all cores"));
	has(json, "\"role\":\"by-kind\"");
}
END_TEST

static void of_its_cluster(const struct sm_record *rec, const struct sm_metric *m)
{
	(void)rec;
	if (m->thread < 0 || m->cpu < 0)
		return;
	ck_assert_str_eq(m->core_kind, m->cpu == 0 ? "arm_ac72" : "arm_ac53");
}

/* big.LITTLE: an A72 and an A53 cluster with a PMU each. */
START_TEST(big_little_rows)
{
	static const char *const sets[] = {"cycles", "branch"};

	faketree_write(&tree, "/proc/cpuinfo",
		       "processor : 0\nCPU implementer : 0x41\nCPU part : 0xd08\n\n"
		       "processor : 1\nCPU implementer : 0x41\nCPU part : 0xd03\n");
	faketree_pmu(&tree, "armv8_cortex_a72", 8, "cpus", "0");
	faketree_pmu(&tree, "armv8_cortex_a53", 9, "cpus", "1");
	run(sets, 2, false, SM_BY_ROLE);
	has(table, "mutator arm_ac72");
	has(table, "mark arm_ac53");
	ck_assert_uint_gt(each("cycles", of_its_cluster), 0);
}
END_TEST

/* ---- packages ----------------------------------------------------------------------------- */

START_TEST(packages_have_rows)
{
	static const char *const sets[] = {"cycles", "memory"};
	struct sm_topology_source from = {.synthetic = "[numa] pack:2 l3:1 core:2 pu:1"};
	char err[200];

	faketree_x86(&tree, "AuthenticAMD", 0x1a, 2);
	for (int i = 0; i < 2; i++) {
		char name[80];

		snprintf(name, sizeof(name), "amd_umc_%d", i);
		faketree_pmu(&tree, name, 30 + i, "cpumask", "0,2");
		snprintf(name, sizeof(name),
			 "/sys/bus/event_source/devices/amd_umc_%d/format/event", i);
		faketree_write(&tree, name, "config:0-7");
		snprintf(name, sizeof(name),
			 "/sys/bus/event_source/devices/amd_umc_%d/format/rdwrmask", i);
		faketree_write(&tree, name, "config:8-9");
	}
	ck_assert_int_eq(sm_topology_load(&from, &topo, err, sizeof(err)), 0);
	topo->is_thissystem = true; /* packages of another machine are not counted */
	run(sets, 2, false, SM_BY_ROLE);
	has(table, "package 0");
	has(table, "package 1");
	has(json, "\"metric\":\"mem_read_lines\"");
}
END_TEST

static enum sm_status want_status;
static const char *want_reason;

static void is_refused(const struct sm_record *rec, const struct sm_metric *m)
{
	(void)rec;
	if (m->source != SM_SOURCE_PMU && strcmp(m->role, "package"))
		return;
	ck_assert_msg(m->status == want_status, "%s: %s (%s) instead of %s", m->metric,
		      sm_status_names[m->status], m->reason, sm_status_names[want_status]);
	ck_assert_msg(strstr(m->reason, want_reason) != NULL, "'%s' lacks '%s'", m->reason,
		      want_reason);
	ck_assert(!m->has_value);
}

/* ---- denial ------------------------------------------------------------------------------- */

/* Whatever perf_event_open says: no value, its status and reason to the last format, the rest of
 * the sample is there. */
START_TEST(refusals_reach_the_table)
{
	static const struct {
		int err;
		enum sm_status status;
		const char *reason;
	} cases[] = {
		{EACCES, SM_STATUS_DENIED, "perf_event_paranoid"},
		{EPERM, SM_STATUS_DENIED, "seccomp"},
		{ENOSYS, SM_STATUS_UNSUPPORTED, "perf_event_open"},
		{EMFILE, SM_STATUS_NOT_COUNTED, "file descriptors"},
		{EINVAL, SM_STATUS_UNSUPPORTED, ""},
		{ENOENT, SM_STATUS_UNSUPPORTED, "PMU"},
		{EBUSY, SM_STATUS_NOT_COUNTED, ""},
	};
	static const char *const sets[] = {"cycles", "soft"};

	faketree_x86(&tree, "AuthenticAMD", 0x1a, 2);
	mock.fail_all = cases[_i].err;
	want_status = cases[_i].status;
	want_reason = cases[_i].reason;
	run(sets, 2, false, SM_BY_ROLE);
	ck_assert_uint_gt(each("cycles", is_refused), 0);
	ck_assert_uint_gt(each("ipc", is_refused), 0);
	has(line_of("graph        gc   mutator  app"), "n/a");
	has(table, "n/a 1    ");
	has(json, "\"metric\":\"cycles\"");
	has(json, "\"value\":null");
	has(line_of("faults   "), "[sw]"); /* software counts go on */
	ck_assert_ptr_nonnull(strstr(json, sm_status_names[want_status]));
}
END_TEST

/* Counters that another user of the PMU holds: they open, and the kernel never schedules them. */
START_TEST(stolen_counters_are_not_zero)
{
	static const char *const sets[] = {"cycles"};

	faketree_x86(&tree, "AuthenticAMD", 0x1a, 2);
	mock.stolen = 6;
	want_status = SM_STATUS_NOT_COUNTED;
	want_reason = "free counter";
	run(sets, 1, false, SM_BY_ROLE);
	ck_assert_uint_gt(each("cycles", is_refused), 0);
}
END_TEST

/* ---- user-space reads --------------------------------------------------------------------- */

START_TEST(reading_mode_is_told)
{
	static const char *const sets[] = {"cycles"};

	faketree_x86(&tree, "AuthenticAMD", 0x1a, 2);
	run(sets, 1, false, SM_BY_ROLE);
	has(line_of("cost     "), "ns a change of phase");
	has(table, "by system calls");
	has(json, "\"counting_in_user_space\":0");
}
END_TEST

int main(void)
{
	return SM_SUITE_EACH("counters_end", 60, setup, teardown, SM_T(passes_are_joined),
			     SM_T(one_pass_is_enough), SM_LOOP(a_plan_outlives_its_counters, 0, 8),
			     SM_T(multiplexed_is_scaled_and_labelled), SM_T(hybrid_rows_by_role),
			     SM_T(hybrid_rows_by_kind), SM_T(big_little_rows),
			     SM_T(packages_have_rows), SM_LOOP(refusals_reach_the_table, 0, 7),
			     SM_T(stolen_counters_are_not_zero), SM_T(reading_mode_is_told));
}
