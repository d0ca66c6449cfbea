/*
 * moment.h: one collector, one mutator and 64 roots for tests that run a cycle step by step
 * (step.h), and what they begin and end with. `hidden` is what may be lost: an object disguised
 * everywhere but in the place that is to keep it.
 */
#ifndef SM_TESTS_SUPPORT_MOMENT_H
#define SM_TESTS_SUPPORT_MOMENT_H

#include <pthread.h>

#include "tests/support/step.h"

static struct sm_gc *gc;
static struct sm_mutator *m;
static const struct sm_type *node; /* two pointers, two words */
static struct sm_weak *witness;
static void *root[64];

static inline void *collect_once(void *arg)
{
	sm_collect(gc, NULL);
	return arg;
}

static inline pthread_t begin(void)
{
	pthread_t t;

	gctest_clear_stack();
	ck_assert_int_eq(pthread_create(&t, NULL, collect_once, NULL), 0);
	return t;
}

/*
 * Nodes are born below without a safepoint: a handshake that is pending already would be
 * acknowledged there, and a test that waits for it would wait for ever. The window of a rare type
 * has room for one slot in a hostile build; so nodes are made until they are common.
 */
static __attribute__((noinline, unused)) void make_common(void)
{
	const struct sm_window *w;
	unsigned made = 0;

	do {
		ck_assert_ptr_nonnull(sm_new(m, node));
		made++;
		w = sm__window(m, __atomic_load_n(&node->bin, __ATOMIC_RELAXED));
	} while (w->end - w->cur < 8 * 32);
	if (made > 1)
		/* no cycle has been started by that when a test begins its own */
		sm_collect(gc, m);
}

static inline void setup(void)
{
	gc = GCTEST("gc.mode=concurrent", "gc.percent=0", "gc.verify=1", "gc.report_ms=0");
	m = sm_mutator_attach(gc);
	node = sm_type_prefix(gc, 32, 2);
	memset(root, 0, sizeof(root));
	ck_assert_int_eq(sm_root_add(gc, root, 64), 0);
	make_common();
}

static inline void finish(pthread_t t, uintptr_t hidden)
{
	sm_blocking_enter(m);
	pthread_join(t, NULL);
	sm_blocking_leave(m);
	gctest_clear_stack();
	ck_assert_uint_eq(gctest_stats(gc).verify_errors, 0);
	ck_assert(step_alive(m, witness));
	ck_assert_uint_eq(((uintptr_t *)~hidden)[2], 0xfeed);
	gctest_clear_stack();
	sm_weak_free(m, witness);
	sm_root_remove(gc, root);
	gctest_destroy(gc, m);
}

/* The window is open, so nothing that is born below goes through a safepoint. */
static __attribute__((noinline, unused)) uintptr_t born_black(void)
{
	void **black = sm_new(m, node);

	sm_store(m, &root[5], black);
	return ~(uintptr_t)black;
}

/* A new node that leads to hidden. */
static __attribute__((noinline, unused)) uintptr_t parent_of(uintptr_t hidden)
{
	uintptr_t parent = step_hidden(m, node, NULL);

	step_link_in(m, parent, 0, hidden);
	return parent;
}

/* A cycle has begun, and root[0] leads to hidden. It is taken from there with the barrier on and
 * put, when this stack is scanned, into an object born black, which is returned: what now holds
 * hidden is never scanned. */
static __attribute__((noinline, unused)) uintptr_t move_behind(uintptr_t hidden)
{
	uintptr_t black;

	step_past(m, SM_HS_BARRIER_ON);
	sm_store(m, &root[0], NULL);
	step_past(m, SM_HS_BLACK);
	black = born_black();
	gctest_clear_stack();
	step_past(m, SM_HS_SCAN);
	step_link_in(m, black, 0, hidden);
	gctest_clear_stack();
	return black;
}

#endif
