/*
 * futex.h: sleeping on a 32-bit word.
 */
#ifndef SM_ALLOCATOR_FUTEX_H
#define SM_ALLOCATOR_FUTEX_H

#include <limits.h>
#include <linux/futex.h>
#include <stdatomic.h>
#include <time.h>

#include "allocator/base/atomic.h"
#include "allocator/base/syscall.h"

/* Sleeps while *word == value, at most timeout_ns (0: no limit); may wake for no reason. errno is
 * kept. */
SM_INLINE void sm__futex_wait(_Atomic(uint32_t) *word, uint32_t value, uint64_t timeout_ns)
{
	struct timespec ts = {(time_t)(timeout_ns / 1000000000u), (long)(timeout_ns % 1000000000u)};

	(void)sm__syscall6(SYS_futex, (long)word, FUTEX_WAIT_PRIVATE, value,
			   timeout_ns ? (long)&ts : 0, 0, 0);
}

/* The word may be gone by now: its address alone matters to the kernel. errno is kept. */
SM_INLINE void sm__futex_wake(_Atomic(uint32_t) *word, int n)
{
	(void)sm__syscall6(SYS_futex, (long)word, FUTEX_WAKE_PRIVATE, n, 0, 0, 0);
}

/*
 * An event count: a waiter reads the sequence (prepare), checks its condition, and sleeps only if
 * the sequence has not moved since. A signaller changes the condition first and then moves the
 * sequence. All operations on seq are sequentially consistent, so either the waiter sees the
 * condition or the signaller's move keeps it from sleeping.
 */
struct sm_event {
	_Atomic(uint32_t) seq;
	_Atomic(uint32_t) waiters;
};

SM_INLINE uint32_t sm__event_prepare(struct sm_event *e)
{
	atomic_fetch_add_explicit(&e->waiters, 1, memory_order_seq_cst);
	return sm_load_seqcst(&e->seq);
}

SM_INLINE void sm__event_cancel(struct sm_event *e)
{
	sm_fetch_sub_relaxed(&e->waiters, 1);
}

/* Ends the wait that prepare began. */
SM_INLINE void sm__event_wait(struct sm_event *e, uint32_t seq, uint64_t timeout_ns)
{
	if (sm_load_seqcst(&e->seq) == seq)
		sm__futex_wait(&e->seq, seq, timeout_ns);
	sm_fetch_sub_relaxed(&e->waiters, 1);
}

SM_INLINE void sm__event_signal(struct sm_event *e)
{
	atomic_fetch_add_explicit(&e->seq, 1, memory_order_seq_cst);
	if (sm_load_seqcst(&e->waiters) != 0)
		sm__futex_wake(&e->seq, INT_MAX);
}

#endif
