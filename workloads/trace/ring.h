/*
 * ring.h: events of one thread on their way to the writer. The thread writes, the writer reads, and
 * neither waits for the other: no lock, no system call, no read-modify-write.
 *
 *     owner    events[put], then head (release): the writer that sees head sees the event
 *     writer   head (acquire), events, then taken (release): an owner that sees taken may write
 *              over what has been read
 *
 * Both pairs are needed on ARM64, where stores to different places become visible in any order: a
 * head that overtakes its event shows the writer what lay there a lap ago, and a taken that
 * overtakes the writer's loads has it read what the owner puts there next.
 *
 * A full ring drops, and counts what it dropped. What is left stays nested: a BEGIN is taken when
 * there is room for it and for the END of all that are open then, itself included, so an END always
 * has room; and while a BEGIN is dropped, all up to its END is.
 */
#ifndef SM_WORKLOADS_TRACE_RING_H
#define SM_WORKLOADS_TRACE_RING_H

#include "allocator/base/atomic.h"

enum sm_trace_kind { SM_TRACE_BEGIN, SM_TRACE_END, SM_TRACE_WAIT };

struct sm_trace_event {
	uint64_t at;	   /* ticks of the trace's clock */
	uint64_t kind : 8; /* enum sm_trace_kind */
	uint64_t code : 8; /* what begins, ends or was waited for: trace_internal.h */
	uint64_t ns : 48;  /* WAIT: how long it took; it is over at `at` */
};

struct sm_trace_ring {
	/* fixed once made */
	struct sm_trace_event *events; /* mask + 1 of them, a power of two */
	uint32_t mask;
	/* owner only */
	uint32_t put;	  /* head, without a load */
	uint32_t seen;	  /* taken, as it was when last looked at */
	uint32_t open;	  /* BEGINs in the ring or taken, whose END is to come */
	uint32_t skipped; /* BEGINs dropped, whose END is to come */
	/* written by the owner */
	_Atomic(uint64_t) dropped;
	_Atomic(uint32_t) head __attribute__((aligned(SM_CACHELINE)));
	/* written by the writer */
	_Atomic(uint32_t) taken __attribute__((aligned(SM_CACHELINE)));
};

SM_INLINE bool sm__trace_has_room(struct sm_trace_ring *r, uint32_t n)
{
	if (SM_LIKELY(r->put - r->seen + n <= r->mask + 1))
		return true;
	r->seen = sm_load_acquire(&r->taken);
	return r->put - r->seen + n <= r->mask + 1;
}

SM_INLINE void sm__trace_put(struct sm_trace_ring *r, enum sm_trace_kind kind, unsigned code,
			     uint64_t at, uint64_t ns)
{
	r->events[r->put & r->mask] =
		(struct sm_trace_event){.at = at, .kind = kind, .code = code & 255, .ns = ns};
	r->put++;
	sm_store_release(&r->head, r->put);
}

SM_INLINE void sm__trace_drop(struct sm_trace_ring *r)
{
	sm_store_relaxed(&r->dropped, sm_load_relaxed(&r->dropped) + 1);
}

SM_INLINE void sm__trace_begin(struct sm_trace_ring *r, unsigned code, uint64_t at)
{
	if (SM_UNLIKELY(r->skipped > 0 || !sm__trace_has_room(r, r->open + 2))) {
		r->skipped++;
		sm__trace_drop(r);
		return;
	}
	r->open++;
	sm__trace_put(r, SM_TRACE_BEGIN, code, at, 0);
}

/* Of what began last. One that began before the ring was there is none. */
SM_INLINE void sm__trace_end(struct sm_trace_ring *r, unsigned code, uint64_t at)
{
	if (SM_UNLIKELY(r->skipped > 0)) {
		r->skipped--;
		sm__trace_drop(r);
	} else if (r->open > 0) {
		r->open--;
		sm__trace_put(r, SM_TRACE_END, code, at, 0);
	}
}

SM_INLINE void sm__trace_wait(struct sm_trace_ring *r, unsigned code, uint64_t at, uint64_t ns)
{
	if (SM_LIKELY(sm__trace_has_room(r, r->open + 1)))
		sm__trace_put(r, SM_TRACE_WAIT, code, at, ns);
	else
		sm__trace_drop(r);
}

#endif
