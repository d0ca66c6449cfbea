/*
 * bench_types: what many types cost: memory, an allocation, a look-up, the marking of their
 * objects; and a bitmap a span against an index of layouts a slot, the choice that mixed.h made.
 *
 *   bench_types [OBJECTS]     default 2,000,000 objects for what takes time
 *
 * Lines of NAME VALUE UNIT. Times are of one run: compare a few.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "spanmark/gc.h"

static struct sm_gc *gc;
static struct sm_mutator *m;
static void *root;

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void die(const char *what)
{
	fprintf(stderr, "bench_types: %s\n", what);
	exit(1);
}

static void start(const char *keys)
{
	struct sm_gc_config c;
	char err[200];

	sm_gc_config_init(&c);
	if (sm_gc_config_set(&c, "gc.percent", "0", err, sizeof(err)) != 0 ||
	    (keys && sm_gc_config_set(&c, "gc.workers", keys, err, sizeof(err)) != 0))
		die(err);
	gc = sm_gc_create(&c, err, sizeof(err));
	m = gc ? sm_mutator_attach(gc) : NULL;
	if (m == NULL || sm_root_add(gc, &root, 1) != 0)
		die(err);
}

static void finish(void)
{
	sm_store(m, &root, NULL);
	sm_root_remove(gc, &root);
	sm_mutator_detach(m);
	sm_gc_destroy(gc);
}

/* Spans and what describes them. */
static double held(void)
{
	struct sm_heap_stats *s = malloc(sizeof(*s));
	double bytes;

	sm_heap_stats(sm_gc_heap(gc), s);
	bytes = (double)(s->in_use_bytes + s->meta_bytes);
	free(s);
	return bytes;
}

static const struct sm_type *type_number(uint64_t i, size_t words)
{
	uint64_t bits = (i * 0x9e3779b97f4a7c15u & ~(uint64_t)0x7fffff0) | i << 4 | 1;
	const struct sm_type *t = sm_type_bitmap(gc, words * 8, &bits);

	if (t == NULL)
		die("no type");
	return t;
}

/* Objects of 80 bytes, `each` of one type after the other, all alive. Returns the bytes that they
 * take. */
static double fill(size_t types, size_t each)
{
	void **table = sm_new(m, sm_type_pointers(gc, types * each));
	double before;

	sm_store(m, &root, table);
	for (size_t i = 0; i < types; i++)
		type_number(i, 10);
	before = held();
	for (size_t i = 0; i < types * each; i++)
		sm_store(m, &table[i], sm_new(m, type_number(i / each, 10)));
	return held() - before;
}

static void memory(size_t types)
{
	double one, many, before;

	start(NULL);
	one = fill(1, types * 4);
	finish();
	start(NULL);
	many = fill(types, 4);
	printf("%zu_types_of_4_objects %.3f of_one_type\n", types, many / one);
	before = held();
	for (size_t i = 0; i < types; i++)
		type_number(i, 20);
	printf("a_type_of_%zu %.0f B_of_metadata\n", types, (held() - before) / (double)types);
	finish();
}

/* ---- rare types by many threads ----------------------------------------------------------- */

#define RARE 900
static pthread_barrier_t there;

static void *allocate(void *arg)
{
	struct sm_mutator *mine = sm_mutator_attach(gc);
	void *volatile keep[RARE];

	for (uint64_t i = 0; i < RARE; i++) {
		uint64_t bits = i * 4 + 3;

		keep[i] = sm_new(mine, sm_type_bitmap(gc, (3 + i % 60) * 8, &bits));
		if (keep[i] == NULL)
			die("no memory");
	}
	sm_blocking_enter(mine);
	pthread_barrier_wait(&there);
	pthread_barrier_wait(&there);
	sm_blocking_leave(mine);
	sm_mutator_detach(mine);
	return arg;
}

static void rare(unsigned threads)
{
	pthread_t t[64];
	double alive = 0, before;

	start(NULL);
	before = held();
	pthread_barrier_init(&there, NULL, threads + 1);
	for (unsigned i = 0; i < threads; i++)
		if (pthread_create(&t[i], NULL, allocate, NULL) != 0)
			die("no thread");
	sm_blocking_enter(m);
	pthread_barrier_wait(&there);
	for (int i = 0; i < RARE; i++)
		alive += threads * (3 + i % 60) * 8;
	printf("%d_types_by_%u_threads %.2f of_what_is_alive\n", RARE, threads,
	       (held() - before) / alive);
	pthread_barrier_wait(&there);
	for (unsigned i = 0; i < threads; i++)
		pthread_join(t[i], NULL);
	sm_blocking_leave(m);
	pthread_barrier_destroy(&there);
	finish();
}

/* ---- time --------------------------------------------------------------------------------- */

static void times(size_t n, size_t types, const char *name)
{
	const struct sm_type **t = malloc(types * sizeof(*t));
	void **table;
	uint64_t s = 1;
	double t0, t1;

	start("1");
	t0 = now();
	for (size_t i = 0; i < types; i++)
		t[i] = type_number(i, 8);
	t1 = now();
	for (size_t i = 0; i < types; i++)
		if (type_number(i, 8) != t[i])
			die("two types of one description");
	printf("%s_type_made %.0f ns\n%s_type_found %.0f ns\n", name,
	       (t1 - t0) * 1e9 / (double)types, name, (now() - t1) * 1e9 / (double)types);
	table = sm_new(m, sm_type_pointers(gc, n));
	sm_store(m, &root, table);
	t0 = now();
	for (size_t i = 0; i < n; i++) {
		s ^= s << 13, s ^= s >> 7, s ^= s << 17;
		sm_store(m, &table[i], sm_new(m, t[s % types]));
	}
	printf("%s_allocated %.1f ns\n", name, (now() - t0) * 1e9 / (double)n);
	for (size_t i = 0; i < n; i++) {
		s ^= s << 13, s ^= s >> 7, s ^= s << 17;
		sm_store(m, (void **)table[i], table[s % n]);
	}
	t1 = 1e9;
	for (int round = 0; round < 3; round++) {
		struct sm_gc_stats st;

		sm_collect(gc, m);
		sm_gc_stats(gc, &st);
		t1 = (double)st.last_mark_ns < t1 ? (double)st.last_mark_ns : t1;
	}
	printf("%s_marked %.1f ns\n", name, t1 / (double)n);
	finish();
	free(t);
}

/* ---- a bitmap or an index ----------------------------------------------------------------- */

struct layout {
	uint64_t kind, mask, rest[6];
};

/* Slots of 64 B in random order, each of one of many layouts: the pointers' words are added up. */
static void choice(size_t n)
{
	enum { LAYOUTS = 100000, WORDS = 8 };
	uint64_t *slots = calloc(n, WORDS * 8), *bitmap = calloc(n, 1), s = 1, sum[2] = {0};
	uint32_t *index = malloc(n * sizeof(*index)), *order = malloc(n * sizeof(*order));
	struct layout **layout = malloc(LAYOUTS * sizeof(*layout));
	double best[2] = {1e9, 1e9};

	if (!slots || !bitmap || !index || !order || !layout)
		die("no memory");
	for (size_t i = 0; i < LAYOUTS; i++) {
		layout[i] = calloc(1, sizeof(**layout));
		layout[i]->mask = (i * 37 & 0xff) | 1;
	}
	for (size_t i = 0; i < n; i++) {
		s ^= s << 13, s ^= s >> 7, s ^= s << 17;
		index[i] = (uint32_t)(s % LAYOUTS);
		order[i] = (uint32_t)(s >> 20) % (uint32_t)n;
		((uint8_t *)bitmap)[i] = (uint8_t)layout[index[i]]->mask;
		slots[i * WORDS] = i;
	}
	for (int round = 0; round < 6; round++) {
		double t = now();

		for (size_t i = 0; i < n; i++) {
			size_t o = order[i];
			uint64_t bits = round % 2 ? layout[index[o]]->mask
						  : bitmap[o / 8] >> (o % 8 * 8) & 0xff;

			for (; bits; bits &= bits - 1)
				sum[round % 2] +=
					slots[o * WORDS + (unsigned)__builtin_ctzll(bits)];
		}
		t = (now() - t) * 1e9 / (double)n;
		best[round % 2] = t < best[round % 2] ? t : best[round % 2];
	}
	if (sum[0] != sum[1])
		die("two answers");
	printf("bitmap_a_span %.1f ns_a_slot 1.6 %%\nindex_a_slot %.1f ns_a_slot 6.3 %%\n", best[0],
	       best[1]);
}

int main(int argc, char **argv)
{
	size_t n = argc > 1 ? strtoul(argv[1], NULL, 0) : 2000000;

	memory(10000);
	memory(100000);
	rare(1);
	rare(8);
	rare(64);
	times(n, 1, "one_type");
	times(n, 100000, "100000_types");
	choice(n);
	return 0;
}
