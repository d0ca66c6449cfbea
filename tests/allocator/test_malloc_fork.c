/*
 * test_malloc_fork: a process that forks at the very moment when another of its threads makes the
 * malloc heap, or is anywhere in it. The child must find it whole or not at all, and never wait for
 * a thread that it does not have.
 */
#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

#include "allocator/base/atomic.h"
#include "allocator/objects/heap.h"
#include "spanmark/malloc.h"
#include "tests/support/run.h"
#include "tests/support/scale.h"

static _Atomic(int) go;

static void *allocate_first(void *arg)
{
	while (!sm_load_acquire(&go))
		;
	for (volatile unsigned spin = *(unsigned *)arg; spin > 0; spin--)
		;
	sm_free(sm_malloc(64));
	return NULL;
}

/* What the forked child does: 0 when the heap works there. */
static int use_heap(void)
{
	void *p;

	alarm(60); /* a child that hangs dies of it */
	p = sm_malloc(100);
	if (p == NULL)
		return 1;
	sm_free(p);
	return 0;
}

/* In a process without a heap: one thread makes it while this one forks. Its exit status is the
 * child's. */
static int race(unsigned spin)
{
	pthread_t t;
	int status = -1;
	pid_t pid;

	if (pthread_create(&t, NULL, allocate_first, &spin) != 0)
		return 2;
	sm_store_release(&go, 1);
	pid = fork();
	if (pid == 0)
		_exit(use_heap());
	pthread_join(t, NULL);
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return 3;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 4;
}

START_TEST(a_fork_meets_the_first_allocation)
{
	for (unsigned i = 0; i < sm_test_scaled(200); i++) {
		int status;
		/* the heap is made once in a process, hence a process a round */
		pid_t pid = fork();

		ck_assert_int_ge(pid, 0);
		if (pid == 0)
			_exit(race(i % 20 * 100));
		ck_assert_int_eq(waitpid(pid, &status, 0), pid);
		if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
			ck_abort_msg("round %u: status %#x", i, status);
	}
}
END_TEST

/* ---- a fork in the middle of things ------------------------------------------------------- */

static _Atomic(bool) stop;

/* Spans come from the page heap and go back all the time: a list of 2 objects, spans of a few. */
static void *churn(void *arg)
{
	void *p[64];

	while (!sm_load_relaxed(&stop)) {
		for (int i = 0; i < 64; i++)
			p[i] = sm_malloc(20000);
		for (int i = 0; i < 64; i++)
			sm_free(p[i]);
		sm_malloc_trim();
	}
	return arg;
}

static int check_and_use(void)
{
	unsigned violations = sm_heap_check(sm_malloc_heap());

	return violations != 0 ? 5 : use_heap();
}

/*
 * Other threads are anywhere: between taking a span and putting it on its list, between unlisting
 * an empty one and giving it back. The child passes the whole check all the same.
 */
static void fork_among(const char *mode)
{
	char err[256];
	pthread_t t[3];

	ck_assert_int_eq(sm_malloc_configure("cache.mode", mode, err, sizeof(err)), 0);
	ck_assert_ptr_nonnull(sm_malloc_heap());
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(pthread_create(&t[i], NULL, churn, NULL), 0);
	for (unsigned long i = 0; i < sm_test_scaled(300); i++) {
		int status = -1;
		pid_t pid = fork();

		if (pid == 0)
			_exit(check_and_use());
		ck_assert_int_eq(waitpid(pid, &status, 0), pid);
		if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
			ck_abort_msg("fork %lu: status %#x", i, status);
	}
	sm_store_relaxed(&stop, true);
	for (int i = 0; i < 3; i++)
		pthread_join(t[i], NULL);
	ck_assert_uint_eq(sm_heap_check(sm_malloc_heap()), 0);
}

START_TEST(a_child_of_a_busy_process_passes_the_check)
{
	fork_among("thread");
}
END_TEST

/* Thousands of depots: every lock of them is held over the fork (and recorded, in hostile builds).
 */
START_TEST(so_it_does_with_many_nodes)
{
	static struct sm_heap_config map; /* made up: each is the system's node 0 */

	map.nnodes = 12;
	for (unsigned i = 0; i < SM_MAX_CPUS; i++)
		map.cpu_node[i] = (uint8_t)(i % map.nnodes);
	for (unsigned i = 0; i < map.nnodes; i++)
		for (unsigned j = 0; j < map.nnodes; j++)
			map.distance[i][j] = i == j ? 10 : 20;
	ck_assert_int_eq(sm_malloc_configure_nodes(&map), 0);
	fork_among("thread");
}
END_TEST

START_TEST(so_it_does_with_caches_per_cpu)
{
	fork_among("cpu"); /* per thread where there are no restartable sequences */
}
END_TEST

/* ---- caches of threads that stayed behind -------------------------------------------------- */

static _Atomic(int) arrived;

static void *hold_a_cache(void *arg)
{
	sm_free(sm_malloc(64));
	sm_fetch_add_acqrel(&arrived, 1);
	while (!sm_load_relaxed(&stop))
		usleep(1000);
	return arg;
}

static unsigned caches_with(unsigned more)
{
	struct sm_malloc_stats st;
	pthread_t t;

	sm_store_relaxed(&arrived, 0);
	for (unsigned i = 0; i < more; i++)
		if (pthread_create(&t, NULL, hold_a_cache, NULL) != 0)
			_exit(6);
	while (sm_load_acquire(&arrived) < (int)more)
		usleep(1000);
	sm_malloc_stats(&st);
	return st.caches;
}

/*
 * A thread of the child may get the stack of one that stayed in the parent, and find a cache that
 * was its: in the middle of whatever, so it is not taken apart.
 */
START_TEST(a_child_leaves_the_caches_of_others_alone)
{
	unsigned before = caches_with(3);
	int status = -1;
	pid_t pid = fork();

	ck_assert_uint_ge(before, 3);
	if (pid == 0) {
		alarm(60);
		_exit(caches_with(3) == before + 3 ? 0 : 1);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
	sm_store_relaxed(&stop, true);
}
END_TEST

int main(void)
{
	return SM_SUITE("malloc_fork", 60, SM_T(a_fork_meets_the_first_allocation),
			SM_T(a_child_of_a_busy_process_passes_the_check),
			SM_T(so_it_does_with_many_nodes), SM_T(so_it_does_with_caches_per_cpu),
			SM_T(a_child_leaves_the_caches_of_others_alone));
}
