/*
 * Where memory lies on a machine with several NUMA nodes: objects of a pinned mutator on its own
 * node (asked of the kernel page by page), the policies bind and interleave, and mark workers that
 * mark what is near them.
 *
 * Skipped on a machine with fewer than two nodes that have CPUs; the emulated machines of tests/vm
 * have them.
 */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <check.h>

#include "collector/mutator/mutator_internal.h"
#include "spanmark/gc.h"
#include "perf/pin.h"
#include "perf/topology.h"

static struct sm_topology *topo;
static int cpu_nodes[SM_MAX_NODES]; /* node indexes that have an allowed PU */
static int n_cpu_nodes;

static void note_cpu_nodes(void)
{
	for (int n = 0; n < topo->n_nodes; n++)
		for (int i = 0; i < topo->n_pus; i++)
			if (topo->pus[i].allowed && topo->pus[i].node == n) {
				cpu_nodes[n_cpu_nodes++] = n;
				break;
			}
}

/* The k-th allowed PU of a node, counting round; its os number. */
static int pu_of_node(int node, int k)
{
	int found[SM_MAX_CPUS], n = 0;

	for (int i = 0; i < topo->n_pus; i++)
		if (topo->pus[i].allowed && topo->pus[i].node == node)
			found[n++] = topo->pus[i].os;
	return found[k % n];
}

static void pin_to(int node, int k)
{
	char why[200] = "";
	int r = sm_pin_thread(pu_of_node(node, k), why, sizeof(why));

	ck_assert_msg(r == 0, "pinning to node %d: %s", topo->nodes[node].os, why);
}

/* The machine as the heap wants it: plain arrays. */
static void fill_nodes(struct sm_heap_config *cfg)
{
	cfg->nnodes = topo->n_nodes;
	for (int n = 0; n < topo->n_nodes; n++) {
		cfg->node_os[n] = topo->nodes[n].os;
		for (int m = 0; m < topo->n_nodes; m++)
			cfg->distance[n][m] = sm_topology_distance(topo, n, m);
	}
	for (int i = 0; i < topo->n_pus; i++)
		cfg->cpu_node[topo->pus[i].os] = topo->pus[i].node;
}

static struct sm_gc *new_gc(const char *key, const char *value,
			    void (*worker_start)(void *, unsigned, const char *), unsigned workers)
{
	struct sm_gc_config cfg;
	char err[200] = "";
	struct sm_gc *gc;

	sm_gc_config_init(&cfg);
	fill_nodes(&cfg.heap);
	cfg.workers = workers;
	cfg.verify = true;
	cfg.worker_start = worker_start;
	if (key)
		ck_assert_msg(sm_gc_config_set(&cfg, key, value, err, sizeof(err)) == 0, "%s", err);
	gc = sm_gc_create(&cfg, err, sizeof(err));
	ck_assert_msg(gc != NULL, "%s", err);
	return gc;
}

/*
 * Pages of the objects by node, as the kernel says (move_pages with no destination). Objects are
 * written first: a page that was never touched lies nowhere.
 */
static void count_pages(void **objects, size_t n, size_t size, size_t by_node[SM_MAX_NODES])
{
	size_t page = sysconf(_SC_PAGESIZE), m = 0, cap = n * (size / page + 2);
	void **pages = calloc(cap, sizeof(*pages));
	int *status = calloc(cap, sizeof(*status));

	for (size_t i = 0; i < n; i++) {
		uintptr_t a = (uintptr_t)objects[i] & ~(page - 1);

		memset(objects[i], 0, size);
		for (; a < (uintptr_t)objects[i] + size; a += page)
			if (m == 0 || pages[m - 1] != (void *)a)
				pages[m++] = (void *)a;
	}
	ck_assert_int_eq(syscall(SYS_move_pages, 0, m, pages, NULL, status, 0), 0);
	memset(by_node, 0, SM_MAX_NODES * sizeof(*by_node));
	for (size_t i = 0; i < m; i++) {
		int node = status[i] < 0 ? SM_NONE : sm_topology_node(topo, status[i]);

		ck_assert_msg(node != SM_NONE, "page %p: %s", pages[i], strerror(-status[i]));
		by_node[node]++;
	}
	free(pages);
	free(status);
}

static void assert_all_on(const size_t by_node[SM_MAX_NODES], int node, const char *what)
{
	ck_assert_uint_gt(by_node[node], 0);
	for (int n = 0; n < topo->n_nodes; n++)
		if (n != node)
			ck_assert_msg(by_node[n] == 0,
				      "%s of a thread on node %d: %zu pages on node %d (%zu local)",
				      what, topo->nodes[node].os, by_node[n], topo->nodes[n].os,
				      by_node[node]);
}

/* Allocates count objects of size bytes, pointer-free, and keeps them alive by a registered root.
 */
static void **allocate(struct sm_gc *gc, struct sm_mutator *m, size_t count, size_t size)
{
	void **objects = calloc(count, sizeof(*objects));

	ck_assert_int_eq(sm_root_add(gc, objects, count), 0);
	for (size_t i = 0; i < count; i++) {
		void *p = sm_new_bytes(m, size);

		ck_assert_ptr_nonnull(p);
		sm_store(m, &objects[i], p);
	}
	return objects;
}

static void release(struct sm_gc *gc, void **objects)
{
	ck_assert_int_eq(sm_root_remove(gc, objects), 0);
	free(objects);
}

struct job {
	struct sm_gc *gc;
	int node, k;
	size_t by_node[SM_MAX_NODES];
	uint64_t remote_spans;
};

/* Small, page-sized and large objects of one pinned thread. */
static void *run_pinned(void *arg)
{
	static const struct {
		size_t count, size;
	} kinds[] = {{20000, 64}, {300, 4096}, {6, 1 << 20}};
	struct job *job = arg;
	struct sm_mutator *m;

	pin_to(job->node, job->k);
	m = sm_mutator_attach(job->gc);
	ck_assert_ptr_nonnull(m);
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		size_t by_node[SM_MAX_NODES];
		void **objects = allocate(job->gc, m, kinds[i].count, kinds[i].size);

		count_pages(objects, kinds[i].count, kinds[i].size, by_node);
		for (int n = 0; n < SM_MAX_NODES; n++)
			job->by_node[n] += by_node[n];
		release(job->gc, objects);
	}
	job->remote_spans = sm__cache(m)->stats.remote_spans;
	sm_mutator_detach(m);
	return NULL;
}

START_TEST(one_node_after_another)
{
	struct sm_gc *gc = new_gc(NULL, NULL, NULL, 1);

	for (int i = 0; i < n_cpu_nodes; i++) {
		struct job job = {.gc = gc, .node = cpu_nodes[i]};

		run_pinned(&job);
		assert_all_on(job.by_node, job.node, "objects");
		ck_assert_uint_eq(job.remote_spans, 0);
	}
	/* The check wants a quiet heap: after a full collection nothing is left to sweep. */
	ck_assert_int_eq(sm_collect(gc, NULL), 0);
	ck_assert_uint_eq(sm_heap_check(sm_gc_heap(gc)), 0);
	sm_gc_destroy(gc);
}
END_TEST

START_TEST(all_nodes_at_once)
{
	struct sm_gc *gc = new_gc(NULL, NULL, NULL, 1);
	struct job jobs[SM_MAX_NODES] = {0};
	pthread_t threads[SM_MAX_NODES];
	struct sm_gc_stats stats;

	for (int i = 0; i < n_cpu_nodes; i++) {
		jobs[i] = (struct job){.gc = gc, .node = cpu_nodes[i], .k = 1};
		ck_assert_int_eq(pthread_create(&threads[i], NULL, run_pinned, &jobs[i]), 0);
	}
	for (int i = 0; i < n_cpu_nodes; i++)
		pthread_join(threads[i], NULL);
	for (int i = 0; i < n_cpu_nodes; i++) {
		assert_all_on(jobs[i].by_node, jobs[i].node, "objects");
		ck_assert_uint_eq(jobs[i].remote_spans, 0);
	}
	ck_assert_int_eq(sm_collect(gc, NULL), 0);
	sm_gc_stats(gc, &stats);
	ck_assert_uint_eq(stats.verify_errors, 0);
	ck_assert_uint_eq(sm_heap_check(sm_gc_heap(gc)), 0);
	sm_gc_destroy(gc);
}
END_TEST

/* numa=bind:N holds wherever the thread runs; every node serves, those without CPUs too. */
START_TEST(bind_to_each_node)
{
	for (int n = 0; n < topo->n_nodes; n++) {
		size_t by_node[SM_MAX_NODES];
		struct sm_mutator *m;
		struct sm_gc *gc;
		char value[32];
		void **objects;

		if (!topo->nodes[n].allowed)
			continue;
		snprintf(value, sizeof(value), "bind:%d", n);
		gc = new_gc("numa", value, NULL, 1);
		pin_to(cpu_nodes[(n + 1) % n_cpu_nodes], 0);
		m = sm_mutator_attach(gc);
		objects = allocate(gc, m, 2000, 512);
		count_pages(objects, 2000, 512, by_node);
		assert_all_on(by_node, n, "bound objects");
		release(gc, objects);
		sm_mutator_detach(m);
		sm_gc_destroy(gc);
	}
}
END_TEST

START_TEST(interleave_uses_every_node)
{
	struct sm_gc *gc = new_gc("numa", "interleave", NULL, 1);
	size_t by_node[SM_MAX_NODES], total = 0;
	struct sm_mutator *m;
	void **objects;

	pin_to(cpu_nodes[0], 0);
	m = sm_mutator_attach(gc);
	/* Many spans, since a span lies on one node. */
	objects = allocate(gc, m, 16000, 1024);
	count_pages(objects, 16000, 1024, by_node);
	for (int n = 0; n < topo->n_nodes; n++)
		total += by_node[n];
	for (int n = 0; n < topo->n_nodes; n++)
		ck_assert_msg(by_node[n] * topo->n_nodes * 2 >= total,
			      "node %d holds %zu of %zu interleaved pages", topo->nodes[n].os,
			      by_node[n], total);
	release(gc, objects);
	sm_mutator_detach(m);
	sm_gc_destroy(gc);
}
END_TEST

/*
 * The kernel's own account of the heap's mappings: where a mapping is bound to one node, each of
 * its pages is there.
 */
START_TEST(numa_maps_agree)
{
	struct sm_gc *gc = new_gc(NULL, NULL, NULL, 1);
	size_t bound = 0, misplaced = 0;
	void **kept[SM_MAX_NODES];
	char *line = NULL;
	size_t cap = 0;
	FILE *f;

	for (int i = 0; i < n_cpu_nodes; i++) {
		size_t by_node[SM_MAX_NODES];
		struct sm_mutator *m;

		pin_to(cpu_nodes[i], 0);
		m = sm_mutator_attach(gc);
		kept[i] = allocate(gc, m, 4000, 256);
		count_pages(kept[i], 4000, 256, by_node);
		sm_mutator_detach(m);
	}
	f = fopen("/proc/self/numa_maps", "r");
	ck_assert_ptr_nonnull(f);
	while (getline(&line, &cap, f) > 0) {
		char *policy = strstr(line, " bind:"), *p = line;
		int node, where;
		size_t pages;

		if (!policy)
			policy = strstr(line, " prefer:");
		if (!policy || sscanf(strchr(policy, ':'), ":%d", &node) != 1)
			continue;
		while ((p = strstr(p, " N")) != NULL) {
			if (sscanf(p, " N%d=%zu", &where, &pages) == 2) {
				bound += pages;
				misplaced += where != node ? pages : 0;
			}
			p += 2;
		}
	}
	free(line);
	fclose(f);
	ck_assert_msg(bound > 0, "no mapping of the heap is bound to a node");
	ck_assert_msg(misplaced == 0,
		      "%zu of %zu pages lie on another node than their mapping is bound to",
		      misplaced, bound);
	for (int i = 0; i < n_cpu_nodes; i++)
		release(gc, kept[i]);
	sm_gc_destroy(gc);
}
END_TEST

/* ---- who marks what ----------------------------------------------------------------------- */

#define TREE   40000
#define CYCLES 20  /* all of them count */
#define TRIES  300 /* where one that ran evenly is looked for */

/* The nodes that have a tree and a worker. */
static int tree_nodes[SM_MAX_NODES], n_tree_nodes;

static void pin_worker(void *ctx, unsigned index, const char *role)
{
	bool marks = strcmp(role, "mark") == 0;

	(void)ctx;
	/* The others stay out of the way of the first node's worker, so that all get on at the same
	 * pace. */
	pin_to(tree_nodes[marks ? index % n_tree_nodes : 0], marks);
}

struct planter {
	struct sm_gc *gc;
	int node;
	void **root;
};

/* A heap-ordered tree of objects with four pointers each, all of them allocated by one pinned
 * thread. */
static void *plant(void *arg)
{
	struct planter *at = arg;
	struct sm_mutator *m;
	const struct sm_type *type = sm_type_prefix(at->gc, 64, 4);
	void **all = calloc(TREE, sizeof(*all));

	pin_to(at->node, 0);
	m = sm_mutator_attach(at->gc);
	ck_assert_ptr_nonnull(m);
	ck_assert_int_eq(sm_root_add(at->gc, all, TREE), 0);
	for (unsigned i = 0; i < TREE; i++) {
		void **o = sm_new(m, type);

		ck_assert_ptr_nonnull(o);
		sm_store(m, &all[i], o);
		if (i > 0)
			sm_store(m, &((void **)all[(i - 1) / 4])[(i - 1) % 4], o);
	}
	sm_store(m, at->root, all[0]);
	ck_assert_int_eq(sm_root_remove(at->gc, all), 0);
	free(all);
	sm_mutator_detach(m);
	return NULL;
}

/* A tree of its own on each of the nodes. */
static void plant_all(struct sm_gc *gc, void **roots)
{
	struct planter planters[SM_MAX_NODES];
	pthread_t threads[SM_MAX_NODES];

	for (int i = 0; i < n_tree_nodes; i++) {
		planters[i] = (struct planter){gc, tree_nodes[i], &roots[i]};
		ck_assert_int_eq(pthread_create(&threads[i], NULL, plant, &planters[i]), 0);
	}
	for (int i = 0; i < n_tree_nodes; i++)
		pthread_join(threads[i], NULL);
}

/* Per cent of the objects of one collection that were scanned by a thread of their node. */
static double collect_share(struct sm_gc *gc)
{
	struct sm_gc_stats a, b;
	uint64_t local, remote;

	sm_gc_stats(gc, &a);
	ck_assert_int_eq(sm_collect(gc, NULL), 0);
	sm_gc_stats(gc, &b);
	ck_assert_uint_eq(b.verify_errors, 0);
	local = b.total_scanned_local - a.total_scanned_local;
	remote = b.total_scanned_remote - a.total_scanned_remote;
	ck_assert_uint_ge(local + remote, (uint64_t)TREE * n_tree_nodes);
	return 100.0 * (double)local / (double)(local + remote);
}

/* The share of all cycles, or of the best one when at most one of them has to be even. */
static double share_of(const char *mode, bool all_count)
{
	struct sm_gc *gc = new_gc("gc.mode", mode, pin_worker, n_tree_nodes);
	void *roots[SM_MAX_NODES] = {NULL};
	double best = 0, sum = 0;
	int n = 0;

	ck_assert_int_eq(sm_root_add(gc, roots, SM_MAX_NODES), 0);
	plant_all(gc, roots);
	while (n < (all_count ? CYCLES : TRIES) && (all_count || best < 95)) {
		double share = collect_share(gc);

		sum += share;
		best = share > best ? share : best;
		n++;
	}
	printf("%s, %d nodes: %.2f %% of the objects were marked on their own node in %d cycles, "
	       "%.2f %% in "
	       "the best\n",
	       mode, n_tree_nodes, sum / n, n, best);
	fflush(stdout);
	ck_assert_int_eq(sm_root_remove(gc, roots), 0);
	sm_gc_destroy(gc);
	return all_count ? sum / n : best;
}

/*
 * A tree on each node and a worker on each: at least 95 % of the objects are scanned by the worker
 * of their node. The rest is what a worker takes across when its own node has no work left while
 * another still has: with equal trees that measures how evenly the workers get on. Emulated CPUs
 * share fewer real ones, and one that waits for its turn leaves its node's work to the others, as
 * it should. So there two nodes at a time take part, and a cycle in which they ran evenly has to be
 * among many; on real machines all nodes take part and all cycles count.
 */
START_TEST(workers_mark_what_is_near)
{
	const char *mode = _i ? "concurrent" : "stw";
	bool emulated = getenv("SM_MACHINE") != NULL;
	int pairs = emulated ? n_cpu_nodes - 1 : 1;

	for (int i = 0; i < pairs; i++) {
		double share;

		n_tree_nodes = emulated ? 2 : n_cpu_nodes;
		memcpy(tree_nodes, cpu_nodes + i, (size_t)n_tree_nodes * sizeof(*tree_nodes));
		share = share_of(mode, !emulated);
		ck_assert_msg(share >= 95, "only %.2f %% were marked on their own node", share);
	}
}
END_TEST

int main(void)
{
	struct sm_topology_source here = {0};
	char err[200] = "";
	Suite *s = suite_create("locality");
	TCase *tc = tcase_create("nodes");
	SRunner *sr;
	int failed;

	if (sm_topology_load(&here, &topo, err, sizeof(err)) != 0) {
		printf("cannot read the topology: %s\n", err);
		return 1;
	}
	note_cpu_nodes();
	if (n_cpu_nodes < 2) {
		printf("SKIP: this machine has %d NUMA node(s) with CPUs, the test needs two\n",
		       n_cpu_nodes);
		return 77;
	}
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, one_node_after_another);
	tcase_add_test(tc, all_nodes_at_once);
	tcase_add_test(tc, bind_to_each_node);
	tcase_add_test(tc, interleave_uses_every_node);
	tcase_add_test(tc, numa_maps_agree);
	tcase_add_loop_test(tc, workers_mark_what_is_near, 0, 2);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	sm_topology_free(topo);
	return failed ? 1 : 0;
}
