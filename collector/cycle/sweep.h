/*
 * sweep.h: giving back what a cycle left white, and the bits of windows.
 */
#ifndef SM_COLLECTOR_SWEEP_H
#define SM_COLLECTOR_SWEEP_H

#include "allocator/objects/cache.h"
#include "spanmark/gc.h"

/* Sets the mark bits of a run of slots. ctx: the struct sm_gc, so that windows can be walked with
 * it. */
void sm__blacken(void *ctx, struct sm_span *s, unsigned first, unsigned count);

/* Sweeps a span that belongs to the caller alone. Returns how many of its slots are alive. */
unsigned sm__sweep_span(struct sm_gc *gc, struct sm_span *s);
/* Sweeps every unswept span that is on a list. Returns how many. */
size_t sm__sweep_all(struct sm_gc *gc, bool (*stop)(struct sm_gc *gc));
/* Sets the pace for mutators: all must be swept by the time the next cycle is due. */
void sm__sweep_begin(struct sm_gc *gc);
void sm__sweep_end(struct sm_gc *gc);
/* Sweeps a few spans if sweeping lags behind allocation. */
void sm__sweep_share(struct sm_mutator *m);

/* Hooks of a cache; ctx: the struct sm_gc. */
void sm__window_taken(void *ctx, struct sm_cache *c, struct sm_span *s, unsigned first,
		      unsigned count);
void sm__window_returned(void *ctx, struct sm_cache *c, struct sm_span *s, unsigned first,
			 unsigned count);
void sm__large_new(void *ctx, struct sm_cache *c, struct sm_span *s);
unsigned sm__sweep_hook(void *ctx, struct sm_cache *c, struct sm_span *s);

#endif
