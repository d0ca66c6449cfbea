/*
 * The two clocks that measurements use.
 *
 * sm_clock_ns() is CLOCK_MONOTONIC in nanoseconds: comparable between threads, a vDSO call of some
 * 20 ns. sm_clock_ticks() is the CPU's constant-rate counter (TSC, CNTVCT_EL0): a handful of
 * cycles, not ordered with the instructions around it, in units of its own; sm_clock_ticks_per_ns()
 * says how many there are in a nanosecond. Neither is corrected for time that the thread was not
 * running.
 *
 * A counter that went backwards (a migrated virtual machine, a broken TSC) yields an interval of
 * zero, not one of 500 years: always subtract with sm_clock_delta().
 */
#ifndef SM_PERF_CLOCK_H
#define SM_PERF_CLOCK_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "perf/arch/cpu.h"

static inline uint64_t sm_clock_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* CPU time of the calling thread, a system call on most kernels. */
static inline uint64_t sm_clock_thread_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static inline uint64_t sm_clock_ticks(void)
{
	return sm__cpu_ticks();
}

static inline uint64_t sm_clock_delta(uint64_t from, uint64_t to)
{
	return to > from ? to - from : 0;
}

/*
 * Ticks in a nanosecond. ARM64 states its frequency; on x86-64 the first call compares the TSC with
 * CLOCK_MONOTONIC for 5 ms. Thread-safe; the value does not change afterwards.
 */
double sm_clock_ticks_per_ns(void);

/*
 * Takes the figure from somebody who found it on this machine (a parent), before the first call of
 * sm_clock_ticks_per_ns(); what is no such figure is ignored.
 */
void sm_clock_take_ticks_per_ns(double ticks);

/* False where the kernel itself does not trust the TSC (clocksource is not tsc, kvm-clock or
 * arch_sys_counter). */
bool sm_clock_ticks_reliable(void);

#endif
