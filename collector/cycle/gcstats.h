/*
 * gcstats.h: what sm_gc_stats and the trace show.
 */
#ifndef SM_COLLECTOR_GCSTATS_H
#define SM_COLLECTOR_GCSTATS_H

#include "collector/cycle/cycle.h"
#include "collector/mutator/stall.h"
#include "spanmark/gc.h"

/* The waits since this was asked last, and the longest of them. Control thread. */
void sm__recent_stalls(struct sm_gc *gc, uint64_t *count, uint64_t *max_ns);
/* Has fn told of the mutator's waits from now until it detaches; NULL: no longer. Owner only. */
void sm__stalls_tell(struct sm_mutator *m, sm__stall_fn *fn, void *ctx);
/* The waits of one cause, all mutators', those gone included. */
void sm__stalls_sum(struct sm_gc *gc, enum sm_stall_cause cause, struct sm_stall_hist *sum);
/* What was scanned by span since creation, and how, by size class. */
void sm__spans_scanned(struct sm_gc *gc, struct sm_span_counts *out);
/* Objects that mark workers marked since creation: what the phases of these threads are about. */
uint64_t sm__marked_by_workers(struct sm_gc *gc);
/* Has fn told of the cycles from now on; NULL: no longer, and no call is under way. */
void sm__cycles_tell(struct sm_gc *gc, sm__cycle_fn *fn, void *ctx);
/* A moment's figures, for one who looks often: no lock, no sum. grey: packets that are queued. */
struct sm_gc_gauges {
	size_t heap, goal;
	uint32_t grey;
};
void sm__gc_gauges(struct sm_gc *gc, struct sm_gc_gauges *out);
/* Adds a cycle to the figures. Control thread. */
void sm__stats_publish(struct sm_gc *gc, const struct sm_cycle *c);

#endif
