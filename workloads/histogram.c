/*
 * histogram.c: reading the log-linear histogram.
 */
#include "workloads/histogram.h"

#include <math.h>

uint64_t sm_histogram_bucket_max(unsigned bucket)
{
	unsigned shift;
	uint64_t mantissa;

	if (bucket < (2u << SM_HISTOGRAM_SUB_BITS))
		return bucket;
	shift = (bucket >> SM_HISTOGRAM_SUB_BITS) - 1;
	mantissa = (bucket & ((1u << SM_HISTOGRAM_SUB_BITS) - 1)) + (1u << SM_HISTOGRAM_SUB_BITS);
	return (mantissa << shift) + (((uint64_t)1 << shift) - 1);
}

uint64_t sm_histogram_quantile(const struct sm_histogram *h, double q)
{
	uint64_t rank = (uint64_t)ceil(q * (double)h->count), seen = 0;

	if (rank == 0)
		rank = 1;
	for (unsigned i = 0; i < SM_HISTOGRAM_BUCKETS && h->count > 0; i++) {
		seen += h->buckets[i];
		if (seen >= rank) {
			uint64_t v = sm_histogram_bucket_max(i);

			return v < h->max ? v : h->max;
		}
	}
	return h->max;
}
