/*
 * throttle.h: what slows mutators down while a cycle runs. Beyond the goal they hold still, yield, or sleep, a slice at a
 * time; while marking lags behind allocation they help to mark.
 */
#ifndef SM_COLLECTOR_THROTTLE_H
#define SM_COLLECTOR_THROTTLE_H

#include <stddef.h>
#include <stdint.h>

struct sm_gc;
struct sm_mutator;

/* Sets all thresholds, given heap->allocated_bytes and the size of the heap now. Control thread. */
void sm__throttle_set(struct sm_gc *gc, size_t now, size_t live);
/* What would have been allocated in `wall` ns had nobody held still beyond the goal. Control thread, once a cycle. */
size_t sm__throttle_unheld(struct sm_gc *gc, size_t growth, uint64_t wall);
/* A mutator's share of the marking; precondition: not at a safepoint in the making. */
void sm__assist(struct sm_mutator *m, size_t bytes);
/* The heap is far beyond its goal: lets another thread of this CPU run, the collector's perhaps. */
void sm__give_way(struct sm_mutator *m);

#endif
