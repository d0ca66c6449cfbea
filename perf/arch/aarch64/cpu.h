/* cpu.h of aarch64: see perf/arch/cpu.h, which includes it. */
static inline uint64_t sm__cpu_ticks(void)
{
	uint64_t v;

	__asm__ volatile("mrs %0, cntvct_el0" : "=r"(v));
	return v;
}

static inline void sm__pmc_sync(void)
{
	__asm__ volatile("isb" : : : "memory");
}
