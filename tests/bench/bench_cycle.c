/*
 * bench_cycle: what a collection costs by what is live, and what is held beside it.
 *
 *   bench_cycle SHAPE LIVE_MIB ROUNDS ROUND_MIB [KEY=VALUE ..]
 *
 * SHAPE: `trees` of 64 B nodes in allocation order, as a program builds them, or `random`: one such
 * tree with its nodes in no order of addresses. Nothing else is in the heap. KEY=VALUE: settings of
 * the collector.
 *
 * A round is as many collections as mark ROUND_MIB together, one at least: what disturbs rounds of
 * small heaps then disturbs them as it does those of large ones, and the least of them is no
 * luckier. Prints "name value" lines: CPU time of all threads for each KiB that is live, of which
 * `mark` is the workers', the least of the rounds; of the first collection of all, which finds cold
 * tables; with `random`, of one load of each node, none waiting for another, beside each round.
 * Page faults are those of all rounds. Memory over live bytes: what is resident, in huge pages, and
 * by what for.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "collector/cycle/gc_internal.h"

#define NODE  64
#define DEPTH 15 /* of a tree in allocation order: 2 MiB */

static struct sm_gc *gc;
static struct sm_mutator *m;
static const struct sm_type *node_type;

/* ---- figures ------------------------------------------------------------------------------ */

static double cpu_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static long faults(void)
{
	struct rusage r;

	getrusage(RUSAGE_SELF, &r);
	return r.ru_minflt;
}

static double bytes_of(const char *key)
{
	FILE *f = fopen("/proc/self/smaps_rollup", "r");
	char line[160];
	double kib = 0;

	while (f && fgets(line, sizeof(line), f))
		if (strncmp(line, key, strlen(key)) == 0)
			kib = atof(line + strlen(key));
	if (f)
		fclose(f);
	return kib * 1024;
}

static void print_held(double live, double before)
{
	static struct sm_heap_stats s;

	sm_heap_stats(sm_gc_heap(gc), &s);
	printf("resident %.4f\n", (bytes_of("Rss:") - before) / live);
	printf("huge %.4f\n", bytes_of("AnonHugePages:") / live);
	printf("windows %.4f\n", (double)s.cached_bytes / live);
	printf("fragmentation %.4f\n",
	       (double)(s.in_use_bytes - s.slot_bytes - s.large_bytes) / live);
	printf("free_units %.4f\n", (double)s.free_bytes / live);
	printf("metadata %.4f\n", (double)(s.mapped_bytes - s.committed_bytes) / live);
}

/* ---- shapes ------------------------------------------------------------------------------- */

static void **node(void)
{
	void **p = sm_new(m, node_type);

	if (p == NULL)
		abort();
	return p;
}

/* Kept by the stack until it is stored. */
static void **tree(unsigned depth)
{
	void **p = node();

	for (unsigned i = 0; depth > 1 && i < 2; i++) {
		void **child = tree(depth - 1);

		sm_store(m, &p[i], child);
	}
	return p;
}

static void trees(void **table, size_t n)
{
	for (size_t i = 0; i < n; i++)
		sm_store(m, &table[i], tree(DEPTH));
}

static uint64_t rnd(void)
{
	static uint64_t x = 88172645463325252u;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	return x;
}

/* The children of all[i] are all[2 i + 1] and all[2 i + 2]; the array's order says nothing of where
 * a node lies. For its owner to free. */
static void **shuffled_tree(size_t n)
{
	void **all = calloc(n, sizeof(*all));

	if (all == NULL || sm_root_add(gc, all, n) != 0)
		abort();
	for (size_t i = 0; i < n; i++)
		all[i] = node();
	for (size_t i = n - 1; i > 0; i--) {
		size_t j = rnd() % (i + 1);
		void *p = all[i];

		all[i] = all[j];
		all[j] = p;
	}
	for (size_t i = 0; i < n; i++)
		for (size_t child = 2 * i + 1; child <= 2 * i + 2 && child < n; child++)
			sm_store(m, (void **)all[i] + (child - 2 * i - 1), all[child]);
	sm_root_remove(gc, all);
	return all;
}

/* ---- measuring ---------------------------------------------------------------------------- */

/* CPU seconds that loads of all nodes take, none of which waits for another. */
static double load_all(void *const *all, size_t n)
{
	uint64_t sum = 0;
	double c = cpu_s();

	for (size_t i = 0; i < n; i++)
		sum += *(const uint64_t *)all[i];
	__asm__ volatile("" ::"r"(sum));
	return cpu_s() - c;
}

static void collect(void)
{
	if (sm_collect(gc, m) != 0)
		abort();
}

static double least(double a, double b)
{
	return a == 0 || b < a ? b : a;
}

/* all: NULL, or where the nodes lie. */
static void measure(size_t nodes, void *const *all, size_t rounds, size_t each)
{
	double kib = (double)(nodes * NODE) / 1024, cost = 0, mark = 0, load = 0, c = cpu_s();
	long before;

	collect();
	printf("first_ns_per_kib %.2f\n", (cpu_s() - c) * 1e9 / kib);
	before = faults();
	for (size_t i = 0; i < rounds; i++) {
		double marked = 0;

		c = cpu_s();
		for (size_t k = 0; k < each; k++) {
			collect();
			marked += (double)gc->last.worker_ns;
		}
		cost = least(cost, (cpu_s() - c) / (double)each);
		mark = least(mark, marked / (double)each);
		if (all != NULL)
			load = least(load, load_all(all, nodes));
	}
	printf("faults_per_collection %.2f\n",
	       (double)(faults() - before) / (double)(rounds * each));
	printf("cpu_ns_per_kib %.2f\nmark_ns_per_kib %.2f\n", cost * 1e9 / kib, mark / kib);
	if (all != NULL)
		printf("load_ns_per_kib %.2f\n", load * 1e9 / kib);
}

static void start(char **settings)
{
	struct sm_gc_config cfg;
	char err[200] = "no =";

	sm_gc_config_init(&cfg);
	for (; *settings; settings++) {
		char *key = strsep(settings, "=");

		if (*settings == NULL ||
		    sm_gc_config_set(&cfg, key, *settings, err, sizeof(err)) != 0) {
			fprintf(stderr, "%s: %s\n", key, err);
			exit(2);
		}
	}
	gc = sm_gc_create(&cfg, err, sizeof(err));
	if (gc == NULL) {
		fprintf(stderr, "%s\n", err);
		exit(1);
	}
	m = sm_mutator_attach(gc);
	node_type = sm_type_prefix(gc, NODE, 2);
}

int main(int argc, char **argv)
{
	bool random = argc > 1 && strcmp(argv[1], "random") == 0;
	size_t mib = argc > 2 ? strtoul(argv[2], NULL, 0) : 0;
	size_t rounds = argc > 3 ? strtoul(argv[3], NULL, 0) : 0;
	size_t round_mib = argc > 4 ? strtoul(argv[4], NULL, 0) : 0;
	size_t per_tree = ((size_t)1 << DEPTH) - 1, n = (mib << 20) / (per_tree * NODE);
	void **table, **all = NULL;
	double before;

	if (argc < 5 || n == 0 || rounds == 0 || (!random && strcmp(argv[1], "trees") != 0)) {
		fprintf(stderr, "usage: bench_cycle trees|random LIVE_MIB ROUNDS ROUND_MIB "
				"[KEY=VALUE ..]\n");
		return 2;
	}
	start(argv + 5);
	before = bytes_of("Rss:");
	table = sm_new(m, sm_type_pointers(gc, n));
	if (table == NULL || sm_root_add(gc, &table, 1) != 0)
		abort();
	if (random) {
		all = shuffled_tree(n * per_tree);
		sm_store(m, &table[0], all[0]);
	} else {
		trees(table, n);
	}
	measure(n * per_tree, all, rounds, round_mib > mib ? round_mib / mib : 1);
	free(all);
	print_held((double)(n * per_tree * NODE), before);
	sm_mutator_detach(m);
	sm_gc_destroy(gc);
	return 0;
}
