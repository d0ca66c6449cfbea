/*
 * preempted.h: did the thread keep its CPU meanwhile? One store before, one load after.
 *
 * The thread announces a restartable section (allocator/os/rseq.h) and never enters it. When the
 * kernel brings a thread back that had lost its CPU, or delivers a signal, it finds the
 * announcement out of date and clears it. What the kernel does not know of, a hypervisor that takes
 * the whole CPU away, is not seen.
 *
 * So of a wait it can be said whether the thread ran all the time, in which case all of it is the
 * collector's work, or was preempted by the scheduler, in which case an unknown part is not. Real
 * sections overwrite the announcement (cache.mode=cpu): then nothing is said.
 */
#ifndef SM_COLLECTOR_PREEMPTED_H
#define SM_COLLECTOR_PREEMPTED_H

#include "allocator/base/atomic.h"
#include "allocator/os/rseq.h"

enum sm_kept { SM_KEPT_UNKNOWN, SM_KEPT, SM_KEPT_LOST };

#if defined(__x86_64__)
#include "collector/mutator/arch/x86_64/preempted.h"
#elif defined(__aarch64__)
#include "collector/mutator/arch/aarch64/preempted.h"
#endif

/* Before a collector's first wait; as often as one likes. Where nothing can be told,
 * sm__preempted_on stays false. */
void sm__preempted_init(void);
extern _Atomic(bool) sm__preempted_on __attribute__((visibility("hidden")));

/* What sm__preempted_end is to be given. */
SM_INLINE uint64_t sm__preempted_begin(void)
{
#if SM_HAVE_RSEQ
	if (SM_LIKELY(sm_load_relaxed(&sm__preempted_on)))
		return sm__preempted_announce(sm__rseq_area());
#endif
	return 0;
}

SM_INLINE enum sm_kept sm__preempted_end(uint64_t begun)
{
#if SM_HAVE_RSEQ
	uint64_t now;

	if (begun == 0)
		return SM_KEPT_UNKNOWN;
	now = ((volatile struct sm_rseq_area *)sm__rseq_area())->rseq_cs;
	return now == begun ? SM_KEPT : now == 0 ? SM_KEPT_LOST : SM_KEPT_UNKNOWN;
#else
	(void)begun;
	return SM_KEPT_UNKNOWN;
#endif
}

#endif
