/* Central lists: where spans go by fill and generation, who sweeps them, and threads that share
 * them. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "allocator/objects/central.h"
#include "tests/support/marksim.h"
#include "tests/support/run.h"
#include "tests/support/scale.h"

static struct marksim m;
static struct sm_cache *c;
static unsigned bin;

static void setup(void)
{
	marksim_init(&m, NULL);
	c = marksim_cache_new(&m);
	bin = sm_size_class(64);
}

static void teardown(void)
{
	marksim_cache_free(c);
	marksim_fini(&m);
}

static char *new64(void)
{
	char *p = sm__cache_bump(c, bin);

	return p ? p : sm__cache_refill_slow(c, bin);
}

static unsigned slots_of_span(void)
{
	return sm__sizeclasses[bin].nslots;
}

/* n spans full of objects; keep(i) says whether object i is marked. */
static void fill(unsigned nspans, bool (*keep)(unsigned i))
{
	for (unsigned i = 0; i < nspans * slots_of_span(); i++) {
		char *p = new64();

		ck_assert_ptr_nonnull(p);
		if (keep(i))
			marksim_mark(&m, p);
	}
}

static bool keep_all(unsigned i)
{
	(void)i;
	return true;
}

static bool keep_none(unsigned i)
{
	(void)i;
	return false;
}

static bool keep_some(unsigned i)
{
	return i % 8 == 3;
}

static size_t in_use(void)
{
	struct sm_pageheap_stats st;

	sm__pageheap_stats(&m.heap->pages, 0, &st);
	return st.in_use_bytes;
}

START_TEST(empty_spans_go_back_at_once)
{
	fill(10, keep_none);
	ck_assert_uint_eq(in_use(), 10 * SM_UNIT);
	marksim_advance(&m);
	ck_assert_uint_eq(marksim_sweep_all(&m), 10);
	ck_assert_uint_eq(in_use(), 0);
}
END_TEST

START_TEST(full_spans_stay_full_and_are_not_searched_twice)
{
	struct sm_central *l = sm__central_of(m.heap, 0, bin);

	fill(2, keep_all);
	marksim_advance(&m);
	/* The refill sweeps what it meets, in vain, and takes a fresh span. */
	ck_assert_ptr_nonnull(new64());
	ck_assert_uint_eq(m.sweeps, 2);
	ck_assert_uint_eq(l->full[0].count + l->full[1].count, 2);
	ck_assert_uint_eq(in_use(), 3 * SM_UNIT);
	ck_assert_uint_eq(marksim_sweep_all(&m), 0);
}
END_TEST

/* .. but only so many: a mutator does not wait for the sweep of all that is full. */
START_TEST(a_refill_gives_up_on_full_spans)
{
	unsigned in_vain;

	fill(100, keep_all);
	marksim_advance(&m);
	ck_assert_ptr_nonnull(new64());
	ck_assert_uint_ge(m.sweeps, 1);
	ck_assert_uint_le(m.sweeps, 16);
	ck_assert_uint_eq(in_use(), 101 * SM_UNIT);
	in_vain = m.sweeps;
	/* The next refills do not try: a tenth of a span's search for each at most. */
	for (unsigned i = 0; i < 10 * slots_of_span(); i++)
		ck_assert_ptr_nonnull(new64());
	ck_assert_uint_eq(in_use(), 111 * SM_UNIT);
	ck_assert_uint_eq(m.sweeps, in_vain);
	for (unsigned i = 0; i < 10 * slots_of_span(); i++)
		ck_assert_ptr_nonnull(new64());
	ck_assert_uint_eq(m.sweeps, 2 * in_vain);
	in_vain = m.sweeps;
	ck_assert_uint_eq(marksim_sweep_all(&m), 100 - in_vain);
}
END_TEST

/* Somebody may be reading the span's bitmaps: it stays a span until it is swept. */
START_TEST(an_empty_span_stays_while_somebody_marks)
{
	struct sm_span *s = sm_span_of(&m.heap->pages.range, (uintptr_t)new64());

	sm_store_release(&m.heap->marking, 1);
	sm__cache_retire_all(c);
	sm__span_clear_run(s, 0, 1);
	sm__list_remove(m.heap, &sm__central_of(m.heap, 0, bin)->partial[0], s);
	sm__central_put(m.heap, c, s);
	ck_assert_uint_eq(in_use(), SM_UNIT);
	sm_store_release(&m.heap->marking, 0);
	marksim_advance(&m);
	ck_assert_uint_eq(marksim_sweep_all(&m), 1);
	ck_assert_uint_eq(in_use(), 0);
}
END_TEST

static bool keep_but_the_sixth_span(unsigned i)
{
	return i / slots_of_span() != 5;
}

/* Where all that is left is memory that was never touched, a refill looks for what is dead for
 * longer. */
START_TEST(a_refill_sweeps_on_before_it_touches_new_memory)
{
	fill(10, keep_but_the_sixth_span);
	marksim_advance(&m);
	ck_assert_ptr_nonnull(new64());
	ck_assert_uint_eq(in_use(), 10 * SM_UNIT);
	ck_assert_uint_gt(m.sweeps, 2);
}
END_TEST

static bool keep_but_the_last_of_them(unsigned i)
{
	unsigned span = i / slots_of_span();

	return span != 0 && span != 6;
}

/* .. but not where there is memory that was in use before. */
START_TEST(a_refill_takes_touched_memory_after_a_short_search)
{
	fill(12, keep_but_the_last_of_them);
	marksim_advance(&m);
	/* One that is dead comes back to the page heap, as by the sweeper. */
	{
		uint32_t cursor = 0;
		struct sm_span *s;
		unsigned left;

		ck_assert_uint_eq(sm__central_take_unswept_some(m.heap, 0, &cursor, &s, 1), 1);
		left = m.heap->hooks.sweep(m.heap->hooks.ctx, NULL, s);
		sm__central_put_swept_some(m.heap, &s, &left, 1);
	}
	ck_assert_uint_eq(in_use(), 11 * SM_UNIT);
	m.sweeps = 0;
	ck_assert_ptr_nonnull(new64());
	ck_assert_uint_eq(m.sweeps, 2);
	ck_assert_uint_eq(in_use(), 12 * SM_UNIT);
}
END_TEST

START_TEST(a_refill_sweeps_and_fills_the_holes)
{
	fill(10, keep_some);
	marksim_advance(&m);
	/* 7 of 8 slots are free: so many objects need no further span. */
	for (unsigned i = 0; i < 10 * slots_of_span() * 7 / 8; i++)
		ck_assert_ptr_nonnull(new64());
	ck_assert_uint_eq(in_use(), 10 * SM_UNIT);
	ck_assert_uint_eq(c->stats.swept_spans, 10);
	ck_assert_ptr_nonnull(new64());
	ck_assert_uint_eq(in_use(), 11 * SM_UNIT);
}
END_TEST

START_TEST(a_refill_in_a_new_generation_gives_its_span_back)
{
	char *p = new64();
	struct sm_span *s = sm_span_of(&m.heap->pages.range, (uintptr_t)p);

	/* The window is black, as at the end of marking, and used up; the cache has not been
	 * retired. */
	marksim_mark(&m, p);
	for (unsigned i = 1; i < slots_of_span(); i++)
		marksim_mark(&m, new64());
	sm_store_relaxed(&m.heap->sweepgen, sm_load_relaxed(&m.heap->sweepgen) + 2);
	ck_assert_ptr_nonnull(new64());
	ck_assert_uint_eq(sm_load_relaxed(&s->sweepgen), sm_load_relaxed(&m.heap->sweepgen));
	ck_assert_uint_eq(s->nalloc, s->nslots);
	ck_assert_ptr_ne(c->windows[bin].span, s);
}
END_TEST

START_TEST(generations_alternate)
{
	for (unsigned cycle = 0; cycle < 7; cycle++) {
		fill(4, keep_some);
		marksim_advance(&m);
		marksim_sweep_all(&m);
		ck_assert_uint_eq(sm_heap_check(m.heap), 0);
	}
	marksim_advance(&m);
	marksim_sweep_all(&m);
	ck_assert_uint_eq(in_use(), 0);
}
END_TEST

START_TEST(take_unswept_goes_round_from_any_cursor)
{
	uint32_t cursor = 100000;
	struct sm_span *s;
	unsigned n = 0;

	fill(3, keep_none);
	marksim_advance(&m);
	while (sm__central_take_unswept_some(m.heap, 0, &cursor, &s, 1) == 1) {
		ck_assert_uint_eq(sm_load_relaxed(&s->sweepgen),
				  sm_load_relaxed(&m.heap->sweepgen) - 1);
		for (unsigned w = 0; w < (s->nslots + 63u) / 64; w++)
			sm_store_relaxed(&s->alloc[w], 0);
		sm__central_put_swept_some(m.heap, &s, &(unsigned){0}, 1);
		n++;
	}
	ck_assert_uint_eq(n, 3);
}
END_TEST

/* ---- nodes -------------------------------------------------------------------------------- */

/* A thread has moved to another node: the span it leaves goes to its own node's list, and the next
 * one is of the new node. */
START_TEST(a_span_goes_back_to_its_own_node)
{
	struct marksim two;
	struct sm_cache *mine;
	struct sm_span *first, *next;
	struct sm_central *home;

	marksim_init_nodes(&two, 2, (const char *const[]){"cache.window=256", NULL});
	mine = marksim_cache_new(&two);
	mine->node = 0;
	first = sm_span_of(&two.heap->pages.range, (uintptr_t)sm__cache_refill_slow(mine, bin));
	ck_assert_uint_eq(first->node, 0);
	mine->node = 1;
	while (sm__cache_bump(mine, bin) != NULL)
		continue;
	next = sm__central_exchange(two.heap, mine, bin, first);
	ck_assert_ptr_nonnull(next);
	ck_assert_uint_eq(next->node, 1);
	home = sm__central_of(two.heap, 0, bin);
	ck_assert_uint_eq(home->partial[0].count + home->partial[1].count, 1);
}
END_TEST

/* ---- threads ------------------------------------------------------------------------------ */

#define THREADS 4
#define EACH	20000

static char *objects[THREADS][EACH];
static unsigned each; /* scaled */

static void *allocate(void *arg)
{
	unsigned id = (unsigned)(uintptr_t)arg;
	struct sm_cache *mine = marksim_cache_new(&m);

	for (unsigned i = 0; i < each; i++) {
		unsigned b = 1 + (i * 7 + id) % 20;
		char *p = sm__cache_bump(mine, b);

		if (p == NULL)
			p = sm__cache_refill_slow(mine, b);
		memset(p, (int)(id + 1), sm__sizeclasses[b].slot_bytes);
		objects[id][i] = p;
	}
	marksim_cache_free(mine);
	return NULL;
}

static void run_threads(void *(*fn)(void *))
{
	pthread_t t[THREADS];

	for (uintptr_t i = 0; i < THREADS; i++)
		ck_assert_int_eq(pthread_create(&t[i], NULL, fn, (void *)i), 0);
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(t[i], NULL);
}

START_TEST(threads_share_nothing_that_is_handed_out)
{
	each = (unsigned)sm_test_scaled(EACH);
	for (unsigned round = 0; round < 3; round++) {
		run_threads(allocate);
		/* As in the collector: a cycle starts only when everything is swept, and refills
		 * leave some. */
		marksim_sweep_all(&m);
		for (unsigned id = 0; id < THREADS; id++)
			for (unsigned i = 0; i < each; i++) {
				unsigned b = 1 + (i * 7 + id) % 20;
				const char *p = objects[id][i];

				ck_assert_int_eq(p[0], (char)(id + 1));
				ck_assert_int_eq(p[sm__sizeclasses[b].slot_bytes - 1],
						 (char)(id + 1));
				if (i % 3 == round)
					marksim_mark(&m, p);
			}
		ck_assert_uint_eq(sm_heap_check(m.heap), 0);
		/* A collector begins no cycle before all is swept: a span two generations behind
		 * would pass for a current one, and be offered again and again. The threads sweep
		 * what they need only. */
		marksim_sweep_all(&m);
		marksim_advance(&m);
	}
	ck_assert_uint_eq(m.heap->dead_stats.window_bytes - m.heap->dead_stats.returned_bytes,
			  sm_load_relaxed(&m.heap->allocated_bytes));
}
END_TEST

int main(void)
{
	return SM_SUITE_EACH("central", 60, setup, teardown, SM_T(empty_spans_go_back_at_once),
			     SM_T(full_spans_stay_full_and_are_not_searched_twice),
			     SM_T(a_refill_gives_up_on_full_spans),
			     SM_T(a_refill_sweeps_on_before_it_touches_new_memory),
			     SM_T(a_refill_takes_touched_memory_after_a_short_search),
			     SM_T(a_refill_sweeps_and_fills_the_holes),
			     SM_T(a_refill_in_a_new_generation_gives_its_span_back),
			     SM_T(generations_alternate),
			     SM_T(take_unswept_goes_round_from_any_cursor),
			     SM_T(an_empty_span_stays_while_somebody_marks),
			     SM_T(a_span_goes_back_to_its_own_node),
			     SM_T(threads_share_nothing_that_is_handed_out));
}
