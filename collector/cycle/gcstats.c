/*
 * gcstats.c: the collector's figures: totals, the last cycle, stalls by cause.
 */
#include <string.h>

#include "collector/cycle/gcstats.h"
#include "collector/cycle/gc_internal.h"

void sm__stalls_sum(struct sm_gc *gc, enum sm_stall_cause cause, struct sm_stall_hist *sum)
{
	memset(sum, 0, sizeof(*sum));
	sm_lock_acquire(&gc->mutators_lock);
	for (struct sm_mutator_priv *p = gc->mutators; p; p = p->next)
		sm__stall_add(sum, &p->stalls.cause[cause]);
	sm_lock_release(&gc->mutators_lock);
	sm_lock_acquire(&gc->stats_lock);
	sm__stall_add(sum, &gc->dead_stalls.cause[cause]);
	sm_lock_release(&gc->stats_lock);
}

/* On the stack, 5 KiB: figures are to be had when memory is out, too. */
void sm_gc_stalls(struct sm_gc *gc, struct sm_gc_stalls *out)
{
	struct sm_stall_hist one, all;

	memset(out, 0, sizeof(*out));
	memset(&all, 0, sizeof(all));
	out->version = SM_GC_STALLS_VERSION;
	for (unsigned c = 0; c < SM_STALL_CAUSES; c++) {
		sm__stalls_sum(gc, (enum sm_stall_cause)c, &one);
		sm__stall_summary(&one, &out->cause[c]);
		sm__stall_add(&all, &one);
	}
	sm__stall_summary(&all, &out->all);
	sm__stall_summary(&gc->hs.rounds, &out->handshake_round);
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
	gc->stalls_traced = 0;
	sm_lock_release(&gc->stats_lock);
}

static void take_recent(struct sm_stall_set *set, uint64_t *count, uint64_t *max_ns)
{
	/* A wait that ends right now and was compared with the old value counts as before this. */
	uint64_t max = sm_exchange_acqrel(&set->recent_max_ns, 0);

	for (unsigned c = 0; c < SM_STALL_CAUSES; c++)
		*count += sm_load_relaxed(&set->cause[c].count);
	if (max > *max_ns)
		*max_ns = max;
}

void sm__recent_stalls(struct sm_gc *gc, uint64_t *count, uint64_t *max_ns)
{
	uint64_t all = 0;

	*max_ns = 0;
	/* Both locks, so that a mutator that detaches (unlinks, then hands over) is counted in the
	 * one place or the other, now or at the next cycle. */
	sm_lock_acquire(&gc->mutators_lock);
	for (struct sm_mutator_priv *p = gc->mutators; p; p = p->next)
		take_recent(&p->stalls, &all, max_ns);
	sm_lock_acquire(&gc->stats_lock);
	take_recent(&gc->dead_stalls, &all, max_ns);
	/* Fewer than told: those of a mutator between the two places. */
	*count = all > gc->stalls_traced ? all - gc->stalls_traced : 0;
	gc->stalls_traced = all;
	sm_lock_release(&gc->stats_lock);
	sm_lock_release(&gc->mutators_lock);
}

void sm_mutator_stalls(struct sm_mutator *m, struct sm_gc_stalls *out)
{
	struct sm_stall_hist all;

	memset(out, 0, sizeof(*out));
	memset(&all, 0, sizeof(all));
	out->version = SM_GC_STALLS_VERSION;
	for (unsigned c = 0; c < SM_STALL_CAUSES; c++) {
		sm__stall_summary(&m->priv->stalls.cause[c], &out->cause[c]);
		sm__stall_add(&all, &m->priv->stalls.cause[c]);
	}
	sm__stall_summary(&all, &out->all);
}

void sm__stalls_tell(struct sm_mutator *m, sm__stall_fn *fn, void *ctx)
{
	m->priv->stalls.told_ctx = ctx;
	m->priv->stalls.told = fn;
}

void sm__cycles_tell(struct sm_gc *gc, sm__cycle_fn *fn, void *ctx)
{
	sm_lock_acquire(&gc->stats_lock);
	gc->cycle_told = fn;
	gc->cycle_told_ctx = ctx;
	sm_lock_release(&gc->stats_lock);
}

void sm__gc_gauges(struct sm_gc *gc, struct sm_gc_gauges *out)
{
	out->heap =
		sm_load_relaxed(&gc->heap->allocated_bytes) + sm_load_relaxed(&gc->throttle.live);
	out->goal = sm_load_relaxed(&gc->throttle.goal);
	out->grey = sm__workq_queued(&gc->workq);
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
	out->live_bytes = out->allocated_bytes + sm_load_relaxed(&gc->throttle.live);
	out->stalls = stalls.all.count;
	out->stall_total_ns = stalls.all.total_ns;
	out->stall_max_ns = stalls.all.max_ns;
}

void sm__spans_scanned(struct sm_gc *gc, struct sm_span_counts *out)
{
	sm_lock_acquire(&gc->stats_lock);
	*out = gc->spans_total;
	sm_lock_release(&gc->stats_lock);
}

uint64_t sm__marked_by_workers(struct sm_gc *gc)
{
	uint64_t n;

	sm_lock_acquire(&gc->stats_lock);
	n = gc->marked_by_workers;
	sm_lock_release(&gc->stats_lock);
	return n;
}

static void add_spans(struct sm_gc *gc, const struct sm_span_counts *n)
{
	struct sm_gc_stats *s = &gc->stats;
	uint64_t *const sums[] = {[SM_SCANNED_ALONE] = &s->total_span_alone,
				  [SM_SCANNED_SPARSE] = &s->total_span_sparse,
				  [SM_SCANNED_DENSE] = &s->total_span_dense};

	for (unsigned how = 0; how < SM_SCANNED_HOWS; how++) {
		s->total_spans += n->spans[how];
		gc->spans_total.spans[how] += n->spans[how];
		for (unsigned cls = 0; cls < SM_NCLASSES_MAX; cls++) {
			*sums[how] += n->objects[how][cls];
			gc->spans_total.objects[how][cls] += n->objects[how][cls];
		}
	}
}

void sm__stats_publish(struct sm_gc *gc, const struct sm_cycle *c)
{
	struct sm_gc_stats *s = &gc->stats;

	sm_lock_acquire(&gc->stats_lock);
	s->cycles++;
	s->last_marked_objects = c->n.objects;
	s->last_marked_bytes = c->n.bytes;
	s->last_mark_ns = c->marked - c->marking;
	s->last_cycle_ns = c->off - c->start;
	s->last_heap_before = c->heap_before;
	s->last_heap_after = c->heap_marked;
	s->last_goal = c->goal;
	s->total_mark_ns += s->last_mark_ns;
	s->total_cycle_ns += s->last_cycle_ns;
	s->total_marked_objects += c->n.objects;
	s->total_scanned_local += c->n.scanned - c->n.rescanned - c->n.root_pieces - c->n.away;
	s->total_scanned_remote += c->n.away;
	s->total_steals_l3 += c->n.steals_l3;
	s->total_steals_node += c->n.steals_node;
	s->total_steals_across += c->n.steals_across;
	s->total_delivered += c->n.delivered;
	s->total_overflows += c->n.overflows;
	s->old_bytes = c->old_bytes;
	s->remember = gc->config.remember;
	s->generational_cycles += c->generational;
	s->generation_switches += c->switches;
	if (c->minor) {
		s->minors++;
		s->total_minor_objects += c->n.objects;
		s->total_minor_bytes += c->n.bytes;
		s->total_remembered += c->n.remembered;
	}
	add_spans(gc, &c->spans_n);
	gc->marked_by_workers += c->by_workers;
	gc->last = *c;
	if (gc->cycle_told != NULL)
		gc->cycle_told(gc->cycle_told_ctx, c);
	sm_lock_release(&gc->stats_lock);
}
