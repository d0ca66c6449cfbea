/*
 * wl_binary_trees.c: many short-lived trees beside one that stays (after Ellis, Kovac and Boehm's
 * GCBench, by way of the Computer Language Benchmarks Game).
 *
 * A long-lived tree of `depth` is built; then for d = 4, 8, .. <= depth, 2^(depth-d+4) trees of
 * depth d are built, counted and dropped, split over the threads. A node is two pointers. Every
 * node is allocated before its children, so a tree lies in memory as it is walked.
 *
 * Timed: all of it, the long-lived tree included.
 */
#include <errno.h>

#include "workloads/backend.h"

struct node {
	struct node *left, *right;
};

struct forest {
	enum sm_wl_backend backend;
	const struct sm_type *type; /* gc */
	int depth;
	struct node *long_lived;
	_Atomic(uint64_t) nodes; /* counted in the short-lived trees */
};

/* ---- a tree, for each backend ------------------------------------------------------------- */

typedef struct node *grow_fn(struct sm_thread *t, const struct sm_type *type, int depth);
typedef void fell_fn(struct node *n);

/* A node of gc is rooted by its frame (collectors scan stacks conservatively) until its parent
 * holds it. The explicit ones store at once: nothing looks at their nodes. */
SM_INLINE struct node *grow_body(const enum sm_wl_backend b, grow_fn *self, struct sm_thread *t,
				 const struct sm_type *type, int depth)
{
	struct node *n = sm_backend_new(b, t, type, sizeof(*n));

	if (depth > 0) {
		sm_backend_store(b, t, (void **)&n->left, self(t, type, depth - 1));
		sm_backend_store(b, t, (void **)&n->right, self(t, type, depth - 1));
	} else if (!sm_backend_collects(b)) {
		n->left = n->right = NULL;
	}
	return n;
}

SM_INLINE void fell_body(const enum sm_wl_backend b, fell_fn *self, struct node *n)
{
	if (sm_backend_collects(b))
		return;
	if (n->left != NULL) {
		self(n->left);
		self(n->right);
	}
	sm_backend_free(b, n);
}

SM_RECURSIVE(struct node *, grow, (t, type, depth), struct sm_thread *t, const struct sm_type *type,
	     int depth)
SM_RECURSIVE(void, fell, (n), struct node *n)

static uint64_t count(const struct node *n)
{
	return n->left == NULL ? 1 : 1 + count(n->left) + count(n->right);
}

/* ---- the forest --------------------------------------------------------------------------- */

/* This thread's share of all short-lived trees. */
static int short_lived(struct sm_thread *t, void *arg)
{
	struct forest *f = arg;
	uint64_t nodes = 0, threads = sm_run_threads(t->run);

	for (int d = 4; d <= f->depth; d += 4) {
		uint64_t trees = (uint64_t)1 << (f->depth - d + 4);
		uint64_t from = trees * t->index / threads, to = trees * (t->index + 1) / threads;

		for (uint64_t i = from; i < to; i++) {
			struct node *tree = grow(f->backend, t, f->type, d);

			nodes += count(tree);
			fell(f->backend, tree);
		}
	}
	sm_fetch_add_relaxed(&f->nodes, nodes);
	return 0;
}

/* Nodes that the definition asks for. */
static uint64_t expected(int depth)
{
	uint64_t nodes = 0;

	for (int d = 4; d <= depth; d += 4)
		nodes += ((uint64_t)1 << (depth - d + 4)) * (((uint64_t)2 << d) - 1);
	return nodes;
}

static int run_binary_trees(struct sm_run *run)
{
	struct sm_thread *t = sm_run_thread(run);
	struct forest f = {
		.backend = sm_run_backend(run),
		.depth = (int)sm_params_int(sm_run_params(run), "depth"),
	};
	uint64_t check, long_lived;
	int err;

	if (f.backend == SM_WL_GC) {
		f.type = sm_type_pointers(sm_run_gc(run), sizeof(struct node) / sizeof(void *));
		if (f.type == NULL)
			return sm_run_fail(run, -ENOMEM, "out of memory for a type");
	}
	sm_run_timed_begin(run);
	f.long_lived = grow(f.backend, t, f.type, f.depth); /* rooted by f, on this stack */
	sm_run_timed_end(run);
	err = sm_run_parallel_timed(run, sm_run_threads(run), short_lived, &f);
	if (err != 0)
		return err;
	sm_run_timed_begin(run);
	long_lived = count(f.long_lived);
	fell(f.backend, f.long_lived);
	sm_run_timed_end(run);
	check = sm_load_relaxed(&f.nodes);
	sm_run_ops(run, check + long_lived);
	sm_run_result(run, SM_RESULT_check, (double)check);
	sm_run_result(run, SM_RESULT_long_lived, (double)long_lived);
	if (check != expected(f.depth) || long_lived != ((uint64_t)2 << f.depth) - 1)
		return sm_run_fail(run, -EIO, "counted %llu and %llu nodes, built %llu and %llu",
				   (unsigned long long)check, (unsigned long long)long_lived,
				   (unsigned long long)expected(f.depth),
				   (unsigned long long)(((uint64_t)2 << f.depth) - 1));
	return 0;
}

static const struct sm_param_desc params[] = {
	{.name = "depth",
	 .def = 18,
	 .min = 4,
	 .max = 26,
	 .quick = 14,
	 .simulated = 10,
	 .unit = "levels",
	 .help = "of the long-lived tree and of the deepest short-lived ones"},
	SM_PARAM_THREADS(1, 1, "the short-lived trees are split over them"),
	{0},
};

const struct sm_workload sm__wl_binary_trees = {
	.name = "binary-trees",
	.summary =
		"short-lived trees beside a long-lived one: small objects built, counted, dropped",
	.op = "node",
	.params = params,
	.backends = SM_WL_EVERY,
	.run = run_binary_trees,
};
