/*
 * throttle.c: what slows mutators down while a cycle runs: they hold still, yield, sleep, or help
 * to mark.
 */
#include <sched.h>

#include "collector/cycle/gc_internal.h"

/* ---- the price of growth ------------------------------------------------------------------ */

/* A step is a 64th of the goal, and at least this: a cycle that starts at once needs so much. */
#define STEP_LEAST (4 * SM_MIB)
/* The first price allows 2 GB/s, the last one 1 MB/s. It never forbids growth: the cycle may be
 * waiting for a mutator that allocates. */
#define PRICE_LEAST 512 /* ns a KiB */
#define DOUBLINGS   11
/* ns. Bounds the wait of a large object. */
#define COST_MOST 20000000

/* allocated_bytes at which the heap has the size. It has `live` bytes now, where allocated_bytes is
 * `now`. */
static size_t when(size_t now, size_t live, size_t size)
{
	return now + (size > live ? size - live : 0);
}

void sm__throttle_set(struct sm_gc *gc, size_t now, size_t live)
{
	struct sm_throttle *t = &gc->throttle;
	size_t goal = gc->pacer.goal, step = goal / 64 > STEP_LEAST ? goal / 64 : STEP_LEAST,
	       most = gc->pacer.most;

	/* Three doublings at the limit. */
	if (most != 0 && step > (most > goal ? most - goal : 0) / 4)
		step = (most > goal ? most - goal : 0) / 4 + 64 * SM_KIB;
	sm_store_relaxed(&t->goal, goal);
	sm_store_relaxed(&t->step, step);
	sm_store_relaxed(&t->from, when(now, live, goal + step));
	sm_store_relaxed(&t->trigger, when(now, live, gc->pacer.trigger));
}

uint64_t sm__throttle_price(size_t beyond, size_t step)
{
	size_t doublings = beyond / step;

	if (doublings >= DOUBLINGS)
		return (uint64_t)PRICE_LEAST << DOUBLINGS;
	return ((uint64_t)PRICE_LEAST << doublings) * (step + beyond % step) / step;
}

void sm__throttle_end(struct sm_gc *gc)
{
	sm_store_seqcst(&gc->throttle.trigger_asked, 0);
	sm_store_relaxed(&gc->throttle.paid, 0);
	sm__event_signal(&gc->throttle.over);
}

/*
 * Growth, scaled up by the time that mutators held still. Without this the pacer would see little
 * growth after a late trigger, keep the trigger late, and mutators would hold still in every cycle.
 */
size_t sm__throttle_unheld(struct sm_gc *gc, size_t growth, uint64_t wall)
{
	uint64_t held = sm_exchange_acqrel(&gc->throttle.held_ns, 0), most;

	sm_lock_acquire(&gc->mutators_lock);
	most = wall * (gc->nmutators ? gc->nmutators : 1);
	sm_lock_release(&gc->mutators_lock);
	if (held > most / 4 * 3)
		held = most / 4 * 3;
	return (size_t)((double)growth * (double)most / (double)(most - held + 1));
}

/* ---- waiting ------------------------------------------------------------------------------ */

/* A shorter wait does not sleep: the kernel's timer slack alone is 50 us. */
#define SLEEP_LEAST_NS 60000

/* Adds the cost to the account. Returns when the caller's wait begins: the time up to which all
 * before it have paid. */
static uint64_t queue(struct sm_throttle *t, uint64_t now, uint64_t cost)
{
	uint64_t paid = sm_load_relaxed(&t->paid), from;

	do
		from = paid > now ? paid : now;
	while (!sm_cas_acqrel(&t->paid, &paid, from + cost));
	return from;
}

/* Sleeps, until the cycle's end at most. The proxy answers handshakes meanwhile. A handshake that
 * is under way when the sleep ends is a wait of its own. */
static void sleep_for(struct sm_mutator *m, uint64_t since, uint64_t ns)
{
	struct sm_throttle *t = &m->gc->throttle;
	uint32_t seq;

	sm_blocking_enter(m);
	seq = sm__event_prepare(&t->over);
	if (sm_load_seqcst(&t->trigger_asked) != 0)
		sm__event_wait(&t->over, seq, ns);
	else
		sm__event_cancel(&t->over);
	sm__stall(m, SM_STALL_PACE, since);
	sm_blocking_leave(m);
}

/* Spins. No thread of the collector waits for this CPU, and another program that sched_yield let in
 * would keep it for milliseconds. A request to acknowledge or the cycle's end ends it early. */
static void hold(struct sm_mutator *m, uint64_t ns)
{
	struct sm_wait w = sm__wait_begin();

	do {
		for (unsigned i = 0; i < 16; i++)
			sm_cpu_relax();
	} while (sm_load_relaxed(sm__poll(m)) == 0 &&
		 sm_load_relaxed(&m->gc->throttle.trigger_asked) != 0 &&
		 sm__now_ns() - w.since < ns);
	sm_fetch_add_relaxed(&m->gc->throttle.held_ns, sm__now_ns() - w.since);
	sm__wait_end(m, SM_STALL_PACE, &w);
}

/* ns a KiB: the higher of the heap's price and that of memory beyond the limit. The pacer knows the
 * holes of the last cycle, so memory may pass the limit while the heap is below its goal. */
static uint64_t price(struct sm_gc *gc)
{
	size_t now = sm_load_relaxed(&gc->heap->allocated_bytes),
	       from = sm_load_relaxed(&gc->throttle.from),
	       step = sm_load_relaxed(&gc->throttle.step),
	       limit = __atomic_load_n(&gc->pacer.config.limit, __ATOMIC_RELAXED), in_use = 0,
	       dirty = 0;
	uint64_t of_heap = 0, of_memory = 0;

	/* Without CPUs of its own the collector gets one when a mutator waits: the price begins a
	 * step earlier, at the goal. */
	from -= sm_load_relaxed(&gc->own_cpus) ? 0 : step;
	if (now >= from)
		of_heap = sm__throttle_price(now - from, step);
	if (limit != 0)
		sm__pageheap_resident(&gc->heap->pages, &in_use, &dirty);
	if (limit != 0 && in_use + dirty >= limit)
		of_memory = sm__throttle_price(in_use + dirty - limit, limit / 64 + 1);
	return of_heap > of_memory ? of_heap : of_memory;
}

void sm__throttle(struct sm_mutator *m, size_t bytes)
{
	struct sm_throttle *t = &m->gc->throttle;
	uint64_t cost = bytes * price(m->gc) / 1024, since, until;

	if (cost == 0)
		return;
	since = sm__now_ns();
	until = queue(t, since, cost < COST_MOST ? cost : COST_MOST);
	if (until == since)
		return;
	sm_phase_enter(SM_PHASE_WAIT);
	if (until - since > SLEEP_LEAST_NS) {
		sleep_for(m, since, until - since);
	} else if (sm_load_relaxed(&m->gc->own_cpus)) {
		hold(m, until - since);
	} else {
		sched_yield();
		sm__stall(m, SM_STALL_PACE, since);
	}
	sm_phase_leave(SM_PHASE_WAIT);
}

void sm__throttle_let_by(struct sm_mutator *m)
{
	uint64_t since = sm__now_ns();

	sm_phase_enter(SM_PHASE_WAIT);
	sched_yield();
	sm__stall(m, SM_STALL_PACE, since);
	sm_phase_leave(SM_PHASE_WAIT);
}

/* ---- assists ------------------------------------------------------------------------------ */

/* A mutator marks when it owes this much, and then marks so much more than it owes. */
#define ASSIST_SLACK (64 * SM_KIB)
#define ASSIST_EXTRA (16 * SM_KIB)

/*
 * Bounded in bytes, and in time: 8 KiB are 15 us in a cache, but 512 nodes of a list, each of which
 * misses it. A piece of so many bytes lies between two looks at the clock.
 */
#define ASSIST_NS    20000
#define ASSIST_PIECE 1024

/* Slices in one assist. With as many mutators as CPUs the workers rarely run, so assists do their
 * work, four slices at a time: each begins with cold caches. A wait for a CPU is far longer there
 * than the assist. */
static unsigned slices(const struct sm_gc *gc)
{
	return sm_load_relaxed(&gc->own_cpus) ? 1 : 4;
}

static uint64_t drain_for(struct sm_marker *k, uint64_t want, uint64_t since)
{
	uint64_t done = 0, piece, got, most = ASSIST_NS * slices(k->gc);

	do {
		piece = want - done < ASSIST_PIECE ? want - done : ASSIST_PIECE;
		got = sm__mark_drain(k, piece);
		done += got;
	} while (got >= piece && done < want && sm__now_ns() - since < most);
	return done;
}

/*
 * Marks up to a slice. What is left over goes back to the queue; the mutator counts as active while
 * it holds grey entries, so the queues are not taken for drained.
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
		/* All that is grey is in the hands of workers: one that looks up leaves some here.
		 */
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
	uint64_t ratio = sm_load_relaxed(&gc->throttle.assist_ratio),
		 slice = gc->config.tuning.assist_slice * slices(gc);
	size_t since;

	if (!sm__marking(m) || ratio == 0) {
		p->credit = 0;
		return;
	}
	/* Marking must keep in step with allocation. While it is ahead, by whose work does not
	 * matter, no mutator owes anything. */
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
	/* The queues may be empty for long: the debt of that time is bounded. */
	if (p->credit < -(int64_t)(4 * SM_MIB))
		p->credit = -(int64_t)(4 * SM_MIB);
}
