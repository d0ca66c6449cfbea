/*
 * cache.h: the per-core (or per-thread) cache of windows, and the allocation fast path.
 *
 * A window is a run of free, consecutive slots in a span that this cache owns. Allocation moves
 * `cur` up to `end`; windows hold a whole number of slots, so one compare decides. An untouched
 * window is all zero and reads as empty. The slow path (cache.c) finds the next run in the span's
 * alloc bits, or asks the central list for another span.
 *
 * docs/ARCHITECTURE.md draws how a request travels from here to the operating system.
 *
 * Modes. `thread`: each thread has a struct sm_cache of its own. `cpu`: thread caches stay empty,
 * so that the inline path falls through to sm__cache_refill_slow, which dispatches to the per-CPU
 * windows (restartable sequences, cache_cpu.c). `none`: windows of one slot.
 *
 * Zeroing. A window whose layout has pointers is zeroed when it is taken, as a whole, while the
 * lines are about to be used anyway; pointer-free windows are not zeroed.
 */
#ifndef SM_ALLOCATOR_CACHE_H
#define SM_ALLOCATOR_CACHE_H

#include "allocator/base/sizeclass.h"
#include "allocator/objects/class_counts.h"
#include "allocator/objects/layout.h"
#include "allocator/pages/span.h"
#include "spanmark/inline.h"

#define SM_BINS_MAX   1024
#define SM_POST_BYTES (16 * SM_KIB)

struct sm_heap;

struct sm_cache_stats {
	uint64_t refills;	 /* windows taken */
	uint64_t spans;		 /* spans taken from central lists or the page heap */
	uint64_t window_bytes;	 /* bytes of all windows ever taken */
	uint64_t returned_bytes; /* of those, bytes that went back unallocated */
	uint64_t large_objects, large_bytes;
	uint64_t fresh_spans;  /* of `spans`, those from the page heap */
	uint64_t swept_spans;  /* swept on the way by this cache */
	uint64_t remote_spans; /* taken from another node's lists */
};

/* The tunables of config.h as they hold on a cache's core. */
struct sm_cache_limits {
	uint16_t slots; /* of a window */
	uint8_t spans;	/* that a cache owns of a bin, at most */
};

struct sm_cache {
	/* First: a mutator's windows are where inline.h expects them. Owner thread only, except at
	 * a handshake, when the proxy that holds the mutator acts for it. */
	struct sm_window windows[SM_BINS_MAX];
	/* fixed after sm__cache_init */
	struct sm_heap *heap;
	int cpu;       /* where the thread was: whose settings it has, where it counts */
	size_t budget; /* bytes that windows may hold together, 0: no bound */
	struct sm_cache_limits limits[SM_NCLASSES_MAX];
	/* owner thread only */
	char *tiny_cur, *tiny_end; /* the block that pointer-free objects under 16 B share */
	unsigned node;		   /* node index that refills try first */
	bool black;		   /* set by the collector: windows are blackened when taken */
	size_t debt;		   /* bytes taken since hooks.before_refill was last called */
	size_t unposted;	   /* bytes taken and not yet in heap->allocated_bytes */
	struct sm_cache_stats stats;
	struct sm_cache *next, *prev; /* under heap->caches_lock */
	void *owner;		      /* the collector's mutator, for hooks */
	unsigned hand;		      /* bin that yields first when the budget is used up */
	struct sm_class_counts cls[SM_NCLASSES_MAX];
	/* cache.spans: owned spans with room behind the window's own, linked by next; unit indexes,
	 * 0: none. */
	uint32_t reserve[SM_BINS_MAX], nreserve;
};

/* Owner. Relaxed stores, since corestats.c reads a window whose owner goes on. */
SM_INLINE void sm__window_set(struct sm_window *w, char *cur, char *end)
{
	__atomic_store_n(&w->cur, cur, __ATOMIC_RELAXED);
	__atomic_store_n(&w->end, end, __ATOMIC_RELAXED);
}

/* The next slot of bin's window, or NULL when it is used up. */
SM_INLINE void *sm__cache_bump(struct sm_cache *c, unsigned bin)
{
	return sm__window_bump(&c->windows[bin]);
}

/* Takes a window and returns its first slot; NULL with errno ENOMEM when memory or the limit is
 * out. */
void *sm__cache_refill_slow(struct sm_cache *c, unsigned bin);
/* Before a cache takes memory, `more` bytes besides what it has taken since: the collector's hook,
 * which may collect, allocate and finalize. */
void sm__cache_before_refill(struct sm_cache *c, size_t more);
/* A pointer-free object under 16 B; `align` is 1, 2, 4 or 8. */
void *sm__cache_tiny(struct sm_cache *c, size_t size, size_t align);
/* A large object (> SM_MAX_SMALL) of this layout, zeroed if the layout has pointers or zero is set.
 */
void *sm__cache_large(struct sm_cache *c, size_t size, const struct sm_layout *layout, bool zero);

/* Memory that is set up becomes an object of c's heap, black while marking, and counts as
 * allocated. */
void sm__cache_publish_large(struct sm_cache *c, struct sm_span *s, const struct sm_layout *layout);

/* *c must be all zero (freshly mapped: a cache is large and mostly never touched). 0. */
int sm__cache_init(struct sm_cache *c, struct sm_heap *h, void *owner);
/* Gives every window's unallocated rest and every owned span back to the central lists; of spans
 * that it does not own (mixed.h) it forgets the rest, which the next sweep frees. */
void sm__cache_retire_all(struct sm_cache *c);
void sm__cache_fini(struct sm_cache *c);
/* For another thread, or another CPU: as after sm__cache_init. Precondition: retired. */
void sm__cache_reuse(struct sm_cache *c);
/* Adds what c has taken to heap->allocated_bytes; until then that lags by less than SM_POST_BYTES a
 * cache. */
void sm__cache_post(struct sm_cache *c);
/*
 * Owner thread, or on behalf of it. Calls fn for the unallocated rest of each window, and for a
 * tiny block with room left (whose first objects are in use, but whose next ones are born in it):
 * [first, first + count) of span. A window that is used up forgets its bounds. They are the address
 * of the slot behind it, which may be another's object: a thread that finds the window empty has
 * that address in a register, and with it on its stack it looks like a pointer to that object.
 */
void sm__cache_foreach_window(struct sm_cache *c,
			      void (*fn)(void *ctx, struct sm_span *s, unsigned first,
					 unsigned count),
			      void *ctx);

#endif
