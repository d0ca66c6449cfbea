/*
 * throttle.c: what slows mutators down while a cycle runs: they hold still, yield, sleep, or help to mark.
 */
#include <sched.h>

#include "collector/gc_priv.h"

/* ---- thresholds ------------------------------------------------------------------------------------- */

/*
 * Beyond the goal: by a 32nd, mutators hold still, or, by a tenth, yield; by an eighth, they are slowed down; by a quarter,
 * all but stopped. The floors are what a collector that is not in the way of anything needs to start, in a small heap.
 */
#define SLOW_FLOOR (16 * SM_MIB)
#define HOLD_FLOOR (4 * SM_MIB)

/* What will have been allocated when the heap, which is `live` large now, has the size. */
static size_t when(size_t now, size_t live, size_t size)
{
	return now + (size > live ? size - live : 0);
}

void sm__throttle_set(struct sm_gc *gc, size_t now, size_t live)
{
	size_t goal = gc->pacer.goal, slow = goal / 8 > SLOW_FLOOR ? goal / 8 : SLOW_FLOOR,
	       hold = goal / 32 > HOLD_FLOOR ? goal / 32 : HOLD_FLOOR, yield = goal / 10;

	sm_store_relaxed(&gc->pace.enough, when(now, live, goal + (hold < yield ? hold : yield)));
	sm_store_relaxed(&gc->pace.hold, when(now, live, goal + hold));
	sm_store_relaxed(&gc->pace.yield, when(now, live, goal + yield));
	sm_store_relaxed(&gc->pace.slow, when(now, live, goal + slow));
	sm_store_relaxed(&gc->pace.most, when(now, live, goal + 2 * slow));
	sm_store_relaxed(&gc->pace.trigger, when(now, live, gc->pacer.trigger));
}

/*
 * What would have been allocated had no mutator held still beyond the goal. Uncorrected, a trigger that is too late would stay
 * there, and mutators would be held in every cycle.
 */
size_t sm__throttle_unheld(struct sm_gc *gc, size_t growth, uint64_t wall)
{
	uint64_t held = sm_exchange_acqrel(&gc->held_ns, 0), most;

	sm_lock_acquire(&gc->mutators_lock);
	most = wall * (gc->nmutators ? gc->nmutators : 1);
	sm_lock_release(&gc->mutators_lock);
	if (held > most / 4 * 3)
		held = most / 4 * 3;
	return (size_t)((double)growth * (double)most / (double)(most - held + 1));
}

/* ---- giving way ------------------------------------------------------------------------------------- */

/* Between two times that a mutator gives way: what it allocates in some hundred microseconds. */
#define WAY_BYTES SM_MIB
/* .. and where it is slowed down: from so much, where that begins, down to so little, where it may not go further. */
#define SLOW_MOST  (256 * SM_KIB)
#define SLOW_LEAST (16 * SM_KIB)
/* One wait; the kernel's timer slack, 50 us for an ordinary thread, comes on top. */
#define SLOW_NS 30000

/*
 * Where the collector's threads have CPUs of their own, a mutator that outruns them holds still on its CPU, for every so
 * many bytes of growth: so long where that begins, and so long from half-way to where it is put to sleep on. Some GB/s
 * become one and a half, then a quarter of one.
 */
#define HOLD_BYTES    (16 * SM_KIB)
#define HOLD_LEAST_NS 8000
#define HOLD_MOST_NS  60000

/* How far now is on the way, in 1024ths; from <= now < to. */
static size_t way_gone(size_t now, size_t from, size_t to)
{
	return (now - from) / ((to - from) / 1024 + 1);
}

/* Bytes of heap growth, by whomever, for which a mutator waits once. */
static size_t slow_step(const struct sm_gc *gc, size_t now)
{
	size_t slow = sm_load_relaxed(&gc->pace.slow), most = sm_load_relaxed(&gc->pace.most);

	if (now < slow)
		return sm_load_relaxed(&gc->stands_aside) ? HOLD_BYTES : WAY_BYTES;
	if (now >= most)
		return SLOW_LEAST;
	return SLOW_MOST - (SLOW_MOST - SLOW_LEAST) / 1024 * way_gone(now, slow, most);
}

/* Sleeps a slice, or until the cycle is over. Handshakes are answered by proxy meanwhile; if one is under way at the end,
 * that wait is its own. */
static void wait_slice(struct sm_mutator *m, uint64_t since)
{
	struct sm_gc *gc = m->gc;
	uint32_t seq;

	sm_blocking_enter(m);
	seq = sm__event_prepare(&gc->done);
	if (sm_load_seqcst(&gc->asked) != 0)
		sm__event_wait(&gc->done, seq, SLOW_NS);
	else
		sm__event_cancel(&gc->done);
	sm__stall(m, SM_STALL_PACE, since);
	sm_blocking_leave(m);
}

static uint64_t hold_ns(const struct sm_gc *gc, size_t now)
{
	size_t from = sm_load_relaxed(&gc->pace.hold), to = sm_load_relaxed(&gc->pace.slow), half;

	/* A cycle has ended meanwhile. */
	if (now < from || now >= to)
		return HOLD_LEAST_NS;
	half = from + (to - from) / 2;
	if (now >= half)
		return HOLD_MOST_NS;
	return HOLD_LEAST_NS + (HOLD_MOST_NS - HOLD_LEAST_NS) / 1024 * way_gone(now, from, half);
}

/* A request to acknowledge, or the cycle's end, ends it early. */
static void hold(struct sm_mutator *m, uint64_t ns)
{
	struct sm_wait w = sm__wait_begin();

	do {
		for (unsigned i = 0; i < 16; i++)
			sm_cpu_relax();
	} while (sm_load_relaxed(&m->poll) == 0 && sm_load_relaxed(&m->gc->asked) != 0 &&
		 sm__now_ns() - w.since < ns);
	sm_fetch_add_relaxed(&m->gc->held_ns, sm__now_ns() - w.since);
	sm__wait_end(m, SM_STALL_PACE, &w);
}

/*
 * Nothing slows allocation down until the barrier is on everywhere, nor where marking cannot be assisted with (a list); and
 * a mutator may have become ten times as fast since the trigger was set (the last of its memory touched, its CPU its own).
 * So a little beyond the goal it holds still now and then. With as many mutators as CPUs, or others' programs beside
 * them, the collector's threads wait for a CPU that nothing makes a mutator leave but the end of its time slice,
 * milliseconds later: then it yields, further out, which costs less than a microsecond when nobody waits. Far beyond the
 * goal it sleeps, a slice at a time, for ever smaller steps of growth: at 16 KiB a slice the heap hardly grows any more,
 * whatever the collector is waiting for.
 */
void sm__give_way(struct sm_mutator *m)
{
	size_t now = sm_load_relaxed(&m->gc->heap->allocated_bytes);
	bool slow = now >= sm_load_relaxed(&m->gc->pace.slow);
	/* Nobody of the collector's waits for this CPU: to yield would let others' programs in, for milliseconds. */
	bool aside = sm_load_relaxed(&m->gc->stands_aside);
	uint64_t t0;

	if (now < sm_load_relaxed(aside ? &m->gc->pace.hold : &m->gc->pace.yield))
		return;
	if (now - m->priv->gave_way < slow_step(m->gc, now))
		return;
	m->priv->gave_way = now;
	t0 = sm__now_ns();
	sm_phase_enter(SM_PHASE_WAIT);
	if (slow) {
		wait_slice(m, t0);
	} else if (aside) {
		hold(m, hold_ns(m->gc, now));
	} else {
		sched_yield();
		sm__stall(m, SM_STALL_PACE, t0);
	}
	sm_phase_leave(SM_PHASE_WAIT);
}

/* ---- assists -------------------------------------------------------------------------------------- */

/* A mutator may be this far behind before it has to work; and works so much more than it owes. */
#define ASSIST_SLACK (64 * SM_KIB)
#define ASSIST_EXTRA (16 * SM_KIB)

/*
 * Bounded in bytes, and in time: 8 KiB are 15 us in a cache, but 512 nodes of a list, each of which misses it. A piece
 * of so many bytes lies between two looks at the clock.
 */
#define ASSIST_NS    20000
#define ASSIST_PIECE 1024

static uint64_t drain_for(struct sm_marker *k, uint64_t want, uint64_t since)
{
	uint64_t done = 0, piece, got;

	do {
		piece = want - done < ASSIST_PIECE ? want - done : ASSIST_PIECE;
		got = sm__mark_drain(k, piece);
		done += got;
	} while (got >= piece && done < want && sm__now_ns() - since < ASSIST_NS);
	return done;
}

/*
 * Marks up to a slice. What is left over goes back to the queue; the mutator counts as active while it
 * holds grey entries, so nobody takes the queues for drained.
 */
struct slice {
	struct sm_mutator *m;
	uint64_t want;
};

static size_t assist_slice(void *arg, uintptr_t *sp)
{
	struct sm_mutator *m = ((struct slice *)arg)->m;
	uint64_t want = ((struct slice *)arg)->want;
	struct sm_gc *gc = m->gc;
	struct sm_marker *k = &m->priv->marker;
	uint64_t cpu0 = gc->config.trace ? sm__thread_ns() : 0, done;
	struct sm_wait w;

	if (sm__workq_queued(&gc->workq) == 0) {
		/* All that is grey is in the hands of workers: one that looks up leaves some here. */
		if (sm_load_relaxed(&gc->workq.hungry) == 0)
			sm_store_relaxed(&gc->workq.hungry, 1);
		return 0;
	}
	w = sm__wait_begin();
	sm_phase_enter(SM_PHASE_ASSIST);
	sm__marker_here(k);
	sm__workq_enter(&gc->workq);
	done = drain_for(k, want, w.since);
	sm__marker_give(k);
	sm__workq_leave(&gc->workq, true);
	m->priv->credit += (int64_t)done;
	sm_fetch_add_relaxed(&gc->assist_bytes, done);
	sm_fetch_add_relaxed(&gc->assist_ns, sm__now_ns() - w.since);
	if (SM_UNLIKELY(gc->config.trace))
		sm_fetch_add_relaxed(&gc->assist_cpu_ns, sm__thread_ns() - cpu0);
	sm_phase_leave(SM_PHASE_ASSIST);
	sm__wait_end(m, SM_STALL_ASSIST, &w);
	return sm__own_frames(m->priv, sp);
}

void sm__assist(struct sm_mutator *m, size_t bytes)
{
	struct sm_gc *gc = m->gc;
	struct sm_mutator_priv *p = m->priv;
	uint64_t ratio = sm_load_relaxed(&gc->pace.assist_ratio), slice = gc->config.tuning.assist_slice;
	size_t since;

	if (!m->barrier || ratio == 0) {
		p->credit = 0;
		return;
	}
	/* Marking must keep in step with allocation, by whomever: while workers are ahead nobody owes anything. */
	since = sm_load_relaxed(&gc->heap->allocated_bytes) - gc->alloc_at_start;
	if (since < SIZE_MAX / 2 && sm_load_relaxed(&gc->scan_done) >= since / 1024 * ratio) {
		p->credit = 0;
		return;
	}
	p->credit -= (int64_t)((uint64_t)bytes * ratio / 1024);
	if (p->credit > -(int64_t)ASSIST_SLACK)
		return;
	/* One slice a refill at most: the debt stays, the stall is bounded. */
	if ((uint64_t)-p->credit + ASSIST_EXTRA < slice)
		slice = (uint64_t)-p->credit + ASSIST_EXTRA;
	sm__with_registers(assist_slice, &(struct slice){m, slice});
	/* No work to be had is not the mutator's fault. */
	if (p->credit < -(int64_t)(4 * SM_MIB))
		p->credit = -(int64_t)(4 * SM_MIB);
}
