/*
 * cell_index.h: finds a cell by a key, an address: the finalizer of an object, the root range at a
 * start.
 *
 * Linear hashing (Litwin, "Linear hashing: a new tool for file and table addressing", VLDB 1980):
 * each cell that comes splits one bucket, so the table grows with its cells and no caller ever
 * waits for all of them to be moved. Keys may come more than once; whichever cell is met first is
 * found.
 * Without memory for another bucket chains get longer, nothing fails.
 *
 * Under a lock of its owner's: a section is a look at a chain of one or two, whatever the number of
 * cells.
 */
#ifndef SM_COLLECTOR_CELL_INDEX_H
#define SM_COLLECTOR_CELL_INDEX_H

#include "collector/roots/cell.h"

/* What cells of an indexed table begin with. Under the owner's lock, but for link. */
struct sm_keyed_cell {
	struct sm_cell cell;
	uintptr_t key;
	uint32_t chain; /* number of the next cell of its bucket, 0: none */
};

struct sm_cell_index {
	struct sm_cells *cells;
	uint32_t *segment
		/* of buckets: numbers of cells; sized as the cells' segments are */
		[SM_CELLS_SEGMENTS];
	uint64_t nbuckets, ncells;
	uint64_t steps; /* cells looked at, of all calls: what the tests bound */
};

void sm__cell_index_init(struct sm_cell_index *x, struct sm_cells *cells);
void sm__cell_index_fini(struct sm_cell_index *x);
/* number's key is set. -ENOMEM: only the first of all. */
int sm__cell_index_add(struct sm_cell_index *x, uint64_t number);
/* 0: there is none. */
uint64_t sm__cell_index_find(struct sm_cell_index *x, uintptr_t key);
/* Precondition: it was added. */
void sm__cell_index_remove(struct sm_cell_index *x, uint64_t number);

#endif
