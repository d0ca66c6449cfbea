/* Large objects: geometry, zeroing, colour, sweeping, limits. */
#include <errno.h>
#include <string.h>

#include "allocator/os/os.h"
#include "tests/support/marksim.h"
#include "tests/support/run.h"

static const struct sm_layout none = {.kind = SM_SCAN_NONE, .period = 1};
static const struct sm_layout all = {.kind = SM_SCAN_ALL, .period = 1, .nptrs = 1};
static struct marksim m;
static struct sm_cache *c;

static void setup(void)
{
	marksim_init(&m, (const char *const[]){"heap.arena=4m", NULL});
	c = marksim_cache_new(&m);
}

static void teardown(void)
{
	marksim_cache_free(c);
	marksim_fini(&m);
}

static size_t in_use(void)
{
	struct sm_pageheap_stats st;

	sm__pageheap_stats(&m.heap->pages, 0, &st);
	return st.in_use_bytes;
}

START_TEST(an_object_has_a_span_of_its_own)
{
	static const size_t sizes[] = {SM_MAX_SMALL + 1, 65536,	     100000,
				       SM_MIB + 1,	 4 * SM_MIB, 9 * SM_MIB + 5};

	for (unsigned i = 0; i < 6; i++) {
		char *p = sm__cache_large(c, sizes[i], &none, false);
		struct sm_span *s;

		ck_assert_ptr_nonnull(p);
		s = sm_span_of(&m.heap->pages.range, (uintptr_t)p + sizes[i] - 1);
		ck_assert_uint_eq(sm_span_base(&m.heap->pages.range, s), (uintptr_t)p);
		ck_assert_int_eq(sm_load_relaxed(&s->state), SM_SPAN_LARGE);
		ck_assert_uint_eq(sm_span_bytes(s), sm_align_up(sizes[i], SM_UNIT));
		p[0] = p[sizes[i] - 1] = 1;
	}
	ck_assert_uint_eq(c->stats.large_objects, 6);
	ck_assert_uint_eq(sm_load_relaxed(&m.heap->allocated_bytes), c->stats.large_bytes);
}
END_TEST

START_TEST(pointers_and_zeroed_ones_are_zero_in_used_memory_too)
{
	for (unsigned round = 0; round < 4; round++) {
		size_t size = 200000;
		char *p = sm__cache_large(c, size, round % 2 ? &all : &none, true);

		ck_assert_ptr_nonnull(p);
		for (size_t i = 0; i < size; i++)
			if (p[i] != 0)
				ck_abort_msg("byte %zu is %d", i, p[i]);
		memset(p, 0x77, size);
		marksim_advance(&m);
		ck_assert_uint_eq(marksim_sweep_all(&m), 1);
		ck_assert_uint_eq(in_use(), 0);
	}
}
END_TEST

START_TEST(marked_ones_survive_and_others_go)
{
	char *p[10];

	for (unsigned i = 0; i < 10; i++) {
		p[i] = sm__cache_large(c, 50000, &all, false);
		if (i % 3 == 0)
			marksim_mark(&m, p[i] + i * 100);
	}
	marksim_advance(&m);
	ck_assert_uint_eq(marksim_sweep_all(&m), 10);
	ck_assert_uint_eq(in_use(), 4 * sm_align_up(50000, SM_UNIT));
	marksim_advance(&m);
	ck_assert_uint_eq(marksim_sweep_all(&m), 4);
	ck_assert_uint_eq(in_use(), 0);
}
END_TEST

START_TEST(born_black_while_marking)
{
	char *p;

	c->black = true;
	p = sm__cache_large(c, 50000, &all, false);
	ck_assert_uint_eq(m.larges, 1);
	ck_assert(marksim_is_marked(&m, p));
	c->black = false;
}
END_TEST

START_TEST(impossible_sizes_are_refused)
{
	static const size_t sizes[] = {SIZE_MAX, SIZE_MAX / 2, SIZE_MAX - SM_UNIT, (size_t)1 << 47};

	for (unsigned i = 0; i < 4; i++) {
		errno = 0;
		ck_assert_ptr_null(sm__cache_large(c, sizes[i], &none, false));
		ck_assert_int_eq(errno, ENOMEM);
	}
	ck_assert_uint_eq(sm_heap_check(m.heap), 0);
}
END_TEST

START_TEST(a_refusing_kernel_gives_enomem_and_a_sound_heap)
{
	errno = 0;
	sm__os_inject(SM_OS_COMMIT, -1, ENOMEM);
	ck_assert_ptr_null(sm__cache_large(c, 3 * SM_MIB, &none, false));
	ck_assert_int_eq(errno, ENOMEM);
	ck_assert_uint_eq(m.ooms, 1);
	sm__os_inject(SM_OS_COMMIT, 0, 0);
	ck_assert_uint_eq(sm_heap_check(m.heap), 0);
	ck_assert_ptr_nonnull(sm__cache_large(c, 3 * SM_MIB, &none, false));
}
END_TEST

int main(void)
{
	return SM_SUITE_EACH("large", 0, setup, teardown, SM_T(an_object_has_a_span_of_its_own),
			     SM_T(pointers_and_zeroed_ones_are_zero_in_used_memory_too),
			     SM_T(marked_ones_survive_and_others_go),
			     SM_T(born_black_while_marking), SM_T(impossible_sizes_are_refused),
			     SM_T(a_refusing_kernel_gives_enomem_and_a_sound_heap));
}
