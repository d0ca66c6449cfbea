/*
 * phase.h: what a thread is doing for the memory manager right now, announced to those that count.
 *
 * The allocator and the collector call sm_phase_enter/leave on their slow paths only. A measuring
 * program installs a hook for each thread it wants to attribute; without one the calls test one
 * thread-local pointer. Phases nest: a refill may sweep, an assist happens inside a refill.
 *
 * Probes (USDT, provider "spanmark") are for those that look in from outside: bpftrace, perf, gdb.
 * docs/TIMELINE.md lists them. One that nobody looks at is a nop, and a note in a section that is
 * not loaded: where it is, and where its arguments are. An argument is what its place has at hand
 * anyway, for computing one would cost when nobody looks. SM_SDT is the Makefile's, where the
 * compiler finds <sys/sdt.h>, which is needed to build alone; without it there is no code.
 */
#ifndef SM_ALLOCATOR_PHASE_H
#define SM_ALLOCATOR_PHASE_H

#include "allocator/base/base.h"

#ifdef SM_SDT
#include <sys/sdt.h>
#define SM_PROBE1(name, a)    DTRACE_PROBE1(spanmark, name, a)
#define SM_PROBE2(name, a, b) DTRACE_PROBE2(spanmark, name, a, b)
#else
#define SM_PROBE1(name, a)    ((void)(a))
#define SM_PROBE2(name, a, b) ((void)(a), (void)(b))
#endif

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
	SM_PHASE_COMPACT,	  /* objects move together, the world stands still */
	SM_PHASE_COUNT
};

struct sm_phase_hook {
	void (*enter)(void *ctx, enum sm_phase phase);
	void (*leave)(void *ctx, enum sm_phase phase);
	/* A wait of the thread for the collector is over: enum sm_stall_cause, ns. NULL: not asked
	 * for. */
	void (*waited)(void *ctx, unsigned cause, uint64_t ns);
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

	SM_PROBE1(phase_enter, phase);
	if (SM_UNLIKELY(h != NULL))
		h->enter(h->ctx, phase);
}

SM_INLINE void sm_phase_leave(enum sm_phase phase)
{
	const struct sm_phase_hook *h = sm__phase_hook;

	SM_PROBE1(phase_leave, phase);
	if (SM_UNLIKELY(h != NULL))
		h->leave(h->ctx, phase);
}

SM_INLINE void sm_phase_waited(unsigned cause, uint64_t ns)
{
	const struct sm_phase_hook *h = sm__phase_hook;

	SM_PROBE2(stall, cause, ns);
	if (SM_UNLIKELY(h != NULL) && h->waited != NULL)
		h->waited(h->ctx, cause, ns);
}

#endif
