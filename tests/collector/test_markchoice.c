/*
 * test_markchoice: gc.mark=auto takes the better kind of marking, tries the other seldom, and finds
 * out when a heap has changed.
 */
#include <check.h>

#include "collector/markchoice.h"
#include "tests/support/run.h"

/* Of so many cycles, how many are by span, when an object costs so much by object and by span. */
static unsigned run(struct sm_mark_choice *c, unsigned cycles, double object, double span,
		    uint64_t alone, uint64_t objects)
{
	unsigned by_span = 0;

	for (unsigned i = 0; i < cycles; i++) {
		bool s = sm__mark_choose(c);
		struct sm_mark_cycle m = {.objects = objects,
					  .ns = (s ? span : object) * (double)objects,
					  .spans = s ? 100 : 0,
					  .alone = s ? alone : 0};

		by_span += s;
		sm__mark_learn(c, &m);
	}
	return by_span;
}

START_TEST(the_better_is_taken)
{
	struct sm_mark_choice c = {0};

	ck_assert_uint_le(run(&c, 1000, 10, 20, 10, 1000000), 10);
	ck_assert_uint_ge(run(&c, 1000, 20, 10, 10, 1000000), 850);
	ck_assert(c.by_span);
	ck_assert_uint_le(run(&c, 3000, 10, 20, 10, 1000000), 1100);
	ck_assert(!c.by_span);
}
END_TEST

/* A list: a try costs five cycles, so there are few. */
START_TEST(a_list_is_tried_seldom)
{
	struct sm_mark_choice c = {0};

	ck_assert_uint_eq(run(&c, 30, 10, 50, 99, 1000000), 1);
	ck_assert_uint_le(run(&c, 2000, 10, 50, 99, 1000000), 5);
}
END_TEST

START_TEST(equal_ones_do_not_change_places)
{
	struct sm_mark_choice c = {0};

	ck_assert_uint_le(run(&c, 1000, 10, 9.9, 10, 1000000), 10);
	ck_assert(!c.by_span);
}
END_TEST

/* The first cycles are slow, and now and then one is: neither brings the worse kind for long. */
START_TEST(what_disturbs_is_no_reason)
{
	struct sm_mark_choice c = {0};
	unsigned by_span = 0;

	for (unsigned i = 0; i < 1000; i++) {
		bool s = sm__mark_choose(&c);
		double ns = (s ? 15 : 10) * (i < 3 || i % 50 == 49 ? 4 : 1);
		struct sm_mark_cycle m = {1000000, ns * 1e6, s ? 100 : 0, s ? 10 : 0};

		by_span += s;
		sm__mark_learn(&c, &m);
	}
	ck_assert_uint_le(by_span, 40);
}
END_TEST

START_TEST(small_heaps_tell_nothing)
{
	struct sm_mark_choice c = {0};

	ck_assert_uint_eq(run(&c, 1000, 20, 10, 10, SM_CHOICE_OBJECTS - 1), 0);
	ck_assert(c.cost[0] == 0);
}
END_TEST

int main(void)
{
	return SM_SUITE("markchoice", 30, SM_T(the_better_is_taken), SM_T(a_list_is_tried_seldom),
			SM_T(equal_ones_do_not_change_places), SM_T(what_disturbs_is_no_reason),
			SM_T(small_heaps_tell_nothing));
}
