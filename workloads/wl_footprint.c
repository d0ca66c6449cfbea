/*
 * wl_footprint.c: a large live set that stays, what an object costs in it, and reading it.
 *
 * `objects` objects of min_size to max_size bytes (whole words, evenly distributed) are made and
 * stay. Each leads to the object made after it and to another, so that both ways lead round through
 * all of them: one in the order of making, one in a random order. Resident memory over objects is
 * what one costs. Then the set is walked `sequential` times on the first way and `random` times on
 * the other; a visit reads where the next object is, so none begins before the last has ended.
 * Timed: the walks.
 *
 * Stresses: headers, rounding up to sizes, and reach of the TLB and the caches. Shown by:
 * bytes_per_object against requested_per_object, random_ns and sequential_ns, dtlb_walk and
 * llc_miss of the role mutator; rss_huge_share says how much of the memory is in huge pages.
 */
#include <errno.h>
#include <stdio.h>
#include <sys/mman.h>

#include "perf/clock.h"
#include "workloads/backend.h"
#include "workloads/resident.h"

#define MAX_WORDS 512

struct object {
	struct object *ways[2];
	uint64_t tag; /* number << 16 | words; in all words behind, too */
};
enum { SEQUENTIAL, RANDOM };

struct footprint {
	enum sm_wl_backend backend;
	uint64_t n, least, most; /* objects; words of an object */
	uint64_t walks[2];
	const struct sm_type *types[MAX_WORDS + 1]; /* gc: by words */
	struct object **all;			    /* while building, outside of any heap */
	uint64_t bytes;				    /* requested */
	uint64_t ns[2];
};

/* The object before it holds it; it gets a way into what is there, for a marker's sake. */
SM_INLINE struct object *make(const enum sm_wl_backend b, struct sm_thread *t,
			      const struct footprint *f, uint64_t i)
{
	uint64_t words = f->least + sm_rng_below(&t->rng, f->most - f->least + 1);
	struct object *o = sm_backend_new(b, t, f->types[words], words * 8);
	uint64_t *word = (uint64_t *)(void *)o;

	for (uint64_t w = 2; w < words; w++)
		word[w] = i << 16 | words;
	sm_backend_store(b, t, (void **)&o->ways[SEQUENTIAL], i > 0 ? f->all[0] : o);
	sm_backend_store(b, t, (void **)&o->ways[RANDOM],
			 i > 0 ? f->all[sm_rng_below(&t->rng, i)] : o);
	return o;
}

/* A random cycle through all objects (Sattolo, 1986), by way of a table of their order. */
SM_INLINE void shuffle(const enum sm_wl_backend b, struct sm_thread *t, struct footprint *f)
{
	for (uint64_t i = f->n - 1; i > 0; i--) {
		uint64_t j = sm_rng_below(&t->rng, i);
		struct object *o = f->all[i];

		f->all[i] = f->all[j];
		f->all[j] = o;
	}
	for (uint64_t i = 0; i < f->n; i++)
		sm_backend_store(b, t, (void **)&f->all[i]->ways[RANDOM],
				 f->all[i + 1 < f->n ? i + 1 : 0]);
}

SM_INLINE struct object *build(const enum sm_wl_backend b, struct sm_thread *t, struct footprint *f)
{
	struct object *volatile first = NULL; /* holds all others */

	for (uint64_t i = 0; i < f->n; i++) {
		struct object *o = make(b, t, f, i);

		f->bytes += (o->tag & UINT16_MAX) * 8;
		f->all[i] = o;
		if (i == 0)
			first = o;
		else
			sm_backend_store(b, t, (void **)&f->all[i - 1]->ways[SEQUENTIAL], o);
	}
	shuffle(b, t, f);
	return first;
}

/* All objects once, each with the number that it got. */
static bool intact(const struct footprint *f, const struct object *first, unsigned way)
{
	const struct object *o = first;
	uint64_t sum = 0;

	for (uint64_t i = 0; i < f->n; i++, o = o->ways[way]) {
		uint64_t words = o->tag & UINT16_MAX, number = o->tag >> 16;

		if (number >= f->n || words < f->least || words > f->most ||
		    ((const uint64_t *)(const void *)o)[words - 1] != o->tag ||
		    (way == SEQUENTIAL && number != i) || (i > 0 && o == first))
			return false;
		sum += number;
	}
	return o == first && sum == (f->n & 1 ? (f->n - 1) / 2 * f->n : f->n / 2 * (f->n - 1));
}

static SM_NOINLINE const struct object *walk(const struct object *o, uint64_t n, unsigned way)
{
	for (uint64_t i = 0; i < n; i++)
		o = o->ways[way];
	return o;
}

static int walk_all(struct sm_thread *t, struct footprint *f, const struct object *first)
{
	const struct object *at = first;

	sm_run_timed_begin(t->run);
	for (unsigned way = SEQUENTIAL; way <= RANDOM; way++) {
		uint64_t begin = sm_clock_ns();

		for (uint64_t i = 0; i < f->walks[way]; i++)
			at = walk(at, f->n, way);
		f->ns[way] = sm_clock_delta(begin, sm_clock_ns());
	}
	sm_run_timed_end(t->run);
	return at == first && intact(f, first, SEQUENTIAL) && intact(f, first, RANDOM)
		       ? 0
		       : sm_run_fail(t->run, -EIO, "an object of the live set is lost or damaged");
}

static void report(struct sm_run *run, const struct footprint *f, struct sm_resident *r)
{
	static const enum sm_result_id visit[] = {SM_RESULT_sequential_ns, SM_RESULT_random_ns};
	uint64_t grown;

	sm_resident_step(run, r, 0, f->bytes);
	grown = sm_resident_read(r);
	if (r->err == 0)
		sm_run_result(run, SM_RESULT_bytes_per_object, (double)grown / (double)f->n);
	else
		sm_run_result_none(run, SM_RESULT_bytes_per_object,
				   "/proc/self/smaps_rollup cannot be read");
	sm_run_result(run, SM_RESULT_requested_per_object, (double)f->bytes / (double)f->n);
	for (unsigned way = SEQUENTIAL; way <= RANDOM; way++)
		if (f->walks[way] > 0)
			sm_run_result(run, visit[way],
				      (double)f->ns[way] / (double)(f->n * f->walks[way]));
		else
			sm_run_result_none(run, visit[way], "no walk asked for");
	sm_run_ops(run, f->n * (f->walks[SEQUENTIAL] + f->walks[RANDOM]));
}

SM_INLINE int work(const enum sm_wl_backend b, struct sm_thread *t, struct footprint *f)
{
	size_t room = f->n * sizeof(*f->all);
	struct sm_resident resident;
	struct object *volatile first;
	int err = 0;

	sm_resident_begin(&resident);
	f->all = mmap(NULL, room, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (f->all == MAP_FAILED)
		return sm_run_fail(t->run, -ENOMEM, "out of memory for the order of the objects");
	/* `first` keeps the objects; where they move, the table follows as a root alone. */
	if (b == SM_WL_GC && sm_run_moves(t->run))
		err = sm_root_add(sm_run_gc(t->run), f->all, f->n);
	if (err != 0)
		return sm_run_fail(t->run, err, "no root: %s", strerror(-err));
	first = build(b, t, f);
	if (b == SM_WL_GC && sm_run_moves(t->run))
		(void)sm_root_remove(sm_run_gc(t->run), f->all);
	munmap(f->all, room);
	sm_backend_collect(b, t);
	err = walk_all(t, f, first);
	if (err == 0)
		report(t->run, f, &resident);
	for (uint64_t i = 0; err == 0 && !sm_backend_collects(b) && i < f->n; i++) {
		struct object *next = first->ways[SEQUENTIAL];

		sm_backend_free(b, first);
		first = next;
	}
	return err;
}

static int check(const struct sm_params *p, char *err, size_t errlen)
{
	long long least = sm_params_int(p, "min_size"), most = sm_params_int(p, "max_size");

	if (least > most) {
		snprintf(err, errlen, "min_size=%lld: must be at most max_size, %lld", least, most);
		return -EINVAL;
	}
	if (sm_params_int(p, "sequential") == 0 && sm_params_int(p, "random") == 0) {
		snprintf(err, errlen, "random=0: must be at least 1 with sequential=0");
		return -EINVAL;
	}
	return 0;
}

static int run(struct sm_run *run)
{
	const struct sm_params *p = sm_run_params(run);
	struct footprint f = {
		.backend = sm_run_backend(run),
		.n = (uint64_t)sm_params_int(p, "objects"),
		.least = (uint64_t)sm_params_int(p, "min_size") / 8,
		.most = (uint64_t)sm_params_int(p, "max_size") / 8,
		.walks = {(uint64_t)sm_params_int(p, "sequential"),
			  (uint64_t)sm_params_int(p, "random")},
	};

	for (uint64_t w = f.least; f.backend == SM_WL_GC && w <= f.most; w++) {
		f.types[w] = sm_type_prefix(sm_run_gc(run), w * 8, 2);
		if (f.types[w] == NULL)
			return sm_run_fail(run, -ENOMEM, "out of memory for a type");
	}
	return SM_FOR_BACKEND(f.backend, work, sm_run_thread(run), &f);
}

static const struct sm_param_desc params[] = {
	{.name = "objects",
	 .def = 2000000,
	 .min = 1,
	 .max = 4000000000,
	 .quick = 50000,
	 .unit = "objects",
	 .help = "that are made and stay"},
	{.name = "min_size",
	 .def = 24,
	 .min = 24,
	 .max = MAX_WORDS * 8,
	 .quick = 24,
	 .unit = "bytes",
	 .help = "of the smallest object, in whole words"},
	{.name = "max_size",
	 .def = 256,
	 .min = 24,
	 .max = MAX_WORDS * 8,
	 .quick = 256,
	 .unit = "bytes",
	 .help = "of the largest object"},
	{.name = "sequential",
	 .def = 2,
	 .min = 0,
	 .max = 1000000,
	 .quick = 2,
	 .unit = "walks",
	 .help = "over all objects in the order of making"},
	{.name = "random",
	 .def = 2,
	 .min = 0,
	 .max = 1000000,
	 .quick = 2,
	 .unit = "walks",
	 .help = "over all objects in a random order"},
	{0},
};

const struct sm_workload sm__wl_footprint = {
	.name = "footprint",
	.summary = "a large live set that stays: what an object costs, and reading it",
	.op = "visit",
	.params = params,
	.backends = SM_WL_EVERY,
	.check = check,
	.run = run,
};
