/*
 * heap.h: a heap: the address range, its page heaps, central lists, caches and configuration, and
 * the hooks by which a collector above takes part. What programs may see of it is spanmark/heap.h.
 *
 * The allocator does not know the collector, hwloc or the harness: nodes and CPUs come as plain
 * arrays in the configuration, and everything the collector must do on an allocation slow path is a
 * hook.
 */
#ifndef SM_ALLOCATOR_HEAP_H
#define SM_ALLOCATOR_HEAP_H

#include "allocator/objects/cache.h"
#include "allocator/base/config.h"
#include "allocator/base/lock.h"
#include "allocator/pages/pageheap.h"
#include "allocator/pages/pages.h"
#include "allocator/base/phase.h"

/*
 * What a collector does on the allocator's slow paths; every member may be NULL. `c` is the cache
 * that refills. None is called with a lock held unless it says so.
 */
struct sm_heap_hooks {
	void *ctx;
	/* First thing in every refill and large allocation: a safepoint; assists, paces, collects.
	 * bytes: what c has taken in windows since the last call, and for a large object its own
	 * size. */
	void (*before_refill)(void *ctx, struct sm_cache *c, size_t bytes);
	/* c owns the span and is about to set alloc for the run; blacken it. Called only while
	 * c->black. */
	void (*window_taken)(void *ctx, struct sm_cache *c, struct sm_span *s, unsigned first,
			     unsigned count);
	/* The run was never handed out and its alloc bits are about to be cleared: whiten it.
	 * Always called. */
	void (*window_returned)(void *ctx, struct sm_cache *c, struct sm_span *s, unsigned first,
				unsigned count);
	/* A large object was made, not yet published: blacken it. Called only while c->black. */
	void (*large_new)(void *ctx, struct sm_cache *c, struct sm_span *s);
	/* s is off its list and unswept: make marks the new alloc. Returns slots in use afterwards.
	 */
	unsigned (*sweep)(void *ctx, struct sm_cache *c, struct sm_span *s);
	/* Nothing left for `bytes`: free something. True: something may have changed, try again. */
	bool (*out_of_memory)(void *ctx, struct sm_cache *c, size_t bytes);
};

/*
 * The central list of a bin on a node. Which pair of lists is swept follows from the parity of
 * heap->sweepgen, so a cycle's end moves no list: it adds 2.
 *
 *   s->sweepgen == h->sweepgen      swept, allocatable
 *   s->sweepgen == h->sweepgen - 2  needs sweeping
 *   s->sweepgen == h->sweepgen - 1  being swept by the thread that changed it (by CAS, or off the
 *                                   list under lock)
 *
 * A span is on exactly one list, or owned by a cache (on none).
 */
struct sm_span_list {
	uint32_t first, last; /* unit indexes, 0: empty */
	/* written under the lock; read without it to see whether a look is worth it */
	_Atomic(uint32_t) count;
};

struct sm_central {
	struct sm_lock lock; /* rank SM_RANK_CENTRAL; guards all below and the spans on the lists */
	struct sm_span_list partial[2]; /* [sweepgen / 2 % 2] swept, [the other] unswept */
	struct sm_span_list full[2];
	struct sm_span_list held; /* by the collector: no cache takes them, no sweeper looks */
	/* refills that are not to sweep, or not many, on their way: central.c */
	unsigned rest, rest_long;
} __attribute__((aligned(SM_CACHELINE)));

#define SM_KINDS_MAX 256

struct sm_core_stats;
struct sm_heap_stats;

/*
 * What checks and figures (stats/) ask of an allocator above that keeps spans and lists of its own
 * in the heap, which is malloc; so that nothing below it knows its name. Called as the call of
 * stats/ that asks is.
 */
struct sm_heap_owner {
	/* A span in use, of whatever state. NULL, or what is wrong. */
	const char *(*check_span)(const struct sm_span *s);
	/* Everything else, at rest. NULL, or what is wrong. */
	const char *(*check)(void);
	/* Calls fn for each list of spans with room. */
	void (*foreach_list)(void (*fn)(void *ctx, const struct sm_span_list *l, unsigned bin),
			     void *ctx);
	/* Adds what caches of the cores [from, to) counted. */
	void (*add_cores)(unsigned from, unsigned to, struct sm_core_stats *out);
	/* Adds what waits in depots, and spans made. */
	void (*add_depots)(struct sm_heap_stats *out);
};

/* A bin is a class with a layout. Written under bins_lock, then published by nbins (release). */
struct sm_bin {
	const struct sm_layout *layout;
	uint8_t cls;
	bool zero;    /* windows are zeroed when taken */
	bool shared;  /* of mixed layouts: no cache keeps a span of it, see mixed.h */
	uint8_t kind; /* what the mark loop asks of its objects, see markmap.h */
};

struct sm_heap {
	struct sm_pages pages; /* first: what the page layer knows of us */

	/* fixed after creation */
	struct sm_heap_config config;
	/* set once by sm__heap_set_hooks before the first allocation */
	struct sm_heap_hooks hooks;
	const struct sm_heap_owner *owner; /* set once, likewise; NULL: none */
	unsigned ncpus;			   /* CPUs that this system may have */
	/* cache.mode=cpu of a collected heap, see cache_cpu.h; else NULL */
	struct sm_cpu_caches *cpus;

	/* atomic */
	_Atomic(uint32_t) sweepgen; /* even; advanced by the collector alone */
	/* A conservative scanner may be looking at any span of objects: none goes back to the page
	 * heap. Set by the collector before the first marker comes, and known to every cache's
	 * owner by then. */
	_Atomic(uint32_t) marking;
	_Atomic(uint32_t) nbins;
	/* handed out in windows and large objects since creation, net of returns */
	_Atomic(size_t) allocated_bytes;

	/* rank SM_RANK_BINS; guards the making of bins, layouts and shapes */
	struct sm_lock bins_lock;
	struct sm_layout_node *
		*layouts; /* hash table of a power of two; ids are given in order of creation */
	uint32_t nlayouts, nbuckets;
	/* bin of the class's mixed spans, [1]: of objects that never move; 0: not asked for yet */
	_Atomic(uint16_t) mixed[2][SM_NCLASSES_MAX];
	struct sm_bin bins[SM_BINS_MAX];
	uint32_t kinds[SM_KINDS_MAX], nkinds; /* see markmap.h */
	struct sm_central *central;	      /* [node * SM_BINS_MAX + bin], lazily touched */
	/* [node]: large objects, lists as above (partial unused) */
	struct sm_central *large;

	struct sm_lock caches_lock; /* rank SM_RANK_CACHES */
	struct sm_cache *caches;
	_Atomic(uint32_t) ncaches;	       /* written under it */
	struct sm_cache_stats dead_stats;      /* handed over by caches that are gone */
	struct sm_class_counts **dead_classes; /* [cpu][class]: the same; see sm__dead_counts */
};

/*
 * Counts by class that caches of a CPU left behind. There may be thousands of CPUs, and few are
 * used: a row is made with the first count. NULL: no memory, or none yet (make: false). Under the
 * lock that guards the rows.
 */
struct sm_class_counts *sm__dead_counts(struct sm_heap *h, struct sm_class_counts **rows,
					unsigned cpu, bool make);

/* Creates a heap; NULL with errno set, and a reason in err (may be NULL), when it cannot. */
struct sm_heap *sm__heap_create(const struct sm_heap_config *cfg, char *err, size_t errlen);
/* Unmaps everything. No cache may be in use. */
void sm__heap_destroy(struct sm_heap *h);
void sm__heap_set_hooks(struct sm_heap *h, const struct sm_heap_hooks *hooks);
/* The hook of that name: is it worth while to try again? */
SM_INLINE bool sm__heap_out_of_memory(struct sm_heap *h, struct sm_cache *c, size_t bytes)
{
	return h->hooks.out_of_memory != NULL && h->hooks.out_of_memory(h->hooks.ctx, c, bytes);
}

/* shape.c: the layout equal to *l (copied, deduplicated; bits too). NULL with ENOMEM. */
const struct sm_layout *sm__heap_layout(struct sm_heap *h, const struct sm_layout *l);
/* The bin of a class and layout; makes it on first use. -ENOSPC: all SM_BINS_MAX are in use. */
int sm__heap_bin(struct sm_heap *h, unsigned cls, const struct sm_layout *layout, bool zero);

/* Calls fn for every span in use (any state but free). Precondition: nothing allocates or sweeps.
 */
void sm__heap_foreach_span(struct sm_heap *h, void (*fn)(void *ctx, struct sm_span *s), void *ctx);

/*
 * Lists for the collector's sweeper: takes up to n unswept spans of one bin (small or large) off
 * its list and returns how many, 0 when no list has one. A sweeper that took the list's lock twice
 * a span would keep it from the caches that refill meanwhile: they would find it taken, and in the
 * end sleep.
 */
unsigned sm__central_take_unswept_some(struct sm_heap *h, unsigned node, uint32_t *cursor,
				       struct sm_span **spans, unsigned n);
/* Puts them on the right list, or frees them: spans as taken; in_use[i] belongs to spans[i]. */
void sm__central_put_swept_some(struct sm_heap *h, struct sm_span **spans, const unsigned *in_use,
				unsigned n);

/*
 * A file as a large, pointer-free object: see sm_map_file. Unmapping by hand takes the
 * object's span back: p is what sm__map_file returned.
 */
void *sm__map_file(struct sm_cache *c, int fd, int64_t offset, size_t bytes, unsigned flags);
void sm__unmap_file(struct sm_heap *h, void *p);

#endif
