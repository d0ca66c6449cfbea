/*
 * test_mark: what is reachable stays, by every kind of layout and in every mode; what is not goes;
 * the overflow path; large objects in pieces.
 */
#include "collector/cycle/gc_internal.h"
#include "tests/support/gctest.h"
#include "tests/support/run.h"

static const char *const modes[] = {"gc.mode=stw", "gc.mode=concurrent"};

struct node {
	struct node *next, *other;
	uintptr_t canary;
	uintptr_t pad;
};

#define CANARY(i) (0xabcdef0000000000u ^ (uintptr_t)(i))

static struct node *new_node(struct sm_mutator *m, const struct sm_type *t, uintptr_t i)
{
	struct node *n = sm_new(m, t);

	/* ck_assert in a hot loop costs a write each. */
	if (n == NULL || n->next != NULL || n->other != NULL)
		ck_abort_msg("a new node is %s", n ? "not zero" : "NULL");
	n->canary = CANARY(i);
	return n;
}

/* n nodes in a list, head first. The caller's slot is a registered root. */
static __attribute__((noinline)) void build_list(struct sm_mutator *m, const struct sm_type *t,
						 void **root, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct node *node = new_node(m, t, i);

		sm_store(m, (void **)&node->next, *root);
		sm_store(m, root, node);
	}
}

static size_t check_list(void *root)
{
	size_t n = 0;

	for (struct node *p = root; p; p = p->next)
		n++;
	for (struct node *p = root; p; p = p->next)
		if (p->canary != CANARY(--n))
			ck_abort_msg("node %zu is damaged", n);
	for (struct node *p = root; p; p = p->next)
		n++;
	return n;
}

START_TEST(a_list_stays_and_goes)
{
	struct sm_gc *gc = GCTEST(modes[_i], "gc.verify=1");
	struct sm_mutator *m = sm_mutator_attach(gc);
	const struct sm_type *t = sm_type_prefix(gc, sizeof(struct node), 2);
	static void *root;
	struct sm_gc_stats s;

	root = NULL;
	ck_assert_int_eq(sm_root_add(gc, &root, 1), 0);
	build_list(m, t, &root, 100000);
	for (int i = 0; i < 3; i++) {
		gctest_clear_stack();
		ck_assert_int_eq(sm_collect(gc, m), 0);
		s = gctest_stats(gc);
		ck_assert_uint_ge(s.last_marked_objects, 100000);
		ck_assert_uint_le(s.last_marked_objects, 100010);
		ck_assert_uint_eq(check_list(root), 100000);
		/* Garbage beside it, which the next cycle must not find. */
		for (int j = 0; j < 50000; j++)
			new_node(m, t, 0);
	}
	sm_store(m, &root, NULL);
	gctest_clear_stack();
	sm_collect(gc, m);
	sm_collect(gc, m);
	ck_assert_uint_le(gctest_stats(gc).last_marked_objects, 64);
	gctest_destroy(gc, m);
}
END_TEST

/*
 * The loop has a short path for edges to small objects in their span's first unit, and counts what
 * it marks there all at once. Edges that leave the short path in the middle of an object must be
 * counted once, too.
 */
START_TEST(edges_off_the_short_path_count_once)
{
	enum { HOLDERS = 500, EDGES = 8 };
	struct sm_gc *gc = GCTEST(modes[_i], "gc.verify=1");
	struct sm_mutator *m = sm_mutator_attach(gc);
	const struct sm_type *holder = sm_type_prefix(gc, EDGES * sizeof(void *), EDGES);
	uint64_t odd = 2; /* word 1 of 8 is a pointer: no prefix */
	const struct sm_type *target[EDGES - 1] = {
		sm_type_prefix(gc, 64, 2),	    /* the short path */
		sm_type_prefix(gc, 3072, 1),	    /* later units of a span */
		sm_type_prefix(gc, 40 * SM_KIB, 1), /* large */
		sm_type_prefix(gc, 32, 0),	    /* pointer-free */
		sm_type_prefix(gc, 40 * SM_KIB, 0), /* pointer-free and large */
		sm_type_bitmap(gc, 64, &odd),	    /* another layout */
		sm_type_prefix(gc, 16, 2),	    /* external mark bits */
	};
	static void *root;
	struct sm_gc_stats s;

	root = NULL;
	ck_assert_int_eq(sm_root_add(gc, &root, 1), 0);
	for (unsigned i = 0; i < HOLDERS; i++) {
		void **h = sm_new(m, holder);

		sm_store(m, &h[0], root);
		sm_store(m, &root, h);
		for (unsigned e = 1; e < EDGES; e++)
			sm_store(m, &h[e], sm_new(m, target[(e + i) % (EDGES - 1)]));
	}
	for (unsigned i = 0; i < 2; i++) {
		gctest_clear_stack();
		ck_assert_int_eq(sm_collect(gc, m), 0);
		s = gctest_stats(gc);
		ck_assert_uint_ge(s.last_marked_objects, HOLDERS * EDGES);
		/* stale stack words */
		ck_assert_uint_le(s.last_marked_objects, HOLDERS * EDGES + 24);
	}
	gctest_destroy(gc, m);
}
END_TEST

/* Pointers where the description says, integers that look like pointers elsewhere. */
START_TEST(layouts_are_exact)
{
	struct sm_gc *gc = GCTEST(modes[_i], "gc.verify=1");
	struct sm_mutator *m = sm_mutator_attach(gc);
	const struct sm_type *leaf = sm_type_prefix(gc, 32, 0);
	static const size_t words[] = {1, 2, 8, 63, 64, 65, 200, 1000, 4000, 5000, 40000};
	static void *root;
	uint64_t rs = 42;

	root = NULL;
	ck_assert_int_eq(sm_root_add(gc, &root, 1), 0);
	for (size_t k = 0; k < sizeof(words) / sizeof(words[0]); k++) {
		size_t n = words[k], npointers = 0;
		uint64_t *bits = calloc(n / 64 + 1, 8);
		const struct sm_type *t;
		void **o;

		for (size_t i = 0; i < n; i++) {
			if (gctest_random(&rs) % 3 == 0) {
				bits[i / 64] |= (uint64_t)1 << (i % 64);
				npointers++;
			}
		}
		t = sm_type_bitmap(gc, n * 8, bits);
		ck_assert_ptr_nonnull(t);
		ck_assert_ptr_eq(t, sm_type_bitmap(gc, n * 8, bits));
		o = sm_new(m, t);
		ck_assert_ptr_nonnull(o);
		sm_store(m, &root, o);
		for (size_t i = 0; i < n; i++) {
			void *p = sm_new(m, leaf);

			memset(p, (int)(i & 0xff), 32);
			if (bits[i / 64] >> (i % 64) & 1)
				sm_store(m, &o[i], p);
			else
				o[i] = p;
		}
		gctest_clear_stack();
		sm_collect(gc, m);
		sm_collect(gc, m);
		/* The holder and its leaves; a few more by stale words on the stack. */
		ck_assert_uint_ge(gctest_stats(gc).last_marked_objects, npointers + 1);
		ck_assert_uint_le(gctest_stats(gc).last_marked_objects, npointers + 1 + 24);
		for (size_t i = 0; i < n; i++) {
			if (bits[i / 64] >> (i % 64) & 1) {
				unsigned char *p = o[i];

				if (p[0] != (i & 0xff) || p[31] != (i & 0xff))
					ck_abort_msg("leaf %zu of %zu is damaged", i, n);
			}
		}
		free(bits);
	}
	sm_root_remove(gc, &root);
	gctest_destroy(gc, m);
}
END_TEST

/* Arrays of elements: small, beyond a mask, large (in pieces), of odd strides. */
START_TEST(arrays)
{
	struct sm_gc *gc = GCTEST(modes[_i], "gc.verify=1");
	struct sm_mutator *m = sm_mutator_attach(gc);
	const struct sm_type *leaf = sm_type_prefix(gc, 16, 0);
	/* int, pointer, int */
	const struct sm_type *pair = sm_type_bitmap(gc, 24, (const uint64_t[]){2});
	static const size_t counts[] = {1, 2, 3, 7, 40, 300, 1365, 1366, 5000, 60000};
	static void *root;

	root = NULL;
	ck_assert_int_eq(sm_root_add(gc, &root, 1), 0);
	for (size_t k = 0; k < sizeof(counts) / sizeof(counts[0]); k++) {
		size_t n = counts[k];
		struct {
			uintptr_t a;
			uintptr_t *p;
			uintptr_t b;
		} *array = sm_new_array(m, pair, n);

		ck_assert_ptr_nonnull(array);
		sm_store(m, &root, array);
		for (size_t i = 0; i < n; i++) {
			uintptr_t *p = sm_new(m, leaf);

			if (array[i].p != NULL)
				ck_abort_msg("a new array is not zero");
			p[0] = i;
			p[1] = ~i;
			sm_store(m, (void **)&array[i].p, p);
		}
		gctest_clear_stack();
		sm_collect(gc, m);
		sm_collect(gc, m);
		ck_assert_uint_ge(gctest_stats(gc).last_marked_objects, n + 1);
		ck_assert_uint_le(gctest_stats(gc).last_marked_objects, n + 1 + 24);
		for (size_t i = 0; i < n; i++) {
			if (array[i].p[0] != i || array[i].p[1] != ~i)
				ck_abort_msg("element %zu of %zu is damaged", i, n);
		}
	}
	sm_root_remove(gc, &root);
	gctest_destroy(gc, m);
}
END_TEST

START_TEST(conservative_objects)
{
	struct sm_gc *gc = GCTEST(modes[_i], "gc.verify=1");
	struct sm_mutator *m = sm_mutator_attach(gc);
	const struct sm_type *any = sm_type_conservative(gc, 80), *leaf = sm_type_prefix(gc, 48, 0);
	static void *root;
	uintptr_t *o;

	root = NULL;
	sm_root_add(gc, &root, 1);
	o = sm_new(m, any);
	sm_store(m, &root, o);
	for (int i = 0; i < 10; i++) {
		char *p = sm_new(m, leaf);

		memset(p, i + 1, 48);
		/* Interior: start, middle, last byte. */
		sm_store(m, (void **)&o[i], p + (i % 3 == 0 ? 0 : i % 3 == 1 ? 20 : 47));
	}
	gctest_clear_stack();
	sm_collect(gc, m);
	sm_collect(gc, m);
	for (int i = 0; i < 10; i++) {
		char *p = (char *)o[i] - (i % 3 == 0 ? 0 : i % 3 == 1 ? 20 : 47);

		ck_assert_int_eq(p[0], i + 1);
		ck_assert_int_eq(p[47], i + 1);
	}
	sm_root_remove(gc, &root);
	gctest_destroy(gc, m);
}
END_TEST

/* A mark stack of a few packets: most objects go through the overflow path. */
START_TEST(overflow_loses_nothing)
{
	struct sm_gc *gc = GCTEST(modes[_i % 2], "gc.verify=1", "gc.packet=4", "gc.mark_stack=1k",
				  _i < 2 ? "gc.workers=1" : "gc.workers=3");
	struct sm_mutator *m = sm_mutator_attach(gc);
	const struct sm_type *wide = sm_type_pointers(gc, 64),
			     *t = sm_type_prefix(gc, sizeof(struct node), 2);
	static void *root;
	size_t n = 0;

	root = NULL;
	sm_root_add(gc, &root, 1);
	sm_store(m, &root, sm_new(m, wide));
	for (size_t i = 0; i < 64; i++) {
		void **row = sm_new(m, wide);

		sm_store(m, &((void **)root)[i], row);
		for (size_t j = 0; j < 64; j++) {
			struct node *a = new_node(m, t, n), *b = new_node(m, t, n + 1);

			sm_store(m, (void **)&a->other, b);
			sm_store(m, &row[j], a);
			n += 2;
		}
	}
	gctest_clear_stack();
	for (int i = 0; i < 3; i++)
		sm_collect(gc, m);
	ck_assert_uint_ge(gctest_stats(gc).last_marked_objects, n + 65);
	ck_assert_uint_le(gctest_stats(gc).last_marked_objects, n + 65 + 64);
	ck_assert_uint_gt(gc->last.n.overflows, 0);
	n = 0;
	for (size_t i = 0; i < 64; i++) {
		for (size_t j = 0; j < 64; j++, n += 2) {
			struct node *a = ((void ***)root)[i][j];

			if (a->canary != CANARY(n) || a->other->canary != CANARY(n + 1))
				ck_abort_msg("node %zu is damaged", n);
		}
	}
	sm_root_remove(gc, &root);
	gctest_destroy(gc, m);
}
END_TEST

/* The prefetch distance and the number of workers change nothing but time. */
START_TEST(fifo_and_workers)
{
	static const char *const fifo[] = {"gc.fifo=0", "gc.fifo=1", "gc.fifo=7", "gc.fifo=64"};
	struct sm_gc *gc = GCTEST(fifo[_i % 4], _i < 4 ? "gc.workers=1" : "gc.workers=3",
				  "gc.verify=1", "gc.packet=8");
	struct sm_mutator *m = sm_mutator_attach(gc);
	const struct sm_type *t = sm_type_prefix(gc, sizeof(struct node), 2);
	enum { N = 20000 };
	static void *all[N];
	static void *root;
	uint64_t rs = 7;

	root = NULL;
	memset(all, 0, sizeof(all));
	sm_root_add(gc, all, N);
	sm_root_add(gc, &root, 1);
	for (int i = 0; i < N; i++)
		sm_store(m, &all[i], new_node(m, t, (uintptr_t)i));
	for (int i = 0; i < N; i++) {
		sm_store(m, (void **)&((struct node *)all[i])->next, all[(i + 1) % N]);
		sm_store(m, (void **)&((struct node *)all[i])->other, all[gctest_random(&rs) % N]);
	}
	sm_store(m, &root, all[0]);
	sm_root_remove(gc, all);
	memset(all, 0, sizeof(all));
	gctest_clear_stack();
	for (int i = 0; i < 5; i++)
		sm_collect(gc, m);
	ck_assert_uint_ge(gctest_stats(gc).last_marked_objects, N);
	ck_assert_uint_le(gctest_stats(gc).last_marked_objects, N + 16);
	sm_root_remove(gc, &root);
	gctest_destroy(gc, m);
}
END_TEST

int main(void)
{
	return SM_SUITE("mark", 60, SM_LOOP(a_list_stays_and_goes, 0, 2),
			SM_LOOP(edges_off_the_short_path_count_once, 0, 2),
			SM_LOOP(layouts_are_exact, 0, 2), SM_LOOP(arrays, 0, 2),
			SM_LOOP(conservative_objects, 0, 2), SM_LOOP(overflow_loses_nothing, 0, 4),
			SM_LOOP(fifo_and_workers, 0, 16));
}
