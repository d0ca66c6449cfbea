/*
 * test_markspan: marking by span reaches what marking by object reaches, whatever the size, and
 * counts it once; how it came to be scanned is told; nothing is left in a unit.
 */
#include "collector/cycle/gc_internal.h"
#include "tests/support/gctest.h"
#include "tests/support/run.h"

#define NODES 3000

/* How the test's collectors differ. All objects of a span that has any, by the kernel; or one by
 * one; or as it is by default. */
static const char *const ways[][3] = {
	{"gc.mode=stw", "gc.dense=0", "gc.workers=1"},
	{"gc.mode=stw", "gc.dense=101", "gc.workers=2"},
	{"gc.mode=concurrent", "gc.dense=0", "gc.workers=2"},
	{"gc.mode=concurrent", "gc.dense=101", "gc.fifo=0"},
	{"gc.mode=concurrent", "gc.span_ahead=0", "gc.workers=1"},
	{"gc.mode=concurrent", "gc.packet=2", "gc.span_ahead=16"},
};
#define WAYS (sizeof(ways) / sizeof(ways[0]))

static struct sm_gc *collector(unsigned way)
{
	return GCTEST("gc.mark=spans", "gc.verify=1", "gc.percent=0", "gc.mark_stack=64m",
		      ways[way][0], ways[way][1], ways[way][2]);
}

static void *table[NODES];

/* Allocates until the type is common: it has spans of its own then, of one layout. */
static __attribute__((noinline)) void make_common(struct sm_mutator *m, const struct sm_type *t)
{
	while (__atomic_load_n(&t->bin, __ATOMIC_RELAXED) == 0)
		(void)sm_new(m, t);
}

/* Each node leads to up to `fan` random ones; only table[0] is kept, from which a ring of the first
 * `alive` goes round. */
static __attribute__((noinline)) void build(struct sm_mutator *m, const struct sm_type *t,
					    unsigned fan, unsigned alive, uint64_t *seed)
{
	for (unsigned i = 0; i < NODES; i++)
		table[i] = sm_new(m, t);
	for (unsigned i = 0; i < NODES; i++) {
		void **node = table[i];
		unsigned of = i < alive ? alive : NODES;

		sm_store(m, &node[0], table[i + 1 < alive ? i + 1 : 0]);
		for (unsigned e = 1; e < fan; e++)
			if (gctest_random(seed) % 4 != 0)
				sm_store(m, &node[e], table[gctest_random(seed) % of]);
	}
}

static void check_size(struct sm_gc *gc, struct sm_mutator *m, unsigned size, uint64_t *seed)
{
	unsigned words = size / sizeof(void *), fan = words < 9 ? words : 9, alive;
	const struct sm_type *t = sm_type_prefix(gc, size, fan);
	struct sm_gc_stats s, before;
	uint64_t slot = sm__sizeclasses[sm_size_class(size)].slot_bytes;

	alive = 1 + (unsigned)(gctest_random(seed) % NODES);
	ck_assert_int_eq(sm_root_add(gc, table, NODES), 0);
	make_common(m, t);
	build(m, t, fan, alive, seed);
	memset(&table[1], 0, sizeof(table) - sizeof(table[0]));
	gctest_clear_stack();
	before = gctest_stats(gc);
	ck_assert_int_eq(sm_collect(gc, m), 0);
	s = gctest_stats(gc);
	/* A stale word may keep one of the others, and with it all. */
	ck_assert_msg(s.last_marked_objects == alive || s.last_marked_objects == NODES,
		      "%u B: %llu of %u", size, (unsigned long long)s.last_marked_objects, alive);
	ck_assert_uint_eq(s.last_marked_bytes, s.last_marked_objects * slot);
	if (size <= SM_BY_SPAN_BYTES)
		ck_assert_uint_eq(s.total_span_alone + s.total_span_sparse + s.total_span_dense -
					  before.total_span_alone - before.total_span_sparse -
					  before.total_span_dense,
				  s.last_marked_objects);
	ck_assert_uint_eq(s.verify_errors, 0);
	table[0] = NULL;
	ck_assert_int_eq(sm_root_remove(gc, table), 0);
	gctest_clear_stack();
	ck_assert_int_eq(sm_collect(gc, m), 0);
}

START_TEST(every_size_is_scanned_once)
{
	struct sm_gc *gc = collector((unsigned)_i);
	struct sm_mutator *m = sm_mutator_attach(gc);
	uint64_t seed = 88172645463325252u + (uint64_t)_i;
	struct sm_gc_stats s;

	for (unsigned size = 16; size <= SM_BY_SPAN_BYTES + 64; size += size < 64 ? 8 : 48)
		check_size(gc, m, size, &seed);
	s = gctest_stats(gc);
	if (strcmp(ways[_i][1], "gc.dense=0") == 0)
		ck_assert(s.total_span_dense > 0 && s.total_span_sparse == 0);
	if (strcmp(ways[_i][1], "gc.dense=101") == 0)
		ck_assert(s.total_span_dense == 0 && s.total_span_sparse > 0);
	gctest_destroy(gc, m);
}
END_TEST

/* A list offers one object at a time: none waits with another. */
START_TEST(a_list_is_scanned_alone)
{
	struct sm_gc *gc = collector((unsigned)_i);
	struct sm_mutator *m = sm_mutator_attach(gc);
	const struct sm_type *t = sm_type_prefix(gc, 24, 1);
	struct sm_gc_stats s;

	ck_assert_int_eq(sm_root_add(gc, table, 1), 0);
	make_common(m, t);
	for (unsigned i = 0; i < NODES; i++) {
		void **node = sm_new(m, t);

		sm_store(m, &node[0], table[0]);
		sm_store(m, &table[0], node);
	}
	gctest_clear_stack();
	ck_assert_int_eq(sm_collect(gc, m), 0);
	s = gctest_stats(gc);
	ck_assert_uint_eq(s.last_marked_objects, NODES);
	ck_assert_uint_eq(s.last_marked_bytes, NODES * 24);
	/* Not the first ones, perhaps: words of the stack may lead into the list. */
	ck_assert_uint_ge(s.total_span_alone, NODES - 100);
	sm_store(m, &table[0], NULL);
	ck_assert_int_eq(sm_root_remove(gc, table), 0);
	gctest_destroy(gc, m);
}
END_TEST

/* Without room for a packet what waits in a unit goes by the overflow path, and is counted once.
 * A tree, so that what is not scanned is missed. */
START_TEST(what_finds_no_packet_is_scanned)
{
	struct sm_gc *gc = GCTEST("gc.mark=spans", "gc.verify=1", "gc.percent=0", "gc.packet=2",
				  "gc.mark_stack=1k", ways[_i][0]);
	struct sm_mutator *m = sm_mutator_attach(gc);
	const struct sm_type *t[] = {sm_type_prefix(gc, 512, 2), sm_type_prefix(gc, 32, 2)};
	struct sm_gc_stats s;

	ck_assert_int_eq(sm_root_add(gc, table, NODES), 0);
	make_common(m, t[0]);
	make_common(m, t[1]);
	for (unsigned i = 0; i < NODES; i++) {
		table[i] = sm_new(m, t[i % 2]);
		if (i != 0)
			sm_store(m, &((void **)table[(i - 1) / 2])[(i - 1) % 2], table[i]);
	}
	memset(&table[1], 0, sizeof(table) - sizeof(table[0]));
	gctest_clear_stack();
	for (unsigned round = 0; round < 3; round++) {
		ck_assert_int_eq(sm_collect(gc, m), 0);
		s = gctest_stats(gc);
		ck_assert_uint_eq(s.verify_errors, 0);
		ck_assert_uint_eq(s.last_marked_objects, NODES);
		ck_assert_uint_eq(s.last_marked_bytes, NODES / 2 * (512 + 32));
	}
	if (SM_UNIT_SHIFT < 16) /* in units of 64 KiB so many nodes have room for their packets */
		ck_assert_uint_gt(s.total_overflows, 0);
	table[0] = NULL;
	ck_assert_int_eq(sm_root_remove(gc, table), 0);
	gctest_destroy(gc, m);
}
END_TEST

/* Objects that are not marked by span, two of each sort, more than are gathered at once: their
 * pointers are the words first, first + step, .., n of them. */
static const struct sort {
	unsigned first, step, n;
} sorts[] = {
	{0, 2, 1250}, /* an array of pointers, in three pieces; each is in it twice */
	{1, 2, 2500}, /* .. of pairs, the second of which is one */
	{0, 1, 40},   /* large, with few in front */
	{1, 4, 2},    /* a mask */
	{0, 1, 3},    /* in front, but of more bytes */
	{0, 1, 512},  /* all of it */
	{1, 64, 2},   /* a bitmap of several words */
	{0, 1, 75},   /* may be anything */
};
#define SORTS (sizeof(sorts) / sizeof(sorts[0]))

static void *new_of(struct sm_gc *gc, struct sm_mutator *m, unsigned i)
{
	static const uint64_t second = 2, mask = 0x22, bits[2] = {2, 2};
	const struct sm_type *t = i == 2   ? sm_type_prefix(gc, 24000, 40)
				  : i == 3 ? sm_type_bitmap(gc, 64, &mask)
				  : i == 4 ? sm_type_prefix(gc, 704, 3)
				  : i == 5 ? sm_type_pointers(gc, 512)
				  : i == 6 ? sm_type_bitmap(gc, 1024, bits)
					   : sm_type_conservative(gc, 600);

	if (i == 0)
		return sm_new_array(m, sm_type_pointers(gc, 1), 2500);
	if (i == 1)
		return sm_new_array(m, sm_type_bitmap(gc, 16, &second), 2500);
	return sm_new(m, t);
}

/* Each pointer of each leads to a leaf of its own, which leads to another. How many objects. */
static __attribute__((noinline)) unsigned build_others(struct sm_gc *gc, struct sm_mutator *m,
						       const struct sm_type *leaf)
{
	unsigned n = 0;

	for (unsigned i = 0; i < 2 * SORTS; i++) {
		const struct sort *s = &sorts[i % SORTS];
		void **o = new_of(gc, m, i % SORTS);

		sm_store(m, &table[i], o);
		for (unsigned p = 0; p < s->n; p++) {
			void **x = sm_new(m, leaf), **y = sm_new(m, leaf);

			sm_store(m, &x[1], y);
			sm_store(m, &o[s->first + p * s->step], x);
			if (i % SORTS == 0)
				sm_store(m, &o[p * s->step + 1], x);
			n += 2;
		}
		n++;
	}
	return n;
}

START_TEST(others_lead_to_spans)
{
	struct sm_gc *gc = collector((unsigned)_i);
	struct sm_mutator *m = sm_mutator_attach(gc);
	const struct sm_type *leaf = sm_type_prefix(gc, 32, 2);
	struct sm_gc_stats s;
	unsigned n;

	ck_assert_int_eq(sm_root_add(gc, table, NODES), 0);
	make_common(m, leaf);
	n = build_others(gc, m, leaf);
	gctest_clear_stack();
	for (unsigned round = 0; round < 3; round++) {
		ck_assert_int_eq(sm_collect(gc, m), 0);
		s = gctest_stats(gc);
		ck_assert_uint_eq(s.verify_errors, 0);
		/* Leaves of make_common may hang on to a stale word. */
		ck_assert_uint_ge(s.last_marked_objects, n);
		ck_assert_uint_le(s.last_marked_objects, n + 8);
	}
	memset(table, 0, sizeof(table));
	ck_assert_int_eq(sm_root_remove(gc, table), 0);
	gctest_destroy(gc, m);
}
END_TEST

/* A budget ends between two pieces: who helps to mark is not held up by all of a wide array. */
START_TEST(a_budget_ends_between_pieces)
{
	struct sm_gc *gc = collector(0);
	struct sm_mutator *m = sm_mutator_attach(gc);
	struct sm_marker *k = &gc->marker;
	uint64_t done;

	ck_assert_int_eq(sm_root_add(gc, table, 8), 0);
	for (unsigned i = 0; i < 8; i++)
		sm_store(m, &table[i], sm_new_array(m, sm_type_pointers(gc, 1), 10000));
	sm__workq_enter(&gc->workq);
	for (unsigned i = 0; i < 8; i++)
		sm__mark_exact(k, (uintptr_t)table[i]);
	done = sm__mark_drain(k, 1);
	ck_assert_uint_gt(done, 0);
	ck_assert_uint_le(done, SM_LARGE_PIECE);
	done = sm__mark_drain(k, 3 * SM_LARGE_PIECE);
	ck_assert_uint_le(done, 4 * SM_LARGE_PIECE);
	sm__marker_give(k);
	sm__workq_leave(&gc->workq, false);
	ck_assert_int_eq(sm_collect(gc, m), 0);
	memset(table, 0, sizeof(table));
	ck_assert_int_eq(sm_root_remove(gc, table), 0);
	gctest_destroy(gc, m);
}
END_TEST

/* gc.mark=auto changes from cycle to cycle; what is reachable stays, and is counted once. */
START_TEST(kinds_take_turns)
{
	struct sm_gc *gc = GCTEST("gc.mark=auto", "gc.verify=1", "gc.percent=0",
				  _i ? "gc.mode=stw" : "gc.mode=concurrent");
	struct sm_mutator *m = sm_mutator_attach(gc);
	const struct sm_type *t = sm_type_prefix(gc, 64, 8);
	uint64_t seed = 7, spans = 0;
	struct sm_gc_stats s;
	unsigned kinds = 0;

	ck_assert_int_eq(sm_root_add(gc, table, NODES), 0);
	make_common(m, t);
	build(m, t, 8, NODES, &seed);
	for (unsigned i = 0; i < 20; i++) {
		/* As if the last cycle had been long enough to tell. */
		gc->choice = (struct sm_mark_choice){
			.cost = {1, 1}, .by_span = i % 3 == 1, .wait = i % 2};
		ck_assert_int_eq(sm_collect(gc, m), 0);
		s = gctest_stats(gc);
		/* Garbage of make_common may hang on to a stale word in the first. */
		ck_assert_uint_ge(s.last_marked_objects, NODES);
		ck_assert_uint_eq(s.last_marked_bytes, s.last_marked_objects * 64);
		ck_assert_uint_eq(s.verify_errors, 0);
		kinds |= s.total_spans != spans ? 1 : 2;
		spans = s.total_spans;
	}
	ck_assert_uint_eq(kinds, 3);
	memset(table, 0, sizeof(table));
	ck_assert_int_eq(sm_root_remove(gc, table), 0);
	gctest_destroy(gc, m);
}
END_TEST

/* The check of gc.verify sees a unit that was left, and a mark without its scan. */
START_TEST(what_is_left_is_seen)
{
	struct sm_gc *gc = collector(0);
	struct sm_mutator *m = sm_mutator_attach(gc);
	const struct sm_type *t = sm_type_prefix(gc, 64, 1);
	_Atomic(uint8_t) *owned;
	uintptr_t at;

	make_common(m, t);
	at = (uintptr_t)sm_new(m, t);
	owned = &gc->by_span.owned[(at - gc->range.base) >> SM_UNIT_SHIFT];
	ck_assert_uint_eq(sm__by_span_left(gc), 0);
	sm_store_relaxed(owned, SM_OWNED_ONE);
	ck_assert_uint_eq(sm__by_span_left(gc), 1);
	sm_store_relaxed(owned, SM_UNOWNED);
	sm_fetch_or_relaxed(sm_mark_word(&gc->range, at), sm_mark_mask(&gc->range, at));
	ck_assert_uint_eq(sm__by_span_left(gc), 1);
	sm_fetch_or_relaxed(sm_scan_word(&gc->range, at), sm_mark_mask(&gc->range, at));
	ck_assert_uint_eq(sm__by_span_left(gc), 0);
	sm_fetch_and_relaxed(sm_mark_word(&gc->range, at), 0);
	sm_fetch_and_relaxed(sm_scan_word(&gc->range, at), 0);
	gctest_destroy(gc, m);
}
END_TEST

int main(void)
{
	return SM_SUITE("markspan", 60, SM_LOOP(every_size_is_scanned_once, 0, WAYS),
			SM_LOOP(a_list_is_scanned_alone, 0, WAYS),
			SM_LOOP(what_finds_no_packet_is_scanned, 0, WAYS),
			SM_LOOP(others_lead_to_spans, 0, WAYS), SM_T(a_budget_ends_between_pieces),
			SM_LOOP(kinds_take_turns, 0, 2), SM_T(what_is_left_is_seen));
}
