/*
 * test_door: each thread that marks is known to termination (cycle.c, "The door"): those who come
 * when marking has ended, those who are in the middle of it when it would end, doubtful words in a
 * barrier buffer, marks on what is unmapped, and a mark stack that holds next to nothing.
 */
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include "allocator/objects/markmap.h"
#include "collector/cycle/verify.h"
#include "tests/support/moment.h"
#include "tests/support/run.h"

/* ---- when marking has ended --------------------------------------------------------------- */

static uintptr_t dead; /* disguised: a dead object, with a child */
static _Atomic(int) attached, over;

static __attribute__((noinline)) uintptr_t parent_of_one(void)
{
	void **p = sm_new(m, node);

	sm_store(m, p, sm_new(m, node));
	return ~(uintptr_t)p;
}

/* A cycle that has ended marking, and this mutator has not acknowledged BARRIER_OFF; `dead` was
 * born before. */
static pthread_t marked_to_the_end(void)
{
	pthread_t t;

	setup();
	attached = over = 0;
	dead = parent_of_one();
	t = begin();
	step_until(m, SM_HS_BARRIER_OFF);
	return t;
}

static void nothing_was_marked(pthread_t t)
{
	ck_assert(!sm__is_marked(&gc->range, ~dead));
	ck_assert_uint_eq(sm__workq_queued(&gc->workq), 0);
	sm_blocking_enter(m);
	pthread_join(t, NULL);
	sm_blocking_leave(m);
	ck_assert_int_eq(sm_root_remove(gc, root), 0);
	gctest_destroy(gc, m);
}

static void *attach_late(void *arg)
{
	void *volatile stale = (void *)~dead;
	struct sm_mutator *own = sm_mutator_attach(gc);

	ck_assert_ptr_nonnull(own);
	attached = 1;
	while (!over)
		sm_safepoint(own);
	sm_mutator_detach(own);
	return stale == NULL ? arg : NULL;
}

START_TEST(a_thread_born_then_marks_nothing)
{
	pthread_t t = marked_to_the_end(), young;

	ck_assert_int_eq(pthread_create(&young, NULL, attach_late, NULL), 0);
	while (!attached)
		sm_cpu_relax();
	over = 1;
	ck_assert(!sm__is_marked(&gc->range, ~dead));
	nothing_was_marked(t);
	pthread_join(young, NULL);
}
END_TEST

START_TEST(a_stack_that_comes_then_is_not_marked)
{
	static void *stack[32];
	pthread_t t = marked_to_the_end();

	stack[7] = (void *)~dead;
	ck_assert_int_eq(sm_thread_range_add(m, stack, sizeof(stack)), 0);
	memset(stack, 0, sizeof(stack));
	nothing_was_marked(t);
}
END_TEST

/* Dead addresses that a conservative object holds as integers are recorded as they are overwritten.
 */
START_TEST(a_full_buffer_then_is_forgotten)
{
	enum { N = 300 };
	pthread_t t;
	void **any;

	setup();
	dead = parent_of_one();
	any = sm_new(m, sm_type_conservative(gc, N * sizeof(void *)));
	sm_store(m, &root[0], any);
	t = begin();
	step_until(m, SM_HS_BARRIER_OFF);
	for (int i = 0; i < N; i++) {
		*(volatile uintptr_t *)&any[i] = ~dead;
		sm_store(m, &any[i], NULL);
	}
	nothing_was_marked(t);
}
END_TEST

START_TEST(a_root_that_comes_then_is_not_marked)
{
	static void *more[4];
	pthread_t t = marked_to_the_end();

	more[1] = (void *)~dead;
	ck_assert_int_eq(sm_root_add(gc, more, 4), 0);
	ck_assert_int_eq(sm_root_remove(gc, more), 0);
	more[1] = NULL;
	nothing_was_marked(t);
}
END_TEST

/* What is white when marking has ended is dead, though its weak reference has not been cleared. */
START_TEST(a_weak_reference_read_then_is_null)
{
	static struct sm_weak *w;
	pthread_t t;

	setup();
	dead = step_hidden(m, node, &w);
	t = begin();
	step_past(m, SM_HS_SCAN);
	sm_blocking_enter(m);
	pthread_join(t, NULL);
	sm_blocking_leave(m);
	ck_assert(!step_alive(m, w));
	/* The same by hand: the barrier on, the door shut, nothing decided. */
	dead = step_hidden(m, node, &w);
	m->barrier = true;
	ck_assert(!step_alive(m, w));
	m->barrier = false;
	ck_assert(step_alive(m, w));
	ck_assert_int_eq(sm_root_remove(gc, root), 0);
	gctest_destroy(gc, m);
}
END_TEST

/* ---- in the middle when marking would end ------------------------------------------------- */

static char *slow_page;
static _Atomic(int) faulted, go_on;
static void **slow_range;
#define SLOW_WORDS 64

/* The thread that reads the range's second half stands still here until it may go on. */
static void stand_still(int sig, siginfo_t *info, void *context)
{
	(void)sig;
	(void)context;
	if ((char *)info->si_addr < slow_page || (char *)info->si_addr >= slow_page + 65536)
		abort();
	faulted = 1;
	while (!go_on)
		usleep(100);
	mprotect(slow_page, 65536, PROT_READ | PROT_WRITE);
}

static void *remove_slow_range(void *arg)
{
	ck_assert_int_eq(sm_root_remove(gc, slow_range), 0);
	return arg;
}

/* A few words before the page and as many in it: one piece. */
static void make_slow_range(void)
{
	struct sigaction act = {.sa_sigaction = stand_still, .sa_flags = SA_SIGINFO | SA_NODEFER};
	char *pages =
		mmap(NULL, 2 * 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	ck_assert_ptr_ne(pages, MAP_FAILED);
	slow_page = pages + 65536;
	slow_range = (void **)slow_page - SLOW_WORDS / 2;
	faulted = go_on = 0;
	ck_assert_int_eq(sigaction(SIGSEGV, &act, NULL), 0);
	ck_assert_int_eq(sm_root_add(gc, slow_range, SLOW_WORDS), 0);
}

/*
 * A thread that is not attached claims a parent and holds it, the child unseen, while it stands
 * still in the middle of the range that it removes. Until then the parent is known to a barrier
 * buffer alone, which then finds it marked. The cycle must not end before that thread has given
 * away what it holds.
 */
START_TEST(a_root_that_is_being_removed)
{
	uintptr_t parent, hidden;
	pthread_t t, other;
	uint64_t before;

	setup();
	before = sm_load_relaxed(&gc->cycles_completed);
	make_slow_range();
	hidden = step_hidden(m, node, &witness);
	parent = parent_of(hidden);
	step_link(m, &root[0], parent);
	t = begin();
	move_behind(parent);
	step_until(m, SM_HS_FLUSH);
	step_link(m, slow_range, parent);
	gctest_clear_stack();
	ck_assert_int_eq(mprotect(slow_page, 65536, PROT_NONE), 0);
	ck_assert_int_eq(pthread_create(&other, NULL, remove_slow_range, NULL), 0);
	while (!faulted)
		sm_cpu_relax();
	sm_blocking_enter(m);
	usleep(50000);
	ck_assert_uint_eq(sm_load_relaxed(&gc->cycles_completed), before);
	ck_assert_uint_eq(sm_load_relaxed(&gc->hs.op), SM_HS_FLUSH);
	go_on = 1;
	pthread_join(other, NULL);
	sm_blocking_leave(m);
	finish(t, hidden);
}
END_TEST

static void *add_and_remove(void *arg)
{
	static void *own[64];

	while (!over) {
		if (sm_root_add(gc, own, 64) != 0 || sm_root_remove(gc, own) != 0)
			return arg;
		faulted++;
	}
	return NULL;
}

/* gc.mode=stw: roots neither come nor go while a worker marks with plain stores. */
START_TEST(no_root_comes_while_the_world_is_stopped)
{
	struct sm_root_range none = {0};
	pthread_t other;
	int before;

	gc = GCTEST("gc.mode=stw", "gc.workers=1");
	m = sm_mutator_attach(gc);
	over = faulted = 0;
	ck_assert_int_eq(pthread_create(&other, NULL, add_and_remove, &none), 0);
	while (faulted < 100)
		sched_yield();
	/* As the control thread does while it marks. */
	sm_lock_acquire(&gc->roots.lock);
	gc->roots.marking = true;
	before = faulted;
	sm_lock_release(&gc->roots.lock);
	usleep(20000);
	ck_assert_int_le(faulted - before, 1);
	sm__roots_end(gc);
	sm__event_signal(&gc->hs.resumed);
	before = faulted;
	while (faulted < before + 100)
		sched_yield();
	for (int i = 0; i < 20; i++)
		ck_assert_int_eq(sm_collect(gc, m), 0);
	over = 1;
	pthread_join(other, NULL);
	gctest_destroy(gc, m);
}
END_TEST

/* ---- doubtful words in a buffer ----------------------------------------------------------- */

/* Taken out of a conservative object by a scanned thread, which holds it disguised, and put back at
 * the end. */
START_TEST(an_interior_pointer_that_is_deleted)
{
	static const unsigned offset[] = {0, 1, 8, 24, 47};
	uintptr_t hidden, at;
	void **any;
	pthread_t t;

	setup();
	hidden = step_hidden(m, sm_type_prefix(gc, 48, 0), &witness);
	at = ~(~hidden + offset[_i]);
	any = sm_new(m, sm_type_conservative(gc, 4096));
	sm_store(m, &root[0], any);
	step_link(m, &any[100], at);
	t = begin();
	step_past(m, SM_HS_BARRIER_ON);
	sm_store(m, &any[100], NULL);
	step_past(m, SM_HS_BLACK);
	gctest_clear_stack();
	step_past(m, SM_HS_SCAN);
	step_link(m, &any[100], at);
	gctest_clear_stack();
	finish(t, hidden);
}
END_TEST

/*
 * An integer that is the address of nothing: of free slots, of the middle of a window, of a unit
 * that is free. It is flushed at each moment at which a buffer may be; nothing free may be marked
 * by that.
 */
START_TEST(an_integer_that_is_deleted)
{
	enum { N = 300 };
	static const enum sm_handshake_op moment[] = {SM_HS_BLACK, SM_HS_SCAN, SM_HS_FLUSH,
						      SM_HS_BARRIER_OFF};
	uintptr_t window, freed = 0;
	void **any;
	pthread_t t;

	setup();
	for (int i = 0; i < 2000; i++)
		freed = ~(uintptr_t)sm_new(m, node);
	ck_assert_int_eq(sm_collect(gc, m), 0);
	any = sm_new(m, sm_type_conservative(gc, N * sizeof(void *)));
	sm_store(m, &root[0], any);
	window = ~((uintptr_t)sm_new_bytes(m, 48) + 96);
	for (int cycle = 0; cycle < 3; cycle++) {
		t = begin();
		step_until(m, moment[_i]);
		for (int i = 0; i < N; i++) {
			uintptr_t word = i % 3 == 0   ? freed
					 : i % 3 == 1 ? window
						      : ~gc->range.base - 200 * SM_UNIT;

			*(volatile uintptr_t *)&any[i] = ~word + (unsigned)i % 40;
			sm_store(m, &any[i], NULL);
		}
		/* Marked, and left to the overflow path. The window goes back before it is black.
		 */
		if (_i == 0) {
			ck_assert_uint_eq(sm__workq_queued(&gc->workq), 0);
			ck_assert(cycle > 0 || sm__is_marked(&gc->range, ~window));
			sm__cache_retire_all(sm__cache(m));
		}
		sm_blocking_enter(m);
		pthread_join(t, NULL);
		sm_blocking_leave(m);
	}
	ck_assert_uint_eq(gctest_stats(gc).verify_errors, 0);
	ck_assert_int_eq(sm_root_remove(gc, root), 0);
	gctest_destroy(gc, m);
}
END_TEST

/* ---- what is unmapped --------------------------------------------------------------------- */

/*
 * A file is unmapped at each moment of a cycle, with a stale word on the stack that leads there.
 * Its place must hold no mark when something else comes to lie there, and is used again once it is
 * swept.
 */
#define FILE_BYTES (40 * SM_UNIT)

static __attribute__((noinline)) uintptr_t map_file(int fd)
{
	void *p = sm_map_file(m, fd, 0, FILE_BYTES, SM_MAP_PRIVATE);

	ck_assert_ptr_nonnull(p);
	return ~(uintptr_t)p;
}

static __attribute__((noinline)) void unmap_file(uintptr_t place)
{
	sm_unmap_file(m, (void *)~place);
}

static __attribute__((noinline)) void write_stale(volatile uintptr_t *to, uintptr_t place)
{
	*to = ~place + 1000;
}

static __attribute__((noinline)) bool is_free(uintptr_t place)
{
	return sm_span_of(&gc->range, ~place)->state == SM_SPAN_FREE;
}

START_TEST(a_file_that_is_unmapped)
{
	char name[] = "/tmp/spanmark-test-door-XXXXXX";
	int fd = mkstemp(name);
	volatile uintptr_t stale;
	uintptr_t place;
	pthread_t t;

	unlink(name);
	ck_assert_int_eq(ftruncate(fd, FILE_BYTES), 0);
	setup();
	place = map_file(fd);
	write_stale(&stale, place);
	t = begin();
	step_until(m, (enum sm_handshake_op)(SM_HS_BARRIER_ON + _i));
	unmap_file(place);
	sm_blocking_enter(m);
	pthread_join(t, NULL);
	sm_blocking_leave(m);
	ck_assert_uint_eq(gctest_stats(gc).verify_errors, 0);
	/* Kept to here; an assertion would leave a copy in this frame. */
	__asm__ volatile("" : : "m"(stale));
	stale = 0;
	gctest_clear_stack();
	ck_assert_int_eq(sm_collect(gc, m), 0);
	ck_assert_int_eq(sm_collect(gc, m), 0);
	ck_assert(is_free(place));
	ck_assert_uint_eq(gctest_stats(gc).verify_errors, 0);
	ck_assert_int_eq(sm_root_remove(gc, root), 0);
	gctest_destroy(gc, m);
	close(fd);
}
END_TEST

/* ---- a mark stack that holds next to nothing ---------------------------------------------- */

START_TEST(a_short_mark_stack_comes_to_its_end)
{
	static const char *const workers[] = {"gc.workers=1", "gc.workers=2", "gc.workers=64"};
	enum { N = 20000 }; /* pointers: an array far beyond one piece */
	struct sm_gc_stats s;
	void **array;

	gc = GCTEST(_i % 2 ? "gc.mode=stw" : "gc.mode=concurrent", "gc.verify=1",
		    "gc.mark_stack=1k", workers[_i / 2]);
	m = sm_mutator_attach(gc);
	node = sm_type_prefix(gc, 32, 2);
	memset(root, 0, sizeof(root));
	ck_assert_int_eq(sm_root_add(gc, root, 64), 0);
	array = sm_new_array(m, sm_type_pointers(gc, 1), N);
	sm_store(m, &root[0], array);
	for (int i = 0; i < N; i++) {
		void **p = sm_new(m, node), **child;

		sm_store(m, &array[i], p);
		child = sm_new(m, node);
		((uintptr_t *)child)[2] = 0xfeed;
		sm_store(m, p, child);
	}
	gctest_clear_stack();
	for (int i = 0; i < 2; i++)
		ck_assert_int_eq(sm_collect(gc, m), 0);
	s = gctest_stats(gc);
	ck_assert_uint_eq(s.verify_errors, 0);
	ck_assert_uint_ge(s.last_marked_objects, 2 * N + 1);
	for (int i = 0; i < N; i++) {
		if (((uintptr_t **)array[i])[0][2] != 0xfeed)
			ck_abort_msg("child %d is lost", i);
	}
	ck_assert_int_eq(sm_root_remove(gc, root), 0);
	gctest_destroy(gc, m);
}
END_TEST

/* ---- the verifier ------------------------------------------------------------------------- */

static __attribute__((noinline)) uintptr_t large_object(void)
{
	return ~(uintptr_t)sm_new_array(m, sm_type_pointers(gc, 1), 100 * SM_UNIT / sizeof(void *));
}

/* A mark on a unit where nothing lies is a difference. */
START_TEST(the_verifier_sees_a_mark_on_a_free_unit)
{
	uintptr_t place, first = 0;
	unsigned found;

	setup();
	place = large_object();
	gctest_clear_stack();
	ck_assert_int_eq(sm_collect(gc, m), 0);
	ck_assert_int_eq(sm_collect(gc, m), 0);
	ck_assert_uint_eq(sm_span_of(&gc->range, ~place)->state, SM_SPAN_FREE);
	sm_fetch_or_relaxed(sm_mark_word(&gc->range, ~place), sm_mark_mask(&gc->range, ~place));
	ck_assert_uint_eq(sm__marks_on_free_units(gc->heap, &first), 1);
	sm_blocking_enter(m);
	sm__world_stop(gc, false);
	found = sm__verify_stw(gc);
	sm__world_resume(gc);
	sm_blocking_leave(m);
	ck_assert_uint_ge(found, 1);
	ck_assert_uint_eq(first, ~place);
	sm_fetch_and_relaxed(sm_mark_word(&gc->range, first), 0);
	ck_assert_int_eq(sm_root_remove(gc, root), 0);
	gctest_destroy(gc, m);
}
END_TEST

int main(void)
{
	return SM_SUITE(
		"door", 60, SM_T(a_thread_born_then_marks_nothing),
		SM_T(a_stack_that_comes_then_is_not_marked), SM_T(a_full_buffer_then_is_forgotten),
		SM_T(a_root_that_comes_then_is_not_marked),
		SM_T(a_weak_reference_read_then_is_null), SM_T(a_root_that_is_being_removed),
		SM_T(no_root_comes_while_the_world_is_stopped),
		SM_LOOP(an_interior_pointer_that_is_deleted, 0, 5),
		SM_LOOP(an_integer_that_is_deleted, 0, 4), SM_LOOP(a_file_that_is_unmapped, 0, 6),
		SM_LOOP(a_short_mark_stack_comes_to_its_end, 0, 6),
		SM_T(the_verifier_sees_a_mark_on_a_free_unit));
}
