/*
 * mutator.c: attaching, detaching, and the mutator's own stack.
 *
 * Blocked stacks. Between sm_blocking_enter and leave a proxy may scan the thread's stack while the thread
 * runs. The thread touches no collected object then, but its compiler may still move values between
 * registers and stack slots, and the function that called enter may return: a register that it had saved in its
 * frame is then in a register alone, where no proxy can look. What the thread can reach is fixed at enter: the
 * callee-saved registers, spilled there, and the words above. So enter keeps a copy of the registers and of what
 * points into the heap among the first SM_SAVED_BYTES above, and the proxy scans both the copy and the live stack.
 * A word that moved after enter is in the copy, unless frames of more than SM_SAVED_BYTES have returned since:
 * leave finds that out, and ends the program whether or not something was lost. How deep frames will return cannot be
 * known at enter, and to copy whole stacks would cost what they are deep. Within sm_blocking_call none returns.
 *
 * Attaching and detaching happen at any moment of a cycle. Attaching takes the view of the latest
 * handshake under mutators_lock, where requests are made: a request made before counts without this
 * mutator, which already has the view it leads to; one made after counts on it. If stacks have been asked
 * for in this cycle, it scans its own before it returns, so before it can acknowledge a termination round; by the
 * door: when marking is over, all that the giver of a pointer keeps alive for it is black, and what else its stack
 * holds is dead.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include "allocator/base/list.h"
#include "collector/gc_priv.h"

/* The calling thread's mutator (of whichever collector it attached to last), for the signal handler. */
static __thread struct sm_mutator_priv *current;

/* ---- the signal for late mutators ----------------------------------------------------------------- */

static _Atomic(uint32_t) signal_installed;

static void note_where(int sig, siginfo_t *info, void *context)
{
	ucontext_t *uc = context;
	uintptr_t pc = 0;

	(void)sig;
	(void)info;
#if defined(__x86_64__)
	pc = (uintptr_t)uc->uc_mcontext.gregs[REG_RIP];
#elif defined(__aarch64__)
	pc = (uintptr_t)uc->uc_mcontext.pc;
#endif
	if (current)
		sm_store_relaxed(&current->interrupted_pc, pc);
}

void sm__signal_install(void)
{
	struct sigaction old,
		act = {.sa_sigaction = note_where, .sa_flags = SA_SIGINFO | SA_RESTART | SA_ONSTACK};

	if (sm_load_acquire(&signal_installed) || sigaction(SM_LATE_SIGNAL, NULL, &old) != 0)
		return;
	if ((old.sa_flags & SA_SIGINFO) || (old.sa_handler != SIG_DFL && old.sa_handler != SIG_IGN))
		return;
	if (sigaction(SM_LATE_SIGNAL, &act, NULL) == 0)
		sm_store_release(&signal_installed, 1);
}

/* The program may have put its own handler in the place of ours since. */
bool sm__signal_usable(void)
{
	struct sigaction now;

	return sm_load_acquire(&signal_installed) && sigaction(SM_LATE_SIGNAL, NULL, &now) == 0 &&
	       (now.sa_flags & SA_SIGINFO) && now.sa_sigaction == note_where;
}

/* ---- stacks --------------------------------------------------------------------------------------- */

static int stack_bounds(uintptr_t *lo, uintptr_t *hi)
{
	pthread_attr_t attr;
	void *base;
	size_t size;
	int err = pthread_getattr_np(pthread_self(), &attr);

	if (err)
		return -err;
	err = pthread_attr_getstack(&attr, &base, &size);
	pthread_attr_destroy(&attr);
	if (err)
		return -err;
	*lo = (uintptr_t)base;
	*hi = (uintptr_t)base + size;
	return 0;
}

__attribute__((no_sanitize("address", "thread"))) void sm__mutator_save_stack(struct sm_mutator_priv *p,
									      uintptr_t *sp)
{
	const volatile uintptr_t *from = sp;
	size_t words = (p->stack_hi - (uintptr_t)sp) / sizeof(uintptr_t), n = 0;
	uintptr_t base = p->marker.base, bytes = p->marker.bytes;

	p->sp = (uintptr_t)sp;
	if (words > SM_SAVED_WORDS)
		words = SM_SAVED_WORDS;
	/* No branch depends on what the words are: of a deep stack this takes 0.6 us, of most 0.1. */
	for (size_t i = 0; i < words; i++) {
		uintptr_t v = from[i];

		p->saved[n] = v;
		n += v - base < bytes;
	}
	p->nsaved = n;
}

/*
 * What lies below the stack's end is garbage that the holes of the next frames show to the next scan, objects' addresses
 * among it: marking and the barrier's flush leave them. One that leads into a list keeps all that was appended since: `ring`
 * kept 130,000 messages for a cycle so. Hence whoever marks for a mutator, on its stack, has it cleared afterwards, and so
 * does each acknowledgement: as deep as the collector's own frames go; with gc.verify, as deep as anything may.
 */
#define CLEAR_OWN (4 * SM_KIB)
#define CLEAR_ALL (96 * SM_KIB)
#define CLEAR_FAR (64 * SM_KIB) /* from the stack's end */

/* 0: too near to the stack's end. */
static size_t if_room(const struct sm_mutator_priv *p, const uintptr_t *sp, size_t bytes)
{
	return (uintptr_t)sp > p->stack_lo + bytes + CLEAR_FAR ? bytes : 0;
}

size_t sm__own_frames(const struct sm_mutator_priv *p, const uintptr_t *sp)
{
	return if_room(p, sp, CLEAR_OWN);
}

size_t sm__dead_stack(const struct sm_mutator_priv *p, const uintptr_t *sp)
{
	size_t all = p->m->gc->config.verify ? if_room(p, sp, CLEAR_ALL) : 0;

	return all ? all : sm__own_frames(p, sp);
}

/* With everything that this mutator alone can reach marked, it is black. */
void sm__mutator_scan_stack(struct sm_mutator_priv *p, uintptr_t sp)
{
	struct sm_marker *k = &p->marker;
	struct sm_marking in;

	sm_phase_enter(SM_PHASE_STACK_SCAN);
	if (sp < p->stack_lo || sp > p->stack_hi)
		sm__fatal(__FILE__, __LINE__,
			  "thread %d is at a safepoint on a foreign stack: %p, not in %p-%p", (int)p->tid,
			  (void *)sp, (void *)p->stack_lo, (void *)p->stack_hi);
	if (sm__marking_enter(&in, k)) {
		sm__mark_stack(k, SM_IS_MUTANT(8) && sp + 256 < p->stack_hi ? sp + 256 : sp, p->stack_hi);
		if (sm_load_relaxed(&p->state) != SM_M_RUNNING && !SM_IS_MUTANT(8))
			sm__mark_stack(k, (uintptr_t)p->saved, (uintptr_t)(p->saved + p->nsaved));
		for (struct sm_thread_range *r = p->ranges; r; r = r->next)
			sm__mark_stack(k, r->start, r->end);
		sm__marking_leave(&in);
	}
	p->stack_black = true;
	sm_phase_leave(SM_PHASE_STACK_SCAN);
}

static size_t scan_own_stack(void *arg, uintptr_t *sp)
{
	sm__mutator_scan_stack(arg, (uintptr_t)sp);
	return sm__dead_stack(arg, sp);
}

/* ---- attach --------------------------------------------------------------------------------------- */

static size_t private_bytes(void)
{
	return sm_align_up(sizeof(struct sm_mutator), SM_CACHELINE) + sizeof(struct sm_mutator_priv);
}

static void free_mutator(struct sm_mutator *m)
{
	free(m->priv->buffer);
	munmap(m, private_bytes());
}

static struct sm_mutator *new_mutator(struct sm_gc *gc)
{
	struct sm_mutator *m;
	struct sm_mutator_priv *p;
	size_t entries = gc->config.tuning.barrier_buffer;

	m = mmap(NULL, private_bytes(), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (m == MAP_FAILED)
		return NULL;
	p = (struct sm_mutator_priv *)((char *)m + sm_align_up(sizeof(*m), SM_CACHELINE));
	m->gc = gc;
	m->priv = p;
	p->m = m;
	sm_store_relaxed(&p->cpu, sched_getcpu());
	p->thread = pthread_self();
	p->tid = (pid_t)syscall(SYS_gettid);
	p->buffer = malloc(entries * sizeof(void *));
	if (p->buffer == NULL) {
		munmap(m, private_bytes());
		errno = ENOMEM;
		return NULL;
	}
	m->buf_next = p->buffer;
	m->buf_end = p->buffer + entries;
	return m;
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
	m->barrier = gc->view.barrier;
	m->cache.black = gc->view.black;
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

struct sm_mutator *sm_mutator_attach(struct sm_gc *gc)
{
	struct sm_mutator *m = new_mutator(gc);
	struct sm_mutator_priv *p;
	int err;

	if (m == NULL)
		return NULL;
	p = m->priv;
	/* The bounds first: once linked, a proxy may scan. */
	err = stack_bounds(&p->stack_lo, &p->stack_hi);
	if (err == 0)
		err = sm__marker_init(&p->marker, gc, 0);
	if (err == 0) {
		sm__marker_here(&p->marker);
		p->marker.quiet = true;
		err = sm__cache_init(&m->cache, gc->heap, m);
		if (err)
			sm__marker_fini(&p->marker);
	}
	if (err) {
		free_mutator(m);
		errno = -err;
		return NULL;
	}
	current = p;
	p->lock_watch = (struct sm_lock_watch){waited_for_lock, p};
	(void)sm__lock_watch(&p->lock_watch);
	sm__delay(gc);
	if (join(gc, p) && !SM_IS_MUTANT(12))
		sm__with_registers(scan_own_stack, p);
	return m;
}

/* ---- detach --------------------------------------------------------------------------------------- */

static void unlink_locked(struct sm_gc *gc, struct sm_mutator_priv *p)
{
	SM_LIST_REMOVE(gc->mutators, p);
	gc->nmutators--;
}

static void hand_over_stalls(struct sm_gc *gc, struct sm_mutator_priv *p)
{
	sm_lock_acquire(&gc->stats_lock);
	for (unsigned c = 0; c < SM_STALL_CAUSES; c++)
		sm__stall_add(&gc->dead_stalls.cause[c], &p->stalls.cause[c]);
	sm__stall_recent(&gc->dead_stalls, sm_load_relaxed(&p->stalls.recent_max_ns));
	sm__mark_counts_add(&gc->dead_counts, &p->marker.n);
	sm_lock_release(&gc->stats_lock);
}

void sm_mutator_detach(struct sm_mutator *m)
{
	struct sm_mutator_priv *p = m->priv;
	struct sm_gc *gc = m->gc;

	SM_CHECK(p->blocking == 0);
	/* Requests are made under the lock, so with it held and none pending none can come. */
	for (;;) {
		sm_lock_acquire(&gc->mutators_lock);
		if (sm_load_acquire(&m->poll) == 0)
			break;
		sm_lock_release(&gc->mutators_lock);
		sm_safepoint_slow(m);
	}
	if (m->barrier && !SM_IS_MUTANT(14))
		sm__barrier_flush(m);
	sm__cache_retire_all(&m->cache);
	unlink_locked(gc, p);
	sm_lock_release(&gc->mutators_lock);

	sm__cache_fini(&m->cache);
	if (current == p)
		(void)sm__lock_watch(NULL);
	hand_over_stalls(gc, p);
	while (p->ranges) {
		struct sm_thread_range *r = p->ranges;

		p->ranges = r->next;
		free(r);
	}
	sm__marker_fini(&p->marker);
	if (current == p)
		current = NULL;
	free_mutator(m);
}

/* ---- thread-local ranges -------------------------------------------------------------------------- */

int sm_thread_range_add(struct sm_mutator *m, void *start, size_t bytes)
{
	struct sm_thread_range *r;
	struct sm_marking in;

	if (start == NULL || bytes == 0 || (uintptr_t)start + bytes < (uintptr_t)start)
		return -EINVAL;
	r = malloc(sizeof(*r));
	if (r == NULL)
		return -ENOMEM;
	r->start = (uintptr_t)start;
	r->end = (uintptr_t)start + bytes;
	r->next = m->priv->ranges;
	m->priv->ranges = r;
	/* What it already holds: this stack has been scanned, but not these words. */
	if (m->barrier && m->priv->stack_black && sm__marking_enter(&in, &m->priv->marker)) {
		sm__mark_stack(&m->priv->marker, r->start, r->end);
		sm__marking_leave(&in);
	}
	return 0;
}

int sm_thread_range_remove(struct sm_mutator *m, void *start)
{
	for (struct sm_thread_range **at = &m->priv->ranges; *at; at = &(*at)->next) {
		struct sm_thread_range *r = *at;

		if (r->start != (uintptr_t)start)
			continue;
		*at = r->next;
		free(r);
		return 0;
	}
	return -ENOENT;
}
