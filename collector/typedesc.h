/*
 * typedesc.h: a type as the collector keeps it: what the program holds, and what arrays of it are like.
 */
#ifndef SM_COLLECTOR_TYPEDESC_H
#define SM_COLLECTOR_TYPEDESC_H

#include "spanmark/gc.h"

struct sm_typedesc {
	struct sm_type type; /* first: what the program holds */
	struct sm_typedesc *next;
	struct sm_gc *gc;
	size_t stride;				/* of elements in an array, a multiple of a word */
	const struct sm_layout *array;		/* layout of arrays of it */
	_Atomic(uint16_t) bin[SM_NCLASSES_MAX]; /* of arrays, by class; 0: not asked for yet */
};

/* The bin of an array of `bytes` bytes, at most SM_MAX_SMALL, or -errno. */
int sm__type_array_bin(struct sm_typedesc *t, size_t bytes);
void sm__types_fini(struct sm_gc *gc);

#endif
