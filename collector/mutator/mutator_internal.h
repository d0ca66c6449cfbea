/*
 * mutator_internal.h: the collector's own part of a mutator.
 */
#ifndef SM_COLLECTOR_MUTATOR_INTERNAL_H
#define SM_COLLECTOR_MUTATOR_INTERNAL_H

#include <pthread.h>
#include <sys/types.h>

#include "allocator/objects/heap.h"
#include "spanmark/gc.h"
#include "collector/types/alloc.h"
#include "collector/mark/mark.h"
#include "collector/mutator/stacks.h"
#include "collector/mutator/stall.h"

/*
 * Which thread may act for a mutator: touch its cache, its barrier buffer, its view, its stack.
 *
 *                  sm_blocking_enter [owner]
 *        RUNNING ------------------------------> BLOCKED
 *           ^  \   sm_blocking_leave [owner]      |   ^
 *           |   \ <-------------------------------+   |
 *           |    \                                |   | done [proxy]
 *     resume|     \ acknowledges a stop [owner]   v   |
 *    [proxy]|      +------------------------->  HELD -+   (HELD_WAITED: the same, and the owner
 *           +------------------------------------+         sleeps until it changes)
 *
 * RUNNING: the owner. HELD: the proxy, that is the control thread. BLOCKED: no thread, until a CAS
 * makes it one of the others. Each change is a CAS or a store with release by its holder, and
 * taken over with acquire, so that each sees what the other did.
 */
enum sm_mutator_state { SM_M_RUNNING, SM_M_BLOCKED, SM_M_HELD, SM_M_HELD_WAITED };

/* The part of the stack, from its end upward, whose pointers a blocking section or a stop copies;
 * see mutator.c. */
#define SM_SAVED_BYTES (16 * SM_KIB)
#define SM_SAVED_WORDS (SM_SAVED_BYTES / sizeof(uintptr_t))

struct sm_mutator_priv {
	/* fixed */
	struct sm_mutator *m;
	void **buffer; /* the barrier buffer's start */

	/* fixed while attached */
	/* NULL: none; the mutator waits in gc->idle for the next thread */
	struct sm_thread *owner;
	pid_t tid;
	bool collectors; /* of a thread of the collector's own */

	/* under gc->mutators_lock */
	struct sm_mutator_priv *next, *prev; /* of gc->mutators; next also of gc->idle */

	/* owner thread only */
	struct sm_mutator_priv *mine; /* the thread's next one, of another collector */
	unsigned attached;	      /* so many times */

	_Atomic(uint32_t) state;
	/* The safepoint in the making, for the report of a late one; written by the signal handler.
	 */
	_Atomic(uintptr_t) interrupted_pc;

	/* the thread that may act for the mutator, see above */
	uint32_t resume_state; /* HELD goes back to this */
	uint32_t black_gen;    /* cache.black means: of spans of this sweep generation */
	/* the stack was scanned in this cycle: the barrier need not record new values */
	bool stack_black;
	/* .. or rather not: it attached when marking was over (for the verifier) */
	bool came_late;
	/* where it ran at the cycle's first handshake; -1: in a blocking section */
	_Atomic(int) cpu;
	uint32_t blocking; /* depth of blocking sections */
	uint32_t refills;  /* for gc.stress */
	uintptr_t sp;	   /* BLOCKED, HELD: the stack from here upward is the mutator's */
	size_t nsaved;	   /* words that may be pointers, of the SM_SAVED_BYTES from sp upward */
	uintptr_t saved[SM_SAVED_WORDS];
	struct sm_thread_range own;	/* the thread's own stack */
	struct sm_thread_range *on;	/* the stack that sp lies in: own, or one of the ranges */
	struct sm_thread_range *ranges; /* all */
	void *range_tree;		/* the same by address, <search.h> */
	struct sm_marker marker;
	struct sm_log_chunk *log; /* gc.remember=objects; NULL: empty */
	int64_t credit;		  /* bytes of marking done in advance; negative: owed */
	struct sm_oom oom;
	uint64_t sweep_ns; /* spent in the sweep hook during this refill */
	enum sm_kept sweep_kept;
	uint32_t sweep_cursor; /* bin from which this mutator's share of sweeping goes on */
	struct sm_stall_set stalls;
	struct sm_lock_watch lock_watch; /* fixed after attach: waits for locks go to stalls */
};

/* A mutator as it lies in memory: what inline.h shows of it, and the cache whose windows it reads.
 */
struct sm_mutator_block {
	struct sm_mutator m;
	struct sm_cache cache;
};
_Static_assert(offsetof(struct sm_mutator_block, cache.windows) == sizeof(struct sm_mutator),
	       "a mutator's windows are where inline.h looks for them");

SM_INLINE struct sm_cache *sm__cache(struct sm_mutator *m)
{
	return &((struct sm_mutator_block *)m)->cache;
}

/* Does the mutator record its stores for a cycle that marks? */
SM_INLINE bool sm__marking(const struct sm_mutator *m)
{
	return (m->barrier & SM__BARRIER_MARK) != 0;
}

/* Written by the handshake's requester and by signals, read by the owner. */
SM_INLINE _Atomic(uint32_t) *sm__poll(struct sm_mutator *m)
{
	return (_Atomic(uint32_t) *)&m->poll;
}

/*
 * Calls fn(arg, sp) with every callee-saved register stored at sp and above, then zeroes as many
 * bytes below sp as fn returns, a multiple of 16, and its own frame. arch/ARCH/spill.S, which also
 * has the public calls that are made of this: sm_safepoint_slow, sm_blocking_enter and
 * sm_blocking_leave (handshake.h), sm_stack_leave (stacks.h).
 */
void sm__with_registers(size_t (*fn)(void *arg, uintptr_t *sp), void *arg);

/* Precondition for all of these: the caller may act for the mutator. */
void sm__mutator_scan_stack(struct sm_mutator_priv *p, uintptr_t sp);
/* Remembers sp and a copy of the pointers above it, the registers among them. */
void sm__mutator_save_stack(struct sm_mutator_priv *p, uintptr_t *sp);
/* How much below sp is to be zeroed, so that what it holds keeps nothing alive: what the
 * collector's own frames have left there; and with gc.verify what anything has, see verify.c. */
size_t sm__own_frames(struct sm_mutator_priv *p, const uintptr_t *sp);
size_t sm__dead_stack(struct sm_mutator_priv *p, const uintptr_t *sp);
/* Of mutators that wait for a thread. */
void sm__mutators_fini(struct sm_gc *gc);

/* A wait for the collector, from its begin to its end. What it waits for locks meanwhile is a part
 * of it. */
struct sm_wait {
	uint64_t since, watch;
	unsigned sleeps;
	const struct sm_lock_watch *locks;
};

SM_INLINE struct sm_wait sm__wait_begin(void)
{
	return (struct sm_wait){sm__now_ns(), sm__preempted_begin(), sm__lock_sleeps(),
				sm__lock_watch(NULL)};
}

/* Ends it. Whether the thread kept its CPU; one that slept for a lock gave it away itself. */
SM_INLINE enum sm_kept sm__wait_over(const struct sm_wait *w)
{
	(void)sm__lock_watch(w->locks);
	return sm__lock_sleeps() == w->sleeps ? sm__preempted_end(w->watch) : SM_KEPT_UNKNOWN;
}

SM_INLINE void sm__wait_end(struct sm_mutator *m, enum sm_stall_cause cause,
			    const struct sm_wait *w)
{
	enum sm_kept kept = sm__wait_over(w);

	sm__stall_note(&m->priv->stalls, cause, sm__now_ns() - w->since, kept);
}

/* A wait that is a sleep: the thread gave its CPU away. */
SM_INLINE void sm__stall(struct sm_mutator *m, enum sm_stall_cause cause, uint64_t since)
{
	sm__stall_note(&m->priv->stalls, cause, sm__now_ns() - since, SM_KEPT_UNKNOWN);
}

#endif
