/*
 * test_verifier: with everything marked the verifier is silent; of a chain of marked objects it
 * reports exactly the one whose mark was taken away, however far it lies, through each kind of
 * root, and a pointer to what is no object.
 */
#include <check.h>
#include <stdlib.h>

#include "allocator/objects/markmap.h"
#include "collector/cycle/gc_internal.h"
#include "collector/cycle/verify.h"
#include "tests/support/gctest.h"
#include "tests/support/run.h"
#include "tests/support/skip.h"

#define CHAIN 300

static struct sm_gc *gc;
static struct sm_mutator *m;
static unsigned found;

typedef unsigned verify_fn(struct sm_gc *);

static size_t look(void *arg, uintptr_t *sp)
{
	sm__mutator_save_stack(m->priv, sp);
	found = (*(verify_fn **)arg)(gc);
	return 0;
}

static unsigned by(verify_fn *fn)
{
	sm__with_registers(look, &fn);
	return found;
}

static unsigned verify(void)
{
	return by(sm__verify_stw);
}

static void set_mark(void *object, bool on)
{
	uintptr_t p = (uintptr_t)object;

	if (on)
		sm_fetch_or_relaxed(sm_mark_word(&gc->range, p), sm_mark_mask(&gc->range, p));
	else
		sm_fetch_and_relaxed(sm_mark_word(&gc->range, p), ~sm_mark_mask(&gc->range, p));
}

static void setup(void)
{
	/* Each test is a process of its own, in which the verifier complains at length. */
	ck_assert_ptr_nonnull(freopen("/dev/null", "w", stderr));
	gc = GCTEST("gc.mode=stw", "gc.percent=0");
	m = sm_mutator_attach(gc);
	ck_assert_ptr_nonnull(m);
}

static void teardown(void)
{
	gctest_destroy(gc, m);
}

/* The first of CHAIN objects, all marked. */
static void **chain(void)
{
	const struct sm_type *t = sm_type_prefix(gc, 64, 1);
	void **first = NULL;

	for (int i = 0; i < CHAIN; i++) {
		void **o = sm_new(m, t);

		ck_assert_ptr_nonnull(o);
		sm_store(m, o, first);
		set_mark(o, true);
		first = o;
	}
	return first;
}

static void **nth(void **o, int n)
{
	while (n-- > 0)
		o = sm_load(o);
	return o;
}

static void whiten(void **o)
{
	for (; o; o = sm_load(o))
		set_mark(o, false);
}

/* The chain hangs on a root, its far half on a handle, too; no stack is in the verifier's way. */
START_TEST(each_unmarked_object_is_found)
{
	static void *root;
	void **first = chain();
	struct sm_handle *h = sm_handle_new(m, nth(first, CHAIN / 2));

	ck_assert_int_eq(sm_root_add(gc, &root, 1), 0);
	sm_store(m, &root, first);
	sm_blocking_enter(m);
	ck_assert_uint_eq(sm__verify_stw(gc), 0);
	ck_assert_uint_ge(gc->verify_reached, CHAIN);
	for (int i = 0; i < CHAIN; i++) {
		set_mark(nth(first, i), false);
		ck_assert_msg(sm__verify_stw(gc) == 1, "object %d of the chain is not marked", i);
		set_mark(nth(first, i), true);
	}
	whiten(first);
	ck_assert_uint_ge(sm__verify_stw(gc), CHAIN);
	sm_blocking_leave(m);
	ck_assert_int_eq(sm_root_remove(gc, &root), 0);
	sm_handle_free(m, h);
}
END_TEST

START_TEST(a_pointer_to_a_free_slot_is_found)
{
	void **first = chain(), **freed = nth(first, 7);
	struct sm_handle *h = sm_handle_new(m, first);
	struct sm_span *s = sm_span_of(&gc->range, (uintptr_t)freed);
	uint32_t slot = sm_span_slot(&gc->range, s, (uintptr_t)freed);

	ck_assert_uint_eq(verify(), 0);
	sm_fetch_and_relaxed(&s->alloc[slot / 64], ~((uint64_t)1 << slot % 64));
	ck_assert_uint_ge(verify(), 1);
	sm_fetch_or_relaxed(&s->alloc[slot / 64], (uint64_t)1 << slot % 64);
	ck_assert_uint_eq(verify(), 0);
	whiten(first);
	sm_handle_free(m, h);
}
END_TEST

/* ---- behind a compaction ------------------------------------------------------------------ */

/* The address of an object, disguised: no frame of a test keeps it. */
static volatile uintptr_t lone;

static SM_NOINLINE void make_lone(void)
{
	lone = ~(uintptr_t)sm_new(m, sm_type_prefix(gc, 2000, 1));
}

/* As if the objects of its span had moved, or not. */
static SM_NOINLINE void evacuate(bool on)
{
	_Atomic(uint8_t) *flags = &gc->unit_flags[(~lone - gc->range.base) >> SM_UNIT_SHIFT];

	if (on)
		sm_fetch_or_relaxed(flags, SM_UNIT_EVACUATED);
	else
		sm_fetch_and_relaxed(flags, (uint8_t)~SM_UNIT_EVACUATED);
}

static SM_NOINLINE unsigned verify_with_stack_word(void)
{
	volatile uintptr_t inside = ~lone + 16;
	unsigned errors = by(sm__verify_moved_stw);

	inside = 0;
	(void)inside;
	return errors;
}

static SM_NOINLINE void point_from(struct sm_handle *h)
{
	ck_assert_int_eq(sm_handle_set(m, h, (void *)~lone), 0);
}

static SM_NOINLINE struct sm_weak *point_weakly(void)
{
	return sm_weak_new(m, (void *)~lone);
}

START_TEST(a_word_to_where_an_object_was_is_found)
{
	struct sm_handle *h = sm_handle_new(m, NULL);
	struct sm_weak *w;

	make_lone();
	evacuate(true);
	gctest_clear_stack();
	ck_assert_uint_eq(by(sm__verify_moved_stw), 0);
	/* Into it, from a stack; exactly; weakly. */
	ck_assert_uint_ge(verify_with_stack_word(), 1);
	gctest_clear_stack();
	point_from(h);
	gctest_clear_stack();
	ck_assert_uint_eq(by(sm__verify_moved_stw), 1);
	sm_handle_set(m, h, NULL);
	w = point_weakly();
	gctest_clear_stack();
	ck_assert_uint_eq(by(sm__verify_moved_stw), 1);
	sm_weak_free(m, w);
	/* Where it is still there all of these are right. */
	evacuate(false);
	ck_assert_uint_eq(verify_with_stack_word(), 0);
	sm_handle_free(m, h);
}
END_TEST

/* ---- roots -------------------------------------------------------------------------------- */

START_TEST(a_stack_alone_is_a_root)
{
	void **volatile first = chain();

	set_mark(nth(first, CHAIN - 1), false);
	ck_assert_uint_eq(verify(), 1);
	whiten(first);
}
END_TEST

START_TEST(a_registered_range_alone_is_a_root)
{
	static void *range[2];
	void **first = chain();

	ck_assert_int_eq(sm_root_add(gc, range, 2), 0);
	sm_store(m, &range[1], first);
	set_mark(nth(first, 7), false);
	first = NULL;
	ck_assert_uint_eq(verify(), 1);
	whiten(range[1]);
	sm_store(m, &range[1], NULL);
	ck_assert_int_eq(sm_root_remove(gc, range), 0);
}
END_TEST

/* A stack that was not scanned, because its thread attached when marking was over, may hold what
 * its last user left. */
START_TEST(a_stack_that_came_late_proves_no_loss)
{
	void **volatile first = chain();

	whiten(first);
	gc->config.mode = SM_GC_CONCURRENT;
	/* No stack word of this mode proves a loss to AddressSanitizer: redzones keep old ones. */
	if (!SM_ASAN)
		ck_assert_uint_gt(verify(), 0);
	m->priv->came_late = true;
	ck_assert_uint_eq(verify(), 0);
	m->priv->came_late = false;
	gc->config.mode = SM_GC_STW;
	ck_assert_ptr_nonnull(first);
}
END_TEST

/* Four neighbours of 64 B that differ in the last byte alone, and the one before them; none is
 * marked. The address of the one before, inverted: no word of ours leads there. */
static __attribute__((noinline)) uintptr_t hidden_block(void)
{
	const struct sm_type *t = sm_type_prefix(gc, 64, 1);
	uintptr_t run = 0, last = 0;

	for (int i = 0; i < CHAIN; i++) {
		uintptr_t o = (uintptr_t)sm_new(m, t);

		run = o == last + 64 ? run + 1 : 0;
		last = o;
		if (run >= 4 && o % 256 == 192)
			return ~(o - 256);
	}
	ck_abort_msg("no five neighbours among %d objects", CHAIN);
}

static __attribute__((noinline)) void mark_hidden(uintptr_t hidden, unsigned n, bool on)
{
	set_mark((void *)(~hidden + n * 64), on);
}

static __attribute__((noinline)) unsigned verify_with(uintptr_t hidden, unsigned n)
{
	volatile uintptr_t word = ~hidden + n * 64;
	unsigned errors = verify();

	word = errors ? 0 : word; /* kept to here */
	return errors;
}

/* A byte that says `false`, written over the last of a pointer that died there, makes a word that
 * leads to a neighbour. */
START_TEST(a_byte_over_a_dead_pointer_proves_no_loss)
{
	uintptr_t hidden = hidden_block();

	if (SM_ASAN)
		SM_SKIP("frames of AddressSanitizer are other ones");
	gc->config.mode = SM_GC_CONCURRENT;
	ck_assert_uint_eq(verify_with(hidden, 1), 1);
	for (unsigned n = 2; n <= 4; n++) {
		mark_hidden(hidden, n, true);
		ck_assert_msg(verify_with(hidden, 1) == 0, "with the mark of neighbour %u", n);
		mark_hidden(hidden, n, false);
	}
	/* The last byte is 64 here, and 192: no truth value. */
	mark_hidden(hidden, 4, true);
	ck_assert_uint_eq(verify_with(hidden, 2), 1);
	ck_assert_uint_eq(verify_with(hidden, 3), 1);
	mark_hidden(hidden, 4, false);
	ck_assert_uint_eq(verify_with(hidden, 4), 1);
	gc->config.mode = SM_GC_STW;
}
END_TEST

START_TEST(a_cycle_counts_what_it_found)
{
	gc->config.verify = true;
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(sm_collect(gc, m), 0);
	ck_assert_uint_eq(gctest_stats(gc).verify_errors, 0);
	ck_assert_uint_eq(gctest_stats(gc).cycles, 3);
}
END_TEST

int main(void)
{
	return SM_SUITE_EACH(
		"verifier", 0, setup, teardown, SM_T(each_unmarked_object_is_found),
		SM_T(a_pointer_to_a_free_slot_is_found), SM_T(a_cycle_counts_what_it_found),
		SM_T(a_word_to_where_an_object_was_is_found), SM_T(a_stack_alone_is_a_root),
		SM_T(a_registered_range_alone_is_a_root),
		SM_T(a_stack_that_came_late_proves_no_loss),
		SM_T(a_byte_over_a_dead_pointer_proves_no_loss));
}
