/*
 * malloc.h: the same allocator with explicit free: one heap for the process, made on first use.
 * docs/ALLOCATOR.md draws how a request travels.
 *
 * Conventions: heap.h, and: calls may be made after main began and in the child of a fork; any
 * thread may free what any other allocated; an object is the caller's until it is freed, aligned to
 * 16 bytes; NULL is ENOMEM: memory or the limit is out. An address that is not an object of this
 * heap (a foreign one, one inside an object, one that is free already) ends the process with one
 * line that says what it is.
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

/* Contents undefined; of 0 bytes: an object of its own all the same. */
SM_API void *sm_malloc(size_t size) __attribute__((malloc, alloc_size(1)));
/* n * size bytes, zeroed; ENOMEM when that overflows. */
SM_API void *sm_calloc(size_t n, size_t size) __attribute__((malloc, alloc_size(1, 2)));
/* NULL: nothing happens. sm_free_sized ends the process when the object is smaller than size. */
SM_API void sm_free(void *p);
SM_API void sm_free_sized(void *p, size_t size);
/* The object moves or stays; p is gone, unless the result is NULL and size is not 0: then it is as
 * it was. p NULL: as sm_malloc. size 0: frees p and returns NULL. */
SM_API void *sm_realloc(void *p, size_t size) __attribute__((alloc_size(2)));
/* align: a power of two, else EINVAL. */
SM_API void *sm_aligned_alloc(size_t align, size_t size) __attribute__((malloc, alloc_size(2)));
/* Bytes that may be used at p: at least what was asked for. 0 for NULL. */
SM_API size_t sm_usable_size(const void *p);

/* A file as an object: arguments and errors of sm_map_file (gc.h). sm_free unmaps it; sm_realloc
 * copies it, and may touch what lies behind the file's end. */
SM_API void *sm_malloc_map_file(int fd, int64_t offset, size_t bytes, unsigned flags);

/*
 * Settings of the malloc heap, before the first allocation, else -EBUSY: a key, with the errors of
 * sm_heap_config_set; and nodes and CPUs (nnodes, node_os, distance, cpu_node of *map) in place of
 * what the kernel says. What they leave alone SPANMARK_MALLOC="key=value,key=value" in the
 * environment decides (heap keys, and malloc.list, malloc.depot).
 */
SM_API int sm_malloc_configure(const char *key, const char *value, char *err, size_t errlen);
SM_API int sm_malloc_configure_nodes(const struct sm_heap_config *map);
/* The malloc heap, made if need be. */
SM_API struct sm_heap *sm_malloc_heap(void);

/* Gives the calling thread's lists and windows, every depot, and the free memory under them back.
 * Returns the bytes that went to the operating system. */
SM_API size_t sm_malloc_trim(void);

struct sm_malloc_stats {
	uint32_t version;
	uint32_t caches;     /* threads (or CPUs) that hold a cache */
	size_t cached_bytes; /* held by caches: lists, spare lists, windows */
	size_t depot_bytes;  /* in depots */
	size_t large_bytes, large_objects;
	/* lists fetched; lists handed on; objects returned to spans */
	uint64_t refills, overflows, drained;
};
#define SM_MALLOC_STATS_VERSION 2
/* Figures as in heap.h; all zero where there is no memory for the heap. */
SM_API void sm_malloc_stats(struct sm_malloc_stats *out);

#ifdef __cplusplus
}
#endif

#endif
