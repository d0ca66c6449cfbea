/*
 * bench_markspan: marking by object against marking by span, on heaps of several shapes.
 *
 *   bench_markspan [MODE [WORKERS [OBJECTS [ROUNDS [SHAPE [KIND ..]]]]]]
 *                   stw   1        1000000  7       all    objects spans auto
 *
 * A KIND is a value of gc.mark, and may say more: spans,gc.dense=10. One process holds the same
 * graph in a collector of each kind. In every round each collects once,
 * in an order that alternates, and independent random loads of 64 B lines are measured beside
 * them, over as much memory of their own: in one of the heaps they would warm the caches for it.
 * Times are CPU time of the threads that mark, so that what else runs on the machine costs its
 * share of the caches only; with several workers, the longest wall time. Told: medians of the
 * rounds, and the median of each round's ratio.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "collector/cycle/gc_internal.h"

#define KINDS 6
static const char *kinds[KINDS] = {"objects", "spans", "auto"};
static unsigned nkinds = 3;

struct heap {
	struct sm_gc *gc;
	struct sm_mutator *m;
	void *root;
};

static size_t objects;
static uint64_t seed;

static uint64_t rnd(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed;
}

/* ---- shapes ------------------------------------------------------------------------------- */

static void **table_of(size_t n)
{
	void **t = malloc(n * sizeof(*t));

	if (t == NULL)
		abort();
	return t;
}

static void *node(struct heap *h, const struct sm_type *t)
{
	void *p = sm_new(h->m, t);

	if (p == NULL)
		abort();
	return p;
}

/* n nodes in a ring, each with three more edges, `near` nodes away at most, 0: anywhere. */
static void ring(struct heap *h, size_t near)
{
	const struct sm_type *t = sm_type_prefix(h->gc, 64, 4);
	void **all = table_of(objects);

	for (size_t i = 0; i < objects; i++) {
		all[i] = node(h, t);
		sm_store(h->m, &((void **)all[i])[0], i ? all[i - 1] : NULL);
		sm_store(h->m, &h->root, all[i]);
	}
	sm_store(h->m, &((void **)all[0])[0], all[objects - 1]);
	for (size_t i = 0; i < objects; i++)
		for (unsigned e = 1; e < 4; e++)
			sm_store(h->m, &((void **)all[i])[e],
				 all[near ? (i + rnd() % near) % objects : rnd() % objects]);
	free(all);
}

static void graph(struct heap *h)
{
	ring(h, 0);
}

static void in_order(struct heap *h)
{
	ring(h, 16);
}

/* In the order of allocation, or in none. */
static void list_of(struct heap *h, bool shuffled)
{
	const struct sm_type *t = sm_type_prefix(h->gc, 32, 1);
	void **all = table_of(objects);

	for (size_t i = 0; i < objects; i++) {
		all[i] = node(h, t);
		sm_store(h->m, all[i], h->root);
		sm_store(h->m, &h->root, all[i]);
	}
	for (size_t i = objects - 1; shuffled && i > 0; i--) {
		size_t j = rnd() % (i + 1);
		void *x = all[i];

		all[i] = all[j];
		all[j] = x;
	}
	for (size_t i = 0; i < objects; i++)
		sm_store(h->m, all[i], i ? all[i - 1] : NULL);
	sm_store(h->m, &h->root, all[objects - 1]);
	free(all);
}

static void list(struct heap *h)
{
	list_of(h, false);
}

static void list_shuffled(struct heap *h)
{
	list_of(h, true);
}

/* Depth first, as binary-trees builds them. */
static void *subtree(struct heap *h, const struct sm_type *t, size_t n)
{
	void **p = node(h, t);

	if (n > 2) {
		sm_store(h->m, &p[0], subtree(h, t, (n - 1) / 2));
		sm_store(h->m, &p[1], subtree(h, t, (n - 1) / 2));
	}
	return p;
}

static void tree(struct heap *h)
{
	sm_store(h->m, &h->root, subtree(h, sm_type_prefix(h->gc, 24, 2), objects));
}

static void wide_array(struct heap *h)
{
	const struct sm_type *t = sm_type_prefix(h->gc, 48, 1);
	void **a = sm_new_array(h->m, sm_type_pointers(h->gc, 1), objects);

	if (a == NULL)
		abort();
	sm_store(h->m, &h->root, a);
	for (size_t i = 0; i < objects; i++)
		sm_store(h->m, &a[i], node(h, t));
}

/* Prefixes, masks, arrays and pointer-free ones, with edges anywhere. */
static void layouts(struct heap *h)
{
	uint64_t odd = 0x22;
	const struct sm_type *t[] = {
		sm_type_prefix(h->gc, 32, 2),	 sm_type_prefix(h->gc, 96, 5),
		sm_type_bitmap(h->gc, 64, &odd), sm_type_pointers(h->gc, 20),
		sm_type_prefix(h->gc, 700, 3),	 sm_type_prefix(h->gc, 48, 0),
	};
	static const unsigned slots[][2] = {{0, 1}, {0, 4}, {1, 5}, {0, 19}, {0, 2}};
	void **all = table_of(objects);

	for (size_t i = 0; i < objects; i++)
		all[i] = node(h, t[i % 6]);
	for (size_t i = 0; i < objects; i++)
		if (i % 6 != 5) {
			sm_store(h->m, &((void **)all[i])[slots[i % 6][0]],
				 all[(i + 1) % objects % 6 == 5 ? (i + 2) % objects
								: (i + 1) % objects]);
			sm_store(h->m, &((void **)all[i])[slots[i % 6][1]], all[rnd() % objects]);
		}
	sm_store(h->m, &h->root, all[0]);
	free(all);
}

static const struct shape {
	const char *name;
	void (*build)(struct heap *h);
} shapes[] = {
	{"graph", graph},     {"in-order", in_order},
	{"list", list},	      {"list-shuffled", list_shuffled},
	{"tree", tree},	      {"wide-array", wide_array},
	{"layouts", layouts},
};

/* ---- measuring ---------------------------------------------------------------------------- */

static double cpu_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Loads a second, each prefetched some ahead, as a marker does it; CPU time. */
static double load_rate(const char *memory, size_t bytes)
{
	enum { AHEAD = 32, LOADS = 1 << 20 };
	const uint64_t *ring_of[AHEAD];
	uint64_t sum = 0, x = seed | 1, lines = bytes / 64;
	double t0;

	for (unsigned k = 0; k < AHEAD; k++)
		ring_of[k] = (const uint64_t *)memory;
	t0 = cpu_s();
	for (unsigned i = 0; i < LOADS; i++) {
		const uint64_t *next;

		x = x * 6364136223846793005u + 1442695040888963407u;
		next = (const uint64_t *)(memory + (((x >> 32) * lines) >> 32) * 64);
		SM_PREFETCH_R(next);
		sum += *ring_of[i % AHEAD];
		ring_of[i % AHEAD] = next;
	}
	__asm__ volatile("" ::"r"(sum));
	return LOADS / (cpu_s() - t0);
}

/* Nanoseconds an object. */
static double collect(struct heap *h, unsigned workers)
{
	const struct sm_cycle *c = &h->gc->last;

	if (sm_collect(h->gc, h->m) != 0)
		abort();
	return (double)(workers > 1 ? c->marked - c->marking : c->worker_ns) /
	       (double)(c->n.objects ? c->n.objects : 1);
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double median(double *v, unsigned n)
{
	qsort(v, n, sizeof(*v), by_value);
	return v[n / 2];
}

static void set(struct sm_gc_config *cfg, const char *key, const char *value)
{
	char err[200];

	if (sm_gc_config_set(cfg, key, value, err, sizeof(err)) != 0) {
		fprintf(stderr, "%s=%s: %s\n", key, value, err);
		exit(2);
	}
}

/* What stands behind gc.mark's value: key=value, and again. */
static void set_kind(struct sm_gc_config *cfg, const char *kind)
{
	char text[200], *next = text, *part;

	snprintf(text, sizeof(text), "%s", kind);
	set(cfg, "gc.mark", strsep(&next, ","));
	while ((part = strsep(&next, ",")) != NULL) {
		const char *key = strsep(&part, "=");

		set(cfg, key, part ? part : "");
	}
}

static void open_heap(struct heap *h, const char *kind, const char *mode, const char *workers)
{
	struct sm_gc_config cfg;
	char err[200];

	sm_gc_config_init(&cfg);
	set(&cfg, "gc.mode", mode);
	set(&cfg, "gc.workers", workers);
	set(&cfg, "gc.percent", "0");
	set(&cfg, "gc.report_ms", "0");
	set_kind(&cfg, kind);
	h->gc = sm_gc_create(&cfg, err, sizeof(err));
	if (h->gc == NULL)
		abort();
	h->m = sm_mutator_attach(h->gc);
	h->root = NULL;
	if (sm_root_add(h->gc, &h->root, 1) != 0)
		abort();
}

static void measure(const struct shape *s, const char *mode, const char *workers, unsigned rounds)
{
	static double ns[KINDS][100], ratio[KINDS][100], load[100];
	struct heap h[KINDS];
	unsigned n = 0, w = (unsigned)atoi(workers);
	size_t bytes;
	char *memory;

	for (; n < nkinds; n++) {
		open_heap(&h[n], kinds[n], mode, workers);
		seed = 88172645463325252u;
		s->build(&h[n]);
		(void)collect(&h[n], w);
	}
	bytes = sm_align_up(h[0].gc->last.n.bytes, 2 * SM_MIB);
	memory = aligned_alloc(2 * SM_MIB, bytes);
	if (memory == NULL)
		abort();
	(void)madvise(memory, bytes, MADV_HUGEPAGE);
	memset(memory, 1, bytes);
	for (unsigned r = 0; r < rounds; r++) {
		load[r] = load_rate(memory, bytes);
		for (unsigned i = 0; i < n; i++) {
			unsigned k = (i + r) % n;

			ns[k][r] = collect(&h[k], w);
		}
		for (unsigned k = 0; k < n; k++)
			ratio[k][r] = ns[0][r] / ns[k][r];
	}
	printf("%-14s loads %5.1f ns", s->name, 1e9 / median(load, rounds));
	for (unsigned k = 0; k < n; k++)
		printf("  %s %6.1f ns (x%.2f)", kinds[k], median(ns[k], rounds),
		       median(ratio[k], rounds));
	for (unsigned k = 0; k < n; k++) {
		const struct sm_span_counts *c = &h[k].gc->last.spans_n;
		uint64_t spans = c->spans[0] + c->spans[1] + c->spans[2];

		if (spans != 0)
			printf("  %llu objects in %llu alone, %llu sparse, %llu dense",
			       (unsigned long long)h[k].gc->last.n.objects,
			       (unsigned long long)c->spans[0], (unsigned long long)c->spans[1],
			       (unsigned long long)c->spans[2]);
		if (spans != 0)
			break;
	}
	printf("\n");
	fflush(stdout);
	free(memory);
	for (unsigned k = 0; k < n; k++) {
		sm_mutator_detach(h[k].m);
		sm_gc_destroy(h[k].gc);
	}
}

int main(int argc, char **argv)
{
	const char *mode = argc > 1 ? argv[1] : "stw", *workers = argc > 2 ? argv[2] : "1";
	unsigned rounds = argc > 4 ? (unsigned)atoi(argv[4]) : 7;

	for (int i = 6; i < argc && i - 6 < KINDS; i++) {
		kinds[i - 6] = argv[i];
		nkinds = (unsigned)i - 5;
	}
	objects = argc > 3 ? (size_t)atol(argv[3]) : 1000000;
	for (unsigned i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++)
		if (argc <= 5 || strcmp(argv[5], "all") == 0 ||
		    strcmp(argv[5], shapes[i].name) == 0)
			measure(&shapes[i], mode, workers, rounds < 100 ? rounds : 100);
	return 0;
}
