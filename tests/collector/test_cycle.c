/*
 * test_cycle: rules of a cycle whose breach one or two cycles show: what roots are, how objects are
 * born, marks that two set, windows between two sweep generations, and the request that meets a
 * beginning block. Like test_lost_object, each test says what it would miss; the mutants of
 * tests/mutants take that away.
 */
#include <sched.h>

#include "tests/support/moment.h"
#include "tests/support/run.h"

#define MANY 20000

/* ---- roots -------------------------------------------------------------------------------- */

/* Held by a registered range alone. */
START_TEST(registered_root)
{
	uintptr_t hidden;

	setup();
	hidden = step_hidden(m, node, &witness);
	step_link(m, &root[63], hidden);
	gctest_clear_stack();
	finish(begin(), hidden);
}
END_TEST

/* Held by a word of the stack that points into it, not to its start. */
START_TEST(interior)
{
	uintptr_t hidden;

	setup();
	hidden = step_hidden(m, node, &witness);
	gctest_clear_stack();
	{
		volatile uintptr_t inside = ~hidden + 3 * sizeof(void *);

		finish(begin(), hidden);
		ck_assert_uint_ne(inside, 0);
	}
}
END_TEST

/* ---- birth -------------------------------------------------------------------------------- */

static __attribute__((noinline)) void write_all_and_drop(void)
{
	for (int i = 0; i < MANY; i++)
		memset(sm_new(m, node), 0x5a, 32);
}

static __attribute__((noinline)) void check_all_zero(void)
{
	static const char zero[32];

	for (int i = 0; i < MANY; i++) {
		void **n = sm_new(m, node);

		ck_assert_msg(memcmp(n, zero, sizeof(zero)) == 0,
			      "object %d is not zero when it is born", i);
	}
}

/* Where something lay before, an object with pointers is born zero. */
START_TEST(born_zero)
{
	setup();
	write_all_and_drop();
	gctest_clear_stack();
	ck_assert_int_eq(sm_collect(gc, m), 0);
	check_all_zero();
	ck_assert_int_eq(sm_root_remove(gc, root), 0);
	gctest_destroy(gc, m);
}
END_TEST

/* ---- marks -------------------------------------------------------------------------------- */

static char *bytes[MANY];
static _Atomic(int) at_start;

/* Marks every other of the objects, as a marker would that finds pointers to them. */
static void *mark_half(void *arg)
{
	struct sm_marker k;

	ck_assert_int_eq(sm__marker_init(&k, gc, 0), 0);
	at_start++;
	while (at_start < 2)
		sm_cpu_relax();
	for (int i = (int)(intptr_t)arg; i < MANY; i += 2)
		sm__mark_exact(&k, (uintptr_t)bytes[i]);
	sm__marker_fini(&k);
	return NULL;
}

/* Neighbours share a word of marks, and two markers set its bits at the same time: none is lost. */
START_TEST(marks_of_two)
{
	pthread_t cycle, other;

	setup();
	for (int round = 0; round < 8; round++) {
		for (int i = 0; i < MANY; i++)
			bytes[i] = sm_new_bytes(m, 16);
		cycle = begin();
		step_past(m, SM_HS_SCAN);
		at_start = 0;
		ck_assert_int_eq(pthread_create(&other, NULL, mark_half, (void *)1), 0);
		mark_half(NULL);
		pthread_join(other, NULL);
		for (int i = 0; i < MANY; i++)
			ck_assert_msg(sm__is_marked(&gc->range, (uintptr_t)bytes[i]),
				      "the mark of %d is lost", i);
		sm_blocking_enter(m);
		pthread_join(cycle, NULL);
		sm_blocking_leave(m);
	}
	ck_assert_uint_eq(gctest_stats(gc).verify_errors, 0);
	ck_assert_int_eq(sm_root_remove(gc, root), 0);
	gctest_destroy(gc, m);
}
END_TEST

/* ---- between two sweep generations -------------------------------------------------------- */

/* Lists with holes: their spans will be swept and are partly free. */
static __attribute__((noinline)) void make_holes(void)
{
	for (int i = 0; i < MANY; i++) {
		void **n = sm_new(m, node);

		if (i % 2 == 0) {
			sm_store(m, n, root[1]);
			sm_store(m, &root[1], n);
		}
	}
}

/* Objects each with a child of its own, at the head of the list. Allocating acknowledges what is
 * asked. */
static __attribute__((noinline)) void add_parents(int n)
{
	for (int i = 0; i < n; i++) {
		uintptr_t *child = sm_new(m, node);
		void **parent;

		child[2] = 0xfeed;
		root[2] = child;
		parent = sm_new(m, node);
		sm_store(m, parent + 1, child);
		sm_store(m, parent, root[3]);
		sm_store(m, &root[3], parent);
		root[2] = NULL;
	}
}

/*
 * The sweep generation has moved on and this mutator has not given its windows back: what it takes
 * from spans that are swept already must not be marked, or the next cycle takes it for scanned.
 */
START_TEST(swept_under_the_old_view)
{
	pthread_t t;
	unsigned n = 0;

	setup();
	make_holes();
	t = begin();
	step_past(m, SM_HS_BARRIER_OFF);
	add_parents(2000);
	sm_blocking_enter(m);
	pthread_join(t, NULL);
	sm_blocking_leave(m);
	gctest_clear_stack();
	ck_assert_int_eq(sm_collect(gc, m), 0);
	ck_assert_uint_eq(gctest_stats(gc).verify_errors, 0);
	for (void **p = root[3]; p; p = p[0], n++)
		ck_assert_uint_eq(((uintptr_t *)p[1])[2], 0xfeed);
	ck_assert_uint_eq(n, 2000);
	ck_assert_int_eq(sm_root_remove(gc, root), 0);
	gctest_destroy(gc, m);
}
END_TEST

/* What is left of a window when it goes back is free, so it must not stay marked. The sweep checks.
 */
START_TEST(rest_of_a_window)
{
	uintptr_t hidden;

	setup();
	hidden = step_hidden(m, node, &witness);
	step_link(m, &root[0], hidden);
	gctest_clear_stack();
	for (int i = 0; i < 3; i++) {
		pthread_t t = begin();

		/* The rest of this window is black from here on, and this thread keeps it to the
		 * end. */
		step_past(m, SM_HS_BLACK);
		born_black();
		step_past(m, SM_HS_RETIRE);
		sm_blocking_enter(m);
		pthread_join(t, NULL);
		sm_blocking_leave(m);
	}
	finish(begin(), hidden);
}
END_TEST

/* ---- the fence ---------------------------------------------------------------------------- */

static _Atomic(unsigned) turn, answered;
static _Atomic(int) attached;

/* Blocks at the very moment when a handshake is asked for, for each turn, until that is over. */
static void *block_each_turn(void *arg)
{
	struct sm_mutator *own = sm_mutator_attach(gc);
	unsigned seed = 1;

	attached = own != NULL;
	for (unsigned n = 1; own && n <= MANY; n++) {
		while (turn < n)
			sm_safepoint(own);
		seed = seed * 1103515245 + 12345;
		for (unsigned i = seed >> 16 & 63; i > 0; i--)
			sm_cpu_relax();
		sm_blocking_enter(own);
		/* Who is lost here is never found: the handshake does not end, and the test with
		 * it. */
		while (answered < n)
			sm_cpu_relax();
		sm_blocking_leave(own);
	}
	if (own)
		sm_mutator_detach(own);
	return arg;
}

/* A request and a blocking section that begins: one of the two sides sees the other. */
START_TEST(request_meets_block)
{
	pthread_t other;

	setup();
	attached = 0;
	turn = answered = 0;
	sm_blocking_enter(m);
	ck_assert_int_eq(pthread_create(&other, NULL, block_each_turn, NULL), 0);
	while (!attached)
		sched_yield();
	for (unsigned n = 1; n <= MANY; n++) {
		turn = n;
		sm__handshake(gc, SM_HS_NONE);
		answered = n;
	}
	pthread_join(other, NULL);
	sm_blocking_leave(m);
	ck_assert_int_eq(sm_root_remove(gc, root), 0);
	gctest_destroy(gc, m);
}
END_TEST

int main(void)
{
	return SM_SUITE("cycle", 60, SM_LOOP(registered_root, 0, 3), SM_LOOP(interior, 0, 3),
			SM_T(born_zero), SM_T(marks_of_two),
			SM_LOOP(swept_under_the_old_view, 0, 3), SM_T(rest_of_a_window),
			SM_T(request_meets_block));
}
