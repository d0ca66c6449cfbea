/*
 * test_formats.c: one run, two cases x two repetitions x two counter passes with known numbers.
 * What a reader computes from the CSV by a dozen lines of code of their own is what the JSON and
 * its summary, and the table, say.
 *
 * test_formats --write DIR writes this run and others in every format, for cli/test_same_numbers.sh
 * to read back: one that has everything that is rare, with hostile names; an empty one.
 */
#include "harness/report/summary.h"
#include "harness/report/writer.h"
#include "tests/support/fake_run.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/run.h"
#include "harness/base/text.h"

enum { CASES = 2, REPS = 2, PASSES = 2, SAMPLES = CASES * REPS * PASSES, OPS = 1000 };

static const char *const phases[] = {"app", "refill", "total"};
static const char environment[] =
	"{\"cpu_model\":\"Test "
	"CPU\",\"kernel\":\"6.1\",\"repetitions\":2,\"topology\":{\"cores\":4,"
	"\"nodes\":1},\"counters\":{\"passes\":2,\"chosen\":false,\"metrics\":[]}}";

/* Known and all different: of a case, repetition, pass, and phase (2: the sum of both). */
static double known_time(unsigned c, unsigned rep, unsigned pass, unsigned phase)
{
	double app = 100000 + 10000 * c + 1000 * rep + 100 * pass;
	double refill = rep == 1 && pass == 0 ? 0 : 20000 + 700 * c + 70 * rep + 7 * pass;

	return phase == 0 ? app : phase == 1 ? refill : app + refill;
}

/* Cycles are counted in pass 0, misses in pass 1. */
static const char *counted_in(unsigned pass)
{
	return pass ? "l1d_miss" : "cycles";
}

static void put(FILE *f, const char *phase, const char *metric, double value, bool sw)
{
	fprintf(f,
		",{\"role\":\"mutator\",\"phase\":\"%s\",\"metric\":\"%s\",\"event\":\"e.%s\","
		"\"value\":"
		"%.0f,\"unit\":\"%s\",\"source\":\"%s\"}",
		phase, metric, metric, value, sw ? "ns" : "n", sw ? "sw" : "pmu");
}

static char *wire(unsigned c, unsigned rep, unsigned pass)
{
	char *text = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&text, &len);

	ck_assert_ptr_nonnull(f);
	fprintf(f,
		"{\"error\":\"\",\"results\":[{\"name\":\"ops\",\"unit\":\"ops\",\"value\":%d},{"
		"\"name\":"
		"\"wall_s\",\"unit\":\"s\",\"value\":%.17g}],\"metrics\":[{\"role\":\"other\","
		"\"phase\":"
		"\"app\",\"metric\":\"time\",\"event\":\"clock\",\"value\":1,\"unit\":\"ns\","
		"\"source\":"
		"\"sw\"}",
		OPS, known_time(c, rep, pass, 2) * 1e-9);
	for (unsigned p = 0; p < 3; p++) {
		double t = known_time(c, rep, pass, p);

		if (t == 0)
			continue;
		put(f, phases[p], "time", t, true);
		put(f, phases[p], counted_in(pass), 3 * t, false);
	}
	fputs("],\"output\":\"\",\"warnings\":\"\"}", f);
	fclose(f);
	return text;
}

static void load(struct sm_report *r)
{
	struct fake_sample some[SAMPLES];
	char err[300], *wires[SAMPLES];
	struct sm_store *s;
	unsigned n = 0;

	for (unsigned rep = 0; rep < REPS; rep++)
		for (unsigned c = 0; c < CASES; c++)
			for (unsigned pass = 0; pass < PASSES; pass++) {
				wires[n] = wire(c, rep, pass);
				some[n] = (struct fake_sample){
					.ordinal = n,
					.group = c,
					.rep = rep,
					.pass = pass,
					.placement = c ? "{\"place\":\"compact\",\"threads\":1,"
							 "\"workers\":2}"
						       : "{\"place\":\"compact\",\"threads\":1,"
							 "\"workers\":1}",
					.wire = wires[n]};
				n++;
			}
	ck_assert_int_eq(sm_store_open(NULL, &s, err, sizeof(err)), 0);
	ck_assert_int_eq(sm_store_load(s, fake_run(s, environment, some, n, n), r), 0);
	sm_store_close(s);
	while (n > 0)
		free(wires[--n]);
}

static char *print(const struct sm_report *r, enum sm_format format)
{
	struct sm_writer w = {.format = format, .by = SM_BY_ROLE, .wide = true};
	char *text = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&text, &len);

	ck_assert_int_eq(sm_report_write(r, &w, f), 0);
	fclose(f);
	return text;
}

/* ---- a reader of the CSV ------------------------------------------------------------------ */

enum { RUN, REP, PHASE, ROLE, METRIC = 9, VALUE = 11, STATUS = 15, PASS = 20, COLUMNS = 25 };

/* Fields of one line, no quotes among them. */
static bool next_line(char **text, char *fields[COLUMNS])
{
	char *line = strsep(text, "\n");

	if (line == NULL || !*line)
		return false;
	for (unsigned i = 0; i < COLUMNS; i++) {
		fields[i] = strsep(&line, ",");
		ck_assert_ptr_nonnull(fields[i]);
	}
	ck_assert_ptr_null(line);
	return true;
}

/* The median over two repetitions, each the mean of the passes that have the metric (absent: 0 when
 * `zero`), for the nth name of a run. NAN: no row has it. */
static double from_csv(const char *csv, unsigned which, const char *role, const char *phase,
		       const char *metric, bool zero)
{
	char *copy = strdup(csv), *text = copy, *fields[COLUMNS], first[256] = "";
	double sum[REPS] = {0};
	unsigned n[REPS] = {0};

	ck_assert(next_line(&text, fields));
	while (next_line(&text, fields)) {
		unsigned rep = (unsigned)atoi(fields[REP]);

		if (!first[0])
			snprintf(first, sizeof(first), "%s", fields[RUN]);
		if ((strcmp(fields[RUN], first) != 0) != (which != 0) ||
		    strcmp(fields[METRIC], metric) != 0 || strcmp(fields[ROLE], role) != 0)
			continue;
		ck_assert_str_eq(fields[STATUS], "ok");
		if (zero && strcmp(fields[PHASE], "total") == 0)
			n[rep]++; /* the sample was counted, whatever the phase */
		if (strcmp(fields[PHASE], phase) != 0)
			continue;
		sum[rep] += atof(fields[VALUE]);
		n[rep] += !zero;
	}
	free(copy);
	return (sum[0] / n[0] + sum[1] / n[1]) / 2;
}

START_TEST(cases_have_names_of_their_own)
{
	struct sm_report r;
	char *csv, *copy, *fields[COLUMNS], *names[8];
	unsigned n = 0;

	load(&r);
	csv = copy = print(&r, SM_FORMAT_CSV);
	ck_assert(next_line(&copy, fields));
	while (next_line(&copy, fields)) {
		if (n == 0 || strcmp(names[n - 1], fields[RUN]) != 0)
			names[n++] = fields[RUN];
		ck_assert_uint_le(n, CASES);
	}
	ck_assert_uint_eq(n, CASES);
	ck_assert_str_ne(names[0], names[1]);
	free(csv);
	sm_report_free(&r);
}
END_TEST

/* Every metric of every sample: the same number in CSV and JSON. */
START_TEST(csv_and_json_have_the_same_metrics)
{
	struct sm_report r;
	char *csv, *text, *json, *fields[COLUMNS];
	cJSON *root;
	const cJSON *sample, *m = NULL;

	load(&r);
	csv = text = print(&r, SM_FORMAT_CSV);
	json = print(&r, SM_FORMAT_JSON);
	root = cJSON_Parse(json);
	ck_assert_ptr_nonnull(root);
	ck_assert(next_line(&text, fields));
	cJSON_ArrayForEach(sample, cJSON_GetObjectItem(root, "samples"))
	{
		ck_assert(next_line(&text, fields)); /* ops */
		ck_assert(next_line(&text, fields)); /* wall_s */
		ck_assert_double_eq(
			atof(fields[VALUE]),
			cJSON_GetObjectItem(cJSON_GetObjectItem(sample, "results"), "wall_s")
				->valuedouble);
		cJSON_ArrayForEach(m, cJSON_GetObjectItem(sample, "metrics"))
		{
			ck_assert(next_line(&text, fields));
			ck_assert_str_eq(fields[METRIC],
					 cJSON_GetObjectItem(m, "metric")->valuestring);
			ck_assert_str_eq(fields[PHASE],
					 cJSON_GetObjectItem(m, "phase")->valuestring);
			ck_assert_double_eq(atof(fields[VALUE]),
					    cJSON_GetObjectItem(m, "value")->valuedouble);
			ck_assert_int_eq(atoi(fields[PASS]),
					 cJSON_GetObjectItem(sample, "pass")->valueint);
		}
	}
	ck_assert(!next_line(&text, fields));
	cJSON_Delete(root);
	free(json);
	free(csv);
	sm_report_free(&r);
}
END_TEST

/* Two repetitions, whatever their passes; medians that the CSV gives too. */
START_TEST(the_summary_of_json_is_that_of_the_csv)
{
	struct sm_report r;
	char *csv, *json;
	cJSON *root;

	load(&r);
	csv = print(&r, SM_FORMAT_CSV);
	json = print(&r, SM_FORMAT_JSON);
	root = cJSON_Parse(json);
	for (unsigned c = 0; c < CASES; c++) {
		const cJSON *of = cJSON_GetArrayItem(cJSON_GetObjectItem(root, "summary"), (int)c);
		const cJSON *wall =
			cJSON_GetObjectItem(cJSON_GetObjectItem(of, "results"), "wall_s");

		ck_assert_int_eq(cJSON_GetObjectItem(wall, "n")->valueint, REPS);
		ck_assert_double_eq_tol(cJSON_GetObjectItem(wall, "median")->valuedouble,
					from_csv(csv, c, "", "", "wall_s", false), 1e-15);
	}
	cJSON_Delete(root);
	free(json);
	free(csv);
	sm_report_free(&r);
}
END_TEST

/* The table's cell of a row and column, per operation. */
static double cell(const struct sm_summary *u, unsigned c, const char *phase, const char *metric)
{
	for (size_t i = 0; i < u->nrows; i++)
		for (size_t k = 0; k < u->ncolumns; k++)
			if (u->rows[i].group == c && strcmp(u->rows[i].who, "mutator") == 0 &&
			    strcmp(u->rows[i].phase, phase) == 0 &&
			    strcmp(u->columns[k].metric, metric) == 0) {
				ck_assert(u->cells[i * u->ncolumns + k].has_value);
				ck_assert_uint_eq(u->cells[i * u->ncolumns + k].stats.n, REPS);
				return u->cells[i * u->ncolumns + k].stats.median;
			}
	ck_abort_msg("no %s of %s", metric, phase);
	return NAN;
}

START_TEST(the_table_is_that_of_the_csv)
{
	static const char *const metrics[] = {"time", "cycles", "l1d_miss"};
	struct sm_report r;
	struct sm_summary u;
	char *csv, *table, text[40];

	load(&r);
	csv = print(&r, SM_FORMAT_CSV);
	table = print(&r, SM_FORMAT_TABLE);
	ck_assert_int_eq(sm_summary_build(&r, SM_BY_ROLE, &u), 0);
	for (unsigned c = 0; c < CASES; c++) {
		for (unsigned m = 0; m < 3; m++) {
			double sum = 0;

			for (unsigned p = 0; p < 3; p++) {
				double want =
					from_csv(csv, c, "mutator", phases[p], metrics[m], true) /
					OPS;
				double got = cell(&u, c, phases[p], metrics[m]);

				ck_assert_double_eq_tol(got, want, 1e-9);
				sum += p < 2 ? got : -got;
				if (m == 0)
					sm_text_time(want, text, sizeof(text));
				else
					sm_text_count(want, text, sizeof(text));
				ck_assert_msg(strstr(table, text) != NULL, "no %s in:\n%s", text,
					      table);
			}
			/* of two repetitions the median is the mean: parts add up */
			ck_assert_double_eq_tol(sum, 0, 1e-9);
		}
	}
	sm_summary_free(&u);
	free(table);
	free(csv);
	sm_report_free(&r);
}
END_TEST

/* ---- files for those who read them back ---------------------------------------------------- */

/* What each context takes for its own: CSV, Markdown, HTML, labels, Go's fields, a terminal. */
#define EVIL                                                                                  \
	"=cmd|'/C calc'!A0,\\\"q\\\"\\\\ \\n\\t`x` *b* _i_ [l](http://h) <b>&amp;</b> @user " \
	"#1 ; {}%41 \\u001b[2J/\\u0007"

static const char simulated[] =
	"{\"error\":\"\",\"results\":[{\"name\":\"ops\",\"unit\":\"ops\",\"value\":10}],"
	"\"metrics\":"
	"[{\"role\":\"mutator\",\"phase\":\"app\",\"metric\":\"time\",\"event\":\"clock\","
	"\"value\":"
	"%u,\"unit\":\"ns\",\"source\":\"sw\"},{\"role\":\"mutator\",\"phase\":\"app\",\"metric\":"
	"\"instructions\",\"event\":\"sim::Ir\",\"value\":12345,\"unit\":\"insn\",\"source\":"
	"\"sim\""
	"},{\"role\":\"mutator\",\"phase\":\"app\",\"metric\":\"l1d_miss\",\"event\":\"sim::D1\","
	"\"value\":%u,\"unit\":\"misses\",\"source\":\"sim\"}],\"output\":\"\",\"warnings\":\"\"}";

static const char hostile[] =
	"{\"error\":\"\",\"results\":[{\"name\":\"" EVIL "\",\"unit\":\"" EVIL "\",\"value\":-3},"
	"{\"name\":\"ops\",\"unit\":\"ops\",\"value\":0.5},"
	"{\"name\":\"a.s\",\"unit\":\"s\",\"value\":1e15,\"better\":\"more\"},"
	"{\"name\":\"a_s\",\"unit\":\"kg\",\"value\":5e-324,\"better\":\"less\"},"
	"{\"name\":\"hit_share\",\"unit\":\"%\",\"value\":99.5},"
	"{\"name\":\"x_per_y\",\"unit\":\"x/y\",\"reason\":\"" EVIL "\"}],"
	"\"metrics\":[{\"role\":\"" EVIL "\",\"phase\":\"" EVIL
	"\",\"metric\":\"time\",\"event\":\"" EVIL
	"\",\"value\":7,\"unit\":\"ns\",\"source\":\"sw\"},"
	"{\"role\":\"" EVIL "\",\"phase\":\"" EVIL "\",\"metric\":\"" EVIL "\",\"event\":\"" EVIL
	"\",\"value\":0,\"unit\":\"u\",\"status\":\"multiplexed\",\"enabled_ns\":9,\"running_ns\":"
	"3},"
	"{\"role\":\"mutator\",\"phase\":\"app\",\"core_kind\":\"adl_p\",\"metric\":\"time\","
	"\"event\":\"clock\",\"value\":7,\"unit\":\"ns\",\"source\":\"sw\"},"
	"{\"role\":\"mutator\",\"phase\":\"app\",\"core_kind\":\"adl_p\",\"metric\":\"cycles\","
	"\"unit\":\"cycles\",\"status\":\"denied\",\"reason\":\"" EVIL "\"}],"
	"\"output\":\"\",\"warnings\":\"" EVIL "\"}";

static const char rich_environment[] =
	"{\"cpu_model\":\"" EVIL
	"\",\"kernel\":\"6.1\",\"architecture\":\"x86_64\",\"repetitions\":"
	"7,\"counters\":{\"passes\":2,\"chosen\":true,\"metrics\":[{\"metric\":\"" EVIL "\"}]}}";

struct samples {
	struct fake_sample v[48];
	char *wires[48];
	unsigned n;
};

static void add(struct samples *s, struct fake_sample one, char *wire)
{
	one.ordinal = s->n;
	one.wire = wire;
	s->wires[s->n] = wire;
	s->v[s->n++] = one;
}

/* Enough repetitions for an interval, a simulated case, programs, failures, what is not installed,
 * names of all kinds. */
static void load_rich(struct sm_report *r)
{
	struct samples s = {.n = 0};
	char err[300], *wire_text;
	struct sm_store *store;

	for (unsigned rep = 0; rep < 7; rep++)
		for (unsigned pass = 0; pass < PASSES; pass++)
			add(&s, (struct fake_sample){.rep = rep, .pass = pass}, wire(0, rep, pass));
	for (unsigned rep = 0; rep < 3; rep++) {
		ck_assert_int_gt(asprintf(&wire_text, simulated, 500 + rep, 70 + rep % 2), 0);
		add(&s,
		    (struct fake_sample){
			    .group = 1, .rep = rep, .backend = "span", .workload = "Simulated"},
		    wire_text);
		wire_text = strdup(hostile);
		add(&s,
		    (struct fake_sample){.group = 2,
					 .rep = rep,
					 .workload = "evil \"w\" |`/%20\\,@x\n=1",
					 .backend = "preload:/a b/|c.so",
					 .params = "{\"p r\":\"" EVIL "\",\"list\":[1,2.5]}",
					 .config = "{\"" EVIL "\":\"v\"}"},
		    wire_text);
		if (rep == 1)
			add(&s,
			    (struct fake_sample){.group = 3,
						 .rep = rep,
						 .workload = "3proxy",
						 .params = "{\"program\":\"sh -c 'a; b | c'\"}",
						 .backend = "libc"},
			    wire(1, 1, 1));
		else
			add(&s,
			    (struct fake_sample){.group = 3,
						 .rep = rep,
						 .workload = "3proxy",
						 .params = "{\"program\":\"sh -c 'a; b | c'\"}",
						 .backend = "libc",
						 .status = SM_OUTCOME_CRASHED,
						 .message = "signal 11\n\033[2J<b>|"},
			    NULL);
	}
	add(&s,
	    (struct fake_sample){.group = 4,
				 .backend = "mimalloc",
				 .status = SM_OUTCOME_ABSENT,
				 .message = "libmimalloc.so is not installed"},
	    NULL);
	ck_assert_int_eq(sm_store_open(NULL, &store, err, sizeof(err)), 0);
	ck_assert_int_eq(
		sm_store_load(store, fake_run(store, rich_environment, s.v, s.n, s.n + 1), r), 0);
	sm_store_close(store);
	while (s.n > 0)
		free(s.wires[--s.n]);
}

static void load_empty(struct sm_report *r)
{
	char err[300];
	struct sm_store *s;

	ck_assert_int_eq(sm_store_open(NULL, &s, err, sizeof(err)), 0);
	ck_assert_int_eq(sm_store_load(s, fake_run(s, NULL, NULL, 0, 1), r), 0);
	sm_store_close(s);
}

static void write_report(const char *dir, const char *name, void load_it(struct sm_report *r))
{
	static const char *const ends[] = {
		[SM_FORMAT_TABLE] = "txt",   [SM_FORMAT_CSV] = "csv",
		[SM_FORMAT_JSON] = "json",   [SM_FORMAT_GO] = "go",
		[SM_FORMAT_MARKDOWN] = "md", [SM_FORMAT_OPENMETRICS] = "om"};
	struct sm_report r;

	load_it(&r);
	for (unsigned f = 0; f < sizeof(ends) / sizeof(ends[0]); f++) {
		struct sm_writer w = {.format = (enum sm_format)f, .by = SM_BY_ROLE};
		char path[600];
		FILE *out;

		snprintf(path, sizeof(path), "%s/%s.%s", dir, name, ends[f]);
		out = fopen(path, "we");
		ck_assert_ptr_nonnull(out);
		ck_assert_int_eq(sm_report_write(&r, &w, out), 0);
		ck_assert_int_eq(fclose(out), 0);
	}
	sm_report_free(&r);
}

static const char *folder; /* of --write */

START_TEST(reports_in_every_format)
{
	if (folder == NULL)
		return;
	write_report(folder, "known", load);
	write_report(folder, "rich", load_rich);
	write_report(folder, "empty", load_empty);
}
END_TEST

int main(int argc, char **argv)
{
	if (argc == 3 && strcmp(argv[1], "--write") == 0)
		folder = argv[2];
	return SM_SUITE("formats", 0, SM_T(cases_have_names_of_their_own),
			SM_T(csv_and_json_have_the_same_metrics),
			SM_T(the_summary_of_json_is_that_of_the_csv),
			SM_T(the_table_is_that_of_the_csv), SM_T(reports_in_every_format));
}
