/*
 * test_verify: the verifier finds errors planted into a correctly marked heap: a mark bit taken
 * away from an object of each kind of root and depth, and a pointer to a freed slot.
 */
#include <fcntl.h>
#include <unistd.h>

#include "allocator/objects/markmap.h"
#include "collector/gc_internal.h"
#include "collector/sweep.h"
#include "collector/verify.h"
#include "tests/support/gctest.h"
#include "tests/support/run.h"

static struct sm_gc *gc;
static struct sm_mutator *m;
static void *root;

/* Marks everything reachable by hand, with the world stopped, from the objects given. */
static void mark(void *object)
{
	struct sm_span *s = sm_span_of(&gc->range, (uintptr_t)object);

	sm__blacken(gc, s, sm_span_slot(&gc->range, s, (uintptr_t)object), 1);
}

static void unmark(void *object)
{
	uintptr_t p = (uintptr_t)object;

	sm_fetch_and_relaxed(sm_mark_word(&gc->range, p), ~sm_mark_mask(&gc->range, p));
}

enum { N = 300 };
static void *node[N];

static void unmark_all(void)
{
	for (int i = 0; i < N; i++)
		unmark(node[i]);
}

START_TEST(finds_what_is_missing)
{
	const struct sm_type *t;
	struct sm_handle *h;
	int null = open("/dev/null", O_WRONLY), err = dup(2);

	gc = GCTEST("gc.mode=stw", "gc.min_heap=1g");
	m = sm_mutator_attach(gc);
	t = sm_type_prefix(gc, 48, 3);
	root = NULL;
	ck_assert_int_eq(sm_root_add(gc, &root, 1), 0);
	h = sm_handle_new(m, NULL);
	for (int i = 0; i < N; i++) {
		node[i] = sm_new(m, t);
		/* A chain that hangs on the root, its far half on the handle, too. */
		if (i)
			sm_store(m, (void **)node[i], node[i - 1]);
	}
	sm_store(m, &root, node[N - 1]);
	sm_handle_set(m, h, node[N / 2]);
	/* No mutator must be in the way of the verifier's own roots: this thread is its only one,
	 * and blocked. */
	sm_blocking_enter(m);
	for (int i = 0; i < N; i++)
		mark(node[i]);
	ck_assert_uint_eq(sm__verify_stw(gc), 0);
	ck_assert_uint_ge(gc->verify_reached, N);
	dup2(null, 2);
	for (int i = 0; i < N; i++) {
		unsigned found;

		unmark(node[i]);
		found = sm__verify_stw(gc);
		mark(node[i]);
		if (found != 1) {
			dup2(err, 2);
			ck_abort_msg("object %d unmarked: %u found", i, found);
		}
	}
	unmark_all();
	ck_assert_uint_ge(sm__verify_stw(gc), N);
	/* A pointer to a slot that is free. */
	for (int i = 0; i < N; i++)
		mark(node[i]);
	{
		struct sm_span *s = sm_span_of(&gc->range, (uintptr_t)node[7]);
		uint32_t slot = sm_span_slot(&gc->range, s, (uintptr_t)node[7]);

		sm_fetch_and_relaxed(&s->alloc[slot / 64], ~((uint64_t)1 << slot % 64));
		ck_assert_uint_ge(sm__verify_stw(gc), 1);
		sm_fetch_or_relaxed(&s->alloc[slot / 64], (uint64_t)1 << slot % 64);
	}
	ck_assert_uint_eq(sm__verify_stw(gc), 0);
	dup2(err, 2);
	unmark_all();
	sm_blocking_leave(m);
	memset(node, 0, sizeof(node));
	sm_handle_free(m, h);
	sm_root_remove(gc, &root);
	gctest_destroy(gc, m);
}
END_TEST

/* The same from inside a collection: errors are counted in the statistics. */
START_TEST(counts_in_the_statistics)
{
	gc = GCTEST("gc.verify=1");
	m = sm_mutator_attach(gc);
	for (int i = 0; i < 3; i++)
		sm_collect(gc, m);
	ck_assert_uint_eq(gctest_stats(gc).verify_errors, 0);
	ck_assert_uint_eq(gctest_stats(gc).cycles, 3);
	gctest_destroy(gc, m);
}
END_TEST

int main(void)
{
	return SM_SUITE("verify", 60, SM_T(finds_what_is_missing), SM_T(counts_in_the_statistics));
}
