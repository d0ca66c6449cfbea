/* harness/judge/ranks.c against R's wilcox.test, quantile, qsignrank, qwilcox and power.t.test. */
#include "harness/judge/ranks.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/judge/statistics.h"
#include "tests/support/run.h"

enum kind { SIGN, SIGNED_RANK, RANK_SUM };

static const struct {
	enum kind kind;
	size_t na, nb;
	double a[49], b[49], confidence, estimate, low, high;
} from_r[] = {
#include "tests/data/ranks.inc"
};
#define NFROM_R (sizeof(from_r) / sizeof(from_r[0]))

static void shift_of(size_t i, struct sm_shift *out)
{
	double a[49], b[49], confidence = from_r[i].confidence;
	size_t na = from_r[i].na, nb = from_r[i].nb;
	int rc = -1;

	memcpy(a, from_r[i].a, sizeof(a));
	memcpy(b, from_r[i].b, sizeof(b));
	switch (from_r[i].kind) {
	case SIGN: rc = sm_shift_sign(a, na, confidence, out); break;
	case SIGNED_RANK: rc = sm_shift_signed_rank(a, na, confidence, out); break;
	case RANK_SUM: rc = sm_shift_rank_sum(a, na, b, nb, confidence, out); break;
	}
	ck_assert_int_eq(rc, 0);
}

START_TEST(agrees_with_r)
{
	for (size_t i = 0; i < NFROM_R; i++) {
		struct sm_shift s;

		shift_of(i, &s);
		ck_assert_msg(fabs(s.estimate - from_r[i].estimate) < 1e-12,
			      "entry %zu: estimate %.17g, R says %.17g", i, s.estimate,
			      from_r[i].estimate);
		/* R's widest interval where the confidence cannot be reached: here is none. */
		if (from_r[i].na < sm_ranks_fewest(from_r[i].confidence, true) &&
		    from_r[i].kind != RANK_SUM)
			continue;
		ck_assert_msg(s.has_interval, "entry %zu", i);
		ck_assert_msg(fabs(s.low - from_r[i].low) < 1e-12 &&
				      fabs(s.high - from_r[i].high) < 1e-12,
			      "entry %zu: [%.17g, %.17g], R says [%.17g, %.17g]", i, s.low, s.high,
			      from_r[i].low, from_r[i].high);
		ck_assert_double_ge(s.coverage, from_r[i].confidence - 1e-9);
	}
}
END_TEST

/* The normal approximation errs to the wider side, as its tails are longer. */
static bool near(size_t rank, double exact)
{
	return (double)rank <= exact + 1 && (double)rank >= 0.97 * exact - 1;
}

/*
 * qsignrank((1 - c) / 2, n): 60: 649, 477; 100: 1956, 1579; 400: 35567, 32509. qwilcox of 60 and
 * 65: 1554, 1291; of 100 and 105: 4418, 3861. With the values 1 .. n of the same sign the means of
 * two say which ranks were taken: how many of them are at most the low end.
 */
START_TEST(many_values_come_near)
{
	static const struct {
		size_t n;
		double confidence, signed_rank, rank_sum;
	} want[] = {{60, 0.95, 649, 1554},    {60, 0.999, 477, 1291}, {100, 0.95, 1956, 4418},
		    {100, 0.999, 1579, 3861}, {400, 0.95, 35567, 0},  {400, 0.999, 32509, 0}};

	for (size_t i = 0; i < sizeof(want) / sizeof(want[0]); i++) {
		size_t n = want[i].n, below = 0, m = n + 5;
		double v[400], b[405];
		struct sm_shift s;

		for (size_t k = 0; k < n; k++)
			v[k] = 1 + (double)(k * k) * M_SQRT2;
		ck_assert_int_eq(sm_shift_signed_rank(v, n, want[i].confidence, &s), 0);
		for (size_t k = 0; k < n; k++)
			for (size_t j = k; j < n; j++)
				below += (v[k] + v[j]) / 2 <= s.low;
		ck_assert(near(below, want[i].signed_rank));
		if (want[i].rank_sum == 0)
			continue;
		for (size_t k = 0; k < m; k++)
			b[k] = (double)(k * k) * M_PI;
		ck_assert_int_eq(sm_shift_rank_sum(v, n, b, m, want[i].confidence, &s), 0);
		below = 0;
		for (size_t k = 0; k < n; k++)
			for (size_t j = 0; j < m; j++)
				below += b[j] - v[k] <= s.low;
		ck_assert(near(below, want[i].rank_sum));
	}
}
END_TEST

/* 5 pairs cover 1 - 2/32 at most, 6 cover 1 - 2/64; 3 values a side 1 - 2/20, 4 1 - 2/70. */
START_TEST(too_few_claim_nothing)
{
	double five[] = {5, 1, 4, 2, 3}, six[] = {5, 1, 4, 2, 3, 6}, a[] = {1, 2, 3, 4},
	       b[] = {5, 6, 7, 8};
	struct sm_shift s;

	ck_assert_int_eq(sm_shift_pairs(five, 5, 0.95, &s), 0);
	ck_assert(!s.has_interval);
	ck_assert_double_eq(s.estimate, 3);
	ck_assert_int_eq(sm_shift_signed_rank(five, 5, 0.95, &s), 0);
	ck_assert(!s.has_interval);
	ck_assert_int_eq(sm_shift_pairs(six, 6, 0.95, &s), 0);
	ck_assert(s.has_interval);
	ck_assert_double_eq(s.low, 1);
	ck_assert_double_eq(s.high, 6);
	ck_assert_double_eq_tol(s.coverage, 1 - 2 / 64.0, 1e-12);
	ck_assert_int_eq(sm_shift_rank_sum(a, 3, b, 3, 0.95, &s), 0);
	ck_assert(!s.has_interval);
	ck_assert_int_eq(sm_shift_rank_sum(a, 4, b, 4, 0.95, &s), 0);
	ck_assert(s.has_interval);
	ck_assert_double_eq(s.low, 1);
	ck_assert_double_eq(s.high, 7);
	ck_assert_int_eq(sm_shift_rank_sum(a, 0, b, 4, 0.95, &s), 0);
	ck_assert(isnan(s.estimate) && !s.has_interval);
	ck_assert_int_eq(sm_shift_pairs(a, 0, 0.95, &s), 0);
	ck_assert(isnan(s.estimate) && !s.has_interval);
	ck_assert_uint_eq(sm_ranks_fewest(0.95, true), 6);
	ck_assert_uint_eq(sm_ranks_fewest(0.95, false), 4);
	ck_assert_uint_eq(sm_ranks_fewest(sm_ranks_widened(0.95, 20), true), 10);
}
END_TEST

/* Equal values, zeros of both signs, one value many times. */
START_TEST(ties_are_kept)
{
	double zeros[] = {0.0, -0.0, 0.0, -0.0, 0.0, 0.0, -0.0}, same[12], other[12];
	struct sm_shift s;

	ck_assert_int_eq(sm_shift_signed_rank(zeros, 7, 0.95, &s), 0);
	ck_assert(s.has_interval && s.low == 0 && s.high == 0 && s.estimate == 0);
	for (int i = 0; i < 12; i++) {
		same[i] = 2;
		other[i] = -1;
	}
	ck_assert_int_eq(sm_shift_rank_sum(same, 12, other, 12, 0.95, &s), 0);
	ck_assert(s.has_interval && s.low == -3 && s.high == -3 && s.estimate == -3);
}
END_TEST

/* 1 - 0.05 / 20, each; one row is not widened. */
START_TEST(a_table_is_widened)
{
	ck_assert_double_eq_tol(sm_ranks_widened(0.95, 20), 0.9975, 1e-12);
	ck_assert_double_eq(sm_ranks_widened(0.95, 1), 0.95);
	ck_assert_double_eq(sm_ranks_widened(0.95, 0), 0.95);
}
END_TEST

/* power.t.test(delta, sd, sig.level, power = .8, type)$n / (3 / pi), rounded up. */
START_TEST(power_agrees_with_r)
{
	static const struct {
		double sd, delta, confidence, one, two;
	} want[] = {{0.01, 0.01, 0.95, 9.937864, 16.71477}, {0.01, 0.01, 0.999, 22.4164, 36.88761},
		    {0.05, 0.01, 0.95, 198.1513, 393.4067}, {0.05, 0.01, 0.999, 432.2787, 856.4407},
		    {0.05, 0.03, 0.95, 23.79457, 44.5859},  {0.05, 0.03, 0.999, 52.82528, 97.57837},
		    {0.1, 0.01, 0.95, 786.8109, 1570.737},  {0.1, 0.03, 0.95, 89.14958, 175.3851},
		    {0.1, 0.03, 0.999, 195.1289, 382.1467}};

	for (size_t i = 0; i < sizeof(want) / sizeof(want[0]); i++) {
		double one = want[i].one * M_PI / 3, two = want[i].two * M_PI / 3;
		unsigned n =
			sm_ranks_needed(want[i].sd, want[i].delta, want[i].confidence, 0.8, true);
		unsigned m =
			sm_ranks_needed(want[i].sd, want[i].delta, want[i].confidence, 0.8, false);

		ck_assert_msg(fabs(n - one) <= 1.5 + one / 100, "%zu: %u, R: %g", i, n, one);
		ck_assert_msg(fabs(m - two) <= 1.5 + two / 100, "%zu: %u, R: %g", i, m, two);
	}
	ck_assert_uint_eq(sm_ranks_needed(0, 0.03, 0.95, 0.8, true), 6);
	ck_assert_uint_eq(sm_ranks_needed(1, 0, 0.95, 0.8, true), 1000000);
}
END_TEST

/* quantile(c(9, 1, 4, 7, 2.5), c(.1, .25, .5, .9, .99), type = 7) */
START_TEST(quantiles_agree_with_r)
{
	static const double sorted[] = {1, 2.5, 4, 7, 9}, q[] = {0.1, 0.25, 0.5, 0.9, 0.99},
			    want[] = {1.6, 2.5, 4, 8.2, 8.92};

	for (int i = 0; i < 5; i++)
		ck_assert_double_eq_tol(sm_stats_quantile(sorted, 5, q[i]), want[i], 1e-12);
}
END_TEST

int main(void)
{
	return SM_SUITE("ranks", 0, SM_T(agrees_with_r), SM_T(many_values_come_near),
			SM_T(too_few_claim_nothing), SM_T(ties_are_kept), SM_T(a_table_is_widened),
			SM_T(power_agrees_with_r), SM_T(quantiles_agree_with_r));
}
