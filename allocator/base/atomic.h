/*
 * atomic.h: atomic access with the memory order in the name.
 *
 * Shared fields are declared with C's _Atomic. Every access goes through these, so that the order
 * is readable at the call, and a build for ThreadSanitizer (which does not model fences) can
 * strengthen the accesses beside a fence instead of relying on the fence.
 */
#ifndef SM_ALLOCATOR_ATOMIC_H
#define SM_ALLOCATOR_ATOMIC_H

#include <stdatomic.h>

#include "allocator/base/base.h"
#include "allocator/base/cpu.h" /* sm_cpu_relax, for loops over the loads below */

#define sm_load_relaxed(p)	   atomic_load_explicit((p), memory_order_relaxed)
#define sm_load_acquire(p)	   atomic_load_explicit((p), memory_order_acquire)
#define sm_load_seqcst(p)	   atomic_load_explicit((p), memory_order_seq_cst)
#define sm_store_relaxed(p, v)	   atomic_store_explicit((p), (v), memory_order_relaxed)
#define sm_store_release(p, v)	   atomic_store_explicit((p), (v), memory_order_release)
#define sm_store_seqcst(p, v)	   atomic_store_explicit((p), (v), memory_order_seq_cst)
#define sm_fetch_add_relaxed(p, v) atomic_fetch_add_explicit((p), (v), memory_order_relaxed)
#define sm_fetch_add_acqrel(p, v)  atomic_fetch_add_explicit((p), (v), memory_order_acq_rel)
#define sm_fetch_sub_relaxed(p, v) atomic_fetch_sub_explicit((p), (v), memory_order_relaxed)
#define sm_fetch_sub_acqrel(p, v)  atomic_fetch_sub_explicit((p), (v), memory_order_acq_rel)
#define sm_fetch_or_relaxed(p, v)  atomic_fetch_or_explicit((p), (v), memory_order_relaxed)
#define sm_fetch_or_acqrel(p, v)   atomic_fetch_or_explicit((p), (v), memory_order_acq_rel)
#define sm_fetch_and_relaxed(p, v) atomic_fetch_and_explicit((p), (v), memory_order_relaxed)
#define sm_fetch_xor_relaxed(p, v) atomic_fetch_xor_explicit((p), (v), memory_order_relaxed)
#define sm_exchange_acqrel(p, v)   atomic_exchange_explicit((p), (v), memory_order_acq_rel)
/* Compare and swap: e is a pointer to the expected value, which receives the one found. */
#define sm_cas_acqrel(p, e, v)                                                       \
	atomic_compare_exchange_strong_explicit((p), (e), (v), memory_order_acq_rel, \
						memory_order_acquire)
#define sm_cas_weak_acqrel(p, e, v)                                                \
	atomic_compare_exchange_weak_explicit((p), (e), (v), memory_order_acq_rel, \
					      memory_order_acquire)
#define sm_cas_relaxed(p, e, v)                                                      \
	atomic_compare_exchange_strong_explicit((p), (e), (v), memory_order_relaxed, \
						memory_order_relaxed)

/*
 * A pointer that will be followed. What its publisher wrote before storing it with release is seen
 * by accesses through it, by their dependency on the load: relaxed suffices on every machine we
 * know, but neither the language nor ThreadSanitizer says so, hence acquire there.
 */
#if SM_TSAN
#define sm_load_dependent(p) sm_load_acquire(p)
#else
#define sm_load_dependent(p) sm_load_relaxed(p)
#endif

/* Full fences: say at each use what becomes visible to whom. */
#define sm_fence_seqcst()  atomic_thread_fence(memory_order_seq_cst)
#define sm_fence_acquire() atomic_thread_fence(memory_order_acquire)
#define sm_fence_release() atomic_thread_fence(memory_order_release)

#endif
