/*
 * mutator.c: attaching, detaching, and the mutator's own stack.
 *
 * Blocked stacks. Between sm_blocking_enter and leave a proxy may scan the thread's stack while the
 * thread runs. The thread touches no collected object then, but its compiler may still move values
 * between registers and stack slots, and the function that called enter may return: a register that
 * it had saved in its frame is then in a register alone, where no proxy can look. What the thread
 * can reach is fixed at enter: the callee-saved registers, spilled there, and the words above. So
 * enter keeps a copy of the registers and of what points into the heap among the first
 * SM_SAVED_BYTES above, and the proxy scans both the copy and the live stack. A word that moved
 * after enter is in the copy, unless frames of more than SM_SAVED_BYTES have returned since: leave
 * finds that out, and ends the program whether or not something was lost. How deep frames will
 * return cannot be known at enter, and to copy whole stacks would cost what they are deep. Within
 * sm_blocking_call none returns.
 *
 * Attaching and detaching happen at any moment of a cycle. Attaching takes the view of the latest
 * handshake under mutators_lock, where requests are made: a request made before counts without this
 * mutator, which already has the view it leads to; one made after counts on it. If stacks have been
 * asked for in this cycle, it scans its own before it returns, so before it can acknowledge a
 * termination round; by the door: when marking is over, all that the giver of a pointer keeps alive
 * for it is black, and what else its stack holds is dead.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "allocator/base/list.h"
#include "allocator/os/os.h"
#include "collector/mutator/barrier.h"
#include "collector/mutator/fork.h"
#include "collector/cycle/gc_internal.h"
#include "collector/types/inspect.h"
#include "collector/mutator/misuse.h"

/* ---- stacks ------------------------------------------------------------------------------- */

__attribute__((no_sanitize("address", "thread"))) void
sm__mutator_save_stack(struct sm_mutator_priv *p, uintptr_t *sp)
{
	const volatile uintptr_t *from = sp;
	size_t words = (p->on->end - (uintptr_t)sp) / sizeof(uintptr_t), n = 0;
	uintptr_t base = p->marker.base, bytes = p->marker.bytes;

	p->sp = (uintptr_t)sp;
	if (words > SM_SAVED_WORDS)
		words = SM_SAVED_WORDS;
	/* No branch depends on what the words are. Half a ns each: a copy of everything takes as
	 * long. */
	for (size_t i = 0; i < words; i++) {
		uintptr_t v = from[i];

		p->saved[n] = v;
		n += v - base < bytes;
	}
	p->nsaved = n;
}

/*
 * What lies below the stack's end is garbage that the holes of the next frames show to the next
 * scan, objects' addresses among it: marking and the barrier's flush leave them. One that leads
 * into a list keeps all that was appended since: `ring` kept 130,000 messages for a cycle so. Hence
 * a thread that marks for a mutator, on its stack, has it cleared afterwards, and so does each
 * acknowledgement: as deep as the collector's own frames go; with gc.verify, as deep as anything
 * may.
 */
#define CLEAR_OWN (4 * SM_KIB)
#define CLEAR_ALL (96 * SM_KIB)
#define CLEAR_FAR (64 * SM_KIB) /* from the stack's end */

/* 0: too near to the stack's end. */
static size_t if_room(struct sm_mutator_priv *p, const uintptr_t *sp, size_t bytes)
{
	if (!sm__stack_find(p, (uintptr_t)sp))
		return 0;
	return (uintptr_t)sp > p->on->start + bytes + CLEAR_FAR ? bytes : 0;
}

size_t sm__own_frames(struct sm_mutator_priv *p, const uintptr_t *sp)
{
	return if_room(p, sp, CLEAR_OWN);
}

size_t sm__dead_stack(struct sm_mutator_priv *p, const uintptr_t *sp)
{
	size_t all = p->m->gc->config.verify ? if_room(p, sp, CLEAR_ALL) : 0;

	return all ? all : sm__own_frames(p, sp);
}

/* One on which no thread runs. */
static void scan_suspended(struct sm_mutator_priv *p, struct sm_thread_range *r)
{
	struct sm_marker *k = &p->marker;

	sm__mark_stack(k, sm__stack_low(p, r), r->end);
	if (r->left)
		sm__mark_stack(k, (uintptr_t)r->registers,
			       (uintptr_t)(r->registers + SM_REGISTER_WORDS));
}

static void scan_stacks(struct sm_mutator_priv *p, uintptr_t sp)
{
	struct sm_marker *k = &p->marker;

	sm__mark_stack(k, sp, p->on->end);
	if (sm_load_relaxed(&p->state) != SM_M_RUNNING)
		sm__mark_stack(k, (uintptr_t)p->saved, (uintptr_t)(p->saved + p->nsaved));
	if (p->on != &p->own)
		scan_suspended(p, &p->own);
	for (struct sm_thread_range *r = p->ranges; r; r = r->next) {
		if (r != p->on)
			scan_suspended(p, r);
	}
}

/* With everything that this mutator alone can reach marked, it is black. */
void sm__mutator_scan_stack(struct sm_mutator_priv *p, uintptr_t sp)
{
	struct sm_marking in;

	sm_phase_enter(SM_PHASE_STACK_SCAN);
	p->came_late = !sm__marking_enter(&in, &p->marker);
	if (!p->came_late) {
		scan_stacks(p, sp);
		sm__marking_leave(&in);
	}
	p->stack_black = true;
	sm__remember_give(p->m->gc, &p->log);
	sm_phase_leave(SM_PHASE_STACK_SCAN);
}

static size_t scan_own_stack(void *arg, uintptr_t *sp)
{
	sm__mutator_scan_stack(arg, (uintptr_t)sp);
	return sm__dead_stack(arg, sp);
}

/* ---- making, keeping ---------------------------------------------------------------------- */

static size_t private_bytes(void)
{
	return sm_align_up(sizeof(struct sm_mutator_block), SM_CACHELINE) +
	       sizeof(struct sm_mutator_priv);
}

static void free_mutator(struct sm_mutator *m)
{
	free(m->priv->buffer);
	sm__os_unmap(m, private_bytes());
}

static struct sm_mutator *map_mutator(struct sm_gc *gc)
{
	struct sm_mutator *m;
	struct sm_mutator_priv *p;
	size_t entries = gc->config.tuning.barrier_buffer;

	m = sm__os_map(private_bytes());
	if (m == NULL)
		return NULL;
	p = (struct sm_mutator_priv *)((char *)m +
				       sm_align_up(sizeof(struct sm_mutator_block), SM_CACHELINE));
	m->gc = gc;
	m->priv = p;
	m->heap_base = gc->range.base;
	m->heap_bytes = gc->range.bytes;
	m->cards = (uint8_t *)gc->remember.cards;
	p->m = m;
	p->buffer = malloc(entries * sizeof(void *));
	if (p->buffer == NULL) {
		sm__os_unmap(m, private_bytes());
		return NULL;
	}
	m->buf_end = p->buffer + entries;
	return m;
}

/* NULL: no memory. */
static struct sm_mutator *new_mutator(struct sm_gc *gc)
{
	struct sm_mutator *m = map_mutator(gc);
	struct sm_mutator_priv *p;

	if (m == NULL)
		return NULL;
	p = m->priv;
	if (sm__marker_init(&p->marker, gc, 0) != 0) {
		free_mutator(m);
		return NULL;
	}
	p->marker.quiet = true;
	if (sm__cache_init(sm__cache(m), gc->heap, m) != 0) {
		sm__marker_fini(&p->marker);
		free_mutator(m);
		return NULL;
	}
	return m;
}

static void end_mutator(struct sm_mutator *m)
{
	sm__cache_fini(sm__cache(m));
	sm__marker_fini(&m->priv->marker);
	free_mutator(m);
}

/* One of a thread that is gone, or a new one. */
static struct sm_mutator *take_mutator(struct sm_gc *gc)
{
	struct sm_mutator_priv *p;

	sm_lock_acquire(&gc->mutators_lock);
	p = gc->idle;
	if (p) {
		gc->idle = p->next;
		gc->nidle--;
	}
	sm_lock_release(&gc->mutators_lock);
	if (p == NULL)
		return new_mutator(gc);
	sm__cache_reuse(sm__cache(p->m));
	return p->m;
}

/*
 * So many wait for the next thread: 77 KiB each, of which what was used is in memory. They stay
 * mapped, so that a call with a mutator that is detached takes a slow path (misuse.h); beyond, they
 * are unmapped.
 */
#define IDLE_MOST 64

/* m is on no list. False: there are enough. */
static bool keep_locked(struct sm_gc *gc, struct sm_mutator *m)
{
	struct sm_mutator_priv *p = m->priv;

	p->owner = NULL;
	if (gc->nidle >= IDLE_MOST)
		return false;
	/* Whatever is done with it from here on takes a slow path. */
	sm_store_relaxed(sm__poll(m), 1);
	m->barrier = SM__BARRIER_MARK;
	p->stack_black = false;
	m->buf_next = m->buf_end - 1;
	p->next = gc->idle;
	gc->idle = p;
	gc->nidle++;
	return true;
}

void sm__mutators_fini(struct sm_gc *gc)
{
	while (gc->idle) {
		struct sm_mutator *m = gc->idle->m;

		gc->idle = gc->idle->next;
		end_mutator(m);
	}
	gc->nidle = 0;
}

/* ---- attach ------------------------------------------------------------------------------- */

static pthread_key_t ending;
static pthread_once_t ending_once = PTHREAD_ONCE_INIT;
static int ending_error;

static void leave_collector(struct sm_mutator *m);

/*
 * A thread ends with mutators attached. Other destructors of the program may still use them, so
 * this one takes its turn in the last round. (C++ runs those of thread_local variables before all
 * of these.)
 */
static void thread_ends(void *arg)
{
	struct sm_thread *t = &sm__self;

	if (++t->rounds < PTHREAD_DESTRUCTOR_ITERATIONS && pthread_setspecific(ending, arg) == 0)
		return;
	t->rounds = 0;
	while (t->mutators) {
		struct sm_mutator_priv *p = t->mutators;

		/* Cancelled in a blocking section, or returned out of it. */
		if (p->blocking) {
			sm__become_running(p->m);
			p->blocking = 0;
			p->on = &p->own;
		}
		leave_collector(p->m);
	}
}

static void make_key(void)
{
	ending_error = pthread_key_create(&ending, thread_ends);
}

/* 0 or -errno. */
static int watch_ending(void)
{
	pthread_once(&ending_once, make_key);
	if (ending_error)
		return -ending_error;
	return sm__self.mutators ? 0 : -pthread_setspecific(ending, &sm__self);
}

struct sm_mutator *sm_mutator_current(struct sm_gc *gc)
{
	for (struct sm_mutator_priv *p = sm__self.mutators; p; p = p->mine) {
		if (p->m->gc == gc)
			return p->m;
	}
	return NULL;
}

/* All that belongs to a thread rather than to the mutator. */
static void begin(struct sm_mutator_priv *p)
{
	struct sm_mutator *m = p->m;

	sm_store_relaxed(&p->cpu, sched_getcpu());
	sm_store_relaxed(&p->state, SM_M_RUNNING);
	sm_store_relaxed(&p->interrupted_pc, 0);
	p->tid = sm__self.tid;
	p->own = (struct sm_thread_range){.start = sm__self.stack_lo, .end = sm__self.stack_hi};
	p->on = &p->own;
	p->stack_black = p->came_late = false;
	p->blocking = p->refills = 0;
	p->credit = 0;
	p->oom = (struct sm_oom){0};
	p->stalls.told = NULL;
	p->attached = 1;
	m->buf_next = p->buffer;
	sm__marker_here(&p->marker);
}

/* Links m with the view of the latest handshake; true: it must scan its stack. */
static bool join(struct sm_gc *gc, struct sm_mutator_priv *p)
{
	struct sm_mutator *m = p->m;
	bool scan;

	sm_lock_acquire(&gc->mutators_lock);
	while (gc->hs.stopping) {
		uint32_t seq = sm__event_prepare(&gc->hs.resumed);

		sm_lock_release(&gc->mutators_lock);
		sm__event_wait(&gc->hs.resumed, seq, 0);
		sm_lock_acquire(&gc->mutators_lock);
	}
	sm_store_relaxed(sm__poll(m), 0);
	m->barrier = gc->view.barrier;
	sm__cache(m)->black = gc->view.black;
	p->black_gen = gc->view.black_gen;
	scan = gc->view.scan;
	SM_LIST_PUSH(gc->mutators, p);
	gc->nmutators++;
	sm_lock_release(&gc->mutators_lock);
	return scan;
}

/* Of a thread with mutators of several collectors, the one that was attached last has them all. */
static void waited_for_lock(void *mutator, uint64_t ns)
{
	struct sm_mutator_priv *p = mutator;

	sm__stall_note(&p->stalls, SM_STALL_LOCK, ns, SM_KEPT_UNKNOWN);
}

/* The thread's mutator, which it has already: one more detach undoes this. */
static struct sm_mutator *attach_again(struct sm_mutator *m)
{
	if (m->priv->blocking) {
		errno = EBUSY;
		return NULL;
	}
	m->priv->attached++;
	return m;
}

static struct sm_mutator *fail_attach(struct sm_gc *gc, struct sm_mutator *m, int err)
{
	bool kept = true;

	if (m) {
		sm_lock_acquire(&gc->mutators_lock);
		kept = keep_locked(gc, m);
		sm_lock_release(&gc->mutators_lock);
	}
	if (!kept)
		end_mutator(m);
	errno = err;
	return NULL;
}

struct sm_mutator *sm_mutator_attach(struct sm_gc *gc)
{
	struct sm_mutator *m = sm_mutator_current(gc);
	struct sm_mutator_priv *p;
	int err;

	if (m)
		return attach_again(m);
	if (!sm__gc_lives(gc))
		return fail_attach(gc, NULL, EINVAL);
	sm__not_in_callback(gc, "sm_mutator_attach");
	err = sm__thread_know();
	if (err == 0)
		err = watch_ending();
	if (err)
		return fail_attach(gc, NULL, -err);
	m = take_mutator(gc);
	if (m == NULL)
		return fail_attach(gc, NULL, ENOMEM);
	p = m->priv;
	/* The bounds first: once linked, a proxy may scan. */
	begin(p);
	if (!sm__stack_find(p, (uintptr_t)__builtin_frame_address(0)))
		return fail_attach(gc, m, EINVAL);
	p->owner = &sm__self;
	p->mine = sm__self.mutators;
	sm__self.mutators = p;
	p->lock_watch = (struct sm_lock_watch){waited_for_lock, p};
	(void)sm__lock_watch(&p->lock_watch);
	sm__delay(gc);
	if (join(gc, p))
		sm__with_registers(scan_own_stack, p);
	return m;
}

/* ---- detach ------------------------------------------------------------------------------- */

static void unlink_locked(struct sm_gc *gc, struct sm_mutator_priv *p)
{
	SM_LIST_REMOVE(gc->mutators, p);
	gc->nmutators--;
}

/* The figures of most threads that come and go are zero. */
static void hand_over_figures(struct sm_gc *gc, struct sm_mutator_priv *p)
{
	uint64_t waits = sm_load_relaxed(&p->stalls.recent_max_ns);

	for (unsigned c = 0; c < SM_STALL_CAUSES; c++)
		waits += sm_load_relaxed(&p->stalls.cause[c].count);
	if (waits == 0 && p->marker.n.objects == 0 && p->marker.n.scanned == 0)
		return;
	sm_lock_acquire(&gc->stats_lock);
	for (unsigned c = 0; c < SM_STALL_CAUSES; c++)
		sm__stall_add(&gc->dead_stalls.cause[c], &p->stalls.cause[c]);
	sm__stall_recent(&gc->dead_stalls, sm_load_relaxed(&p->stalls.recent_max_ns));
	sm__mark_counts_add(&gc->dead_counts, &p->marker.n);
	sm__span_counts_take(&gc->dead_spans, &p->marker);
	sm_lock_release(&gc->stats_lock);
	sm__stall_clear(&p->stalls);
}

static void forget_mine(struct sm_mutator_priv *p)
{
	struct sm_mutator_priv **at = &sm__self.mutators;

	while (*at != p)
		at = &(*at)->mine;
	*at = p->mine;
	(void)sm__lock_watch(sm__self.mutators ? &sm__self.mutators->lock_watch : NULL);
	if (sm__self.mutators == NULL)
		pthread_setspecific(ending, NULL);
}

static void leave_collector(struct sm_mutator *m)
{
	struct sm_mutator_priv *p = m->priv;
	struct sm_gc *gc = m->gc;
	bool kept;

	/* Requests are made under the lock, so with it held and none pending none can come. */
	for (;;) {
		sm_lock_acquire(&gc->mutators_lock);
		if (sm_load_acquire(sm__poll(m)) == 0)
			break;
		sm_lock_release(&gc->mutators_lock);
		sm_safepoint_slow(m);
	}
	if (sm__marking(m))
		sm__barrier_flush(m);
	sm__armed_give(gc, &p->marker.slots);
	sm__remember_give(gc, &p->log);
	sm__cache_retire_all(sm__cache(m));
	sm__cache(m)->black = false;
	unlink_locked(gc, p);
	forget_mine(p);
	hand_over_figures(gc, p);
	sm__ranges_free(p);
	kept = keep_locked(gc, m);
	sm_lock_release(&gc->mutators_lock);
	if (!kept)
		end_mutator(m);
}

void sm_mutator_detach(struct sm_mutator *m)
{
	sm__check_caller(m, "sm_mutator_detach");
	if (m->priv->attached == 1 && m->priv->collectors)
		sm__misuse("sm_mutator_detach", m, "the mutator is the collector's own");
	if (--m->priv->attached == 0)
		leave_collector(m);
}

/* ---- thread-local ranges ------------------------------------------------------------------ */

int sm_thread_range_add(struct sm_mutator *m, void *start, size_t bytes)
{
	struct sm_thread_range *r;
	struct sm_marking in;
	int err;

	if (!sm__may_use(m) || start == NULL || bytes == 0 ||
	    (uintptr_t)start + bytes < (uintptr_t)start)
		return -EINVAL;
	r = sm__range_add(m->priv, (uintptr_t)start, bytes, &err);
	if (r == NULL)
		return err;
	/* What it already holds: this stack has been scanned, but not these words. */
	if (sm__marking(m) && m->priv->stack_black) {
		if (sm__marking_enter(&in, &m->priv->marker)) {
			sm__mark_stack(&m->priv->marker, r->start, r->end);
			sm__marking_leave(&in);
		} else {
			m->priv->came_late = true;
		}
	}
	return 0;
}

int sm_thread_range_remove(struct sm_mutator *m, void *start)
{
	if (!sm__may_use(m))
		return -EINVAL;
	return sm__range_remove(m->priv, (uintptr_t)start, (uintptr_t)__builtin_frame_address(0));
}
