/*
 * stress_pageheap: threads allocate, grow, shrink, hand over and free at a limit, on two nodes,
 * while the scavenger runs as fast as it can and another thread looks up random words. Every unit
 * carries a stamp, so two owners of one unit are found out; what is called zeroed must be zero.
 * SM_SEED replays the sequence of each thread, SM_SECONDS makes it longer.
 */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "allocator/base/lock.h"
#include "allocator/pages/scavenge.h"
#include "spanmark/stack.h"
#include "tests/support/pagetest.h"

#define THREADS 6
#define HELD	48
#define BOXES	64

struct held {
	struct sm_span *s;
	uint64_t stamp;
};

static struct sm_heap *heap;
static struct {
	struct sm_lock lock;
	struct held box[BOXES]; /* for the next thread: frees across threads */
} mail = {.lock = SM_LOCK_INIT(SM_RANK_LEAF)};
static _Atomic(bool) stop;
static _Atomic(unsigned long) allocs, refused, grown, looked;

#define REQUIRE(cond)                                                                   \
	do {                                                                            \
		if (!(cond)) {                                                          \
			fprintf(stderr, "stress_pageheap.c:%d: %s\n", __LINE__, #cond); \
			abort();                                                        \
		}                                                                       \
	} while (0)

static uint64_t *word(struct sm_span *s, size_t unit)
{
	return (uint64_t *)(sm_span_base(&heap->pages.range, s) + unit * SM_UNIT + 64 * (unit % 8));
}

static void stamp(struct held *h)
{
	for (size_t i = 0; i < h->s->nunits; i++)
		*word(h->s, i) = h->stamp + i;
}

static void verify(const struct held *h, size_t n)
{
	for (size_t i = 0; i < n; i++)
		REQUIRE(*word(h->s, i) == h->stamp + i);
}

static void require_zero(struct sm_span *s, size_t from)
{
	if (s->flags & SM_SPANF_ZEROED)
		for (size_t i = from; i < s->nunits; i++)
			REQUIRE(*word(s, i) == 0);
}

static size_t some_units(uint64_t r)
{
	if (r % 128 == 0)
		return 4 * SM_MIB / SM_UNIT + r / 256 % 300; /* a mapping of its own */
	if (r % 8 == 0)
		return 1 + r / 256 % 200;
	return 1 + r / 256 % 8;
}

static void acquire(struct held *h, uint64_t *rng)
{
	uint64_t r = pagetest_random(rng);
	size_t n = some_units(r);

	h->s = sm__pageheap_alloc_aligned(&heap->pages, (unsigned)(r >> 60) % 2, n,
					  r >> 56 & 15 ? 1 : 16);
	if (h->s == NULL) {
		REQUIRE(errno == ENOMEM);
		sm_fetch_add_relaxed(&refused, 1);
		return;
	}
	REQUIRE(h->s->nunits == n && h->s->back == 0);
	require_zero(h->s, 0);
	h->stamp = r | 1;
	stamp(h);
	sm_store_release(&h->s->state, SM_SPAN_OTHER);
	sm_fetch_add_relaxed(&allocs, 1);
}

static void drop(struct held *h)
{
	verify(h, h->s->nunits);
	sm__pageheap_free(&heap->pages, h->s);
	h->s = NULL;
}

static void resize(struct held *h, uint64_t r)
{
	size_t old = h->s->nunits;

	verify(h, old);
	if (r & 1) {
		if (sm__pageheap_grow(&heap->pages, h->s, old + 1 + r / 16 % 32)) {
			require_zero(h->s, old);
			sm_fetch_add_relaxed(&grown, 1);
		}
	} else {
		sm__pageheap_shrink(&heap->pages, h->s, 1 + r / 16 % old);
	}
	stamp(h);
}

static void exchange(struct held *h, uint64_t r)
{
	struct held t;

	sm_lock_acquire(&mail.lock);
	t = mail.box[r % BOXES];
	mail.box[r % BOXES] = *h;
	sm_lock_release(&mail.lock);
	*h = t;
}

static void *worker(void *arg)
{
	uint64_t rng = *(uint64_t *)arg;
	struct held held[HELD] = {{NULL, 0}};

	while (!sm_load_relaxed(&stop)) {
		uint64_t r = pagetest_random(&rng);
		struct held *h = &held[r % HELD];
		unsigned what = (unsigned)(r >> 40) % 8;

		if (what == 0)
			exchange(h, r >> 16);
		else if (h->s == NULL)
			acquire(h, &rng);
		else if (what == 1)
			resize(h, r >> 8);
		else
			drop(h);
	}
	for (int i = 0; i < HELD; i++)
		if (held[i].s != NULL)
			drop(&held[i]);
	return NULL;
}

/* A conservative scanner's view: any word, at any moment. Racy reads by design. */
#if defined(__clang__)
__attribute__((no_sanitize("thread")))
#else
__attribute__((no_sanitize_thread))
#endif
static void *
looker(void *arg)
{
	uint64_t rng = *(uint64_t *)arg;
	unsigned long n = 0;

	for (; !sm_load_relaxed(&stop); n++) {
		uintptr_t addr =
			heap->pages.range.base + pagetest_random(&rng) % heap->pages.range.bytes;
		struct sm_span *s = sm_span_of(&heap->pages.range, addr);

		REQUIRE(s >= heap->pages.range.spans);
		REQUIRE(sm_load_acquire(&s->state) <= SM_SPAN_OTHER);
	}
	sm_fetch_add_relaxed(&looked, n);
	return NULL;
}

static void run(enum sm_pageheap_kind kind, uint64_t seed, double seconds)
{
	pthread_t t[THREADS + 1];
	uint64_t seeds[THREADS + 1];
	struct sm_scavenge_stats sc;
	struct timespec ts = {.tv_sec = (time_t)seconds,
			      .tv_nsec = (long)((seconds - (time_t)seconds) * 1e9)};

	heap = pagetest_heap(kind);
	pagetest_nodes(heap, 2);
	heap->config.limit = 96 * SM_MIB;
	heap->config.scavenge_ms = 1;
	heap->config.scavenge_pace = 100;
	heap->config.scavenge_uring = true;
	pagetest_create(heap);
	sm_store_relaxed(&stop, false);
	REQUIRE(sm__scavenger_start(&heap->pages, NULL) == 0);
	for (int i = 0; i <= THREADS; i++) {
		seeds[i] = seed + (uint64_t)i;
		REQUIRE(pthread_create(&t[i], NULL, i == THREADS ? looker : worker, &seeds[i]) ==
			0);
	}
	nanosleep(&ts, NULL);
	sm_store_relaxed(&stop, true);
	for (int i = 0; i <= THREADS; i++)
		pthread_join(t[i], NULL);
	for (int i = 0; i < BOXES; i++)
		if (mail.box[i].s != NULL)
			drop(&mail.box[i]);
	sm__scavenger_stop(&heap->pages);
	sm__scavenge_stats(&heap->pages, &sc);
	REQUIRE(sm__pageheap_check(&heap->pages) == 0);
	REQUIRE(pagetest_stats(heap).in_use_bytes == 0);
	REQUIRE(sm_load_relaxed(&heap->pages.mapped_bytes) <= sm_load_relaxed(&heap->pages.limit));
	printf("%s: %lu allocated, %lu refused, %lu grown, %lu lookups, %lu MiB released in %lu "
	       "batches\n",
	       kind == SM_PAGEHEAP_BUDDY ? "buddy" : "bitmap", sm_load_relaxed(&allocs),
	       sm_load_relaxed(&refused), sm_load_relaxed(&grown), sm_load_relaxed(&looked),
	       (unsigned long)(sc.released_bytes / SM_MIB), (unsigned long)sc.batches);
	REQUIRE(sm_load_relaxed(&allocs) > 0);
	pagetest_destroy(heap);
}

int main(void)
{
	const char *text = getenv("SM_SECONDS");
	double seconds = text != NULL ? atof(text) : 8;
	uint64_t seed = pagetest_seed();

	run(SM_PAGEHEAP_BUDDY, seed, seconds / 2);
	run(SM_PAGEHEAP_BITMAP, seed, seconds / 2);
	return 0;
}
