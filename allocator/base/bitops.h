/*
 * bitops.h: single-bit operations on a word in a register, one instruction where the machine has
 * one.
 */
#ifndef SM_ALLOCATOR_BITOPS_H
#define SM_ALLOCATOR_BITOPS_H

#include "allocator/base/base.h"

/* Sets bit (i % 64) of *word and returns what it was. Not atomic: *word is the caller's own copy.
 * */
SM_INLINE bool sm_bit_test_set(uint64_t *word, uint64_t i)
{
#if defined(__x86_64__)
	bool was;

	/* BTS with a register operand: the new word and, in the carry, the old bit. */
	__asm__("btsq %2, %0" : "+r"(*word), "=@ccc"(was) : "r"(i));
	return was;
#else
	bool was = *word >> (i % 64) & 1;

	*word |= (uint64_t)1 << (i % 64);
	return was;
#endif
}

#endif
