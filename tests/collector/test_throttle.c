/*
 * test_throttle: what happens beyond the goal, and wherever the collector does not come on: growth
 * has a price, of one account for all mutators, and the heap hardly grows any more. One more
 * mutator holds the cycle up for as long as a test likes.
 */
#include <pthread.h>

#include "collector/cycle/gc_internal.h"
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
		sched_yield();
	if (m)
		sm_mutator_detach(m);
	return arg;
}

static pthread_t hold_up_begin(void)
{
	pthread_t t;

	attached = go_on = 0;
	ck_assert_int_eq(pthread_create(&t, NULL, hold_up, NULL), 0);
	while (!attached)
		sched_yield();
	return t;
}

static void hold_up_end(struct sm_mutator *m, pthread_t t)
{
	go_on = 1;
	sm_blocking_enter(m);
	pthread_join(t, NULL);
	sm_blocking_leave(m);
}

static uint64_t waits(void)
{
	struct sm_gc_stalls s;

	sm_gc_stalls(gc, &s);
	return s.cause[SM_STALL_PACE].count;
}

static size_t allocated(void)
{
	return sm_load_relaxed(&gc->heap->allocated_bytes);
}

static void allocate(struct sm_mutator *m, size_t until)
{
	while (allocated() < until)
		ck_assert_ptr_nonnull(sm_new_bytes(m, 1024));
}

/* Where growth has a price in a collector that has had no cycle: no CPU is known to be its own. */
static size_t begin(void)
{
	ck_assert_uint_eq(sm_load_relaxed(&gc->own_cpus), 0);
	return sm_load_relaxed(&gc->throttle.from) - sm_load_relaxed(&gc->throttle.step);
}

START_TEST(price_doubles)
{
	const size_t step = 4 * SM_MIB;
	uint64_t last = sm__throttle_price(0, step), half;

	/* 2 GB/s. */
	ck_assert_uint_eq(last, 512);
	for (size_t i = 1; i <= 11; i++) {
		half = sm__throttle_price(i * step - step / 2, step);
		ck_assert_uint_gt(half, last);
		ck_assert_uint_lt(half, 2 * last);
		ck_assert_uint_eq(sm__throttle_price(i * step, step), 2 * last);
		last *= 2;
	}
	/* 1 MB/s, however far. */
	ck_assert_uint_eq(last, 1 << 20);
	ck_assert_uint_eq(sm__throttle_price(SIZE_MAX / 2, step), last);
}
END_TEST

/* A collector under a limit has room to slow mutators down before they reach it. */
START_TEST(price_begins_before_the_limit)
{
	struct sm_mutator *m;
	size_t from, step;

	gc = GCTEST("gc.limit=64m", "gc.min_heap=60m");
	m = sm_mutator_attach(gc);
	from = sm_load_relaxed(&gc->throttle.from);
	step = sm_load_relaxed(&gc->throttle.step);
	ck_assert_uint_ge(from, gc->pacer.goal);
	ck_assert_uint_lt(from + 2 * step, 64 * SM_MIB);
	gctest_destroy(gc, m);
}
END_TEST

START_TEST(held_up)
{
	struct sm_mutator *m;
	size_t from, step;
	uint64_t before, since;
	pthread_t t;

	gc = GCTEST("gc.min_heap=4m", "gc.signal_ms=0", "gc.report_ms=0");
	m = sm_mutator_attach(gc);
	t = hold_up_begin();
	from = begin();
	step = sm_load_relaxed(&gc->throttle.step);
	ck_assert_uint_ge(from, gc->pacer.goal);
	allocate(m, from - 64 * SM_KIB);
	ck_assert_uint_eq(gctest_stats(gc).cycles, 0);
	/* From there on it pays: a step at 2 GB/s, one at half of that, .. */
	before = waits();
	since = sm__now_ns();
	allocate(m, from + 4 * step);
	ck_assert_uint_ge(sm__now_ns() - since, (uint64_t)(1 + 2 + 4) * step / 1024 * 512);
	ck_assert_uint_gt(waits(), before);
	ck_assert_uint_eq(gctest_stats(gc).cycles, 0);
	hold_up_end(m, t);
	ck_assert_int_eq(sm_collect(gc, m), 0);
	ck_assert_uint_ge(gctest_stats(gc).cycles, 1);
	/* Within the goal again: no waits at all. */
	before = waits();
	allocate(m, allocated() + SM_MIB);
	ck_assert_uint_eq(waits(), before);
	gctest_destroy(gc, m);
}
END_TEST

#define MANY 16
static _Atomic(int) ready;
static _Atomic(bool) stop;

static void *keep_allocating(void *arg)
{
	struct sm_mutator *m = sm_mutator_attach(gc);

	ready++;
	while (!sm_load_relaxed(&stop))
		if (sm_new_bytes(m, 256) == NULL)
			abort();
	sm_mutator_detach(m);
	return arg;
}

/* Bytes beyond `from` that so many ns pay for, from zero on. */
static size_t paid_by(uint64_t ns, size_t step)
{
	size_t beyond = 0;

	for (uint64_t cost = 0; cost < ns; beyond += 16 * SM_KIB)
		cost += 16 * sm__throttle_price(beyond, step);
	return beyond;
}

/* The account is one for all: sixteen mutators get no farther than one would. */
START_TEST(one_account)
{
	struct sm_mutator *m;
	pthread_t holder, t[MANY];
	size_t from, step, beyond, most;
	uint64_t since;

	gc = GCTEST("gc.min_heap=4m", "gc.signal_ms=0", "gc.report_ms=0");
	m = sm_mutator_attach(gc);
	holder = hold_up_begin();
	from = begin();
	step = sm_load_relaxed(&gc->throttle.step);
	stop = false;
	ready = 0;
	allocate(m, from);
	since = sm__now_ns();
	for (int i = 0; i < MANY; i++)
		ck_assert_int_eq(pthread_create(&t[i], NULL, keep_allocating, NULL), 0);
	sm_blocking_enter(m);
	while (ready < MANY || sm__now_ns() - since < 100000000)
		sched_yield();
	stop = true;
	sm_blocking_leave(m);
	/* What is taken before it is paid for: a window each, and what is not posted yet. */
	beyond = allocated() - from;
	most = paid_by(sm__now_ns() - since, step) + (MANY + 1) * 64 * SM_KIB;
	go_on = 1;
	sm_blocking_enter(m);
	for (int i = 0; i < MANY; i++)
		pthread_join(t[i], NULL);
	pthread_join(holder, NULL);
	sm_blocking_leave(m);
	ck_assert_msg(beyond <= most, "%zu KiB beyond, %zu paid for", beyond / 1024, most / 1024);
	ck_assert_uint_gt(beyond, 0);
	gctest_destroy(gc, m);
}
END_TEST

/* Who comes when others wait already waits for all that they have taken. */
START_TEST(they_queue)
{
	struct sm_mutator *m;
	pthread_t holder;
	uint64_t others;

	gc = GCTEST("gc.min_heap=4m", "gc.signal_ms=0", "gc.report_ms=0");
	m = sm_mutator_attach(gc);
	holder = hold_up_begin();
	allocate(m, begin() + sm_load_relaxed(&gc->throttle.step));
	others = sm__now_ns() + 300000000;
	sm_store_relaxed(&gc->throttle.paid, others);
	sm__throttle(m, 1024);
	ck_assert_uint_gt(sm_load_relaxed(&gc->throttle.paid), others);
	hold_up_end(m, holder);
	gctest_destroy(gc, m);
}
END_TEST

/* While a handshake waits, who has answered it gives its CPU away whenever it refills: who has not
 * may be waiting for that. */
START_TEST(late_ones_are_let_by)
{
	struct sm_mutator *m;
	uint64_t before;
	pthread_t t;

	gc = GCTEST("gc.min_heap=64m", "gc.signal_ms=0", "gc.report_ms=0", "gc.avoid_cpus=0");
	m = sm_mutator_attach(gc);
	t = hold_up_begin();
	ck_assert_uint_eq(sm_load_relaxed(&gc->throttle.let_by), 0);
	sm__gc_ask(gc);
	while (sm_load_relaxed(&gc->throttle.let_by) == 0)
		sm_safepoint(m);
	before = waits();
	allocate(m, allocated() + 4 * SM_MIB);
	ck_assert_uint_ge(waits() - before, 4 * SM_MIB / (64 * SM_KIB));
	hold_up_end(m, t);
	ck_assert_int_eq(sm_collect(gc, m), 0);
	ck_assert_uint_eq(sm_load_relaxed(&gc->throttle.let_by), 0);
	gctest_destroy(gc, m);
}
END_TEST

static void *list;

/* Its frame is gone when the list is dropped. */
static SM_NOINLINE void fill(struct sm_mutator *m)
{
	const struct sm_type *node = sm_type_prefix(gc, 1024, 1);

	for (int i = 0; i < 33 * 1024; i++) {
		void **p = sm_new(m, node);

		ck_assert_ptr_nonnull(p);
		sm_store(m, p, list);
		sm_store(m, &list, p);
	}
}

/* Memory that is free and beyond the limit does not wait for the scavenger. */
START_TEST(limit_is_kept_by_a_cycle)
{
	struct sm_mutator *m;
	size_t in_use, dirty;

	gc = GCTEST("gc.limit=16m", "scavenge.interval=0",
		    _i ? "gc.mode=stw" : "gc.mode=concurrent");
	m = sm_mutator_attach(gc);
	ck_assert_int_eq(sm_root_add(gc, &list, 1), 0);
	fill(m);
	sm__pageheap_resident(&gc->heap->pages, &in_use, &dirty);
	ck_assert_uint_gt(in_use, 32 * SM_MIB);
	sm_store(m, &list, NULL);
	gctest_clear_stack();
	ck_assert_int_eq(sm_collect(gc, m), 0);
	sm__pageheap_resident(&gc->heap->pages, &in_use, &dirty);
	ck_assert_uint_le(in_use + dirty, 16 * SM_MIB);
	/* But no more than that. */
	ck_assert_uint_ge(in_use + dirty, 12 * SM_MIB);
	ck_assert_int_eq(sm_root_remove(gc, &list), 0);
	gctest_destroy(gc, m);
}
END_TEST

/* Refills at which the number of finished cycles changes, while half of 24 MiB stays alive. */
static unsigned cycles_at(uint64_t refills[64])
{
	static void *keep[1024];
	unsigned n = 0;
	struct sm_mutator *m;

	gc = GCTEST("gc.sync=1", "gc.min_heap=1m", "gc.workers=1", "scavenge.interval=0");
	m = sm_mutator_attach(gc);
	ck_assert_ptr_nonnull(m);
	ck_assert_int_eq(sm_root_add(gc, keep, 1024), 0);
	for (unsigned i = 0; i < 24 * 1024; i++) {
		uint64_t cycles = sm_load_seqcst(&gc->cycles_completed);
		void *p = sm_new_bytes(m, 1024);

		ck_assert_ptr_nonnull(p);
		if (i % 2)
			sm_store(m, &keep[i / 2 % 1024], p);
		if (sm_load_seqcst(&gc->cycles_completed) != cycles && n < 64)
			refills[n++] = i;
	}
	ck_assert_uint_eq(waits(), n);
	ck_assert_uint_eq(sm_load_seqcst(&gc->cycles_completed), n);
	memset(keep, 0, sizeof(keep));
	ck_assert_int_eq(sm_root_remove(gc, keep), 0);
	gctest_destroy(gc, m);
	return n;
}

/* gc.sync: a cycle ends in the allocation that it is due in, the same one every time. */
START_TEST(sync_cycles_are_where_they_are_due)
{
	uint64_t first[64], again[64];
	unsigned n = cycles_at(first);

	ck_assert_uint_ge(n, 3);
	for (int round = 0; round < 3; round++) {
		ck_assert_uint_eq(cycles_at(again), n);
		for (unsigned i = 0; i < n; i++)
			ck_assert_uint_eq(again[i], first[i]);
	}
}
END_TEST

int main(void)
{
	return SM_SUITE("throttle", 60, SM_T(sync_cycles_are_where_they_are_due),
			SM_T(price_doubles), SM_T(price_begins_before_the_limit), SM_T(held_up),
			SM_T(one_account), SM_T(they_queue), SM_T(late_ones_are_let_by),
			SM_LOOP(limit_is_kept_by_a_cycle, 0, 2));
}
