/*
 * sizeclass.h: size -> class -> slot and span geometry.
 *
 * Classes run from 8 B to 32 KiB. The table is generated (tests/support/sizeclass_gen.c, `make
 * gen-sizeclass`) from one bound: rounding a request up to its slot, plus the tail of the span,
 * wastes at most 12.5% of what is handed out (requests under 128 B: at most one 16 B step), and
 * committed as sizeclass.c. Class 0 is "large": a span of its own.
 */
#ifndef SM_ALLOCATOR_SIZECLASS_H
#define SM_ALLOCATOR_SIZECLASS_H

#include "allocator/base/base.h"
#include "spanmark/heap.h"
#include "spanmark/inline.h"

struct sm_sizeclass {
	uint32_t slot_bytes;
	/* slot = (offset * recip) >> 32, checked for every offset by the generator */
	uint32_t recip;
	uint16_t nslots;
	uint16_t nunits; /* units of a span */
};

extern const struct sm_sizeclass sm__sizeclasses[SM_NCLASSES_MAX]; /* [0] is large */
extern const unsigned sm__nclasses;				   /* class 0 included */
/* size -> class: in steps of 8 B up to 1 KiB (sm__class_small, in inline.h), of 128 B above. */
extern const uint8_t sm__class_big[(32768 - 1024) / 128 + 1];

/* The class of a request; precondition: 0 < size <= SM_MAX_SMALL. */
SM_INLINE unsigned sm_size_class(size_t size)
{
	if (SM_LIKELY(size <= 1024))
		return sm__class_small[(size + 7) >> 3];
	return sm__class_big[(size - 1024 + 127) >> 7];
}

#endif
