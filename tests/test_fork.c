/*
 * test_fork: fork in every phase of a cycle; the child goes on with the heap and collects nothing, the parent
 * notices nothing.
 */
#include <errno.h>
#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

#include "collector/gc_priv.h"
#include "tests/support/gctest.h"
#include "tests/support/run.h"

static struct sm_gc *gc;
static _Atomic(int) stop;
static void *shared[64];

/* Keeps cycles, barriers, windows and sweeping busy. */
static void *churn(void *arg)
{
	struct sm_mutator *m = sm_mutator_attach(gc);
	const struct sm_type *t = sm_type_prefix(gc, 64, 4);
	uint64_t rs = (uintptr_t)arg + 99;

	while (!stop) {
		void **o = sm_new(m, t);

		if (o == NULL)
			abort();
		sm_store(m, &o[0], sm_load(&shared[gctest_random(&rs) % 64]));
		sm_store(m, &shared[gctest_random(&rs) % 64], gctest_random(&rs) % 4 ? o : NULL);
		sm_new_bytes(m, gctest_random(&rs) % 4000);
	}
	sm_mutator_detach(m);
	return NULL;
}

/* In the child: 0 when all is as the policy says. */
static int use_heap(struct sm_mutator *m, void **mine)
{
	const struct sm_type *t = sm_type_prefix(gc, 64, 4);

	for (int i = 0; i < 20000; i++) {
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
	sm_mutator_detach(m);
	return 0;
}

START_TEST(in_any_phase)
{
	pthread_t t[3];
	struct sm_mutator *m;
	void **volatile mine;
	unsigned phases = 0;

	gc = GCTEST(_i ? "gc.mode=stw" : "gc.mode=concurrent", "gc.min_heap=1m");
	ck_assert_int_eq(sm_root_add(gc, shared, 64), 0);
	m = sm_mutator_attach(gc);
	mine = sm_new(m, sm_type_prefix(gc, 64, 4));
	mine[5] = (void *)0x1234;
	for (long i = 0; i < 3; i++)
		pthread_create(&t[i], NULL, churn, (void *)i);
	for (int i = 0; i < 60; i++) {
		int status;
		pid_t pid;

		/* A different moment each time; what was met is printed at the end. */
		usleep((useconds_t)(i * 37 % 700));
		sm_safepoint(m);
		phases |= 1u << sm_load_relaxed(&gc->phase);
		pid = fork();
		if (pid == 0) {
			alarm(20);
			_exit(use_heap(m, mine));
		}
		ck_assert_int_gt(pid, 0);
		sm_blocking_enter(m);
		ck_assert_int_eq(waitpid(pid, &status, 0), pid);
		sm_blocking_leave(m);
		ck_assert_msg(status == 0, "child %d: status %#x", i, status);
	}
	printf("phases met: %#x\n", phases);
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
		alarm(20);
		sm_blocking_leave(m);
		_exit(sm_new_bytes(m, 100) ? 0 : 1);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
	sm_blocking_leave(m);
	gctest_destroy(gc, m);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("fork");
	TCase *c = tcase_create("fork");

	tcase_set_timeout(c, 60);
	tcase_add_loop_test(c, in_any_phase, 0, 2);
	tcase_add_test(c, while_blocked);
	suite_add_tcase(s, c);
	return sm_test_run(s);
}
