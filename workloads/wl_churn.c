/*
 * wl_churn.c: garbage at full speed.
 *
 * Each thread replaces entry i mod `live` of its table with a new pointer-free object of `size`
 * bytes, `ops` times, and writes the object's first word. With an explicit backend the object that
 * is replaced is freed. Timed: the replacements.
 */
#include <errno.h>

#include "workloads/backend.h"

struct churn {
	enum sm_wl_backend backend;
	size_t size;
	uint64_t ops, live;
	const struct sm_type *table; /* gc: `live` pointers */
};

SM_INLINE void churn(const enum sm_wl_backend b, struct sm_thread *t, const struct churn *c,
		     void **table)
{
	const size_t size = c->size;
	uint64_t entry = 0;

	for (uint64_t i = 0; i < c->ops; i++) {
		uint64_t *p = sm_backend_bytes(b, t, size);

		*p = i;
		sm_backend_free(b, table[entry]);
		sm_backend_store(b, t, &table[entry], p);
		entry = entry + 1 == c->live ? 0 : entry + 1;
	}
}

/* The last object of every entry must still hold the number of the operation that made it. */
static bool intact(const struct churn *c, void *const *table)
{
	for (uint64_t e = 0; e < c->live; e++) {
		const uint64_t *p = sm_load(&table[e]);
		uint64_t last = c->ops - 1 - (c->ops - 1 + c->live - e) % c->live;

		if (e < c->ops ? p == NULL || *p != last : p != NULL)
			return false;
	}
	return true;
}

/* All of a thread's work on one backend: 0, or -EIO when a live object was overwritten. */
SM_INLINE int work(const enum sm_wl_backend b, struct sm_thread *t, const struct churn *c)
{
	void **table = sm_backend_table(b, t, c->table, c->live);
	bool ok;

	churn(b, t, c, table);
	ok = intact(c, table);
	if (!sm_backend_collects(b)) {
		for (uint64_t e = 0; e < c->live; e++)
			sm_backend_free(b, table[e]);
		sm_backend_free(b, table);
	}
	return ok ? 0
		  : sm_run_fail(t->run, -EIO, "thread %u: a live object was overwritten", t->index);
}

static int churn_thread(struct sm_thread *t, void *arg)
{
	const struct churn *c = arg;

	return SM_FOR_BACKEND(c->backend, work, t, c);
}

static int run_churn(struct sm_run *run)
{
	const struct sm_params *p = sm_run_params(run);
	struct churn c = {
		.backend = sm_run_backend(run),
		.size = (size_t)sm_params_int(p, "size"),
		.ops = (uint64_t)sm_params_int(p, "ops"),
		.live = (uint64_t)sm_params_int(p, "live"),
	};
	int err;

	if (c.backend == SM_WL_GC) {
		c.table = sm_type_pointers(sm_run_gc(run), c.live);
		if (c.table == NULL)
			return sm_run_fail(run, -ENOMEM, "out of memory for a type");
	}
	err = sm_run_parallel_timed(run, sm_run_threads(run), churn_thread, &c);
	if (err == 0)
		sm_run_ops(run, c.ops * sm_run_threads(run));
	return err;
}

static const struct sm_param_desc params[] = {
	{.name = "size",
	 .def = 64,
	 .min = 8,
	 .max = 1 << 30,
	 .quick = 64,
	 .unit = "bytes",
	 .help = "of an object"},
	{.name = "ops",
	 .def = 50000000,
	 .min = 1,
	 .max = 1000000000000,
	 .quick = 5000000,
	 .simulated = 200000,
	 .unit = "ops",
	 .help = "replacements by each thread"},
	{.name = "live",
	 .def = 256,
	 .min = 1,
	 .max = 100000000,
	 .quick = 256,
	 .unit = "objects",
	 .help = "of each thread at any time"},
	SM_PARAM_THREADS(1, 1, "each with a table of its own"),
	{0},
};

const struct sm_workload sm__wl_churn = {
	.name = "churn",
	.summary = "a small set of live pointer-free objects, replaced at full speed",
	.op = "object",
	.params = params,
	.backends = SM_WL_EVERY,
	.run = run_churn,
};
