/* cpu.h of x86_64: see perf/arch/cpu.h, which includes it. */
static inline uint64_t sm__cpu_ticks(void)
{
	uint32_t lo, hi;

	__asm__ volatile("rdtsc" : "=a"(lo), "=d"(hi));
	return (uint64_t)hi << 32 | lo;
}

static inline void sm__pmc_sync(void)
{
}
