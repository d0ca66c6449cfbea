/*
 * remember_log.h: the memory of gc.remember=objects' logs: chunks of entries, which travel between
 * mutators and lists, in blocks, which are mapped when no chunk is free and go back when a cycle
 * has looked.
 *
 *   block --map--> free --take--> a mutator's, or the control thread's --push--> fresh, seen
 *     ^             |  ^                                                            |
 *     +--- trim ----+  +------------------------- push ----------------------------+
 */
#ifndef SM_COLLECTOR_REMEMBER_LOG_H
#define SM_COLLECTOR_REMEMBER_LOG_H

#include "collector/generations/remember_internal.h"

#if defined(SM_HOSTILE)
#define SM_LOG_ENTRIES 2
#else
#define SM_LOG_ENTRIES 509 /* a chunk of 4 KiB */
#endif
#define SM_LOG_CHUNKS 15 /* of a block */

struct sm_log_chunk {
	struct sm_log_chunk *next;
	struct sm_log_block *block; /* fixed */
	size_t n;
	uintptr_t entry[SM_LOG_ENTRIES]; /* where a piece begins */
};

struct sm_log_block {
	struct sm_log_block *next; /* under the lock, or trim's */
	/* trim's: of its chunks, those that it has; goes back */
	unsigned idle;
	bool going;
	struct sm_log_chunk chunk[SM_LOG_CHUNKS];
};

/* Appends to *at; a full one goes to *full. False: no memory for another. */
bool sm__log_append(struct sm_remember *r, struct sm_log_chunk **at, struct sm_log_chunk **full,
		    uintptr_t entry);
void sm__log_push(struct sm_remember *r, struct sm_log_chunk **list, struct sm_log_chunk *c);
/*
 * Blocks of which no chunk is in use are unmapped, but for as many chunks as were taken between the
 * last two calls, or the two before, and a block. Control thread, once a cycle.
 */
void sm__log_trim(struct sm_remember *r);
void sm__log_fini(struct sm_remember *r);

#endif
