/* cpu.c of x86_64: see perf/arch/cpu.h. */
#include "perf/arch/cpu.h"
#include "perf/kernels.h"

uint64_t sm__cpu_tick_hz(void)
{
	return 0;
}

uint64_t sm__pmc_read(unsigned index)
{
	uint32_t lo, hi;

	__asm__ volatile("rdpmc" : "=a"(lo), "=d"(hi) : "c"(index));
	return (uint64_t)hi << 32 | lo;
}

const uint64_t sm__user_read_asks[] = {0};

unsigned long sm__valgrind_request(volatile unsigned long args[6])
{
	unsigned long result = 0;

	__asm__ volatile("rolq $3, %%rdi; rolq $13, %%rdi\n\t"
			 "rolq $61, %%rdi; rolq $51, %%rdi\n\t"
			 "xchgq %%rbx, %%rbx"
			 : "=d"(result)
			 : "a"(&args[0]), "0"(result)
			 : "cc", "memory");
	return result;
}

const uint8_t sm__return_code[] = {0xc3};
const size_t sm__return_code_size = sizeof(sm__return_code);

void sm__cpu_loop(uint64_t rounds)
{
	__asm__ volatile(".balign 64\n1:\tdecq %0\n\tjnz 1b" : "+r"(rounds) : : "cc");
}

#define X4 "xorq %2, %1\n\txorq %2, %1\n\txorq %2, %1\n\txorq %2, %1\n\t"

void sm__cpu_chain(uint64_t rounds, uint64_t a, uint64_t b)
{
	__asm__ volatile(".balign 64\n1:\t" X4 X4 X4 X4 "decq %0\n\tjnz 1b"
			 : "+r"(rounds), "+r"(a)
			 : "r"(b)
			 : "cc");
}

void sm__kernel_branches(const uint8_t *bits, size_t n)
{
	uint64_t count = 0;

	for (size_t i = 0; i < n; i++)
		__asm__ volatile("testb $1, %1\n\tjz 1f\n\tincq %0\n1:"
				 : "+r"(count)
				 : "m"(bits[i])
				 : "cc");
}
