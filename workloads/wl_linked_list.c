/*
 * wl_linked_list.c: one long list.
 *
 * `objects` nodes of `size` bytes, each of which leads to the next; then `rounds` times: a full
 * collection (gc), and a walk from the first to the last. Timed: all of it, and dropping the list.
 *
 * Stresses: marking without breadth, in which each object must be read before the next is known, so
 * that no prefetch and no second worker helps; the mark stack's depth. Shown by: mark_objects_per_s
 * and llc_miss of the role mark.
 */
#include <errno.h>

#include "workloads/backend.h"

struct node {
	struct node *next;
	/* and its number, in the last word */
};

struct list {
	const struct sm_type *type; /* gc */
	size_t size;
	uint64_t objects, rounds;
};

SM_INLINE uint64_t *number_of(const struct list *l, struct node *n)
{
	return (uint64_t *)(void *)((char *)n + l->size - sizeof(uint64_t));
}

/* From the last to the first, so that a node is stored into the one that is made after it. */
SM_INLINE struct node *build(const enum sm_wl_backend b, struct sm_thread *t, const struct list *l)
{
	struct node *first = NULL;

	for (uint64_t i = l->objects; i-- > 0;) {
		struct node *n = sm_backend_new(b, t, l->type, l->size);

		*number_of(l, n) = i;
		sm_backend_store(b, t, (void **)&n->next, first);
		first = n;
	}
	return first;
}

static bool intact(const struct list *l, struct node *n)
{
	for (uint64_t i = 0; i < l->objects; i++, n = n->next)
		if (n == NULL || *number_of(l, n) != i)
			return false;
	return n == NULL;
}

SM_INLINE void drop(const enum sm_wl_backend b, struct node *n)
{
	while (!sm_backend_collects(b) && n != NULL) {
		struct node *next = n->next;

		sm_backend_free(b, n);
		n = next;
	}
}

SM_INLINE int work(const enum sm_wl_backend b, struct sm_thread *t, const struct list *l)
{
	struct node *volatile first = build(b, t, l);

	for (uint64_t i = 0; i < l->rounds; i++) {
		sm_backend_collect(b, t);
		if (!intact(l, first))
			return sm_run_fail(t->run, -EIO, "a node of the list is lost or damaged");
	}
	drop(b, first);
	return 0;
}

static int run(struct sm_run *run)
{
	const struct sm_params *p = sm_run_params(run);
	struct sm_thread *t = sm_run_thread(run);
	struct list l = {
		.size = (size_t)sm_params_int(p, "size") / 8 * 8,
		.objects = (uint64_t)sm_params_int(p, "objects"),
		.rounds = (uint64_t)sm_params_int(p, "rounds"),
	};
	int err;

	if (sm_run_gc(run) != NULL && (l.type = sm_type_prefix(sm_run_gc(run), l.size, 1)) == NULL)
		return sm_run_fail(run, -ENOMEM, "out of memory for a type");
	sm_run_timed_begin(run);
	err = SM_FOR_BACKEND(sm_run_backend(run), work, t, &l);
	sm_run_timed_end(run);
	if (err == 0)
		sm_run_ops(run, l.objects * (1 + l.rounds));
	return err;
}

static const struct sm_param_desc params[] = {
	{.name = "objects",
	 .def = 5000000,
	 .min = 1,
	 .max = 1000000000,
	 .quick = 100000,
	 .simulated = 20000,
	 .unit = "nodes",
	 .help = "of the list"},
	{.name = "size",
	 .def = 32,
	 .min = 16,
	 .max = 1 << 20,
	 .quick = 32,
	 .unit = "bytes",
	 .help = "of a node, in whole words"},
	{.name = "rounds",
	 .def = 3,
	 .min = 0,
	 .max = 1000000,
	 .quick = 2,
	 .unit = "rounds",
	 .help = "of a full collection (gc) and a walk"},
	{0},
};

const struct sm_workload sm__wl_linked_list = {
	.name = "linked-list",
	.summary = "one long list, walked and marked: no breadth, all depth",
	.op = "node",
	.params = params,
	.backends = SM_WL_EVERY,
	.run = run,
};
