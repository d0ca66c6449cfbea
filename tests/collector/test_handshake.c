/*
 * test_handshake: requests reach running, blocked, late and coming mutators; attach and detach at
 * any moment; signals; idle threads do not delay a phase change.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/time.h>
#include <unistd.h>

#include "collector/cycle/gc_internal.h"
#include "tests/support/gctest.h"
#include "tests/support/run.h"
#include "tests/support/scale.h"

static const char *const modes[] = {"gc.mode=stw", "gc.mode=concurrent"};
static struct sm_gc *gc;
static _Atomic(int) stop, ready;
static void *shared[256];

static void join_blocked(struct sm_mutator *m, pthread_t *t, int n)
{
	sm_blocking_enter(m);
	for (int i = 0; i < n; i++)
		pthread_join(t[i], NULL);
	sm_blocking_leave(m);
}

/* A thread that holds one object on its stack only and behaves in one of four ways. */
static void *behave(void *arg)
{
	struct sm_mutator *m = sm_mutator_attach(gc);
	uintptr_t *volatile mine = sm_new(m, sm_type_prefix(gc, 48, 1));
	long how = (long)(intptr_t)arg % 4;

	mine[1] = 0x600d;
	ready++;
	while (!stop) {
		switch (how) {
		case 0: sm_safepoint(m); break; /* spins */
		case 1:				/* blocks */
			sm_blocking_enter(m);
			usleep(200);
			sm_blocking_leave(m);
			break;
		case 2: /* allocates */
			if (sm_new(m, sm_type_prefix(gc, 48, 1)) == NULL)
				abort();
			break;
		default: /* blocks and allocates, nested */
			sm_blocking_enter(m);
			sm_blocking_enter(m);
			sm_blocking_leave(m);
			sm_blocking_leave(m);
			sm_new_bytes(m, 500);
			break;
		}
	}
	if (mine[1] != 0x600d)
		abort();
	sm_mutator_detach(m);
	return NULL;
}

START_TEST(storm)
{
	pthread_t t[8];
	struct sm_mutator *m;

	gc = GCTEST(modes[_i], "gc.min_heap=1m", "gc.verify=1");
	m = sm_mutator_attach(gc);
	for (long i = 0; i < 8; i++)
		pthread_create(&t[i], NULL, behave, (void *)i);
	sm_blocking_enter(m);
	while (ready < 8)
		usleep(100);
	sm_blocking_leave(m);
	for (unsigned long i = sm_test_scaled(40); i > 0; i--)
		ck_assert_int_eq(sm_collect(gc, m), 0);
	stop = 1;
	join_blocked(m, t, 8);
	gctest_destroy(gc, m);
}
END_TEST

/* Threads are born with a pointer from their parent, and die with stores in their buffers. */
static void *live_and_die(void *arg)
{
	struct sm_mutator *m = sm_mutator_attach(gc);
	void **given = arg, **o;

	for (int i = 0; i < 20; i++) {
		o = sm_new(m, sm_type_prefix(gc, 48, 2));
		if (o == NULL || given[2] != (void *)0x717)
			abort();
		o[2] = (void *)0x717;
		sm_store(m, &o[0], given);
		sm_store(m, &shared[(uintptr_t)o / 64 % 256], o);
		given = o;
	}
	sm_mutator_detach(m);
	return NULL;
}

static void *collect_all_the_time(void *arg)
{
	while (!stop)
		sm_collect(gc, NULL);
	return arg;
}

START_TEST(births_and_deaths)
{
	struct sm_mutator *m;
	pthread_t collector;
	unsigned long births = sm_test_scaled(SM_TSAN || SM_ASAN ? 200 : 1000);

	gc = GCTEST(modes[_i], "gc.min_heap=1m", "gc.verify=1");
	ck_assert_int_eq(sm_root_add(gc, shared, 256), 0);
	m = sm_mutator_attach(gc);
	pthread_create(&collector, NULL, collect_all_the_time, NULL);
	for (unsigned long i = 0; i < births; i += 4) {
		pthread_t t[4];
		void **volatile given[4];

		for (int j = 0; j < 4; j++) {
			given[j] = sm_new(m, sm_type_prefix(gc, 48, 2));
			given[j][2] = (void *)0x717;
			pthread_create(&t[j], NULL, live_and_die, given[j]);
		}
		join_blocked(m, t, 4);
		/* Cut the chains, or everything stays. */
		for (int j = 0; j < 256; j++)
			sm_store(m, &shared[j], NULL);
	}
	stop = 1;
	join_blocked(m, &collector, 1);
	sm_root_remove(gc, shared);
	gctest_destroy(gc, m);
}
END_TEST

static _Atomic(int) ticks;

static void tick(int sig)
{
	(void)sig;
	ticks++;
}

/* 10 kHz of signals into everything. */
START_TEST(signals)
{
	struct itimerval fast = {{0, 100}, {0, 100}}, off = {{0, 0}, {0, 0}};
	struct sigaction act = {.sa_handler = tick, .sa_flags = SA_RESTART};
	pthread_t t[4];
	struct sm_mutator *m;

	gc = GCTEST(modes[_i], "gc.min_heap=1m", "gc.verify=1");
	m = sm_mutator_attach(gc);
	sigaction(SIGALRM, &act, NULL);
	setitimer(ITIMER_REAL, &fast, NULL);
	for (long i = 0; i < 4; i++)
		pthread_create(&t[i], NULL, behave, (void *)i);
	for (unsigned long i = sm_test_scaled(40); i > 0; i--)
		ck_assert_int_eq(sm_collect(gc, m), 0);
	stop = 1;
	join_blocked(m, t, 4);
	setitimer(ITIMER_REAL, &off, NULL);
	ck_assert_int_gt(ticks, 0);
	gctest_destroy(gc, m);
}
END_TEST

/* A mutator that does not poll for a while is signalled and reported, and then everything goes on.
 */
static void *stubborn(void *arg)
{
	struct sm_mutator *m = sm_mutator_attach(gc);

	ready++;
	while (!stop)
		usleep(1000);
	sm_mutator_detach(m);
	return arg;
}

/* A report after so long, as gc.report_ms=N. */
static void report_a_late_one(const char *after, char *text, size_t room)
{
	int err[2], saved = dup(2);
	pthread_t t, c;
	ssize_t n;

	stop = ready = 0;
	gc = GCTEST("gc.signal_ms=5", after);
	pthread_create(&t, NULL, stubborn, NULL);
	while (!ready)
		usleep(100);
	ck_assert_int_eq(pipe(err), 0);
	dup2(err[1], 2);
	pthread_create(&c, NULL, collect_all_the_time, NULL);
	n = read(err[0], text, room - 1);
	dup2(saved, 2);
	ck_assert_int_gt(n, 0);
	text[n] = '\0';
	stop = 1;
	pthread_join(t, NULL);
	pthread_join(c, NULL);
	ck_assert_uint_gt(sm_load_relaxed(&gc->hs.late), 0);
	gctest_destroy(gc, NULL);
}

/* The signal's handler says where the thread was, if that has had a CPU until the report. */
START_TEST(late_mutators_are_reported)
{
	static const char *const after[] = {"gc.report_ms=60", "gc.report_ms=600",
					    "gc.report_ms=6000"};
	char text[1024] = "pc (nil)";

	for (int i = 0; i < 3 && strstr(text, "pc (nil)"); i++) {
		report_a_late_one(after[i], text, sizeof(text));
		ck_assert_msg(strstr(text, "has not reached a safepoint") &&
				      strstr(text, "stack 0x"),
			      "%s", text);
	}
	ck_assert_msg(strstr(text, "pc (nil)") == NULL, "%s", text);
}
END_TEST

/* A pipe that takes not a byte more. */
static void fill_pipe(int fd[2])
{
	char page[4096] = "";

	ck_assert_int_eq(pipe(fd), 0);
	ck_assert_int_eq(fcntl(fd[1], F_SETFL, O_NONBLOCK), 0);
	while (write(fd[1], page, sizeof(page)) > 0)
		;
	ck_assert_int_eq(fcntl(fd[1], F_SETFL, 0), 0);
}

/* Nobody reads standard error: the report waits, and threads come and go. */
START_TEST(a_report_that_blocks_keeps_nobody_out)
{
	static char text[1 << 20];
	int err[2], saved = dup(2);
	struct sm_mutator *m;
	pthread_t t, c;

	gc = GCTEST("gc.signal_ms=5", "gc.report_ms=20");
	pthread_create(&t, NULL, stubborn, NULL);
	while (!ready)
		usleep(100);
	fill_pipe(err);
	dup2(err[1], 2);
	pthread_create(&c, NULL, collect_all_the_time, NULL);
	while (sm_load_relaxed(&gc->hs.late) == 0)
		usleep(100);
	usleep(20000);
	m = sm_mutator_attach(gc);
	ck_assert_ptr_nonnull(m);
	sm_mutator_detach(m);
	ck_assert_int_eq(sm_load_relaxed(&gc->cycles_completed), 0);
	dup2(saved, 2);
	ck_assert_int_gt(read(err[0], text, sizeof(text)), 0);
	stop = 1;
	pthread_join(t, NULL);
	pthread_join(c, NULL);
	gctest_destroy(gc, NULL);
}
END_TEST

static int idle_until[2];

/* Nothing wakes it before the test is over. */
static void *idle(void *arg)
{
	struct sm_mutator *m = sm_mutator_attach(gc);
	char byte;

	sm_blocking_enter(m);
	ready++;
	if (read(idle_until[0], &byte, 1) != 0)
		abort();
	sm_blocking_leave(m);
	sm_mutator_detach(m);
	return arg;
}

/* 20 cycles with the threads there are: were one of them waited for, they would not end. */
static struct sm_gc_stall idle_rounds(int threads)
{
	struct sm_gc_stalls s;

	sm_gc_stalls_reset(gc);
	for (int i = 0; i < 20; i++)
		sm_collect(gc, NULL);
	sm_gc_stalls(gc, &s);
	printf("handshake round with %d idle threads: p50 %llu ns, max %llu ns\n", threads,
	       (unsigned long long)s.handshake_round.p50_ns,
	       (unsigned long long)s.handshake_round.max_ns);
	return s.handshake_round;
}

START_TEST(idle_threads_are_done_by_proxy)
{
	pthread_t t[64];
	struct sm_gc_stall two, many;
	int n = 0;

	gc = GCTEST("gc.mode=concurrent");
	ck_assert_int_eq(pipe(idle_until), 0);
	for (; n < 2; n++)
		pthread_create(&t[n], NULL, idle, NULL);
	while (ready < 2)
		usleep(100);
	two = idle_rounds(2);
	for (; n < 64; n++)
		pthread_create(&t[n], NULL, idle, NULL);
	while (ready < 64)
		usleep(100);
	many = idle_rounds(64);
	printf("64 idle threads against 2: p50 %+lld ns a round\n",
	       (long long)many.p50_ns - (long long)two.p50_ns);
	close(idle_until[1]);
	for (int i = 0; i < 64; i++)
		pthread_join(t[i], NULL);
	gctest_destroy(gc, NULL);
}
END_TEST

/* The second thread attaches while the world stands still for a cycle: it waits, then it is like
 * the others. */
START_TEST(attach_and_detach_everywhere)
{
	struct sm_mutator *m;
	pthread_t collector;

	gc = GCTEST(modes[_i], "gc.delay_us=100", "gc.verify=1");
	pthread_create(&collector, NULL, collect_all_the_time, NULL);
	for (unsigned long i = 0; i < sm_test_scaled(150); i++) {
		m = sm_mutator_attach(gc);
		ck_assert_ptr_nonnull(m);
		for (unsigned j = 0; j < i % 7; j++)
			ck_assert_ptr_nonnull(sm_new(m, sm_type_prefix(gc, 64, 2)));
		sm_mutator_detach(m);
	}
	stop = 1;
	pthread_join(collector, NULL);
	gctest_destroy(gc, NULL);
}
END_TEST

/* ---- what is dead below the stack --------------------------------------------------------- */

/* A list, and its head all over the dead stack. */
static SM_NOINLINE void litter(struct sm_mutator *m, const struct sm_type *node)
{
	volatile uintptr_t junk[480];
	void **head = NULL;

	for (int i = 0; i < 5000; i++) {
		void **n = sm_new(m, node);

		ck_assert_ptr_nonnull(n);
		sm_store(m, &n[0], head);
		head = n;
	}
	for (size_t i = 0; i < sizeof(junk) / sizeof(junk[0]); i++)
		junk[i] = (uintptr_t)head;
}

static void *collect_once(void *arg)
{
	while (!ready)
		sched_yield();
	ck_assert_int_eq(sm_collect(gc, NULL), 0);
	stop = 1;
	return arg;
}

/* Garbage below the stack shows in the holes of the frames that the handshakes push; it must not
 * keep a list. */
START_TEST(dead_stack_keeps_nothing)
{
	const struct sm_type *node;
	struct sm_mutator *m;
	pthread_t t;

	gc = GCTEST("gc.verify=0", "gc.min_heap=64m");
	m = sm_mutator_attach(gc);
	node = sm_type_prefix(gc, 32, 1);
	for (int i = 0; i < 10; i++) {
		stop = ready = 0;
		ck_assert_int_eq(pthread_create(&t, NULL, collect_once, NULL), 0);
		litter(m, node);
		ready = 1;
		while (!stop)
			sm_safepoint(m);
		join_blocked(m, &t, 1);
		ck_assert_msg(gctest_stats(gc).last_marked_objects < 1000, "%d objects were marked",
			      (int)gctest_stats(gc).last_marked_objects);
	}
	gctest_destroy(gc, m);
}
END_TEST

int main(void)
{
	/* AddressSanitizer's frames have redzones that are not written. */
	if (!SM_ASAN)
		return SM_SUITE(
			"handshake", 100, SM_LOOP(storm, 0, 2), SM_LOOP(births_and_deaths, 0, 2),
			SM_LOOP(signals, 0, 2), SM_T(late_mutators_are_reported),
			SM_T(a_report_that_blocks_keeps_nobody_out),
			SM_T(idle_threads_are_done_by_proxy), SM_T(dead_stack_keeps_nothing),
			SM_LOOP(attach_and_detach_everywhere, 0, 2));
}
