/*
 * test_finalizer: once each, in order, with all that the object refers to alive; resurrection;
 * cycles of objects; a queue that is a root; and weak references beside them.
 */
#include <errno.h>
#include <pthread.h>
#include <unistd.h>

#include "collector/cycle/gc_internal.h"
#include "tests/support/gctest.h"
#include "tests/support/run.h"
#include "tests/support/scale.h"
#include "tests/support/step.h"

static const char *const modes[] = {"gc.mode=stw", "gc.mode=concurrent"};
static struct sm_gc *gc;
static struct sm_mutator *m;
static const struct sm_type *node;
static void *root[8];
static _Atomic(int) calls, wrong;
static uintptr_t order[1000];

static void setup(int mode)
{
	gc = GCTEST(modes[mode], "gc.verify=1");
	m = sm_mutator_attach(gc);
	node = sm_type_prefix(gc, 64, 2);
	memset(root, 0, sizeof(root));
	ck_assert_int_eq(sm_root_add(gc, root, 8), 0);
}

static void teardown(void)
{
	sm_root_remove(gc, root);
	gctest_destroy(gc, m);
}

static void collect_and_run(void)
{
	gctest_clear_stack();
	ck_assert_int_eq(sm_collect(gc, m), 0);
	sm_finalizer_wait(gc, m);
}

static void note(void *ctx, struct sm_mutator *fm, void *object)
{
	uintptr_t *o = object;

	(void)fm;
	if (o[2] != 0xf1 || (o[0] && ((uintptr_t *)o[0])[2] != 0xf1))
		wrong++;
	order[calls++ % 1000] = (uintptr_t)ctx;
}

static __attribute__((noinline)) void make(int n, bool chained)
{
	uintptr_t *last = NULL;

	for (int i = 0; i < n; i++) {
		uintptr_t *o = sm_new(m, node);

		o[2] = 0xf1;
		if (chained)
			sm_store(m, (void **)&o[0], last);
		if (sm_finalizer_set(m, o, note, (void *)(intptr_t)i, NULL) != 0)
			ck_abort_msg("finalizer %d", i);
		last = o;
	}
}

START_TEST(once_and_in_order)
{
	setup(_i);
	make(500, false);
	/* The last object's address may linger in a register or two. */
	for (int i = 0; i < 4; i++)
		collect_and_run();
	ck_assert_int_ge(calls, 498);
	ck_assert_int_le(calls, 500);
	ck_assert_int_eq(wrong, 0);
	for (int i = 1; i < 490; i++)
		ck_assert_uint_lt(order[i - 1], order[i]);
	teardown();
}
END_TEST

/* Objects that refer to one another are queued together, and each finds the others as they were. */
START_TEST(a_chain_is_kept_whole)
{
	setup(_i);
	make(300, true);
	for (int i = 0; i < 4; i++) {
		collect_and_run();
		for (int j = 0; j < 1000; j++)
			((uintptr_t *)sm_new(m, node))[2] = 0xbad;
	}
	ck_assert_int_ge(calls, 298);
	ck_assert_int_eq(wrong, 0);
	teardown();
}
END_TEST

static void resurrect(void *ctx, struct sm_mutator *fm, void *object)
{
	(void)ctx;
	sm_store(fm, &root[0], object);
	calls++;
}

static __attribute__((noinline)) void make_one(sm_finalizer_fn *fn, struct sm_weak **w)
{
	uintptr_t *o = sm_new(m, node);

	o[2] = 0xf1;
	ck_assert_int_eq(sm_finalizer_set(m, o, fn, NULL, NULL), 0);
	ck_assert_int_eq(sm_finalizer_set(m, o, fn, NULL, NULL), -EEXIST);
	if (w)
		*w = sm_weak_new(m, o);
}

START_TEST(resurrection)
{
	struct sm_weak *w;

	setup(_i);
	make_one(resurrect, &w);
	collect_and_run();
	collect_and_run();
	ck_assert_int_eq(calls, 1);
	ck_assert_ptr_nonnull(root[0]);
	ck_assert_uint_eq(((uintptr_t *)root[0])[2], 0xf1);
	/* Cleared before the finalizer ran, and not restored. */
	ck_assert_ptr_null(sm_weak_get(m, w));
	/* It lives on, and is not finalized again when it dies. */
	collect_and_run();
	ck_assert_uint_eq(((uintptr_t *)root[0])[2], 0xf1);
	sm_store(m, &root[0], NULL);
	collect_and_run();
	collect_and_run();
	ck_assert_int_eq(calls, 1);
	sm_weak_free(m, w);
	teardown();
}
END_TEST

START_TEST(what_cannot_have_one)
{
	void *o;

	setup(_i);
	o = sm_new(m, node);
	ck_assert_int_eq(sm_finalizer_set(m, (char *)o + 8, note, NULL, NULL), -EINVAL);
	ck_assert_int_eq(sm_finalizer_set(m, &o, note, NULL, NULL), -EINVAL);
	ck_assert_int_eq(sm_finalizer_set(m, NULL, note, NULL, NULL), -EINVAL);
	ck_assert_int_eq(sm_finalizer_set(m, o, NULL, NULL, NULL), -EINVAL);
	ck_assert_int_eq(sm_finalizer_clear(m, o), -ENOENT);
	ck_assert_int_eq(sm_finalizer_set(m, o, note, NULL, NULL), 0);
	ck_assert_int_eq(sm_finalizer_clear(m, o), 0);
	o = NULL;
	collect_and_run();
	collect_and_run();
	ck_assert_int_eq(calls, 0);
	teardown();
}
END_TEST

static _Atomic(int) go;

static void slow(void *ctx, struct sm_mutator *fm, void *object)
{
	(void)ctx;
	sm_blocking_enter(fm);
	while (!go)
		usleep(500);
	sm_blocking_leave(fm);
	if (((uintptr_t *)object)[2] != 0xf1)
		wrong++;
	calls++;
}

/* Finalizers that wait in the queue over several cycles: what they hold is not reused. */
START_TEST(the_queue_is_a_root)
{
	setup(_i);
	for (int i = 0; i < 50; i++)
		make_one(slow, NULL);
	for (int i = 0; i < 5; i++) {
		gctest_clear_stack();
		sm_collect(gc, m);
		for (int j = 0; j < 5000; j++)
			((uintptr_t *)sm_new(m, node))[2] = 0xbad;
	}
	go = 1;
	sm_finalizer_wait(gc, m);
	ck_assert_int_ge(calls, 48);
	ck_assert_int_eq(wrong, 0);
	teardown();
}
END_TEST

/* ---- weak references ---------------------------------------------------------------------- */

static __attribute__((noinline)) struct sm_weak *weak_to_new(void **slot)
{
	uintptr_t *o = sm_new(m, node);
	struct sm_weak *w;

	o[2] = 0xf1;
	w = sm_weak_new(m, o);
	if (slot)
		sm_store(m, slot, o);
	return w;
}

/* In a frame of its own: at -O0 the assertion's copies stay in the frame. */
static __attribute__((noinline)) void expect_held(struct sm_weak *held)
{
	ck_assert_ptr_eq(sm_weak_get(m, held), root[1]);
}

START_TEST(weak_references)
{
	struct sm_weak *held, *lost;

	setup(_i);
	held = weak_to_new(&root[1]);
	lost = weak_to_new(NULL);
	gctest_clear_stack();
	collect_and_run();
	collect_and_run();
	ck_assert_ptr_null(sm_weak_get(m, lost));
	expect_held(held);
	sm_store(m, &root[1], NULL);
	gctest_clear_stack();
	collect_and_run();
	collect_and_run();
	ck_assert_ptr_null(sm_weak_get(m, held));
	sm_weak_free(m, held);
	sm_weak_free(m, lost);
	sm_weak_free(m, NULL);
	teardown();
}
END_TEST

/* ---- contexts, and finalizers that use the interface -------------------------------------- */

static _Atomic(int) disposed[8];
static _Atomic(int) inside;

static void dispose(void *ctx)
{
	disposed[(uintptr_t)ctx]++;
}

static void count(void *ctx, struct sm_mutator *fm, void *object)
{
	(void)fm;
	(void)object;
	/* Not before it has returned. */
	wrong += disposed[(uintptr_t)ctx] != 0;
	calls++;
}

static __attribute__((noinline)) void make_owning(sm_finalizer_fn *fn, uintptr_t ctx, void **slot)
{
	void *o = sm_new(m, node);

	ck_assert_int_eq(sm_finalizer_set(m, o, fn, (void *)ctx, dispose), 0);
	ck_assert_int_eq(sm_finalizer_set(m, o, fn, (void *)7, dispose), -EEXIST);
	ck_assert_int_eq(sm_finalizer_set(m, (char *)o + 8, fn, (void *)7, dispose), -EINVAL);
	if (slot)
		sm_store(m, slot, o);
}

/* Once each: after it ran, when it is cleared, and at the end for those that were set or queued. */
START_TEST(contexts)
{
	setup(_i);
	make_owning(count, 1, NULL);
	make_owning(count, 2, &root[2]);
	make_owning(count, 3, &root[3]);
	for (int i = 0; i < 3; i++)
		collect_and_run();
	ck_assert_int_eq(sm_finalizer_clear(m, root[2]), 0);
	ck_assert_int_eq(sm_finalizer_clear(m, root[2]), -ENOENT);
	if (!SM_ASAN && !SM_TSAN)
		ck_assert_int_eq(disposed[1], 1);
	ck_assert_int_eq(disposed[2], 1);
	ck_assert_int_eq(disposed[3], 0);
	ck_assert_int_eq(wrong, 0);
	go = 0;
	make_owning(slow, 4, NULL);
	make_owning(slow, 5, NULL);
	gctest_clear_stack();
	sm_collect(gc, m);
	gctest_clear_stack();
	/* One runs, and is waited for; the other is queued, and does not run. */
	go = 1;
	sm_root_remove(gc, root);
	gctest_destroy(gc, m);
	for (int i = 1; i <= 5; i++)
		ck_assert_msg(disposed[i] == 1, "context %d: %d times", i, disposed[i]);
	ck_assert_int_eq(disposed[7], 0);
}
END_TEST

static _Atomic(int) more_lives;

static void uses_everything(void *ctx, struct sm_mutator *fm, void *object)
{
	void *o = sm_new(fm, node);
	struct sm_weak *w = sm_weak_new(fm, o);

	(void)ctx;
	inside++;
	/* It is not set any more. */
	wrong += sm_finalizer_clear(fm, object) != -ENOENT;
	wrong += sm_finalizer_set(fm, o, count, NULL, NULL) != 0;
	wrong += sm_finalizer_clear(fm, o) != 0;
	wrong += sm_collect(gc, fm) != 0;
	wrong += sm_weak_get(fm, w) != o;
	sm_weak_free(fm, w);
	/* For another life. */
	if (more_lives-- > 0)
		wrong += sm_finalizer_set(fm, object, uses_everything, NULL, NULL) != 0;
}

START_TEST(a_finalizer_may)
{
	setup(_i);
	more_lives = 2;
	make_one(uses_everything, NULL);
	for (int i = 0; i < 6; i++)
		collect_and_run();
	ck_assert_int_eq(wrong, 0);
	ck_assert_int_eq(inside, 3);
	teardown();
}
END_TEST

static void waits_for_all(void *ctx, struct sm_mutator *fm, void *object)
{
	(void)fm;
	(void)object;
	while (sm_load_acquire((_Atomic(int) *)ctx) == 0)
		sm_safepoint(fm);
	calls++;
}

/* While one runs there is another way to wait than to hang: both kinds of caller come back when it
 * has ended. */
static void *waiter(void *arg)
{
	sm_finalizer_wait(gc, NULL);
	ck_assert_int_eq(calls, 1);
	return arg;
}

/* An object whose finalizer waits for *let, in a frame that is gone afterwards. */
static __attribute__((noinline)) void drop_one_that_waits(_Atomic(int) *let)
{
	void *o = sm_new(m, node);

	ck_assert_int_eq(sm_finalizer_set(m, o, waits_for_all, (void *)let, NULL), 0);
}

START_TEST(waiting)
{
	static _Atomic(int) let;
	pthread_t t;

	setup(_i);
	sm_finalizer_wait(gc, m);
	drop_one_that_waits(&let);
	for (int i = 0; i < 3; i++) {
		gctest_clear_stack();
		sm_collect(gc, m);
	}
	pthread_create(&t, NULL, waiter, NULL);
	let = 1;
	sm_finalizer_wait(gc, m);
	ck_assert_int_eq(calls, 1);
	sm_blocking_enter(m);
	pthread_join(t, NULL);
	sm_blocking_leave(m);
	teardown();
}
END_TEST

/* n objects, all held by root[0]; every second one has a finalizer in the end. Not inlined: no
 * frame that stays holds one. */
static __attribute__((noinline)) void make_many(unsigned long n)
{
	sm_store(m, &root[0], sm_new_array(m, sm_type_pointers(gc, 1), n));
	for (unsigned long i = 0; i < n; i++) {
		void *o = sm_new(m, node);

		((uintptr_t *)o)[2] = 0xf1;
		sm_store(m, (void **)root[0] + i, o);
		if (sm_finalizer_set(m, o, note, (void *)i, NULL) != 0)
			ck_abort_msg("finalizer %lu", i);
	}
	for (unsigned long i = 0; i < n; i += 2) {
		if (sm_finalizer_clear(m, sm_load((void **)root[0] + i)) != 0)
			ck_abort_msg("finalizer %lu cannot be cleared", i);
	}
}

/* Many: setting, finding and clearing takes few steps each, and so does what the collector holds
 * the lock for. */
START_TEST(many)
{
	unsigned long n = sm_test_scaled(50000);

	setup(_i);
	gc->config.verify = false;
	make_many(n);
	sm_store(m, &root[0], NULL);
	gctest_clear_stack();
	collect_and_run();
	collect_and_run();
	ck_assert_int_ge(calls, (int)(n / 2) - 2);
	ck_assert_int_le(calls, (int)(n / 2));
	ck_assert_int_eq(wrong, 0);
	ck_assert_msg(gc->finalizers.index.steps <= 8 * n, "%lu steps",
		      (unsigned long)gc->finalizers.index.steps);
	teardown();
}
END_TEST

/* ---- moments ------------------------------------------------------------------------------ */

static void *collect_once(void *arg)
{
	sm_collect(gc, NULL);
	return arg;
}

static pthread_t begin(void)
{
	pthread_t t;

	gctest_clear_stack();
	ck_assert_int_eq(pthread_create(&t, NULL, collect_once, NULL), 0);
	return t;
}

static void finish(pthread_t t)
{
	sm_blocking_enter(m);
	pthread_join(t, NULL);
	sm_blocking_leave(m);
	ck_assert_uint_eq(gctest_stats(gc).verify_errors, 0);
}

/* What the queue holds is marked before any stack is scanned: an object that leaves it later needs
 * no record. */
START_TEST(the_queue_before_the_stacks)
{
	struct sm_finalizer *f;
	pthread_t t;

	setup(1);
	go = 0;
	make_one(slow, NULL);
	make_one(slow, NULL);
	make_one(slow, NULL);
	for (int i = 0; i < 3; i++) {
		gctest_clear_stack();
		sm_collect(gc, m);
	}
	t = begin();
	step_until(m, SM_HS_SCAN);
	/* The first runs; the others are waiting. */
	f = gc->finalizers.queue;
	ck_assert_ptr_nonnull(f);
	ck_assert(sm__is_marked(&gc->range, ((struct sm_keyed_cell *)f)->key));
	go = 1;
	finish(t);
	sm_finalizer_wait(gc, m);
	ck_assert_int_eq(wrong, 0);
	teardown();
}
END_TEST

static uintptr_t parent, child;
static struct sm_weak *to_parent, *to_child;

static __attribute__((noinline)) void make_family(void)
{
	uintptr_t *p = sm_new(m, node), *c = sm_new(m, node);

	c[2] = 0xfeed;
	sm_store(m, (void **)p, c);
	to_parent = sm_weak_new(m, p);
	to_child = sm_weak_new(m, c);
	parent = ~(uintptr_t)p;
	child = ~(uintptr_t)c;
}

static __attribute__((noinline)) bool get_parent(void)
{
	return (uintptr_t)sm_weak_get(m, to_parent) == ~parent;
}

static __attribute__((noinline)) bool get_child(void)
{
	return sm_weak_get(m, to_child) != NULL;
}

/*
 * A get in the middle of the round that would end marking: what it hands out lives, and so does
 * what hangs on that, which only the marker comes to.
 */
START_TEST(a_late_get)
{
	pthread_t t;

	setup(1);
	make_family();
	t = begin();
	step_until(m, SM_HS_FLUSH);
	ck_assert(get_parent());
	gctest_clear_stack();
	finish(t);
	ck_assert(get_parent());
	ck_assert(get_child());
	ck_assert_uint_eq(((uintptr_t *)~child)[2], 0xfeed);
	sm_weak_free(m, to_parent);
	sm_weak_free(m, to_child);
	teardown();
}
END_TEST

static _Atomic(int) stage;

/* Cuts the child off the parent that a weak reference gave: its buffer alone knows of the child,
 * then a root holds it. */
static __attribute__((noinline)) void cut_off(struct sm_mutator *own)
{
	void **p = sm_weak_get(own, to_parent), *c = sm_load(&p[0]);

	sm_store(own, &p[0], NULL);
	sm_store(own, &root[6], c);
}

static void *get_behind_the_flush(void *arg)
{
	struct sm_mutator *own = sm_mutator_attach(gc);

	stage = 1;
	step_past(own, SM_HS_FLUSH);
	cut_off(own);
	gctest_clear_stack();
	stage = 2;
	while (stage < 3)
		sm_safepoint(own);
	sm_mutator_detach(own);
	return arg;
}

/*
 * Another has handed its buffer over in this round, then gets a white object and takes out of it
 * what hangs there: that it marked something must keep the round from being the last, for its
 * buffer holds the only record.
 */
START_TEST(a_get_behind_the_flush)
{
	pthread_t t, other;

	setup(1);
	make_family();
	gctest_clear_stack();
	ck_assert_int_eq(pthread_create(&other, NULL, get_behind_the_flush, NULL), 0);
	while (stage < 1)
		sm_safepoint(m);
	t = begin();
	step_until(m, SM_HS_FLUSH);
	while (stage < 2)
		sm_cpu_relax();
	gctest_clear_stack();
	finish(t);
	stage = 3;
	sm_blocking_enter(m);
	pthread_join(other, NULL);
	sm_blocking_leave(m);
	ck_assert_uint_eq((uintptr_t)root[6], ~child);
	ck_assert_uint_eq(((uintptr_t *)~child)[2], 0xfeed);
	ck_assert(get_child());
	sm_weak_free(m, to_parent);
	sm_weak_free(m, to_child);
	teardown();
}
END_TEST

static __attribute__((noinline)) void finalize_parent(void)
{
	make_family();
	ck_assert_int_eq(sm_finalizer_set(m, (void *)~parent, resurrect, NULL, NULL), 0);
}

/*
 * Between the clearing and the resurrecting, with the door shut: a get answers NULL for what is let
 * go, and goes on doing so when that is marked again; its finalizer has not begun, for its object
 * is not marked yet.
 */
START_TEST(between_clearing_and_resurrecting)
{
	pthread_t t;

	setup(1);
	finalize_parent();
	root[0] = NULL;
	t = begin();
	step_past(m, SM_HS_FLUSH);
	step_until(m, SM_HS_NONE);
	ck_assert(!get_parent());
	ck_assert(!get_child());
	ck_assert_int_eq(calls, 0);
	ck_assert(!sm__is_marked(&gc->range, ~parent));
	/* It is taken; nothing can be cleared any more. */
	ck_assert_int_eq(sm_finalizer_clear(m, (void *)~parent), -ENOENT);
	gctest_clear_stack();
	finish(t);
	sm_finalizer_wait(gc, m);
	ck_assert_int_eq(calls, 1);
	ck_assert(!get_parent());
	ck_assert_uint_eq(((uintptr_t *)~child)[2], 0xfeed);
	sm_weak_free(m, to_parent);
	sm_weak_free(m, to_child);
	teardown();
}
END_TEST

static _Atomic(int) stop;

/* Makes strong again what only a weak reference still holds, while cycles decide about it. */
static void *reviver(void *arg)
{
	struct sm_mutator *me = sm_mutator_attach(gc);
	uint64_t rs = (uintptr_t)arg + 3;

	while (!stop) {
		uintptr_t *o = sm_new(me, node), *again;
		struct sm_weak *w;

		o[2] = 0xf1;
		w = sm_weak_new(me, o);
		o = NULL;
		for (int i = 0; i < (int)(gctest_random(&rs) % 40); i++)
			((uintptr_t *)sm_new(me, node))[2] = 0xbad;
		again = sm_weak_get(me, w);
		if (again) {
			sm_store(me, &root[gctest_random(&rs) % 8], again);
			for (int i = 0; i < 30; i++)
				((uintptr_t *)sm_new(me, node))[2] = 0xbad;
			if (again[2] != 0xf1)
				abort();
		}
		sm_weak_free(me, w);
	}
	sm_mutator_detach(me);
	return NULL;
}

START_TEST(reviving_races)
{
	pthread_t t[3];

	setup(_i);
	for (long i = 0; i < 3; i++)
		pthread_create(&t[i], NULL, reviver, (void *)i);
	for (int i = 0; i < 15; i++)
		sm_collect(gc, m);
	stop = 1;
	sm_blocking_enter(m);
	for (int i = 0; i < 3; i++)
		pthread_join(t[i], NULL);
	sm_blocking_leave(m);
	teardown();
}
END_TEST

int main(void)
{
	return SM_SUITE("finalizer", 60, SM_LOOP(once_and_in_order, 0, 2),
			SM_LOOP(a_chain_is_kept_whole, 0, 2), SM_LOOP(resurrection, 0, 2),
			SM_LOOP(what_cannot_have_one, 0, 2), SM_LOOP(the_queue_is_a_root, 0, 2),
			SM_LOOP(weak_references, 0, 2), SM_LOOP(reviving_races, 0, 2),
			SM_LOOP(contexts, 0, 2), SM_LOOP(a_finalizer_may, 0, 2),
			SM_LOOP(waiting, 0, 2), SM_LOOP(many, 0, 2),
			SM_T(the_queue_before_the_stacks), SM_T(a_late_get),
			SM_T(a_get_behind_the_flush), SM_T(between_clearing_and_resurrecting));
}
