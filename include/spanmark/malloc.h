/*
 * malloc.h: the same allocator with explicit free: one heap for the process.
 *
 * sm_malloc pops the thread's list of freed objects of the size class. sm_free looks the span up,
 * proves that the address is the start of one of its slots, and pushes it on that list. Full lists
 * travel between threads over a depot; requests above 32 KiB are spans of their own.
 * docs/ALLOCATOR.md draws how a request travels.
 *
 * Errors. NULL with errno ENOMEM when memory or the limit is out. Freeing what is not an object of
 * this heap (a foreign address, one inside an object, one that is already free) prints one line
 * that names the address and what it is, and aborts.
 *
 * Alignment: 16 bytes, more on request. Thread-safe: every call, from any thread, at any time after
 * main began and in the child of a fork; any thread may free what any other allocated. Not from a
 * signal handler.
 *
 * Example:
 *     #include <spanmark/malloc.h>
 *     #include <string.h>
 *     char *text = (char *)sm_malloc(6);
 *     if (text == NULL)
 *         return 1;
 *     memcpy(text, "spans", 6);
 *     text = (char *)sm_realloc(text, 1000);
 *     printf("%s: %zu bytes at hand\n", text, sm_usable_size(text));
 *     sm_free(text);
 */
#ifndef SPANMARK_MALLOC_H
#define SPANMARK_MALLOC_H

#include <stddef.h>
#include <stdint.h>

#include "spanmark/heap.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The caller's until sm_free; contents undefined. Of 0 bytes: an object of its own all the same. */
SM_API void *sm_malloc(size_t size) __attribute__((malloc, alloc_size(1)));
/* n * size bytes, zeroed; ENOMEM when that overflows. */
SM_API void *sm_calloc(size_t n, size_t size) __attribute__((malloc, alloc_size(1, 2)));
SM_API void sm_free(void *p); /* NULL: nothing happens */
/* The caller knows the size it asked for. It is checked against the slot. */
SM_API void sm_free_sized(void *p, size_t size);
/* The object moves or stays; p is gone, unless the result is NULL and size is not 0: then it is as
 * it was. p NULL: as sm_malloc. size 0: frees p and returns NULL. */
SM_API void *sm_realloc(void *p, size_t size) __attribute__((alloc_size(2)));
/* align: a power of two, else NULL with EINVAL. */
SM_API void *sm_aligned_alloc(size_t align, size_t size) __attribute__((malloc, alloc_size(2)));
/* Bytes that may be used at p: at least what was asked for. 0 for NULL. */
SM_API size_t sm_usable_size(const void *p);

/*
 * A file as an object, by mapping it: arguments and errors as those of sm_map_file (mapfile.h).
 * sm_free unmaps it. It cannot be resized: sm_realloc of it copies, and may touch what lies behind
 * the file's end.
 */
SM_API void *sm_malloc_map_file(int fd, int64_t offset, size_t bytes, unsigned flags);

/*
 * Sets the malloc heap's configuration; before the first allocation, else -EBUSY. Without it, or
 * for what it leaves alone, SPANMARK_MALLOC="key=value,key=value" in the environment decides (heap
 * keys, and malloc.list, malloc.depot).
 */
SM_API int sm_malloc_configure(const char *key, const char *value, char *err, size_t errlen);
/*
 * Nodes and CPUs (nnodes, node_os, distance, cpu_node of *map) as the caller knows them, instead of
 * what the kernel says; before the first allocation, else -EBUSY.
 */
SM_API int sm_malloc_configure_nodes(const struct sm_heap_config *map);
/* The malloc heap, made on first use. NULL with ENOMEM. */
SM_API struct sm_heap *sm_malloc_heap(void);

/* Gives the calling thread's lists and windows, every depot, and the free memory under them back.
 * Returns the bytes that went to the operating system. */
SM_API size_t sm_malloc_trim(void);

struct sm_malloc_stats {
	uint32_t version;    /* SM_MALLOC_STATS_VERSION; set by the callee */
	uint32_t caches;     /* threads (or CPUs) that hold a cache */
	size_t cached_bytes; /* held by caches: lists, spare lists, windows */
	size_t depot_bytes;  /* in depots */
	size_t large_bytes, large_objects;
	/* lists fetched; lists handed on; objects returned to spans */
	uint64_t refills, overflows, drained;
};
#define SM_MALLOC_STATS_VERSION 2
SM_API void sm_malloc_stats(struct sm_malloc_stats *out);

#ifdef __cplusplus
}
#endif

#endif
