/*
 * verify.h: a second marking, beside the first, that says what the first has missed.
 */
#ifndef SM_COLLECTOR_VERIFY_H
#define SM_COLLECTOR_VERIFY_H

#include "spanmark/gc.h"

/* Precondition: the world is stopped. Returns the number of differences, each printed. */
unsigned sm__verify_stw(struct sm_gc *gc);
/* Between two cycles, while objects move: words that lead to no object, or to where one was. */
unsigned sm__verify_moved_stw(struct sm_gc *gc);

#endif
