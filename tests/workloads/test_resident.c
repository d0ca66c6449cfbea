/* workloads/resident.h: resident memory is what the kernel has, and each step is reported. */
#include <check.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "tests/support/run.h"
#include "tests/support/sample.h"
#include "tests/support/skip.h"
#include "workloads/resident.h"

#define MANY ((size_t)32 << 20)
#define SOME (MANY / 16) /* what else may come or go */

/* The thread sanitizer's shadow of what is touched is resident, too. */
#if defined(__SANITIZE_THREAD__)
#define SHADOW 10
#else
#define SHADOW 0
#endif

static void *pages(size_t bytes)
{
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	ck_assert_ptr_ne(p, MAP_FAILED);
	madvise(p, bytes, MADV_NOHUGEPAGE);
	return p;
}

START_TEST(resident_is_what_was_touched)
{
	struct sm_resident r;
	char *p;

	sm_resident_begin(&r);
	if (r.err != 0)
		SM_SKIP("no /proc/self/smaps_rollup here");
	if (SHADOW)
		SM_SKIP("the sanitizer's shadow memory comes and goes");
	p = pages(MANY);
	ck_assert_uint_le(sm_resident_read(&r), SOME);
	memset(p, 1, MANY);
	ck_assert_uint_ge(sm_resident_read(&r), MANY - SOME);
	ck_assert_uint_le(sm_resident_read(&r), MANY + SOME);
	ck_assert_uint_le(r.now.lazy, SOME);
	/* Given back lazily, it counts until somebody needs it; unmapped, it does not. */
	if (madvise(p, MANY, MADV_FREE) == 0 && sm_resident_read(&r) > MANY - SOME)
		ck_assert_uint_ge(r.now.lazy, MANY - SOME);
	munmap(p, MANY);
	ck_assert_uint_le(sm_resident_read(&r), SOME);
}
END_TEST

/* Every backend's memory is resident when it holds objects in which every word was written. */
START_TEST(fragment_reports_each_step)
{
	struct sm_rss rss;

	if (sm_rss_read(&rss) != 0)
		SM_SKIP("no /proc/self/smaps_rollup here");
	EACH_BACKEND(b, "fragment")
	{
		double worst = 0;

		ok("fragment", (enum sm_wl_backend)b, "live=6m steps=7",
		   b == SM_WL_GC ? "gc.verify=1" : "");
		for (unsigned i = 1; i <= 7; i++) {
			char name[32];

			snprintf(name, sizeof(name), "rss_over_live_%u", i);
			ck_assert_double_gt(number(name), 0.9);
			worst = number(name) > worst ? number(name) : worst;
			snprintf(name, sizeof(name), "rss_kib_%u", i);
			ck_assert_double_gt(number(name), i % 2 ? 6 * 1024 : 0);
		}
		ck_assert_ptr_null(sm_sample_result(&sample, "rss_over_live_8"));
		ck_assert_double_eq(number("rss_over_live"), number("rss_over_live_7"));
		ck_assert_double_eq(number("rss_over_live_worst"), worst);
		sm_sample_free(&sample);
		/* Of which nothing is left, there is no ratio. */
		ok("fragment", (enum sm_wl_backend)b, "live=64k steps=2 drop=100", "");
		ck_assert(!sm_sample_result(&sample, "rss_over_live_2")->has_value);
		ck_assert_double_eq(number("rss_over_live_worst"), number("rss_over_live_1"));
		sm_sample_free(&sample);
	}
}
END_TEST

/* An object takes what was asked for, and not much more. */
START_TEST(footprint_reports_what_objects_cost)
{
	struct sm_rss rss;

	for (unsigned b = 0; b < SM_WL_COUNT; b++) {
		if (!runs_on("footprint", b))
			continue;
		ok("footprint", (enum sm_wl_backend)b,
		   "objects=100k min_size=24 max_size=136 sequential=0", "");
		ck_assert_int_eq(integer("ops"), 200000);
		ck_assert_double_gt(number("requested_per_object"), 79);
		ck_assert_double_lt(number("requested_per_object"), 81);
		ck_assert_double_gt(number("random_ns"), 0);
		ck_assert(!sm_sample_result(&sample, "sequential_ns")->has_value);
		if (sm_rss_read(&rss) == 0) {
			ck_assert_double_gt(number("bytes_per_object"), 75);
			ck_assert_double_lt(number("bytes_per_object"), 300 * (1 + SHADOW));
			ck_assert_double_gt(number("rss_over_live"), 0.9);
		}
		sm_sample_free(&sample);
	}
}
END_TEST

START_TEST(footprint_refuses)
{
	ck_assert_int_ne(run_with("footprint", SM_WL_LIBC, "min_size=64 max_size=56", ""), 0);
	ck_assert_ptr_nonnull(strstr(sample.error, "min_size=64: must be at most max_size, 56"));
	sm_sample_free(&sample);
	ck_assert_int_ne(run_with("footprint", SM_WL_LIBC, "sequential=0 random=0", ""), 0);
	ck_assert_ptr_nonnull(strstr(sample.error, "random=0: must be at least 1"));
	sm_sample_free(&sample);
}
END_TEST

/* Its last phase says what went back: at most all of it. */
START_TEST(phases_report_what_goes_back)
{
	struct sm_rss rss;

	if (sm_rss_read(&rss) != 0)
		SM_SKIP("no /proc/self/smaps_rollup here");
	for (unsigned b = 0; b < SM_WL_COUNT; b++) {
		if (!runs_on("phases", b))
			continue;
		ok("phases", (enum sm_wl_backend)b, "sessions=2000 requests=1000 phase=1",
		   b == SM_WL_GC ? "gc.verify=1 gc.min_heap=1m" : "");
		ck_assert_double_gt(number("rss_over_live_2"), 0.9);
		ck_assert_double_gt(number("rss_over_live_8"), 0.9);
		ck_assert_double_lt(number("rss_returned_share"), 200);
		ck_assert_double_gt(number("request_ns"), 0);
		sm_sample_free(&sample);
		ok("phases", (enum sm_wl_backend)b, "sessions=1 requests=0 phase=0", "");
		ck_assert(!sm_sample_result(&sample, "rss_half_ms")->has_value);
		ck_assert(!sm_sample_result(&sample, "request_ns")->has_value);
		sm_sample_free(&sample);
	}
}
END_TEST

int main(void)
{
	return SM_SUITE("resident", 60, SM_T(resident_is_what_was_touched),
			SM_T(fragment_reports_each_step), SM_T(footprint_reports_what_objects_cost),
			SM_T(footprint_refuses), SM_T(phases_report_what_goes_back));
}
