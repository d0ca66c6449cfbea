/*
 * bench_pageheap: the two page heaps against each other (time, search length, fragmentation), the
 * lock, fresh memory by huge page policy, and giving memory back with io_uring and without. Times
 * are CPU time, variants run interleaved; read ratios.
 *
 *   bench_pageheap [ROUNDS]
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "allocator/base/lock.h"
#include "allocator/os/os.h"
#include "allocator/pages/scavenge.h"
#include "tests/support/pagetest.h"

#define MAX_ROUNDS 25

static int rounds = 7;

/* CPU time of the process, the kernel's io_uring workers included: what else runs on the machine
 * matters less. */
static double now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return (double)ts.tv_sec * 1e9 + (double)ts.tv_nsec;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static double median(double *x)
{
	qsort(x, (size_t)rounds, sizeof(*x), by_value);
	return x[rounds / 2];
}

static struct sm_heap *make(enum sm_pageheap_kind kind, enum sm_hugepages huge, bool uring)
{
	struct sm_heap *h = pagetest_heap(kind);

	h->config.reserve = 64 * SM_GIB;
	h->config.arena = 64 * SM_MIB;
	h->config.hugepages = huge;
	h->config.scavenge_uring = uring;
	pagetest_create(h);
	return h;
}

/* ---- the lock ----------------------------------------------------------------------------- */

#define LOCK_OPS 2000000

static double lock_ours(void)
{
	static struct sm_lock l = SM_LOCK_INIT(SM_RANK_LEAF);
	double t = now_ns();

	for (int i = 0; i < LOCK_OPS; i++) {
		sm_lock_acquire(&l);
		__asm__ volatile("" ::: "memory");
		sm_lock_release(&l);
	}
	return (now_ns() - t) / LOCK_OPS;
}

static double lock_library(void)
{
	static pthread_mutex_t m = PTHREAD_MUTEX_INITIALIZER;
	double t = now_ns();

	for (int i = 0; i < LOCK_OPS; i++) {
		pthread_mutex_lock(&m);
		__asm__ volatile("" ::: "memory");
		pthread_mutex_unlock(&m);
	}
	return (now_ns() - t) / LOCK_OPS;
}

static void bench_lock(void)
{
	double a[MAX_ROUNDS], b[MAX_ROUNDS];

	for (int i = 0; i < rounds; i++) {
		a[i] = lock_ours();
		b[i] = lock_library();
	}
	printf("lock, uncontended, ns per acquire and release: sm_lock %.1f, pthread_mutex %.1f, "
	       "ratio "
	       "%.2f\n\n",
	       median(a), median(b), median(a) / median(b));
}

/* ---- the page heaps ----------------------------------------------------------------------- */

struct result {
	double ns, steps, peak, overhead, largest, runs;
};

static void no_spans_left(struct sm_heap *h, struct sm_span **s, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (s[i] != NULL)
			sm__pageheap_free(&h->pages, s[i]);
}

/* One unit out and in again: the least a refill can cost. */
static double pair_of_one(struct sm_heap *h)
{
	int n = 500000;
	double t;

	sm__pageheap_free(&h->pages, sm__pageheap_alloc(&h->pages, 0, 1));
	t = now_ns();
	for (int i = 0; i < n; i++)
		sm__pageheap_free(&h->pages, sm__pageheap_alloc(&h->pages, 0, 1));
	return (now_ns() - t) / n;
}

/*
 * A heap's life: `live` runs, each replaced at random; sizes of spans (1 to 8 units) with some
 * larger ones. In the second half only every fourth place is filled again: what a program leaves
 * behind after its peak.
 */
static struct result churn(enum sm_pageheap_kind kind, size_t live, size_t max_units, unsigned seed)
{
	struct sm_heap *h = make(kind, SM_HUGE_OFF, false);
	struct sm_span **s = calloc(live, sizeof(struct sm_span *));
	struct sm_pageheap_stats st;
	uint64_t rng = seed, ops = 0;
	struct result r;
	double t = now_ns();

	for (size_t i = 0; i < 6 * live; i++) {
		uint64_t x = pagetest_random(&rng);
		size_t at = (x >> 20) % live;

		if (s[at] != NULL) {
			sm__pageheap_free(&h->pages, s[at]);
			ops++;
		}
		s[at] = NULL;
		if (i == 3 * live) {
			sm__pageheap_stats(&h->pages, 0, &st);
			r.peak = (double)st.committed_bytes / (double)st.in_use_bytes;
		}
		if (i > 3 * live && x & 3)
			continue;
		s[at] = sm__pageheap_alloc(
			&h->pages, 0, (x & 15) == 0 ? 1 + (x >> 4) % max_units : 1 + (x >> 4) % 8);
		ops++;
	}
	r.ns = (now_ns() - t) / (double)ops;
	sm__pageheap_stats(&h->pages, 0, &st);
	r.steps = (double)st.search_steps / (double)st.allocs;
	r.overhead = (double)st.committed_bytes / (double)st.in_use_bytes;
	r.largest = (double)st.largest_free_bytes / (double)(st.free_bytes + st.released_bytes);
	r.runs = (double)st.free_runs;
	no_spans_left(h, s, live);
	free(s);
	pagetest_destroy(h);
	return r;
}

static void bench_pageheaps(void)
{
	static const struct {
		const char *name;
		size_t live, max;
	} CASES[] = {
		{"small heap", 1000, 32}, {"spans only", 60000, 8}, {"with large", 60000, 200}};
	static const char *const NAMES[] = {"buddy", "bitmap"};

	printf("%-12s %-8s %8s %12s %12s %12s %13s %10s\n", "page heap", "kind", "ns/op",
	       "steps/alloc", "used at peak", "used at end", "largest/free", "free runs");
	for (size_t c = 0; c < 4; c++) {
		struct result r[2];
		double ns[2][MAX_ROUNDS];

		memset(r, 0, sizeof(r));
		for (int i = 0; i < rounds; i++)
			for (int k = 0; k < 2; k++) {
				if (c == 3) {
					struct sm_heap *h =
						make((enum sm_pageheap_kind)k, SM_HUGE_OFF, false);

					ns[k][i] = pair_of_one(h) / 2;
					pagetest_destroy(h);
					continue;
				}
				r[k] = churn((enum sm_pageheap_kind)k, CASES[c].live, CASES[c].max,
					     1234);
				ns[k][i] = r[k].ns;
			}
		for (int k = 0; k < 2; k++)
			if (c == 3)
				printf("%-12s %-8s %8.1f\n", "one unit", NAMES[k], median(ns[k]));
			else
				printf("%-12s %-8s %8.1f %12.1f %11.0f%% %11.0f%% %13.3f %10.0f\n",
				       CASES[c].name, NAMES[k], median(ns[k]), r[k].steps,
				       100 / r[k].peak, 100 / r[k].overhead, r[k].largest,
				       r[k].runs);
	}
	printf("\n");
}

/* ---- fresh memory and the way back -------------------------------------------------------- */

#define TOUCH_BYTES (128 * SM_MIB)

static double touch(struct sm_heap *h, struct sm_span **s)
{
	double t = now_ns();

	for (size_t i = 0; i < TOUCH_BYTES / SM_MIB; i++) {
		s[i] = sm__pageheap_alloc(&h->pages, 0, SM_MIB / SM_UNIT);
		for (size_t j = 0; j < SM_MIB; j += sm__os_page_size())
			*(volatile char *)(sm_span_base(&h->pages.range, s[i]) + j) = 1;
	}
	return (now_ns() - t) / (double)(TOUCH_BYTES / SM_MIB) / 1000;
}

static void bench_memory(void)
{
	static const char *const NAMES[] = {"off, madvise", "off, io_uring", "madvise, io_uring"};
	double fresh[3][MAX_ROUNDS], back[3][MAX_ROUNDS];
	struct sm_span *s[TOUCH_BYTES / SM_MIB];

	for (int i = 0; i < rounds; i++)
		for (int k = 0; k < 3; k++) {
			struct sm_heap *h = make(SM_PAGEHEAP_BUDDY,
						 k == 2 ? SM_HUGE_MADVISE : SM_HUGE_OFF, k > 0);
			double t;

			fresh[k][i] = touch(h, s);
			for (size_t j = 0; j < TOUCH_BYTES / SM_MIB; j += 2)
				sm__pageheap_free(&h->pages, s[j]);
			t = now_ns();
			back[k][i] = (double)sm__scavenge(&h->pages, 0);
			back[k][i] = (now_ns() - t) / (back[k][i] / SM_MIB) / 1000;
			for (size_t j = 1; j < TOUCH_BYTES / SM_MIB; j += 2)
				sm__pageheap_free(&h->pages, s[j]);
			pagetest_destroy(h);
		}
	printf("%-28s %22s %22s\n", "huge pages, scavenging by", "first touch, us/MiB",
	       "given back, us/MiB");
	for (int k = 0; k < 3; k++)
		printf("%-28s %22.1f %22.1f\n", NAMES[k], median(fresh[k]), median(back[k]));
}

int main(int argc, char **argv)
{
	if (argc > 1)
		rounds = atoi(argv[1]);
	if (rounds < 1 || rounds > MAX_ROUNDS) {
		fprintf(stderr, "bench_pageheap: ROUNDS is 1 to %d\n", MAX_ROUNDS);
		return 2;
	}
	bench_lock();
	bench_pageheaps();
	bench_memory();
	return 0;
}
