/* test_stall: the log-linear histogram against the values themselves. */
#include <time.h>

#include "collector/mutator/stall.h"
#include "tests/support/gctest.h"
#include "tests/support/run.h"

START_TEST(buckets_cover_everything)
{
	uint64_t last = 0;

	for (unsigned b = 0; b < SM_STALL_BUCKETS - 1; b++) {
		uint64_t top = sm__stall_bucket_top(b);

		ck_assert_uint_eq(sm__stall_bucket(top), b);
		ck_assert_uint_eq(sm__stall_bucket(top + 1), b + 1);
		ck_assert(b == 0 || top > last);
		/* A bucket is at most a sixteenth of its values wide. */
		ck_assert(b < 32 || top - last <= top / 16);
		last = top;
	}
	ck_assert_uint_eq(sm__stall_bucket(UINT64_MAX), SM_STALL_BUCKETS - 1);
}
END_TEST

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

START_TEST(quantiles)
{
	static struct sm_stall_hist h, sum;
	static uint64_t v[50000];
	struct sm_gc_stall s;
	uint64_t rs = 5, total = 0;
	size_t n = sizeof(v) / sizeof(v[0]);

	for (size_t i = 0; i < n; i++) {
		v[i] = gctest_random(&rs) >> (24 + gctest_random(&rs) % 36);
		total += v[i];
		sm__stall_record(&h, v[i], SM_KEPT_UNKNOWN);
	}
	sm__stall_add(&sum, &h);
	sm__stall_summary(&sum, &s);
	qsort(v, n, sizeof(v[0]), compare);
	ck_assert_uint_eq(s.count, n);
	ck_assert_uint_eq(s.total_ns, total);
	ck_assert_uint_eq(s.max_ns, v[n - 1]);
	ck_assert_uint_ge(s.p50_ns, v[n / 2]);
	ck_assert_uint_le(s.p50_ns, v[n / 2] + v[n / 2] / 16 + 1);
	ck_assert_uint_ge(s.p99_ns, v[n * 99 / 100]);
	ck_assert_uint_le(s.p99_ns, v[n * 99 / 100] + v[n * 99 / 100] / 16 + 1);
	ck_assert_uint_ge(s.p999_ns, v[n * 999 / 1000]);
}
END_TEST

START_TEST(empty_and_single)
{
	static struct sm_stall_hist h;
	struct sm_gc_stall s;

	sm__stall_summary(&h, &s);
	ck_assert_uint_eq(s.count + s.p50_ns + s.max_ns, 0);
	sm__stall_record(&h, 12345, SM_KEPT_UNKNOWN);
	sm__stall_summary(&h, &s);
	ck_assert_uint_eq(s.p50_ns, 12345);
	ck_assert_uint_eq(s.p999_ns, 12345);
}
END_TEST

/* Those in which the thread kept its CPU, those in which it lost it, and the rest; the longest of
 * each. */
START_TEST(kept_and_lost)
{
	static struct sm_stall_hist h, sum;
	struct sm_gc_stall s;

	sm__stall_record(&h, 100, SM_KEPT);
	sm__stall_record(&h, 70, SM_KEPT);
	sm__stall_record(&h, 5000, SM_KEPT_LOST);
	sm__stall_record(&h, 90000, SM_KEPT_UNKNOWN);
	sm__stall_add(&sum, &h);
	sm__stall_add(&sum, &h);
	sm__stall_summary(&sum, &s);
	ck_assert_uint_eq(s.count, 8);
	ck_assert_uint_eq(s.kept, 4);
	ck_assert_uint_eq(s.kept_max_ns, 100);
	ck_assert_uint_eq(s.lost, 2);
	ck_assert_uint_eq(s.lost_max_ns, 5000);
	ck_assert_uint_eq(s.max_ns, 90000);
	sm__stall_clear_hist(&h);
	sm__stall_summary(&h, &s);
	ck_assert_uint_eq(s.kept + s.lost + s.kept_max_ns + s.lost_max_ns, 0);
}
END_TEST

/* The kernel tells. A thread that sleeps has lost its CPU, unless its time was over before it
 * slept; one that does nothing keeps it at least once. */
START_TEST(the_kernel_tells)
{
	unsigned kept = 0, lost = 0;

	sm__preempted_init();
	if (!sm__preempted_on) {
		ck_assert_int_eq(sm__preempted_end(sm__preempted_begin()), SM_KEPT_UNKNOWN);
		return;
	}
	for (int i = 0; i < 20; i++) {
		uint64_t w = sm__preempted_begin();

		nanosleep(&(struct timespec){0, 1000000}, NULL);
		lost += sm__preempted_end(w) == SM_KEPT_LOST;
	}
	ck_assert_uint_ge(lost, 10);
	for (int i = 0; i < 100000 && kept == 0; i++) {
		uint64_t w = sm__preempted_begin();

		kept += sm__preempted_end(w) == SM_KEPT;
	}
	ck_assert_uint_eq(kept, 1);
	ck_assert_int_eq(sm__preempted_end(0), SM_KEPT_UNKNOWN);
}
END_TEST

int main(void)
{
	return SM_SUITE("stall", 0, SM_T(buckets_cover_everything), SM_T(quantiles),
			SM_T(empty_and_single), SM_T(kept_and_lost), SM_T(the_kernel_tells));
}
