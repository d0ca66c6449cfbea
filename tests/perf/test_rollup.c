/* Sums over threads, and counters of packages and L3s. */
#include "perf/names.h"
#include "perf/rollup.h"
#include "perf/uncore.h"
#include "tests/support/faketree.h"
#include "tests/support/mockperf.h"

#include <check.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/run.h"

static struct faketree tree;
static struct mock_perf mock;

static void setup(void)
{
	faketree_init(&tree);
	faketree_x86(&tree, "AuthenticAMD", 0x1a, 2);
	mock_perf_init(&mock, 6);
}

static void teardown(void)
{
	faketree_remove(&tree);
}

static struct sm_counterset *make(const char *set)
{
	struct sm_counterset_options o = {.sets = &set,
					  .n_sets = 1,
					  .user_dir = "",
					  .root = tree.root,
					  .opener = &mock.ops,
					  .no_screen = true};
	struct sm_counterset *cs;
	char err[300] = "";

	ck_assert_msg(!sm_counterset_new(&o, &cs, err, sizeof(err)), "%s", err);
	return cs;
}

static struct sm_topology *topology(const char *s)
{
	struct sm_topology *t;
	char err[200];

	ck_assert_int_eq(sm_topology_load(&(struct sm_topology_source){.synthetic = s}, &t, err,
					  sizeof(err)),
			 0);
	return t;
}

static struct sm_region_thread *measured(const struct sm_counterset *cs, int pu, unsigned rounds)
{
	struct sm_region_options o = {.n_regions = 3, .pu_os = pu};
	struct sm_region_thread *t;
	char err[200];

	ck_assert_int_eq(sm_region_thread_open(cs, &o, &t, err, sizeof(err)), 0);
	for (unsigned i = 0; i < rounds; i++) {
		sm_region_enter(t, 1);
		sm_region_leave(t);
	}
	sm_region_thread_stop(t);
	return t;
}

static const struct sm_rollup_row *row(const struct sm_rollup *r, const char *role, unsigned label,
				       int key)
{
	for (unsigned i = 0; i < r->n; i++)
		if ((r->rows[i].role == role ||
		     (role && r->rows[i].role && !strcmp(r->rows[i].role, role))) &&
		    r->rows[i].label == label && r->rows[i].key == key)
			return &r->rows[i];
	return NULL;
}

static struct sm_rollup rolled(const struct sm_counterset *cs, const struct sm_topology *topo,
			       const struct sm_rollup_thread *th, unsigned n, enum sm_by by)
{
	struct sm_rollup_options o = {.by = by, .n_regions = 3, .totals = true};
	struct sm_rollup r;

	ck_assert_int_eq(sm_rollup(cs, topo, th, n, &o, &r), 0);
	return r;
}

static struct sm_rollup_thread thread(const struct sm_counterset *cs, const char *role, int pu,
				      unsigned rounds)
{
	return (struct sm_rollup_thread){
		.t = measured(cs, pu, rounds), .role = role, .pu_os = pu, .fill = SM_NONE};
}

/* The rows' own sums over all rows of a label, for one event. */
static uint64_t all_rows(const struct sm_rollup *r, unsigned label)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < r->n; i++)
		sum += r->rows[i].label == label ? r->rows[i].readings[0].raw : 0;
	return sum;
}

START_TEST(test_sums)
{
	static const enum sm_by every[] = {SM_BY_THREAD, SM_BY_ROLE,	SM_BY_CORE, SM_BY_L3,
					   SM_BY_NODE,	 SM_BY_PACKAGE, SM_BY_KIND};
	struct sm_counterset *cs = make("cycles");
	struct sm_topology *topo =
		topology("pack:2 [numa] l3:1 core:2 pu:2"); /* PUs 0-3 on node 0, 4-7 on node 1 */
	struct sm_rollup_thread th[4] = {thread(cs, "mutator", 0, 1), thread(cs, "mutator", 5, 2),
					 thread(cs, "mutator", 6, 3), thread(cs, "mark", 7, 4)};
	struct sm_rollup r = rolled(cs, topo, th, 4, SM_BY_THREAD);
	uint64_t step;

	ck_assert_uint_eq(r.n,
			  /* regions 0 and 1 and the total of four threads; none entered region 2
			   */
			  12);
	step = row(&r, "mutator", 1, 0)->readings[0].raw;
	ck_assert_uint_gt(step, 0);
	sm_rollup_free(&r);

	r = rolled(cs, NULL, th, 4, SM_BY_ROLE);
	ck_assert_uint_eq(r.n, 6);
	ck_assert_str_eq(r.rows[0].role, "mutator"); /* in the order of the list */
	ck_assert_uint_eq(row(&r, "mutator", 1, SM_NONE)->readings[0].raw, 6 * step);
	ck_assert_uint_eq(row(&r, "mutator", 1, SM_NONE)->time.enters, 6);
	ck_assert_uint_eq(row(&r, "mutator", 1, SM_NONE)->n_threads, 3);
	ck_assert_uint_eq(row(&r, "mutator", SM_ROLLUP_TOTAL, SM_NONE)->n_threads, 3);
	ck_assert_uint_eq(row(&r, "mark", 1, SM_NONE)->readings[0].raw, 4 * step);
	sm_rollup_free(&r);

	/* by a place all roles are one */
	r = rolled(cs, topo, th, 4, SM_BY_NODE);
	ck_assert_uint_eq(row(&r, NULL, 1, 0)->readings[0].raw, 1 * step);
	ck_assert_uint_eq(row(&r, NULL, 1, 1)->readings[0].raw, 9 * step);
	sm_rollup_free(&r);
	r = rolled(cs, topo, th, 4, SM_BY_CORE);
	ck_assert_uint_eq(row(&r, NULL, 1, 2)->readings[0].raw, 2 * step);
	ck_assert_uint_eq(row(&r, NULL, 1, 3)->readings[0].raw, 7 * step);
	ck_assert_uint_eq(row(&r, NULL, 1, 3)->n_threads, 2);
	sm_rollup_free(&r);

	/* whatever it is rolled up by, nothing is lost or counted twice, and totals are the sums of
	 * their parts */
	for (size_t i = 0; i < sizeof(every) / sizeof(every[0]); i++) {
		r = rolled(cs, topo, th, 4, every[i]);
		ck_assert_uint_eq(all_rows(&r, 1), 10 * step);
		ck_assert_uint_eq(all_rows(&r, SM_ROLLUP_TOTAL), all_rows(&r, 0) + all_rows(&r, 1));
		ck_assert_int_eq(sm_names_find(sm_by_names, sm_by_names[every[i]]), (int)every[i]);
		sm_rollup_free(&r);
	}
	ck_assert_int_eq(sm_names_find(sm_by_names, "hyperplane"), -EINVAL);
	for (int i = 0; i < 4; i++)
		sm_region_thread_free((struct sm_region_thread *)th[i].t);
	sm_topology_free(topo);
	sm_counterset_free(cs);
}
END_TEST

/* Pinned and unpinned threads of a machine with one kind of cores are one row by kind: a second one
 * of the same name would be dropped by a reader that looks rows up by name. */
START_TEST(test_unpinned_are_of_the_kind)
{
	struct sm_counterset *cs = make("cycles");
	struct sm_topology *topo = topology("core:4 pu:1");
	struct sm_rollup_thread th[2] = {thread(cs, "mutator", 0, 1),
					 thread(cs, "mark", SM_NONE, 2)};
	struct sm_rollup r = rolled(cs, topo, th, 2, SM_BY_KIND);

	ck_assert_uint_eq(r.n, 3); /* two regions and the total */
	ck_assert_uint_eq(row(&r, NULL, SM_ROLLUP_TOTAL, SM_NONE)->n_threads, 2);
	sm_rollup_free(&r);
	for (int i = 0; i < 2; i++)
		sm_region_thread_free((struct sm_region_thread *)th[i].t);
	sm_topology_free(topo);
	sm_counterset_free(cs);
}
END_TEST

/* Kinds of mark workers are roles of their own, idle is not application code, and a sleeper's time
 * is filled up. */
START_TEST(test_kinds_of_workers)
{
	static const char *const roles[] = {"mark", "mark-fractional", "mark-idle"};
	static const uint8_t idle[] = {9, 1, 2};
	struct sm_counterset *cs = make("cycles");
	struct sm_topology *topo = topology("core:4 pu:1");
	struct sm_rollup_thread th[4] = {thread(cs, "mutator", 0, 1)};
	struct sm_rollup r;

	for (int i = 0; i < 3; i++) {
		th[i + 1] = thread(cs, roles[i], i ? SM_NONE : 1, (unsigned)i + 2);
		th[i + 1].label = idle;
		th[i + 1].fill = 0;
		th[i + 1].fill_ns = 1000000000;
	}
	r = rolled(cs, topo, th, 4, SM_BY_ROLE);
	for (int i = 0; i < 3; i++) {
		const struct sm_rollup_row *marks = row(&r, roles[i], 1, SM_NONE),
					   *sleeps = row(&r, roles[i], 9, SM_NONE);

		ck_assert_ptr_nonnull(marks);
		ck_assert_uint_eq(marks->time.enters, (unsigned)i + 2);
		ck_assert_ptr_nonnull(sleeps);
		ck_assert_ptr_null(row(&r, roles[i], 0, SM_NONE));
		ck_assert_uint_eq(sleeps->time.ns, 1000000000 - marks->time.ns);
		ck_assert_uint_eq(row(&r, roles[i], SM_ROLLUP_TOTAL, SM_NONE)->time.ns, 1000000000);
	}
	ck_assert_ptr_null(row(&r, "mutator", 9, SM_NONE));
	sm_rollup_free(&r);
	/* one that worked for longer than it was there, by the rounding of two clocks */
	th[1].fill_ns = 0;
	r = rolled(cs, topo, th, 2, SM_BY_ROLE);
	ck_assert_uint_eq(row(&r, roles[0], 9, SM_NONE)->time.ns, 0);
	ck_assert_uint_eq(row(&r, roles[0], SM_ROLLUP_TOTAL, SM_NONE)->time.ns,
			  row(&r, roles[0], 1, SM_NONE)->time.ns);
	sm_rollup_free(&r);
	th[1].fill_ns = 1000000000;
	/* by core their idling is not mixed with the mutator's application code, and the unpinned
	 * have a row of their own */
	r = rolled(cs, topo, th, 4, SM_BY_CORE);
	ck_assert_uint_eq(row(&r, NULL, 1, 1)->time.enters, 2);
	ck_assert_uint_eq(row(&r, NULL, 1, SM_NONE)->time.enters, 3 + 4);
	ck_assert_uint_eq(row(&r, NULL, 9, SM_NONE)->n_threads, 2);
	sm_rollup_free(&r);
	for (int i = 0; i < 4; i++)
		sm_region_thread_free((struct sm_region_thread *)th[i].t);
	sm_topology_free(topo);
	sm_counterset_free(cs);
}
END_TEST

/* What a light region could not count is in the region around it: its own row says so, the total
 * has it. */
START_TEST(test_light_regions_and_totals)
{
	struct sm_counterset *cs = make("cycles");
	struct sm_region_options o = {.n_regions = 3, .pu_os = 0, .light = 1u << 1};
	struct sm_rollup_options ro = {
		.by = SM_BY_ROLE, .n_regions = 3, .totals = true, .light = 1u << 1};
	struct sm_rollup_thread th = {.role = "mutator", .fill = SM_NONE};
	struct sm_region_thread *t;
	struct sm_rollup r;
	char err[200];
	double v, total;

	ck_assert_int_eq(sm_region_thread_open(cs, &o, &t, err, sizeof(err)), 0);
	sm_region_enter(t, 1);
	sm_region_leave(t);
	sm_region_thread_stop(t);
	th.t = t;
	ck_assert_int_eq(sm_rollup(cs, NULL, &th, 1, &ro, &r), 0);
	ck_assert(!sm_reading_value(&row(&r, "mutator", 1, SM_NONE)->readings[0], &v));
	ck_assert(sm_reading_value(&row(&r, "mutator", 0, SM_NONE)->readings[0], &v));
	ck_assert(sm_reading_value(&row(&r, "mutator", SM_ROLLUP_TOTAL, SM_NONE)->readings[0],
				   &total));
	ck_assert(v == total);
	sm_rollup_free(&r);
	sm_region_thread_free(t);
	sm_counterset_free(cs);
}
END_TEST

/* One thread could not count: the sum is absent, the others' own rows are not. */
START_TEST(test_missing_part)
{
	struct sm_counterset *cs = make("cycles");
	struct sm_rollup_thread th[3] = {thread(cs, "mutator", 0, 1),
					 {.role = "mutator", .pu_os = 1}};
	struct sm_rollup r;
	double v;

	mock.fail_all = EMFILE;
	th[2] = thread(cs, "mutator", 1, 1);
	r = rolled(cs, NULL, th, 3, SM_BY_ROLE);
	ck_assert(!sm_reading_value(&row(&r, "mutator", 1, SM_NONE)->readings[0], &v));
	ck_assert_ptr_nonnull(
		strstr(row(&r, "mutator", 1, SM_NONE)->readings[0].reason, "file descriptors"));
	sm_rollup_free(&r);
	r = rolled(cs, NULL, th, 3, SM_BY_THREAD);
	ck_assert(sm_reading_value(&row(&r, "mutator", 1, 0)->readings[0], &v));
	sm_rollup_free(&r);
	sm_region_thread_free((struct sm_region_thread *)th[0].t);
	sm_region_thread_free((struct sm_region_thread *)th[2].t);
	sm_counterset_free(cs);
}
END_TEST

/* ---- uncore ------------------------------------------------------------------------------- */

static void uncore_tree(void)
{
	static const char *const formats[] = {
		"/sys/bus/event_source/devices/amd_umc_%d/format/event", "config:0-7",
		"/sys/bus/event_source/devices/amd_umc_%d/format/rdwrmask", "config:8-9"};
	char path[128];

	for (int i = 0; i < 3; i++) {
		snprintf(path, sizeof(path), "amd_umc_%d", i);
		faketree_pmu(&tree, path, 30 + i, "cpumask", i < 2 ? "0,8" : "8");
		for (int f = 0; f < 4; f += 2) {
			snprintf(path, sizeof(path), formats[f], i);
			faketree_write(&tree, path, formats[f + 1]);
		}
	}
	faketree_pmu(&tree, "amd_l3", 40, "cpumask", "0,4,8,12");
	faketree_write(&tree, "/sys/bus/event_source/devices/amd_l3/format/event", "config:0-7");
	faketree_write(&tree, "/sys/bus/event_source/devices/amd_l3/format/umask", "config:8-15");
}

static int event_of(const struct sm_counterset *cs, const char *name)
{
	for (unsigned i = 0; i < cs->n_events; i++)
		if (!strcmp(cs->events[i].name, name))
			return (int)i;
	ck_abort_msg("no event %s", name);
	return -1;
}

START_TEST(test_uncore_per_package_and_l3)
{
	struct sm_topology *topo = topology("pack:2 [numa] l3:2 core:4 pu:1");
	struct sm_counterset *cs;
	struct sm_uncore *u;
	const struct sm_uncore_row *rows;
	unsigned n, packages = 0, l3s = 0;
	int reads, misses;

	uncore_tree();
	cs = make("memory");
	reads = event_of(cs, "mem_read_lines");
	misses = event_of(cs, "l3_miss");
	ck_assert(cs->events[reads].uncore && cs->events[misses].uncore);
	ck_assert_int_eq(sm_uncore_open(cs, topo, &u), 0);
	/* A pinned event that counts a CPU would throw everybody else's off. */
	for (unsigned i = 0; i < MOCK_FDS; i++)
		ck_assert(!mock.ev[i].used || !mock.ev[i].attr.pinned);
	sm_uncore_start(u);
	sm_uncore_stop(u);
	n = sm_uncore_rows(u, &rows);
	ck_assert_uint_eq(n, 6);
	for (unsigned i = 0; i < n; i++) {
		const struct sm_reading *r = &rows[i].readings[rows[i].is_l3 ? misses : reads];

		packages += !rows[i].is_l3;
		l3s += rows[i].is_l3;
		ck_assert_int_eq(r->status, SM_STATUS_OK);
		/* event 0x0a, read mask 1: config 0x10a a read; three controllers on package 1, two
		 * on package 0 */
		if (!rows[i].is_l3)
			ck_assert_uint_eq(r->raw, (rows[i].index ? 3u : 2u) * 0x10a);
		else
			ck_assert_uint_eq(r->raw, 0x104);
		ck_assert_int_eq(rows[i].readings[rows[i].is_l3 ? reads : misses].status,
				 SM_STATUS_NOT_COUNTED);
	}
	ck_assert_uint_eq(packages, 2);
	ck_assert_uint_eq(l3s, 4);
	/* A second stretch adds to the first; what lies between them does not count. */
	sm_uncore_start(u);
	sm_uncore_stop(u);
	for (unsigned i = 0; i < n; i++)
		if (!rows[i].is_l3)
			ck_assert_uint_eq(rows[i].readings[reads].raw,
					  2 * (rows[i].index ? 3u : 2u) * 0x10a);
	sm_uncore_free(u);
	ck_assert_uint_eq(mock_perf_leaks(&mock), 0);
	sm_counterset_free(cs);
	sm_topology_free(topo);
}
END_TEST

/* A controller without the event, or on an unknown CPU: a sum without it is too low. */
START_TEST(test_uncore_part_missing)
{
	static const char *const why[] = {"not in the topology", "not every unit"};

	for (int way = 0; way < 2; way++) {
		struct sm_topology *topo = topology("pack:2 [numa] l3:2 core:4 pu:1");
		struct sm_counterset *cs;
		struct sm_uncore *u;
		const struct sm_uncore_row *rows;
		unsigned n;
		int reads;

		uncore_tree();
		if (way == 0)
			faketree_pmu(&tree, "amd_umc_0", 30, "cpumask", "0,99");
		else
			faketree_pmu(&tree, "amd_umc_3", 33, "cpumask", "0");
		cs = make("memory");
		reads = event_of(cs, "mem_read_lines");
		ck_assert_int_eq(sm_uncore_open(cs, topo, &u), 0);
		sm_uncore_start(u);
		sm_uncore_stop(u);
		n = sm_uncore_rows(u, &rows);
		for (unsigned i = 0; i < n; i++) {
			const struct sm_reading *r = &rows[i].readings[reads];

			ck_assert_int_ne(r->status, SM_STATUS_OK);
			if (!rows[i].is_l3)
				ck_assert_ptr_nonnull(strstr(r->reason, why[way]));
		}
		sm_uncore_free(u);
		sm_counterset_free(cs);
		sm_topology_free(topo);
	}
}
END_TEST

START_TEST(test_uncore_denied)
{
	struct sm_topology *topo = topology("pack:2 [numa] l3:2 core:4 pu:1");
	struct sm_counterset *cs;
	struct sm_uncore *u;
	const struct sm_uncore_row *rows;
	struct sm_region_thread *t;
	struct sm_reading r[32];
	int reads;

	uncore_tree();
	cs = make("memory");
	reads = event_of(cs, "mem_read_lines");
	mock.fail_all = EACCES;
	ck_assert_int_eq(sm_uncore_open(cs, topo, &u), 0);
	sm_uncore_stop(u);
	ck_assert_uint_gt(sm_uncore_rows(u, &rows), 0);
	ck_assert_int_eq(rows[0].readings[reads].status, SM_STATUS_DENIED);
	ck_assert_ptr_nonnull(strstr(rows[0].readings[reads].reason, "CAP_PERFMON"));
	sm_uncore_free(u);
	/* Threads never have it. */
	t = measured(cs, 0, 1);
	sm_region_get(t, 1, 0, r, NULL);
	ck_assert_int_eq(r[reads].status, SM_STATUS_NOT_COUNTED);
	ck_assert_ptr_nonnull(strstr(r[reads].reason, "per package"));
	sm_region_thread_free(t);
	sm_counterset_free(cs);
	sm_topology_free(topo);
}
END_TEST

START_TEST(test_no_uncore)
{
	struct sm_topology *topo = topology("numa:1 core:4 pu:1");
	struct sm_counterset *cs = make("cycles");
	const struct sm_uncore_row *rows;
	struct sm_uncore *u;

	ck_assert_int_eq(sm_uncore_open(cs, topo, &u), 0);
	ck_assert_uint_eq(sm_uncore_rows(u, &rows), 0);
	sm_uncore_stop(u);
	sm_uncore_free(u);
	sm_counterset_free(cs);
	sm_topology_free(topo);
}
END_TEST

int main(void)
{
	return SM_SUITE_EACH("rollup", 60, setup, teardown, SM_T(test_sums),
			     SM_T(test_unpinned_are_of_the_kind), SM_T(test_kinds_of_workers),
			     SM_T(test_light_regions_and_totals), SM_T(test_missing_part),
			     SM_T(test_uncore_per_package_and_l3), SM_T(test_uncore_part_missing),
			     SM_T(test_uncore_denied), SM_T(test_no_uncore));
}
