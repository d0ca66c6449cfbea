/*
 * test_refs: what may be given to handles, weak references and finalizers, and what is said of
 * everything else: an error, or an abort that names the call. Never silence.
 */
#include <errno.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "collector/cycle/gc_internal.h"
#include "tests/support/gctest.h"
#include "tests/support/run.h"

static struct sm_gc *gc;
static struct sm_mutator *m;
static const struct sm_type *node;
static void *root[4];

static void setup(void)
{
	gc = GCTEST("gc.verify=1");
	m = sm_mutator_attach(gc);
	node = sm_type_prefix(gc, 64, 2);
	memset(root, 0, sizeof(root));
	ck_assert_int_eq(sm_root_add(gc, root, 4), 0);
	sm_store(m, &root[0], sm_new(m, node));
	sm_store(m, &root[1], sm_new_bytes(m, 100000));
}

static void teardown(void)
{
	sm_root_remove(gc, root);
	gctest_destroy(gc, m);
}

static void never(void *ctx, struct sm_mutator *fm, void *object)
{
	(void)fm;
	(void)object;
	abort();
	(void)ctx;
}

/* ---- objects ------------------------------------------------------------------------------ */

static void *not_an_object(int which)
{
	static char outside[64];
	char *first = root[0], *large = root[1];
	struct sm_window *w = sm__window(m, node->bin);

	switch (which) {
	case 0: return first + 8;
	case 1: return first + 1;
	case 2: return large + 8;
	case 3: return large + SM_UNIT;
	case 4: return outside;
	case 5: return (void *)0x1000;
	case 6: return (void *)gc->range.base;
	case 7: return (void *)(gc->range.base + gc->range.bytes - 64);
	case 8: return (void *)(gc->range.base + gc->range.bytes);
	case 9: return w->cur < w->end ? w->cur : NULL; /* not handed out yet */
	case 10: return __builtin_frame_address(0);
	case 11: return (void *)-8;
	default: return NULL;
	}
}

/* A slot that was in use, is free, and lies in no window. */
static __attribute__((noinline)) void *freed_slot(void)
{
	char *p = NULL;

	for (int i = 0; i < 3000; i++)
		p = sm_new(m, node);
	gctest_clear_stack();
	ck_assert_int_eq(sm_collect(gc, m), 0);
	return p - 64 * 1000;
}

static void refuses(void *p, int which)
{
	struct sm_handle *h = sm_handle_new(m, root[0]);
	struct sm_weak *w;

	errno = 0;
	w = sm_weak_new(m, p);
	ck_assert_msg(w == NULL && errno == EINVAL, "sm_weak_new of case %d: %p, errno %d", which,
		      (void *)w, errno);
	ck_assert_msg(sm_finalizer_set(m, p, never, NULL, NULL) == -EINVAL,
		      "sm_finalizer_set of case %d", which);
	ck_assert_msg(sm_finalizer_clear(m, p) == -ENOENT, "sm_finalizer_clear of case %d", which);
	errno = 0;
	ck_assert_msg(sm_ephemeron_new(m, p, root[0]) == NULL && errno == EINVAL, "key of case %d",
		      which);
	errno = 0;
	ck_assert_msg(sm_ephemeron_new(m, root[0], p) == NULL && errno == EINVAL,
		      "value of case %d", which);
	if (p != NULL) {
		errno = 0;
		ck_assert_msg(sm_handle_new(m, p) == NULL && errno == EINVAL,
			      "sm_handle_new of case %d", which);
		ck_assert_msg(sm_handle_set(m, h, p) == -EINVAL, "sm_handle_set of case %d", which);
		ck_assert_ptr_eq(sm_handle_get(h), root[0]);
	}
	sm_handle_free(m, h);
}

START_TEST(no_object)
{
	setup();
	refuses(not_an_object(_i), _i);
	teardown();
}
END_TEST

START_TEST(a_freed_slot)
{
	setup();
	refuses(freed_slot(), 99);
	teardown();
}
END_TEST

/* The start of any object, however small or large, and none where that makes sense. */
START_TEST(an_object)
{
	static const size_t sizes[] = {1, 2, 4, 8, 12, 16, 24, 100, 1024, 5000, 40000, 1 << 20};
	struct sm_handle *h;

	setup();
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		void *p = sm_new_bytes(m, sizes[i]);
		struct sm_weak *w = sm_weak_new(m, p);

		ck_assert_msg(w != NULL, "%zu bytes", sizes[i]);
		ck_assert_ptr_eq(sm_weak_get(m, w), p);
		h = sm_handle_new(m, p);
		ck_assert_msg(h != NULL, "%zu bytes", sizes[i]);
		ck_assert_int_eq(sm_finalizer_set(m, p, never, NULL, NULL), 0);
		ck_assert_int_eq(sm_finalizer_clear(m, p), 0);
		sm_handle_free(m, h);
		sm_weak_free(m, w);
	}
	h = sm_handle_new(m, NULL);
	ck_assert_ptr_nonnull(h);
	ck_assert_ptr_null(sm_handle_get(h));
	ck_assert_int_eq(sm_handle_set(m, h, root[0]), 0);
	ck_assert_int_eq(sm_handle_set(m, h, NULL), 0);
	sm_handle_free(m, h);
	sm_handle_free(m, NULL);
	sm_weak_free(m, NULL);
	teardown();
}
END_TEST

/* ---- what handles hold -------------------------------------------------------------------- */

static struct sm_handle *handles[2 * SM_HANDLE_PIECE];

static SM_NOINLINE void hold_objects(void)
{
	for (size_t i = 0; i < 2 * SM_HANDLE_PIECE; i++) {
		uintptr_t *p = sm_new_bytes(m, 64);

		*p = i + 1;
		handles[i] = sm_handle_new(m, p);
	}
}

/* Each of them, from the first to the last, though nothing else leads to its object. */
START_TEST(handles_hold_their_objects)
{
	setup();
	hold_objects();
	gctest_clear_stack();
	ck_assert_int_eq(sm_collect(gc, m), 0);
	ck_assert_uint_eq(gctest_stats(gc).verify_errors, 0);
	for (size_t i = 0; i < 2 * SM_HANDLE_PIECE; i++) {
		ck_assert_uint_eq(*(uintptr_t *)sm_handle_get(handles[i]), i + 1);
		sm_handle_free(m, handles[i]);
	}
	teardown();
}
END_TEST

/* ---- what is no handle and no weak reference ---------------------------------------------- */

static void free_handle_twice(void)
{
	struct sm_handle *h = sm_handle_new(m, root[0]);

	sm_handle_free(m, h);
	sm_handle_free(m, h);
}

static void free_no_handle(void)
{
	sm_handle_free(m, (struct sm_handle *)root);
}

static void free_inside_a_handle(void)
{
	sm_handle_free(m, (struct sm_handle *)((char *)sm_handle_new(m, root[0]) + 8));
}

static void get_a_freed_handle(void)
{
	struct sm_handle *h = sm_handle_new(m, root[0]);

	sm_handle_free(m, h);
	sm_handle_get(h);
}

static void set_a_freed_handle(void)
{
	struct sm_handle *h = sm_handle_new(m, root[0]);

	sm_handle_free(m, h);
	sm_handle_set(m, h, root[0]);
}

static void free_weak_twice(void)
{
	struct sm_weak *w = sm_weak_new(m, root[0]);

	sm_weak_free(m, w);
	sm_weak_free(m, w);
}

static void free_no_weak(void)
{
	sm_weak_free(m, (struct sm_weak *)sm_handle_new(m, root[0]));
}

static void get_a_freed_weak(void)
{
	struct sm_weak *w = sm_weak_new(m, root[0]);

	sm_weak_free(m, w);
	sm_weak_get(m, w);
}

static void get_no_weak(void)
{
	sm_weak_get(m, (struct sm_weak *)root);
}

static void free_ephemeron_twice(void)
{
	struct sm_ephemeron *e = sm_ephemeron_new(m, root[0], root[1]);

	sm_ephemeron_free(m, e);
	sm_ephemeron_free(m, e);
}

static void get_a_freed_ephemeron(void)
{
	struct sm_ephemeron *e = sm_ephemeron_new(m, root[0], root[1]);

	sm_ephemeron_free(m, e);
	sm_ephemeron_get(m, e);
}

static const struct abuse {
	void (*do_it)(void);
	const char *call;
} abuses[] = {
	{free_handle_twice, "sm_handle_free"},
	{free_no_handle, "sm_handle_free"},
	{free_inside_a_handle, "sm_handle_free"},
	{get_a_freed_handle, "sm_handle_get"},
	{set_a_freed_handle, "sm_handle_set"},
	{free_weak_twice, "sm_weak_free"},
	{free_no_weak, "sm_weak_free"},
	{get_a_freed_weak, "sm_weak_get"},
	{get_no_weak, "sm_weak_get"},
	{free_ephemeron_twice, "sm_ephemeron_free"},
	{get_a_freed_ephemeron, "sm_ephemeron_get"},
};
#define ABUSES ((int)(sizeof(abuses) / sizeof(abuses[0])))

/* In a child, whose message is read. */
START_TEST(aborts_and_says_so)
{
	char said[500] = "";
	int fd[2], status;
	pid_t child;

	ck_assert_int_eq(pipe(fd), 0);
	child = fork();
	if (child == 0) {
		dup2(fd[1], STDERR_FILENO);
		setup();
		abuses[_i].do_it();
		_exit(0);
	}
	close(fd[1]);
	ck_assert_int_ge(read(fd[0], said, sizeof(said) - 1), 0);
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT, "status %#x: %s", status,
		      said);
	ck_assert_msg(strstr(said, abuses[_i].call) && strstr(said, "thread "), "%s", said);
}
END_TEST

int main(void)
{
	return SM_SUITE("refs", 60, SM_LOOP(no_object, 0, 13), SM_T(a_freed_slot), SM_T(an_object),
			SM_T(handles_hold_their_objects), SM_LOOP(aborts_and_says_so, 0, ABUSES));
}
