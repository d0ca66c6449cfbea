/*
 * wl_finalizers.c: objects that are told of their death.
 *
 * Each thread replaces the oldest of `live` objects, `ops` times. An object has a pointer-free part
 * of `size` bytes; `share` per cent of them have a finalizer, spread evenly. Of those that are
 * finalized, `resurrect` per cent are stored where they live on, `live` of them, until the next
 * takes the place; the others die with their parts. A finalizer notes how long ago its object was
 * dropped. Timed: the replacements. Afterwards all are dropped, collected and waited for.
 *
 * Stresses: setting finalizers, finding those that are due, marking once more what they keep, and
 * the thread that runs them. Shown by: p50_us .. max_us (from drop to finalizer), finalized,
 * the role finalizer.
 */
#include <errno.h>
#include <pthread.h>

#include "workloads/backend.h"
#include "workloads/histogram.h"
#include "workloads/requests.h"

struct object {
	uint64_t *part; /* its first and last word are the number */
	uint64_t number;
	uint64_t dropped; /* ticks; 0: not, or when time is not taken any more */
	uint64_t finalized;
};
#define OBJECT_POINTERS 1

struct finalizers {
	enum sm_wl_backend backend;
	size_t size;
	uint64_t ops, live, share, resurrect;
	const struct sm_type *type; /* gc */
	struct sm_table *tables;    /* of each thread: `live` objects */
	struct sm_table saved;	    /* those that live on */
	_Atomic(uint64_t) set;
	/* Under lock: who runs finalizers is not said. */
	pthread_mutex_t lock;
	bool open;
	uint64_t finalized, resurrected, damaged;
	struct sm_histogram latency; /* ticks */
};

/* One run at a time in a process. A finalizer may run after the run, until the collector is gone:
 * it finds this closed. */
static struct finalizers run_state = {.lock = PTHREAD_MUTEX_INITIALIZER};

static bool intact(const struct finalizers *f, const struct object *o)
{
	return o->part != NULL && o->part[0] == o->number && o->part[f->size / 8 - 1] == o->number;
}

/* ---- on the thread that runs finalizers: gc has one, bdwgc takes any ---------------------- */

/* The slot in which this object lives on, NULL: it does not. */
static void **decide(struct finalizers *f, struct object *o)
{
	void **slot;
	struct object *before;

	if (o->dropped != 0)
		sm_histogram_record(&f->latency, sm_clock_delta(o->dropped, sm_clock_ticks()));
	f->damaged += !intact(f, o) || o->finalized != 0;
	o->finalized = 1;
	if (f->finalized++ * 37 % 100 >= f->resurrect)
		return NULL;
	slot = &f->saved.slots[f->resurrected++ % f->saved.n];
	before = sm_load(slot);
	f->damaged += before != NULL && (!intact(f, before) || before->finalized != 1);
	return slot;
}

static void finalize(void *ctx, struct sm_mutator *m, void *object)
{
	struct finalizers *f = ctx;

	pthread_mutex_lock(&f->lock);
	if (f->open) {
		void **slot = decide(f, object);

		if (slot != NULL && m != NULL)
			sm_store(m, slot, object);
		else if (slot != NULL)
			*slot = object;
	}
	pthread_mutex_unlock(&f->lock);
}

static void finalize_bdwgc(void *object, void *ctx)
{
	finalize(ctx, NULL, object);
}

/* ---- on mutators' threads ----------------------------------------------------------------- */

SM_INLINE int set_finalizer(const enum sm_wl_backend b, struct sm_thread *t, struct finalizers *f,
			    struct object *o)
{
	if (b == SM_WL_GC)
		return sm_finalizer_set(t->m, o, finalize, f, NULL);
	sm_bdwgc.register_finalizer(o, finalize_bdwgc, f, NULL, NULL);
	return 0;
}

static bool has_finalizer(const struct finalizers *f, uint64_t number)
{
	return number * 37 % 100 < f->share;
}

SM_INLINE int put(const enum sm_wl_backend b, struct sm_thread *t, struct finalizers *f,
		  void **slot, uint64_t number)
{
	struct object *o = sm_backend_new(b, t, f->type, sizeof(*o)), *old;
	int err = 0;

	o->number = number;
	sm_backend_store(b, t, (void **)&o->part, sm_backend_bytes(b, t, f->size));
	o->part[0] = o->part[f->size / 8 - 1] = number;
	if (has_finalizer(f, number))
		err = set_finalizer(b, t, f, o);
	old = sm_load(slot);
	if (old != NULL && has_finalizer(f, old->number))
		old->dropped = sm_clock_ticks();
	sm_backend_store(b, t, slot, o);
	return err;
}

SM_INLINE int work(const enum sm_wl_backend b, struct sm_thread *t, struct finalizers *f)
{
	struct sm_table *table = &f->tables[t->index];
	uint64_t set = 0;
	int err = 0;

	for (uint64_t i = 0; i < f->ops; i++) {
		const struct object *old = sm_load(&table->slots[i % f->live]);

		if (old != NULL && (!intact(f, old) || old->number != i - f->live))
			return sm_run_fail(t->run, -EIO,
					   "thread %u: object %llu was lost or overwritten",
					   t->index, (unsigned long long)(i - f->live));
		err = put(b, t, f, &table->slots[i % f->live], i);
		if (err != 0)
			return sm_run_fail(t->run, err, "no finalizer could be set: %s",
					   strerror(-err));
		set += has_finalizer(f, i);
	}
	sm_fetch_add_relaxed(&f->set, set);
	return 0;
}

static int thread_main(struct sm_thread *t, void *arg)
{
	struct finalizers *f = arg;

	return SM_FOR_BACKEND(f->backend, work, t, f);
}

/* ---- the run ------------------------------------------------------------------------------ */

/* What a finalizer finds from now on it leaves alone. */
static void close_to_finalizers(struct finalizers *f)
{
	pthread_mutex_lock(&f->lock);
	f->open = false;
	pthread_mutex_unlock(&f->lock);
}

/* Drops what is held, and has its finalizers run; a second time for what the first left on a stack.
 */
static void drain(struct sm_run *run, struct finalizers *f)
{
	struct sm_thread *t = sm_run_thread(run);

	for (unsigned i = 0; i < sm_run_threads(run); i++)
		for (uint64_t e = 0; e < f->live; e++)
			sm_backend_store(f->backend, t, &f->tables[i].slots[e], NULL);
	for (unsigned i = 0; i < 2; i++) {
		sm_backend_collect(f->backend, t);
		if (f->backend == SM_WL_GC)
			sm_finalizer_wait(sm_run_gc(run), t->m);
	}
	close_to_finalizers(f);
}

/* Those that live on and were not replaced are there. */
static bool saved_are_intact(const struct finalizers *f)
{
	uint64_t n = f->resurrected < f->saved.n ? f->resurrected : f->saved.n;

	for (uint64_t i = 0; i < n; i++) {
		const struct object *o = sm_load(&f->saved.slots[i]);

		if (o == NULL || !intact(f, o) || o->finalized != 1)
			return false;
	}
	return true;
}

static int report(struct sm_run *run, struct finalizers *f)
{
	sm_run_ops(run, f->ops * sm_run_threads(run));
	sm_run_result(run, SM_RESULT_finalizers, (double)sm_load_relaxed(&f->set));
	sm_run_result(run, SM_RESULT_finalized, (double)f->finalized);
	sm_run_result(run, SM_RESULT_resurrected, (double)f->resurrected);
	if (f->latency.count > 0)
		sm_run_latency(run, SM_RESULT_p50_us, &f->latency);
	for (unsigned i = SM_RESULT_p50_us; i <= SM_RESULT_max_us && f->latency.count == 0; i++)
		sm_run_result_none(run, (enum sm_result_id)i,
				   "no object was dropped in the timed part");
	if (f->damaged != 0 || f->finalized > sm_load_relaxed(&f->set))
		return sm_run_fail(run, -EIO,
				   "%llu objects with finalizers were damaged, or finalized twice",
				   (unsigned long long)f->damaged);
	return saved_are_intact(f)
		       ? 0
		       : sm_run_fail(run, -EIO, "an object that lives on was lost or damaged");
}

/* Clears what a run before this one left, but for the lock. */
static void open_state(struct sm_run *run, struct finalizers *f)
{
	const struct sm_params *p = sm_run_params(run);

	f->backend = sm_run_backend(run);
	f->size = (size_t)sm_params_int(p, "size");
	f->ops = (uint64_t)sm_params_int(p, "ops");
	f->live = (uint64_t)sm_params_int(p, "live");
	f->share = (uint64_t)sm_params_int(p, "share");
	f->resurrect = (uint64_t)sm_params_int(p, "resurrect");
	f->set = 0;
	f->finalized = f->resurrected = f->damaged = 0;
	memset(&f->latency, 0, sizeof(f->latency));
}

static int make_tables(struct sm_run *run, struct finalizers *f)
{
	struct sm_thread *t = sm_run_thread(run);
	unsigned threads = sm_run_threads(run);
	int err;

	if (f->backend == SM_WL_GC &&
	    (f->type = sm_type_prefix(sm_run_gc(run), sizeof(struct object), OBJECT_POINTERS)) ==
		    NULL)
		return sm_run_fail(run, -ENOMEM, "out of memory for a type");
	f->tables = calloc(threads, sizeof(*f->tables));
	if (f->tables == NULL)
		return sm_run_fail(run, -ENOMEM, "out of memory for the tables");
	err = sm_table_new(t, &f->saved, f->live);
	for (unsigned i = 0; i < threads && err == 0; i++)
		err = sm_table_new(t, &f->tables[i], f->live);
	f->open = err == 0;
	return err;
}

static void close_state(struct sm_run *run, struct finalizers *f)
{
	struct sm_thread *t = sm_run_thread(run);

	close_to_finalizers(f);
	for (unsigned i = 0; f->tables != NULL && i < sm_run_threads(run); i++)
		sm_table_free(t, &f->tables[i]);
	sm_table_free(t, &f->saved);
	free(f->tables);
	f->tables = NULL;
}

static int run(struct sm_run *run)
{
	struct finalizers *f = &run_state;
	int err;

	open_state(run, f);
	err = make_tables(run, f);
	if (err == 0)
		err = sm_run_parallel_timed(run, sm_run_threads(run), thread_main, f);
	if (err == 0) {
		drain(run, f);
		err = report(run, f);
	}
	close_state(run, f);
	return err;
}

static const struct sm_param_desc params[] = {
	{.name = "size",
	 .def = 64,
	 .min = 8,
	 .max = 1 << 24,
	 .quick = 64,
	 .unit = "bytes",
	 .help = "of an object's pointer-free part"},
	{.name = "live",
	 .def = 10000,
	 .min = 1,
	 .max = 100000000,
	 .quick = 1000,
	 .unit = "objects",
	 .help = "of each thread at any time, and of those that live on"},
	{.name = "share",
	 .def = 10,
	 .min = 0,
	 .max = 100,
	 .quick = 10,
	 .unit = "%",
	 .help = "of the objects that have a finalizer"},
	{.name = "resurrect",
	 .def = 10,
	 .min = 0,
	 .max = 100,
	 .quick = 10,
	 .unit = "%",
	 .help = "of the finalizers that keep their object"},
	{.name = "ops",
	 .def = 5000000,
	 .min = 1,
	 .max = 1000000000000,
	 .quick = 300000,
	 .unit = "objects",
	 .help = "made by each thread"},
	SM_PARAM_THREADS(1, 1, "each with objects of its own"),
	{0},
};

const struct sm_workload sm__wl_finalizers = {
	.name = "finalizers",
	.summary = "objects with finalizers, some of which keep them: time from death to finalizer",
	.op = "object",
	.params = params,
	.backends = 1u << SM_WL_GC | 1u << SM_WL_BDWGC,
	.run = run,
};
