/*
 * lock.h: the one lock of allocator and collector, with a rank.
 *
 * A word, by Drepper's "Futexes are tricky" (2011, mutex 2) with a short spin in front of the wait:
 *
 *      0 free --CAS by the taker--> 1 held --CAS/exchange by a waiter--> 2 held, someone may sleep
 *      1 -> 0 by the holder: no thread sleeps.  2 -> 0 by the holder, which then wakes one sleeper.
 *
 * Acquire and release in the usual sense: what a holder wrote, the next holder sees. Uncontended it
 * is one CAS and one exchange inline, about 0.8 of what a pthread mutex costs (bench_pageheap,
 * docs/PERFORMANCE.md), and it can be reset in the child of a fork. Not recursive, not fair.
 *
 * Rank. A thread may take a lock only while every lock it holds has a lower rank; of equal rank,
 * only at increasing addresses. Debug and hostile builds check it at every acquire and print both
 * locks' ranks.
 */
#ifndef SM_ALLOCATOR_LOCK_H
#define SM_ALLOCATOR_LOCK_H

#include "allocator/base/atomic.h"
#include "allocator/base/base.h"

/* In the order in which they may be taken: the collector's, then the allocator's. */
enum sm_lock_rank {
	SM_RANK_NONE = 0,	 /* not checked */
	SM_RANK_GC_CALLBACK = 5, /* gc->callback_lock: held while the program's function runs */
	SM_RANK_GC_COMPACT = 8,	 /* gc->compact.lock: while objects move, so that no thread forks */
	SM_RANK_GC_CONTROL = 10, /* gc->control_lock: requests for cycles */
	/* gc->mutators_lock: the list, the view, the handshake's request */
	SM_RANK_GC_MUTATORS = 20,
	SM_RANK_GC_FINALIZERS = 30,  /* finalizers by object, and those to be run */
	SM_RANK_GC_ROOTS = 40,	     /* registered ranges by start */
	SM_RANK_GC_ROOT_MARKER = 41, /* gc->root_marker */
	SM_RANK_GC_ROOT_RANGE = 42,  /* one range, while it is scanned */
	SM_RANK_GC_PINS = 43,	     /* objects that the program has pinned */
	SM_RANK_GC_TYPES = 45,	     /* the table of types (takes the heap's bins lock) */
	SM_RANK_GC_QUEUE = 60,	     /* one node's packets */
	SM_RANK_GC_PACKETS = 64,     /* free packets */
	SM_RANK_GC_STALLS = 70,	     /* figures of mutators that are gone */
	SM_RANK_GC_SLOTS = 72,	     /* slots that were noted for compaction */
	SM_RANK_GC_LOG = 74,	     /* logs of objects that were stored into */
	SM_RANK_HEAP = 100,	     /* list of heaps, fork */
	SM_RANK_CACHES = 110,	     /* heap->caches_lock */
	SM_RANK_BINS = 120,	     /* heap->bins_lock: layouts and bins */
	SM_RANK_BUDGET = 135,	     /* budgets of the malloc heap's CPUs */
	SM_RANK_SHARD = 137,	     /* lists of freed objects of a thread or CPU */
	SM_RANK_CENTRAL = 140,	     /* one central list */
	SM_RANK_STACKS = 150,	     /* pool of free stacks */
	SM_RANK_SCAVENGE = 160,	     /* a batch on its way to the operating system */
	SM_RANK_PAGEHEAP = 170,	     /* one node's page heap */
	SM_RANK_META = 180,	     /* metadata pool */
	SM_RANK_LEAF = 250,	     /* takes nothing under it */
};

struct sm_lock {
	_Atomic(uint32_t) word;
	uint8_t rank; /* fixed after init */
};

#define SM_LOCK_INIT(r)                \
	{                              \
		.word = 0, .rank = (r) \
	}

void sm__lock_wait(struct sm_lock *l);
void sm__lock_wake(struct sm_lock *l);
/* How often the calling thread has slept for a lock. A thread that slept gave its CPU away itself.
 */
unsigned sm__lock_sleeps(void);
/*
 * Watches the calling thread's waits for locks, of every lock in the process. After each wait
 * `waited` is called with the lock held: it must take no lock. Returns the watch that was set
 * before; NULL: none.
 */
struct sm_lock_watch {
	void (*waited)(void *ctx, uint64_t ns);
	void *ctx;
};
const struct sm_lock_watch *sm__lock_watch(const struct sm_lock_watch *w);
/* The rank check: aborts with one line when the order is wrong. Always there, called in debug
 * builds. */
void sm__lock_check_acquire(const struct sm_lock *l);
void sm__lock_check_release(const struct sm_lock *l);
void sm__lock_note_try(const struct sm_lock *l);
/*
 * Around fork a thread takes the locks of one heap after the other, each heap's in order of rank.
 * Sealing sets the record of the heap just taken aside, so that the next heap's begins afresh; no
 * thread waits for one heap's lock inside another's but the forking one and a collector that calls
 * malloc, which comes in the same order. While anything is sealed locks not in the record may be
 * released.
 */
void sm__lock_check_seal(void);
void sm__lock_check_unseal(void);

#if defined(SM_HOSTILE) || defined(SM_DEBUG)
#define SM_LOCK_CHECKS 1
#else
#define SM_LOCK_CHECKS 0
#endif

/* One heap's locks are all held over a fork; one heap's locks are released again. */
SM_INLINE void sm_lock_fork_seal(void)
{
	if (SM_LOCK_CHECKS)
		sm__lock_check_seal();
}

SM_INLINE void sm_lock_fork_unseal(void)
{
	if (SM_LOCK_CHECKS)
		sm__lock_check_unseal();
}

SM_INLINE void sm_lock_init(struct sm_lock *l, enum sm_lock_rank rank)
{
	sm_store_relaxed(&l->word, 0);
	l->rank = (uint8_t)rank;
}

SM_INLINE void sm_lock_acquire(struct sm_lock *l)
{
	uint32_t free_word = 0;

	if (SM_LOCK_CHECKS)
		sm__lock_check_acquire(l);
	if (SM_UNLIKELY(!atomic_compare_exchange_strong_explicit(
		    &l->word, &free_word, 1, memory_order_acquire, memory_order_relaxed)))
		sm__lock_wait(l);
}

SM_INLINE bool sm_lock_try(struct sm_lock *l)
{
	uint32_t free_word = 0;

	/* Trying cannot deadlock, so the order is not checked; what is held is noted all the same.
	 */
	if (!atomic_compare_exchange_strong_explicit(&l->word, &free_word, 1, memory_order_acquire,
						     memory_order_relaxed))
		return false;
	if (SM_LOCK_CHECKS)
		sm__lock_note_try(l);
	return true;
}

SM_INLINE void sm_lock_release(struct sm_lock *l)
{
	if (SM_LOCK_CHECKS)
		sm__lock_check_release(l);
	if (SM_UNLIKELY(atomic_exchange_explicit(&l->word, 0, memory_order_release) == 2))
		sm__lock_wake(l);
}

/* Is it held, by any thread? For assertions. */
SM_INLINE bool sm_lock_is_held(struct sm_lock *l)
{
	return sm_load_relaxed(&l->word) != 0;
}

#endif
