/*
 * test_misuse: what nobody may call, one row each: it gives the error that gc.h names, or ends the process with one line
 * that names call, thread and address. Never a hang (an alarm), never silence. Each row runs in a child of its own.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "collector/gc_priv.h"
#include "tests/support/gctest.h"
#include "tests/support/run.h"

static struct sm_gc *gc, *second;
static struct sm_mutator *m;
static const struct sm_type *node; /* 4 words, the first two pointers */
static void **object;
static char *outside;

/* ---- who calls -------------------------------------------------------------------------------------------------- */

struct call {
	const char *name; /* as in the line */
	void (*run)(void);
};

/* The main thread is attached and waits; the other one uses its mutator. */
static void *run_call(void *call)
{
	((const struct call *)call)->run();
	return NULL;
}

static void by_another_thread(const struct call *c)
{
	pthread_t t;

	pthread_create(&t, NULL, run_call, (void *)c);
	pthread_join(t, NULL);
}

static void after_detach(const struct call *c)
{
	sm_mutator_detach(m);
	c->run();
}

static void while_blocked(const struct call *c)
{
	sm_blocking_enter(m);
	c->run();
}

static void without_mutator(const struct call *c)
{
	m = NULL;
	c->run();
}

static _Atomic(bool) ran;

static void call_from_finalizer(void *ctx, struct sm_mutator *of, void *o)
{
	(void)o;
	m = of;
	((const struct call *)ctx)->run();
	ran = true;
}

static __attribute__((noinline)) void drop_one(const struct call *c)
{
	ck_assert_int_eq(sm_finalizer_set(m, sm_new(m, node), call_from_finalizer, (void *)c), 0);
}

static void by_finalizer(const struct call *c)
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

static struct call on_stack;

static void on_signal(int sig)
{
	(void)sig;
	on_stack.run();
}

/* A signal's own stack is not the thread's, and nobody has registered it. */
static void on_foreign_stack(const struct call *c)
{
	stack_t ss = {.ss_size = 256 * SM_KIB};
	struct sigaction act = {.sa_handler = on_signal, .sa_flags = SA_ONSTACK};

	on_stack = *c;
	ss.ss_sp = mmap(NULL, ss.ss_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ck_assert_int_eq(sigaltstack(&ss, NULL), 0);
	ck_assert_int_eq(sigaction(SIGUSR1, &act, NULL), 0);
	raise(SIGUSR1);
}

static void plainly(const struct call *c)
{
	c->run();
}

/* ---- calls that end the process ----------------------------------------------------------------------------------- */

static void detach(void)
{
	sm_mutator_detach(m);
}

static void safepoint(void)
{
	sm_safepoint_slow(m);
}

static void inline_safepoint(void)
{
	sm_safepoint(m);
}

/* The slow path is taken when the collector asks for something. */
static void asked_safepoint(void)
{
	sm_store_relaxed(sm__poll(m), 1);
	sm_safepoint(m);
}

static void enter(void)
{
	sm_blocking_enter(m);
}

static void leave(void)
{
	sm_blocking_leave(m);
}

static void *nothing(void *arg)
{
	return arg;
}

static void blocking_call(void)
{
	sm_blocking_call(m, nothing, NULL);
}

static __attribute__((noinline)) void enter_far_down(void)
{
	volatile char frame[32 * SM_KIB];

	sm_blocking_enter(m);
	__asm__ volatile("" ::"r"(frame) : "memory");
}

static void return_and_leave(void)
{
	enter_far_down();
	sm_blocking_leave(m);
}

static void new (void)
{
	ck_assert_ptr_nonnull(sm_new(m, node));
}

/* Past what the windows hold. */
static void new_many(void)
{
	for (int i = 0; i < 100000; i++)
		ck_assert_ptr_nonnull(sm_new(m, node));
}

static void new_large(void)
{
	ck_assert_ptr_nonnull(sm_new_bytes(m, 1 << 20));
}

static void new_bytes(void)
{
	ck_assert_ptr_nonnull(sm_new_bytes(m, 100));
}

static void new_tiny(void)
{
	ck_assert_ptr_nonnull(sm_new_bytes(m, 3));
}

static void new_zeroed(void)
{
	ck_assert_ptr_nonnull(sm_new_bytes_zeroed(m, 200));
}

static void new_array(void)
{
	ck_assert_ptr_nonnull(sm_new_array(m, node, 10));
}

static void store(void)
{
	sm_store(m, &object[0], object);
	sm_store(m, &object[0], NULL);
}

static void exchange(void)
{
	sm_exchange(m, &object[0], object);
}

static void cas(void)
{
	void *expected = NULL;

	sm_cas(m, &object[0], &expected, object);
}

static void copy(void)
{
	void *from[4] = {object, object, NULL, NULL};

	sm_copy_slots(m, object, from, 2);
}

static void clear(void)
{
	object[0] = object;
	sm_clear_slots(m, object, 2);
}

static void stack_leave(void)
{
	sm_stack_leave(m);
}

static struct sm_weak *weak;

static void weak_get(void)
{
	sm_weak_get(m, weak);
}

static void weak_free(void)
{
	sm_weak_free(m, weak);
}

static void finalizer_wait(void)
{
	sm_finalizer_wait(gc, m);
}

static void finalizer_wait_null(void)
{
	sm_finalizer_wait(gc, NULL);
}

static struct sm_handle *handle;

static void handle_free(void)
{
	sm_handle_free(m, handle);
}

static void handle_twice(void)
{
	sm_handle_free(m, handle);
	sm_handle_free(m, handle);
}

static void destroy(void)
{
	sm_gc_destroy(gc);
}

static void destroy_twice(void)
{
	sm_gc_destroy(second);
	sm_gc_destroy(second);
}

struct row {
	void (*who)(const struct call *c);
	struct call call;
	const char *says;
};

#define ROW(who, call, fn, says)      \
	{                             \
		who, {call, fn}, says \
	}

static const struct row deadly[] = {
	ROW(by_another_thread, "sm_mutator_detach", detach, "belongs to thread"),
	ROW(after_detach, "sm_mutator_detach", detach, "is detached"),
	ROW(while_blocked, "sm_mutator_detach", detach, "in a blocking section"),
	ROW(without_mutator, "sm_mutator_detach", detach, "no mutator"),
	ROW(by_finalizer, "sm_mutator_detach", detach, "the collector's own"),
	ROW(by_another_thread, "sm_safepoint", safepoint, "belongs to thread"),
	ROW(after_detach, "sm_safepoint", inline_safepoint, "is detached"),
	ROW(while_blocked, "sm_safepoint", asked_safepoint, "in a blocking section"),
	ROW(on_foreign_stack, "sm_safepoint", asked_safepoint, "this stack is"),
	ROW(by_another_thread, "sm_blocking_enter", enter, "belongs to thread"),
	ROW(after_detach, "sm_blocking_enter", enter, "is detached"),
	ROW(without_mutator, "sm_blocking_enter", enter, "no mutator"),
	ROW(on_foreign_stack, "sm_blocking_enter", enter, "this stack is"),
	ROW(plainly, "sm_blocking_leave", leave, "in no blocking section"),
	ROW(by_another_thread, "sm_blocking_leave", leave, "belongs to thread"),
	ROW(after_detach, "sm_blocking_leave", leave, "is detached"),
	ROW(plainly, "sm_blocking_leave", return_and_leave, "use sm_blocking_call"),
	ROW(by_another_thread, "sm_blocking_enter", blocking_call, "belongs to thread"),
	ROW(after_detach, "allocation", new, "is detached"),
	ROW(after_detach, "allocation", new_large, "is detached"),
	ROW(after_detach, "allocation", new_bytes, "is detached"),
	ROW(after_detach, "allocation", new_tiny, "is detached"),
	ROW(after_detach, "allocation", new_zeroed, "is detached"),
	ROW(after_detach, "allocation", new_array, "is detached"),
	ROW(by_another_thread, "allocation", new_many, "belongs to thread"),
	ROW(by_another_thread, "allocation", new_large, "belongs to thread"),
	ROW(by_another_thread, "allocation", new_array, "belongs to thread"),
	ROW(while_blocked, "allocation", new_many, "in a blocking section"),
	ROW(while_blocked, "allocation", new_large, "in a blocking section"),
	ROW(after_detach, "sm_store", store, "is detached"),
	ROW(after_detach, "sm_store", exchange, "is detached"),
	ROW(after_detach, "sm_store", cas, "is detached"),
	ROW(after_detach, "sm_store", copy, "is detached"),
	ROW(after_detach, "sm_store", clear, "is detached"),
	ROW(after_detach, "sm_stack_leave", stack_leave, "is detached"),
	ROW(by_another_thread, "sm_stack_leave", stack_leave, "belongs to thread"),
	ROW(while_blocked, "sm_stack_leave", stack_leave, "in a blocking section"),
	ROW(on_foreign_stack, "sm_stack_leave", stack_leave, "this stack is"),
	ROW(by_another_thread, "sm_weak_get", weak_get, "belongs to thread"),
	ROW(while_blocked, "sm_weak_get", weak_get, "in a blocking section"),
	ROW(after_detach, "sm_weak_get", weak_get, "is detached"),
	ROW(by_another_thread, "sm_weak_free", weak_free, "belongs to thread"),
	ROW(by_another_thread, "sm_finalizer_wait", finalizer_wait, "belongs to thread"),
	ROW(by_finalizer, "sm_finalizer_wait", finalizer_wait, "wait for itself"),
	ROW(by_finalizer, "sm_finalizer_wait", finalizer_wait_null, "wait for itself"),
	ROW(by_another_thread, "sm_handle_free", handle_free, "belongs to thread"),
	ROW(plainly, "sm_handle_free", handle_twice, "not a handle in use"),
	ROW(plainly, "sm_gc_destroy", destroy, "is attached"),
	ROW(by_another_thread, "sm_gc_destroy", destroy, "is attached"),
	ROW(plainly, "sm_gc_destroy", destroy_twice, "destroyed before"),
};
#define DEADLY (int)(sizeof(deadly) / sizeof(deadly[0]))

/* A finalizer that destroys its collector: no mutator but its own is left. */
static void destroy_alone(const struct call *c)
{
	drop_one(c);
	gctest_clear_stack();
	sm_collect(gc, m);
	sm_mutator_detach(m);
	while (!ran)
		usleep(1000);
}

static const struct row from_finalizer = ROW(destroy_alone, "sm_gc_destroy", destroy, "by a finalizer");

/* ---- calls that return an error ----------------------------------------------------------------------------------- */

static long answer;

static void range_add(void)
{
	answer = sm_thread_range_add(m, outside, 64);
}

static void range_remove(void)
{
	answer = sm_thread_range_remove(m, outside);
}

static void collect(void)
{
	answer = sm_collect(gc, m);
}

static void finalizer_set(void)
{
	answer = sm_finalizer_set(m, object, call_from_finalizer, NULL);
}

static void finalizer_clear(void)
{
	answer = sm_finalizer_clear(m, object);
}

static void weak_new(void)
{
	answer = sm_weak_new(m, object) ? 0 : -errno;
}

static void handle_new(void)
{
	answer = sm_handle_new(m, object) ? 0 : -errno;
}

static void handle_set(void)
{
	answer = sm_handle_set(m, handle, object);
}

static void attach(void)
{
	answer = sm_mutator_attach(gc) ? 0 : -errno;
}

static void weak_interior(void)
{
	answer = sm_weak_new(m, &object[1]) ? 0 : -errno;
}

static void weak_foreign(void)
{
	answer = sm_weak_new(m, outside) ? 0 : -errno;
}

static void handle_interior(void)
{
	answer = sm_handle_new(m, &object[1]) ? 0 : -errno;
}

static void handle_foreign(void)
{
	answer = sm_handle_set(m, handle, outside);
}

static void finalizer_interior(void)
{
	answer = sm_finalizer_set(m, &object[1], call_from_finalizer, NULL);
}

static void finalizer_foreign(void)
{
	answer = sm_finalizer_set(m, outside, call_from_finalizer, NULL);
}

static void finalizer_without_function(void)
{
	answer = sm_finalizer_set(m, object, NULL, NULL);
}

static void finalizer_unknown(void)
{
	answer = sm_finalizer_clear(m, object);
}

static void range_null(void)
{
	answer = sm_thread_range_add(m, NULL, 8);
}

static void range_empty(void)
{
	answer = sm_thread_range_add(m, outside, 0);
}

static void range_wraps(void)
{
	answer = sm_thread_range_add(m, outside, SIZE_MAX);
}

static void range_twice(void)
{
	ck_assert_int_eq(sm_thread_range_add(m, outside, 64), 0);
	answer = sm_thread_range_add(m, outside, 8);
}

static void root_null(void)
{
	answer = sm_root_add(gc, NULL, 1);
}

static void root_unaligned(void)
{
	answer = sm_root_add(gc, outside + 1, 1);
}

static void root_huge(void)
{
	answer = sm_root_add(gc, outside, SIZE_MAX);
}

static void root_unknown(void)
{
	answer = sm_root_remove(gc, outside);
}

static void collect_other(void)
{
	answer = sm_collect(second, m);
}

static void use_destroyed(void)
{
	sm_gc_destroy(second);
	answer = sm_mutator_attach(second) ? 0 : -errno;
	if (answer == -EINVAL)
		answer = sm_collect(second, NULL);
}

static const struct {
	void (*who)(const struct call *c);
	struct call call;
	int answer;
} refused[] = {
	{by_another_thread, {"sm_thread_range_add", range_add}, -EINVAL},
	{after_detach, {"sm_thread_range_add", range_add}, -EINVAL},
	{while_blocked, {"sm_thread_range_add", range_add}, -EINVAL},
	{without_mutator, {"sm_thread_range_add", range_add}, -EINVAL},
	{by_another_thread, {"sm_thread_range_remove", range_remove}, -EINVAL},
	{plainly, {"sm_thread_range_remove", range_remove}, -ENOENT},
	{plainly, {"sm_thread_range_add", range_null}, -EINVAL},
	{plainly, {"sm_thread_range_add", range_empty}, -EINVAL},
	{plainly, {"sm_thread_range_add", range_wraps}, -EINVAL},
	{plainly, {"sm_thread_range_add", range_twice}, -EEXIST},
	{by_another_thread, {"sm_collect", collect}, -EINVAL},
	{after_detach, {"sm_collect", collect}, -EINVAL},
	{plainly, {"sm_collect", collect_other}, -EINVAL},
	{while_blocked, {"sm_collect", collect}, 0},
	{by_another_thread, {"sm_finalizer_set", finalizer_set}, -EINVAL},
	{while_blocked, {"sm_finalizer_set", finalizer_set}, -EINVAL},
	{after_detach, {"sm_finalizer_set", finalizer_set}, -EINVAL},
	{without_mutator, {"sm_finalizer_set", finalizer_set}, -EINVAL},
	{plainly, {"sm_finalizer_set", finalizer_interior}, -EINVAL},
	{plainly, {"sm_finalizer_set", finalizer_foreign}, -EINVAL},
	{plainly, {"sm_finalizer_set", finalizer_without_function}, -EINVAL},
	{by_another_thread, {"sm_finalizer_clear", finalizer_clear}, -EINVAL},
	{plainly, {"sm_finalizer_clear", finalizer_unknown}, -ENOENT},
	{by_another_thread, {"sm_weak_new", weak_new}, -EINVAL},
	{while_blocked, {"sm_weak_new", weak_new}, -EINVAL},
	{plainly, {"sm_weak_new", weak_interior}, -EINVAL},
	{plainly, {"sm_weak_new", weak_foreign}, -EINVAL},
	{by_another_thread, {"sm_handle_new", handle_new}, -EINVAL},
	{while_blocked, {"sm_handle_new", handle_new}, -EINVAL},
	{plainly, {"sm_handle_new", handle_interior}, -EINVAL},
	{by_another_thread, {"sm_handle_set", handle_set}, -EINVAL},
	{plainly, {"sm_handle_set", handle_foreign}, -EINVAL},
	{while_blocked, {"sm_mutator_attach", attach}, -EBUSY},
	{on_foreign_stack, {"sm_mutator_attach", attach}, 0},
	{plainly, {"sm_root_add", root_null}, -EINVAL},
	{plainly, {"sm_root_add", root_unaligned}, -EINVAL},
	{plainly, {"sm_root_add", root_huge}, -EINVAL},
	{plainly, {"sm_root_remove", root_unknown}, -ENOENT},
	{plainly, {"sm_mutator_attach, sm_collect", use_destroyed}, -EINVAL},
};
#define REFUSED (int)(sizeof(refused) / sizeof(refused[0]))

/* ---- running a row ------------------------------------------------------------------------------------------------ */

/* A row leaves behind what it used. */
extern void __lsan_disable(void) __attribute__((weak));

static void setup(void)
{
	if (__lsan_disable)
		__lsan_disable();
	alarm(20);
	gc = GCTEST("gc.report_ms=0");
	second = GCTEST(NULL);
	m = sm_mutator_attach(gc);
	node = sm_type_prefix(gc, 32, 2);
	object = sm_new(m, node);
	weak = sm_weak_new(m, object);
	handle = sm_handle_new(m, object);
	outside = aligned_alloc(16, 128);
}

/* What a child that runs the row writes to standard error; its status. */
static int run_row(const struct row *r, char *text, size_t size)
{
	int err[2], status;
	size_t n = 0;
	ssize_t got;
	pid_t pid;

	ck_assert_int_eq(pipe(err), 0);
	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		dup2(err[1], 2);
		close(err[0]);
		setup();
		r->who(&r->call);
		_exit(0);
	}
	close(err[1]);
	while ((got = read(err[0], text + n, size - 1 - n)) > 0)
		n += (size_t)got;
	text[n] = '\0';
	close(err[0]);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	return status;
}

static void expect_one_line(const struct row *r, int i)
{
	char text[2048], what[80];
	int status = run_row(r, text, sizeof(text));
	const char *end, *name;

	snprintf(what, sizeof(what), "row %d, %s", i, r->call.name);
	ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT, "%s: status %#x, \"%s\"", what,
		      (unsigned)status, text);
	/* In a hostile build the inline calls check, and have names of their own. */
	name = SM_LOCK_CHECKS ? "sm_" : r->call.name;
	ck_assert_msg(strncmp(text, "spanmark: ", 10) == 0 && strstr(text, name), "%s: \"%s\"", what, text);
	ck_assert_msg(strstr(text, "thread ") && (strstr(text, "0x") || strstr(text, "(nil)")), "%s: \"%s\"",
		      what, text);
	ck_assert_msg(strstr(text, r->says) != NULL, "%s: \"%s\"", what, text);
	end = strchr(text, '\n');
	ck_assert_msg(end && end[1] == '\0', "%s: more than a line: \"%s\"", what, text);
}

START_TEST(ends_with_one_line)
{
	expect_one_line(&deadly[_i], _i);
}
END_TEST

START_TEST(destroyed_by_a_finalizer)
{
	expect_one_line(&from_finalizer, 0);
}
END_TEST

START_TEST(is_refused)
{
	setup();
	refused[_i].who(&refused[_i].call);
	ck_assert_msg(answer == refused[_i].answer, "row %d, %s: %ld, not %d", _i, refused[_i].call.name,
		      answer, refused[_i].answer);
}
END_TEST

/* With SM_CHECK_CALLS, as a program may be compiled, the inline calls check: here by what they call then. */
static void checked(void)
{
	sm__check_call(m, "sm_new");
}

START_TEST(checked_calls)
{
	static const struct row rows[] = {ROW(while_blocked, "sm_new", checked, "in a blocking section"),
					  ROW(by_another_thread, "sm_new", checked, "belongs to thread")};

	expect_one_line(&rows[_i], _i);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("misuse");
	TCase *c = tcase_create("misuse");

	tcase_set_timeout(c, 60);
	tcase_add_loop_test(c, ends_with_one_line, 0, DEADLY);
	tcase_add_test(c, destroyed_by_a_finalizer);
	tcase_add_loop_test(c, is_refused, 0, REFUSED);
	tcase_add_loop_test(c, checked_calls, 0, 2);
	suite_add_tcase(s, c);
	return sm_test_run(s);
}
