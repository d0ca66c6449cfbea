/*
 * test_young_moves: gc.generations with gc.compact: what moves is as old as it was, and what old
 * objects alone lead to lives on wherever they are now; weak references, ephemerons and finalizers
 * beside. When objects move is test_young_armed's.
 */
#include <pthread.h>

#include "tests/support/run.h"
#include "tests/support/sparse.h"

/* All at once; in a stop for as few as can be; when it is asked for, in one stop for all. */
#define FULL   "gc.compact=full"
#define SLICES "gc.compact=force", "gc.compact_slice_us=1"
#define ASKED  "gc.compact=auto", "gc.compact_slice_us=0", "gc.compact_percent=100"

static const char *const ways[][4] = {
	{FULL},
	{FULL, "gc.mode=stw"},
	{FULL, "gc.mark=spans"},
	{FULL, "cache.mode=cpu"},
	{FULL, "gc.remember=objects"},
	{SLICES},
	{SLICES, "gc.mark=spans"},
	{SLICES, "cache.mode=cpu"},
	{SLICES, "gc.remember=objects"},
	{ASKED},
	{ASKED, "gc.mark=spans"},
};
#define WAYS	 ((int)(sizeof(ways) / sizeof(ways[0])))
#define ALL_FULL 5 /* the first ways */

static void begin(int way)
{
	begin_with(ways[way]);
}

static uintptr_t was[KEPT];

static SM_NOINLINE void hide_all(void)
{
	for (size_t i = 0; i < KEPT; i++)
		was[i] = hidden(i);
}

static void all_have_age(unsigned want)
{
	for (size_t i = 0; i < KEPT; i++)
		ck_assert_uint_eq(age(hidden(i)), want);
}

/* A slot that an object has left is as one that is free; where no object has come there. */
static void none_stays_behind(void)
{
	unsigned left = 0;

	for (size_t i = 0; i < KEPT; i++) {
		struct sm_span *s = sm_span_of(&gc->range, ~was[i]);
		uint32_t at;

		if (hidden(i) == was[i])
			continue;
		if (sm_load_acquire(&s->state) == SM_SPAN_SMALL) {
			at = sm_span_slot(&gc->range, s, ~was[i]);
			if (sm_load_relaxed(&s->alloc[at / 64]) >> (at % 64) & 1)
				continue;
		}
		ck_assert_uint_eq(age(was[i]), 0);
		left++;
	}
	ck_assert_uint_gt(left, KEPT / 4);
}

/* ---- age ---------------------------------------------------------------------------------- */

START_TEST(the_old_stay_old)
{
	begin(_i);
	fill(32);
	minor();
	minor();
	all_have_age(2);
	hide_all();
	ck_assert_uint_gt(compact(), KEPT / 2);
	all_have_age(2);
	none_stays_behind();
	/* The table is old, too: nothing else leads to them. */
	for (int k = 0; k < 3; k++) {
		minor();
		ck_assert_uint_lt(gctest_stats(gc).last_marked_objects, KEPT / 4);
		check_numbers();
	}
	all_have_age(2);
	end();
}
END_TEST

/* One cycle old when it moves, it is old with the next. */
START_TEST(the_young_get_old_in_time)
{
	begin(_i);
	fill(32);
	hide_all();
	ck_assert_uint_gt(compact(), KEPT / 2);
	all_have_age(1);
	none_stays_behind();
	check_numbers();
	minor();
	all_have_age(2);
	minor();
	check_numbers();
	end();
}
END_TEST

/* With the world stopped all along they move behind minor cycles, beside old objects that have died
 * and lead to others. */
START_TEST(behind_a_minor_cycle)
{
	begin_with((const char *const[]){"gc.mode=stw", "gc.compact=force", NULL});
	fill(32);
	hide_all();
	minor();
	ck_assert_uint_gt(stats().total.moved_objects, KEPT / 2);
	all_have_age(1);
	none_stays_behind();
	minor();
	all_have_age(2);
	for (size_t i = 0; i < KEPT; i++) {
		step_link_in(m, hidden(i), 0, hidden(i - i % 8));
		if (i % 8 != 0)
			sm_store(m, slot(i), NULL);
	}
	for (int k = 0; k < 4; k++) {
		minor();
		for (size_t i = 0; i < KEPT; i += 8)
			ck_assert_uint_eq(((uint64_t *)~hidden(i))[1], i);
	}
	end();
}
END_TEST

/* What a moved object left dies like any: nothing keeps it but itself. */
START_TEST(the_moved_die_when_their_time_comes)
{
	struct sm_weak *w[KEPT];
	unsigned alive = 0;

	begin(_i);
	fill(32);
	for (size_t i = 0; i < KEPT; i++)
		w[i] = sm_weak_new(m, (void *)~hidden(i));
	ck_assert_uint_gt(compact(), KEPT / 2);
	for (size_t i = 0; i < KEPT; i++)
		sm_store(m, slot(i), NULL);
	gctest_clear_stack();
	ck_assert_int_eq(sm_collect(gc, m), 0);
	for (size_t i = 0; i < KEPT; i++) {
		alive += step_alive(m, w[i]);
		sm_weak_free(m, w[i]);
	}
	ck_assert_uint_le(alive, 20);
	end();
}
END_TEST

/* ---- cards -------------------------------------------------------------------------------- */

/* Stores young objects into the old ones when these are about to move: asked to by the control
 * thread, which waits. */
static struct {
	pthread_t thread;
	pthread_barrier_t meet;
	bool stops, forgets;
} storer;

enum { YOUNG_ID = 0xfeed };

static size_t word_of(size_t i)
{
	size_t w = i % (node_bytes / 8);

	return w == 1 ? 0 : w;
}

static SM_NOINLINE void store_all(struct sm_mutator *own, const struct sm_type *type)
{
	for (size_t i = 0; i < KEPT; i++) {
		uint64_t *y = sm_new(own, type);

		y[1] = YOUNG_ID + i;
		sm_store(own, (void **)sm_load(slot(i)) + word_of(i), y);
	}
}

/* Nobody but the storer runs. */
static SM_NOINLINE void forget_cards(void)
{
	for (size_t i = 0; i < KEPT; i++) {
		uintptr_t word = (uintptr_t)sm_load(slot(i)) + word_of(i) * 8;

		sm_store_relaxed(&gc->remember.cards[(word - gc->range.base) >> SM_CARD_SHIFT], 0);
	}
}

static void *store_when_asked(void *arg)
{
	struct sm_mutator *own = sm_mutator_attach(gc);
	const struct sm_type *type = sm_type_prefix(gc, 48, 1);

	(void)arg;
	for (;;) {
		sm_blocking_enter(own);
		pthread_barrier_wait(&storer.meet);
		sm_blocking_leave(own);
		if (storer.stops)
			break;
		store_all(own, type);
		if (storer.forgets)
			forget_cards();
		gctest_clear_stack();
		sm_blocking_enter(own);
		pthread_barrier_wait(&storer.meet);
		sm_blocking_leave(own);
	}
	sm_mutator_detach(own);
	return NULL;
}

static void before_they_move(void *ctx, bool begins)
{
	(void)ctx;
	if (!begins || storer.stops)
		return;
	pthread_barrier_wait(&storer.meet);
	pthread_barrier_wait(&storer.meet);
}

static void storer_begin(void)
{
	storer.stops = false;
	ck_assert_int_eq(pthread_barrier_init(&storer.meet, NULL, 2), 0);
	ck_assert_int_eq(pthread_create(&storer.thread, NULL, store_when_asked, NULL), 0);
	sm__compactions_tell(gc, before_they_move, NULL);
}

static void storer_end(void)
{
	storer.stops = true;
	sm_blocking_enter(m);
	pthread_barrier_wait(&storer.meet);
	pthread_join(storer.thread, NULL);
	sm_blocking_leave(m);
}

static SM_NOINLINE void check_young(bool old)
{
	for (size_t i = 0; i < KEPT; i++) {
		uint64_t *y = sm_load((void **)sm_load(slot(i)) + word_of(i));

		ck_assert_uint_eq(y[1], YOUNG_ID + i);
		ck_assert_uint_eq(age(~(uintptr_t)y) == 2, old);
	}
}

/* Objects of less than a card, of some, and of many; the pointer in each of their words. In slices
 * cards are on their way while others store. */
static const size_t sizes[] = {32, 208, 640};
#define SIZES ((int)(sizeof(sizes) / sizeof(sizes[0])))

START_TEST(what_moved_objects_lead_to_lives)
{
	begin(_i / SIZES);
	fill(sizes[_i % SIZES]);
	minor();
	minor();
	all_have_age(2);
	storer_begin();
	ck_assert_uint_gt(compact(), KEPT / 2);
	storer_end();
	all_have_age(2);
	/* They were born behind the last sweep. */
	check_young(false);
	minor();
	check_young(false);
	minor();
	check_young(true);
	minor();
	check_young(true);
	check_numbers();
	end();
}
END_TEST

/* Behind a slice the verifier looks for edges that no card tells of, too. */
START_TEST(the_verifier_finds_a_forgotten_edge)
{
	ck_assert_ptr_nonnull(freopen("/dev/null", "w", stderr));
	begin(_i);
	/* gc.remember=objects takes all that moves for written to, so nothing can be forgotten. */
	storer.forgets = gc->remember.cards != NULL;
	fill(32);
	minor();
	minor();
	storer_begin();
	gctest_clear_stack();
	ck_assert_int_eq(sm_collect_compact(gc, m), 0);
	storer_end();
	if (storer.forgets)
		ck_assert_uint_gt(gctest_stats(gc).verify_errors, KEPT / 2);
	else
		ck_assert_uint_eq(gctest_stats(gc).verify_errors, 0);
	sm_mutator_detach(m);
	sm_gc_destroy(gc);
}
END_TEST

/* ---- a word ------------------------------------------------------------------------------- */

static uint8_t card_at(uintptr_t p)
{
	return sm_load_relaxed(&gc->remember.cards[(p - gc->range.base) >> SM_CARD_SHIFT]);
}

static void set_card(uintptr_t p, uint8_t value)
{
	sm_store_relaxed(&gc->remember.cards[(p - gc->range.base) >> SM_CARD_SHIFT], value);
}

/* Of each word, whichever way the old place and the new lie on their cards: no less than before,
 * and no card is touched that holds nothing of the copy. */
START_TEST(each_words_card_follows)
{
	enum { SPAN = 4096, BYTES = 400 };
	uint64_t seed = 20261127;
	uintptr_t at;

	begin(0);
	at = (uintptr_t)sm_new_array(m, sm_type_pointers(gc, 1), SPAN / 4);
	at = sm_align_up(at, SM_CARD_BYTES);
	for (int round = 0; round < 2000; round++) {
		uintptr_t from = at + gctest_random(&seed) % 32 * 16,
			  to = at + SPAN / 2 + gctest_random(&seed) % 32 * 16;
		uint8_t before[SPAN / SM_CARD_BYTES];

		for (unsigned c = 0; c < SPAN / SM_CARD_BYTES; c++) {
			set_card(at + c * SM_CARD_BYTES, (uint8_t)(gctest_random(&seed) % 3));
			before[c] = card_at(at + c * SM_CARD_BYTES);
		}
		sm__remember_moved(gc, from, to, BYTES);
		for (uintptr_t w = 0; w < BYTES; w += 8)
			ck_assert_uint_ge(card_at(to + w), card_at(from + w));
		for (unsigned c = 0; c < SPAN / SM_CARD_BYTES; c++) {
			uintptr_t lo = at + c * SM_CARD_BYTES;

			ck_assert_uint_ge(card_at(lo), before[c]);
			if (lo + SM_CARD_BYTES <= to || lo >= to + BYTES)
				ck_assert_uint_eq(card_at(lo), before[c]);
		}
	}
	for (unsigned c = 0; c < SPAN / SM_CARD_BYTES; c++)
		set_card(at + c * SM_CARD_BYTES, 0);
	end();
}
END_TEST

/* ---- beside the heap ---------------------------------------------------------------------- */

static struct {
	struct sm_weak *weak[KEPT];
	struct sm_handle *handle[KEPT];
	struct sm_ephemeron *pair[KEPT];
	_Atomic(unsigned) finalized, wrong;
} beside;

static void finalize(void *ctx, struct sm_mutator *own, void *object)
{
	(void)own;
	sm_fetch_add_relaxed(&beside.finalized, 1);
	if (((uint64_t *)object)[1] != (uintptr_t)ctx)
		sm_fetch_add_relaxed(&beside.wrong, 1);
}

/* Values are young when their keys move. */
static SM_NOINLINE void refer(void)
{
	const struct sm_type *type = sm_type_prefix(gc, 48, 1);

	for (size_t i = 0; i < KEPT; i++) {
		void *x = sm_load(slot(i));
		uint64_t *y = sm_new(m, type);

		y[1] = YOUNG_ID + i;
		beside.weak[i] = sm_weak_new(m, x);
		beside.handle[i] = sm_handle_new(m, i % 2 ? x : NULL);
		beside.pair[i] = sm_ephemeron_new(m, x, y);
		ck_assert_int_eq(sm_finalizer_set(m, x, finalize, (void *)(uintptr_t)i, NULL), 0);
	}
}

static SM_NOINLINE void check_references(void)
{
	for (size_t i = 0; i < KEPT; i++) {
		void *x = sm_load(slot(i));
		uint64_t *y = sm_ephemeron_get(m, beside.pair[i]);

		ck_assert_ptr_eq(sm_weak_get(m, beside.weak[i]), x);
		ck_assert_ptr_eq(sm_handle_get(beside.handle[i]), i % 2 ? x : NULL);
		ck_assert_ptr_nonnull(y);
		ck_assert_uint_eq(y[1], YOUNG_ID + i);
	}
}

static SM_NOINLINE void let_go(void)
{
	for (size_t i = 0; i < KEPT; i++) {
		sm_handle_free(m, beside.handle[i]);
		sm_store(m, slot(i), NULL);
	}
}

static SM_NOINLINE unsigned still_there(void)
{
	unsigned n = 0;

	for (size_t i = 0; i < KEPT; i++) {
		bool alive = step_alive(m, beside.weak[i]);

		ck_assert_int_eq(alive, sm_ephemeron_get(m, beside.pair[i]) != NULL);
		n += alive;
		sm_weak_free(m, beside.weak[i]);
		sm_ephemeron_free(m, beside.pair[i]);
	}
	return n;
}

START_TEST(references_to_the_old_follow)
{
	begin(_i);
	memset(&beside, 0, sizeof(beside));
	fill(32);
	minor();
	minor();
	refer();
	ck_assert_uint_gt(compact(), KEPT / 2);
	check_references();
	minor();
	minor();
	check_references();
	/* Old, they die in no minor cycle. */
	let_go();
	minor();
	sm_finalizer_wait(gc, m);
	ck_assert_uint_eq(sm_load_relaxed(&beside.finalized), 0);
	gctest_clear_stack();
	ck_assert_int_eq(sm_collect(gc, m), 0);
	sm_finalizer_wait(gc, m);
	ck_assert_uint_ge(sm_load_relaxed(&beside.finalized), KEPT - 20);
	ck_assert_uint_eq(sm_load_relaxed(&beside.wrong), 0);
	ck_assert_uint_le(still_there(), 20);
	end();
}
END_TEST

/* A list, which begins in the table. */
static SM_NOINLINE void fill_what_came_free(void)
{
	const struct sm_type *type = node_type(32);
	void **head = (void **)sm_handle_get(table) + 1;

	for (size_t i = 0; i < SLOTS; i++) {
		uint64_t *x = sm_new(m, type);

		x[1] = YOUNG_ID + i;
		sm_store(m, (void **)x, sm_load(head));
		sm_store(m, head, x);
	}
}

static SM_NOINLINE void check_the_list(void)
{
	uint64_t *x = sm_load((void **)sm_handle_get(table) + 1);

	for (size_t i = SLOTS; i-- > 0; x = sm_load((void **)x))
		ck_assert_uint_eq(x[1], YOUNG_ID + i);
}

/* They stay, and what comes where others left is young. */
START_TEST(pins_are_pins)
{
	begin(_i);
	fill(32);
	minor();
	minor();
	hide_all();
	for (size_t i = 0; i < KEPT; i += 50 * SM_TEST_UNITS)
		ck_assert_int_eq(sm_pin(m, (void *)~hidden(i)), 0);
	ck_assert_uint_gt(compact(), KEPT / 4);
	ck_assert_uint_gt(stats().total.pinned_objects[SM_PINNED_PROGRAM], 0);
	all_have_age(2);
	for (size_t i = 0; i < KEPT; i += 50 * SM_TEST_UNITS)
		ck_assert_uint_eq(hidden(i), was[i]);
	none_stays_behind();
	fill_what_came_free();
	minor();
	check_the_list();
	check_numbers();
	all_have_age(2);
	for (size_t i = 0; i < KEPT; i += 50 * SM_TEST_UNITS)
		ck_assert_int_eq(sm_unpin(m, (void *)~was[i]), 0);
	ask(); /* for much has stayed, `force` may have made it an armed one */
	check_the_list();
	end();
}
END_TEST

int main(void)
{
	return SM_SUITE("young_moves", 120, SM_LOOP(the_old_stay_old, 0, WAYS),
			SM_LOOP(the_young_get_old_in_time, 0, ALL_FULL), SM_T(behind_a_minor_cycle),
			SM_LOOP(the_moved_die_when_their_time_comes, 0, WAYS),
			SM_LOOP(what_moved_objects_lead_to_lives, 0, WAYS * SIZES),
			SM_LOOP(the_verifier_finds_a_forgotten_edge, 0, WAYS),
			SM_T(each_words_card_follows),
			SM_LOOP(references_to_the_old_follow, 0, WAYS),
			SM_LOOP(pins_are_pins, 0, WAYS));
}
