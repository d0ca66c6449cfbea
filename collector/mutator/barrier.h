/*
 * barrier.h: the buffer of what the store barrier recorded.
 */
#ifndef SM_COLLECTOR_BARRIER_H
#define SM_COLLECTOR_BARRIER_H

#include "spanmark/gc.h"

/* Precondition for all of these: the caller may act for the mutator. */

/* Marks what the barrier recorded; the buffer is empty afterwards. */
void sm__barrier_flush(struct sm_mutator *m);
/* Records p as the barrier would on its deletion from a slot. */
void sm__barrier_record(struct sm_mutator *m, void *p);
/* Notes, if objects are about to move, that a word beside the heap is to lead to value; slot NULL:
 * that value stays where it is. Before it does; no safepoint lies between (armed.h). */
void sm__barrier_note(struct sm_mutator *m, void *slot, void *value);
/* Forgets it. */
void sm__barrier_discard(struct sm_mutator *m);

#endif
