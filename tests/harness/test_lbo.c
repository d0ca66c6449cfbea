/* harness/compare/lbo.c: what a collector costs at least, of stores whose numbers are worked out
 * by hand; what is taken off, what is refused; lbo_text.c. */
#include "harness/compare/lbo.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/fake_run.h"
#include "tests/support/run.h"

#define MOST 64

static struct sm_store *store;
static struct sm_report report;
static struct sm_lbo lbo;
static struct fake_sample samples[MOST];
static char wires[MOST][1600];
static unsigned nsamples;
static const struct sm_strings none;

static void open_store(void)
{
	char err[300];

	nsamples = 0;
	ck_assert_msg(sm_store_open(NULL, &store, err, sizeof(err)) == 0, "%s", err);
}

static void close_store(void)
{
	sm_lbo_free(&lbo);
	sm_report_free(&report);
	sm_store_close(store);
}

/* The scavenger's, of each that was counted: no collector's. */
#define SCAVENGE 0.5

/* Costs of one sample of 100 operations; wall and waits in 10 ns for an operation, CPU in 1 ns. */
struct given {
	double wall, waits, cpu;
	double mark, control, assist; /* task_clock and instructions of these; < 0: not counted */
};

static size_t put_metric(char *to, size_t len, const char *role, const char *phase, double v,
			 const char *source)
{
	return (size_t)snprintf(to, len,
				"%s{\"by\":\"role\",\"role\":\"%s\",\"phase\":\"%s\",\"metric\":\"%"
				"s\",\"unit\":\"ns\","
				"\"value\":%.17g,\"status\":\"ok\",\"source\":\"%s\"}",
				to[-1] == '[' ? "" : ",", role, phase,
				strcmp(source, "sw") == 0 ? "task_clock" : "instructions", v,
				source);
}

/* All of it times `drift`: of a machine that grows slower. */
static struct fake_sample *add(unsigned group, unsigned rep, const char *backend,
			       const char *config, struct given g, double drift, const char *source)
{
	char *w = wires[nsamples];
	size_t len = sizeof(wires[0]), n;
	struct fake_sample *f = &samples[nsamples];

	n = (size_t)snprintf(
		w, len,
		"{\"error\":\"\",\"output\":\"\",\"warnings\":\"\",\"results\":["
		"{\"name\":\"ops\",\"unit\":\"ops\",\"value\":100},"
		"{\"name\":\"wall_s\",\"unit\":\"s\",\"value\":%.17g},"
		"{\"name\":\"stall_total_ns\",\"unit\":\"ns\",\"value\":%.17g},"
		"{\"name\":\"user_s\",\"unit\":\"s\",\"value\":%.17g},"
		"{\"name\":\"system_s\",\"unit\":\"s\",\"value\":%.17g}],\"metrics\":[",
		1e-6 * g.wall * drift, 1e3 * g.waits * drift, 0.8e-7 * g.cpu * drift,
		0.2e-7 * g.cpu * drift);
	if (g.mark >= 0) {
		double own = g.cpu - g.mark - g.control - SCAVENGE;

		n += put_metric(w + n, len - n, "mark", "mark", 100 * g.mark * drift, source);
		n += put_metric(w + n, len - n, "mark", "total", 100 * g.mark * drift, source);
		n += put_metric(w + n, len - n, "control", "total", 100 * g.control * drift,
				source);
		n += put_metric(w + n, len - n, "scavenge", "total", 100 * SCAVENGE * drift,
				source);
		n += put_metric(w + n, len - n, "mutator", "app", 70 * own * drift, source);
		n += put_metric(w + n, len - n, "mutator", "refill", 10 * own * drift, source);
		n += put_metric(w + n, len - n, "mutator", "assist", 100 * g.assist * drift,
				source);
		n += put_metric(w + n, len - n, "mutator", "total", 100 * own * drift, source);
	}
	snprintf(w + n, len - n, "]}");
	*f = (struct fake_sample){.ordinal = nsamples,
				  .group = group,
				  .rep = rep,
				  .backend = backend,
				  .config = config,
				  .wire = w};
	nsamples++;
	return f;
}

static int compute(const char *metric, char *err, size_t len)
{
	struct sm_strings metrics = {0};
	int rc;

	ck_assert_int_eq(
		sm_store_load(store, fake_run(store, "{}", samples, nsamples, nsamples), &report),
		0);
	if (metric != NULL)
		sm_strings_add(&metrics, metric, strlen(metric));
	rc = sm_lbo_compute(&report, "lab.db", &metrics, &none, &lbo, err, len);
	sm_strings_free(&metrics);
	return rc;
}

static void computed(const char *metric)
{
	char err[800];

	ck_assert_msg(compute(metric, err, sizeof(err)) == 0, "%s", err);
}

static const struct sm_lbo_row *row(const char *config, const char *metric)
{
	for (size_t i = 0; i < lbo.nrows; i++)
		if (strcmp(lbo.rows[i].config, config) == 0 &&
		    strcmp(lbo.rows[i].metric, metric) == 0)
			return &lbo.rows[i];
	ck_abort_msg("no row %s of %s", metric, config);
	return NULL;
}

static void is(const struct sm_lbo_ratio *r, double want)
{
	ck_assert_double_eq_tol(r->ratio, want, 1e-9);
	ck_assert(r->has_interval);
	ck_assert_double_eq_tol(r->low, want, 1e-9);
	ck_assert_double_eq_tol(r->high, want, 1e-9);
}

/* 50 % waits long: its total is greater, what is left less. */
static const struct given at_50 = {30, 10, 50, 10, 3, 2}, at_200 = {25, 1, 40, -1, 0, 0},
			  freed = {22, 0, 38, -1, 0, 0}, by_libc = {33, 0, 57, -1, 0, 0};

static void four(unsigned reps)
{
	for (unsigned rep = 0; rep < reps; rep++) {
		double drift = 1 + 0.1 * rep;

		add(0, rep, "gc", "{\"gc.percent\":\"50\"}", at_50, drift, "sw");
		add(1, rep, "gc", "{\"gc.percent\":\"200\"}", at_200, drift, "sw");
		add(2, rep, "libc", "{}", by_libc, drift, "sw");
		add(3, rep, "span", "{}", freed, drift, "sw");
	}
}

START_TEST(worked_out_by_hand)
{
	four(10);
	computed(NULL);
	ck_assert_uint_eq(lbo.nrows, 8); /* instructions were not counted */
	ck_assert(row("gc gc.percent=50", "wall")->least);
	ck_assert(!row("gc gc.percent=200", "wall")->least);
	/* Medians are at a drift of 1.45; 30 - 10 is left of the one, 25 - 1 of the other. */
	ck_assert_double_eq_tol(row("gc gc.percent=50", "wall")->total, 300 * 1.45, 1e-9);
	ck_assert_double_eq_tol(row("gc gc.percent=50", "wall")->distilled, 200 * 1.45, 1e-9);
	is(&row("gc gc.percent=50", "wall")->bound, 30 / 20.0);
	is(&row("gc gc.percent=200", "wall")->bound, 25 / 20.0);
	is(&row("span", "wall")->bound, 22 / 20.0);
	is(&row("libc", "wall")->bound, 33 / 20.0);
	is(&row("gc gc.percent=50", "wall")->truth, 30 / 22.0);
	is(&row("gc gc.percent=200", "wall")->truth, 25 / 22.0);
	is(&row("libc", "wall")->truth, 33 / 22.0);
	ck_assert_str_eq(row("libc", "wall")->against, "span");
	ck_assert_double_eq(row("span", "wall")->truth.ratio, 1);
	/* Mark and control threads and the mutator's assists are taken off, its refills are not;
	 * nothing where it was not counted. */
	ck_assert_double_eq_tol(row("gc gc.percent=50", "cpu")->distilled, 35 * 1.45, 1e-9);
	ck_assert_double_eq_tol(row("gc gc.percent=200", "cpu")->distilled, 40 * 1.45, 1e-9);
	is(&row("gc gc.percent=50", "cpu")->bound, 50 / 35.0);
	is(&row("gc gc.percent=200", "cpu")->bound, 40 / 35.0);
	/* 4 configurations over 2 that may be the least, 3 beside span; twice */
	ck_assert_double_eq_tol(lbo.each, 1 - 0.05 / 22, 1e-12);
	/* An ideal of 20 is below what free takes, 22; one of 35 below 38. */
	ck_assert_uint_eq(lbo.notes.n, 1);
	ck_assert_str_eq(lbo.notes.v[0],
			 "4 bounds are above the ratio to explicit free: free costs more there "
			 "than the least distilled configuration hides");
}
END_TEST

/* 23 and 23 are left of the one, 16 and 31 of the other: its median, 23.5, is not the least. That
 * its pairs with 30 give more, 30 / sqrt(16 * 31), is noise. */
START_TEST(the_least_is_one_configuration)
{
	for (unsigned rep = 0; rep < 2; rep++) {
		add(0, rep, "gc", "{\"gc.percent\":\"50\"}", (struct given){30, 7, 50, -1, 0, 0}, 1,
		    "sw");
		add(1, rep, "gc", "{\"gc.percent\":\"200\"}",
		    (struct given){40, rep ? 9 : 24, 50, -1, 0, 0}, 1, "sw");
	}
	computed("wall");
	ck_assert(row("gc gc.percent=50", "wall")->least);
	ck_assert_double_eq_tol(row("gc gc.percent=50", "wall")->bound.ratio, 30 / 23.0, 1e-9);
	ck_assert_double_eq_tol(row("gc gc.percent=200", "wall")->bound.ratio, 40 / 23.0, 1e-9);
}
END_TEST

/* 20 is always left of the first; 0.7 of the total of the second, which is 30 six times, else 10:
 * its median is 21, not the least, but its own pairs say 1 / 0.7 and nothing else. The typical pair
 * with the least is sqrt(30 * 10) / 20, and no bound. */
START_TEST(no_bound_is_below_its_interval)
{
	for (unsigned rep = 0; rep < 10; rep++) {
		double total = rep < 6 ? 30 : 10;

		add(0, rep, "gc", "{\"gc.percent\":\"50\"}", (struct given){25, 5, 50, -1, 0, 0}, 1,
		    "sw");
		add(1, rep, "gc", "{\"gc.percent\":\"200\"}",
		    (struct given){total, 0.3 * total, 50, -1, 0, 0}, 1, "sw");
	}
	computed("wall");
	ck_assert(row("gc gc.percent=50", "wall")->least);
	ck_assert(row("gc gc.percent=200", "wall")->bound.has_interval);
	ck_assert_double_eq_tol(row("gc gc.percent=200", "wall")->bound.low, 1 / 0.7, 1e-9);
	ck_assert_double_eq_tol(row("gc gc.percent=200", "wall")->bound.ratio, 1 / 0.7, 1e-9);
}
END_TEST

/* Simulated times mean nothing; counts do. */
START_TEST(simulated)
{
	for (unsigned rep = 0; rep < 2; rep++) {
		add(0, rep, "gc", "{\"gc.percent\":\"50\"}", at_50, 1, "sim");
		add(1, rep, "gc", "{\"gc.percent\":\"200\"}", (struct given){1, 0, 44, 1, 1, 0}, 1,
		    "sim");
	}
	computed(NULL);
	ck_assert_uint_eq(lbo.nrows, 2);
	ck_assert_str_eq(row("gc gc.percent=50", "instructions")->source, "sim");
	ck_assert_double_eq_tol(row("gc gc.percent=50", "instructions")->bound.ratio, 50 / 35.0,
				1e-9);
	ck_assert_double_eq_tol(row("gc gc.percent=200", "instructions")->bound.ratio, 44 / 35.0,
				1e-9);
	ck_assert(!row("gc gc.percent=50", "instructions")->bound.has_interval);
	ck_assert(isnan(row("gc gc.percent=50", "instructions")->truth.ratio));
	ck_assert_uint_eq(lbo.notes.n, 2);
	ck_assert_ptr_nonnull(strstr(lbo.notes.v[0], "--backend gc,span"));
	ck_assert_ptr_nonnull(strstr(lbo.notes.v[1], "95 % over the whole table takes 8"));
}
END_TEST

/* Another collector bounds the ideal as another configuration does; its threads are not counted. */
START_TEST(two_collectors)
{
	for (unsigned rep = 0; rep < 2; rep++) {
		add(0, rep, "gc", "{}", at_50, 1, "pmu");
		add(1, rep, "bdwgc", "{}", (struct given){40, 22, 44, 1, 1, 0}, 1, "pmu");
		add(2, rep, "preload:/lib/libx.so", "{}", freed, 1, "pmu");
	}
	computed(NULL);
	ck_assert_uint_eq(lbo.nrows, 6); /* wall and cpu */
	ck_assert(row("bdwgc", "wall")->least && !row("bdwgc", "wall")->manual);
	ck_assert_double_eq_tol(row("gc", "wall")->bound.ratio, 30 / 18.0, 1e-9);
	ck_assert_double_eq_tol(row("bdwgc", "wall")->bound.ratio, 40 / 18.0, 1e-9);
	ck_assert(row("preload:/lib/libx.so", "cpu")->manual);
	ck_assert_double_eq_tol(row("bdwgc", "cpu")->truth.ratio, 44 / 38.0, 1e-9);
}
END_TEST

/* Waits of several mutators overlap. */
START_TEST(two_mutators)
{
	four(2);
	for (unsigned i = 0; i < nsamples; i++)
		samples[i].placement = "{\"threads\":2,\"workers\":1}";
	computed("wall");
	ck_assert(row("gc gc.percent=200", "wall")->least);
	ck_assert_double_eq(row("gc gc.percent=50", "wall")->distilled,
			    row("gc gc.percent=50", "wall")->total);
	ck_assert_double_eq_tol(row("gc gc.percent=50", "wall")->bound.ratio, 30 / 25.0, 1e-9);
	ck_assert_str_eq(lbo.notes.v[0],
			 "1 table has nothing that is visibly the collector's: it did not run, or "
			 "was not counted; the bound is the least total");
}
END_TEST

/* Another heap, workers and place are configurations; other parameters are another case. */
START_TEST(configurations)
{
	add(0, 0, "gc", "{}", at_50, 1, "sw")->placement = "{\"threads\":1,\"workers\":1}";
	add(1, 0, "gc", "{}", at_200, 1, "sw")->placement = "{\"threads\":1,\"workers\":2}";
	add(2, 0, "gc", "{}", at_200, 1, "sw")->params = "{\"objects\":7}";
	computed("wall");
	ck_assert_uint_eq(lbo.nrows, 2);
	row("gc workers=1", "wall");
	row("gc workers=2", "wall");
	ck_assert_uint_eq(lbo.left_out.n, 1);
	ck_assert_str_eq(lbo.left_out.v[0], "graph objects=7: one configuration of the collector");
}
END_TEST

START_TEST(refusals)
{
	char err[800];

	add(0, 0, "gc", "{}", at_50, 1, "sw");
	add(1, 0, "span", "{}", freed, 1, "sw");
	ck_assert_int_eq(compute(NULL, err, sizeof(err)), -EINVAL);
	ck_assert_str_eq(err, "lbo: run 1: graph: one configuration of the collector; it needs two "
			      "configurations of the collector or more, and explicit free beside "
			      "them: spanmark run --store lab.db -w graph --backend gc,span --set "
			      "gc.percent=50,100,200 --reps 12");
	sm_lbo_free(&lbo);
	memset(&lbo, 0, sizeof(lbo));
	sm_report_free(&report);
	add(2, 0, "gc", "{\"gc.percent\":\"50\"}", at_50, 1, "sw");
	ck_assert_int_eq(compute("cycles", err, sizeof(err)), -EINVAL);
	ck_assert_ptr_nonnull(strstr(err, "fewer than two configurations of the collector have"));
}
END_TEST

static const char want[] =
	"run 1, T\n"
	"\n"
	"graph: wall, for an operation\n"
	"                                       total  visible   bound        interval  / span     "
	"  "
	" interval\n"
	"  gc gc.percent=50 *                  435 ns   33.3 %     1.5        1.5..1.5   1.364    "
	"1.364..1.364\n"
	"  gc gc.percent=200                   362 ns      4 %    1.25      1.25..1.25   1.136    "
	"1.136..1.136\n"
	"  libc                                478 ns        -    1.65      1.65..1.65     1.5     "
	"   "
	"1.5..1.5\n"
	"  span                                319 ns        -     1.1        1.1..1.1       1     "
	"    "
	"      -\n";

START_TEST(the_texts)
{
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);
	cJSON *json;

	four(10);
	computed("wall");
	report.started = "T";
	sm_lbo_table(&lbo, &report, f);
	fclose(f);
	ck_assert_msg(strncmp(text, want, strlen(want)) == 0, "%s", text);
	free(text);
	f = open_memstream(&text, &len);
	sm_lbo_csv(&lbo, f);
	fclose(f);
	ck_assert_ptr_nonnull(strstr(text, "\n\"graph\",\"gc gc.percent=50\",wall,ns,sw,0,1,10,"));
	free(text);
	f = open_memstream(&text, &len);
	sm_lbo_json(&lbo, &report, f);
	fclose(f);
	json = cJSON_Parse(text);
	ck_assert_int_eq(cJSON_GetArraySize(cJSON_GetObjectItem(json, "rows")), 4);
	cJSON_Delete(json);
	free(text);
}
END_TEST

int main(void)
{
	return SM_SUITE_EACH("lbo", 0, open_store, close_store, SM_T(worked_out_by_hand),
			     SM_T(the_least_is_one_configuration),
			     SM_T(no_bound_is_below_its_interval), SM_T(simulated),
			     SM_T(two_collectors), SM_T(two_mutators), SM_T(configurations),
			     SM_T(refusals), SM_T(the_texts));
}
