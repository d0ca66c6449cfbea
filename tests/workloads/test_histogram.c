/* workloads/histogram.h: buckets partition all values, quantiles are right to 1/64, the maximum is
 * exact. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "workloads/histogram.h"
#include "workloads/rng.h"
#include "tests/support/run.h"

static struct sm_histogram h;

static void reset(void)
{
	memset(&h, 0, sizeof(h));
}

/* Bucket b ends at max(b), and max(b) + 1 is in bucket b + 1: no gap, no overlap. */
START_TEST(buckets_partition)
{
	for (unsigned b = 0; b + 1 < SM_HISTOGRAM_BUCKETS; b++) {
		uint64_t end = sm_histogram_bucket_max(b);

		ck_assert_uint_eq(sm_histogram_bucket(end), b);
		ck_assert_uint_eq(sm_histogram_bucket(end + 1), b + 1);
	}
	ck_assert_uint_eq(sm_histogram_bucket(UINT64_MAX), SM_HISTOGRAM_BUCKETS - 1);
	ck_assert_uint_eq(sm_histogram_bucket_max(SM_HISTOGRAM_BUCKETS - 1), UINT64_MAX);
	ck_assert_uint_eq(sm_histogram_bucket(0), 0);
}
END_TEST

static int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

START_TEST(quantiles_against_sorting)
{
	enum { N = 20000 };
	static const double qs[] = {0.001, 0.25, 0.5, 0.9, 0.99, 0.999, 1.0};
	static uint64_t values[N];
	struct sm_rng r;

	reset();
	sm_rng_seed(&r, 5, 0);
	for (unsigned i = 0; i < N; i++) {
		values[i] = sm_rng_next(&r) >> (20 + sm_rng_below(&r, 40));
		sm_histogram_record(&h, values[i]);
	}
	qsort(values, N, sizeof(values[0]), by_value);
	for (unsigned i = 0; i < sizeof(qs) / sizeof(qs[0]); i++) {
		uint64_t exact = values[(unsigned)(qs[i] * N + 0.5) - 1];
		uint64_t got = sm_histogram_quantile(&h, qs[i]);

		ck_assert_uint_ge(got, exact);
		ck_assert_uint_le(got, exact + exact / 64 + 1);
	}
	ck_assert_uint_eq(h.max, values[N - 1]);
	ck_assert_uint_eq(sm_histogram_quantile(&h, 1.0), values[N - 1]);
}
END_TEST

/* The smallest value that at least so many do not exceed: ranks are rounded up. */
START_TEST(ranks_are_rounded_up)
{
	reset();
	for (uint64_t v = 1; v <= 3; v++)
		sm_histogram_record(&h, v);
	ck_assert_uint_eq(sm_histogram_quantile(&h, 0.5), 2);
	ck_assert_uint_eq(sm_histogram_quantile(&h, 0.34), 2);
	ck_assert_uint_eq(sm_histogram_quantile(&h, 0.33), 1);
	ck_assert_uint_eq(sm_histogram_quantile(&h, 0.9), 3);
}
END_TEST

START_TEST(empty)
{
	reset();
	ck_assert_uint_eq(sm_histogram_quantile(&h, 0.5), 0);
}
END_TEST

int main(void)
{
	return SM_SUITE("histogram", 0, SM_T(buckets_partition), SM_T(quantiles_against_sorting),
			SM_T(ranks_are_rounded_up), SM_T(empty));
}
