#include "tests/support/pagetest.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "allocator/pages/pageheap_internal.h"

struct sm_heap *pagetest_heap(enum sm_pageheap_kind kind)
{
	struct sm_heap *h = calloc(1, sizeof(*h));

	if (h == NULL)
		abort();
	h->config.reserve = SM_GIB;
	h->config.arena = 4 * SM_MIB;
	h->config.pageheap = kind;
	h->config.nnodes = 1;
	return h;
}

void pagetest_create(struct sm_heap *h)
{
	char err[200] = "";

	if (sm__range_create(&h->pages, &h->config, err, sizeof(err)) != 0) {
		fprintf(stderr, "sm__range_create: %s\n", err);
		abort();
	}
}

void pagetest_destroy(struct sm_heap *h)
{
	sm__range_destroy(&h->pages);
	free(h);
}

void pagetest_nodes(struct sm_heap *h, unsigned n)
{
	h->config.nnodes = n;
	for (unsigned i = 0; i < n; i++)
		for (unsigned j = 0; j < n; j++)
			h->config.distance[i][j] = (uint16_t)(10 + 5 * (i > j ? i - j : j - i));
}

struct sm_pageheap_stats pagetest_stats(struct sm_heap *h)
{
	struct sm_pageheap_stats sum, s;

	memset(&sum, 0, sizeof(sum));
	for (unsigned i = 0; i < h->pages.nnodes; i++) {
		sm__pageheap_stats(&h->pages, i, &s);
		sum.committed_bytes += s.committed_bytes;
		sum.in_use_bytes += s.in_use_bytes;
		sum.free_bytes += s.free_bytes;
		sum.released_bytes += s.released_bytes;
		sum.own_bytes += s.own_bytes;
		sum.allocs += s.allocs;
		sum.frees += s.frees;
		sum.search_steps += s.search_steps;
		sum.grown += s.grown;
		sum.failed += s.failed;
		sum.remote += s.remote;
		sum.free_runs += s.free_runs;
		if (s.largest_free_bytes > sum.largest_free_bytes)
			sum.largest_free_bytes = s.largest_free_bytes;
	}
	return sum;
}

bool pagetest_late(void)
{
	static struct timespec start;
	static pid_t owner; /* Check forks for each test */
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	if (owner != getpid()) {
		owner = getpid();
		start = now;
	}
	return now.tv_sec - start.tv_sec > 2;
}

uint64_t pagetest_seed(void)
{
	const char *text = getenv("SM_SEED");
	struct timespec ts;
	uint64_t seed;

	clock_gettime(CLOCK_REALTIME, &ts);
	seed = text != NULL ? strtoull(text, NULL, 0)
			    : (uint64_t)ts.tv_nsec ^ (uint64_t)ts.tv_sec << 20;
	printf("seed: SM_SEED=%#llx\n", (unsigned long long)seed);
	fflush(stdout);
	return seed;
}

/* splitmix64 (Steele, Lea, Flood, 2014). */
uint64_t pagetest_random(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15u;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return z ^ z >> 31;
}

void pagetest_foreach_free(struct sm_heap *h, unsigned node,
			   void (*fn)(void *ctx, size_t unit, size_t nunits), void *ctx)
{
	struct sm_pageheap *ph = sm__ph(&h->pages);
	struct sm_ph_node *nd = &ph->nodes[node];
	uint32_t n = 0;

	sm_lock_acquire(&nd->lock);
	for (uint32_t unit = 1; (unit = sm__ph_next_run(ph, nd, unit, &n)) != 0; unit += n)
		fn(ctx, nd->first + unit, n);
	sm_lock_release(&nd->lock);
}
