/*
 * test_thread_life: the library's threads and the program's signals and CPUs; a mutator's birth and
 * end in all the ways in which threads begin and end.
 */
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include "allocator/os/osthread.h"
#include "collector/cycle/gc_internal.h"
#include "tests/support/gctest.h"
#include "tests/support/run.h"
#include "tests/support/scale.h"
#include "tests/support/skip.h"

static struct sm_gc *gc;

/* ---- the library's own threads ------------------------------------------------------------ */

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
	ck_assert_int_eq(
		sm_finalizer_set(m, sm_new(m, sm_type_prefix(gc, 64, 1)), finalize, NULL, NULL), 0);
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
	static const int program[] = {SIGTERM, SIGINT,	SIGHUP, SIGCHLD,
				      SIGALRM, SIGUSR1, SIGURG, SIGPROF};
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
		ck_assert_msg((mask >> (SIGSEGV - 1) & 1) == 0, "thread %s blocks its own faults",
			      e->d_name);
		for (size_t i = 0; i < sizeof(program) / sizeof(program[0]); i++)
			ck_assert_msg(mask >> (program[i] - 1) & 1, "thread %s takes signal %d",
				      e->d_name, program[i]);
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

/* ---- reports ------------------------------------------------------------------------------ */

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

/* Standard error is a full pipe: the control thread waits in write, and threads come and go all the
 * same. */
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
	while (sm_load_relaxed(&gc->hs.late) == 0)
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

/* ---- ends of threads ---------------------------------------------------------------------- */

static const struct sm_type *node;
static int way;

/* What a thread may be in the middle of when it ends. */
enum {
	RETURNS,
	EXITS,
	RETURNS_BLOCKED,
	EXITS_BLOCKED,
	CANCELLED_BLOCKED,
	CANCELLED,
	ATTACHED_TWICE,
	ENDS
};

static void *end_attached(void *arg)
{
	struct sm_mutator *m = sm_mutator_attach(gc);
	int p[2];
	char c;

	for (int i = 0; i < 1000; i++)
		ck_assert_ptr_nonnull(sm_new(m, node));
	if (way == ATTACHED_TWICE)
		ck_assert_ptr_eq(sm_mutator_attach(gc), m);
	if (way >= RETURNS_BLOCKED && way <= CANCELLED_BLOCKED)
		sm_blocking_enter(m);
	ready = 1;
	if (way == CANCELLED_BLOCKED && (pipe(p) != 0 || read(p[0], &c, 1) < 0))
		return NULL;
	while (way == CANCELLED) {
		pthread_testcancel();
		sm_safepoint(m);
	}
	if (way == EXITS || way == EXITS_BLOCKED)
		pthread_exit(arg);
	return arg;
}

static void *collect_all_the_time(void *arg)
{
	while (!stop)
		sm_collect(gc, NULL);
	return arg;
}

/* Its stack is too large for glibc to keep: it is gone when the next cycle looks. */
START_TEST(a_thread_ends_without_detaching)
{
	static const char *const modes[] = {"gc.mode=stw", "gc.mode=concurrent"};
	struct sm_mutator *m;
	pthread_attr_t attr;
	pthread_t t, c;

	way = _i / 2;
	/* It does not see a cancelled thread's frames go. */
	if (SM_ASAN && (way == CANCELLED || way == CANCELLED_BLOCKED))
		SM_SKIP("a sanitizer does not see a cancelled thread go");
	gc = GCTEST(modes[_i % 2], "gc.verify=1", "gc.min_heap=1m");
	m = sm_mutator_attach(gc);
	node = sm_type_prefix(gc, 32, 1);
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, 64 * SM_MIB);
	stop = 0;
	pthread_create(&c, NULL, collect_all_the_time, NULL);
	sm_blocking_enter(m);
	for (int i = 0; i < 20; i++) {
		ready = 0;
		ck_assert_int_eq(pthread_create(&t, &attr, end_attached, NULL), 0);
		while (!ready)
			usleep(100);
		if (way == CANCELLED || way == CANCELLED_BLOCKED)
			pthread_cancel(t);
		ck_assert_int_eq(pthread_join(t, NULL), 0);
	}
	stop = 1;
	pthread_join(c, NULL);
	sm_blocking_leave(m);
	ck_assert_uint_eq(gc->nmutators, 1);
	gctest_destroy(gc, m);
}
END_TEST

static pthread_key_t last_words;
static _Atomic(int) said;

static void use_at_the_end(void *arg)
{
	struct sm_mutator *m = sm_mutator_current(gc);

	ck_assert_ptr_eq(m, arg);
	ck_assert_ptr_nonnull(sm_new(m, node));
	sm_safepoint(m);
	said = 1;
}

static void *with_last_words(void *arg)
{
	struct sm_mutator *m;

	/* Made before the library's: its destructor may run first, or last. */
	if (arg == NULL)
		pthread_key_create(&last_words, use_at_the_end);
	m = sm_mutator_attach(gc);
	if (arg)
		pthread_key_create(&last_words, use_at_the_end);
	pthread_setspecific(last_words, m);
	return NULL;
}

START_TEST(destructors_may_use_the_mutator)
{
	pthread_t t;

	gc = GCTEST(NULL);
	node = sm_type_prefix(gc, 32, 1);
	ck_assert_int_eq(pthread_create(&t, NULL, with_last_words, _i ? &gc : NULL), 0);
	pthread_join(t, NULL);
	ck_assert_int_eq(said, 1);
	ck_assert_uint_eq(gc->nmutators, 0);
	gctest_destroy(gc, NULL);
}
END_TEST

/* ---- attaching ---------------------------------------------------------------------------- */

START_TEST(attach_twice_is_one_mutator)
{
	struct sm_mutator *m, *other;
	struct sm_gc *second;

	gc = GCTEST(NULL);
	second = GCTEST(NULL);
	ck_assert_ptr_null(sm_mutator_current(gc));
	m = sm_mutator_attach(gc);
	ck_assert_ptr_eq(sm_mutator_current(gc), m);
	ck_assert_ptr_null(sm_mutator_current(second));
	other = sm_mutator_attach(second);
	ck_assert_ptr_ne(other, m);
	ck_assert_ptr_eq(sm_mutator_attach(gc), m);
	ck_assert_ptr_eq(sm_mutator_current(gc), m);
	ck_assert_ptr_eq(sm_mutator_current(second), other);
	ck_assert_int_eq(sm_collect(gc, NULL), 0);
	ck_assert_int_eq(sm_collect(gc, other), -EINVAL);
	sm_mutator_detach(m);
	ck_assert_ptr_eq(sm_mutator_current(gc), m);
	sm_blocking_enter(m);
	ck_assert_ptr_null(sm_mutator_attach(gc));
	ck_assert_int_eq(errno, EBUSY);
	ck_assert_int_eq(sm_collect(gc, NULL), 0);
	ck_assert_int_eq(sm_collect(gc, m), 0);
	sm_blocking_leave(m);
	sm_mutator_detach(m);
	ck_assert_ptr_null(sm_mutator_current(gc));
	ck_assert_ptr_eq(sm_mutator_current(second), other);
	gctest_destroy(second, other);
	ck_assert_ptr_null(sm_mutator_attach(second));
	ck_assert_int_eq(errno, EINVAL);
	gctest_destroy(gc, NULL);
}
END_TEST

static bool no_proc;

/* glibc's reads /proc/self/maps for the main thread. */
int pthread_getattr_np(pthread_t t, pthread_attr_t *attr)
{
	static int (*real)(pthread_t, pthread_attr_t *);

	if (no_proc)
		return ENOENT;
	if (real == NULL)
		*(void **)&real = dlsym(RTLD_NEXT, "pthread_getattr_np");
	return real(t, attr);
}

static __attribute__((noinline)) void deep(struct sm_mutator *m, int frames)
{
	void **volatile o = sm_new(m, node);
	volatile char frame[1000];

	frame[0] = 1;
	if (frames > 0)
		deep(m, frames - 1);
	else
		ck_assert_int_eq(sm_collect(gc, m), 0);
	ck_assert(frame[0] == 1 && o[1] == NULL);
}

static void *run_deep(void *arg)
{
	struct sm_mutator *m = sm_mutator_attach(gc);

	ck_assert_ptr_nonnull(m);
	deep(m, 1000);
	sm_mutator_detach(m);
	return arg;
}

/* The stack grows on behind what was there when the thread attached. The test program's own thread
 * is the main one. */
START_TEST(the_main_thread_without_proc)
{
	no_proc = _i & 1;
	gc = GCTEST(_i & 2 ? "gc.mode=stw" : "gc.mode=concurrent", "gc.verify=1");
	node = sm_type_prefix(gc, 32, 2);
	run_deep(NULL);
	ck_assert_uint_gt(gctest_stats(gc).last_marked_objects, 1000);
	gctest_destroy(gc, NULL);
}
END_TEST

/* The kernel asks for the limit when the stack grows, so a program may raise it at any time. */
START_TEST(the_main_stack_beyond_its_first_limit)
{
	struct sm_mutator *m;
	struct rlimit r;

	ck_assert_int_eq(getrlimit(RLIMIT_STACK, &r), 0);
	if (r.rlim_max != RLIM_INFINITY && r.rlim_max < 64 * SM_MIB)
		SM_SKIP("the hard limit of stacks is too small");
	gc = GCTEST("gc.verify=1");
	node = sm_type_prefix(gc, 32, 2);
	m = sm_mutator_attach(gc);
	r.rlim_cur = 64 * SM_MIB;
	ck_assert_int_eq(setrlimit(RLIMIT_STACK, &r), 0);
	deep(m, SM_ASAN || SM_TSAN ? 8000 : 30000);
	gctest_destroy(gc, m);
}
END_TEST

/* ---- keeping ------------------------------------------------------------------------------ */

#define MANY 100
static pthread_barrier_t all_here;

static void *meet(void *arg)
{
	struct sm_mutator *m = sm_mutator_attach(gc);

	ck_assert_ptr_nonnull(sm_new(m, node));
	pthread_barrier_wait(&all_here);
	sm_mutator_detach(m);
	return arg;
}

/* What mutators leave serves the next ones; after a crowd no more than 64 of them are kept. */
START_TEST(mutators_are_kept_for_the_next_threads)
{
	struct sm_mutator *first, *m;
	pthread_t t[MANY];

	gc = GCTEST(NULL);
	node = sm_type_prefix(gc, 32, 1);
	first = sm_mutator_attach(gc);
	sm_mutator_detach(first);
	for (int i = 0; i < 1000; i++) {
		m = sm_mutator_attach(gc);
		ck_assert_ptr_eq(m, first);
		ck_assert_ptr_nonnull(sm_new(m, node));
		sm_mutator_detach(m);
	}
	ck_assert_uint_eq(gc->nidle, 1);
	pthread_barrier_init(&all_here, NULL, MANY);
	for (int i = 0; i < MANY; i++)
		ck_assert_int_eq(pthread_create(&t[i], NULL, meet, NULL), 0);
	for (int i = 0; i < MANY; i++)
		pthread_join(t[i], NULL);
	ck_assert_uint_eq(gc->nmutators, 0);
	ck_assert_uint_eq(gc->nidle, 64);
	gctest_destroy(gc, NULL);
}
END_TEST

int main(void)
{
	return SM_SUITE("thread life", 60, SM_T(own_threads_take_no_signals),
			SM_T(cpus_are_those_of_the_mask), SM_T(a_blocked_report_blocks_nobody),
			SM_LOOP(a_thread_ends_without_detaching, 0, 2 * ENDS),
			SM_LOOP(destructors_may_use_the_mutator, 0, 2),
			SM_T(attach_twice_is_one_mutator),
			SM_LOOP(the_main_thread_without_proc, 0, 4),
			SM_T(the_main_stack_beyond_its_first_limit),
			SM_T(mutators_are_kept_for_the_next_threads));
}
