/* test_pageheap: both page heaps against a model, and each promise of pageheap.h by itself. */
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "allocator/os/os.h"
#include "allocator/pages/pageheap_internal.h"
#include "tests/support/pagetest.h"
#include "tests/support/scale.h"
#include "tests/support/run.h"

static const enum sm_pageheap_kind KINDS[] = {SM_PAGEHEAP_BUDDY, SM_PAGEHEAP_BITMAP};

static struct sm_heap *heap;

static void start(int kind)
{
	heap = pagetest_heap(KINDS[kind]);
	pagetest_create(heap);
}

static void finish(void)
{
	ck_assert_uint_eq(sm__pageheap_check(&heap->pages), 0);
	pagetest_destroy(heap);
}

static char *base_of(struct sm_span *s)
{
	return (char *)sm_span_base(&heap->pages.range, s);
}

static bool all_zero(const char *p, size_t n)
{
	return p[0] == 0 && memcmp(p, p + 1, n - 1) == 0;
}

/* ---- single promises ---------------------------------------------------------------------- */

START_TEST(a_span_is_described)
{
	struct sm_span *s;

	start(_i);
	s = sm__pageheap_alloc(&heap->pages, 0, 5);
	ck_assert_ptr_nonnull(s);
	ck_assert_uint_eq(s->nunits, 5);
	ck_assert_uint_eq(s->node, 0);
	ck_assert_uint_eq(s->flags, SM_SPANF_ZEROED);
	ck_assert_uint_eq(s->state, SM_SPAN_OTHER);
	for (unsigned i = 1; i < 5; i++)
		ck_assert_uint_eq(s[i].state, SM_SPAN_FREE);
	ck_assert_ptr_null(s->layout);
	ck_assert_uint_ne(sm_span_unit(&heap->pages.range, s), 0);
	for (size_t i = 0; i < 5 * SM_UNIT; i += 512)
		ck_assert_ptr_eq(sm_span_of(&heap->pages.range, (uintptr_t)base_of(s) + i), s);
	ck_assert(all_zero(base_of(s), 5 * SM_UNIT));
	memset(base_of(s), 0xa5, 5 * SM_UNIT);
	sm__pageheap_free(&heap->pages, s);
	for (unsigned i = 0; i < 5; i++) {
		ck_assert_uint_eq(s[i].back, 0);
		ck_assert_uint_eq(s[i].state, SM_SPAN_FREE);
	}
	finish();
}
END_TEST

START_TEST(freed_memory_is_not_called_zero)
{
	struct sm_span *s, *t;

	start(_i);
	s = sm__pageheap_alloc(&heap->pages, 0, 3);
	memset(base_of(s), 1, 3 * SM_UNIT);
	sm__pageheap_free(&heap->pages, s);
	/* Lowest address first: the same place again, and a run that is half of it. */
	t = sm__pageheap_alloc(&heap->pages, 0, 4);
	ck_assert_ptr_eq(base_of(t), base_of(s) - (base_of(s) - base_of(t)));
	for (int i = 0; i < 8; i++) {
		struct sm_span *u = sm__pageheap_alloc(&heap->pages, 0, 1);

		if (u->flags & SM_SPANF_ZEROED)
			ck_assert(all_zero(base_of(u), SM_UNIT));
		else
			ck_assert_uint_eq(base_of(u)[0], 1);
	}
	finish();
}
END_TEST

START_TEST(nothing_is_rounded_up)
{
	struct sm_pageheap_stats st;

	start(_i);
	for (size_t n = 1; n <= 17; n++)
		ck_assert_ptr_nonnull(sm__pageheap_alloc(&heap->pages, 0, n));
	st = pagetest_stats(heap);
	ck_assert_uint_eq(st.in_use_bytes, 17 * 18 / 2 * SM_UNIT);
	ck_assert_uint_eq(st.committed_bytes, st.in_use_bytes + st.free_bytes + st.released_bytes);
	finish();
}
END_TEST

static struct sm_span *units[2 * SM_BITMAP_CHUNK];

/* All units of the first chunks of the bitmap, each a span: units[i] is unit i. */
static void fill_chunks(unsigned n)
{
	for (unsigned i = 1; i < n * SM_BITMAP_CHUNK; i++) {
		units[i] = sm__pageheap_alloc(&heap->pages, 0, 1);
		ck_assert_uint_eq(sm_span_unit(&heap->pages.range, units[i]), i);
	}
}

static void free_units(unsigned from, unsigned n)
{
	for (unsigned i = from; i < from + n; i++)
		sm__pageheap_free(&heap->pages, units[i]);
}

static unsigned unit_of_run(unsigned n)
{
	return sm_span_unit(&heap->pages.range, sm__pageheap_alloc(&heap->pages, 0, n));
}

/* The only run that is long enough lies inside of a word of the bitmap, behind one that is nearly
 * so long. */
START_TEST(a_run_inside_of_a_word_is_found)
{
	start(1);
	fill_chunks(1);
	free_units(10, 35);
	free_units(72, 40);
	ck_assert_uint_eq(unit_of_run(40), 72);
	finish();
}
END_TEST

/* .. or across the border of two chunks, neither of which has enough by itself. */
START_TEST(a_run_across_a_border_is_found)
{
	start(1);
	fill_chunks(2);
	free_units(SM_BITMAP_CHUNK - 12, 24);
	free_units(100, 20);
	ck_assert_uint_eq(unit_of_run(24), SM_BITMAP_CHUNK - 12);
	finish();
}
END_TEST

/* Three neighbours of 256 KiB are free, which is no block of a buddy's: new memory stays new. */
START_TEST(a_long_run_across_blocks_is_found)
{
	size_t n = 256 * SM_KIB >> SM_UNIT_SHIFT;
	struct sm_span *s[16], *long_one;

	start(_i);
	for (int i = 0; i < 16; i++)
		s[i] = sm__pageheap_alloc(&heap->pages, 0, n);
	ck_assert_ptr_eq(base_of(s[7]), base_of(s[5]) + 2 * n * SM_UNIT);
	for (int i = 5; i < 8; i++)
		sm__pageheap_free(&heap->pages, s[i]);
	long_one = sm__pageheap_alloc(&heap->pages, 0, 3 * n);
	ck_assert_ptr_eq(long_one, s[5]);
	sm__pageheap_free(&heap->pages, long_one);
	finish();
}
END_TEST

START_TEST(alignment_is_kept)
{
	start(_i);
	for (size_t align = 1; align <= 2 * 4 * SM_MIB / SM_UNIT; align *= 2)
		for (size_t n = 1; n <= 4 * SM_MIB / SM_UNIT; n = n * 3 + 1) {
			struct sm_span *s = sm__pageheap_alloc_aligned(&heap->pages, 0, n, align);

			ck_assert_ptr_nonnull(s);
			ck_assert_uint_eq((uintptr_t)base_of(s) % (align * SM_UNIT < 4 * SM_MIB
									   ? align * SM_UNIT
									   : 4 * SM_MIB),
					  0);
			ck_assert_uint_eq(
				sm_span_base(&heap->pages.range, s) % (align << SM_UNIT_SHIFT), 0);
		}
	finish();
}
END_TEST

START_TEST(grows_and_shrinks_in_place)
{
	struct sm_span *s, *t;

	start(_i);
	s = sm__pageheap_alloc(&heap->pages, 0, 4);
	t = sm__pageheap_alloc_aligned(&heap->pages, 0, 4, 16);
	memset(base_of(t), 7, 4 * SM_UNIT);
	ck_assert(sm__pageheap_grow(&heap->pages, t, 30));
	ck_assert_uint_eq(t->nunits, 30);
	ck_assert_ptr_eq(sm_span_of(&heap->pages.range, (uintptr_t)base_of(t) + 30 * SM_UNIT - 1),
			 t);
	ck_assert(t->flags & SM_SPANF_ZEROED);
	ck_assert(all_zero(base_of(t) + 4 * SM_UNIT, 26 * SM_UNIT));
	ck_assert_uint_eq(sm__pageheap_check(&heap->pages), 0);
	memset(base_of(t), 7, 30 * SM_UNIT);
	sm__pageheap_shrink(&heap->pages, t, 3);
	ck_assert_uint_eq(t->nunits, 3);
	ck_assert_uint_eq(sm_span_of(&heap->pages.range, (uintptr_t)base_of(t) + 3 * SM_UNIT)->back,
			  0);
	ck_assert_uint_eq(base_of(t)[3 * SM_UNIT - 1], 7);
	ck_assert(sm__pageheap_grow(&heap->pages, t, 5));
	ck_assert(!(t->flags & SM_SPANF_ZEROED));
	/* Not into a run in use. */
	ck_assert(!sm__pageheap_grow(&heap->pages, s, 64));
	ck_assert_uint_eq(s->nunits, 4);
	/* Past the frontier: more is committed. */
	ck_assert(sm__pageheap_grow(&heap->pages, t, 2 * 4 * SM_MIB / SM_UNIT));
	base_of(t)[sm_span_bytes(t) - 1] = 1;
	sm__pageheap_free(&heap->pages, t);
	sm__pageheap_free(&heap->pages, s);
	finish();
}
END_TEST

START_TEST(beyond_the_largest_block)
{
	size_t n = 40 * SM_MIB / SM_UNIT;
	struct sm_span *s, *t, *u;
	size_t mapped;

	start(_i);
	mapped = sm_load_relaxed(&heap->pages.mapped_bytes);
	s = sm__pageheap_alloc(&heap->pages, 0, n);
	t = sm__pageheap_alloc_aligned(&heap->pages, 0, n / 2, 1024);
	ck_assert(s->flags & SM_SPANF_OWNMAP && s->flags & SM_SPANF_ZEROED);
	ck_assert(sm_range_contains(&heap->pages.range, (uintptr_t)base_of(s) + n * SM_UNIT - 1));
	ck_assert_uint_eq(sm_span_base(&heap->pages.range, t) % ((size_t)1024 << SM_UNIT_SHIFT), 0);
	for (size_t i = 0; i < n; i += 7)
		ck_assert_ptr_eq(
			sm_span_of(&heap->pages.range, (uintptr_t)base_of(s) + i * SM_UNIT + 77),
			s);
	memset(base_of(s), 9, 5 * SM_MIB);
	ck_assert_uint_eq(sm__pageheap_check(&heap->pages), 0);
	ck_assert(sm__pageheap_grow(&heap->pages, s, n + 100));
	ck_assert_uint_eq(base_of(s)[(n + 100) * SM_UNIT - 1], 0);
	sm__pageheap_shrink(&heap->pages, s, n / 4);
	ck_assert_uint_eq(sm__pageheap_check(&heap->pages), 0);
	sm__pageheap_free(&heap->pages, s);
	ck_assert_uint_eq(sm__pageheap_check(&heap->pages), 0);
	u = sm__pageheap_alloc(&heap->pages, 0, n);
	ck_assert(all_zero(base_of(u), SM_UNIT));
	sm__pageheap_free(&heap->pages, t);
	sm__pageheap_free(&heap->pages, u);
	ck_assert_uint_eq(sm_load_relaxed(&heap->pages.mapped_bytes), mapped);
	ck_assert_uint_eq(pagetest_stats(heap).own_bytes, 0);
	finish();
}
END_TEST

/* Holes that were there before the frontier passed what had bits are found behind it, and are known
 * to be dirty. */
START_TEST(bits_follow_the_frontier)
{
	enum { HOLES = 300 };
	struct sm_span *hole[HOLES], *s;
	uint32_t tracked, moves = 0, found = 0;
	struct sm_ph_node *nd;

	start(_i);
	nd = &sm__ph(&heap->pages)->nodes[0];
	tracked = nd->tracked;
	ck_assert_uint_lt(tracked, nd->units / 8);
	for (int i = 0; i < HOLES; i++) {
		hole[i] = sm__pageheap_alloc(&heap->pages, 0, 4);
		ck_assert_ptr_nonnull(sm__pageheap_alloc(&heap->pages, 0, 4));
	}
	for (int i = 0; i < HOLES; i++)
		sm__pageheap_free(&heap->pages, hole[i]);
	while (nd->frontier < nd->units / 2) {
		ck_assert_ptr_nonnull(sm__pageheap_alloc(&heap->pages, 0, 64));
		ck_assert_uint_le(nd->frontier, nd->tracked);
		if (nd->tracked == tracked)
			continue;
		tracked = nd->tracked;
		moves++;
		ck_assert_uint_eq(sm__pageheap_check(&heap->pages), 0);
	}
	ck_assert_uint_ge(moves, 2);
	for (int i = 0; i < HOLES; i++) {
		s = sm__pageheap_alloc(&heap->pages, 0, 4);
		found += sm_span_unit(&heap->pages.range, s) < HOLES * 8 + 8 &&
			 !(s->flags & SM_SPANF_ZEROED);
	}
	ck_assert_uint_eq(found, HOLES);
	finish();
}
END_TEST

START_TEST(the_limit_holds)
{
	struct sm_span *s[64];
	size_t n = 0, limit = 10 * SM_MIB;

	heap = pagetest_heap(KINDS[_i]);
	heap->config.limit = limit;
	pagetest_create(heap);
	while (n < 64 && (s[n] = sm__pageheap_alloc(&heap->pages, 0, SM_MIB / SM_UNIT)) != NULL)
		n++;
	ck_assert_int_eq(errno, ENOMEM);
	/* 10 MiB less what descriptors cost: nine pieces of 1 MiB, eight where they are kept
	 * aligned; and small ones still. */
	ck_assert_uint_ge(n, KINDS[_i] == SM_PAGEHEAP_BUDDY ? 8 : 9);
	ck_assert_uint_le(sm_load_relaxed(&heap->pages.mapped_bytes), limit);
	ck_assert_ptr_nonnull(sm__pageheap_alloc(&heap->pages, 0, 1));
	ck_assert_uint_eq(sm__pageheap_check(&heap->pages), 0);
	ck_assert_uint_gt(pagetest_stats(heap).failed, 0);
	sm__pageheap_free(&heap->pages, s[4]);
	ck_assert_ptr_nonnull(sm__pageheap_alloc(&heap->pages, 0, SM_MIB / SM_UNIT));
	finish();
}
END_TEST

/* What is free in the arenas must not keep a mapping of its own from being made. */
START_TEST(the_frontier_retreats_for_a_large_one)
{
	struct sm_span *s[8], *large;

	heap = pagetest_heap(KINDS[_i]);
	heap->config.limit = 24 * SM_MIB;
	pagetest_create(heap);
	for (int i = 0; i < 8; i++)
		ck_assert_ptr_nonnull(
			s[i] = sm__pageheap_alloc(&heap->pages, 0, 2 * SM_MIB / SM_UNIT));
	ck_assert_ptr_null(sm__pageheap_alloc(&heap->pages, 0, 16 * SM_MIB / SM_UNIT));
	for (int i = 1; i < 8; i++) {
		memset(base_of(s[i]), 3, SM_MIB);
		sm__pageheap_free(&heap->pages, s[i]);
	}
	large = sm__pageheap_alloc(&heap->pages, 0, 16 * SM_MIB / SM_UNIT);
	ck_assert_ptr_nonnull(large);
	ck_assert_uint_eq(sm__pageheap_check(&heap->pages), 0);
	sm__pageheap_free(&heap->pages, large);
	s[1] = sm__pageheap_alloc(&heap->pages, 0, 4 * SM_MIB / SM_UNIT);
	ck_assert(s[1]->flags & SM_SPANF_ZEROED);
	ck_assert(all_zero(base_of(s[1]), 4 * SM_MIB));
	finish();
}
END_TEST

START_TEST(impossible_requests_fail)
{
	start(_i);
	ck_assert_ptr_null(sm__pageheap_alloc(&heap->pages, 0, SM_GIB / SM_UNIT));
	ck_assert_int_eq(errno, ENOMEM);
	ck_assert_ptr_null(sm__pageheap_alloc(&heap->pages, 0, SIZE_MAX));
	ck_assert_ptr_null(sm__pageheap_alloc(&heap->pages, 0, (size_t)1 << 32));
	ck_assert_ptr_null(sm__pageheap_alloc_aligned(&heap->pages, 0, 1, (size_t)1 << 40));
	ck_assert_ptr_null(sm__pageheap_alloc_aligned(&heap->pages, 0, 1, SM_GIB / SM_UNIT));
	finish();
}
END_TEST

START_TEST(other_nodes_serve_in_order_of_distance)
{
	struct sm_span *s;
	unsigned last = 1, seen = 0;

	heap = pagetest_heap(KINDS[_i]);
	pagetest_nodes(heap, 4);
	heap->config.reserve = 4 * 16 * SM_MIB;
	/* From node 1: 3 is next, then 0, then 2. */
	heap->config.distance[1][3] = 11;
	heap->config.distance[1][0] = 12;
	heap->config.distance[1][2] = 13;
	pagetest_create(heap);
	while ((s = sm__pageheap_alloc(&heap->pages, 1, SM_MIB / SM_UNIT)) != NULL) {
		static const unsigned NEXT[] = {2, 3, 9, 0};

		ck_assert_uint_eq(((uintptr_t)base_of(s) - heap->pages.range.base) >>
					  heap->pages.range.node_shift,
				  s->node);
		if (s->node != last) {
			ck_assert_uint_eq(s->node, NEXT[last]);
			last = s->node;
		}
		seen |= 1u << s->node;
	}
	ck_assert_uint_eq(seen, 15);
	ck_assert_uint_gt(pagetest_stats(heap).remote, 0);
	finish();
}
END_TEST

START_TEST(interleave_takes_turns_and_bind_stays)
{
	unsigned count[3] = {0};

	heap = pagetest_heap(KINDS[_i]);
	pagetest_nodes(heap, 3);
	heap->config.numa = SM_NUMA_INTERLEAVE;
	pagetest_create(heap);
	for (int i = 0; i < 300; i++)
		count[sm__pageheap_alloc(&heap->pages, 0, 1)->node]++;
	ck_assert(count[0] == 100 && count[1] == 100 && count[2] == 100);
	finish();

	heap = pagetest_heap(KINDS[_i]);
	pagetest_nodes(heap, 3);
	heap->config.numa = SM_NUMA_BIND;
	heap->config.numa_bind = 2;
	heap->config.reserve = 3 * 16 * SM_MIB;
	pagetest_create(heap);
	for (struct sm_span *s;
	     (s = sm__pageheap_alloc(&heap->pages, 0, SM_MIB / SM_UNIT)) != NULL;)
		ck_assert_uint_eq(s->node, 2);
	finish();
}
END_TEST

/* ---- the model ---------------------------------------------------------------------------- */

#define MODEL_SPANS 600

struct live {
	struct sm_span *s;
	size_t n;
	unsigned char stamp;
};

static void fill(struct live *l)
{
	for (size_t i = 0; i < l->n; i++)
		memset(base_of(l->s) + i * SM_UNIT, l->stamp, 64);
}

static void verify(struct live *l)
{
	ck_assert_uint_eq(l->s->nunits, l->n);
	for (size_t i = 0; i < l->n; i++) {
		char *p = base_of(l->s) + i * SM_UNIT;

		ck_assert_uint_eq((unsigned char)p[0], l->stamp);
		ck_assert(memcmp(p, p + 1, 63) == 0);
		ck_assert_ptr_eq(sm_span_of(&heap->pages.range, (uintptr_t)p + 5000), l->s);
	}
}

static void check_zeroed(struct live *l, size_t from)
{
	if (l->s->flags & SM_SPANF_ZEROED)
		for (size_t i = from; i < l->n; i++)
			ck_assert(all_zero(base_of(l->s) + i * SM_UNIT, 64));
}

/* Mostly small, sometimes up to and beyond an arena. */
static size_t some_units(uint64_t *rng)
{
	uint64_t r = pagetest_random(rng);

	switch (r % 16) {
	case 0: return 1 + r / 16 % (6 * SM_MIB / SM_UNIT);
	case 1: return (size_t)1 << r / 16 % 8;
	default: return 1 + r / 16 % 12;
	}
}

static void model_step(struct live *live, uint64_t *rng)
{
	uint64_t r = pagetest_random(rng);
	struct live *l = &live[r % MODEL_SPANS];
	unsigned what = (unsigned)(r >> 32) % 8;

	if (l->s == NULL) {
		l->n = some_units(rng);
		l->stamp = (unsigned char)(1 + r % 255);
		l->s = sm__pageheap_alloc_aligned(&heap->pages,
						  (unsigned)(r >> 40) % heap->pages.nnodes, l->n,
						  what == 0 ? (size_t)1 << (r >> 48) % 9 : 1);
		if (l->s == NULL)
			return;
		check_zeroed(l, 0);
		fill(l);
		return;
	}
	verify(l);
	if (what == 0) {
		size_t old = l->n;

		l->n += 1 + (r >> 40) % 20;
		if (sm__pageheap_grow(&heap->pages, l->s, l->n))
			check_zeroed(l, old);
		else
			l->n = old;
		fill(l);
	} else if (what == 1) {
		l->n = 1 + (r >> 40) % l->n;
		sm__pageheap_shrink(&heap->pages, l->s, l->n);
	} else {
		sm__pageheap_free(&heap->pages, l->s);
		l->s = NULL;
	}
}

static void model(enum sm_pageheap_kind kind, unsigned nnodes, size_t limit, int steps)
{
	struct live *live = calloc(MODEL_SPANS, sizeof(*live));
	uint64_t rng = pagetest_seed();

	heap = pagetest_heap(kind);
	pagetest_nodes(heap, nnodes);
	heap->config.limit = limit;
	pagetest_create(heap);
	steps = (int)sm_test_scaled(steps);
	for (int i = 0; i < steps && (i % 64 != 0 || !pagetest_late()); i++) {
		struct sm_pageheap_stats st;
		size_t used = 0;

		model_step(live, &rng);
		if (i % 512 != 0)
			continue;
		for (int j = 0; j < MODEL_SPANS; j++)
			used += live[j].s != NULL ? live[j].n : 0;
		st = pagetest_stats(heap);
		ck_assert_uint_eq(st.in_use_bytes, used * SM_UNIT);
		ck_assert_uint_eq(st.committed_bytes,
				  st.in_use_bytes + st.free_bytes + st.released_bytes);
		ck_assert_uint_eq(sm__pageheap_check(&heap->pages), 0);
	}
	for (int j = 0; j < MODEL_SPANS; j++)
		if (live[j].s != NULL)
			sm__pageheap_free(&heap->pages, live[j].s);
	ck_assert_uint_eq(pagetest_stats(heap).in_use_bytes, 0);
	/* All of it merged again: one run from the guard to the frontier on each node. */
	if (kind == SM_PAGEHEAP_BITMAP)
		ck_assert_uint_le(pagetest_stats(heap).free_runs, nnodes);
	free(live);
	finish();
}

START_TEST(random_against_the_model)
{
	model(KINDS[_i], 1, 0, 5000);
}
END_TEST

START_TEST(random_with_nodes)
{
	model(KINDS[_i], 3, 0, 5000);
}
END_TEST

START_TEST(random_at_the_limit)
{
	model(KINDS[_i], 2, 60 * SM_MIB, 5000);
}
END_TEST

int main(void)
{
	return SM_SUITE("pageheap", 60, SM_LOOP(a_span_is_described, 0, 2),
			SM_LOOP(freed_memory_is_not_called_zero, 0, 2),
			SM_LOOP(nothing_is_rounded_up, 0, 2), SM_T(a_run_inside_of_a_word_is_found),
			SM_T(a_run_across_a_border_is_found),
			SM_LOOP(a_long_run_across_blocks_is_found, 0, 2),
			SM_LOOP(alignment_is_kept, 0, 2), SM_LOOP(grows_and_shrinks_in_place, 0, 2),
			SM_LOOP(beyond_the_largest_block, 0, 2),
			SM_LOOP(bits_follow_the_frontier, 0, 2), SM_LOOP(the_limit_holds, 0, 2),
			SM_LOOP(the_frontier_retreats_for_a_large_one, 0, 2),
			SM_LOOP(impossible_requests_fail, 0, 2),
			SM_LOOP(other_nodes_serve_in_order_of_distance, 0, 2),
			SM_LOOP(interleave_takes_turns_and_bind_stays, 0, 2),
			SM_LOOP(random_against_the_model, 0, 2), SM_LOOP(random_with_nodes, 0, 2),
			SM_LOOP(random_at_the_limit, 0, 2));
}
