/*
 * test_misuse_errors: what may not be called and says so with an error, one row each.
 */
#include <errno.h>

#include "tests/support/misuse.h"
#include "tests/support/run.h"

/* ---- calls that return an error ----------------------------------------------------------- */

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
	answer = sm_finalizer_set(m, object, call_from_finalizer, NULL, NULL);
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
	answer = sm_finalizer_set(m, &object[1], call_from_finalizer, NULL, NULL);
}

static void finalizer_foreign(void)
{
	answer = sm_finalizer_set(m, outside, call_from_finalizer, NULL, NULL);
}

static void finalizer_without_function(void)
{
	answer = sm_finalizer_set(m, object, NULL, NULL, NULL);
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

START_TEST(is_refused)
{
	setup();
	refused[_i].who(&refused[_i].call);
	ck_assert_msg(answer == refused[_i].answer, "row %d, %s: %ld, not %d", _i,
		      refused[_i].call.name, answer, refused[_i].answer);
}
END_TEST

int main(void)
{
	return SM_SUITE("misuse errors", 60, SM_LOOP(is_refused, 0, REFUSED));
}
