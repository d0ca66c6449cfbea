/* test_stack: the pool, the guard, threads on our stacks, and what is printed when one overflows.
 */
#include <check.h>
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "allocator/os/os.h"
#include "spanmark/stack.h"
#include "allocator/pages/stackpool.h"
#include "tests/support/pagetest.h"
#include "tests/support/probe.h"
#include "tests/support/run.h"
#include "tests/support/skip.h"

static struct sm_heap *heap;

static void setup(void)
{
	heap = pagetest_heap(SM_PAGEHEAP_BUDDY);
	pagetest_nodes(heap, 2);
	pagetest_create(heap);
}

static void teardown(void)
{
	sm__stackpool_trim(&heap->pages, true);
	ck_assert_uint_eq(pagetest_stats(heap).in_use_bytes, 0);
	ck_assert_uint_eq(sm__pageheap_check(&heap->pages), 0);
	pagetest_destroy(heap);
}

/* ---- the pool ----------------------------------------------------------------------------- */

START_TEST(a_stack_has_a_guard_below)
{
	struct sm_stack st;

	for (size_t bytes = 0; bytes <= SM_MIB; bytes = bytes * 2 + 1000) {
		ck_assert_int_eq(sm_stack_alloc(heap, 1, bytes, &st), 0);
		ck_assert_uint_ge(st.bytes, bytes);
		ck_assert_uint_ge(st.bytes, SM_STACK_MIN);
		ck_assert_uint_eq(st.span->state, SM_SPAN_STACK);
		ck_assert_uint_eq(st.span->node, 1);
		memset(st.low, 1, st.bytes);
		ck_assert(!probe_readable((char *)st.low - 1) &&
			  !probe_readable((char *)st.low - SM_UNIT));
		ck_assert_ptr_eq(sm_span_of(&heap->pages.range, (uintptr_t)st.low + st.bytes - 1),
				 st.span);
		sm_stack_free(heap, &st);
	}
}
END_TEST

START_TEST(a_freed_stack_is_used_again)
{
	struct sm_stack a, b, c;

	ck_assert_int_eq(sm_stack_alloc(heap, 0, 200000, &a), 0);
	ck_assert_int_eq(sm_stack_alloc(heap, 1, 200000, &b), 0);
	c = a;
	/* Far off: it counts, and nothing fails. */
	sm__os_inject(SM_OS_PROTECT, LONG_MAX, ENOMEM);
	sm_stack_free(heap, &a);
	sm_stack_free(heap, &b);
	ck_assert_int_eq(sm_stack_alloc(heap, 0, 198000, &a), 0);
	ck_assert_ptr_eq(a.low, c.low);
	ck_assert(!probe_readable((char *)a.low - 1));
	ck_assert_uint_eq(sm__os_inject(SM_OS_PROTECT, 0, 0), 0);
	sm_stack_free(heap, &a);
	/* Needed a moment ago: stays for a round; then goes. */
	ck_assert_int_eq(sm_stack_alloc(heap, 0, 198000, &a), 0);
	sm__stackpool_trim(&heap->pages, false);
	sm_stack_free(heap, &a);
	sm__stackpool_trim(&heap->pages, false);
	ck_assert_uint_gt(pagetest_stats(heap).in_use_bytes, 0);
	sm__stackpool_trim(&heap->pages, false);
	ck_assert_uint_eq(pagetest_stats(heap).in_use_bytes, 0);
	/* The guard was lifted: the memory is ordinary again. */
	for (int i = 0; i < 64; i++) {
		struct sm_span *s = sm__pageheap_alloc(&heap->pages, 0, 1);

		ck_assert(probe_writable((void *)sm_span_base(&heap->pages.range, s)));
		sm__pageheap_free(&heap->pages, s);
	}
}
END_TEST

START_TEST(failures_leave_nothing_behind)
{
	struct sm_stack st;

	ck_assert_int_eq(sm_stack_alloc(heap, 0, SIZE_MAX, &st), -EINVAL);
	ck_assert_int_eq(sm_stack_alloc(heap, 0, SM_GIB, &st), -EINVAL);
	sm__os_inject(SM_OS_PROTECT, 1, ENOMEM);
	ck_assert_int_eq(sm_stack_alloc(heap, 0, 100000, &st), -ENOMEM);
	ck_assert_uint_eq(pagetest_stats(heap).in_use_bytes, 0);
	/* A guard that cannot be lifted: the stack stays in the pool, and goes later. */
	ck_assert_int_eq(sm_stack_alloc(heap, 0, 100000, &st), 0);
	sm_stack_free(heap, &st);
	sm__os_inject(SM_OS_PROTECT, 1, ENOMEM);
	sm__stackpool_trim(&heap->pages, true);
	ck_assert_uint_gt(pagetest_stats(heap).in_use_bytes, 0);
	sm__os_inject(SM_OS_ANY, 0, 0);
	ck_assert_int_eq(sm_stack_alloc(heap, 0, 100000, &st), 0);
	sm_stack_free(heap, &st);
}
END_TEST

/* ---- threads ------------------------------------------------------------------------------ */

static void *where_am_i(void *arg)
{
	volatile char here = 1;

	ck_assert_int_eq(sm_stack_watch("a rather long name indeed"), 0);
	*(uintptr_t *)arg = (uintptr_t)&here;
	sm_stack_unwatch();
	return arg;
}

/* A thread on a stack of the heap. */
static pthread_t start_on(struct sm_stack *st, size_t bytes, void *(*run)(void *arg), void *arg)
{
	pthread_attr_t attr;
	pthread_t t;

	ck_assert_int_eq(sm_stack_alloc(heap, 0, bytes, st), 0);
	ck_assert_int_eq(pthread_attr_init(&attr), 0);
	ck_assert_int_eq(pthread_attr_setstack(&attr, st->low, st->bytes), 0);
	ck_assert_int_eq(pthread_create(&t, &attr, run, arg), 0);
	pthread_attr_destroy(&attr);
	return t;
}

static void *join_on(pthread_t t, struct sm_stack *st)
{
	void *value = NULL;

	ck_assert_int_eq(pthread_join(t, &value), 0);
	sm_stack_free(heap, st);
	return value;
}

START_TEST(threads_run_on_our_stacks)
{
	for (int i = 0; i < 200; i++) {
		struct sm_stack st[4];
		uintptr_t at[4];
		pthread_t t[4];

		for (int j = 0; j < 4; j++)
			t[j] = start_on(&st[j], 256 * SM_KIB, where_am_i, &at[j]);
		for (int j = 0; j < 4; j++) {
			uintptr_t low = (uintptr_t)st[j].low;

			ck_assert_ptr_eq(join_on(t[j], &st[j]), &at[j]);
			/* AddressSanitizer may keep locals elsewhere. */
			ck_assert(SM_ASAN || at[j] - low < 512 * SM_KIB);
		}
	}
	/* Four at a time: a handful of stacks for 800 threads. */
	ck_assert_uint_le(pagetest_stats(heap).allocs, 8);
}
END_TEST

/* ---- overflow: in a child, whose stderr is read ------------------------------------------- */

static volatile int sink, endless = 1;
static char *volatile nowhere = (char *)64;

static __attribute__((noinline)) int recurse(int depth)
{
	volatile char frame[512];

	frame[0] = (char)depth;
	sink = depth;
	return endless ? recurse(depth + 1) + frame[0] : 0;
}

static void *overflow(void *arg)
{
	(void)arg;
	return (void *)(intptr_t)recurse(0);
}

/* Runs fn in a child and collects what it prints; returns the wait status. */
static int in_child(void (*fn)(void), char *text, size_t len)
{
	int fd[2], status;
	size_t n = 0;
	ssize_t got;
	pid_t pid;

	ck_assert_int_eq(pipe(fd), 0);
	pid = fork();
	if (pid == 0) {
		struct rlimit no_core = {0, 0};

		setrlimit(RLIMIT_CORE, &no_core);
		dup2(fd[1], STDERR_FILENO);
		close(fd[0]);
		close(fd[1]);
		fn();
		_exit(0);
	}
	close(fd[1]);
	while (n < len - 1 && (got = read(fd[0], text + n, len - 1 - n)) > 0)
		n += (size_t)got;
	text[n] = '\0';
	close(fd[0]);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	return status;
}

static void *watched_overflow(void *name)
{
	sm_stack_watch(name);
	return overflow(name);
}

static void on_our_stack(void)
{
	struct sm_stack st;

	join_on(start_on(&st, 128 * SM_KIB, watched_overflow, "deep diver"), &st);
}

static void on_a_library_stack(void)
{
	pthread_t t;

	if (pthread_create(&t, NULL, watched_overflow, "stranger") == 0)
		pthread_join(t, NULL);
}

static void on_the_main_stack(void)
{
	struct rlimit rl = {.rlim_cur = 512 * SM_KIB, .rlim_max = RLIM_INFINITY};

	getrlimit(RLIMIT_STACK, &rl);
	rl.rlim_cur = 512 * SM_KIB;
	setrlimit(RLIMIT_STACK, &rl);
	sm_stack_watch("main");
	recurse(0);
}

START_TEST(an_overflow_is_reported_as_such)
{
	static void (*const CASES[])(void) = {on_our_stack, on_a_library_stack, on_the_main_stack};
	static const char *const NAMES[] = {"\"deep diver\"", "\"stranger\"", "\"main\""};
	char text[2000];
	unsigned long low, high, fault, kib;
	int status, tid;
	char *line;

	if (SM_ASAN || SM_TSAN)
		SM_SKIP("a sanitizer takes the signal");
	status = in_child(CASES[_i], text, sizeof(text));
	ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT, "status %#x, printed: %s",
		      (unsigned)status, text);
	line = strstr(text, "spanmark: stack overflow in thread ");
	ck_assert_msg(line != NULL && strstr(line, NAMES[_i]) != NULL, "printed: %s", text);
	ck_assert_int_eq(sscanf(strstr(line, " (tid"),
				" (tid %d): stack 0x%lx-0x%lx (%lu KiB), fault at 0x%lx", &tid,
				&low, &high, &kib, &fault),
			 5);
	ck_assert_uint_eq(kib, (high - low) / 1024);
	ck_assert(fault < low && low - fault <= 64 * SM_KIB);
	if (_i == 0)
		ck_assert_uint_ge(kib, 128);
}
END_TEST

/* ---- other faults ------------------------------------------------------------------------- */

static void say(const char *text)
{
	if (write(STDERR_FILENO, text, strlen(text)) < 0)
		abort();
}

static void old_handler(int sig)
{
	say(sig == SIGSEGV ? "old handler" : "?");
	_exit(7);
}

static void old_action(int sig, siginfo_t *info, void *context)
{
	say(sig == SIGSEGV && info->si_addr == (void *)64 && context != NULL ? "old action" : "?");
	_exit(8);
}

static void crash(void)
{
	*nowhere = 1;
}

static void with_old_handler(void)
{
	signal(SIGSEGV, old_handler);
	sm_stack_watch("t");
	crash();
}

static void with_old_action(void)
{
	struct sigaction sa = {.sa_sigaction = old_action, .sa_flags = SA_SIGINFO};

	sigaction(SIGSEGV, &sa, NULL);
	sm_stack_watch("t");
	crash();
}

static void with_the_default(void)
{
	signal(SIGSEGV, SIG_DFL);
	sm_stack_watch("t");
	crash();
}

static void sent_to_the_default(void)
{
	signal(SIGSEGV, SIG_DFL);
	sm_stack_watch("t");
	raise(SIGSEGV);
}

static void sent_and_ignored(void)
{
	signal(SIGSEGV, SIG_IGN);
	sm_stack_watch("t");
	raise(SIGSEGV);
	_exit(9);
}

static void fault_of_an_unwatched_thread(void)
{
	signal(SIGSEGV, old_handler);
	sm_stack_watch("t");
	sm_stack_unwatch();
	crash();
}

START_TEST(other_faults_go_to_the_handler_before)
{
	static const struct {
		void (*fn)(void);
		int exit, signal;
		const char *text;
	} CASES[] = {
		{with_old_handler, 7, 0, "old handler"},
		{with_old_action, 8, 0, "old action"},
		{with_the_default, 0, SIGSEGV, ""},
		{sent_to_the_default, 0, SIGSEGV, ""},
		{sent_and_ignored, 9, 0, ""},
		{fault_of_an_unwatched_thread, 7, 0, "old handler"},
	};
	char text[2000];
	int status = in_child(CASES[_i].fn, text, sizeof(text));

	if (CASES[_i].signal != 0)
		ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == CASES[_i].signal);
	else
		ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == CASES[_i].exit);
	ck_assert_str_eq(text, CASES[_i].text);
}
END_TEST

/* A signal stack that the program has chosen stays. */
START_TEST(a_signal_stack_that_is_there_stays)
{
	static char mine[128 * 1024];
	stack_t st = {.ss_sp = mine, .ss_size = sizeof(mine)}, now;

	ck_assert_int_eq(sigaltstack(&st, NULL), 0);
	ck_assert_int_eq(sm_stack_watch("t"), 0);
	ck_assert_int_eq(sm_stack_watch("t again"), 0);
	ck_assert_int_eq(sigaltstack(NULL, &now), 0);
	ck_assert_ptr_eq(now.ss_sp, mine);
	sm_stack_unwatch();
	ck_assert_int_eq(sigaltstack(NULL, &now), 0);
	ck_assert_ptr_eq(now.ss_sp, mine);
	st.ss_flags = SS_DISABLE;
	sigaltstack(&st, NULL);
	ck_assert_int_eq(sm_stack_watch("t"), 0);
	ck_assert_int_eq(sigaltstack(NULL, &now), 0);
	ck_assert(!(now.ss_flags & SS_DISABLE));
	sm_stack_unwatch();
	ck_assert_int_eq(sigaltstack(NULL, &now), 0);
	ck_assert(now.ss_flags & SS_DISABLE);
}
END_TEST

int main(void)
{
	if (!SM_ASAN && !SM_TSAN) /* they set one of their own */
		return SM_SUITE_EACH("stack", 30, setup, teardown, SM_T(a_stack_has_a_guard_below),
				     SM_T(a_freed_stack_is_used_again),
				     SM_T(failures_leave_nothing_behind),
				     SM_T(threads_run_on_our_stacks),
				     SM_LOOP(an_overflow_is_reported_as_such, 0, 3),
				     SM_LOOP(other_faults_go_to_the_handler_before, 0, 6),
				     SM_T(a_signal_stack_that_is_there_stays));
}
