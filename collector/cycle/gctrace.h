/*
 * gctrace.h: a line of text for each cycle (gc.trace).
 */
#ifndef SM_COLLECTOR_GCTRACE_H
#define SM_COLLECTOR_GCTRACE_H

#include "collector/cycle/cycle.h"
#include "spanmark/gc.h"

void sm__trace_cycle(struct sm_gc *gc, const struct sm_cycle *c, unsigned long seq);

#endif
