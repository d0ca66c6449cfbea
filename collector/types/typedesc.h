/*
 * typedesc.h: a type as the collector keeps it: what the program holds, and what arrays of it are
 * like.
 *
 * A type's bin is 0 until its shape (its layout in its size class) has proved common; meanwhile its
 * objects live in spans of mixed layouts (allocator/objects/mixed.h). Pointer-free types have the
 * bin of their class from the start, which all of them share, and conservative ones one of their
 * own: they cannot be mixed.
 *
 *     rare: bin 0, sm_new -> sm_new_slow -> sm__cache_mixed
 *       | sm__shape_bin: common now [the allocating thread], type->bin stored with release
 *       v
 *     common: sm_new bumps the window of the bin. For good: there is no way back.
 *
 * type->bin. The inline path reads it relaxed: it uses it for nothing but its own thread's window,
 * which is empty until this thread's slow path has filled it. The slow path reads it with acquire
 * and so sees the bin, its locks and nbins.
 */
#ifndef SM_COLLECTOR_TYPEDESC_H
#define SM_COLLECTOR_TYPEDESC_H

#include "allocator/objects/mixed.h"
#include "spanmark/gc.h"

/*
 * A shape is common when it has filled so many spans lately. Then a span of its own, which is on
 * the average half empty, costs a sixteenth of what is allocated of it.
 */
#ifdef SM_HOSTILE
#define SM_COMMON_SPANS 1
#else
#define SM_COMMON_SPANS 8
#endif

typedef _Atomic(uint16_t) sm_type_bins[SM_NCLASSES_MAX];

/* 64 bytes of malloc. Fixed after creation, but for the atomic fields, which are filled in when
 * first needed. */
struct sm_typedesc {
	struct sm_type type; /* first: what the program holds */
	struct sm_typedesc *next;
	/* of single objects; NULL: pointer-free or large */
	struct sm_shape *shape;
	/* layout of arrays of it; of a flexible type: its own */
	_Atomic(const struct sm_layout *) array;
	/* Of arrays, by class: their bins where they are common. A table of zeros for all while
	 * none is; of a flexible type always. */
	_Atomic(sm_type_bins *) bins;
	uint32_t stride; /* of elements in an array or behind the header */
	bool flex;
};

/* Under gc->types_lock. */
struct sm_type_table {
	struct sm_typedesc **buckets; /* a power of two; NULL before the first type */
	uint32_t n, nbuckets;
};

/* sm_type_flex's: sm_new_array must find no bin in the base. */
struct sm_flexdesc {
	struct sm_typedesc base;
	_Atomic(sm_type_bins *) bins; /* of header and elements together, by class */
};

/* No slot is smaller than what a mark bit stands for. */
SM_INLINE unsigned sm__type_class(size_t size)
{
	return sm_size_class(size < 16 ? 16 : size);
}

/* The layout of arrays of t. NULL with ENOMEM. */
const struct sm_layout *sm__type_array(struct sm_gc *gc, struct sm_typedesc *t);
/* Notes that arrays of this class are common. Without memory for the note they are asked for again.
 */
void sm__type_note_bin(struct sm_gc *gc, _Atomic(sm_type_bins *) *bins, unsigned cls, unsigned bin);
/* One more object of the shape is allocated: its bin, which it may just have earned. 0: it is rare.
 */
unsigned sm__shape_bin(struct sm_gc *gc, struct sm_shape *s, const struct sm_layout *l);
void sm__types_fini(struct sm_gc *gc);

#endif
