/*
 * rng.h: random numbers for workloads: xoshiro256++ (Blackman and Vigna, 2019), seeded by
 * splitmix64. A few instructions a number, no memory beyond the state, the same sequence on every
 * machine.
 */
#ifndef SM_WORKLOADS_RNG_H
#define SM_WORKLOADS_RNG_H

#include <stdint.h>

#include "allocator/base/base.h"

struct sm_rng {
	uint64_t s[4]; /* never all zero */
};

/* The next number of splitmix64 (Steele, Lea and Flood, 2014): for seeding and for hashing. */
SM_INLINE uint64_t sm_splitmix64(uint64_t *state)
{
	uint64_t z = (*state += 0x9e3779b97f4a7c15u);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

/* Streams of one seed are independent for practical purposes: one a thread. */
SM_INLINE void sm_rng_seed(struct sm_rng *r, uint64_t seed, uint64_t stream)
{
	uint64_t state = seed ^ (stream * 0xd1342543de82ef95u + 0x2545f4914f6cdd1du);

	for (unsigned i = 0; i < 4; i++)
		r->s[i] = sm_splitmix64(&state);
}

SM_INLINE uint64_t sm__rotl64(uint64_t x, unsigned k)
{
	return (x << k) | (x >> (64 - k));
}

SM_INLINE uint64_t sm_rng_next(struct sm_rng *r)
{
	uint64_t *s = r->s, result = sm__rotl64(s[0] + s[3], 23) + s[0], t = s[1] << 17;

	s[2] ^= s[0];
	s[3] ^= s[1];
	s[1] ^= s[2];
	s[0] ^= s[3];
	s[2] ^= t;
	s[3] = sm__rotl64(s[3], 45);
	return result;
}

/* Uniform in [0, n) for 0 < n <= 2^32, to within 2^-32 (Lemire's multiplication, without
 * rejection). */
SM_INLINE uint64_t sm_rng_below(struct sm_rng *r, uint64_t n)
{
	return ((sm_rng_next(r) >> 32) * n) >> 32;
}

#endif
