/*
 * test_mark_edges: what an edge may lead to besides the start of an ordinary object: tiny objects
 * at odd addresses, objects of more kinds than the mark loop has a short path for, and what a
 * program must not store: pointers into the middle of large objects, to units that hold none. No
 * mark bit may be left of any of it. And what a doubtful word leads to.
 */
#include <check.h>
#include <string.h>

#include "allocator/objects/markmap.h"
#include "allocator/base/sizeclass.h"
#include "collector/cycle/gc_internal.h"
#include "collector/mark/mark_internal.h"
#include "tests/support/gctest.h"
#include "tests/support/run.h"

static const char *const modes[] = {"gc.mode=stw", "gc.mode=concurrent"};
static void *root;

static struct sm_gc *start(const char *mode, const char *more, struct sm_mutator **m)
{
	struct sm_gc *gc = GCTEST(mode, more);

	*m = sm_mutator_attach(gc);
	root = NULL;
	ck_assert_int_eq(sm_root_add(gc, &root, 1), 0);
	return gc;
}

/* Units up to this one have been in use; all mark bits there, once the cycle is swept. */
static unsigned marks_left(struct sm_gc *gc, uintptr_t last)
{
	unsigned n = 0;

	for (uintptr_t p = gc->range.base; p < last; p += UINT64_C(1) << SM_MARK_WORD_SHIFT)
		n += (unsigned)__builtin_popcountll(sm_load_relaxed(sm_mark_word(&gc->range, p)));
	return n;
}

START_TEST(tiny_objects_at_odd_addresses)
{
	enum { N = 4000, EDGES = 4 };
	struct sm_mutator *m;
	struct sm_gc *gc = start(modes[_i], "gc.verify=1", &m);
	const struct sm_type *t = sm_type_prefix(gc, (EDGES + 1) * sizeof(void *), EDGES + 1);
	unsigned odd = 0;

	for (unsigned i = 0; i < N; i++) {
		void **h = sm_new(m, t);

		sm_store(m, &h[EDGES], root);
		sm_store(m, &root, h);
		for (unsigned e = 0; e < EDGES; e++) {
			unsigned char *tiny = sm_new_bytes(m, 1 + (i + e) % 8);

			*tiny = (unsigned char)(i + e);
			odd += (uintptr_t)tiny & 1;
			sm_store(m, &h[e], tiny);
		}
	}
	ck_assert_uint_gt(odd, 100);
	for (unsigned c = 0; c < 3; c++)
		ck_assert_int_eq(sm_collect(gc, m), 0);
	ck_assert_uint_eq(gctest_stats(gc).verify_errors, 0);
	for (unsigned i = N; i-- > 0; root = ((void **)root)[EDGES])
		for (unsigned e = 0; e < EDGES; e++)
			ck_assert_uint_eq(*(unsigned char *)((void **)root)[e],
					  (unsigned char)(i + e));
	ck_assert_ptr_null(root);
	gctest_destroy(gc, m);
}
END_TEST

/* More than SM_KINDS_MAX pairs of size and pointers: those that found no room are scanned by their
 * descriptors. */
START_TEST(more_kinds_than_the_table_has)
{
	enum { TYPES = 2 * SM_KINDS_MAX };
	struct sm_mutator *m;
	struct sm_gc *gc = start(modes[_i], "gc.verify=1", &m);
	uint64_t before, n = 0;

	for (unsigned round = 0; round < 3; round++) {
		for (unsigned i = 0; i < TYPES; i++) {
			unsigned words = 4 + 2 * (i % 61), nptrs = 1 + i / 61 % (words - 1);
			const struct sm_type *t = sm_type_prefix(gc, words * sizeof(void *), nptrs);
			void **o = t ? sm_new(m, t) : NULL;

			ck_assert_ptr_nonnull(o);
			/* Common types alone have spans of one layout, and these a kind. */
			for (unsigned tries = 0; t->bin == 0 && tries < 1000000; tries++)
				ck_assert_ptr_nonnull(sm_new(m, t));
			sm_store(m, &o[nptrs - 1], root);
			o[words - 1] = (void *)(uintptr_t)(nptrs == words ? 0 : nptrs);
			sm_store(m, &root, o);
			n++;
		}
	}
	ck_assert_uint_eq(gc->heap->nkinds, SM_KINDS_MAX);
	gctest_clear_stack();
	for (unsigned c = 0; c < 3; c++)
		ck_assert_int_eq(sm_collect(gc, m), 0);
	before = gctest_stats(gc).last_marked_objects;
	ck_assert_uint_ge(before, n);
	ck_assert_uint_le(before, n + 24); /* stale stack words */
	ck_assert_uint_eq(gctest_stats(gc).verify_errors, 0);
	gctest_destroy(gc, m);
}
END_TEST

/* Where every word is a pointer the mark loop's short path knows of all of them. */
START_TEST(objects_all_of_pointers_have_a_kind)
{
	struct sm_heap *h;
	struct sm_mutator *m;
	struct sm_gc *gc = start(modes[_i], "gc.verify=1", &m);
	const struct sm_type *t = sm_type_pointers(gc, 4);
	uint32_t kind;

	for (unsigned i = 0; i < 100000; i++) {
		void **o = sm_new(m, t);

		sm_store(m, &o[3], i % 100 != 0 ? root : NULL);
		sm_store(m, &root, o);
	}
	h = gc->heap;
	kind = h->kinds[gc->range.unit_kind[((uintptr_t)root - gc->range.base) >> SM_UNIT_SHIFT]];
	ck_assert_uint_eq(kind, 4 * sizeof(void *) << SM_KIND_BYTES_SHIFT | 4);
	ck_assert_int_eq(sm_collect(gc, m), 0);
	ck_assert_uint_eq(gctest_stats(gc).verify_errors, 0);
	gctest_destroy(gc, m);
}
END_TEST

/* Elements of three words with a pointer in the middle: the pattern of one is that of all. */
START_TEST(arrays_whose_pattern_repeats)
{
	enum { N = 20000, ELEMENTS = 4, PERIOD = 3, COMMON = 400000 };
	struct sm_mutator *m;
	struct sm_gc *gc = start(modes[_i], "gc.verify=1", &m);
	const uint64_t middle = 2;
	const struct sm_type *t = sm_type_bitmap(gc, PERIOD * sizeof(void *), &middle);
	void **a = NULL;

	for (unsigned i = 0; i < COMMON; i++)
		ck_assert_ptr_nonnull(sm_new_array(m, t, ELEMENTS));
	for (unsigned i = 0; i < N; i++) {
		a = sm_new_array(m, t, ELEMENTS);
		ck_assert_ptr_nonnull(a);
		for (unsigned e = 0; e + 1 < ELEMENTS; e++)
			sm_store(m, &a[e * PERIOD + 1], sm_new(m, t));
		sm_store(m, &a[(ELEMENTS - 1) * PERIOD + 1], root);
		sm_store(m, &root, a);
	}
	ck_assert_int_eq(sm_span_of(&gc->range, (uintptr_t)a)->layout->kind, SM_SCAN_MASK);
	for (unsigned c = 0; c < 3; c++)
		ck_assert_int_eq(sm_collect(gc, m), 0);
	ck_assert_uint_eq(gctest_stats(gc).verify_errors, 0);
	ck_assert_uint_ge(gctest_stats(gc).last_marked_objects, N * ELEMENTS);
	gctest_destroy(gc, m);
}
END_TEST

/* Mistakes of a program: counted, nothing scanned that is none, and nothing left behind for the
 * next owner. */
START_TEST(pointers_to_no_object_leave_no_mark)
{
	enum { N = 64 };
	struct sm_mutator *m;
	struct sm_gc *gc = start(modes[_i], "gc.min_heap=1m", &m);
	const struct sm_type *t = sm_type_prefix(gc, N * sizeof(void *), N);
	const struct sm_type *large = sm_type_prefix(gc, 512 * SM_KIB, 1000);
	char *big = sm_new(m, large), *leaf = sm_new_bytes(m, 512 * SM_KIB);
	uintptr_t last = (uintptr_t)(big > leaf ? big : leaf) + 40 * SM_MIB;
	void **h = sm_new(m, t);

	sm_store(m, &root, h);
	for (unsigned i = 0; i < N; i++) {
		char *p = i % 4 == 0   ? big + i * 1000 + 8
			  : i % 4 == 1 ? big + SM_LARGE_PIECE * i
			  : i % 4 == 2 ? leaf + i * 16
				       : (char *)last - i * 4096; /* nothing lies there */

		sm_store(m, &h[i], p);
	}
	ck_assert_int_eq(sm_collect(gc, m), 0);
	ck_assert_uint_gt(gc->last.n.wild, 0);
	ck_assert_uint_eq(marks_left(gc, last), 0);
	memset(h, 0, N * sizeof(*h));
	big = leaf = NULL;
	gctest_clear_stack();
	ck_assert_int_eq(sm_collect(gc, m), 0);
	ck_assert_int_eq(sm_collect(gc, m), 0);
	ck_assert_uint_eq(marks_left(gc, last), 0);
	ck_assert_uint_eq(sm_heap_check(gc->heap), 0);
	gctest_destroy(gc, m);
}
END_TEST

/* A word that leads behind a span's last slot leads to no object, whatever lies where its alloc bit
 * would be. */
START_TEST(words_behind_the_last_slot)
{
	enum { UNITS = 16, AT = 2 };
	static struct sm_span spans[UNITS];
	static _Atomic(uint64_t) marks[UNITS << (SM_UNIT_SHIFT - SM_MARK_WORD_SHIFT)];
	static _Atomic(uint64_t) alloc[SM_UNIT / 8 / 64 + 1];
	struct sm_marker k = {
		.base = SM_UNIT * 64, .bytes = UNITS * SM_UNIT, .spans = spans, .marks = marks};
	unsigned behind = 0;

	memset(alloc, 0xff, sizeof(alloc));
	for (unsigned c = 1; c < sm__nclasses; c++) {
		const struct sm_sizeclass *sc = &sm__sizeclasses[c];
		uintptr_t base = k.base + AT * SM_UNIT;

		if (AT + sc->nunits > UNITS)
			continue;
		memset(spans, 0, sizeof(spans));
		for (unsigned u = 0; u < sc->nunits; u++)
			spans[AT + u].back = u;
		spans[AT].recip = sc->recip;
		spans[AT].slot_bytes = (uint16_t)sc->slot_bytes;
		spans[AT].nslots = (uint16_t)sc->nslots;
		spans[AT].nunits = sc->nunits;
		spans[AT].alloc = alloc;
		sm_store_relaxed(&spans[AT].state, SM_SPAN_SMALL);
		for (size_t off = 0; off < sc->nunits * SM_UNIT; off++) {
			struct sm_span *in = NULL;
			size_t slot = off / sc->slot_bytes;
			uintptr_t want = slot < sc->nslots ? base + slot * sc->slot_bytes : 0;

			behind += want == 0;
			if (sm__mark_resolve(&k, base + off, &in) != want)
				ck_abort_msg("class %u, byte %zu", c, off);
		}
	}
	ck_assert_uint_gt(behind, 0);
}
END_TEST

#define LARGE 300

/* Each a span of its own; the last of its 6000 pointers leads to a small object. */
static SM_NOINLINE void large_objects(struct sm_gc *gc, struct sm_mutator *m)
{
	const struct sm_type *many = sm_type_pointers(gc, LARGE),
			     *large = sm_type_pointers(gc, 6000);

	sm_store(m, &root, sm_new(m, many));
	for (uintptr_t i = 0; i < LARGE; i++) {
		void **p = sm_new(m, large);
		uintptr_t *small;

		sm_store(m, &((void **)root)[i], p);
		small = sm_new_bytes(m, 64);
		*small = i;
		sm_store(m, &p[5999], small);
	}
}

/* More large objects become grey at once than may be queued: they are found again, to the end. */
START_TEST(large_objects_that_were_not_queued)
{
	struct sm_mutator *m;
	struct sm_gc *gc = GCTEST(modes[_i], "gc.mark_stack=1k", "gc.verify=1");

	m = sm_mutator_attach(gc);
	root = NULL;
	ck_assert_int_eq(sm_root_add(gc, &root, 1), 0);
	large_objects(gc, m);
	ck_assert_int_eq(sm_collect(gc, m), 0);
	ck_assert_uint_eq(gctest_stats(gc).verify_errors, 0);
	ck_assert_uint_gt(gctest_stats(gc).total_overflows, 0);
	for (uintptr_t i = 0; i < LARGE; i++)
		ck_assert_uint_eq(*(uintptr_t *)((void ***)root)[i][5999], i);
	ck_assert_int_eq(sm_root_remove(gc, &root), 0);
	gctest_destroy(gc, m);
}
END_TEST

int main(void)
{
	return SM_SUITE("mark_edges", 60, SM_LOOP(large_objects_that_were_not_queued, 0, 2),
			SM_LOOP(tiny_objects_at_odd_addresses, 0, 2),
			SM_LOOP(more_kinds_than_the_table_has, 0, 2),
			SM_LOOP(objects_all_of_pointers_have_a_kind, 0, 2),
			SM_LOOP(arrays_whose_pattern_repeats, 0, 2),
			SM_LOOP(pointers_to_no_object_leave_no_mark, 0, 2),
			SM_T(words_behind_the_last_slot));
}
