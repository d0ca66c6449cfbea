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
};

/* A layout is immutable and lives as long as its heap. */
struct sm_layout {
	uint8_t kind;	      /* enum sm_scan_kind */
	uint32_t period;      /* words after which the pattern repeats */
	uint32_t nptrs;	      /* PREFIX: pointers at the front; otherwise pointers in a period */
	uint32_t id;	      /* index in the heap's table; 0 is the pointer-free layout */
	uint64_t mask;	      /* MASK: bit i set = word i of the period is a pointer */
	const uint64_t *bits; /* BITMAP: the same, 64 words an entry */
};

#endif
