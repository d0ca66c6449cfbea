/*
 * order.c: see order.h.
 */
#include "harness/order.h"

/* SplitMix64 (Steele, Lea, Flood, 2014). */
static uint64_t splitmix(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15u;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return z ^ z >> 31;
}

uint64_t sm_plan_job_seed(uint64_t seed, unsigned rep)
{
	uint64_t state = seed + rep;

	return splitmix(&state);
}

void sm_plan_shuffle(unsigned *order, unsigned n, uint64_t seed)
{
	uint64_t state = seed;

	for (unsigned i = n; i > 1; i--) {
		unsigned k = (unsigned)(splitmix(&state) % i), t = order[k];

		order[k] = order[i - 1];
		order[i - 1] = t;
	}
}
