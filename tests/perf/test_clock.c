/* The rate of the tick counter: found once, or taken from a parent that found it. */
#include "perf/clock.h"

#include <check.h>
#include <math.h>

#include "tests/support/run.h"

START_TEST(a_rate_is_taken_from_a_parent)
{
	sm_clock_take_ticks_per_ns(1.25);
	ck_assert_double_eq(sm_clock_ticks_per_ns(), 1.25);
	/* it does not change any more */
	sm_clock_take_ticks_per_ns(2.5);
	ck_assert_double_eq(sm_clock_ticks_per_ns(), 1.25);
}
END_TEST

START_TEST(what_is_no_rate_is_not_taken)
{
	static const double none[] = {0, -1, 1e-9, 1e9, NAN, INFINITY};

	for (unsigned i = 0; i < sizeof(none) / sizeof(none[0]); i++)
		sm_clock_take_ticks_per_ns(none[i]);
	ck_assert_double_gt(sm_clock_ticks_per_ns(), 0.001);
	ck_assert_double_lt(sm_clock_ticks_per_ns(), 100);
}
END_TEST

int main(void)
{
	return SM_SUITE("clock", 0, SM_T(a_rate_is_taken_from_a_parent),
			SM_T(what_is_no_rate_is_not_taken));
}
