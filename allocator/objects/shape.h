/*
 * shape.h: a heap's layouts, each once, and its shapes: a layout in a size class.
 *
 * Layouts are found by a hash table that grows with them, so that the hundred thousandth costs what
 * the first did. A shape is what a bin would be made for: it counts what has been allocated of it,
 * and remembers its bin when it has proved common enough to have one. A layout's first shape lies
 * in the layout's own record (64 bytes with it); most layouts have no other.
 */
#ifndef SM_ALLOCATOR_SHAPE_H
#define SM_ALLOCATOR_SHAPE_H

#include "allocator/objects/heap.h"

/* Atomic, for any thread at any time; `next` and `cls` are set once, under bins_lock. */
struct sm_shape {
	_Atomic(struct sm_shape *) next; /* of the same layout, in another class */
	/* allocated in mixed spans, in 16 bytes; halved with each cycle */
	_Atomic(uint32_t) lately;
	_Atomic(uint32_t) since; /* heap->sweepgen when it was halved last */
	_Atomic(uint16_t) bin;	 /* of its own spans; 0: it lives in mixed ones */
	_Atomic(uint8_t) cls;	 /* 0: not in use yet */
};

/* The table, empty. NULL: no memory. */
struct sm_layout_node **sm__layouts_create(struct sm_heap *h);

/* l: of sm__heap_layout of this heap, with pointers. NULL with ENOMEM. */
struct sm_shape *sm__heap_shape(struct sm_heap *h, const struct sm_layout *l, unsigned cls);

/* Of words [from, from + n) of an object of this layout, n at most 64: bit i set = word from + i is
 * a pointer (or, of a conservative layout, may be one). */
uint64_t sm__layout_bits(const struct sm_layout *l, size_t from, size_t n);

#endif
