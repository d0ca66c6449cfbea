/*
 * moving.c: kernels whose objects move between threads, some of which end before their objects do.
 */
#include <dlfcn.h>
#include <stdatomic.h>

#include "tests/bench/malloc/kernel.h"

/* What threads of a kernel hand each other: a slot holds an object, or none. */
enum { SHARED = 4096 };
static _Atomic(void *) shared[SHARED];

static uint64_t empty_shared(int step)
{
	uint64_t sum = 0;

	for (int i = 0; i < SHARED; i += step)
		sum += take(atomic_exchange(&shared[i], NULL));
	return sum;
}

struct worker {
	long who, n, round;
	uint64_t state, sum;
	void **kept;
};

static uint64_t sum_of(const struct worker *w, long threads)
{
	uint64_t sum = 0;

	for (long i = 0; i < threads; i++)
		sum += w[i].sum;
	return sum;
}

/* ---- phases (the kind of mstress) --------------------------------------------------------- */

/* Mostly small; one of 128 has KiB, one of 4096 up to a quarter of a MiB. */
static size_t stress_size(uint64_t *state)
{
	uint32_t r = below(state, 4096);

	if (r == 0)
		return 4096 + below(state, 256 << 10);
	if (r < 32)
		return 1024 + below(state, 16 << 10);
	return 17 + (below(state, 8) + 1) * below(state, 32);
}

enum { PHASE_KEPT = 20000 };

static void *phase(void *arg)
{
	struct worker *w = arg;
	void **kept = calloc(PHASE_KEPT, sizeof(*kept));
	int used = 0;

	for (long i = 0; i < w->n; i++) {
		uint64_t tag = (uint64_t)w->round << 40 | (uint64_t)i << 8 | (uint64_t)w->who;
		void *p = stamped(stress_size(&w->state), tag);

		switch (below(&w->state, 8)) {
		case 0:
		case 1: /* changes places with one of another thread */
			p = atomic_exchange(&shared[below(&w->state, SHARED)], p);
			break;
		case 2:
		case 3: /* lives long, in the place of one that did */
			if (used == PHASE_KEPT) {
				uint32_t k = below(&w->state, PHASE_KEPT);
				void *old = kept[k];

				kept[k] = p;
				p = old;
			} else {
				kept[used++] = p;
				p = NULL;
			}
			break;
		}
		w->sum += take(p);
	}
	for (int i = 0; i < used; i++)
		w->sum += take(kept[i]);
	free(kept);
	return NULL;
}

/* M phases, each with two threads of N allocations that end; between them half of what they left
 * in the shared slots is freed. */
uint64_t kernel_phases(long n, long m)
{
	struct worker w[2] = {{.who = 0, .n = n, .state = seed_of(0)},
			      {.who = 1, .n = n, .state = seed_of(1)}};
	uint64_t sum = 0;

	for (long i = 0; i < m; i++) {
		w[0].round = w[1].round = i;
		run_threads(2, phase, w, sizeof(w[0]));
		sum += empty_shared(2);
	}
	return sum + empty_shared(1) + sum_of(w, 2);
}

/* ---- cross (the kind of rptest) ----------------------------------------------------------- */

enum { CROSS_OWN = 4000, CROSS_GIVEN = 64 };

struct parcel {
	struct parcel *next;
	void *object[CROSS_GIVEN];
};
static _Atomic(struct parcel *) parcels;

static uint64_t open_parcels(void)
{
	struct parcel *p = atomic_exchange(&parcels, NULL);
	uint64_t sum = 0;

	while (p != NULL) {
		struct parcel *next = p->next;

		for (int i = 0; i < CROSS_GIVEN; i++)
			sum += take(p->object[i]);
		free(p);
		p = next;
	}
	return sum;
}

/* Sizes 17..16000, each range of a power of two as often. Every fourth allocation goes to whoever
 * looks next; and this thread frees what others sent. */
static void *cross(void *arg)
{
	struct worker *w = arg;
	void **own = calloc(CROSS_OWN, sizeof(*own));
	struct parcel *p = NULL;
	int given = 0;

	for (long i = 0; i < w->n; i++) {
		uint32_t high = 16u << below(&w->state, 10);
		void *o =
			stamped(high + below(&w->state, high), (uint64_t)i << 8 | (uint64_t)w->who);

		if (i % 4 != 0) {
			uint32_t k = below(&w->state, CROSS_OWN);

			w->sum += take(own[k]);
			own[k] = o;
			continue;
		}
		if (p == NULL)
			p = malloc(sizeof(*p));
		p->object[given++] = o;
		if (given == CROSS_GIVEN) {
			w->sum += open_parcels();
			p->next = atomic_load(&parcels);
			while (!atomic_compare_exchange_weak(&parcels, &p->next, p))
				;
			p = NULL;
			given = 0;
		}
	}
	for (int i = 0; i < given; i++)
		w->sum += take(p->object[i]);
	if (given > 0)
		free(p);
	for (int i = 0; i < CROSS_OWN; i++)
		w->sum += take(own[i]);
	free(own);
	return NULL;
}

/* N allocations in each of M threads. */
uint64_t kernel_cross(long n, long m)
{
	struct worker w[MOST_THREADS];

	for (long i = 0; i < m && i < MOST_THREADS; i++)
		w[i] = (struct worker){.who = i, .n = n, .state = seed_of(i)};
	run_threads(m, cross, w, sizeof(w[0]));
	return sum_of(w, m) + open_parcels();
}

/* ---- asym (the kind of xmalloc-test) ------------------------------------------------------ */

enum { CRATE = 120, CRATES_WAITING = 64 };

static struct {
	pthread_mutex_t lock;
	pthread_cond_t filled, taken;
	void **crate[CRATES_WAITING];
	int waiting;
	long to_come;
} dock = {.lock = PTHREAD_MUTEX_INITIALIZER,
	  .filled = PTHREAD_COND_INITIALIZER,
	  .taken = PTHREAD_COND_INITIALIZER};

static void *fill_crates(void *arg)
{
	struct worker *w = arg;

	for (long i = 0; i < w->n; i++) {
		void **crate = malloc(CRATE * sizeof(*crate));

		for (long k = 0; k < CRATE; k++)
			crate[k] = stamped(17 + below(&w->state, 500),
					   (uint64_t)i << 16 | (uint64_t)k << 8 | (uint64_t)w->who);
		pthread_mutex_lock(&dock.lock);
		while (dock.waiting == CRATES_WAITING)
			pthread_cond_wait(&dock.taken, &dock.lock);
		dock.crate[dock.waiting++] = crate;
		pthread_cond_signal(&dock.filled);
		pthread_mutex_unlock(&dock.lock);
	}
	return NULL;
}

static void *empty_crates(void *arg)
{
	struct worker *w = arg;

	for (;;) {
		void **crate;

		pthread_mutex_lock(&dock.lock);
		while (dock.waiting == 0 && dock.to_come > 0)
			pthread_cond_wait(&dock.filled, &dock.lock);
		if (dock.to_come == 0) {
			pthread_cond_broadcast(&dock.filled);
			pthread_mutex_unlock(&dock.lock);
			return NULL;
		}
		crate = dock.crate[--dock.waiting];
		dock.to_come--;
		pthread_cond_signal(&dock.taken);
		pthread_mutex_unlock(&dock.lock);
		for (int k = 0; k < CRATE; k++)
			w->sum += take(crate[k]);
		free(crate);
	}
}

static void *either_end(void *arg)
{
	struct worker *w = arg;

	return w->n > 0 ? fill_crates(w) : empty_crates(w);
}

/* M threads allocate N crates of 120 objects each, and M free them. */
uint64_t kernel_asym(long n, long m)
{
	struct worker w[MOST_THREADS];

	if (m > MOST_THREADS / 2)
		die("too many threads");
	for (long i = 0; i < 2 * m; i++)
		w[i] = (struct worker){.who = i, .n = i < m ? n : 0, .state = seed_of(i)};
	dock.to_come = n * m;
	run_threads(2 * m, either_end, w, sizeof(w[0]));
	return sum_of(w, 2 * m);
}

/* ---- larson, with sizes told and not ------------------------------------------------------ */

enum { LARSON_OBJECTS = 1000, LARSON_ROUND = 50000 };

static void (*free_with_size)(void *, size_t);

static void free_without(void *p, size_t size)
{
	(void)size;
	free(p);
}

static void *bleed(void *arg)
{
	struct worker *w = arg;

	for (long i = 0; i < w->n; i++) {
		uint32_t k = below(&w->state, LARSON_OBJECTS);
		struct stamp *old = w->kept[k];

		w->sum += stamp_off(old);
		if (free_with_size != NULL)
			free_with_size(old, old->size);
		else
			free(old);
		w->kept[k] =
			stamped(17 + below(&w->state, 984),
				(uint64_t)w->round << 40 | (uint64_t)i << 8 | (uint64_t)w->who);
	}
	return NULL;
}

/* A server: a thread replaces objects of 17..1000 B at random, and hands all of them to a new
 * thread after 50,000; N times, M threads at once. */
uint64_t kernel_larson(long n, long m)
{
	struct worker w[MOST_THREADS];

	for (long i = 0; i < m && i < MOST_THREADS; i++) {
		w[i] = (struct worker){.who = i, .n = LARSON_ROUND, .state = seed_of(i)};
		w[i].kept = malloc(LARSON_OBJECTS * sizeof(*w[i].kept));
		for (int k = 0; k < LARSON_OBJECTS; k++)
			w[i].kept[k] = stamped(17 + below(&w[i].state, 984), (uint64_t)k);
	}
	for (long round = 0; round < n; round++) {
		for (long i = 0; i < m; i++)
			w[i].round = round;
		run_threads(m, bleed, w, sizeof(w[0]));
	}
	for (long i = 0; i < m; i++) {
		for (int k = 0; k < LARSON_OBJECTS; k++)
			w[i].sum += take(w[i].kept[k]);
		free(w[i].kept);
	}
	return sum_of(w, m);
}

/* The same by the operator delete that is told the size, where the malloc brings one. */
uint64_t kernel_larson_sized(long n, long m)
{
	free_with_size = (void (*)(void *, size_t))dlsym(RTLD_DEFAULT, "_ZdlPvm");
	if (free_with_size == NULL)
		free_with_size = free_without;
	return kernel_larson(n, m);
}

/* ---- leaks (the kind of mleak) ------------------------------------------------------------ */

/* Objects of all small sizes; every eighth is left to the threads that come after, which free
 * them; every 512th is never freed. */
static void *leave_behind(void *arg)
{
	struct worker *w = arg;
	void *mine[64] = {NULL};

	for (long i = 0; i < 2000; i++) {
		void *p = stamped(17 + below(&w->state, 1000), (uint64_t)i << 8 | (uint64_t)w->who);

		if (i % 512 == 511)
			w->sum += stamp_off(p);
		else if (i % 8 == 0)
			w->sum += take(atomic_exchange(&shared[below(&w->state, SHARED)], p));
		else {
			w->sum += take(mine[i % 64]);
			mine[i % 64] = p;
		}
	}
	for (int i = 0; i < 64; i++)
		w->sum += take(mine[i]);
	return NULL;
}

/* N threads, two at a time. */
uint64_t kernel_leaks(long n, long m)
{
	struct worker w[2] = {{.who = 0, .state = seed_of(m)}, {.who = 1, .state = seed_of(m + 1)}};

	for (long i = 0; i < n; i += 2)
		run_threads(2, leave_behind, w, sizeof(w[0]));
	return sum_of(w, 2) + empty_shared(1);
}
