/*
 * test_pace: what happens between the trigger and the barrier, and wherever the collector does not come on: mutators are
 * slowed down, in slices, and the heap hardly grows any more. A second mutator holds the cycle up for as long as it likes.
 */
#include <pthread.h>

#include "collector/gc_priv.h"
#include "tests/support/gctest.h"
#include "tests/support/run.h"

static struct sm_gc *gc;
static _Atomic(int) attached, go_on;

/* Reaches no safepoint until it is told to. */
static void *hold_up(void *arg)
{
	struct sm_mutator *m = sm_mutator_attach(gc);

	attached = m != NULL;
	while (!go_on)
		sm_cpu_relax();
	if (m)
		sm_mutator_detach(m);
	return arg;
}

static uint64_t pace_waits(void)
{
	struct sm_gc_stalls s;

	sm_gc_stalls(gc, &s);
	return s.cause[SM_STALL_PACE].count;
}

static void allocate(struct sm_mutator *m, size_t bytes)
{
	size_t until = sm_load_relaxed(&gc->heap->allocated_bytes) + bytes;

	while (sm_load_relaxed(&gc->heap->allocated_bytes) < until)
		ck_assert_ptr_nonnull(sm_new_bytes(m, 1024));
}

START_TEST(held_up)
{
	struct sm_mutator *m;
	size_t most, slow;
	uint64_t waits, before;
	pthread_t t;

	gc = GCTEST("gc.min_heap=4m", "gc.signal_ms=0", "gc.report_ms=0");
	m = sm_mutator_attach(gc);
	attached = go_on = 0;
	ck_assert_int_eq(pthread_create(&t, NULL, hold_up, NULL), 0);
	while (!attached)
		sched_yield();
	slow = sm_load_relaxed(&gc->pace.slow);
	most = sm_load_relaxed(&gc->pace.most);
	ck_assert_uint_lt(sm_load_relaxed(&gc->pace.enough), slow);
	ck_assert_uint_lt(slow, most);
	/* Up to where it begins, a mutator waits for nobody but to yield, once a MiB. */
	allocate(m, slow - 2 * SM_MIB);
	ck_assert_uint_le(pace_waits(), slow / SM_MIB + 1);
	ck_assert_uint_eq(gctest_stats(gc).cycles, 0);
	/* From there on more and more. */
	before = pace_waits();
	allocate(m, most - slow);
	waits = pace_waits() - before;
	ck_assert_msg(waits >= (most - slow) / (256 * SM_KIB), "%d waits", (int)waits);
	before = pace_waits();
	allocate(m, 4 * SM_MIB);
	/* A step of 16 KiB is seen when a cache posts, which is as much again. */
	ck_assert_msg(pace_waits() - before >= 4 * SM_MIB / (40 * SM_KIB), "%d waits",
		      (int)(pace_waits() - before));
	ck_assert_uint_eq(gctest_stats(gc).cycles, 0);
	go_on = 1;
	sm_blocking_enter(m);
	pthread_join(t, NULL);
	sm_blocking_leave(m);
	ck_assert_int_eq(sm_collect(gc, m), 0);
	ck_assert_uint_ge(gctest_stats(gc).cycles, 1);
	/* Within the goal again: no waits at all. */
	before = pace_waits();
	allocate(m, SM_MIB);
	ck_assert_uint_eq(pace_waits(), before);
	gctest_destroy(gc, m);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("pace");
	TCase *c = tcase_create("pace");

	tcase_set_timeout(c, 60);
	tcase_add_test(c, held_up);
	suite_add_tcase(s, c);
	return sm_test_run(s);
}
