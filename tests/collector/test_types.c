/*
 * test_types: any number of types. Objects of rare ones share spans whatever their layouts, common
 * ones have spans of their own; what a word is follows its object in either, on reused slots too;
 * memory does not depend on how many types there are.
 */
#include <errno.h>
#include <pthread.h>

#include "allocator/objects/mixed.h"
#include "collector/cycle/gc_internal.h"
#include "collector/types/typedesc.h"
#include "allocator/pages/meta.h"
#include "tests/support/gctest.h"
#include "tests/support/run.h"

static struct sm_gc *gc;
static struct sm_mutator *m;
static void *root, *old_table;

static const char *const modes[][3] = {{"gc.mode=concurrent", "cache.mode=thread", "gc.workers=2"},
				       {"gc.mode=stw", "cache.mode=thread", "gc.workers=1"},
				       {"gc.mode=concurrent", "cache.mode=none", "gc.workers=1"},
				       {"gc.mode=concurrent", "cache.mode=cpu", "gc.workers=1"},
				       {"gc.mode=stw", "cache.mode=cpu", "gc.workers=2"}};
#define MODES 5

static void start(int mode)
{
	gc = GCTEST(modes[mode][0], modes[mode][1], modes[mode][2], "gc.verify=1", "gc.percent=0");
	m = sm_mutator_attach(gc);
	root = old_table = NULL;
	ck_assert_int_eq(sm_root_add(gc, &root, 1), 0);
	ck_assert_int_eq(sm_root_add(gc, &old_table, 1), 0);
}

static void finish(void)
{
	sm_store(m, &root, NULL);
	sm_store(m, &old_table, NULL);
	sm_root_remove(gc, &root);
	sm_root_remove(gc, &old_table);
	gctest_destroy(gc, m);
}

/* Of spans, and of what describes them. */
static size_t in_use(void)
{
	struct sm_heap_stats *s = malloc(sizeof(*s));
	size_t bytes;

	sm_heap_stats(sm_gc_heap(gc), s);
	bytes = s->in_use_bytes + s->meta_bytes;
	free(s);
	return bytes;
}

static uint64_t marked_objects(void)
{
	gctest_clear_stack();
	ck_assert_int_eq(sm_collect(gc, m), 0);
	return gctest_stats(gc).last_marked_objects;
}

/* A new array of n pointers, the root's. */
static void **new_table(size_t n)
{
	void **t = sm_new(m, sm_type_pointers(gc, n));

	ck_assert_ptr_nonnull(t);
	sm_store(m, &root, t);
	return t;
}

/* ---- what a word is ----------------------------------------------------------------------- */

/* So many objects that their type stays rare. */
#define WORDS 12
#define N     (SM_COMMON_SPANS * SM_UNIT / (2 * WORDS * sizeof(void *)))

static const struct sm_type *all_pointers(void)
{
	return sm_type_prefix(gc, WORDS * 8, WORDS);
}

static const struct sm_type *first_only(void)
{
	return sm_type_prefix(gc, WORDS * 8, 1);
}

static __attribute__((noinline)) void fill_table(const struct sm_type *t)
{
	void **table = new_table(N);

	for (size_t i = 0; i < N; i++) {
		uint64_t *o = sm_new(m, t);

		ck_assert_ptr_nonnull(o);
		for (size_t w = 0; w < WORDS; w++)
			ck_assert_uint_eq(o[w], 0);
		sm_store(m, &table[i], o);
	}
}

/* Frees the objects but every eighth, whose spans stay where they are. */
#define KEPT ((N + 7) / 8)
static __attribute__((noinline)) void thin_out(void)
{
	void **table = root;

	for (size_t i = 0; i < N; i++)
		if (i % 8 != 0)
			sm_store(m, &table[i], NULL);
	sm_store(m, &old_table, table);
	sm_store(m, &root, NULL);
	gctest_clear_stack();
	sm_collect(gc, m);
	sm_collect(gc, m);
}

/* Every word of every object in the table becomes the address of a new object: as a pointer, or as
 * a number. */
static __attribute__((noinline)) void point_at_targets(bool barrier)
{
	const struct sm_type *target = sm_type_prefix(gc, 160, 1);
	void **table = root;

	for (size_t i = 0; i < N; i++) {
		void **o = table[i];

		for (size_t w = 1; w < WORDS; w++) {
			uint64_t *t = sm_new(m, target);

			ck_assert_ptr_nonnull(t);
			t[1] = i * WORDS + w;
			if (barrier)
				sm_store(m, &o[w], t);
			else
				o[w] = t;
		}
	}
}

/* Slots that held pointers hold numbers now: what these happen to be addresses of is not kept. */
START_TEST(numbers_where_pointers_were)
{
	uint64_t n;

	start(_i);
	fill_table(all_pointers());
	thin_out();
	fill_table(first_only());
	ck_assert_uint_eq(all_pointers()->bin, 0);
	ck_assert_uint_eq(first_only()->bin, 0);
	point_at_targets(false);
	n = marked_objects();
	ck_assert_uint_ge(n, N + 1 + KEPT + 1);
	ck_assert_uint_le(n, N + 1 + KEPT + 1 + 20);
	for (size_t i = 0; i < N; i++)
		memset((char *)((void **)root)[i] + 8, 0, WORDS * 8 - 8);
	finish();
}
END_TEST

/* And the other way round: slots that held numbers hold pointers, and all that they lead to stays.
 */
START_TEST(pointers_where_numbers_were)
{
	start(_i);
	fill_table(first_only());
	thin_out();
	fill_table(all_pointers());
	point_at_targets(true);
	ck_assert_uint_ge(marked_objects(), N * WORDS + 1);
	for (size_t i = 0; i < N; i++) {
		uint64_t **o = ((void **)root)[i];

		for (size_t w = 1; w < WORDS; w++)
			ck_assert_uint_eq(o[w][1], i * WORDS + w);
	}
	finish();
}
END_TEST

/* ---- any number --------------------------------------------------------------------------- */

static const struct sm_type *type_number(uint64_t i, size_t words)
{
	uint64_t s = i * 0x9e3779b97f4a7c15u + 1, bits;

	/* Different for each i, and never pointer-free. */
	bits = (gctest_random(&s) & ~(uint64_t)0xfffff0) | (i << 4 & 0xfffff0) | 1;
	return sm_type_bitmap(gc, words * 8, &bits);
}

/* Where allocation used to return NULL for ever: 957 record types. */
START_TEST(many_record_types)
{
	enum { TYPES = 20000 };

	start(_i);
	void **table = new_table(TYPES);

	for (size_t i = 0; i < TYPES; i++) {
		const struct sm_type *t = type_number(i, 30 + i % 20);
		void **o = t ? sm_new(m, t) : NULL;

		ck_assert_msg(o != NULL, "type %zu: %s", i, strerror(errno));
		sm_store(m, &o[0], i ? table[i - 1] : NULL);
		sm_store(m, &table[i], o);
	}
	/* Equal descriptions give one type, however many there are. */
	for (size_t i = 0; i < TYPES; i += 997)
		ck_assert_ptr_eq(type_number(i, 30 + i % 20), type_number(i, 30 + i % 20));
	ck_assert_uint_le(sm_load_relaxed(&sm_gc_heap(gc)->nbins), 3 * sm__nclasses);
	ck_assert_uint_ge(marked_objects(), TYPES + 1);
	ck_assert_uint_le(marked_objects(), TYPES + 21);
	/* With this thread's runs in it, of which a cycle has just gone over. */
	ck_assert_ptr_nonnull(sm_new(m, type_number(0, 30)));
	ck_assert_uint_eq(sm_heap_check(sm_gc_heap(gc)), 0);
	sm_collect(gc, m);
	ck_assert_uint_eq(sm_heap_check(sm_gc_heap(gc)), 0);
	finish();
}
END_TEST

/* .. and 22 growable array types. */
START_TEST(growing_arrays)
{
	enum { TYPES = 200, LENGTHS = 256 };

	start(_i);
	void **table = new_table(TYPES);

	for (size_t i = 0; i < TYPES; i++) {
		uint64_t bits = 0x5 | (uint64_t)i << 3;
		const struct sm_type *t = sm_type_bitmap(gc, 128, &bits);

		for (size_t n = 1; n <= LENGTHS; n += n < 8 ? 1 : n / 4) {
			void **o = sm_new_array(m, t, n);

			ck_assert_msg(o != NULL, "type %zu, %zu elements: %s", i, n,
				      strerror(errno));
			/* The last pointer of the last element leads to the array before. */
			sm_store(m, &o[(n - 1) * 16 + 2], table[i]);
			sm_store(m, &table[i], o);
		}
	}
	ck_assert_uint_ge(marked_objects(), TYPES * 20);
	ck_assert_uint_lt(sm_load_relaxed(&sm_gc_heap(gc)->nbins), SM_BINS_MAX);
	finish();
}
END_TEST

/* More common types than there are bins: the rest stay where they are. */
START_TEST(more_common_types_than_bins)
{
	enum { TYPES = SM_BINS_MAX + 200 };
	unsigned bins;

	gc = GCTEST("gc.mode=concurrent", "gc.verify=0");
	m = sm_mutator_attach(gc);
	for (size_t i = 0; i < TYPES; i++) {
		const struct sm_type *t = type_number(i, 40);

		for (size_t n = 0; n < 9 * SM_UNIT / 320; n++)
			ck_assert_ptr_nonnull(sm_new(m, t));
	}
	bins = sm_load_relaxed(&sm_gc_heap(gc)->nbins);
	ck_assert_uint_gt(bins, SM_BINS_MAX / 2);
	ck_assert_uint_lt(bins, SM_BINS_MAX - sm__nclasses);
	/* There is always one for what cannot be mixed. */
	for (unsigned c = 2; c < sm__nclasses; c++)
		ck_assert_ptr_nonnull(
			sm_new(m, sm_type_conservative(gc, sm__sizeclasses[c].slot_bytes)));
	for (unsigned c = 2; c < sm__nclasses; c++)
		ck_assert_ptr_nonnull(
			sm_new(m, sm_type_prefix(gc, sm__sizeclasses[c].slot_bytes, 2)));
	gctest_destroy(gc, m);
}
END_TEST

/* ---- promotion ---------------------------------------------------------------------------- */

/* A type begins rare, proves common, and what was allocated before and after lives and dies alike.
 */
START_TEST(promotion)
{
	enum { OBJECTS = 20000 };
	const struct sm_type *t, *same;

	start(_i);
	t = sm_type_prefix(gc, 64, 2);
	same = sm_type_prefix(gc, 60, 2); /* of the same shape */
	void **table = new_table(OBJECTS);

	for (size_t i = 0; i < OBJECTS; i++) {
		void **o = sm_new(m, t);

		ck_assert_ptr_nonnull(o);
		if (i == 10)
			ck_assert_uint_eq(t->bin, 0);
		sm_store(m, &o[1], i ? table[i - 1] : NULL);
		sm_store(m, &table[i], o);
	}
	ck_assert_uint_ne(t->bin, 0);
	ck_assert_ptr_nonnull(sm_new(m, same));
	ck_assert_uint_eq(same->bin, t->bin);
	ck_assert_uint_ge(marked_objects(), OBJECTS + 1);
	/* Arrays too, by class. */
	for (size_t i = 0; i < OBJECTS; i++)
		ck_assert_ptr_nonnull(sm_new_array(m, t, 3));
	ck_assert_uint_le(marked_objects(), OBJECTS + 21);
	finish();
}
END_TEST

/* What is allocated counts for less with every cycle: a trickle never becomes common. */
START_TEST(a_little_of_everything_is_rare)
{
	gc = GCTEST("gc.mode=concurrent", "gc.percent=0");
	m = sm_mutator_attach(gc);
	const struct sm_type *t = sm_type_prefix(gc, 64, 2);

	for (int cycle = 0; cycle < 30; cycle++) {
		for (size_t i = 0; i < SM_COMMON_SPANS * SM_UNIT / 64 / 4; i++)
			ck_assert_ptr_nonnull(sm_new(m, t));
		sm_collect(gc, m);
	}
	ck_assert_uint_eq(t->bin, 0);
	gctest_destroy(gc, m);
}
END_TEST

/* ---- memory ------------------------------------------------------------------------------- */

/* `each` objects of a type; returns what they take, without the types. */
static __attribute__((noinline)) size_t bytes_of(size_t types, size_t each, size_t words)
{
	size_t before, i, after;
	void **table = new_table(types * each);

	for (i = 0; i < types; i++)
		ck_assert_ptr_nonnull(type_number(i, words));
	before = in_use(); /* with the table */
	for (i = 0; i < types * each; i++) {
		const struct sm_type *t = type_number(i / each, words);

		sm_store(m, &table[i], sm_new(m, t));
		ck_assert_ptr_nonnull(table[i]);
	}
	after = in_use();
	return after - before;
}

/* Few objects of each of very many types: hardly more than as many of one type; and a type is a
 * line of metadata. */
START_TEST(memory_of_many_types)
{
	size_t one, many, types = _i ? 100000 : 10000;

	start(0);
	one = bytes_of(1, types * 4, 10);
	finish();
	start(0);
	many = bytes_of(types, 4, 10);
	printf("%zu types, 4 objects of 80 B each: %zu bytes in use, of one type %zu: %.3f\n",
	       types, many, one, (double)many / (double)one);
	ck_assert_uint_le(many, one + one / 10 * 3);
	finish();
}
END_TEST

#define RARE_TYPES 900

static size_t rare_words(size_t i)
{
	return 3 + i % 60; /* 24 to 496 bytes */
}

static _Atomic(unsigned) allocated;
static pthread_barrier_t all_there;

static void *allocate_rare(void *arg)
{
	struct sm_mutator *mine = sm_mutator_attach(gc);
	size_t live = 0;
	void *keep[RARE_TYPES];

	for (size_t i = 0; i < RARE_TYPES; i++) {
		uint64_t bits = i * 4 + 3;

		keep[i] = sm_new(mine, sm_type_bitmap(gc, rare_words(i) * 8, &bits));
		live += rare_words(i) * 8;
	}
	sm_fetch_add_relaxed(&allocated, keep[RARE_TYPES - 1] != NULL);
	*(size_t *)arg = live;
	sm_blocking_enter(mine);
	pthread_barrier_wait(&all_there);
	pthread_barrier_wait(&all_there);
	sm_blocking_leave(mine);
	sm_mutator_detach(mine);
	return NULL;
}

/* One object of each of 900 types by each of 1, 8 and 64 threads: at most three times what is
 * alive, or a unit for each class of sizes and kind of span, where a unit is that large. */
START_TEST(memory_of_rare_types)
{
	enum { MOST = 64 };
	unsigned n = _i == 0 ? 1 : _i == 1 ? 8 : MOST;
	pthread_t thread[MOST];
	size_t live[MOST], sum = 0, used;

	gc = GCTEST("gc.mode=concurrent", "gc.percent=0");
	m = NULL;
	used = in_use();
	sm_store_relaxed(&allocated, 0);
	pthread_barrier_init(&all_there, NULL, n + 1);
	for (unsigned i = 0; i < n; i++)
		ck_assert_int_eq(pthread_create(&thread[i], NULL, allocate_rare, &live[i]), 0);
	pthread_barrier_wait(&all_there);
	ck_assert_uint_eq(sm_load_relaxed(&allocated), n);
	used = in_use() - used;
	pthread_barrier_wait(&all_there);
	for (unsigned i = 0; i < n; i++) {
		pthread_join(thread[i], NULL);
		sum += live[i];
	}
	printf("%u threads, one object of each of %d types: %zu bytes alive, %zu in use: %.2f\n", n,
	       RARE_TYPES, sum, used, (double)used / (double)sum);
	ck_assert_uint_le(used, sum * 3 > 32 * SM_UNIT ? sum * 3 : 32 * SM_UNIT);
	pthread_barrier_destroy(&all_there);
	gctest_destroy(gc, NULL);
}
END_TEST

/* What a type costs beside its objects. */
START_TEST(memory_of_a_type)
{
	enum { TYPES = 50000 };
	size_t before;

	ck_assert_uint_le(sizeof(struct sm_typedesc), 64);
	start(0);
	before = sm__meta_bytes(&sm_gc_heap(gc)->pages);
	for (size_t i = 0; i < TYPES; i++)
		ck_assert_ptr_nonnull(type_number(i, 40));
	/* A line, and its share of the hash table, old sizes of it included. */
	printf("a layout takes %zu bytes\n",
	       (sm__meta_bytes(&sm_gc_heap(gc)->pages) - before) / TYPES);
	ck_assert_uint_le((sm__meta_bytes(&sm_gc_heap(gc)->pages) - before) / TYPES, 64 + 32);
	finish();
}
END_TEST

/* ---- with everything else ----------------------------------------------------------------- */

static _Atomic(unsigned) finalized;

static void count_finalized(void *ctx, struct sm_mutator *fm, void *object)
{
	(void)ctx;
	(void)fm;
	ck_assert_uint_eq(((uint64_t *)object)[3], 42);
	sm_fetch_add_relaxed(&finalized, 1);
}

/* Finalizers and weak references of objects in mixed spans. */
START_TEST(finalizers)
{
	struct sm_weak *weak[100];

	start(_i);
	sm_store_relaxed(&finalized, 0);
	void **table = new_table(100);

	for (size_t i = 0; i < 100; i++) {
		uint64_t *o = sm_new(m, type_number(i, 20));

		o[3] = 42;
		ck_assert_int_eq(sm_finalizer_set(m, o, count_finalized, NULL, NULL), 0);
		weak[i] = sm_weak_new(m, o);
		if (i % 2)
			sm_store(m, &table[i], o);
	}
	gctest_clear_stack();
	sm_collect(gc, m);
	sm_finalizer_wait(gc, m);
	ck_assert_uint_ge(sm_load_relaxed(&finalized), 45);
	ck_assert_uint_le(sm_load_relaxed(&finalized), 50);
	for (size_t i = 1; i < 100; i += 2)
		ck_assert_ptr_eq(sm_weak_get(m, weak[i]), table[i]);
	for (size_t i = 0; i < 100; i++)
		sm_weak_free(m, weak[i]);
	finish();
}
END_TEST

/* A page for each object; filled memory; small windows; a budget; several spans a cache; rings too
 * short for one look or for two at objects on their way, just long enough, and full ones. */
START_TEST(settings)
{
	static const char *const set[][2] = {{"debug.page_per_object=1", "heap.limit=1g"},
					     {"debug.fill=1", "gc.mode=stw"},
					     {"debug.fill=1", "gc.stress=3"},
					     {"cache.window=1k", "cache.spans=4"},
					     {"cache.budget=64k", "cache.spans=1"},
					     {"gc.fifo=0", "gc.workers=1"},
					     {"gc.fifo=8", "gc.workers=2"},
					     {"gc.fifo=16", "gc.mode=stw"},
					     {"gc.fifo=17", "gc.packet=8"},
					     {"gc.fifo=64", "gc.mode=stw"}};

	gc = GCTEST(set[_i][0], set[_i][1], "gc.verify=1");
	m = sm_mutator_attach(gc);
	ck_assert_int_eq(sm_root_add(gc, &root, 1), 0);
	for (int round = 0; round < 3; round++) {
		void **table = new_table(1000);

		for (size_t i = 0; i < 1000; i++) {
			uint64_t *o = sm_new(m, type_number(i, 4 + i % 40));

			ck_assert_ptr_nonnull(o);
			for (size_t w = 0; w < 4 + i % 40; w++)
				ck_assert_uint_eq(o[w], 0);
			sm_store(m, (void **)&o[0], i ? table[i - 1] : NULL);
			sm_store(m, &table[i], o);
		}
		ck_assert_uint_ge(marked_objects(), 1001);
	}
	finish();
}
END_TEST

int main(void)
{
	return SM_SUITE("types", 120, SM_LOOP(numbers_where_pointers_were, 0, MODES),
			SM_LOOP(pointers_where_numbers_were, 0, MODES),
			SM_LOOP(many_record_types, 0, MODES), SM_LOOP(growing_arrays, 0, MODES),
			SM_T(more_common_types_than_bins), SM_LOOP(promotion, 0, MODES),
			SM_T(a_little_of_everything_is_rare), SM_LOOP(memory_of_many_types, 0, 2),
			SM_LOOP(memory_of_rare_types, 0, 3), SM_T(memory_of_a_type),
			SM_LOOP(finalizers, 0, MODES), SM_LOOP(settings, 0, 10));
}
