/*
 * test_lost_object: for each way in which a collector can lose an object, the one moment that
 * matters, made to happen every time (tests/support/step.h). Each test says which part of the
 * collector it would miss; the mutants of tests/mutants take that part away.
 *
 * `hidden` is what may be lost, `black` an object that was born during the cycle and is therefore
 * never scanned.
 */
#include <unistd.h>

#include "tests/support/moment.h"
#include "tests/support/run.h"

/* Deletion: taken out of the heap with the barrier on, before the roots are scanned; stored by a
 * scanned thread. */
START_TEST(deletion)
{
	uintptr_t hidden;
	pthread_t t;

	setup();
	hidden = step_hidden(m, node, &witness);
	step_link(m, &root[0], hidden);
	t = begin();
	move_behind(hidden);
	finish(t, hidden);
}
END_TEST

/* Insertion: only an unscanned stack holds it; its owner stores it into a black object and forgets
 * it. */
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

/* The order of the rounds: once a stack is scanned, what its owner takes out of the heap is
 * recorded. */
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

/* ---- threads ------------------------------------------------------------------------------ */

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

/* Each thread's stack is scanned: what is given to one that is there before the cycle, and held by
 * it alone. */
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

/* Stacks have been asked for; a thread attaches that was not counted, and is given what its
 * giver then forgets. */
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

/* Acknowledges everything but SCAN, and that when the other has gone: until then no round can
 * follow it. */
static void *hold_up_scan(void *arg)
{
	struct sm_mutator *own = sm_mutator_attach(gc);

	attached = own != NULL;
	while (own && !cycle_over) {
		bool scan = sm_load_acquire(sm__poll(own)) != 0 &&
			    sm_load_relaxed(&gc->hs.op) == SM_HS_SCAN;

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

/* What a flush finds is scanned, too: `parent` is known to a barrier buffer alone until then,
 * `hidden` to it. */
START_TEST(found_at_the_end)
{
	uintptr_t hidden, parent;
	pthread_t t;

	setup();
	hidden = step_hidden(m, node, &witness);
	parent = parent_of(hidden);
	step_link(m, &root[0], parent);
	t = begin();
	move_behind(parent);
	finish(t, hidden);
}
END_TEST

/* ---- between two flushes ------------------------------------------------------------------ */

static _Atomic(int) turn;
static uintptr_t via; /* disguised: a black object that leads to the parent */

/* Has flushed; then takes the child out of the white parent, which another's buffer will make grey.
 */
static __attribute__((noinline)) void *take_child(struct sm_mutator *own)
{
	void **parent = sm_load((void **)~via), *child = sm_load(&parent[0]);

	sm_store(own, &parent[0], NULL);
	return child;
}

static void *flush_then_take(void *arg)
{
	struct sm_mutator *own = sm_mutator_attach(gc);
	void *volatile taken = NULL;

	attached = own != NULL;
	while (own && !cycle_over) {
		sm_safepoint(own);
		if (turn == 1) {
			taken = take_child(own);
			gctest_clear_stack();
			turn = 2;
		}
	}
	if (own)
		sm_mutator_detach(own);
	return taken == NULL ? arg : NULL;
}

/*
 * What is recorded after the own flush of a round in which another's, or a new root, found
 * something: there must be another round.
 */
START_TEST(recorded_after_the_own_flush)
{
	static void *more[2];
	uintptr_t parent;
	pthread_t t, other;

	setup();
	attached = cycle_over = turn = 0;
	gift = step_hidden(m, node, &witness);
	parent = parent_of(gift);
	step_link(m, &root[0], parent);
	ck_assert_int_eq(pthread_create(&other, NULL, flush_then_take, NULL), 0);
	while (!attached)
		sm_safepoint(m);
	t = begin();
	via = move_behind(parent);
	step_until(m, SM_HS_FLUSH);
	while (sm_load_acquire(&gc->hs.pending) > 1)
		sm_cpu_relax();
	turn = 1;
	while (turn != 2)
		sm_cpu_relax();
	if (_i % 2) {
		more[0] = (void *)~parent;
		ck_assert_int_eq(sm_root_add(gc, more, 2), 0);
		gctest_clear_stack();
		while (!sm__is_marked(&gc->range, ~parent) || !sm__workq_is_drained(&gc->workq))
			usleep(100);
	}
	finish_given(t, other);
}
END_TEST

/* ---- a stack that is handed over ---------------------------------------------------------- */

static void *coroutine_stack[64];

/* Keeps the gift in a range of its own, and gives that up before it acknowledges SCAN. */
static void *give_range_up(void *arg)
{
	struct sm_mutator *own = sm_mutator_attach(gc);

	ck_assert_int_eq(sm_thread_range_add(own, coroutine_stack, sizeof(coroutine_stack)), 0);
	attached = 1;
	while (!cycle_over) {
		bool scan = sm_load_acquire(sm__poll(own)) != 0 &&
			    sm_load_relaxed(&gc->hs.op) == SM_HS_SCAN;

		if (turn == 1) {
			ck_assert_int_eq(sm_thread_range_remove(own, coroutine_stack), 0);
			turn = 2;
		}
		if (!scan || gone)
			sm_safepoint(own);
	}
	sm_mutator_detach(own);
	return arg;
}

/* A coroutine goes on in another thread, whose stack has been scanned. */
START_TEST(range_handed_over)
{
	pthread_t t, other;

	setup();
	attached = cycle_over = gone = turn = 0;
	gift = step_hidden(m, node, &witness);
	coroutine_stack[7] = (void *)~gift;
	ck_assert_int_eq(pthread_create(&other, NULL, give_range_up, NULL), 0);
	while (!attached)
		sm_cpu_relax();
	t = begin();
	step_past(m, SM_HS_SCAN);
	turn = 1;
	while (turn != 2)
		sm_cpu_relax();
	ck_assert_int_eq(sm_thread_range_add(m, coroutine_stack, sizeof(coroutine_stack)), 0);
	gone = 1;
	finish_given(t, other);
}
END_TEST

/* ---- every way to store, and roots that come and go --------------------------------------- */

enum way { STORE, CAS, EXCHANGE, COPY, CLEAR };

static __attribute__((noinline)) void put(enum way way, void **slot, uintptr_t hidden)
{
	void *value = (void *)~hidden, *old = sm_load(slot);

	switch (way) {
	case STORE: sm_store(m, slot, value); break;
	case CAS: ck_assert(sm_cas(m, slot, &old, value)); break;
	case EXCHANGE: sm_exchange(m, slot, value); break;
	case COPY: sm_copy_slots(m, slot, &value, 1); break;
	case CLEAR: sm_clear_slots(m, slot, 1); break;
	}
}

/* As `deletion`, by each of them. */
START_TEST(deletion_by_each_way)
{
	uintptr_t hidden, black;
	pthread_t t;

	setup();
	hidden = step_hidden(m, node, &witness);
	step_link(m, &root[0], hidden);
	t = begin();
	step_until(m, SM_HS_BLACK);
	put((enum way)_i, &root[0], ~(uintptr_t)NULL);
	/* The last two acknowledge that themselves, and the next one may be pending by now. */
	if (_i < COPY)
		sm_safepoint(m);
	black = born_black();
	gctest_clear_stack();
	step_past(m, SM_HS_SCAN);
	step_link_in(m, black, 0, hidden);
	gctest_clear_stack();
	finish(t, hidden);
}
END_TEST

static __attribute__((noinline)) void put_in(enum way way, uintptr_t object, uintptr_t hidden)
{
	put(way, (void **)~object, hidden);
}

/* As `insertion`, by each of them that is a store of its own. */
START_TEST(insertion_by_each_way)
{
	uintptr_t hidden, black;
	pthread_t t;

	setup();
	hidden = step_hidden(m, node, &witness);
	t = begin();
	step_past(m, SM_HS_BLACK);
	black = born_black();
	put_in((enum way)_i, black, hidden);
	gctest_clear_stack();
	step_past(m, SM_HS_SCAN);
	finish(t, hidden);
}
END_TEST

/* Only an unscanned stack holds it when the roots have been cut into pieces; its owner makes it a
 * root and forgets it. */
START_TEST(root_that_comes)
{
	static void *more[2];
	uintptr_t hidden;
	pthread_t t;

	setup();
	hidden = step_hidden(m, node, &witness);
	t = begin();
	step_until(m, SM_HS_SCAN);
	/* The others have been scanned. */
	while (!sm__workq_is_drained(&gc->workq))
		sm_cpu_relax();
	more[1] = (void *)~hidden;
	ck_assert_int_eq(sm_root_add(gc, more, 2), 0);
	gctest_clear_stack();
	step_past(m, SM_HS_SCAN);
	finish(t, hidden);
	more[1] = NULL;
}
END_TEST

/* The only marker stands still, so the pieces of the roots wait: a scanned stack takes from a range
 * that then goes. */
static _Atomic(int) let_go;

static void stand_still(void *ctx, unsigned index, const char *role)
{
	(void)ctx;
	(void)index;
	while (strcmp(role, "mark") == 0 && !let_go)
		usleep(100);
}

START_TEST(root_that_goes)
{
	static void *old[2];
	struct sm_gc_config cfg;
	uintptr_t hidden;
	pthread_t t;

	sm_gc_config_init(&cfg);
	gctest_config(&cfg);
	cfg.worker_start = stand_still;
	cfg.workers = 1;
	cfg.verify = true;
	cfg.growth_percent = 0;
	cfg.tuning.report_ms = 0;
	let_go = 0;
	gc = sm_gc_create(&cfg, NULL, 0);
	ck_assert_ptr_nonnull(gc);
	m = sm_mutator_attach(gc);
	node = sm_type_prefix(gc, 32, 2);
	memset(root, 0, sizeof(root));
	ck_assert_int_eq(sm_root_add(gc, root, 64), 0);
	ck_assert_int_eq(sm_root_add(gc, old, 2), 0);
	hidden = step_hidden(m, node, &witness);
	step_link(m, &old[1], hidden);
	t = begin();
	step_past(m, SM_HS_SCAN);
	{
		void *volatile mine = sm_load(&old[1]);

		ck_assert_int_eq(sm_root_remove(gc, old), 0);
		old[1] = NULL;
		let_go = 1;
		finish(t, hidden);
		ck_assert_ptr_nonnull(mine);
	}
}
END_TEST

/* A weak reference is read by a scanned stack, which then holds what nothing else does. */
START_TEST(weak_reference_read_while_marking)
{
	uintptr_t hidden;
	pthread_t t;

	setup();
	hidden = step_hidden(m, node, &witness);
	t = begin();
	step_past(m, SM_HS_SCAN);
	{
		void *volatile mine = sm_weak_get(m, witness);

		finish(t, hidden);
		ck_assert_ptr_nonnull(mine);
	}
}
END_TEST

int main(void)
{
	return SM_SUITE("lost_object", 30, SM_LOOP(deletion, 0, 3), SM_LOOP(insertion, 0, 3),
			SM_LOOP(insertion_by_one_that_goes, 0, 3),
			SM_LOOP(barrier_before_scan, 0, 3), SM_LOOP(born_after_the_scan, 0, 3),
			SM_LOOP(another_stack, 0, 3), SM_LOOP(born_in_the_cycle, 0, 3),
			SM_LOOP(found_at_the_end, 0, 3),
			SM_LOOP(recorded_after_the_own_flush, 0, 6),
			SM_LOOP(deletion_by_each_way, STORE, CLEAR + 1),
			SM_LOOP(insertion_by_each_way, STORE, EXCHANGE + 1),
			SM_LOOP(range_handed_over, 0, 3), SM_T(root_that_comes),
			SM_T(root_that_goes), SM_T(weak_reference_read_while_marking));
}
