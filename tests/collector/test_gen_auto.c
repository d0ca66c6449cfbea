/*
 * test_gen_auto: gc.generations=auto with a collector: what going on and off does to stores, marks
 * and ages; that nothing is lost when they have gone on; that a collector finds by itself where
 * they pay.
 */
#include "collector/generations/remember_internal.h"
#include "tests/support/run.h"
#include "tests/support/shadow.h"
#include "tests/support/step.h"

static struct sm_gc *gc;
static struct sm_mutator *m;
static const struct sm_type *node;
static void *root[4];

enum { WAYS = 4 };

static void setup(int way)
{
	static const char *const set[WAYS] = {"gc.mode=concurrent", "gc.mode=stw", "gc.mark=spans",
					      "cache.mode=cpu"};

	gc = GCTEST("gc.generations=auto", "gc.verify=1", "gc.percent=0", set[way]);
	m = sm_mutator_attach(gc);
	ck_assert_ptr_nonnull(m);
	node = sm_type_prefix(gc, 64, 2);
	ck_assert_int_eq(sm_root_add(gc, (void *)root, 4), 0);
	gc->gen.choice.held = true;
}

static void teardown(void)
{
	ck_assert_uint_eq(gctest_stats(gc).verify_errors, 0);
	memset((void *)root, 0, sizeof(root));
	ck_assert_int_eq(sm_root_remove(gc, (void *)root), 0);
	gctest_destroy(gc, m);
}

/* With the next cycle; no cycle is on. */
static void turn(bool on)
{
	gc->gen.choice.on = on;
}

/* A minor one where it may be; was it? */
static bool cycle(void)
{
	uint64_t before = gctest_stats(gc).minors;

	gctest_clear_stack();
	gc->pacer.minor = true;
	ck_assert_int_eq(sm__gc_collect_and_wait(gc, m, false), 0);
	return gctest_stats(gc).minors != before;
}

/* Addresses of the two maps' bits that are set, in the span of an object. */
static SM_NOINLINE bool any_bit(const struct sm_range *r, uintptr_t hidden)
{
	return sm_mark_test(r, ~hidden);
}

START_TEST(off_at_first_and_without_a_trace)
{
	uintptr_t x;

	setup(_i);
	ck_assert_uint_eq(m->barrier, 0);
	x = step_hidden(m, node, NULL);
	step_link(m, &root[0], x);
	for (int i = 0; i < 4; i++)
		ck_assert(!cycle());
	ck_assert(!any_bit(&gc->range, x));
	ck_assert(!any_bit(&gc->gen.aged, x));
	ck_assert_uint_eq(gctest_stats(gc).generational_cycles, 0);
	teardown();
}
END_TEST

/* Two major cycles, of which the second makes old what was there before the first. */
START_TEST(on_takes_two_major_cycles)
{
	uintptr_t x;

	setup(_i);
	x = step_hidden(m, node, NULL);
	step_link(m, &root[0], x);
	cycle();
	turn(true);
	ck_assert(!cycle());
	ck_assert_uint_eq(m->barrier, SM__BARRIER_REMEMBER);
	ck_assert(!any_bit(&gc->range, x));
	ck_assert(!cycle());
	ck_assert(any_bit(&gc->range, x));
	ck_assert(cycle());
	ck_assert_uint_eq(gctest_stats(gc).generational_cycles, 3);
	ck_assert_uint_eq(gctest_stats(gc).generation_switches, 0);
	teardown();
}
END_TEST

/* A thread that attaches while they are on, or off again, is as the others. */
static void *attached(void *arg)
{
	struct sm_mutator *mine = sm_mutator_attach(gc);

	*(unsigned *)arg = mine->barrier;
	sm_mutator_detach(mine);
	return NULL;
}

static unsigned barrier_of_another(void)
{
	unsigned barrier = 99;
	pthread_t t;

	ck_assert_int_eq(pthread_create(&t, NULL, attached, &barrier), 0);
	sm_blocking_enter(m);
	pthread_join(t, NULL);
	sm_blocking_leave(m);
	return barrier;
}

START_TEST(off_again_leaves_nothing)
{
	uintptr_t x;

	setup(_i);
	x = step_hidden(m, node, NULL);
	step_link(m, &root[0], x);
	turn(true);
	for (int i = 0; i < 3; i++)
		cycle();
	ck_assert(any_bit(&gc->range, x));
	ck_assert_uint_eq(barrier_of_another(), SM__BARRIER_REMEMBER);
	turn(false);
	ck_assert(!cycle());
	ck_assert_uint_eq(m->barrier, 0);
	ck_assert_uint_eq(barrier_of_another(), 0);
	ck_assert(!any_bit(&gc->range, x));
	ck_assert(!any_bit(&gc->gen.aged, x));
	ck_assert_uint_eq(gctest_stats(gc).old_bytes, 0);
	teardown();
}
END_TEST

static SM_NOINLINE bool is_whole(uintptr_t hidden)
{
	return ((uintptr_t *)~hidden)[2] == 0xfeed;
}

/*
 * x is there early; y hangs on it alone, stored while generations are off: right before the cycle
 * with which they go on, in it, or behind each of the two. It lives through all that follows.
 */
START_TEST(edges_from_before_are_not_lost)
{
	for (int when = 0; when < 4; when++) {
		uintptr_t x, y;
		struct sm_weak *w;

		setup(_i);
		x = step_hidden(m, node, NULL);
		step_link(m, &root[0], x);
		turn(true);
		for (int i = 0; i < 3; i++)
			cycle();
		turn(false);
		cycle();
		turn(true);
		for (int i = 0; i < when; i++)
			cycle();
		y = step_hidden(m, node, &w);
		step_link_in(m, x, 0, y);
		for (int i = 0; i < 6; i++) {
			cycle();
			ck_assert(step_alive(m, w));
			ck_assert(is_whole(y));
		}
		ck_assert(any_bit(&gc->range, y));
		sm_weak_free(m, w);
		teardown();
	}
}
END_TEST

/* Off and on again, cycle after cycle: what was old is found dead by the first. */
START_TEST(what_was_old_dies_when_off)
{
	struct sm_weak *w;

	setup(_i);
	step_link(m, &root[0], step_hidden(m, node, &w));
	turn(true);
	for (int i = 0; i < 3; i++)
		cycle();
	sm_store(m, &root[0], NULL);
	ck_assert(cycle());
	ck_assert(step_alive(m, w));
	turn(false);
	cycle();
#if defined(__OPTIMIZE__) && !SM_ASAN && !SM_TSAN
	ck_assert(!step_alive(m, w));
#endif
	sm_weak_free(m, w);
	teardown();
}
END_TEST

/* While a cycle marks, stores of pointers are counted, on or off. */
START_TEST(stores_are_counted)
{
	void **x;

	setup(0);
	gc->gen.choice.held = false;
	x = sm_new(m, node);
	sm_store(m, &root[0], x);
	sm__gc_ask(gc);
	step_past(m, SM_HS_BARRIER_ON);
	for (int i = 0; i < 1000; i++) {
		sm_store(m, &x[0], x);
		sm_store(m, &x[1], NULL);
	}
	ck_assert_int_eq(sm__gc_collect_and_wait(gc, m, false), 0);
	ck_assert(gc->gen.choice.counted == 500 || gc->gen.choice.counted == 1000);
	teardown();
}
END_TEST

static void setup_pages(void)
{
	sm__dirty_instead = &shadow_source;
	gc = GCTEST("gc.generations=auto", "gc.remember=none", "gc.verify=1", "gc.percent=0");
	m = sm_mutator_attach(gc);
	ck_assert_ptr_nonnull(m);
	node = sm_type_prefix(gc, 64, 2);
	ck_assert_int_eq(sm_root_add(gc, (void *)root, 4), 0);
	gc->gen.choice.held = true;
}

/* gc.remember=none: each page that was protected and is told of was a page fault, which counts as
 * marking does; the first time none was, nor behind a time when they were off. */
START_TEST(page_faults_count)
{
	enum { PAGES = 256 };
	size_t words;
	void **big;

	setup_pages();
	words = gc->remember.dirty.page / sizeof(void *);
	root[0] = sm_new_array(m, sm_type_pointers(gc, 1), PAGES * words);
	ck_assert_ptr_nonnull(root[0]);
	big = root[0];
	for (int again = 0; again < 2; again++) {
		for (size_t i = 0; i < PAGES; i++)
			sm_store(m, &big[i * words], big);
		turn(true);
		for (int i = 0; i < 3; i++)
			cycle();
		ck_assert_uint_eq(gc->remember.faults, 0);
		for (size_t i = 0; i < PAGES; i++)
			sm_store(m, &big[i * words + 1], again ? NULL : big);
		for (size_t i = 0; i < PAGES; i++)
			sm_store(m, &big[i * words + 2], again ? big : NULL);
		gc->gen.choice.held = false;
		ck_assert(cycle());
		gc->gen.choice.held = true;
		ck_assert_uint_ge(gc->remember.faults, PAGES);
		ck_assert_uint_le(gc->remember.faults, PAGES + 64);
		ck_assert_double_ge(gc->gen.choice.ns - (double)gc->cycle.cards_ns, PAGES * 1000.0);
		turn(false);
		cycle();
	}
	teardown();
}
END_TEST

/* ---- by itself ---------------------------------------------------------------------------- */

enum { LIVE = 20000 };

static SM_NOINLINE void make(void **at)
{
	void **n = sm_new(m, node);

	if (n == NULL)
		ck_abort();
	sm_store(m, n, *at);
	sm_store(m, at, n);
}

/* So many short lists that die at once. */
static SM_NOINLINE void make_garbage(unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		make(&root[1]);
		if (i % 8 == 0)
			sm_store(m, &root[1], NULL);
	}
}

/* What is made dies when all that was there before has died. */
static SM_NOINLINE void make_ring(void **table, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		void *new = sm_new(m, node);

		if (new == NULL)
			ck_abort();
		sm_store(m, &table[i % LIVE], new);
	}
}

static void setup_alone(void)
{
	gc = GCTEST("gc.generations=auto", "gc.sync=1", "gc.min_heap=1m", "gc.verify=0");
	m = sm_mutator_attach(gc);
	ck_assert_ptr_nonnull(m);
	node = sm_type_prefix(gc, 64, 2);
	ck_assert_int_eq(sm_root_add(gc, (void *)root, 4), 0);
}

START_TEST(found_where_it_pays)
{
	struct sm_gc_stats s;

	setup_alone();
	for (int i = 0; i < LIVE; i++)
		make(&root[0]);
	make_garbage(LIVE * 40);
	s = gctest_stats(gc);
	ck_assert_uint_ge(s.cycles, 20);
	ck_assert(gc->gen.choice.on);
	ck_assert_uint_eq(s.generation_switches, 1);
	ck_assert_uint_ge(s.minors, s.cycles / 2);
	teardown();
}
END_TEST

START_TEST(found_where_it_does_not)
{
	struct sm_gc_stats s;

	setup_alone();
	root[0] = sm_new_array(m, sm_type_pointers(gc, 1), LIVE);
	ck_assert_ptr_nonnull(root[0]);
	make_ring(root[0], LIVE * 100);
	s = gctest_stats(gc);
	ck_assert_uint_ge(s.cycles, 40);
	ck_assert_uint_ge(s.minors, 1);
	ck_assert_uint_le(s.generational_cycles, s.cycles / 3);
	ck_assert(s.generation_switches >= 2);
	teardown();
}
END_TEST

int main(void)
{
	return SM_SUITE("gen_auto", 60, SM_LOOP(off_at_first_and_without_a_trace, 0, WAYS),
			SM_LOOP(on_takes_two_major_cycles, 0, WAYS),
			SM_LOOP(off_again_leaves_nothing, 0, WAYS),
			SM_LOOP(edges_from_before_are_not_lost, 0, WAYS),
			SM_LOOP(what_was_old_dies_when_off, 0, WAYS), SM_T(stores_are_counted),
			SM_T(page_faults_count), SM_T(found_where_it_pays),
			SM_T(found_where_it_does_not));
}
