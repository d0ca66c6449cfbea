/*
 * heapstats.h: figures of a heap, as a versioned struct, a table for people, JSON.
 *
 * May be called at any time, from any thread: nothing stops, so figures of what is changing are a moment
 * old and need not add up to the byte. On a heap at rest they do.
 */
#ifndef SM_ALLOCATOR_HEAPSTATS_H
#define SM_ALLOCATOR_HEAPSTATS_H

#include <stdio.h>

#include "allocator/sizeclass.h"

struct sm_heap;

struct sm_class_stats {
	uint32_t slot_bytes;
	uint64_t spans, slots, in_use; /* in_use: slots that are not free: objects, windows, lists, depots */
	uint64_t cached;	       /* of those, objects in lists and windows of caches */
	uint64_t depot;		       /* of those, in the depot */
	uint64_t refills, overflows;   /* manual heap */
};

struct sm_heap_stats {
	uint32_t version; /* SM_HEAP_STATS_VERSION; set by the callee */
	uint32_t nclasses;
#define X(name, unit, help) uint64_t name;
#include "allocator/heapstats.def"
#undef X
	struct sm_class_stats cls[SM_NCLASSES_MAX]; /* [0] is large */
};
#define SM_HEAP_STATS_VERSION 1

SM_API void sm_heap_stats(struct sm_heap *h, struct sm_heap_stats *out);
/* A table by size class; and, where caches are per CPU, what each CPU holds. */
SM_API void sm_heap_stats_print(struct sm_heap *h, FILE *out);
/* {"schema_version":1, figures.., "classes":[..], "cpus":[..]} on one line. */
SM_API void sm_heap_stats_json(struct sm_heap *h, FILE *out);

#endif
