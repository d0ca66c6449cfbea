/*
 * stats.h: figures of a heap, as a versioned struct, a table for people, JSON.
 *
 * May be called at any time, from any thread: nothing stops, so figures of what is changing are a moment
 * old and need not add up to the byte. On a heap at rest they do.
 */
#ifndef SM_ALLOCATOR_HEAPSTATS_H
#define SM_ALLOCATOR_HEAPSTATS_H

#include <stdio.h>

#include "allocator/base/sizeclass.h"

struct sm_heap;

/* What a core's cache did for a size class; and the same of all cores together. */
struct sm_core_class {
	uint64_t hits;	     /* allocations that the cache served by itself */
	uint64_t refills;    /* times that it had nothing and asked for more */
	uint64_t overflows;  /* times that a list was full (malloc heap) */
	uint64_t steals;     /* refills that another node's central lists served */
	uint64_t remote;     /* slots of another node's memory that refills brought, or frees sent home */
	uint64_t held_bytes; /* now, in lists and windows */
};

/*
 * A core's caches. With caches per thread these are the caches of the threads that were on the core when they made
 * theirs, threads that are gone included: exact for threads that are pinned.
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
	uint64_t spans, slots, in_use; /* in_use: slots that are not free: objects, windows, lists, depots */
	uint64_t cached;	       /* of those, objects in lists and windows of caches */
	uint64_t depot;		       /* of those, in the depot */
	struct sm_core_class cores;    /* all cores together */
};

struct sm_heap_stats {
	uint32_t version; /* SM_HEAP_STATS_VERSION; set by the callee */
	uint32_t nclasses;
#define X(name, unit, help) uint64_t name;
#include "allocator/stats/heapstats.def"
#undef X
	struct sm_class_stats cls[SM_NCLASSES_MAX]; /* [0] is large */
};
#define SM_HEAP_STATS_VERSION 2

SM_API void sm_heap_stats(struct sm_heap *h, struct sm_heap_stats *out);
/* One core's part. -ENOENT: this system has no such CPU. */
SM_API int sm_heap_core_stats(struct sm_heap *h, unsigned cpu, struct sm_core_stats *out);
/* Scalar figures, tables by size class and by core; cores that never did anything are left out. */
SM_API void sm_heap_stats_print(struct sm_heap *h, FILE *out);
/* {"schema_version":2, figures.., "classes":[..], "cpus":[{.., "classes":[..]},..]} on one line; null: not counted. */
SM_API void sm_heap_stats_json(struct sm_heap *h, FILE *out);

#endif
