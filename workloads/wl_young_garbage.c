/*
 * wl_young_garbage.c: much that is alive, and garbage that dies young.
 *
 * A table of `live` lists for each thread, of `burst` nodes of `size` bytes each, is built first.
 * Each of `ops` makes one more list, walks it and drops it; every `keep`-th puts it into the table
 * instead, where it takes the place of a random one (freed with an explicit backend). A thread uses
 * its own part of the table. Timed: the operations.
 *
 * Stresses: what a collection costs where nearly all that is marked was alive the last time:
 * gc.generations. Shown by: mark_ns, minor_cycles and user_s, with gc.generations=on against off.
 */
#include <errno.h>

#include "workloads/backend.h"

struct node {
	struct node *next;
	uint64_t number; /* of its list, and its place in it: see number_of */
};

struct young {
	enum sm_wl_backend backend;
	size_t size;
	uint64_t live, burst, ops, keep;
	const struct sm_type *node, *table; /* gc */
	struct node **lists;		    /* [live * threads]: on the stack of the run */
};

static uint64_t number_of(uint64_t list, uint64_t place)
{
	return list << 20 | place;
}

SM_INLINE struct node *make_list(const enum sm_wl_backend b, struct sm_thread *t,
				 const struct young *y, uint64_t list)
{
	struct node *first = NULL;

	for (uint64_t place = y->burst; place-- > 0;) {
		struct node *n = sm_backend_new(b, t, y->node, y->size);

		n->number = number_of(list, place);
		sm_backend_store(b, t, (void **)&n->next, first);
		first = n;
	}
	return first;
}

/* The list at first, whatever its number. */
static bool intact(const struct young *y, const struct node *n)
{
	uint64_t list = n->number >> 20;

	for (uint64_t place = 0; place < y->burst; place++, n = n->next)
		if (n == NULL || n->number != number_of(list, place))
			return false;
	return n == NULL;
}

/* As many nodes as a list has: a damaged one may have no end. */
SM_INLINE void free_list(const enum sm_wl_backend b, const struct young *y, struct node *n)
{
	for (uint64_t i = 0; !sm_backend_collects(b) && i < y->burst && n != NULL; i++) {
		struct node *next = n->next;

		sm_backend_free(b, n);
		n = next;
	}
}

SM_INLINE int work(const enum sm_wl_backend b, struct sm_thread *t, const struct young *y)
{
	struct node **lists = y->lists + y->live * t->index;

	for (uint64_t i = 0; i < y->ops; i++) {
		struct node *made = make_list(b, t, y, y->live + i), **at;

		if (!intact(y, made))
			return sm_run_fail(t->run, -EIO, "thread %u: a new list was overwritten",
					   t->index);
		if ((i + 1) % y->keep != 0) {
			free_list(b, y, made);
			continue;
		}
		at = &lists[sm_rng_below(&t->rng, y->live)];
		if (!intact(y, *at))
			return sm_run_fail(t->run, -EIO, "thread %u: an old list was overwritten",
					   t->index);
		free_list(b, y, *at);
		sm_backend_store(b, t, (void **)at, made);
	}
	return 0;
}

static int thread_main(struct sm_thread *t, void *arg)
{
	const struct young *y = arg;

	return SM_FOR_BACKEND(y->backend, work, t, y);
}

/* ---- the run ------------------------------------------------------------------------------ */

SM_INLINE int build(const enum sm_wl_backend b, struct sm_thread *t, struct young *y, uint64_t n)
{
	y->lists = (struct node **)sm_backend_table(b, t, y->table, n);
	for (uint64_t i = 0; i < n; i++)
		sm_backend_store(b, t, (void **)&y->lists[i], make_list(b, t, y, i % y->live));
	return 0;
}

static int check_all(struct sm_run *run, const struct young *y, uint64_t n)
{
	for (uint64_t i = 0; i < n; i++)
		if (!intact(y, y->lists[i]))
			return sm_run_fail(run, -EIO, "an old list was overwritten");
	return 0;
}

static void free_all(struct young *y, uint64_t n)
{
	if (sm_backend_collects(y->backend))
		return;
	for (uint64_t i = 0; i < n; i++)
		free_list(y->backend, y, y->lists[i]);
	sm_backend_free(y->backend, (void *)y->lists);
}

static int run(struct sm_run *run)
{
	const struct sm_params *p = sm_run_params(run);
	struct young y = {
		.backend = sm_run_backend(run),
		.size = (size_t)sm_params_int(p, "size"),
		.live = (uint64_t)sm_params_int(p, "live"),
		.burst = (uint64_t)sm_params_int(p, "burst"),
		.ops = (uint64_t)sm_params_int(p, "ops"),
		.keep = (uint64_t)sm_params_int(p, "keep"),
	};
	uint64_t n = y.live * sm_run_threads(run);
	int err;

	if (y.backend == SM_WL_GC) {
		y.node = sm_type_prefix(sm_run_gc(run), y.size, 1);
		y.table = sm_type_pointers(sm_run_gc(run), n);
		if (y.node == NULL || y.table == NULL)
			return sm_run_fail(run, -ENOMEM, "out of memory for a type");
	}
	SM_FOR_BACKEND(y.backend, build, sm_run_thread(run), &y, n);
	err = sm_run_parallel_timed(run, sm_run_threads(run), thread_main, &y);
	if (err == 0)
		err = check_all(run, &y, n);
	if (err == 0)
		sm_run_ops(run, y.ops * sm_run_threads(run));
	free_all(&y, n);
	return err;
}

static const struct sm_param_desc params[] = {
	{.name = "size",
	 .def = 64,
	 .min = 16,
	 .max = 1 << 20,
	 .quick = 64,
	 .unit = "bytes",
	 .help = "of a node"},
	{.name = "live",
	 .def = 400000,
	 .min = 1,
	 .max = 100000000,
	 .quick = 20000,
	 .simulated = 2000,
	 .unit = "lists",
	 .help = "of each thread that stay"},
	{.name = "burst",
	 .def = 8,
	 .min = 1,
	 .max = 1000000,
	 .quick = 8,
	 .unit = "nodes",
	 .help = "of a list"},
	{.name = "ops",
	 .def = 4000000,
	 .min = 1,
	 .max = 1000000000000,
	 .quick = 200000,
	 .simulated = 20000,
	 .unit = "lists",
	 .help = "made by each thread"},
	{.name = "keep",
	 .def = 50,
	 .min = 1,
	 .max = 1000000000000,
	 .quick = 50,
	 .unit = "lists",
	 .help = "of which one stays, and another dies old"},
	SM_PARAM_THREADS(1, 1, "each with lists of its own"),
	{0},
};

const struct sm_workload sm__wl_young_garbage = {
	.name = "young-garbage",
	.summary = "much that is alive, and garbage that dies young",
	.op = "list",
	.params = params,
	.backends = SM_WL_EVERY,
	.run = run,
};
