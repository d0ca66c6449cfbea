/* workloads/series.h and history.c: what is thinned keeps its peaks and its end, points come back
 * as they went, and a run's series say what its results say. */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "spanmark/gc.h"
#include "tests/support/run.h"
#include "tests/support/sample.h"
#include "workloads/series.h"

static struct sm_trail t;

/* Whatever comes, the trail is bounded, in order, and no figure is larger or smaller than it was.
 */
START_TEST(thinned_to_peaks)
{
	static const unsigned lengths[] = {1, 63, 64, 65, 1000, 100000};
	unsigned n = lengths[_i], peak = n * 2 / 3;
	uint64_t most = 0;

	memset(&t, 0, sizeof(t));
	for (unsigned i = 0; i < n; i++) {
		uint64_t y[SM_TRAIL_LINES] = {i % 7, i == peak ? 1000 : 1, 5};

		sm_trail_add(&t, 10 * i, y);
	}
	ck_assert_uint_le(t.n, SM_TRAIL_POINTS);
	ck_assert_uint_ge(t.n, n < SM_TRAIL_POINTS / 2 ? n : SM_TRAIL_POINTS / 2);
	for (unsigned i = 0; i < t.n; i++) {
		uint64_t until = i + 1 < t.n ? t.points[i + 1].x : UINT64_MAX;

		ck_assert(i == 0 || t.points[i].x > t.points[i - 1].x);
		ck_assert_uint_eq(t.points[i].y[2], 5);
		most = t.points[i].y[1] > most ? t.points[i].y[1] : most;
		ck_assert_uint_eq(t.points[i].y[1] == 1000,
				  t.points[i].x <= 10 * peak && 10 * peak < until);
	}
	ck_assert_uint_eq(most, 1000);
	ck_assert_uint_eq(t.points[0].x, 0);
	/* the last point holds the last moment, and no more moments than the others */
	ck_assert_uint_lt((n - 1) * 10ul - t.points[t.n - 1].x, 10ul << t.each);
}
END_TEST

START_TEST(points_come_back)
{
	uint64_t y[SM_TRAIL_LINES] = {7, 0, UINT64_MAX};
	double(*points)[2];
	char *text;
	size_t n;

	memset(&t, 0, sizeof(t));
	for (unsigned i = 0; i < 5; i++)
		sm_trail_add(&t, 100 + i, y);
	text = sm_trail_text(&t, 0, 102, 104);
	ck_assert_str_eq(text, "[[0,7],[1,7],[2,7]]");
	ck_assert_int_eq(sm_series_read(text, &points, &n), 0);
	ck_assert_uint_eq(n, 3);
	ck_assert_double_eq(points[2][0], 2);
	ck_assert_double_eq(points[2][1], 7);
	free(points);
	free(text);
	text = sm_trail_text(&t, 0, 102, 103);
	ck_assert_str_eq(text, "[[0,7],[1,7]]");
	free(text);
	ck_assert_ptr_null(sm_trail_text(&t, 0, 1000, 2000));
	ck_assert_ptr_null(sm_trail_text(&t, 2, 0, 1000)); /* "none" throughout */
}
END_TEST

START_TEST(other_texts_are_refused)
{
	static const char *const bad[] = {"",
					  "[",
					  "[]",
					  "[[1,2]",
					  "[[1,2]]x",
					  "[[1,2],]",
					  "[[1]]",
					  "[[1,2,3]]",
					  "[[-1,2]]",
					  "[[1,nan]]",
					  "[[1,1e999]]",
					  "{}",
					  "[[1,2][3,4]]",
					  "[[1,\"</script>\"]]"};
	double(*points)[2];
	size_t n;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		ck_assert_int_eq(sm_series_read(bad[i], &points, &n), -EINVAL);
		ck_assert_ptr_null(points);
		ck_assert_uint_eq(n, 0);
	}
}
END_TEST

static const char *points_of(const char *name)
{
	for (size_t i = 0; i < sample.nseries; i++)
		if (strcmp(sample.series[i].name, name) == 0)
			return sample.series[i].points;
	return NULL;
}

/* Of each cause as many waits as the result counts; and a point of the heap for each cycle, none
 * above its goal's line by accident of names: what is live is no more than what was there. */
START_TEST(a_run_tells_its_waits_and_heap)
{
	double(*points)[2], (*before)[2];
	size_t n, m;

	ok("churn", SM_WL_GC, "", "heap.limit=0");
	ck_assert(sample.began_ns > 0);
	for (unsigned c = 0; c < SM_STALL_CAUSES; c++) {
		char series[40], result[48];
		double sum = 0;

		snprintf(series, sizeof(series), "stall_%s", sm_stall_name((enum sm_stall_cause)c));
		snprintf(result, sizeof(result), "%s_count", series);
		if (points_of(series) != NULL) {
			ck_assert_int_eq(sm_series_read(points_of(series), &points, &n), 0);
			for (size_t i = 0; i < n; i++) {
				ck_assert(i == 0 || points[i][0] > points[i - 1][0]);
				sum += points[i][1];
			}
			free(points);
		}
		ck_assert_double_eq(sum, number(result));
	}
	ck_assert(number("gc_cycles") > 0);
	ck_assert(sample.ended_ns > sample.began_ns);
	ck_assert_int_eq(sm_series_read(points_of("heap_live"), &points, &n), 0);
	ck_assert_int_eq(sm_series_read(points_of("heap_before"), &before, &m), 0);
	ck_assert_uint_eq(n, m);
	for (size_t i = 0; i < n; i++)
		ck_assert(points[i][0] == before[i][0] && points[i][1] > 0);
	free(points);
	free(before);
	sm_sample_free(&sample);
}
END_TEST

START_TEST(no_goal_is_no_series)
{
	ok("slices", SM_WL_GC, "", "gc.percent=0");
	ck_assert_ptr_nonnull(points_of("heap_before"));
	ck_assert_ptr_null(points_of("heap_goal"));
	sm_sample_free(&sample);
}
END_TEST

START_TEST(without_a_collector_there_is_none)
{
	ok("churn", SM_WL_LIBC, "", "");
	ck_assert_uint_eq(sample.nseries, 0);
	ck_assert(sample.began_ns > 0);
	sm_sample_free(&sample);
}
END_TEST

int main(void)
{
	return SM_SUITE("series", 60, SM_LOOP(thinned_to_peaks, 0, 6), SM_T(points_come_back),
			SM_T(other_texts_are_refused), SM_T(a_run_tells_its_waits_and_heap),
			SM_T(no_goal_is_no_series), SM_T(without_a_collector_there_is_none));
}
