/* The writers: known runs in, checked text out; hostile names made harmless; files replaced whole
 * or not at all. */
#include "harness/report/summary.h"
#include "harness/report/table.h"
#include "harness/report/writer.h"
#include "tests/support/fake_run.h"

#include <check.h>
#include <cjson/cJSON.h>
#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/run.h"
#include "harness/base/text.h"

static char err[300];

#define TAIL "\"output\":\"\",\"warnings\":\"\"}"

/* Two mutators and their sum; cycles and instructions; one thread's misses denied. */
static const char counted[] =
	"{\"error\":\"\",\"results\":[{\"name\":\"ops\",\"unit\":\"ops\",\"value\":1000},"
	"{\"name\":\"wall_s\",\"unit\":\"s\",\"value\":2},"
	"{\"name\":\"gc_cycles\",\"unit\":\"cycles\",\"reason\":\"no collector\"},"
	"{\"name\":\"check\",\"value\":33274816}],\"metrics\":[{\"role\":\"mutator\",\"phase\":"
	"\"app\","
	"\"metric\":\"time\",\"event\":\"clock\",\"value\":5000,\"unit\":\"ns\",\"source\":\"sw\"},"
	"{\"role\":\"mutator\",\"phase\":\"app\",\"metric\":\"cycles\",\"event\":\"t::CYC:e=0:u="
	"1\","
	"\"value\":8000,\"unit\":\"cycles\"},"
	"{\"role\":\"mutator\",\"phase\":\"app\",\"metric\":\"instructions\",\"event\":\"t::INS\","
	"\"value\":"
	"12000,\"unit\":\"insn\"},"
	"{\"role\":\"mutator\",\"phase\":\"app\",\"metric\":\"ipc\",\"event\":\"t::INS "
	"t::CYC\",\"value\":1.5},"
	"{\"role\":\"mutator\",\"phase\":\"app\",\"metric\":\"l1d_miss\",\"event\":\"t::L1\","
	"\"unit\":"
	"\"misses\",\"status\":\"denied\",\"reason\":\"paranoid is 2\"},"
	"{\"by\":\"thread\",\"role\":\"mutator\",\"phase\":\"app\",\"thread\":0,\"cpu\":0,\"node\":"
	"0,"
	"\"metric\":\"time\",\"event\":\"clock\",\"value\":2000,\"unit\":\"ns\",\"source\":\"sw\"},"
	"{\"by\":\"thread\",\"role\":\"mutator\",\"phase\":\"app\",\"thread\":0,\"cpu\":0,\"node\":"
	"0,"
	"\"metric\":\"cycles\",\"event\":\"t::CYC\",\"value\":3000,\"unit\":\"cycles\"},"
	"{\"by\":\"thread\",\"role\":\"mutator\",\"phase\":\"app\",\"thread\":0,\"cpu\":0,\"node\":"
	"0,"
	"\"metric\":\"instructions\",\"event\":\"t::INS\",\"value\":9000,\"unit\":\"insn\"},"
	"{\"by\":\"thread\",\"role\":\"mutator\",\"phase\":\"app\",\"thread\":1,\"cpu\":4,\"node\":"
	"1,"
	"\"metric\":\"time\",\"event\":\"clock\",\"value\":3000,\"unit\":\"ns\",\"source\":\"sw\"},"
	"{\"by\":\"thread\",\"role\":\"mutator\",\"phase\":\"app\",\"thread\":1,\"cpu\":4,\"node\":"
	"1,"
	"\"metric\":\"cycles\",\"event\":\"t::CYC\",\"value\":5000,\"unit\":\"cycles\",\"status\":"
	"\"multiplexed\",\"enabled_ns\":100,\"running_ns\":50},"
	"{\"by\":\"thread\",\"role\":\"mutator\",\"phase\":\"app\",\"thread\":1,\"cpu\":4,\"node\":"
	"1,"
	"\"metric\":\"instructions\",\"event\":\"t::INS\",\"value\":3000,\"unit\":\"insn\"}],"
	"\"output\":\"[1 "
	"4 9]\\n\",\"warnings\":\"memory is not bound\\n\"}";

static struct sm_report load(const struct fake_sample *samples, unsigned n, unsigned planned)
{
	struct sm_store *s;
	struct sm_report r;
	int64_t run;

	ck_assert_int_eq(sm_store_open(NULL, &s, err, sizeof(err)), 0);
	run = fake_run(s, NULL, samples, n, planned);
	ck_assert_int_eq(sm_store_load(s, run, &r), 0);
	sm_store_close(s);
	return r;
}

static char *print(const struct sm_report *r, enum sm_format format, enum sm_by by, bool color)
{
	struct sm_writer w = {
		.format = format, .by = by, .color = color, .wide = true, .waits = true};
	char *text = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&text, &len);

	ck_assert_int_eq(sm_report_write(r, &w, f), 0);
	fclose(f);
	return text;
}

static void has(const char *text, const char *fragment)
{
	ck_assert_msg(strstr(text, fragment) != NULL, "no '%s' in:\n%s", fragment, text);
}

static void fits(const char *text)
{
	for (const char *p = text; *p;) {
		size_t len = strcspn(p, "\n"), shown = 0;

		for (size_t i = 0; i < len; i++)
			shown += ((unsigned char)p[i] & 0xc0) != 0x80;
		ck_assert_msg(shown <= SM_TABLE_WIDTH, "%zu columns: %.*s", shown, (int)len, p);
		p += len + (p[len] != 0);
	}
}

/* ---- table -------------------------------------------------------------------------------- */

START_TEST(table_by_role)
{
	struct fake_sample one = {.wire = counted};
	struct sm_report r = load(&one, 1, 2);
	char *text = print(&r, SM_FORMAT_TABLE, SM_BY_ROLE, false);

	fits(text);
	has(text, "mutator  app         5.00 ns    8.00    12.0  1.50   n/a 2");
	has(text, "n/a 1    no collector");
	has(text, "n/a 2    paranoid is 2");
	has(text, "check 33274816");
	/* the default attribute is left out */
	has(text, "cycles   t::CYC:u=1, per operation [pmu]");
	has(text, "[1 4 9]");
	has(text, "memory is not bound");
	has(text, "1 of 2 planned samples");
	has(text, "too few for an interval");
	ck_assert_ptr_null(strchr(text, '\033'));
	free(text);
	text = print(&r, SM_FORMAT_TABLE, SM_BY_ROLE, true);
	has(text, "\033[1m");
	free(text);
	sm_report_free(&r);
}
END_TEST

/* The sums by place of the sample above, as the worker sends them and cmd_run.c places them. */
static const char by_place[] =
	"{\"error\":\"\",\"results\":[{\"name\":\"ops\",\"unit\":\"ops\",\"value\":1000}],"
	"\"metrics\":[{"
	"\"role\":\"mutator\",\"phase\":\"app\",\"metric\":\"time\",\"event\":\"clock\",\"value\":"
	"999,"
	"\"unit\":\"ns\",\"source\":\"sw\"},"
	"{\"by\":\"thread\",\"role\":\"mutator\",\"phase\":\"app\",\"thread\":1,\"cpu\":4,\"node\":"
	"1,"
	"\"metric\":\"time\",\"event\":\"clock\",\"value\":999,\"unit\":\"ns\",\"source\":\"sw\"},"
	"{\"by\":\"node\",\"phase\":\"app\",\"node\":0,\"metric\":\"time\",\"event\":\"clock\","
	"\"value\":"
	"2000,\"unit\":\"ns\",\"source\":\"sw\"},"
	"{\"by\":\"node\",\"phase\":\"app\",\"node\":0,\"metric\":\"cycles\",\"event\":\"t::CYC\","
	"\"value\":"
	"3000,\"unit\":\"cycles\"},"
	"{\"by\":\"node\",\"phase\":\"app\",\"node\":0,\"metric\":\"instructions\",\"event\":\"t::"
	"INS\","
	"\"value\":9000,\"unit\":\"insn\"},"
	"{\"by\":\"node\",\"phase\":\"app\",\"node\":1,\"metric\":\"time\",\"event\":\"clock\","
	"\"value\":"
	"3000,\"unit\":\"ns\",\"source\":\"sw\"},"
	"{\"by\":\"node\",\"phase\":\"app\",\"node\":1,\"metric\":\"cycles\",\"event\":\"t::CYC\","
	"\"value\":"
	"5000,\"unit\":\"cycles\",\"status\":\"multiplexed\",\"enabled_ns\":100,\"running_ns\":50},"
	"{\"by\":\"node\",\"phase\":\"app\",\"node\":1,\"metric\":\"instructions\",\"event\":\"t::"
	"INS\","
	"\"value\":3000,\"unit\":\"insn\"},"
	"{\"by\":\"kind\",\"phase\":\"app\",\"metric\":\"time\",\"event\":\"clock\",\"value\":5000,"
	"\"unit\":"
	"\"ns\",\"source\":\"sw\"},"
	"{\"by\":\"kind\",\"phase\":\"app\",\"metric\":\"cycles\",\"event\":\"t::CYC\",\"value\":"
	"8000,"
	"\"unit\":\"cycles\",\"status\":\"multiplexed\",\"enabled_ns\":100,\"running_ns\":50},"
	"{\"by\":\"kind\",\"phase\":\"app\",\"metric\":\"instructions\",\"event\":\"t::INS\","
	"\"value\":12000,"
	"\"unit\":\"insn\"}]," TAIL;

START_TEST(table_by_thread_and_node)
{
	struct fake_sample one = {.wire = by_place};
	struct sm_report r = load(&one, 1, 1);
	char *text = print(&r, SM_FORMAT_TABLE, SM_BY_NODE, false);

	fits(text);
	has(text, "node 0   app         2.00 ns    3.00    9.00  3.00");
	/* half of it was multiplexed: marked, and explained */
	has(text, "node 1   app         3.00 ns   5.00~    3.00 0.600~");
	has(text, "~        scaled");
	free(text);
	text = print(&r, SM_FORMAT_TABLE, SM_BY_THREAD, false);
	has(text, "mut 1    app");
	free(text);
	text = print(&r, SM_FORMAT_TABLE, SM_BY_KIND, false);
	/* both nodes: a ratio of sums, not a mean of ratios */
	has(text, "all cores app         5.00 ns   8.00~    12.0 1.50~");
	free(text);
	/* sums by place are no roles and no threads */
	text = print(&r, SM_FORMAT_TABLE, SM_BY_ROLE, false);
	has(text, "mutator  app        0.999 ns");
	ck_assert_ptr_null(strstr(text, "by-"));
	free(text);
	sm_report_free(&r);
}
END_TEST

static void fits_in(const char *text, size_t width)
{
	for (const char *p = text; *p;) {
		size_t len = strcspn(p, "\n");

		ck_assert_msg(len <= width, "%zu columns: %.*s", len, (int)len, p);
		p += len + (p[len] != 0);
	}
}

/* On a terminal of 80 columns the names of cases stand above their rows. */
START_TEST(table_of_80_columns)
{
	struct fake_sample some[] = {{.wire = counted},
				     {.ordinal = 1, .group = 1, .wire = by_place}};
	struct sm_report r = load(some, 2, 3);

	for (enum sm_by by = SM_BY_ROLE; by <= SM_BY_KIND; by++) {
		struct sm_writer w = {
			.format = SM_FORMAT_TABLE, .by = by, .width = 80, .wide = true};
		char *text = NULL;
		size_t len = 0;
		FILE *f = open_memstream(&text, &len);

		ck_assert_int_eq(sm_report_write(&r, &w, f), 0);
		fclose(f);
		fits_in(text, 80);
		has(text, "\ngraph gc\n");
		if (by == SM_BY_ROLE)
			has(text, "  mutator  app         5.00 ns    8.00    12.0  1.50   n/a 2");
		free(text);
	}
	sm_report_free(&r);
}
END_TEST

/* What IPC is, the run's sets say: a user's set of that name may say something else. */
START_TEST(a_column_has_its_set_s_formula)
{
	struct fake_sample one = {.wire = by_place};
	struct sm_store *s;
	struct sm_report r;
	char *text;

	ck_assert_int_eq(sm_store_open(NULL, &s, err, sizeof(err)), 0);
	ck_assert_int_eq(sm_store_load(s,
				       fake_run(s,
						"{\"counters\":{\"metrics\":[{\"metric\":\"ipc\","
						"\"formula\":\"10 * instructions / cycles\"}]}}",
						&one, 1, 1),
				       &r),
			 0);
	sm_store_close(s);
	text = print(&r, SM_FORMAT_TABLE, SM_BY_NODE, false);
	has(text, "node 0   app         2.00 ns    3.00    9.00  30.0");
	has(text, "IPC      10 * instructions / cycles: ");
	free(text);
	sm_report_free(&r);
}
END_TEST

/* Blocks of columns are made by their widths: a title that is longer would not fit. */
START_TEST(a_column_is_as_wide_as_its_title)
{
	static const struct sm_column columns[] = {
		{.title = "task_clock", .unit = "ns", .per_op = true},
		{.title = "time", .unit = "ns", .per_op = true},
		{.title = "ctx_switches", .per_op = true},
		{.title = "faults", .per_op = true, .doubted = true},
		{.title = "IPC"},
	};

	for (size_t i = 0; i < sizeof(columns) / sizeof(columns[0]); i++)
		ck_assert_int_ge(sm__table_cell_width(&columns[i]), (int)strlen(columns[i].title));
}
END_TEST

/* Cases of one workload and backend are told apart by what differs between them, everywhere that
 * they have lines. */
START_TEST(cases_are_told_apart)
{
	static const char wire[] =
		"{\"error\":\"\",\"results\":[{\"name\":\"ops\",\"unit\":\"ops\",\"value\":10},"
		"{\"name\":\"wall_s\",\"unit\":\"s\",\"value\":1},"
		"{\"name\":\"check\",\"value\":7},"
		"{\"name\":\"stalls\",\"unit\":\"stalls\",\"value\":3},"
		"{\"name\":\"stall_max_us\",\"unit\":\"us\",\"value\":2}],\"metrics\":[{\"role\":"
		"\"mutator\","
		"\"phase\":\"app\",\"metric\":\"time\",\"event\":\"c\",\"value\":100,\"unit\":"
		"\"ns\","
		"\"source\":\"sw\"}]," TAIL;
	static const char *const places[] = {
		"{\"place\":\"compact\",\"workers\":1,\"placed\":\"1 mutator, 1 "
		"mark worker: on a core of its own\"}",
		"{\"place\":\"compact\",\"workers\":2,\"placed\":\"1 mutator, 2 "
		"mark workers: on mutators' CPUs\"}"};
	struct fake_sample three[] = {
		{.ordinal = 0, .group = 0, .wire = wire, .placement = places[0]},
		{.ordinal = 1, .group = 1, .wire = wire, .placement = places[1]},
		{.ordinal = 2,
		 .group = 2,
		 .wire = wire,
		 .workload = "churn",
		 .placement = places[0]},
	};
	struct sm_report r = load(three, 3, 3);
	char *text = print(&r, SM_FORMAT_TABLE, SM_BY_ROLE, false);
	unsigned lines = 0;

	fits(text);
	for (const char *p = text; (p = strstr(p, "\n  workers=")) != NULL; p++) {
		lines++;
		ck_assert_msg(p[11] == (lines % 2 ? '1' : '2') && p[12] == '\n', "%.40s", p);
	}
	ck_assert_uint_eq(lines, 2 * 4); /* results, further results, counts, waits */
	ck_assert_ptr_null(strstr(text, "objects=1000"));
	has(text, "placed   1 mutator, 1 mark worker: on a core of its own\n");
	has(text, "placed   1 mutator, 2 mark workers: on mutators' CPUs\n");
	free(text);
	sm_report_free(&r);
}
END_TEST

/* A calibration that found an event off marks its column and every formula over it; one that reads
 * 0 takes the value away. */
START_TEST(calibration_is_used)
{
	struct fake_sample one = {.wire = counted};
	struct sm_calibration_row off = {.event = "instructions",
					 .kernel = "loop",
					 .label = "t::INS",
					 .verdict = "off",
					 .reason = "",
					 .has_value = true,
					 .expected = 2000,
					 .counted = 3000,
					 .error = 0.5};
	struct sm_calibration_row zero = {.event = "cycles",
					  .kernel = "chain",
					  .label = "t::CYC:e=0:u=1",
					  .verdict = "reads 0",
					  .reason = "",
					  .has_value = true};
	struct sm_calibration_row other = {.event = "llc_miss",
					   .kernel = "chase",
					   .label = "t::LL",
					   .verdict = "off",
					   .reason = ""};
	struct sm_store *s;
	struct sm_report r;
	int64_t run;
	char *text;

	ck_assert_int_eq(sm_store_open(NULL, &s, err, sizeof(err)), 0);
	run = fake_run(s, NULL, &one, 1, 1);
	ck_assert_int_eq(sm_store_add_calibration(s, run, &off), 0);
	ck_assert_int_eq(sm_store_add_calibration(s, run, &zero), 0);
	ck_assert_int_eq(sm_store_add_calibration(s, run, &other), 0);
	ck_assert_int_eq(sm_store_load(s, run, &r), 0);
	sm_store_close(s);
	text = print(&r, SM_FORMAT_TABLE, SM_BY_ROLE, false);
	fits(text);
	has(text, "12.0?   1.50?");
	has(text, "?        calibration found an event behind it off");
	has(text, "instructions under 'loop' counted 3000 where 2000 were expected");
	has(text, "cycles never counts here");
	ck_assert_ptr_null(strstr(text, "llc_miss")); /* not in this table */
	free(text);
	text = print(&r, SM_FORMAT_JSON, SM_BY_ROLE, false);
	has(text,
	    "\"metric\":\"instructions\",\"event\":\"t::INS\",\"value\":12000,\"unit\":\"insn\","
	    "\"status\":\"ok\",\"calibration\":\"off\"");
	has(text, "\"metric\":\"cycles\",\"event\":\"t::CYC:e=0:u=1\",\"value\":null");
	/* the calibrations themselves are all there */
	has(text, "\"event\":\"t::LL\",\"expected\":0");
	free(text);
	text = print(&r, SM_FORMAT_CSV, SM_BY_ROLE, false);
	has(text, ",instructions,t::INS,12000,insn,0,0,ok,pmu,off,");
	has(text, ",cycles,t::CYC:e=0:u=1,,cycles,0,0,not_counted,pmu,,");
	free(text);
	sm_report_free(&r);
}
END_TEST

/* Cycles come from one pass and instructions from another: no ratio, but both columns. */
START_TEST(passes_join)
{
	static const char a[] =
		"{\"error\":\"\",\"results\":[{\"name\":\"ops\",\"unit\":\"ops\",\"value\":"
		"10}],\"metrics\":[{\"role\":\"mutator\",\"phase\":\"app\",\"metric\":"
		"\"time\",\"event\":\"c\",\"value\":100,\"unit\":\"ns\",\"source\":\"sw\"},"
		"{\"role\":\"mutator\",\"phase\":\"app\",\"metric\":\"cycles\",\"event\":"
		"\"C\",\"value\":50,\"unit\":\"cycles\"}]," TAIL;
	static const char b[] =
		"{\"error\":\"\",\"results\":[{\"name\":\"ops\",\"unit\":\"ops\",\"value\":"
		"20}],\"metrics\":[{\"role\":\"mutator\",\"phase\":\"app\",\"metric\":"
		"\"time\",\"event\":\"c\",\"value\":300,\"unit\":\"ns\",\"source\":\"sw\"},"
		"{\"role\":\"mutator\",\"phase\":\"app\",\"metric\":\"instructions\","
		"\"event\":\"I\",\"value\":60,\"unit\":\"insn\"}]," TAIL;
	struct fake_sample two[] = {{.ordinal = 0, .pass = 0, .wire = a},
				    {.ordinal = 1, .pass = 1, .wire = b}};
	struct sm_report r = load(two, 2, 2);
	char *text = print(&r, SM_FORMAT_TABLE, SM_BY_ROLE, false);

	/* time: median of 10 and 15; cycles 5; instructions 3; no IPC of two different runs */
	has(text, "12.5 ns    5.00    3.00 n/a 1");
	free(text);
	sm_report_free(&r);
}
END_TEST

/* Two kinds of cores are two rows, never one sum; a package is a row of its own. */
START_TEST(kinds_and_packages)
{
	static const char wire[] =
		"{\"error\":\"\",\"results\":[{\"name\":\"ops\",\"unit\":\"ops\",\"value\":10}],"
		"\"metrics\":["
		"{\"role\":\"mutator\",\"phase\":\"app\",\"metric\":\"time\",\"event\":\"c\","
		"\"value\":100,"
		"\"unit\":\"ns\",\"source\":\"sw\",\"core_kind\":\"adl_p\"},"
		"{\"role\":\"mutator\",\"phase\":\"app\",\"metric\":\"cycles\",\"event\":\"C\","
		"\"value\":50,"
		"\"unit\":\"cycles\",\"core_kind\":\"adl_p\"},"
		"{\"role\":\"mutator\",\"phase\":\"app\",\"metric\":\"time\",\"event\":\"c\","
		"\"value\":300,"
		"\"unit\":\"ns\",\"source\":\"sw\",\"core_kind\":\"adl_e\"},"
		"{\"role\":\"mutator\",\"phase\":\"app\",\"metric\":\"cycles\",\"event\":\"C\","
		"\"value\":90,"
		"\"unit\":\"cycles\",\"core_kind\":\"adl_e\"},"
		"{\"by\":\"package\",\"role\":\"package\",\"phase\":\"total\",\"thread\":1,"
		"\"metric\":"
		"\"cycles\",\"event\":\"imc\",\"value\":7000,\"unit\":\"cycles\"}]," TAIL;
	struct fake_sample one = {.wire = wire};
	struct sm_report r = load(&one, 1, 1);
	char *text = print(&r, SM_FORMAT_TABLE, SM_BY_ROLE, false);

	fits(text);
	has(text, "mutator adl_e app         30.0 ns    9.00");
	has(text, "mutator adl_p app         10.0 ns    5.00");
	has(text, "package 1     total");
	has(text, "700");
	free(text);
	text = print(&r, SM_FORMAT_CSV, SM_BY_ROLE, false);
	has(text, ",adl_e,gc,cycles,C,90,");
	free(text);
	sm_report_free(&r);
}
END_TEST

START_TEST(failures_are_named)
{
	struct fake_sample some[] = {
		{.ordinal = 0,
		 .status = SM_OUTCOME_TIMEOUT,
		 .message = "ran past its limit of 5 s and was killed"},
		{.ordinal = 1, .group = 1, .workload = "ring", .wire = counted},
		{.ordinal = 2,
		 .group = 1,
		 .rep = 1,
		 .workload = "ring",
		 .status = SM_OUTCOME_CRASHED,
		 .message = "signal 11"},
	};
	struct sm_report r = load(some, 3, 3);
	char *text = print(&r, SM_FORMAT_TABLE, SM_BY_ROLE, false);

	fits(text);
	has(text, "graph        gc   no sample");
	has(text, "FAILED   graph (gc) repetition 1: timeout: ran past its limit");
	has(text, "FAILED   ring (gc) repetition 2: crashed: signal 11");
	free(text);
	sm_report_free(&r);
}
END_TEST

START_TEST(intervals)
{
	struct fake_sample some[8];
	char wires[8][400];
	struct sm_report r;
	char *text;

	for (unsigned i = 0; i < 8; i++) {
		/* 1, 1.1, .. and one far out */
		snprintf(wires[i], sizeof(wires[i]),
			 "{\"error\":\"\",\"results\":[{\"name\":\"wall_s\",\"unit\":\"s\","
			 "\"value\":%g}],"
			 "\"metrics\":[]," TAIL,
			 i == 7 ? 90.0 : 1 + i * 0.1);
		some[i] = (struct fake_sample){.ordinal = i, .rep = i, .wire = wires[i]};
	}
	r = load(some, 8, 8);
	text = print(&r, SM_FORMAT_TABLE, SM_BY_ROLE, false);
	fits(text);
	has(text, "1.35 s");
	has(text, "1.00 s..90.0 s!");
	has(text, "far from the others; they are kept");
	ck_assert_ptr_null(strstr(text, "too few"));
	free(text);
	text = print(&r, SM_FORMAT_JSON, SM_BY_ROLE, false);
	has(text, "\"outliers\":1");
	free(text);
	sm_report_free(&r);
}
END_TEST

/* Three repetitions of two passes are three values, not six: no interval. Each is its passes' mean.
 */
START_TEST(passes_are_no_repetitions)
{
	struct fake_sample some[6];
	char wires[6][512];
	struct sm_report r;
	struct sm_stats s;
	const char *reason;
	char *text;

	for (unsigned i = 0; i < 6; i++) {
		snprintf(wires[i], sizeof(wires[i]),
			 "{\"error\":\"\",\"results\":[{\"name\":\"wall_s\",\"unit\":\"s\","
			 "\"value\":%u},{"
			 "\"name\":\"ops\",\"unit\":\"ops\",\"value\":1}],"
			 "\"metrics\":[{\"role\":\"mutator\",\"phase\":\"app\",\"metric\":\"time\","
			 "\"event\":"
			 "\"clock\",\"value\":%u,\"unit\":\"ns\",\"source\":\"sw\"}]," TAIL,
			 1 + i * i, 1 + i * i);
		some[i] = (struct fake_sample){
			.ordinal = i, .rep = i / 2, .pass = i % 2, .wire = wires[i]};
	}
	r = load(some, 6, 6);
	ck_assert(sm_summary_result(&r, 0, "wall_s", &s, NULL, &reason));
	ck_assert_uint_eq(s.n, 3);
	ck_assert_double_eq(s.min, 1.5);
	ck_assert_double_eq(s.median, 7.5);
	ck_assert_double_eq(s.max, 21.5);
	text = print(&r, SM_FORMAT_TABLE, SM_BY_ROLE, false);
	has(text, "7.50 ns");
	has(text, "too few");
	free(text);
	sm_report_free(&r);
}
END_TEST

static size_t put_metric(char *at, size_t len, const char *phase, const char *metric, int value)
{
	if (value < 0)
		return (size_t)snprintf(at, len,
					",{\"role\":\"mutator\",\"phase\":\"%s\",\"metric\":\"%s\","
					"\"event\":\"e\",\"status\":\"not_counted\",\"reason\":"
					"\"light\"}",
					phase, metric);
	return (size_t)snprintf(
		at, len,
		",{\"role\":\"mutator\",\"phase\":\"%s\",\"metric\":\"%s\",\"event\":"
		"\"e\",\"value\":%d,\"unit\":\"ns\",\"source\":\"sw\"}",
		phase, metric, value);
}

/* Parts and total are medians over the same repetitions: where a phase did not occur its time is 0.
 * What was not counted where it did occur does not become 0 for that. */
START_TEST(a_phase_that_did_not_occur_takes_no_time)
{
	static const int refill[] = {0, 30, 50};
	struct fake_sample three[3];
	char wires[3][2048];
	struct sm_report r;
	char *text;

	for (unsigned i = 0; i < 3; i++) {
		char *w = wires[i];
		size_t n = (size_t)snprintf(
			w, sizeof(wires[i]),
			"{\"error\":\"\",\"results\":[{\"name\":\"ops\",\"unit\":\"ops\","
			"\"value\":1}],\"metrics\":[{\"role\":\"mutator\",\"phase\":\"app\","
			"\"metric\":\"time\",\"event\":\"clock\",\"value\":100,\"unit\":\"ns\","
			"\"source\":\"sw\"}");
		n += put_metric(w + n, sizeof(wires[i]) - n, "app", "cycles", 7);
		if (refill[i]) {
			n += put_metric(w + n, sizeof(wires[i]) - n, "refill", "time", refill[i]);
			n += put_metric(w + n, sizeof(wires[i]) - n, "refill", "cycles", -1);
		}
		n += put_metric(w + n, sizeof(wires[i]) - n, "total", "time", 100 + refill[i]);
		n += put_metric(w + n, sizeof(wires[i]) - n, "total", "cycles", 9);
		snprintf(w + n, sizeof(wires[i]) - n, "]," TAIL);
		three[i] = (struct fake_sample){.ordinal = i, .rep = i, .wire = w};
	}
	r = load(three, 3, 3);
	text = print(&r, SM_FORMAT_TABLE, SM_BY_ROLE, false);
	fits(text);
	has(text, "mutator  app          100 ns    7.00");
	has(text, "mutator  refill 2/3  30.0 ns   n/a 1");
	has(text, "mutator  total        130 ns    9.00");
	has(text, "2/3      the phase occurred in 2 of 3 repetitions");
	has(text, "n/a 1    light");
	free(text);
	sm_report_free(&r);
}
END_TEST

/* A worker that did nothing in a repetition has no row there at all, or an idle one alone, which
 * the table does not show: its time is 0 in it, as that of a phase is. */
START_TEST(a_role_that_did_nothing_takes_no_time)
{
	static const char *const swept[] = {
		"",
		",{\"role\":\"control\",\"phase\":\"idle\",\"metric\":\"time\",\"event\":\"e\","
		"\"value\":90,\"unit\":\"ns\",\"source\":\"sw\"}",
		",{\"role\":\"control\",\"phase\":\"sweep\",\"metric\":\"time\",\"event\":\"e\","
		"\"value\":60,\"unit\":\"ns\",\"source\":\"sw\"}"};
	struct fake_sample three[3];
	char wires[3][1024];
	struct sm_report r;
	char *text;

	for (unsigned i = 0; i < 3; i++) {
		snprintf(wires[i], sizeof(wires[i]),
			 "{\"error\":\"\",\"results\":[{\"name\":\"ops\",\"unit\":\"ops\","
			 "\"value\":1}],\"metrics\":[{\"role\":\"mutator\",\"phase\":\"app\","
			 "\"metric\":\"time\",\"event\":\"clock\",\"value\":100,\"unit\":\"ns\","
			 "\"source\":\"sw\"}%s]," TAIL,
			 swept[i]);
		three[i] = (struct fake_sample){.ordinal = i, .rep = i, .wire = wires[i]};
	}
	r = load(three, 3, 3);
	text = print(&r, SM_FORMAT_TABLE, SM_BY_ROLE, false);
	has(text, "control  sweep 1/3      0 ns");
	free(text);
	sm_report_free(&r);
}
END_TEST

/* Cases that differ in nothing but their mark workers, of a workload that takes threads as a
 * parameter. */
START_TEST(csv_names_tell_cases_apart)
{
	struct fake_sample some[] = {{.wire = counted,
				      .params = "{\"threads\":2}",
				      .placement = "{\"threads\":2,\"workers\":1}"},
				     {.ordinal = 1,
				      .group = 1,
				      .wire = counted,
				      .params = "{\"threads\":2}",
				      .placement = "{\"threads\":2,\"workers\":4}"}};
	struct sm_report r = load(some, 2, 2);
	char *text = print(&r, SM_FORMAT_CSV, SM_BY_ROLE, false);

	has(text, "/threads=2/workers=1,");
	has(text, "/threads=2/workers=4,");
	has(text, ",0,paranoid is 2,,,\n");
	free(text);
	sm_report_free(&r);
}
END_TEST

START_TEST(empty_run)
{
	struct sm_report r = load(NULL, 0, 5);
	static const enum sm_format formats[] = {SM_FORMAT_TABLE, SM_FORMAT_CSV, SM_FORMAT_JSON};

	for (int i = 0; i < 3; i++) {
		char *text = print(&r, formats[i], SM_BY_ROLE, false);

		fits(i == 0 ? text : "");
		ck_assert_uint_gt(strlen(text), 0);
		free(text);
	}
	sm_report_free(&r);
}
END_TEST

/* ---- csv ---------------------------------------------------------------------------------- */

/* Splits one record of RFC 4180 text; returns the number of fields and moves *p behind it. */
static int csv_record(const char **p, char fields[32][512])
{
	int n = 0;

	for (;;) {
		size_t len = 0;
		bool quoted = **p == '"';

		*p += quoted;
		while (**p && (quoted || (**p != ',' && **p != '\n'))) {
			if (quoted && **p == '"') {
				if ((*p)[1] != '"')
					break;
				++*p;
			}
			ck_assert_uint_lt(len, 511);
			fields[n][len++] = *(*p)++;
		}
		fields[n++][len] = 0;
		*p += quoted;
		if (**p == ',') {
			++*p;
			continue;
		}
		ck_assert_int_eq(**p, '\n');
		++*p;
		return n;
	}
}

START_TEST(csv_is_tidy)
{
	static const char header[] =
		"run,rep,phase,role,thread,cpu,node,core_kind,backend,metric,event,value,unit,"
		"enabled_ns,running_ns,status,source,calibration,core,l3,pass,reason,"
		"library,version,build_id\n";
	static char fields[32][512];
	struct fake_sample some[] = {
		{.wire = counted},
		{.ordinal = 1, .rep = 1, .status = SM_OUTCOME_CRASHED, .message = "signal 11"}};
	struct sm_report r = load(some, 2, 2);
	char *text = print(&r, SM_FORMAT_CSV, SM_BY_ROLE, false);
	const char *p = text;
	unsigned rows = 0, cycles = 0, failed = 0, empty = 0;

	ck_assert_int_eq(strncmp(text, header, sizeof(header) - 1), 0);
	while (*p) {
		ck_assert_int_eq(csv_record(&p, fields), 25);
		rows++;
		cycles += !strcmp(fields[9], "cycles") && !strcmp(fields[4], "1") &&
			  !strcmp(fields[11], "5000") && !strcmp(fields[5], "4") &&
			  !strcmp(fields[15], "multiplexed");
		failed += !strcmp(fields[9], "sample") && !strcmp(fields[15], "crashed");
		empty += !strcmp(fields[9], "l1d_miss") && !fields[11][0] &&
			 !strcmp(fields[15], "denied");
	}
	ck_assert_uint_eq(rows, 1 + 4 + 11 + 1);
	ck_assert_uint_eq(cycles, 1);
	ck_assert_uint_eq(failed, 1);
	ck_assert_uint_eq(empty, 1);
	free(text);
	sm_report_free(&r);
}
END_TEST

START_TEST(csv_is_safe)
{
	static char fields[32][512];
	static const char wire[] = "{\"error\":\"\",\"results\":[{\"name\":\"=cmd|' /C "
				   "calc'!A0\",\"unit\":\"+1\",\"value\":1},"
				   "{\"name\":\"a,b\\\"c\\nd\",\"unit\":\"@x\",\"value\":2}],"
				   "\"metrics\":[{\"by\":\"thread\",\"role\":\"-role\",\"phase\":"
				   "\"\\tphase\",\"thread\":0,"
				   "\"cpu\":0,"
				   "\"node\":0,\"metric\":\"=m\",\"event\":\"e,1\",\"value\":-3,"
				   "\"unit\":\"u\"}]," TAIL;
	struct fake_sample one = {
		.wire = wire, .workload = "=HYPERLINK(\"x\")", .params = "{\"=k\":\"v\"}"};
	struct sm_report r = load(&one, 1, 1);
	char *text = print(&r, SM_FORMAT_CSV, SM_BY_ROLE, false);
	const char *p = text;

	csv_record(&p, fields);
	while (*p) {
		ck_assert_int_eq(csv_record(&p, fields), 25);
		for (int i = 0; i < 25; i++) {
			if (i != 11) /* values may be negative */
				ck_assert_msg(!strchr("=+-@\t\r", fields[i][0]) || !fields[i][0],
					      "%s", fields[i]);
		}
	}
	ck_assert_str_eq(fields[11], "-3");
	ck_assert_str_eq(fields[9], "'=m");
	ck_assert_str_eq(fields[10], "e,1");
	free(text);
	sm_report_free(&r);
}
END_TEST

/* ---- json --------------------------------------------------------------------------------- */

START_TEST(json_has_the_schema)
{
	struct fake_sample some[] = {
		{.wire = counted, .config = "{\"gc.mode\":\"stw\"}"},
		{.ordinal = 1, .rep = 1, .status = SM_OUTCOME_CRASHED, .message = "signal 11"}};
	struct sm_report r = load(some, 2, 2);
	char *text = print(&r, SM_FORMAT_JSON, SM_BY_ROLE, false);
	cJSON *root = cJSON_Parse(text), *samples, *one, *results, *metric;
	static const char *const keys[] = {"role",  "phase", "thread", "cpu",	 "node",  "metric",
					   "event", "value", "unit",   "status", "source"};

	ck_assert_ptr_nonnull(root);
	ck_assert_int_eq(cJSON_GetObjectItem(root, "schema_version")->valueint, 1);
	ck_assert(cJSON_IsObject(cJSON_GetObjectItem(root, "environment")));
	samples = cJSON_GetObjectItem(root, "samples");
	ck_assert_int_eq(cJSON_GetArraySize(samples), 2);
	one = cJSON_GetArrayItem(samples, 0);
	ck_assert_str_eq(cJSON_GetObjectItem(one, "status")->valuestring, "ok");
	ck_assert_str_eq(
		cJSON_GetObjectItem(cJSON_GetObjectItem(one, "config"), "gc.mode")->valuestring,
		"stw");
	ck_assert_int_eq(
		cJSON_GetObjectItem(cJSON_GetObjectItem(one, "params"), "objects")->valueint, 1000);
	results = cJSON_GetObjectItem(one, "results");
	ck_assert_double_eq(cJSON_GetObjectItem(results, "check")->valuedouble, 33274816);
	has(text, "\"check\":33274816");
	ck_assert(cJSON_IsNull(cJSON_GetObjectItem(results, "gc_cycles")));
	ck_assert_str_eq(
		cJSON_GetObjectItem(cJSON_GetObjectItem(one, "missing"), "gc_cycles")->valuestring,
		"no collector");
	metric = cJSON_GetArrayItem(cJSON_GetObjectItem(one, "metrics"), 4);
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		ck_assert_msg(cJSON_HasObjectItem(metric, keys[i]), "%s", keys[i]);
	ck_assert(cJSON_IsNull(cJSON_GetObjectItem(metric, "value")));
	ck_assert_str_eq(cJSON_GetObjectItem(metric, "status")->valuestring, "denied");
	one = cJSON_GetArrayItem(samples, 1);
	ck_assert_str_eq(cJSON_GetObjectItem(one, "status")->valuestring, "crashed");
	ck_assert_str_eq(cJSON_GetObjectItem(one, "message")->valuestring, "signal 11");
	cJSON_Delete(root);
	free(text);
	sm_report_free(&r);
}
END_TEST

/* ---- hostile ------------------------------------------------------------------------------ */

START_TEST(hostile_names)
{
	static const char evil[] =
		"\\u001b[2J\\u0007x\\r\\u009b31m../../<script>alert(1)</script>\\u202ereversed";
	char wire[1200];
	struct fake_sample one = {.wire = wire,
				  .workload = "\033]0;title\007w",
				  .params = "{\"\033[1m\":\"\033[2J\"}"};
	struct sm_report r;
	char *text;
	cJSON *root;

	snprintf(wire, sizeof(wire),
		 "{\"error\":\"\",\"results\":[{\"name\":\"%s\",\"unit\":\"%s\",\"value\":1}],"
		 "\"metrics\":[{"
		 "\"role\":\"%s\",\"phase\":\"%s\",\"metric\":\"time\",\"event\":\"%s\",\"value\":"
		 "1,\"unit\":"
		 "\"ns\",\"source\":\"sw\"}],\"output\":\"%s\",\"warnings\":\"%s\"}",
		 evil, "u", "r", "p", evil, evil, evil);
	r = load(&one, 1, 1);
	text = print(&r, SM_FORMAT_TABLE, SM_BY_ROLE, false);
	ck_assert_ptr_null(strchr(text, '\033'));
	ck_assert_ptr_null(strchr(text, '\007'));
	ck_assert_ptr_null(strchr(text, '\r'));
	ck_assert_ptr_null(strstr(text, "\xc2\x9b"));
	ck_assert_ptr_null(strstr(text, "\xe2\x80\xae"));
	fits(text);
	free(text);
	text = print(&r, SM_FORMAT_JSON, SM_BY_ROLE, false);
	root = cJSON_Parse(text);
	ck_assert_ptr_nonnull(root);
	ck_assert_ptr_null(strchr(text, '\033'));
	cJSON_Delete(root);
	free(text);
	sm_report_free(&r);
}
END_TEST

START_TEST(json_is_utf8)
{
	struct fake_sample one = {.workload = "a\xff\xfe\xc3(b\xc3\xa9", .wire = counted};
	struct sm_report r = load(&one, 1, 1);
	char *text = print(&r, SM_FORMAT_JSON, SM_BY_ROLE, false);

	has(text, "\"workload\":\"a?\?\?(b\xc3\xa9\"");
	free(text);
	sm_report_free(&r);
}
END_TEST

START_TEST(other_locales)
{
	struct fake_sample one = {.wire = counted};
	struct sm_report r = load(&one, 1, 1);
	char *c = print(&r, SM_FORMAT_TABLE, SM_BY_ROLE, false), *other;

	/* The command never calls setlocale; a library that does must not change our numbers
	 * unnoticed. */
	ck_assert_ptr_nonnull(c);
	other = print(&r, SM_FORMAT_TABLE, SM_BY_ROLE, false);
	ck_assert_str_eq(c, other);
	ck_assert_str_eq(setlocale(LC_NUMERIC, NULL), "C");
	free(c);
	free(other);
	sm_report_free(&r);
}
END_TEST

/* ---- numbers ------------------------------------------------------------------------------ */

/* JSON has no word for it. */
START_TEST(what_is_not_finite_is_null)
{
	struct fake_sample one = {.wire = counted};
	struct sm_report r = load(&one, 1, 1);
	struct sm_result *wall = &r.records[0].results[1];
	cJSON *json;
	char *text;

	ck_assert_str_eq(wall->name, "wall_s");
	wall->value = INFINITY;
	text = print(&r, SM_FORMAT_JSON, SM_BY_ROLE, false);
	json = cJSON_Parse(text);
	ck_assert_msg(json != NULL, "%s", text);
	has(text, "\"wall_s\":null");
	cJSON_Delete(json);
	free(text);
	sm_report_free(&r);
}
END_TEST

START_TEST(numbers)
{
	static const struct {
		double v;
		const char *count, *time;
	} want[] = {
		{0, "0", "0 ns"},
		{1, "1.00", "1.00 ns"},
		{12.34, "12.3", "12.3 ns"},
		{999.4, "999", "999 ns"},
		{999.6, "1000", "1.00 us"},
		{1234, "1234", "1.23 us"},
		{9999, "9999", "10.0 us"},
		{12345, "12.3k", "12.3 us"},
		{99951, "100k", "100 us"},
		{999600, "1.00M", "1.00 ms"},
		{1.5e6, "1.50M", "1.50 ms"},
		{2e9, "2.00G", "2.00 s"},
		{0.5, "0.500", "0.500 ns"},
		{0.01234, "0.0123", "12.3 ps"},
		{1e-5, "1e-05", "0.0100 ps"},
	};
	char text[40];

	for (size_t i = 0; i < sizeof(want) / sizeof(want[0]); i++) {
		sm_text_count(want[i].v, text, sizeof(text));
		ck_assert_str_eq(text, want[i].count);
		sm_text_time(want[i].v, text, sizeof(text));
		ck_assert_str_eq(text, want[i].time);
	}
	/* nothing of any size is wider than its column */
	for (double v = 1e-12; v < 1e18; v *= 1.37) {
		sm_text_count(v, text, sizeof(text));
		ck_assert_msg(strlen(text) <= 6, "%s", text);
		if (v >= 1e-4 && v < 1e13) {
			sm_text_time(v, text, sizeof(text));
			ck_assert_msg(strlen(text) <= 9, "%s", text);
		}
		sm_text_number(v, text, sizeof(text));
		ck_assert_double_eq(strtod(text, NULL), v);
	}
	sm_text_number(33274816, text, sizeof(text));
	ck_assert_str_eq(text, "33274816");
	sm_text_value(1.5, "us", text, sizeof(text));
	ck_assert_str_eq(text, "1.50 us");
	sm_text_value(1.5, "s", text, sizeof(text));
	ck_assert_str_eq(text, "1.50 s");
	sm_text_value(1.5, "ns", text, sizeof(text));
	ck_assert_str_eq(text, "1.50 ns");
	sm_text_value(1536, "bytes", text, sizeof(text));
	ck_assert_str_eq(text, "1.50 KiB");
	sm_text_value(1536, "KiB", text, sizeof(text));
	ck_assert_str_eq(text, "1.50 MiB");
	sm_text_value(38.1e6, "objects/s", text, sizeof(text));
	ck_assert_str_eq(text, "38.1M/s");
}
END_TEST

/* ---- files -------------------------------------------------------------------------------- */

static char dir[64];

static void setup(void)
{
	snprintf(dir, sizeof(dir), "/tmp/spanmark-writer-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
}

static void teardown(void)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -rf '%s'", dir);
	ck_assert_int_eq(system(command), 0);
}

static const char *in_dir(const char *name)
{
	static char path[2][160];
	static int turn;

	turn ^= 1;
	snprintf(path[turn], sizeof(path[turn]), "%s/%s", dir, name);
	return path[turn];
}

static void put(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");

	fputs(text, f);
	fclose(f);
}

static void holds(const char *path, const char *text)
{
	char buf[128] = "";
	FILE *f = fopen(path, "r");

	ck_assert_ptr_nonnull(f);
	ck_assert_uint_eq(fread(buf, 1, sizeof(buf) - 1, f), strlen(text));
	ck_assert_str_eq(buf, text);
	fclose(f);
}

static unsigned files_in_dir(void)
{
	char command[128], buf[32];
	FILE *p;

	snprintf(command, sizeof(command), "ls -A '%s' | wc -l", dir);
	p = popen(command, "r");
	ck_assert_ptr_nonnull(fgets(buf, sizeof(buf), p));
	pclose(p);
	return (unsigned)atoi(buf);
}

START_TEST(output_appears_whole)
{
	const char *path = in_dir("out");
	struct sm_output o;
	struct stat st;

	put(path, "old");
	ck_assert_int_eq(chmod(path, 0640), 0);
	ck_assert_int_eq(sm_output_open(&o, path, err, sizeof(err)), 0);
	fputs("new", o.file);
	fflush(o.file);
	holds(path, "old");
	ck_assert_int_eq(sm_output_close(&o, true, err, sizeof(err)), 0);
	holds(path, "new");
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_int_eq(st.st_mode & 0777, 0640);
	ck_assert_uint_eq(files_in_dir(), 1);
	/* given up: the old one stays */
	ck_assert_int_eq(sm_output_open(&o, path, err, sizeof(err)), 0);
	fputs("half", o.file);
	ck_assert_int_eq(sm_output_close(&o, false, err, sizeof(err)), 0);
	holds(path, "new");
	ck_assert_uint_eq(files_in_dir(), 1);
}
END_TEST

START_TEST(output_through_a_link)
{
	struct sm_output o;
	struct stat st;

	put(in_dir("real"), "old");
	ck_assert_int_eq(symlink("real", in_dir("link")), 0);
	ck_assert_int_eq(sm_output_open(&o, in_dir("link"), err, sizeof(err)), 0);
	fputs("new", o.file);
	ck_assert_int_eq(sm_output_close(&o, true, err, sizeof(err)), 0);
	holds(in_dir("real"), "new");
	ck_assert_int_eq(lstat(in_dir("link"), &st), 0);
	ck_assert(S_ISLNK(st.st_mode));
}
END_TEST

START_TEST(output_refusals)
{
	struct sm_output o;

	ck_assert_int_lt(sm_output_open(&o, "/does/not/exist/x", err, sizeof(err)), 0);
	ck_assert_ptr_nonnull(strstr(err, "/does/not/exist/x"));
	ck_assert_int_lt(sm_output_open(&o, dir, err, sizeof(err)), 0);
	ck_assert_ptr_nonnull(strstr(err, "directory"));
	if (access("/dev/full", W_OK) == 0) {
		ck_assert_int_eq(sm_output_open(&o, "/dev/full", err, sizeof(err)), 0);
		fputs("text", o.file);
		ck_assert_int_eq(sm_output_close(&o, true, err, sizeof(err)), -ENOSPC);
		ck_assert_ptr_nonnull(strstr(err, "No space left"));
		ck_assert_int_eq(access("/dev/full", F_OK), 0); /* still there */
	}
}
END_TEST

/* A file limit stands for the full disk: the old results stay, nothing half-written is left. */
START_TEST(output_on_a_full_disk)
{
	const char *path = in_dir("out");
	int status;
	pid_t pid;

	put(path, "old");
	pid = fork();
	if (pid == 0) {
		struct sm_output o;

		signal(SIGXFSZ, SIG_IGN);
		if (sm_output_open(&o, path, err, sizeof(err)) != 0)
			_exit(1);
		{
			struct rlimit small = {4096, 4096};

			setrlimit(RLIMIT_FSIZE, &small);
		}
		for (int i = 0; i < 10000; i++)
			fputs("0123456789", o.file);
		_exit(sm_output_close(&o, true, err, sizeof(err)) == -EFBIG ? 0 : 2);
	}
	waitpid(pid, &status, 0);
	ck_assert_int_eq(status, 0);
	holds(path, "old");
	ck_assert_uint_eq(files_in_dir(), 1);
}
END_TEST

int main(void)
{
	return SM_SUITE_EACH(
		"writer", 0, setup, teardown, SM_T(table_by_role), SM_T(table_by_thread_and_node),
		SM_T(table_of_80_columns), SM_T(a_column_has_its_set_s_formula),
		SM_T(cases_are_told_apart), SM_T(calibration_is_used), SM_T(passes_join),
		SM_T(kinds_and_packages), SM_T(failures_are_named), SM_T(intervals),
		SM_T(passes_are_no_repetitions), SM_T(a_phase_that_did_not_occur_takes_no_time),
		SM_T(a_role_that_did_nothing_takes_no_time), SM_T(csv_names_tell_cases_apart),
		SM_T(empty_run), SM_T(csv_is_tidy), SM_T(csv_is_safe), SM_T(json_has_the_schema),
		SM_T(hostile_names), SM_T(json_is_utf8), SM_T(other_locales),
		SM_T(a_column_is_as_wide_as_its_title), SM_T(what_is_not_finite_is_null),
		SM_T(numbers), SM_T(output_appears_whole), SM_T(output_through_a_link),
		SM_T(output_refusals), SM_T(output_on_a_full_disk));
}
