/*
 * misuse.h: callers of what they may not call, for test_misuse.c (what ends the process) and
 * test_misuse_errors.c (what is refused). A test uses some of it.
 */
#ifndef SM_TESTS_SUPPORT_MISUSE_H
#define SM_TESTS_SUPPORT_MISUSE_H

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include "collector/cycle/gc_internal.h"
#include "tests/support/gctest.h"

#define SOME __attribute__((unused))

static SOME struct sm_gc *gc, *second;
static SOME struct sm_mutator *m;
static SOME const struct sm_type *node; /* 4 words, the first two pointers */
static SOME void **object;
static SOME char *outside;
static SOME struct sm_weak *weak;
static SOME struct sm_handle *handle;

/* ---- who calls ---------------------------------------------------------------------------- */

struct call {
	const char *name; /* as in the line */
	void (*run)(void);
};

/* The main thread is attached and waits; the other one uses its mutator. */
static SOME void *run_call(void *call)
{
	((const struct call *)call)->run();
	return NULL;
}

static SOME void by_another_thread(const struct call *c)
{
	pthread_t t;

	pthread_create(&t, NULL, run_call, (void *)c);
	pthread_join(t, NULL);
}

static SOME void after_detach(const struct call *c)
{
	sm_mutator_detach(m);
	c->run();
}

static SOME void while_blocked(const struct call *c)
{
	sm_blocking_enter(m);
	c->run();
}

static SOME void without_mutator(const struct call *c)
{
	m = NULL;
	c->run();
}

static SOME _Atomic(bool) ran;

static SOME void call_from_finalizer(void *ctx, struct sm_mutator *of, void *o)
{
	(void)o;
	m = of;
	((const struct call *)ctx)->run();
	ran = true;
}

static SOME __attribute__((noinline)) void drop_one(const struct call *c)
{
	ck_assert_int_eq(sm_finalizer_set(m, sm_new(m, node), call_from_finalizer, (void *)c, NULL),
			 0);
}

static SOME void by_finalizer(const struct call *c)
{
	struct sm_mutator *own = m;

	drop_one(c);
	gctest_clear_stack();
	sm_blocking_enter(own);
	while (!ran) {
		sm_collect(gc, own);
		usleep(1000);
	}
	sm_blocking_leave(own);
}

static SOME struct call on_stack;

static SOME void on_signal(int sig)
{
	(void)sig;
	on_stack.run();
}

/* A signal's own stack is not the thread's, and is not registered. */
static SOME void on_foreign_stack(const struct call *c)
{
	stack_t ss = {.ss_size = 256 * SM_KIB};
	struct sigaction act = {.sa_handler = on_signal, .sa_flags = SA_ONSTACK};

	on_stack = *c;
	ss.ss_sp =
		mmap(NULL, ss.ss_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ck_assert_int_eq(sigaltstack(&ss, NULL), 0);
	ck_assert_int_eq(sigaction(SIGUSR1, &act, NULL), 0);
	raise(SIGUSR1);
}

static SOME void plainly(const struct call *c)
{
	c->run();
}

/* A row leaves behind what it used. */
extern void __lsan_disable(void) __attribute__((weak));

static SOME void setup(void)
{
	if (__lsan_disable)
		__lsan_disable();
	alarm(60);
	gc = GCTEST("gc.report_ms=0");
	second = GCTEST(NULL);
	m = sm_mutator_attach(gc);
	node = sm_type_prefix(gc, 32, 2);
	object = sm_new(m, node);
	weak = sm_weak_new(m, object);
	handle = sm_handle_new(m, object);
	outside = aligned_alloc(16, 128);
}

#undef SOME
#endif
