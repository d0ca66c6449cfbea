/*
 * test_limit: with heap.limit, allocation fails when what is alive leaves no room, and only then:
 * not because other threads took what a cycle had freed, nor because one woke up late. And when it
 * fails it does so after a bounded number of cycles.
 */
#include <errno.h>
#include <pthread.h>

#include "collector/cycle/gc_internal.h"
#include "tests/support/gctest.h"
#include "tests/support/run.h"
#include "tests/support/scale.h"

static struct sm_gc *gc;
static _Atomic(unsigned long) refused, made;
static unsigned long bytes_each;

/* Garbage from the start. */
static void *spender(void *arg)
{
	struct sm_mutator *m = sm_mutator_attach(gc);
	uint64_t rs = (uintptr_t)arg * 31 + 7;
	unsigned long spent = 0;

	while (m && spent < bytes_each) {
		size_t size = gctest_random(&rs) % 16 ? 64 << gctest_random(&rs) % 3 : 40000;
		void *p = sm_new_bytes(m, size);

		made++;
		refused += p == NULL;
		spent += size;
		sm_safepoint(m);
	}
	if (m)
		sm_mutator_detach(m);
	return NULL;
}

static const struct {
	const char *mode, *limit;
	unsigned threads;
} cases[] = {
	{"gc.mode=concurrent", "heap.limit=8m", 1},   {"gc.mode=concurrent", "heap.limit=12m", 2},
	{"gc.mode=concurrent", "heap.limit=24m", 8},  {"gc.mode=concurrent", "heap.limit=64m", 32},
	{"gc.mode=concurrent", "heap.limit=96m", 64}, {"gc.mode=stw", "heap.limit=24m", 8},
};

/*
 * A cycle in which hardly anything is alive and nothing is born, but windows go back: what went
 * back is no negative birth, which would be a goal of 2^64 bytes and the last cycle there is.
 */
START_TEST(a_cycle_of_next_to_nothing)
{
	static const char *const modes[] = {"concurrent", "stw"};
	struct sm_gc_config cfg;
	struct sm_gc_stats st;
	struct sm_mutator *m;

	sm_gc_config_init(&cfg);
	ck_assert_int_eq(sm_gc_config_set(&cfg, "gc.mode", modes[_i], NULL, 0), 0);
	gc = sm_gc_create(&cfg, NULL, 0);
	m = sm_mutator_attach(gc);
	for (size_t size = 16; size <= 4096; size *= 2) /* a window each */
		(void)sm_new_bytes(m, size);
	sm_collect(gc, m);
	sm_gc_stats(gc, &st);
	ck_assert_uint_lt(st.last_heap_after, 1ul << 30);
	ck_assert_uint_lt(st.last_goal, 1ul << 30);
	ck_assert_uint_lt(st.live_bytes, 1ul << 30);
	for (int i = 0; i < 1000000; i++) /* half a GiB of garbage */
		(void)sm_new_bytes(m, 512);
	sm_gc_stats(gc, &st);
	ck_assert_uint_gt(st.cycles, 1);
	sm_mutator_detach(m);
	sm_gc_destroy(gc);
}
END_TEST

START_TEST(nothing_is_alive)
{
	pthread_t t[64];
	unsigned n = cases[_i].threads;

	bytes_each = sm_test_scaled(160) * SM_MIB / n;
	gc = GCTEST(cases[_i].mode, cases[_i].limit, "gc.percent=0");
	for (uintptr_t i = 0; i < n; i++)
		ck_assert_int_eq(pthread_create(&t[i], NULL, spender, (void *)i), 0);
	for (unsigned i = 0; i < n; i++)
		pthread_join(t[i], NULL);
	ck_assert_msg(refused == 0, "%lu of %lu refused", refused, made);
	gctest_destroy(gc, NULL);
}
END_TEST

/* ---- no room ------------------------------------------------------------------------------ */

static _Atomic(unsigned) full;
static unsigned keepers;

/* Keeps all that it gets, until there is no more, and again. */
static void *keeper(void *arg)
{
	struct sm_mutator *m = sm_mutator_attach(gc);
	const struct sm_type *cell = sm_type_prefix(gc, 1000, 1);
	void **list = NULL;
	unsigned long refusals = 0;

	(void)arg;
	while (refusals < 5) {
		void **p;

		errno = 0;
		p = sm_new(m, cell);
		if (p == NULL) {
			if (errno != ENOMEM)
				abort();
			refusals++;
			continue;
		}
		sm_store(m, p, list);
		list = p;
	}
	full++;
	/* It stays full until all have seen that it is. */
	while (full < keepers) {
		sm_blocking_enter(m);
		sched_yield();
		sm_blocking_leave(m);
		__asm__ volatile("" ::"r"(list) : "memory");
	}
	sm_mutator_detach(m);
	return NULL;
}

START_TEST(all_is_alive)
{
	pthread_t t[8];
	uint32_t cycles;

	keepers = _i ? 8 : 1;
	gc = GCTEST("heap.limit=16m", "gc.percent=0");
	for (uintptr_t i = 0; i < keepers; i++)
		ck_assert_int_eq(pthread_create(&t[i], NULL, keeper, NULL), 0);
	for (unsigned i = 0; i < keepers; i++)
		pthread_join(t[i], NULL);
	ck_assert_uint_eq(full, keepers);
	cycles = gctest_stats(gc).cycles;
	/* A few for each refusal; those of others count for all. */
	ck_assert_msg(cycles <= 5 * keepers * 6, "%u cycles", cycles);
	gctest_destroy(gc, NULL);
}
END_TEST

int main(void)
{
	return SM_SUITE("limit", 60, SM_LOOP(a_cycle_of_next_to_nothing, 0, 2),
			SM_LOOP(nothing_is_alive, 0, sizeof(cases) / sizeof(cases[0])),
			SM_LOOP(all_is_alive, 0, 2));
}
