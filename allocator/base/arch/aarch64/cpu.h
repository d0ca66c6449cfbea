/* cpu.h of ARM64: see allocator/base/cpu.h. */
#ifndef SM_ALLOCATOR_AARCH64_CPU_H
#define SM_ALLOCATOR_AARCH64_CPU_H

SM_INLINE void sm_cpu_relax(void)
{
	__asm__ volatile("isb" ::: "memory");
}

#endif
