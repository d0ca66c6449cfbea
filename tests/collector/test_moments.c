/*
 * test_moments: for each way in which a collector can lose an object, the one moment that matters, made to happen
 * every time (tests/support/step.h). Each test says which part of the collector it would miss; the mutants of
 * tests/mutants take that part away.
 *
 * `hidden` is what may be lost, `black` an object that was born during the cycle and is therefore never scanned.
 */
#include "tests/support/moment.h"
#include "tests/support/run.h"

/* Deletion: taken out of the heap with the barrier on, before the roots are scanned; stored by a scanned thread. */
START_TEST(deletion)
{
	uintptr_t hidden, black;
	pthread_t t;

	setup();
	hidden = step_hidden(m, node, &witness);
	step_link(m, &root[0], hidden);
	t = begin();
	step_past(m, SM_HS_BARRIER_ON);
	sm_store(m, &root[0], NULL);
	step_past(m, SM_HS_BLACK);
	black = born_black();
	gctest_clear_stack();
	step_past(m, SM_HS_SCAN);
	step_link_in(m, black, 0, hidden);
	gctest_clear_stack();
	finish(t, hidden);
}
END_TEST

/* Insertion: only an unscanned stack holds it; its owner stores it into a black object and forgets it. */
START_TEST(insertion)
{
	uintptr_t hidden, black;
	pthread_t t;

	setup();
	hidden = step_hidden(m, node, &witness);
	t = begin();
	step_past(m, SM_HS_BLACK);
	black = born_black();
	step_link_in(m, black, 0, hidden);
	gctest_clear_stack();
	step_past(m, SM_HS_SCAN);
	finish(t, hidden);
}
END_TEST

/* The order of the rounds: once a stack is scanned, what its owner takes out of the heap is recorded. */
START_TEST(barrier_before_scan)
{
	uintptr_t hidden;
	pthread_t t;

	setup();
	hidden = step_hidden(m, node, &witness);
	step_link(m, &root[0], hidden);
	t = begin();
	step_past(m, SM_HS_SCAN);
	/* Onto the scanned stack, and nowhere else. */
	{
		void *volatile mine = sm_load(&root[0]);

		sm_store(m, &root[0], NULL);
		finish(t, hidden);
		ck_assert_ptr_nonnull(mine);
	}
}
END_TEST

/* Born after this mutator's windows went black, held by its scanned stack alone. */
START_TEST(born_after_the_scan)
{
	uintptr_t hidden, black;
	pthread_t t;

	setup();
	step_hidden(m, node, NULL);
	t = begin();
	step_past(m, SM_HS_BLACK);
	black = born_black();
	step_past(m, SM_HS_SCAN);
	hidden = step_hidden(m, node, &witness);
	step_link_in(m, black, 0, hidden);
	gctest_clear_stack();
	finish(t, hidden);
}
END_TEST

/* ---- threads ------------------------------------------------------------------------------------------- */

static uintptr_t gift;
static _Atomic(int) attached, cycle_over, gone;

/* Attaches with the gift on its stack, and acknowledges until the cycle is over. */
static void *attach_with_gift(void *arg)
{
	void *volatile mine = (void *)~gift;
	struct sm_mutator *own = sm_mutator_attach(gc);

	attached = own != NULL;
	while (own && !cycle_over)
		sm_safepoint(own);
	if (own)
		sm_mutator_detach(own);
	return mine == NULL ? arg : NULL;
}

/* The cycle ends while the other thread still holds the gift. */
static void finish_given(pthread_t cycle, pthread_t other)
{
	sm_blocking_enter(m);
	pthread_join(cycle, NULL);
	sm_blocking_leave(m);
	ck_assert_uint_eq(gctest_stats(gc).verify_errors, 0);
	ck_assert(step_alive(m, witness));
	ck_assert_uint_eq(((uintptr_t *)~gift)[2], 0xfeed);
	gctest_clear_stack();
	cycle_over = 1;
	sm_blocking_enter(m);
	pthread_join(other, NULL);
	sm_blocking_leave(m);
	sm_weak_free(m, witness);
	sm_root_remove(gc, root);
	gctest_destroy(gc, m);
}

/* Each thread's stack is scanned: what is given to one that is there before the cycle, and held by it alone. */
START_TEST(another_stack)
{
	pthread_t t, other;

	setup();
	attached = cycle_over = 0;
	gift = step_hidden(m, node, &witness);
	{
		void *volatile mine = (void *)~gift;

		ck_assert_int_eq(pthread_create(&other, NULL, attach_with_gift, NULL), 0);
		while (!attached)
			sm_safepoint(m);
		mine = NULL;
		(void)mine;
	}
	t = begin();
	finish_given(t, other);
}
END_TEST

/* Stacks have been asked for; a thread attaches that nobody has counted, and is given what its giver then forgets. */
START_TEST(born_in_the_cycle)
{
	pthread_t t, young;

	setup();
	attached = cycle_over = 0;
	gift = step_hidden(m, node, &witness);
	t = begin();
	step_until(m, SM_HS_SCAN);
	{
		void *volatile mine = (void *)~gift;

		ck_assert_int_eq(pthread_create(&young, NULL, attach_with_gift, NULL), 0);
		while (!attached)
			sm_cpu_relax();
		mine = NULL;
		(void)mine;
	}
	gctest_clear_stack();
	sm_safepoint(m);
	finish_given(t, young);
}
END_TEST

/* Acknowledges everything but SCAN, and that when the other has gone: until then no round can follow it. */
static void *hold_up_scan(void *arg)
{
	struct sm_mutator *own = sm_mutator_attach(gc);

	attached = own != NULL;
	while (own && !cycle_over) {
		bool scan = sm_load_acquire(sm__poll(own)) != 0 && sm_load_relaxed(&gc->hs.op) == SM_HS_SCAN;

		if (!scan || gone)
			sm_safepoint(own);
	}
	if (own)
		sm_mutator_detach(own);
	return arg;
}

/* Insertion, and the thread that knows of it ends: its buffer must be marked on the way out. */
START_TEST(insertion_by_one_that_goes)
{
	uintptr_t black;
	pthread_t t, other;

	setup();
	attached = cycle_over = gone = 0;
	gift = step_hidden(m, node, &witness);
	ck_assert_int_eq(pthread_create(&other, NULL, hold_up_scan, NULL), 0);
	while (!attached)
		sm_safepoint(m);
	t = begin();
	step_past(m, SM_HS_BLACK);
	black = born_black();
	step_until(m, SM_HS_SCAN);
	step_link_in(m, black, 0, gift);
	gctest_clear_stack();
	sm_mutator_detach(m);
	gone = 1;
	m = sm_mutator_attach(gc);
	ck_assert_ptr_nonnull(m);
	finish_given(t, other);
}
END_TEST

/* What a flush finds is scanned, too: `parent` is known to a barrier buffer alone until then, `hidden` to it. */
START_TEST(found_at_the_end)
{
	uintptr_t hidden, parent, black;
	pthread_t t;

	setup();
	parent = step_hidden(m, node, NULL);
	hidden = step_hidden(m, node, &witness);
	step_link_in(m, parent, 0, hidden);
	step_link(m, &root[0], parent);
	t = begin();
	step_past(m, SM_HS_BARRIER_ON);
	sm_store(m, &root[0], NULL);
	step_past(m, SM_HS_BLACK);
	black = born_black();
	gctest_clear_stack();
	step_past(m, SM_HS_SCAN);
	step_link_in(m, black, 0, parent);
	gctest_clear_stack();
	finish(t, hidden);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("moments");
	TCase *c = tcase_create("moments");

	tcase_set_timeout(c, 30);
	tcase_add_loop_test(c, deletion, 0, 3);
	tcase_add_loop_test(c, insertion, 0, 3);
	tcase_add_loop_test(c, insertion_by_one_that_goes, 0, 3);
	tcase_add_loop_test(c, barrier_before_scan, 0, 3);
	tcase_add_loop_test(c, born_after_the_scan, 0, 3);
	tcase_add_loop_test(c, another_stack, 0, 3);
	tcase_add_loop_test(c, born_in_the_cycle, 0, 3);
	tcase_add_loop_test(c, found_at_the_end, 0, 3);
	suite_add_tcase(s, c);
	return sm_test_run(s);
}
