/*
 * The workloads with malloc and free, written as a C program would have them, for comparison. Which
 * malloc is LD_PRELOAD's choice.
 *
 *   peer trees DEPTH THREADS | churn SIZE OPS THREADS | ring LIVE SIZE OPS
 *
 * Prints "name value" lines; timing is inside, as in spanmark.
 */
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static uint64_t now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static void print_peak(void)
{
	FILE *f = fopen("/proc/self/status", "r");
	char line[160];
	long kib;

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "VmHWM: %ld", &kib) == 1)
			printf("peak_rss_kib %ld\n", kib);
	if (f)
		fclose(f);
}

static int threads = 1;
static void *(*body)(void *);

/* Runs body on all threads; returns ns. */
static uint64_t run_all(void)
{
	pthread_t id[256];
	uint64_t t = now();

	for (long i = 1; i < threads; i++)
		pthread_create(&id[i], NULL, body, (void *)i);
	body((void *)0);
	for (int i = 1; i < threads; i++)
		pthread_join(id[i], NULL);
	return now() - t;
}

/* ---- trees -------------------------------------------------------------------------------- */

struct node {
	struct node *left, *right;
};

static int depth;
static _Atomic uint64_t check;

static struct node *grow(int d)
{
	struct node *n = malloc(sizeof(*n));

	n->left = d > 0 ? grow(d - 1) : NULL;
	n->right = d > 0 ? grow(d - 1) : NULL;
	return n;
}

static uint64_t count(const struct node *n)
{
	return n->left == NULL ? 1 : 1 + count(n->left) + count(n->right);
}

static void fell(struct node *n)
{
	if (n->left != NULL) {
		fell(n->left);
		fell(n->right);
	}
	free(n);
}

static void *trees(void *arg)
{
	long index = (long)arg;
	uint64_t nodes = 0;

	for (int d = 4; d <= depth; d += 4) {
		long n = 1L << (depth - d + 4);

		for (long i = n * index / threads; i < n * (index + 1) / threads; i++) {
			struct node *tree = grow(d);

			nodes += count(tree);
			fell(tree);
		}
	}
	check += nodes;
	return NULL;
}

static void run_trees(void)
{
	uint64_t t = now();
	struct node *long_lived = grow(depth);

	run_all();
	printf("long_lived %llu\n", (unsigned long long)count(long_lived));
	fell(long_lived);
	t = now() - t;
	printf("check %llu\nwall_s %.6f\n", (unsigned long long)check, (double)t * 1e-9);
}

/* ---- churn -------------------------------------------------------------------------------- */

static size_t size;
static uint64_t ops, live = 256;

static void *churn(void *arg)
{
	void **table = calloc(live, sizeof(void *));
	uint64_t entry = 0;

	(void)arg;
	for (uint64_t i = 0; i < ops; i++) {
		uint64_t *p = malloc(size);

		*p = i;
		free(table[entry]);
		table[entry] = p;
		entry = entry + 1 == live ? 0 : entry + 1;
	}
	for (uint64_t e = 0; e < live; e++)
		free(table[e]);
	free(table);
	return NULL;
}

/* ---- ring --------------------------------------------------------------------------------- */

struct message {
	struct message *next;
	char *payload;
};

static struct message *new_message(void)
{
	struct message *m = malloc(sizeof(*m));

	m->payload = calloc(1, size);
	return m;
}

static int by_value(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

static void run_ring(void)
{
	uint32_t *ns = malloc(ops * sizeof(*ns));
	struct message *newest = new_message();
	uint64_t t, before;

	memset(ns, 1, ops * sizeof(*ns));
	newest->next = newest;
	for (uint64_t i = 1; i < live; i++) {
		struct message *m = new_message();

		m->next = newest->next;
		newest->next = m;
		newest = m;
	}
	t = before = now();
	for (uint64_t i = 0; i < ops; i++) {
		struct message *oldest = newest->next, *m = new_message();
		uint64_t after;

		m->next = oldest->next;
		newest->next = m;
		newest = m;
		free(oldest->payload);
		free(oldest);
		after = now();
		ns[i] = (uint32_t)(after - before);
		before = after;
	}
	printf("wall_s %.6f\n", (double)(before - t) * 1e-9);
	qsort(ns, ops, sizeof(*ns), by_value);
	printf("p50_us %.3f\np99_us %.3f\np999_us %.3f\np9999_us %.3f\nmax_us %.3f\n",
	       ns[ops / 2] * 1e-3, ns[ops * 99 / 100] * 1e-3, ns[ops * 999 / 1000] * 1e-3,
	       ns[ops / 10000 * 9999] * 1e-3, ns[ops - 1] * 1e-3);
}

int main(int argc, char **argv)
{
	if (argc == 4 && strcmp(argv[1], "trees") == 0) {
		depth = atoi(argv[2]);
		threads = atoi(argv[3]);
		body = trees;
		run_trees();
	} else if (argc == 5 && strcmp(argv[1], "churn") == 0) {
		uint64_t t;

		size = strtoul(argv[2], NULL, 10);
		ops = strtoull(argv[3], NULL, 10);
		threads = atoi(argv[4]);
		body = churn;
		t = run_all();
		printf("wall_s %.6f\nns_per_op %.4f\n", (double)t * 1e-9, (double)t / (double)ops);
	} else if (argc == 5 && strcmp(argv[1], "ring") == 0) {
		live = strtoull(argv[2], NULL, 10);
		size = strtoul(argv[3], NULL, 10);
		ops = strtoull(argv[4], NULL, 10);
		run_ring();
	} else {
		fprintf(stderr, "peer: trees DEPTH THREADS | churn SIZE OPS THREADS | ring LIVE "
				"SIZE OPS\n");
		return 2;
	}
	print_peak();
	return 0;
}
