/*
 * Memory and waiting at scale, the same work on spanmark and on bdwgc (-DBDW); scale.go is its
 * like.
 *
 *   scale mutators THREADS LIVE_MIB OBJECTS     each thread replaces objects of its own table at
 *                                               random; then, beside them all, a collection
 *   scale sawtooth LIVE_MIB ROUNDS LAYOUTS      fill, drop three quarters, wait, fill with other
 *                                               sizes, ..
 *   scale strings STRINGS OPS                   new strings of two old ones, in a small table
 *
 * What follows are the collector's settings, KEY=VALUE. Prints "name value" lines. Memory is the
 * resident set, over the bytes that the program asked for and still holds.
 */
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

/* ---- the two collectors ------------------------------------------------------------------- */

#ifdef BDW
#define GC_THREADS
#include <gc/gc.h>
#include <gc/gc_typed.h>
typedef void *mut;
typedef size_t type;
static void gc_start(char **settings)
{
	(void)settings;
	GC_INIT();
}
/* pthread_create is theirs, and registers the thread. */
static mut enter(void)
{
	return NULL;
}
static void leave(mut m)
{
	(void)m;
}
static void blocked(mut m)
{
	(void)m;
}
static void unblocked(mut m)
{
	(void)m;
}
static type prefix(size_t bytes, size_t nptrs)
{
	(void)nptrs;
	return bytes;
}
#define NEW(m, t)      GC_MALLOC(t)
#define BYTES(m, n)    GC_MALLOC_ATOMIC(n)
#define STORE(m, s, v) (*(s) = (v))
#define COLLECT(m)     GC_gcollect()
#define TABLE(m, n)    GC_MALLOC((n) * sizeof(void *))
static void print_collector(void)
{
	printf("cycles %lu\n", (unsigned long)GC_get_gc_no());
}
static void print_memory(double live)
{
	(void)live;
}
#else
#if __has_include(<spanmark/gc.h>)
#include "spanmark/gc.h"
#else
#include "collector/gc.h"
#endif
typedef struct sm_mutator *mut;
typedef const struct sm_type *type;
static struct sm_gc *gc;
static void gc_start(char **settings)
{
	struct sm_gc_config cfg;
	char err[200];

	sm_gc_config_init(&cfg);
	for (; *settings; settings++) {
		char *eq = strchr(*settings, '=');

		if (eq == NULL)
			exit(2);
		*eq = '\0';
		if (sm_gc_config_set(&cfg, *settings, eq + 1, err, sizeof(err)) != 0) {
			fprintf(stderr, "%s\n", err);
			exit(2);
		}
	}
	gc = sm_gc_create(&cfg, err, sizeof(err));
	if (gc == NULL) {
		fprintf(stderr, "%s\n", err);
		exit(1);
	}
}
static mut enter(void)
{
	return sm_mutator_attach(gc);
}
static void leave(mut m)
{
	sm_mutator_detach(m);
}
static void blocked(mut m)
{
	sm_blocking_enter(m);
}
static void unblocked(mut m)
{
	sm_blocking_leave(m);
}
static type prefix(size_t bytes, size_t nptrs)
{
	return sm_type_prefix(gc, bytes, nptrs);
}
#define NEW(m, t)      sm_new(m, t)
#define BYTES(m, n)    sm_new_bytes(m, n)
#define STORE(m, s, v) sm_store(m, (void **)(s), v)
#define COLLECT(m)     sm_collect(gc, m)
#define TABLE(m, n)    sm_new(m, sm_type_pointers(gc, n))
/* What is held beside live bytes, by what for, over them. */
static void print_memory(double live)
{
	static struct sm_heap_stats s;

	sm_heap_stats(sm_gc_heap(gc), &s);
	printf("windows %.4f\n", (double)s.cached_bytes / live);
	printf("fragmentation %.4f\n",
	       (double)(s.in_use_bytes - s.slot_bytes - s.large_bytes) / live);
	printf("free_units %.4f\n", (double)s.free_bytes / live);
	printf("metadata %.4f\n", (double)(s.mapped_bytes - s.committed_bytes) / live);
}
static void print_collector(void)
{
	struct sm_gc_stats s;
	struct sm_gc_stalls w;

	sm_gc_stats(gc, &s);
	sm_gc_stalls(gc, &w);
	printf("cycles %u\n", s.cycles);
	printf("round_p50_us %.1f\nround_max_ms %.1f\n", (double)w.handshake_round.p50_ns / 1e3,
	       (double)w.handshake_round.max_ns / 1e6);
	printf("stall_total_s %.3f\nstall_max_ms %.1f\n", (double)w.all.total_ns / 1e9,
	       (double)w.all.max_ns / 1e6);
}
#endif

/* ---- figures ------------------------------------------------------------------------------ */

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static double cpu(void)
{
	struct rusage r;

	getrusage(RUSAGE_SELF, &r);
	return (double)(r.ru_utime.tv_sec + r.ru_stime.tv_sec) +
	       (double)(r.ru_utime.tv_usec + r.ru_stime.tv_usec) / 1e6;
}

static double kib_of(const char *key)
{
	FILE *f = fopen("/proc/self/status", "r");
	char line[160];
	double kib = 0;

	while (f && fgets(line, sizeof(line), f))
		if (strncmp(line, key, strlen(key)) == 0)
			kib = atof(line + strlen(key));
	if (f)
		fclose(f);
	return kib;
}

static uint64_t next(uint64_t *x)
{
	*x ^= *x << 13;
	*x ^= *x >> 7;
	*x ^= *x << 17;
	return *x;
}

static uint64_t sum(const size_t *a, size_t n)
{
	uint64_t s = 0;

	while (n--)
		s += a[n];
	return s;
}

/* ---- mutators ----------------------------------------------------------------------------- */

#define SIZES 4
static const size_t sizes[SIZES] = {32, 64, 128, 256};
static type types[SIZES];
static size_t slots, ops;
static pthread_barrier_t filled, ended; /* ended: the main thread, too */
static size_t live[1024];

static void *mutate(void *arg)
{
	size_t id = (size_t)arg;
	uint64_t x = 88172645463325252u + id * 7919;
	unsigned char *size = calloc(slots, 1);
	mut m = enter();
	void **table = TABLE(m, slots);

	for (size_t i = 0; i < slots + ops; i++) {
		size_t at = i < slots ? i : next(&x) % slots, s = next(&x) >> 40 & (SIZES - 1);
		void **p = NEW(m, types[s]);

		if (p == NULL) {
			printf("failed 1\n");
			exit(1);
		}
		STORE(m, p, (void *)table);
		p[2] = (void *)(i * 2 + 1);
		STORE(m, &table[at], p);
		size[at] = (unsigned char)s;
		if (i == slots) {
			blocked(m);
			pthread_barrier_wait(&filled);
			unblocked(m);
		}
	}
	for (size_t i = 0; i < slots; i++)
		live[id] += sizes[size[i]];
	blocked(m);
	pthread_barrier_wait(&ended);
	pthread_barrier_wait(&ended);
	unblocked(m);
	free(size);
	leave(m);
	return NULL;
}

/* Of a heap whose mutators are all there, each with its table and its windows. */
static void print_held(double live_kib)
{
	mut m = enter();

	COLLECT(m);
	printf("resident %.4f\n", kib_of("VmRSS:") / live_kib);
	print_memory(live_kib * 1024);
	leave(m);
}

static void mutators(size_t threads, size_t mib, size_t objects)
{
	pthread_t id[1024];
	double t, c, live_kib;

	for (size_t i = 0; i < SIZES; i++)
		types[i] = prefix(sizes[i], 2);
	slots = (mib << 20) / 120 / threads;
	ops = objects / threads;
	pthread_barrier_init(&filled, NULL, (unsigned)threads);
	pthread_barrier_init(&ended, NULL, (unsigned)threads + 1);
	t = now();
	c = cpu();
	for (size_t i = 0; i < threads; i++)
		pthread_create(&id[i], NULL, mutate, (void *)i);
	pthread_barrier_wait(&ended);
	t = now() - t;
	c = cpu() - c;
	live_kib = (double)(sum(live, threads) + threads * slots * 8) / 1024;
	printf("wall_s %.3f\ncpu_s %.3f\n", t, c);
	printf("cpu_ns_per_object %.1f\n", c * 1e9 / (double)(objects + threads * slots));
	printf("live_mib %.1f\npeak_mib %.1f\n", live_kib / 1024, kib_of("VmHWM:") / 1024);
	printf("peak_over_live %.2f\n", kib_of("VmHWM:") / live_kib);
	print_held(live_kib);
	pthread_barrier_wait(&ended);
	for (size_t i = 0; i < threads; i++)
		pthread_join(id[i], NULL);
}

/* ---- sawtooth ----------------------------------------------------------------------------- */

static void sawtooth(size_t mib, size_t rounds, size_t layouts)
{
	type t[256];
	size_t bytes[256];
	size_t nslots = (mib << 20) / 128, used, want = mib << 20;
	uint16_t *kind = calloc(nslots, sizeof(*kind));
	uint64_t x = 88172645463325252u;
	uint64_t have = 0;
	double begin = now(), c = cpu();
	mut m = enter();
	void **table = TABLE(m, nslots);

	/* 24 bytes to 3 KiB or so; neighbours differ in size by an eighth, in pointers by whatever.
	 */
	for (size_t i = 0; i < layouts; i++) {
		bytes[i] = i == 0 ? 24 : bytes[i - 1] + (bytes[i - 1] / 8 + 7) / 8 * 8;
		t[i] = prefix(bytes[i], 1 + i % 3);
	}
	used = 0;
	for (size_t r = 0; r < rounds; r++) {
		double kib;

		/* Full: sizes of a window of half of the layouts, that moves on by a quarter of
		 * them each round. */
		while (have < want) {
			size_t k = (next(&x) % (layouts / 2) + r * layouts / 4) % layouts;
			void **p = NEW(m, t[k]);

			if (p == NULL || used == nslots) {
				printf("failed 1\n");
				exit(1);
			}
			memset(p + 3, 1, bytes[k] - 3 * sizeof(void *));
			STORE(m, &table[used], p);
			kind[used++] = (uint16_t)k;
			have += bytes[k];
		}
		kib = kib_of("VmRSS:");
		printf("full_%zu %.2f\n", r, kib * 1024 / (double)have);
		/* Three quarters go: documents of a MiB, each of many objects. */
		uint64_t seen = 0;
		bool go = true;

		for (size_t i = 0, to = 0, n = used; i < n; i++) {
			void *p = table[i];

			if (seen >> 20 != (seen + bytes[kind[i]]) >> 20)
				go = (next(&x) >> 33 & 3) != 0;
			seen += bytes[kind[i]];
			if (go) {
				have -= bytes[kind[i]];
				used--;
			} else {
				kind[to] = kind[i];
				STORE(m, &table[to++], p);
			}
			if (i >= to)
				STORE(m, &table[i], NULL);
		}
		for (size_t i = used; i < nslots; i++)
			STORE(m, &table[i], NULL);
		COLLECT(m);
		printf("dropped_0s_%zu %.2f\n", r, kib_of("VmRSS:") * 1024 / (double)have);
		blocked(m);
		sleep(5);
		unblocked(m);
		printf("dropped_5s_%zu %.2f\n", r, kib_of("VmRSS:") * 1024 / (double)have);
	}
	printf("peak_mib %.1f\n", kib_of("VmHWM:") / 1024);
	printf("wall_s %.3f\ncpu_s %.3f\n", now() - begin - 5 * (double)rounds, cpu() - c);
	leave(m);
}

/* ---- strings ------------------------------------------------------------------------------ */

struct string {
	char *text;
	size_t length;
};

static void strings(size_t n, size_t count)
{
	uint64_t x = 88172645463325252u, check = 0;
	mut m = enter();
	type t = prefix(sizeof(struct string), 1);
	struct string **table = TABLE(m, n);
	double begin = now(), c = cpu();

	for (size_t i = 0; i < n + count; i++) {
		struct string *a = table[next(&x) % n],
			      *b = table[x >> 32 & 1 ? x % n : (x >> 16) % n], *s = NEW(m, t);
		size_t la = a ? a->length / 2 : 3, lb = b ? (b->length + 1) / 2 : 5;
		char *text = BYTES(m, la + lb + 1);

		la += next(&x) >> 50 & 3 && la + lb < 48 ? 0 : (size_t) - (la > 2);
		memset(text, 'a' + (int)(i % 26), la + lb);
		if (a)
			memcpy(text, a->text, la < a->length ? la : a->length);
		if (b)
			memcpy(text + la, b->text, lb < b->length ? lb : b->length);
		text[la + lb] = '\0';
		s->length = la + lb + (x >> 20 & 7 ? 0 : 0);
		STORE(m, (void **)&s->text, text);
		STORE(m, (void **)&table[i < n ? i : x % n], s);
		check += s->length;
	}
	printf("wall_s %.3f\ncpu_s %.3f\ncheck %lu\n", now() - begin, cpu() - c,
	       (unsigned long)check);
	printf("peak_mib %.1f\n", kib_of("VmHWM:") / 1024);
	leave(m);
}

int main(int argc, char **argv)
{
	size_t a = argc > 2 ? strtoul(argv[2], NULL, 0) : 0,
	       b = argc > 3 ? strtoul(argv[3], NULL, 0) : 0,
	       c = argc > 4 ? strtoul(argv[4], NULL, 0) : 0;
	const char *what = argc > 1 ? argv[1] : "";
	int n = strcmp(what, "strings") == 0 ? 4 : 5;

	if (argc < n || a == 0 || b == 0 || (n == 5 && c == 0) || (n == 5 && a > 1024)) {
		fprintf(stderr, "usage: scale mutators THREADS LIVE_MIB OBJECTS | sawtooth "
				"LIVE_MIB ROUNDS LAYOUTS |"
				" strings STRINGS OPS [KEY=VALUE ..]\n");
		return 2;
	}
	gc_start(argv + n);
	if (strcmp(what, "mutators") == 0)
		mutators(a, b, c);
	else if (strcmp(what, "sawtooth") == 0)
		sawtooth(a, b, c);
	else
		strings(a, b);
	print_collector();
	return 0;
}
