/*
 * test_generations: gc.generations: what is young dies in a minor cycle, what is old in a major
 * one; what old objects alone lead to lives, wherever in them the pointer lies, however it came
 * there and how old the two are; weak references, ephemerons and finalizers beside.
 *
 * Objects that a test observes are hidden (step.h) and watched by weak references.
 */
#include "collector/cycle/verify.h"
#include "collector/generations/remember_internal.h"
#include "tests/support/run.h"
#include "tests/support/shadow.h"
#include "tests/support/skip.h"
#include "tests/support/step.h"

/* Dead objects must be found so only where no stale word of a frame keeps one: instrumented frames,
 * and those that are not optimized, keep copies of everything. */
#if defined(__OPTIMIZE__)
#define SURE (!SM_ASAN && !SM_TSAN)
#else
#define SURE 0
#endif

static struct sm_gc *gc;
static struct sm_mutator *m;
static const struct sm_type *node; /* a pointer, and numbers */
static void *root[4];

enum { LOGS = 6, PAGES = 10, COPIES = 13, WAYS = 15 };

static bool kernel_tells(void)
{
	struct sm_dirty d;

	if (sm__dirty_open(&d, NULL, 0) != 0)
		return false;
	sm__dirty_close(&d);
	return true;
}

static void setup(int way)
{
	static const char *const set[WAYS][4] = {
		{"gc.mode=concurrent"},
		{"gc.mode=stw"},
		{"gc.mark=spans"},
		{"gc.mark=spans", "gc.mode=stw"},
		{"gc.workers=3", "gc.fifo=0"},
		{"cache.mode=cpu", "gc.mark=auto"},
		{"gc.remember=objects"},
		{"gc.remember=objects", "gc.mode=stw"},
		{"gc.remember=objects", "gc.mark=spans", "gc.workers=3"},
		{"gc.remember=objects", "cache.mode=cpu"},
		{"gc.remember=none"},
		{"gc.remember=none", "gc.mode=stw"},
		{"gc.remember=none", "gc.mark=spans", "cache.mode=cpu"},
		{"gc.remember=none"},
		{"gc.remember=none", "gc.mode=stw"},
	};
	const char *keys[8] = {"gc.generations=on", "gc.verify=1", "gc.percent=0"};
	unsigned n = 3;

	for (unsigned i = 0; set[way][i] != NULL; i++)
		keys[n++] = set[way][i];
	if (way >= COPIES || (way >= PAGES && !kernel_tells()))
		sm__dirty_instead = &shadow_source;
	gc = gctest_create(keys);
	m = sm_mutator_attach(gc);
	ck_assert_ptr_nonnull(m);
	node = sm_type_prefix(gc, 64, 1);
	ck_assert_int_eq(sm_root_add(gc, (void *)root, 4), 0);
}

static void teardown(void)
{
	memset((void *)root, 0, sizeof(root));
	ck_assert_int_eq(sm_root_remove(gc, (void *)root), 0);
	gctest_destroy(gc, m);
}

/* A cycle of the kind, whatever the pacer thinks of it: it is asked between two cycles. */
static void minor(void)
{
	uint64_t before = gctest_stats(gc).minors;

	gctest_clear_stack();
	gc->pacer.minor = true;
	ck_assert_int_eq(sm__gc_collect_and_wait(gc, m, false), 0);
	ck_assert_uint_eq(gctest_stats(gc).minors, before + 1);
	ck_assert_uint_eq(gctest_stats(gc).verify_errors, 0);
}

static void major(void)
{
	uint64_t before = gctest_stats(gc).minors;

	gctest_clear_stack();
	ck_assert_int_eq(sm_collect(gc, m), 0);
	ck_assert_uint_eq(gctest_stats(gc).minors, before);
	ck_assert_uint_eq(gctest_stats(gc).verify_errors, 0);
}

static SM_NOINLINE bool is_old(uintptr_t hidden)
{
	return sm_mark_test(&gc->range, ~hidden);
}

/* An old object, kept by root[at] alone. */
static uintptr_t old_object(const struct sm_type *type, unsigned at)
{
	uintptr_t x = step_hidden(m, type, NULL);

	step_link(m, &root[at], x);
	minor();
	minor();
	ck_assert(is_old(x));
	return x;
}

/* ---- age ---------------------------------------------------------------------------------- */

/* Of several: addresses of the last may lie in frames that go on. */
START_TEST(the_young_die_in_a_minor_cycle)
{
	struct sm_weak *w[20];
	unsigned alive = 0;

	setup(_i);
	for (int i = 0; i < 20; i++)
		(void)step_hidden(m, node, &w[i]);
	minor();
	for (int i = 0; i < 20; i++) {
		alive += step_alive(m, w[i]);
		sm_weak_free(m, w[i]);
	}
	ck_assert_uint_le(alive, SURE ? 3 : 20);
	teardown();
}
END_TEST

/* Once through a cycle is not old: what was in use then by chance goes with the next. */
START_TEST(one_minor_cycle_makes_nothing_old)
{
	struct sm_weak *w;

	setup(_i);
	step_link(m, &root[0], step_hidden(m, node, &w));
	minor();
	ck_assert(step_alive(m, w));
	sm_store(m, &root[0], NULL);
	minor();
	ck_assert(!SURE || !step_alive(m, w));
	sm_weak_free(m, w);
	teardown();
}
END_TEST

START_TEST(the_old_die_in_a_major_cycle)
{
	struct sm_weak *w;
	uintptr_t x;

	setup(_i);
	x = step_hidden(m, node, &w);
	step_link(m, &root[0], x);
	minor();
	ck_assert(!is_old(x));
	minor();
	ck_assert(is_old(x));
	sm_store(m, &root[0], NULL);
	for (int i = 0; i < 3; i++) {
		minor();
		ck_assert(step_alive(m, w));
	}
	ck_assert_uint_ge(gctest_stats(gc).old_bytes, 64);
	major();
	ck_assert(!SURE || !step_alive(m, w));
	sm_weak_free(m, w);
	teardown();
}
END_TEST

/* Major cycles make old, too, and leave what is old so. */
START_TEST(major_cycles_count_as_well)
{
	uintptr_t x;

	setup(_i);
	x = step_hidden(m, node, NULL);
	step_link(m, &root[0], x);
	major();
	ck_assert(!is_old(x));
	major();
	ck_assert(is_old(x));
	major();
	ck_assert(is_old(x));
	ck_assert_uint_eq(gctest_stats(gc).minors, 0);
	teardown();
}
END_TEST

/* A minor cycle marks what is young, and no more, however much is old. */
START_TEST(the_old_are_not_marked_again)
{
	enum { N = 20000 };
	struct sm_gc_stats s;

	setup(_i);
	for (int i = 0; i < N; i++) {
		void **o = sm_new(m, node);

		sm_store(m, o, root[0]);
		sm_store(m, &root[0], o);
	}
	minor();
	minor();
	minor();
	s = gctest_stats(gc);
	ck_assert_uint_lt(s.last_marked_objects, N / 20);
	ck_assert_uint_ge(s.old_bytes, (uint64_t)N * 64);
	ck_assert_uint_ge(s.live_bytes, (uint64_t)N * 64);
	major();
	ck_assert_uint_ge(gctest_stats(gc).last_marked_objects, N);
	teardown();
}
END_TEST

/* What lies where aged objects died is young again: it dies in a minor cycle, and takes two to be
 * old. */
START_TEST(an_empty_span_forgets)
{
	const struct sm_type *own;
	struct sm_weak *w;
	uintptr_t x, y;

	setup(_i);
	own = sm_type_prefix(gc, 120000, 2); /* a span each */
	x = step_hidden(m, own, NULL);
	step_link(m, &root[0], x);
	minor();
	sm_store(m, &root[0], NULL);
	minor();
	for (int i = 0; i < 20; i++) {
		y = step_hidden(m, own, &w);
		ck_assert(!sm_mark_test(&gc->gen.aged, ~y));
		step_link(m, &root[0], y);
		minor();
		sm_store(m, &root[0], NULL);
		minor();
		ck_assert(!SURE || !step_alive(m, w));
		sm_weak_free(m, w);
	}
	teardown();
}
END_TEST

/* ---- remembered --------------------------------------------------------------------------- */

static SM_NOINLINE bool is_whole(uintptr_t hidden)
{
	return ((uintptr_t *)~hidden)[2] == 0xfeed;
}

/* y, young, hangs on an old object alone: it lives through minor cycles until it is old, and dies
 * as soon as nothing leads to it and a cycle looks. */
static void must_live(struct sm_weak *w, uintptr_t y)
{
	for (int i = 0; i < 4; i++) {
		minor();
		ck_assert(step_alive(m, w));
		ck_assert(is_whole(y));
	}
	ck_assert(is_old(y));
}

/* sm_store, sm_cas, sm_exchange, sm_copy_slots. */
static SM_NOINLINE void put(int how, uintptr_t x, unsigned word, uintptr_t y)
{
	void **slot = (void **)~x + word, *value = (void *)~y, *expected = NULL;

	switch (how) {
	case 0: sm_store(m, slot, value); break;
	case 1: ck_assert(sm_cas(m, slot, &expected, value)); break;
	case 2: ck_assert_ptr_null(sm_exchange(m, slot, value)); break;
	default: sm_copy_slots(m, slot, &value, 1); break;
	}
}

START_TEST(what_the_old_lead_to_lives)
{
	for (int how = 0; how < 4; how++) {
		struct sm_weak *w;
		uintptr_t x, y;

		setup(_i);
		x = old_object(node, 0);
		y = step_hidden(m, node, &w);
		put(how, x, 0, y);
		must_live(w, y);
		put(0, x, 0, ~(uintptr_t)0);
		major();
		ck_assert(!SURE || !step_alive(m, w));
		sm_weak_free(m, w);
		teardown();
	}
}
END_TEST

/* Stored while x is young, or has lived through one cycle: it is old before y, or with it. */
START_TEST(stored_before_the_promotion)
{
	setup(_i);
	for (int lived = 0; lived < 3; lived++) {
		uintptr_t x = step_hidden(m, node, NULL), y;
		struct sm_weak *w;

		step_link(m, &root[0], x);
		for (int i = 0; i < lived; i++)
			minor();
		y = step_hidden(m, node, &w);
		put(0, x, 0, y);
		must_live(w, y);
		sm_weak_free(m, w);
	}
	teardown();
}
END_TEST

/* Major cycles between the store and the minor ones do not make forget. */
START_TEST(major_cycles_forget_nothing)
{
	uintptr_t x, y;
	struct sm_weak *w;

	setup(_i);
	x = old_object(node, 0);
	y = step_hidden(m, node, &w);
	put(0, x, 0, y);
	major();
	must_live(w, y);
	sm_weak_free(m, w);
	teardown();
}
END_TEST

/* What hangs on y is found through it; a store into y, which is young then, counts as well. */
START_TEST(a_chain_behind_the_old)
{
	struct sm_weak *w[50];
	uintptr_t at, next;

	setup(_i);
	at = old_object(node, 0);
	for (int i = 0; i < 50; i++) {
		next = step_hidden(m, node, &w[i]);
		step_link_in(m, at, 0, next);
		at = next;
		if (i % 3 == 2)
			minor();
	}
	for (int i = 0; i < 3; i++)
		minor();
	for (int i = 0; i < 50; i++) {
		ck_assert(step_alive(m, w[i]));
		sm_weak_free(m, w[i]);
	}
	teardown();
}
END_TEST

struct place {
	const struct sm_type *type;
	size_t elements; /* of an array, 0: one object */
	unsigned word;
};

static SM_NOINLINE uintptr_t make(const struct place *p)
{
	void *o = p->elements ? sm_new_array(m, p->type, p->elements) : sm_new(m, p->type);

	ck_assert_ptr_nonnull(o);
	sm_store(m, &root[0], o);
	return ~(uintptr_t)o;
}

/* Each kind of layout, and each place of a large array: cards begin and end within objects. */
START_TEST(wherever_the_pointer_lies)
{
	uint64_t sparse[] = {UINT64_C(1) << 40, 1, UINT64_C(1) << 63},
		 rare[] = {(UINT64_C(1) << 17) + 2};
	const struct sm_type *one;

	setup(_i);
	one = sm_type_pointers(gc, 1);
	const struct place places[] = {
		{sm_type_prefix(gc, 4096, 400), 0, 399},
		{sm_type_pointers(gc, 300), 0, 299},
		{sm_type_bitmap(gc, 192 * 8, sparse), 0, 40},
		{sm_type_bitmap(gc, 192 * 8, sparse), 0, 64},
		{sm_type_bitmap(gc, 192 * 8, sparse), 0, 191},
		{sm_type_bitmap(gc, 20 * 8, rare), 0, 17},
		{sm_type_conservative(gc, 1000), 0, 77},
		{one, 3000, 0},
		{one, 100000, 64},
		{one, 100000, 65},
		{one, 100000, 50000},
		{one, 100000, 99999},
		{node, 50000, 49999 * 8},
		{sm_type_flex(gc, 24, NULL, 16, (uint64_t[]){2}), 0, 0},
	};
	for (unsigned i = 0; i < sizeof(places) / sizeof(places[0]) - 1; i++) {
		uintptr_t x = make(&places[i]), y;
		struct sm_weak *w;

		minor();
		minor();
		ck_assert(is_old(x));
		y = step_hidden(m, node, &w);
		put(0, x, places[i].word, y);
		must_live(w, y);
		sm_weak_free(m, w);
	}
	teardown();
}
END_TEST

/* A thread stores into an old object and is gone before a cycle looks. */
static void *store_and_leave(void *arg)
{
	uintptr_t *xw = arg;
	struct sm_mutator *own = sm_mutator_attach(gc);
	struct sm_weak **w = (struct sm_weak **)xw[1];
	uintptr_t y;

	y = step_hidden(own, node, w);
	sm_store(own, (void **)~xw[0], (void *)~y);
	xw[2] = y;
	sm_mutator_detach(own);
	return NULL;
}

START_TEST(a_thread_that_is_gone_is_remembered)
{
	struct sm_weak *w;
	uintptr_t arg[3];
	pthread_t t;

	setup(_i);
	arg[0] = old_object(node, 0);
	arg[1] = (uintptr_t)&w;
	ck_assert_int_eq(pthread_create(&t, NULL, store_and_leave, arg), 0);
	sm_blocking_enter(m);
	pthread_join(t, NULL);
	sm_blocking_leave(m);
	must_live(w, arg[2]);
	sm_weak_free(m, w);
	teardown();
}
END_TEST

/* A store in each phase of a minor cycle. */
START_TEST(stored_while_a_cycle_is_on)
{
	static const enum sm_handshake_op ops[] = {SM_HS_NONE,	SM_HS_BARRIER_ON, SM_HS_BLACK,
						   SM_HS_SCAN,	SM_HS_FLUSH,	  SM_HS_BARRIER_OFF,
						   SM_HS_RETIRE};
	uintptr_t x, y;
	struct sm_weak *w;
	uint64_t done;

	setup((int[]){0, LOGS, PAGES}[_i / 7]);
	gc->config.verify = false; /* it stops the world, which the test does not expect */
	x = old_object(node, 0);
	for (int after = 0; after < 2; after++) {
		done = sm_load_seqcst(&gc->cycles_completed);
		gc->pacer.minor = true;
		sm__gc_ask(gc);
		step_until(m, ops[_i % 7]);
		if (after)
			sm_safepoint(m);
		y = step_hidden(m, node, &w);
		put(0, x, 0, y);
		while (sm_load_seqcst(&gc->cycles_completed) == done)
			sm_safepoint(m);
		must_live(w, y);
		put(0, x, 0, ~(uintptr_t)0);
		sm_weak_free(m, w);
	}
	teardown();
}
END_TEST

/* ---- logged ------------------------------------------------------------------------------- */

static size_t logged(void)
{
	size_t n = 0;

	for (struct sm_mutator_priv *p = gc->mutators; p; p = p->next)
		n += sm__remember_log_entries(p->log);
	return n;
}

/* Once between two looks, however often it is stored into; by pieces of 512 bytes where it is
 * large; and what is young not at all. */
START_TEST(an_object_is_logged_once)
{
	uintptr_t x, y, big;
	struct place large = {.elements = 1000};
	size_t before;

	setup(_i);
	large.type = sm_type_pointers(gc, 1);
	x = old_object(node, 1);
	big = make(&large);
	minor();
	minor();
	before = logged();
	y = step_hidden(m, node, NULL);
	step_link(m, &root[2], y);
	ck_assert_uint_eq(logged(), before);
	for (int i = 0; i < 1000; i++)
		put(0, y, 0, x);
	ck_assert_uint_eq(logged(), before);
	for (int i = 0; i < 1000; i++)
		put(0, x, 0, y);
	ck_assert_uint_eq(logged(), before + 1);
	for (unsigned i = 0; i < 1000; i++)
		put(0, big, i, y);
	ck_assert_uint_ge(logged(), before + 1 + 1000 * 8 / 512);
	ck_assert_uint_le(logged(), before + 3 + 1000 * 8 / 512);
	minor();
	ck_assert_uint_eq(logged(), 0);
	put(0, x, 0, y);
	ck_assert_uint_eq(logged(), 1);
	teardown();
}
END_TEST

/* Without memory for the log nothing is forgotten, and there is a log again once there is some. */
START_TEST(no_memory_for_the_log)
{
	struct place many = {.elements = 20000};
	struct sm_weak *w[40];
	uintptr_t x, y[40];

	setup(_i);
	many.type = sm_type_pointers(gc, 1);
	x = make(&many);
	minor();
	minor();
	gc->remember.blocks_left = 0;
	for (int i = 0; i < 40; i++) {
		y[i] = step_hidden(m, node, &w[i]);
		put(0, x, (unsigned)i * 500, y[i]);
		if (i == 20)
			minor();
	}
	if (_i % 2 == 0)
		minor();
	ck_assert_uint_ne(sm_load_relaxed(&gc->remember.lost), 0);
	gc->remember.blocks_left = 1;
	for (int i = 0; i < 3; i++) {
		minor();
		ck_assert_uint_eq(sm_load_relaxed(&gc->remember.lost), 0);
	}
	for (int i = 0; i < 40; i++) {
		ck_assert(step_alive(m, w[i]));
		ck_assert(is_whole(y[i]));
		sm_weak_free(m, w[i]);
	}
	teardown();
}
END_TEST

static uintptr_t shared_young; /* disguised */

static void *store_once(void *slot)
{
	struct sm_mutator *own = sm_mutator_attach(gc);

	sm_store(own, (void **)~(uintptr_t)slot, (void *)~shared_young);
	sm_mutator_detach(own);
	return NULL;
}

/* Threads that store once, each into an object of its own, take no chunk of the log each. */
START_TEST(threads_that_come_and_go_share_the_log)
{
	enum { COME = 200 };
	struct place many = {.elements = COME * 64};
	size_t blocks;
	uintptr_t x;

	setup(_i);
	many.type = sm_type_pointers(gc, 1);
	x = make(&many);
	minor();
	minor();
	shared_young = step_hidden(m, node, NULL);
	step_link(m, &root[2], shared_young);
	blocks = gc->remember.blocks_left;
	for (size_t i = 0; i < COME; i++) {
		pthread_t t;

		ck_assert_int_eq(pthread_create(&t, NULL, store_once,
						(void *)~(~x + i * 64 * sizeof(void *))),
				 0);
		sm_blocking_enter(m);
		pthread_join(t, NULL);
		sm_blocking_leave(m);
	}
	/* Of 15 chunks. */
	ck_assert_uint_le((blocks - gc->remember.blocks_left) * 15, COME / 2 + 15);
	teardown();
}
END_TEST

/* ---- told by the kernel ------------------------------------------------------------------- */

static void must_stand_still(void)
{
	if (gc == NULL || gc->config.mode == SM_GC_STW || sm_load_seqcst(&gc->cycles_started) == 0)
		return;
	ck_assert(sm_load_relaxed(&m->priv->state) == SM_M_HELD ||
		  sm_load_relaxed(&m->priv->state) == SM_M_HELD_WAITED);
}

/* Where pages are told and forgotten in two steps, no mutator runs in between. */
START_TEST(nobody_stores_between_two_steps)
{
	uintptr_t x, y;
	struct sm_weak *w;

	setup(COPIES + _i);
	shadow.watch = must_stand_still;
	x = old_object(node, 0);
	y = step_hidden(m, node, &w);
	put(0, x, 0, y);
	must_live(w, y);
	sm_weak_free(m, w);
	shadow.watch = NULL;
	teardown();
}
END_TEST

/* Stores do nothing, and pages that nobody wrote are not looked at. */
START_TEST(a_store_does_nothing)
{
	uint64_t before;

	setup(_i);
	ck_assert_uint_eq(m->barrier, 0);
	(void)old_object(sm_type_pointers(gc, 4000), 0);
	minor();
	before = gctest_stats(gc).total_remembered;
	minor();
	ck_assert_uint_le(gctest_stats(gc).total_remembered, before + 2);
	teardown();
}
END_TEST

START_TEST(refused_where_no_kernel_tells)
{
	struct sm_gc_config cfg;
	char err[300] = "";

	sm__dirty_instead = &shadow_source;
	shadow.refuses = true;
	sm_gc_config_init(&cfg);
	cfg.generations = SM_GC_GENERATIONS_ON;
	cfg.remember = SM_GC_REMEMBER_NONE;
	ck_assert_ptr_null(sm_gc_create(&cfg, err, sizeof(err)));
	ck_assert_int_eq(errno, ENOTSUP);
	ck_assert_str_eq(err, "gc.remember=none: the kernel does not tell which pages were written "
			      "(a copy: Operation not permitted); set cards or objects");
	cfg.generations = SM_GC_GENERATIONS_OFF;
	gc = sm_gc_create(&cfg, err, sizeof(err));
	ck_assert_ptr_nonnull(gc);
	sm_gc_destroy(gc);
}
END_TEST

/* ---- beside the heap ---------------------------------------------------------------------- */

static SM_NOINLINE struct sm_ephemeron *tie(uintptr_t key, uintptr_t value)
{
	return sm_ephemeron_new(m, (void *)~key, (void *)~value);
}

START_TEST(an_old_key_keeps_its_value)
{
	struct sm_ephemeron *e, *young;
	struct sm_weak *w, *v;
	uintptr_t x, y;

	setup(_i);
	x = old_object(node, 0);
	y = step_hidden(m, node, &w);
	e = tie(x, y);
	young = tie(step_hidden(m, node, NULL), step_hidden(m, node, &v));
	ck_assert(e != NULL && young != NULL);
	must_live(w, y);
	ck_assert(sm_ephemeron_get(m, e) == (void *)~y);
	ck_assert(!SURE || (sm_ephemeron_get(m, young) == NULL && !step_alive(m, v)));
	sm_ephemeron_free(m, e);
	sm_ephemeron_free(m, young);
	sm_weak_free(m, w);
	sm_weak_free(m, v);
	teardown();
}
END_TEST

static _Atomic(unsigned) finalized;

static void finalize(void *ctx, struct sm_mutator *own, void *object)
{
	(void)ctx;
	(void)own;
	ck_assert_uint_eq(((uintptr_t *)object)[2], 0xfeed);
	sm_fetch_add_relaxed(&finalized, 1);
}

static SM_NOINLINE void set_finalizer(uintptr_t object)
{
	ck_assert_int_eq(sm_finalizer_set(m, (void *)~object, finalize, NULL, NULL), 0);
}

START_TEST(finalizers_of_young_and_old)
{
	uintptr_t x, y;

	setup(_i);
	x = old_object(node, 0);
	y = step_hidden(m, node, NULL);
	set_finalizer(x);
	set_finalizer(y);
	sm_store(m, &root[0], NULL);
	minor();
	sm_finalizer_wait(gc, m);
	ck_assert_uint_le(sm_load_relaxed(&finalized), 1);
	ck_assert(!SURE || sm_load_relaxed(&finalized) == 1);
	major();
	sm_finalizer_wait(gc, m);
	ck_assert(!SURE || sm_load_relaxed(&finalized) == 2);
	teardown();
}
END_TEST

static SM_NOINLINE uint8_t card_of(void **slot)
{
	return sm_load_relaxed(
		&gc->remember.cards[((uintptr_t)slot - gc->range.base) >> SM_CARD_SHIFT]);
}

/* While no cycle marks, what sm_store compiles to sets the card, of objects' slots alone. */
START_TEST(a_store_sets_its_card)
{
	void **x;

	setup(_i);
	ck_assert_uint_eq(m->barrier, SM__BARRIER_REMEMBER);
	x = sm_new(m, sm_type_prefix(gc, 4096, 512));
	ck_assert_ptr_nonnull(x);
	sm_store(m, &x[300], NULL);
	ck_assert_uint_eq(card_of(&x[300]), 0);
	sm_store(m, &x[300], x);
	sm_store(m, &root[0], x);
	ck_assert_uint_eq(card_of(&x[300]), SM_CARD_STORED);
	ck_assert_uint_eq(card_of(&x[280]), 0);
	ck_assert_uint_eq(card_of(&x[320]), 0);
	/* What a program calls that was compiled with an older header. */
	sm_store_slow(m, &x[400], x);
	ck_assert_uint_eq(card_of(&x[400]), SM_CARD_STORED);
	sm_store(m, &root[0], NULL);
	teardown();
}
END_TEST

/* Of the memory that gc.limit is kept by, for so much that is in use. */
static size_t mapped_with(const char *generations, const char *remember)
{
	size_t n;

	gc = GCTEST(generations, remember, "gc.limit=4g", "gc.verify=0");
	m = sm_mutator_attach(gc);
	ck_assert_ptr_nonnull(m);
	root[0] = sm_new(m, sm_type_pointers(gc, 2 * SM_MIB));
	ck_assert_ptr_nonnull(root[0]);
	ck_assert_int_eq(sm_root_add(gc, (void *)root, 1), 0);
	ck_assert_int_eq(sm_collect(gc, m), 0);
	n = gc->pacer.mapped;
	root[0] = NULL;
	ck_assert_int_eq(sm_root_remove(gc, (void *)root), 0);
	gctest_destroy(gc, m);
	return n;
}

START_TEST(the_maps_count_against_the_limit)
{
	size_t off = mapped_with("gc.generations=off", "gc.remember=cards"), array = 16 * SM_MIB;

	/* Ages, and cards; ages, and a bit for a word. */
	ck_assert_uint_ge(mapped_with("gc.generations=on", "gc.remember=cards"), off + array / 64);
	ck_assert_uint_ge(mapped_with("gc.generations=on", "gc.remember=objects"),
			  off + array / 128 + array / 64);
	ck_assert_uint_le(mapped_with("gc.generations=auto", "gc.remember=cards"),
			  off + array / 128);
}
END_TEST

/* ---- the verifier, settings --------------------------------------------------------------- */

/* What a store into x has left is gone. */
static void ignore_run(void *ctx, uintptr_t from, uintptr_t end)
{
	(void)ctx;
	(void)from;
	(void)end;
}

static void forget(uintptr_t x)
{
	size_t size = gc->remember.dirty.page;
	uintptr_t page = size != 0 ? sm_align_down(x, size) : 0;

	if (gc->remember.cards != NULL)
		sm_store_relaxed(&gc->remember.cards[(x - gc->range.base) >> SM_CARD_SHIFT], 0);
	else if (gc->remember.dirty.source == NULL)
		m->priv->log = NULL;
	else if (gc->remember.dirty.source->forget != NULL)
		gc->remember.dirty.source->forget(&gc->remember.dirty);
	else
		gc->remember.dirty.source->take(&gc->remember.dirty, page, page + size, ignore_run,
						NULL);
}

START_TEST(the_verifier_finds_a_forgotten_edge)
{
	uintptr_t x, y;

	ck_assert_ptr_nonnull(freopen("/dev/null", "w", stderr));
	setup(_i);
	x = old_object(node, 0);
	y = step_hidden(m, node, NULL);
	put(0, x, 0, y);
	step_link(m, &root[1], y); /* so it is marked */
	forget(~x);
	gc->pacer.minor = true;
	gctest_clear_stack();
	ck_assert_int_eq(sm__gc_collect_and_wait(gc, m, false), 0);
	ck_assert_uint_gt(gctest_stats(gc).verify_errors, 0);
	sm_mutator_detach(m);
	sm_gc_destroy(gc);
}
END_TEST

/* Off, stores take no slow path, and there is nothing to keep. */
START_TEST(nothing_when_off)
{
	gc = GCTEST("gc.percent=0");
	m = sm_mutator_attach(gc);
	ck_assert_uint_eq(m->barrier, 0);
	ck_assert_ptr_null(gc->remember.kind);
	ck_assert_ptr_null(gc->gen.aged.marks);
	gctest_destroy(gc, m);
}
END_TEST

int main(void)
{
	return SM_SUITE(
		"generations", 60, SM_LOOP(the_young_die_in_a_minor_cycle, 0, WAYS),
		SM_LOOP(one_minor_cycle_makes_nothing_old, 0, WAYS),
		SM_LOOP(the_old_die_in_a_major_cycle, 0, WAYS),
		SM_LOOP(major_cycles_count_as_well, 0, WAYS),
		SM_LOOP(the_old_are_not_marked_again, 0, WAYS),
		SM_LOOP(an_empty_span_forgets, 0, WAYS),
		SM_LOOP(what_the_old_lead_to_lives, 0, WAYS),
		SM_LOOP(stored_before_the_promotion, 0, WAYS),
		SM_LOOP(major_cycles_forget_nothing, 0, WAYS),
		SM_LOOP(a_chain_behind_the_old, 0, WAYS),
		SM_LOOP(wherever_the_pointer_lies, 0, WAYS),
		SM_LOOP(a_thread_that_is_gone_is_remembered, 0, WAYS),
		SM_LOOP(stored_while_a_cycle_is_on, 0, 21),
		SM_LOOP(an_object_is_logged_once, LOGS, PAGES),
		SM_LOOP(no_memory_for_the_log, LOGS, PAGES),
		SM_LOOP(threads_that_come_and_go_share_the_log, LOGS, PAGES),
		SM_LOOP(nobody_stores_between_two_steps, 0, 2),
		SM_LOOP(a_store_does_nothing, PAGES, WAYS), SM_T(refused_where_no_kernel_tells),
		SM_LOOP(an_old_key_keeps_its_value, 0, WAYS),
		SM_LOOP(finalizers_of_young_and_old, 0, WAYS),
		SM_LOOP(a_store_sets_its_card, 0, LOGS), SM_T(the_maps_count_against_the_limit),
		SM_LOOP(the_verifier_finds_a_forgotten_edge, 0, WAYS), SM_T(nothing_when_off));
}
