/*
 * phase.h: what a thread is doing for the memory manager right now, announced to those that count.
 *
 * The allocator and the collector call sm_phase_enter/leave on their slow paths only. A measuring
 * program installs a hook for each thread it wants to attribute; without one the calls test one
 * thread-local pointer. Phases nest: a refill may sweep, an assist happens inside a refill.
 */
#ifndef SM_ALLOCATOR_PHASE_H
#define SM_ALLOCATOR_PHASE_H

#include "allocator/base/base.h"

enum sm_phase {
	SM_PHASE_APP,	     /* the program itself: what is left when nothing below is open */
	SM_PHASE_REFILL,     /* allocation slow path: next window, next span, page heap */
	SM_PHASE_ASSIST,     /* a mutator marks in proportion to what it allocates */
	SM_PHASE_BARRIER,    /* a mutator's barrier buffer is handed over */
	SM_PHASE_STACK_SCAN, /* a mutator's stack and registers are scanned */
	/* a mutator waits for the collector: stopped, handshake, throttled */
	SM_PHASE_WAIT,
	SM_PHASE_MARK,		  /* dedicated mark worker */
	SM_PHASE_MARK_FRACTIONAL, /* fractional mark worker */
	SM_PHASE_MARK_IDLE,	  /* idle-time mark worker */
	SM_PHASE_SWEEP,		  /* sweeping, in whichever thread */
	SM_PHASE_SCAVENGE,	  /* memory goes back to the operating system */
	SM_PHASE_COUNT
};

struct sm_phase_hook {
	void (*enter)(void *ctx, enum sm_phase phase);
	void (*leave)(void *ctx, enum sm_phase phase);
	void *ctx;
};

/* The calling thread's hook, or NULL. Owner thread only. Read by the inline functions below. */
extern __thread const struct sm_phase_hook *sm__phase_hook;

/* Installs (or with NULL removes) the calling thread's hook. The hook must outlive its
 * installation. */
void sm_phase_set_hook(const struct sm_phase_hook *hook);
const char *sm_phase_name(enum sm_phase phase); /* "app", "refill", "assist", .. */

SM_INLINE void sm_phase_enter(enum sm_phase phase)
{
	const struct sm_phase_hook *h = sm__phase_hook;

	if (SM_UNLIKELY(h != NULL))
		h->enter(h->ctx, phase);
}

SM_INLINE void sm_phase_leave(enum sm_phase phase)
{
	const struct sm_phase_hook *h = sm__phase_hook;

	if (SM_UNLIKELY(h != NULL))
		h->leave(h->ctx, phase);
}

#endif
