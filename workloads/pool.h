/*
 * pool.h: strings that live as long as a report, each kept once. Metrics repeat a handful of names
 * thousands of times; interned they cost a pointer, and equal strings are equal pointers.
 */
#ifndef SM_WORKLOADS_POOL_H
#define SM_WORKLOADS_POOL_H

#include <stddef.h>

struct sm_pool {
	char **slots; /* open addressing, NULL: free */
	size_t n, cap;
};

/* The pool's copy of text ("" for NULL); NULL when out of memory. Not thread-safe. */
const char *sm_pool_str(struct sm_pool *p, const char *text);
/* The pool's copy of text, NULL when it has none. */
const char *sm_pool_find(const struct sm_pool *p, const char *text);
void sm_pool_free(struct sm_pool *p);

#endif
