/*
 * process_heap.h: the state of malloc, one for a process, and what its files share.
 *
 *   malloc_fast.h   the two fast paths, inlined into sm_malloc/sm_free (malloc.c) and malloc/free
 *                   (preload.c)
 *   malloc.c        the paths behind them, the rest of the family, large objects, what a bad
 *                   address is
 *   thread_cache.*  a thread's lists and windows; threads' birth and end
 *   cpu_cache.*     caches per CPU instead (cache.mode=cpu); cpu_budget.c: how much each may hold
 *   depot.*         what is central of a class: lists of freed objects (depot_shard.c), spans with
 *                   room
 *   unit_class.c    what free() looks up: the class of the span at each unit
 *   process_heap.c  the heap: creation, configuration, trim
 *   release.c       when free memory goes back to the operating system
 *   malloc_stats.c  figures and checks
 *   fork.c          what happens around fork
 */
#ifndef SM_ALLOCATOR_PROCESS_HEAP_H
#define SM_ALLOCATOR_PROCESS_HEAP_H

#include "allocator/malloc/thread_cache.h"
#include "allocator/objects/heap.h"
#include "allocator/os/rseq.h"

struct sm_depot;
struct sm_mcpu;
struct sm_shard;

typedef void *(*sm_beyond_fn)(size_t size);
typedef void *(*sm_empty_fn)(size_t size, size_t cls);
typedef void (*sm_full_fn)(void *p, size_t cls, uint64_t key);

#define SM_HOMES 64 /* buckets */

struct sm_process_heap {
	/* fixed after creation; zero before it, so that everything takes the slow path */
	uintptr_t base;
	size_t bytes;
	uint8_t *classes; /* [unit]: unit_class.c */
	uint64_t key;
	/* Which kind of cache a process has: sm__malloc_empty and sm__free_full, or those of
	 * cpu_cache.c. */
	_Atomic(sm_empty_fn) empty;
	_Atomic(sm_full_fn) full;
	/*
	 * Larger requests do not look into a thread's lists but go beyond: SM_MAX_SMALL where
	 * threads have lists, 0 where CPUs have. In whichever order the two change when the heap
	 * is made: what is beyond takes every size.
	 */
	size_t thread_most;
	_Atomic(sm_beyond_fn) beyond; /* sm__malloc_slow, or sm__mcpu_malloc_any */
	struct sm_span *spans;
	struct sm_heap *heap;
	/* objects of a full list, but for caches with settings of their own */
	uint32_t list[SM_NCLASSES_MAX];
	bool direct;		 /* debugging: no caches, every request takes the slow path */
	void **cpu_slabs;	 /* by CPU, -2 and -1 (none) included: see cpu_cache.c */
	unsigned nslabs;	 /* 0: caches are of threads */
	struct sm_mcpu *slabs;	 /* [nslabs] */
	struct sm_depot *depots; /* [node * sm__nclasses + class] */
	unsigned nnodes, ncpus;
	struct sm_shard *shards; /* [nshards], a power of two */
	unsigned nshards;
	_Atomic(uint64_t) depot_bytes; /* depot_shard.c: credit */

	struct sm_lock lock; /* rank SM_RANK_CACHES; guards all below */
	struct sm_mcache *caches, *pool;
	struct sm_mcache *homes[SM_HOMES]; /* of `caches`, by home: thread_life.c */
	uint32_t ncaches;
	unsigned next_shard;	       /* of the next new cache */
	struct sm_class_counts **dead; /* [cpu][class]: of threads that are gone */
	_Atomic(uint64_t) large_objects, large_bytes;
	_Atomic(size_t) returned; /* bytes that went to the page heap since the last look at them */
	_Atomic(bool) made;	  /* stored with release when all above is there */

	struct sm_lock budget_lock; /* rank SM_RANK_BUDGET; cpu_budget.c */
	unsigned budget_hand;	    /* under it: the core that yields first */
	unsigned budget_short;	    /* under it: times that there was not enough */
};

extern struct sm_process_heap sm__process_heap __attribute__((visibility("hidden")));
/* Of the calling thread; an empty one that is full at the same time until its first slow path. */
extern __thread struct sm_mcache *sm__mcache __attribute__((visibility("hidden")));
/* (size + 15) / 16 -> class, multiples of 16 only. Relaxed: a caller that finds a class before
 * there is a heap goes on to look at `made`. */
extern _Atomic(uint8_t) sm__malloc_class[SM_MAX_SMALL / 16 + 1]
	__attribute__((visibility("hidden")));

/*
 * Is an offset in a span the start of a slot of the class? If and only if (uint32_t)(offset *
 * recip) < start_max. Both 0 for what is no class in the table of units, which no offset passes.
 */
struct sm_slot_test {
	uint32_t recip, start_max;
};
extern struct sm_slot_test sm__slot_tests[256] __attribute__((visibility("hidden")));
#define SM_UNIT_BEHIND 128 /* in the table of units: this + units back to the head of the span */

/* False: no memory. */
bool sm__munits_init(void);
/* Before a span's class is set: there is memory for it, or false. */
bool sm__munits_prepare(const struct sm_span *s);
/* s is a malloc span of the class from here on; 0: is none any more. Under the lock of the class's
 * depot. */
void sm__munits_set_locked(const struct sm_span *s, unsigned cls);
/* Of any span that is in use, at rest. NULL, or what is wrong. */
const char *sm__munits_check(const struct sm_span *s);

/* Are we the malloc of a program that knows nothing of us? True in preload.c. */
bool sm__malloc_preloaded(void);
/* Makes the heap if there is none yet. False with errno ENOMEM. */
bool sm__malloc_ready(void);
unsigned sm__malloc_class_of(size_t size); /* size <= SM_MAX_SMALL */

/* release.c. Bytes went back to the page heap: once in a while, much of them goes on to the
 * operating system. No lock may be held. */
void sm__malloc_returned(size_t bytes);
/* Where that had to wait, it may be done now. No lock may be held. */
void sm__malloc_release_if_due(void);
/* committed, in use, free, released, over all nodes. */
void sm__malloc_pageheap(struct sm_pageheap_stats *sum);
void sm__malloc_making_lock(void);
void sm__malloc_making_unlock(void);

/* malloc/fork.c: registers the handlers; once, when the heap is made. */
void sm__malloc_fork_init(void);

/* malloc_stats.c: our part in checks and figures. */
extern const struct sm_heap_owner sm__malloc_owner;

/* ---- malloc.c ----------------------------------------------------------------------------- */

/* The span that p is the start of an object in; aborts naming p and what it is. verb: "free", .. */
struct sm_span *sm__malloc_span(const void *p, const char *verb);
void *sm__malloc_large(size_t size, size_t align);

#endif
