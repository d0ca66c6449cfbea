/*
 * latency.c: simple and metered latency of a stream of requests.
 */
#include "workloads/latency.h"

#include <stdlib.h>

void sm_latency_simple(const struct sm_request *r, size_t n, struct sm_histogram *h)
{
	for (size_t i = 0; i < n; i++)
		sm_histogram_record(h, r[i].end - r[i].start);
}

/* From request `first` on, the starts up to that of `last` are spread evenly. */
static uint64_t arrival(const struct sm_request *r, size_t i, size_t first, size_t last)
{
	uint64_t span = r[last].start - r[first].start;

	if (last == first)
		return r[i].start;
	/* In two parts, since a product of 64 bits may not hold it. */
	return r[first].start + span / (last - first) * (i - first) +
	       span % (last - first) * (i - first) / (last - first);
}

void sm_latency_metered(const struct sm_request *r, size_t n, uint64_t window,
			struct sm_histogram *h)
{
	uint64_t half = window / 2;

	for (size_t i = 0, first = 0, last = 0; i < n; i++) {
		uint64_t from = r[i].start > half ? r[i].start - half : 0, at;

		while (r[first].start < from)
			first++;
		while (last < n - 1 && r[last].start < r[i].start + half)
			last++;
		at = arrival(r, i, first, last);
		sm_histogram_record(h, r[i].end - (at < r[i].start ? at : r[i].start));
	}
}

static int by_start(const void *a, const void *b)
{
	const struct sm_request *x = a, *y = b;

	if (x->start != y->start)
		return x->start < y->start ? -1 : 1;
	return (x->end > y->end) - (x->end < y->end);
}

void sm_latency_sort(struct sm_request *r, size_t n)
{
	qsort(r, n, sizeof(*r), by_start);
}
