/* The workload mutate: the rate that was asked for is kept, and marking goes on beside it. */
#include <check.h>
#include <string.h>

#include "tests/support/run.h"
#include "tests/support/sample.h"

START_TEST(mutate_beside_marking)
{
	ok("mutate", SM_WL_GC, "nodes=50000 stores=3m pause=0 threads=2", "gc.verify=1");
	ck_assert_int_ge(integer("gc_cycles"), 1);
	ck_assert_double_gt(number("mark_objects_per_s"), 0);
	ck_assert_double_gt(number("writer_store_ns_marking"), 0);
	ck_assert_int_eq(integer("verify_errors"), 0);
	sm_sample_free(&sample);
}
END_TEST

/* No faster than the rate; how much slower the machine decides. */
START_TEST(mutate_keeps_the_rate)
{
	for (unsigned b = 0; b < SM_WL_COUNT; b++) {
		if (!runs_on("mutate", b))
			continue;
		ok("mutate", (enum sm_wl_backend)b, "nodes=1000 stores=20000 rate=200 pause=5", "");
		ck_assert_double_ge(number("wall_s"), 0.1 * 0.99);
		ck_assert_double_gt(number("writer_store_ns_calm"), 0);
		if (b != SM_WL_GC)
			ck_assert(!sm_sample_result(&sample, "writer_store_ns_marking")->has_value);
		sm_sample_free(&sample);
	}
}
END_TEST

START_TEST(mutate_without_replacing)
{
	for (unsigned b = 0; b < SM_WL_COUNT; b++) {
		if (!runs_on("mutate", b))
			continue;
		ok("mutate", (enum sm_wl_backend)b, "nodes=1 stores=1 replace=0 size=24", "");
		ck_assert_int_eq(integer("replaced"), 0);
		sm_sample_free(&sample);
	}
}
END_TEST

START_TEST(mutate_refuses)
{
	ck_assert_int_ne(run_with("mutate", SM_WL_LIBC, "nodes=300 share=1 threads=4", ""), 0);
	ck_assert_ptr_nonnull(strstr(sample.error, "share=1: 1 % of nodes=300 must be at least"));
	sm_sample_free(&sample);
}
END_TEST

int main(void)
{
	return SM_SUITE("mutate", 60, SM_T(mutate_beside_marking), SM_T(mutate_keeps_the_rate),
			SM_T(mutate_without_replacing), SM_T(mutate_refuses));
}
