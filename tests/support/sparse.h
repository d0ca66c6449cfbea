/*
 * sparse.h: gc.generations with gc.compact: a table, behind a handle, that leads to nodes of which
 * most have died, and cycles of either kind. Nothing else knows where the nodes are.
 */
#ifndef SM_TESTS_SUPPORT_SPARSE_H
#define SM_TESTS_SUPPORT_SPARSE_H

#include "allocator/objects/markmap.h"
#include "tests/support/scale.h"
#include "tests/support/step.h"

static struct sm_gc *gc;
static struct sm_mutator *m;
static struct sm_handle *table;

/* debug.fill: what is freed too early does not look whole. */
static inline void begin_with(const char *const *more)
{
	const char *keys[12] = {"gc.generations=on", "gc.verify=1", "gc.percent=0", "debug.fill=1"};

	for (unsigned i = 0; i < 4 && more[i] != NULL; i++)
		keys[4 + i] = more[i];
	gc = gctest_create(keys);
	m = sm_mutator_attach(gc);
}

static inline void end(void)
{
	gctest_destroy(gc, m);
}

/* A cycle that the pacer takes for a minor one. */
static inline void ask(void)
{
	gctest_clear_stack();
	gc->pacer.minor = true;
	ck_assert_int_eq(sm__gc_collect_and_wait(gc, m, false), 0);
	ck_assert_uint_eq(gctest_stats(gc).verify_errors, 0);
}

static inline void minor(void)
{
	uint64_t before = gctest_stats(gc).minors;

	ask();
	ck_assert_uint_eq(gctest_stats(gc).minors, before + 1);
}

static inline struct sm_gc_compact_stats stats(void)
{
	struct sm_gc_compact_stats s;

	sm_gc_compact_stats(gc, &s);
	return s;
}

static inline uint64_t compact(void)
{
	uint64_t before = stats().total.moved_objects;

	gctest_clear_stack();
	ck_assert_int_eq(sm_collect_compact(gc, m), 0);
	ck_assert_uint_eq(gctest_stats(gc).verify_errors, 0);
	return stats().total.moved_objects - before;
}

/* ---- a sparse heap ------------------------------------------------------------------------ */

enum { EACH = 20, KEPT = 500 * SM_TEST_UNITS, SLOTS = EACH * KEPT };

/* Of a node of so many bytes all words are pointers but the second, its number. */
static size_t node_bytes;

static inline const struct sm_type *node_type(size_t bytes)
{
	uint64_t bits[16];

	memset(bits, 0xff, sizeof(bits));
	bits[0] &= ~(uint64_t)2;
	node_bytes = bytes;
	return sm_type_bitmap(gc, bytes, bits);
}

static inline void **slot(size_t i)
{
	return (void **)sm_handle_get(table) + i * EACH;
}

static SM_NOINLINE __attribute__((unused)) uintptr_t hidden(size_t i)
{
	return ~(uintptr_t)sm_load(slot(i));
}

static SM_NOINLINE __attribute__((unused)) void fill(size_t bytes)
{
	const struct sm_type *type = node_type(bytes);

	table = sm_handle_new(m, sm_new_array(m, sm_type_pointers(gc, 1), SLOTS));
	for (size_t i = 0; i < SLOTS; i++) {
		uint64_t *x = sm_new(m, type);

		x[1] = i / EACH;
		sm_store(m, (void **)sm_handle_get(table) + i, x);
	}
	for (size_t i = 0; i < SLOTS; i++)
		if (i % EACH != 0)
			sm_store(m, (void **)sm_handle_get(table) + i, NULL);
}

static SM_NOINLINE __attribute__((unused)) void check_numbers(void)
{
	for (size_t i = 0; i < KEPT; i++)
		ck_assert_uint_eq(((uint64_t *)sm_load(slot(i)))[1], i);
}

/* Between two cycles what is old counts as scanned, and nothing else. */
static inline unsigned age(uintptr_t disguised)
{
	uintptr_t p = ~disguised;
	bool old = sm_mark_test(&gc->range, p);

	if (gc->range.scans != NULL)
		ck_assert_int_eq(old, (sm_load_relaxed(sm_scan_word(&gc->range, p)) &
				       sm_mark_mask(&gc->range, p)) != 0);
	return (unsigned)sm_mark_test(&gc->gen.aged, p) + old;
}

#endif
