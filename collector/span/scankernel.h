/*
 * scankernel.h: kernels of the dense scan: the pointers of all marked objects of a unit, one behind
 * the other.
 *
 * Mark bits are by address, so a set bit is an address; and a span has one layout, so which words
 * are pointers is a constant. No bit is expanded to words, no bitmap of pointers is read.
 */
#ifndef SM_COLLECTOR_SCANKERNEL_H
#define SM_COLLECTOR_SCANKERNEL_H

#include "allocator/base/base.h"

/* Words that a kernel may write behind those that it returns. */
#define SM_KERNEL_SLACK 64

struct sm_scan_job {
	uintptr_t unit;	      /* the address of todo's first bit */
	const uint64_t *todo; /* [words] a bit for 16 bytes: set where an object starts */
	unsigned words;
	unsigned slot_bytes, nptrs; /* of each object; its first nptrs words are pointers */
	uintptr_t base;		    /* what lies outside [base, base + bytes) is left out */
	size_t bytes;
};

/* How many it wrote to out, in the order of their addresses. */
typedef size_t sm_scan_fn(const struct sm_scan_job *job, uintptr_t *out);

struct sm_scan_kernel {
	const char *name;
	sm_scan_fn *fn;
	bool (*usable)(void); /* does this CPU have what it needs? */
};

/* All that were built in, the portable one first, the fastest last; NULL: there are no more. */
const struct sm_scan_kernel *sm__scan_kernel_at(unsigned i);
/* By name; NULL: the best that this CPU has. NULL: it has none of this name. */
const struct sm_scan_kernel *sm__scan_kernel(const char *name);
/* Those of this architecture, in collector/arch, ended by one without a name. */
extern const struct sm_scan_kernel sm__scan_kernels_here[];

/*
 * Slots of 24 bytes start in the middle of every second granule that has a start: of three
 * granules, the second is 8 bytes on. Which bits of a word of the map these are: by the word's
 * index modulo 3. (No other slot is not a multiple of 16; theirs begin with their unit.)
 */
#define SM_SHIFTED_SLOT 24u
SM_INLINE uint64_t sm__shifted_starts(unsigned word)
{
	/* Bit i is set where (word * 64 + i) % 3 == 1; 64 % 3 is 1. */
	static const uint64_t of[3] = {0x2492492492492492u, 0x9249249249249249u,
				       0x4924924924924924u};

	return of[word % 3];
}

/* The object of bit i of word w. */
SM_INLINE uintptr_t sm__scan_address(const struct sm_scan_job *j, unsigned w, unsigned i)
{
	uintptr_t p = j->unit + (w * 64u + i) * 16u;

	return SM_UNLIKELY(j->slot_bytes == SM_SHIFTED_SLOT)
		       ? p + (sm__shifted_starts(w) >> i & 1) * 8u
		       : p;
}

#endif
