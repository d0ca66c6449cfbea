/* test_inspect: object base and size, iteration, the dump: against heaps whose shape the test
 * knows. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

#include "allocator/os/os.h"
#include "tests/support/gctest.h"
#include "tests/support/run.h"

struct node {
	struct node *next, *other;
	long value;
};

static struct sm_gc *gc;
static struct sm_mutator *m;
static const struct sm_type *type;

static void setup_with(const char *mode)
{
	gc = GCTEST(mode, "gc.verify=1");
	m = sm_mutator_attach(gc);
	type = sm_type_prefix(gc, sizeof(struct node), 2);
}

static void teardown(void)
{
	sm_mutator_detach(m);
	sm_gc_destroy(gc);
}

static const char *const modes[] = {"gc.mode=concurrent", "gc.mode=stw", "cache.mode=cpu"};

/* n nodes in a list behind a handle; nothing of it stays on the stack. */
static SM_NOINLINE struct sm_handle *list(long n)
{
	struct sm_handle *h = sm_handle_new(m, NULL);

	for (long i = 0; i < n; i++) {
		struct node *x = sm_new(m, type);

		ck_assert_ptr_nonnull(x);
		x->value = i;
		sm_store(m, (void **)&x->next, sm_handle_get(h));
		sm_handle_set(m, h, x);
	}
	return h;
}

struct seen {
	size_t nodes, bytes, all;
	long sum;
};

static bool count(void *ctx, const struct sm_object *o)
{
	struct seen *s = ctx;

	s->all++;
	ck_assert_ptr_eq(sm_object_base(gc, (char *)o->address + o->bytes - 1), o->address);
	ck_assert_uint_eq(sm_object_size(gc, o->address), o->bytes);
	if (o->pointers && o->bytes >= sizeof(struct node) && o->bytes < 64) {
		s->nodes++;
		s->sum += ((struct node *)o->address)->value;
	}
	return true;
}

START_TEST(each_reachable_object_once)
{
	struct seen s = {0};
	struct sm_handle *h, *dead;

	setup_with(modes[_i]);
	h = list(10000);
	dead = list(5000);
	sm_handle_free(m, dead);
	ck_assert_int_eq(sm_heap_foreach(gc, m, count, &s), 0);
	/* A word on the stack may keep some of the dead list. */
	ck_assert_uint_ge(s.nodes, 10000);
	ck_assert_uint_lt(s.nodes, 15100);
	ck_assert_int_ge(s.sum, 10000l * 9999 / 2);
	sm_collect(gc, m);
	ck_assert_uint_eq(sm_heap_check(sm_gc_heap(gc)), 0);
	sm_handle_free(m, h);
	teardown();
}
END_TEST

static bool second(void *ctx, const struct sm_object *o)
{
	(void)o;
	return ++*(int *)ctx < 2;
}

START_TEST(it_ends_when_the_callback_says_so)
{
	int n = 0;

	setup_with(modes[0]);
	list(100);
	ck_assert_int_eq(sm_heap_foreach(gc, m, second, &n), 0);
	ck_assert_int_eq(n, 2);
	teardown();
}
END_TEST

START_TEST(base_and_size)
{
	static char outside[64];
	char *p, *large;

	setup_with(modes[0]);
	p = sm_new(m, type);
	large = sm_new_bytes(m, 100000);
	ck_assert_ptr_eq(sm_object_base(gc, p), p);
	ck_assert_ptr_eq(sm_object_base(gc, p + 8), p);
	ck_assert_ptr_eq(sm_object_base(gc, large + 99999), large);
	ck_assert_uint_ge(sm_object_size(gc, large + 5), 100000);
	ck_assert_ptr_null(sm_object_base(gc, outside));
	ck_assert_ptr_null(sm_object_base(gc, NULL));
	ck_assert_ptr_null(sm_object_base(gc, &p));
	ck_assert_uint_eq(sm_object_size(gc, outside), 0);
	teardown();
}
END_TEST

static bool misbehave(void *ctx, const struct sm_object *o)
{
	(void)o;
	switch (*(int *)ctx) {
	case 0: sm_collect(gc, NULL); break;
	case 1: sm_mutator_attach(gc); break;
	case 2: sm_heap_foreach(gc, NULL, second, ctx); break;
	case 3: sm_heap_dump(gc, NULL, 2); break;
	case 4: sm_new(m, type); break;
	}
	return true;
}

START_TEST(calls_that_a_callback_may_not_make_abort)
{
	setup_with(modes[0]);
	list(10);
	sm_heap_foreach(gc, m, misbehave, &_i);
}
END_TEST

static char *dump(size_t *len)
{
	int fd = memfd_create("dump", 0);
	char *text;

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(sm_heap_dump(gc, m, fd), 0);
	*len = (size_t)lseek(fd, 0, SEEK_END);
	text = calloc(1, *len + 1);
	ck_assert_int_eq(pread(fd, text, *len, 0), (ssize_t)*len);
	close(fd);
	return text;
}

static size_t occurrences(const char *text, const char *what)
{
	size_t n = 0;

	for (; (text = strstr(text, what)) != NULL; text++)
		n++;
	return n;
}

START_TEST(a_dump_has_objects_edges_and_roots)
{
	struct sm_handle *h;
	char line[100], *text;
	size_t len;

	setup_with(modes[_i]);
	h = list(1000);
	text = dump(&len);
	ck_assert_ptr_eq(strstr(text, "{\"spanmark_heap\":1,"), text);
	ck_assert_uint_ge(occurrences(text, "{\"object\":"), 1000);
	/* The handle's object is a root's target and has one edge, to the node behind it. */
	snprintf(line, sizeof(line), "\"handle\",\"at\":\"0x%lx\",\"to\":\"%p\"}\n",
		 (unsigned long)(uintptr_t)h + 8, sm_handle_get(h));
	ck_assert_msg(strstr(text, line) != NULL, "no %s", line);
	snprintf(line, sizeof(line), "\"edges\":[\"%p\"]}\n",
		 (void *)((struct node *)sm_handle_get(h))->next);
	ck_assert_msg(strstr(text, line) != NULL, "no %s", line);
	ck_assert_ptr_nonnull(strstr(text, "{\"end\":true,"));
	ck_assert_int_eq(text[len - 1], '\n');
	free(text);
	teardown();
}
END_TEST

START_TEST(a_dump_that_cannot_be_written_says_so)
{
	int full = open("/dev/full", O_WRONLY), ro = open("/dev/null", O_RDONLY);

	setup_with(modes[0]);
	list(1000);
	ck_assert_int_eq(sm_heap_dump(gc, m, full), -ENOSPC);
	ck_assert_int_eq(sm_heap_dump(gc, m, ro), -EBADF);
	close(full);
	close(ro);
	teardown();
}
END_TEST

/* ---- every kind of root, and edges that no word holds ------------------------------------- */

/* The dump has a line with all of these, in this order. */
static bool has_line(const char *text, const char *a, const char *b, const char *c)
{
	for (const char *end; (end = strchr(text, '\n')) != NULL; text = end + 1) {
		const char *at = strstr(text, a);

		at = at ? strstr(at, b) : NULL;
		at = at ? strstr(at, c) : NULL;
		if (at && at < end)
			return true;
	}
	return false;
}

static const char *quoted(const char *key, uintptr_t address)
{
	static char text[4][60];
	static int n;
	char *out = text[n++ % 4];

	snprintf(out, sizeof(text[0]), "\"%s\":\"0x%lx\"", key, (unsigned long)address);
	return out;
}

static ucontext_t co, home;
static uintptr_t hidden; /* an object's address, inverted */

static void coroutine(void)
{
	struct node *volatile mine = sm_new(m, type);

	hidden = ~(uintptr_t)mine;
	sm_stack_leave(m);
	swapcontext(&co, &home);
	ck_assert_ptr_eq(mine, (void *)~hidden);
}

START_TEST(coroutines_and_thread_ranges_are_told_apart)
{
	static char stack[64 << 10] __attribute__((aligned(16)));
	static struct node *local;
	char thread[40], *text;
	size_t len;

	setup_with(modes[_i]);
	ck_assert_int_eq(sm_thread_range_add(m, stack, sizeof(stack)), 0);
	ck_assert_int_eq(sm_thread_range_add(m, &local, sizeof(local)), 0);
	local = sm_new(m, type);
	getcontext(&co);
	co.uc_stack.ss_sp = stack;
	co.uc_stack.ss_size = sizeof(stack);
	co.uc_link = &home;
	makecontext(&co, coroutine, 0);
	sm_stack_leave(m);
	swapcontext(&home, &co);
	text = dump(&len);
	snprintf(thread, sizeof(thread), "\"thread\":%d,", (int)gettid());
	ck_assert(has_line(text, "{\"root\":\"coroutine\"", thread, quoted("to", ~hidden)));
	ck_assert(has_line(text, "{\"root\":\"thread range\"", quoted("at", (uintptr_t)&local),
			   quoted("to", (uintptr_t)local)));
	free(text);
	sm_stack_leave(m);
	swapcontext(&home, &co);
	local = NULL;
	ck_assert_int_eq(sm_thread_range_remove(m, stack), 0);
	ck_assert_int_eq(sm_thread_range_remove(m, &local), 0);
	teardown();
}
END_TEST

static _Atomic(int) release;

static void finalize_slowly(void *ctx, struct sm_mutator *fm, void *object)
{
	(void)ctx;
	(void)object;
	sm_blocking_enter(fm);
	while (!release)
		usleep(1000);
	sm_blocking_leave(fm);
}

#define DYING 8

/* Objects that die; their addresses are returned inverted. */
static SM_NOINLINE void with_finalizers(uintptr_t *out)
{
	for (int i = 0; i < DYING; i++) {
		struct node *x = sm_new(m, type);

		ck_assert_int_eq(sm_finalizer_set(m, x, finalize_slowly, NULL, NULL), 0);
		out[i] = ~(uintptr_t)x;
	}
}

/* One finalizer runs, the others wait for it. A word on the stack may keep some of the objects. */
START_TEST(queued_finalizers_are_roots)
{
	uintptr_t object[DYING];
	size_t len, known = 0;
	char *text;

	setup_with(modes[_i]);
	with_finalizers(object);
	gctest_clear_stack();
	sm_collect(gc, m);
	text = dump(&len);
	for (int i = 0; i < DYING; i++)
		known += has_line(text, "{\"root\":\"finalizer\",", "", quoted("to", ~object[i]));
	ck_assert_uint_ge(known, 3);
	ck_assert_uint_eq(known, occurrences(text, "{\"root\":\"finalizer\","));
	free(text);
	release = 1;
	sm_finalizer_wait(gc, m);
	teardown();
}
END_TEST

START_TEST(ephemerons_and_ranges)
{
	static void *range[3];
	struct sm_ephemeron *e, *other[2];
	uintptr_t key, value;
	size_t len;
	char *text;

	setup_with(modes[_i]);
	ck_assert_int_eq(sm_root_add(gc, range, 3), 0);
	sm_store(m, &range[1], sm_new_bytes(m, 100));
	key = (uintptr_t)range[1];
	value = (uintptr_t)sm_new(m, type);
	e = sm_ephemeron_new(m, range[1], (void *)value);
	ck_assert_ptr_nonnull(e);
	/* Others of a key before it and of one behind it. */
	for (int i = 0; i < 2; i++) {
		sm_store(m, &range[2 * i], sm_new_bytes(m, 100));
		other[i] = sm_ephemeron_new(m, range[2 * i], sm_new_bytes(m, 8));
		ck_assert_ptr_nonnull(other[i]);
	}
	text = dump(&len);
	ck_assert(has_line(text, "{\"root\":\"range\",", quoted("at", (uintptr_t)&range[1]),
			   quoted("to", key)));
	ck_assert(has_line(text, quoted("object", key), "\"type\":\"bytes\",\"edges\":[",
			   strchr(quoted("", value), ':') + 1));
	/* A rare type's object is told by its shape. */
	ck_assert(has_line(text, quoted("object", value), "\"type\":\"mixed 0x3\"", ""));
	free(text);
	sm_root_remove(gc, range);
	sm_ephemeron_free(m, e);
	sm_ephemeron_free(m, other[0]);
	sm_ephemeron_free(m, other[1]);
	teardown();
}
END_TEST

/* Of the requests for memory one after the other fails: the walk's three tables, and each growth of
 * its stack, are among them. */
START_TEST(a_walk_without_memory_says_so)
{
	const size_t n = 150000; /* more than the walk's stack has at first */
	int null = open("/dev/null", O_WRONLY), err = -ENOMEM;
	unsigned long asked = 1;
	unsigned refused = 0;
	void **all;

	setup_with(modes[_i]);
	all = sm_new(m, sm_type_pointers(gc, n));
	for (size_t i = 0; i < n; i++)
		sm_store(m, &all[i], sm_new(m, type));
	for (unsigned long nth = 1; nth <= asked || err == -ENOMEM; nth++) {
		struct seen s = {0};

		sm__os_inject(SM_OS_RESERVE, (long)nth, ENOMEM);
		err = nth % 2 ? sm_heap_dump(gc, m, null) : sm_heap_foreach(gc, m, count, &s);
		asked = sm__os_inject(SM_OS_RESERVE, 0, 0);
		ck_assert_msg(err == 0 || err == -ENOMEM, "%d", err);
		refused += err == -ENOMEM;
		sm_safepoint(m);
	}
	ck_assert_uint_ge(refused, 4);
	ck_assert_ptr_nonnull(all[0]);
	close(null);
	teardown();
}
END_TEST

struct told {
	unsigned begins, ends;
};

static void on_cycle(void *ctx, enum sm_cycle_event event)
{
	struct told *t = ctx;

	ck_assert_uint_eq(t->begins - t->ends, event == SM_CYCLE_BEGINS ? 0 : 1);
	if (event == SM_CYCLE_BEGINS)
		t->begins++;
	else
		t->ends++;
}

START_TEST(each_cycle_begins_and_ends)
{
	struct told t = {0};

	setup_with(modes[_i]);
	ck_assert_int_eq(sm_gc_on_cycle(gc, on_cycle, &t), 0);
	for (unsigned i = 1; i <= 3; i++) {
		sm_collect(gc, m);
		ck_assert_uint_ge(t.ends, i);
	}
	ck_assert_int_eq(sm_gc_on_cycle(gc, NULL, NULL), 0);
	t = (struct told){0};
	sm_collect(gc, m);
	ck_assert_uint_eq(t.begins, 0);
	teardown();
}
END_TEST

static struct sm_gc *second_gc;
static _Atomic(int) stage; /* 1: the function runs; 2: whom it waits for is about to set another */

static void collect_the_second(void *ctx, enum sm_cycle_event event)
{
	(void)ctx;
	if (event != SM_CYCLE_BEGINS || stage != 0)
		return;
	stage = 1;
	while (stage != 2)
		usleep(100);
	/* Long enough for the other thread to wait for this function; then its safepoint is needed.
	 */
	usleep(50000);
	ck_assert_int_eq(sm_collect(second_gc, NULL), 0);
}

/* The thread is attached to both collectors, and the function waits for a cycle of the second. */
START_TEST(who_sets_a_callback_stands_at_a_safepoint)
{
	struct sm_mutator *m2;

	setup_with(modes[0]);
	second_gc = GCTEST(modes[_i]);
	m2 = sm_mutator_attach(second_gc);
	ck_assert_int_eq(sm_gc_on_cycle(gc, collect_the_second, NULL), 0);
	sm_gc_set_percent(gc, 100); /* asks for a cycle */
	while (stage != 1) {
		sm_safepoint(m);
		usleep(100);
	}
	stage = 2;
	ck_assert_int_eq(sm_gc_on_cycle(gc, NULL, NULL), 0);
	ck_assert_uint_ge(gctest_stats(second_gc).cycles, 1);
	sm_mutator_detach(m2);
	sm_gc_destroy(second_gc);
	teardown();
}
END_TEST

START_TEST(limits_change_while_it_runs)
{
	struct sm_gc_stats st;

	/* Little room by itself, so that the percentage says where the goal is. */
	gc = GCTEST("gc.percent=400", "gc.min_heap=1m", "gc.room=1");
	m = sm_mutator_attach(gc);
	type = sm_type_prefix(gc, sizeof(struct node), 2);
	list(300000);
	list(300000);
	sm_collect(gc, m);
	st = gctest_stats(gc);
	ck_assert_uint_gt(st.last_goal, 4 * st.last_heap_after);
	ck_assert_int_eq(sm_gc_set_percent(gc, 100), 0);
	sm_collect(gc, m);
	st = gctest_stats(gc);
	ck_assert_uint_lt(st.last_goal, 3 * st.last_heap_after);
	ck_assert_int_eq(sm_gc_set_percent(gc, 400), 0);
	ck_assert_int_eq(sm_gc_set_limit(gc, st.last_heap_after * 2), 0);
	sm_collect(gc, m);
	st = gctest_stats(gc);
	ck_assert_uint_lt(st.last_goal, 3 * st.last_heap_after);
	ck_assert_int_eq(sm_gc_set_limit(gc, 0), 0);
	sm_collect(gc, m);
	st = gctest_stats(gc);
	ck_assert_uint_gt(st.last_goal, 4 * st.last_heap_after);
	ck_assert_int_eq(sm_gc_set_percent(gc, 10001), -EINVAL);
	teardown();
}
END_TEST

START_TEST(no_callback)
{
	setup_with(modes[0]);
	ck_assert_int_eq(sm_heap_foreach(gc, m, NULL, NULL), -EINVAL);
	teardown();
}
END_TEST

int main(void)
{
	return SM_SUITE("inspect", 60, SM_LOOP(each_reachable_object_once, 0, 3),
			SM_T(it_ends_when_the_callback_says_so), SM_T(base_and_size),
			SM_LOOP_RAISES(calls_that_a_callback_may_not_make_abort, SIGABRT, 0, 5),
			SM_LOOP(a_dump_has_objects_edges_and_roots, 0, 3),
			SM_T(a_dump_that_cannot_be_written_says_so),
			SM_LOOP(coroutines_and_thread_ranges_are_told_apart, 0, 3),
			SM_LOOP(queued_finalizers_are_roots, 0, 3),
			SM_LOOP(ephemerons_and_ranges, 0, 3),
			SM_LOOP(a_walk_without_memory_says_so, 0, 3), SM_T(no_callback),
			SM_LOOP(each_cycle_begins_and_ends, 0, 3),
			SM_LOOP(who_sets_a_callback_stands_at_a_safepoint, 0, 2),
			SM_T(limits_change_while_it_runs));
}
