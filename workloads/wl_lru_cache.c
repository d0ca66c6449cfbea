/*
 * wl_lru_cache.c: a cache of strings, from which the least recently used entry goes.
 *
 * Each thread has a hash table of at most `live` entries; an entry is a key string, a value of
 * `size` bytes, and its place in a chain and in the order of use. Each of `ops` looks up a key from
 * 4 x `live` of them, the third power of a uniform number, so that few keys are most of the
 * look-ups. A hit moves the entry to the front; a miss drops the last entry and makes a new one.
 *
 * Stresses: objects that die old, which is the bad case of generations; pointers between old and
 * new objects; chains of cache misses. Shown by: llc_miss and tlb of the role mutator, `hit_share`.
 */
#include <errno.h>

#include "workloads/backend.h"

struct entry {
	struct entry *chain, *newer, *older;
	char *key;
	uint64_t *value;
	uint64_t number; /* of the key */
};
#define ENTRY_POINTERS 5

struct cache {
	struct entry *newest, *oldest; /* first, so that gc has one prefix of pointers */
	struct entry **buckets;
	uint64_t n, mask;
};
#define CACHE_POINTERS 3

struct lru {
	enum sm_wl_backend backend;
	size_t size;
	uint64_t ops, live, keys, nbuckets;	       /* the last a power of two */
	const struct sm_type *entry, *cache, *buckets; /* gc */
	_Atomic(uint64_t) hits;
};

/* store(&object->field, value) through the barrier of backend b. */
#define STORE(slot, v) sm_backend_store(b, t, (void **)(slot), (v))

static uint64_t hash_of(uint64_t number)
{
	return sm_splitmix64(&number);
}

SM_INLINE void unlink_use(const enum sm_wl_backend b, struct sm_thread *t, struct cache *c,
			  struct entry *e)
{
	STORE(e->newer ? &e->newer->older : &c->newest, e->older);
	STORE(e->older ? &e->older->newer : &c->oldest, e->newer);
}

SM_INLINE void use(const enum sm_wl_backend b, struct sm_thread *t, struct cache *c,
		   struct entry *e)
{
	STORE(&e->newer, NULL);
	STORE(&e->older, c->newest);
	STORE(c->newest ? &c->newest->newer : &c->oldest, e);
	STORE(&c->newest, e);
}

SM_INLINE void evict(const enum sm_wl_backend b, struct sm_thread *t, struct cache *c)
{
	struct entry *e = c->oldest, **at = &c->buckets[hash_of(e->number) & c->mask];

	while (*at != e)
		at = &(*at)->chain;
	STORE(at, e->chain);
	unlink_use(b, t, c, e);
	c->n--;
	sm_backend_free(b, e->key);
	sm_backend_free(b, e->value);
	sm_backend_free(b, e);
}

/* "user:NUMBER" with its final 0; the bytes of it. By hand: of snprintf would be a third of the
 * instructions of a run on gc. */
static size_t print_key(char text[32], uint64_t number)
{
	char digits[20];
	size_t n = sizeof("user:") - 1, d = 0;

	memcpy(text, "user:", n);
	do
		digits[d++] = (char)('0' + number % 10);
	while ((number /= 10) != 0);
	while (d > 0)
		text[n++] = digits[--d];
	text[n++] = '\0';
	return n;
}

SM_INLINE void insert(const enum sm_wl_backend b, struct sm_thread *t, const struct lru *l,
		      struct cache *c, uint64_t number)
{
	struct entry *e = sm_backend_new(b, t, l->entry, sizeof(*e)),
		     **bucket = &c->buckets[hash_of(number) & c->mask];
	char text[32];
	size_t bytes = print_key(text, number);

	if (!sm_backend_collects(b))
		*e = (struct entry){0};
	e->number = number;
	STORE(&e->key, sm_backend_bytes(b, t, bytes));
	memcpy(e->key, text, bytes);
	STORE(&e->value, sm_backend_bytes(b, t, l->size));
	e->value[0] = e->value[l->size / 8 - 1] = number;
	STORE(&e->chain, *bucket);
	STORE(bucket, e);
	use(b, t, c, e);
	c->n++;
}

SM_INLINE int work(const enum sm_wl_backend b, struct sm_thread *t, struct lru *l)
{
	struct cache *volatile rooted = sm_backend_new(b, t, l->cache, sizeof(*rooted)),
			       *c = rooted;
	uint64_t hits = 0;

	if (!sm_backend_collects(b))
		*c = (struct cache){0};
	c->mask = l->nbuckets - 1;
	STORE(&c->buckets, sm_backend_table(b, t, l->buckets, l->nbuckets));
	for (uint64_t i = 0; i < l->ops; i++) {
		double u = (double)(sm_rng_next(&t->rng) >> 11) / 9007199254740992.0;
		uint64_t number = (uint64_t)((double)l->keys * u * u * u);
		struct entry *e = c->buckets[hash_of(number) & c->mask];

		while (e != NULL && e->number != number)
			e = e->chain;
		if (e == NULL) {
			if (c->n == l->live)
				evict(b, t, c);
			insert(b, t, l, c, number);
			continue;
		}
		hits++;
		if (e->value[0] != number || e->value[l->size / 8 - 1] != number)
			return sm_run_fail(t->run, -EIO,
					   "thread %u: a cached value was overwritten", t->index);
		unlink_use(b, t, c, e);
		use(b, t, c, e);
	}
	while (!sm_backend_collects(b) && c->n > 0)
		evict(b, t, c);
	sm_backend_free(b, c->buckets);
	sm_backend_free(b, rooted);
	sm_fetch_add_relaxed(&l->hits, hits);
	return 0;
}

static int thread_main(struct sm_thread *t, void *arg)
{
	struct lru *l = arg;

	return SM_FOR_BACKEND(l->backend, work, t, l);
}

static int make_types(struct sm_run *run, struct lru *l)
{
	struct sm_gc *gc = sm_run_gc(run);

	l->entry = sm_type_prefix(gc, sizeof(struct entry), ENTRY_POINTERS);
	l->cache = sm_type_prefix(gc, sizeof(struct cache), CACHE_POINTERS);
	l->buckets = sm_type_pointers(gc, l->nbuckets);
	return l->entry && l->cache && l->buckets
		       ? 0
		       : sm_run_fail(run, -ENOMEM, "out of memory for a type");
}

static int run(struct sm_run *run)
{
	const struct sm_params *p = sm_run_params(run);
	unsigned threads = sm_run_threads(run);
	struct lru l = {
		.backend = sm_run_backend(run),
		.size = (size_t)sm_params_int(p, "size"),
		.ops = (uint64_t)sm_params_int(p, "ops"),
		.live = (uint64_t)sm_params_int(p, "live"),
	};
	int err = 0;

	l.keys = 4 * l.live;
	for (l.nbuckets = 1; l.nbuckets < l.live;)
		l.nbuckets *= 2;
	if (l.backend == SM_WL_GC)
		err = make_types(run, &l);
	if (err == 0)
		err = sm_run_parallel_timed(run, threads, thread_main, &l);
	if (err != 0)
		return err;
	sm_run_ops(run, l.ops * threads);
	sm_run_result(run, SM_RESULT_hit_share,
		      100 * (double)sm_load_relaxed(&l.hits) / (double)(l.ops * threads));
	return 0;
}

static const struct sm_param_desc params[] = {
	{.name = "size",
	 .def = 200,
	 .min = 8,
	 .max = 1 << 24,
	 .quick = 200,
	 .unit = "bytes",
	 .help = "of a value"},
	{.name = "live",
	 .def = 200000,
	 .min = 1,
	 .max = 100000000,
	 .quick = 5000,
	 .simulated = 5000,
	 .unit = "entries",
	 .help = "of each thread's cache, at most"},
	{.name = "ops",
	 .def = 5000000,
	 .min = 1,
	 .max = 1000000000000,
	 .quick = 200000,
	 .simulated = 50000,
	 .unit = "look-ups",
	 .help = "by each thread"},
	SM_PARAM_THREADS(1, 1, "each with a cache of its own"),
	{0},
};

const struct sm_workload sm__wl_lru_cache = {
	.name = "lru-cache",
	.summary = "a cache of strings under skewed look-ups: entries that die old",
	.op = "look-up",
	.params = params,
	.backends = SM_WL_EVERY,
	.run = run,
};
