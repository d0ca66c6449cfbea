/*
 * test_thread_life: the library's threads and the program's signals and CPUs; a mutator's birth and end in all the ways in
 * which threads begin and end.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "allocator/os/osthread.h"
#include "collector/gc_priv.h"
#include "tests/support/gctest.h"
#include "tests/support/run.h"
#include "tests/support/scale.h"

static struct sm_gc *gc;

/* ---- the library's own threads -------------------------------------------------------------------------------- */

static void finalize(void *ctx, struct sm_mutator *m, void *object)
{
	(void)ctx;
	(void)m;
	(void)object;
}

/* One of each kind: control, dedicated, fractional and idle workers, scavenger, finalizer. */
static struct sm_mutator *all_threads(void)
{
	struct sm_mutator *m;

	gc = GCTEST("gc.workers=2", "gc.fractional=10", "gc.idle_workers=1");
	m = sm_mutator_attach(gc);
	ck_assert_int_eq(sm_finalizer_set(m, sm_new(m, sm_type_prefix(gc, 64, 1)), finalize, NULL), 0);
	return m;
}

/* The mask of blocked signals that the kernel has for the thread; 0: it is gone. */
static unsigned long long blocked_in(const char *tid)
{
	char path[300], line[200];
	unsigned long long mask = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/self/task/%s/status", tid);
	f = fopen(path, "r");
	while (f && fgets(line, sizeof(line), f))
		sscanf(line, "SigBlk: %llx", &mask);
	if (f)
		fclose(f);
	return mask;
}

START_TEST(own_threads_take_no_signals)
{
	static const int program[] = {SIGTERM, SIGINT, SIGHUP, SIGCHLD, SIGALRM, SIGUSR1, SIGURG, SIGPROF};
	struct sm_mutator *m = all_threads();
	int threads = 0;
	DIR *d = opendir("/proc/self/task");
	struct dirent *e;
	sigset_t own;

	ck_assert_ptr_nonnull(d);
	while ((e = readdir(d)) != NULL) {
		unsigned long long mask = 0;

		if (e->d_name[0] == '.' || atoi(e->d_name) == getpid())
			continue;
		threads++;
		/* A thread that is being made blocks everything for a moment. */
		for (int tries = 0; tries < 1000; tries++) {
			mask = blocked_in(e->d_name);
			if ((mask >> (SIGSEGV - 1) & 1) == 0)
				break;
			usleep(1000);
		}
		ck_assert_msg((mask >> (SIGSEGV - 1) & 1) == 0, "thread %s blocks its own faults", e->d_name);
		for (size_t i = 0; i < sizeof(program) / sizeof(program[0]); i++)
			ck_assert_msg(mask >> (program[i] - 1) & 1, "thread %s takes signal %d", e->d_name,
				      program[i]);
	}
	closedir(d);
	ck_assert_int_ge(threads, 7);
	/* And this thread is as it was. */
	ck_assert_int_eq(pthread_sigmask(SIG_SETMASK, NULL, &own), 0);
	ck_assert_int_eq(sigismember(&own, SIGTERM), 0);
	gctest_destroy(gc, m);
}
END_TEST

START_TEST(cpus_are_those_of_the_mask)
{
	cpu_set_t all, one;
	int cpu = sched_getcpu();

	ck_assert_int_eq(sched_getaffinity(0, sizeof(all), &all), 0);
	ck_assert_uint_eq(sm__os_cpus(), (unsigned)CPU_COUNT(&all));
	CPU_ZERO(&one);
	CPU_SET(cpu, &one);
	ck_assert_int_eq(sched_setaffinity(0, sizeof(one), &one), 0);
	ck_assert_uint_eq(sm__os_cpus(), 1);
	gc = GCTEST(NULL);
	ck_assert_uint_eq(gc->cpus, 1);
	ck_assert_uint_eq(gc->nworkers, 1);
	gctest_destroy(gc, NULL);
}
END_TEST

/* ---- reports -------------------------------------------------------------------------------------------------- */

static _Atomic(int) stop, ready;

static void *stubborn(void *arg)
{
	struct sm_mutator *m = sm_mutator_attach(gc);

	ready = 1;
	while (!stop)
		usleep(1000);
	sm_mutator_detach(m);
	return arg;
}

static void *collect_once(void *arg)
{
	sm_collect(gc, NULL);
	return arg;
}

/* Standard error is a full pipe: the control thread waits in write, and threads come and go all the same. */
START_TEST(a_blocked_report_blocks_nobody)
{
	char page[4096] = "";
	int err[2], saved = dup(2), fill;
	pthread_t t, c;

	gc = GCTEST("gc.signal_ms=1", "gc.report_ms=5");
	pthread_create(&t, NULL, stubborn, NULL);
	while (!ready)
		usleep(100);
	ck_assert_int_eq(pipe(err), 0);
	fill = fcntl(err[1], F_GETFL);
	fcntl(err[1], F_SETFL, fill | O_NONBLOCK);
	while (write(err[1], page, sizeof(page)) > 0)
		;
	fcntl(err[1], F_SETFL, fill);
	dup2(err[1], 2);
	pthread_create(&c, NULL, collect_once, NULL);
	while (sm_load_relaxed((_Atomic(uint64_t) *)&gc->hs.late) == 0)
		usleep(1000);
	usleep(20000);
	for (int i = 0; i < 10; i++) {
		struct sm_mutator *m = sm_mutator_attach(gc);

		ck_assert_ptr_nonnull(m);
		sm_mutator_detach(m);
	}
	stop = 1;
	pthread_join(t, NULL);
	while (read(err[0], page, sizeof(page)) == (ssize_t)sizeof(page))
		;
	pthread_join(c, NULL);
	dup2(saved, 2);
	gctest_destroy(gc, NULL);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("thread life");
	TCase *c = tcase_create("threads");

	tcase_set_timeout(c, 60);
	tcase_add_test(c, own_threads_take_no_signals);
	tcase_add_test(c, cpus_are_those_of_the_mask);
	tcase_add_test(c, a_blocked_report_blocks_nobody);
	suite_add_tcase(s, c);
	return sm_test_run(s);
}
