/*
 * steady.c: the kernels that this project's figures began with: a loop, trees, a hand-off, a
 * server, and a thousand threads.
 */
#include <sched.h>
#include <stdatomic.h>

#include "tests/bench/malloc/kernel.h"

/* ---- loop --------------------------------------------------------------------------------- */

/* Frees the oldest of 256 live 64 B objects, allocates another; N times. It touches none of them:
 * this loop is where instructions of a pair are counted. */
uint64_t kernel_loop(long n, long m)
{
	void *live[256] = {NULL};
	uint64_t sum = (uint64_t)m;

	for (long i = 0; i < n; i++) {
		free(live[i & 255]);
		live[i & 255] = malloc(64);
	}
	for (int i = 0; i < 256; i++) {
		sum += live[i] != NULL;
		free(live[i]);
	}
	return sum;
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

/* Binary trees of depth N by M threads; the long-lived one stays. */
uint64_t kernel_trees(long n, long m)
{
	struct tree *long_lived = grow((int)n);
	pthread_t t[MOST_THREADS];

	if (m > MOST_THREADS)
		die("too many threads");
	tree_depth = (int)n;
	tree_threads = (int)m;
	for (long i = 1; i < m; i++)
		start_thread(&t[i], short_lived, (void *)(uintptr_t)i);
	short_lived(NULL);
	for (long i = 1; i < m; i++)
		pthread_join(t[i], NULL);
	if (count(long_lived) != (2L << n) - 1)
		die("the long-lived tree is damaged");
	return (uint64_t)atomic_load(&tree_nodes);
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

/* One thread allocates, another frees; at most 4096 of N objects in between. */
uint64_t kernel_handoff(long n, long m)
{
	pthread_t t;
	uint64_t sum = (uint64_t)m;

	passed = n;
	start_thread(&t, produce, NULL);
	for (long i = 0; i < n; i++) {
		long *p;

		while ((p = atomic_load_explicit(&ring[i % RING], memory_order_acquire)) == NULL)
			sched_yield();
		if (*p != i)
			die("an object was damaged on its way");
		atomic_store_explicit(&ring[i % RING], NULL, memory_order_release);
		sum += (uint64_t)*p;
		free(p);
	}
	pthread_join(t, NULL);
	return sum;
}

/* ---- server ------------------------------------------------------------------------------- */

#define CLIENT_OBJECTS 5000

struct client {
	char *object[CLIENT_OBJECTS];
	unsigned seed;
	uint64_t sum;
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

		if (c->object[k] != NULL)
			c->sum += (uint64_t)c->object[k][0];
		free(c->object[k]);
		c->object[k] = malloc(size);
		c->object[k][0] = c->object[k][size - 1] = (char)(i & 63);
	}
	return NULL;
}

/* 2 threads, each with 5000 live objects of 16..500 B at random; after N replacements a thread
 * hands its objects to a new one; 8 generations. */
uint64_t kernel_server(long n, long m)
{
	static struct client clients[2];
	pthread_t t[2];

	replacements = n;
	for (int generation = 0; generation < 8; generation++) {
		for (unsigned i = 0; i < 2; i++) {
			clients[i].seed = i * 77 + (unsigned)generation;
			start_thread(&t[i], serve, &clients[i]);
		}
		for (int i = 0; i < 2; i++)
			pthread_join(t[i], NULL);
	}
	return clients[0].sum + clients[1].sum + (uint64_t)m;
}

/* ---- threads ------------------------------------------------------------------------------ */

static pthread_barrier_t all_there;

static void *guest(void *arg)
{
	unsigned char *p[8];
	uint64_t sum = 0;

	for (size_t size = 16; size <= 1024; size += 16) {
		for (int i = 0; i < 8; i++) {
			p[i] = malloc(size);
			memset(p[i], i, size);
		}
		for (int i = 0; i < 8; i++) {
			sum += p[i][size / 2];
			free(p[i]);
		}
	}
	pthread_barrier_wait(&all_there);
	pthread_barrier_wait(&all_there);
	*(uint64_t *)arg = sum;
	return NULL;
}

/* N threads use a little of many sizes, then wait, all there. */
uint64_t kernel_threads(long n, long m)
{
	pthread_t *t = calloc((size_t)n, sizeof(*t));
	pthread_attr_t attr;
	uint64_t *sums = calloc((size_t)n, sizeof(*sums)), sum = (uint64_t)m;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, 64 << 10);
	pthread_barrier_init(&all_there, NULL, (unsigned)n + 1);
	for (long i = 0; i < n; i++)
		if (pthread_create(&t[i], &attr, guest, &sums[i]) != 0)
			die("no thread");
	pthread_barrier_wait(&all_there);
	pthread_barrier_wait(&all_there);
	for (long i = 0; i < n; i++) {
		pthread_join(t[i], NULL);
		sum += sums[i];
	}
	free(sums);
	free(t);
	return sum;
}
