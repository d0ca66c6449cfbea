/* test_typedesc: equal descriptions give one type; layouts are the cheapest that say it; sizes at
 * the edges. */
#include <errno.h>

#include "collector/cycle/gc_internal.h"
#include "tests/support/gctest.h"
#include "tests/support/run.h"

static struct sm_gc *gc;
static struct sm_mutator *m;

START_TEST(kinds)
{
	uint64_t every[2] = {~0ull, ~0ull}, odd[2] = {0xaaaaaaaaaaaaaaaaull, 2};

	gc = GCTEST("gc.mode=stw");
	ck_assert_int_eq(sm_type_prefix(gc, 64, 0)->layout->kind, SM_SCAN_NONE);
	ck_assert_int_eq(sm_type_prefix(gc, 64, 4)->layout->kind, SM_SCAN_PREFIX);
	ck_assert_uint_eq(sm_type_prefix(gc, 64, 4)->layout->nptrs, 4);
	ck_assert_int_eq(sm_type_pointers(gc, 8)->layout->kind, SM_SCAN_ALL);
	ck_assert_int_eq(sm_type_bitmap(gc, 64, odd)->layout->kind, SM_SCAN_MASK);
	ck_assert_int_eq(sm_type_bitmap(gc, 1024, odd)->layout->kind, SM_SCAN_BITMAP);
	ck_assert_int_eq(sm_type_bitmap(gc, 1024, every)->layout->kind, SM_SCAN_PREFIX);
	ck_assert_int_eq(sm_type_conservative(gc, 40)->layout->kind, SM_SCAN_CONSERVATIVE);
	/* Pointer-free types of a class share bins with sm_new_bytes. */
	ck_assert_uint_eq(sm_type_prefix(gc, 64, 0)->bin, sm_size_class(64));
	ck_assert_uint_ne(sm_type_prefix(gc, 64, 1)->bin, sm_size_class(64));
	gctest_destroy(gc, NULL);
}
END_TEST

START_TEST(equal_descriptions)
{
	uint64_t two = 3;

	gc = GCTEST("gc.mode=stw");
	ck_assert_ptr_eq(sm_type_prefix(gc, 64, 2), sm_type_prefix(gc, 64, 2));
	ck_assert_ptr_eq(sm_type_prefix(gc, 64, 2), sm_type_bitmap(gc, 64, &two));
	ck_assert_ptr_ne(sm_type_prefix(gc, 64, 2), sm_type_prefix(gc, 64, 3));
	ck_assert_ptr_ne(sm_type_prefix(gc, 64, 2), sm_type_prefix(gc, 48, 2));
	/* Bits behind the last word say nothing. */
	two |= 1ull << 40;
	ck_assert_ptr_eq(sm_type_prefix(gc, 64, 2), sm_type_bitmap(gc, 64, &two));
	errno = 0;
	ck_assert_ptr_null(sm_type_prefix(gc, 16, 3));
	ck_assert_int_eq(errno, EINVAL);
	gctest_destroy(gc, NULL);
}
END_TEST

/* Every size around every class border, and beyond: zero, writable to the last byte, aligned to 8.
 */
START_TEST(sizes)
{
	gc = GCTEST("gc.mode=concurrent");
	m = sm_mutator_attach(gc);
	for (unsigned c = 1; c < sm__nclasses; c++) {
		for (int d = -1; d <= 1; d++) {
			size_t size = sm__sizeclasses[c].slot_bytes + (size_t)d;
			char *p = sm_new_bytes(m, size), *z = sm_new_bytes_zeroed(m, size), *o;

			ck_assert(p && z);
			memset(p, 0xaa, size);
			for (size_t i = 0; i < size; i++) {
				if (z[i])
					ck_abort_msg("size %zu: not zero", size);
			}
			memset(z, 0xbb, size);
			o = sm_new(m, sm_type_conservative(gc, size));
			ck_assert_ptr_nonnull(o);
			for (size_t i = 0; i < size; i++) {
				if (o[i])
					ck_abort_msg("object of %zu: not zero", size);
			}
		}
	}
	ck_assert_ptr_nonnull(sm_new_bytes(m, 0));
	ck_assert_ptr_nonnull(sm_new_bytes(m, 1 << 20));
	ck_assert_ptr_nonnull(sm_new_bytes_zeroed(m, SM_MAX_SMALL + 1));
	gctest_destroy(gc, m);
}
END_TEST

START_TEST(overflows)
{
	const struct sm_type *t;

	gc = GCTEST("gc.mode=concurrent", "heap.limit=256m");
	m = sm_mutator_attach(gc);
	t = sm_type_prefix(gc, 24, 1);
	static const size_t n[] = {SIZE_MAX, SIZE_MAX / 24, SIZE_MAX / 24 + 1, SIZE_MAX / 2,
				   (size_t)1 << 60};
	for (size_t i = 0; i < sizeof(n) / sizeof(n[0]); i++) {
		errno = 0;
		ck_assert_ptr_null(sm_new_array(m, t, n[i]));
		ck_assert_int_eq(errno, ENOMEM);
	}
	errno = 0;
	ck_assert_ptr_null(sm_new_bytes(m, SM_GIB));
	ck_assert_int_eq(errno, ENOMEM);
	errno = 0;
	ck_assert_ptr_null(sm_new_bytes(m, SIZE_MAX));
	ck_assert_int_eq(errno, ENOMEM);
	/* And all is well afterwards. */
	ck_assert_ptr_nonnull(sm_new(m, t));
	ck_assert_ptr_nonnull(sm_new_array(m, t, 0));
	gctest_destroy(gc, m);
}
END_TEST

/* A list of as many as there is memory for, in a frame of its own: at -O0 its head stays in the
 * frame. */
static __attribute__((noinline)) size_t fill(void **keep, const struct sm_type *t)
{
	void **o;
	size_t n = 0;

	while ((o = sm_new(m, t)) != NULL) {
		sm_store(m, o, *keep);
		sm_store(m, keep, o);
		if (++n > 100000)
			ck_abort_msg("no end to memory");
	}
	return n;
}

/* Garbage far beyond the limit passes through; live data beyond it gets NULL, and the heap is
 * whole. */
START_TEST(the_limit)
{
	static void *keep;
	const struct sm_type *t;
	size_t n;

	gc = GCTEST(_i ? "gc.mode=stw" : "gc.mode=concurrent", "heap.limit=64m", "heap.arena=4m",
		    "gc.min_heap=8m");
	m = sm_mutator_attach(gc);
	t = sm_type_prefix(gc, 1024, 1);
	for (int i = 0; i < 400000; i++) {
		if (sm_new_bytes(m, 1000) == NULL)
			ck_abort_msg("garbage ran into the limit at %d", i);
	}
	keep = NULL;
	ck_assert_int_eq(sm_root_add(gc, &keep, 1), 0);
	n = fill(&keep, t);
	ck_assert_int_eq(errno, ENOMEM);
	ck_assert_uint_gt(n, 20000);
	sm_store(m, &keep, NULL);
	gctest_clear_stack();
	sm_collect(gc, m);
	ck_assert_ptr_nonnull(sm_new(m, t));
	sm_root_remove(gc, &keep);
	gctest_destroy(gc, m);
}
END_TEST

int main(void)
{
	return SM_SUITE("typedesc", 60, SM_T(kinds), SM_T(equal_descriptions), SM_T(sizes),
			SM_T(overflows), SM_LOOP(the_limit, 0, 2));
}
