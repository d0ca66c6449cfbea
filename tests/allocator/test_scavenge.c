/* test_scavenge: free memory goes back, by io_uring and without; what is retained; huge pages; the
 * thread. */
#include <check.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "allocator/os/os.h"
#include "allocator/os/uring.h"
#include "allocator/pages/scavenge.h"
#include "tests/support/pagetest.h"
#include "tests/support/run.h"
#include "tests/support/skip.h"

#define N 120 /* spans of 1 to 16 units */
/* Runs are what goes or stays: one is cut by a mark, those under 32 KiB stay. */
#define SLACK (64 * SM_UNIT)

static struct sm_heap *heap;
static struct sm_span *spans[N];

static char *base_of(struct sm_span *s)
{
	return (char *)sm_span_base(&heap->pages.range, s);
}

static void start(enum sm_pageheap_kind kind, bool uring, enum sm_hugepages huge)
{
	heap = pagetest_heap(kind);
	heap->config.scavenge_uring = uring;
	heap->config.scavenge_ms = 1;
	heap->config.scavenge_pace = 100;
	heap->config.scavenge_retain = 0;
	heap->config.hugepages = huge;
	pagetest_create(heap);
}

static void finish(void)
{
	sm__scavenger_stop(&heap->pages);
	ck_assert_uint_eq(sm__pageheap_check(&heap->pages), 0);
	pagetest_destroy(heap);
}

/* Every span touched, every second one freed: runs between what is in use. */
static void fragment(void)
{
	for (int i = 0; i < N; i++) {
		spans[i] = sm__pageheap_alloc(&heap->pages, 0, (size_t)1 + (size_t)i % 16);
		memset(base_of(spans[i]), 1 + i, sm_span_bytes(spans[i]));
	}
	for (int i = 0; i < N; i += 2)
		sm__pageheap_free(&heap->pages, spans[i]);
}

static void survivors_are_intact(void)
{
	for (int i = 1; i < N; i += 2) {
		char *p = base_of(spans[i]);

		ck_assert_int_eq((unsigned char)p[0], 1 + i);
		ck_assert(memcmp(p, p + 1, sm_span_bytes(spans[i]) - 1) == 0);
	}
}

static size_t resident(void *p, size_t bytes)
{
	size_t page = sm__os_page_size(), n = 0;
	unsigned char map[4096];

	for (size_t i = 0; i < bytes / page; i += sizeof(map)) {
		size_t count = bytes / page - i < sizeof(map) ? bytes / page - i : sizeof(map);

		ck_assert_int_eq(mincore((char *)p + i * page, count * page, map), 0);
		for (size_t j = 0; j < count; j++)
			n += (map[j] & 1) * page;
	}
	return n;
}

struct holes {
	size_t resident, bytes;
};

static void add_hole(void *ctx, size_t unit, size_t nunits)
{
	struct holes *h = ctx;

	h->bytes += nunits * SM_UNIT;
	h->resident += resident((char *)heap->pages.range.base + unit * SM_UNIT, nunits * SM_UNIT);
}

/* _i: 0, 1 the page heaps with io_uring, 2, 3 without. */
START_TEST(free_memory_goes_back)
{
	struct holes before = {0, 0}, after = {0, 0};
	struct sm_scavenge_stats st;
	size_t free_bytes, released;

	start((enum sm_pageheap_kind)(_i & 1), _i < 2, SM_HUGE_OFF);
	fragment();
	pagetest_foreach_free(heap, 0, add_hole, &before);
	free_bytes = pagetest_stats(heap).free_bytes;
	ck_assert_uint_gt(free_bytes, 0);
	ck_assert_uint_ge(before.resident, free_bytes);
	released = sm__scavenge(&heap->pages, 0);
	ck_assert_uint_eq(released, free_bytes);
	ck_assert_uint_eq(pagetest_stats(heap).free_bytes, 0);
	pagetest_foreach_free(heap, 0, add_hole, &after);
	ck_assert_uint_eq(after.resident, 0);
	ck_assert_uint_eq(after.bytes, before.bytes);
	survivors_are_intact();
	for (int i = 0; i < N; i += 2) {
		struct sm_span *s = sm__pageheap_alloc(&heap->pages, 0, 1);

		ck_assert(s->flags & SM_SPANF_ZEROED);
		ck_assert(base_of(s)[0] == 0 &&
			  memcmp(base_of(s), base_of(s) + 1, SM_UNIT - 1) == 0);
	}
	sm__scavenge_stats(&heap->pages, &st);
	ck_assert_uint_eq(st.released_bytes, released);
	ck_assert_uint_eq(st.failed_calls, 0);
	if (_i >= 2) {
		ck_assert_uint_eq(st.uring_calls, 0);
		ck_assert_uint_gt(st.sync_calls, 30);
	} else if (st.uring_error == 0) {
		ck_assert_uint_gt(st.uring_calls, 30);
	}
	finish();
}
END_TEST

/* A batch may end inside of a free run; what it took is back, and one block with the rest, when the
 * next one starts. Holes of a unit and a long run, so that the first batch ends in the run for one
 * of the numbers of holes. */
START_TEST(no_rest_of_a_run_is_passed_over)
{
	for (int holes = SM_URING_BATCH - 8; holes <= SM_URING_BATCH; holes++) {
		struct sm_span *s[2 * SM_URING_BATCH], *large[12];
		size_t free_bytes;

		start((enum sm_pageheap_kind)(_i & 1), _i < 2, SM_HUGE_OFF);
		for (int i = 0; i < 2 * holes; i++)
			s[i] = sm__pageheap_alloc(&heap->pages, 0, 1);
		for (int i = 0; i < 12; i++)
			large[i] = sm__pageheap_alloc(&heap->pages, 0, 3 * SM_MIB / 2 / SM_UNIT);
		for (int i = 0; i < 2 * holes; i += 2)
			sm__pageheap_free(&heap->pages, s[i]);
		for (int i = 0; i < 12; i++)
			sm__pageheap_free(&heap->pages, large[i]);
		free_bytes = pagetest_stats(heap).free_bytes;
		ck_assert_uint_gt(free_bytes, 18 * SM_MIB);
		ck_assert_uint_eq(sm__scavenge(&heap->pages, 0), free_bytes);
		ck_assert_uint_eq(pagetest_stats(heap).free_bytes, 0);
		finish();
	}
}
END_TEST

START_TEST(the_lowest_bytes_are_retained)
{
	size_t keep = 192 * SM_UNIT; /* less than what is free, whatever a unit is */
	struct sm_span *first;

	start((enum sm_pageheap_kind)_i, true, SM_HUGE_OFF);
	fragment();
	ck_assert_uint_gt(pagetest_stats(heap).free_bytes, keep + SLACK);
	sm__scavenge(&heap->pages, keep);
	ck_assert_uint_le(pagetest_stats(heap).free_bytes, keep);
	ck_assert_uint_gt(pagetest_stats(heap).free_bytes, keep - SLACK);
	first = sm__pageheap_alloc(&heap->pages, 0, 1);
	ck_assert(!(first->flags & SM_SPANF_ZEROED));
	ck_assert_uint_eq(sm__scavenge(&heap->pages, keep), 0);
	finish();
}
END_TEST

/* io_uring refused at the start, or breaking in the middle of it: the same bytes go by madvise. */
START_TEST(without_io_uring_it_works_too)
{
	static const int ERRORS[] = {EPERM, EACCES, ENOSYS, ENOMEM, EMFILE};
	struct sm_scavenge_stats st;
	size_t free_bytes;

	start(SM_PAGEHEAP_BUDDY, true, SM_HUGE_OFF);
	fragment();
	free_bytes = pagetest_stats(heap).free_bytes;
	/* The first request of that kind opens the ring, later ones submit. */
	sm__os_inject(SM_OS_URING, 1 + _i % 2, ERRORS[_i]);
	ck_assert_uint_eq(sm__scavenge(&heap->pages, 0), free_bytes);
	sm__os_inject(SM_OS_ANY, 0, 0);
	sm__scavenge_stats(&heap->pages, &st);
	ck_assert_int_ne(st.uring_error, 0);
	ck_assert_uint_gt(st.sync_calls, 0);
	survivors_are_intact();
	finish();
}
END_TEST

START_TEST(a_refused_madvise_loses_nothing)
{
	struct sm_scavenge_stats st;
	size_t free_bytes;

	start((enum sm_pageheap_kind)_i, false, SM_HUGE_OFF);
	fragment();
	free_bytes = pagetest_stats(heap).free_bytes;
	sm__os_inject(SM_OS_MADVISE, -3, ENOMEM);
	ck_assert_uint_lt(sm__scavenge(&heap->pages, 0), free_bytes);
	sm__os_inject(SM_OS_ANY, 0, 0);
	ck_assert_uint_gt(pagetest_stats(heap).free_bytes, 0);
	ck_assert_uint_eq(sm__pageheap_check(&heap->pages), 0);
	sm__scavenge_stats(&heap->pages, &st);
	ck_assert_uint_gt(st.failed_calls, 0);
	sm__scavenge(&heap->pages, 0);
	ck_assert_uint_eq(pagetest_stats(heap).free_bytes, 0);
	survivors_are_intact();
	finish();
}
END_TEST

static _Atomic(int) hooked;

static void count_hook(void *ctx)
{
	ck_assert_ptr_eq(ctx, &hooked);
	sm_fetch_add_relaxed(&hooked, 1);
}

/* However long that takes: the case has a time limit. */
static void await(bool (*done)(void))
{
	while (!done())
		usleep(2000);
}

static bool nothing_left(void)
{
	/* Pieces under 64 KiB may stay. */
	return pagetest_stats(heap).free_bytes < SM_MIB;
}

START_TEST(the_thread_does_it_by_itself)
{
	struct sm_scavenge_hooks hooks = {.start = count_hook, .stop = count_hook, .ctx = &hooked};
	struct sm_scavenge_stats st;

	start((enum sm_pageheap_kind)_i, true, SM_HUGE_OFF);
	ck_assert_int_eq(sm__scavenger_start(&heap->pages, &hooks), 0);
	fragment();
	for (int i = 1; i < N; i += 2)
		sm__pageheap_free(&heap->pages, spans[i]);
	/* Retained at first, for the peak is fresh; it decays by an eighth a round. */
	await(nothing_left);
	sm__scavenger_stop(&heap->pages);
	ck_assert_int_eq(sm_load_relaxed(&hooked), 2);
	sm__scavenge_stats(&heap->pages, &st);
	ck_assert_uint_gt(st.rounds, 0);
	ck_assert_uint_eq(sm__pageheap_check(&heap->pages), 0);
	/* And again after a stop. */
	ck_assert_int_eq(sm__scavenger_start(&heap->pages, NULL), 0);
	finish();
}
END_TEST

static _Atomic(bool) enough;

static void *scavenge_on(void *arg)
{
	while (!sm_load_acquire(&enough))
		sm__scavenge(&heap->pages, 0);
	return arg;
}

/* The check waits for what is away, rather than taking it for lost. */
START_TEST(a_check_may_run_beside_it)
{
	pthread_t t;

	start((enum sm_pageheap_kind)_i, true, SM_HUGE_OFF);
	ck_assert_int_eq(pthread_create(&t, NULL, scavenge_on, NULL), 0);
	for (int i = 0; i < 200 && !pagetest_late(); i++) {
		fragment();
		ck_assert_uint_eq(sm__pageheap_check(&heap->pages), 0);
		for (int j = 1; j < N; j += 2)
			sm__pageheap_free(&heap->pages, spans[j]);
		for (int j = 0; j < 5; j++)
			ck_assert_uint_eq(sm__pageheap_check(&heap->pages), 0);
	}
	sm_store_release(&enough, true);
	pthread_join(t, NULL);
	finish();
}
END_TEST

START_TEST(an_interval_of_0_starts_no_thread)
{
	start(SM_PAGEHEAP_BUDDY, true, SM_HUGE_OFF);
	heap->config.scavenge_ms = 0;
	sm_store_relaxed(&hooked, 0);
	ck_assert_int_eq(
		sm__scavenger_start(&heap->pages, &(struct sm_scavenge_hooks){.start = count_hook,
									      .ctx = &hooked}),
		0);
	usleep(20000);
	ck_assert_int_eq(sm_load_relaxed(&hooked), 0);
	finish();
}
END_TEST

/* Long enough for a peak to decay: 1/8 a round, from a few thousand units. */
static bool many_rounds(void)
{
	struct sm_scavenge_stats st;

	sm__scavenge_stats(&heap->pages, &st);
	return st.rounds > 150;
}

#define HUGE_UNITS (2 * SM_MIB / SM_UNIT)
#define REGIONS	   12

/* Units of the first REGIONS huge pages that are free now. */
static bool is_free[REGIONS * HUGE_UNITS];

static void note_free(void *ctx, size_t unit, size_t nunits)
{
	(void)ctx;
	for (size_t i = unit; i < unit + nunits && i < REGIONS * HUGE_UNITS; i++)
		is_free[i] = true;
}

/* A unit of a run that is worth a call, within its huge page. */
static bool worth_it(size_t unit)
{
	size_t from = unit, to = unit + 1, region = unit / HUGE_UNITS;

	while (from > region * HUGE_UNITS && is_free[from - 1])
		from--;
	while (to < (region + 1) * HUGE_UNITS && is_free[to])
		to++;
	return (to - from) * SM_UNIT >= 32 * SM_KIB;
}

/* Did units stay that should have gone? */
static bool check_region(size_t region)
{
	size_t first = region * HUGE_UNITS, nfree = 0, stayed = 0;

	for (size_t i = 0; i < HUGE_UNITS; i++)
		nfree += is_free[first + i];
	for (size_t i = first; i < first + HUGE_UNITS; i++) {
		size_t there =
			is_free[i] ? resident((char *)heap->pages.range.base + i * SM_UNIT, SM_UNIT)
				   : 0;

		if (is_free[i] && nfree < HUGE_UNITS / 2)
			ck_assert_msg(there == SM_UNIT, "dense region %zu: unit %zu went", region,
				      i);
		else if (is_free[i] && worth_it(i))
			stayed += there != 0;
	}
	if (stayed != 0)
		printf("region %zu: %zu of %zu free units stayed\n", region, stayed, nfree);
	return stayed != 0;
}

/* In each huge page another share is free, from none to all, in runs of four units: from a half on
 * it is broken up. The kernel does not split a page that it holds itself in that moment, and
 * khugepaged may put one together again: one may stay (seen twice on a busy machine). */
START_TEST(huge_pages_are_broken_up_when_mostly_free)
{
	struct sm_span *s[REGIONS * HUGE_UNITS];
	size_t n = 0, stayed = 0;

	if (sm__os_huge_size() != 2 * SM_MIB)
		SM_SKIP("huge pages are not of 2 MiB");
	start((enum sm_pageheap_kind)_i, true, SM_HUGE_MADVISE);
	memset(is_free, 0, sizeof(is_free));
	while (n < REGIONS * HUGE_UNITS - 8) {
		s[n] = sm__pageheap_alloc(&heap->pages, 0, 1);
		memset(base_of(s[n++]), 1, SM_UNIT);
	}
	/* From here on, so that khugepaged puts none together again. */
	ck_assert_int_eq(prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0), 0);
	for (size_t i = 0; i < n; i++) {
		size_t unit = sm_span_unit(&heap->pages.range, s[i]), region = unit / HUGE_UNITS;

		if (unit % HUGE_UNITS / 4 % (REGIONS - 1) < region)
			sm__pageheap_free(&heap->pages, s[i]);
	}
	ck_assert_int_eq(sm__scavenger_start(&heap->pages, NULL), 0);
	await(many_rounds);
	sm__scavenger_stop(&heap->pages);
	pagetest_foreach_free(heap, 0, note_free, NULL);
	for (size_t r = 1; r < REGIONS - 1; r++)
		stayed += check_region(r);
	ck_assert_uint_le(stayed, 1);
	finish();
}
END_TEST

static uint64_t rounds_of(void)
{
	struct sm_scavenge_stats st;

	sm__scavenge_stats(&heap->pages, &st);
	return st.rounds;
}

/* What is kept free is a share of what is in use, however long ago the peak was. */
START_TEST(a_share_of_what_is_in_use_is_retained)
{
	struct sm_pageheap_stats st;
	size_t keep;

	start(SM_PAGEHEAP_BITMAP, true, SM_HUGE_OFF);
	heap->config.scavenge_retain = (unsigned)_i * 50;
	fragment();
	ck_assert_int_eq(sm__scavenger_start(&heap->pages, NULL), 0);
	for (uint64_t until = rounds_of() + 150; rounds_of() < until;)
		usleep(1000);
	sm__scavenger_stop(&heap->pages);
	st = pagetest_stats(heap);
	keep = st.in_use_bytes * (unsigned)_i / 2;
	ck_assert_uint_le(st.free_bytes, keep + SLACK);
	ck_assert_uint_ge(st.free_bytes + SLACK, keep);
	finish();
}
END_TEST

START_TEST(dense_memory_is_collapsed)
{
	struct sm_scavenge_stats st;
	size_t bytes;

	if (sm__os_huge_size() != 2 * SM_MIB)
		SM_SKIP("huge pages are not of 2 MiB");
	start((enum sm_pageheap_kind)_i, true, SM_HUGE_COLLAPSE);
	for (int i = 0; i < N; i++) {
		spans[i] = sm__pageheap_alloc(&heap->pages, 0, 16);
		memset(base_of(spans[i]), 1 + i, sm_span_bytes(spans[i]));
	}
	sm__pageheap_free(&heap->pages, spans[N / 2]);
	bytes = sm__scavenge_collapse(&heap->pages);
	sm__scavenge_stats(&heap->pages, &st);
	if (bytes == 0 && st.failed_calls > 0) {
		printf("skipped: this kernel does not collapse (Linux 6.1, "
		       "CONFIG_TRANSPARENT_HUGEPAGE)\n");
		finish();
		SM_SKIP("this kernel does not collapse");
	}
	/* All whole huge pages, but for the one with a hole, the ones at the ends and those for
	 * which the kernel finds no room. */
	ck_assert_uint_ge(bytes + st.failed_calls * 2 * SM_MIB, N * 16 * SM_UNIT - 3 * 2 * SM_MIB);
	ck_assert_uint_eq(st.collapsed_bytes, bytes);
	if (st.failed_calls == 0)
		ck_assert_uint_eq(sm__scavenge_collapse(&heap->pages), 0);
	spans[N / 2] = spans[0];
	survivors_are_intact();
	finish();
}
END_TEST

/* A child of a fork has no thread, and can allocate, scavenge and start one. */
START_TEST(a_forked_child_goes_on)
{
	pid_t pid;
	int status;

	start((enum sm_pageheap_kind)_i, true, SM_HUGE_OFF);
	ck_assert_int_eq(sm__scavenger_start(&heap->pages, NULL), 0);
	fragment();
	for (int i = 0; i < 10 && !pagetest_late(); i++) {
		sm__pageheap_fork_prepare(&heap->pages);
		pid = fork();
		if (pid != 0) {
			sm__pageheap_fork_parent(&heap->pages);
			ck_assert_int_eq(waitpid(pid, &status, 0), pid);
			ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
			continue;
		}
		sm__pageheap_fork_child(&heap->pages);
		for (int j = 0; j < N; j += 2)
			if (sm__pageheap_alloc(&heap->pages, 0, 3) == NULL)
				_exit(1);
		sm__pageheap_free(&heap->pages, spans[1]);
		sm__scavenge(&heap->pages, 0);
		if (pagetest_stats(heap).free_bytes != 0 || sm__pageheap_check(&heap->pages) != 0)
			_exit(2);
		if (SM_TSAN)
			_exit(0); /* it allows no thread in the child */
		if (sm__scavenger_start(&heap->pages, NULL) != 0)
			_exit(3);
		sm__scavenger_stop(&heap->pages);
		_exit(0);
	}
	finish();
}
END_TEST

int main(void)
{
	return SM_SUITE(
		"scavenge", 30, SM_LOOP(free_memory_goes_back, 0, 4),
		SM_LOOP(no_rest_of_a_run_is_passed_over, 0, 4),
		SM_LOOP(the_lowest_bytes_are_retained, 0, 2),
		SM_LOOP(without_io_uring_it_works_too, 0, 5),
		SM_LOOP(a_refused_madvise_loses_nothing, 0, 2),
		SM_LOOP(the_thread_does_it_by_itself, 0, 2),
		SM_LOOP(a_check_may_run_beside_it, 0, 2), SM_T(an_interval_of_0_starts_no_thread),
		SM_LOOP(huge_pages_are_broken_up_when_mostly_free, 0, 2),
		SM_LOOP(a_share_of_what_is_in_use_is_retained, 0, 3),
		SM_LOOP(dense_memory_is_collapsed, 0, 2), SM_LOOP(a_forked_child_goes_on, 0, 2));
}
