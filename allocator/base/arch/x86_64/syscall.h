/* syscall.h: the system call instruction of x86-64; rcx and r11 are the kernel's. */
#ifndef SM_ALLOCATOR_X86_64_SYSCALL_H
#define SM_ALLOCATOR_X86_64_SYSCALL_H

SM_INLINE long sm__syscall6(long nr, long a, long b, long c, long d, long e, long f)
{
	register long r10 __asm__("r10") = d;
	register long r8 __asm__("r8") = e;
	register long r9 __asm__("r9") = f;
	long ret;

	__asm__ volatile("syscall"
			 : "=a"(ret)
			 : "a"(nr), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
			 : "rcx", "r11", "memory");
	return ret;
}

#endif
