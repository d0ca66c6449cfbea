/*
 * wl_gcbench.c: GCBench (Ellis, Kovac and Boehm, 1997): trees of every depth, built from the root
 * down and from the leaves up, beside a tree and an array of numbers that stay.
 *
 * A tree of depth `stretch` is built and dropped; a tree of depth `long_lived` and an array of
 * `array` numbers stay. Then for d = 4, 6, .. <= `longest`, 2 (2^(stretch+1) - 1) / (2^(d+1) - 1)
 * trees of depth d are built from the root down, and as many from the leaves up, each dropped at
 * once. A node is two pointers and two numbers. All of it is timed.
 *
 * Stresses: allocation of one small class with all of it short-lived, and stores into old objects
 * while marking runs (a tree from the root down is written long after its root was allocated).
 * Shown by: cycles and l1d_miss of the role mutator; mark_objects_per_s.
 */
#include <errno.h>
#include <stdio.h>

#include "workloads/backend.h"

struct node {
	struct node *left, *right;
	uint64_t i, j;
};

struct bench {
	enum sm_wl_backend backend;
	const struct sm_type *type; /* gc */
	int stretch, longest;
};

/* ---- trees, for each backend -------------------------------------------------------------- */

SM_INLINE struct node *new_node(const enum sm_wl_backend b, struct sm_thread *t,
				const struct sm_type *type)
{
	struct node *n = sm_backend_new(b, t, type, sizeof(*n));

	if (!sm_backend_collects(b))
		*n = (struct node){0};
	return n;
}

typedef void populate_fn(struct sm_thread *t, const struct sm_type *type, int depth,
			 struct node *n);
typedef struct node *make_fn(struct sm_thread *t, const struct sm_type *type, int depth);
typedef void drop_fn(struct node *n);

/* From the root down: the node is there, its children come. */
SM_INLINE void populate_body(const enum sm_wl_backend b, populate_fn *self, struct sm_thread *t,
			     const struct sm_type *type, int depth, struct node *n)
{
	if (depth <= 0)
		return;
	sm_backend_store(b, t, (void **)&n->left, new_node(b, t, type));
	sm_backend_store(b, t, (void **)&n->right, new_node(b, t, type));
	self(t, type, depth - 1, n->left);
	self(t, type, depth - 1, n->right);
}

/* From the leaves up. */
SM_INLINE struct node *make_up_body(const enum sm_wl_backend b, make_fn *self, struct sm_thread *t,
				    const struct sm_type *type, int depth)
{
	struct node *left = NULL, *right = NULL, *n;

	if (depth > 0) {
		left = self(t, type, depth - 1);
		right = self(t, type, depth - 1);
	}
	n = new_node(b, t, type);
	sm_backend_store(b, t, (void **)&n->left, left);
	sm_backend_store(b, t, (void **)&n->right, right);
	return n;
}

SM_INLINE void drop_body(const enum sm_wl_backend b, drop_fn *self, struct node *n)
{
	if (sm_backend_collects(b) || n == NULL)
		return;
	self(n->left);
	self(n->right);
	sm_backend_free(b, n);
}

SM_RECURSIVE(void, populate, (t, type, depth, n), struct sm_thread *t, const struct sm_type *type,
	     int depth, struct node *n)
SM_RECURSIVE(struct node *, make_up, (t, type, depth), struct sm_thread *t,
	     const struct sm_type *type, int depth)
SM_RECURSIVE(void, drop, (n), struct node *n)

static struct node *make(struct sm_thread *t, const struct bench *g, int depth, bool top_down)
{
	struct node *n;

	if (!top_down)
		return make_up(g->backend, t, g->type, depth);
	n = SM_FOR_BACKEND(g->backend, new_node, t, g->type);
	populate(g->backend, t, g->type, depth, n);
	return n;
}

static uint64_t count(const struct node *n)
{
	return n == NULL ? 0 : 1 + count(n->left) + count(n->right);
}

/* ---- the benchmark ------------------------------------------------------------------------ */

static uint64_t nodes_of(int depth)
{
	return ((uint64_t)2 << depth) - 1;
}

/* This thread's share of the short-lived trees. */
static int short_lived(struct sm_thread *t, void *arg)
{
	const struct bench *g = arg;
	unsigned threads = sm_run_threads(t->run);

	for (int d = 4; d <= g->longest; d += 2) {
		uint64_t trees = 2 * nodes_of(g->stretch) / nodes_of(d);
		uint64_t from = trees * t->index / threads, to = trees * (t->index + 1) / threads;

		for (int top_down = 1; top_down >= 0; top_down--)
			for (uint64_t i = from; i < to; i++)
				drop(g->backend, make(t, g, d, top_down));
	}
	return 0;
}

/* Nodes that the definition asks for, without the two large trees. */
static uint64_t short_nodes(const struct bench *g)
{
	uint64_t nodes = 0;

	for (int d = 4; d <= g->longest; d += 2)
		nodes += 2 * (2 * nodes_of(g->stretch) / nodes_of(d)) * nodes_of(d);
	return nodes;
}

/* The definition asks for no trees deeper than the first: 2 nodes(stretch) / nodes(d) is 0. */
static int check_depths(const struct sm_params *p, char *err, size_t errlen)
{
	int stretch = (int)sm_params_int(p, "stretch"), longest = (int)sm_params_int(p, "longest");

	if (longest <= stretch)
		return 0;
	snprintf(err, errlen, "longest=%d: must be at most stretch, %d", longest, stretch);
	return -EINVAL;
}

static int run(struct sm_run *run)
{
	struct sm_thread *t = sm_run_thread(run);
	const struct sm_params *p = sm_run_params(run);
	struct bench g = {
		.backend = sm_run_backend(run),
		.stretch = (int)sm_params_int(p, "stretch"),
		.longest = (int)sm_params_int(p, "longest"),
	};
	int depth = (int)sm_params_int(p, "long_lived"), err;
	size_t n = (size_t)sm_params_int(p, "array");
	struct node *stays;
	double *array;
	bool kept;

	if (g.backend == SM_WL_GC &&
	    (g.type = sm_type_prefix(sm_run_gc(run), sizeof(*stays), 2)) == NULL)
		return sm_run_fail(run, -ENOMEM, "out of memory for a type");
	sm_run_timed_begin(run);
	drop(g.backend, make(t, &g, g.stretch, false));
	stays = make(t, &g, depth, true);
	array = SM_FOR_BACKEND(g.backend, sm_backend_zeroed, t, n * sizeof(*array));
	for (size_t i = 0; i < n / 2; i++)
		array[i] = 1.0 / (double)(i + 1);
	sm_run_timed_end(run);
	err = sm_run_parallel_timed(run, sm_run_threads(run), short_lived, &g);
	if (err != 0)
		return err;
	kept = count(stays) == nodes_of(depth) && array[n / 2 - 1] == 1.0 / (double)(n / 2);
	sm_run_timed_begin(run);
	drop(g.backend, stays);
	sm_backend_free(g.backend, array);
	sm_run_timed_end(run);
	sm_run_ops(run, short_nodes(&g) + nodes_of(g.stretch) + nodes_of(depth));
	sm_run_result(run, SM_RESULT_check, (double)short_nodes(&g));
	sm_run_result(run, SM_RESULT_long_lived, (double)nodes_of(depth));
	return kept ? 0 : sm_run_fail(run, -EIO, "the tree or the array that stays was damaged");
}

static const struct sm_param_desc params[] = {
	{.name = "stretch",
	 .def = 18,
	 .min = 4,
	 .max = 26,
	 .quick = 14,
	 .unit = "levels",
	 .help = "of the first tree; sets how many trees of each depth are built"},
	{.name = "long_lived",
	 .def = 16,
	 .min = 1,
	 .max = 26,
	 .quick = 12,
	 .unit = "levels",
	 .help = "of the tree that stays"},
	{.name = "array",
	 .def = 500000,
	 .min = 2,
	 .max = 100000000,
	 .quick = 50000,
	 .unit = "numbers",
	 .help = "of 8 bytes, that stay"},
	{.name = "longest",
	 .def = 16,
	 .min = 4,
	 .max = 26,
	 .quick = 12,
	 .unit = "levels",
	 .help = "of the deepest short-lived trees"},
	SM_PARAM_THREADS(1, 1, "the short-lived trees are split over them"),
	{0},
};

const struct sm_workload sm__wl_gcbench = {
	.name = "gcbench",
	.summary =
		"Boehm's: trees built downwards and upwards beside a tree and an array that stay",
	.op = "node",
	.params = params,
	.backends = SM_WL_EVERY,
	.check = check_depths,
	.run = run,
};
