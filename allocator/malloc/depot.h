/*
 * depot.h: what is central of a class on a node: lists of freed objects, spans with room, and the
 * way back to these.
 */
#ifndef SM_ALLOCATOR_DEPOT_H
#define SM_ALLOCATOR_DEPOT_H

#include "allocator/malloc/process_heap.h"

#define SM_MALLOC_SPANS 8 /* cache.spans=0: partial spans looked at for one list */

/*
 * A class's central part on a node: spans with room, and lists of freed objects, which are in
 * shards (depot_shard.c). There a list is a word: the first object, and the length above
 * SM_RSEQ_TAG_SHIFT.
 */
struct sm_depot {
	/* Rank SM_RANK_CENTRAL; guards the node's spans of the class, their alloc bits, `partial`,
	 * `out`, `drained` and `fresh`. */
	struct sm_lock lock;
	/* spans with a free slot and one that is out; others are on no list */
	struct sm_span_list partial;
	/* lists that a shelf has room for; objects that the depot may ever keep; fixed */
	uint32_t cap, most;
	_Atomic(uint32_t) spans;  /* of the class; written under the lock */
	_Atomic(uint64_t) out;	  /* sum of the spans' nalloc; written under the lock */
	_Atomic(uint64_t) credit; /* objects, drawn by shards */
	uint64_t drained, fresh;  /* objects that went back to spans; spans cut from new units */
} __attribute__((aligned(SM_CACHELINE)));

SM_INLINE struct sm_depot *sm__depot_of(unsigned node, unsigned cls)
{
	return &sm__process_heap.depots[(size_t)node * sm__nclasses + cls];
}

/* The node of the CPU that we are on, roughly: the thread may move. */
unsigned sm__malloc_here(void);

/* What a refill asks for: a window of so many slots where there is a long run (0: no windows), else
 * a list of at most so many objects from so many spans. */
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

/* From this node's depot or spans, fresh memory, another node's lists, in this order. False: no
 * memory. */
bool sm__depot_take(unsigned cls, const struct sm_mwant *want, struct sm_mtake *got);
/* One object without a cache. */
void *sm__depot_take_one(unsigned cls);
/* A list goes back to the spans it came from. */
void sm__depot_drain(unsigned cls, struct sm_freed *list);
/* A list of n goes to the depots of the nodes that its objects lie on, or on to the spans. Returns
 * how many were of another node than this CPU's. */
unsigned sm__depot_give_list(unsigned cls, struct sm_freed *list, unsigned n);
/*
 * The same, if the depot has a place for it: true. False: it has none, and `warm`, whose objects
 * were freed last, went back to its spans instead. These objects are still in the CPU's cache, and
 * what translates their addresses, too: walking along a list that has waited is a miss for each.
 */
bool sm__depot_exchange(unsigned cls, struct sm_freed *list, unsigned n, struct sm_freed *warm,
			unsigned *remote);
/* The slots of the window [cur, end) go back to their span. */
void sm__depot_give_window(unsigned cls, char *cur, char *end);
/* Every depot's lists go back to their spans. */
void sm__depot_drain_all(void);

#define SM_SHARDS_MAX 16

/* False: no memory. */
bool sm__shard_init(void);
/* A list of the node's depot, from the own shard. 0: none. */
uint64_t sm__shard_take(unsigned node, unsigned cls);
/* From another shard that has more than its threads need; any: from whichever, the own one
 * included. */
uint64_t sm__shard_steal(unsigned node, unsigned cls, bool any);
/* A list goes to the own shard. False: the depot has as much as it may. */
bool sm__shard_give(unsigned node, unsigned cls, uint64_t word);
/* A list that the depot must not keep any more, since less of the class is in use. 0: none. */
uint64_t sm__shard_shed(unsigned node, unsigned cls);
/* Objects in the depot's lists. */
uint64_t sm__shard_objects(unsigned node, unsigned cls);
/* Identities, of a heap at rest. NULL, or what is wrong. */
const char *sm__shard_check(void);
void sm__shard_fork_prepare(void);
void sm__shard_fork_parent(void);
void sm__shard_fork_child(void);

#endif
