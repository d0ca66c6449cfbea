/*
 * stackpool.h: runs of units with a guard below that wait for their next user: what
 * spanmark/stack.h is made of.
 *
 * A run has a power of two of units; its first one is inaccessible and stays so while the run
 * waits, so a stack costs no system call in either direction. What a list has not needed for a
 * round of the scavenger goes back to the page heap. Thread-safe; one lock, rank SM_RANK_STACKS.
 */
#ifndef SM_ALLOCATOR_STACKPOOL_H
#define SM_ALLOCATOR_STACKPOOL_H

#include "allocator/pages/pages.h"

#define SM_STACK_ORDERS 24

/* The order of a stack with so many usable bytes; SM_STACK_ORDERS: more than a node's range can
 * hold. */
unsigned sm__stackpool_order(const struct sm_pages *pg, size_t bytes);
/* A run of 2^order units on a node, state SM_SPAN_STACK. NULL: no memory, or the limit. */
struct sm_span *sm__stackpool_take(struct sm_pages *pg, unsigned node, unsigned order);
/* No thread runs on it any more. */
void sm__stackpool_give(struct sm_pages *pg, struct sm_span *s);
/* Gives runs back to the page heap: those that were not needed since the last call; all: every one.
 */
void sm__stackpool_trim(struct sm_pages *pg, bool all);

#endif
