/*
 * test_barrier: what the barrier must record, shown one step at a time by stopping a cycle between
 * its handshakes; racing stores; copies beside the marker.
 */
#include <pthread.h>
#include <unistd.h>

#include "tests/support/run.h"
#include "tests/support/step.h"

static struct sm_gc *gc;
static struct sm_mutator *m;
static const struct sm_type *node; /* two pointers, two words */
static struct sm_weak *witness;
static void *root[64];
static _Atomic(int) stop;

static void *collect_once(void *arg)
{
	sm_collect(gc, NULL);
	return arg;
}

static void setup(const char *set)
{
	gc = GCTEST("gc.mode=concurrent", "gc.min_heap=1g", set);
	m = sm_mutator_attach(gc);
	node = sm_type_prefix(gc, 32, 2);
	memset(root, 0, sizeof(root));
	ck_assert_int_eq(sm_root_add(gc, root, 64), 0);
}

static __attribute__((noinline)) uintptr_t hidden_node(void)
{
	uintptr_t *p = sm_new(m, node);

	p[2] = 0xfeed;
	witness = sm_weak_new(m, p);
	return ~(uintptr_t)p;
}

static __attribute__((noinline)) void link_hidden(void **slot, uintptr_t hidden)
{
	sm_store(m, slot, (void *)~hidden);
}

static __attribute__((noinline)) bool alive(void)
{
	return witness && sm_weak_get(m, witness) != NULL;
}

static void finish(pthread_t t, uintptr_t hidden, bool expect)
{
	bool is;

	sm_blocking_enter(m);
	pthread_join(t, NULL);
	sm_blocking_leave(m);
	gctest_clear_stack();
	is = alive();
	ck_assert_int_eq(is, expect);
	if (is) {
		ck_assert_uint_eq(((uintptr_t *)~hidden)[2], 0xfeed);
		gctest_clear_stack();
	}
	sm_weak_free(m, witness);
	sm_root_remove(gc, root);
	gctest_destroy(gc, m);
}

/*
 * Deletion. Our stack has been scanned (we acknowledged SCAN). The heap holds the only pointer to
 * an object; we take it out of the heap (onto our black stack) before the marker has seen it, and
 * put it back at the end. The marker is kept away from it by being held up: it finds the root slot
 * empty.
 */
START_TEST(deletion_is_recorded)
{
	uintptr_t hidden;
	pthread_t t;

	setup("gc.delay_us=0");
	hidden = hidden_node();
	link_hidden(&root[0], hidden);
	gctest_clear_stack();
	pthread_create(&t, NULL, collect_once, NULL);
	step_until(m, SM_HS_BARRIER_ON);
	sm_safepoint(m);
	/* Before SCAN: nothing is scanned until every mutator (we alone) has the barrier on. The
	 * roots' pieces are queued by now or soon; empty the slot at once. Either the marker was
	 * here first, or we record. */
	sm_store(m, &root[0], NULL);
	step_until(m, SM_HS_SCAN);
	sm_safepoint(m);
	link_hidden(&root[1], hidden);
	finish(t, hidden, true);
}
END_TEST

/*
 * Insertion. An object that only our unscanned stack holds is stored into an object that is black
 * (born during the cycle), and dropped from the stack before it is scanned.
 */
START_TEST(insertion_is_recorded)
{
	uintptr_t hidden;
	void **black;
	pthread_t t;

	setup("gc.delay_us=0");
	hidden = hidden_node();
	gctest_clear_stack();
	pthread_create(&t, NULL, collect_once, NULL);
	step_until(m, SM_HS_BARRIER_ON);
	sm_safepoint(m);
	black = sm_new(m, node);
	sm_store(m, &root[5], black);
	link_hidden(black, hidden);
	black = NULL;
	gctest_clear_stack();
	step_until(m, SM_HS_SCAN);
	sm_safepoint(m);
	finish(t, hidden, true);
}
END_TEST

/* The same two ways, with exchange and compare-and-swap. */
START_TEST(exchange_and_cas_record)
{
	uintptr_t hidden;
	void *expected;
	pthread_t t;

	setup("gc.delay_us=0");
	hidden = hidden_node();
	link_hidden(&root[0], hidden);
	gctest_clear_stack();
	pthread_create(&t, NULL, collect_once, NULL);
	step_until(m, SM_HS_BARRIER_ON);
	sm_safepoint(m);
	if (_i == 0) {
		sm_exchange(m, &root[0], NULL);
	} else {
		expected = (void *)~hidden;
		ck_assert(sm_cas(m, &root[0], &expected, NULL));
		expected = NULL;
	}
	gctest_clear_stack();
	step_until(m, SM_HS_SCAN);
	sm_safepoint(m);
	link_hidden(&root[1], hidden);
	finish(t, hidden, true);
}
END_TEST

/* An object that is garbage before the cycle begins is not kept by any of this. */
START_TEST(garbage_goes)
{
	uintptr_t hidden;
	pthread_t t;

	setup("gc.delay_us=0");
	hidden = hidden_node();
	gctest_clear_stack();
	pthread_create(&t, NULL, collect_once, NULL);
	step_until(m, SM_HS_SCAN);
	sm_safepoint(m);
	finish(t, hidden, false);
}
END_TEST

/* What is born between any two handshakes survives the cycle. */
START_TEST(born_during_the_cycle)
{
	static const enum sm_handshake_op ops[] = {SM_HS_NONE,	SM_HS_BARRIER_ON,  SM_HS_SCAN,
						   SM_HS_FLUSH, SM_HS_BARRIER_OFF, SM_HS_RETIRE};
	uintptr_t *born[6];
	pthread_t t;

	setup("gc.delay_us=0");
	sm_new(m, node); /* a window is open */
	pthread_create(&t, NULL, collect_once, NULL);
	for (int i = 0; i < 6; i++) {
		step_until(m, ops[i]);
		/* Not polled yet: still under the view before this handshake. */
		born[i] = sm_new(m, node);
		born[i][2] = 0xb0b0 + (uintptr_t)i;
		sm_store(m, &root[i], born[i]);
		born[i] = NULL;
	}
	sm_safepoint(m);
	sm_blocking_enter(m);
	pthread_join(t, NULL);
	sm_blocking_leave(m);
	gctest_clear_stack();
	/* Fill what is free, so that anything freed wrongly is overwritten. */
	for (int i = 0; i < 20000; i++)
		((uintptr_t *)sm_new(m, node))[2] = 0xdead;
	for (int i = 0; i < 6; i++)
		ck_assert_uint_eq(((uintptr_t *)root[i])[2], 0xb0b0 + (uintptr_t)i);
	sm_root_remove(gc, root);
	gctest_destroy(gc, m);
}
END_TEST

/* ---- races -------------------------------------------------------------------------------- */

static void *race(void *arg)
{
	struct sm_mutator *me = sm_mutator_attach(gc);
	uint64_t rs = (uintptr_t)arg + 17;

	while (!stop) {
		void **slot = &root[gctest_random(&rs) % 4];
		uintptr_t *o = sm_new(me, node), *seen;

		o[2] = 0x5afe;
		switch (gctest_random(&rs) % 4) {
		case 0: sm_store(me, slot, o); break;
		case 1: sm_exchange(me, slot, o); break;
		case 2: {
			void *expected = sm_load(slot);

			sm_cas(me, slot, &expected, o);
			break;
		}
		default:
			sm_store(me, (void **)&o[0], sm_load(slot));
			sm_store(me, slot, o);
			break;
		}
		seen = sm_load(slot);
		if (seen && seen[2] != 0x5afe)
			abort();
		if (seen)
			seen = sm_load((void **)&seen[0]);
		if (seen && seen[2] != 0x5afe)
			abort();
		if (gctest_random(&rs) % 256 == 0)
			sm_store(me, slot, NULL);
	}
	sm_mutator_detach(me);
	return NULL;
}

START_TEST(racing_writers)
{
	pthread_t t[4];

	setup("gc.verify=1");
	for (long i = 0; i < 4; i++)
		pthread_create(&t[i], NULL, race, (void *)i);
	for (int i = 0; i < 20; i++)
		sm_collect(gc, m);
	stop = 1;
	sm_blocking_enter(m);
	for (int i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
	sm_blocking_leave(m);
	sm_root_remove(gc, root);
	gctest_destroy(gc, m);
}
END_TEST

static void *collect_on(void *arg)
{
	while (!stop)
		sm_collect(gc, NULL);
	return arg;
}

/* Overlapping copies of pointer arrays: a permutation of objects shifted to and fro beside the
 * marker; every word is at every moment one of the objects, whole. */
START_TEST(copies_beside_the_marker)
{
	enum { N = 9000 };
	void **array;
	pthread_t t;

	setup("gc.verify=1");
	array = sm_new_array(m, sm_type_pointers(gc, 1), N + 100);
	sm_store(m, &root[0], array);
	for (int i = 0; i < N; i++) {
		uintptr_t *o = sm_new(m, node);

		o[2] = (uintptr_t)i;
		sm_store(m, &array[i], o);
	}
	pthread_create(&t, NULL, collect_on, NULL);
	for (int round = 0; round < 50; round++) {
		int by = 1 + round % 99;

		sm_copy_slots(m, array + by, array, N);
		sm_copy_slots(m, array, array + by, N);
	}
	for (int i = 0; i < N; i++) {
		if (((uintptr_t *)array[i])[2] != (uintptr_t)i)
			ck_abort_msg("element %d is damaged", i);
	}
	sm_clear_slots(m, array, N + 100);
	for (int i = 0; i < N + 100; i++) {
		if (array[i] != NULL)
			ck_abort_msg("element %d is not clear", i);
	}
	stop = 1;
	sm_blocking_enter(m);
	pthread_join(t, NULL);
	sm_blocking_leave(m);
	sm_root_remove(gc, root);
	gctest_destroy(gc, m);
}
END_TEST

int main(void)
{
	return SM_SUITE("barrier", 60, SM_LOOP(deletion_is_recorded, 0, 10),
			SM_T(insertion_is_recorded), SM_LOOP(exchange_and_cas_record, 0, 2),
			SM_T(garbage_goes), SM_T(born_during_the_cycle), SM_T(racing_writers),
			SM_T(copies_beside_the_marker));
}
