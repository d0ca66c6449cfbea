/*
 * pool.h: what lives as long as a report. Strings, each kept once: metrics repeat a handful of
 * names thousands of times; interned they cost a pointer, and equal strings are equal pointers. And
 * rows, which are many and small, end to end in blocks.
 */
#ifndef SM_WORKLOADS_POOL_H
#define SM_WORKLOADS_POOL_H

#include <stddef.h>

struct sm_pool {
	char **slots; /* open addressing, NULL: free */
	size_t n, cap;
	struct sm_pool_block *blocks; /* the first one has room left */
};

/* The pool's copy of text ("" for NULL); NULL when out of memory. Not thread-safe. */
const char *sm_pool_str(struct sm_pool *p, const char *text);
/* The pool's copy of text, NULL when it has none. */
const char *sm_pool_find(const struct sm_pool *p, const char *text);
/* Room for anything but what asks for more than a pointer's alignment; NULL when out of memory. */
void *sm_pool_room(struct sm_pool *p, size_t size);
void sm_pool_free(struct sm_pool *p);

#endif
