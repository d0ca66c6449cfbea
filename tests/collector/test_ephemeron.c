/*
 * test_ephemeron: a value lives while its key does, however values and keys hang together: chains
 * in every order, cycles through values, a key that is its own value, keys without pointers; and
 * finding that out takes work that grows with their number and no faster. In both modes, beside the
 * verifier, which comes to its own conclusions.
 */
#include <errno.h>
#include <pthread.h>

#include "collector/cycle/gc_internal.h"
#include "tests/support/gctest.h"
#include "tests/support/run.h"
#include "tests/support/scale.h"
#include "tests/support/step.h"

static const char *const modes[] = {"gc.mode=stw", "gc.mode=concurrent"};
static struct sm_gc *gc;
static struct sm_mutator *m;
static const struct sm_type *node, *leaf;
static void *root[8];

static void setup(int mode)
{
	gc = GCTEST(modes[mode], "gc.verify=1", "gc.percent=0");
	m = sm_mutator_attach(gc);
	node = sm_type_prefix(gc, 32, 2);
	leaf = sm_type_prefix(gc, 32, 0);
	memset(root, 0, sizeof(root));
	ck_assert_int_eq(sm_root_add(gc, root, 8), 0);
}

static void teardown(void)
{
	sm_root_remove(gc, root);
	gctest_destroy(gc, m);
}

static void collect(void)
{
	gctest_clear_stack();
	ck_assert_int_eq(sm_collect(gc, m), 0);
	gctest_clear_stack();
}

static __attribute__((noinline)) bool has_value(struct sm_ephemeron *e)
{
	return sm_ephemeron_get(m, e) != NULL;
}

static __attribute__((noinline)) bool lives(struct sm_weak *w)
{
	return sm_weak_get(m, w) != NULL;
}

#define SURE (!SM_ASAN && !SM_TSAN) /* instrumented frames keep copies of everything */

/* ---- one ---------------------------------------------------------------------------------- */

static __attribute__((noinline)) struct sm_ephemeron *one(void **key_slot, struct sm_weak **value)
{
	void **key = sm_new(m, node), **v = sm_new(m, node);
	struct sm_ephemeron *e = sm_ephemeron_new(m, key, v);

	ck_assert_ptr_nonnull(e);
	sm_store(m, key_slot, key);
	*value = sm_weak_new(m, v);
	((uintptr_t *)v)[2] = 0xfeed;
	return e;
}

START_TEST(a_value_lives_while_its_key_does)
{
	struct sm_weak *value;
	struct sm_ephemeron *e;

	setup(_i);
	e = one(&root[0], &value);
	for (int i = 0; i < 3; i++) {
		collect();
		ck_assert(has_value(e));
		ck_assert(lives(value));
		ck_assert_uint_eq(((uintptr_t *)sm_ephemeron_get(m, e))[2], 0xfeed);
	}
	sm_store(m, &root[0], NULL);
	collect();
	collect();
	ck_assert(!SURE || !has_value(e));
	ck_assert(!SURE || !lives(value));
	sm_ephemeron_free(m, e);
	sm_weak_free(m, value);
	sm_ephemeron_free(m, NULL);
	teardown();
}
END_TEST

/* Freed, it keeps nothing; a value that lives for other reasons does not keep the key. */
START_TEST(freed_and_other_reasons)
{
	struct sm_weak *value, *key;
	struct sm_ephemeron *e;

	setup(_i);
	e = one(&root[0], &value);
	sm_ephemeron_free(m, e);
	collect();
	collect();
	ck_assert(!SURE || !lives(value));
	sm_weak_free(m, value);

	e = one(&root[0], &value);
	key = sm_weak_new(m, root[0]);
	sm_store(m, &root[1], sm_ephemeron_get(m, e));
	sm_store(m, &root[0], NULL);
	collect();
	collect();
	ck_assert(lives(value));
	ck_assert(!SURE || !lives(key));
	ck_assert(!SURE || !has_value(e));
	sm_weak_free(m, key);
	sm_weak_free(m, value);
	sm_ephemeron_free(m, e);
	teardown();
}
END_TEST

/* 0: the value is the key; 1: the value leads to the key; 2: two, each other's; 3: two on one key.
 */
static __attribute__((noinline)) void tie(int how, struct sm_ephemeron *e[2], void **slot)
{
	void **a = sm_new(m, node), **b = sm_new(m, node);

	sm_store(m, slot, a);
	switch (how) {
	case 0:
		e[0] = sm_ephemeron_new(m, a, a);
		e[1] = NULL;
		return;
	case 1:
		sm_store(m, &b[1], a);
		e[0] = sm_ephemeron_new(m, a, b);
		e[1] = NULL;
		return;
	case 2:
		e[0] = sm_ephemeron_new(m, a, b);
		e[1] = sm_ephemeron_new(m, b, a);
		return;
	default: e[0] = sm_ephemeron_new(m, a, b); e[1] = sm_ephemeron_new(m, a, sm_new(m, leaf));
	}
}

START_TEST(cycles_keep_nothing)
{
	struct sm_ephemeron *e[2];

	setup(_i % 2);
	tie(_i / 2, e, &root[0]);
	collect();
	for (int i = 0; i < 2; i++)
		ck_assert(e[i] == NULL || has_value(e[i]));
	sm_store(m, &root[0], NULL);
	collect();
	collect();
	for (int i = 0; i < 2; i++) {
		ck_assert(e[i] == NULL || !SURE || !has_value(e[i]));
		sm_ephemeron_free(m, e[i]);
	}
	teardown();
}
END_TEST

START_TEST(what_is_refused)
{
	void *o;

	setup(1);
	o = sm_new(m, node);
	sm_store(m, &root[0], o);
	errno = 0;
	ck_assert_ptr_null(sm_ephemeron_new(m, NULL, o));
	ck_assert_int_eq(errno, EINVAL);
	ck_assert_ptr_null(sm_ephemeron_new(m, o, NULL));
	ck_assert_ptr_null(sm_ephemeron_new(m, (char *)o + 8, o));
	ck_assert_ptr_null(sm_ephemeron_new(m, o, (char *)o + 8));
	ck_assert_ptr_null(sm_ephemeron_new(m, o, root));
	teardown();
}
END_TEST

/* A finalizer resurrects the key: the value was let go before, as weak references are. */
static _Atomic(int) ran;

static void resurrect(void *ctx, struct sm_mutator *fm, void *object)
{
	(void)ctx;
	sm_store(fm, &root[3], object);
	ran++;
}

static __attribute__((noinline)) struct sm_ephemeron *finalized(struct sm_weak **value)
{
	struct sm_ephemeron *e = one(&root[0], value);

	ck_assert_int_eq(sm_finalizer_set(m, root[0], resurrect, NULL, NULL), 0);
	sm_store(m, &root[0], NULL);
	return e;
}

START_TEST(a_resurrected_key)
{
	struct sm_weak *value;
	struct sm_ephemeron *e;

	setup(_i);
	e = finalized(&value);
	for (int i = 0; i < 3; i++) {
		collect();
		sm_finalizer_wait(gc, m);
	}
	ck_assert(!SURE || ran == 1);
	if (ran) {
		ck_assert_ptr_nonnull(root[3]);
		ck_assert(!has_value(e));
		ck_assert(!SURE || !lives(value));
	}
	sm_ephemeron_free(m, e);
	sm_weak_free(m, value);
	teardown();
}
END_TEST

/* ---- chains ------------------------------------------------------------------------------- */

enum order { FORWARD, BACKWARD, MIXED, ORDERS };
enum link { DIRECT, BY_A_NODE, WITHOUT_POINTERS, BY_AN_ARRAY, LINKS };

/* Value i leads to key i + 1. Links of key i: how many of the chain's objects there are for one
 * ephemeron. */
static __attribute__((noinline)) void chain(unsigned n, enum order order, enum link link,
					    struct sm_ephemeron **e)
{
	void **keep = sm_new_array(m, sm_type_pointers(gc, 1), n + 1);

	sm_store(m, &root[7], keep);
	for (unsigned i = 0; i <= n; i++)
		sm_store(m, &((void **)root[7])[i],
			 sm_new(m, link == WITHOUT_POINTERS ? leaf : node));
	for (unsigned j = 0; j < n; j++) {
		unsigned i = order == FORWARD ? j : order == BACKWARD ? n - 1 - j : j * 7919u % n;
		void **keys = root[7], **value = keys[i + 1];

		if (link == BY_A_NODE || link == BY_AN_ARRAY) {
			value = link == BY_A_NODE ? sm_new(m, node)
						  : sm_new_array(m, sm_type_pointers(gc, 1), 20);
			sm_store(m, &value[1], ((void **)root[7])[i + 1]);
		}
		keys = root[7];
		e[i] = sm_ephemeron_new(m, keys[i], value);
		if (e[i] == NULL)
			ck_abort_msg("no ephemeron");
	}
	sm_store(m, &root[0], ((void **)root[7])[0]);
	sm_store(m, &root[7], NULL);
}

static uint64_t looks;

static unsigned alive(struct sm_ephemeron **e, unsigned n)
{
	unsigned alive_ones = 0;

	for (unsigned i = 0; i < n; i++)
		alive_ones += has_value(e[i]);
	return alive_ones;
}

/* Work: looks at ephemerons. In a chain the wrong way round passes alone would make n * n / 2 of
 * them. */
START_TEST(chains_take_linear_work)
{
	unsigned n = (unsigned)sm_test_scaled(20000) | 1;
	struct sm_ephemeron **e = calloc(n, sizeof(struct sm_ephemeron *));

	n -= n % 7919 == 0; /* MIXED goes through all */
	setup(_i % 2);
	chain(n, (enum order)(_i / 2 % ORDERS), (enum link)(_i / 2 / ORDERS), e);
	for (int round = 0; round < 2; round++) {
		collect();
		looks = gc->ephemerons.looks;
		ck_assert_uint_eq(alive(e, n), n);
		ck_assert_msg(looks <= 16 * (uint64_t)n, "%lu looks at %u ephemerons",
			      (unsigned long)looks, n);
	}
	sm_store(m, &root[0], NULL);
	collect();
	collect();
	ck_assert(!SURE || alive(e, n) == 0);
	for (unsigned i = 0; i < n; i++)
		sm_ephemeron_free(m, e[i]);
	free(e);
	teardown();
}
END_TEST

/* ---- beside cycles ------------------------------------------------------------------------ */

static _Atomic(int) stop;

/* Makes, gets, keeps, frees; what it gets is whole. */
static void *user(void *arg)
{
	struct sm_mutator *me = sm_mutator_attach(gc);
	uint64_t rs = (uintptr_t)arg + 3;
	struct sm_ephemeron *e[32] = {NULL};

	while (!stop) {
		unsigned at = (unsigned)(gctest_random(&rs) % 32),
			 slot = (unsigned)(gctest_random(&rs) % 7);
		uintptr_t *v;

		if (e[at] == NULL) {
			uintptr_t *key = sm_new(me, node);

			v = sm_new(me, node);
			v[2] = 0xf1;
			e[at] = sm_ephemeron_new(me, key, v);
			if (gctest_random(&rs) % 2)
				sm_store(me, &root[slot], key);
		} else if (gctest_random(&rs) % 4 == 0) {
			sm_ephemeron_free(me, e[at]);
			e[at] = NULL;
		} else {
			v = sm_ephemeron_get(me, e[at]);
			if (v && v[2] != 0xf1)
				abort();
			for (int i = 0; i < 30; i++)
				((uintptr_t *)sm_new(me, node))[2] = 0xbad;
			if (v && v[2] != 0xf1)
				abort();
			if (v)
				sm_store(me, &root[slot], v);
		}
		if (gctest_random(&rs) % 64 == 0)
			sm_store(me, &root[slot], NULL);
	}
	for (unsigned i = 0; i < 32; i++)
		sm_ephemeron_free(me, e[i]);
	sm_mutator_detach(me);
	return NULL;
}

START_TEST(beside_cycles)
{
	pthread_t t[3];

	setup(_i);
	for (long i = 0; i < 3; i++)
		pthread_create(&t[i], NULL, user, (void *)i);
	for (unsigned long i = 0; i < sm_test_scaled(30); i++)
		sm_collect(gc, m);
	stop = 1;
	sm_blocking_enter(m);
	for (int i = 0; i < 3; i++)
		pthread_join(t[i], NULL);
	sm_blocking_leave(m);
	teardown();
}
END_TEST

/*
 * The barrier. The value is on an unscanned stack alone when the ephemeron is made, and gone from
 * there before the scan; the key lives.
 */
static void *collect_once(void *arg)
{
	sm_collect(gc, NULL);
	return arg;
}

static __attribute__((noinline)) struct sm_ephemeron *pair_up(uintptr_t value)
{
	return sm_ephemeron_new(m, root[0], (void *)~value);
}

START_TEST(made_before_the_scan)
{
	struct sm_weak *witness;
	struct sm_ephemeron *e;
	uintptr_t value;
	pthread_t t;

	setup(1);
	sm_store(m, &root[0], sm_new(m, node));
	value = step_hidden(m, node, &witness);
	gctest_clear_stack();
	pthread_create(&t, NULL, collect_once, NULL);
	step_past(m, SM_HS_BLACK);
	e = pair_up(value);
	gctest_clear_stack();
	sm_blocking_enter(m);
	pthread_join(t, NULL);
	sm_blocking_leave(m);
	ck_assert(has_value(e));
	ck_assert(lives(witness));
	sm_ephemeron_free(m, e);
	sm_weak_free(m, witness);
	teardown();
}
END_TEST

int main(void)
{
	return SM_SUITE("ephemeron", 60, SM_LOOP(a_value_lives_while_its_key_does, 0, 2),
			SM_LOOP(freed_and_other_reasons, 0, 2), SM_LOOP(cycles_keep_nothing, 0, 8),
			SM_T(what_is_refused), SM_LOOP(a_resurrected_key, 0, 2),
			SM_LOOP(chains_take_linear_work, 0, 2 * ORDERS * LINKS),
			SM_LOOP(beside_cycles, 0, 2), SM_T(made_before_the_scan));
}
