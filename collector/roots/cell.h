/*
 * cell.h: a table of cells that keep their place: what handles, weak references and ephemerons are
 * made of.
 *
 *   fresh --take--> taken --use--> in use --give--> free --take--> ..
 *
 * A cell is known by its address to the program and by its number, from 1, to its table. Segments
 * of cells double in size: 512, 512, 1024, .., so that a walk in order of number reads memory in
 * order, and whether an address is that of a cell takes a look at a few bounds. Segments stay until
 * the table ends.
 *
 * No lock: no thread waits for one that lost its CPU in the middle. Free cells are a stack
 * (Treiber 1986) whose head carries a count of all changes beside the number, so that a head which
 * was taken and came back meanwhile differs from one that stayed; the cell below is read from
 * memory that is always there. The count has 32 bits: to be fooled, a thread must lie between its
 * load and its exchange for exactly a multiple of 2^32 changes.
 */
#ifndef SM_COLLECTOR_CELL_H
#define SM_COLLECTOR_CELL_H

#include "allocator/base/atomic.h"
#include "allocator/base/base.h"

/* The first word of each cell: SM_CELL_USED, or twice the number of the free cell below (0: none).
 */
struct sm_cell {
	_Atomic(uint64_t) link;
};
#define SM_CELL_USED	  1u

#define SM_CELLS_FIRST	  512u /* of the first segment */
#define SM_CELLS_SEGMENTS 23u  /* 2^31 cells */

struct sm_cells {
	/* fixed after init */
	uint32_t bytes; /* of a cell */
	const char *what;
	/* set once each */
	_Atomic(char *) segment[SM_CELLS_SEGMENTS];
	/* any thread */
	_Atomic(uint64_t) made; /* cells that were ever taken: numbers 1 .. made */
	_Atomic(uint64_t) free; /* changes << 32 | number on top */
};

/* Index (number - 1) to segment, and what a segment holds. */
SM_INLINE unsigned sm__cells_segment(uint64_t index)
{
	uint64_t blocks = index / SM_CELLS_FIRST;

	return blocks == 0 ? 0 : 64 - (unsigned)__builtin_clzll(blocks);
}
SM_INLINE uint64_t sm__cells_before_segment(unsigned segment)
{
	return segment == 0 ? 0 : (uint64_t)SM_CELLS_FIRST << (segment - 1);
}
SM_INLINE uint64_t sm__cells_of_segment(unsigned segment)
{
	return segment == 0 ? SM_CELLS_FIRST : sm__cells_before_segment(segment);
}

/* what: for messages, "a handle". */
void sm__cells_init(struct sm_cells *t, size_t bytes, const char *what);
void sm__cells_fini(struct sm_cells *t);
/* A cell that is the caller's alone, its words undefined; NULL with errno ENOMEM. */
struct sm_cell *sm__cell_take(struct sm_cells *t);
/* Its words are there: walks see it from here on. Release. */
SM_INLINE void sm__cell_use(struct sm_cell *c)
{
	sm_store_release(&c->link, SM_CELL_USED);
}
/* Back; aborts with call, thread and address if c is no cell of this table in use (given twice,
 * never made). */
void sm__cell_give(struct sm_cells *t, struct sm_cell *c, const char *call);
/* The same judgement alone, for what reads a cell: c is one that was made and is in use. */
bool sm__cell_in_use(struct sm_cells *t, const void *c);
void sm__cell_must_be_used(struct sm_cells *t, const void *c, const char *call);
/* 0: no cell of this table. */
uint64_t sm__cell_number(struct sm_cells *t, const void *c);
/* 1 <= number <= sm__cells_made. The cell may be fresh, free or in use. */
struct sm_cell *sm__cell_at(struct sm_cells *t, uint64_t number);
SM_INLINE uint64_t sm__cells_made(struct sm_cells *t)
{
	return sm_load_acquire(&t->made);
}
/* Acquire: the words of a cell in use are those that were there when it came into use, or later
 * ones. */
SM_INLINE bool sm__cell_is_used(struct sm_cell *c)
{
	return sm_load_acquire(&c->link) == SM_CELL_USED;
}

#endif
