/*
 * test_malloc_numa: the malloc heap on machines with several nodes. The maps are made up (every
 * node is the system's node 0, so that they run anywhere); where this machine really has several,
 * its own map is used too, and the kernel says where pages are (move_pages).
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "allocator/objects/central.h"
#include "spanmark/malloc.h"
#include "allocator/malloc/depot.h"
#include "allocator/malloc/malloc_fast.h"
#include "allocator/os/os.h"
#include "tests/support/faketree.h"
#include "tests/support/run.h"
#include "tests/support/scale.h"
#include "tests/support/skip.h"

#define MANY 20000

static struct sm_heap_config map;
static void *objects[MANY];
static char err[256];

static void configure(const char *key, const char *value)
{
	ck_assert_msg(sm_malloc_configure(key, value, err, sizeof(err)) == 0, "%s", err);
}

static int stay_here(void)
{
	int cpu = sched_getcpu();
	cpu_set_t one;

	CPU_ZERO(&one);
	CPU_SET(cpu, &one);
	ck_assert_int_eq(sched_setaffinity(0, sizeof(one), &one), 0);
	return cpu;
}

/* n nodes; this CPU is on `here`, and stays there until the test says otherwise. Node 0 is nearest
 * to 2, then 1. */
static int pretend(unsigned n, unsigned here)
{
	static const uint16_t d[4][4] = {
		{10, 30, 20, 40}, {30, 10, 20, 40}, {20, 30, 10, 40}, {40, 20, 30, 10}};
	int cpu = stay_here();

	memset(&map, 0, sizeof(map));
	map.nnodes = n;
	for (unsigned i = 0; i < n; i++)
		for (unsigned j = 0; j < n; j++)
			map.distance[i][j] = d[i][j];
	for (unsigned i = 0; i < SM_MAX_CPUS; i++)
		map.cpu_node[i] = (uint8_t)here;
	ck_assert_int_eq(sm_malloc_configure_nodes(&map), 0);
	return cpu;
}

/* From here on the CPUs are another node's: as if the thread had moved. */
static void move_to(unsigned node)
{
	for (unsigned i = 0; i < SM_MAX_CPUS; i++)
		__atomic_store_n(&sm__process_heap.heap->config.cpu_node[i], (uint8_t)node,
				 __ATOMIC_RELAXED);
}

static unsigned node_of(const void *p)
{
	return sm_span_of(&sm_malloc_heap()->pages.range, (uintptr_t)p)->node;
}

static void take(unsigned n, size_t size)
{
	for (unsigned i = 0; i < n; i++)
		/* an assertion writes to a pipe each time */
		if ((objects[i] = sm_malloc(size)) == NULL)
			ck_abort_msg("object %u of %zu bytes: no memory", i, size);
}

static void give(unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		sm_free(objects[i]);
}

static void count_nodes(unsigned n, unsigned count[SM_MAX_NODES])
{
	memset(count, 0, SM_MAX_NODES * sizeof(*count));
	for (unsigned i = 0; i < n; i++)
		count[node_of(objects[i])]++;
}

static void sound(void)
{
	ck_assert_uint_eq(sm_heap_check(sm_malloc_heap()), 0);
}

/* Everything back: no node keeps anything. */
static void nothing_is_left(void)
{
	struct sm_pageheap_stats st;

	sm_malloc_trim();
	sound();
	sm__malloc_pageheap(&st);
	ck_assert_uint_eq(st.in_use_bytes, 0);
}

static const char *const modes[] = {"thread", "cpu", "none"};

START_TEST(local_memory_is_this_nodes)
{
	unsigned count[SM_MAX_NODES];

	configure("cache.mode", modes[_i]);
	pretend(3, 2);
	for (size_t size = 16; size <= 60000; size *= 3) {
		take(500, size);
		count_nodes(500, count);
		ck_assert_uint_eq(count[2], 500);
		give(500);
	}
	ck_assert_uint_eq(node_of(objects[0] = sm_aligned_alloc(SM_MIB, 1)), 2);
	sm_free(objects[0]);
	nothing_is_left();
}
END_TEST

START_TEST(interleaved_memory_is_every_nodes)
{
	unsigned count[SM_MAX_NODES];

	configure("cache.mode", modes[_i]);
	configure("numa", "interleave");
	configure("cache.window", "1k");
	pretend(3, 0);
	take(MANY, 64);
	count_nodes(MANY, count);
	for (unsigned node = 0; node < 3; node++)
		ck_assert_uint_gt(count[node], MANY / 6);
	give(MANY);
	for (unsigned i = 0; i < 30; i++)
		objects[i] = sm_malloc(100000);
	count_nodes(30, count);
	ck_assert(count[0] == 10 && count[1] == 10 && count[2] == 10);
	give(30);
	nothing_is_left();
}
END_TEST

START_TEST(bound_memory_is_that_nodes_alone)
{
	unsigned count[SM_MAX_NODES];

	configure("cache.mode", modes[_i]);
	configure("numa", "bind:1");
	configure("heap.limit", "64m");
	pretend(3, 2);
	take(5000, 100);
	count_nodes(5000, count);
	ck_assert_uint_eq(count[1], 5000);
	give(5000);
	/* It is full: others do not help. */
	errno = 0;
	ck_assert_ptr_null(sm_malloc(100 * SM_MIB));
	ck_assert_int_eq(errno, ENOMEM);
	nothing_is_left();
}
END_TEST

START_TEST(a_node_that_is_not_there_is_refused)
{
	configure("numa", "bind:3");
	pretend(3, 0);
	errno = 0;
	ck_assert_ptr_null(sm_malloc(1));
	ck_assert_int_eq(errno, ENOMEM);
}
END_TEST

/* What a thread frees goes home: the next one on that node finds it, here there is none of it. */
START_TEST(freed_objects_go_home)
{
	struct sm_core_stats st;
	unsigned cls = sm__malloc_class_of(64);
	unsigned count[SM_MAX_NODES];
	int cpu;

	configure("cache.mode", modes[_i]);
	cpu = pretend(2, 0);
	take(MANY, 64);
	move_to(1);
	give(MANY);
	sm_malloc_trim(); /* what the cache itself holds */
	sound();
	ck_assert_uint_eq(sm__shard_objects(1, cls) + sm__depot_of(1, cls)->spans, 0);
	take(1000, 64);
	count_nodes(1000, count);
	ck_assert_uint_eq(count[1], 1000);
	if (_i < 2) {
		ck_assert_int_eq(sm_heap_core_stats(sm_malloc_heap(), (unsigned)cpu, &st), 0);
		ck_assert_uint_gt(st.cls[cls].remote, MANY / 2);
		ck_assert_uint_eq(st.cls[cls].steals, 0);
	}
	give(1000);
	nothing_is_left();
}
END_TEST

/* A list whose objects lie on two nodes by turns: each slot goes back under its node's lock, and is
 * counted there. */
START_TEST(a_list_of_two_nodes_goes_back_to_both)
{
	unsigned cls = sm__malloc_class_of(64);
	struct sm_freed *list = NULL;

	configure("cache.mode", "none");
	pretend(2, 0);
	take(100, 64);
	memcpy(objects + 1000, objects, 100 * sizeof(*objects));
	move_to(1);
	take(100, 64);
	for (unsigned i = 0; i < 200; i++) {
		struct sm_freed *p = objects[i % 2 ? i / 2 : 1000 + i / 2];

		ck_assert_uint_eq(node_of(p), i % 2);
		p->key = sm__malloc_key(p);
		p->next = list;
		list = p;
	}
	sm__depot_drain(cls, list);
	for (unsigned node = 0; node < 2; node++) {
		ck_assert_uint_eq(sm__depot_of(node, cls)->out, 0);
		ck_assert_uint_eq(sm__depot_of(node, cls)->drained, 100);
	}
	nothing_is_left();
}
END_TEST

/* Memory is out: lists of other nodes are the last resort, the nearest first, and that is counted.
 */
START_TEST(the_last_resort_is_another_nodes_lists)
{
	struct sm_core_stats st;
	unsigned cls = sm__malloc_class_of(1000);
	struct sm_span *s;
	int cpu;
	void *p;

	configure("heap.limit", "48m");
	configure("heap.arena", "1m");
	configure("scavenge.interval", "0");
	cpu = pretend(3, 1);
	/* Spans with room on nodes 1 and 2; then all units there are go elsewhere. */
	take(1, 1000);
	sm__mcache_flush(sm__mcache_get());
	move_to(2);
	objects[1] = sm_malloc(1000);
	sm__mcache_flush(sm__mcache_get());
	ck_assert_uint_eq(node_of(objects[0]), 1);
	ck_assert_uint_eq(node_of(objects[1]), 2);
	move_to(0);
	while ((s = sm__pageheap_alloc(&sm_malloc_heap()->pages, 0, 1)) != NULL)
		sm_store_release(&s->state, SM_SPAN_OTHER);
	/* 2 is nearer than 1. */
	p = sm_malloc(1000);
	ck_assert_ptr_nonnull(p);
	ck_assert_uint_eq(node_of(p), 2);
	ck_assert_int_eq(sm_heap_core_stats(sm_malloc_heap(), (unsigned)cpu, &st), 0);
	ck_assert_uint_eq(st.cls[cls].steals, 1);
	ck_assert_uint_ge(st.cls[cls].remote, 1);
	/* Then 1, and then none. */
	for (unsigned i = 0; (p = sm_malloc(1000)) != NULL; i++)
		ck_assert_uint_lt(i, 2 * SM_UNIT / 1000);
	ck_assert_int_eq(errno, ENOMEM);
	ck_assert_int_eq(sm_heap_core_stats(sm_malloc_heap(), (unsigned)cpu, &st), 0);
	ck_assert_uint_ge(st.cls[cls].steals, 2);
	sound();
}
END_TEST

/* CPUs on a node whose memory the kernel refuses: the nearest serves them, after one line. */
START_TEST(a_node_without_memory_is_served_by_the_nearest)
{
	unsigned count[SM_MAX_NODES];

	configure("cache.mode", modes[_i]);
	pretend(3, 0);
	map.node_os[0] = 1001;
	ck_assert_int_eq(sm_malloc_configure_nodes(&map), 0);
	take(2000, 200);
	count_nodes(2000, count);
	ck_assert_uint_eq(count[2], 2000);
	give(2000);
	nothing_is_left();
}
END_TEST

START_TEST(a_refused_mbind_is_lived_with)
{
	unsigned count[SM_MAX_NODES];

	configure("cache.mode", modes[_i]);
	pretend(3, 1);
	sm__os_inject(SM_OS_BIND, -1, EPERM);
	take(2000, 200);
	sm__os_inject(SM_OS_ANY, 0, 0);
	count_nodes(2000, count);
	ck_assert_uint_eq(count[1], 2000);
	give(2000);
	nothing_is_left();
}
END_TEST

/* ---- threads that move between nodes, and hand objects on --------------------------------- */

static _Atomic(void *) slots[512];
static _Atomic(bool) stop;

static void *exchange(void *arg)
{
	unsigned seed = (unsigned)(uintptr_t)arg;

	for (unsigned long i = 0, n = sm_test_scaled(200000); i < n; i++) {
		size_t size = 1 + (size_t)rand_r(&seed) % (i % 100 ? 500 : 40000);
		unsigned char *p = sm_malloc(size), *q;

		if (p == NULL)
			ck_abort_msg("%zu bytes: no memory", size);
		p[0] = p[size - 1] = (unsigned char)i;
		q = sm_exchange_acqrel(&slots[(unsigned)rand_r(&seed) % 512], p);
		sm_free(q);
	}
	return NULL;
}

static void *mover(void *arg)
{
	unsigned node = 0;

	while (!sm_load_relaxed(&stop)) {
		move_to(node++ % 3);
		usleep(100);
	}
	return arg;
}

START_TEST(threads_move_between_nodes)
{
	pthread_t t[4], m;

	configure("cache.mode", modes[_i]);
	configure("malloc.list", "1k");
	pretend(3, 0);
	sm_free(sm_malloc(1));
	ck_assert_int_eq(pthread_create(&m, NULL, mover, NULL), 0);
	for (uintptr_t i = 0; i < 4; i++)
		ck_assert_int_eq(pthread_create(&t[i], NULL, exchange, (void *)(i + 1)), 0);
	for (unsigned i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
	sm_store_relaxed(&stop, true);
	pthread_join(m, NULL);
	sound();
	for (unsigned i = 0; i < 512; i++)
		sm_free(sm_load_relaxed(&slots[i]));
	nothing_is_left();
}
END_TEST

/* ---- what the kernel says about nodes ----------------------------------------------------- */

static struct faketree tree;

static void node_file(unsigned os, const char *name, const char *text)
{
	char path[100];

	snprintf(path, sizeof(path), "/sys/devices/system/node/node%u/%s", os, name);
	faketree_write(&tree, path, text);
}

/* Nodes 0, 2, 5, 7: 2 has no CPUs, 5 no memory. */
START_TEST(sparse_nodes_with_and_without_cpus_and_memory)
{
	faketree_init(&tree);
	faketree_write(&tree, "/sys/devices/system/node/online", "0,2,5,7");
	faketree_write(&tree, "/sys/devices/system/node/has_memory", "0,2,7");
	node_file(0, "cpulist", "0-1,8");
	node_file(0, "distance", "10 40 21 30");
	node_file(2, "cpulist", "");
	node_file(2, "distance", "40 10 31 50");
	node_file(5, "cpulist", "2-3");
	node_file(5, "distance", "21 31 10 11");
	node_file(7, "cpulist", "4-7");
	node_file(7, "distance", "30 50 11 10");
	memset(&map, 0xff, sizeof(map));
	memset(map.distance, 0, sizeof(map.distance));
	sm__os_nodes(tree.root, &map);
	ck_assert_uint_eq(map.nnodes, 3);
	ck_assert(map.node_os[0] == 0 && map.node_os[1] == 2 && map.node_os[2] == 7);
	ck_assert_uint_eq(map.distance[0][1], 40);
	ck_assert_uint_eq(map.distance[0][2], 30);
	ck_assert_uint_eq(map.distance[1][2], 50);
	ck_assert_uint_eq(map.distance[2][2], 10);
	ck_assert(map.cpu_node[0] == 0 && map.cpu_node[8] == 0);
	/* of 5: 7 is the nearest with memory */
	ck_assert(map.cpu_node[2] == 2 && map.cpu_node[3] == 2);
	ck_assert(map.cpu_node[4] == 2 && map.cpu_node[7] == 2);
	faketree_remove(&tree);
}
END_TEST

START_TEST(one_node_or_none_that_the_kernel_tells_of)
{
	faketree_init(&tree);
	sm__os_nodes(tree.root, &map);
	ck_assert_uint_eq(map.nnodes, 0);
	faketree_write(&tree, "/sys/devices/system/node/online", "3");
	faketree_write(&tree, "/sys/devices/system/node/has_memory", "3");
	node_file(3, "cpulist", "0-3");
	node_file(3, "distance", "10");
	sm__os_nodes(tree.root, &map);
	ck_assert_uint_eq(map.nnodes, 0);
	ck_assert_int_eq(map.node_os[0], 3);
	faketree_remove(&tree);
}
END_TEST

/* ---- this machine ------------------------------------------------------------------------- */

static int kernels_node(void *p)
{
	int status = -1;

	ck_assert_int_eq(syscall(SYS_move_pages, 0, 1, &p, NULL, &status, 0), 0);
	return status;
}

/* On a machine with several nodes: run on each CPU in turn, and ask the kernel where the objects
 * are. */
START_TEST(pages_are_where_their_threads_were)
{
	cpu_set_t allowed, one;

	memset(&map, 0, sizeof(map));
	sm__os_nodes("", &map);
	if (map.nnodes < 2) {
		SM_SKIP("one node with memory");
	}
	configure("cache.mode", modes[_i]);
	sm_free(sm_malloc(1)); /* makes the heap: no cache can be asked for before */
	ck_assert_int_eq(sched_getaffinity(0, sizeof(allowed), &allowed), 0);
	for (int cpu = 0; cpu < CPU_SETSIZE && cpu < SM_MAX_CPUS; cpu++) {
		if (!CPU_ISSET(cpu, &allowed))
			continue;
		CPU_ZERO(&one);
		CPU_SET(cpu, &one);
		ck_assert_int_eq(sched_setaffinity(0, sizeof(one), &one), 0);
		if (sm__mcache_get() != NULL)
			sm__mcache_flush(sm__mcache_get());
		for (size_t size = 64; size < 200000; size *= 5) {
			char *p = sm_malloc(size);

			memset(p, 1, size);
			ck_assert_int_eq(kernels_node(p), map.node_os[map.cpu_node[cpu]]);
			ck_assert_int_eq(kernels_node(p + size - 1),
					 map.node_os[map.cpu_node[cpu]]);
			sm_free(p);
		}
	}
	nothing_is_left();
}
END_TEST

int main(void)
{
	return SM_SUITE("malloc_numa", 100, SM_LOOP(local_memory_is_this_nodes, 0, 3),
			SM_LOOP(interleaved_memory_is_every_nodes, 0, 3),
			SM_LOOP(bound_memory_is_that_nodes_alone, 0, 3),
			SM_T(a_node_that_is_not_there_is_refused),
			SM_LOOP(freed_objects_go_home, 0, 3),
			SM_T(a_list_of_two_nodes_goes_back_to_both),
			SM_T(the_last_resort_is_another_nodes_lists),
			SM_LOOP(a_node_without_memory_is_served_by_the_nearest, 0, 3),
			SM_LOOP(a_refused_mbind_is_lived_with, 0, 3),
			SM_LOOP(threads_move_between_nodes, 0, 3),
			SM_T(sparse_nodes_with_and_without_cpus_and_memory),
			SM_T(one_node_or_none_that_the_kernel_tells_of),
			SM_LOOP(pages_are_where_their_threads_were, 0, 3));
}
