/*
 * test_scankernel: each kernel of the dense scan that this CPU has gives what the portable one
 * gives, on random masks of every size, and the portable one gives what stands in the objects.
 */
#include <check.h>
#include <errno.h>

#include "collector/cycle/gc_internal.h"
#include "tests/support/gctest.h"
#include "tests/support/lanes512.h"
#include "tests/support/run.h"

#define WORDS 16 /* of a mask: 16 KiB of memory */

static uintptr_t memory[WORDS * 64 * 2 + 64] __attribute__((aligned(4096)));
static uint64_t seed = 88172645463325252u;

/* A heap that is nowhere; words on both sides of both its ends, and NULL. */
#define BASE  0x7f0000000000u
#define BYTES 0x40000000u

static uintptr_t some_word(void)
{
	static const uintptr_t edge[] = {0,
					 BASE - 1,
					 BASE,
					 BASE + 8,
					 BASE + BYTES - 8,
					 BASE + BYTES,
					 BASE + BYTES + 8,
					 ~(uintptr_t)0,
					 (uintptr_t)1 << 63};
	uint64_t r = gctest_random(&seed);

	if (r % 4 == 0)
		return 0;
	if (r % 16 == 1)
		return edge[(r >> 8) % (sizeof(edge) / sizeof(edge[0]))];
	return BASE + (r >> 8) % BYTES / 16 * 16;
}

/* Bits where slots of so many bytes start, each with so many chances in 100. */
static void some_mask(uint64_t *todo, unsigned slot_bytes, unsigned percent)
{
	memset(todo, 0, WORDS * sizeof(*todo));
	for (unsigned at = 0; at + slot_bytes <= WORDS * 64 * 16; at += slot_bytes)
		if (gctest_random(&seed) % 100 < percent)
			todo[at / 16 / 64] |= UINT64_C(1) << (at / 16 % 64);
}

/* By slots, not by bits. */
static size_t expected(const struct sm_scan_job *j, uintptr_t *out)
{
	size_t n = 0;

	for (unsigned at = 0; at + j->slot_bytes <= WORDS * 64 * 16; at += j->slot_bytes) {
		if (!(j->todo[at / 16 / 64] >> (at / 16 % 64) & 1))
			continue;
		for (unsigned w = 0; w < j->nptrs; w++) {
			uintptr_t p = memory[at / sizeof(uintptr_t) + w];

			if (p >= BASE && p < BASE + BYTES)
				out[n++] = p;
		}
	}
	return n;
}

#define OUT (WORDS * 128 + SM_BY_SPAN_POINTERS + SM_KERNEL_SLACK)

static void check_job(const struct sm_scan_kernel *k, const struct sm_scan_job *j)
{
	static uintptr_t want[OUT], got[OUT + 1];
	size_t n = expected(j, want);

	got[OUT] = 4711;
	ck_assert_msg(k->fn(j, got) == n, "%s: slots of %u B, %u pointers: not %zu", k->name,
		      j->slot_bytes, j->nptrs, n);
	ck_assert_msg(memcmp(got, want, n * sizeof(want[0])) == 0,
		      "%s: slots of %u B, %u pointers: other ones", k->name, j->slot_bytes,
		      j->nptrs);
	ck_assert_uint_eq(got[OUT], 4711);
}

static void check_kernel(const struct sm_scan_kernel *k)
{
	static const unsigned percents[] = {0, 1, 10, 50, 90, 100};
	uint64_t todo[WORDS];

	for (unsigned slot = 16; slot <= SM_BY_SPAN_BYTES; slot += slot == 16	? 8
								   : slot == 24 ? 8
										: 16) {
		for (unsigned round = 0; round < 12; round++) {
			struct sm_scan_job j = {.unit = (uintptr_t)memory,
						.todo = todo,
						.words = WORDS,
						.slot_bytes = slot,
						.base = BASE,
						.bytes = BYTES};

			some_mask(todo, slot, percents[round % 6]);
			for (size_t i = 0; i < sizeof(memory) / sizeof(memory[0]); i++)
				memory[i] = some_word();
			j.nptrs = 1 + (unsigned)(gctest_random(&seed) % (slot / sizeof(uintptr_t)));
			check_job(k, &j);
			j.nptrs = slot / sizeof(uintptr_t);
			check_job(k, &j);
		}
	}
}

START_TEST(each_gives_what_stands_there)
{
	const struct sm_scan_kernel *k;
	unsigned n = 0;

	for (unsigned i = 0; (k = sm__scan_kernel_at(i)) != NULL; i++) {
		if (!k->usable()) {
			printf("SKIP %s: this CPU has not got it\n", k->name);
			continue;
		}
		check_kernel(k);
		ck_assert_ptr_eq(sm__scan_kernel(k->name), k);
		n++;
	}
	ck_assert_uint_ge(n, 1);
	ck_assert_ptr_nonnull(sm__scan_kernel(NULL));
	ck_assert_ptr_null(sm__scan_kernel("none"));
}
END_TEST

/* On each machine, what CPUs with AVX-512 run. */
START_TEST(lane_by_lane_it_gives_the_same)
{
	if (lanes512_kernel.name == NULL)
		printf("SKIP avx512: this architecture has none\n");
	else
		check_kernel(&lanes512_kernel);
}
END_TEST

/* What is forced is taken, or refused. */
START_TEST(one_can_be_forced)
{
	const struct sm_scan_kernel *k;

	for (unsigned i = 0; (k = sm__scan_kernel_at(i)) != NULL; i++) {
		struct sm_gc_config cfg;
		struct sm_gc *gc;
		char err[200] = "";

		sm_gc_config_init(&cfg);
		ck_assert_int_eq(sm_gc_config_set(&cfg, "gc.mark", "spans", NULL, 0), 0);
		ck_assert_int_eq(sm_gc_config_set(&cfg, "gc.kernel", k->name, NULL, 0), 0);
		gc = sm_gc_create(&cfg, err, sizeof(err));
		if (k->usable()) {
			ck_assert_msg(gc != NULL, "%s", err);
			ck_assert_ptr_eq(gc->by_span.kernel, k);
			sm_gc_destroy(gc);
		} else {
			ck_assert_ptr_null(gc);
			ck_assert_int_eq(errno, EINVAL);
			ck_assert_ptr_nonnull(strstr(err, "gc.kernel"));
		}
	}
}
END_TEST

int main(void)
{
	return SM_SUITE("scankernel", 60, SM_T(each_gives_what_stands_there),
			SM_T(lane_by_lane_it_gives_the_same), SM_T(one_can_be_forced));
}
