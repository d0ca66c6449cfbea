/*
 * handle.h: handles: pointer slots beside the heap that are roots, each in a cell of its own.
 */
#ifndef SM_COLLECTOR_HANDLE_H
#define SM_COLLECTOR_HANDLE_H

#include "collector/roots/cell.h"
#include "collector/mark/mark.h"

struct sm_handle {
	struct sm_cell cell;
	void *object; /* a pointer slot like any other; NULL while the cell is free */
};

void sm__handles_init(struct sm_gc *gc);
void sm__handles_fini(struct sm_gc *gc);
/* Marks what the handles of numbers [first, first + count) hold, whose cells were made. */
void sm__handles_scan(struct sm_gc *gc, struct sm_marker *k, uint64_t first, uint64_t count);

#endif
