/*
 * span.h: the span descriptor, and the lookup from an address to it.
 *
 * A span is a run of units cut into equal slots of one size class and one layout. Its descriptor
 * lies out of line, in a flat table indexed by unit: address -> unit is a subtraction and a shift,
 * and the descriptor IS the table entry, so a lookup costs no pointer chase. Units after the first
 * of a span carry only `back`, the distance to the head.
 *
 *   line 0  what a lookup reads: back recip layout slot_bytes nslots state cls
 *   line 1  alloc sweepgen next prev bin nalloc nunits ..       | alloc, inline, 256 bits
 *
 * alloc: the slot is handed out: an object, or part of a window that a core owns. The other bitmap,
 * of the objects that were reached in this cycle (or born black, or in a window while marking),
 * lies elsewhere, by address: markmap.h. Counting identity, checked by sm__span_is_valid():
 * popcount(alloc) == nalloc <= nslots; after marking, the slots' mark bits are a subset of alloc
 * (sweeping never adds an object) and become the new alloc. A span of mixed layouts has a third, of
 * the words that are pointers: mixed.h.
 */
#ifndef SM_ALLOCATOR_SPAN_H
#define SM_ALLOCATOR_SPAN_H

#include "allocator/base/atomic.h"
#include "allocator/base/base.h"

#define SM_SPAN_INLINE_SLOTS 256

struct sm_layout; /* objects/layout.h */

enum sm_span_state {
	SM_SPAN_FREE = 0, /* in the page heap, or never handed out */
	SM_SPAN_SMALL,	  /* cut into slots, collected */
	SM_SPAN_LARGE,	  /* one object, collected */
	SM_SPAN_MALLOC,	  /* cut into slots, freed explicitly */
	SM_SPAN_MALLOC_LARGE,
	SM_SPAN_STACK, /* a mutator's stack */
	SM_SPAN_OTHER, /* handed out to a caller of the page heap for something else */
};

struct sm_span {
	/* line 0. Written by the thread that takes the span from the page heap, before `state` is
	 * stored with release; fixed until the span goes back. */
	uint32_t back;	/* units back to the head; 0 in the head itself */
	uint32_t recip; /* slot = (offset * recip) >> 32, exact for every offset in the span */
	/* never NULL in use; kind SM_SCAN_NONE: pointer-free, or malloc's */
	const struct sm_layout *layout;
	uint16_t slot_bytes;	/* 0 for large: see nunits */
	uint16_t nslots;	/* 1 for large */
	_Atomic(uint8_t) state; /* enum sm_span_state */
	uint8_t cls;		/* size class; 0 for large */
	/* layout MIXED: a bit a word, see mixed.h; otherwise NULL */
	_Atomic(uint64_t) *pointers;

	/* line 1. Owner: the holder of the span: a cache whose window lies in it, the sweeper that
	 * took it off a list, or the holder of the lock of the list it is on. */
	_Atomic(uint64_t) *alloc __attribute__((
		/* relaxed reads by conservative scanning, writes by the owner */
		aligned(SM_CACHELINE)));
	_Atomic(uint32_t) sweepgen; /* the collector's; see struct sm_central */
	/* list links, unit indexes; 0: none (unit 0 is never a span) */
	uint32_t next, prev;
	/* class and layout: index of the central list and of the window */
	uint16_t bin;
	_Atomic(uint16_t) nalloc; /* bits set in alloc; relaxed reads by others, a moment old */
	_Atomic(uint64_t) inline_alloc[SM_SPAN_INLINE_SLOTS / 64];
	uint32_t nunits;
	uint16_t scan_from; /* no free slot before this one */
	uint8_t node;	    /* index of the node range it lies in */
	uint8_t flags;	    /* SM_SPANF_* */
} __attribute__((aligned(SM_CACHELINE)));

#define SM_SPANF_ZEROED 1u /* the memory has never been handed out: the kernel's zeros */
#define SM_SPANF_FILE	2u /* a mapped file: unmapped when freed */
#define SM_SPANF_OWNMAP 4u /* beyond the largest block: a mapping of its own */
/* Debug.page_per_object: freed, inaccessible for good; state SM_SPAN_OTHER. */
#define SM_SPANF_BURIED 16u
/* Sm_unmap_file: the file is gone, the span is an object until it is swept. */
#define SM_SPANF_GONE 32u

_Static_assert(sizeof(struct sm_span) == 2 * SM_CACHELINE, "a descriptor is two cache lines");

/*
 * The address range of a heap and its descriptor table; fixed after creation, so every thread may
 * read it plainly. Embedded as the first member of struct sm_pages.
 */
struct sm_range {
	uintptr_t base;		  /* unit-aligned; unit 0 is a guard and never handed out */
	size_t bytes;		  /* reserved */
	struct sm_span *spans;	  /* spans[(addr - base) >> SM_UNIT_SHIFT] */
	unsigned node_shift;	  /* node range = (addr - base) >> node_shift */
	_Atomic(uint64_t) *marks; /* of a collected heap, see markmap.h; otherwise NULL */
	_Atomic(uint64_t) *scans; /* of one that may be marked by span, likewise */
	uint8_t *unit_kind;	  /* [unit] what the mark loop asks of its objects, likewise */
	const uint32_t *kinds;	  /* [unit_kind] */
	/* [unit] of a sparse range: a byte for the layer above, there where descriptors are */
	uint8_t *unit_bytes;
};

SM_INLINE bool sm_range_contains(const struct sm_range *r, uintptr_t addr)
{
	return addr - r->base < r->bytes;
}

/* The head descriptor of the span that addr lies in. Precondition: addr in the range. The span may
 * be free: check state (acquire) unless addr is known to be a live object. */
SM_INLINE struct sm_span *sm_span_of(const struct sm_range *r, uintptr_t addr)
{
	struct sm_span *s = &r->spans[(addr - r->base) >> SM_UNIT_SHIFT];

	return s - s->back;
}

SM_INLINE uint32_t sm_span_unit(const struct sm_range *r, const struct sm_span *s)
{
	return (uint32_t)(s - r->spans);
}

SM_INLINE uintptr_t sm_span_base(const struct sm_range *r, const struct sm_span *s)
{
	return r->base + ((uintptr_t)(s - r->spans) << SM_UNIT_SHIFT);
}

SM_INLINE uint32_t sm_span_slot(const struct sm_range *r, const struct sm_span *s, uintptr_t addr)
{
	return (uint32_t)(((addr - sm_span_base(r, s)) * (uint64_t)s->recip) >> 32);
}

SM_INLINE char *sm_span_slot_address(const struct sm_range *r, const struct sm_span *s,
				     unsigned slot)
{
	return (char *)sm_span_base(r, s) + (size_t)slot * s->slot_bytes;
}

/* Holder of the span, or a hint: it may be changing. */
SM_INLINE bool sm_span_is_full(const struct sm_span *s)
{
	return sm_load_relaxed(&s->nalloc) == s->nslots;
}

/* Slots of a line, where a line is of whole ones; else 1. */
SM_INLINE unsigned sm_span_line_slots(const struct sm_span *s)
{
	return s->slot_bytes == 16 ? 4 : s->slot_bytes == 32 ? 2 : 1;
}

/* As many free slots as share a line, at least? malloc leaves a span with fewer alone: whoever took
 * them would write, for a handful of objects, to lines that others write to; and what one thread
 * allocated and another frees would be what this one gets next. The same of who may ask. */
SM_INLINE bool sm_span_has_line(const struct sm_span *s)
{
	return sm_load_relaxed(&s->nalloc) + sm_span_line_slots(s) <= s->nslots;
}

SM_INLINE size_t sm_span_bytes(const struct sm_span *s)
{
	return (size_t)s->nunits << SM_UNIT_SHIFT;
}

#endif
