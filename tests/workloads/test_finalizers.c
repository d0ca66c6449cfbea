/* finalizers: as many as the share says, each once, and who lives on is whole. */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "tests/support/run.h"
#include "tests/support/sample.h"

/* Of the first n numbers, those that a share of them is made of. */
static int64_t of(int64_t n, int share)
{
	int64_t found = 0;

	for (int64_t i = 0; i < n; i++)
		found += i * 37 % 100 < share;
	return found;
}

START_TEST(each_runs_once)
{
	static const struct {
		int live, share, resurrect, ops, threads;
	} cases[] = {
		{1, 100, 100, 5000, 1},	   {300, 10, 25, 60000, 2}, {50, 33, 0, 40000, 1},
		{1000, 100, 50, 30000, 3}, {1000, 0, 50, 30000, 1},
	};
	const int share = cases[_i].share;
	const int64_t set = of(cases[_i].ops, share) * cases[_i].threads;
	char text[120];

	snprintf(text, sizeof(text), "live=%d share=%d resurrect=%d ops=%d threads=%d size=24",
		 cases[_i].live, share, cases[_i].resurrect, cases[_i].ops, cases[_i].threads);
	EACH_BACKEND(b, "finalizers")
	{
		ok("finalizers", (enum sm_wl_backend)b, text,
		   b == SM_WL_GC ? "gc.verify=1 gc.min_heap=1m gc.room=1" : "");
		ck_assert_int_eq(integer("ops"), (int64_t)cases[_i].ops * cases[_i].threads);
		ck_assert_int_eq(integer("finalizers"), set);
		/* What stale words may keep is a handful. */
		ck_assert_int_le(integer("finalized"), set);
		ck_assert_int_ge(integer("finalized"), set - 20);
		ck_assert_int_eq(integer("resurrected"),
				 of(integer("finalized"), cases[_i].resurrect));
		if (share > 0) {
			ck_assert(number("p50_us") <= number("p99_us"));
			ck_assert(number("p99_us") <= number("max_us"));
		} else {
			ck_assert(!sm_sample_result(&sample, "p50_us")->has_value);
			ck_assert(!sm_sample_result(&sample, "max_us")->has_value);
		}
		sm_sample_free(&sample);
	}
}
END_TEST

START_TEST(without_a_collector_it_is_refused)
{
	for (unsigned b = 0; b < SM_WL_COUNT; b++) {
		if (b == SM_WL_GC || b == SM_WL_BDWGC)
			continue;
		ck_assert_int_eq(run_with("finalizers", (enum sm_wl_backend)b, "", ""), -EINVAL);
		ck_assert_ptr_nonnull(strstr(sample.error, "must be gc or bdwgc"));
		sm_sample_free(&sample);
	}
}
END_TEST

int main(void)
{
	return SM_SUITE("finalizers", 120, SM_LOOP(each_runs_once, 0, 5),
			SM_T(without_a_collector_it_is_refused));
}
