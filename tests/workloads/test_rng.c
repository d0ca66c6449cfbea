/* workloads/rng.h: known numbers, independent streams, bounds. */
#include <check.h>
#include <stdlib.h>

#include "workloads/rng.h"
#include "tests/support/run.h"

/* The reference outputs of splitmix64 for seed 1234567 (Vigna's splitmix64.c). */
START_TEST(splitmix_reference)
{
	static const uint64_t expected[] = {6457827717110365317u, 3203168211198807973u,
					    9817491932198370423u, 4593380528125082431u,
					    16408922859458223821u};
	uint64_t state = 1234567;

	for (unsigned i = 0; i < 5; i++)
		ck_assert_uint_eq(sm_splitmix64(&state), expected[i]);
}
END_TEST

/* xoshiro256++ from the state 1, 2, 3, 4 (the reference implementation's first outputs). */
START_TEST(xoshiro_reference)
{
	static const uint64_t expected[] = {41943041u, 58720359u, 3588806011781223u,
					    3591011842654386u};
	struct sm_rng r = {{1, 2, 3, 4}};

	for (unsigned i = 0; i < 4; i++)
		ck_assert_uint_eq(sm_rng_next(&r), expected[i]);
}
END_TEST

START_TEST(streams_differ)
{
	struct sm_rng a, b, c;
	unsigned equal_stream = 0, equal_seed = 0;

	sm_rng_seed(&a, 1, 0);
	sm_rng_seed(&b, 1, 1);
	sm_rng_seed(&c, 2, 0);
	for (unsigned i = 0; i < 1000; i++) {
		uint64_t x = sm_rng_next(&a);

		equal_stream += x == sm_rng_next(&b);
		equal_seed += x == sm_rng_next(&c);
	}
	ck_assert_uint_eq(equal_stream, 0);
	ck_assert_uint_eq(equal_seed, 0);
	sm_rng_seed(&a, 7, 3);
	sm_rng_seed(&b, 7, 3);
	ck_assert_uint_eq(sm_rng_next(&a), sm_rng_next(&b));
}
END_TEST

/* Every bucket of a small range is hit about equally often (chi-squared with 15 degrees, p < 1e-6
 * at 56). */
START_TEST(below_is_uniform)
{
	struct sm_rng r;
	unsigned hits[16] = {0};
	double chi = 0;

	sm_rng_seed(&r, 42, 0);
	for (unsigned i = 0; i < 160000; i++) {
		uint64_t x = sm_rng_below(&r, 16);

		ck_assert_uint_lt(x, 16);
		hits[x]++;
	}
	for (unsigned i = 0; i < 16; i++)
		chi += ((double)hits[i] - 10000) * ((double)hits[i] - 10000) / 10000;
	ck_assert_msg(chi < 56, "chi squared is %f", chi);
	ck_assert_uint_eq(sm_rng_below(&r, 1), 0);
	for (unsigned i = 0; i < 100; i++)
		ck_assert_uint_lt(sm_rng_below(&r, (uint64_t)1 << 32), (uint64_t)1 << 32);
}
END_TEST

int main(void)
{
	return SM_SUITE("rng", 0, SM_T(splitmix_reference), SM_T(xoshiro_reference),
			SM_T(streams_differ), SM_T(below_is_uniform));
}
