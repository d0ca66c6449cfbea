/*
 * stats.h: figures of a heap, as a versioned struct, a table for people, JSON.
 *
 * May be called at any time, from any thread: nothing stops, so figures of what is changing are a
 * moment old and need not add up to the byte. On a heap at rest they do. A collected heap's cycles
 * and waits are in gc.h.
 *
 * Example:
 *     #include <spanmark/malloc.h>
 *     #include <spanmark/stats.h>
 *     static struct sm_heap_stats stats;
 *     void *p = sm_malloc(100);
 *     sm_heap_stats(sm_malloc_heap(), &stats);
 *     for (uint32_t c = 1; c < stats.nclasses; c++)
 *         if (stats.cls[c].in_use)
 *             printf("%u bytes: %lu slots\n", stats.cls[c].slot_bytes, (unsigned
 *             long)stats.cls[c].in_use);
 *     sm_free(p);
 *     return stats.in_use_bytes == 0;
 */
#ifndef SPANMARK_STATS_H
#define SPANMARK_STATS_H

#include <stdint.h>
#include <stdio.h>

#include "spanmark/heap.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What a core's cache did for a size class; and the same of all cores together. */
struct sm_core_class {
	uint64_t hits;	    /* allocations that the cache served by itself */
	uint64_t refills;   /* times that it had nothing and asked for more */
	uint64_t overflows; /* times that a list was full (malloc heap) */
	uint64_t steals;    /* refills that another node's central lists served */
	/* slots of another node's memory that refills brought, or frees sent home */
	uint64_t remote;
	uint64_t held_bytes; /* now, in lists and windows */
};

/*
 * A core's caches. With caches per thread these are the caches of the threads that were on the core
 * when they made theirs, threads that are gone included: exact for threads that are pinned.
 */
struct sm_core_stats {
	uint32_t version; /* SM_CORE_STATS_VERSION; set by the callee */
	uint32_t cpu;
	uint32_t caches;       /* of threads; or 1: the CPU's own, in use */
	uint64_t held_bytes;   /* sum of the classes' */
	uint64_t budget_bytes; /* what it may hold now, 0: no bound */
	uint64_t drains;       /* times that it was emptied for being idle, or by a trim */
	struct sm_core_class cls[SM_NCLASSES_MAX];
};
#define SM_CORE_STATS_VERSION 1

struct sm_class_stats {
	uint32_t slot_bytes;
	/* in_use: slots that are not free: objects, windows, lists, depots */
	uint64_t spans, slots, in_use;
	uint64_t cached;	    /* of those, objects in lists and windows of caches */
	uint64_t depot;		    /* of those, in the depot */
	struct sm_core_class cores; /* all cores together */
};

/* The scalar figures of a heap, in output order: X(name, unit, what it is). */
#define SM_HEAP_FIGURES(X)                                                                        \
	X(reserved_bytes, "bytes", "address range")                                               \
	X(mapped_bytes, "bytes",                                                                  \
	  "held against heap.limit: arenas, own mappings, descriptors, metadata")                 \
	X(meta_bytes, "bytes", "metadata blocks handed out")                                      \
	X(committed_bytes, "bytes", "arenas and own mappings made usable")                        \
	X(in_use_bytes, "bytes", "in spans")                                                      \
	X(free_bytes, "bytes", "committed, free, resident as far as we know")                     \
	X(released_bytes, "bytes", "free, returned to the system or never touched")               \
	X(largest_free_bytes, "bytes", "largest request that needs no further memory")            \
	X(free_runs, "runs", "free runs as the page heap keeps them")                             \
	X(pageheap_allocs, "calls", "runs handed out by the page heap")                           \
	X(pageheap_search_steps, "words", "words or lists looked at for them")                    \
	X(remote_allocs, "calls", "runs that another node served")                                \
	X(allocated_bytes, "bytes",                                                               \
	  "taken in windows and large objects since creation, net of returns (a collected heap)") \
	X(slot_bytes, "bytes", "in slots that are not free: objects, windows and caches")         \
	X(large_objects, "objects", "with a span of their own")                                   \
	X(large_bytes, "bytes", "in their spans")                                                 \
	X(caches, "caches", "of threads (or CPUs) that hold something or may")                    \
	X(cached_bytes, "bytes", "in windows and lists of freed objects, not handed out")         \
	X(depot_bytes, "bytes", "in depots of the malloc heap")                                   \
	X(hits, "objects", "allocations that a cache served by itself")                           \
	X(refills, "calls", "windows and lists taken")                                            \
	X(overflows, "calls", "lists that were full (malloc heap)")                               \
	X(steals, "calls", "refills that another node's lists served")                            \
	X(remote_slots, "slots", "of another node's memory, brought by refills or sent home")     \
	X(fresh_spans, "spans", "cut from new units")                                             \
	X(swept_spans, "spans", "swept by refills")                                               \
	X(remote_spans, "spans", "taken from another node's lists")

struct sm_heap_stats {
	uint32_t version; /* SM_HEAP_STATS_VERSION; set by the callee */
	uint32_t nclasses;
#define SM__FIELD(name, unit, help) uint64_t name;
	SM_HEAP_FIGURES(SM__FIELD)
#undef SM__FIELD
	struct sm_class_stats cls[SM_NCLASSES_MAX]; /* [0] is large */
};
#define SM_HEAP_STATS_VERSION 2

/* Any thread; h lives throughout, *out is the caller's. These allocate nothing in h and cannot
 * fail. */
SM_API void sm_heap_stats(struct sm_heap *h, struct sm_heap_stats *out);
/* One core's part. -ENOENT: this system has no such CPU. */
SM_API int sm_heap_core_stats(struct sm_heap *h, unsigned cpu, struct sm_core_stats *out);
/* To `out`, whose error flag tells of what could not be written. Scalar figures, tables by size
 * class and by core; cores that never did anything are left out. */
SM_API void sm_heap_stats_print(struct sm_heap *h, FILE *out);
/* {"schema_version":2, figures.., "classes":[..], "cpus":[{.., "classes":[..]},..]} on one line;
 * null: not counted. */
SM_API void sm_heap_stats_json(struct sm_heap *h, FILE *out);

#ifdef __cplusplus
}
#endif

#endif
