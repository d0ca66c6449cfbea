/* malloc: whose objects share a line. Of what a thread frees that another allocated, the slot is
 * not the one that it gets next, while the line has objects of others. */
#include <pthread.h>

#include "allocator/objects/heap.h"
#include "spanmark/malloc.h"
#include "tests/support/run.h"

#define OBJECTS 8192 /* of 16 B: some spans of each unit's size */
#define MANY	4096

static const size_t sizes[] = {16, 32};

static void sound(void)
{
	ck_assert_uint_eq(sm_heap_check(sm_malloc_heap()), 0);
}

static uintptr_t line_of(const void *p)
{
	return (uintptr_t)p / SM_CACHELINE;
}

/* ---- a thread that is given an object ----------------------------------------------------- */

struct taker {
	void *given, *got;
	size_t size;
};

static void *free_and_take(void *arg)
{
	struct taker *t = arg;

	sm_free(t->given);
	t->got = sm_malloc(t->size);
	return NULL;
}

START_TEST(a_thread_that_frees_anothers_object_gets_another_line)
{
	void *mine = sm_malloc(sizes[_i]);
	struct taker taker = {.given = sm_malloc(sizes[_i]), .size = sizes[_i]};
	pthread_t t;

	ck_assert_uint_eq(line_of(mine), line_of(taker.given));
	ck_assert_int_eq(pthread_create(&t, NULL, free_and_take, &taker), 0);
	pthread_join(t, NULL);
	ck_assert_uint_ne(line_of(taker.got), line_of(mine));
	sm_free(taker.got);
	sm_free(mine);
	sound();
}
END_TEST

/* ---- a span that is full but for a few slots ---------------------------------------------- */

static void *objects[OBJECTS];

struct visit {
	uintptr_t line;
	size_t first, n, size; /* of objects: what it frees */
	unsigned in_line;      /* of what it got, on that line */
};

/* A new thread each time: its first frees go straight to spans, and it has no list. */
static void *visit(void *arg)
{
	struct visit *v = arg;
	static void *got[MANY];

	for (size_t i = 0; i < v->n; i++)
		sm_free(objects[v->first + i]);
	for (unsigned i = 0; i < MANY; i++) {
		got[i] = sm_malloc(v->size);
		v->in_line += line_of(got[i]) == v->line;
	}
	for (unsigned i = 0; i < MANY; i++)
		sm_free(got[i]);
	return NULL;
}

static unsigned got_of_line(size_t size, size_t first, size_t n)
{
	struct visit v = {.line = line_of(objects[first]), .first = first, .n = n, .size = size};
	pthread_t t;

	ck_assert_int_eq(pthread_create(&t, NULL, visit, &v), 0);
	pthread_join(t, NULL);
	return v.in_line;
}

START_TEST(a_line_waits_until_all_of_it_is_free)
{
	size_t size = sizes[_i], in_line = SM_CACHELINE / size, at = 0;

	for (unsigned i = 0; i < OBJECTS; i++)
		objects[i] = sm_malloc(size);
	/* The first objects that fill a line, in a span that is full. */
	while (line_of(objects[at]) != line_of(objects[at + in_line - 1]))
		at++;
	ck_assert_uint_eq(got_of_line(size, at, in_line - 1), 0);
	sound();
	sm_malloc_trim(); /* or the next one gets what that one had */
	ck_assert_uint_eq(got_of_line(size, at + in_line - 1, 1), in_line);
	sound();
	for (unsigned i = 0; i < OBJECTS; i++)
		if (i < at || i >= at + in_line)
			sm_free(objects[i]);
	sm_malloc_trim();
	sound();
}
END_TEST

int main(void)
{
	return SM_SUITE("lines", 60,
			SM_LOOP(a_thread_that_frees_anothers_object_gets_another_line, 0, 2),
			SM_LOOP(a_line_waits_until_all_of_it_is_free, 0, 2));
}
