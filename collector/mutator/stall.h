/*
 * stall.h: how long mutators waited for the collector, by cause, in log-linear histograms.
 *
 * A bucket spans 1/16 of a power of two; values are ns. Each mutator writes its own histogram
 * (plain increments made with relaxed atomics, so that a reader sees whole words); a mutator that
 * goes adds its figures to the collector's.
 *
 * A wait is time on the clock, other programs' included. Beside it stands whether the thread kept
 * its CPU (preempted.h): the longest wait in which it did is due to the collector alone.
 */
#ifndef SM_COLLECTOR_STALL_H
#define SM_COLLECTOR_STALL_H

#include "allocator/base/atomic.h"
#include "spanmark/gc.h"
#include "collector/mutator/preempted.h"

#define SM_STALL_BUCKETS ((41 - 4) * 16 + 16)

struct sm_stall_hist {
	_Atomic(uint32_t) bucket[SM_STALL_BUCKETS];
	_Atomic(uint64_t) count, total_ns, max_ns;
	/* Of these, those in which the thread kept its CPU and those in which it lost it; of the
	 * rest it is not known. */
	_Atomic(uint64_t) kept, kept_max_ns, lost, lost_max_ns;
};

/* Is told of each wait when it is over, by the thread that waited, in ns of CLOCK_MONOTONIC. What
 * is the sum of several (sweeping in a refill) stands at the end of the last. */
typedef void sm__stall_fn(void *ctx, uint64_t since, uint64_t until);

struct sm_stall_set {
	struct sm_stall_hist cause[SM_STALL_CAUSES];
	/* since the control thread looked last; a moment more or less */
	_Atomic(uint64_t) recent_max_ns;
	/* the mutator's own thread; NULL: nobody is told */
	sm__stall_fn *told;
	void *told_ctx;
};

/* Single writer. */
void sm__stall_record(struct sm_stall_hist *h, uint64_t ns, enum sm_kept kept);
void sm__stall_note(struct sm_stall_set *set, enum sm_stall_cause cause, uint64_t ns,
		    enum sm_kept kept);
/* Raises recent_max_ns. */
void sm__stall_recent(struct sm_stall_set *set, uint64_t ns);
void sm__stall_clear_hist(struct sm_stall_hist *h);
void sm__stall_clear(struct sm_stall_set *set);
/* to += from; `to` is owned by the caller (or locked), `from` may be running. */
void sm__stall_add(struct sm_stall_hist *to, struct sm_stall_hist *from);
void sm__stall_summary(struct sm_stall_hist *h, struct sm_gc_stall *out);

/* The bucket of a value and the largest value of a bucket; exposed for the tests. */
unsigned sm__stall_bucket(uint64_t ns);
uint64_t sm__stall_bucket_top(unsigned bucket);

#endif
