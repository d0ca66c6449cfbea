/*
 * cycle.c: one cycle, from OFF to OFF, and the control thread that runs it.
 *
 * The control thread runs one cycle at a time. Between cycles it sweeps in the background.
 *
 *        all swept            every mutator                     stacks being scanned,
 *   OFF -----------> STARTING -NONE, BARRIER_ON, BLACK--> MARKING   roots, queues, barriers
 *    ^                                                      |  ^
 *    |                                          queues empty|  | a round found something, or
 *    |                                                      v  | finalizers resurrected something
 *    |                                                  TERMINATING
 *    |                                                      | a FLUSH round found nothing
 *    |                                                      v
 *  all swept <--- SWEEPING <-- RETIRE acked <-- sweepgen += 2 <-- BARRIER_OFF acked
 *
 * The invariant: no black object and no scanned stack leads to a white object unless a path from a
 * grey object, or an entry of some barrier buffer, leads there too. It holds from the moment the
 * last mutator has its barrier on (before, nothing is black but objects that were born so, and what
 * is stored into those is recorded) until the last grey object is gone, and then says: all that is
 * reachable is black.
 *
 * Step by step, with mutators on both sides of each:
 *
 * The door (workq.h). A thread that marks is known to termination: it comes by the door, and counts
 * as active inside:
 *   a worker or an assist        marks what the queues lead to; they are not drained while it does
 *   a mutator, or its proxy      flushes its buffer, in a round or when that is full; scans its
 *                                stack, asked to or attaching; adds a range of its own; reads a
 *                                weak reference; detaches
 *   a thread that is blocked     adds or removes a root; in gc.mode=stw it waits until the world
 *     or not attached            goes on, for a worker may mark with plain stores
 *   the control thread           roots, overflow, resurrection
 *   No other thread marks, whatever it calls (docs/COLLECTOR.md goes through the calls). The door
 *   is open from before the first barrier to the end of marking, and again while what finalizers
 *   resurrected is marked. Found shut by one with its barrier on, marking has ended: what it can
 *   hold is black, and what else its words look like, dead words of a new thread's stack or a
 *   coroutine's, integers in a buffer, is not to be marked: it would not be scanned, and the next
 *   cycle would find it in the queues, when its memory is another's.
 * Doubtful words. From when the door opens until all barriers are off no span goes back to the page
 *   heap (heap->marking), so a descriptor that a doubtful word leads to stays what it is; a file
 *   that is unmapped leaves its span behind (allocator/objects/mapfile.c); and windows that go back
 *   keep their marks (sweep.c). Before all windows are black a doubtful word may lead into one, to
 *   memory that is being set up: what it leads to is marked, but left to the overflow path, which
 *   takes no word there for what it looks like (barrier.c).
 *
 * NONE. When the lists hold no unswept span, a mutator may still be sweeping one that it took on
 *   its way. Sweeping is never interrupted by a safepoint, so after this round no mutator sweeps,
 *   all mark bits are clear, all mutators know that the door is open, and a barrier buffer that
 *   fills during the next step may mark.
 * BARRIER_ON. Each mutator turns its barrier on. One that has not acknowledged stores without
 *   recording: harmless, for nothing is black and nothing is scanned yet.
 * BLACK. Each mutator blackens the rests of its windows and allocates black from then on. Not with
 *   the barrier: a black object that reaches a mutator whose barrier is off may be given a white
 *   one unrecorded. And not with the scan: when this round is over, every store under way began
 *   with every barrier on. Else one that has read the old value of a slot could still overwrite a
 *   value that another mutator stored there unrecorded, scanned its stack, and loaded back.
 *   (tests/model/cycle.pml has both as refuted variants.)
 * SCAN. Each mutator scans its own stack and is black from then on. It may meanwhile meet, in the
 *   heap, pointers from stacks that are still grey: the insertion half of those stacks' owners
 *   records them.
 * Marking. Workers and assists empty the queues.
 * FLUSH. Let t0 be the moment in which the queues were drained, no thread was inside, and FOUND was
 *   cleared: one exchange. Then comes the round, and then one exchange that shuts the door if all
 *   is still so. If it succeeds, nothing was marked since t0: workers had nothing to start from,
 *   and a thread that came by the door would have left FOUND behind. So every entry in every buffer
 *   at t0 was black at t0: it was flushed since, and found marked. So at t0 there was no grey
 *   object and no recorded white one; by the invariant everything reachable was black at t0, and
 *   mutators can only reach what is reachable, or allocate black. One in the middle of a flush, an
 *   attach or sm_weak_get at t0 was not inside yet: it marked nothing before, and if it finds
 *   something white after, the door stays open. (tests/model/terminate.pml has each of them, and
 *   the doors that do not work.)
 * Ephemerons. After the exchange that clears FOUND and before the round, the values of black keys
 *   are marked (and marking goes on): so if the door shuts, each ephemeron's key is white or its
 *   value black (ephemeron.h).
 * Letting go. With the door shut no thread marks, and all that mutators can reach is black: weak
 *   references and ephemerons of white objects are cleared, their finalizers taken, beside mutators
 *   that read them (weak.h). Resurrecting makes objects grey: a NONE round, the door opens again,
 *   and marking goes on. Nothing is lost by what was not marked in between: all that was reachable
 *   then was black.
 * BARRIER_OFF. Buffers are forgotten: their entries are black. Black allocation goes on. Then
 *   nothing grey is left anywhere, which is checked.
 * sweepgen += 2 only after all have acknowledged: no thread marks any more. Refills and sweepers
 *   begin to sweep; what a mutator takes under its old view is black in spans of the old generation
 *   (sweep.c).
 * RETIRE. Each mutator gives its windows back, after which its view is that of the new generation.
 *   Only then can every unswept span be on a list, so only then can sweeping come to an end.
 *
 * gc.mode=stw: the same marking between sm__world_stop, which retires the windows first, and
 * sm__world_resume. No barrier is ever on, nothing is born black.
 */
#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>

#include "collector/cycle/cycle.h"
#include "allocator/base/phase.h"
#include "allocator/objects/cache_cpu.h"
#include "allocator/objects/markmap.h"
#include "collector/cycle/gc_internal.h"
#include "collector/cycle/gcstats.h"
#include "collector/cycle/gctrace.h"
#include "collector/types/inspect.h"
#include "collector/cycle/sweep.h"
#include "collector/cycle/verify.h"

void sm__delay_slow(struct sm_gc *gc)
{
	static __thread uint64_t seed;
	uint64_t us;

	if (seed == 0)
		seed = sm__now_ns() | 1;
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	/* Mostly nothing, now and then long: what makes a rare interleaving likely. */
	if (seed % 8 == 0) {
		us = (seed >> 8) % gc->config.tuning.delay_us + 1;
		nanosleep(&(struct timespec){(time_t)(us / 1000000), (long)(us % 1000000 * 1000)},
			  NULL);
	}
}

static void set_phase(struct sm_gc *gc, enum sm_gc_phase phase)
{
	sm_store_release(&gc->phase, (uint32_t)phase);
	SM_PROBE1(gc_phase, phase);
}

/* ---- marking ------------------------------------------------------------------------------ */

/* Until no marker holds or finds grey entries, the overflow path included. */
static void drain(struct sm_gc *gc)
{
	for (;;) {
		uint64_t scanned;

		sm__workq_wait_drained(&gc->workq);
		/* From here on this thread marks, too (rescan, ephemerons, finalizers). The workers
		 * are idle and read it when they take their next packet. */
		for (unsigned i = 0; i < gc->nall_workers; i++)
			gc->workers[i].marker.plain = false;
		sm__workq_enter(&gc->workq);
		scanned = gc->marker.n.scanned;
		if (!sm__mark_rescan(&gc->marker)) {
			sm__workq_leave(&gc->workq, false);
			return;
		}
		gc->marker.n.rescanned += gc->marker.n.scanned - scanned;
		sm__marker_give(&gc->marker);
		sm__workq_leave(&gc->workq, false);
	}
}

/* Roots that belong to no thread. */
static void push_roots(struct sm_gc *gc)
{
	sm__workq_enter(&gc->workq);
	sm__ephemerons_begin(gc);
	sm__finalizers_roots(gc, &gc->marker);
	sm__roots_begin(gc, &gc->marker);
	sm__marker_give(&gc->marker);
	sm__workq_leave(&gc->workq, false);
}

/*
 * Runs FLUSH rounds (none where mutators stand still) until one finds nothing. Then the door is
 * shut, in the same moment in which that is so.
 */
static void terminate(struct sm_gc *gc)
{
	set_phase(gc, SM_GC_TERMINATING);
	do {
		/* t0 is the moment of the calm. */
		do
			drain(gc);
		while (!sm__workq_calm(&gc->workq) || sm_load_acquire(&gc->overflowed) ||
		       sm__ephemerons_settle(gc, &gc->marker));
		if (gc->config.mode == SM_GC_STW)
			continue;
		gc->cycle.rounds++;
		sm__handshake(gc, SM_HS_FLUSH);
	} while (!sm__workq_shut(&gc->workq));
}

/*
 * The door is shut: what is white is let go, see weak.h. Finalizers resurrect some of it: after the
 * round there is no get of a weak reference that was cleared, and this thread counts before the
 * door opens, so the queues are not taken for drained.
 */
static void mark_to_the_end(struct sm_gc *gc)
{
	terminate(gc);
	sm__weaks_clear(gc);
	sm__ephemerons_clear(gc);
	if (!sm__finalizers_take(gc))
		return;
	if (gc->config.mode == SM_GC_CONCURRENT)
		sm__handshake(gc, SM_HS_NONE);
	sm__workq_enter(&gc->workq);
	sm__workq_open(&gc->workq);
	sm__finalizers_resurrect(gc, &gc->marker);
	sm__marker_give(&gc->marker);
	sm__workq_leave(&gc->workq, false);
	terminate(gc);
}

/* What old objects lead to, of which a minor cycle marks none. Workers help. */
static void mark_remembered(struct sm_gc *gc)
{
	uint64_t t0;

	if (!gc->cycle.generational)
		return;
	if (!gc->cycle.minor) {
		sm__remember_look(gc, NULL);
		return;
	}
	t0 = sm__thread_ns();
	sm__workq_enter(&gc->workq);
	sm__remember_look(gc, &gc->marker);
	gc->cycle.cards_ns += sm__thread_ns() - t0;
	sm__marker_give(&gc->marker);
	sm__workq_leave(&gc->workq, false);
}

static void mark_concurrent(struct sm_gc *gc)
{
	push_roots(gc);
	sm__handshake(gc, SM_HS_SCAN);
	sm__workq_kick(&gc->workq); /* for what the mutators found on their stacks */
	mark_remembered(gc);
	mark_to_the_end(gc);
}

/* Under the lock: a thread that forks, from a blocking section, finds its marker at rest (fork.c).
 */
static void scan_all_stacks_stw(struct sm_gc *gc)
{
	sm_lock_acquire(&gc->mutators_lock);
	for (struct sm_mutator_priv *p = gc->mutators; p; p = p->next)
		sm__mutator_scan_stack(p, p->sp);
	sm_lock_release(&gc->mutators_lock);
}

static void end_workers(struct sm_gc *gc, struct sm_cycle *c)
{
	uint64_t before = c->n.objects;

	sm__workers_end(gc, &c->n);
	c->by_workers += c->n.objects - before;
}

/* Marks that mutators and the control thread made; mutators make none now. */
static void collect_counts(struct sm_gc *gc, struct sm_cycle *c)
{
	sm_lock_acquire(&gc->mutators_lock);
	for (struct sm_mutator_priv *p = gc->mutators; p; p = p->next) {
		sm__mark_counts_add(&c->n, &p->marker.n);
		sm__span_counts_take(&c->spans_n, &p->marker);
	}
	sm_lock_release(&gc->mutators_lock);
	for (unsigned i = 0; i < gc->nall_workers; i++)
		sm__span_counts_take(&c->spans_n, &gc->workers[i].marker);
	sm__mark_counts_add(&c->n, &gc->marker.n);
	sm__span_counts_take(&c->spans_n, &gc->marker);
	sm_lock_acquire(&gc->stats_lock);
	sm__mark_counts_add(&c->n, &gc->dead_counts);
	sm__span_counts_add(&c->spans_n, &gc->dead_spans);
	sm_lock_release(&gc->stats_lock);
}

/* ---- what is told, and checked ------------------------------------------------------------ */

static void tell_program(struct sm_gc *gc, enum sm_cycle_event event)
{
	sm_lock_acquire(&gc->callback_lock);
	if (gc->on_cycle)
		gc->on_cycle(gc->on_cycle_ctx, event);
	sm_lock_release(&gc->callback_lock);
}

static void verify_stopped(struct sm_gc *gc)
{
	unsigned errors = sm__verify_stw(gc) + (unsigned)sm__by_span_left(gc);

	sm_lock_acquire(&gc->stats_lock);
	gc->stats.verify_errors += errors;
	sm_lock_release(&gc->stats_lock);
}

/*
 * Before spans of the old generation are swept: what was marked and not scanned would be scanned in
 * the next cycle, when its memory is another's. The check finds that it happened, not which thread
 * did it.
 */
static void check_all_is_black(struct sm_gc *gc)
{
	SM_CHECK(sm__workq_is_over(&gc->workq));
	SM_CHECK(sm_load_relaxed(&gc->overflowed) == 0);
}

/* Conservative scanners may look at any span from here on, so none may go back to the page heap. */
static void open_marking(struct sm_gc *gc)
{
	sm_store_release(&gc->heap->marking, 1);
	sm__workq_open(&gc->workq);
}

static void marking_is_over(struct sm_gc *gc)
{
	check_all_is_black(gc);
	sm_store_release(&gc->heap->marking, 0);
	sm_store_release(&gc->windows_black, 0);
}

/* ---- the two kinds of cycle --------------------------------------------------------------- */

static void cycle_stw(struct sm_gc *gc, struct sm_cycle *c)
{
	bool alone;

	sm__world_stop(gc, true);
	/* cache.mode=cpu: nothing is black in this mode, so what windows of CPUs hold is swept. */
	sm__cache_drop_cpu_windows(gc->heap);
	/* A refill may have been sweeping when the lists ran empty; now none is. */
	sm__sweep_all(gc, NULL);
	gc->alloc_at_start = gc->born_from = gc->due_from = sm__heap_allocated(gc);
	gc->plain_marks = gc->nall_workers == 1;
	if (c->generational && !c->minor)
		sm__gen_forget(gc);
	open_marking(gc);
	set_phase(gc, SM_GC_MARKING);
	c->marking = sm__now_ns();
	/* Stacks and roots before the workers begin: a worker with plain marks must be alone. */
	scan_all_stacks_stw(gc);
	push_roots(gc);
	alone = gc->plain_marks;
	if (alone)
		mark_remembered(gc);
	if (gc->plain_marks && sm_load_acquire(&gc->overflowed))
		gc->plain_marks = false;
	sm__workers_begin(gc);
	if (!alone)
		mark_remembered(gc);
	mark_to_the_end(gc);
	c->marked = sm__now_ns();
	end_workers(gc, c);
	sm__roots_end(gc);
	if (gc->config.verify)
		verify_stopped(gc);
	marking_is_over(gc);
	sm_store_release(&gc->heap->sweepgen, sm_load_relaxed(&gc->heap->sweepgen) + 2);
	set_phase(gc, SM_GC_SWEEPING);
	sm__world_resume(gc);
}

static void cycle_concurrent(struct sm_gc *gc, struct sm_cycle *c)
{
	size_t due = sm_load_relaxed(&gc->throttle.trigger);

	if (c->generational && !c->minor) {
		/* A refill may still be sweeping; and a thread that adds a root marks as soon as
		 * the door is open. */
		sm__handshake(gc, SM_HS_NONE);
		sm__gen_forget(gc);
	}
	open_marking(gc);
	sm__handshake(gc, SM_HS_NONE);
	gc->alloc_at_start = sm__heap_allocated(gc);
	gc->due_from = due < gc->alloc_at_start ? due : gc->alloc_at_start;
	sm__cpu_avoid_step(gc);
	sm__handshake(gc, SM_HS_BARRIER_ON);
	/* What was allocated since NONE is white, and marked if it is reachable: not to be counted
	 * twice. */
	gc->born_from = sm__heap_allocated(gc);
	sm__handshake(gc, SM_HS_BLACK);
	/* cache.mode=cpu: every mutator leaves black windows from here on; now those that were
	 * there. */
	sm__cache_foreach_cpu_window(gc->heap, sm__blacken, gc);
	sm_store_release(&gc->windows_black, 1);
	set_phase(gc, SM_GC_MARKING);
	c->marking = sm__now_ns();
	sm_store_relaxed(&gc->throttle.assist_ratio,
			 sm__pacer_assist_ratio(&gc->pacer, gc->cycle.heap_before));
	sm__workers_begin(gc);
	mark_concurrent(gc);
	c->marked = sm__now_ns();
	c->born = sm__allocated_since(sm__heap_allocated(gc), gc->born_from);
	sm_store_relaxed(&gc->throttle.assist_ratio, 0);
	end_workers(gc, c);
	sm__roots_end(gc);
	if (gc->config.verify) {
		sm__world_stop(gc, false);
		verify_stopped(gc);
		sm__world_resume(gc);
	}
	sm__handshake(gc, SM_HS_BARRIER_OFF);
	marking_is_over(gc);
	sm_store_release(&gc->heap->sweepgen, sm_load_relaxed(&gc->heap->sweepgen) + 2);
	set_phase(gc, SM_GC_SWEEPING);
	sm__handshake(gc, SM_HS_RETIRE);
}

static bool work_wanted(struct sm_gc *gc)
{
	return sm_load_seqcst(&gc->cycles_wanted) > sm_load_relaxed(&gc->cycles_started) ||
	       sm_load_seqcst(&gc->quit) || sm_load_seqcst(&gc->inspections) != NULL;
}

/* Behind the last cycle's marking, and before the door opens again. */
static void choose_mark(struct sm_gc *gc)
{
	/* The loops by span note no slots. */
	if (sm_load_relaxed(&gc->armed.on))
		sm_store_relaxed(&gc->by_span.on, 0);
	else if (gc->config.mark == SM_GC_MARK_AUTO)
		sm_store_relaxed(&gc->by_span.on, sm__mark_choose(&gc->choice));
	else
		sm_store_relaxed(&gc->by_span.on, gc->config.mark == SM_GC_MARK_SPANS);
}

static void learn_mark(struct sm_gc *gc, const struct sm_cycle *c)
{
	struct sm_mark_cycle m = {.objects = c->n.objects,
				  .ns = (double)(c->worker_ns + c->assist_ns)};

	if (gc->config.mark == SM_GC_MARK_AUTO && !sm_load_relaxed(&gc->armed.on))
		sm__mark_learn(&gc->choice, &m);
}

static void run_cycle(struct sm_gc *gc)
{
	struct sm_cycle *c = &gc->cycle;

	memset(c, 0, sizeof(*c));
	c->start = sm__now_ns();
	c->why = sm_load_relaxed(&gc->throttle.trigger_asked) ? "heap" : "asked";
	sm_store_relaxed(&gc->assist_ns, 0);
	sm_store_relaxed(&gc->assist_cpu_ns, 0);
	sm_store_relaxed(&gc->assist_bytes, 0);
	sm_store_relaxed(&gc->scan_done, 0);
	sm__marker_here(&gc->marker);
	sm__workq_reserve(&gc->workq, SM_WORKQ_SPARE);
	sm__markmap_touch(gc->heap);
	sm__armed_begin(gc);
	choose_mark(gc);
	set_phase(gc, SM_GC_STARTING);
	sm__gen_switch(gc);
	/* Who asks for a full cycle gets this one, or sees that it has begun. */
	sm_lock_acquire(&gc->control_lock);
	atomic_fetch_add_explicit(&gc->cycles_started, 1, memory_order_seq_cst);
	sm__gen_begin(gc, c);
	sm_lock_release(&gc->control_lock);
	c->heap_before = sm__heap_allocated(gc) + sm_load_relaxed(&gc->throttle.live);
	if (gc->config.mode == SM_GC_STW)
		cycle_stw(gc, c);
	else
		cycle_concurrent(gc, c);
	c->off = sm__now_ns();
	collect_counts(gc, c);
	for (unsigned i = 0; i < gc->nall_workers; i++)
		c->worker_ns += gc->workers[i].cpu_ns;
	sm__pace_next_cycle(gc, c);
	learn_mark(gc, c);
	sm__stats_publish(gc, c);
	sm__throttle_end(gc);
}

/* All lists swept, so that the next cycle may start; then the threads that wait for this one may go
 * on. */
static void finish_sweep(struct sm_gc *gc)
{
	uint64_t t0 = sm__now_ns();

	sm__sweep_begin(gc);
	sm__sweep_all(gc, NULL);
	sm__armed_sweep(gc);
	sm__sweep_end(gc);
	sm__keep_limit(gc);
	set_phase(gc, SM_GC_OFF);
	gc->cycle.swept = sm__now_ns();
	sm_lock_acquire(&gc->stats_lock);
	gc->stats.last_sweep_ns = gc->cycle.swept - t0;
	sm_lock_release(&gc->stats_lock);
	if (gc->config.trace)
		sm__trace_cycle(gc, &gc->cycle,
				(unsigned long)sm_load_relaxed(&gc->cycles_started));
	sm__compact_behind(gc);
	tell_program(gc, SM_CYCLE_ENDS);
	sm_store_seqcst(&gc->cycles_completed, sm_load_relaxed(&gc->cycles_started));
	sm__event_signal(&gc->done);
}

void *sm__control_main(void *arg)
{
	struct sm_gc *gc = arg;

	pthread_setname_np(pthread_self(), "sm-control");
	/* It waits in steps of tens of microseconds; the default slack is 50 more. */
	prctl(PR_SET_TIMERSLACK, 1000UL);
	if (gc->config.worker_start)
		gc->config.worker_start(gc->config.worker_ctx, gc->nworkers, "control");
	sm__cpu_avoid_ready(&gc->control_cpu_avoid);
	for (;;) {
		uint32_t seq = sm__event_prepare(&gc->wake);

		if (!work_wanted(gc)) {
			sm__event_wait(&gc->wake, seq, 0);
			continue;
		}
		sm__event_cancel(&gc->wake);
		if (sm_load_seqcst(&gc->quit))
			break;
		sm__inspect_all(gc);
		if (sm_load_seqcst(&gc->cycles_wanted) <= sm_load_relaxed(&gc->cycles_started))
			continue;
		tell_program(gc, SM_CYCLE_BEGINS);
		run_cycle(gc);
		finish_sweep(gc);
	}
	if (gc->config.worker_stop)
		gc->config.worker_stop(gc->config.worker_ctx, gc->nworkers, "control");
	return NULL;
}
