/*
 * stress.h: what the long randomized tests share: a seed that can be replayed, a time limit,
 * threads that are joined as blocking sections, a collector made to misbehave as often as it can,
 * and the end of a test: the verifier found nothing, the heap's identities hold.
 *
 * SM_TEST_SEED     replays a run (as far as scheduling allows); printed by every test
 * SM_TEST_SECONDS  how long a time-limited test runs (default: the test's own, a few seconds)
 * SM_TEST_LONG=1   the large sizes: 10^5 threads, a list of 10^7
 * SM_TEST_CONFIG   KEY=VALUE,.. applied on top of the test's own configuration
 */
#ifndef SM_TESTS_SUPPORT_STRESS_H
#define SM_TESTS_SUPPORT_STRESS_H

#include <pthread.h>
#include <stdio.h>

#include "allocator/objects/heap.h"
#include "spanmark/gc.h"

/* Prints what failed and where, the seed, and aborts: a stress test's state is worth a core dump.
 */
#define SM_MUST(cond, ...)                                                           \
	do {                                                                         \
		if (SM_UNLIKELY(!(cond)))                                            \
			sm_test__failed(__FILE__, __LINE__, #cond, " " __VA_ARGS__); \
	} while (0)
_Noreturn void sm_test__failed(const char *file, int line, const char *cond, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

/* xorshift64*: one stream for each thread, split from the seed. */
struct sm_rng {
	uint64_t s;
};
void sm_rng_seed(struct sm_rng *r, uint64_t seed, uint64_t stream);
SM_INLINE uint64_t sm_rng_next(struct sm_rng *r)
{
	r->s ^= r->s >> 12;
	r->s ^= r->s << 25;
	r->s ^= r->s >> 27;
	return r->s * 2685821657736338717ull;
}
/* 0 .. n-1 */
SM_INLINE uint64_t sm_rng_below(struct sm_rng *r, uint64_t n)
{
	return (sm_rng_next(r) >> 11) % n;
}

struct sm_stress {
	const char *name;
	uint64_t seed;
	double seconds;
	bool large; /* SM_TEST_LONG */
};
/* Reads the environment, prints name and seed, starts the clock. */
void sm_stress_begin(struct sm_stress *s, const char *name, double seconds);
/* The time is not up yet. Cheap enough for every hundred steps. */
bool sm_stress_goes_on(const struct sm_stress *s);

/* Seconds since sm_stress_begin; has that moment not come yet? */
double sm_stress_elapsed(void);
bool sm_stress_before(double seconds);

/* A collector with the verifier on and small limits; `keys` is "KEY=VALUE,..", may be NULL. Seeds
 * vary mode, buffer and packet sizes when vary is set. */
struct sm_gc *sm_stress_gc(const struct sm_stress *s, bool vary, const char *keys);
/* Applies "KEY=VALUE,..". */
void sm_stress_set(struct sm_gc_config *cfg, const char *keys);
/* Collects once more, checks the verifier's count and every identity of the heap, destroys. Prints
 * cycles. */
void sm_stress_end(struct sm_gc *gc);

/* Runs fn(arg[i]) on n threads and joins them; m (may be NULL) is in a blocking section meanwhile.
 */
void sm_stress_threads(struct sm_mutator *m, unsigned n, void *(*fn)(void *), void **args);
/* What each thread of sm_stress_beside_collector gets. */
struct sm_stress_worker {
	void *shared;
	unsigned index;
};
/* One cycle after another, whatever the pacer would do, on a thread of its own. */
struct sm_stress_collector {
	struct sm_gc *gc;
	pthread_t thread;
	_Atomic(uint32_t) stop;
};
void sm_stress_collector_start(struct sm_stress_collector *c, struct sm_gc *gc);
/* m is in a blocking section meanwhile. */
void sm_stress_collector_stop(struct sm_stress_collector *c, struct sm_mutator *m);
/* fn on n threads beside such a collector; each gets a struct sm_stress_worker. m as above. */
void sm_stress_beside_collector(struct sm_gc *gc, struct sm_mutator *m, unsigned n,
				void *(*fn)(void *), void *shared);
/* pthread_create that aborts on failure. */
pthread_t sm_stress_thread(void *(*fn)(void *), void *arg);
/* Overwrites dead stack below the caller, so that no stale pointer lies there. */
void sm_stress_scrub_stack(void);

#endif
