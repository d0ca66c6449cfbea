/*
 * markspan_internal.h: what the loop by span (markspan_loop.c), its work on objects
 * (markspan_scan.c) and on those that are not marked by span (markspan_other.c) share.
 */
#ifndef SM_COLLECTOR_MARKSPAN_INTERNAL_H
#define SM_COLLECTOR_MARKSPAN_INTERNAL_H

#include <string.h>

#include "collector/span/markspan.h"
#include "collector/mark/scan_internal.h"

/* Objects that are scanned before what they led to is posted: 32, or as many as a unit has words
 * for. */
#define SM_SPAN_CHUNK (SM_UNIT / SM_BY_SPAN_BYTES < 32 ? SM_UNIT / SM_BY_SPAN_BYTES : 32)
/* An object's edges' mark words are asked for so many objects before it is scanned. */
#define SM_SPAN_LOOK 12
/* While fewer objects than this are at hand, what is newly marked is claimed at once. */
#define SM_SPAN_AT_HAND 32

/* What the passes need of the marker, as in markloop.c. */
struct sm_span_loop {
	struct sm_marker *k;
	struct sm_span_marker *y;
	uintptr_t base;
	size_t bytes;
	_Atomic(uint64_t) *marks; /* as if of address 0, as the next three */
	_Atomic(uint64_t) *scans;
	const uint8_t *unit_kind;
	_Atomic(uint8_t) *owned;
	const uint32_t *kinds;
	uint64_t until;
	/* gc.span_ahead, gc.dense; objects of a span at a time; how far ahead lines are asked for;
	 * SM_SPAN_AT_HAND, 0 while coming to the end */
	unsigned ahead, dense, most, fifo, at_hand;
	bool routed; /* several nodes */
};

SM_INLINE uint32_t sm__loop_kind(const struct sm_span_loop *l, uintptr_t p)
{
	return l->kinds[l->unit_kind[p >> SM_UNIT_SHIFT]];
}

/* What waits is of one kind, as long as all that is added is. */
SM_INLINE void sm__span_add_kind(struct sm_span_marker *y, uint32_t kind)
{
	y->kind = y->first == y->last || y->kind == kind ? kind : 0;
}

/* Does p lie on the marker's own node? */
SM_INLINE bool sm__span_is_near(const struct sm_marker *k, uintptr_t p)
{
	return (p - k->base) >> k->gc->range.node_shift == k->node;
}

/* What waits moves to the front of the array. */
SM_INLINE void sm__span_to_the_front(struct sm_span_marker *y)
{
	if (y->first == 0)
		return;
	memmove(y->object, &y->object[y->first], (y->last - y->first) * sizeof(y->object[0]));
	y->asked -= y->first;
	y->looked -= y->first;
	y->last -= y->first;
	y->first = 0;
}

/* Scans the oldest objects that wait. */
void sm__span_scan_chunk(const struct sm_span_loop *l);
/*
 * All there is are few objects, and they lead to few: a list, a walk along a graph in allocation
 * order. They are scanned one by one, whatever would look ahead left out.
 */
void sm__span_scan_few(const struct sm_span_loop *l);
/* Scans the span that was claimed for the kernel. */
void sm__span_scan_dense(const struct sm_span_loop *l);
/* The first n pointers at y->edge, all of them into the heap, are marked and posted. */
void sm__span_take_edges(const struct sm_span_loop *l, size_t n);
/* Scans all that waits as objects, of a few at a time. False: there was nothing. */
bool sm__span_scan_others(const struct sm_span_loop *l);
/* Every few steps: others that have nothing to do get some. False: the budget is used up. */
bool sm__span_look_up(const struct sm_span_loop *l);

#endif
