/*
 * wl_larson.c: a server's memory (Larson and Krishnan, "Memory Allocation for Long-Running Server
 * Applications", 1998).
 *
 * Each thread has `live` pointer-free objects of min_size to max_size bytes, and replaces one at
 * random `ops` times. Then it ends, and a new thread goes on with the next thread's objects:
 * `generations` of them. So most objects are dropped by another thread than the one that made them,
 * and threads come and go. Timed: the generations.
 *
 * Stresses: freed objects of threads that are gone, thread birth and death, a mix of sizes. Shown
 * by: peak_rss_kib over the live bytes, l2_miss and llc_miss of the role mutator.
 */
#include <errno.h>
#include <stdio.h>

#include "workloads/backend.h"
#include "workloads/requests.h"

struct larson {
	enum sm_wl_backend backend;
	size_t min, max;
	uint64_t ops, live, seed;
	unsigned generation;
	struct sm_table *tables; /* one a thread: `live` pointers */
};

/* The first word says slot and size, the last byte the size again. */
SM_INLINE void *make(const enum sm_wl_backend b, struct sm_thread *t, size_t size, uint64_t slot)
{
	unsigned char *o = sm_backend_bytes(b, t, size);

	*(uint64_t *)(void *)o = slot << 32 | size;
	if (size > 8)
		o[size - 1] = (unsigned char)size;
	return o;
}

static bool intact(const struct larson *l, const void *object, uint64_t slot)
{
	const unsigned char *o = object;
	uint64_t word = *(const uint64_t *)object, size = word & UINT32_MAX;

	return word >> 32 == slot && size >= l->min && size <= l->max &&
	       (size <= 8 || o[size - 1] == (unsigned char)size);
}

/* `n` operations; false: an object was damaged. */
SM_INLINE bool replace(const enum sm_wl_backend b, struct sm_thread *t, const struct larson *l,
		       void **table, struct sm_rng *rng, uint64_t n)
{
	struct sm_rng r = *rng; /* in registers */

	for (uint64_t i = 0; i < n; i++) {
		size_t size = l->min + sm_rng_below(&r, l->max - l->min + 1);
		uint64_t at = sm_rng_below(&r, l->live);
		void *old = sm_load(&table[at]);

		if (old != NULL && !intact(l, old, at))
			return false;
		sm_backend_store(b, t, &table[at], make(b, t, size, at));
		sm_backend_free(b, old);
	}
	*rng = r;
	return true;
}

static int thread_main(struct sm_thread *t, void *arg)
{
	const struct larson *l = arg;
	unsigned threads = sm_run_threads(t->run);
	void **table = l->tables[(t->index + l->generation) % threads].slots;
	struct sm_requests *requests = sm_requests_begin(t);
	struct sm_rng r;

	sm_rng_seed(&r, l->seed, (uint64_t)l->generation * threads + t->index);
	for (uint64_t left = l->ops, n; left > 0; left -= n) {
		n = sm_requests_next(requests, left);
		if (!SM_FOR_BACKEND(l->backend, replace, t, l, table, &r, n))
			return sm_run_fail(t->run, -EIO, "thread %u: a live object was overwritten",
					   t->index);
		sm_requests_done(requests, n, sm_clock_ticks());
	}
	sm_requests_end(t);
	return 0;
}

static int check_sizes(const struct sm_params *p, char *err, size_t errlen)
{
	long long min = sm_params_int(p, "min_size"), max = sm_params_int(p, "max_size");

	if (min <= max)
		return 0;
	snprintf(err, errlen, "min_size=%lld: must be at most max_size, %lld", min, max);
	return -EINVAL;
}

static int run(struct sm_run *run)
{
	const struct sm_params *p = sm_run_params(run);
	unsigned n = sm_run_threads(run), generations = (unsigned)sm_params_int(p, "generations");
	struct larson l = {
		.backend = sm_run_backend(run),
		.min = (size_t)sm_params_int(p, "min_size"),
		.max = (size_t)sm_params_int(p, "max_size"),
		.ops = (uint64_t)sm_params_int(p, "ops"),
		.live = (uint64_t)sm_params_int(p, "live"),
		.seed = sm_rng_next(&sm_run_thread(run)->rng),
	};
	int err = 0;

	l.tables = calloc(n, sizeof(*l.tables));
	if (l.tables == NULL)
		return sm_run_fail(run, -ENOMEM, "out of memory for %u tables", n);
	for (unsigned i = 0; i < n && err == 0; i++)
		err = sm_table_new(sm_run_thread(run), &l.tables[i], l.live);
	if (err == 0)
		err = sm_requests_plan(run, generations, l.ops);
	for (; err == 0 && l.generation < generations; l.generation++)
		err = sm_run_parallel_timed(run, n, thread_main, &l);
	for (unsigned i = 0; i < n; i++)
		sm_table_free(sm_run_thread(run), &l.tables[i]);
	free(l.tables);
	if (err == 0)
		sm_run_ops(run, l.ops * n * generations);
	return err;
}

static const struct sm_param_desc params[] = {
	{.name = "min_size",
	 .def = 16,
	 .min = 8,
	 .max = 1 << 24,
	 .quick = 16,
	 .unit = "bytes",
	 .help = "of the smallest object"},
	{.name = "max_size",
	 .def = 500,
	 .min = 8,
	 .max = 1 << 24,
	 .quick = 500,
	 .unit = "bytes",
	 .help = "of the largest object"},
	{.name = "live",
	 .def = 5000,
	 .min = 1,
	 .max = 100000000,
	 .quick = 1000,
	 .unit = "objects",
	 .help = "of each thread"},
	{.name = "ops",
	 .def = 500000,
	 .min = 1,
	 .max = 1000000000000,
	 .quick = 50000,
	 .unit = "ops",
	 .help = "replacements by each thread in each generation"},
	{.name = "generations",
	 .def = 8,
	 .min = 1,
	 .max = 1000000,
	 .quick = 4,
	 .unit = "generations",
	 .help = "of threads, each of which takes over another's objects"},
	SM_PARAM_THREADS(2, 1, "in a generation; the first stays, the others are new in each"),
	{0},
};

const struct sm_workload sm__wl_larson = {
	.name = "larson",
	.summary = "a server's memory: random sizes, dropped by other threads than made them",
	.op = "object",
	.params = params,
	.backends = SM_WL_EVERY,
	.check = check_sizes,
	.run = run,
};
