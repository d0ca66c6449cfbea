/* Tiny objects: packed, aligned, never across a block, and dropped with the windows. */
#include <string.h>

#include "tests/support/marksim.h"
#include "tests/support/run.h"

static struct marksim m;
static struct sm_cache *c;

static void setup(void)
{
	marksim_init(&m, NULL);
	c = marksim_cache_new(&m);
}

static void teardown(void)
{
	marksim_cache_free(c);
	marksim_fini(&m);
}

START_TEST(alignment_and_containment)
{
	size_t align = (size_t)1 << _i;
	unsigned char *all[2000];
	size_t size[2000];

	for (unsigned i = 0; i < 2000; i++) {
		size[i] = 1 + i * 7 % 15;
		all[i] = sm__cache_tiny(c, size[i], align);
		ck_assert_ptr_nonnull(all[i]);
		ck_assert_uint_eq((uintptr_t)all[i] % align, 0);
		/* Within one 16 B block: the whole object has the block's slot. */
		ck_assert_uint_eq((uintptr_t)all[i] / 16, ((uintptr_t)all[i] + size[i] - 1) / 16);
		memset(all[i], (int)(i & 0xff), size[i]);
	}
	for (unsigned i = 0; i < 2000; i++)
		for (size_t k = 0; k < size[i]; k++)
			ck_assert_uint_eq(all[i][k], i & 0xff);
}
END_TEST

START_TEST(small_ones_share_a_block)
{
	uintptr_t first = (uintptr_t)sm__cache_tiny(c, 1, 1);

	for (unsigned i = 1; i < 16; i++)
		ck_assert_uint_eq((uintptr_t)sm__cache_tiny(c, 1, 1), first + i);
	ck_assert_uint_ne((uintptr_t)sm__cache_tiny(c, 1, 1) / 16, first / 16);
}
END_TEST

START_TEST(retiring_drops_the_block)
{
	uintptr_t a = (uintptr_t)sm__cache_tiny(c, 2, 2), b;

	sm__cache_retire_all(c);
	b = (uintptr_t)sm__cache_tiny(c, 2, 2);
	ck_assert_uint_ne(a / 16, b / 16);
}
END_TEST

/* The block is swept away while its owner still has room in it: nothing may be born there. */
START_TEST(a_swept_block_is_never_used_again)
{
	char *old = sm__cache_tiny(c, 4, 4);
	char *young;

	marksim_advance(&m);
	marksim_sweep_all(&m);
	young = sm__cache_tiny(c, 4, 4);
	ck_assert_ptr_nonnull(young);
	(void)old;
	ck_assert_uint_eq(sm_span_of(&m.heap->pages.range, (uintptr_t)young)->nalloc,
			  1 + (unsigned)(c->windows[2].end - c->windows[2].cur) / 16);
}
END_TEST

int main(void)
{
	return SM_SUITE_EACH("tiny", 0, setup, teardown, SM_LOOP(alignment_and_containment, 0, 4),
			     SM_T(small_ones_share_a_block), SM_T(retiring_drops_the_block),
			     SM_T(a_swept_block_is_never_used_again));
}
