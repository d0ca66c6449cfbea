/*
 * latency.h: how long requests took, and how long they would have taken from where they queue.
 *
 * Simple latency is from a request's start to its end. A thread that serves one request after the
 * other starts none while it stands still, so a pause of 50 ms is one slow request, although people
 * keep asking meanwhile. Metered latency charges those too: it assumes that requests arrive evenly,
 * and counts from the assumed arrival to the end, never less than simple latency.
 *
 * The definition is that of DaCapo Chopin (Blackburn et al., "Rethinking Java Performance
 * Analysis", ASPLOS 2025; LatencyReporter.java). Requests of all threads are one stream, in the
 * order of their starts. Of those that start within half a window before and after a request's own
 * start, the first and the last are taken, the starts in between are spread evenly, and the
 * request's turn among them is its arrival. DaCapo, and we, take a window of 100 ms, which charges
 * what a pause delays and forgets it soon, and one without bounds, which assumes one rate for the
 * whole run: a service that is behind stays behind until it has caught up.
 */
#ifndef SM_WORKLOADS_LATENCY_H
#define SM_WORKLOADS_LATENCY_H

#include <stddef.h>

#include "workloads/histogram.h"

struct sm_request {
	uint64_t start, end; /* start <= end < 2^63, in any unit */
};

#define SM_LATENCY_UNBOUNDED UINT64_MAX

/* Both add to *h. Requests stand in the order of their starts; the window in their unit. */
void sm_latency_simple(const struct sm_request *r, size_t n, struct sm_histogram *h);
void sm_latency_metered(const struct sm_request *r, size_t n, uint64_t window,
			struct sm_histogram *h);

/* Sorts requests by their starts. */
void sm_latency_sort(struct sm_request *r, size_t n);

#endif
