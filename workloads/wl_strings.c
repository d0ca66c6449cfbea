/*
 * wl_strings.c: tiny objects.
 *
 * Each thread has a table of `live` strings of 1 to `longest` bytes. Each of `ops` chooses two of
 * them at random and makes a new one, as long as their halves together (where that is too long, and
 * one in eight times, of any length), which replaces a third. A string is its bytes and a final 0,
 * pointer-free.
 *
 * Stresses: the classes below 64 B, with sizes that the program cannot know beforehand. Shown by:
 * cycles of the role mutator, peak_rss_kib over the live bytes.
 */
#include <errno.h>

#include "workloads/backend.h"

struct strings {
	enum sm_wl_backend backend;
	uint64_t ops, live, longest;
	const struct sm_type *table; /* gc: `live` pointers */
};

/* All characters of a string are the same. */
static bool intact(const char *s, size_t length)
{
	return length > 0 && s[0] == s[length - 1] && s[0] >= 'a' && s[0] <= 'z';
}

/* A string of `length` times the character. */
SM_INLINE char *make(const enum sm_wl_backend b, struct sm_thread *t, size_t length, char of)
{
	char *s = sm_backend_bytes(b, t, length + 1);

	memset(s, of, length);
	s[length] = '\0';
	return s;
}

SM_INLINE int work(const enum sm_wl_backend b, struct sm_thread *t, const struct strings *w)
{
	void **table = sm_backend_table(b, t, w->table, w->live);

	for (uint64_t e = 0; e < w->live; e++)
		sm_backend_store(
			b, t, &table[e],
			make(b, t, 1 + sm_rng_below(&t->rng, w->longest), (char)('a' + e % 26)));
	for (uint64_t i = 0; i < w->ops; i++) {
		const char *one = sm_load(&table[sm_rng_below(&t->rng, w->live)]),
			   *two = sm_load(&table[sm_rng_below(&t->rng, w->live)]);
		void **slot = &table[sm_rng_below(&t->rng, w->live)];
		size_t n = strlen(one), m = strlen(two), length = n / 2 + m / 2 + 1;
		void *old = sm_load(slot);

		if (!intact(one, n) || !intact(two, m))
			return sm_run_fail(t->run, -EIO, "thread %u: a string was overwritten",
					   t->index);
		/* Joining halves alone would end in strings of one byte. */
		if (length > w->longest || i % 8 == 0)
			length = 1 + sm_rng_below(&t->rng, w->longest);
		sm_backend_store(b, t, slot, make(b, t, length, one[0]));
		sm_backend_free(b, old);
	}
	for (uint64_t e = 0; !sm_backend_collects(b) && e < w->live; e++)
		sm_backend_free(b, table[e]);
	sm_backend_free(b, table);
	return 0;
}

static int thread_main(struct sm_thread *t, void *arg)
{
	const struct strings *w = arg;

	return SM_FOR_BACKEND(w->backend, work, t, w);
}

static int run(struct sm_run *run)
{
	const struct sm_params *p = sm_run_params(run);
	struct strings w = {
		.backend = sm_run_backend(run),
		.ops = (uint64_t)sm_params_int(p, "ops"),
		.live = (uint64_t)sm_params_int(p, "live"),
		.longest = (uint64_t)sm_params_int(p, "longest"),
	};
	int err;

	if (w.backend == SM_WL_GC && (w.table = sm_type_pointers(sm_run_gc(run), w.live)) == NULL)
		return sm_run_fail(run, -ENOMEM, "out of memory for a type");
	err = sm_run_parallel_timed(run, sm_run_threads(run), thread_main, &w);
	if (err == 0)
		sm_run_ops(run, (w.ops + w.live) * sm_run_threads(run));
	return err;
}

static const struct sm_param_desc params[] = {
	{.name = "live",
	 .def = 20000,
	 .min = 1,
	 .max = 100000000,
	 .quick = 2000,
	 .simulated = 2000,
	 .unit = "strings",
	 .help = "of each thread at any time"},
	{.name = "longest",
	 .def = 40,
	 .min = 1,
	 .max = 4096,
	 .quick = 40,
	 .unit = "bytes",
	 .help = "of a string, without the final 0"},
	{.name = "ops",
	 .def = 10000000,
	 .min = 1,
	 .max = 1000000000000,
	 .quick = 500000,
	 .simulated = 50000,
	 .unit = "strings",
	 .help = "joined by each thread"},
	SM_PARAM_THREADS(1, 1, "each with a table of its own"),
	{0},
};

const struct sm_workload sm__wl_strings = {
	.name = "strings",
	.summary = "tiny objects: short strings made of two others",
	.op = "string",
	.params = params,
	.backends = SM_WL_EVERY,
	.run = run,
};
