/*
 * wl_fragment.c: a sawtooth of sizes and layouts, and what memory is left in holes.
 *
 * `steps` steps. An odd one grows: objects are made until `live` bytes are held. An even one drops
 * each object with a probability of `drop` per cent, alone. Successive growths use other sizes: 16
 * to 64, 64 to 256, 256 to 1024, 1024 to 4096 B, then 16 to 64 again, seven sizes each, and four
 * layouts of pointers. So what survives a drop stands in the way of the sizes that come next.
 * Behind each step memory is let settle (a full collection on gc, `settle` ms) and resident memory
 * is set against the bytes held. Timed: growing and dropping.
 *
 * Stresses: memory of one size or layout that another cannot use, and pages that few objects hold.
 * Shown by: rss_over_live of each step (rss_over_live_1 ..), of the last, the worst.
 */
#include <errno.h>

#include "workloads/backend.h"
#include "workloads/resident.h"

enum { BANDS = 4, SIZES = 7, LAYOUTS = 4 };

struct fragment {
	enum sm_wl_backend backend;
	uint64_t target, drop, steps, settle;
	const struct sm_type *types[BANDS][SIZES][LAYOUTS]; /* gc */
	struct sm_table table;
	struct sm_resident resident;
	uint64_t n, live, made; /* objects and bytes held; objects made so far */
};

static size_t size_of(unsigned band, unsigned size)
{
	size_t least = (size_t)16 << 2 * band;

	return least + size * least / 2;
}

/* Pointers of a layout: none, the first word, every second word, the first and the last. The second
 * word of an object never is one. */
SM_INLINE bool is_pointer(unsigned layout, size_t word, size_t words)
{
	switch (layout) {
	case 1: return word == 0;
	case 2: return word % 2 == 0;
	case 3: return word == 0 || (word > 1 && word == words - 1);
	default: return false;
	}
}

static int make_types(struct sm_run *run, struct fragment *f)
{
	for (unsigned b = 0; b < BANDS; b++)
		for (unsigned s = 0; s < SIZES; s++)
			for (unsigned l = 0; l < LAYOUTS; l++) {
				size_t words = size_of(b, s) / 8;
				uint64_t bits[8] = {0}; /* 512 words, the largest object's */

				for (size_t w = 0; w < words; w++)
					if (is_pointer(l, w, words))
						bits[w / 64] |= (uint64_t)1 << w % 64;
				f->types[b][s][l] = sm_type_bitmap(sm_run_gc(run), words * 8, bits);
				if (f->types[b][s][l] == NULL)
					return sm_run_fail(run, -ENOMEM, "out of memory for types");
			}
	return 0;
}

/* Pointers lead to the object itself; all other words are its tag: number, size and layout. */
SM_INLINE void *make(const enum sm_wl_backend b, struct sm_thread *t, const struct fragment *f,
		     unsigned band)
{
	unsigned s = (unsigned)sm_rng_below(&t->rng, SIZES),
		 layout = (unsigned)sm_rng_below(&t->rng, LAYOUTS);
	size_t words = size_of(band, s) / 8;
	uint64_t *o = layout == 0 ? sm_backend_bytes(b, t, words * 8)
				  : sm_backend_new(b, t, f->types[band][s][layout], words * 8);
	uint64_t tag = f->made << 16 | words << 2 | layout;

	for (size_t w = 0; w < words; w++)
		if (is_pointer(layout, w, words))
			sm_backend_store(b, t, (void **)&o[w], o);
		else
			o[w] = tag;
	return o;
}

SM_INLINE size_t bytes_of(const uint64_t *object)
{
	return (object[1] & UINT16_MAX) >> 2 << 3;
}

/* *last: the number of the object before it in the table, in which they stand by age. */
static bool intact(const uint64_t *o, int64_t *last)
{
	uint64_t tag = o[1], words = bytes_of(o) / 8;
	unsigned layout = tag & 3;
	int64_t number = (int64_t)(tag >> 16), before = *last;

	*last = number;
	return number > before && words >= 2 && words <= 512 &&
	       o[0] == (layout != 0 ? (uint64_t)(uintptr_t)o : tag) &&
	       o[words - 1] ==
		       (is_pointer(layout, words - 1, words) ? (uint64_t)(uintptr_t)o : tag);
}

SM_INLINE void grow(const enum sm_wl_backend b, struct sm_thread *t, struct fragment *f,
		    unsigned band)
{
	while (f->live < f->target && f->n < f->table.n) {
		uint64_t *o = make(b, t, f, band);

		f->live += bytes_of(o);
		f->made++;
		sm_backend_store(b, t, &f->table.slots[f->n++], o);
	}
}

/* What stays moves together. False when an object was damaged. */
SM_INLINE bool drop(const enum sm_wl_backend b, struct sm_thread *t, struct fragment *f)
{
	void **slots = f->table.slots;
	uint64_t kept = 0;
	int64_t last = -1;

	for (uint64_t i = 0; i < f->n; i++) {
		uint64_t *o = slots[i];

		if (!intact(o, &last))
			return false;
		sm_backend_store(b, t, &slots[i], NULL);
		if (sm_rng_below(&t->rng, 100) < f->drop) {
			f->live -= bytes_of(o);
			sm_backend_free(b, o);
		} else {
			sm_backend_store(b, t, &slots[kept++], o);
		}
	}
	f->n = kept;
	return true;
}

SM_INLINE int work(const enum sm_wl_backend b, struct sm_thread *t, struct fragment *f)
{
	/* The table is resident before anything is measured, and no object of it. */
	for (uint64_t i = 0; i < f->table.n; i += 512)
		sm_backend_store(b, t, &f->table.slots[i], NULL);
	sm_resident_begin(&f->resident);
	for (unsigned step = 1; step <= f->steps; step++) {
		bool sound = true;

		sm_run_timed_begin(t->run);
		if (step % 2 == 1)
			grow(b, t, f, step / 2 % BANDS);
		else
			sound = drop(b, t, f);
		sm_run_timed_end(t->run);
		if (!sound)
			return sm_run_fail(t->run, -EIO, "step %u: a live object was overwritten",
					   step);
		sm_backend_collect(b, t);
		sm_run_sleep(t, f->settle * 1000000);
		sm_resident_step(t->run, &f->resident, step, f->live);
	}
	return 0;
}

static int run(struct sm_run *run)
{
	const struct sm_params *p = sm_run_params(run);
	struct sm_thread *t = sm_run_thread(run);
	struct fragment f = {
		.backend = sm_run_backend(run),
		.target = (uint64_t)sm_params_int(p, "live"),
		.drop = (uint64_t)sm_params_int(p, "drop"),
		.steps = (uint64_t)sm_params_int(p, "steps"),
		.settle = (uint64_t)sm_params_int(p, "settle"),
	};
	int err = f.backend == SM_WL_GC ? make_types(run, &f) : 0;

	/* The smallest objects are 40 B on average; of few, all may be of 16. */
	if (err == 0)
		err = sm_table_new(t, &f.table, f.target / 32 + 4096);
	if (err == 0)
		err = SM_FOR_BACKEND(f.backend, work, t, &f);
	sm_table_free(t, &f.table);
	if (err == 0)
		sm_run_ops(run, f.made);
	return err;
}

static const struct sm_param_desc params[] = {
	{.name = "live",
	 .def = 128 << 20,
	 .min = 1024,
	 .max = (int64_t)1 << 40,
	 .quick = 4 << 20,
	 .unit = "bytes",
	 .help = "held when a growth ends"},
	{.name = "drop",
	 .def = 90,
	 .min = 0,
	 .max = 100,
	 .quick = 90,
	 .unit = "%",
	 .help = "of the objects that every second step drops, at random"},
	{.name = "steps",
	 .def = 8,
	 .min = 1,
	 .max = SM_STEPS_MAX,
	 .quick = 8,
	 .unit = "steps",
	 .help = "that grow and drop in turn"},
	{.name = "settle",
	 .def = 200,
	 .min = 0,
	 .max = 3600000,
	 .quick = 0,
	 .unit = "ms",
	 .help = "behind each step before memory is measured"},
	{0},
};

const struct sm_workload sm__wl_fragment = {
	.name = "fragment",
	.summary = "a sawtooth of sizes and layouts: resident memory over live bytes at each step",
	.op = "object",
	.params = params,
	.backends = SM_WL_EVERY,
	.run = run,
};
