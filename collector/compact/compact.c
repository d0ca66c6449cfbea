/* compact.c: a compaction from its request to its figures. compact.h tells how it works. */
#include <errno.h>
#include <string.h>

#include "allocator/base/phase.h"
#include "allocator/base/say.h"
#include "allocator/objects/cache_cpu.h"
#include "allocator/pages/scavenge.h"
#include "collector/compact/compact_internal.h"
#include "collector/mutator/fork.h"
#include "collector/types/inspect.h"
#include "collector/mutator/misuse.h"
#include "collector/cycle/sweep.h"
#include "collector/cycle/verify.h"

void sm__compact_init(struct sm_gc *gc)
{
	sm_lock_init(&gc->compact.lock, SM_RANK_GC_COMPACT);
	sm__pins_init(gc);
}

/* ---- figures ------------------------------------------------------------------------------ */

void sm__compact_add(struct sm_compaction *to, const struct sm_compaction *n)
{
	to->stopped_ns += n->stopped_ns;
	to->spans += n->spans;
	to->candidates += n->candidates;
	to->moved_objects += n->moved_objects;
	to->moved_bytes += n->moved_bytes;
	for (unsigned i = 0; i < SM_PIN_CAUSES; i++) {
		to->pinned_objects[i] += n->pinned_objects[i];
		to->pinned_bytes[i] += n->pinned_bytes[i];
	}
	to->freed_bytes += n->freed_bytes;
	to->released_bytes += n->released_bytes;
	to->regions_before += n->regions_before;
	to->regions_after += n->regions_after;
	to->objects += n->objects;
	to->evacuated += n->evacuated;
	to->slots_noted += n->slots_noted;
	to->slices += n->slices;
}

static void trace_compaction(const struct sm_gc *gc, const struct sm_compaction *n,
			     uint64_t longest_ns)
{
	uint64_t pinned = 0;

	for (unsigned i = 0; i < SM_PIN_CAUSES; i++)
		pinned += n->pinned_objects[i];
	if (gc->config.trace)
		sm__say("compaction: stopped %.3f ms, at most %.3f at a time, %llu of %llu spans "
			"evacuated, moved %llu objects of %.1f MiB, pinned %llu, 2 MiB in use "
			"%llu -> %llu, released %.1f MiB",
			(double)n->stopped_ns / 1e6, (double)longest_ns / 1e6,
			(unsigned long long)n->candidates, (unsigned long long)n->spans,
			(unsigned long long)n->moved_objects, (double)n->moved_bytes / SM_MIB,
			(unsigned long long)pinned, (unsigned long long)n->regions_before,
			(unsigned long long)n->regions_after, (double)n->released_bytes / SM_MIB);
}

void sm__compact_publish(struct sm_gc *gc, const struct sm_compaction *n, uint64_t longest_ns,
			 unsigned errors)
{
	struct sm_gc_compact_stats *s = &gc->compact.stats;

	sm_lock_acquire(&gc->stats_lock);
	s->compactions++;
	s->last = *n;
	sm__compact_add(&s->total, n);
	gc->stats.verify_errors += errors;
	sm_lock_release(&gc->stats_lock);
	trace_compaction(gc, n, longest_ns);
}

void sm_gc_compact_stats(struct sm_gc *gc, struct sm_gc_compact_stats *out)
{
	struct sm_gc_stall slices;

	sm_lock_acquire(&gc->stats_lock);
	*out = gc->compact.stats;
	sm__stall_summary(&gc->compact.slices, &slices);
	sm_lock_release(&gc->stats_lock);
	out->stopped_max_ns = slices.max_ns;
	out->slice_p50_ns = slices.p50_ns;
	out->slice_p99_ns = slices.p99_ns;
	out->version = SM_GC_COMPACT_STATS_VERSION;
}

const char *sm_pin_cause_name(enum sm_pin_cause cause)
{
	static const char *const names[SM_PIN_CAUSES] = {
		[SM_PINNED_STACK] = "stack",
		[SM_PINNED_CONSERVATIVE] = "conservative",
		[SM_PINNED_PROGRAM] = "program",
		[SM_PINNED_TYPE] = "type",
	};

	return (unsigned)cause < SM_PIN_CAUSES ? names[cause] : "?";
}

void sm__compactions_tell(struct sm_gc *gc, sm__compaction_fn *fn, void *ctx)
{
	gc->compact.told = fn;
	gc->compact.told_ctx = ctx;
}

void sm__compact_tell(struct sm_gc *gc, bool begins)
{
	if (gc->compact.told)
		gc->compact.told(gc->compact.told_ctx, begins);
}

/* ---- the stop ------------------------------------------------------------------------------ */

uint64_t sm__compact_stop(struct sm_gc *gc, bool retire)
{
	uint64_t from = sm__now_ns();

	gc->compact.cpu_from = sm__thread_ns();
	sm_phase_enter(SM_PHASE_COMPACT);
	sm__world_stop_for(gc, retire, SM_STALL_COMPACT);
	return from;
}

uint64_t sm__compact_go_on(struct sm_gc *gc, uint64_t from)
{
	struct sm_gc_compact_stats *s = &gc->compact.stats;
	uint64_t ns, cpu;

	sm__world_resume(gc);
	sm_phase_leave(SM_PHASE_COMPACT);
	ns = sm__now_ns() - from;
	cpu = sm__thread_ns() - gc->compact.cpu_from;
	sm_lock_acquire(&gc->stats_lock);
	s->slice_cpu_max_ns = cpu > s->slice_cpu_max_ns ? cpu : s->slice_cpu_max_ns;
	sm__stall_record(&gc->compact.slices, ns, SM_KEPT_UNKNOWN);
	sm_lock_release(&gc->stats_lock);
	return ns;
}

/* ---- moving ------------------------------------------------------------------------------- */

/* What must be so between two cycles, see compact.h. */
static void check_at_rest(struct sm_gc *gc)
{
	SM_CHECK(sm__workq_is_over(&gc->workq));
	SM_CHECK(sm_load_relaxed(&gc->heap->marking) == 0);
	SM_CHECK(gc->finalizers.taken == NULL);
	for (struct sm_mutator_priv *p = gc->mutators; p; p = p->next)
		SM_CHECK(!sm__marking(p->m) && p->m->buf_next == p->buffer);
}

/* All that was reachable is, and no word leads to where an object was. There may be more: a stale
 * word of a stack that led to a free slot leads to what has come there. */
unsigned sm__compact_verify(struct sm_gc *gc, size_t before)
{
	unsigned errors = sm__verify_moved_stw(gc);

	if (errors == 0 && gc->verify_reached < before) {
		sm__say("verify: %zu objects were reachable before they moved, %zu after", before,
			gc->verify_reached);
		errors++;
	}
	return errors;
}

static unsigned move_stopped(struct sm_gc *gc, struct sm_compaction *n)
{
	struct sm_move v = {.gc = gc};
	unsigned errors = 0;
	size_t before = 0;

	check_at_rest(gc);
	sm_store_relaxed(&gc->compact.failed, sm__compact_plan_take(&v) != 0);
	if (sm_load_relaxed(&gc->compact.failed))
		return 0;
	if (gc->config.verify) {
		errors += sm__verify_moved_stw(gc);
		before = gc->verify_reached;
	}
	sm__compact_pin(&v);
	sm__compact_plan(&v);
	if (v.n.candidates != 0) {
		sm__compact_copy(&v);
		sm__compact_patch(&v);
	}
	if (gc->config.verify)
		errors += sm__compact_verify(gc, before);
	sm__compact_plan_give(&v);
	*n = v.n;
	return errors;
}

static void compact_full(struct sm_gc *gc)
{
	struct sm_compaction n = {0};
	unsigned errors;
	uint64_t from;

	sm__compact_tell(gc, true);
	from = sm__compact_stop(gc, true);
	sm__cache_drop_cpu_windows(gc->heap);
	sm__sweep_all(gc, NULL);
	sm_lock_acquire(&gc->compact.lock);
	errors = move_stopped(gc, &n);
	sm_lock_release(&gc->compact.lock);
	n.stopped_ns = sm__compact_go_on(gc, from);
	n.slices = 1;
	if (sm_load_relaxed(&gc->compact.failed))
		return;
	/* A program that asks for this wants the memory elsewhere. */
	n.released_bytes = sm__scavenge(&gc->heap->pages, 0);
	sm__gen_give_back(gc);
	sm__compact_tell(gc, false);
	sm__compact_publish(gc, &n, n.stopped_ns, errors);
}

/* What spans hold beside what lives is so many per cent of the heap, and 2 MiB: no more can come
 * free, however it moves. */
static bool is_sparse(struct sm_gc *gc)
{
	size_t in_use, dirty, live = gc->cycle.heap_marked, spare;

	sm__pageheap_resident(&gc->heap->pages, &in_use, &dirty);
	spare = in_use > live ? in_use - live : 0;
	return spare >= (size_t)1 << SM_REGION_SHIFT &&
	       spare >= in_use / 100 * gc->config.compact_percent;
}

/* gc.mode=stw: no barrier could note slots between two cycles, so all moves in one stop. */
static bool is_due(struct sm_gc *gc)
{
	return gc->config.compact == SM_GC_COMPACT_FORCE ||
	       (gc->config.compact == SM_GC_COMPACT_AUTO && is_sparse(gc));
}

/*
 * gc.generations: an armed cycle is a major one. With each armed that was worth it half of
 * young-garbage's cycles were major, for 1.8 times the CPU time. So memory that would come free is
 * a reason to have a major one behind another that knew what has died, but not behind an armed one,
 * and else not before so many were minor.
 */
#define MINORS_BEFORE 8

static bool may_arm(const struct sm_gc *gc, bool was_armed)
{
	if (!gc->pacer.minor)
		return true;
	if (gc->config.compact == SM_GC_COMPACT_FORCE)
		return false;
	return gc->cycle.minor ? gc->gen.minors_in_a_row >= MINORS_BEFORE : !was_armed;
}

/* Whether or not it is worth its while, where it was asked for. A plan looks at all spans: none is
 * made where that can come to nothing. */
static void choose(struct sm_gc *gc, bool wanted, bool was_armed)
{
	bool all = wanted || gc->config.compact == SM_GC_COMPACT_FORCE;

	if (!wanted && !may_arm(gc, was_armed))
		return;
	gc->armed.release = all;
	if (!all && !is_sparse(gc))
		return;
	gc->armed.plans++;
	if (sm__armed_choose(gc, all ? 0 : gc->config.compact_percent) != 0)
		sm_store_relaxed(&gc->compact.failed, 1);
	else if (wanted && gc->armed.ncandidates == 0)
		sm__compact_publish(gc, &gc->armed.n, 0, 0);
	if (gc->armed.ncandidates != 0)
		sm__gen_next_is_major(gc);
}

void sm__compact_behind(struct sm_gc *gc)
{
	uint64_t cycle = sm_load_relaxed(&gc->cycles_started);
	bool wanted = sm_load_seqcst(&gc->compact.wanted[cycle % 2]) == cycle,
	     armed = sm_load_relaxed(&gc->armed.on) != 0;

	if (gc->config.compact == SM_GC_COMPACT_OFF)
		return;
	if (gc->config.compact == SM_GC_COMPACT_FULL || gc->config.mode == SM_GC_STW) {
		if (wanted || is_due(gc))
			compact_full(gc);
		return;
	}
	sm_store_relaxed(&gc->compact.failed, 0);
	sm__armed_evacuate(gc);
	choose(gc, wanted, armed);
}

int sm_collect_compact(struct sm_gc *gc, struct sm_mutator *m)
{
	if (!sm__gc_lives(gc) || (m && (!sm__is_mine(m) || m->gc != gc)))
		return -EINVAL;
	if (gc->config.compact == SM_GC_COMPACT_OFF)
		return -ENOTSUP;
	return sm__gc_compact_and_wait(gc, m ? m : sm_mutator_current(gc));
}
