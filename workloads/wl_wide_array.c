/*
 * wl_wide_array.c: arrays of millions of pointers.
 *
 * Each thread has `arrays` arrays of `entries` pointers, every one to a pointer-free object of
 * `size` bytes. Each of `ops` replaces an entry at random, of the first `share` per cent of an
 * array; the others stay. An object says in which entry it stands, and how often that was replaced.
 * Timed: the replacements.
 *
 * Stresses: one object that takes long to mark while its slots are stored to, and lies still for
 * the most part (what a collector that remembers stores need not look at again). Shown by:
 * stall_assist_max_us and mark_objects_per_s, cycles of the role mutator against backend span.
 */
#include <errno.h>

#include "workloads/backend.h"

struct element {
	uint64_t place; /* array * entries + entry */
	uint64_t replaced;
	unsigned char rest[];
};

struct wide {
	enum sm_wl_backend backend;
	size_t size;
	uint64_t ops, entries, arrays, restless; /* the last: entries of an array that change */
	struct sm_table *tables;		 /* `arrays` for each thread */
	_Atomic(uint64_t) replaced;		 /* entries, at least once */
};

SM_INLINE void put(const enum sm_wl_backend b, struct sm_thread *t, const struct wide *w,
		   void **slot, uint64_t place, uint64_t replaced)
{
	struct element *e = sm_backend_bytes(b, t, w->size);

	e->place = place;
	e->replaced = replaced;
	sm_backend_store(b, t, slot, e);
}

static int damaged(struct sm_thread *t, uint64_t place)
{
	return sm_run_fail(t->run, -EIO, "thread %u: entry %llu was lost or overwritten", t->index,
			   (unsigned long long)place);
}

static const struct sm_table *tables_of(const struct sm_thread *t, const struct wide *w)
{
	return &w->tables[t->index * w->arrays];
}

SM_INLINE int build(const enum sm_wl_backend b, struct sm_thread *t, const struct wide *w)
{
	for (uint64_t a = 0; a < w->arrays; a++)
		for (uint64_t e = 0; e < w->entries; e++)
			put(b, t, w, &tables_of(t, w)[a].slots[e], a * w->entries + e, 0);
	return 0;
}

SM_INLINE int replace(const enum sm_wl_backend b, struct sm_thread *t, const struct wide *w)
{
	for (uint64_t i = 0; i < w->ops; i++) {
		uint64_t a = sm_rng_below(&t->rng, w->arrays),
			 e = sm_rng_below(&t->rng, w->restless), place = a * w->entries + e;
		void **slot = &tables_of(t, w)[a].slots[e];
		struct element *old = sm_load(slot);

		if (old->place != place)
			return damaged(t, place);
		put(b, t, w, slot, place, old->replaced + 1);
		sm_backend_free(b, old);
	}
	return 0;
}

/* Every entry is in its place, and the replacements that they tell of are all that were made. */
static int check(struct sm_thread *t, void *arg)
{
	struct wide *w = arg;
	uint64_t replacements = 0, entries = 0;

	for (uint64_t a = 0; a < w->arrays; a++)
		for (uint64_t e = 0; e < w->entries; e++) {
			const struct element *o = sm_load(&tables_of(t, w)[a].slots[e]);

			if (o->place != a * w->entries + e)
				return damaged(t, a * w->entries + e);
			replacements += o->replaced;
			entries += o->replaced > 0;
		}
	sm_fetch_add_relaxed(&w->replaced, entries);
	return replacements == w->ops
		       ? 0
		       : sm_run_fail(t->run, -EIO, "thread %u: %llu of %llu replacements are there",
				     t->index, (unsigned long long)replacements,
				     (unsigned long long)w->ops);
}

static int build_thread(struct sm_thread *t, void *arg)
{
	const struct wide *w = arg;

	return SM_FOR_BACKEND(w->backend, build, t, w);
}

static int replace_thread(struct sm_thread *t, void *arg)
{
	const struct wide *w = arg;

	return SM_FOR_BACKEND(w->backend, replace, t, w);
}

static int run(struct sm_run *run)
{
	const struct sm_params *p = sm_run_params(run);
	unsigned threads = sm_run_threads(run);
	struct wide w = {
		.backend = sm_run_backend(run),
		.size = (size_t)sm_params_int(p, "size"),
		.ops = (uint64_t)sm_params_int(p, "ops"),
		.entries = (uint64_t)sm_params_int(p, "entries"),
		.arrays = (uint64_t)sm_params_int(p, "arrays"),
	};
	uint64_t n = w.arrays * threads;
	int err = 0;

	w.restless = (w.entries * (uint64_t)sm_params_int(p, "share") + 99) / 100;
	w.tables = calloc(n, sizeof(*w.tables));
	if (w.tables == NULL)
		return sm_run_fail(run, -ENOMEM, "out of memory for %llu arrays",
				   (unsigned long long)n);
	for (uint64_t i = 0; i < n && err == 0; i++)
		err = sm_table_new(sm_run_thread(run), &w.tables[i], w.entries);
	if (err == 0)
		err = sm_run_parallel(run, threads, build_thread, &w);
	if (err == 0)
		err = sm_run_parallel_timed(run, threads, replace_thread, &w);
	if (err == 0)
		err = sm_run_parallel(run, threads, check, &w);
	for (uint64_t i = 0; i < n; i++)
		sm_table_free(sm_run_thread(run), &w.tables[i]);
	free(w.tables);
	sm_run_ops(run, w.ops * threads);
	sm_run_result(run, SM_RESULT_replaced, (double)sm_load_relaxed(&w.replaced));
	return err;
}

static const struct sm_param_desc params[] = {
	{.name = "entries",
	 .def = 2000000,
	 .min = 1,
	 .max = 500000000,
	 .quick = 100000,
	 .unit = "pointers",
	 .help = "of an array"},
	{.name = "arrays",
	 .def = 2,
	 .min = 1,
	 .max = 1000,
	 .quick = 2,
	 .unit = "arrays",
	 .help = "of each thread"},
	{.name = "share",
	 .def = 10,
	 .min = 1,
	 .max = 100,
	 .quick = 10,
	 .unit = "%",
	 .help = "of each array's entries, the first ones, are replaced; the others stay"},
	{.name = "size",
	 .def = 32,
	 .min = 16,
	 .max = 1 << 24,
	 .quick = 32,
	 .unit = "bytes",
	 .help = "of the object that an entry leads to"},
	{.name = "ops",
	 .def = 10000000,
	 .min = 1,
	 .max = 1000000000000,
	 .quick = 500000,
	 .unit = "objects",
	 .help = "replacements by each thread"},
	SM_PARAM_THREADS(1, 1, "each with arrays of its own"),
	{0},
};

const struct sm_workload sm__wl_wide_array = {
	.name = "wide-array",
	.summary = "arrays of millions of pointers whose entries are replaced",
	.op = "replacement",
	.params = params,
	.backends = SM_WL_EVERY,
	.run = run,
};
