/*
 * markdirect.c: loops that take one object after the other: gc.fifo=0, tracing, and armed cycles
 * (armed.h), in which scanning notes slots.
 */
#include "collector/span/markspan.h"
#include "collector/mark/scan_internal.h"

SM_INLINE uintptr_t pop_entry(struct sm_marker *k)
{
	if (SM_UNLIKELY(k->take == k->take_first) && !sm__mark_refill(k))
		return 0;
	return *--k->take;
}

/* gc.fifo=0: without the ring, to measure what it is worth. */
void sm__mark_drain_direct(struct sm_marker *k, uint64_t until)
{
	uintptr_t in;

	while (k->n.scan_bytes < until && (in = pop_entry(k)) != 0) {
		sm__scan(k, in, SM_HOW_ATOMIC);
		if (k->donating && sm_load_relaxed(&k->gc->workq.parked) != 0)
			sm__mark_share(k);
	}
}

/*
 * Few cycles are armed, and what a candidate's flag costs for each edge is small beside the
 * objects' lines: these are asked for while RING others are scanned. Every LOOK_UP objects others
 * are given some.
 */
#define RING	16
#define LOOK_UP 128

void sm__mark_drain_armed(struct sm_marker *k, uint64_t until)
{
	uintptr_t ring[RING] = {0}, in;
	unsigned at = 0, left = RING;

	while (k->n.scan_bytes < until && left != 0) {
		uintptr_t *place = &ring[at++ % RING];

		in = *place;
		if (in != 0)
			sm__scan(k, in, SM_HOW_ARMED);
		*place = pop_entry(k);
		SM_PREFETCH_R((const void *)*place);
		/* So many turns in which nothing came in a row: the ring is empty. */
		left = *place != 0 ? RING : left - 1;
		if (at % LOOK_UP == 0 && !sm__mark_look_up(k, until))
			break;
	}
	for (at = 0; at < RING; at++)
		if (ring[at] != 0)
			sm__mark_push_entry(k, ring[at]);
}

void sm__mark_trace(struct sm_marker *k,
		    void (*fn)(void *ctx, struct sm_marker *k, uintptr_t object), void *ctx)
{
	uintptr_t in;

	k->keeps = true;
	do {
		while ((in = pop_entry(k)) != 0) {
			fn(ctx, k, in);
			sm__scan(k, in, SM_HOW_TRACED);
		}
	} while (k->by_span && sm__mark_trace_span(k, fn, ctx));
	k->keeps = false;
}
