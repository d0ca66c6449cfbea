/*
 * What it costs a thread to attach and detach, beside bdwgc's GC_register_my_thread and
 * GC_unregister_my_thread.
 *
 *   bench_attach [ROUNDS]
 *
 * In rounds of PAIRS pairs, turn and turn about in one thread, by the thread's CPU time; the figure
 * is the median of the rounds. `births` makes a thread for each pair. Without libgc.so.1 ours
 * alone. Prints "name value unit" lines.
 */
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "spanmark/gc.h"

#define PAIRS  10000
#define BIRTHS 500

static struct sm_gc *gc;

/* Of gc.h, whose name is ours, too. */
static struct {
	void (*init)(void), (*allow)(void);
	int (*base)(void *), (*enter)(const void *), (*leave)(void);
} bdw;

static bool find_bdwgc(void)
{
	void *lib = dlopen("libgc.so.1", RTLD_NOW);

	if (lib == NULL)
		return false;
	*(void **)&bdw.init = dlsym(lib, "GC_init");
	*(void **)&bdw.allow = dlsym(lib, "GC_allow_register_threads");
	*(void **)&bdw.base = dlsym(lib, "GC_get_stack_base");
	*(void **)&bdw.enter = dlsym(lib, "GC_register_my_thread");
	*(void **)&bdw.leave = dlsym(lib, "GC_unregister_my_thread");
	if (!bdw.init || !bdw.allow || !bdw.base || !bdw.enter || !bdw.leave)
		return false;
	bdw.init();
	bdw.allow();
	return true;
}

static void ours(void)
{
	struct sm_mutator *m = sm_mutator_attach(gc);

	if (m == NULL)
		abort();
	sm_mutator_detach(m);
}

/* A thread looks its stack up once, as ours does. */
static void theirs(void)
{
	static __thread void *base[4];

	if ((base[0] == NULL && bdw.base(base) != 0) || bdw.enter(base) != 0 || bdw.leave() != 0)
		abort();
}

static void *once(void *pair)
{
	(*(void (**)(void))pair)();
	return NULL;
}

static double cpu_ns(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static double pairs(void (*pair)(void))
{
	double t0 = cpu_ns(CLOCK_THREAD_CPUTIME_ID);

	for (int i = 0; i < PAIRS; i++)
		pair();
	return (cpu_ns(CLOCK_THREAD_CPUTIME_ID) - t0) / PAIRS;
}

static double births(void (*pair)(void))
{
	double t0 = cpu_ns(CLOCK_PROCESS_CPUTIME_ID);

	for (int i = 0; i < BIRTHS; i++) {
		pthread_t t;

		if (pthread_create(&t, NULL, once, &pair) != 0 || pthread_join(t, NULL) != 0)
			abort();
	}
	return (cpu_ns(CLOCK_PROCESS_CPUTIME_ID) - t0) / BIRTHS;
}

static void nothing(void)
{
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static double median(double *v, int n)
{
	qsort(v, (size_t)n, sizeof(*v), by_value);
	return v[n / 2];
}

#define ROUNDS_MOST 1001
static int rounds;
static double figure[5][ROUNDS_MOST];

static void *measure(void *have)
{
	for (int r = 0; r < rounds; r++) {
		figure[0][r] = pairs(ours);
		figure[1][r] = have ? pairs(theirs) : 0;
		figure[2][r] = births(nothing);
		figure[3][r] = births(ours);
		figure[4][r] = have ? births(theirs) : 0;
	}
	return NULL;
}

int main(int argc, char **argv)
{
	static const char *const names[] = {"pair", "pair_bdwgc", "birth_nothing", "birth",
					    "birth_bdwgc"};
	struct sm_gc_config cfg;
	bool have = find_bdwgc();
	char err[200];
	pthread_t t;

	rounds = argc > 1 ? atoi(argv[1]) : 21;
	if (rounds < 1 || rounds > ROUNDS_MOST)
		rounds = 21;
	sm_gc_config_init(&cfg);
	gc = sm_gc_create(&cfg, err, sizeof(err));
	if (gc == NULL) {
		fprintf(stderr, "bench_attach: %s\n", err);
		return 1;
	}
	if (pthread_create(&t, NULL, measure, have ? &have : NULL) != 0)
		return 1;
	pthread_join(t, NULL);
	for (int i = 0; i < 5; i++) {
		if (have || (i != 1 && i != 4))
			printf("%s %.0f ns\n", names[i], median(figure[i], rounds));
	}
	if (have)
		printf("ratio %.2f times\n", figure[0][rounds / 2] / figure[1][rounds / 2]);
	sm_gc_destroy(gc);
	return 0;
}
