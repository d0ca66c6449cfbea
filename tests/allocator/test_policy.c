/*
 * test_policy: under every NUMA policy, and with a node that has no memory, spans that were given
 * back are used again before new memory is taken. Nodes are made up (all of them the machine's
 * first), so it runs anywhere.
 */
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "allocator/objects/heap.h"
#include "allocator/os/os.h"
#include "tests/support/run.h"

static struct sm_heap *heap;

static void make(enum sm_numa_policy policy, unsigned bind)
{
	struct sm_heap_config cfg;
	char err[200] = "";

	sm_heap_config_init(&cfg);
	cfg.nnodes = 3;
	cfg.numa = policy;
	cfg.numa_bind = bind;
	cfg.arena = SM_MIB;
	/* From node 0, node 2 is nearer than 1. */
	memcpy(cfg.distance[0], (uint16_t[]){10, 30, 20}, 3 * sizeof(uint16_t));
	memcpy(cfg.distance[1], (uint16_t[]){30, 10, 20}, 3 * sizeof(uint16_t));
	memcpy(cfg.distance[2], (uint16_t[]){20, 20, 10}, 3 * sizeof(uint16_t));
	heap = sm__heap_create(&cfg, err, sizeof(err));
	ck_assert_msg(heap != NULL, "%s", err);
}

static struct sm_cache *cache_on(unsigned node)
{
	struct sm_cache *c = calloc(1, sizeof(*c));

	ck_assert_ptr_nonnull(c);
	ck_assert_int_eq(sm__cache_init(c, heap, NULL), 0);
	c->node = node;
	return c;
}

static void drop(struct sm_cache *c)
{
	sm__cache_retire_all(c);
	sm__cache_fini(c);
	free(c);
}

/* n objects of a class; the nodes that they lie on, as a set. */
static unsigned allocate(struct sm_cache *c, unsigned bin, unsigned n)
{
	unsigned nodes = 0;

	for (unsigned i = 0; i < n; i++) {
		void *p = sm__cache_bump(c, bin);

		if (p == NULL)
			p = sm__cache_refill_slow(c, bin);
		ck_assert_ptr_nonnull(p);
		nodes |= 1u << sm_span_of(&heap->pages.range, (uintptr_t)p)->node;
	}
	return nodes;
}

static size_t in_use(void)
{
	size_t n = 0;

	for (unsigned i = 0; i < heap->pages.nnodes; i++) {
		struct sm_pageheap_stats st;

		sm__pageheap_stats(&heap->pages, i, &st);
		n += st.in_use_bytes;
	}
	return n;
}

/* Caches come and go on node 0, each using a little of a span: the same few spans serve all of
 * them. */
static unsigned come_and_go(size_t spans_at_most)
{
	unsigned bin = sm_size_class(64), nodes = 0;
	size_t span = (size_t)sm__sizeclasses[bin].nunits << SM_UNIT_SHIFT, before = in_use();

	for (int i = 0; i < 60; i++) {
		struct sm_cache *c = cache_on(0);

		nodes |= allocate(c, bin, 2);
		drop(c);
	}
	ck_assert_uint_le(in_use() - before, spans_at_most * span);
	ck_assert_uint_eq(sm_heap_check(heap), 0);
	return nodes;
}

START_TEST(local_uses_its_own_again)
{
	make(SM_NUMA_LOCAL, 0);
	ck_assert_uint_eq(come_and_go(1), 1);
	sm__heap_destroy(heap);
}
END_TEST

START_TEST(bound_uses_the_bound_node_again)
{
	make(SM_NUMA_BIND, 1);
	ck_assert_uint_eq(come_and_go(1), 2);
	sm__heap_destroy(heap);
}
END_TEST

START_TEST(interleaved_uses_every_node_again)
{
	make(SM_NUMA_INTERLEAVE, 0);
	ck_assert_uint_eq(come_and_go(3), 7);
	sm__heap_destroy(heap);
}
END_TEST

START_TEST(a_closed_node_is_served_by_the_nearest_again)
{
	make(SM_NUMA_LOCAL, 0);
	/* The first bind, of node 0, says that there is no memory. */
	sm__os_inject(SM_OS_BIND, 1, EINVAL);
	ck_assert_uint_eq(come_and_go(1), 4);
	sm__os_inject(SM_OS_ANY, 0, 0);
	sm__heap_destroy(heap);
}
END_TEST

/* Not all nodes close, whatever the kernel says. */
START_TEST(the_last_node_stays_open)
{
	make(SM_NUMA_LOCAL, 0);
	sm__os_inject(SM_OS_BIND, -1, EINVAL);
	come_and_go(1);
	sm__os_inject(SM_OS_ANY, 0, 0);
	sm__heap_destroy(heap);
}
END_TEST

int main(void)
{
	return SM_SUITE(
		"policy", 0, SM_T(local_uses_its_own_again), SM_T(bound_uses_the_bound_node_again),
		SM_T(interleaved_uses_every_node_again),
		SM_T(a_closed_node_is_served_by_the_nearest_again), SM_T(the_last_node_stays_open));
}
