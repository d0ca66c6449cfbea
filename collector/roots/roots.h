/*
 * roots.h: registered ranges; handles (handle.h) travel with them.
 *
 * A range is a cell, found by its start (cell_index.h) when it is removed. A cycle takes no
 * snapshot of them: it queues groups of cells, and the marker that takes a group scans the small
 * ranges in it and queues the large ones in pieces. The words are read when a piece is scanned; the
 * barrier covers stores to them as it covers stores to objects.
 *
 * Locks. `lock` for the index: a few steps, whatever the number of ranges. Each range has one of
 * its own, held while a piece of it is scanned, so that it does not go, and its memory with it, in
 * the middle: a removal waits for at most a piece. `marker_lock` for root_marker, with which
 * callers mark: a piece at a time.
 */
#ifndef SM_COLLECTOR_ROOTS_H
#define SM_COLLECTOR_ROOTS_H

#include "allocator/base/lock.h"
#include "collector/roots/cell_index.h"
#include "collector/mark/mark.h"

struct sm_root_at;

struct sm_root_range {
	struct sm_keyed_cell keyed; /* the key: its start */
	struct sm_lock lock;	    /* rank SM_RANK_GC_ROOT_RANGE; see above */
	size_t nwords;		    /* under lock, as the key: 0 while it is going or gone */
};

/* An entry of a packet: help to look at the remembered set, see remember.h. No group of ranges and
 * no piece of one has this number (roots.c). */
#define SM_ENTRY_REMEMBERED UINTPTR_MAX

#define SM_HANDLE_PIECE	    512
/* Cells of a group, and what is small: together a piece at most. */
#define SM_ROOT_GROUP 128
#define SM_ROOT_SMALL (SM_ROOT_PIECE / sizeof(uintptr_t) / SM_ROOT_GROUP)

struct sm_roots {
	struct sm_cells cells;
	struct sm_lock lock; /* rank SM_RANK_GC_ROOTS */
	/* under lock */
	struct sm_cell_index index;
	bool marking; /* ranges are being or have been scanned in this cycle */

	struct sm_lock marker_lock;   /* rank SM_RANK_GC_ROOT_MARKER: gc->root_marker */
	_Atomic(size_t) nwords;	      /* of all ranges */
	_Atomic(uint64_t) cells_seen; /* by scans of groups, since creation: what the tests bound */
};

void sm__roots_init(struct sm_roots *r);
void sm__roots_fini(struct sm_roots *r);
/* In the child of a fork, where no thread is scanning. */
void sm__roots_fork_child(struct sm_roots *r);
/* Queues all through k. From here to roots_end, adding a range queues it, and removing one scans
 * it. */
void sm__roots_begin(struct sm_gc *gc, struct sm_marker *k);
void sm__roots_end(struct sm_gc *gc);
/* index: an entry of a packet that is a piece of the roots, >> 1. */
void sm__roots_scan_piece(struct sm_gc *gc, struct sm_marker *k, size_t index);
/* Bytes of all registered ranges and handles, for the pacer. */
size_t sm__roots_bytes(struct sm_gc *gc);
/* The ranges that were there when roots_made was called, or are: up to n of them. Who adds one
 * behind that call sees what the caller wrote before it. */
size_t sm__roots_made(struct sm_gc *gc);
size_t sm__roots_list(struct sm_gc *gc, struct sm_root_at *to, size_t n);
/* Calls fn, unless it is NULL, for up to n words of a range that was listed, from word `at` on:
 * they stay meanwhile. False: the range is gone, or shorter. */
bool sm__roots_with(struct sm_gc *gc, const struct sm_root_at *x, size_t at, size_t n,
		    void (*fn)(void *ctx, const uintptr_t *start, size_t nwords), void *ctx);
/* Calls fn for each range, which stays meanwhile. */
void sm__roots_each(struct sm_gc *gc, void (*fn)(void *ctx, const uintptr_t *start, size_t nwords),
		    void *ctx);

#endif
