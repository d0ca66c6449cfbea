/* harness/process/count.c over a mock PMU: a pass of a set over a tree of processes. */
#include "harness/process/count.h"

#include <check.h>
#include <string.h>

#include "tests/support/faketree.h"
#include "tests/support/mockperf.h"
#include "tests/support/run.h"

static struct faketree tree;
static struct mock_perf mock;
static struct sm_counterset *set;
static struct sm_count *count;
static struct sm_sample sample;

/* 2 s of CPU, 30 faults. */
static const struct rusage used = {.ru_utime = {1, 500000},
				   .ru_stime = {0, 500000},
				   .ru_minflt = 28,
				   .ru_majflt = 2,
				   .ru_nvcsw = 5,
				   .ru_nivcsw = 1};
static const struct sm_count_total total = {
	.used = &used, .switches = true, .ops = 10, .wall_s = 4};

static void begin(void)
{
	faketree_init(&tree);
	faketree_x86(&tree, "AuthenticAMD", 25, 1);
	mock_perf_init(&mock, 2);
	sm_sample_init(&sample);
}

static void end(void)
{
	sm_count_close(count);
	ck_assert_uint_eq(mock_perf_leaks(&mock), 0);
	sm_counterset_free(set);
	sm_sample_free(&sample);
	faketree_remove(&tree);
}

/* Raw events 3, 5, 7 (the mock counts their number at each read) and what the kernel accounts. */
static void open_pass(unsigned pass, bool multiplex)
{
	static const char *const sets[] = {"soft"};
	static const char *const events[] = {"r3", "r5", "r7"};
	struct sm_counterset_options o = {.sets = sets,
					  .n_sets = 1,
					  .events = events,
					  .n_events = 3,
					  .multiplex = multiplex,
					  .no_screen = true,
					  .user_dir = "",
					  .root = tree.root,
					  .opener = &mock.ops};
	char err[300] = "";

	ck_assert_msg(sm_counterset_new(&o, &set, err, sizeof(err)) == 0, "%s", err);
	mock.lose_all = false;
	ck_assert_int_eq(sm_count_open(set, pass, 4711, &count), 0);
}

static const struct sm_metric *metric(const char *name)
{
	for (size_t i = 0; i < sample.nmetrics; i++)
		if (strcmp(sample.metrics[i].metric, name) == 0)
			return &sample.metrics[i];
	return NULL;
}

static void is(const char *name, double value)
{
	const struct sm_metric *m = metric(name);

	ck_assert_msg(m != NULL, "no %s", name);
	ck_assert_msg(m->has_value && m->value == value, "%s: %g (%s)", name, m->value, m->reason);
	ck_assert_str_eq(m->role, "program");
	ck_assert_str_eq(m->phase, "total");
	ck_assert_int_eq(m->by, SM_BY_ROLE);
}

START_TEST(test_nothing)
{
	ck_assert_int_eq(sm_count_open(NULL, 0, 1, &count), 0);
	ck_assert_ptr_null(count);
	sm_count_begin(count);
	sm_count_end(count);
	ck_assert_int_eq(sm_count_report(count, &total, &sample), 0);
	ck_assert_uint_eq(sample.nmetrics, 0);
}
END_TEST

/* Two counters, three events: each pass has its own, the accounting is in both. */
START_TEST(test_passes)
{
	open_pass((unsigned)_i, false);
	ck_assert_uint_eq(set->n_passes, 2);
	mock.executed = true;
	sm_count_end(count);
	ck_assert_int_eq(sm_count_report(count, &total, &sample), 0);
	is("time", 4e9);
	is("minor_faults", 28);
	is("task_clock", 2e9);
	is("ctx_switches", 6);
	if (_i == 0) {
		is("r3", 3);
		is("r5", 5);
		ck_assert_ptr_null(metric("r7"));
	} else {
		is("r7", 7);
		ck_assert_ptr_null(metric("r3"));
	}
}
END_TEST

/* What was counted before the window is no part of it. */
START_TEST(test_window)
{
	open_pass(0, false);
	mock.executed = true;
	for (int i = 0; i < 5; i++)
		sm_count_begin(count);
	sm_count_end(count);
	sm_count_end(count);
	ck_assert_int_eq(sm_count_report(count, &total, &sample), 0);
	is("r3", 6); /* of seven reads, two */
	is("r5", 10);
}
END_TEST

START_TEST(test_lost)
{
	open_pass(0, false);
	mock.executed = true;
	mock.lose_all = true;
	sm_count_end(count);
	ck_assert_int_eq(sm_count_report(count, &total, &sample), 0);
	ck_assert(!metric("r3")->has_value);
	ck_assert_int_eq(metric("r3")->status, SM_STATUS_NOT_COUNTED);
	is("minor_faults", 28);
}
END_TEST

/* It never executed: nothing was scheduled. */
START_TEST(test_never_executed)
{
	open_pass(0, false);
	sm_count_end(count);
	ck_assert_int_eq(sm_count_report(count, &total, &sample), 0);
	is("r3", 0);
}
END_TEST

/* One pass for all, rotated: scaled, and said so. */
START_TEST(test_multiplexed)
{
	open_pass(0, true);
	ck_assert_uint_eq(set->n_passes, 1);
	mock.percent = 50;
	mock.executed = true;
	sm_count_end(count);
	ck_assert_int_eq(sm_count_report(count, &total, &sample), 0);
	is("r3", 6);
	is("r7", 14);
	ck_assert_int_eq(metric("r7")->status, SM_STATUS_MULTIPLEXED);
}
END_TEST

START_TEST(test_no_switches)
{
	struct sm_count_total part = total;

	part.switches = false;
	open_pass(0, false);
	sm_count_end(count);
	ck_assert_int_eq(sm_count_report(count, &part, &sample), 0);
	ck_assert(!metric("ctx_switches")->has_value);
	ck_assert(strstr(metric("ctx_switches")->reason, "whole processes") != NULL);
	is("task_clock", 2e9);
}
END_TEST

int main(void)
{
	return SM_SUITE_EACH("count", 30, begin, end, SM_T(test_nothing),
			     SM_LOOP(test_passes, 0, 2), SM_T(test_window), SM_T(test_lost),
			     SM_T(test_never_executed), SM_T(test_multiplexed),
			     SM_T(test_no_switches));
}
