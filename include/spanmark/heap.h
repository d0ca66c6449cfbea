/*
 * heap.h: a heap seen from outside: its limits, its configuration, its check. There are two kinds:
 * the one of malloc.h (sm_malloc_heap) and each collector's (sm_gc_heap); their figures are in
 * stats.h. Keys are what `--set` and configuration files use ("cache.window=32k");
 * sm_heap_config_keys lists them.
 *
 * Example:
 *     #include <spanmark/heap.h>
 *     #include <stdio.h>
 *     struct sm_heap_config cfg;
 *     char err[200];
 *     sm_heap_config_init(&cfg);
 *     if (sm_heap_config_set(&cfg, "heap.limit", "512m", err, sizeof(err)) != 0)
 *         fprintf(stderr, "%s\n", err);
 *     for (const struct sm_config_key *k = sm_heap_config_keys(); k->name; k++)
 *         printf("%-24s %-20s %s\n", k->name, k->values, k->help);
 *     return cfg.limit != (size_t)512 << 20;
 */
#ifndef SPANMARK_HEAP_H
#define SPANMARK_HEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define SM_API	  __attribute__((visibility("default")))
#define SM_INLINE static inline __attribute__((always_inline))

struct sm_heap; /* opaque */

/* ---- limits ------------------------------------------------------------------------------- */

#define SM_MAX_SMALL	((size_t)32 << 10) /* larger objects have spans of their own */
#define SM_NCLASSES_MAX 80
#define SM_MAX_NODES	64
#define SM_MAX_CPUS	4096

enum sm_cache_mode { SM_CACHE_THREAD, SM_CACHE_CPU, SM_CACHE_NONE };
enum sm_pageheap_kind { SM_PAGEHEAP_BUDDY, SM_PAGEHEAP_BITMAP };
enum sm_hugepages { SM_HUGE_OFF, SM_HUGE_MADVISE, SM_HUGE_COLLAPSE };
enum sm_numa_policy { SM_NUMA_LOCAL, SM_NUMA_INTERLEAVE, SM_NUMA_BIND };

/*
 * What can be set for everybody, and otherwise for one size class, one core, or one class on one
 * core:
 *
 *   cache.window=32k          cache.window@64=8k          the class that serves 64 bytes
 *   cache.window@cpu3=64k     cache.window@64@cpu3=4k     the most particular one counts; a class
 *                             before a core
 *
 * Of a cache per thread, the core is the one its thread was on when the cache was made.
 */
enum sm_knob {
	SM_KNOB_WINDOW,
	SM_KNOB_SLOTS,
	SM_KNOB_BATCH,
	SM_KNOB_SPANS,
	SM_KNOB_BUDGET,
	SM_KNOBS
};

#define SM_OVERRIDES_MAX 512

struct sm_override {
	uint8_t knob, cls; /* enum sm_knob; size class, 0: every one */
	int16_t cpu;	   /* -1: every one */
	uint32_t value;
};

struct sm_heap_config {
	/* heap.reserve: address range; halved until the OS grants it */
	size_t reserve;
	size_t arena;			/* heap.arena: bytes committed at a time */
	size_t limit;			/* heap.limit: mapped bytes, 0: none */
	enum sm_pageheap_kind pageheap; /* pageheap=buddy|bitmap */
	enum sm_cache_mode cache_mode;	/* cache.mode=cpu|thread|none */
	size_t window;			/* cache.window: bytes of a window */
	/* cache.slots: freed objects that a list keeps, 0: by malloc.list */
	unsigned slots;
	unsigned batch; /* cache.batch: slots that a refill fetches, 0: automatic */
	unsigned spans; /* cache.spans: spans that a cache owns, 0: automatic */
	/* cache.budget: bytes that a core's cache may hold, 0: automatic */
	size_t budget;
	enum sm_hugepages hugepages; /* hugepages=off|madvise|collapse */
	enum sm_numa_policy numa;    /* numa=local|interleave|bind:N */
	unsigned numa_bind;	     /* node index of bind:N */
	/* scavenge.interval: ms between rounds, 0: never by itself */
	unsigned scavenge_ms;
	/* scavenge.retain: percent of the bytes in use that stay, free */
	unsigned scavenge_retain;
	/* scavenge.pace: percent of one CPU that it may use, 1..100 */
	unsigned scavenge_pace;
	/* scavenge.io_uring=0|1: batches by io_uring where it is allowed */
	bool scavenge_uring;
	bool debug_fill;      /* debug.fill: patterns in fresh, freed and padding bytes */
	bool page_per_object; /* debug.page_per_object */

	/* Where we run; set by the caller, not by keys. nnodes 0 means one node, no binding. */
	unsigned nnodes;
	int node_os[SM_MAX_NODES];		       /* OS index of each node */
	uint16_t distance[SM_MAX_NODES][SM_MAX_NODES]; /* as in the ACPI SLIT; 0: unknown */
	uint8_t cpu_node[SM_MAX_CPUS];		       /* CPU -> node index */
	/* Address space is not reserved but mapped as it is used, and accounted: for a malloc under
	 * programs that limit themselves at any time (RLIMIT_AS, mlockall, overcommit). No limit is
	 * taken from a control group. */
	bool sparse;

	unsigned noverrides; /* cache.*@..: see enum sm_knob */
	struct sm_override overrides[SM_OVERRIDES_MAX];
};

/* Every field at its default. The struct is the caller's, and one thread's at a time. */
SM_API void sm_heap_config_init(struct sm_heap_config *cfg);
/*
 * Sets one key from text. 0, -ENOENT (no such key), -EINVAL (bad value); err (errlen bytes, or NULL
 * and 0) receives one clear line that says what is allowed.
 */
SM_API int sm_heap_config_set(struct sm_heap_config *cfg, const char *key, const char *value,
			      char *err, size_t errlen);
/* Writes the value of key as text, cut to len bytes; of a key with @.., what holds there. 0,
 * -ENOENT. */
SM_API int sm_heap_config_get(const struct sm_heap_config *cfg, const char *key, char *buf,
			      size_t len);

/* The table, for help and listings; the name of its last row is NULL. Constant. */
struct sm_config_key {
	const char *name, *values, *help;
};
SM_API const struct sm_config_key *sm_heap_config_keys(void);

/* ---- inspection --------------------------------------------------------------------------- */

/*
 * Full check of every counting identity; returns the number of violations, each printed to stderr.
 * Call it when nothing allocates, frees or sweeps: of a collected heap that is after sm_collect,
 * which waits for the sweep, with no other mutator running. Otherwise what changes meanwhile is
 * taken for a violation.
 */
SM_API unsigned sm_heap_check(struct sm_heap *h);

#ifdef __cplusplus
}
#endif

#endif
