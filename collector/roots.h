/*
 * roots.h: registered ranges; handles (handle.h) travel with them. A cycle takes a snapshot of the list as pieces of at most 256
 * KiB, which travel through the work queues; the words themselves are read when a piece is scanned. The
 * barrier covers stores to them as it covers stores to objects.
 */
#ifndef SM_COLLECTOR_ROOTS_H
#define SM_COLLECTOR_ROOTS_H

#include "allocator/base/lock.h"
#include "collector/mark.h"

struct sm_root_range {
	uintptr_t *start;
	size_t nwords;
};

#define SM_HANDLE_PIECE 512

struct sm_roots {
	struct sm_lock lock;
	/* under lock */
	struct sm_root_range *ranges;
	size_t nranges, capacity;
	bool marking; /* ranges are being or have been scanned in this cycle */

	/* control thread; fixed while pieces are queued */
	struct sm_root_piece {
		uintptr_t *start; /* or the number of a handle .. */
		size_t nwords;	  /* .. and how many */
		bool handles;
	} * pieces;
	size_t npieces, pieces_capacity;
};

void sm__roots_init(struct sm_roots *r);
void sm__roots_fini(struct sm_roots *r);
/* Cuts all ranges into pieces and pushes them through k. From here to roots_end, adding a range scans it
 * at once, and so does removing one. 0 or -ENOMEM (then the roots were scanned on the spot). */
void sm__roots_begin(struct sm_gc *gc, struct sm_marker *k);
void sm__roots_end(struct sm_gc *gc);
void sm__roots_scan_piece(struct sm_gc *gc, struct sm_marker *k, size_t index);
/* Bytes of all registered ranges and handles, for the pacer. */
size_t sm__roots_bytes(struct sm_gc *gc);

#endif
