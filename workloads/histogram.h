/*
 * histogram.h: a log-linear histogram of durations (after HdrHistogram, Gil Tene).
 *
 * Each power of two is cut into 64 equal buckets, so that a percentile is off by at most 1/64
 * (1.6%); values below 128 are exact, and so is the maximum. Recording is a shift and an increment.
 * One histogram belongs to one thread; sums are made when the threads are done.
 */
#ifndef SM_WORKLOADS_HISTOGRAM_H
#define SM_WORKLOADS_HISTOGRAM_H

#include "allocator/base/base.h"

#define SM_HISTOGRAM_SUB_BITS 6
#define SM_HISTOGRAM_BUCKETS  ((64 - SM_HISTOGRAM_SUB_BITS + 1) << SM_HISTOGRAM_SUB_BITS)

struct sm_histogram {
	uint64_t count, max;
	uint64_t buckets[SM_HISTOGRAM_BUCKETS]; /* sum of all == count */
};

/* The bucket of v: the value itself below 2 * 64; then 64 for each power of two. Monotonic in v. */
SM_INLINE unsigned sm_histogram_bucket(uint64_t v)
{
	unsigned shift;

	if (v < (2u << SM_HISTOGRAM_SUB_BITS))
		return (unsigned)v;
	shift = 63u - (unsigned)__builtin_clzll(v) - SM_HISTOGRAM_SUB_BITS;
	return (shift << SM_HISTOGRAM_SUB_BITS) + (unsigned)(v >> shift);
}

SM_INLINE void sm_histogram_record(struct sm_histogram *h, uint64_t v)
{
	h->count++;
	h->max = v > h->max ? v : h->max;
	h->buckets[sm_histogram_bucket(v)]++;
}

/* The largest value that falls into the bucket. */
uint64_t sm_histogram_bucket_max(unsigned bucket);
/*
 * The value that a share of `q` (0 < q <= 1) of the recorded ones does not exceed, rounded up to
 * its bucket's end but never above the maximum. 0 when nothing was recorded.
 */
uint64_t sm_histogram_quantile(const struct sm_histogram *h, double q);

#endif
