/*
 * fuzz_malloc.c: sequences of malloc's calls against a shadow: what each block holds, and how long
 * it is. Three threads take turns, so blocks are freed where they were not made, and threads end
 * and are born between. One operation is a byte for what, one for the slot, and what it takes.
 */
#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>

#include "allocator/objects/heap.h"
#include "spanmark/malloc.h"
#include "tests/fuzz/fuzz.h"

#define SLOTS	64
#define HELPERS 2

static struct slot {
	unsigned char *p;
	size_t size;
	unsigned char fill;
} slot[SLOTS];
static unsigned char next_fill;

/* ---- contents ----------------------------------------------------------------------------- */

/* Large ones at the ends and here and there: a whole one takes too long. */
static size_t step(size_t size)
{
	return size > 8192 ? 509 : 1;
}

static void paint(struct slot *s)
{
	s->fill = ++next_fill;
	for (size_t i = 0; i < s->size; i += step(s->size))
		s->p[i] = (unsigned char)(s->fill + i);
	if (s->size)
		s->p[s->size - 1] = (unsigned char)(s->fill + s->size - 1);
}

static void check(const unsigned char *p, unsigned char fill, size_t painted, size_t upto)
{
	for (size_t i = 0; i < upto; i += step(painted))
		FUZZ_MUST(p[i] == (unsigned char)(fill + i));
	if (painted && painted == upto)
		FUZZ_MUST(p[painted - 1] == (unsigned char)(fill + painted - 1));
}

/* No two blocks overlap: each is painted another way, but a new one may not be checked before. */
static void apart(const struct slot *s)
{
	for (unsigned i = 0; i < SLOTS; i++)
		FUZZ_MUST(&slot[i] == s || slot[i].p == NULL || slot[i].p + slot[i].size <= s->p ||
			  s->p + s->size <= slot[i].p);
}

static void took(struct slot *s, void *p, size_t size, size_t align)
{
	*s = (struct slot){.p = p, .size = p != NULL ? size : 0};
	if (p == NULL) {
		FUZZ_MUST(errno == ENOMEM);
		return;
	}
	FUZZ_MUST(((uintptr_t)p & (align - 1)) == 0);
	FUZZ_MUST(sm_usable_size(p) >= size);
	apart(s);
	paint(s);
}

static void drop(struct slot *s, bool sized)
{
	check(s->p, s->fill, s->size, s->size);
	if (sized && s->p != NULL)
		sm_free_sized(s->p, s->size);
	else
		sm_free(s->p);
	*s = (struct slot){0};
}

/* ---- operations --------------------------------------------------------------------------- */

/* Small mostly; now and then up to 256 KiB; or what cannot be had. */
static size_t size_of(struct fuzz_bytes *b)
{
	uint32_t kind = fuzz_number(b, 1);

	if (kind < 40)
		return fuzz_number(b, 1) * (kind % 8 + 1);
	if (kind < 56)
		return fuzz_number(b, 2) * (kind % 4 + 1);
	if (kind < 62)
		return fuzz_number(b, 3);
	return SIZE_MAX - fuzz_number(b, 3) * 4096;
}

static void zeroed(struct slot *s, struct fuzz_bytes *b)
{
	size_t n = size_of(b), each = fuzz_number(b, 1), bytes;
	unsigned char *p;

	errno = 0;
	p = sm_calloc(n, each);
	if (__builtin_mul_overflow(n, each, &bytes))
		FUZZ_MUST(p == NULL);
	for (size_t i = 0; p != NULL && i < bytes; i += step(bytes))
		FUZZ_MUST(p[i] == 0);
	took(s, p, bytes, 16);
}

static void resized(struct slot *s, struct fuzz_bytes *b)
{
	struct slot old = *s;
	size_t size = size_of(b);
	unsigned char *p;

	check(old.p, old.fill, old.size, old.size);
	errno = 0;
	p = sm_realloc(old.p, size);
	if (p == NULL && size != 0) { /* it is as it was */
		FUZZ_MUST(errno == ENOMEM);
		check(old.p, old.fill, old.size, old.size);
		return;
	}
	if (old.p != NULL && size == 0) {
		FUZZ_MUST(p == NULL);
		*s = (struct slot){0};
		return;
	}
	check(p, old.fill, old.size, old.size < size ? old.size : size);
	took(s, p, size, 16);
}

static void aligned(struct slot *s, struct fuzz_bytes *b)
{
	size_t align = (size_t)1 << fuzz_number(b, 1) % 22, size = size_of(b);

	errno = 0;
	took(s, sm_aligned_alloc(align, size), size, align);
}

static void operate(struct fuzz_bytes *b)
{
	uint32_t what = fuzz_number(b, 1) % 12;
	struct slot *s = &slot[fuzz_number(b, 1)];
	struct sm_malloc_stats stats;
	size_t size;

	if (what < 5 && what != 2)
		drop(s, what % 2);
	switch (what) {
	case 0:
	case 1:
		size = size_of(b);
		errno = 0;
		took(s, sm_malloc(size), size, 16);
		break;
	case 2: resized(s, b); break;
	case 3: zeroed(s, b); break;
	case 4: aligned(s, b); break;
	case 5:
	case 6: drop(s, what % 2); break;
	case 7: sm_malloc_trim(); break;
	case 8: sm_malloc_stats(&stats); break;
	case 9: check(s->p, s->fill, s->size, s->size); break;
	default: /* many of a kind: lists fill, overflow, come back from the depot */
		size = size_of(b) % 2048;
		for (unsigned i = 0; i < SLOTS; i += 1 + what % 2) {
			drop(&slot[i], false);
			errno = 0;
			took(&slot[i], sm_malloc(size), size, 16);
		}
	}
}

/* ---- three threads, one at a time --------------------------------------------------------- */

static struct helper {
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t turn;
	struct fuzz_bytes *work; /* NULL: none */
	bool alive, end;
} helper[HELPERS];

static void *help(void *arg)
{
	struct helper *h = arg;

	pthread_mutex_lock(&h->lock);
	while (!h->end) {
		if (h->work != NULL) {
			operate(h->work);
			h->work = NULL;
			pthread_cond_broadcast(&h->turn);
		}
		pthread_cond_wait(&h->turn, &h->lock);
	}
	pthread_mutex_unlock(&h->lock);
	return NULL;
}

static void start(struct helper *h)
{
	pthread_mutex_init(&h->lock, NULL);
	pthread_cond_init(&h->turn, NULL);
	h->end = false;
	h->work = NULL;
	h->alive = pthread_create(&h->thread, NULL, help, h) == 0;
	FUZZ_MUST(h->alive);
}

static void stop(struct helper *h)
{
	pthread_mutex_lock(&h->lock);
	h->end = true;
	pthread_cond_broadcast(&h->turn);
	pthread_mutex_unlock(&h->lock);
	pthread_join(h->thread, NULL);
	h->alive = false;
}

static void operate_by(struct helper *h, struct fuzz_bytes *b)
{
	if (!h->alive)
		start(h);
	pthread_mutex_lock(&h->lock);
	h->work = b;
	pthread_cond_broadcast(&h->turn);
	while (h->work != NULL)
		pthread_cond_wait(&h->turn, &h->lock);
	pthread_mutex_unlock(&h->lock);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_bytes b = {data, data + size};
	static unsigned runs;

	while (b.at < b.end) {
		uint32_t who = fuzz_number(&b, 1);

		if (who < 48)
			operate(&b);
		else if (who < 60)
			operate_by(&helper[who % HELPERS], &b);
		else if (helper[who % HELPERS].alive)
			stop(&helper[who % HELPERS]);
	}
	for (unsigned i = 0; i < SLOTS; i++)
		drop(&slot[i], false);
	if (runs++ % 64 == 0)
		FUZZ_MUST(sm_heap_check(sm_malloc_heap()) == 0);
	return 0;
}
