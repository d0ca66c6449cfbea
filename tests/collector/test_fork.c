/*
 * test_fork: fork in every phase of a cycle; the child goes on with the heap and collects nothing,
 * the parent notices nothing.
 */
#include <errno.h>
#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

#include "spanmark/malloc.h"
#include "spanmark/stack.h"
#include "collector/cycle/gc_internal.h"
#include "tests/support/gctest.h"
#include "tests/support/run.h"
#include "tests/support/scale.h"

static struct sm_gc *gc;
static _Atomic(int) stop;
static void *shared[64];

/* Large enough for spans of their own. */
static size_t large_size(uint64_t r)
{
	return 33 * SM_KIB + (size_t)(r % (r % 2 ? SM_MIB : 200 * SM_KIB));
}

/* Keeps cycles, barriers, windows, sweeping and the page heap busy. */
static void *churn(void *arg)
{
	struct sm_mutator *m = sm_mutator_attach(gc);
	const struct sm_type *t = sm_type_prefix(gc, 64, 4);
	uint64_t rs = (uintptr_t)arg + 99;
	struct sm_stack stack;

	while (!stop) {
		void **o = sm_new(m, t);

		if (o == NULL)
			abort();
		sm_store(m, &o[0], sm_load(&shared[gctest_random(&rs) % 64]));
		sm_store(m, &shared[gctest_random(&rs) % 64], gctest_random(&rs) % 4 ? o : NULL);
		sm_new_bytes(m, gctest_random(&rs) % 4000);
		if (gctest_random(&rs) % 64 == 0 &&
		    sm_new_bytes(m, large_size(gctest_random(&rs))) == NULL)
			abort();
		if (gctest_random(&rs) % 256 == 0 &&
		    sm_stack_alloc(sm_gc_heap(gc), 0, 65536, &stack) == 0)
			sm_stack_free(sm_gc_heap(gc), &stack);
	}
	sm_mutator_detach(m);
	return NULL;
}

/* Large objects of the child: each whole, and none in another. */
static bool use_large(struct sm_mutator *m)
{
	uint64_t *o[16], rs = 7;
	size_t words[16];

	for (unsigned i = 0; i < 16; i++) {
		size_t size = large_size(gctest_random(&rs));

		o[i] = sm_new_bytes(m, size);
		if (o[i] == NULL)
			return false;
		words[i] = size / 8;
		for (size_t w = 0; w < words[i]; w += 64)
			o[i][w] = i * 1000003u + w;
		o[i][words[i] - 1] = i;
	}
	for (unsigned i = 0; i < 16; i++) {
		for (size_t w = 0; w + 1 < words[i]; w += 64)
			if (o[i][w] != i * 1000003u + w)
				return false;
		if (o[i][words[i] - 1] != i)
			return false;
	}
	return true;
}

/* In the child: 0 when all is as the policy says. */
static int use_heap(struct sm_mutator *m, void **mine)
{
	const struct sm_type *t = sm_type_prefix(gc, 64, 4);
	struct sm_stack stack;

	for (unsigned long i = sm_test_scaled(5000); i > 0; i--) {
		void **o = sm_new(m, t);

		if (o == NULL || o[0] || o[3])
			return 2;
		sm_store(m, &o[0], mine);
		sm_store(m, &shared[i % 64], o);
	}
	if (sm_collect(gc, m) != -ENOTSUP)
		return 3;
	if ((uintptr_t)mine[5] != 0x1234)
		return 4;
	if (!use_large(m))
		return 5;
	if (sm_stack_alloc(sm_gc_heap(gc), 0, 65536, &stack) != 0)
		return 6;
	memset(stack.low, 1, stack.bytes);
	sm_stack_free(sm_gc_heap(gc), &stack);
	sm_mutator_detach(m);
	/* Neither waits for a thread that is not here. */
	sm_gc_destroy(gc);
	return 0;
}

static const struct {
	const char *mode, *more;
	uint32_t phases; /* that can be met */
} cases[] = {
	{"gc.mode=concurrent", "gc.delay_us=100", 0x1f},
	{"gc.mode=concurrent", "pageheap=bitmap", 0x1f},
	{"gc.mode=concurrent", "cache.mode=cpu", 0x1f},
	/* While the world stands still only a thread in a blocking section can fork. */
	{"gc.mode=stw", "gc.delay_us=0",
	 1u << SM_GC_OFF | 1u << SM_GC_MARKING | 1u << SM_GC_SWEEPING},
};

/*
 * Waits a moment for the phase; true: it is on, or was a moment ago. Where there is one CPU the
 * collector has it only while we sleep, and may lose it in any phase when we wake.
 */
static bool meet(struct sm_mutator *m, unsigned phase, bool blocked)
{
	static uint64_t rs = 1;

	for (int i = 0; i < 20000; i++) {
		if (i % 1000 == 999)
			usleep(gctest_random(&rs) % 200);
		if (sm_load_relaxed(&gc->phase) == phase)
			return true;
		if (!blocked)
			sm_safepoint(m);
		sm_cpu_relax();
	}
	return false;
}

static void fork_once(struct sm_mutator *m, void **mine, bool blocked)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		alarm(60);
		if (blocked)
			sm_blocking_leave(m);
		_exit(use_heap(m, mine));
	}
	ck_assert_int_gt(pid, 0);
	if (!blocked)
		sm_blocking_enter(m);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	if (!blocked)
		sm_blocking_leave(m);
	ck_assert_msg(status == 0, "a child ended with status %#x", status);
}

/* Goes on until there were enough forks in each phase that can be met. */
START_TEST(in_any_phase)
{
	unsigned met[5] = {0}, left;
	/* Running and blocked at least. */
	unsigned forks = sm_test_scaled(4) > 2 ? (unsigned)sm_test_scaled(4) : 2;
	struct sm_mutator *m;
	void **volatile mine;
	pthread_t t[3];

	stop = 0;
	gc = GCTEST(cases[_i].mode, cases[_i].more, "gc.min_heap=1m", "scavenge.interval=1");
	ck_assert_int_eq(sm_root_add(gc, shared, 64), 0);
	m = sm_mutator_attach(gc);
	mine = sm_new(m, sm_type_prefix(gc, 64, 4));
	mine[5] = (void *)0x1234;
	for (long i = 0; i < 3; i++)
		pthread_create(&t[i], NULL, churn, (void *)i);
	do {
		left = 0;
		for (unsigned phase = 0; phase < 5; phase++) {
			bool blocked = met[phase] % 2 || strcmp(cases[_i].mode, "gc.mode=stw") == 0;

			if (!(cases[_i].phases >> phase & 1) || met[phase] == forks)
				continue;
			left++;
			if (blocked)
				sm_blocking_enter(m);
			if (meet(m, phase, blocked)) {
				met[phase]++;
				fork_once(m, mine, blocked);
			}
			if (blocked)
				sm_blocking_leave(m);
		}
	} while (left != 0);
	stop = 1;
	sm_blocking_enter(m);
	for (int i = 0; i < 3; i++)
		pthread_join(t[i], NULL);
	sm_blocking_leave(m);
	ck_assert_uint_eq((uintptr_t)mine[5], 0x1234);
	sm_root_remove(gc, shared);
	gctest_destroy(gc, m);
}
END_TEST

/* Marks as a marker does that is copied in the middle: entries in both packets and in those for
 * other nodes. */
static void leave_half_done(struct sm_marker *k)
{
	for (unsigned i = 0; i < 3; i++)
		sm__mark_push_entry(k, 8);
	k->taking = sm__workq_empty(&gc->workq);
	k->take_first = k->taking->entry;
	k->take = k->take_first + 1;
	if (k->out)
		k->out[1] = k->packet;
}

static void make_whole(struct sm_marker *k)
{
	k->next = k->first;
	k->take = k->take_first;
	if (k->out)
		k->out[1] = NULL;
}

/* The child ends the heap, though no thread will ever finish what the collector's threads were
 * doing when it was copied. */
START_TEST(markers_half_done)
{
	struct sm_mutator *m;
	void **mine;
	int status;
	pid_t pid;

	gc = GCTEST("gc.workers=2", "gc.min_heap=64m"); /* no cycle begins by itself */
	ck_assert_int_eq(sm_root_add(gc, shared, 64), 0);
	m = sm_mutator_attach(gc);
	mine = sm_new(m, sm_type_prefix(gc, 64, 4));
	mine[5] = (void *)0x1234;
	leave_half_done(&gc->marker);
	leave_half_done(&gc->root_marker);
	leave_half_done(&gc->workers[1].marker);
	pid = fork();
	if (pid == 0) {
		alarm(60);
		_exit(use_heap(m, mine));
	}
	ck_assert_int_gt(pid, 0);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
	make_whole(&gc->marker);
	make_whole(&gc->root_marker);
	make_whole(&gc->workers[1].marker);
	sm_root_remove(gc, shared);
	gctest_destroy(gc, m);
}
END_TEST

START_TEST(while_blocked)
{
	struct sm_mutator *m;
	int status;
	pid_t pid;

	gc = GCTEST("gc.min_heap=1m");
	m = sm_mutator_attach(gc);
	sm_blocking_enter(m);
	pid = fork();
	if (pid == 0) {
		alarm(60);
		sm_blocking_leave(m);
		_exit(sm_new_bytes(m, 100) ? 0 : 1);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
	sm_blocking_leave(m);
	gctest_destroy(gc, m);
}
END_TEST

/* Every node's queue and page heap is locked meanwhile; debug builds keep account of each lock. */
START_TEST(on_many_nodes)
{
	struct sm_gc_config cfg;
	char err[200] = "";
	struct sm_mutator *m;
	int status;
	pid_t pid;

	sm_gc_config_init(&cfg);
	cfg.heap.nnodes = SM_MAX_NODES;
	ck_assert_int_eq(sm_gc_config_set(&cfg, "numa", "bind:0", err, sizeof(err)), 0);
	gc = sm_gc_create(&cfg, err, sizeof(err));
	ck_assert_msg(gc != NULL, "%s", err);
	m = sm_mutator_attach(gc);
	pid = fork();
	if (pid == 0) {
		alarm(60);
		_exit(sm_new_bytes(m, 100) && use_large(m) ? 0 : 1);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
	gctest_destroy(gc, m);
}
END_TEST

/* The locks of two collected heaps and malloc's are held at once: each heap's in its own order. */
START_TEST(many_heaps)
{
	struct sm_gc *other;
	struct sm_mutator *m, *n;
	void *before = sm_malloc(100);
	int status;
	pid_t pid;

	gc = GCTEST("gc.min_heap=1m");
	other = GCTEST("gc.min_heap=1m");
	m = sm_mutator_attach(gc);
	n = sm_mutator_attach(other);
	for (int round = 0; round < 3; round++) {
		pid = fork();
		if (pid == 0) {
			alarm(60);
			sm_free(before);
			_exit(sm_new_bytes(m, 100) && use_large(m) && sm_new_bytes(n, 100) &&
					      use_large(n) && sm_malloc(100)
				      ? 0
				      : 1);
		}
		ck_assert_int_eq(waitpid(pid, &status, 0), pid);
		ck_assert_int_eq(status, 0);
		ck_assert(sm_new_bytes(m, 100) && sm_new_bytes(n, 100));
	}
	sm_free(before);
	sm_mutator_detach(n);
	sm_gc_destroy(other);
	gctest_destroy(gc, m);
}
END_TEST

int main(void)
{
	return SM_SUITE("fork", 100, SM_LOOP(in_any_phase, 0, sizeof(cases) / sizeof(cases[0])),
			SM_T(markers_half_done), SM_T(while_blocked), SM_T(on_many_nodes),
			SM_T(many_heaps));
}
