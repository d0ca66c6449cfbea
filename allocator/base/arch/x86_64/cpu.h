/* cpu.h of x86-64: see allocator/base/cpu.h. */
#ifndef SM_ALLOCATOR_X86_64_CPU_H
#define SM_ALLOCATOR_X86_64_CPU_H

SM_INLINE void sm_cpu_relax(void)
{
	__builtin_ia32_pause();
}

/* BTS with a register operand: the new word and, in the carry, the old bit. */
SM_INLINE bool sm_bit_test_set(uint64_t *word, uint64_t i)
{
	bool was;

	__asm__("btsq %2, %0" : "+r"(*word), "=@ccc"(was) : "r"(i));
	return was;
}

#endif
