/*
 * test_markmap: the bits of a span's slots, gathered from the map by address, against one slot
 * after another; runs; and that neighbouring spans do not touch each other's bits.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "allocator/objects/markmap.h"
#include "allocator/base/sizeclass.h"
#include "tests/support/marksim.h"
#include "tests/support/run.h"

static struct marksim m;
static const struct sm_range *r;
static struct sm_span s;
static uintptr_t base;

/* A span of class c in the middle of the range: the map needs its place and its geometry, no
 * memory. */
static void place(unsigned c)
{
	struct sm_span *at = &r->spans[1000];

	s = (struct sm_span){.recip = sm__sizeclasses[c].recip,
			     .slot_bytes = (uint16_t)sm__sizeclasses[c].slot_bytes,
			     .nslots = (uint16_t)sm__sizeclasses[c].nslots,
			     .nunits = sm__sizeclasses[c].nunits};
	ck_assert_int_eq(mprotect((void *)sm_align_down((uintptr_t)at, 65536), 65536,
				  PROT_READ | PROT_WRITE),
			 0);
	*at = s;
	base = sm_span_base(r, at);
}

#define AT (&r->spans[1000])

static bool gathered(const uint64_t *out, unsigned slot)
{
	return out[slot / 64] >> (slot % 64) & 1;
}

static void setup(void)
{
	marksim_init(&m, NULL);
	r = &m.heap->pages.range;
}

START_TEST(gathers_what_was_set)
{
	for (unsigned c = 1; c < sm__nclasses; c++) {
		uint64_t out[SM_MARK_SLOTS_WORDS];
		bool set[SM_UNIT / 8] = {0}, any = false;

		if (sm__sizeclasses[c].slot_bytes < 16)
			continue;
		place(c);
		srand(c);
		for (unsigned density = 1; density <= 100; density += 33) {
			for (unsigned i = 0; i < s.nslots; i++) {
				uintptr_t p = base + (uintptr_t)i * s.slot_bytes;

				if (set[i] || (unsigned)rand() % 100 >= density)
					continue;
				ck_assert(!sm_mark_test(r, p));
				sm_fetch_or_relaxed(sm_mark_word(r, p), sm_mark_mask(r, p));
				set[i] = any = true;
			}
			ck_assert_int_eq(sm__marks_gather(r, AT, out), any);
			for (unsigned i = 0; i < s.nslots; i++)
				ck_assert_msg(gathered(out, i) == set[i], "class %u slot %u", c, i);
			for (unsigned i = s.nslots; i < (s.nslots + 63u) / 64 * 64; i++)
				ck_assert(!gathered(out, i));
		}
		sm__marks_clear(r, AT);
		ck_assert(!sm__marks_gather(r, AT, out));
	}
}
END_TEST

/* A run's bits are its own slots', whatever is filled between them; clearing one leaves its
 * neighbours. */
START_TEST(runs_end_where_they_end)
{
	for (unsigned c = 1; c < sm__nclasses; c++) {
		uint64_t out[SM_MARK_SLOTS_WORDS];

		if (sm__sizeclasses[c].slot_bytes < 16)
			continue;
		place(c);
		srand(c);
		for (unsigned k = 0; k < 20; k++) {
			unsigned first = (unsigned)rand() % s.nslots,
				 n = 1 + (unsigned)rand() % (s.nslots - first);

			sm__marks_set_run(r, AT, first, n);
			ck_assert(sm__marks_gather(r, AT, out));
			for (unsigned i = 0; i < s.nslots; i++)
				ck_assert_int_eq(gathered(out, i), i >= first && i < first + n);
			sm__marks_set_run(r, AT, 0, s.nslots);
			sm__marks_clear_run(r, AT, first, n);
			ck_assert_int_eq(sm__marks_gather(r, AT, out), n < s.nslots);
			for (unsigned i = 0; i < s.nslots; i++)
				ck_assert_int_eq(gathered(out, i), i < first || i >= first + n);
			sm__marks_clear(r, AT);
		}
	}
}
END_TEST

/* Every bit of the span's words is set, those behind its last slot, too: of a span that is full,
 * and of one with fewer slots, which ends in the middle of a word. */
START_TEST(slots_end_where_they_end)
{
	for (unsigned c = 1; c < sm__nclasses; c++) {
		unsigned full;

		if (sm__sizeclasses[c].slot_bytes < 16)
			continue;
		place(c);
		full = s.nslots;
		for (unsigned n = full; n >= 1; n = n == full ? n - n / 3 : n / 2) {
			uint64_t out[SM_MARK_SLOTS_WORDS];
			_Atomic(uint64_t) *words = sm_mark_word(r, base);

			AT->nslots = (uint16_t)n;
			for (size_t w = 0; w < sm_span_bytes(&s) >> SM_MARK_WORD_SHIFT; w++)
				sm_store_relaxed(&words[w], ~UINT64_C(0));
			ck_assert(sm__marks_gather(r, AT, out));
			for (unsigned i = 0; i < (n + 63) / 64 * 64; i++)
				ck_assert_msg(gathered(out, i) == (i < n),
					      "class %u, %u slots, bit %u", c, n, i);
			sm__marks_clear(r, AT);
			if (n == 1)
				break;
		}
	}
}
END_TEST

/* Everything set in the units before and behind: nothing of it is the span's, and clearing leaves
 * it. */
START_TEST(spans_share_no_word)
{
	for (unsigned c = 1; c < sm__nclasses; c++) {
		uint64_t out[SM_MARK_SLOTS_WORDS];
		size_t words = SM_UNIT >> SM_MARK_WORD_SHIFT;
		_Atomic(uint64_t) *before, *behind;

		if (sm__sizeclasses[c].slot_bytes < 16)
			continue;
		place(c);
		before = sm_mark_word(r, base - SM_UNIT);
		behind = sm_mark_word(r, base + sm_span_bytes(&s));
		for (size_t w = 0; w < words; w++) {
			sm_store_relaxed(&before[w], ~UINT64_C(0));
			sm_store_relaxed(&behind[w], ~UINT64_C(0));
		}
		ck_assert(!sm__marks_gather(r, AT, out));
		sm__marks_set_run(r, AT, 0, s.nslots);
		sm__marks_clear(r, AT);
		ck_assert(!sm__marks_gather(r, AT, out));
		for (size_t w = 0; w < words; w++) {
			ck_assert_uint_eq(sm_load_relaxed(&before[w]), ~UINT64_C(0));
			ck_assert_uint_eq(sm_load_relaxed(&behind[w]), ~UINT64_C(0));
			sm_store_relaxed(&before[w], 0);
			sm_store_relaxed(&behind[w], 0);
		}
	}
}
END_TEST

int main(void)
{
	return SM_SUITE_ONCE("markmap", 0, setup, NULL, SM_T(gathers_what_was_set),
			     SM_T(runs_end_where_they_end), SM_T(slots_end_where_they_end),
			     SM_T(spans_share_no_word));
}
