/*
 * test_sweep: what sweeping one span leaves of its bits: the marked slots stay, the others are
 * free, the marks are clear; for spans whose last word of bits is full, or has one slot.
 */
#include <check.h>

#include "allocator/objects/markmap.h"
#include "collector/gc_internal.h"
#include "collector/sweep.h"
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

int main(void)
{
	return SM_SUITE("sweep", 0, SM_T(every_slot_to_the_last));
}
