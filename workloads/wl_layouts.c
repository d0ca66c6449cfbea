/*
 * wl_layouts.c: objects of many types.
 *
 * There are `types` layouts, no two of them equal. Layout k has 14 + k % 16 words: the object's
 * number, and 13 words of which bit by bit (k / 16 + 1) * 0x9e5 says which are pointers; all others
 * hold the number, too. In each of `rounds` every thread makes `objects` of each type, of all types
 * in turn, in place of those of the round before. An object's first pointer leads to the one made
 * before it, the others to any of these, at random; so the last leads to all, and a collector is
 * shown it alone. Then that collects, and the thread visits each and follows its pointers. Timed:
 * the rounds. Types are made before.
 *
 * Stresses: what a collector keeps for each type (descriptors, windows, spans that hold one type or
 * several), and marking by bitmaps. Shown by: bytes_per_object against requested_per_object,
 * mark_objects_per_s, l1d_miss of the roles mutator and mark, over few and many types.
 */
#include <errno.h>

#include "workloads/backend.h"
#include "workloads/resident.h"

#define LEAST_WORDS 14
#define SIZES	    16
#define BITS	    13 /* words behind the number that may be pointers: 2^13 * 16 layouts */

struct layouts {
	enum sm_wl_backend backend;
	uint64_t ntypes, n; /* n: objects of a thread */
	unsigned round;
	const struct sm_type **types; /* gc */
	struct sm_table *tables;      /* of each thread: n */
	_Atomic(uint64_t) followed;
};

static size_t words_of(uint64_t type)
{
	return LEAST_WORDS + type % SIZES;
}

/* Bit i: word i is a pointer. An odd factor: each number has a pattern of its own. */
static uint64_t pointers_of(uint64_t type)
{
	return ((type / SIZES + 1) * 0x9e5 & ((1u << BITS) - 1)) << 1;
}

/* To which object word `word` of object i leads: 0..i. */
SM_INLINE uint64_t target_of(const struct layouts *l, uint64_t i, uint64_t pointers, unsigned word)
{
	uint64_t h = (i << 8 | word) * 0x9e3779b97f4a7c15u + l->round;

	if ((pointers & ((1u << word) - 1)) == 0)
		return i > 0 ? i - 1 : 0;
	return (h >> 32) * (i + 1) >> 32;
}

SM_INLINE void make(const enum sm_wl_backend b, struct sm_thread *t, const struct layouts *l,
		    void **slots, uint64_t i)
{
	uint64_t type = i % l->ntypes, pointers = pointers_of(type);
	size_t words = words_of(type);
	void *old = sm_load(&slots[i]);
	uint64_t *o = sm_backend_new(b, t, b == SM_WL_GC ? l->types[type] : NULL, words * 8);

	o[0] = i;
	sm_backend_store(b, t, &slots[i], o);
	for (unsigned w = 1; w < words; w++) {
		if (pointers >> w & 1)
			sm_backend_store(b, t, (void **)&o[w], slots[target_of(l, i, pointers, w)]);
		else
			o[w] = i;
	}
	sm_backend_free(b, old);
}

SM_INLINE int build(const enum sm_wl_backend b, struct sm_thread *t, struct layouts *l)
{
	void **slots = l->tables[t->index].slots;

	if (sm_backend_collects(b))
		sm_backend_store(b, t, &slots[l->n - 1], NULL);
	for (uint64_t i = 0; i < l->n; i++)
		make(b, t, l, slots, i);
	for (uint64_t i = 0; sm_backend_collects(b) && i < l->n - 1; i++)
		sm_backend_store(b, t, &slots[i], NULL);
	return 0;
}

static int build_thread(struct sm_thread *t, void *arg)
{
	struct layouts *l = arg;

	return SM_FOR_BACKEND(l->backend, build, t, l);
}

/* Counts the pointers of object i; 0 when something is wrong. */
static unsigned follow(const struct layouts *l, const uint64_t *o, uint64_t i)
{
	uint64_t pointers = pointers_of(i % l->ntypes);
	unsigned followed = 0;

	for (unsigned w = 0; w < words_of(i % l->ntypes); w++) {
		const uint64_t *to = pointers >> w & 1 ? sm_load((void *const *)&o[w]) : NULL;

		if (to == NULL ? o[w] != i : to[0] != target_of(l, i, pointers, w))
			return 0;
		followed += to != NULL;
	}
	return followed;
}

/* From the last object to the first. */
static int visit_thread(struct sm_thread *t, void *arg)
{
	struct layouts *l = arg;
	const uint64_t *o = sm_load(&l->tables[t->index].slots[l->n - 1]);
	uint64_t sum = 0;

	for (uint64_t i = l->n; i-- > 0;) {
		unsigned followed = follow(l, o, i);

		if (followed == 0)
			return sm_run_fail(t->run, -EIO,
					   "thread %u: object %llu was lost or overwritten",
					   t->index, (unsigned long long)i);
		sum += followed;
		o = sm_load((void *const *)&o[__builtin_ctzll(pointers_of(i % l->ntypes))]);
	}
	sm_fetch_add_relaxed(&l->followed, sum);
	return 0;
}

/* All objects are marked, on gc by what their types say. */
static int collect(struct sm_run *run, const struct layouts *l)
{
	struct sm_gc_stats stats;
	uint64_t n = l->n * sm_run_threads(run);

	if (!sm_backend_collects(l->backend))
		return 0;
	sm_run_timed_begin(run);
	sm_backend_collect(l->backend, sm_run_thread(run));
	sm_run_timed_end(run);
	if (l->backend != SM_WL_GC)
		return 0;
	sm_gc_stats(sm_run_gc(run), &stats);
	return stats.last_marked_objects >= n
		       ? 0
		       : sm_run_fail(run, -EIO, "%llu of %llu objects were marked",
				     (unsigned long long)stats.last_marked_objects,
				     (unsigned long long)n);
}

/* ---- set-up and report -------------------------------------------------------------------- */

static int make_types(struct sm_run *run, struct layouts *l)
{
	for (uint64_t k = 0; k < l->ntypes && l->backend == SM_WL_GC; k++) {
		uint64_t bits = pointers_of(k);

		l->types[k] = sm_type_bitmap(sm_run_gc(run), words_of(k) * 8, &bits);
		if (l->types[k] == NULL)
			return sm_run_fail(run, -ENOMEM, "out of memory for a type");
	}
	return 0;
}

/* The tables' memory is there, so that what becomes resident is the objects'. */
static void touch(struct sm_thread *t, struct sm_table *table)
{
	for (uint64_t i = 0; i < table->n; i++)
		sm_backend_store(sm_run_backend(t->run), t, &table->slots[i], NULL);
}

static void report_memory(struct sm_run *run, const struct layouts *l, struct sm_resident *r)
{
	double n = (double)l->n * sm_run_threads(run);
	uint64_t grown = sm_resident_read(r), bytes = 0;

	for (uint64_t k = 0; k < l->ntypes; k++)
		bytes += words_of(k) * 8;
	sm_run_result(run, SM_RESULT_requested_per_object, (double)bytes / (double)l->ntypes);
	if (r->err == 0)
		sm_run_result(run, SM_RESULT_bytes_per_object, (double)grown / n);
	else
		sm_run_result_none(run, SM_RESULT_bytes_per_object,
				   "/proc/self/smaps_rollup cannot be read");
}

static int run_rounds(struct sm_run *run, struct layouts *l, unsigned rounds)
{
	unsigned threads = sm_run_threads(run);
	struct sm_resident r;
	int err;

	sm_resident_begin(&r);
	err = make_types(run, l);
	for (l->round = 0; err == 0 && l->round < rounds; l->round++) {
		err = sm_run_parallel_timed(run, threads, build_thread, l);
		if (err == 0 && l->round == 0)
			report_memory(run, l, &r);
		if (err == 0)
			err = collect(run, l);
		if (err == 0)
			err = sm_run_parallel_timed(run, threads, visit_thread, l);
	}
	return err;
}

static int run(struct sm_run *run)
{
	const struct sm_params *p = sm_run_params(run);
	unsigned threads = sm_run_threads(run), rounds = (unsigned)sm_params_int(p, "rounds");
	struct layouts l = {
		.backend = sm_run_backend(run),
		.ntypes = (uint64_t)sm_params_int(p, "types"),
	};
	int err = 0;

	l.n = l.ntypes * (uint64_t)sm_params_int(p, "objects");
	l.types = calloc(l.ntypes, sizeof(struct sm_type *));
	l.tables = calloc(threads, sizeof(*l.tables));
	if (l.types == NULL || l.tables == NULL)
		err = sm_run_fail(run, -ENOMEM, "out of memory for the tables");
	for (unsigned i = 0; i < threads && err == 0; i++) {
		err = sm_table_new(sm_run_thread(run), &l.tables[i], l.n);
		if (err == 0)
			touch(sm_run_thread(run), &l.tables[i]);
	}
	if (err == 0)
		err = run_rounds(run, &l, rounds);
	for (unsigned i = 0; l.tables != NULL && i < threads; i++)
		sm_table_free(sm_run_thread(run), &l.tables[i]);
	free(l.tables);
	free(l.types);
	sm_run_ops(run, 2 * l.n * threads * rounds);
	sm_run_result(run, SM_RESULT_followed, (double)sm_load_relaxed(&l.followed));
	return err;
}

static const struct sm_param_desc params[] = {
	{.name = "types",
	 .def = 10000,
	 .min = 1,
	 .max = 100000,
	 .quick = 1000,
	 .unit = "types",
	 .help = "layouts, all different"},
	{.name = "objects",
	 .def = 100,
	 .min = 1,
	 .max = 40000,
	 .quick = 20,
	 .unit = "objects",
	 .help = "of each type and thread that are alive"},
	{.name = "rounds",
	 .def = 2,
	 .min = 1,
	 .max = 1000000,
	 .quick = 2,
	 .unit = "rounds",
	 .help = "in each of which all objects are made, visited, and collected"},
	SM_PARAM_THREADS(1, 1, "each with objects of its own"),
	{0},
};

const struct sm_workload sm__wl_layouts = {
	.name = "layouts",
	.summary = "objects of thousands of types: made, followed, marked",
	.op = "object",
	.params = params,
	.backends = SM_WL_EVERY,
	.run = run,
};
