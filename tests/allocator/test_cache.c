/* Windows: what they hand out, what they give back, what the hooks hear, and what they count. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "allocator/objects/cache_cpu.h"
#include "allocator/objects/central.h"
#include "tests/support/marksim.h"
#include "tests/support/run.h"

static struct marksim m;
static struct sm_cache *c;

static void start(const char *const *set)
{
	marksim_init(&m, set);
	c = marksim_cache_new(&m);
}

static void setup(void)
{
	start(NULL);
}

static void teardown(void)
{
	marksim_cache_free(c);
	marksim_fini(&m);
}

static char *new_in(unsigned bin)
{
	char *p = sm__cache_bump(c, bin);

	return p ? p : sm__cache_refill_slow(c, bin);
}

static int by_address(const void *a, const void *b)
{
	const char *x = *(char *const *)a, *y = *(char *const *)b;

	return x < y ? -1 : x > y;
}

START_TEST(objects_of_every_class_are_disjoint_and_in_slots)
{
	unsigned bin = (unsigned)_i, n = 3000;
	size_t size = sm__sizeclasses[bin].slot_bytes;
	char **p = malloc(n * sizeof(*p));

	if (size > 4096)
		n = 300;
	for (unsigned i = 0; i < n; i++) {
		struct sm_span *s;

		p[i] = new_in(bin);
		ck_assert_ptr_nonnull(p[i]);
		s = sm_span_of(&m.heap->pages.range, (uintptr_t)p[i]);
		ck_assert_int_eq(sm_load_relaxed(&s->state), SM_SPAN_SMALL);
		ck_assert_uint_eq(s->cls, bin);
		ck_assert_uint_eq(((uintptr_t)p[i] - sm_span_base(&m.heap->pages.range, s)) % size,
				  0);
		memset(p[i], (int)i, size);
	}
	for (unsigned i = 0; i < n; i++)
		ck_assert(p[i][0] == (char)i && p[i][size - 1] == (char)i);
	qsort(p, n, sizeof(*p), by_address);
	for (unsigned i = 1; i < n; i++)
		ck_assert_uint_ge((size_t)(p[i] - p[i - 1]), size);
	ck_assert_uint_eq(sm_heap_check(m.heap), 0);
	free(p);
}
END_TEST

START_TEST(a_window_is_capped_by_its_budget)
{
	unsigned bin = sm_size_class(64), before;

	start((const char *const[]){"cache.window=512", NULL});
	ck_assert_ptr_nonnull(new_in(bin));
	before = m.refills;
	for (unsigned i = 0; i < 7; i++)
		ck_assert_ptr_nonnull(new_in(bin));
	ck_assert_uint_eq(m.refills, before);
	ck_assert_ptr_nonnull(new_in(bin));
	ck_assert_uint_eq(m.refills, before + 1);
	ck_assert_uint_eq(c->stats.window_bytes, 1024);
	teardown();
}
END_TEST

START_TEST(mode_none_takes_one_slot_at_a_time)
{
	start((const char *const[]){"cache.mode=none", NULL});
	for (unsigned i = 0; i < 10; i++)
		ck_assert_ptr_nonnull(new_in(sm_size_class(64)));
	ck_assert_uint_eq(m.refills, 10);
	teardown();
}
END_TEST

START_TEST(bytes_are_accounted_once_and_returned)
{
	unsigned bin = sm_size_class(96);
	size_t size = 96;

	for (unsigned i = 0; i < 1000; i++)
		ck_assert_ptr_nonnull(new_in(bin));
	sm__cache_retire_all(c);
	ck_assert_uint_eq(sm_load_relaxed(&m.heap->allocated_bytes), 1000 * size);
	ck_assert_uint_eq(c->stats.window_bytes - c->stats.returned_bytes, 1000 * size);
	/* What the collector was told, plus what it has not been told yet, is every window. */
	ck_assert_uint_eq(m.refill_bytes + c->debt, c->stats.window_bytes);
}
END_TEST

/* A cycle frees a part of the objects, in slots that are then dirty: zero when they come again. */
START_TEST(windows_with_pointers_are_zero_whatever_was_there)
{
	struct sm_layout l = {.kind = SM_SCAN_ALL, .period = 1, .nptrs = 1};
	const struct sm_layout *layout = sm__heap_layout(m.heap, &l);
	int bin = sm__heap_bin(m.heap, sm_size_class(80), layout, true);

	ck_assert_int_gt(bin, 0);
	for (unsigned round = 0; round < 6; round++) {
		for (unsigned i = 0; i < 2000; i++) {
			char *p = new_in((unsigned)bin);

			for (unsigned k = 0; k < 80; k++)
				if (p[k] != 0)
					ck_abort_msg("byte %u of object %u is %d", k, i, p[k]);
			memset(p, 0x5a, 80);
			if (i % (round + 2) == 0)
				marksim_mark(&m, p);
		}
		marksim_advance(&m);
		/* Half of the rounds leave the sweep to the refills. */
		if (round % 2)
			marksim_sweep_all(&m);
	}
	marksim_sweep_all(&m);
}
END_TEST

static unsigned in_windows;

static void count_window(void *ctx, struct sm_span *s, unsigned first, unsigned count)
{
	(void)ctx;
	for (unsigned i = first; i < first + count; i++)
		ck_assert(sm_load_relaxed(&s->alloc[i / 64]) >> (i % 64) & 1);
	in_windows += count;
}

START_TEST(foreach_window_shows_what_is_left)
{
	unsigned bin = sm_size_class(64);

	start((const char *const[]){"cache.window=512", NULL});
	for (unsigned i = 0; i < 3; i++)
		new_in(bin);
	in_windows = 0;
	sm__cache_foreach_window(c, count_window, NULL);
	ck_assert_uint_eq(in_windows, 5);
	/* A tiny block with room is one, and so is the rest of the window it came from. */
	ck_assert_ptr_nonnull(sm__cache_tiny(c, 3, 1));
	in_windows = 0;
	sm__cache_foreach_window(c, count_window, NULL);
	ck_assert_uint_eq(in_windows, 5 + 31 + 1);
	sm__cache_retire_all(c);
	in_windows = 0;
	sm__cache_foreach_window(c, count_window, NULL);
	ck_assert_uint_eq(in_windows, 0);
	teardown();
}
END_TEST

/* The end of a window is another object's address: once used up at the start of marking, no thread
 * may load it again. */
START_TEST(foreach_window_forgets_the_ends_of_used_up_windows)
{
	unsigned bin = sm_size_class(64);
	struct sm_window *w;

	start((const char *const[]){"cache.window=512", NULL});
	w = &c->windows[bin];
	for (unsigned i = 0; i < 8; i++)
		new_in(bin);
	for (unsigned i = 0; i < 16; i++)
		ck_assert_ptr_nonnull(sm__cache_tiny(c, 1, 1));
	ck_assert_ptr_nonnull(w->cur);
	ck_assert_ptr_eq(w->cur, w->end);
	ck_assert_ptr_nonnull(c->tiny_cur);
	ck_assert_ptr_eq(c->tiny_cur, c->tiny_end);
	sm__cache_foreach_window(c, count_window, NULL);
	ck_assert_ptr_null(w->cur);
	ck_assert_ptr_null(w->end);
	ck_assert_ptr_null(c->tiny_cur);
	ck_assert_ptr_null(c->tiny_end);
	ck_assert_ptr_nonnull(w->span);
	/* The span stays the bin's, and the next window follows the old one. */
	ck_assert_uint_eq(sm_span_slot(&m.heap->pages.range, w->span, (uintptr_t)new_in(bin)), 8);
	ck_assert_ptr_nonnull(sm__cache_tiny(c, 1, 1));
	ck_assert_uint_eq(sm_heap_check(m.heap), 0);
	teardown();
}
END_TEST

START_TEST(black_windows_are_announced_and_their_rest_is_whitened)
{
	unsigned bin = sm_size_class(64);
	char *p;

	start((const char *const[]){"cache.window=512", NULL});
	c->black = true;
	p = new_in(bin);
	ck_assert_uint_eq(m.taken, 1);
	ck_assert(marksim_is_marked(&m, p));
	ck_assert(marksim_is_marked(&m, p + 7 * 64));
	sm__cache_retire_all(c);
	ck_assert_uint_eq(m.returned, 1);
	ck_assert(marksim_is_marked(&m, p));
	ck_assert(!marksim_is_marked(&m, p + 64));
	c->black = false;
	marksim_advance(&m);
	ck_assert_uint_eq(marksim_sweep_all(&m), 1);
	teardown();
}
END_TEST

START_TEST(a_span_without_objects_is_not_freed_while_marking)
{
	struct sm_pageheap_stats st;

	start((const char *const[]){"cache.window=512", NULL});
	new_in(sm_size_class(64));
	c->black = true;
	/* Nothing was handed out of this one. */
	c->windows[sm_size_class(64)].cur -= 64;
	sm__cache_retire_all(c);
	sm__pageheap_stats(&m.heap->pages, 0, &st);
	ck_assert_uint_eq(st.in_use_bytes, SM_UNIT);
	c->black = false;
	marksim_advance(&m);
	marksim_sweep_all(&m);
	sm__pageheap_stats(&m.heap->pages, 0, &st);
	ck_assert_uint_eq(st.in_use_bytes, 0);
	teardown();
}
END_TEST

static size_t cpu_window_slots;

static void count_cpu_window(void *ctx, struct sm_span *s, unsigned first, unsigned count)
{
	(void)ctx;
	for (unsigned i = first; i < first + count; i++)
		ck_assert(sm_load_relaxed(&s->alloc[i / 64]) >> (i % 64) & 1);
	cpu_window_slots += count;
}

/* Windows of CPUs: threads hold nothing, slots are handed out once, what is left can be seen and
 * dropped. */
START_TEST(mode_cpu_leaves_windows_to_cpus)
{
	enum { N = 5000 };
	static char *p[N];
	unsigned bin = sm_size_class(64);
	struct sm_cache *other;

	start((const char *const[]){"cache.mode=cpu", NULL});
	other = marksim_cache_new(&m);
	if (m.heap->cpus == NULL) {
		marksim_cache_free(other);
		teardown();
		return; /* no restartable sequences here: one line said so */
	}
	for (unsigned i = 0; i < N; i++) {
		struct sm_cache *who = i % 3 ? c : other;

		ck_assert_ptr_null(sm__cache_bump(who, bin));
		p[i] = sm__cache_refill_slow(who, bin);
		ck_assert_ptr_nonnull(p[i]);
		ck_assert_ptr_null(who->windows[bin].span);
	}
	qsort(p, N, sizeof(*p), by_address);
	for (unsigned i = 1; i < N; i++)
		ck_assert_uint_ge((size_t)(p[i] - p[i - 1]), 64);
	ck_assert_uint_eq(sm_heap_check(m.heap), 0);
	cpu_window_slots = 0;
	sm__cache_foreach_cpu_window(m.heap, count_cpu_window, NULL);
	ck_assert_uint_eq(cpu_window_slots * 64, marksim_cpu_held(&m));
	/* As at the start of a cycle with the world stopped: then everything is garbage and goes.
	 */
	sm__cache_drop_cpu_windows(m.heap);
	ck_assert_uint_eq(marksim_cpu_held(&m), 0);
	marksim_advance(&m);
	marksim_sweep_all(&m);
	ck_assert_uint_eq(sm_heap_check(m.heap), 0);
	marksim_cache_free(other);
	teardown();
}
END_TEST

START_TEST(debug_fill_shows_fresh_and_swept_slots)
{
	unsigned bin = sm_size_class(64);
	unsigned char *p, *q;

	start((const char *const[]){"debug.fill=1", NULL});
	p = (unsigned char *)new_in(bin);
	q = (unsigned char *)new_in(bin);
	ck_assert_uint_eq(p[0], 0xa5);
	ck_assert_uint_eq(p[63], 0xa5);
	memset(p, 1, 64);
	memset(q, 2, 64);
	marksim_mark(&m, p);
	marksim_advance(&m);
	marksim_sweep_all(&m);
	ck_assert_uint_eq(p[5], 1);
	ck_assert_uint_eq(q[5], 0xdb);
	teardown();
}
END_TEST

START_TEST(page_per_object_gives_each_a_span)
{
	char *p, *q;

	start((const char *const[]){"debug.page_per_object=1", NULL});
	p = new_in(sm_size_class(64));
	q = new_in(sm_size_class(64));
	ck_assert_uint_ge((size_t)(p > q ? p - q : q - p), SM_UNIT);
	marksim_mark(&m, p);
	marksim_advance(&m);
	marksim_sweep_all(&m);
	*p = 1;
	ck_assert_int_eq(sm_load_relaxed(&sm_span_of(&m.heap->pages.range, (uintptr_t)q)->state),
			 SM_SPAN_OTHER);
	teardown();
}
END_TEST

START_TEST(the_limit_gives_null_and_enomem_after_the_hook_was_asked)
{
	unsigned n = 0;

	start((const char *const[]){"heap.limit=8m", "heap.arena=1m", NULL});
	errno = 0;
	m.oom_answer = true;
	while (new_in(sm_size_class(1024)) != NULL)
		n++;
	ck_assert_int_eq(errno, ENOMEM);
	ck_assert_uint_eq(m.ooms, 2);
	ck_assert_uint_gt(n, 3000);
	ck_assert_uint_le(sm_load_relaxed(&m.heap->pages.mapped_bytes), 8 * SM_MIB);
	ck_assert_uint_eq(sm_heap_check(m.heap), 0);
	/* All of it is garbage: there is room again. */
	marksim_advance(&m);
	marksim_sweep_all(&m);
	for (unsigned i = 0; i < n; i++)
		ck_assert_ptr_nonnull(new_in(sm_size_class(1024)));
	teardown();
}
END_TEST

int main(void)
{
	Suite *s = suite_create("cache");
	TCase *t = tcase_create("fixture"), *own = tcase_create("own");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 30);
	tcase_add_loop_test(t, objects_of_every_class_are_disjoint_and_in_slots, 1,
			    (int)sm__nclasses);
	tcase_add_test(t, bytes_are_accounted_once_and_returned);
	tcase_add_test(t, windows_with_pointers_are_zero_whatever_was_there);
	suite_add_tcase(s, t);
	tcase_add_test(own, a_window_is_capped_by_its_budget);
	tcase_add_test(own, mode_none_takes_one_slot_at_a_time);
	tcase_add_test(own, foreach_window_shows_what_is_left);
	tcase_add_test(own, foreach_window_forgets_the_ends_of_used_up_windows);
	tcase_add_test(own, black_windows_are_announced_and_their_rest_is_whitened);
	tcase_add_test(own, a_span_without_objects_is_not_freed_while_marking);
	tcase_add_test(own, debug_fill_shows_fresh_and_swept_slots);
	tcase_add_test(own, page_per_object_gives_each_a_span);
	tcase_add_test(own, mode_cpu_leaves_windows_to_cpus);
	tcase_add_test(own, the_limit_gives_null_and_enomem_after_the_hook_was_asked);
	suite_add_tcase(s, own);
	return sm_test_run(s);
}
