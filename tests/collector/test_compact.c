/*
 * test_compact: objects move, and nothing is lost: contents, edges, handles, roots, weak
 * references, ephemerons and finalizers of what has moved; what pins an object, and that it stays.
 */
#include <errno.h>
#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

#include "allocator/os/os.h"
#include "collector/cycle/gc_internal.h"
#include "tests/support/gctest.h"
#include "tests/support/moving.h"
#include "tests/support/run.h"
#include "tests/support/scale.h"

static struct sm_gc *gc;
static struct sm_mutator *m;
static struct sm_moving_types types;

#define YOUNG "gc.generations=on"
static const char *const modes[] = {
	"gc.mode=concurrent", "gc.mode=stw",	 "gc.mark=spans", "cache.mode=cpu",
	"cache.mode=none",    "pageheap=bitmap", "debug.fill=1",  YOUNG};
#define NMODES (sizeof(modes) / sizeof(modes[0]))

/* All at once; and a few at a time, in a stop for all and in as many as can be. */
static const char *const kinds[][3] = {
	{"gc.compact=full", "gc.compact_slice_us=0", "full"},
	{"gc.compact=force", "gc.compact_slice_us=1", "force, by slices"},
	{"gc.compact=force", "gc.compact_slice_us=0", "force, at once"},
	{"gc.compact=auto", "gc.compact_slice_us=50", "auto"},
};
#define NKINDS (sizeof(kinds) / sizeof(kinds[0]))
static unsigned kind;

static void begin(const char *mode)
{
	gc = GCTEST(kinds[kind][0], kinds[kind][1], "gc.verify=1", mode);
	m = sm_mutator_attach(gc);
	sm_moving_types(&types, gc, false);
}

#define CASE (_i / (int)NKINDS)

static void begin_kind(int i, const char *mode)
{
	kind = (unsigned)i % NKINDS;
	begin(mode);
}

static bool in_slices(void)
{
	return gc->config.compact != SM_GC_COMPACT_FULL && gc->config.mode == SM_GC_CONCURRENT;
}

static void end(void)
{
	gctest_destroy(gc, m);
}

static struct sm_compaction compact(void)
{
	struct sm_gc_compact_stats s;

	gctest_clear_stack();
	ck_assert_int_eq(sm_collect_compact(gc, m), 0);
	ck_assert_uint_eq(gctest_stats(gc).verify_errors, 0);
	sm_gc_compact_stats(gc, &s);
	ck_assert_uint_eq(s.version, SM_GC_COMPACT_STATS_VERSION);
	return s.last;
}

/* gc.compact=force moves behind each cycle. */
static struct sm_compaction in_all(void)
{
	struct sm_gc_compact_stats s;

	sm_gc_compact_stats(gc, &s);
	return s.total;
}

/* ---- contents ----------------------------------------------------------------------------- */

START_TEST(contents_are_whole)
{
	struct sm_gc_compact_stats s;
	struct sm_moving g;

	begin_kind(_i, modes[CASE]);
	types.fixed = true;
	sm_moving_init(&g, m, &types, 6000 * SM_TEST_UNITS, 42, (uint64_t)CASE);
	for (int round = 0; round < 8; round++) {
		sm_moving_grow(&g, m, 60);
		sm_moving_link(&g, m, 3000 * SM_TEST_UNITS);
		sm_moving_drop(&g, m, 85);
		(void)compact();
		ck_assert(sm_moving_intact(&g, m));
		ck_assert_uint_eq(sm_heap_check(sm_gc_heap(gc)), 0);
	}
	sm_gc_compact_stats(gc, &s);
	ck_assert_uint_ge(s.compactions, 8);
	ck_assert_uint_gt(s.total.moved_objects, 1000);
	ck_assert_uint_gt(s.total.moved_bytes, 16000);
	ck_assert_uint_gt(s.total.candidates, 0);
	ck_assert_uint_le(s.total.candidates, s.total.spans);
	if (!in_slices()) {
		ck_assert_uint_eq(s.compactions, 8);
		ck_assert_uint_ge(s.total.freed_bytes, s.total.candidates * SM_UNIT);
		ck_assert_uint_eq(s.total.slices, 8);
		ck_assert_uint_eq(s.total.slots_noted, 0);
	} else {
		ck_assert_uint_gt(s.total.freed_bytes, 0);
		ck_assert_uint_gt(s.total.slots_noted, 0);
		ck_assert_uint_gt(s.total.slices, 0);
		ck_assert_uint_le(s.slice_p50_ns, s.slice_p99_ns);
		ck_assert_uint_le(s.slice_p99_ns, s.stopped_max_ns);
	}
	ck_assert_uint_le(s.total.regions_after, s.total.regions_before);
	ck_assert_uint_gt(s.total.stopped_ns, 0);
	end();
}
END_TEST

START_TEST(nothing_moves_when_off)
{
	void *p;

	gc = GCTEST("gc.verify=1");
	m = sm_mutator_attach(gc);
	p = sm_new(m, sm_type_prefix(gc, 32, 1));
	ck_assert_int_eq(sm_collect_compact(gc, m), -ENOTSUP);
	ck_assert_int_eq(sm_pin(m, p), 0);
	ck_assert_int_eq(sm_unpin(m, p), 0);
	ck_assert_int_eq(sm_collect_compact(NULL, m), -EINVAL);
	end();
}
END_TEST

/* ---- a sparse heap of 32 byte objects ----------------------------------------------------- */

enum { SLOTS = 40000 * SM_TEST_UNITS, EACH = 40 };
static struct sm_handle *table;

static void **table_slots(void)
{
	return (void **)sm_handle_get(table);
}

static SM_NOINLINE void fill_sparsely(const struct sm_type *type)
{
	table = sm_handle_new(m, sm_new_array(m, sm_type_pointers(gc, 1), SLOTS));
	for (size_t i = 0; i < SLOTS; i++) {
		uint64_t *x = sm_new(m, type);

		x[1] = i;
		sm_store(m, &table_slots()[i], x);
	}
	for (size_t i = 0; i < SLOTS; i++)
		if (i % EACH != 0)
			sm_store(m, &table_slots()[i], NULL);
}

static SM_NOINLINE uintptr_t hidden(size_t i)
{
	return ~(uintptr_t)sm_load(&table_slots()[i]);
}

static SM_NOINLINE uint64_t number(size_t i)
{
	return ((uint64_t *)sm_load(&table_slots()[i]))[1];
}

static SM_NOINLINE void check_numbers(void)
{
	for (size_t i = 0; i < SLOTS; i += EACH)
		ck_assert_uint_eq(number(i), i);
}

static SM_NOINLINE void hide_all(uintptr_t *before)
{
	for (size_t i = 0; i < SLOTS; i += EACH)
		before[i / EACH] = hidden(i);
}

static SM_NOINLINE size_t moved_since(const uintptr_t *before)
{
	size_t n = 0;

	for (size_t i = 0; i < SLOTS; i += EACH)
		n += hidden(i) != before[i / EACH];
	return n;
}

START_TEST(sparse_spans_come_free)
{
	static uintptr_t before[SLOTS / EACH];
	struct sm_compaction c;
	size_t others;

	begin_kind(_i, modes[CASE]);
	fill_sparsely(sm_type_prefix(gc, 32, 1));
	hide_all(before);
	c = compact();
	check_numbers();
	/* 1000 objects in 79 spans fit into two; some stand where they are. */
	/* Beside these and the table only what a word that is left on the stack keeps. */
	others = gctest_stats(gc).last_marked_objects - SLOTS / EACH - 1;
	ck_assert_uint_le(others, 2);
	ck_assert_uint_ge(c.moved_objects, moved_since(before));
	ck_assert_uint_le(c.moved_objects, moved_since(before) + others);
	ck_assert_uint_gt(c.moved_objects, SLOTS / EACH / 2);
	ck_assert_uint_gt(c.candidates, SLOTS * 32 / SM_UNIT / 2);
	/* And then there is nothing more to do. */
	c = compact();
	ck_assert_uint_lt(c.moved_objects, SLOTS / EACH / 10);
	check_numbers();
	end();
}
END_TEST

/* ---- nodes -------------------------------------------------------------------------------- */

static void begin_on_nodes(int which, unsigned nodes)
{
	struct sm_gc_config cfg;

	sm_gc_config_init(&cfg);
	gctest_config(&cfg);
	gctest_nodes(&cfg, nodes);
	kind = (unsigned)which % NKINDS;
	cfg.compact = kind == 0	  ? SM_GC_COMPACT_FULL
		      : kind == 3 ? SM_GC_COMPACT_AUTO
				  : SM_GC_COMPACT_FORCE;
	cfg.compact_slice_us = kind % 2;
	cfg.verify = true;
	ck_assert_int_eq(sm_gc_config_set(&cfg, "numa", "interleave", NULL, 0), 0);
	gc = sm_gc_create(&cfg, NULL, 0);
	ck_assert_ptr_nonnull(gc);
	m = sm_mutator_attach(gc);
	sm_moving_types(&types, gc, false);
}

static unsigned node_of(uintptr_t disguised)
{
	return (unsigned)((~disguised - gc->range.base) >> gc->range.node_shift);
}

START_TEST(objects_stay_on_their_node)
{
	static uintptr_t before[SLOTS / EACH];
	unsigned on[3] = {0};
	struct sm_moving g;

	begin_on_nodes(_i, 3);
	fill_sparsely(sm_type_prefix(gc, 32, 1));
	hide_all(before);
	ck_assert_uint_gt(compact().moved_objects, SLOTS / EACH / 2);
	check_numbers();
	for (size_t i = 0; i < SLOTS; i += EACH) {
		ck_assert_uint_eq(node_of(hidden(i)), node_of(before[i / EACH]));
		on[node_of(hidden(i))]++;
	}
	ck_assert(on[0] > 0 && on[1] > 0 && on[2] > 0);
	sm_moving_init(&g, m, &types, 6000, 1, 0);
	for (int round = 0; round < 3; round++) {
		sm_moving_grow(&g, m, 60);
		sm_moving_link(&g, m, 3000);
		sm_moving_drop(&g, m, 85);
		(void)compact();
		ck_assert(sm_moving_intact(&g, m));
	}
	end();
}
END_TEST

/* ---- pins --------------------------------------------------------------------------------- */

/* Words of the stack that pin a node of 32 bytes: at its start, inside, at its end, in front. */
static const int offsets[] = {0, 8, 31, 32, -8, -16};

/* In a frame of its own, so that the word dies with it. */
static SM_NOINLINE struct sm_compaction compact_with(size_t i, int offset)
{
	volatile uintptr_t word = ~hidden(i) + (uintptr_t)(intptr_t)offset;
	struct sm_compaction c = compact();

	(void)word;
	return c;
}

START_TEST(a_stack_word_pins)
{
	uintptr_t before;
	struct sm_compaction c;

	begin_kind(_i, modes[0]);
	fill_sparsely(sm_type_prefix(gc, 32, 1));
	/* Its neighbours are gone before: the word would keep them, and they their span. */
	gctest_clear_stack();
	sm_collect(gc, m);
	before = hidden(EACH * 500 * SM_TEST_UNITS);
	(void)compact_with(EACH * 500 * SM_TEST_UNITS, offsets[CASE]);
	c = in_all();
	ck_assert_uint_eq(hidden(EACH * 500 * SM_TEST_UNITS), before);
	ck_assert_uint_ge(c.pinned_objects[SM_PINNED_STACK], 1);
	ck_assert_uint_ge(c.pinned_bytes[SM_PINNED_STACK], 32);
	ck_assert_uint_gt(c.moved_objects, SLOTS / EACH / 2);
	check_numbers();
	end();
}
END_TEST

static SM_NOINLINE void point_conservatively(size_t i, struct sm_handle *h)
{
	uintptr_t *c = sm_new(m, sm_type_conservative(gc, 64));

	sm_handle_set(m, h, c);
	/* Tagged, and into the object. */
	sm_store(m, (void **)&c[3], (void *)(~hidden(i) + 8 + 3));
}

START_TEST(a_conservative_object_pins)
{
	struct sm_handle *h;
	uintptr_t before;
	struct sm_compaction c;

	begin_kind(_i, modes[CASE]);
	fill_sparsely(sm_type_prefix(gc, 32, 1));
	h = sm_handle_new(m, NULL);
	point_conservatively(EACH * 200, h);
	before = hidden(EACH * 200);
	c = compact();
	ck_assert_uint_eq(hidden(EACH * 200), before);
	ck_assert_uint_ge(c.pinned_objects[SM_PINNED_CONSERVATIVE], 1);
	check_numbers();
	sm_handle_free(m, h);
	end();
}
END_TEST

static SM_NOINLINE int pin_slot(size_t i)
{
	return sm_pin(m, sm_load(&table_slots()[i]));
}

static SM_NOINLINE int unpin_slot(size_t i)
{
	return sm_unpin(m, sm_load(&table_slots()[i]));
}

START_TEST(the_program_pins)
{
	uintptr_t before;
	struct sm_compaction c;

	begin_kind(_i, modes[CASE]);
	/* What made no type makes none that stays, either. */
	errno = 0;
	ck_assert_ptr_null(sm_type_unmovable(gc, sm_type_prefix(gc, 8, 2)));
	ck_assert_int_eq(errno, EINVAL);
	fill_sparsely(sm_type_prefix(gc, 32, 1));
	ck_assert_int_eq(unpin_slot(EACH * 300), -ENOENT);
	ck_assert_int_eq(sm_pin(m, NULL), -EINVAL);
	ck_assert_int_eq(sm_pin(NULL, &before), -EINVAL);
	ck_assert_int_eq(sm_unpin(NULL, &before), -EINVAL);
	ck_assert_int_eq(sm_unpin(m, NULL), -EINVAL);
	ck_assert_int_eq(sm_unpin(m, &before), -EINVAL);
	/* Twice, and once unpinned: still pinned. */
	ck_assert_int_eq(pin_slot(EACH * 300), 0);
	ck_assert_int_eq(pin_slot(EACH * 300), 0);
	ck_assert_int_eq(unpin_slot(EACH * 300), 0);
	before = hidden(EACH * 300);
	/* It lives though nothing else leads there. */
	sm_store(m, &table_slots()[EACH * 300], NULL);
	c = compact();
	ck_assert_uint_eq(((uint64_t *)~before)[1], EACH * 300);
	ck_assert_uint_eq(c.pinned_objects[SM_PINNED_PROGRAM], 1);
	ck_assert_uint_eq(c.pinned_bytes[SM_PINNED_PROGRAM], 32);
	ck_assert_uint_gt(c.moved_objects, SLOTS / EACH / 2);
	sm_store(m, &table_slots()[EACH * 300], (void *)~before);
	ck_assert_int_eq(unpin_slot(EACH * 300), 0);
	ck_assert_int_eq(unpin_slot(EACH * 300), -ENOENT);
	c = compact();
	ck_assert_uint_eq(c.pinned_objects[SM_PINNED_PROGRAM], 0);
	check_numbers();
	/* In a blocking section nothing is pinned; what collects may run there. */
	sm_blocking_enter(m);
	ck_assert_int_eq(sm_pin(m, &before), -EINVAL);
	ck_assert_int_eq(sm_collect_compact(gc, m), 0);
	sm_blocking_leave(m);
	check_numbers();
	end();
}
END_TEST

START_TEST(a_type_is_unmovable)
{
	static uintptr_t before[SLOTS / EACH];
	const struct sm_type *plain, *fixed;
	struct sm_compaction c;

	begin_kind(_i, modes[0]);
	plain = CASE == 0   ? sm_type_prefix(gc, 32, 1)
		: CASE == 1 ? sm_type_prefix(gc, 32, 0)
			    : sm_type_conservative(gc, 32);
	fixed = sm_type_unmovable(gc, plain);
	ck_assert_ptr_ne(fixed, plain);
	ck_assert_ptr_eq(sm_type_unmovable(gc, plain), fixed);
	fill_sparsely(fixed);
	hide_all(before);
	c = compact();
	ck_assert_uint_eq(moved_since(before), 0);
	/* In slices their spans are no candidates. */
	if (!in_slices())
		ck_assert_uint_ge(c.pinned_objects[SM_PINNED_TYPE] +
					  c.pinned_objects[SM_PINNED_CONSERVATIVE],
				  SLOTS / EACH);
	check_numbers();
	end();
}
END_TEST

START_TEST(unmovable_arrays_are_of_the_type)
{
	const struct sm_type *fixed;
	struct sm_handle *h;
	uint64_t *a;

	begin_kind(_i, modes[0]);
	fixed = sm_type_unmovable(gc, sm_type_prefix(gc, 24, 1));
	a = sm_new_array(m, fixed, 10);
	h = sm_handle_new(m, a);
	ck_assert_uint_eq(sm_span_of(&gc->range, (uintptr_t)a)->layout->fixed, 1);
	sm_store(m, (void **)&a[27], a);
	a[28] = 7;
	a = NULL;
	(void)compact();
	a = sm_handle_get(h);
	ck_assert_ptr_eq((void *)a[27], a);
	ck_assert_uint_eq(a[28], 7);
	/* Pointer-free, large and flexible ones. */
	fixed = sm_type_unmovable(gc, sm_type_prefix(gc, 24, 0));
	a = sm_new_array(m, fixed, 10);
	ck_assert_uint_eq(sm_span_of(&gc->range, (uintptr_t)a)->layout->fixed, 1);
	ck_assert_ptr_nonnull(sm_new_array(m, fixed, 10000));
	ck_assert_ptr_nonnull(sm_new_aligned(m, fixed, 64));
	fixed = sm_type_unmovable(gc, sm_type_flex(gc, 8, NULL, 8, &(uint64_t){1}));
	a = sm_new_flex(m, fixed, 10);
	ck_assert_uint_eq(sm_span_of(&gc->range, (uintptr_t)a)->layout->fixed, 1);
	sm_collect(gc, m);
	sm_handle_free(m, h);
	end();
}
END_TEST

/* ---- other threads ------------------------------------------------------------------------ */

struct other {
	pthread_t thread;
	pthread_barrier_t meet;
	int how;
	uintptr_t word; /* its own range */
};

/* Where the thread has the address while the world stands still. */
static SM_NOINLINE void hold(struct other *o, struct sm_mutator *mine)
{
	volatile uintptr_t word = 0;

	switch (o->how) {
	case 0: word = ~hidden(EACH * 500 * SM_TEST_UNITS); break;
	case 1: o->word = ~hidden(EACH * 500 * SM_TEST_UNITS) + 8; break;
	default: break;
	}
	sm_blocking_enter(mine);
	pthread_barrier_wait(&o->meet);
	pthread_barrier_wait(&o->meet);
	sm_blocking_leave(mine);
	(void)word;
}

static void *other_main(void *arg)
{
	struct other *o = arg;
	struct sm_mutator *mine = sm_mutator_attach(gc);

	ck_assert_int_eq(sm_thread_range_add(mine, &o->word, sizeof(o->word)), 0);
	hold(o, mine);
	sm_mutator_detach(mine);
	return NULL;
}

START_TEST(another_threads_words_pin)
{
	static struct other o; /* not on this thread's stack */
	uintptr_t before;
	struct sm_compaction c;

	o.how = CASE;
	begin_kind(_i, modes[0]);
	fill_sparsely(sm_type_prefix(gc, 32, 1));
	before = hidden(EACH * 500 * SM_TEST_UNITS);
	ck_assert_int_eq(pthread_barrier_init(&o.meet, NULL, 2), 0);
	ck_assert_int_eq(pthread_create(&o.thread, NULL, other_main, &o), 0);
	sm_blocking_enter(m);
	pthread_barrier_wait(&o.meet);
	sm_blocking_leave(m);
	c = compact();
	ck_assert_uint_eq(hidden(EACH * 500 * SM_TEST_UNITS), before);
	ck_assert_uint_ge(c.pinned_objects[SM_PINNED_STACK], 1);
	sm_blocking_enter(m);
	pthread_barrier_wait(&o.meet);
	pthread_join(o.thread, NULL);
	sm_blocking_leave(m);
	check_numbers();
	end();
}
END_TEST

/* ---- by itself ---------------------------------------------------------------------------- */

static SM_NOINLINE void drop_most(size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (i % EACH != 0)
			sm_store(m, &table_slots()[i], NULL);
}

/* Where little can come free no spans are looked at; where much can, they are, and objects move. */
START_TEST(a_dense_heap_is_not_looked_at)
{
	enum { N = 300000 };
	struct sm_gc_compact_stats s;

	gc = GCTEST("gc.compact=auto");
	m = sm_mutator_attach(gc);
	table = sm_handle_new(m, sm_new_array(m, sm_type_pointers(gc, 1), N));
	for (size_t i = 0; i < N; i++)
		sm_store(m, &table_slots()[i], sm_new(m, sm_type_prefix(gc, 64, 1)));
	sm_collect(gc, m);
	gc->armed.plans = 0;
	for (int i = 0; i < 3; i++)
		sm_collect(gc, m);
	ck_assert_uint_eq(gc->armed.plans, 0);
	drop_most(N);
	gctest_clear_stack();
	for (int i = 0; i < 3; i++)
		sm_collect(gc, m);
	ck_assert_uint_gt(gc->armed.plans, 0);
	sm_gc_compact_stats(gc, &s);
	ck_assert_uint_gt(s.total.moved_objects, N / EACH / 2);
	end();
}
END_TEST

/* ---- beside the heap ---------------------------------------------------------------------- */

static struct {
	struct sm_weak *weak[SLOTS / EACH];
	struct sm_handle *handle[SLOTS / EACH];
	struct sm_ephemeron *pair[SLOTS / EACH];
	void *root[SLOTS / EACH];
	unsigned finalized, wrong, disposed;
} beside;

static void finalize(void *ctx, struct sm_mutator *mine, void *object)
{
	(void)mine;
	beside.finalized++;
	beside.wrong += ((uint64_t *)object)[1] != (uintptr_t)ctx;
}

static void dispose(void *ctx)
{
	(void)ctx;
	beside.disposed++;
}

static SM_NOINLINE void refer(void)
{
	for (size_t i = 0; i < SLOTS; i += EACH) {
		void *x = sm_load(&table_slots()[i]),
		     *next = sm_load(&table_slots()[(i + EACH) % SLOTS]);

		beside.weak[i / EACH] = sm_weak_new(m, x);
		beside.handle[i / EACH] = sm_handle_new(m, x);
		beside.pair[i / EACH] = sm_ephemeron_new(m, x, next);
		sm_store(m, &beside.root[i / EACH], x);
		ck_assert_int_eq(sm_finalizer_set(m, x, finalize, (void *)(uintptr_t)i, dispose),
				 0);
	}
}

static SM_NOINLINE void check_references(void)
{
	for (size_t i = 0; i < SLOTS; i += EACH) {
		void *x = sm_load(&table_slots()[i]),
		     *next = sm_load(&table_slots()[(i + EACH) % SLOTS]);

		ck_assert_ptr_eq(sm_weak_get(m, beside.weak[i / EACH]), x);
		ck_assert_ptr_eq(sm_handle_get(beside.handle[i / EACH]), x);
		ck_assert_ptr_eq(sm_ephemeron_get(m, beside.pair[i / EACH]), next);
		ck_assert_ptr_eq(sm_load(&beside.root[i / EACH]), x);
		ck_assert_int_eq(sm_finalizer_set(m, x, finalize, NULL, NULL), -EEXIST);
	}
}

static SM_NOINLINE void let_go(void)
{
	for (size_t i = 0; i < SLOTS; i += EACH) {
		/* Every third's is cleared: it is found by its new address. */
		if (i / EACH % 3 == 0)
			ck_assert_int_eq(sm_finalizer_clear(m, sm_load(&table_slots()[i])), 0);
		sm_store(m, &table_slots()[i], NULL);
		sm_store(m, &beside.root[i / EACH], NULL);
		sm_handle_free(m, beside.handle[i / EACH]);
		/* One that a stale word keeps would keep all the others. */
		sm_ephemeron_free(m, beside.pair[i / EACH]);
	}
}

START_TEST(references_follow)
{
	struct sm_compaction c;

	begin_kind(_i, modes[CASE]);
	memset(&beside, 0, sizeof(beside));
	fill_sparsely(sm_type_prefix(gc, 32, 1));
	ck_assert_int_eq(sm_root_add(gc, beside.root, SLOTS / EACH), 0);
	refer();
	c = compact();
	ck_assert_uint_gt(c.moved_objects, SLOTS / EACH / 2);
	check_references();
	let_go();
	(void)compact();
	sm_finalizer_wait(gc, m);
	/* A word on a stack may keep a few. */
	ck_assert_uint_gt(beside.finalized, SLOTS / EACH * 2 / 3 - 20);
	ck_assert_uint_eq(beside.wrong, 0);
	ck_assert_uint_ge(beside.disposed, beside.finalized + SLOTS / EACH / 3);
	ck_assert_int_eq(sm_root_remove(gc, beside.root), 0);
	end();
}
END_TEST

/* A finalizer that runs, and those queued behind it: their objects move and are found. */
static pthread_barrier_t in_finalizer;

static void finalize_slowly(void *ctx, struct sm_mutator *mine, void *object)
{
	if (beside.finalized == 0) {
		object = (void *)~(uintptr_t)object;
		sm_blocking_enter(mine);
		pthread_barrier_wait(&in_finalizer);
		pthread_barrier_wait(&in_finalizer);
		sm_blocking_leave(mine);
		object = (void *)~(uintptr_t)object;
		beside.finalized++;
		return;
	}
	finalize(ctx, mine, object);
}

static SM_NOINLINE void finalize_all(void)
{
	for (size_t i = 0; i < SLOTS; i += EACH) {
		ck_assert_int_eq(sm_finalizer_set(m, sm_load(&table_slots()[i]), finalize_slowly,
						  (void *)(uintptr_t)i, NULL),
				 0);
		sm_store(m, &table_slots()[i], NULL);
	}
}

START_TEST(queued_finalizers_follow)
{
	struct sm_compaction c;

	begin_kind(_i, modes[0]);
	memset(&beside, 0, sizeof(beside));
	ck_assert_int_eq(pthread_barrier_init(&in_finalizer, NULL, 2), 0);
	fill_sparsely(sm_type_prefix(gc, 32, 1));
	finalize_all();
	gctest_clear_stack();
	sm_collect(gc, m);
	sm_blocking_enter(m);
	pthread_barrier_wait(&in_finalizer);
	sm_blocking_leave(m);
	(void)compact();
	c = in_all();
	ck_assert_uint_gt(c.moved_objects, SLOTS / EACH / 2);
	sm_blocking_enter(m);
	pthread_barrier_wait(&in_finalizer);
	sm_blocking_leave(m);
	sm_finalizer_wait(gc, m);
	ck_assert_uint_gt(beside.finalized, SLOTS / EACH - 20);
	ck_assert_uint_eq(beside.wrong, 0);
	end();
}
END_TEST

/* ---- stores meanwhile --------------------------------------------------------------------- */

static struct {
	_Atomic(int) stop;
	int how;
	uint64_t swaps;
} swapper;

static void **kept_slot(size_t i)
{
	return &table_slots()[i * EACH];
}

/* Exchanges what two slots hold, or moves some to the next slots and back; one that goes twice is
 * in a third meanwhile. */
static SM_NOINLINE void swap(struct sm_mutator *mine, size_t i, size_t k)
{
	void **a = kept_slot(i), **b = kept_slot(k), *x = sm_load(a), *y = sm_load(b);

	if (i == k)
		return;
	switch (swapper.how) {
	case 1:
		ck_assert(sm_cas(mine, a, &(void *){x}, y));
		ck_assert(sm_cas(mine, b, &(void *){y}, x));
		break;
	case 2:
		ck_assert_ptr_eq(sm_exchange(mine, a, y), x);
		ck_assert_ptr_eq(sm_exchange(mine, b, x), y);
		break;
	case 3:
		sm_copy_slots(mine, a + 1, a, 1);
		sm_copy_slots(mine, a, b, 1);
		sm_copy_slots(mine, b, a + 1, 1);
		sm_clear_slots(mine, a + 1, 1);
		break;
	default:
		sm_store(mine, a, y);
		sm_store(mine, b, x);
		break;
	}
}

/* The last kind attaches again and again. */
static void *swap_on(void *arg)
{
	uint64_t seed = 88172645463325252u;
	struct sm_mutator *mine = sm_mutator_attach(gc);

	(void)arg;
	while (!swapper.stop) {
		for (int i = 0; i < 20; i++) {
			seed ^= seed << 13;
			seed ^= seed >> 7;
			seed ^= seed << 17;
			swap(mine, seed % (SLOTS / EACH), (seed >> 32) % (SLOTS / EACH));
			sm_safepoint(mine);
			swapper.swaps++;
		}
		if (swapper.how == 4) {
			sm_mutator_detach(mine);
			mine = sm_mutator_attach(gc);
		}
	}
	sm_mutator_detach(mine);
	return NULL;
}

static SM_NOINLINE void check_all_are_there(void)
{
	static bool seen[SLOTS];

	memset(seen, 0, sizeof(seen));
	for (size_t i = 0; i < SLOTS; i += EACH) {
		ck_assert_uint_lt(number(i), SLOTS);
		ck_assert(!seen[number(i)]);
		seen[number(i)] = true;
	}
}

/* On a machine that is busy elsewhere more may be noted than there is room for: then not all moves.
 */
static void compact_beside_stores(void)
{
	int err = sm_collect_compact(gc, m);

	ck_assert(err == 0 || (err == -ENOMEM && in_slices()));
	ck_assert_uint_eq(gctest_stats(gc).verify_errors, 0);
}

/* The last case is the one before with gc.generations: threads attach and detach between slices. */
START_TEST(stores_are_followed)
{
	bool enough = false;

	begin_kind(_i, CASE == 5 ? YOUNG : modes[0]);
	/* Where the thread that stores has the CPU for long, more is noted than may be, and in that
	 * round nothing moves. */
	for (int round = 0; round < 6 || (round < 60 && !enough); round++) {
		pthread_t thread;

		fill_sparsely(sm_type_prefix(gc, 32, 1));
		swapper.stop = 0;
		swapper.how = CASE == 5 ? 4 : CASE;
		ck_assert_int_eq(pthread_create(&thread, NULL, swap_on, NULL), 0);
		compact_beside_stores();
		compact_beside_stores();
		swapper.stop = 1;
		sm_blocking_enter(m);
		pthread_join(thread, NULL);
		sm_blocking_leave(m);
		check_all_are_there();
		sm_handle_free(m, table);
		enough = in_all().moved_objects > SLOTS / EACH;
	}
	ck_assert_uint_gt(swapper.swaps, 0);
	ck_assert(enough);
	end();
}
END_TEST

/* ---- tiny objects ------------------------------------------------------------------------- */

START_TEST(tiny_objects_move_with_their_block)
{
	enum { N = 30000 * SM_TEST_UNITS, KEPT = 30 };
	struct sm_compaction c;

	begin_kind(_i, modes[0]);
	table = sm_handle_new(m, sm_new_array(m, sm_type_pointers(gc, 1), N));
	for (size_t i = 0; i < N; i++) {
		uint16_t *x = sm_new_bytes(m, 4);

		x[0] = (uint16_t)i;
		x[1] = 7;
		sm_store(m, &table_slots()[i], x);
	}
	for (size_t i = 0; i < N; i++)
		if (i % KEPT > 1)
			sm_store(m, &table_slots()[i], NULL);
	c = compact();
	ck_assert_uint_gt(c.moved_objects, N / KEPT / 2);
	for (size_t i = 0; i < N; i++) {
		uint16_t *x = sm_load(&table_slots()[i]);

		ck_assert(x == NULL || (x[0] == (uint16_t)i && x[1] == 7));
	}
	end();
}
END_TEST

/* ---- failure, fork ------------------------------------------------------------------------ */

START_TEST(without_memory_nothing_moves)
{
	static uintptr_t before[SLOTS / EACH];

	kind = (unsigned)_i % NKINDS;
	gc = GCTEST(kinds[kind][0], kinds[kind][1]);
	m = sm_mutator_attach(gc);
	fill_sparsely(sm_type_prefix(gc, 32, 1));
	hide_all(before);
	sm_collect(gc, m);
	(void)sm__os_inject(SM_OS_RESERVE, -1, ENOMEM);
	ck_assert_int_eq(sm_collect_compact(gc, m), -ENOMEM);
	(void)sm__os_inject(SM_OS_RESERVE, 0, 0);
	ck_assert_uint_eq(moved_since(before), 0);
	check_numbers();
	ck_assert_int_eq(sm_collect_compact(gc, m), 0);
	check_numbers();
	end();
}
END_TEST

static _Atomic(int) stop;

static void *compact_on(void *arg)
{
	(void)arg;
	while (!stop)
		ck_assert_int_eq(sm_collect_compact(gc, NULL), 0);
	return NULL;
}

START_TEST(a_child_gets_a_whole_heap)
{
	struct sm_moving g;
	pthread_t thread;

	begin_kind(_i, CASE == 2 ? YOUNG : modes[CASE]);
	sm_moving_init(&g, m, &types, 3000, 7, 0);
	stop = 0;
	ck_assert_int_eq(pthread_create(&thread, NULL, compact_on, NULL), 0);
	for (int i = 0; i < 15; i++) {
		int status;
		pid_t pid;

		sm_moving_grow(&g, m, 60);
		sm_moving_link(&g, m, 1000);
		sm_moving_drop(&g, m, 80);
		sm_blocking_enter(m);
		pid = fork();
		sm_blocking_leave(m);
		if (pid == 0) {
			sm_moving_grow(&g, m, 10);
			_exit(sm_moving_intact(&g, m) && sm_collect_compact(gc, m) == -ENOTSUP ? 0
											       : 1);
		}
		ck_assert_int_gt(pid, 0);
		sm_blocking_enter(m);
		ck_assert_int_eq(waitpid(pid, &status, 0), pid);
		sm_blocking_leave(m);
		ck_assert_int_eq(status, 0);
	}
	ck_assert(sm_moving_intact(&g, m));
	stop = 1;
	sm_blocking_enter(m);
	pthread_join(thread, NULL);
	sm_blocking_leave(m);
	end();
}
END_TEST

/* Each case for each kind. */
#define KINDS_OF(t, n) SM_LOOP(t, 0, (n)*NKINDS)

int main(void)
{
	return SM_SUITE(
		"compact", 300, KINDS_OF(contents_are_whole, NMODES), SM_T(nothing_moves_when_off),
		KINDS_OF(sparse_spans_come_free, 4), KINDS_OF(objects_stay_on_their_node, 1),
		KINDS_OF(a_stack_word_pins, 6), KINDS_OF(a_conservative_object_pins, 3),
		KINDS_OF(the_program_pins, 3), KINDS_OF(a_type_is_unmovable, 3),
		KINDS_OF(unmovable_arrays_are_of_the_type, 1),
		KINDS_OF(another_threads_words_pin, 2), KINDS_OF(references_follow, 4),
		KINDS_OF(queued_finalizers_follow, 1), SM_T(a_dense_heap_is_not_looked_at),
		KINDS_OF(stores_are_followed, 6), KINDS_OF(tiny_objects_move_with_their_block, 1),
		KINDS_OF(without_memory_nothing_moves, 1), KINDS_OF(a_child_gets_a_whole_heap, 3));
}
