/*
 * Marking with several nodes and workers on a machine that has one: every "node" of the heap is
 * bound to the real node 0, so that packets travel between the nodes' queues as they do on a NUMA
 * machine. A random graph over objects of all nodes must survive collections as a whole, says the
 * verifier, and so must a list that hops from node to node.
 */
#include <stdlib.h>

#include <check.h>

#include "spanmark/gc.h"
#include "tests/support/scale.h"
#include "tests/support/gctest.h"
#include "tests/support/run.h"

static size_t objects;

struct node {
	struct node *next[4];
	uint64_t value;
};

static const struct {
	unsigned nodes, workers;
	const char *mode, *numa;
} cases[] = {
	/* local: all objects on one node, so that the other nodes' workers find only what is not
	 * theirs. */
	{2, 2, "concurrent", "local"},
	{2, 2, "stw", "local"},
	{3, 3, "stw", "local"},
	{2, 1, "stw", "interleave"},
	{2, 2, "concurrent", "interleave"},
	{4, 3, "stw", "interleave"},
};

static struct sm_gc *new_gc(unsigned nodes, unsigned workers, const char *mode, const char *numa)
{
	struct sm_gc_config cfg;
	char err[200] = "";
	struct sm_gc *gc;

	sm_gc_config_init(&cfg);
	gctest_config(&cfg);
	gctest_nodes(&cfg, nodes);
	for (unsigned cpu = 0; cpu < SM_MAX_CPUS; cpu++)
		cfg.heap.cpu_node[cpu] = cpu % nodes;
	cfg.workers = workers;
	cfg.verify = true;
	ck_assert_int_eq(sm_gc_config_set(&cfg, "numa", numa, err, sizeof(err)), 0);
	ck_assert_int_eq(sm_gc_config_set(&cfg, "gc.mode", mode, err, sizeof(err)), 0);
	gc = sm_gc_create(&cfg, err, sizeof(err));
	ck_assert_msg(gc != NULL, "%s", err);
	return gc;
}

static void link_at_random(struct sm_mutator *m, void **all)
{
	uint64_t r = 1;

	for (unsigned i = 0; i < objects; i++) {
		struct node *n = all[i];

		for (unsigned k = 0; k < 4; k++) {
			r = r * 6364136223846793005u + 1442695040888963407u;
			sm_store(m, (void **)&n->next[k],
				 all[k ? (r >> 33) % objects : (i + 1) % objects]);
		}
	}
}

START_TEST(a_graph_over_all_nodes_survives)
{
	struct sm_gc *gc =
		new_gc(cases[_i].nodes, cases[_i].workers, cases[_i].mode, cases[_i].numa);
	struct sm_mutator *m = sm_mutator_attach(gc);
	const struct sm_type *type = sm_type_prefix(gc, sizeof(struct node), 4);
	void **all = calloc(objects, sizeof(*all)), *root = NULL;
	struct sm_gc_stats stats;
	struct node *n;

	ck_assert_int_eq(sm_root_add(gc, all, objects), 0);
	ck_assert_int_eq(sm_root_add(gc, &root, 1), 0);
	for (unsigned i = 0; i < objects; i++) {
		n = sm_new(m, type);
		n->value = i;
		sm_store(m, &all[i], n);
	}
	link_at_random(m, all);
	sm_store(m, &root, all[0]);
	/* From here on everything hangs on one object. */
	ck_assert_int_eq(sm_root_remove(gc, all), 0);
	free(all);
	for (int i = 0; i < 4; i++) {
		ck_assert_int_eq(sm_collect(gc, m), 0);
		sm_gc_stats(gc, &stats);
		ck_assert_uint_eq(stats.verify_errors, 0);
		ck_assert_uint_ge(stats.last_marked_objects, objects);
	}
	n = root;
	/* Not an assertion each: it writes to a pipe. */
	for (size_t i = 0; i < objects; i++, n = n->next[0]) {
		if (n->value != i)
			ck_abort_msg("object %zu has the value %llu", i,
				     (unsigned long long)n->value);
	}
	ck_assert_int_eq(sm_root_remove(gc, &root), 0);
	sm_mutator_detach(m);
	ck_assert_int_eq(sm_collect(gc, NULL), 0);
	ck_assert_uint_eq(sm_heap_check(sm_gc_heap(gc)), 0);
	sm_gc_destroy(gc);
}
END_TEST

int main(void)
{
	objects = sm_test_scaled(100000);
	return SM_SUITE(
		"mark_nodes", 30,
		SM_LOOP(a_graph_over_all_nodes_survives, 0, sizeof(cases) / sizeof(cases[0])));
}
