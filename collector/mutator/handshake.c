/*
 * handshake.c: the handshake engine.
 *
 *   control thread                              a mutator
 *   --------------                              ---------
 *   under mutators_lock:
 *     op, view; pending = n + 1
 *     poll = 1 for each (release)
 *   fence                                       at a safepoint: poll (acquire) != 0
 *   for each that is BLOCKED:                     does op on itself
 *     CAS to HELD, does op for it, back           poll = 0; pending -= 1, the last one wakes
 *   pending -= 1; looks again and again,
 *   later sleeps until it is 0
 *
 * No mutator waits for another: each goes on as soon as its own part is done. Between a request and
 * its completion mutators are on both sides of the change; cycle.c argues for each step why that is
 * harmless.
 *
 * The fence. Entering a blocking section is "state = BLOCKED; fence; look at poll", requesting is
 * "poll = 1; fence; look at state". Both fences are sequentially consistent, so at least one side
 * sees the other: no request is lost between a mutator that just blocked and a requester that just
 * looked (Dekker).
 *
 * A request is over (pending == 0) before the next one is made, so op is stable while anyone may
 * read it.
 */
#include "collector/mutator/handshake.h"

#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "allocator/base/say.h"
#include "collector/mutator/barrier.h"
#include "collector/cycle/gc_internal.h"
#include "collector/mutator/late_signal.h"
#include "collector/mutator/misuse.h"
#include "collector/cycle/sweep.h"

/* ---- what a mutator does, or a proxy for it ----------------------------------------------- */

static void born_black(struct sm_gc *gc, struct sm_mutator_priv *p)
{
	struct sm_mutator *m = p->m;

	p->black_gen = gc->view.black_gen;
	sm__cache(m)->black = true;
	/* The unallocated rest of each window. What was allocated from it before stays white. */
	sm__cache_foreach_window(sm__cache(m), sm__blacken, gc);
}

static void retire_cache(struct sm_mutator_priv *p)
{
	/* Still black while they go back, so that window_returned whitens what was never handed
	 * out. */
	sm__cache_retire_all(sm__cache(p->m));
	sm__cache(p->m)->black = false;
}

/* Everything but standing still. sp: the mutator's stack from here upward. */
static void do_op(struct sm_gc *gc, struct sm_mutator_priv *p, uintptr_t sp)
{
	switch ((enum sm_handshake_op)sm_load_relaxed(&gc->hs.op)) {
	case SM_HS_NONE:
		sm_store_relaxed(&p->cpu,
				 sm_load_relaxed(&p->state) == SM_M_RUNNING ? sched_getcpu() : -1);
		break;
	case SM_HS_BARRIER_ON:
		p->stack_black = p->came_late = false;
		p->m->barrier = gc->view.barrier;
		break;
	case SM_HS_BLACK: born_black(gc, p); break;
	case SM_HS_SCAN: sm__mutator_scan_stack(p, sp); break;
	case SM_HS_FLUSH: sm__barrier_flush(p->m); break;
	case SM_HS_BARRIER_OFF:
		p->m->barrier = gc->view.barrier;
		sm__barrier_discard(p->m);
		break;
	case SM_HS_SLOTS_OFF:
		p->m->barrier = gc->view.barrier;
		sm__armed_give(gc, &p->marker.slots);
		break;
	case SM_HS_GENERATIONS:
		p->m->barrier = gc->view.barrier;
		sm__remember_give(gc, &p->log);
		break;
	case SM_HS_RETIRE: retire_cache(p); break;
	case SM_HS_STOP:
		if (gc->hs.retire)
			retire_cache(p);
		break;
	}
}

static void arrive(struct sm_gc *gc)
{
	/* The requester sees what was done here. It sets `sleeping` and then looks at pending once
	 * more, so one of us sees the other (both sequentially consistent); before that no thread
	 * calls the kernel. */
	if (atomic_fetch_sub_explicit(&gc->hs.pending, 1, memory_order_seq_cst) == 1 &&
	    sm_load_seqcst(&gc->hs.sleeping) != 0)
		sm__futex_wake(&gc->hs.pending, 1);
}

/* Hands a HELD mutator back. */
static void release_mutator(struct sm_mutator_priv *p)
{
	if (sm_exchange_acqrel(&p->state, p->resume_state) == SM_M_HELD_WAITED)
		sm__futex_wake(&p->state, 1);
}

/* The owner sleeps while it is held. */
static void wait_while_held(struct sm_mutator_priv *p)
{
	for (;;) {
		uint32_t s = sm_load_acquire(&p->state);

		if (s == SM_M_HELD && !sm_cas_acqrel(&p->state, &s, SM_M_HELD_WAITED))
			continue;
		if (s != SM_M_HELD && s != SM_M_HELD_WAITED)
			return;
		sm__futex_wait(&p->state, SM_M_HELD_WAITED, 0);
	}
}

static void acknowledge(struct sm_mutator *m, uintptr_t *sp)
{
	struct sm_mutator_priv *p = m->priv;
	struct sm_gc *gc = m->gc;
	bool stop;

	if (sm_load_acquire(sm__poll(m)) == 0)
		return;
	stop = sm_load_relaxed(&gc->hs.op) == SM_HS_STOP;
	sm__delay(gc);
	do_op(gc, p, (uintptr_t)sp);
	sm_store_relaxed(sm__poll(m), 0);
	if (stop) {
		sm__mutator_save_stack(p, sp);
		p->resume_state = SM_M_RUNNING;
		sm_store_release(&p->state, SM_M_HELD);
	}
	arrive(gc);
	if (stop)
		wait_while_held(p);
}

/* sm_safepoint_slow, with the registers. */
size_t sm__safepoint(struct sm_mutator *m, uintptr_t *sp)
{
	struct sm_wait w;
	enum sm_stall_cause cause;

	sm__check_caller(m, "sm_safepoint");
	if (sm_load_acquire(sm__poll(m)) == 0)
		return 0;
	sm__stack_must(m->priv, "sm_safepoint", (uintptr_t)sp);
	w = sm__wait_begin();
	cause = (enum sm_stall_cause)sm_load_relaxed(&m->gc->hs.cause);
	sm_phase_enter(SM_PHASE_WAIT);
	acknowledge(m, sp);
	sm_phase_leave(SM_PHASE_WAIT);
	if (cause == SM_STALL_HANDSHAKE) {
		sm__wait_end(m, cause, &w);
	} else {
		(void)sm__wait_over(&w);
		sm__stall(m, cause, w.since);
	}
	return sm__dead_stack(m->priv, sp);
}

/* ---- blocking sections -------------------------------------------------------------------- */

/* sm_blocking_enter, with the registers. */
size_t sm__block(struct sm_mutator *m, uintptr_t *sp)
{
	struct sm_mutator_priv *p;

	sm__check_owner(m, "sm_blocking_enter");
	p = m->priv;
	if (p->blocking++ > 0)
		return 0;
	sm__stack_must(p, "sm_blocking_enter", (uintptr_t)sp);
	for (;;) {
		uint32_t s = SM_M_BLOCKED;

		sm__mutator_save_stack(p, sp);
		sm_store_release(&p->state, SM_M_BLOCKED);
		/* See above: from here on a proxy may act, or we see its request. */
		sm_fence_seqcst();
		if (sm_load_seqcst(sm__poll(m)) == 0)
			return 0;
		/* Asked in the meantime. If the proxy was faster it does the rest. */
		if (!sm_cas_acqrel(&p->state, &s, SM_M_RUNNING))
			return 0;
		acknowledge(m, sp);
	}
}

/* The state is BLOCKED, or a proxy's. Acquire: what a proxy did to our cache and buffer while it
 * held us. */
void sm__become_running(struct sm_mutator *m)
{
	struct sm_mutator_priv *p = m->priv;
	uint32_t s = SM_M_BLOCKED;
	enum sm_stall_cause cause;
	uint64_t t0;

	if (SM_LIKELY(sm_cas_acqrel(&p->state, &s, SM_M_RUNNING)))
		return;
	cause = (enum sm_stall_cause)sm_load_relaxed(&m->gc->hs.cause);
	t0 = sm__now_ns();
	sm_phase_enter(SM_PHASE_WAIT);
	do {
		wait_while_held(p);
		s = SM_M_BLOCKED;
	} while (!sm_cas_acqrel(&p->state, &s, SM_M_RUNNING));
	sm_phase_leave(SM_PHASE_WAIT);
	sm__stall(m, cause, t0);
}

/* What the thread can reach is what enter saw, as far as that was copied or is still in its place.
 */
static void check_frames(struct sm_mutator_priv *p, uintptr_t sp)
{
	const struct sm_thread_range *entered = p->on;

	if (!sm__stack_find(p, sp) || p->on != entered)
		sm__misuse("sm_blocking_leave", p->m,
			   "the section was entered on another stack, at %p", (void *)p->sp);
	if (sp > p->sp + SM_SAVED_BYTES)
		sm__misuse("sm_blocking_leave", p->m,
			   "functions with more than %zu KiB of frames have returned since they "
			   "called "
			   "sm_blocking_enter at %p; use sm_blocking_call",
			   SM_SAVED_BYTES / SM_KIB, (void *)p->sp);
}

/* sm_blocking_leave, with the registers. */
size_t sm__unblock(struct sm_mutator *m, uintptr_t *sp)
{
	struct sm_mutator_priv *p;
	size_t dead;

	sm__check_owner(m, "sm_blocking_leave");
	p = m->priv;
	if (p->blocking == 0)
		sm__misuse("sm_blocking_leave", m, "the mutator is in no blocking section");
	if (p->blocking > 1) {
		p->blocking--;
		return 0;
	}
	/* First ours again: until then a proxy may be reading `on`, which check_frames writes. */
	sm__become_running(m);
	p->blocking = 0;
	check_frames(p, (uintptr_t)sp);
	dead = sm__safepoint(m, sp);
	return dead == 0 && m->gc->config.verify ? sm__dead_stack(p, sp) : dead;
}

void *sm_blocking_call(struct sm_mutator *m, void *(*fn)(void *arg), void *arg)
{
	void *value;

	sm_blocking_enter(m);
	value = fn(arg);
	sm_blocking_leave(m);
	return value;
}

/* ---- the requester ------------------------------------------------------------------------ */

/* Acts for p if it is blocked. mutators_lock is held, so p stays. */
static void try_proxy(struct sm_gc *gc, struct sm_mutator_priv *p)
{
	uint32_t s = SM_M_BLOCKED;

	if (sm_load_relaxed(sm__poll(p->m)) == 0 || !sm_cas_acqrel(&p->state, &s, SM_M_HELD))
		return;
	p->resume_state = SM_M_BLOCKED;
	if (sm_load_relaxed(sm__poll(p->m)) == 0) {
		/* It acknowledged and blocked between the two looks. */
		release_mutator(p);
		return;
	}
	sm__delay(gc);
	do_op(gc, p, p->sp);
	sm_store_relaxed(sm__poll(p->m), 0);
	sm_fetch_sub_acqrel(&gc->hs.pending, 1);
	if (sm_load_relaxed(&gc->hs.op) != SM_HS_STOP)
		release_mutator(p);
}

static void try_proxies(struct sm_gc *gc)
{
	sm_lock_acquire(&gc->mutators_lock);
	for (struct sm_mutator_priv *p = gc->mutators; p; p = p->next)
		try_proxy(gc, p);
	sm_lock_release(&gc->mutators_lock);
}

/* The views that mutators attaching from now on start with. mutators_lock is held. */
static void set_view_locked(struct sm_gc *gc, enum sm_handshake_op op)
{
	switch (op) {
	case SM_HS_BARRIER_ON:
		gc->view.barrier |= SM__BARRIER_MARK;
		if (sm_load_relaxed(&gc->armed.on))
			gc->view.barrier |= SM__BARRIER_SLOTS;
		break;
	case SM_HS_BLACK:
		gc->view.black = true;
		gc->view.black_gen = sm_load_relaxed(&gc->heap->sweepgen);
		break;
	case SM_HS_SCAN: gc->view.scan = true; break;
	case SM_HS_BARRIER_OFF:
		gc->view.barrier &= (uint8_t)~SM__BARRIER_MARK;
		gc->view.scan = false;
		break;
	case SM_HS_SLOTS_OFF: gc->view.barrier &= (uint8_t)~SM__BARRIER_SLOTS; break;
	case SM_HS_GENERATIONS: gc->view.barrier ^= sm__remember_barrier(gc); break;
	case SM_HS_RETIRE: gc->view.black = false; break;
	default: break;
	}
}

static void request(struct sm_gc *gc, enum sm_handshake_op op, bool retire_windows,
		    enum sm_stall_cause cause)
{
	sm_lock_acquire(&gc->mutators_lock);
	SM_CHECK(sm_load_relaxed(&gc->hs.pending) == 0);
	sm_store_relaxed(&gc->hs.op, (uint32_t)op);
	sm_store_relaxed(&gc->hs.cause, (uint32_t)cause);
	gc->hs.retire = retire_windows;
	gc->hs.stopping = op == SM_HS_STOP;
	set_view_locked(gc, op);
	sm_store_relaxed(&gc->hs.pending, gc->nmutators + 1);
	/* Release: a mutator that sees poll sees op, view and pending. */
	for (struct sm_mutator_priv *p = gc->mutators; p; p = p->next)
		sm_store_release(sm__poll(p->m), 1);
	sm_lock_release(&gc->mutators_lock);
	sm_fence_seqcst();
}

/* Lines of a report, made under mutators_lock and written after it: standard error may block. */
struct report {
	char text[4096];
	size_t n;
	unsigned left_out;
};

static void add_late_locked(struct report *r, struct sm_gc *gc, struct sm_mutator_priv *p,
			    uint64_t waited)
{
	size_t room = sizeof(r->text) - r->n;
	int n;

	sm_store_relaxed(&gc->hs.late, sm_load_relaxed(&gc->hs.late) + 1); /* only here */
	n = snprintf(r->text + r->n, room,
		     "spanmark: thread %d has not reached a safepoint for %llu ms: stack %p-%p, "
		     "last seen at "
		     "pc %p; "
		     "use sm_safepoint() in long loops and sm_blocking_enter() before blocking\n",
		     (int)p->tid, (unsigned long long)(waited / 1000000), (void *)p->own.start,
		     (void *)p->own.end, (void *)sm_load_relaxed(&p->interrupted_pc));
	if (n > 0 && (size_t)n < room)
		r->n += (size_t)n;
	else
		r->left_out++;
}

static void write_report(struct report *r)
{
	if (r->n != 0)
		sm__say_line(r->text, r->n);
	if (r->left_out != 0)
		sm__say("and %u more threads have not", r->left_out);
}

/* Signals (or reports) every mutator that has been asked and has neither acknowledged nor blocked.
 */
static void prod_late(struct sm_gc *gc, uint64_t waited, bool say)
{
	bool may_signal = !say && sm__signal_usable();
	struct report r;

	r.n = r.left_out = 0;
	sm_lock_acquire(&gc->mutators_lock);
	for (struct sm_mutator_priv *p = gc->mutators; p; p = p->next) {
		if (sm_load_relaxed(sm__poll(p->m)) == 0)
			continue;
		if (say)
			add_late_locked(&r, gc, p, waited);
		else if (may_signal)
			syscall(SYS_tgkill, getpid(), p->tid, SM_LATE_SIGNAL);
	}
	sm_lock_release(&gc->mutators_lock);
	write_report(&r);
}

/*
 * Mutators that allocate reach a safepoint every few microseconds, and one that has lost its CPU
 * for a moment, or waits for a page fault, after some hundred. To be woken by one of them would
 * cost it a system call, and more: the scheduler likes to put a woken thread on the CPU of its
 * waker, where the mutator then waits until this thread sleeps again or its time slice is over
 * (seen: 1 to 4 ms, at every other cycle of `ring`). So this thread spins, then looks every so
 * often on its own, and only then, for a mutator that is really late, sleeps until it is woken.
 */
#define SPIN_NS 20000
#define LOOK_NS 50000
#define LOOKS	40

static bool spin_for_mutators(struct sm_gc *gc, uint64_t since)
{
	while (sm_load_acquire(&gc->hs.pending) != 0) {
		for (int i = 0; i < 16; i++)
			sm_cpu_relax();
		if (sm__now_ns() - since > SPIN_NS)
			return false;
	}
	return true;
}

/* Sleeps a while at a time; no mutator wakes us, for `sleeping` is not set. */
static bool look_again(struct sm_gc *gc)
{
	for (int i = 0; i < LOOKS; i++) {
		uint32_t left = sm_load_seqcst(&gc->hs.pending);

		if (left == 0)
			return true;
		sm__futex_wait(&gc->hs.pending, left, LOOK_NS);
	}
	return sm_load_seqcst(&gc->hs.pending) == 0;
}

static void wait_until_woken(struct sm_gc *gc, uint64_t since)
{
	uint64_t signal_ns = (uint64_t)gc->config.tuning.signal_ms * 1000000;
	uint64_t report_ns = (uint64_t)gc->config.tuning.report_ms * 1000000;
	bool signalled = signal_ns == 0, reported = report_ns == 0;

	sm_store_seqcst(&gc->hs.sleeping, 1);
	for (;;) {
		uint32_t left = sm_load_seqcst(&gc->hs.pending);
		uint64_t waited;

		if (left == 0) {
			sm_store_relaxed(&gc->hs.sleeping, 0);
			return;
		}
		sm__futex_wait(&gc->hs.pending, left, 5 * 1000000);
		waited = sm__now_ns() - since;
		if (!signalled && waited > signal_ns) {
			signalled = true;
			prod_late(gc, waited, false);
		}
		if (!reported && waited > report_ns) {
			reported = true;
			prod_late(gc, waited, true);
		}
	}
}

static void wait_all(struct sm_gc *gc, uint64_t since)
{
	if (spin_for_mutators(gc, since))
		return;
	/* As many mutators as CPUs: a late one waits for a CPU, behind mutators that have answered
	 * long since. */
	sm_store_relaxed(&gc->throttle.let_by, !sm_load_relaxed(&gc->own_cpus));
	if (!look_again(gc))
		wait_until_woken(gc, since);
	sm_store_relaxed(&gc->throttle.let_by, 0);
}

static void ask_and_wait(struct sm_gc *gc, enum sm_handshake_op op, bool retire_windows,
			 enum sm_stall_cause cause)
{
	uint64_t t0 = sm__now_ns();

	request(gc, op, retire_windows, cause);
	try_proxies(gc);
	if (sm_fetch_sub_acqrel(&gc->hs.pending, 1) != 1)
		wait_all(gc, t0);
	sm__stall_record(&gc->hs.rounds, sm__now_ns() - t0, SM_KEPT_UNKNOWN);
}

void sm__handshake(struct sm_gc *gc, enum sm_handshake_op op)
{
	ask_and_wait(gc, op, false, SM_STALL_HANDSHAKE);
}

void sm__world_stop_for(struct sm_gc *gc, bool retire_windows, enum sm_stall_cause cause)
{
	ask_and_wait(gc, SM_HS_STOP, retire_windows, cause);
}

void sm__world_stop(struct sm_gc *gc, bool retire_windows)
{
	sm__world_stop_for(gc, retire_windows, SM_STALL_STOP);
}

void sm__world_resume(struct sm_gc *gc)
{
	sm_lock_acquire(&gc->mutators_lock);
	for (struct sm_mutator_priv *p = gc->mutators; p; p = p->next)
		release_mutator(p);
	gc->hs.stopping = false;
	sm_lock_release(&gc->mutators_lock);
	sm__event_signal(&gc->hs.resumed);
}
