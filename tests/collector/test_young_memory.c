/*
 * test_young_memory: gc.generations: what it takes of memory goes back. Behind a compaction those
 * pages of the maps where nothing aged lies any more, and no others; what is stored beside that is
 * remembered. Behind a cycle the blocks of logs that are not in use.
 */
#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>

#include "collector/generations/remember_internal.h"
#include "tests/support/run.h"
#include "tests/support/step.h"

enum { NODES = SM_TSAN || SM_ASAN ? 60000 : 200000, EACH = 100, KEPT = NODES / EACH, WAYS = 6 };

static struct sm_gc *gc;
static struct sm_mutator *m;
static const struct sm_type *node;
static void **table; /* of nodes: a large object, which reaches over many pages of the maps */

static void setup(int way)
{
	static const char *const set[WAYS][3] = {
		{"gc.compact=full"},
		{"gc.compact=full", "gc.mode=stw"},
		{"gc.compact=auto"},
		{"gc.compact=auto", "cache.mode=cpu"},
		{"gc.compact=full", "gc.remember=objects"},
		{"gc.compact=auto", "gc.remember=objects"},
	};
	const char *keys[8] = {"gc.generations=on", "gc.verify=1", "gc.percent=0", "hugepages=off"};

	for (unsigned i = 0; i < 3 && set[way][i] != NULL; i++)
		keys[4 + i] = set[way][i];
	gc = gctest_create(keys);
	m = sm_mutator_attach(gc);
	ck_assert_ptr_nonnull(m);
	node = sm_type_prefix(gc, 64, 1);
	ck_assert_int_eq(sm_root_add(gc, (void *)&table, 1), 0);
}

static void teardown(void)
{
	table = NULL;
	ck_assert_int_eq(sm_root_remove(gc, (void *)&table), 0);
	gctest_destroy(gc, m);
}

static void minor(void)
{
	gctest_clear_stack();
	gc->pacer.minor = true;
	ck_assert_int_eq(sm__gc_collect_and_wait(gc, m, false), 0);
	ck_assert_uint_eq(gctest_stats(gc).verify_errors, 0);
}

/* Nodes that are old, and each stored into since. */
static SM_NOINLINE void fill(void)
{
	sm_store(m, (void **)&table, sm_new_array(m, sm_type_pointers(gc, 1), NODES));
	for (unsigned i = 0; i < NODES; i++)
		sm_store(m, &table[i], sm_new(m, node));
	minor();
	minor();
	for (unsigned i = 0; i < NODES; i++)
		sm_store(m, (void **)table[i], table[i]);
}

static SM_NOINLINE void drop_most(void)
{
	for (unsigned i = 0; i < NODES; i++)
		if (i % EACH != 0)
			sm_store(m, &table[i], NULL);
}

/* A young one on each that was kept, and on the table itself. */
static SM_NOINLINE void hang(uintptr_t number)
{
	for (unsigned i = 0; i < NODES; i += EACH) {
		uintptr_t *young = sm_new(m, node), *beside = sm_new(m, node);

		young[1] = number + i;
		beside[1] = ~(number + i);
		sm_store(m, (void **)table[i], young);
		sm_store(m, &table[i + 1], beside);
	}
}

static SM_NOINLINE void check(uintptr_t number)
{
	for (unsigned i = 0; i < NODES; i += EACH) {
		const uintptr_t *young = *(uintptr_t **)table[i], *beside = table[i + 1];

		if (young[1] != number + i || beside[1] != ~(number + i))
			ck_abort_msg("the young of %u are damaged", i);
	}
}

struct count {
	const char *map;
	size_t unit_bytes, pages;
};

static void count_run(void *ctx, size_t from, size_t end)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	struct count *c = ctx;

	for (uintptr_t at = sm_align_down((uintptr_t)c->map + from * c->unit_bytes, page);
	     at < (uintptr_t)c->map + end * c->unit_bytes; at += page) {
		unsigned char in;

		ck_assert_int_eq(mincore((void *)at, page, &in), 0);
		c->pages += in & 1;
	}
}

/* Pages of a map that are in memory. */
static size_t resident(const void *map, size_t unit_bytes)
{
	struct count c = {.map = map, .unit_bytes = unit_bytes};

	sm__gen_each_reached(gc, count_run, &c);
	return c.pages;
}

static size_t of_aged(void)
{
	return resident((void *)gc->gen.aged.marks, SM_UNIT >> (SM_MARK_SHIFT + 3));
}

static size_t of_kind(void)
{
	return gc->config.remember == SM_GC_REMEMBER_OBJECTS
		       ? resident((void *)gc->remember.logged, sm__remember_unit_bytes(gc))
		       : resident((void *)gc->remember.cards, sm__remember_unit_bytes(gc));
}

START_TEST(maps_go_back_behind_a_compaction)
{
	size_t aged, kind;

	setup(_i);
	fill();
	aged = of_aged();
	kind = of_kind();
	ck_assert_uint_gt(aged, NODES * 64 / (512 * SM_KIB));
	drop_most();
	gctest_clear_stack();
	ck_assert_int_eq(sm_collect_compact(gc, m), 0);
	ck_assert_uint_le(of_aged(), aged / 2);
	ck_assert_uint_le(of_kind(), kind / 2);
	hang(1);
	for (unsigned i = 0; i < 3; i++) {
		minor();
		check(1);
	}
	teardown();
}
END_TEST

/* What was stored before it counts behind it. */
START_TEST(what_is_remembered_stays)
{
	setup(_i);
	fill();
	drop_most();
	ck_assert_int_eq(sm_collect(gc, m), 0);
	hang(1);
	minor();
	hang(NODES);
	sm__gen_give_back(gc);
	minor();
	check(NODES);
	minor();
	check(NODES);
	teardown();
}
END_TEST

struct storer {
	pthread_t thread;
	_Atomic(uint32_t) stop;
};

static void *store_all_the_time(void *arg)
{
	struct storer *s = arg;
	struct sm_mutator *own = sm_mutator_attach(gc);

	for (uintptr_t n = 0; sm_load_acquire(&s->stop) == 0; n++) {
		unsigned i = (unsigned)(n % KEPT) * EACH;
		uintptr_t *young = sm_new(own, node);

		young[1] = 0xfeed;
		sm_store(own, &table[i + 1], young);
		if (n % 64 == 0)
			sm_safepoint(own);
	}
	sm_mutator_detach(own);
	return NULL;
}

static SM_NOINLINE void check_whole(void)
{
	for (unsigned i = 0; i < NODES; i += EACH) {
		const uintptr_t *young = table[i + 1];

		if (young != NULL && young[1] != 0xfeed)
			ck_abort_msg("the young of %u is damaged", i);
	}
}

START_TEST(beside_stores)
{
	struct storer s = {.stop = 0};

	setup(_i);
	fill();
	drop_most();
	ck_assert_int_eq(pthread_create(&s.thread, NULL, store_all_the_time, &s), 0);
	for (unsigned i = 0; i < 4; i++) {
		gctest_clear_stack();
		ck_assert_int_eq(sm_collect_compact(gc, m), 0);
		minor();
		minor();
	}
	sm_store_release(&s.stop, 1);
	sm_blocking_enter(m);
	pthread_join(s.thread, NULL);
	sm_blocking_leave(m);
	check_whole();
	teardown();
}
END_TEST

/* The log of a time in which much was stored into does not stay; a little does. Whole as before. */
START_TEST(the_log_shrinks)
{
	size_t most;

	setup(WAYS - 1 - _i);
	fill();
	most = sm_load_relaxed(&gc->remember.log_bytes);
	ck_assert_uint_ge(most, NODES * sizeof(uintptr_t));
	for (unsigned i = 0; i < 5; i++)
		minor();
	ck_assert_uint_le(sm_load_relaxed(&gc->remember.log_bytes), most / 2);
	for (unsigned i = 0; i < NODES; i++)
		sm_store(m, (void **)table[i], table[NODES - 1 - i]);
	hang(1);
	ck_assert_uint_le(sm_load_relaxed(&gc->remember.log_bytes), most + most / 8);
	for (unsigned i = 0; i < 5; i++) {
		minor();
		check(1);
	}
	ck_assert_uint_le(sm_load_relaxed(&gc->remember.log_bytes), most / 2);
	teardown();
}
END_TEST

/* What each cycle needs is not mapped anew by each. */
START_TEST(a_log_in_use_stays)
{
	size_t most;

	setup(WAYS - 1 - _i);
	fill();
	minor();
	most = sm_load_relaxed(&gc->remember.log_bytes);
	for (unsigned round = 0; round < 4; round++) {
		for (unsigned i = 0; i < NODES; i++)
			sm_store(m, (void **)table[i], table[i]);
		minor();
		ck_assert_uint_ge(sm_load_relaxed(&gc->remember.log_bytes), most);
	}
	teardown();
}
END_TEST

int main(void)
{
	return SM_SUITE("young_memory", 120, SM_LOOP(maps_go_back_behind_a_compaction, 0, WAYS),
			SM_LOOP(what_is_remembered_stays, 0, WAYS), SM_LOOP(beside_stores, 0, WAYS),
			SM_LOOP(the_log_shrinks, 0, 2), SM_LOOP(a_log_in_use_stays, 0, 2));
}
