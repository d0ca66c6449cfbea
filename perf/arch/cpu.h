/*
 * cpu.h: what differs between architectures in perf/. Each architecture has a folder: what must be
 * inline is in its header, the rest in its source.
 */
#ifndef SM_PERF_ARCH_CPU_H
#define SM_PERF_ARCH_CPU_H

#include <stddef.h>
#include <stdint.h>

/*
 * The folder's header has two functions:
 *   sm__cpu_ticks()  the constant-rate counter, not ordered with the instructions around it
 *   sm__pmc_sync()   before the first read of a group: what the program did so far is in the
 *                    counters. Once is enough, the
 *                    counters of a group are to be read close together. rdpmc orders itself well
 *                    enough for regions of more than a few dozen instructions.
 */
#if defined(__x86_64__)
#include "perf/arch/x86_64/cpu.h"
#elif defined(__aarch64__)
#include "perf/arch/aarch64/cpu.h"
#else
#error "perf/arch has no folder for this architecture"
#endif

/* Ticks in a second, where the CPU says so; 0: to be measured. */
uint64_t sm__cpu_tick_hz(void);

/* Hardware counter `index` (0-based, as rdpmc and PMEVCNTRn count them; 31 is the ARM64 cycle
 * counter). */
uint64_t sm__pmc_read(unsigned index);

/* Bits of perf_event_attr.config1 that ask for reads in user space, the best first; 0 ends the
 * list. */
extern const uint64_t sm__user_read_asks[];

/*
 * Valgrind's client request: an instruction sequence that does nothing on a CPU and that valgrind
 * recognises. It is the one of <valgrind/valgrind.h>, written out so that building does not need
 * valgrind. args: code and five arguments.
 */
unsigned long sm__valgrind_request(volatile unsigned long args[6]);

/* A function that returns at once, as machine code. */
extern const uint8_t sm__return_code[];
extern const size_t sm__return_code_size;

/* Kernels with known counts: `rounds` of them, not 0. sm__kernel_branches() (kernels.h) is in the
 * folder, too. */
void sm__cpu_loop(uint64_t rounds);
void sm__cpu_chain(uint64_t rounds, uint64_t a, uint64_t b);

#endif
