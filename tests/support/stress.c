#include "tests/support/stress.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tests/support/tally.h"

static uint64_t the_seed;
static const char *the_name = "?";
static struct timespec started;

double sm_stress_elapsed(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)(now.tv_sec - started.tv_sec) +
	       (double)(now.tv_nsec - started.tv_nsec) * 1e-9;
}

_Noreturn void sm_test__failed(const char *file, int line, const char *cond, const char *fmt, ...)
{
	va_list ap;

	fprintf(stderr, "%s:%d: failed: %s", file, line, cond);
	if (fmt[1]) {
		fprintf(stderr, ":");
		va_start(ap, fmt);
		vfprintf(stderr, fmt, ap);
		va_end(ap);
	}
	fprintf(stderr, "\nreplay with SM_TEST_SEED=%llu (%s, after %.2f s)\n",
		(unsigned long long)the_seed, the_name, sm_stress_elapsed());
	fflush(NULL);
	abort();
}

void sm_rng_seed(struct sm_rng *r, uint64_t seed, uint64_t stream)
{
	/* splitmix64 of both, so that neighbouring streams have nothing in common. */
	uint64_t z = seed + (stream + 1) * 0x9e3779b97f4a7c15ull;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
	r->s = (z ^ (z >> 31)) | 1;
}

void sm_stress_begin(struct sm_stress *s, const char *name, double seconds)
{
	const char *seed = getenv("SM_TEST_SEED"), *secs = getenv("SM_TEST_SECONDS"),
		   *large = getenv("SM_TEST_LONG");

	clock_gettime(CLOCK_MONOTONIC, &started);
	s->name = the_name = name;
	s->seed = seed ? strtoull(seed, NULL, 0)
		       : (uint64_t)started.tv_nsec * 1000003u + (uint64_t)started.tv_sec;
	the_seed = s->seed;
	s->seconds = secs ? strtod(secs, NULL) : seconds;
	s->large = large && strcmp(large, "0") != 0;
	/* Sanitizers cost a factor: the same time limit, fewer steps. */
	setvbuf(stdout, NULL, _IOLBF, 0);
	printf("%s: SM_TEST_SEED=%llu SM_TEST_SECONDS=%g\n", name, (unsigned long long)s->seed,
	       s->seconds);
}

bool sm_stress_before(double seconds)
{
	return sm_stress_elapsed() < seconds;
}

bool sm_stress_goes_on(const struct sm_stress *s)
{
	return sm_stress_elapsed() < s->seconds;
}

void sm_stress_set(struct sm_gc_config *cfg, const char *keys)
{
	char *copy = strdup(keys), *save = NULL, err[256];

	for (char *item = strtok_r(copy, ",", &save); item; item = strtok_r(NULL, ",", &save)) {
		char *eq = strchr(item, '=');

		SM_MUST(eq != NULL, "'%s' is not KEY=VALUE", item);
		*eq = 0;
		SM_MUST(sm_gc_config_set(cfg, item, eq + 1, err, sizeof(err)) == 0, "%s=%s: %s",
			item, eq + 1, err);
	}
	free(copy);
}

struct sm_gc *sm_stress_gc(const struct sm_stress *s, bool vary, const char *keys)
{
	static const char *const variants[] = {
		"",
		"gc.barrier_buffer=2,gc.packet=2",
		"gc.barrier_buffer=2,gc.delay_us=200",
		"gc.packet=2,gc.mark_stack=4k,gc.workers=2",
		"gc.workers=2,gc.delay_us=50,cache.window=1k",
		"debug.fill=1,gc.barrier_buffer=4",
		"pageheap=bitmap,gc.packet=4",
		"gc.mark=spans,gc.workers=2,gc.delay_us=50",
		"gc.mark=spans,gc.packet=2,gc.mark_stack=4k,gc.barrier_buffer=2",
		"gc.mark=spans,gc.dense=0,gc.span_ahead=0,gc.fifo=0,cache.window=1k",
	};
	struct sm_gc_config cfg;
	struct sm_rng r;
	struct sm_gc *gc;
	char err[256];
	const char *env = getenv("SM_TEST_CONFIG");
	const char *variant = "";

	sm_rng_seed(&r, s->seed, 77777);
	sm_gc_config_init(&cfg);
	sm_stress_set(&cfg, "gc.verify=1,gc.min_heap=256k,gc.room=1,heap.reserve=4g,gc.workers=1");
	if (vary)
		variant = variants[sm_rng_below(&r, sizeof(variants) / sizeof(variants[0]))];
	sm_stress_set(&cfg, variant);
	if (keys)
		sm_stress_set(&cfg, keys);
	if (env)
		sm_stress_set(&cfg, env);
	if (*variant)
		printf("  configuration: %s%s%s\n", variant, env ? " and " : "", env ? env : "");
	gc = sm_gc_create(&cfg, err, sizeof(err));
	SM_MUST(gc != NULL, "no collector: %s", err);
	return gc;
}

void sm_stress_end(struct sm_gc *gc)
{
	struct sm_gc_stats st;

	SM_MUST(sm_collect(gc, NULL) == 0);
	sm_gc_stats(gc, &st);
	SM_MUST(st.verify_errors == 0, "the verifier found %llu differences",
		(unsigned long long)st.verify_errors);
	SM_MUST(sm_heap_check(sm_gc_heap(gc)) == 0);
	printf("  %u cycles, last marked %llu objects, longest stall %.3f ms, %.2f s\n", st.cycles,
	       (unsigned long long)st.last_marked_objects, (double)st.stall_max_ns * 1e-6,
	       sm_stress_elapsed());
	tally_end(the_name, the_seed, &st);
	sm_gc_destroy(gc);
}

pthread_t sm_stress_thread(void *(*fn)(void *), void *arg)
{
	pthread_t t;
	int err = pthread_create(&t, NULL, fn, arg);

	SM_MUST(err == 0, "pthread_create: %s", strerror(err));
	return t;
}

void sm_stress_threads(struct sm_mutator *m, unsigned n, void *(*fn)(void *), void **args)
{
	pthread_t *t = calloc(n, sizeof(*t));

	for (unsigned i = 0; i < n; i++)
		t[i] = sm_stress_thread(fn, args[i]);
	if (m)
		sm_blocking_enter(m);
	for (unsigned i = 0; i < n; i++)
		pthread_join(t[i], NULL);
	if (m)
		sm_blocking_leave(m);
	free(t);
}

static void *collect(void *arg)
{
	struct sm_stress_collector *c = arg;

	while (!sm_load_relaxed(&c->stop))
		SM_MUST(sm_collect(c->gc, NULL) == 0);
	return NULL;
}

void sm_stress_collector_start(struct sm_stress_collector *c, struct sm_gc *gc)
{
	c->gc = gc;
	sm_store_relaxed(&c->stop, 0);
	c->thread = sm_stress_thread(collect, c);
}

void sm_stress_collector_stop(struct sm_stress_collector *c, struct sm_mutator *m)
{
	sm_store_relaxed(&c->stop, 1);
	sm_blocking_enter(m);
	pthread_join(c->thread, NULL);
	sm_blocking_leave(m);
}

void sm_stress_beside_collector(struct sm_gc *gc, struct sm_mutator *m, unsigned n,
				void *(*fn)(void *), void *shared)
{
	struct sm_stress_worker *w = calloc(n, sizeof(*w));
	void **args = calloc(n, sizeof(*args));
	struct sm_stress_collector c;

	SM_MUST(w && args);
	for (unsigned i = 0; i < n; i++) {
		w[i] = (struct sm_stress_worker){.shared = shared, .index = i};
		args[i] = &w[i];
	}
	sm_stress_collector_start(&c, gc);
	sm_stress_threads(m, n, fn, args);
	sm_stress_collector_stop(&c, m);
	free(w);
	free(args);
}

__attribute__((noinline)) void sm_stress_scrub_stack(void)
{
	volatile char junk[4096];

	for (size_t i = 0; i < sizeof(junk); i++)
		junk[i] = 0;
}
