/*
 * graph.h: a random object graph beside a shadow of it in ordinary memory.
 *
 * Every thread owns a graph: a table of roots in the heap, held by its stack alone, and nodes of
 * several shapes with up to four edges, an identity and a canary made from it. The shadow knows the
 * same edges by index and keeps no pointer that a collector could see. What the shadow can reach
 * must be there: the walk compares identity and canary of every node it passes.
 *
 * Beside it threads swap packages through a shared table: binary trees whose every identity follows
 * from the root's, so that a thread that gets one can check all of it.
 */
#ifndef SM_TESTS_SUPPORT_GRAPH_H
#define SM_TESTS_SUPPORT_GRAPH_H

#include "tests/support/stress.h"

#define SM_GRAPH_EDGES	4
#define SM_GRAPH_SHAPES 5
#define SM_GRAPH_RARE	3000

struct sm_node {
	struct sm_node *edge[SM_GRAPH_EDGES];
	uint64_t id, canary;
};

struct sm_graph_types {
	const struct sm_type *shape[SM_GRAPH_SHAPES]; /* 48 B .. 40 KiB (large) */
	/* Every second node is of one of these, in five size classes: 4 edges, identity, canary,
	 * and behind them words that are the node's own address or, as the layout has it, a number
	 * that leads into its middle. */
	const struct sm_type *rare[SM_GRAPH_RARE];
	const struct sm_type *table; /* of roots, or of packages */
	unsigned table_slots;
};
void sm_graph_types_init(struct sm_graph_types *t, struct sm_gc *gc, unsigned table_slots);

/* One thread's graph and its shadow. */
struct sm_graph {
	const struct sm_graph_types *types;
	struct sm_rng rng;
	uint64_t next_id;
	unsigned nnodes;
	struct shadow {
		uint64_t id; /* 0: the entry is free */
		int32_t edge[SM_GRAPH_EDGES];
		bool seen;
	} * node;
	int32_t *root; /* [table_slots], index of a shadow node or -1 */
	uint64_t steps, news;
};
void sm_graph_init(struct sm_graph *g, const struct sm_graph_types *t, uint64_t seed,
		   unsigned stream, unsigned nnodes);
void sm_graph_fini(struct sm_graph *g);
/* One random operation. table: the thread's root table in the heap. */
void sm_graph_step(struct sm_graph *g, struct sm_mutator *m, void **table);
/* Compares the whole graph with its shadow. Returns the number of nodes in reach. */
uint64_t sm_graph_check(struct sm_graph *g, void **table);

/*
 * A table that the marker reaches late: behind a list of n cells, in a handle. Until then what
 * hangs on the table is white while the cycle is on. The table's address comes disguised (~), for
 * no stack is to hold it.
 */
struct sm_handle *sm_deep_table(struct sm_mutator *m, struct sm_gc *gc, const struct sm_type *table,
				unsigned n, uintptr_t *disguised);

/* Packages. NULL when memory is out. */
struct sm_node *sm_package_new(struct sm_mutator *m, const struct sm_graph_types *t,
			       struct sm_rng *r, uint64_t id, unsigned depth);
/* Checks a package completely; returns its number of nodes. */
uint64_t sm_package_check(const struct sm_node *n);

#endif
