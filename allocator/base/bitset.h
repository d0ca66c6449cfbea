/*
 * bitset.h: a set of small integers in which the lowest member is found in a few words.
 *
 * Level 0 has a bit for each member; a bit of level n + 1 says that a word of level n may hold
 * something, up to one word at the top: 16 million members are four levels, finding the lowest is
 * four loads and four count-trailing-zeros.
 *
 *   a word that is not empty  =>  its bit in the level above is set
 *
 * and not the other way round: removing the last member of a word leaves the bit above as it is,
 * for the next member often comes to the same word; a search that follows such a bit into nothing
 * clears it.
 *
 * The memory is the caller's and starts as zeros: the empty set. Not synchronised; searches write.
 */
#ifndef SM_ALLOCATOR_BITSET_H
#define SM_ALLOCATOR_BITSET_H

#include "allocator/base/base.h"

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

/* The same members in larger memory, zeroed: of a set that has none yet, or was in less. */
static inline void sm_bitset_move(struct sm_bitset *b, size_t nbits, void *memory)
{
	const struct sm_bitset old = *b;
	size_t words = (old.nbits + 63) / 64;

	sm_bitset_init(b, nbits, memory);
	for (size_t i = 0; i < words; i++)
		b->level[0][i] = old.level[0][i];
	for (unsigned l = 1; l < b->nlevels; l++, words = (words + 63) / 64)
		for (size_t i = 0; i < words; i++)
			if (b->level[l - 1][i] != 0)
				b->level[l][i >> 6] |= (uint64_t)1 << (i & 63);
}

SM_INLINE bool sm_bitset_test(const struct sm_bitset *b, size_t i)
{
	return b->level[0][i >> 6] >> (i & 63) & 1;
}

SM_INLINE void sm_bitset_set(struct sm_bitset *b, size_t i)
{
	for (unsigned l = 0; l < b->nlevels; l++) {
		uint64_t *w = &b->level[l][i >> 6];
		uint64_t old = *w, bit = (uint64_t)1 << (i & 63);

		*w = old | bit;
		/* Above the members: a bit that is set has everything above it set. */
		if (SM_LIKELY(l == 0 ? old != 0 : (old & bit) != 0))
			return;
		i >>= 6;
	}
}

SM_INLINE void sm_bitset_clear(struct sm_bitset *b, size_t i)
{
	b->level[0][i >> 6] &= ~((uint64_t)1 << (i & 63));
}

/*
 * Down from word i of level l, which is not empty, along the lowest bits. Into an empty word: its
 * bit is cleared and the answer is SM_BITSET_NONE: search again.
 */
SM_INLINE size_t sm__bitset_descend(struct sm_bitset *b, unsigned l, size_t i)
{
	while (l-- > 0) {
		uint64_t w = b->level[l][i];

		if (SM_UNLIKELY(w == 0)) {
			b->level[l + 1][i >> 6] &= ~((uint64_t)1 << (i & 63));
			return SM_BITSET_NONE;
		}
		i = i << 6 | (size_t)__builtin_ctzll(w);
	}
	return i;
}

/* The lowest member. Precondition: not empty. */
SM_INLINE size_t sm_bitset_first(struct sm_bitset *b)
{
	size_t i;

	do
		i = sm__bitset_descend(b, b->nlevels, 0);
	while (SM_UNLIKELY(i == SM_BITSET_NONE));
	return i;
}

/* The lowest member that is at least `from`, or SM_BITSET_NONE. */
static inline size_t sm_bitset_next(struct sm_bitset *b, size_t from)
{
	size_t found;

	if (from >= b->nbits)
		return SM_BITSET_NONE;
	do {
		size_t i = from;
		unsigned l = 0;
		uint64_t word = b->level[0][i >> 6] >> (i & 63) << (i & 63);

		/* Up, until a word has something behind our place; then down along its lowest bits.
		 */
		while (word == 0) {
			if (++l == b->nlevels)
				return SM_BITSET_NONE;
			i >>= 6;
			/* Strictly behind: bits 0..(i & 63) are dropped; two shifts, for one of 64
			 * is undefined. */
			word = b->level[l][i >> 6] >> (i & 63) >> 1 << (i & 63) << 1;
		}
		found = sm__bitset_descend(b, l, (i & ~(size_t)63) | (size_t)__builtin_ctzll(word));
	} while (found == SM_BITSET_NONE);
	return found;
}

#endif
