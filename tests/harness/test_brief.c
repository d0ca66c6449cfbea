/* The short table: what it joins adds up, what it leaves out is named, and nothing that it shows
 * differs from the wide one. */
#include "harness/report/summary.h"
#include "harness/report/writer.h"
#include "tests/support/fake_run.h"

#include <check.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/run.h"

#define REPS 3

static char wires[REPS][16384];
static size_t used;

static void add(unsigned rep, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void add(unsigned rep, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	used += (size_t)vsnprintf(wires[rep] + used, sizeof(wires[rep]) - used, fmt, ap);
	va_end(ap);
	ck_assert_uint_lt(used, sizeof(wires[rep]));
}

static void metric(unsigned rep, const char *role, const char *phase, const char *name, double v)
{
	add(rep,
	    "%s{\"role\":\"%s\",\"phase\":\"%s\",\"metric\":\"%s\",\"event\":\"e\",\"value\":%g,"
	    "\"unit\":\"ns\",\"source\":\"%s\"}",
	    wires[rep][used - 1] == '[' ? "" : ",", role, phase, name, v,
	    strcmp(name, "time") == 0 ? "sw" : "pmu");
}

/* Of the longest phase for a reason of its own. */
static void no_metric(unsigned rep, const char *role, const char *phase, const char *name)
{
	bool longest = strcmp(phase, "app") == 0;

	add(rep,
	    ",{\"role\":\"%s\",\"phase\":\"%s\",\"metric\":\"%s\",\"event\":\"e\","
	    "\"status\":\"%s\",\"reason\":\"%s\",\"source\":\"pmu\"}",
	    role, phase, name, longest ? "not_counted" : "unsupported",
	    longest ? "counted in the enclosing one" : "no such event here");
}

/* Time, cycles, instructions and their ratio, which nobody may add up; L1 misses nowhere. */
static void phase(unsigned rep, const char *role, const char *name, double time, double cycles,
		  double instructions)
{
	metric(rep, role, name, "time", time);
	metric(rep, role, name, "cycles", cycles);
	metric(rep, role, name, "instructions", instructions);
	metric(rep, role, name, "ipc", instructions / cycles);
	no_metric(rep, role, name, "l1d_miss");
}

/*
 * Three repetitions of 100 operations. The mutator: app and wait; refill, barrier and sweep below
 * 1 %, barrier in the second alone, sweep in none of the third. Of the collector, a thread that
 * marks and one that does next to nothing. In the last, refill takes 5 % once: most decide.
 */
static const char *simulated; /* a pass of the case beside them; NULL: none */

static struct sm_report three(void)
{
	struct fake_sample samples[REPS + 1];
	struct sm_store *s;
	struct sm_report r;
	char err[300];
	int64_t run;

	for (unsigned rep = 0; rep < REPS; rep++) {
		double refill = rep == 2 ? 500 : 50;

		used = 0;
		add(rep, "{\"error\":\"\",\"results\":[{\"name\":\"ops\",\"unit\":\"ops\","
			 "\"value\":100},{\"name\":\"wall_s\",\"unit\":\"s\",\"value\":1},"
			 "{\"name\":\"ns_per_op\",\"unit\":\"ns\",\"value\":10},"
			 "{\"name\":\"stall_max_us\",\"unit\":\"us\",\"reason\":\"no collector\"},"
			 "{\"name\":\"check\",\"unit\":\"nodes\",\"value\":7},"
			 "{\"name\":\"hit_share\",\"unit\":\"%%\",\"value\":91}],\"metrics\":[");
		phase(rep, "mutator", "app", 9000, 9000, 18000);
		phase(rep, "mutator", "wait", 900, 100, 100);
		phase(rep, "mutator", "refill", refill, 40, 20);
		if (rep == 1)
			phase(rep, "mutator", "barrier", 30, 20, 30);
		if (rep < 2)
			phase(rep, "mutator", "sweep", 10, 10, 5);
		phase(rep, "mutator", "total", 10000, 9170, 18155);
		phase(rep, "mark", "mark", 4000, 4000, 4000);
		phase(rep, "mark", "idle", 6000, 1, 1);
		phase(rep, "control", "sweep", 20, 20, 20);
		phase(rep, "control", "stack-scan", 10, 10, 10);
		phase(rep, "control", "idle", 9970, 1, 1);
		add(rep, "],\"output\":\"it says a lot\\n\",\"warnings\":\"\"}");
		samples[rep] = (struct fake_sample){.ordinal = rep, .rep = rep, .wire = wires[rep]};
	}
	ck_assert_int_eq(sm_store_open(NULL, &s, err, sizeof(err)), 0);
	samples[REPS] = (struct fake_sample){
		.ordinal = REPS, .pass = 1, .params = "{\"objects\":10}", .wire = simulated};
	run = fake_run(s, NULL, samples, REPS + (simulated != NULL), REPS + (simulated != NULL));
	ck_assert_int_eq(sm_store_load(s, run, &r), 0);
	sm_store_close(s);
	return r;
}

static char *print(const struct sm_report *r, bool wide, unsigned width, enum sm_by by)
{
	struct sm_writer w = {
		.format = SM_FORMAT_TABLE, .by = by, .width = width, .wide = wide, .waits = wide};
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

static void lacks(const char *text, const char *fragment)
{
	ck_assert_msg(strstr(text, fragment) == NULL, "'%s' in:\n%s", fragment, text);
}

static const struct sm_cell *cell(const struct sm_summary *u, const char *who, const char *phase,
				  const char *name, const struct sm_row **row)
{
	for (size_t i = 0; i < u->nrows; i++) {
		if (strcmp(u->rows[i].who, who) != 0 || strcmp(u->rows[i].phase, phase) != 0)
			continue;
		*row = &u->rows[i];
		for (size_t c = 0; c < u->ncolumns; c++)
			if (strcmp(u->columns[c].metric, name) == 0)
				return &u->cells[i * u->ncolumns + c];
	}
	ck_abort_msg("no %s of %s %s", name, who, phase);
	return NULL;
}

/* In each sample `other` is the sum of what it joins; the cell is the median of those sums, and a
 * ratio that of the sums. */
START_TEST(other_is_the_sum_of_what_it_joins)
{
	struct sm_report r = three();
	struct sm_summary u;
	const struct sm_row *row;
	const struct sm_cell *c;

	ck_assert_int_eq(sm_summary_build_brief(&r, SM_BY_ROLE, &u), 0);
	c = cell(&u, "mutator", "other", "time", &row);
	ck_assert_uint_eq(row->joined, 3);
	ck_assert_uint_eq(row->occurred, 3);
	/* 50 + 10, 50 + 30 + 10, 500, of 100 operations */
	ck_assert_double_eq_tol(c->stats.min, 0.6, 1e-9);
	ck_assert_double_eq_tol(c->stats.median, 0.9, 1e-9);
	ck_assert_double_eq_tol(c->stats.max, 5, 1e-9);
	c = cell(&u, "mutator", "other", "cycles", &row);
	ck_assert_double_eq_tol(c->stats.min, 0.4, 1e-9);
	ck_assert_double_eq_tol(c->stats.median, 0.5, 1e-9);
	ck_assert_double_eq_tol(c->stats.max, 0.7, 1e-9);
	/* 25/50, 55/70, 20/40: not the sum of 0.5, 1.5 and 0.5, nor their mean */
	c = cell(&u, "mutator", "other", "ipc", &row);
	ck_assert_double_eq_tol(c->stats.min, 0.5, 1e-9);
	ck_assert_double_eq_tol(c->stats.max, 55.0 / 70, 1e-9);
	/* what was counted nowhere is not counted in the sum */
	c = cell(&u, "mutator", "other", "l1d_miss", &row);
	ck_assert(!c->has_value);
	ck_assert_str_eq(c->reason, "no such event here");
	sm_summary_free(&u);
	/* and each phase is there where nothing is joined */
	ck_assert_int_eq(sm_summary_build(&r, SM_BY_ROLE, &u), 0);
	cell(&u, "mutator", "barrier", "time", &row);
	ck_assert_uint_eq(row->occurred, 1);
	cell(&u, "control", "stack-scan", "time", &row);
	sm_summary_free(&u);
	sm_report_free(&r);
}
END_TEST

/* A simulated pass beside the samples: its counts for its own operations, none of its absence or of
 * the machine's in them, and no repetition or result more. */
START_TEST(a_simulated_pass_beside)
{
	static const char beside[] =
		"{\"error\":\"\",\"results\":[{\"name\":\"simulated_ops\",\"unit\":\"ops\","
		"\"value\":10}],\"metrics\":["
		"{\"role\":\"mutator\",\"phase\":\"app\",\"metric\":\"l1d_miss\",\"event\":"
		"\"sim::D1\",\"value\":30,\"unit\":\"misses\",\"source\":\"sim\"},"
		"{\"role\":\"mutator\",\"phase\":\"refill\",\"metric\":\"l1d_miss\",\"event\":"
		"\"sim::D1\",\"source\":\"sim\",\"status\":\"not_counted\",\"reason\":\"light\"},"
		"{\"role\":\"mutator\",\"phase\":\"total\",\"metric\":\"l1d_miss\",\"event\":"
		"\"sim::D1\",\"value\":40,\"unit\":\"misses\",\"source\":\"sim\"}],\"output\":"
		"\"\",\"warnings\":\"\"}";
	struct sm_report r;
	struct sm_summary u;
	struct sm_stats s;
	const struct sm_row *row;
	const struct sm_cell *c;
	const char *reason;
	char *text;

	simulated = beside;
	r = three();
	simulated = NULL;
	ck_assert_uint_eq(r.nrecords, REPS + 1);
	ck_assert_int_eq(sm_summary_build_brief(&r, SM_BY_ROLE, &u), 0);
	c = cell(&u, "mutator", "app", "l1d_miss", &row);
	ck_assert(c->has_value);
	ck_assert_uint_eq(c->stats.n, 1);
	ck_assert_double_eq(c->stats.median, 3);
	ck_assert_uint_eq(row->reps, REPS);
	c = cell(&u, "mutator", "total", "l1d_miss", &row);
	ck_assert_double_eq(c->stats.median, 4);
	/* what did not occur there is not 0, and why there is none is the pass's affair */
	c = cell(&u, "mutator", "wait", "l1d_miss", &row);
	ck_assert(!c->has_value);
	ck_assert_str_eq(c->reason, "did not occur in the simulated pass");
	c = cell(&u, "mutator", "other", "l1d_miss", &row);
	ck_assert(!c->has_value);
	ck_assert_str_eq(c->reason, "light");
	/* what was measured is as it was */
	c = cell(&u, "mutator", "app", "time", &row);
	ck_assert_uint_eq(c->stats.n, REPS);
	ck_assert_double_eq(c->stats.median, 90);
	sm_summary_free(&u);
	ck_assert(sm_summary_result(&r, 0, "ops", &s, NULL, &reason));
	ck_assert_uint_eq(s.n, REPS);
	ck_assert_double_eq(s.max, 100);
	text = print(&r, false, 100, SM_BY_ROLE);
	has(text, "note     [sim] counts are of a pass under Callgrind (graph objects=10): exact "
		  "instructions");
	has(text, "; L1D D1 [sim]\n");
	free(text);
	sm_report_free(&r);
}
END_TEST

/* One part without a count: the sum has none. */
START_TEST(a_part_that_is_missing_is_missed)
{
	struct sm_report r = three();
	struct sm_summary u;
	const struct sm_row *row;
	const struct sm_cell *c;
	const char *const ways[] = {"lost", "not there"};

	for (unsigned way = 0; way < 2; way++) {
		for (size_t i = 0; i < r.nrecords; i++) {
			for (size_t k = 0; k < r.records[i].nmetrics; k++) {
				struct sm_metric *m = &r.records[i].metrics[k];

				if (strcmp(m->phase, "refill") != 0 ||
				    (strcmp(m->metric, "cycles") != 0 &&
				     strcmp(m->metric, "nothing") != 0))
					continue;
				m->has_value = false;
				m->reason = sm_pool_str(&r.pool, ways[way]);
				if (way == 1)
					m->metric = sm_pool_str(&r.pool, "nothing");
			}
		}
		ck_assert_int_eq(sm_summary_build_brief(&r, SM_BY_ROLE, &u), 0);
		c = cell(&u, "mutator", "other", "cycles", &row);
		ck_assert_msg(!c->has_value, "%s: a sum of the others", ways[way]);
		ck_assert_str_eq(c->reason,
				 way == 0 ? "lost"
					  : "in a part of the phases that are joined here");
		ck_assert(!cell(&u, "mutator", "other", "ipc", &row)->has_value);
		ck_assert(cell(&u, "mutator", "other", "instructions", &row)->has_value);
		sm_summary_free(&u);
	}
	sm_report_free(&r);
}
END_TEST

START_TEST(the_answer_first)
{
	struct sm_report r = three();
	char *text = print(&r, false, 100, SM_BY_ROLE);

	/* counts of the whole beside the results, in one line */
	has(text, "workload     heap   per op   ±95%  cycles   instr   IPC\n"
		  "graph        gc    10.0 ns      -    91.7     182  1.98\n");
	has(text, "\ngraph        gc   hit_share 91.0%\n");
	has(text, "workload     heap role     phase     time  cycles   instr   IPC\n"
		  "graph        gc   mutator  app    90.0 ns    90.0     180  2.00\n"
		  "                  mutator  wait   9.00 ns    1.00    1.00  1.00\n"
		  "                  mutator  other 0.900 ns   0.500   0.250 0.500\n"
		  "                  mark     mark   40.0 ns    40.0    40.0  1.00\n\n");
	has(text, "marks    other: phases below 1% of their thread's time");
	/* what is not shown is named once, with why */
	has(text, "left out max stall: no collector\n");
	has(text, "left out L1D: no such event here; see `spanmark doctor`\n");
	lacks(text, "n/a");
	lacks(text, "check");
	lacks(text, "it says a lot");
	lacks(text, "control");
	/* a legend for what is shown */
	has(text, "counts ");
	lacks(text, "L1D e");
	free(text);
	text = print(&r, true, 100, SM_BY_ROLE);
	has(text, "check 7");
	has(text, "mutator  barrier 1/3");
	has(text, "control  stack-scan");
	has(text, "it says a lot");
	has(text, "n/a");
	lacks(text, "left out");
	free(text);
	/* by something else than roles the rows stand for themselves */
	text = print(&r, false, 100, SM_BY_THREAD);
	has(text, "±95%\n");
	free(text);
	sm_report_free(&r);
}
END_TEST

/* Where the counts have no room beside the results, every case has its rows, with the total. */
START_TEST(no_room_beside)
{
	struct sm_report r = three();
	char *text = print(&r, false, 42, SM_BY_ROLE);

	has(text, "  mutator  total");
	lacks(text, "control");
	free(text);
	sm_report_free(&r);
}
END_TEST

int main(void)
{
	return SM_SUITE("brief", 0, SM_T(other_is_the_sum_of_what_it_joins),
			SM_T(a_simulated_pass_beside), SM_T(a_part_that_is_missing_is_missed),
			SM_T(the_answer_first), SM_T(no_room_beside));
}
