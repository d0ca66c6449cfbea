/*
 * rseq.h: restartable sequences: short sections on data of the CPU that runs them, without atomics.
 *
 * The kernel restarts a section whose thread is preempted, migrated or signalled inside it, so that
 * its last store, the commit, happens only if the thread stayed on its CPU undisturbed. We use the
 * area that glibc (2.35 or newer) registers for every thread, never one of our own, and read its
 * cpu_id only.
 *
 * A section works on the slab of its CPU, found in a table of pointers; NULL (of windows) or an
 * empty slab (of stacks) means that the slab is being drained by another thread, and the section
 * gives up. To drain another CPU's slab: take its pointer out of the table, then
 * sm__rseq_fence(cpu), after which no section of that CPU runs on what it read before.
 *
 * Stacks. What a CPU has of a class is an array of pointers and a word: the index of the top one in
 * the low SM_RSEQ_TOP_BITS, and above them the number of pops so far, which a pop counts up in the
 * one addition it needs anyway. Below the lowest element is a NULL, so that an empty stack is found
 * by reading its top. `end` is the index of the highest element that there may be; others may
 * change it at any time. A slab that is all zero has nothing and takes nothing: it stands in the
 * table for one that is away.
 *
 * A bump window is two words: cur (0: no window) and end.
 *
 * Sources: Desnoyers, Hunter, "Restartable sequences" (Linux 4.18); librseq; TCMalloc's page on
 * rseq.
 */
#ifndef SM_ALLOCATOR_RSEQ_H
#define SM_ALLOCATOR_RSEQ_H

#include "allocator/base/base.h"

/* Words of lists in depots (depot.c): the first object below, the length above. */
#define SM_RSEQ_TAG_SHIFT 48
#define SM_RSEQ_PTR_MASK  ((UINT64_C(1) << SM_RSEQ_TAG_SHIFT) - 1)

#define SM_RSEQ_TOP_BITS  20
#define SM_RSEQ_TOP_MASK  ((UINT64_C(1) << SM_RSEQ_TOP_BITS) - 1)
#define SM_RSEQ_POP	  SM_RSEQ_TOP_MASK /* added by a pop: one pop more, top one less */

/* The kernel's struct rseq, as far as it is used. */
struct sm_rseq_area {
	uint32_t cpu_id_start;
	uint32_t cpu_id; /* negative: not registered */
	uint64_t rseq_cs;
};

/* Slabs by CPU; fixed address and size. */
struct sm_rseq_table {
	void **slabs; /* [ncpus] */
	uint32_t ncpus;
};

/*
 * A slab of stacks. Words and ends lie side by side, so that a stack's number alone is an index of
 * either, and the slots behind them: a section needs no address but the slab's.
 */
#define SM_RSEQ_STACKS 80

struct sm_rseq_slab {
	_Atomic(uint64_t) word[SM_RSEQ_STACKS];
	_Atomic(uint32_t) end[SM_RSEQ_STACKS];
	void *slots[]; /* of all stacks, as many as the slab was made for: one at least */
};

/* Can sections run in this process? False: why (static text) says why not. */
bool sm__rseq_usable(const char **why);
/* CPUs that a table needs. */
unsigned sm__rseq_cpus(void);
/* Restarts every section that runs on cpu (all of this process's threads). 0, -errno: cannot. */
int sm__rseq_fence(unsigned cpu);
extern ptrdiff_t sm__rseq_area_offset __attribute__((visibility("hidden")));

#if defined(__x86_64__)
#include "allocator/os/arch/x86_64/rseq.h"
#define SM_HAVE_RSEQ 1
#elif defined(__aarch64__)
#include "allocator/os/arch/aarch64/rseq.h"
#define SM_HAVE_RSEQ 1
#else
#define SM_HAVE_RSEQ 0
#endif

/*
 * What a section leaves (an object, a window) passes from the thread that leaves it to the one that
 * takes it. On one CPU that needs no order, and on another (drained) membarrier is one; but
 * ThreadSanitizer sees neither the sections nor it, so it is told, by any address that stands for
 * the thing on both sides: before it is left, after it is taken.
 */
#if SM_TSAN
void __tsan_acquire(void *addr);
void __tsan_release(void *addr);
#define sm__rseq_passed_on(p) __tsan_release(p)
#define sm__rseq_taken(p)     __tsan_acquire(p)
#else
#define sm__rseq_passed_on(p) ((void)0)
#define sm__rseq_taken(p)     ((void)0)
#endif

/* The CPU that the caller is on, or was a moment ago. Only where sections can run. */
SM_INLINE unsigned sm__rseq_cpu(void)
{
#if SM_HAVE_RSEQ
	return ((volatile struct sm_rseq_area *)sm__rseq_area())->cpu_id;
#else
	return 0;
#endif
}

#endif
