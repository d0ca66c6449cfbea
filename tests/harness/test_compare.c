/* harness/compare/compare.c, compare_rows.c, compare_environ.c: which cases of two sides are
 * compared, in pairs or not, and what is listed beside them; compare_text.c: byte for byte. */
#include "harness/compare/compare.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/fake_run.h"
#include "tests/support/run.h"

#define MOST 32

static struct sm_store *store;
static struct fake_sample samples[MOST];
static char wires[MOST][1200];
static unsigned nsamples;
static struct sm_side sides[2];
static struct sm_report reports[2];
static struct sm_comparison compared;
static const struct sm_compare_what none;

static void open_store(void)
{
	char err[300];

	ck_assert_msg(sm_store_open(NULL, &store, err, sizeof(err)) == 0, "%s", err);
}

static void close_store(void)
{
	sm_comparison_free(&compared);
	for (int i = 0; i < 2; i++) {
		sm_side_free(&sides[i]);
		sm_report_free(&reports[i]);
	}
	sm_store_close(store);
}

/* A repetition of a case that took `ns` for an operation. */
static struct fake_sample *add(unsigned group, unsigned rep, const char *backend, double ns)
{
	struct fake_sample *f = &samples[nsamples];

	snprintf(wires[nsamples], sizeof(wires[0]),
		 "{\"error\":\"\",\"output\":\"\",\"warnings\":\"\",\"results\":["
		 "{\"name\":\"ns_per_op\",\"unit\":\"ns\",\"value\":%g},"
		 "{\"name\":\"wall_s\",\"unit\":\"s\",\"value\":1},"
		 "{\"name\":\"ops\",\"unit\":\"ops\",\"value\":10}],\"metrics\":["
		 "{\"role\":\"mutator\",\"phase\":\"total\",\"by\":\"role\",\"metric\":"
		 "\"instructions\",\"unit\":\"insn\",\"value\":%g,\"status\":\"ok\",\"source\":"
		 "\"sim\"}]}",
		 ns, 1000 * ns);
	*f = (struct fake_sample){.ordinal = nsamples,
				  .group = group,
				  .rep = rep,
				  .backend = backend,
				  .placement = "{\"place\":\"compact\",\"mark_place\":\"none\","
					       "\"threads\":1,\"workers\":0}",
				  .wire = wires[nsamples]};
	nsamples++;
	return f;
}

static int64_t end_run(const char *environment)
{
	int64_t run = fake_run(store, environment, samples, nsamples, nsamples);

	nsamples = 0;
	return run;
}

static int compare(const char *a, const char *b, const struct sm_compare_what *what, char *err,
		   size_t len)
{
	const char *texts[] = {a, b};

	for (int i = 0; i < 2; i++) {
		int rc = sm_side_parse(&sides[i], texts[i], err, len);

		if (rc)
			return rc;
		ck_assert_int_eq(sm_store_load_named(store, sides[i].run, &reports[i]), 0);
		sides[i].report = &reports[i];
	}
	if (reports[0].run == reports[1].run)
		sides[1].report = &reports[0];
	return sm_compare_sides(&sides[0], &sides[1], what, &compared, err, len);
}

static void compare_well(const char *a, const char *b)
{
	char err[400] = "";

	ck_assert_msg(compare(a, b, &none, err, sizeof(err)) == 0, "%s", err);
}

static const struct sm_compare_row *row(const char *name, const char *metric)
{
	for (size_t i = 0; i < compared.nrows; i++)
		if (strcmp(compared.rows[i].name, name) == 0 &&
		    strcmp(compared.rows[i].metric, metric) == 0)
			return &compared.rows[i];
	ck_abort_msg("no row %s of '%s'", metric, name);
	return NULL;
}

/* Two backends of one run: pairs of the same repetition; what only one side has is left out. */
START_TEST(sides_of_one_run_are_paired)
{
	const struct sm_compare_row *r;

	for (unsigned rep = 0; rep < 3; rep++) {
		add(0, rep, "span", 10 + rep);
		if (rep != 1)
			add(1, rep, "libc", 20 + rep);
	}
	end_run(NULL);
	compare_well("libc", "span");
	r = row("graph", "ns_per_op");
	ck_assert(r->d.paired && !r->d.exact);
	ck_assert_uint_eq(r->d.nbase, 2);
	ck_assert_uint_eq(r->d.nother, 2);
	ck_assert(r->d.base[0] == 20 && r->d.base[1] == 22);
	ck_assert(r->d.other[0] == 10 && r->d.other[1] == 12);
	ck_assert_int_eq(r->d.better, SM_BETTER_LESS);
	ck_assert_uint_eq(compared.nrows, 2); /* wall_s says what ns_per_op does, ops nothing */
	r = row("graph", "instructions");
	ck_assert(r->d.exact && r->d.paired);
	ck_assert_double_eq(r->d.base[0], 2000); /* for an operation */
	ck_assert_str_eq(r->who, "mutator");
	ck_assert_uint_eq(compared.hidden.n, 0);
	ck_assert_uint_eq(compared.unmatched.n, 0);
}
END_TEST

/* Two builds of a library are two backends. */
START_TEST(builds_of_a_library_are_paired)
{
	for (unsigned rep = 0; rep < 3; rep++) {
		add(0, rep, "preload:/old/libx.so.2", 10 + rep);
		add(1, rep, "preload:/new:1/libx.so.2", 20 + rep);
	}
	end_run(NULL);
	compare_well("preload:/old/libx.so.2", "preload:/new:1/libx.so.2");
	ck_assert(row("graph", "ns_per_op")->d.paired);
	ck_assert_double_eq(row("graph", "ns_per_op")->d.base[1], 11);
	ck_assert_double_eq(row("graph", "ns_per_op")->d.other[1], 21);
}
END_TEST

START_TEST(runs_are_not_paired)
{
	const struct sm_compare_row *r;

	for (unsigned rep = 0; rep < 3; rep++)
		add(0, rep, "libc", 10 + rep);
	end_run("{\"kernel\":\"6.1\",\"governor\":null,\"started\":\"a\",\"versions\":{\"build\":"
		"\"x\",\"libc\":\"2\"}}");
	for (unsigned rep = 0; rep < 2; rep++)
		add(0, rep, "libc", 20 + rep);
	end_run("{\"kernel\":\"6.5\",\"governor\":\"powersave\",\"started\":\"b\",\"versions\":{"
		"\"build\":\"y\",\"libc\":\"2\"}}");
	compare_well("1", "2");
	r = row("graph", "ns_per_op");
	ck_assert(!r->d.paired);
	ck_assert_uint_eq(r->d.nbase, 3);
	ck_assert_uint_eq(r->d.nother, 2);
	ck_assert(row("graph", "instructions")->d.exact); /* one seed */
	ck_assert_uint_eq(compared.hidden.n, 3);
	ck_assert_str_eq(compared.hidden.v[0], "kernel: 6.1 / 6.5");
	ck_assert_str_eq(compared.hidden.v[1], "governor: null / powersave");
	ck_assert_str_eq(compared.hidden.v[2], "versions.build: x / y");
}
END_TEST

/* A metric's event may be another one on each side. */
START_TEST(events_are_compared)
{
	struct sm_strings out = {0};

	ck_assert_int_eq(
		sm__compare_hidden("{\"counters\":{\"from\":\"pmu\",\"metrics\":[{\"metric\":\"a\","
				   "\"event\":\"x\"},{\"metric\":\"b\",\"event\":\"y\"}]}}",
				   "{\"counters\":{\"from\":\"sim\",\"metrics\":[{\"metric\":\"b\","
				   "\"event\":\"z\"},{\"metric\":\"c\",\"event\":\"x\"}]}}",
				   &out),
		0);
	ck_assert_uint_eq(out.n, 2);
	ck_assert_str_eq(out.v[0], "counters.from: pmu / sim");
	ck_assert_str_eq(out.v[1], "b counts: y / z");
	sm_strings_free(&out);
}
END_TEST

/* Parameters tell cases apart; what has no partner is named. */
START_TEST(cases_are_matched)
{
	add(0, 0, "libc", 1)->params = "{\"objects\":1000}";
	add(1, 0, "libc", 2)->params = "{\"objects\":2000}";
	add(2, 0, "libc", 3)->workload = "churn";
	end_run(NULL);
	add(0, 0, "libc", 4)->params = "{\"objects\":2000}";
	add(1, 0, "libc", 5)->params = "{\"objects\":4000}";
	end_run(NULL);
	compare_well("1", "2");
	ck_assert_double_eq(row("graph objects=2000", "ns_per_op")->d.base[0], 2);
	ck_assert_double_eq(row("graph objects=2000", "ns_per_op")->d.other[0], 4);
	ck_assert_uint_eq(compared.nrows, 2);
	ck_assert_uint_eq(compared.unmatched.n, 3);
	ck_assert_str_eq(compared.unmatched.v[0], "1 alone has graph objects=1000 libc");
	ck_assert_str_eq(compared.unmatched.v[1], "1 alone has churn libc");
	ck_assert_str_eq(compared.unmatched.v[2], "2 alone has graph objects=4000 libc");
}
END_TEST

/* The same setting of both first; a side's own setting does not count. */
START_TEST(settings_are_matched)
{
	static const char *const configs[] = {
		"{\"gc.mode\":\"stw\",\"gc.workers\":\"1\"}",
		"{\"gc.mode\":\"stw\",\"gc.workers\":\"2\"}",
		"{\"gc.mode\":\"concurrent\",\"gc.workers\":\"1\"}",
		"{\"gc.mode\":\"concurrent\",\"gc.workers\":\"2\"}",
	};

	for (unsigned i = 0; i < 4; i++)
		add(i, 0, "gc", 1 + i)->config = configs[i];
	end_run(NULL);
	compare_well("gc.mode=stw", "1/gc,gc.mode=concurrent");
	ck_assert_uint_eq(compared.nrows, 4);
	ck_assert_str_eq(compared.rows[0].name, "graph gc gc.mode=stw gc.workers=1");
	ck_assert(compared.rows[0].d.base[0] == 1 && compared.rows[0].d.other[0] == 3);
	ck_assert(compared.rows[2].d.base[0] == 2 && compared.rows[2].d.other[0] == 4);
	ck_assert_uint_eq(compared.unmatched.n, 0);
}
END_TEST

/* Two runs of one backend each: compared, and the difference is listed. */
START_TEST(what_is_left_over_is_matched)
{
	add(0, 0, "libc", 1);
	end_run(NULL);
	add(0, 0, "span", 2);
	end_run(NULL);
	compare_well("1", "2");
	ck_assert_uint_eq(compared.nrows, 2);
	ck_assert_uint_eq(compared.hidden.n, 1);
	ck_assert_str_eq(compared.hidden.v[0], "graph: libc {} / span {}");
}
END_TEST

/* A failed sample is no value. */
START_TEST(failed_samples_are_left_out)
{
	add(0, 0, "libc", 1);
	add(0, 1, "libc", 1)->status = SM_OUTCOME_CRASHED;
	samples[1].wire = NULL;
	add(1, 0, "span", 2);
	add(1, 1, "span", 2);
	end_run(NULL);
	compare_well("libc", "span");
	ck_assert_uint_eq(row("graph", "ns_per_op")->d.nbase, 1);
	ck_assert_uint_eq(row("graph", "ns_per_op")->d.nother, 1);
}
END_TEST

/* Two cases of two samples on each side; all samples of the second fail in the sides of `fail`. */
static void two_runs(unsigned fail)
{
	for (unsigned side = 1; side <= 2; side++) {
		for (unsigned i = 0; i < 4; i++) {
			struct fake_sample *f = add(i / 2, i % 2, "libc", 1);

			f->workload = i < 2 ? "graph" : "churn";
			if (i < 2 || !(fail & side))
				continue;
			f->status = SM_OUTCOME_CRASHED;
			f->message = "killed by signal 11";
			f->wire = NULL;
		}
		end_run(NULL);
	}
	compare_well("1", "2");
}

static void failed_case_is_named(unsigned fail, const char *says)
{
	struct sm_compare_text t = {.base = &sides[0], .other = &sides[1], .c = &compared};
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	two_runs(fail);
	ck_assert_uint_eq(compared.unmatched.n, 1);
	ck_assert_str_eq(compared.unmatched.v[0], says);
	for (size_t i = 0; i < compared.nrows; i++)
		ck_assert_str_eq(compared.rows[i].name, "graph");
	sm_compare_csv(&t, false, f);
	fclose(f);
	ck_assert_ptr_nonnull(strstr(text, "\"1\",\"2\",\"churn\",,,,,,,,,,,,,unclear,,\""));
	ck_assert_ptr_nonnull(strstr(text, strstr(says, "2 of 2")));
	free(text);
}

/* A case without a value on a side is named, with the reason. */
START_TEST(failed_on_one_side)
{
	failed_case_is_named(2, "1 alone has churn: 2 of 2 samples of 2 failed (crashed: killed "
				"by signal 11)");
}
END_TEST

START_TEST(failed_on_both_sides)
{
	failed_case_is_named(3, "neither has churn: 2 of 2 samples of 1 failed (crashed: killed "
				"by signal 11), 2 of 2 samples of 2 failed (crashed: killed by "
				"signal 11)");
}
END_TEST

/* Above the table, and in JSON. */
START_TEST(an_unfinished_run_is_said)
{
	struct sm_compare_text t = {.base = &sides[0], .other = &sides[1], .c = &compared};
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);
	cJSON *json;

	add(0, 0, "libc", 1);
	end_run(NULL);
	add(0, 0, "libc", 1);
	fake_run(store, NULL, samples, 1, 3);
	compare_well("1", "2");
	reports[0].started = reports[1].started = "T";
	sm_compare_table(&t, f);
	fclose(f);
	ck_assert_ptr_nonnull(strstr(text, "A = 1 (run 1, T)\n"));
	ck_assert_ptr_nonnull(
		strstr(text, "B = 2 (run 2, T; unfinished: 1 of 3 planned samples)\n"));
	free(text);
	json = sm_compare_json(&t);
	ck_assert(cJSON_IsNull(cJSON_GetObjectItemCaseSensitive(json, "base_unfinished")));
	ck_assert_str_eq(
		cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(json, "other_unfinished")),
		"1 of 3 planned samples");
	cJSON_Delete(json);
}
END_TEST

/* And what ended it, where that is known. */
START_TEST(an_interrupted_run_is_said)
{
	struct sm_compare_text t = {.base = &sides[0], .other = &sides[1], .c = &compared};
	cJSON *json;

	add(0, 0, "libc", 1);
	end_run(NULL);
	add(0, 0, "libc", 1);
	fake_run(store, NULL, samples, 1, 3);
	ck_assert_int_eq(sm_store_end(store, 2, "interrupted"), 0);
	compare_well("1", "2");
	json = sm_compare_json(&t);
	ck_assert_str_eq(
		cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(json, "other_unfinished")),
		"1 of 3 planned samples, interrupted");
	cJSON_Delete(json);
}
END_TEST

/* A sample whose only metrics are counters of the mutators: misses for 1000 instructions, a rate of
 * misses, raw, and what the run's own set calls worse the more there is. */
static void add_counters(unsigned group, const char *backend, double v)
{
	static const char *const metrics[][2] = {
		{"llc_mpki", "misses/kinsn"}, {"br_miss_rate", "share"}, {"r01c4", "count"},
		{"ipc", "insn/cycle"},	      {"mine", "x/y"},		 {"yours", "x"}};
	struct fake_sample *f = add(group, 0, backend, 1);
	char *at = wires[nsamples - 1];
	size_t left = sizeof(wires[0]);
	int n = snprintf(at, left,
			 "{\"error\":\"\",\"output\":\"\",\"warnings\":\"\",\"results\":["
			 "{\"name\":\"ops\",\"unit\":\"ops\",\"value\":10}],\"metrics\":[");

	f->placement = "{\"threads\":2,\"workers\":0}";
	for (size_t i = 0; i < sizeof(metrics) / sizeof(metrics[0]); i++)
		n += snprintf(
			at + n, left - (size_t)n,
			"%s{\"role\":\"mutator\",\"phase\":\"total\",\"by\":\"role\",\"metric\":"
			"\"%s\",\"unit\":\"%s\",\"value\":%g,\"status\":\"ok\",\"source\":\"pmu\"}",
			i ? "," : "", metrics[i][0], metrics[i][1], v);
	snprintf(at + n, left - (size_t)n, "]}");
}

/* Which direction is better stands with the metric; without a word about it nothing is better. */
START_TEST(counters_have_a_direction)
{
	static const struct {
		const char *metric;
		enum sm_better better;
		double base; /* for an operation, but ratios */
	} expected[] = {
		{"llc_mpki", SM_BETTER_LESS, 20}, {"br_miss_rate", SM_BETTER_LESS, 20},
		{"r01c4", SM_BETTER_NEITHER, 2},  {"ipc", SM_BETTER_MORE, 20},
		{"mine", SM_BETTER_LESS, 20},	  {"yours", SM_BETTER_MORE, 2},
	};
	struct sm_compare_what what = {0};
	char err[400] = "";

	add_counters(0, "libc", 20);
	add_counters(1, "span", 10);
	end_run("{\"counters\":{\"metrics\":[{\"metric\":\"mine\",\"better\":\"less\"},"
		"{\"metric\":\"yours\",\"better\":\"more\"}]}}");
	for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++)
		sm_strings_add(&what.metrics, expected[i].metric, strlen(expected[i].metric));
	ck_assert_msg(compare("libc", "span", &what, err, sizeof(err)) == 0, "%s", err);
	for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++) {
		const struct sm_compare_row *r = row("graph", expected[i].metric);

		ck_assert_msg(r->d.better == expected[i].better, "%s", r->metric);
		ck_assert_double_eq(r->d.base[0], expected[i].base);
	}
	sm_strings_free(&what.metrics);
}
END_TEST

/* A gate's figure has a row where only one side measured it. */
START_TEST(a_gated_figure_has_a_row)
{
	struct sm_compare_what what = {0};
	char err[400] = "";

	add_counters(0, "libc", 1);
	add(1, 0, "span", 1)->placement = samples[0].placement;
	end_run(NULL);
	sm_strings_add(&what.gated, "ns_per_op", 9);
	sm_strings_add(&what.gated, "ipc", 3);
	ck_assert_msg(compare("libc", "span", &what, err, sizeof(err)) == 0, "%s", err);
	ck_assert_uint_eq(row("graph", "ns_per_op")->d.nbase, 0);
	ck_assert_uint_eq(row("graph", "ipc")->d.nother, 0);
	sm_strings_free(&what.gated);
}
END_TEST

static void a_case_too_many(void)
{
	add(0, 0, "libc", 1);
	add(1, 0, "span", 2);
	add(2, 0, "libc", 1)->workload = "churn";
	end_run(NULL);
}

/* What one side lacks is named for the gates too. */
START_TEST(what_one_side_lacks_is_lost)
{
	a_case_too_many();
	compare_well("libc", "span");
	ck_assert_uint_eq(compared.lost.n, 1);
	ck_assert_str_eq(compared.lost.v[0], "churn libc");
	ck_assert_str_eq(compared.why.v[0], "libc alone has it");
}
END_TEST

START_TEST(workloads_are_chosen)
{
	struct sm_compare_what what = {0};
	char err[400] = "";

	a_case_too_many();
	sm_strings_add(&what.workloads, "graph", 5);
	ck_assert_msg(compare("libc", "span", &what, err, sizeof(err)) == 0, "%s", err);
	ck_assert_uint_eq(compared.lost.n, 0);
	ck_assert_uint_eq(compared.unmatched.n, 0);
	sm_strings_free(&what.workloads);
}
END_TEST

START_TEST(refusals)
{
	static const struct {
		const char *a, *b, *says;
	} bad[] = {
		{"lib", "span", "unknown backend 'lib'"},
		{"1/", "1", "'1/' is no side"},
		{"1x", "1", "'1x' is no side"},
		{"0x", "1", "'0x' is no side"},
		{"gc", "libc", "gc: run 1 has no such"},
		{"libc", "gc.mode=stw", "gc.mode=stw: run"},
	};
	char err[400];
	struct sm_compare_what what = {0};

	add(0, 0, "libc", 1);
	end_run(NULL);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		ck_assert_int_eq(compare(bad[i].a, bad[i].b, &none, err, sizeof(err)), -EINVAL);
		ck_assert_msg(strncmp(err, bad[i].says, strlen(bad[i].says)) == 0, "%s", err);
		for (int k = 0; k < 2; k++) {
			sm_side_free(&sides[k]);
			sm_report_free(&reports[k]);
		}
		memset(sides, 0, sizeof(sides));
		sm_comparison_free(&compared);
		memset(&compared, 0, sizeof(compared));
	}
	ck_assert_int_eq(sm_strings_add(&what.metrics, "cyles", 5), 0);
	ck_assert_int_eq(compare("1", "1", &what, err, sizeof(err)), -EINVAL);
	ck_assert_ptr_nonnull(strstr(err, "'cyles'"));
	sm_strings_free(&what.metrics);
}
END_TEST

static const char want[] =
	"A = libc (run 1, T)\n"
	"B = span (run 1, T)\n"
	"\n"
	"                                       A         B    B / A         interval      from  B "
	"is\n"
	"graph\n"
	"  ns_per_op                      16.5 ns   18.1 ns      1.1         1.1..1.1   6 pairs  "
	"worse\n"
	"  mutator instructions              1650      1815      1.1            exact   6 pairs  "
	"worse\n"
	"\n"
	"All intervals hold together with 95 % (each is one of 95 %). Same: within 1 % of 1; "
	"better and\n"
	"worse: wholly beyond. Exact: simulated counts of one thread; any change is one. Times and "
	"memory of\n"
	"a run with --counters sim are the simulator's.\n";

START_TEST(the_table)
{
	struct sm_verdict_options o = {.margin = 0.01, .target = 0.03};
	struct sm_compare_text t = {
		.base = &sides[0], .other = &sides[1], .c = &compared, .judged = o};
	struct sm_difference d[2];
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	for (unsigned rep = 0; rep < 6; rep++) {
		add(0, rep, "libc", 14 + rep);
		add(1, rep, "span", (14 + rep) * 1.1);
	}
	end_run(NULL);
	compare_well("libc", "span");
	ck_assert_uint_eq(compared.nrows, 2);
	for (int i = 0; i < 2; i++)
		d[i] = compared.rows[i].d;
	ck_assert_int_eq(sm_verdict_table(d, 2, &o, &compared.each), 0);
	for (int i = 0; i < 2; i++)
		compared.rows[i].d = d[i];
	reports[0].started = "T";
	sm_compare_table(&t, f);
	fclose(f);
	ck_assert_str_eq(text, want);
	free(text);
}
END_TEST

/* One number for one reason. */
START_TEST(notes_are_numbered)
{
	static const char *const params[] = {"{\"objects\":1}", "{\"objects\":2}",
					     "{\"objects\":3}"};
	struct sm_verdict_options o = {.margin = 0.01, .target = 0.03};
	struct sm_compare_text t = {
		.base = &sides[0], .other = &sides[1], .c = &compared, .judged = o};
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	for (unsigned i = 0; i < 3; i++) {
		for (unsigned rep = 0; rep < (i == 1 ? 3 : 2); rep++) {
			add(2 * i, rep, "libc", 10)->params = params[i];
			add(2 * i + 1, rep, "span", 10)->params = params[i];
		}
	}
	end_run(NULL);
	compare_well("libc", "span");
	for (size_t i = 0; i < compared.nrows; i++)
		snprintf(compared.rows[i].d.reason, sizeof(compared.rows[i].d.reason), "of %zu",
			 compared.rows[i].d.nbase);
	sm_compare_table(&t, f);
	fclose(f);
	ck_assert_ptr_nonnull(strstr(text, "2 pairs  unclear (1)\n"));
	ck_assert_ptr_nonnull(strstr(text, "3 pairs  unclear (2)\n"));
	ck_assert_ptr_nonnull(strstr(text, "(1) of 2\n(2) of 3\n"));
	ck_assert_ptr_null(strstr(text, "(3)"));
	free(text);
}
END_TEST

int main(void)
{
	return SM_SUITE_EACH(
		"compare", 0, open_store, close_store, SM_T(sides_of_one_run_are_paired),
		SM_T(builds_of_a_library_are_paired), SM_T(runs_are_not_paired),
		SM_T(events_are_compared), SM_T(cases_are_matched), SM_T(settings_are_matched),
		SM_T(what_is_left_over_is_matched), SM_T(failed_samples_are_left_out),
		SM_T(failed_on_one_side), SM_T(failed_on_both_sides),
		SM_T(an_interrupted_run_is_said), SM_T(an_unfinished_run_is_said),
		SM_T(counters_have_a_direction), SM_T(a_gated_figure_has_a_row),
		SM_T(what_one_side_lacks_is_lost), SM_T(workloads_are_chosen), SM_T(refusals),
		SM_T(the_table), SM_T(notes_are_numbered));
}
