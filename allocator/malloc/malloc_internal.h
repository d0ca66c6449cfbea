/*
 * malloc_internal.h: the manual heap's state and its two fast paths, inlined into sm_malloc/sm_free
 * (malloc.c) and into malloc/free (preload.c).
 *
 *   malloc.c        sm_malloc, sm_free, the slow paths behind them, large objects, what a bad address is
 *   thread_cache.c  a thread's lists and windows; threads' birth and end
 *   depot.c  what is central of a class: depots, spans with room, the way back to spans
 *   depot_shard.c  the depots' lists, apart by who gave them
 *   unit_class.c  what free() looks up: the class of the span at each unit
 *   process_heap.c   the process-wide heap: creation, configuration, trim, statistics
 *   cpu_cache.c    caches per CPU instead (cache.mode=cpu)
 *   cpu_budget.c how much each of those may hold
 *   malloc/fork.c   what happens around fork
 *   malloc_more.c   calloc, realloc, aligned_alloc, usable_size, free_sized
 *
 * A freed object holds two words: the next of its list, and a key made of its address and a secret. free()
 * finds the key there when the object is freed already; malloc() wipes it. What an object's words hold
 * by chance equals the key once in 2^64. An object in a list, in the depot or in a window still has its
 * alloc bit; the bit is cleared when the slot goes back to its span, and finding it clear then is a
 * double free, too.
 */
#ifndef SM_ALLOCATOR_MANUAL_INTERNAL_H
#define SM_ALLOCATOR_MANUAL_INTERNAL_H

#include "allocator/objects/heap.h"
#include "allocator/os/rseq.h"

#define SM_MANUAL_MIN	16 /* two words */
#define SM_MANUAL_SPANS 8  /* cache.spans=0: partial spans looked at for one list */

struct sm_freed {
	struct sm_freed *next;
	uint64_t key;
};

/*
 * room[] of a cache: in the low bits, objects that the list still takes; above them, objects that were ever
 * popped. So a pop adds one to both in the one addition that it needs anyway, and hits cost nothing.
 */
#define SM_ROOM_BITS 20
#define SM_ROOM_MASK ((UINT64_C(1) << SM_ROOM_BITS) - 1)
#define SM_ROOM_POP  ((UINT64_C(1) << SM_ROOM_BITS) + 1)

/* What is counted of a class in a cache, on slow paths. */
struct sm_mcount {
	uint64_t pops, bumped; /* objects popped; slots of windows (of a live cache: less what is left) */
	uint64_t refills, overflows;
	uint64_t steals; /* refills that another node's lists served */
	uint64_t remote; /* slots of another node that came with a refill, or were sent home */
};

SM_INLINE void sm__mcount_add(struct sm_mcount *sum, const struct sm_mcount *n)
{
	sum->pops += n->pops;
	sum->bumped += n->bumped;
	sum->refills += n->refills;
	sum->overflows += n->overflows;
	sum->steals += n->steals;
	sum->remote += n->remote;
}

/* What the slow path needs of a class; one for each class in a cache. */
struct sm_mclass {
	struct sm_freed *spare; /* a list that was full, or NULL */
	char *cur, *end;	/* window: slots never linked into a list */
	uint32_t spare_n;	/* its length */
	bool just_full;		/* the spare one became so a moment ago: see sm__mcache_refill */
	uint32_t start; /* the next window has 2^start KiB: threads that allocate little take little */
	/* tunables, fixed while the cache has its thread */
	uint32_t limit;	 /* objects of a full list */
	uint32_t window; /* bytes */
	uint32_t batch;	 /* slots that a refill fetches, 0: by window and limit */
	uint32_t spans;	 /* partial spans looked at for one list */
	struct sm_mcount n;
};

/* A thread's cache. Owner thread only, but for next and prev. */
struct sm_mcache {
	struct sm_freed *head[SM_NCLASSES_MAX];
	uint64_t room[SM_NCLASSES_MAX]; /* see above */
	struct sm_mclass cold[SM_NCLASSES_MAX];
	size_t budget;	/* bytes that it may hold, 0: no bound */
	unsigned hand;	/* class that gives way first when the budget is used up */
	unsigned shard; /* whose depot lists are its own; fixed */
	int cpu;	/* where its thread was when it was made: whose settings it has, where it counts */
	struct sm_mcache *next, *prev; /* under sm__manual.lock */
};

/*
 * A class's central part on a node: partial spans are in heap->central (partial[0]); lists of freed objects are in the
 * depot, which is in shards (depot_shard.c). There a list is a word: the first object, and the length above
 * SM_RSEQ_TAG_SHIFT.
 */
struct sm_depot {
	struct sm_lock lock; /* rank SM_RANK_CENTRAL; guards the node's spans of the class, their alloc bits,
			      * and `drained` and `fresh` */
	uint32_t cap;	     /* lists that the depot may ever have; fixed */
	_Atomic(uint32_t) spans;  /* of the class; written under the lock */
	_Atomic(uint32_t) credit; /* drawn by shards */
	uint64_t drained, fresh;  /* objects that went back to spans; spans cut from new units */
} __attribute__((aligned(SM_CACHELINE)));

struct sm_mcpu;
struct sm_shard;

typedef void *(*sm_empty_fn)(size_t size, size_t cls);
typedef void (*sm_full_fn)(void *p, size_t cls);

struct sm_manual {
	/* fixed after creation; zero before it, so that everything takes the slow path */
	uintptr_t base;
	size_t bytes;
	uint8_t *classes; /* [unit]: unit_class.c */
	uint64_t key;
	/* What the fast paths go to: sm__malloc_empty and sm__free_full, or those of cpu_cache.c. */
	_Atomic(sm_empty_fn) empty;
	_Atomic(sm_full_fn) full;
	struct sm_span *spans;
	struct sm_heap *heap;
	uint32_t
		list[SM_NCLASSES_MAX]; /* objects of a full list, but for caches with settings of their own */
	uint16_t bin[SM_NCLASSES_MAX]; /* class -> manual bin */
	bool direct;		       /* debugging: no caches, every request takes the slow path */
	bool percpu;		       /* cache.mode=cpu: cpu_cache.c */
	void **cpu_slabs;	       /* by CPU, -2 and -1 (none) included: see cpu_cache.c */
	unsigned nslabs;
	struct sm_mcpu *slabs;	 /* [nslabs] */
	struct sm_depot *depots; /* [node * sm__nclasses + class] */
	unsigned nnodes, ncpus;
	struct sm_shard *shards; /* [nshards], a power of two */
	unsigned nshards;

	struct sm_lock lock; /* rank SM_RANK_CACHES; guards all below */
	struct sm_mcache *caches, *pool;
	uint32_t ncaches;
	unsigned next_shard;	/* of the next new cache */
	struct sm_mcount *dead; /* [cpu * sm__nclasses + class]: of threads that are gone */
	_Atomic(uint64_t) large_objects, large_bytes;
	_Atomic(size_t) returned;	/* bytes that went to the page heap since the last look at them */
	_Atomic(uint64_t) last_release; /* s of CLOCK_MONOTONIC */
	_Atomic(bool) made;		/* stored with release when all above is there */

	struct sm_lock budget_lock; /* rank SM_RANK_BUDGET; cpu_budget.c */
	unsigned budget_hand;	    /* under it: the core that gives way first */
	unsigned budget_short;	    /* under it: times that there was not enough */
};

extern struct sm_manual sm__manual __attribute__((visibility("hidden")));
/* Of the calling thread; an empty one that is full at the same time until its first slow path. */
extern __thread struct sm_mcache *sm__mcache __attribute__((visibility("hidden")));
/* (size + 15) / 16 -> class, up to 1 KiB; multiples of 16 only. Relaxed: whoever finds a class before there is a heap
 * goes on to look at `made`. */
extern _Atomic(uint8_t) sm__manual_class[1024 / 16 + 1] __attribute__((visibility("hidden")));

/*
 * Is an offset in a unit the start of a slot of the class? If and only if (uint32_t)(offset * recip) < start_max.
 * Both 0 for class 0, which no offset passes.
 */
struct sm_slot_test {
	uint32_t recip, start_max;
};
extern struct sm_slot_test sm__slot_tests[SM_NCLASSES_MAX] __attribute__((visibility("hidden")));

void *sm__malloc_slow(size_t size);
void sm__free_slow(void *p);
/* The list of the class is empty (cls 0: there is no heap yet), or full and p is known to be good. */
void *sm__malloc_empty(size_t size, size_t cls);
void sm__free_full(void *p, size_t cls);

SM_INLINE uint64_t sm__manual_key(const void *p)
{
	return sm__manual.key ^ (uintptr_t)p;
}

SM_INLINE void *sm__malloc_fast(size_t size)
{
	struct sm_mcache *c = sm__mcache;
	struct sm_freed *p, *next;
	size_t cls;

	if (SM_UNLIKELY(size > 1024))
		return sm__malloc_slow(size);
	cls = sm_load_relaxed(&sm__manual_class[(size + 15) >> 4]);
	p = c->head[cls];
	if (SM_UNLIKELY(p == NULL))
		return sm_load_acquire(&sm__manual.empty)(size, cls);
	next = p->next;
	c->head[cls] = next;
	c->room[cls] += SM_ROOM_POP;
	/* The next object's line is read by the next malloc of the class and then written by the program. */
	SM_PREFETCH_W(next);
	p->key = 0;
	return p;
}

/*
 * Is ptr in the heap, and where? When it is, what is read of sm__manual behind this is there (`bytes` was stored last): a
 * thread may free NULL while another makes the heap, and finds a base of 0. On x86-64 loads stay in order if the
 * compiler leaves them so, and plain ones are instructions less.
 */
SM_INLINE bool sm__manual_find(const struct sm_manual *g, const void *ptr, uintptr_t *off)
{
#if defined(__x86_64__) && !SM_TSAN
	*off = (uintptr_t)ptr - g->base;
	if (SM_UNLIKELY(*off >= g->bytes))
		return false;
	atomic_signal_fence(memory_order_acquire);
	return true;
#else
	uintptr_t bytes = __atomic_load_n(&g->bytes, __ATOMIC_ACQUIRE);

	*off = (uintptr_t)ptr - __atomic_load_n(&g->base, __ATOMIC_RELAXED);
	return SM_LIKELY(*off < bytes);
#endif
}

/*
 * The class is read plainly: of an object that is in use it does not change, and what handed the
 * object from its allocating to this thread ordered the class's writing before this. An address
 * that is no such object may race with a span's end; it fails one of the tests, or is taken for an object
 * that the program freed twice anyway.
 */
SM_INLINE void sm__free_fast(void *ptr)
{
	const struct sm_manual *g = &sm__manual;
	struct sm_mcache *c = sm__mcache;
	const struct sm_slot_test *k;
	struct sm_freed *p = ptr;
	uintptr_t off;
	uint64_t key;
	uint32_t x;
	size_t cls;

	if (SM_UNLIKELY(!sm__manual_find(g, ptr, &off))) {
		sm__free_slow(ptr);
		return;
	}
	cls = g->classes[off >> SM_UNIT_SHIFT];
	k = &sm__slot_tests[cls];
	/* One multiplication proves that this is the start of a slot, in the head unit of a manual span: any
	 * other unit's class is 0. */
	x = (uint32_t)(off & (SM_UNIT - 1)) * k->recip;
	key = g->key ^ (uintptr_t)ptr;
	if (SM_UNLIKELY(x >= k->start_max) || SM_UNLIKELY(p->key == key)) {
		sm__free_slow(ptr);
		return;
	}
	if (SM_UNLIKELY((c->room[cls] & SM_ROOM_MASK) == 0)) {
		sm_load_acquire (&g->full)(ptr, cls);
		return;
	}
	c->room[cls]--;
	p->key = key;
	p->next = c->head[cls];
	c->head[cls] = p;
}

/* ---- unit_class.c -------------------------------------------------------------------------------- */

/* False: no memory. */
bool sm__munits_init(void);
/* Before a span's class is set: there is memory for it, or false. */
bool sm__munits_prepare(const struct sm_span *s);
/* s is a manual span of the class from here on; 0: is none any more. Under the lock of the class's depot. */
void sm__munits_set_locked(const struct sm_span *s, unsigned cls);
/* Of any span that is in use, at rest. NULL, or what is wrong. */
const char *sm__munits_check(const struct sm_span *s);

/* ---- process_heap.c --------------------------------------------------------------------------------- */

/* Makes the heap if there is none yet. False with errno ENOMEM. */
bool sm__manual_ready(void);
unsigned sm__manual_class_of(size_t size); /* size <= SM_MAX_SMALL */

/* Bytes went back to the page heap. Once in a while, much of them goes on to the operating system. No lock
 * may be held. */
void sm__manual_returned(size_t bytes);
/* committed, in use, free, released, over all nodes. */
void sm__manual_pageheap(struct sm_pageheap_stats *sum);
void sm__manual_making_lock(void);
void sm__manual_making_unlock(void);

/* malloc/fork.c: registers the handlers; once, when the heap is made. */
void sm__manual_fork_init(void);

/* ---- thread_cache.c -------------------------------------------------------------------------------- */

/* The calling thread's cache, made when there is none; NULL: it has ended, or there is no memory. */
struct sm_mcache *sm__mcache_get(void);
void sm__mcache_end(struct sm_mcache *c);
/* The list is empty: an object from wherever there is one. NULL: no memory. */
void *sm__mcache_refill(struct sm_mcache *c, unsigned cls);
/* The list is full: makes room. */
void sm__mcache_overflow(struct sm_mcache *c, unsigned cls);
/* Everything that c holds goes to the depots and spans. */
void sm__mcache_flush(struct sm_mcache *c);
/* Objects that c holds of a class, and bytes of all. */
size_t sm__mcache_objects(const struct sm_mcache *c, unsigned cls);
size_t sm__mcache_held(const struct sm_mcache *c);
/* What c has counted of a class until now, room[] and window included. */
struct sm_mcount sm__mcache_count(const struct sm_mcache *c, unsigned cls);
/* Thread cleanup: arms the destructor; called once a thread. */
void sm__mcache_key_init(void);

/* ---- depot.c -------------------------------------------------------------------------------- */

SM_INLINE struct sm_depot *sm__depot_of(unsigned node, unsigned cls)
{
	return &sm__manual.depots[(size_t)node * sm__nclasses + cls];
}

/* The node of the CPU that we are on, roughly: the thread may move. */
unsigned sm__manual_here(void);

/* What a refill asks for: a window of so many slots where there is a long run (0: no windows), else a list of at
 * most so many objects from so many spans. */
struct sm_mwant {
	unsigned window, list, spans;
	bool alone; /* not a list of the depot, which may be longer */
};

/* What it got: a list of n, or the window [cur, end). */
struct sm_mtake {
	struct sm_freed *list;
	char *cur, *end;
	unsigned n;  /* slots */
	bool stolen; /* from another node's lists */
	bool remote; /* memory of another node than this CPU's */
};

/* From this node's depot or spans, fresh memory, another node's lists, in this order. False: no memory. */
bool sm__manual_take(unsigned cls, const struct sm_mwant *want, struct sm_mtake *got);
/* One object without a cache. */
void *sm__manual_take_one(unsigned cls);
/* A list goes back to the spans it came from. */
void sm__manual_drain(unsigned cls, struct sm_freed *list);
/* A list of n goes to the depots of the nodes that its objects lie on, or on to the spans. Returns
 * how many were of another node than this CPU's. */
unsigned sm__manual_give_list(unsigned cls, struct sm_freed *list, unsigned n);
/* The slots of the window [cur, end) go back to their span. */
void sm__manual_give_window(unsigned cls, char *cur, char *end);
/* Every depot's lists go back to their spans. */
void sm__manual_drain_depots(void);

/* ---- depot_shard.c -------------------------------------------------------------------------------- */

#define SM_SHARDS_MAX 16

/* False: no memory. */
bool sm__shard_init(void);
/* A list of the node's depot, from the own shard. 0: none. */
uint64_t sm__shard_take(unsigned node, unsigned cls);
/* From another shard that has more than its threads need; any: from whichever, the own one included. */
uint64_t sm__shard_steal(unsigned node, unsigned cls, bool any);
/* A list goes to the own shard. False: the depot has as much as it may. */
bool sm__shard_give(unsigned node, unsigned cls, uint64_t word);
/* Objects in the depot's lists. */
uint64_t sm__shard_objects(unsigned node, unsigned cls);
/* Identities, of a heap at rest. NULL, or what is wrong. */
const char *sm__shard_check(void);
void sm__shard_fork_prepare(void);
void sm__shard_fork_parent(void);
void sm__shard_fork_child(void);

/* ---- cpu_cache.c ---------------------------------------------------------------------------------- */

/*
 * A CPU's cache. Words of stacks are changed by restartable sections alone, or by who holds the slab. The rest:
 * relaxed, from whichever thread is there; cap, end, used and budget under sm__manual.budget_lock.
 *
 * Identities: used == sum of cap * slot_bytes over the classes; the budgets of all CPUs add up to their shares.
 */
struct sm_mcpu {
	struct sm_rseq_slab slab;
	struct sm_mcpu_stack {
		_Atomic(uint64_t) word; /* rseq.h */
		_Atomic(uint32_t) end;	/* begin + cap */
		uint32_t begin;		/* fixed once `ready` */
	} stack[SM_NCLASSES_MAX];
	_Atomic(uint32_t)
		cap[SM_NCLASSES_MAX]; /* objects that the stack may have; 0 until it is first used */
	struct sm_mcpu_class {
		_Atomic(uint64_t) refills, overflows, steals, remote;
		_Atomic(uint64_t) moved; /* objects popped to be given away */
		_Atomic(bool) dry;	 /* was empty since it was last full */
		/* fixed once `ready` */
		uint32_t most, batch, spans; /* cap's bound; slots of a refill; spans looked at for them */
		/* under budget_lock */
		uint64_t seen; /* refills + overflows when budget was last looked for */
	} cls[SM_NCLASSES_MAX];
	_Atomic(bool) ready, over; /* tunables are filled in; a list may be longer than its cap */
	_Atomic(size_t) budget, used;
	size_t share; /* the budget it was given by the configuration */
	unsigned hand;
	_Atomic(uint32_t) slow;	       /* slow paths taken on this CPU */
	_Atomic(uint32_t) seen;	       /* `slow` when the cache was last looked at for idleness */
	_Atomic(uint32_t) seen_budget; /* the same, when it was last asked for budget */
	_Atomic(uint64_t) drains;      /* times that it was emptied for being idle, or by trim */
} __attribute__((aligned(4096)));

/* False: not usable here, one line said why; caches are per thread. */
bool sm__mcpu_init(void);
/* An object of the class; cls 0: there was no heap a moment ago. NULL: no memory. */
void *sm__mcpu_malloc(size_t size, size_t cls);
void sm__mcpu_free(void *p, size_t cls);
/* Empties one CPU's cache, whoever runs there. 0, -errno. */
int sm__mcpu_drain(unsigned cpu);
void sm__mcpu_drain_all(void);
size_t sm__mcpu_held(unsigned cpu, unsigned cls);
/* Objects that were popped for malloc. */
uint64_t sm__mcpu_pops(unsigned cpu, unsigned cls);
/* A CPU's tunables are known (under budget_lock): makes its stacks. False: no memory. */
bool sm__mcpu_make_locked(unsigned cpu);
/* In the child of a fork: slabs that another thread had taken away are there again. */
void sm__mcpu_fork_child(void);

/* ---- cpu_budget.c ------------------------------------------------------------------------------- */

/* Fills in the tunables of a CPU on its first slow path. */
void sm__mbudget_prepare(unsigned cpu);
/*
 * Room for up to `want` more objects in a CPU's list, from its own budget, its own idle classes, or other CPUs.
 * Returns how many were granted. *idle: a CPU to be drained, whose budget the next call can have, or -1.
 */
unsigned sm__mbudget_grow(unsigned cpu, unsigned cls, unsigned want, int *idle);
/* The CPU's lists are empty: nothing of its budget is used. */
void sm__mbudget_drained(unsigned cpu);
/* Identities, of a heap at rest. NULL, or what is wrong. */
const char *sm__mbudget_check(void);

/* malloc_stats.c: our part in checks and figures. */
extern const struct sm_heap_owner sm__malloc_owner;

/* ---- malloc.c -------------------------------------------------------------------------------------- */

/* The span that p is the start of an object in; aborts naming p and what it is. verb: "free", .. */
struct sm_span *sm__manual_span(const void *p, const char *verb);
void *sm__manual_large(size_t size, size_t align);

#endif
