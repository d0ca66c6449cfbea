/* cpu.c of aarch64: see perf/arch/cpu.h. */
#include "perf/arch/cpu.h"
#include "perf/kernels.h"

#define MRS(reg)                                              \
	({                                                    \
		uint64_t v_;                                  \
		__asm__ volatile("mrs %0, " #reg : "=r"(v_)); \
		v_;                                           \
	})

uint64_t sm__cpu_tick_hz(void)
{
	return MRS(cntfrq_el0);
}

/* clang-format off */
#define C(n) case n: return MRS(pmevcntr##n##_el0);

/* The register number is part of the instruction: hence a switch. */
uint64_t sm__pmc_read(unsigned index)
{
	switch (index) {
	C(0) C(1) C(2) C(3) C(4) C(5) C(6) C(7) C(8) C(9) C(10) C(11) C(12) C(13) C(14) C(15)
	C(16) C(17) C(18) C(19) C(20) C(21) C(22) C(23) C(24) C(25) C(26) C(27) C(28) C(29) C(30)
	case 31: return MRS(pmccntr_el0);
	default: return 0;
	}
}
/* clang-format on */

/*
 * Bit 1 asks, bit 0 wants a 64-bit counter. Which combination an event can have differs (cycles:
 * both; others without 64-bit counters: bit 1 alone).
 */
const uint64_t sm__user_read_asks[] = {3, 2, 0};

unsigned long sm__valgrind_request(volatile unsigned long args[6])
{
	register unsigned long x3 __asm__("x3") = 0;
	register volatile unsigned long *x4 __asm__("x4") = &args[0];

	__asm__ volatile("ror x12, x12, #3; ror x12, x12, #13\n\t"
			 "ror x12, x12, #51; ror x12, x12, #61\n\t"
			 "orr x10, x10, x10"
			 : "+r"(x3)
			 : "r"(x4)
			 : "cc", "memory");
	return x3;
}

const uint8_t sm__return_code[] = {0xc0, 0x03, 0x5f, 0xd6};
const size_t sm__return_code_size = sizeof(sm__return_code);

void sm__cpu_loop(uint64_t rounds)
{
	__asm__ volatile(".balign 64\n1:\tsubs %0, %0, #1\n\tb.ne 1b" : "+r"(rounds) : : "cc");
}

#define X4 "eor %1, %1, %2\n\teor %1, %1, %2\n\teor %1, %1, %2\n\teor %1, %1, %2\n\t"

void sm__cpu_chain(uint64_t rounds, uint64_t a, uint64_t b)
{
	__asm__ volatile(".balign 64\n1:\t" X4 X4 X4 X4 "subs %0, %0, #1\n\tb.ne 1b"
			 : "+r"(rounds), "+r"(a)
			 : "r"(b)
			 : "cc");
}

void sm__kernel_branches(const uint8_t *bits, size_t n)
{
	uint64_t count = 0;

	for (size_t i = 0; i < n; i++)
		__asm__ volatile("tbz %w1, #0, 1f\n\tadd %0, %0, #1\n1:"
				 : "+r"(count)
				 : "r"((unsigned)bits[i]));
}
