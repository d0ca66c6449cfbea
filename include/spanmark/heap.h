/*
 * heap.h: a heap seen from outside: its configuration, its figures, its check. There are two kinds:
 * the one of malloc.h (sm_malloc_heap) and each collector's (sm_gc_heap).
 *
 * Conventions of all these headers, unless a call says otherwise.
 *   Threads    A call may come from any thread, at any time but in a signal handler. A struct that
 *              the caller provides is one thread's at a time.
 *   Errors     int: 0 or -errno. Pointer: NULL with errno. void: cannot fail. err, of errlen bytes
 *              (or NULL and 0), receives one line that says what is wrong and what is allowed.
 *   Ownership  What is passed in stays the caller's and is used during the call only. Text, and
 *              tables of keys (the name of the last row is NULL), are constant. A heap lives as
 *              long as the process or its collector; programs free none. *out is the caller's; a
 *              struct with a version is filled by the callee, its SM_.._VERSION included.
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
#include <stdio.h>

#ifdef __cplusplus
extern "C" {
#endif

#define SM_API	  __attribute__((visibility("default")))
#define SM_INLINE static inline __attribute__((always_inline))

struct sm_heap; /* opaque */

#define SM_MAX_SMALL	((size_t)32 << 10) /* larger objects have spans of their own */
#define SM_NCLASSES_MAX 80
#define SM_MAX_NODES	64
#define SM_MAX_CPUS	4096

/* ---- configuration: what `--set` and configuration files say -------------------------------- */

enum sm_cache_mode { SM_CACHE_THREAD, SM_CACHE_CPU, SM_CACHE_NONE };
enum sm_pageheap_kind { SM_PAGEHEAP_BUDDY, SM_PAGEHEAP_BITMAP };
enum sm_hugepages { SM_HUGE_OFF, SM_HUGE_MADVISE, SM_HUGE_COLLAPSE };
enum sm_numa_policy { SM_NUMA_LOCAL, SM_NUMA_INTERLEAVE, SM_NUMA_BIND };

/* A cache.* key for one size class, one core or both: cache.window@64=8k (the class that serves 64
 * bytes), cache.window@cpu3=64k, cache.window@64@cpu3=4k. docs/ALLOCATOR.md: which one counts. */
struct sm_override {
	uint8_t knob, cls; /* which of the cache.* keys; size class, 0: every one */
	int16_t cpu;	   /* -1: every one */
	uint32_t value;
};
#define SM_OVERRIDES_MAX 512

/* A field's key is named beside it; sm_heap_config_keys tells what the key means and allows. */
struct sm_heap_config {
	size_t reserve;			/* heap.reserve: halved until the system grants it */
	size_t arena;			/* heap.arena: bytes committed at a time */
	size_t limit;			/* heap.limit: mapped bytes, 0: none */
	enum sm_pageheap_kind pageheap; /* pageheap */
	enum sm_cache_mode cache_mode;	/* cache.mode */
	size_t window;			/* cache.window: bytes */
	/* cache.slots, cache.batch, cache.spans; 0: automatic */
	unsigned slots, batch, spans;
	size_t budget; /* cache.budget: bytes that a core's cache may hold, 0: automatic */
	enum sm_hugepages hugepages; /* hugepages */
	enum sm_numa_policy numa;    /* numa=local|interleave|bind:N */
	unsigned numa_bind;	     /* node index of bind:N */
	unsigned scavenge_ms;	     /* scavenge.interval, 0: never by itself */
	/* scavenge.retain, scavenge.pace: per cent */
	unsigned scavenge_retain, scavenge_pace;
	bool scavenge_uring;		  /* scavenge.io_uring */
	bool debug_fill, page_per_object; /* debug.fill, debug.page_per_object */

	/* Where we run; set by the caller, not by keys. nnodes 0: one node, no binding. */
	unsigned nnodes;
	int node_os[SM_MAX_NODES];		       /* OS index of each node */
	uint16_t distance[SM_MAX_NODES][SM_MAX_NODES]; /* as in the ACPI SLIT; 0: unknown */
	uint8_t cpu_node[SM_MAX_CPUS];		       /* CPU -> node index */
	/* Address space is mapped as it is used, not reserved, and no limit is taken from a control
	 * group: for a malloc under programs that limit themselves (RLIMIT_AS, mlockall). */
	bool sparse;
	size_t small_pages; /* of a node's first so many bytes no huge pages are made */

	unsigned noverrides;
	struct sm_override overrides[SM_OVERRIDES_MAX];
};

/* Every field at its default. */
SM_API void sm_heap_config_init(struct sm_heap_config *cfg);
/* Sets one key from text. -ENOENT: no such key; -EINVAL: bad value; cfg is as it was then. */
SM_API int sm_heap_config_set(struct sm_heap_config *cfg, const char *key, const char *value,
			      char *err, size_t errlen);
/* The value of key as text, cut to len bytes; of a key with @.., what holds there. -ENOENT. */
SM_API int sm_heap_config_get(const struct sm_heap_config *cfg, const char *key, char *buf,
			      size_t len);

struct sm_config_key {
	const char *name, *values, *help;
};
SM_API const struct sm_config_key *sm_heap_config_keys(void);

/* ---- files as objects (sm_map_file, sm_malloc_map_file): flags ------------------------------ */

#define SM_MAP_PRIVATE 0u /* writes stay in memory, as far as they are allowed */
#define SM_MAP_SHARED  1u /* writes go to the file */
#define SM_MAP_WRITE   2u /* may be written; else writing faults */

/* ---- a heap at work: its figures, its check -----------------------------------------------------
 *
 * h lives throughout. Figures stop and allocate nothing; those of what is changing are a moment old
 * and need not add up to the byte. On a heap at rest they do.
 */

/* What a core's cache did for a size class; and the same of all cores together. */
struct sm_core_class {
	uint64_t hits, refills; /* allocations served by itself; times that it asked for more */
	uint64_t overflows;	/* times that a list was full (malloc heap) */
	uint64_t steals;	/* refills that another node's central lists served */
	uint64_t remote;     /* slots of another node's memory, brought by refills or sent home */
	uint64_t held_bytes; /* now, in lists and windows */
};

/* A core's caches; of caches per thread, those whose threads, gone ones included, were on the core
 * when they made them: exact for threads that are pinned. */
struct sm_core_stats {
	uint32_t version, cpu;
	uint32_t caches;       /* of threads; or 1: the CPU's own, in use */
	uint64_t held_bytes;   /* sum of the classes' */
	uint64_t budget_bytes; /* what it may hold now, 0: no bound */
	uint64_t drains;       /* times that it was emptied for being idle, or by a trim */
	struct sm_core_class cls[SM_NCLASSES_MAX];
};
#define SM_CORE_STATS_VERSION 1

struct sm_class_stats {
	uint32_t slot_bytes;
	/* in_use: not free; of those: in caches' lists and windows; in the depot */
	uint64_t spans, slots, in_use, cached, depot;
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
	uint32_t version, nclasses;
#define SM__FIELD(name, unit, help) uint64_t name;
	SM_HEAP_FIGURES(SM__FIELD)
#undef SM__FIELD
	struct sm_class_stats cls[SM_NCLASSES_MAX]; /* [0] is large */
};
#define SM_HEAP_STATS_VERSION 2

SM_API void sm_heap_stats(struct sm_heap *h, struct sm_heap_stats *out);
/* One core's part. -ENOENT: this system has no such CPU. */
SM_API int sm_heap_core_stats(struct sm_heap *h, unsigned cpu, struct sm_core_stats *out);
/* To `out`, whose error flag tells of what could not be written: scalar figures and tables by size
 * class and by core, without cores that never did anything; or one line of JSON, null: not counted,
 * {"schema_version":2, figures.., "classes":[..], "cpus":[{.., "classes":[..]},..]}. */
SM_API void sm_heap_stats_print(struct sm_heap *h, FILE *out);
SM_API void sm_heap_stats_json(struct sm_heap *h, FILE *out);

/*
 * Checks every counting identity; returns the number of violations, each printed to stderr. For a
 * heap at rest, in which nothing allocates, frees or sweeps: what changes meanwhile is taken for a
 * violation. A collected heap is at rest after sm_collect with no other mutator running.
 */
SM_API unsigned sm_heap_check(struct sm_heap *h);

#ifdef __cplusplus
}
#endif

#endif
