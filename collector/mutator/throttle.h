/*
 * throttle.h: what slows mutators down from a cycle's trigger to its end.
 *
 *     heap:  live ...... trigger ........... goal .... + step .... + step .... (at most 1 MB/s)
 *                          |  marking: assists |       |  growth has a price, doubled by each step:
 *                          a cycle is asked    |       from here where the collector has own CPUs,
 *                          for                 from here where it has none
 *
 * Assists. While marking lags behind allocation, mutators that allocate help to mark.
 *
 * The price. Assists cannot bound the heap when the barrier is not on everywhere yet (a mutator or
 * the control thread waits for a CPU), when the queues are empty (a list), or when mutators have
 * become many times as fast since the trigger was set. So beyond the goal each KiB costs time. One
 * account serves all mutators: the heap grows at 2 GB/s at first and at half of that with each
 * step, however many mutators there are and however late the collector is. A mutator that overdraws
 * the account waits:
 *   a short wait, the collector has CPUs of its own    it spins
 *   a short wait, it has none                          it yields its CPU
 *   more than 60 us                                    it sleeps in a blocking section: the proxy
 *                                                      answers handshakes
 * Every wait ends with the cycle.
 */
#ifndef SM_COLLECTOR_THROTTLE_H
#define SM_COLLECTOR_THROTTLE_H

#include "allocator/base/atomic.h"
#include "allocator/base/futex.h"

struct sm_gc;
struct sm_mutator;

struct sm_throttle {
	/* Read on every refill; written by the control thread. Sizes are of heap->allocated_bytes.
	 */
	_Atomic(size_t) trigger;    /* at which a cycle is asked for */
	_Atomic(size_t) from, step; /* from which growth has a price, and by which that doubles */
	_Atomic(size_t) goal;	    /* of the heap, live and new; for those who look (gcstats.h) */
	/* marked by the last cycle, less allocated_bytes then: add it to now's */
	_Atomic(size_t) live;
	/* spans to be swept for each MiB allocated; 0: nothing to sweep */
	_Atomic(uint64_t) sweep_ratio;
	_Atomic(size_t) sweep_from;	/* when sweeping began */
	_Atomic(uint64_t) assist_ratio; /* marking bytes per 1024 allocated bytes; 0: not marking */
	/* a handshake waits for mutators that wait for a CPU: let them have it */
	_Atomic(uint32_t) let_by;

	/* Written by mutators now and then. */
	_Atomic(uint32_t) trigger_asked __attribute__((aligned(SM_CACHELINE))); /* for a cycle */
	/* the account: until when what was taken beyond `from` has been waited for */
	_Atomic(uint64_t) paid;
	/* that mutators held still beyond the goal, since the last cycle's end */
	_Atomic(uint64_t) held_ns;
	struct sm_event over; /* the cycle has ended, and with it all waits */
} __attribute__((aligned(SM_CACHELINE)));

/* Sets all thresholds, given heap->allocated_bytes and the size of the heap now. Control thread. */
void sm__throttle_set(struct sm_gc *gc, size_t now, size_t live);
/* The cycle has ended; the thresholds are the next one's. Control thread. */
void sm__throttle_end(struct sm_gc *gc);
/* Growth in `wall` ns, scaled up by the time that mutators held still. Control thread, once a
 * cycle. */
size_t sm__throttle_unheld(struct sm_gc *gc, size_t growth, uint64_t wall);
/* A mutator's share of the marking; precondition: not at a safepoint in the making. */
void sm__assist(struct sm_mutator *m, size_t bytes);
/* Beyond `from`: pays for the bytes that the mutator has taken. The same precondition. */
void sm__throttle(struct sm_mutator *m, size_t bytes);
/* Gives the CPU away. The same precondition. */
void sm__throttle_let_by(struct sm_mutator *m);
/* ns a KiB, so far beyond `from`. */
uint64_t sm__throttle_price(size_t beyond, size_t step);

#endif
