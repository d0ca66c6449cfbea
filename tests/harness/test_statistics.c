/* harness/judge/statistics.c against tables that others published. */
#include "harness/judge/statistics.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>

#include "tests/support/run.h"

START_TEST(medians)
{
	struct sm_stats s;
	double odd[] = {5, 1, 3}, even[] = {4, 1, 3, 2}, one[] = {7};

	sm_stats_compute(odd, 3, SM_STATS_CONFIDENCE, &s);
	ck_assert_double_eq(s.median, 3);
	ck_assert_double_eq(s.min, 1);
	ck_assert_double_eq(s.max, 5);
	sm_stats_compute(even, 4, SM_STATS_CONFIDENCE, &s);
	ck_assert_double_eq(s.median, 2.5);
	sm_stats_compute(one, 1, SM_STATS_CONFIDENCE, &s);
	ck_assert_double_eq(s.median, 7);
	ck_assert_uint_eq(s.n, 1);
	ck_assert(!s.has_interval);
	sm_stats_compute(one, 0, SM_STATS_CONFIDENCE, &s);
	ck_assert_uint_eq(s.n, 0);
}
END_TEST

START_TEST(not_finite_is_left_out)
{
	struct sm_stats s;
	double v[] = {NAN, 2, INFINITY, 1, -INFINITY, 3};

	sm_stats_compute(v, 6, SM_STATS_CONFIDENCE, &s);
	ck_assert_uint_eq(s.n, 3);
	ck_assert_double_eq(s.median, 2);
}
END_TEST

/* Ranks of the 95% interval, e.g. Conover's table A3 / the NIST handbook: n, lower rank, upper
 * rank. */
START_TEST(interval_ranks)
{
	static const struct {
		size_t n, low, high;
	} want[] = {{6, 1, 6},	  {7, 1, 7},	{8, 1, 8},    {9, 2, 8},   {10, 2, 9},
		    {11, 2, 10},  {12, 3, 10},	{15, 4, 12},  {20, 6, 15}, {25, 8, 18},
		    {30, 10, 21}, {50, 18, 33}, {100, 40, 61}};

	for (size_t i = 0; i < sizeof(want) / sizeof(want[0]); i++) {
		double v[100];
		struct sm_stats s;

		for (size_t k = 0; k < want[i].n; k++)
			v[k] = (double)(want[i].n - k); /* descending: ranks are values */
		sm_stats_compute(v, want[i].n, SM_STATS_CONFIDENCE, &s);
		ck_assert_msg(s.has_interval, "n = %zu", want[i].n);
		ck_assert_msg(s.low == (double)want[i].low && s.high == (double)want[i].high,
			      "n = %zu: [%g, %g], not [%zu, %zu]", want[i].n, s.low, s.high,
			      want[i].low, want[i].high);
		ck_assert_double_ge(s.confidence, 0.95);
	}
}
END_TEST

START_TEST(five_are_too_few)
{
	double v[] = {1, 2, 3, 4, 5};
	struct sm_stats s;

	sm_stats_compute(v, 5, SM_STATS_CONFIDENCE, &s);
	ck_assert(!s.has_interval);
	ck_assert_int_eq(SM_STATS_MIN_REPS, 6);
}
END_TEST

/* The interval holds the true median in at least 95% of samples drawn from a skewed distribution.
 */
START_TEST(interval_covers)
{
	unsigned held = 0, rounds = 20000;
	struct sm_stats s;

	srand48(1);
	for (unsigned r = 0; r < rounds; r++) {
		double v[11];

		for (int i = 0; i < 11; i++)
			v[i] = -log(1 - drand48()); /* exponential: median ln 2 */
		sm_stats_compute(v, 11, SM_STATS_CONFIDENCE, &s);
		held += s.low <= log(2) && log(2) <= s.high;
	}
	/* 2 and 10 of 11 cover 98.8% */
	ck_assert_double_ge(held, 0.98 * rounds);
	ck_assert_double_le(held, 0.995 * rounds);
}
END_TEST

START_TEST(outliers_are_kept)
{
	double v[] = {10, 11, 10, 12, 11, 10, 500};
	struct sm_stats s;

	sm_stats_compute(v, 7, SM_STATS_CONFIDENCE, &s);
	ck_assert_uint_eq(s.outliers, 1);
	ck_assert_double_eq(s.max, 500);
	ck_assert_uint_eq(s.n, 7);
	ck_assert_double_eq(s.median, 11);
	for (int i = 0; i < 7; i++)
		v[i] = i;
	sm_stats_compute(v, 7, SM_STATS_CONFIDENCE, &s);
	ck_assert_uint_eq(s.outliers, 0);
}
END_TEST

/* Three times the distance of the quartiles (11.75 and 15.25) below the lower or above the upper.
 */
START_TEST(outliers_are_far_out)
{
	static const double ends[] = {24, 25.7, 25.8, 100}, lower[] = {3, 1.3, 1.2, -100};
	struct sm_stats s;

	for (size_t i = 0; i < 4; i++) {
		double high[] = {10, 11, 12, 13, 14, 15, 16, ends[i]},
		       low[] = {17, 16, 15, 14, 13, 12, 11, lower[i]};

		sm_stats_compute(high, 8, SM_STATS_CONFIDENCE, &s);
		ck_assert_uint_eq(s.outliers, i >= 2);
		sm_stats_compute(low, 8, SM_STATS_CONFIDENCE, &s);
		ck_assert_uint_eq(s.outliers, i >= 2);
	}
}
END_TEST

int main(void)
{
	return SM_SUITE("statistics", 0, SM_T(medians), SM_T(not_finite_is_left_out),
			SM_T(interval_ranks), SM_T(five_are_too_few), SM_T(interval_covers),
			SM_T(outliers_are_kept), SM_T(outliers_are_far_out));
}
