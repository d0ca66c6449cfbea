/*
 * mmu.h: minimum mutator utilisation (Cheng and Blelloch, "A Parallel, Real-Time Garbage
 * Collector", PLDI 2001): of all windows of a length, the smallest share in which the mutator did
 * not wait for the collector. A long pause and many short ones in a row look the same here.
 *
 * A wait counts by the clock, whether or not its thread kept its CPU meanwhile: that is what the
 * mutator lost. What it waits for otherwise (another mutator, a CPU) is no wait.
 *
 * Waits are added as they end and are not kept, so a run may be as long as it likes, and the meter
 * is small. The windows are those that begin at a multiple of 1/SM_MMU_STEPS of their length. So
 * the result is the utilisation of a window that there was, and above the least of all windows by
 * at most one step's share, 1 %: where the worst window is cut at both ends by waits.
 *
 * A meter belongs to one thread.
 */
#ifndef SM_WORKLOADS_MMU_H
#define SM_WORKLOADS_MMU_H

#include "allocator/base/base.h"

#define SM_MMU_STEPS   100
#define SM_MMU_WINDOWS 10
extern const uint64_t sm_mmu_lengths[SM_MMU_WINDOWS]; /* ns, 1 ms to 1 s */

/* The latest window: it holds what was waited in all, less what was before its first step. */
struct sm_mmu_window {
	uint64_t step, end; /* its last step, and where it ends; ns */
	uint64_t most;	    /* in a window that is complete; ns */
#define SM_MMU_PLACES 128
	uint64_t before[SM_MMU_PLACES]; /* what was waited before a step, by its number */
};
_Static_assert(SM_MMU_PLACES > SM_MMU_STEPS, "a window's steps have a place each");

/* All 0 to begin with. */
struct sm_mmu {
	uint64_t until, waited; /* the end of the last wait; all waits, ns */
	struct sm_mmu_window window[SM_MMU_WINDOWS];
};

/*
 * A wait, in ns since the timed part began. Each begins where the one before ended or later; of one
 * that does not (it is the sum of several), the length counts.
 */
void sm_mmu_wait(struct sm_mmu *m, uint64_t since, uint64_t until);
/* In per cent. The part that was measured was at least as long as the window. */
double sm_mmu_percent(const struct sm_mmu *m, unsigned window);

#endif
