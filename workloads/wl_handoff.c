/*
 * wl_handoff.c: objects that one thread makes and another drops.
 *
 * Threads 2k and 2k+1 are a pair. The first makes `ops` pointer-free objects of `size` bytes, puts
 * a number into the first and the last word, and hands them over through a ring of `queue` slots;
 * the second checks both words and drops the object. Place the threads (--place) to hand over
 * within a core, an L3, across nodes. Timed: all of it.
 *
 * Stresses: freed objects that go back to another thread's or core's cache (explicit backends), and
 * cache lines that travel. Shown by: llc_miss and remote of the role mutator, by core or node.
 */
#include <errno.h>
#include <sched.h>
#include <stdio.h>

#include "workloads/backend.h"

struct pair {
	/* The producer's: objects put so far. Slots below it are published by its release. */
	_Atomic(uint64_t) put __attribute__((aligned(SM_CACHELINE)));
	/* The consumer's: objects taken so far. Slots below it may be written again. */
	_Atomic(uint64_t) got __attribute__((aligned(SM_CACHELINE)));
	struct sm_table queue;
};

struct handoff {
	enum sm_wl_backend backend;
	size_t size;
	uint64_t ops, queue;
	struct pair *pairs;
};

/* Waits until *counter reaches `least`, as a thread that the collector need not wait for. */
SM_INLINE uint64_t wait_for(const enum sm_wl_backend b, struct sm_thread *t,
			    _Atomic(uint64_t) *counter, uint64_t least)
{
	for (unsigned spins = 0;; spins++) {
		uint64_t now = sm_load_acquire(counter);

		if (now >= least)
			return now;
		if (b == SM_WL_GC)
			sm_safepoint(t->m);
		if (spins % 64 == 63)
			sched_yield();
		else
			sm_cpu_relax();
	}
}

SM_INLINE int produce(const enum sm_wl_backend b, struct sm_thread *t, const struct handoff *h,
		      struct pair *p)
{
	uint64_t got = 0;

	for (uint64_t i = 0; i < h->ops; i++) {
		uint64_t *o = sm_backend_bytes(b, t, h->size);

		o[0] = o[h->size / 8 - 1] = i;
		if (i - got >= h->queue)
			got = wait_for(b, t, &p->got, i - h->queue + 1);
		sm_backend_store(b, t, &p->queue.slots[i % h->queue], o);
		sm_store_release(&p->put, i + 1);
	}
	return 0;
}

SM_INLINE int consume(const enum sm_wl_backend b, struct sm_thread *t, const struct handoff *h,
		      struct pair *p)
{
	uint64_t put = 0;

	for (uint64_t i = 0; i < h->ops; i++) {
		uint64_t *o;

		if (i >= put)
			put = wait_for(b, t, &p->put, i + 1);
		o = sm_load(&p->queue.slots[i % h->queue]);
		if (o == NULL || o[0] != i || o[h->size / 8 - 1] != i)
			return sm_run_fail(t->run, -EIO, "object %llu arrived damaged",
					   (unsigned long long)i);
		sm_backend_store(b, t, &p->queue.slots[i % h->queue], NULL);
		sm_store_release(&p->got, i + 1);
		sm_backend_free(b, o);
	}
	return 0;
}

static int thread_main(struct sm_thread *t, void *arg)
{
	const struct handoff *h = arg;
	struct pair *p = &h->pairs[t->index / 2];

	return t->index % 2 == 0 ? SM_FOR_BACKEND(h->backend, produce, t, h, p)
				 : SM_FOR_BACKEND(h->backend, consume, t, h, p);
}

static int check_pairs(const struct sm_params *p, char *err, size_t errlen)
{
	unsigned threads = sm_params_threads(p);

	if (threads % 2 == 0)
		return 0;
	snprintf(err, errlen, "threads=%u: must be even, threads come in pairs", threads);
	return -EINVAL;
}

static int run(struct sm_run *run)
{
	const struct sm_params *params = sm_run_params(run);
	unsigned threads = sm_run_threads(run);
	struct handoff h = {
		.backend = sm_run_backend(run),
		.size = (size_t)sm_params_int(params, "size"),
		.ops = (uint64_t)sm_params_int(params, "ops"),
		.queue = (uint64_t)sm_params_int(params, "queue"),
	};
	int err = 0;

	h.pairs = aligned_alloc(SM_CACHELINE, threads / 2 * sizeof(*h.pairs));
	if (h.pairs == NULL)
		return sm_run_fail(run, -ENOMEM, "out of memory for %u pairs", threads / 2);
	memset((void *)h.pairs, 0, threads / 2 * sizeof(*h.pairs));
	for (unsigned i = 0; i < threads / 2 && err == 0; i++)
		err = sm_table_new(sm_run_thread(run), &h.pairs[i].queue, h.queue);
	if (err == 0)
		err = sm_run_parallel_timed(run, threads, thread_main, &h);
	for (unsigned i = 0; i < threads / 2; i++)
		sm_table_free(sm_run_thread(run), &h.pairs[i].queue);
	free(h.pairs);
	if (err == 0)
		sm_run_ops(run, h.ops * (threads / 2));
	return err;
}

static const struct sm_param_desc params[] = {
	{.name = "size",
	 .def = 64,
	 .min = 8,
	 .max = 1 << 24,
	 .quick = 64,
	 .unit = "bytes",
	 .help = "of an object"},
	{.name = "ops",
	 .def = 5000000,
	 .min = 1,
	 .max = 1000000000000,
	 .quick = 500000,
	 .simulated = 50000,
	 .unit = "objects",
	 .help = "that each pair hands over"},
	{.name = "queue",
	 .def = 4096,
	 .min = 1,
	 .max = 1 << 24,
	 .quick = 4096,
	 .unit = "objects",
	 .help = "on their way between the threads of a pair, at most"},
	SM_PARAM_THREADS(2, 2, "half of them make objects, half drop them: an even number"),
	{0},
};

const struct sm_workload sm__wl_handoff = {
	.name = "handoff",
	.summary = "objects that one thread makes and another drops",
	.op = "object",
	.params = params,
	.backends = SM_WL_EVERY,
	.check = check_pairs,
	.run = run,
};
