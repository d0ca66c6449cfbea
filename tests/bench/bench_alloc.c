/*
 * bench_alloc: what `make bench-alloc` runs under each allocator, by LD_PRELOAD: malloc and free of
 * whichever malloc is loaded, nothing of ours. One line of results: wall and CPU seconds, peak RSS
 * in KiB.
 *
 *   bench_alloc loop N              frees the oldest of 256 live 64 B objects, allocates another; N
 *                                   times
 *   bench_alloc trees DEPTH THREADS binary trees; the long-lived one stays
 *   bench_alloc handoff N           one thread allocates, another frees; at most 4096 in between
 *   bench_alloc server N            2 threads, each with 5000 live objects of 16..500 B at random;
 *                                   after N replacements a thread hands its objects to a new one; 8
 *                                   generations
 *   bench_alloc threads N           N threads use a little of many sizes, then wait; RSS with all
 *                                   there
 */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static void die(const char *what)
{
	fprintf(stderr, "bench_alloc: %s\n", what);
	exit(1);
}

static double seconds(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void start(pthread_t *t, void *(*fn)(void *), void *arg)
{
	if (pthread_create(t, NULL, fn, arg) != 0)
		die("no thread");
}

/* ---- loop --------------------------------------------------------------------------------- */

static void loop(long n)
{
	void *live[256] = {NULL};

	for (long i = 0; i < n; i++) {
		free(live[i & 255]);
		live[i & 255] = malloc(64);
	}
	for (int i = 0; i < 256; i++)
		free(live[i]);
}

/* ---- trees -------------------------------------------------------------------------------- */

struct tree {
	struct tree *left, *right;
};

static int tree_depth, tree_threads;
static _Atomic(long) tree_nodes;

static struct tree *grow(int depth)
{
	struct tree *t = malloc(sizeof(*t));

	t->left = depth ? grow(depth - 1) : NULL;
	t->right = depth ? grow(depth - 1) : NULL;
	return t;
}

static long count(const struct tree *t)
{
	return t->left ? 1 + count(t->left) + count(t->right) : 1;
}

static void fell(struct tree *t)
{
	if (t->left) {
		fell(t->left);
		fell(t->right);
	}
	free(t);
}

static void *short_lived(void *arg)
{
	for (int d = 4; d <= tree_depth; d += 4) {
		long n = 1L << (tree_depth - d + 4), sum = 0;

		for (long i = (long)(uintptr_t)arg; i < n; i += tree_threads) {
			struct tree *t = grow(d);

			sum += count(t);
			fell(t);
		}
		atomic_fetch_add(&tree_nodes, sum);
	}
	return NULL;
}

static void trees(int depth, int threads)
{
	struct tree *long_lived = grow(depth);
	pthread_t t[64];

	tree_depth = depth;
	tree_threads = threads;
	for (int i = 1; i < threads; i++)
		start(&t[i], short_lived, (void *)(uintptr_t)i);
	short_lived(NULL);
	for (int i = 1; i < threads; i++)
		pthread_join(t[i], NULL);
	if (count(long_lived) != (2L << depth) - 1)
		die("the long-lived tree is damaged");
	printf("check=%ld ", atomic_load(&tree_nodes));
}

/* ---- handoff ------------------------------------------------------------------------------ */

#define RING 4096

static _Atomic(void *) ring[RING];
static long passed;

static void *produce(void *arg)
{
	for (long i = 0; i < passed; i++) {
		long *p = malloc(16 + (size_t)i % 15 * 16);

		*p = i;
		while (atomic_load_explicit(&ring[i % RING], memory_order_acquire) != NULL)
			sched_yield();
		atomic_store_explicit(&ring[i % RING], p, memory_order_release);
	}
	return arg;
}

static void handoff(long n)
{
	pthread_t t;

	passed = n;
	start(&t, produce, NULL);
	for (long i = 0; i < n; i++) {
		long *p;

		while ((p = atomic_load_explicit(&ring[i % RING], memory_order_acquire)) == NULL)
			sched_yield();
		if (*p != i)
			die("an object was damaged on its way");
		atomic_store_explicit(&ring[i % RING], NULL, memory_order_release);
		free(p);
	}
	pthread_join(t, NULL);
}

/* ---- server ------------------------------------------------------------------------------- */

#define CLIENT_OBJECTS 5000

struct client {
	char *object[CLIENT_OBJECTS];
	unsigned seed;
};

static long replacements;

static unsigned next(unsigned *seed)
{
	*seed = *seed * 1664525u + 1013904223u;
	return *seed >> 8;
}

static void *serve(void *arg)
{
	struct client *c = arg;

	for (long i = 0; i < replacements; i++) {
		unsigned k = next(&c->seed) % CLIENT_OBJECTS;
		size_t size = 16 + next(&c->seed) % 485;

		free(c->object[k]);
		c->object[k] = malloc(size);
		c->object[k][0] = c->object[k][size - 1] = 1;
	}
	return NULL;
}

static void server(long n)
{
	static struct client clients[2];
	pthread_t t[2];

	replacements = n;
	for (int generation = 0; generation < 8; generation++) {
		for (unsigned i = 0; i < 2; i++) {
			clients[i].seed = i * 77 + (unsigned)generation;
			start(&t[i], serve, &clients[i]);
		}
		for (int i = 0; i < 2; i++)
			pthread_join(t[i], NULL);
	}
}

/* ---- threads ------------------------------------------------------------------------------ */

static pthread_barrier_t all_there;

static void *guest(void *arg)
{
	void *p[8];

	for (size_t size = 16; size <= 1024; size += 16) {
		for (int i = 0; i < 8; i++) {
			p[i] = malloc(size);
			memset(p[i], 1, size);
		}
		for (int i = 0; i < 8; i++)
			free(p[i]);
	}
	pthread_barrier_wait(&all_there);
	pthread_barrier_wait(&all_there);
	return arg;
}

static void threads(unsigned n)
{
	pthread_t *t = calloc(n, sizeof(*t));
	pthread_attr_t attr;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, 64 << 10);
	pthread_barrier_init(&all_there, NULL, n + 1);
	for (unsigned i = 0; i < n; i++)
		if (pthread_create(&t[i], &attr, guest, NULL) != 0)
			die("no thread");
	pthread_barrier_wait(&all_there);
	pthread_barrier_wait(&all_there);
	for (unsigned i = 0; i < n; i++)
		pthread_join(t[i], NULL);
	free(t);
}

/* Not getrusage: that counts what the process was before exec, too. */
static long peak_kib(void)
{
	char line[256];
	FILE *f = fopen("/proc/self/status", "r");
	long kib = -1;

	while (f != NULL && fgets(line, sizeof(line), f) != NULL)
		if (sscanf(line, "VmHWM: %ld", &kib) == 1)
			break;
	if (f != NULL)
		fclose(f);
	return kib;
}

int main(int argc, char **argv)
{
	double wall = seconds(CLOCK_MONOTONIC), cpu = seconds(CLOCK_PROCESS_CPUTIME_ID);
	long n = argc > 2 ? atol(argv[2]) : 0;

	if (n < 1)
		die("usage: bench_alloc loop|trees|handoff|server|threads N [THREADS]");
	if (strcmp(argv[1], "loop") == 0)
		loop(n);
	else if (strcmp(argv[1], "trees") == 0)
		trees((int)n, argc > 3 ? atoi(argv[3]) : 1);
	else if (strcmp(argv[1], "handoff") == 0)
		handoff(n);
	else if (strcmp(argv[1], "server") == 0)
		server(n);
	else if (strcmp(argv[1], "threads") == 0)
		threads((unsigned)n);
	else
		die("no such benchmark");
	wall = seconds(CLOCK_MONOTONIC) - wall;
	cpu = seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu;
	printf("wall=%.6f cpu=%.6f rss=%ld\n", wall, cpu, peak_kib());
	return 0;
}
