/*
 * cpu.h: what CPUs have an instruction for and C has no operator. A folder of arch/ defines those
 * that its CPUs have:
 *
 *     sm_cpu_relax     a breath in a spin loop; no ordering
 *     sm_bit_test_set  sets bit (i % 64) of *word and returns what it was. Not atomic: *word is the
 *                      caller's own copy, in a register
 */
#ifndef SM_ALLOCATOR_CPU_H
#define SM_ALLOCATOR_CPU_H

#include "allocator/base/base.h"

#if defined(__x86_64__)
#include "allocator/base/arch/x86_64/cpu.h"
#else
SM_INLINE bool sm_bit_test_set(uint64_t *word, uint64_t i)
{
	bool was = *word >> (i % 64) & 1;

	*word |= (uint64_t)1 << (i % 64);
	return was;
}

#if defined(__aarch64__)
#include "allocator/base/arch/aarch64/cpu.h"
#else
SM_INLINE void sm_cpu_relax(void)
{
}
#endif
#endif

#endif
