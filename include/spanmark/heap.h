/*
 * heap.h: the heap's configuration, parsed once into a read-only struct. Keys are what `--set` and
 * configuration files use ("cache.window=32k"); allocator/base/config.c has one table of them with bounds and help.
 */
#ifndef SM_ALLOCATOR_CONFIG_H
#define SM_ALLOCATOR_CONFIG_H

#include "allocator/base/base.h"

#define SM_MAX_NODES 64
#define SM_MAX_CPUS  4096

enum sm_cache_mode { SM_CACHE_THREAD, SM_CACHE_CPU, SM_CACHE_NONE };
enum sm_pageheap_kind { SM_PAGEHEAP_BUDDY, SM_PAGEHEAP_BITMAP };
enum sm_hugepages { SM_HUGE_OFF, SM_HUGE_MADVISE, SM_HUGE_COLLAPSE };
enum sm_numa_policy { SM_NUMA_LOCAL, SM_NUMA_INTERLEAVE, SM_NUMA_BIND };

/*
 * What can be set for everybody, and otherwise for one size class, one core, or one class on one core:
 *
 *   cache.window=32k          cache.window@64=8k          the class that serves 64 bytes
 *   cache.window@cpu3=64k     cache.window@64@cpu3=4k     the most particular one counts; a class before a core
 *
 * Of a cache per thread, the core is the one its thread was on when the cache was made.
 */
enum sm_knob { SM_KNOB_WINDOW, SM_KNOB_SLOTS, SM_KNOB_BATCH, SM_KNOB_SPANS, SM_KNOB_BUDGET, SM_KNOBS };

#define SM_OVERRIDES_MAX 512

struct sm_override {
	uint8_t knob, cls; /* enum sm_knob; size class, 0: every one */
	int16_t cpu;	   /* -1: every one */
	uint32_t value;
};

struct sm_heap_config {
	size_t reserve;			/* heap.reserve: address range; halved until the OS grants it */
	size_t arena;			/* heap.arena: bytes committed at a time */
	size_t limit;			/* heap.limit: mapped bytes, 0: none */
	enum sm_pageheap_kind pageheap; /* pageheap=buddy|bitmap */
	enum sm_cache_mode cache_mode;	/* cache.mode=cpu|thread|none */
	size_t window;			/* cache.window: bytes of a window */
	unsigned slots;			/* cache.slots: freed objects that a list keeps, 0: by malloc.list */
	unsigned batch;			/* cache.batch: slots that a refill fetches, 0: automatic */
	unsigned spans;			/* cache.spans: spans that a cache owns, 0: automatic */
	size_t budget;			/* cache.budget: bytes that a core's cache may hold, 0: automatic */
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

	unsigned noverrides; /* cache.*@..: see enum sm_knob */
	struct sm_override overrides[SM_OVERRIDES_MAX];
};

SM_API void sm_heap_config_init(struct sm_heap_config *cfg);
/*
 * Sets one key from text. 0, -ENOENT (no such key), -EINVAL (bad value); err receives one clear line
 * that says what is allowed.
 */
SM_API int sm_heap_config_set(struct sm_heap_config *cfg, const char *key, const char *value, char *err,
			      size_t errlen);
/* Writes the value of key as text; of a key with @.., what holds there. -ENOENT. */
SM_API int sm_heap_config_get(const struct sm_heap_config *cfg, const char *key, char *buf, size_t len);

/* The table, for help and listings: NULL-terminated name. */
struct sm_config_key {
	const char *name, *values, *help;
};
SM_API const struct sm_config_key *sm_heap_config_keys(void);

/* What holds for a class (0: no particular one) on a core (-1: no particular one). */
size_t sm__config_knob(const struct sm_heap_config *cfg, enum sm_knob knob, unsigned cls, int cpu);

/* Sizes with suffix k, m, g (powers of 1024); shared by every configuration table. -EINVAL, -ERANGE. */
SM_API int sm_parse_size(const char *text, size_t *out);

#endif
