/*
 * config.h: the heap's configuration, parsed once into a read-only struct. Keys are what `--set` and
 * configuration files use ("cache.window=32k"); config.c has one table of them with bounds and help.
 */
#ifndef SM_ALLOCATOR_CONFIG_H
#define SM_ALLOCATOR_CONFIG_H

#include "allocator/base.h"

#define SM_MAX_NODES 64
#define SM_MAX_CPUS  4096

enum sm_cache_mode { SM_CACHE_THREAD, SM_CACHE_CPU, SM_CACHE_NONE };
enum sm_pageheap_kind { SM_PAGEHEAP_BUDDY, SM_PAGEHEAP_BITMAP };
enum sm_hugepages { SM_HUGE_OFF, SM_HUGE_MADVISE, SM_HUGE_COLLAPSE };
enum sm_numa_policy { SM_NUMA_LOCAL, SM_NUMA_INTERLEAVE, SM_NUMA_BIND };

struct sm_heap_config {
	size_t reserve;			/* heap.reserve: address range; halved until the OS grants it */
	size_t arena;			/* heap.arena: bytes committed at a time */
	size_t limit;			/* heap.limit: mapped bytes, 0: none */
	enum sm_pageheap_kind pageheap; /* pageheap=buddy|bitmap */
	enum sm_cache_mode cache_mode;	/* cache.mode=cpu|thread|none */
	size_t window;			/* cache.window: bytes of a window */
	enum sm_hugepages hugepages;	/* hugepages=off|madvise|collapse */
	enum sm_numa_policy numa;	/* numa=local|interleave|bind:N */
	unsigned numa_bind;		/* node index of bind:N */
	unsigned scavenge_ms;		/* scavenge.interval: ms between rounds, 0: never by itself */
	unsigned scavenge_retain;	/* scavenge.retain: percent of the bytes in use that stay, free */
	unsigned scavenge_pace;		/* scavenge.pace: percent of one CPU that it may use, 1..100 */
	bool scavenge_uring;		/* scavenge.io_uring=0|1: batches by io_uring where it is allowed */
	bool debug_fill;		/* debug.fill: patterns in fresh, freed and padding bytes */
	bool page_per_object;		/* debug.page_per_object */

	/* Where we run; set by the caller, not by keys. nnodes 0 means one node, no binding. */
	unsigned nnodes;
	int node_os[SM_MAX_NODES];		       /* OS index of each node */
	uint16_t distance[SM_MAX_NODES][SM_MAX_NODES]; /* as in the ACPI SLIT; 0: unknown */
	uint8_t cpu_node[SM_MAX_CPUS];		       /* CPU -> node index */
};

SM_API void sm_heap_config_init(struct sm_heap_config *cfg);
/*
 * Sets one key from text. 0, -ENOENT (no such key), -EINVAL (bad value); err receives one clear line
 * that says what is allowed.
 */
SM_API int sm_heap_config_set(struct sm_heap_config *cfg, const char *key, const char *value, char *err,
			      size_t errlen);
/* Writes the value of key as text. -ENOENT. */
SM_API int sm_heap_config_get(const struct sm_heap_config *cfg, const char *key, char *buf, size_t len);

/* The table, for help and listings: NULL-terminated name. */
struct sm_config_key {
	const char *name, *values, *help;
};
SM_API const struct sm_config_key *sm_heap_config_keys(void);

/* Sizes with suffix k, m, g (powers of 1024); shared by every configuration table. -EINVAL, -ERANGE. */
SM_API int sm_parse_size(const char *text, size_t *out);

#endif
