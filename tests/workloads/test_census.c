/*
 * What workloads hold and drop, counted by the malloc on which they run: here one that knows of
 * each object its size, and of the bytes held every turn from growing to shrinking and back.
 */
#include <check.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "allocator/base/atomic.h"
#include "tests/support/run.h"
#include "tests/support/sample.h"
#include "tests/support/skip.h"

extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t n, size_t size);
extern void __libc_free(void *p);

/* ---- the census --------------------------------------------------------------------------- */

#define PLACES	      (1u << 20)
#define TURNS	      64
#define SIZE_MAX_SEEN 4096

static struct place {
	void *object; /* NULL: never used; GONE: was used */
	size_t size;
} places[PLACES];
#define GONE ((void *)1)

static _Atomic(int) lock;
static bool watching;
/* Between two turns: bytes at its end, objects made of each size, objects dropped. */
static struct turn {
	uint64_t bytes, made[SIZE_MAX_SEEN + 1], dropped;
} turns[TURNS];
static unsigned nturns;
static bool shrinking;
static uint64_t held, extreme, made, dropped;

static void enter(void)
{
	int free = 0;

	while (!atomic_compare_exchange_weak(&lock, &free, 1))
		free = 0;
}

static void leave(void)
{
	sm_store_release(&lock, 0);
}

static unsigned start_of(const void *object)
{
	return (unsigned)(((uintptr_t)object >> 4) * 2654435761u) % PLACES;
}

/* A turn is a change to less than half, or to more than twice. */
static void count(void)
{
	if (shrinking ? held < extreme : held > extreme)
		extreme = held;
	if ((shrinking ? held / 2 > extreme : held < extreme / 2) && extreme > 65536 &&
	    nturns < TURNS - 1) {
		turns[nturns++].bytes = extreme;
		shrinking = !shrinking;
		extreme = held;
	}
}

static void came(void *object, size_t size)
{
	unsigned at = start_of(object);

	while (places[at].object != NULL && places[at].object != GONE)
		at = (at + 1) % PLACES;
	places[at] = (struct place){object, size};
	made++;
	turns[nturns].made[size]++;
	held += size;
	count();
}

static void went(const void *object)
{
	unsigned at = start_of(object);

	while (places[at].object != NULL && places[at].object != object)
		at = (at + 1) % PLACES;
	if (places[at].object == NULL)
		return;
	places[at].object = GONE;
	dropped++;
	turns[nturns].dropped++;
	held -= places[at].size;
	count();
}

static void *seen(void *object, size_t size)
{
	if (watching && object != NULL && size <= SIZE_MAX_SEEN) {
		enter();
		came(object, size);
		leave();
	}
	return object;
}

void *malloc(size_t size)
{
	return seen(__libc_malloc(size), size);
}

/* Compilers make one of a malloc whose memory is cleared. */
void *calloc(size_t n, size_t size)
{
	return seen(__libc_calloc(n, size), n * size);
}

void free(void *object)
{
	if (watching && object != NULL) {
		enter();
		went(object);
		leave();
	}
	__libc_free(object);
}

/* What the harness itself takes while a workload runs is a few small objects. */
#define NOISE 200

static void watch(const char *name, const char *assignments)
{
	watching = true;
	ok(name, SM_WL_LIBC, assignments, "");
	watching = false;
	turns[nturns].bytes = held;
	ck_assert_uint_le(made - dropped, NOISE);
}

static void between(double value, double least, double most, const char *what, unsigned i)
{
	ck_assert_msg(value >= least && value <= most, "%s %u: %.3f is not in %.3f..%.3f", what, i,
		      value, least, most);
}

/* ---- fragment ----------------------------------------------------------------------------- */

/* Each growth ends at `live`, each drop at what is left of it, and at the end nothing is held. */
START_TEST(fragment_is_a_sawtooth)
{
	watch("fragment", "live=2m steps=10 drop=80");
	ck_assert_uint_eq(nturns, 9);
	for (unsigned i = 0; i < 9; i++) /* the tenth goes on to nothing */
		between((double)turns[i].bytes / (2 << 20), i % 2 ? 0.17 : 1, i % 2 ? 0.23 : 1.02,
			"turn", i + 1);
	between(number("ops"), (double)made - NOISE, (double)made, "ops", 0);
}
END_TEST

/* Seven sizes of the band, equally often, and no other. */
START_TEST(fragment_mixes_sizes)
{
	watch("fragment", "live=2m steps=9 drop=90");
	for (unsigned g = 0; g < 5; g++) {
		const struct turn *t = &turns[2 * g];
		size_t least = (size_t)16 << 2 * (g % 4);
		uint64_t all = 0, of_band = 0;

		for (size_t s = 0; s <= SIZE_MAX_SEEN; s++)
			all += t->made[s];
		for (unsigned k = 0; k < 7; k++)
			of_band += t->made[least + k * least / 2];
		ck_assert_uint_le(all - of_band, NOISE);
		for (unsigned k = 0; k < 7; k++)
			between((double)t->made[least + k * least / 2] / (double)of_band, 0.1, 0.19,
				"size", k);
	}
}
END_TEST

/* ---- footprint ---------------------------------------------------------------------------- */

/* As many objects as asked for are held together, of all sizes in whole words. */
START_TEST(footprint_holds_all)
{
	uint64_t all = 0, bytes = 0;

	watch("footprint", "objects=20000 min_size=32 max_size=103 sequential=3 random=1");
	for (size_t s = 32; s <= 96; s += 8) {
		between((double)turns[0].made[s] / 20000, 0.09, 0.13, "size", (unsigned)s);
		all += turns[0].made[s];
		bytes += turns[0].made[s] * s;
	}
	between((double)all, 20000, 20000 + NOISE, "objects", 0);
	between(number("requested_per_object"), (double)bytes / (double)all - 0.5,
		(double)bytes / (double)all + 0.5, "requested", 0);
	between((double)turns[0].bytes, number("requested_per_object") * 20000,
		number("requested_per_object") * 20000 + NOISE * 1000, "held", 0);
	ck_assert_int_eq(integer("ops"), 80000);
}
END_TEST

/* ---- phases ------------------------------------------------------------------------------- */

/* Sessions are at their phase's share when it ends; what is done does not depend on its length. */
START_TEST(phases_rise_and_fall)
{
	static const double full[] = {1, 0.3, 1, 0.1, 1};
	enum { SESSION = 9 * 8, SESSIONS = 600 };
	char text[96];
	uint64_t sessions = 0;

	snprintf(text, sizeof(text), "sessions=%d requests=%d threads=%d phase=%d",
		 SESSIONS / (_i + 1), 1000, _i + 1, _i);
	watch("phases", text);
	for (unsigned i = 0; i <= nturns; i++)
		sessions += turns[i].made[SESSION];
	between((double)sessions, 2.6 * SESSIONS, 2.6 * SESSIONS + NOISE, "sessions", 0);
	ck_assert_uint_eq(nturns, 5);
	for (unsigned i = 0; i < 5; i++)
		between((double)turns[i].bytes / (double)turns[0].bytes, full[i] * 0.8,
			full[i] * 1.2, "turn", i + 1);
	ck_assert_int_eq(integer("ops"), 3700 * (_i + 1));
}
END_TEST

/* ---- mutate ------------------------------------------------------------------------------- */

/* A leaf for each node, and one for each replacement; all replaced ones are freed meanwhile. */
START_TEST(mutate_replaces_leaves)
{
	enum { NODES = 3000, STORES = 40000, LEAVES = 6000, SIZE = 424 };
	unsigned threads = _i + 1;
	uint64_t leaves = 0;
	char text[96];

	snprintf(text, sizeof(text), "nodes=%d stores=%d replace=15 size=%d share=50 threads=%u",
		 NODES, STORES, SIZE, threads);
	watch("mutate", text);
	for (unsigned i = 0; i <= nturns; i++)
		leaves += turns[i].made[SIZE];
	between((double)leaves, NODES + LEAVES * threads, NODES + LEAVES * threads + NOISE,
		"leaves", 0);
	between((double)turns[0].bytes, NODES * SIZE, NODES * (SIZE + 100) + NOISE * 1000, "held",
		0);
	ck_assert_int_eq(integer("ops"), STORES * threads);
	/* Of the first half of the nodes nearly each was hit, and no other. */
	ck_assert_int_le(integer("replaced"), NODES / 2);
	ck_assert_int_ge(integer("replaced"), NODES / 2 * 9 / 10);
}
END_TEST

int main(void)
{
#if SM_SANITIZED
	puts("the sanitizer's malloc cannot be replaced");
	return 77;
#endif
	return SM_SUITE("census", 60, SM_T(fragment_is_a_sawtooth), SM_T(fragment_mixes_sizes),
			SM_T(footprint_holds_all), SM_LOOP(phases_rise_and_fall, 0, 3),
			SM_LOOP(mutate_replaces_leaves, 0, 3));
}
