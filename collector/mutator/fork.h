/*
 * fork.h: collectors and fork.
 */
#ifndef SM_COLLECTOR_FORK_H
#define SM_COLLECTOR_FORK_H

#include "spanmark/gc.h"

/* From register to unregister a collector is made consistent before each fork, and ended in the
 * child. */
void sm__fork_register(struct sm_gc *gc);
void sm__fork_unregister(struct sm_gc *gc);
/* gc is a collector, and has not been destroyed. */
bool sm__gc_lives(const struct sm_gc *gc);

#endif
