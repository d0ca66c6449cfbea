/*
 * object.h: is this address the start of a collected object? For calls that a program may give
 * anything.
 */
#ifndef SM_COLLECTOR_OBJECT_H
#define SM_COLLECTOR_OBJECT_H

#include <stdbool.h>

struct sm_mutator;

/*
 * True: p is the start of an object (or lies in a block that pointer-free objects under 16 B
 * share). False: NULL, outside the heap, inside an object, behind the last slot of a span, a free
 * slot, or one that m's own window has not handed out yet. Not seen: an object that is unreachable
 * and not swept yet, and what another mutator has not handed out yet.
 */
bool sm__is_object(struct sm_mutator *m, const void *p);

#endif
