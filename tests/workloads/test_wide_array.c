/* wide-array: every entry holds the object that belongs there, and all replacements are told of. */
#include <check.h>

#include "tests/support/run.h"
#include "tests/support/sample.h"

/* Arrays of one entry, and of less and of more than a piece that is marked at a time (8 KiB). So
 * many replacements that each entry of the share has one. */
START_TEST(entries_are_in_their_places)
{
	static const char *const cases[] = {
		"entries=1 arrays=3 share=100 size=16 ops=2000 threads=1",
		"entries=700 arrays=2 share=50 size=40 ops=20000 threads=2",
		"entries=30000 arrays=2 share=1 size=16 ops=1000000 threads=2",
	};
	static const int64_t ops[] = {2000, 40000, 2000000}, replaced[] = {3, 1400, 1200};

	EACH_BACKEND(b, "wide-array")
	{
		ok("wide-array", (enum sm_wl_backend)b, cases[_i],
		   b == SM_WL_GC ? "gc.verify=1 gc.min_heap=1m gc.room=1" : "");
		ck_assert_int_eq(integer("ops"), ops[_i]);
		ck_assert_int_eq(integer("replaced"), replaced[_i]);
		if (b == SM_WL_GC && _i == 2)
			ck_assert_int_gt(integer("gc_cycles"), 0);
		sm_sample_free(&sample);
	}
}
END_TEST

int main(void)
{
	return SM_SUITE("wide-array", 60, SM_LOOP(entries_are_in_their_places, 0, 3));
}
