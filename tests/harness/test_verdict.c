/*
 * harness/judge/verdict.c: the words of single rows, and the honesty of whole tables: 400 simulated
 * comparisons of equal things keep the stated rate of false alarms over the table, a slowdown of
 * 5 % is found, 1 % is not called one, and neither drift nor a host with two speeds fools a paired
 * comparison. Seeds are fixed: every run counts the same.
 */
#include "harness/judge/verdict.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/judge/ranks.h"
#include "tests/support/run.h"

#define TABLES 400
#define ROWS   10
#define MOST   40

/* Wrong tables of 400 at 5 % each, but for one chance in ten million: qbinom(1 - 1e-7, 400, 0.05).
 * Seeds are fixed, so the counts are the same every time. */
#define ALARMS 46

static struct sm_verdict_options judged = {.margin = 0.01, .target = 0.03};

/* ---- one row ------------------------------------------------------------------------------ */

static void judge_one(struct sm_difference *d, const double *a, const double *b, size_t n)
{
	static double x[MOST], y[MOST];
	double each;

	memcpy(x, a, n * sizeof(*x));
	memcpy(y, b, n * sizeof(*y));
	d->base = x;
	d->other = y;
	d->nbase = d->nother = n;
	ck_assert_int_eq(sm_verdict_table(d, 1, &judged, &each), 0);
}

START_TEST(words)
{
	static const struct {
		double ratio, spread;
		enum sm_better better;
		enum sm_verdict want;
	} rows[] = {
		{1.05, 0.01, SM_BETTER_LESS, SM_VERDICT_WORSE},
		{1.05, 0.01, SM_BETTER_MORE, SM_VERDICT_BETTER},
		{0.95, 0.01, SM_BETTER_LESS, SM_VERDICT_BETTER},
		{0.95, 0.01, SM_BETTER_MORE, SM_VERDICT_WORSE},
		{0.95, 0.01, SM_BETTER_NEITHER, SM_VERDICT_DIFFERS},
		{1, 0.002, SM_BETTER_LESS, SM_VERDICT_SAME},
		{1.012, 0.005, SM_BETTER_LESS, SM_VERDICT_UNCLEAR},
		{1, 0.03, SM_BETTER_LESS, SM_VERDICT_UNCLEAR},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct sm_difference d = {.better = rows[i].better, .paired = true};
		double a[8], b[8];

		for (int k = 0; k < 8; k++) {
			a[k] = 100 + k * 10;
			b[k] = a[k] * (rows[i].ratio + rows[i].spread * (k - 3.5) / 3.5);
		}
		judge_one(&d, a, b, 8);
		ck_assert_msg(d.verdict == rows[i].want, "row %zu: %s (%g..%g)", i,
			      sm_verdict_names[d.verdict], d.low, d.high);
		ck_assert_msg((d.reason[0] != 0) == (d.verdict == SM_VERDICT_UNCLEAR), "row %zu",
			      i);
	}
}
END_TEST

/* Of a run that looked at itself twice: a sixth of the error. */
START_TEST(looks_widen)
{
	double a[9], b[9];
	struct sm_difference once = {.paired = true}, twice = {.paired = true, .split = 6},
			     thrice = {.paired = true, .split = 24};

	for (int k = 0; k < 9; k++) {
		a[k] = 100;
		b[k] = 100 + k;
	}
	judge_one(&once, a, b, 9);
	judge_one(&twice, a, b, 9);
	judge_one(&thrice, a, b, 9);
	ck_assert(once.has_interval && twice.has_interval && !thrice.has_interval);
	ck_assert_double_eq_tol(once.low, 1.01, 1e-12);
	ck_assert_double_eq_tol(twice.low, 1, 1e-12);
	ck_assert_double_eq_tol(twice.high, 1.08, 1e-12);
	ck_assert_str_eq(thrice.reason, "9 pairs: 95 % takes 10");
}
END_TEST

/* Five pairs that all say the same still cannot carry 95 %. */
START_TEST(too_few_are_unclear)
{
	static const double a[] = {1, 1, 1, 1, 1, 1}, b[] = {2, 2, 2, 2, 2, 2};
	struct sm_difference d = {.better = SM_BETTER_LESS, .paired = true};

	judge_one(&d, a, b, 5);
	ck_assert_int_eq(d.verdict, SM_VERDICT_UNCLEAR);
	ck_assert_str_eq(d.reason, "5 pairs: 95 % takes 6");
	ck_assert_double_eq_tol(d.ratio, 2, 1e-12);
	ck_assert(!d.has_interval);
	judge_one(&d, a, b, 6);
	ck_assert_int_eq(d.verdict, SM_VERDICT_WORSE);
	d = (struct sm_difference){.better = SM_BETTER_LESS};
	judge_one(&d, a, b, 3);
	ck_assert_int_eq(d.verdict, SM_VERDICT_UNCLEAR);
	ck_assert_str_eq(d.reason, "3 repetitions: 95 % takes 4 on each side");
	judge_one(&d, a, b, 0);
	ck_assert_int_eq(d.verdict, SM_VERDICT_UNCLEAR);
	ck_assert_str_eq(d.reason, "not measured on both sides");
}
END_TEST

START_TEST(zeros_have_no_ratio)
{
	static const double a[] = {0, 1, 1, 1, 1, 1}, b[] = {1, 1, 1, 1, 1, 1};
	struct sm_difference d = {.better = SM_BETTER_LESS, .paired = true};

	judge_one(&d, a, b, 6);
	ck_assert_int_eq(d.verdict, SM_VERDICT_UNCLEAR);
	ck_assert_str_eq(d.reason, "a value of 0 has no ratio");
	ck_assert(isnan(d.ratio));
}
END_TEST

START_TEST(exact_counts_need_one_sample)
{
	static const double a[] = {1000, 2000}, more[] = {1001, 2001}, mixed[] = {1001, 1999};
	struct sm_difference d = {.better = SM_BETTER_LESS, .exact = true, .paired = true};

	judge_one(&d, a, a, 1);
	ck_assert_int_eq(d.verdict, SM_VERDICT_SAME);
	ck_assert(d.ratio == 1 && d.low == 1 && d.high == 1);
	judge_one(&d, a, more, 1);
	ck_assert_int_eq(d.verdict, SM_VERDICT_WORSE);
	judge_one(&d, a, more, 2);
	ck_assert_int_eq(d.verdict, SM_VERDICT_WORSE);
	judge_one(&d, a, mixed, 2);
	ck_assert_int_eq(d.verdict, SM_VERDICT_UNCLEAR);
	ck_assert_uint_eq(d.needed, 0);
}
END_TEST

/* ---- whole tables ------------------------------------------------------------------------- */

static double normal(void)
{
	return sqrt(-2 * log(1 - drand48())) * cos(2 * M_PI * drand48());
}

/* How a simulated machine behaves: noise of each sample, drift over the run, two speeds. */
struct host {
	double noise, drift, slow; /* 0.02: 2 %; drift: by the end; slow: of half of the blocks */
	double effect;		   /* other / base - 1 */
	size_t n;		   /* repetitions */
	bool in_blocks;		   /* else all of base, then all of other */
};

static double sample(const struct host *h, bool other, double when, bool slow)
{
	return 100 * (1 + h->drift * when) * (slow ? 1 + h->slow : 1) *
	       (other ? 1 + h->effect : 1) * exp(h->noise * normal());
}

static void simulate(const struct host *h, struct sm_difference *d, bool paired)
{
	double span = (double)(2 * h->n);

	for (size_t i = 0; i < h->n; i++) {
		size_t first = (i & 1) ^ (lrand48() & 1), at[2]; /* either first */
		bool slow[2];

		for (size_t k = 0; k < 2; k++)
			at[k] = h->in_blocks ? 2 * i + (k ^ first) : k * h->n + i;
		slow[0] = slow[1] = drand48() < 0.5;
		d->base[i] = sample(h, false, (double)at[0] / span, slow[0]);
		d->other[i] = sample(h, true, (double)at[1] / span, slow[1]);
	}
	d->nbase = d->nother = h->n;
	d->paired = paired;
	d->better = SM_BETTER_LESS;
	d->exact = false;
}

struct counts {
	unsigned alarms;		       /* tables with a row better or worse */
	unsigned rows[SM_VERDICT_DIFFERS + 1]; /* rows by verdict */
};

/* TABLES tables of nrows rows each. */
static struct counts simulate_tables(const struct host *h, size_t nrows, bool paired, double margin)
{
	static double values[2 * ROWS][MOST];
	struct sm_verdict_options o = {.margin = margin, .target = margin + 0.02};
	struct counts c = {0};
	double each;

	srand48(13);
	for (int t = 0; t < TABLES; t++) {
		struct sm_difference d[ROWS] = {0};
		bool alarm = false;

		for (size_t i = 0; i < nrows; i++) {
			d[i].base = values[2 * i];
			d[i].other = values[2 * i + 1];
			simulate(h, &d[i], paired);
		}
		ck_assert_int_eq(sm_verdict_table(d, nrows, &o, &each), 0);
		for (size_t i = 0; i < nrows; i++) {
			c.rows[d[i].verdict]++;
			alarm |= d[i].verdict == SM_VERDICT_BETTER ||
				 d[i].verdict == SM_VERDICT_WORSE;
		}
		c.alarms += alarm;
	}
	return c;
}

/* With no margin to hide behind. */
START_TEST(equal_things_raise_few_alarms)
{
	static const struct host hosts[] = {
		{.noise = 0.02, .n = 12, .in_blocks = true},
		{.noise = 0.3, .n = 20, .in_blocks = true},
		{.noise = 0.02, .slow = 0.4, .n = 12, .in_blocks = true},
	};

	for (size_t i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++) {
		for (int paired = 0; paired <= 1; paired++) {
			unsigned whole = simulate_tables(&hosts[i], ROWS, paired, 0).alarms;
			unsigned one = simulate_tables(&hosts[i], 1, paired, 0).alarms;

			printf("host %zu, %s: %u of %d tables, %u of one row\n", i,
			       paired ? "pairs" : "two samples", whole, TABLES, one);
			ck_assert_uint_le(whole, ALARMS);
			ck_assert_uint_le(one, ALARMS);
		}
	}
}
END_TEST

/* The alarms that intervals of 95 % each would raise: the test above can fail. */
START_TEST(without_widening_they_raise_many)
{
	struct host h = {.noise = 0.02, .n = 12, .in_blocks = true};
	double a[MOST], b[MOST];
	unsigned alarms = 0;

	srand48(13);
	for (int t = 0; t < TABLES; t++) {
		bool alarm = false;

		for (int i = 0; i < ROWS; i++) {
			struct sm_difference d = {.base = a, .other = b};
			struct sm_verdict_options o = {.margin = 0, .target = 0.03};
			double each;

			simulate(&h, &d, true);
			ck_assert_int_eq(sm_verdict_table(&d, 1, &o, &each), 0);
			alarm |= d.verdict != SM_VERDICT_UNCLEAR;
		}
		alarms += alarm;
	}
	ck_assert_uint_ge(alarms, 2 * ALARMS);
}
END_TEST

/* 5 % in every row is found in nearly every row, and 1 % in none but the stated few. */
START_TEST(five_percent_is_found_and_one_is_not)
{
	struct host h = {.noise = 0.015, .n = 16, .in_blocks = true, .effect = 0.05};
	struct counts c;

	for (int paired = 0; paired <= 1; paired++) {
		h.effect = 0.05;
		c = simulate_tables(&h, ROWS, paired, 0.01);
		ck_assert_uint_ge(c.rows[SM_VERDICT_WORSE], TABLES * ROWS * 95 / 100);
		ck_assert_uint_eq(c.rows[SM_VERDICT_BETTER] + c.rows[SM_VERDICT_SAME], 0);
		h.effect = 0.01;
		c = simulate_tables(&h, ROWS, paired, 0.01);
		ck_assert_uint_le(c.alarms, ALARMS);
		ck_assert_uint_le(c.rows[SM_VERDICT_BETTER], 1);
	}
}
END_TEST

/* A tenth slower by the end: pairs do not see it. One side after the other does. */
START_TEST(drift_does_not_fool_pairs)
{
	struct host h = {.noise = 0.01, .drift = 0.1, .n = 16, .in_blocks = true};
	struct counts c = simulate_tables(&h, ROWS, true, 0);

	ck_assert_uint_le(c.alarms, ALARMS);
	h.in_blocks = false;
	c = simulate_tables(&h, ROWS, false, 0.01);
	ck_assert_uint_ge(c.alarms, TABLES * 9 / 10);
	h.in_blocks = true;
	h.effect = 0.05;
	c = simulate_tables(&h, ROWS, true, 0.01);
	ck_assert_uint_ge(c.rows[SM_VERDICT_WORSE], TABLES * ROWS * 95 / 100);
}
END_TEST

/* Half of the blocks are 40 % slower: pairs find 5 % all the same, two samples cannot. */
START_TEST(two_speeds_do_not_fool_pairs)
{
	struct host h = {.noise = 0.015, .slow = 0.4, .n = 16, .in_blocks = true, .effect = 0.05};
	struct counts c = simulate_tables(&h, ROWS, true, 0.01);

	ck_assert_uint_ge(c.rows[SM_VERDICT_WORSE], TABLES * ROWS * 95 / 100);
	c = simulate_tables(&h, ROWS, false, 0.01);
	ck_assert_uint_le(c.rows[SM_VERDICT_WORSE], TABLES * ROWS / 4);
	h.effect = 0;
	ck_assert_uint_le(simulate_tables(&h, ROWS, true, 0).alarms, ALARMS);
}
END_TEST

/* As many repetitions as are said to find the target do find it four times out of five. */
START_TEST(the_power_that_is_promised)
{
	struct host h = {.noise = 0.015, .n = 16, .in_blocks = true, .effect = 0.03};
	double sd = h.noise * sqrt(2), shift = log1p(0.03) - log1p(0.01);
	struct counts c;

	h.n = sm_ranks_needed(sd, shift, 0.95, SM_VERDICT_POWER, true);
	ck_assert_uint_le(h.n, MOST);
	c = simulate_tables(&h, 1, true, 0.01);
	ck_assert_uint_ge(c.rows[SM_VERDICT_WORSE], TABLES * 72 / 100);
	ck_assert_uint_le(c.rows[SM_VERDICT_WORSE], TABLES * 92 / 100);
	h.n = sm_ranks_needed(h.noise, shift, 0.95, SM_VERDICT_POWER, false);
	ck_assert_uint_le(h.n, MOST);
	c = simulate_tables(&h, 1, false, 0.01);
	ck_assert_uint_ge(c.rows[SM_VERDICT_WORSE], TABLES * 72 / 100);
	ck_assert_uint_le(c.rows[SM_VERDICT_WORSE], TABLES * 92 / 100);
}
END_TEST

int main(void)
{
	return SM_SUITE("verdict", 60, SM_T(words), SM_T(looks_widen), SM_T(too_few_are_unclear),
			SM_T(zeros_have_no_ratio), SM_T(exact_counts_need_one_sample),
			SM_T(equal_things_raise_few_alarms), SM_T(without_widening_they_raise_many),
			SM_T(five_percent_is_found_and_one_is_not), SM_T(drift_does_not_fool_pairs),
			SM_T(two_speeds_do_not_fool_pairs), SM_T(the_power_that_is_promised));
}
