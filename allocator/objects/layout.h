/*
 * layout.h: which words of an object are pointers.
 */
#ifndef SM_ALLOCATOR_LAYOUT_H
#define SM_ALLOCATOR_LAYOUT_H

#include "allocator/base/base.h"

/* How the words of an object are to be scanned. */
enum sm_scan_kind {
	SM_SCAN_NONE,	      /* no pointers */
	SM_SCAN_ALL,	      /* every word is a pointer or NULL */
	SM_SCAN_PREFIX,	      /* the first `nptrs` words are pointers */
	SM_SCAN_MASK,	      /* period of at most 64 words: one mask, repeated to the slot's end */
	SM_SCAN_BITMAP,	      /* longer period: a bitmap, repeated to the slot's end */
	SM_SCAN_CONSERVATIVE, /* any word may or may not be a pointer, possibly interior */
	/* a header of one pattern, then elements of another to the slot's end */
	SM_SCAN_FLEX,
	/* of a span, not of an object: its bitmap says it word by word, see mixed.h */
	SM_SCAN_MIXED,
};

/* A layout is immutable and lives as long as its heap. */
struct sm_layout {
	uint8_t kind;	 /* enum sm_scan_kind */
	uint8_t fixed;	 /* its objects never move */
	uint32_t period; /* words after which the pattern repeats; FLEX: words of the header */
	uint32_t nptrs;	 /* PREFIX: pointers at the front; otherwise pointers in a period */
	uint32_t id;	 /* index in the heap's table; 0 is the pointer-free layout */
	union {
		/* MASK: bit i set = word i of the period is a pointer */
		uint64_t mask;
		const struct sm_layout *head; /* FLEX: NONE, MASK or BITMAP, as `element` */
	};
	union {
		const uint64_t *bits;		 /* BITMAP: as mask, 64 words an entry */
		const struct sm_layout *element; /* FLEX */
	};
};

#endif
