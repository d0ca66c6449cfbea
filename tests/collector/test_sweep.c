/*
 * test_sweep: what sweeping one span leaves of its bits: the marked slots stay, the others are
 * free, the marks are clear; for spans whose last word of bits is full, or has one slot. And who
 * sweeps when.
 */
#include <check.h>
#include <signal.h>

#include "allocator/objects/markmap.h"
#include "collector/cycle/gc_internal.h"
#include "collector/cycle/sweep.h"
#include "tests/support/gctest.h"
#include "tests/support/run.h"

enum { UNITS = 4, WORDS = SM_UNIT / 16 / 64 };

/* No more of a collector than sweeping a span looks at. */
static struct sm_gc gc;
static struct sm_span spans[UNITS];
static _Atomic(uint64_t) marks[UNITS << (SM_UNIT_SHIFT - SM_MARK_WORD_SHIFT)];
static _Atomic(uint64_t) alloc[WORDS];
static _Atomic(uint8_t) flags[UNITS];

static struct sm_span *place(unsigned nslots)
{
	spans[1] = (struct sm_span){.recip = (uint32_t)(UINT64_C(1) << 32) / 16,
				    .slot_bytes = 16,
				    .nslots = (uint16_t)nslots,
				    .nunits = 1,
				    .alloc = alloc};
	gc.range = (struct sm_range){
		.base = SM_UNIT * 64, .bytes = UNITS * SM_UNIT, .spans = spans, .marks = marks};
	gc.unit_flags = flags;
	for (unsigned w = 0; w < WORDS; w++)
		sm_store_relaxed(&alloc[w], 0);
	for (unsigned i = 0; i < nslots; i++)
		sm_fetch_or_relaxed(&alloc[i / 64], UINT64_C(1) << (i % 64));
	return &spans[1];
}

static bool allocated(unsigned i)
{
	return sm_load_relaxed(&alloc[i / 64]) >> (i % 64) & 1;
}

/* Every step-th slot from the last one down is marked; 0: none. */
static void sweep_some(unsigned nslots, unsigned step)
{
	struct sm_span *s = place(nslots);
	uintptr_t base = sm_span_base(&gc.range, s);
	unsigned live = 0;

	for (unsigned i = 0; i < nslots; i++) {
		if (step == 0 || (nslots - 1 - i) % step != 0)
			continue;
		sm_fetch_or_relaxed(sm_mark_word(&gc.range, base + i * 16u),
				    sm_mark_mask(&gc.range, base + i * 16u));
		live++;
	}
	ck_assert_uint_eq(sm__sweep_span(&gc, s), live);
	for (unsigned i = 0; i < nslots; i++)
		ck_assert_msg(allocated(i) == (step && (nslots - 1 - i) % step == 0),
			      "slot %u of %u, step %u", i, nslots, step);
	for (size_t w = 0; w < sizeof(marks) / sizeof(marks[0]); w++)
		ck_assert_uint_eq(sm_load_relaxed(&marks[w]), 0);
}

START_TEST(every_slot_to_the_last)
{
	static const unsigned around[] = {1, 64, 128, 192, 256};

	for (size_t i = 0; i < sizeof(around) / sizeof(around[0]); i++) {
		for (unsigned n = around[i] - 1; n <= around[i] + 1; n++) {
			for (unsigned step = 0; n > 0 && step <= n; step = step * 2 + 1)
				sweep_some(n, step);
		}
	}
}
END_TEST

/* A mark where nothing is allocated: something followed a dead pointer. */
START_TEST(a_marked_free_slot_aborts)
{
	struct sm_span *s = place(64);
	uintptr_t base = sm_span_base(&gc.range, s);

	sm_fetch_and_relaxed(&alloc[0], ~(UINT64_C(1) << 3));
	sm_fetch_or_relaxed(sm_mark_word(&gc.range, base + 48), sm_mark_mask(&gc.range, base + 48));
	sm__sweep_span(&gc, s);
}
END_TEST

/* ---- a share of it, by mutators ----------------------------------------------------------- */

static void fill_spans(struct sm_mutator *m, unsigned bytes)
{
	for (unsigned n = 0; n < bytes; n += 1024)
		ck_assert_ptr_nonnull(sm_new_bytes(m, 1024));
}

/* A cycle has just marked nothing at all, as far as the heap can tell. */
static void all_is_unswept(struct sm_gc *g, struct sm_mutator *m)
{
	sm__cache_retire_all(sm__cache(m));
	sm_store_release(&g->heap->sweepgen, sm_load_relaxed(&g->heap->sweepgen) + 2);
	sm_store_relaxed(&g->swept, 0);
}

/* Where the sweeper lags behind allocation, a mutator sweeps some spans, and where it does not,
 * none. */
START_TEST(a_mutator_sweeps_what_is_due)
{
	struct sm_gc *g = GCTEST("gc.min_heap=64m");
	struct sm_mutator *m = sm_mutator_attach(g);

	fill_spans(m, 4 * SM_MIB);
	all_is_unswept(g, m);
	sm_store_relaxed(&g->throttle.sweep_from,
			 sm_load_relaxed(&g->heap->allocated_bytes) - SM_MIB);
	sm_store_relaxed(&g->throttle.sweep_ratio, 60);
	sm__sweep_share(m);
	ck_assert_uint_eq(sm_load_relaxed(&g->swept), 0);
	sm_store_relaxed(&g->throttle.sweep_ratio, 100);
	sm__sweep_share(m);
	ck_assert_uint_gt(sm_load_relaxed(&g->swept), 0);
	ck_assert_uint_le(sm_load_relaxed(&g->swept), 16);
	sm_store_relaxed(&g->throttle.sweep_ratio, 0);
	sm__sweep_all(g, NULL);
	gctest_destroy(g, m);
}
END_TEST

/* How many spans there are is what the last cycle swept, not what all of them did. */
START_TEST(the_last_cycle_tells_how_many_spans)
{
	struct sm_gc *g = GCTEST("gc.min_heap=64m");
	struct sm_mutator *m = sm_mutator_attach(g);
	static void *keep[2000];
	static struct sm_heap_stats st;
	uint64_t in_use = 0;

	ck_assert_int_eq(sm_root_add(g, keep, 2000), 0);
	for (unsigned i = 0; i < 2000; i++)
		sm_store(m, &keep[i], sm_new_bytes(m, 1024));
	for (int i = 0; i < 5; i++)
		ck_assert_int_eq(sm_collect(g, m), 0);
	sm_heap_stats(g->heap, &st);
	for (unsigned cls = 1; cls < st.nclasses; cls++)
		in_use += st.cls[cls].spans;
	/* Four at least are over, sweeping included. */
	ck_assert_uint_ge(in_use, 20);
	ck_assert_uint_le(g->spans_last, 2 * in_use);
	ck_assert_int_eq(sm_root_remove(g, keep), 0);
	gctest_destroy(g, m);
}
END_TEST

int main(void)
{
	return SM_SUITE("sweep", 60, SM_T(every_slot_to_the_last),
			SM_RAISES(a_marked_free_slot_aborts, SIGABRT),
			SM_T(a_mutator_sweeps_what_is_due),
			SM_T(the_last_cycle_tells_how_many_spans));
}
