/* Spans: the search for free runs against a naive one, the bits of runs, and a check that finds
 * damage. */
#include <stdlib.h>
#include <string.h>

#include "allocator/objects/central.h"
#include "allocator/pages/meta.h"
#include "tests/support/marksim.h"
#include "tests/support/run.h"

#define SLOTS_MAX 2048

static _Atomic(uint64_t) bits[SLOTS_MAX / 64];
static struct sm_span span;

static bool bit(unsigned i)
{
	return sm_load_relaxed(&bits[i / 64]) >> (i % 64) & 1;
}

static void randomize(unsigned seed, unsigned nslots)
{
	/* From nearly empty to nearly full, in runs: the shapes that sweeping leaves. */
	unsigned density = (unsigned)rand() % 9, i = 0;

	(void)seed;
	memset(bits, 0, sizeof(bits));
	memset(&span, 0, sizeof(span));
	span.alloc = bits;
	span.nslots = (uint16_t)nslots;
	while (i < nslots) {
		unsigned run = 1 + (unsigned)rand() % (rand() % 8 ? 4 : 200);
		bool used = (unsigned)rand() % 8 < density;

		for (; run > 0 && i < nslots; run--, i++)
			if (used) {
				bits[i / 64] |= UINT64_C(1) << (i % 64);
				span.nalloc++;
			}
	}
}

static unsigned naive_run(unsigned from, unsigned max, unsigned *first)
{
	unsigned i = from, n = 0;

	while (i < span.nslots && bit(i))
		i++;
	*first = i;
	while (i + n < span.nslots && n < max && !bit(i + n))
		n++;
	return n;
}

START_TEST(find_run_agrees_with_a_naive_search)
{
	static const unsigned sizes[] = {1, 4, 7, 63, 64, 65, 128, 146, 256, 341, 1024, 2048};
	static const unsigned caps[] = {1, 2, 8, 63, 64, 65, 512, 4096};

	srand(20261122);
	for (unsigned round = 0; round < 4000; round++) {
		unsigned nslots = sizes[round % 12], from = (unsigned)rand() % (nslots + 1);
		unsigned max = caps[(unsigned)rand() % 8], a = 0, b = 0, na, nb;

		randomize(round, nslots);
		na = sm__span_find_run(&span, from, max, &a);
		nb = naive_run(from, max, &b);
		ck_assert_uint_eq(na, nb);
		if (na != 0)
			ck_assert_uint_eq(a, b);
	}
}
END_TEST

/* The first line from which on every slot is free, as naive_run has runs. */
static unsigned naive_line(unsigned from, unsigned max, unsigned slots, unsigned *first)
{
	for (unsigned line = from / slots * slots; line + slots <= span.nslots; line += slots) {
		unsigned n = 0;

		while (n < slots && line + n >= from && !bit(line + n))
			n++;
		if (n == slots)
			return naive_run(line, max, first);
	}
	return 0;
}

START_TEST(find_line_agrees_with_a_naive_search)
{
	static const unsigned bytes[] = {16, 32}, sizes[] = {256, 512, 1024, 2048};

	srand(20261128);
	for (unsigned round = 0; round < 4000; round++) {
		unsigned nslots = sizes[round % 4], max = 4 + (unsigned)rand() % 300;
		unsigned a = 0, b = 0, na, nb, from = 0;

		randomize(round, nslots);
		span.slot_bytes = bytes[round / 4 % 2];
		while (from < nslots && bit(from))
			from++; /* what scan_from says at most */
		na = sm__span_find_line(&span, from, max, &a);
		nb = naive_line(from, max, 64 / span.slot_bytes, &b);
		ck_assert_uint_eq(na, nb);
		if (na != 0)
			ck_assert_uint_eq(a, b);
	}
}
END_TEST

START_TEST(runs_are_set_and_cleared_exactly)
{
	srand(1);
	for (unsigned round = 0; round < 4000; round++) {
		unsigned first = 0, n, used;

		randomize(round, 341);
		used = span.nalloc;
		n = sm__span_find_run(&span, (unsigned)rand() % 341, 1 + (unsigned)rand() % 300,
				      &first);
		if (n == 0)
			continue;
		sm__span_set_run(&span, first, n);
		ck_assert_uint_eq(span.nalloc, used + n);
		for (unsigned i = first; i < first + n; i++)
			ck_assert(bit(i));
		span.scan_from = (uint16_t)(first + n);
		sm__span_clear_run(&span, first, n);
		ck_assert_uint_eq(span.nalloc, used);
		ck_assert_uint_le(span.scan_from, first);
		for (unsigned i = first; i < first + n; i++)
			ck_assert(!bit(i));
	}
}
END_TEST

/* Each damages one field of a live span; the check must name something every time. */
static void damage(struct marksim *m, struct sm_span *s, int which)
{
	switch (which) {
	case 0: s->nalloc++; break;
	case 1: s->slot_bytes += 16; break;
	case 2: s->recip++; break;
	case 3: s->nslots--; break;
	case 4: s->cls++; break;
	case 5: s->bin++; break;
	case 6: s->layout = NULL; break;
	case 7: m->heap->pages.range.unit_kind[sm_span_unit(&m->heap->pages.range, s)]++; break;
	case 8: s->scan_from = (uint16_t)(s->nslots); break;
	case 9: s->node = 9; break;
	case 10: s->back = 1; break;
	case 11: sm_store_relaxed(&s->state, 77); break;
	case 12: s->alloc[(s->nslots - 1) / 64] ^= UINT64_C(1) << ((s->nslots - 1) % 64); break;
	case 13: s->nunits++; break;
	}
}

START_TEST(the_check_finds_each_damage)
{
	struct marksim m;
	struct sm_cache *c;
	struct sm_span *s;
	char *p;

	marksim_init(&m, (const char *const[]){"cache.window=256", NULL});
	c = marksim_cache_new(&m);
	p = sm__cache_refill_slow(c, sm_size_class(64));
	ck_assert_ptr_nonnull(p);
	s = sm_span_of(&m.heap->pages.range, (uintptr_t)p);
	ck_assert_ptr_null(sm__span_is_valid(m.heap, s));
	damage(&m, s, _i);
	ck_assert_ptr_nonnull(sm__span_is_valid(m.heap, s));
	ck_assert_uint_gt(sm_heap_check(m.heap), 0);
}
END_TEST

static void new_objects(struct sm_cache *c, unsigned bin, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		if (sm__cache_bump(c, bin) == NULL)
			ck_assert_ptr_nonnull(sm__cache_refill_slow(c, bin));
}

/* Spans of many slots have bitmaps outside their descriptors: they go with the spans. */
START_TEST(bitmaps_go_with_their_spans)
{
	struct marksim m;
	struct sm_cache *c;
	unsigned cls = sm_size_class(8);
	size_t before;

	marksim_init(&m, NULL);
	c = marksim_cache_new(&m);
	ck_assert_uint_gt(sm__sizeclasses[cls].nslots, SM_SPAN_INLINE_SLOTS);
	before = sm__meta_bytes(&m.heap->pages);
	new_objects(c, cls, 20u * sm__sizeclasses[cls].nslots);
	ck_assert_uint_ge(sm__meta_bytes(&m.heap->pages),
			  before + 20u * sm__sizeclasses[cls].nslots / 8);
	marksim_advance(&m);
	ck_assert_uint_ge(marksim_sweep_all(&m), 20);
	ck_assert_uint_eq(sm__meta_bytes(&m.heap->pages), before);
	marksim_cache_free(c);
	marksim_fini(&m);
}
END_TEST

int main(void)
{
	return SM_SUITE("span", 0, SM_T(bitmaps_go_with_their_spans),
			SM_T(find_run_agrees_with_a_naive_search),
			SM_T(find_line_agrees_with_a_naive_search),
			SM_T(runs_are_set_and_cleared_exactly),
			SM_LOOP(the_check_finds_each_damage, 0, 14));
}
