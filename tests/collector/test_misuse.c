/*
 * test_misuse: what may not be called, one row each: it ends the process with one line that names
 * call, thread and address. Never a hang (an alarm), never silence. Each row runs in a child of its
 * own.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/misuse.h"
#include "tests/support/run.h"

/* ---- calls that end the process ----------------------------------------------------------- */

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
	struct sm_mutator *own = m; /* the finalizer sets m */

	drop_one(c);
	gctest_clear_stack();
	sm_collect(gc, own);
	sm_mutator_detach(own);
	while (!ran)
		usleep(1000);
}

static const struct row from_finalizer =
	ROW(destroy_alone, "sm_gc_destroy", destroy, "by a finalizer");

/* ---- running a row ------------------------------------------------------------------------ */

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
	const char *end;

	snprintf(what, sizeof(what), "row %d, %s", i, r->call.name);
	ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT, "%s: status %#x, \"%s\"",
		      what, (unsigned)status, text);
	/* In a hostile build the inline calls check, and have names of their own. */
	ck_assert_msg(
		strncmp(text, "spanmark: ", 10) == 0 &&
			(strstr(text, r->call.name) || (SM_LOCK_CHECKS && strstr(text, "sm_"))),
		"%s: \"%s\"", what, text);
	ck_assert_msg(strstr(text, "thread ") && (strstr(text, "0x") || strstr(text, "(nil)")),
		      "%s: \"%s\"", what, text);
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

/* With SM_CHECK_CALLS, as a program may be compiled, the inline calls check: here by what they call
 * then. */
static void checked(void)
{
	sm__check_call(m, "sm_new");
}

START_TEST(checked_calls)
{
	static const struct row rows[] = {
		ROW(while_blocked, "sm_new", checked, "in a blocking section"),
		ROW(by_another_thread, "sm_new", checked, "belongs to thread")};

	expect_one_line(&rows[_i], _i);
}
END_TEST

int main(void)
{
	return SM_SUITE("misuse", 60, SM_LOOP(ends_with_one_line, 0, DEADLY),
			SM_T(destroyed_by_a_finalizer), SM_LOOP(checked_calls, 0, 2));
}
