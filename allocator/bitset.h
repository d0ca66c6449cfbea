/*
 * bitset.h: a set of small integers in which the lowest member is found in a few words.
 *
 * Level 0 has a bit for each member; a bit of level n + 1 says that a word of level n is not empty, up
 * to one word at the top: 16 million members are four levels, finding the lowest is four loads and four
 * count-trailing-zeros. The memory is the caller's and starts as zeros: the empty set.
 * Not synchronised.
 */
#ifndef SM_ALLOCATOR_BITSET_H
#define SM_ALLOCATOR_BITSET_H

#include "allocator/base.h"

#define SM_BITSET_LEVELS 6
#define SM_BITSET_NONE	 SIZE_MAX

struct sm_bitset {
	uint64_t *level[SM_BITSET_LEVELS];
	unsigned nlevels;
	size_t nbits;
};

/* Bytes of zeroed memory that sm_bitset_init wants. */
static inline size_t sm_bitset_bytes(size_t nbits)
{
	size_t words = 0;

	do {
		nbits = (nbits + 63) / 64;
		words += nbits;
	} while (nbits > 1);
	return words * sizeof(uint64_t);
}

static inline void sm_bitset_init(struct sm_bitset *b, size_t nbits, void *memory)
{
	uint64_t *words = memory;

	b->nbits = nbits;
	b->nlevels = 0;
	do {
		nbits = (nbits + 63) / 64;
		b->level[b->nlevels++] = words;
		words += nbits;
	} while (nbits > 1);
}

SM_INLINE bool sm_bitset_test(const struct sm_bitset *b, size_t i)
{
	return b->level[0][i >> 6] >> (i & 63) & 1;
}

SM_INLINE void sm_bitset_set(struct sm_bitset *b, size_t i)
{
	for (unsigned l = 0; l < b->nlevels; l++) {
		uint64_t *w = &b->level[l][i >> 6];
		uint64_t old = *w;

		*w = old | (uint64_t)1 << (i & 63);
		if (SM_LIKELY(old != 0))
			return;
		i >>= 6;
	}
}

SM_INLINE void sm_bitset_clear(struct sm_bitset *b, size_t i)
{
	for (unsigned l = 0; l < b->nlevels; l++) {
		uint64_t *w = &b->level[l][i >> 6];

		*w &= ~((uint64_t)1 << (i & 63));
		if (SM_LIKELY(*w != 0))
			return;
		i >>= 6;
	}
}

/* The lowest member. Precondition: not empty. */
SM_INLINE size_t sm_bitset_first(const struct sm_bitset *b)
{
	size_t i = 0;

	for (unsigned l = b->nlevels; l-- > 0;)
		i = i << 6 | (size_t)__builtin_ctzll(b->level[l][i]);
	return i;
}

/* The lowest member that is at least i, or SM_BITSET_NONE. */
static inline size_t sm_bitset_next(const struct sm_bitset *b, size_t i)
{
	unsigned l = 0;
	uint64_t word;

	if (i >= b->nbits)
		return SM_BITSET_NONE;
	word = b->level[0][i >> 6] >> (i & 63) << (i & 63);
	/* Up, until a word has something behind our place; then down along its lowest bits. */
	while (word == 0) {
		if (++l == b->nlevels)
			return SM_BITSET_NONE;
		i >>= 6;
		/* Strictly behind: bits 0..(i & 63) are dropped; two shifts, for one of 64 is undefined. */
		word = b->level[l][i >> 6] >> (i & 63) >> 1 << (i & 63) << 1;
	}
	i = (i & ~(size_t)63) | (size_t)__builtin_ctzll(word);
	while (l-- > 0)
		i = i << 6 | (size_t)__builtin_ctzll(b->level[l][i]);
	return i;
}

#endif
