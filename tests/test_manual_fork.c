/*
 * test_manual_fork: a process that forks at the very moment when another of its threads makes the manual heap. The child
 * must find it whole or not at all, and never wait for a thread that it does not have.
 */
#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

#include "allocator/atomic.h"
#include "allocator/malloc.h"
#include "tests/support/run.h"

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

	alarm(20); /* a child that hangs dies of it */
	p = sm_malloc(100);
	if (p == NULL)
		return 1;
	sm_free(p);
	return 0;
}

/* In a process without a heap: one thread makes it while this one forks. Its exit status is the child's. */
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
	for (unsigned i = 0; i < 200; i++) {
		int status;
		pid_t pid = fork(); /* the heap is made once in a process, hence a process a round */

		ck_assert_int_ge(pid, 0);
		if (pid == 0)
			_exit(race(i % 20 * 100));
		ck_assert_int_eq(waitpid(pid, &status, 0), pid);
		if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
			ck_abort_msg("round %u: status %#x", i, status);
	}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("manual_fork");
	TCase *c = tcase_create("manual_fork");

	tcase_set_timeout(c, 60);
	tcase_add_test(c, a_fork_meets_the_first_allocation);
	suite_add_tcase(s, c);
	return sm_test_run(s);
}
