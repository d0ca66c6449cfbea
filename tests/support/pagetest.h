/* pagetest.h: a heap that has only its lower half, for tests of the page heap and below. */
#ifndef SM_TESTS_SUPPORT_PAGETEST_H
#define SM_TESTS_SUPPORT_PAGETEST_H

#include "allocator/objects/heap.h"
#include "allocator/pages/pageheap.h"
#include "allocator/pages/range.h"

/* Zeroed, with small sizes: 1 GiB of range, arenas of 4 MiB, one node, this kind of page heap. Fill
 * in the rest, then call pagetest_create. */
struct sm_heap *pagetest_heap(enum sm_pageheap_kind kind);
/* sm__range_create; fails the test with the reason when it does not work. */
void pagetest_create(struct sm_heap *h);
void pagetest_destroy(struct sm_heap *h);

/* n nodes, all of them the machine's node 0, at distances that grow with the difference of indexes.
 */
void pagetest_nodes(struct sm_heap *h, unsigned n);

/* Calls fn for every maximal run of free, committed units of a node, in address order, under its
 * lock. */
void pagetest_foreach_free(struct sm_heap *h, unsigned node,
			   void (*fn)(void *ctx, size_t unit, size_t nunits), void *ctx);

/* Sums over all nodes. */
struct sm_pageheap_stats pagetest_stats(struct sm_heap *h);

/*
 * Has this test, in its own process, used up its share of time? Loops that only repeat ask it, so
 * that an emulated machine does less rather than running past the limit.
 */
bool pagetest_late(void);

/* A seed from SM_SEED or the clock, printed; and numbers from it. */
uint64_t pagetest_seed(void);
uint64_t pagetest_random(uint64_t *state);

#endif
