/*
 * thread_cache.h: what a thread keeps of freed objects: a list for each class, a spare one behind
 * it, a window.
 *
 * A freed object holds two words: the next of its list, and a key made of its address and a secret.
 * free() finds the key there when the object is freed already; malloc() wipes it. What an object's
 * words hold by chance equals the key once in 2^64. An object in a list, in the depot or in a
 * window still has its alloc bit; the bit is cleared when the slot goes back to its span, and
 * finding it clear then is a double free, too.
 */
#ifndef SM_ALLOCATOR_THREAD_CACHE_H
#define SM_ALLOCATOR_THREAD_CACHE_H

#include "allocator/base/sizeclass.h"
#include "allocator/objects/class_counts.h"

#define SM_MALLOC_MIN 16 /* two words */

struct sm_freed {
	struct sm_freed *next;
	uint64_t key;
};

/*
 * room[] of a cache: in the low bits, objects that the list still takes; above them, objects that
 * were ever popped. So a pop adds one to both in the one addition that it needs anyway, and hits
 * cost nothing.
 */
#define SM_ROOM_BITS 20
#define SM_ROOM_MASK ((UINT64_C(1) << SM_ROOM_BITS) - 1)
#define SM_ROOM_POP  ((UINT64_C(1) << SM_ROOM_BITS) + 1)

/* What the slow path needs of a class; one for each class in a cache. Two lines: what the next slot
 * of a window takes is in the first, and an entry is found by a shift. */
struct sm_mclass {
	struct sm_freed *spare; /* a list that was full, or NULL */
	char *cur, *end;	/* window: slots never linked into a list */
	uint32_t slot;		/* bytes, once it is set up: there is no window before */
	uint32_t spare_n;	/* its length */
	bool just_full;		/* the spare one became so a moment ago: see sm__mcache_refill */
	/* slots that refills brought (see window_slots); of those, and of those that a short list
	 * sent back, what did not make it grow yet */
	uint32_t had, brought, sent;
	uint32_t limit; /* objects of a full list now: see thread_cache.c, how lists grow */
	/* tunables, fixed once they are set, while the cache has its thread */
	bool fixed;		  /* limit is */
	uint32_t most;		  /* bound of `limit`, 0: not set up yet */
	uint32_t window;	  /* bytes */
	uint32_t batch;		  /* slots that a refill fetches, 0: by window and limit */
	uint32_t spans;		  /* partial spans looked at for one list */
	struct sm_class_counts n; /* of windows; pops are in room[] */
} __attribute__((aligned(SM_CACHELINE)));

/* A thread's cache. Owner thread only, but for next and prev. */
struct sm_mcache {
	struct sm_freed *head[SM_NCLASSES_MAX];
	uint64_t room[SM_NCLASSES_MAX]; /* see above */
	size_t budget;			/* bytes that it may hold, 0: no bound */
	unsigned hand;			/* class that yields first when the budget is used up */
	unsigned shard;			/* whose depot lists are its own; fixed */
	unsigned start;			/* bytes that a list starts with; fixed */
	/* where its thread was when it was made: whose settings it has, where it counts */
	int cpu;
	/* under the process heap's lock */
	struct sm_mcache *next, *prev;
	struct sm_mcache *next_home; /* of the same bucket of homes */
	/* the variable through which its thread finds it; NULL: nobody may take it apart */
	const void *home;
	/* Last: pages of classes that a thread does not use stay untouched. */
	struct sm_mclass cold[SM_NCLASSES_MAX];
};

/* The calling thread's cache, made when there is none; NULL: it has ended, or there is no memory.
 */
struct sm_mcache *sm__mcache_get(void);
/* The same for a free: NULL also for the first few of a thread that has none. */
struct sm_mcache *sm__mcache_for_free(void);
void sm__mcache_end(struct sm_mcache *c);
/*
 * The list is empty: the window's next slot, if it is its turn: a spare list is warmer. NULL: it is
 * not, or there is none, as in a cache that was not made.
 */
SM_INLINE void *sm__mcache_bump(struct sm_mcache *c, size_t cls)
{
	struct sm_mclass *m = &c->cold[cls];
	struct sm_freed *p = (struct sm_freed *)m->cur;

	if (m->cur == m->end || SM_UNLIKELY(m->spare != NULL))
		return NULL;
	m->cur += m->slot;
	/* A former life may have left its key here. */
	p->key = 0;
	return p;
}

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
struct sm_class_counts sm__mcache_count(const struct sm_mcache *c, unsigned cls);
/* In the child of a fork, the process heap's lock held: the caches of threads that stayed in the
 * parent are left as they are for good. */
void sm__mcache_fork_child(void);
/* The key by which we are told of a thread's end; before the heap is. No lock may be held. */
void sm__mcache_key_init(void);

#endif
