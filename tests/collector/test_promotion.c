/*
 * test_promotion: a type becomes common in the middle of a cycle. Marking is held on by a mutator
 * that does not acknowledge (tests/support/step.h); what another one allocates meanwhile, in mixed
 * spans and then in spans of the type's own, is born black: it is not scanned, and all of it is
 * there afterwards. And bits are there before another thread can see an object.
 */
#include "collector/types/typedesc.h"
#include "tests/support/moment.h"
#include "tests/support/run.h"

static _Atomic(uint32_t) attached, go;

/* Scans its stack and then keeps the others waiting. */
static void *hold(void *arg)
{
	struct sm_mutator *mine = sm_mutator_attach(gc);

	sm_store_release(&attached, 1);
	step_past(mine, SM_HS_SCAN);
	while (sm_load_acquire(&go) == 0)
		sm_cpu_relax();
	sm_mutator_detach(mine);
	return arg;
}

/* The last object of a chain of n, each with its number. */
static __attribute__((noinline)) void **chain(const struct sm_type *t, size_t n)
{
	void **last = NULL;

	for (uintptr_t i = 0; i < n; i++) {
		void **o = sm_new(m, t);

		ck_assert_ptr_nonnull(o);
		ck_assert_ptr_null(o[0]);
		sm_store(m, &o[0], last);
		((uintptr_t *)o)[5] = i;
		last = o;
	}
	return last;
}

static __attribute__((noinline)) void check_chain(size_t n)
{
	void **o = root[1];

	for (uintptr_t i = n; i-- > 0; o = o[0]) {
		ck_assert_ptr_nonnull(o);
		ck_assert_uint_eq(((uintptr_t *)o)[5], i);
	}
	ck_assert_ptr_null(o);
}

START_TEST(in_the_middle_of_a_cycle)
{
	const size_t n = 3 * SM_COMMON_SPANS * SM_UNIT / 64;
	const struct sm_type *t;
	uintptr_t hidden;
	pthread_t holder, collector;

	setup();
	sm_store_relaxed(&attached, 0);
	sm_store_relaxed(&go, 0);
	hidden = step_hidden(m, node, &witness);
	step_link(m, &root[0], hidden);
	t = sm_type_prefix(gc, 64, 1);
	ck_assert_int_eq(pthread_create(&holder, NULL, hold, NULL), 0);
	sm_blocking_enter(m);
	while (sm_load_acquire(&attached) == 0)
		sm_cpu_relax();
	sm_blocking_leave(m);
	collector = begin();
	step_past(m, SM_HS_SCAN);
	ck_assert_uint_eq(t->bin, 0);
	ck_assert(m->barrier);
	/* The root has been scanned, and so has this stack: nothing records what is stored. */
	sm_store(m, &root[1], chain(t, n));
	ck_assert(m->barrier);
	ck_assert_uint_ne(t->bin, 0);
	sm_store_release(&go, 1);
	sm_blocking_enter(m);
	pthread_join(holder, NULL);
	sm_blocking_leave(m);
	gctest_clear_stack();
	sm_blocking_enter(m);
	pthread_join(collector, NULL);
	sm_blocking_leave(m);
	ck_assert_uint_eq(gctest_stats(gc).verify_errors, 0);
	check_chain(n);
	/* White now, like all that is old, and found by their pointers. */
	gctest_clear_stack();
	sm_collect(gc, m);
	check_chain(n);
	sm_store(m, &root[1], NULL);
	collector = begin();
	finish(collector, hidden);
}
END_TEST

static __attribute__((noinline)) void hold_a_leaf(const struct sm_type *t, size_t word)
{
	uint64_t *leaf = sm_new_bytes_zeroed(m, 48);
	void **o = sm_new(m, t);

	ck_assert(leaf != NULL && o != NULL);
	leaf[3] = 0xfeed;
	sm_store(m, &root[0], o);
	sm_store(m, &o[word], leaf);
}

/* The very last object that was allocated is the only one that leads to another. */
START_TEST(the_last_object)
{
	static const size_t sizes[] = {16, 24, 64, 96, 520, 4096, 20480};

	setup();
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		const struct sm_type *first = sm_type_prefix(gc, sizes[i], 1),
				     *all = sm_type_pointers(gc, sizes[i] / 8);
		size_t last = sizes[i] / 8 - 1;

		for (int round = 0; round < 4; round++) {
			uint64_t *leaf;

			hold_a_leaf(round % 2 ? all : first, round % 2 ? last : 0);
			gctest_clear_stack();
			sm_collect(gc, m);
			ck_assert_uint_ge(gctest_stats(gc).last_marked_objects, 2);
			/* debug.fill is not needed: what is not marked is handed out again. */
			for (int k = 0; k < 2000; k++)
				memset(sm_new_bytes(m, 48), 0xff, 48);
			leaf = ((void **)root[0])[round % 2 ? last : 0];
			ck_assert_uint_eq(leaf[3], 0xfeed);
			sm_store(m, &root[0], NULL);
		}
	}
	sm_root_remove(gc, root);
	gctest_destroy(gc, m);
}
END_TEST

int main(void)
{
	return SM_SUITE("promotion", 60, SM_T(in_the_middle_of_a_cycle), SM_T(the_last_object));
}
