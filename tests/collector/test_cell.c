/*
 * test_cell: cells keep their place and have one owner; what is no cell in use is told from what
 * is; the index finds what was added, in a number of steps that grows with the number of cells and
 * no faster.
 */
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

#include "collector/roots/cell_index.h"
#include "tests/support/gctest.h"
#include "tests/support/run.h"
#include "tests/support/scale.h"

struct thing {
	struct sm_keyed_cell c;
	_Atomic(uint32_t) owner;
};

static struct sm_cells cells;

static struct thing *take(void)
{
	struct thing *t = (struct thing *)sm__cell_take(&cells);

	if (t == NULL)
		ck_abort_msg("no cell");
	return t;
}

START_TEST(numbers_and_places)
{
	enum { N = 5000 };
	static struct thing *at[N];

	sm__cells_init(&cells, sizeof(struct thing), "a thing");
	for (unsigned i = 0; i < N; i++) {
		at[i] = take();
		sm__cell_use(&at[i]->c.cell);
		if (sm__cell_number(&cells, at[i]) != i + 1 ||
		    sm__cell_at(&cells, i + 1) != &at[i]->c.cell)
			ck_abort_msg("cell %u", i);
	}
	ck_assert(sm__cell_in_use(&cells, at[0]));
	ck_assert(sm__cell_in_use(&cells, at[N - 1]));
	/* Inside one, behind the last, before the first, nowhere near. */
	ck_assert(!sm__cell_in_use(&cells, (char *)at[7] + 8));
	ck_assert(!sm__cell_in_use(&cells, at[N - 1] + 1));
	ck_assert(!sm__cell_in_use(&cells, (char *)at[0] - 1));
	ck_assert(!sm__cell_in_use(&cells, &cells));
	ck_assert(!sm__cell_in_use(&cells, NULL));
	/* The last that was given is the next that is taken. */
	sm__cell_give(&cells, &at[10]->c.cell, "test");
	sm__cell_give(&cells, &at[20]->c.cell, "test");
	ck_assert(!sm__cell_in_use(&cells, at[10]));
	ck_assert_ptr_eq(take(), at[20]);
	ck_assert_ptr_eq(take(), at[10]);
	ck_assert_uint_eq(sm__cells_made(&cells), N);
	sm__cells_fini(&cells);
}
END_TEST

/* 0: twice; 1: taken and not yet in use; 2: of no table; 3: inside one. */
START_TEST(given_wrongly)
{
	struct thing *t;

	sm__cells_init(&cells, sizeof(struct thing), "a thing");
	t = take();
	if (_i != 1)
		sm__cell_use(&t->c.cell);
	if (_i == 0)
		sm__cell_give(&cells, &t->c.cell, "test");
	sm__cell_give(&cells,
		      _i < 2 ? &t->c.cell
			     : (struct sm_cell *)(_i == 2 ? (char *)&t : (char *)t + 8),
		      "test");
}
END_TEST

/* ---- many threads ------------------------------------------------------------------------- */

#define THREADS 4
#define HELD	64
static unsigned long rounds;

static void *take_and_give(void *arg)
{
	uint32_t me = (uint32_t)(uintptr_t)arg;
	struct thing *held[HELD] = {NULL};
	uint64_t rs = me * 77 + 1;

	for (unsigned long i = 0; i < rounds; i++) {
		unsigned at = (unsigned)(gctest_random(&rs) % HELD);
		uint32_t none = 0;

		if (held[at] == NULL) {
			held[at] = take();
			if (!sm_cas_acqrel(&held[at]->owner, &none, me))
				ck_abort_msg("a cell has two owners: %u and %u", me, none);
			sm__cell_use(&held[at]->c.cell);
			continue;
		}
		if (sm_exchange_acqrel(&held[at]->owner, 0) != me)
			ck_abort_msg("another took the cell of %u", me);
		sm__cell_give(&cells, &held[at]->c.cell, "test");
		held[at] = NULL;
	}
	return NULL;
}

START_TEST(one_owner_each)
{
	pthread_t t[THREADS];

	rounds = sm_test_scaled(400000);
	sm__cells_init(&cells, sizeof(struct thing), "a thing");
	for (uintptr_t i = 0; i < THREADS; i++)
		ck_assert_int_eq(pthread_create(&t[i], NULL, take_and_give, (void *)(i + 1)), 0);
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(t[i], NULL);
	/* What was given was taken again. */
	ck_assert_uint_le(sm__cells_made(&cells), THREADS * HELD);
	sm__cells_fini(&cells);
}
END_TEST

/* ---- the index ---------------------------------------------------------------------------- */

static uintptr_t key_of(uint64_t i, int kind)
{
	switch (kind) {
	case 0: return 0x7f0000000000 + i * 8;
	case 1: return 0x7f0000000000 + i * 4096;
	default: return (uintptr_t)(i * 0x9e3779b97f4a7c15u) & ~(uintptr_t)7;
	}
}

static uint64_t most_steps; /* of one call */

static void note_steps(struct sm_cell_index *x, uint64_t before)
{
	if (x->steps - before > most_steps)
		most_steps = x->steps - before;
}

START_TEST(found_in_few_steps)
{
	uint64_t n = sm_test_scaled(200000), before;
	struct sm_cell_index x;

	sm__cells_init(&cells, sizeof(struct thing), "a thing");
	sm__cell_index_init(&x, &cells);
	ck_assert_uint_eq(sm__cell_index_find(&x, 8), 0);
	for (uint64_t i = 1; i <= n; i++) {
		take()->c.key = key_of(i, _i);
		before = x.steps;
		if (sm__cell_index_add(&x, i) != 0)
			ck_abort_msg("cell %lu", (unsigned long)i);
		note_steps(&x, before);
	}
	for (uint64_t i = 1; i <= n; i++) {
		before = x.steps;
		if (sm__cell_index_find(&x, key_of(i, _i)) != i)
			ck_abort_msg("cell %lu is not found", (unsigned long)i);
		note_steps(&x, before);
	}
	for (uint64_t i = 1; i <= n; i += 2)
		sm__cell_index_remove(&x, i);
	for (uint64_t i = 1; i <= n; i++) {
		if (sm__cell_index_find(&x, key_of(i, _i)) != (i % 2 ? 0 : i))
			ck_abort_msg("cell %lu", (unsigned long)i);
	}
	/* Linear in all; and no single call does what belongs to many. */
	ck_assert_uint_le(x.steps, 8 * n);
	ck_assert_uint_le(most_steps, 40);
	sm__cell_index_fini(&x);
	sm__cells_fini(&cells);
}
END_TEST

/* One key, several cells: each is found once the others are gone. */
START_TEST(same_key)
{
	struct sm_cell_index x;

	sm__cells_init(&cells, sizeof(struct thing), "a thing");
	sm__cell_index_init(&x, &cells);
	for (uint64_t i = 1; i <= 3; i++) {
		take()->c.key = 64;
		ck_assert_int_eq(sm__cell_index_add(&x, i), 0);
	}
	for (uint64_t seen = 0, i = 0; i < 3; i++) {
		uint64_t n = sm__cell_index_find(&x, 64);

		ck_assert_uint_ne(n, 0);
		ck_assert_uint_eq(seen >> n & 1, 0);
		seen |= (uint64_t)1 << n;
		sm__cell_index_remove(&x, n);
	}
	ck_assert_uint_eq(sm__cell_index_find(&x, 64), 0);
	sm__cell_index_fini(&x);
	sm__cells_fini(&cells);
}
END_TEST

int main(void)
{
	return SM_SUITE("cell", 60, SM_T(numbers_and_places),
			SM_LOOP_RAISES(given_wrongly, SIGABRT, 0, 4), SM_T(one_owner_each),
			SM_LOOP(found_in_few_steps, 0, 3), SM_T(same_key));
}
