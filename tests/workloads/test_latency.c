/* workloads/latency.h: metered latency by hand, by its definition, and over a long run. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "workloads/latency.h"
#include "workloads/rng.h"
#include "tests/support/run.h"

static struct sm_histogram simple, metered;

static void meter(const struct sm_request *r, size_t n, uint64_t window)
{
	memset(&simple, 0, sizeof(simple));
	memset(&metered, 0, sizeof(metered));
	sm_latency_simple(r, n, &simple);
	sm_latency_metered(r, n, window, &metered);
	ck_assert_uint_eq(simple.count, n);
	ck_assert_uint_eq(metered.count, n);
}

/* The quantile is that value, or what the histogram makes of it. */
static void is(const struct sm_histogram *h, double q, uint64_t value)
{
	uint64_t got = sm_histogram_quantile(h, q);

	ck_assert_msg(got >= value && got <= value + value / 64 + 1, "p%g: %llu, not %llu", 100 * q,
		      (unsigned long long)got, (unsigned long long)value);
}

/* 1000 requests of 1 ms, one after the other, of which the 500th takes longer; in us. */
static struct sm_request row[1000];
static void with_stall(uint64_t stall)
{
	uint64_t at = 0;

	for (unsigned i = 0; i < 1000; i++) {
		row[i].start = at;
		at += i == 500 ? stall : 1000;
		row[i].end = at;
	}
}

START_TEST(a_stall_charges_the_queue)
{
	with_stall(50000);
	meter(row, 1000, SM_LATENCY_UNBOUNDED);
	is(&simple, 0.5, 1000);
	is(&simple, 0.99, 1000);
	is(&simple, 0.999, 1000);
	ck_assert_uint_eq(simple.max, 50000);
	/* Arrivals are 1048/999 ms apart. So those before the stall start later than they arrive by
	 * nothing; request i after it ends at i + 50 ms and arrives at 1048 i / 999. The 11th
	 * longest of all is that of 510. */
	is(&metered, 0.5, 1000);
	is(&metered, 0.99, 510000 + 50000 - 510 * 1048000 / 999);
	is(&metered, 0.999, 501000 + 50000 - 501 * 1048000 / 999);
	ck_assert_uint_eq(metered.max, 50000);
}
END_TEST

/* Within 50 ms after a stall of 10 ms began, 100 ms hold 91 starts, of which 41 lie before each
 * request. A stall of 50 ms leaves the window with the second start that follows. */
START_TEST(a_window_forgets)
{
	with_stall(10000);
	meter(row, 1000, 100000);
	is(&metered, 0.95, 1000);
	is(&metered, 0.99, 511000 - 460000 - 41 * 100000 / 91);
	is(&metered, 0.999, 511000 - 460000 - 41 * 100000 / 91);
	ck_assert_uint_eq(metered.max, 10000);
	with_stall(50000);
	meter(row, 1000, 100000);
	is(&metered, 0.998, 1000);
	is(&metered, 0.999, 551000 - 500000 - 100000 / 51);
	ck_assert_uint_eq(metered.max, 50000);
}
END_TEST

START_TEST(few_requests)
{
	struct sm_request two[] = {{7, 9}, {7, 20}};

	meter(NULL, 0, 100);
	ck_assert_uint_eq(sm_histogram_quantile(&metered, 0.5), 0);
	meter(two, 1, 100);
	ck_assert_uint_eq(metered.max, 2);
	meter(two, 2, 0);
	ck_assert_uint_eq(metered.max, 13);
	meter(two, 2, SM_LATENCY_UNBOUNDED);
	ck_assert_uint_eq(metered.max, 13);
}
END_TEST

/* A million requests one after the other, each of 1000.37 units as far as whole ones go: the
 * evenly spread arrivals are theirs, to the last. */
START_TEST(nothing_drifts)
{
	static const uint64_t windows[] = {0, 1001, 5000000, SM_LATENCY_UNBOUNDED};
	enum { N = 1000000 };
	struct sm_request *r = malloc(N * sizeof(*r));

	ck_assert_ptr_nonnull(r);
	for (uint64_t i = 0; i < N; i++)
		r[i] = (struct sm_request){i * 100037 / 100, (i + 1) * 100037 / 100};
	meter(r, N, windows[_i]);
	ck_assert_uint_eq(simple.max, 1001);
	ck_assert_uint_le(metered.max, 1002);
	/* The same far from 0, where a float would have lost them. */
	for (uint64_t i = 0; i < N; i++) {
		r[i].start += (uint64_t)1 << 61;
		r[i].end += (uint64_t)1 << 61;
	}
	meter(r, N, windows[_i]);
	ck_assert_uint_le(metered.max, 1002);
	free(r);
}
END_TEST

/* ---- against the definition --------------------------------------------------------------- */

/* Word by word, with a search through all. */
static uint64_t by_definition(const struct sm_request *r, size_t n, size_t i, uint64_t window)
{
	__int128 half = window / 2, start = r[i].start, arrival;
	size_t first = 0, last = 0;

	while ((__int128)r[first].start < start - half)
		first++;
	while (last < n - 1 && (__int128)r[last].start < start + half)
		last++;
	arrival = start;
	if (last > first)
		arrival = r[first].start +
			  (__int128)(i - first) * (r[last].start - r[first].start) / (last - first);
	return r[i].end - (uint64_t)(arrival < start ? arrival : start);
}

START_TEST(random_requests)
{
	static const uint64_t windows[] = {0, 1, 2, 1000, 30000, 1000000, SM_LATENCY_UNBOUNDED};
	static struct sm_histogram expected;
	enum { N = 700 };
	static struct sm_request r[N];
	struct sm_rng rng;
	uint64_t at = 0;

	sm_rng_seed(&rng, 23, (uint64_t)_i);
	for (unsigned i = 0; i < N; i++) {
		/* Of several threads, so they overlap; some start together. */
		at += sm_rng_below(&rng, 4) ? sm_rng_below(&rng, 200) : 0;
		if (sm_rng_below(&rng, 100) == 0)
			at += sm_rng_below(&rng, 30000);
		r[i].start = at;
		r[i].end = at + sm_rng_below(&rng, 1000);
	}
	for (unsigned i = N - 1; i > 0; i--) {
		unsigned j = (unsigned)sm_rng_below(&rng, i + 1);
		struct sm_request swap = r[i];

		r[i] = r[j];
		r[j] = swap;
	}
	sm_latency_sort(r, N);
	for (unsigned w = 0; w < sizeof(windows) / sizeof(windows[0]); w++) {
		meter(r, N, windows[w]);
		memset(&expected, 0, sizeof(expected));
		for (size_t i = 0; i < N; i++) {
			ck_assert(i == 0 || r[i - 1].start <= r[i].start);
			sm_histogram_record(&expected, by_definition(r, N, i, windows[w]));
		}
		ck_assert_msg(memcmp(&expected, &metered, sizeof(metered)) == 0,
			      "window %llu of %d", (unsigned long long)windows[w], _i);
		for (double q = 0.01; q <= 1; q += 0.01)
			ck_assert_uint_ge(sm_histogram_quantile(&metered, q),
					  sm_histogram_quantile(&simple, q));
	}
}
END_TEST

int main(void)
{
	return SM_SUITE("latency", 60, SM_T(a_stall_charges_the_queue), SM_T(a_window_forgets),
			SM_T(few_requests), SM_LOOP(nothing_drifts, 0, 4),
			SM_LOOP(random_requests, 0, 20));
}
