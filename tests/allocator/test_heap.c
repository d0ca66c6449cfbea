/* A heap's life, its layouts and bins, and its check. */
#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "allocator/os/os.h"
#include "allocator/pages/meta.h"
#include "allocator/pages/scavenge.h"
#include "spanmark/stack.h"
#include "tests/support/marksim.h"
#include "tests/support/run.h"

static struct marksim m;

static void setup(void)
{
	marksim_init(&m, NULL);
}

static void teardown(void)
{
	marksim_fini(&m);
}

START_TEST(pointer_free_class_c_is_bin_c)
{
	struct sm_layout none = {.kind = SM_SCAN_NONE, .period = 5, .mask = 3};
	const struct sm_layout *l = sm__heap_layout(m.heap, &none);

	for (unsigned c = 1; c < sm__nclasses; c++)
		ck_assert_int_eq(sm__heap_bin(m.heap, c, l, false), (int)c);
	ck_assert_int_eq(sm__heap_bin(m.heap, 3, l, true), (int)sm__nclasses);
	ck_assert_int_eq(sm__heap_bin(m.heap, 3, l, true), (int)sm__nclasses);
}
END_TEST

START_TEST(equal_layouts_are_one)
{
	uint64_t bits[3] = {5, 0, 9}, same[3] = {5, 0, 9}, other[3] = {5, 0, 8};
	struct sm_layout a = {.kind = SM_SCAN_BITMAP, .period = 150, .nptrs = 4, .bits = bits};
	struct sm_layout b = a, d = a,
			 mask = {.kind = SM_SCAN_MASK, .period = 6, .nptrs = 2, .mask = 5};
	const struct sm_layout *la, *lm;

	b.bits = same;
	d.bits = other;
	la = sm__heap_layout(m.heap, &a);
	ck_assert_ptr_nonnull(la);
	ck_assert_ptr_eq(sm__heap_layout(m.heap, &b), la);
	ck_assert_ptr_ne(sm__heap_layout(m.heap, &d), la);
	/* Copied: the caller's words may change. */
	bits[0] = 0;
	ck_assert_uint_eq(la->bits[0], 5);
	lm = sm__heap_layout(m.heap, &mask);
	ck_assert_ptr_ne(lm, la);
	ck_assert_uint_ne(lm->id, la->id);
	ck_assert_ptr_eq(sm__heap_layout(m.heap, &mask), lm);
}
END_TEST

START_TEST(bins_run_out_with_an_error)
{
	int bin = 0;
	unsigned made = 0;

	for (unsigned i = 1; i < 2000 && bin >= 0; i++, made++) {
		struct sm_layout l = {.kind = SM_SCAN_PREFIX, .period = 2000, .nptrs = i};

		bin = sm__heap_bin(m.heap, 20, sm__heap_layout(m.heap, &l), true);
	}
	ck_assert_int_eq(bin, -ENOSPC);
	ck_assert_uint_eq(made, SM_BINS_MAX - sm__nclasses + 1);
}
END_TEST

START_TEST(metadata_blocks_are_zero_aligned_and_reused)
{
	static const size_t sizes[] = {1, 64, 65, 256, 5000, 300000};
	size_t before = sm__meta_bytes(&m.heap->pages);

	for (unsigned round = 0; round < 3; round++)
		for (unsigned i = 0; i < 6; i++) {
			char *p = sm__meta_alloc(&m.heap->pages, sizes[i]);

			ck_assert_ptr_nonnull(p);
			ck_assert_uint_eq((uintptr_t)p % SM_CACHELINE, 0);
			for (size_t k = 0; k < sizes[i]; k++)
				if (p[k] != 0)
					ck_abort_msg("byte %zu is %d", k, p[k]);
			memset(p, 0xff, sizes[i]);
			sm__meta_free(&m.heap->pages, p, sizes[i]);
		}
	ck_assert_uint_eq(sm__meta_bytes(&m.heap->pages), before);
	/* Never on the pages of objects: outside the heap's range. */
	ck_assert(!sm_range_contains(&m.heap->pages.range, (uintptr_t)m.heap->central));
}
END_TEST

/* What the kernel refuses is not held against the limit. */
START_TEST(refused_metadata_is_not_charged)
{
	size_t before = sm_load_relaxed(&m.heap->pages.mapped_bytes);

	sm__os_inject(SM_OS_RESERVE, 1, ENOMEM);
	ck_assert_ptr_null(sm__meta_alloc(&m.heap->pages, 300000));
	sm__os_inject(SM_OS_ANY, 0, 0);
	ck_assert_uint_eq(sm_load_relaxed(&m.heap->pages.mapped_bytes), before);
}
END_TEST

/* Creation with the nth request to the kernel refused: an error with a reason, nothing left behind.
 */
START_TEST(creation_fails_cleanly_at_every_request)
{
	struct sm_heap_config cfg;
	unsigned failures = 0;

	sm_heap_config_init(&cfg);
	for (int kind = 0; kind < 2; kind++)
		for (long n = 1; n < 40; n++) {
			char err[256] = "";
			struct sm_heap *h;

			sm__os_inject(kind ? SM_OS_COMMIT : SM_OS_RESERVE, -n, ENOMEM);
			errno = 0;
			h = sm__heap_create(&cfg, err, sizeof(err));
			sm__os_inject(SM_OS_ANY, 0, 0);
			if (h == NULL) {
				ck_assert_int_eq(errno, ENOMEM);
				ck_assert_uint_gt(strlen(err), 0);
				failures++;
				continue;
			}
			ck_assert_uint_eq(sm_heap_check(h), 0);
			sm__heap_destroy(h);
		}
	ck_assert_uint_gt(failures, 0);
}
END_TEST

static unsigned spans_seen;

static void see(void *ctx, struct sm_span *s)
{
	ck_assert_ptr_eq(ctx, &m);
	ck_assert_uint_eq(s->back, 0);
	spans_seen++;
}

START_TEST(foreach_meets_every_span_once)
{
	struct sm_cache *c = marksim_cache_new(&m);
	struct sm_layout none = {.kind = SM_SCAN_NONE, .period = 1};

	for (unsigned i = 1; i < sm__nclasses; i++)
		ck_assert_ptr_nonnull(sm__cache_refill_slow(c, i));
	for (unsigned i = 0; i < 20; i++)
		ck_assert_ptr_nonnull(sm__cache_large(c, 40000 + i * 30000, &none, false));
	ck_assert_ptr_nonnull(sm__cache_large(c, 200 * SM_MIB, &none, false));
	sm__heap_foreach_span(m.heap, see, &m);
	ck_assert_uint_eq(spans_seen, sm__nclasses - 1 + 21);
	marksim_cache_free(c);
}
END_TEST

static _Atomic(uint32_t) enough;

static void *scavenge_on(void *arg)
{
	while (!sm_load_acquire(&enough))
		sm__scavenge(&m.heap->pages, 0);
	return arg;
}

/* The scavenger gives free stacks back to the page heap; the check does not take that for a
 * violation. */
START_TEST(a_check_may_run_beside_the_scavenger)
{
	struct sm_stack st[16];
	pthread_t t;

	sm_store_release(&enough, 0);
	ck_assert_int_eq(pthread_create(&t, NULL, scavenge_on, NULL), 0);
	for (unsigned i = 0; i < 300; i++) {
		for (unsigned j = 0; j < 16; j++)
			ck_assert_int_eq(sm_stack_alloc(m.heap, 0, 65536, &st[j]), 0);
		for (unsigned j = 0; j < 16; j++)
			sm_stack_free(m.heap, &st[j]);
		for (unsigned j = 0; j < 4; j++)
			ck_assert_uint_eq(sm_heap_check(m.heap), 0);
	}
	sm_store_release(&enough, 1);
	pthread_join(t, NULL);
}
END_TEST

int main(void)
{
	return SM_SUITE_EACH("heap", 30, setup, teardown, SM_T(pointer_free_class_c_is_bin_c),
			     SM_T(equal_layouts_are_one), SM_T(bins_run_out_with_an_error),
			     SM_T(metadata_blocks_are_zero_aligned_and_reused),
			     SM_T(refused_metadata_is_not_charged),
			     SM_T(creation_fails_cleanly_at_every_request),
			     SM_T(foreach_meets_every_span_once),
			     SM_T(a_check_may_run_beside_the_scavenger));
}
