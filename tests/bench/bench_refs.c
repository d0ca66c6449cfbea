/*
 * bench_refs: how long a mutator waits for its weak references, handles, roots and finalizers,
 * beside running cycles, when there are very many; and what a cycle costs then. `make bench-refs`.
 *
 *   bench_refs [N] [SECONDS]      N: of each kind (1000000 weak references, a tenth of the ranges
 *                                 and finalizers)
 *
 * One thread makes calls of each kind in turn and times each; the collector runs cycle after cycle
 * beside it. A call in which the scheduler took the CPU away says nothing of the collector: such
 * are counted apart. If it slept for a lock that is among the waits that the collector counts,
 * below.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "collector/cycle/gc_internal.h"

struct kind {
	const char *name;
	uint64_t calls, total; /* that kept the CPU, or where that is not known */
	uint64_t max, over;    /* of those: longest, and how many took more than 1 ms */
	uint64_t lost, lost_max;
};

enum {
	LOOP,
	WEAK_GET,
	WEAK_NEW,
	EPHEMERON_GET,
	HANDLE_NEW,
	HANDLE_SET,
	ROOT_ADD,
	ROOT_REMOVE,
	FINALIZER_SET,
	FINALIZER_CLEAR,
	KINDS
};
static struct kind kinds[KINDS] = {
	[LOOP] = {.name = "nothing"},
	[WEAK_GET] = {.name = "sm_weak_get"},
	[WEAK_NEW] = {.name = "sm_weak_new, free"},
	[EPHEMERON_GET] = {.name = "sm_ephemeron_get"},
	[HANDLE_NEW] = {.name = "sm_handle_new, free"},
	[HANDLE_SET] = {.name = "sm_handle_set"},
	[ROOT_ADD] = {.name = "sm_root_add"},
	[ROOT_REMOVE] = {.name = "sm_root_remove"},
	[FINALIZER_SET] = {.name = "sm_finalizer_set"},
	[FINALIZER_CLEAR] = {.name = "sm_finalizer_clear"},
};

static struct sm_gc *gc;
static struct sm_mutator *m;
static _Atomic(int) stop;
static _Atomic(uint64_t) cycles, cycle_ns, cycle_max_ns;

static void *collector(void *arg)
{
	while (!stop) {
		uint64_t t0 = sm__now_ns(), ns;

		sm_collect(gc, NULL);
		ns = sm__now_ns() - t0;
		cycles++;
		cycle_ns += ns;
		if (ns > cycle_max_ns)
			cycle_max_ns = ns;
	}
	return arg;
}

static void note(struct kind *k, uint64_t ns, enum sm_kept kept)
{
	if (kept == SM_KEPT_LOST) {
		k->lost++;
		k->lost_max = ns > k->lost_max ? ns : k->lost_max;
		return;
	}
	k->calls++;
	k->total += ns;
	k->over += ns > 1000000;
	k->max = ns > k->max ? ns : k->max;
}

#define TIMED(kind, call)                                                         \
	do {                                                                      \
		uint64_t watch_ = sm__preempted_begin(), t0_ = sm__now_ns(), ns_; \
                                                                                  \
		call;                                                             \
		ns_ = sm__now_ns() - t0_;                                         \
		note(&kinds[kind], ns_, sm__preempted_end(watch_));               \
	} while (0)

static void never(void *ctx, struct sm_mutator *fm, void *object)
{
	(void)ctx;
	(void)fm;
	(void)object;
}

static void must(bool ok, const char *what)
{
	if (!ok) {
		fprintf(stderr, "bench_refs: %s failed\n", what);
		exit(1);
	}
}

static void print(void)
{
	printf("%-22s %10s %8s %12s %8s %8s %12s\n", "", "calls", "mean ns", "longest us", "> 1 ms",
	       "CPU lost", "longest us");
	for (int k = 0; k < KINDS; k++) {
		const struct kind *s = &kinds[k];

		printf("%-22s %10llu %8.0f %12.1f %8llu %8llu %12.1f\n", s->name,
		       (unsigned long long)s->calls,
		       s->calls ? (double)s->total / (double)s->calls : 0, (double)s->max / 1e3,
		       (unsigned long long)s->over, (unsigned long long)s->lost,
		       (double)s->lost_max / 1e3);
	}
}

static void print_stalls(void)
{
	struct sm_gc_stalls s;

	sm_gc_stalls(gc, &s);
	printf("\n%-22s %12s %10s %12s %12s\n", "waits counted", "", "p99 us", "longest us",
	       "kept CPU us");
	for (int c = 0; c < SM_STALL_CAUSES; c++)
		printf("%-22s %12llu %10.1f %12.1f %12.1f\n", sm_stall_name((enum sm_stall_cause)c),
		       (unsigned long long)s.cause[c].count, (double)s.cause[c].p99_ns / 1e3,
		       (double)s.cause[c].max_ns / 1e3, (double)s.cause[c].kept_max_ns / 1e3);
	printf("\n%llu cycles, mean %.1f ms, longest %.1f ms\n", (unsigned long long)cycles,
	       (double)cycle_ns / (double)(cycles ? cycles : 1) / 1e6, (double)cycle_max_ns / 1e6);
}

struct many {
	size_t nweak, nrange;
	struct sm_weak **weak;
	struct sm_ephemeron **pair;
	struct sm_handle *handle;
	void **range; /* every other word is one */
	void **table; /* on the heap, held by handle */
};

static void make(struct many *y)
{
	const struct sm_type *node = sm_type_prefix(gc, 32, 1);
	void **table;

	y->weak = calloc(y->nweak, sizeof(*y->weak));
	y->pair = calloc(y->nweak, sizeof(*y->pair));
	y->range = calloc(y->nrange * 2 + 2, sizeof(*y->range));
	table = sm_new_array(m, sm_type_pointers(gc, 1), y->nweak);
	must(y->weak && y->pair && y->range && table, "memory");
	y->handle = sm_handle_new(m, table);
	for (size_t i = 0; i < y->nweak; i++) {
		void *o = sm_new(m, node);

		sm_store(m, &table[i], o);
		y->weak[i] = sm_weak_new(m, o);
		y->pair[i] = sm_ephemeron_new(m, o, o);
		must(y->weak[i] && y->pair[i], "sm_weak_new");
		if (i % 10 == 0)
			must(sm_finalizer_set(m, o, never, NULL, NULL) == 0, "sm_finalizer_set");
	}
	for (size_t i = 0; i < y->nrange; i++)
		must(sm_root_add(gc, &y->range[2 * i], 1) == 0, "sm_root_add");
}

static void use(struct many *y, uint64_t until)
{
	void **table = sm_handle_get(y->handle);
	uint64_t r = 88172645463325252u;

	while (sm__now_ns() < until) {
		size_t i;
		struct sm_weak *w = NULL;
		struct sm_handle *h = NULL;
		void *o = NULL;

		r ^= r << 13;
		r ^= r >> 7;
		r ^= r << 17;
		i = (size_t)(r % y->nweak);
		TIMED(LOOP, (void)0);
		TIMED(WEAK_GET, o = sm_weak_get(m, y->weak[i]));
		must(o == table[i], "sm_weak_get");
		TIMED(EPHEMERON_GET,
		      must(sm_ephemeron_get(m, y->pair[i]) == o, "sm_ephemeron_get"));
		TIMED(WEAK_NEW, (w = sm_weak_new(m, o), sm_weak_free(m, w)));
		TIMED(HANDLE_NEW, (h = sm_handle_new(m, o), sm_handle_free(m, h)));
		TIMED(HANDLE_SET, sm_handle_set(m, y->handle, table));
		TIMED(ROOT_ADD,
		      must(sm_root_add(gc, &y->range[2 * y->nrange], 1) == 0, "sm_root_add"));
		TIMED(ROOT_REMOVE,
		      must(sm_root_remove(gc, &y->range[2 * y->nrange]) == 0, "sm_root_remove"));
		o = table[i - i % 10];
		TIMED(FINALIZER_CLEAR, must(sm_finalizer_clear(m, o) == 0, "sm_finalizer_clear"));
		TIMED(FINALIZER_SET,
		      must(sm_finalizer_set(m, o, never, NULL, NULL) == 0, "sm_finalizer_set"));
		sm_safepoint(m);
	}
}

int main(int argc, char **argv)
{
	size_t n = argc > 1 ? strtoul(argv[1], NULL, 0) : 1000000;
	unsigned long seconds = argc > 2 ? strtoul(argv[2], NULL, 0) : 5;
	struct many y = {.nweak = n, .nrange = n / 10};
	struct sm_gc_config cfg;
	char err[200];
	pthread_t t;

	sm_gc_config_init(&cfg);
	gc = sm_gc_create(&cfg, err, sizeof(err));
	must(gc != NULL, err);
	m = sm_mutator_attach(gc);
	make(&y);
	sm_collect(gc, m);
	sm_gc_stalls_reset(gc);
	must(pthread_create(&t, NULL, collector, NULL) == 0, "pthread_create");
	use(&y, sm__now_ns() + seconds * 1000000000u);
	stop = 1;
	sm_blocking_enter(m);
	pthread_join(t, NULL);
	sm_blocking_leave(m);
	printf("%zu weak references and ephemerons, %zu root ranges, %zu finalizers; one thread "
	       "beside "
	       "cycles, %lu s\n\n",
	       y.nweak, y.nrange, n / 10, seconds);
	print();
	print_stalls();
	for (size_t i = 0; i < y.nrange; i++)
		sm_root_remove(gc, &y.range[2 * i]);
	sm_mutator_detach(m);
	sm_gc_destroy(gc);
	return 0;
}
