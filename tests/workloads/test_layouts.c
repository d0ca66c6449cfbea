/* layouts: as many different types as asked for, and every pointer leads where it should. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/support/run.h"
#include "tests/support/sample.h"

/* By the definition in docs/WORKLOADS.md. */
static int64_t words(int64_t k)
{
	return 14 + k % 16;
}

static int64_t pattern(int64_t k)
{
	return (k / 16 + 1) * 2533 % 8192;
}

START_TEST(layouts_are_all_different)
{
	static bool seen[8192][16];

	for (int64_t k = 0; k < 100000; k++) {
		bool *s = &seen[pattern(k)][k % 16];

		ck_assert(pattern(k) != 0 && !*s);
		*s = true;
	}
}
END_TEST

START_TEST(pointers_are_counted)
{
	static const struct {
		int types, objects, rounds, threads;
	} cases[] = {{1, 1, 1, 1}, {10, 300, 3, 2}, {1000, 7, 2, 1}, {20000, 2, 2, 2}};
	const int which = _i / SM_WL_COUNT;
	/* each in a process of its own: memory is counted */
	const unsigned b = (unsigned)_i % SM_WL_COUNT;
	const int types = cases[which].types, objects = cases[which].objects,
		  times = cases[which].rounds * cases[which].threads;
	int64_t pointers = 0, bytes = 0;
	char text[120];

	for (int k = 0; k < types; k++) {
		pointers += __builtin_popcountll((unsigned long long)pattern(k));
		bytes += words(k) * 8;
	}
	snprintf(text, sizeof(text), "types=%d objects=%d rounds=%d threads=%d", types, objects,
		 cases[which].rounds, cases[which].threads);
	if (!runs_on("layouts", b))
		return;
	ok("layouts", (enum sm_wl_backend)b, text,
	   b == SM_WL_GC ? "gc.verify=1 gc.min_heap=1m" : "");
	ck_assert_int_eq(integer("followed"), pointers * objects * times);
	ck_assert_int_eq(integer("ops"), 2 * (int64_t)types * objects * times);
	ck_assert(number("requested_per_object") == (double)bytes / types);
	if (b == SM_WL_GC || b == SM_WL_BDWGC)
		ck_assert_int_ge(integer("gc_cycles"), cases[which].rounds);
	/* Of some MiB: no page is touched twice, and what is asked for is there. */
	if (which == 3 && sm_sample_result(&sample, "bytes_per_object")->has_value) {
		ck_assert(number("bytes_per_object") >= (double)bytes / types);
		ck_assert(number("bytes_per_object") < 2 * (double)bytes / types);
	}
	sm_sample_free(&sample);
}
END_TEST

int main(void)
{
	return SM_SUITE("layouts", 120, SM_T(layouts_are_all_different),
			SM_LOOP(pointers_are_counted, 0, 4 * SM_WL_COUNT));
}
