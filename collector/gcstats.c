/*
 * gcstats.c: the collector's figures, for whoever asks: totals, the last cycle, stalls by cause.
 */
#include <stdlib.h>
#include <string.h>

#include "collector/gc_priv.h"

static void sum_stalls(struct sm_gc *gc, struct sm_stall_set *sum, struct sm_stall_hist *all)
{
	memset(sum, 0, sizeof(*sum));
	memset(all, 0, sizeof(*all));
	sm_lock_acquire(&gc->mutators_lock);
	for (struct sm_mutator_priv *p = gc->mutators; p; p = p->next) {
		for (unsigned c = 0; c < SM_STALL_CAUSES; c++)
			sm__stall_add(&sum->cause[c], &p->stalls.cause[c]);
	}
	sm_lock_release(&gc->mutators_lock);
	sm_lock_acquire(&gc->stats_lock);
	for (unsigned c = 0; c < SM_STALL_CAUSES; c++) {
		sm__stall_add(&sum->cause[c], &gc->dead_stalls.cause[c]);
		sm__stall_add(all, &sum->cause[c]);
	}
	sm_lock_release(&gc->stats_lock);
}

void sm_gc_stalls(struct sm_gc *gc, struct sm_gc_stalls *out)
{
	struct {
		struct sm_stall_set set;
		struct sm_stall_hist all;
	} *sum = malloc(sizeof(*sum));

	memset(out, 0, sizeof(*out));
	out->version = SM_GC_STALLS_VERSION;
	if (sum == NULL)
		return;
	sum_stalls(gc, &sum->set, &sum->all);
	for (unsigned c = 0; c < SM_STALL_CAUSES; c++)
		sm__stall_summary(&sum->set.cause[c], &out->cause[c]);
	sm__stall_summary(&sum->all, &out->all);
	sm__stall_summary(&gc->hs.rounds, &out->handshake_round);
	free(sum);
}

void sm_gc_stalls_reset(struct sm_gc *gc)
{
	sm_lock_acquire(&gc->mutators_lock);
	for (struct sm_mutator_priv *p = gc->mutators; p; p = p->next)
		sm__stall_clear(&p->stalls);
	sm_lock_release(&gc->mutators_lock);
	sm_lock_acquire(&gc->stats_lock);
	sm__stall_clear(&gc->dead_stalls);
	sm__stall_clear_hist(&gc->hs.rounds);
	sm_lock_release(&gc->stats_lock);
}

void sm_mutator_stalls(struct sm_mutator *m, struct sm_gc_stalls *out)
{
	struct sm_stall_hist *all = calloc(1, sizeof(*all));

	memset(out, 0, sizeof(*out));
	out->version = SM_GC_STALLS_VERSION;
	for (unsigned c = 0; c < SM_STALL_CAUSES; c++) {
		sm__stall_summary(&m->priv->stalls.cause[c], &out->cause[c]);
		if (all)
			sm__stall_add(all, &m->priv->stalls.cause[c]);
	}
	if (all)
		sm__stall_summary(all, &out->all);
	free(all);
}

void sm_gc_stats(struct sm_gc *gc, struct sm_gc_stats *out)
{
	struct sm_gc_stalls stalls;

	sm_gc_stalls(gc, &stalls);
	sm_lock_acquire(&gc->stats_lock);
	*out = gc->stats;
	sm_lock_release(&gc->stats_lock);
	out->version = SM_GC_STATS_VERSION;
	out->allocated_bytes = sm_load_relaxed(&gc->heap->allocated_bytes);
	out->live_bytes = out->allocated_bytes + sm_load_relaxed(&gc->pace.live);
	out->stalls = stalls.all.count;
	out->stall_total_ns = stalls.all.total_ns;
	out->stall_max_ns = stalls.all.max_ns;
}
