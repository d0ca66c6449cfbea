/* Sets -> events -> passes -> values, over a mock PMU of a chosen size and microarchitecture. */
#include "perf/counterset.h"
#include "perf/passes.h"
#include "perf/region.h"
#include "perf/screen.h"
#include "tests/support/faketree.h"
#include "tests/support/mockperf.h"

#include <check.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/run.h"

static struct faketree tree;
static struct mock_perf mock;
static bool screening;

static void setup(void)
{
	faketree_init(&tree);
	/* Zen 5: raw codes, encoded on every architecture */
	faketree_x86(&tree, "AuthenticAMD", 0x1a, 2);
	mock_perf_init(&mock, 6);
}

static void teardown(void)
{
	faketree_remove(&tree);
}

/* The words of a list, free() the array: its text is behind it. */
static char **split(const char *list, unsigned *n)
{
	size_t words = strlen(list) + 1;
	char **v = malloc(words * sizeof(*v) + words), *copy = strcpy((char *)(v + words), list);

	for (char *save = NULL, *w = strtok_r(copy, ",", &save); w; w = strtok_r(NULL, ",", &save))
		v[(*n)++] = w;
	return v;
}

static struct sm_counterset *make(const char *sets, const char *events,
				  struct sm_counterset_options o)
{
	struct sm_counterset *cs = NULL;
	unsigned n_sets = 0, n_events = 0;
	char **s = split(sets, &n_sets), **e = split(events, &n_events), err[400] = "";

	o.sets = (const char *const *)s;
	o.n_sets = n_sets;
	o.events = (const char *const *)e;
	o.n_events = n_events;
	o.user_dir = "";
	o.root = tree.root;
	o.no_screen = !screening;
	if (!o.opener)
		o.opener = &mock.ops;
	ck_assert_msg(!sm_counterset_new(&o, &cs, err, sizeof(err)), "%s", err);
	free(s);
	free(e);
	return cs;
}

static const struct sm_cs_metric *metric(const struct sm_counterset *cs, const char *name)
{
	for (unsigned i = 0; i < cs->n_metrics; i++)
		if (!strcmp(cs->metrics[i].name, name))
			return &cs->metrics[i];
	ck_abort_msg("no metric %s", name);
	return NULL;
}

static int event_of(const struct sm_counterset *cs, const char *name)
{
	for (unsigned i = 0; i < cs->n_events; i++)
		if (!strcmp(cs->events[i].name, name))
			return (int)i;
	ck_abort_msg("no event %s", name);
	return -1;
}

/* Every metric's hardware events are in the metric's own pass, and no pass is larger than what
 * fits. */
static void check_passes(const struct sm_counterset *cs, unsigned fit)
{
	unsigned in_pass[64] = {0};

	for (unsigned e = 0; e < cs->n_events; e++)
		for (unsigned p = 0; p < 64; p++)
			in_pass[p] += cs->events[e].in_pass >> p & 1;
	for (unsigned p = 0; p < 64; p++) {
		ck_assert_uint_le(in_pass[p], fit);
		if (p >= cs->n_groups)
			ck_assert_uint_eq(in_pass[p], 0);
	}
	for (unsigned m = 0; m < cs->n_metrics; m++) {
		const struct sm_cs_metric *x = &cs->metrics[m];

		ck_assert_uint_lt(x->pass, cs->n_groups);
		for (unsigned i = 0; x->refused == SM_STATUS_OK && i < x->n_events; i++)
			if (sm__is_hw(&cs->events[x->events[i]], 0))
				ck_assert(cs->events[x->events[i]].in_pass >> x->pass & 1);
	}
}

START_TEST(test_passes_by_opening)
{
	for (unsigned counters = 1; counters <= 10; counters++) {
		struct sm_counterset *cs;
		unsigned fit;

		mock_perf_init(&mock, counters);
		mock.stolen = counters > 3;
		fit = counters - mock.stolen;
		cs = make("cycles,cache,tlb,branch", "", (struct sm_counterset_options){0});
		check_passes(cs, fit);
		ck_assert_uint_le(cs->most_together, fit);
		/* 8 different hardware events in all. */
		ck_assert_uint_ge(cs->n_passes * fit, counters > 1 ? 8 : 1);
		if (fit >= 9)
			ck_assert_uint_eq(cs->n_passes, 1);
		ck_assert_uint_eq(mock_perf_leaks(&mock), 0);
		sm_counterset_free(cs);
	}
}
END_TEST

/* A formula that needs more than there is says so; its single events are still counted. */
START_TEST(test_formula_too_wide)
{
	struct sm_counterset *cs;

	mock_perf_init(&mock, 1);
	cs = make("cycles", "", (struct sm_counterset_options){0});
	ck_assert_int_eq(metric(cs, "ipc")->refused, SM_STATUS_NOT_COUNTED);
	ck_assert_ptr_nonnull(strstr(metric(cs, "ipc")->reason, "do not fit"));
	ck_assert_int_eq(metric(cs, "cycles")->refused, SM_STATUS_OK);
	ck_assert_uint_eq(cs->n_passes, 2);
	sm_counterset_free(cs);
}
END_TEST

START_TEST(test_denied_event)
{
	struct sm_counterset *cs;

	mock.fail_config = 0x76; /* Zen 5 cycles */
	mock.fail_errno = EACCES;
	cs = make("cycles,branch", "", (struct sm_counterset_options){0});
	ck_assert_int_eq(metric(cs, "cycles")->refused, SM_STATUS_DENIED);
	ck_assert_int_eq(metric(cs, "ipc")->refused, SM_STATUS_DENIED);
	ck_assert_int_eq(metric(cs, "instructions")->refused, SM_STATUS_OK);
	ck_assert_int_eq(metric(cs, "br_mpki")->refused, SM_STATUS_OK);
	sm_counterset_free(cs);
}
END_TEST

static void read_all(const struct sm_counterset *cs, unsigned pass, struct sm_reading *r)
{
	struct sm_region_options o = {.n_regions = 2, .pass = pass, .pu_os = -1};
	struct sm_region_thread *t;
	char err[200];

	ck_assert_int_eq(sm_region_thread_open(cs, &o, &t, err, sizeof(err)), 0);
	sm_region_enter(t, 1);
	sm_region_leave(t);
	sm_region_thread_stop(t);
	sm_region_get(t, 1, 0, r, NULL);
	sm_region_thread_free(t);
	ck_assert_uint_eq(mock_perf_leaks(&mock), 0);
}

/* The mock adds each event's config per read: IPC must come out as the ratio of the two configs. */
START_TEST(test_values_by_pass)
{
	struct sm_metric_env env = {.ops = 4, .seconds = 2};
	struct sm_reading r[32];
	struct sm_counterset *cs;
	struct sm_metric_value v;

	mock_perf_init(&mock, 2);
	cs = make("cycles,branch,soft", "", (struct sm_counterset_options){0});
	ck_assert_uint_gt(cs->n_passes, 1);
	for (unsigned p = 0; p < cs->n_passes; p++) {
		read_all(cs, p, r);
		for (unsigned m = 0; m < cs->n_metrics; m++) {
			const struct sm_cs_metric *x = &cs->metrics[m];

			sm_metric_eval(cs, x, 0, r, &env, &v);
			if (x->refused != SM_STATUS_OK ||
			    (x->source == SM_SOURCE_PMU && x->pass != p))
				continue;
			ck_assert_msg(v.status == SM_STATUS_OK, "%s in pass %u: %s", x->name, p,
				      v.reason);
			ck_assert_str_eq(v.reason, "");
			if (!strcmp(x->name, "ipc"))
				ck_assert(fabs(v.value - (double)0xc0 / 0x76) < 1e-9);
			if (!strcmp(x->name, "cycles_per_op"))
				ck_assert(fabs(v.value - (double)0x76 / 4) < 1e-9);
			if (!strcmp(x->name, "br_miss_rate"))
				ck_assert(fabs(v.value - (double)0xc3 / 0xc2) < 1e-9);
		}
		/* What is in another pass is not 0 but absent. */
		for (unsigned e = 0; e < cs->n_events; e++)
			if (sm__is_hw(&cs->events[e], 0) && !(cs->events[e].in_pass >> p & 1)) {
				ck_assert_int_eq(r[e].status, SM_STATUS_NOT_COUNTED);
				ck_assert_ptr_nonnull(strstr(r[e].reason, "another pass"));
			}
	}
	sm_counterset_free(cs);
}
END_TEST

START_TEST(test_unknown_ops)
{
	struct sm_metric_env env = {.ops = NAN, .seconds = 2};
	struct sm_reading r[32];
	struct sm_counterset *cs = make("cycles", "", (struct sm_counterset_options){0});
	struct sm_metric_value v;

	read_all(cs, 0, r);
	sm_metric_eval(cs, metric(cs, "cycles_per_op"), 0, r, &env, &v);
	ck_assert_int_eq(v.status, SM_STATUS_NOT_COUNTED);
	ck_assert(v.reason[0] != '\0');
	sm_counterset_free(cs);
}
END_TEST

/* An event whose one count is of another unit (a PMU's .scale file): metrics are in the unit. */
START_TEST(test_a_count_has_a_scale)
{
	struct sm_metric_env env = {.ops = 4, .seconds = 2};
	struct sm_reading r[32];
	struct sm_counterset *cs = make("cycles", "", (struct sm_counterset_options){0});
	struct sm_metric_value v;

	read_all(cs, 0, r);
	cs->events[event_of(cs, "cycles")].res[0].code.scale = 2.5;
	sm_metric_eval(cs, metric(cs, "cycles"), 0, r, &env, &v);
	ck_assert(fabs(v.value - 2.5 * 0x76) < 1e-9);
	sm_metric_eval(cs, metric(cs, "ipc"), 0, r, &env, &v);
	ck_assert(fabs(v.value - 0xc0 / (2.5 * 0x76)) < 1e-9);
	sm_counterset_free(cs);
}
END_TEST

START_TEST(test_multiplexed)
{
	struct sm_metric_env env = {.ops = 4, .seconds = 2};
	struct sm_reading r[32];
	struct sm_counterset *cs;
	struct sm_metric_value v;

	mock_perf_init(&mock, 2);
	mock.percent = 25;
	cs = make("cycles,branch", "", (struct sm_counterset_options){.multiplex = true});
	ck_assert_uint_eq(cs->n_passes, 1);
	ck_assert_uint_gt(cs->n_groups, 1);
	read_all(cs, 0, r);
	sm_metric_eval(cs, metric(cs, "cycles"), 0, r, &env, &v);
	ck_assert_int_eq(v.status, SM_STATUS_MULTIPLEXED);
	ck_assert(fabs(v.value - 4 * 0x76) < 1e-9); /* 0x76 in a quarter of the time */
	ck_assert_ptr_nonnull(strstr(v.reason, "scaled"));
	sm_metric_eval(cs, metric(cs, "ipc"), 0, r, &env, &v);
	ck_assert_int_eq(v.status, SM_STATUS_MULTIPLEXED);
	/* The same two events at different times: no ratio. */
	r[event_of(cs, "cycles")].running += 1;
	sm_metric_eval(cs, metric(cs, "ipc"), 0, r, &env, &v);
	ck_assert_int_eq(v.status, SM_STATUS_NOT_COUNTED);
	ck_assert_ptr_nonnull(strstr(v.reason, "different times"));
	/* Enabled but never running: absent, not 0. */
	mock.percent = 0;
	read_all(cs, 0, r);
	sm_metric_eval(cs, metric(cs, "cycles"), 0, r, &env, &v);
	ck_assert_int_eq(v.status, SM_STATUS_NOT_COUNTED);
	sm_counterset_free(cs);
}
END_TEST

/* running < enabled although multiplexing was not asked for: scaled, but said. */
START_TEST(test_lost_on_the_way)
{
	struct sm_counterset *cs = make("cycles", "", (struct sm_counterset_options){0});
	struct sm_region_options o = {.n_regions = 1, .pu_os = -1};
	struct sm_region_thread *t;
	struct sm_reading r[8];
	char err[200];

	ck_assert_int_eq(sm_region_thread_open(cs, &o, &t, err, sizeof(err)), 0);
	mock.lose_all = true;
	sm_region_thread_stop(t);
	sm_region_get(t, 0, 0, r, NULL);
	ck_assert_int_eq(r[0].status, SM_STATUS_NOT_COUNTED);
	ck_assert_ptr_nonnull(strstr(r[0].reason, "took the counters away"));
	sm_region_thread_free(t);
	sm_counterset_free(cs);
}
END_TEST

START_TEST(test_raw_events)
{
	struct sm_counterset *cs =
		make("", "r1c2,sw::minor-faults,cpu/event=1/", (struct sm_counterset_options){0});

	ck_assert_uint_eq(cs->n_metrics, 3);
	ck_assert_str_eq(cs->metrics[0].name, "r1c2");
	ck_assert_int_eq(cs->metrics[0].refused, SM_STATUS_OK);
	ck_assert_str_eq(cs->metrics[1].unit, "faults");
	ck_assert_int_eq(cs->metrics[1].source, SM_SOURCE_SW);
	ck_assert_int_eq(cs->metrics[2].refused,
			 SM_STATUS_UNSUPPORTED); /* the fake PMU has no format/event */
	sm_counterset_free(cs);
}
END_TEST

static void refused(const char *sets, const char *events, const char *must_say)
{
	struct sm_counterset_options o = {.user_dir = "", .root = tree.root, .opener = &mock.ops};
	struct sm_counterset *cs;
	char err[600] = "";

	o.sets = &sets;
	o.n_sets = sets != NULL;
	o.events = &events;
	o.n_events = events != NULL;
	ck_assert_int_lt(sm_counterset_new(&o, &cs, err, sizeof(err)), 0);
	ck_assert_ptr_null(cs);
	ck_assert_msg(strstr(err, must_say) != NULL, "\"%s\" does not say \"%s\"", err, must_say);
	ck_assert_ptr_nonnull(strstr(err, "allowed"));
}

START_TEST(test_bad_names)
{
	char long_name[400];

	refused("cash", NULL, "\"cash\"");
	refused(NULL, "no-such-event", "no-such-event");
	refused(NULL, "sw::nonsense", "sw::nonsense");
	memset(long_name, 'x', sizeof(long_name) - 1);
	long_name[sizeof(long_name) - 1] = '\0';
	struct sm_counterset_options o = {.user_dir = "", .root = tree.root, .opener = &mock.ops};
	const char *e = long_name;
	struct sm_counterset *cs;
	char err[300];

	o.events = &e;
	o.n_events = 1;
	ck_assert_int_eq(sm_counterset_new(&o, &cs, err, sizeof(err)), -EINVAL);
}
END_TEST

/* --counters=sw and sim: hardware events are absent for a stated reason, software ones count. */
START_TEST(test_other_sources)
{
	struct sm_counterset *cs =
		make("cycles,soft", "", (struct sm_counterset_options){.from = SM_COUNTERS_SW});

	ck_assert_int_eq(metric(cs, "cycles")->refused, SM_STATUS_NOT_COUNTED);
	ck_assert_ptr_nonnull(strstr(metric(cs, "cycles")->reason, "--counters=sw"));
	ck_assert_int_eq(metric(cs, "task_clock")->refused, SM_STATUS_OK);
	sm_counterset_free(cs);
	cs = make("cycles,cache,soft", "", (struct sm_counterset_options){.from = SM_COUNTERS_SIM});
	ck_assert_int_eq(metric(cs, "instructions")->refused, SM_STATUS_OK);
	ck_assert_int_eq(metric(cs, "instructions")->source, SM_SOURCE_SIM);
	ck_assert_int_eq(metric(cs, "l1d_mpki")->source, SM_SOURCE_SIM);
	ck_assert_int_eq(metric(cs, "cycles")->refused, SM_STATUS_UNSUPPORTED);
	ck_assert_int_eq(metric(cs, "task_clock")->source, SM_SOURCE_SW);
	sm_counterset_free(cs);
}
END_TEST

/* Two kinds of core: each event is resolved and opened on both PMUs, a thread opens those of its
 * own. */
START_TEST(test_hybrid)
{
	struct sm_region_options o = {.n_regions = 1, .pu_os = 17};
	struct sm_region_thread *t;
	struct sm_reading r[8];
	struct sm_counterset *cs;
	char err[200];

	faketree_remove(&tree);
	faketree_init(&tree);
	faketree_write(&tree, "/proc/cpuinfo",
		       "processor : 0\nvendor_id : GenuineIntel\ncpu family : 6\nmodel : 151");
	faketree_pmu(&tree, "cpu_core", 4, "cpus", "0-15");
	faketree_pmu(&tree, "cpu_atom", 10, "cpus", "16-23");
	cs = make("cycles,branch", "", (struct sm_counterset_options){0});
	ck_assert_uint_eq(cs->n_kinds, 2);
	for (unsigned k = 0; k < 2; k++) {
		ck_assert_int_eq(cs->events[event_of(cs, "cycles")].res[k].status, SM_STATUS_OK);
		ck_assert_uint_eq(cs->events[event_of(cs, "cycles")].res[k].code.type, k ? 10 : 4);
	}
	ck_assert_int_eq(sm_region_thread_open(cs, &o, &t, err, sizeof(err)), 0);
	ck_assert_uint_eq(sm_region_kind(t), 1);
	sm_region_thread_stop(t);
	sm_region_get(t, 0, 1, r, NULL);
	ck_assert_int_eq(r[event_of(cs, "cycles")].status, SM_STATUS_OK);
	ck_assert_uint_eq(r[event_of(cs, "cycles")].raw, 0x3c);
	sm_region_get(t, 0, 0, r, NULL);
	ck_assert_int_eq(r[event_of(cs, "cycles")].status, SM_STATUS_NOT_COUNTED);
	sm_region_thread_free(t);
	/* Not pinned: both PMUs' events are open. */
	o.pu_os = -1;
	ck_assert_int_eq(sm_region_thread_open(cs, &o, &t, err, sizeof(err)), 0);
	sm_region_thread_stop(t);
	for (unsigned k = 0; k < 2; k++) {
		sm_region_get(t, 0, k, r, NULL);
		ck_assert_int_eq(r[event_of(cs, "cycles")].status, SM_STATUS_OK);
	}
	sm_region_thread_free(t);
	ck_assert_uint_eq(mock_perf_leaks(&mock), 0);
	sm_counterset_free(cs);
}
END_TEST

/*
 * A thread that is not pinned: while it is on the other kind of core, this one's events are enabled
 * and do not run. What they counted is all there is; scaled it would be twice the truth.
 */
START_TEST(test_hybrid_unpinned)
{
	struct sm_region_options o = {.n_regions = 1, .pu_os = -1};
	struct sm_region_thread *t;
	struct sm_reading r[8];
	struct sm_counterset *cs;
	char err[200];
	double v;
	int cycles;

	faketree_remove(&tree);
	faketree_init(&tree);
	faketree_write(&tree, "/proc/cpuinfo",
		       "processor : 0\nvendor_id : GenuineIntel\ncpu family : 6\nmodel : 151");
	faketree_pmu(&tree, "cpu_core", 4, "cpus", "0-15");
	faketree_pmu(&tree, "cpu_atom", 10, "cpus", "16-23");
	for (int multiplex = 0; multiplex < 2; multiplex++) {
		mock.away_type = 0;
		cs = make("cycles", "",
			  (struct sm_counterset_options){.multiplex = multiplex != 0});
		cycles = event_of(cs, "cycles");
		mock.away_type = 10;
		for (mock.away_percent = 0; mock.away_percent <= 50; mock.away_percent += 50) {
			ck_assert_int_eq(sm_region_thread_open(cs, &o, &t, err, sizeof(err)), 0);
			sm_region_thread_stop(t);
			sm_region_get(t, 0, 1, r, NULL);
			if (multiplex) { /* rotated, or away? */
				ck_assert_int_eq(r[cycles].status, SM_STATUS_NOT_COUNTED);
				ck_assert_ptr_nonnull(strstr(r[cycles].reason, "--place"));
			} else {
				ck_assert_int_eq(r[cycles].status, SM_STATUS_OK);
				ck_assert(sm_reading_value(&r[cycles], &v));
				ck_assert_double_eq(v, (double)r[cycles].raw);
				ck_assert_uint_eq(r[cycles].enabled, r[cycles].running);
			}
			sm_region_thread_free(t);
		}
		sm_counterset_free(cs);
	}
}
END_TEST

/* An event that opens, runs and reads 0 although the program must have caused it: found out, not
 * printed as 0. */
START_TEST(test_screening)
{
	struct sm_counterset *cs;

	mock.dead_config = 0xff43; /* Zen 5 l1d_miss */
	screening = true;
	cs = make("cycles,cache", "", (struct sm_counterset_options){0});
	ck_assert_int_eq(metric(cs, "l1d_miss")->refused, SM_STATUS_UNSUPPORTED);
	ck_assert_ptr_nonnull(strstr(metric(cs, "l1d_miss")->reason, "reads 0"));
	ck_assert_int_eq(metric(cs, "l1d_mpki")->refused, SM_STATUS_UNSUPPORTED);
	ck_assert_int_eq(metric(cs, "l2_miss")->refused, SM_STATUS_OK);
	sm_counterset_free(cs);
	screening = false;
	/* What the last-level cache holds need not miss it: no verdict. */
	mock.dead_config = 0xdc43; /* Zen 5 llc_miss */
	screening = true;
	for (int large = 0; large < 2; large++) {
		faketree_write(&tree, "/sys/devices/system/cpu/cpu0/cache/index0/size", "48K");
		faketree_write(&tree, "/sys/devices/system/cpu/cpu0/cache/index1/size",
			       large ? "98304K" : "32768K");
		cs = make("cache", "", (struct sm_counterset_options){0});
		ck_assert_int_eq(metric(cs, "llc_miss")->refused,
				 large ? SM_STATUS_OK : SM_STATUS_UNSUPPORTED);
		sm_counterset_free(cs);
	}
	screening = false;
	/* -e events may be 0. */
	ck_assert(!sm__screen_applies("r1234"));
	ck_assert(!sm__screen_applies("remote"));
	/* An instruction TLB that never walks is found out as well. */
	mock.dead_config = 0x0f85; /* Zen 5 itlb_walk */
	screening = true;
	cs = make("tlb", "", (struct sm_counterset_options){0});
	screening = false;
	ck_assert_int_eq(metric(cs, "itlb_walk")->refused, SM_STATUS_UNSUPPORTED);
	ck_assert_int_eq(metric(cs, "dtlb_walk")->refused, SM_STATUS_OK);
	sm_counterset_free(cs);
	ck_assert_uint_eq(mock_perf_leaks(&mock), 0);
}
END_TEST

/* ---- plans -------------------------------------------------------------------------------- */

static void same_plan(const struct sm_counterset *a, const struct sm_counterset *b)
{
	ck_assert_uint_eq(a->n_passes, b->n_passes);
	ck_assert_uint_eq(a->n_groups, b->n_groups);
	for (unsigned m = 0; m < a->n_metrics; m++) {
		ck_assert_uint_eq(a->metrics[m].pass, b->metrics[m].pass);
		ck_assert_int_eq(a->metrics[m].refused, b->metrics[m].refused);
		ck_assert_str_eq(a->metrics[m].reason, b->metrics[m].reason);
	}
	for (unsigned e = 0; e < a->n_events; e++) {
		ck_assert(a->events[e].in_pass == b->events[e].in_pass);
		ck_assert_int_eq(a->events[e].res[0].status, b->events[e].res[0].status);
	}
}

/*
 * A worker that finds a counter more or fewer than its parent did (the NMI watchdog, another
 * profiler) has the parent's passes all the same, and opens nothing to find out. What does not fit
 * is said when its pass is counted.
 */
START_TEST(test_plan_travels)
{
	static const unsigned found[] = {1, 2, 3, 4, 5, 9};
	unsigned differ = 0;

	for (unsigned i = 0; i < sizeof(found) / sizeof(found[0]); i++) {
		struct sm_counterset *parent, *worker, *alone;
		struct sm_pass_plan plan;

		mock_perf_init(&mock, 3);
		mock.fail_config = 0xc0; /* Zen 5 instructions: the verdict travels, too */
		mock.fail_errno = i % 2 ? EACCES : 0;
		mock.dead_config = 0xff43; /* Zen 5 l1d_miss */
		screening = true;
		parent = make("cycles,cache,tlb,branch", "", (struct sm_counterset_options){0});
		screening = false;
		ck_assert_int_eq(metric(parent, "l1d_miss")->refused, SM_STATUS_UNSUPPORTED);
		ck_assert_int_eq(sm_counterset_plan(parent, &plan), 0);
		mock_perf_init(&mock, found[i]);
		worker = make("cycles,cache,tlb,branch", "",
			      (struct sm_counterset_options){.plan = &plan});
		ck_assert_uint_eq(mock.opens, 0);
		same_plan(parent, worker);
		alone = make("cycles,cache,tlb,branch", "", (struct sm_counterset_options){0});
		differ += alone->n_passes != parent->n_passes;
		sm_counterset_free(alone);
		sm_counterset_free(worker);
		sm_counterset_free(parent);
		free(plan.metrics);
		free(plan.verdicts);
	}
	ck_assert_uint_gt(differ, 0); /* or this shows nothing */
}
END_TEST

START_TEST(test_plan_of_other_sets)
{
	struct sm_counterset *cs = make("cycles", "", (struct sm_counterset_options){0}), *other;
	const char *sets[] = {"tlb"};
	struct sm_counterset_options o = {
		.sets = sets, .n_sets = 1, .user_dir = "", .root = tree.root, .opener = &mock.ops};
	struct sm_pass_plan plan;
	char err[200] = "";

	ck_assert_int_eq(sm_counterset_plan(cs, &plan), 0);
	o.plan = &plan;
	ck_assert_int_eq(sm_counterset_new(&o, &other, err, sizeof(err)), -EINVAL);
	ck_assert_ptr_nonnull(strstr(err, "planned with"));
	/* damaged: an event that there is not */
	plan.n_verdicts = 1;
	plan.verdicts[0] = (struct sm_pass_verdict){.event = 99, .reason = ""};
	sets[0] = "cycles";
	ck_assert_int_eq(sm_counterset_new(&o, &other, err, sizeof(err)), -EINVAL);
	free(plan.metrics);
	free(plan.verdicts);
	sm_counterset_free(cs);
}
END_TEST

/* This machine as it is: whatever it can or cannot count, everything has a value or a reason. */
START_TEST(test_this_machine)
{
	struct sm_counterset_options o = {.user_dir = ""};
	const char *sets[16];
	unsigned n = 0;
	struct sm_counterset *cs;
	char err[400];

	for (; sm_setfile_builtin_name(n); n++)
		sets[n] = sm_setfile_builtin_name(n);
	o.sets = sets;
	o.n_sets = n;
	ck_assert_int_eq(sm_counterset_new(&o, &cs, err, sizeof(err)), 0);
	printf("%u metrics, %u passes, at most %u hardware events together\n", cs->n_metrics,
	       cs->n_passes, cs->most_together);
	for (unsigned m = 0; m < cs->n_metrics; m++)
		if (cs->metrics[m].refused != SM_STATUS_OK)
			ck_assert_msg(cs->metrics[m].reason[0] != '\0', "%s", cs->metrics[m].name);
	check_passes(cs, SM_GROUP_MAX);
	ck_assert_int_eq(metric(cs, "minor_faults")->refused, SM_STATUS_OK);
	sm_counterset_free(cs);
}
END_TEST

int main(void)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	return SM_SUITE_EACH(
		"counterset", 60, setup, teardown, SM_T(test_passes_by_opening),
		SM_T(test_formula_too_wide), SM_T(test_denied_event), SM_T(test_values_by_pass),
		SM_T(test_unknown_ops), SM_T(test_a_count_has_a_scale), SM_T(test_multiplexed),
		SM_T(test_lost_on_the_way), SM_T(test_raw_events), SM_T(test_bad_names),
		SM_T(test_other_sources), SM_T(test_hybrid), SM_T(test_hybrid_unpinned),
		SM_T(test_screening), SM_T(test_plan_travels), SM_T(test_plan_of_other_sets),
		SM_T(test_this_machine));
}
