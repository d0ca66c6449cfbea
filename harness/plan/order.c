/*
 * order.c: see order.h.
 */
#include "harness/plan/order.h"

#include <errno.h>
#include <stdlib.h>

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

void sm_plan_latin(unsigned *order, unsigned *spare, unsigned n, unsigned rep, uint64_t seed)
{
	uint64_t state = sm_plan_job_seed(seed, rep / n); /* of this square */
	unsigned shift;

	for (unsigned i = 0; i < n; i++)
		order[i] = spare[i] = i;
	sm_plan_shuffle(order, n, splitmix(&state)); /* the first row of the square */
	sm_plan_shuffle(spare, n, splitmix(&state)); /* the order of its rows */
	shift = spare[rep % n];
	for (unsigned i = 0; i < n; i++)
		spare[i] = order[(i + shift) % n];
	for (unsigned i = 0; i < n; i++)
		order[i] = spare[i];
}

/* Cases by family, each family's in the order of the plan: from end[f - 1] (0) to end[f]. */
static void sort_by_family(unsigned *cases, unsigned *end, const unsigned *family, unsigned ncases)
{
	for (unsigned i = 0; i < ncases; i++)
		end[family[i]]++;
	for (unsigned f = 1; f < ncases; f++)
		end[f] += end[f - 1];
	for (unsigned i = ncases; i-- > 0;)
		cases[--end[family[i]]] = i;
	for (unsigned i = 0; i < ncases; i++) /* they are at the starts now */
		end[family[i]]++;
}

int sm_plan_blocks(unsigned *order, const unsigned *family, unsigned ncases, unsigned passes,
		   unsigned rep, uint64_t seed)
{
	unsigned nfamilies = 0, nblocks, at = 0;
	unsigned *room = calloc((size_t)ncases * (passes + 4) + 1, sizeof(*room));
	unsigned *cases = room, *end = cases + ncases, *row = end + ncases, *spare = row + ncases,
		 *blocks = spare + ncases;

	if (room == NULL)
		return -ENOMEM;
	for (unsigned i = 0; i < ncases; i++)
		nfamilies = family[i] >= nfamilies ? family[i] + 1 : nfamilies;
	nblocks = nfamilies * passes;
	sort_by_family(cases, end, family, ncases);
	for (unsigned i = 0; i < nblocks; i++)
		blocks[i] = i;
	sm_plan_shuffle(blocks, nblocks, sm_plan_job_seed(~seed, rep));
	for (unsigned b = 0; b < nblocks; b++) {
		unsigned f = blocks[b] / passes, start = f > 0 ? end[f - 1] : 0, n = end[f] - start;

		sm_plan_latin(row, spare, n, rep, sm_plan_job_seed(seed ^ ~0u, blocks[b]));
		for (unsigned i = 0; i < n; i++)
			order[at++] = cases[start + row[i]] * passes + blocks[b] % passes;
	}
	free(room);
	return 0;
}
