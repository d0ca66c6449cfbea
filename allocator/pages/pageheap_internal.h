/*
 * pageheap_internal.h: what the files of the page heap share; no other file includes it.
 *
 *   pageheap.c         the calls of pageheap.h: policy, order of nodes, descriptors
 *   pageheap_check.c   statistics, the check, fork
 *   arena.c            commits a node's memory, gives it back
 *   ownmap.c           mappings of their own: larger than an arena, or files
 *   unitbits.c         the bits of a node's units, as many as its arenas have reached
 *   pageheap_buddy.c, pageheap_bitmap.c   which units of the arenas are free
 *   scavenge.c         returns free units to the operating system
 *
 * Units are counted from the start of the node's range unless a name says otherwise; a unit of the
 * heap's whole range is node->first + unit. Unit 0 of a node is its guard, so 0 means "none".
 *
 * Counting identity, under the node's lock (sm__pageheap_check):
 *
 *   frontier - 1 == used_units + free_units
 *   free_units   == units in the free structure + busy_units
 *   dirty_units  == dirty bits set in free units <= free_units
 */
#ifndef SM_ALLOCATOR_PAGEHEAP_INTERNAL_H
#define SM_ALLOCATOR_PAGEHEAP_INTERNAL_H

#include <pthread.h>

#include "allocator/base/bitset.h"
#include "allocator/base/lock.h"
#include "allocator/base/say.h"
#include "allocator/os/os.h"
#include "allocator/os/uring.h"
#include "allocator/pages/pageheap.h"
#include "allocator/pages/range.h"
#include "allocator/pages/scavenge.h"
#include "allocator/pages/stackpool.h"

#define SM_BUDDY_ORDERS 24

struct sm_buddy {
	unsigned max_order;
	uint32_t nonempty;		 /* bit k: order k has a free block */
	uint32_t count[SM_BUDDY_ORDERS]; /* free blocks of each order */
	/* member i of free[k]: units [i << k, (i + 1) << k) */
	struct sm_bitset free[SM_BUDDY_ORDERS];
};

/* Free units of a subtree, as runs: at its start, the longest, at its end. */
struct sm_runs {
	uint32_t start, max, end;
};

#define SM_BITMAP_LEVELS 10
#define SM_BITMAP_CHUNK	 512 /* units of a leaf: one cache line of bits */
#define SM_BITMAP_FANOUT 8

struct sm_bitmap {
	uint64_t *bits; /* 1: free */
	struct sm_runs *level[SM_BITMAP_LEVELS];
	size_t width[SM_BITMAP_LEVELS]; /* entries of each level; the last has one */
	unsigned nlevels;
	size_t nruns;
};

struct sm_ph_counts {
	uint64_t allocs, frees, steps, grown, failed, remote;
};

struct sm_ph_node {
	/* fixed after creation */
	uint32_t first; /* unit of the heap's range that is our unit 0 */
	uint32_t units; /* of the node's range */
	uint8_t index;

	struct sm_lock lock; /* rank SM_RANK_PAGEHEAP; guards all below */
	/* [0, tracked) have bits, here and in the free structure; see sm__ph_track */
	uint32_t tracked;
	void *bits;
	size_t bits_bytes;
	struct sm_bitset collapsed; /* huge pages that were collapsed */
	uint64_t *dirty;	    /* a bit for each unit: it may hold something else than zeros */
	bool closed;		    /* the kernel lets this process have no memory of this node */
	uint32_t frontier;	    /* [1, frontier): committed by arenas */
	/* [0, marks_touched): the pages of the map of mark bits are there */
	uint32_t marks_touched;
	uint32_t own_start;  /* [own_start, units): own mappings and holes between them */
	uint32_t own_lowest; /* own_start has been there */
	/* list of holes, by address; 0: none. Linked by next and prev of their heads */
	uint32_t own_free;
	_Atomic(uint32_t) used_units; /* of the arenas, handed out; see sm__ph_count */
	uint32_t free_units;
	_Atomic(uint32_t) dirty_units; /* free and dirty */
	uint32_t busy_units;	       /* free, in the scavenger's hands */
	uint32_t peak_units;	       /* most used_units since the scavenger's last round */
	uint32_t recent_peak;	       /* the same, decaying over rounds: the scavenger's */
	_Atomic(uint32_t) own_units;   /* own mappings in use */
	/* own mappings that the kernel would not unmap: never used again */
	uint32_t lost_units;
	uint32_t nholes;
	struct sm_ph_counts counts;
	union {
		struct sm_buddy buddy;
		struct sm_bitmap bitmap;
	};
} __attribute__((aligned(SM_CACHELINE)));

/*
 * Counts that sm__pageheap_resident glances at without the lock. Written under it, so no update is
 * lost. Relaxed: nothing is followed from them, each is right at some moment, and a stale one is as
 * good for a threshold.
 */
SM_INLINE void sm__ph_count(_Atomic(uint32_t) *count, uint32_t more)
{
	sm_store_relaxed(count, sm_load_relaxed(count) + more);
}

SM_INLINE void sm__ph_uncount(_Atomic(uint32_t) *count, uint32_t less)
{
	sm_store_relaxed(count, sm_load_relaxed(count) - less);
}

struct sm_piece {
	uint32_t unit, n, dirty;
	bool part, dense; /* of one huge page; most of which is in use */
};

struct sm_scavenger {
	/* rank SM_RANK_SCAVENGE: a batch is away; guards ring, batch and stats */
	struct sm_lock lock;
	struct sm_uring *ring;
	/* The batch; not on the stack, which is that of the thread that frees, and may be small. */
	struct sm_piece piece[SM_URING_BATCH];
	struct sm_advice advice[SM_URING_BATCH];
	struct sm_scavenge_stats stats;

	/* the thread that starts and stops it; not shared */
	bool running;
	pid_t pid; /* the thread's process: a fork's child has none */
	pthread_t thread;
	struct sm_scavenge_hooks hooks;

	pthread_mutex_t sleep_mutex; /* guards stop */
	pthread_cond_t sleep_cond;
	bool stop;
};

/* Stacks of one size that wait for a user; linked by `next` of their heads, unit indexes of the
 * range. */
struct sm_stack_list {
	uint32_t first, count;
	uint32_t low; /* least count since the last trim */
};

struct sm_stack_pool {
	struct sm_lock lock;			    /* rank SM_RANK_STACKS; guards the lists */
	struct sm_stack_list list[SM_STACK_ORDERS]; /* by log2 of units */
};

struct sm_pageheap {
	/* fixed after creation */
	enum sm_pageheap_kind kind;
	unsigned nnodes;
	uint32_t arena_units; /* committed at a time, and the largest block */
	/* units of a huge page; 1: there are none, or they are larger than an arena */
	uint32_t huge_units;
	bool strict;				   /* numa=bind:N: no other node's memory */
	size_t bytes;				   /* of this struct's mapping */
	uint8_t order[SM_MAX_NODES][SM_MAX_NODES]; /* nodes by distance, each node's own first */

	/* atomic */
	_Atomic(uint32_t) turn; /* numa=interleave: whose turn it is */
	_Atomic(uint32_t) open; /* nodes that are not closed; never 0 */
	_Atomic(bool) bind_off; /* mbind is refused: memory is not bound */

	struct sm_stack_pool stacks;
	struct sm_scavenger scavenger;
	struct sm_ph_node nodes[];
};

SM_INLINE struct sm_pageheap *sm__ph(const struct sm_pages *pg)
{
	return pg->pageheap;
}

SM_INLINE struct sm_span *sm__ph_desc(const struct sm_pages *pg, const struct sm_ph_node *nd,
				      uint32_t unit)
{
	return &pg->range.spans[nd->first + unit];
}

/* Relaxed: statistics may have the units in view while they change hands. */
SM_INLINE void sm__ph_set_nunits(struct sm_span *s, uint32_t n)
{
	__atomic_store_n(&s->nunits, n, __ATOMIC_RELAXED);
}

SM_INLINE char *sm__ph_addr(const struct sm_pages *pg, const struct sm_ph_node *nd, uint32_t unit)
{
	return (char *)pg->range.base + ((size_t)(nd->first + unit) << SM_UNIT_SHIFT);
}

/* ---- free structures: each kind has these; a run is never empty --------------------------- */

/* A run of n units at a multiple of align, taken out; 0: none fits. */
#define SM_PH_DECLARE(kind)                                                                           \
	size_t sm__##kind##_bytes(size_t units);                                                      \
	/* What it has, into larger memory, zeroed, for `units`. */                                   \
	void sm__##kind##_move(struct sm_ph_node *nd, void *memory, size_t units,                     \
			       unsigned max_order);                                                   \
	uint32_t sm__##kind##_take(struct sm_ph_node *nd, uint32_t n, uint32_t align);                \
	/* Exactly [unit, unit + n), when all of it is free. */                                       \
	bool sm__##kind##_take_at(struct sm_ph_node *nd, uint32_t unit, uint32_t n);                  \
	/* Puts a run in; neighbours merge. */                                                        \
	void sm__##kind##_give(struct sm_ph_node *nd, uint32_t unit, uint32_t n);                     \
	/* The first free run (buddy: block) at or behind unit; 0: none. Not from inside of a run. */ \
	uint32_t sm__##kind##_next(struct sm_ph_node *nd, uint32_t unit, uint32_t *n);                \
	/* Where the free run that ends at `end` starts; end: the unit before it is in use. */        \
	uint32_t sm__##kind##_before(const struct sm_ph_node *nd, uint32_t end);                      \
	uint32_t sm__##kind##_largest(const struct sm_ph_node *nd);                                   \
	size_t sm__##kind##_nruns(const struct sm_ph_node *nd);                                       \
	/* Violations inside of the structure, one line on stderr each. */                            \
	unsigned sm__##kind##_check(struct sm_ph_node *nd);

SM_PH_DECLARE(buddy)
SM_PH_DECLARE(bitmap)

#define SM_PH_CALL(ph, op, ...)                                        \
	((ph)->kind == SM_PAGEHEAP_BUDDY ? sm__buddy_##op(__VA_ARGS__) \
					 : sm__bitmap_##op(__VA_ARGS__))

/* As next, but neighbouring blocks are one run; the walk of everything that compares the two kinds.
 */
uint32_t sm__ph_next_run(const struct sm_pageheap *ph, struct sm_ph_node *nd, uint32_t unit,
			 uint32_t *n);
/*
 * The first free unit at or behind `unit`, which may lie inside of a run, as where a walk goes on
 * that let go of the lock: what it had passed may have merged with what it has not. *end is where
 * the run ends. 0: there is none.
 */
uint32_t sm__ph_run_from(const struct sm_pageheap *ph, struct sm_ph_node *nd, uint32_t unit,
			 uint32_t *end);

/* ---- runs and their dirty bits; under the node's lock ------------------------------------- */

uint32_t sm__ph_dirty_count(const struct sm_ph_node *nd, uint32_t unit, uint32_t n);
void sm__ph_dirty_set(struct sm_ph_node *nd, uint32_t unit, uint32_t n);
void sm__ph_dirty_clear(struct sm_ph_node *nd, uint32_t unit, uint32_t n);
/*
 * Makes the bits of the units [0, to), or more. They grow with the frontier, four times as many at
 * a time: for all of the range they would be megabytes, which count where a program limits itself.
 * -ENOMEM: they are as they were.
 */
int sm__ph_track(struct sm_pageheap *ph, struct sm_ph_node *nd, uint32_t to);
/* The first dirty unit of [unit, end), or end. */
uint32_t sm__ph_dirty_next(const struct sm_ph_node *nd, uint32_t unit, uint32_t end);
/* What of [unit, unit + n) was collapsed is small pages again. */
void sm__ph_uncollapse(struct sm_ph_node *nd, uint32_t unit, uint32_t n);
/* Makes unit the head of a run of n: the state that pageheap.h promises. */
struct sm_span *sm__ph_describe(struct sm_pages *pg, struct sm_ph_node *nd, uint32_t unit,
				uint32_t n, unsigned flags);
/* A run of old units from unit becomes one of n. */
void sm__ph_extend_description(struct sm_pages *pg, struct sm_ph_node *nd, uint32_t unit,
			       uint32_t old, uint32_t n);
/* Back to what free units look like: [unit, unit + n). */
void sm__ph_undescribe(struct sm_pages *pg, struct sm_ph_node *nd, uint32_t unit, uint32_t n);

/* ---- memory; under the node's lock -------------------------------------------------------- */

/* Commits [unit, unit + n) and its descriptors: charged, bound, advised. -errno; nothing is changed
 * then. */
int sm__arena_commit(struct sm_pages *pg, struct sm_ph_node *nd, uint32_t unit, uint32_t n);
/* The descriptors alone: writable from here on, untouched and uncharged. */
int sm__arena_commit_descriptors(struct sm_pages *pg, struct sm_ph_node *nd, uint32_t unit,
				 uint32_t n);
/* What n committed units count against the limit. */
size_t sm__arena_cost(const struct sm_pages *pg, uint32_t n);
/* The other way. False: the kernel would not; the piece is committed and charged as before. */
bool sm__arena_decommit(struct sm_pages *pg, struct sm_ph_node *nd, uint32_t unit, uint32_t n);
/* The way back of a piece's mapping alone, whatever it was. 0, -errno. */
int sm__arena_unmap(struct sm_pages *pg, void *p, size_t bytes);
/* Moves the frontier so that n units at a multiple of align lie free in front of it, and takes
 * them. 0: no. */
uint32_t sm__arena_grow(struct sm_pages *pg, struct sm_ph_node *nd, uint32_t n, uint32_t align);
/* The same behind unit: everything up to unit + n is committed and free, or false. */
bool sm__arena_extend(struct sm_pages *pg, struct sm_ph_node *nd, uint32_t end);
/* Gives the free units at the frontier back to the operating system and the limit. True: there were
 * some. */
bool sm__arena_retreat(struct sm_pages *pg, struct sm_ph_node *nd);
/* The same of those that hold nothing, if they are worth it. */
void sm__arena_retreat_clean(struct sm_pages *pg, struct sm_ph_node *nd);

struct sm_ph_file {
	int fd;
	int64_t offset;
	size_t bytes;
	bool shared, writable;
};

struct sm_span *sm__own_alloc(struct sm_pages *pg, struct sm_ph_node *nd, uint32_t n,
			      uint32_t align);
void sm__own_free(struct sm_pages *pg, struct sm_ph_node *nd, struct sm_span *s);
bool sm__own_grow(struct sm_pages *pg, struct sm_ph_node *nd, struct sm_span *s, uint32_t n);
void sm__own_shrink(struct sm_pages *pg, struct sm_ph_node *nd, struct sm_span *s, uint32_t n);

struct sm_span *sm__own_map_file(struct sm_pages *pg, struct sm_ph_node *nd,
				 const struct sm_ph_file *f);

/* ---- scavenger ---------------------------------------------------------------------------- */

void sm__scavenge_init(struct sm_pages *pg);
void sm__scavenge_fini(struct sm_pages *pg);
void sm__scavenge_fork_child(struct sm_pages *pg);
/* Waits until no piece is on its way. True: some may have been. Called without a page heap's lock.
 */
bool sm__scavenge_quiesce(struct sm_pages *pg);

#endif
