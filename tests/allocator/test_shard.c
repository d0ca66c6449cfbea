/* Lists of freed objects, apart by who gave them (depot_shard.c). */
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "allocator/objects/heap.h"
#include "spanmark/malloc.h"
#include "allocator/malloc/depot.h"
#include "allocator/malloc/malloc_fast.h"
#include "tests/support/run.h"
#include "tests/support/scale.h"
#include "tests/support/skip.h"

#define OBJECTS 60000 /* of 32 bytes: about 120 lists */
#define ROUNDS	20

static struct sm_malloc_stats stats(void)
{
	struct sm_malloc_stats st;

	sm_malloc_stats(&st);
	return st;
}

/* ---- own lists come back ------------------------------------------------------------------ */

static pthread_barrier_t in_step;

struct owner {
	uintptr_t *first, *now;
	size_t foreign;
};

static int by_address(const void *a, const void *b)
{
	uintptr_t x = *(const uintptr_t *)a, y = *(const uintptr_t *)b;

	return (x > y) - (x < y);
}

/* In step with others: the objects of all are free at the same time, then all allocate again. */
static void *own(void *arg)
{
	struct owner *o = arg;

	for (int round = 0; round < ROUNDS; round++) {
		uintptr_t *p = round ? o->now : o->first;

		for (int i = 0; i < OBJECTS; i++)
			p[i] = (uintptr_t)sm_malloc(32);
		if (round == 0)
			qsort(o->first, OBJECTS, sizeof(*p), by_address);
		for (int i = 0; round && i < OBJECTS; i++)
			o->foreign += !bsearch(&p[i], o->first, OBJECTS, sizeof(*p), by_address);
		pthread_barrier_wait(&in_step);
		for (int i = 0; i < OBJECTS; i++)
			sm_free((void *)p[i]);
		pthread_barrier_wait(&in_step);
	}
	return NULL;
}

/*
 * This thread and those it makes stay on the node with most CPUs: a thread that moves to another
 * node gets that node's memory, not its own objects. False when no node has two CPUs.
 */
static bool stay_on_one_node(void)
{
	const struct sm_heap_config *cfg = &sm_malloc_heap()->config;
	unsigned cpus[SM_MAX_NODES] = {0}, most = 0;
	cpu_set_t allowed, stay;

	ck_assert_int_eq(sched_getaffinity(0, sizeof(allowed), &allowed), 0);
	for (int c = 0; c < CPU_SETSIZE && c < SM_MAX_CPUS; c++)
		if (CPU_ISSET(c, &allowed) && ++cpus[cfg->cpu_node[c]] > cpus[most])
			most = cfg->cpu_node[c];
	CPU_ZERO(&stay);
	for (int c = 0; c < CPU_SETSIZE && c < SM_MAX_CPUS; c++)
		if (CPU_ISSET(c, &allowed) && cfg->cpu_node[c] == most)
			CPU_SET(c, &stay);
	ck_assert_int_eq(sched_setaffinity(0, sizeof(stay), &stay), 0);
	return cpus[most] >= 2;
}

START_TEST(threads_get_their_own_objects_back)
{
	struct owner o[2];
	pthread_t t[2];
	uintptr_t *live = calloc(4 * OBJECTS, sizeof(*live));

	ck_assert_ptr_nonnull(sm_malloc_heap());
	if (sm__process_heap.nshards < 2 || !stay_on_one_node()) {
		SM_SKIP("one shard");
	}
	/* So that the depot may keep all that the two free. */
	for (int i = 0; i < 4 * OBJECTS; i++)
		live[i] = (uintptr_t)sm_malloc(32);
	pthread_barrier_init(&in_step, NULL, 2);
	for (int i = 0; i < 2; i++) {
		o[i] = (struct owner){.first = calloc(OBJECTS, 8), .now = calloc(OBJECTS, 8)};
		ck_assert_int_eq(pthread_create(&t[i], NULL, own, &o[i]), 0);
	}
	for (int i = 0; i < 2; i++)
		pthread_join(t[i], NULL);
	/* In one heap of lists about half would be the other's. The last window and list may be. */
	for (int i = 0; i < 2; i++)
		ck_assert_uint_lt(o[i].foreign, OBJECTS * (ROUNDS - 1) / 10);
	ck_assert_uint_eq(sm_heap_check(sm_malloc_heap()), 0);
	for (int i = 0; i < 4 * OBJECTS; i++)
		sm_free((void *)live[i]);
	free(live);
}
END_TEST

/* ---- own lists first ---------------------------------------------------------------------- */

#define MINE 20000 /* of 64 bytes: about 80 lists */

static uintptr_t objects[6 * MINE];

static void *free_theirs(void *arg)
{
	for (int i = 0; i < MINE; i++)
		sm_free((void *)objects[i]);
	return arg;
}

static int from(const uintptr_t *set, uintptr_t p)
{
	return bsearch(&p, set, MINE, sizeof(p), by_address) != NULL;
}

/*
 * Another thread has freed as many objects as this one, and takes none: a surplus that is ours to
 * take. It comes after what this thread freed itself, to the last object.
 */
START_TEST(a_surplus_of_others_comes_after_own_lists)
{
	uintptr_t *theirs = objects, *mine = objects + MINE;
	int foreign = 0, taken = 0;
	pthread_t t;

	ck_assert_ptr_nonnull(sm_malloc_heap());
	if (sm__process_heap.nshards < 2 || !stay_on_one_node()) {
		SM_SKIP("one shard");
	}
	/* Two thirds stay, so that the depot may keep the rest. */
	for (int i = 0; i < 6 * MINE; i++)
		objects[i] = (uintptr_t)sm_malloc(64);
	qsort(theirs, MINE, sizeof(*theirs), by_address);
	qsort(mine, MINE, sizeof(*mine), by_address);
	ck_assert_int_eq(pthread_create(&t, NULL, free_theirs, NULL), 0);
	pthread_join(t, NULL);
	for (int i = 0; i < MINE; i++)
		sm_free((void *)mine[i]);
	for (int i = 0; i < MINE; i++)
		foreign += from(theirs, (uintptr_t)sm_malloc(64));
	for (int i = 0; i < MINE; i++)
		taken += from(theirs, (uintptr_t)sm_malloc(64));
	ck_assert_int_eq(foreign, 0);
	/* It was there to be taken. */
	ck_assert_int_gt(taken, MINE / 2);
}
END_TEST

/* ---- what others free comes back too ------------------------------------------------------ */

#define BATCH 4000

static void *batch[BATCH];
static int handed;

static void *consume(void *arg)
{
	for (int round = 0; round < handed; round++) {
		pthread_barrier_wait(&in_step);
		for (int i = 0; i < BATCH; i++)
			sm_free(batch[i]);
		pthread_barrier_wait(&in_step);
	}
	return arg;
}

START_TEST(what_another_thread_frees_is_used_again)
{
	struct sm_pageheap_stats before, after;
	pthread_t t;

	ck_assert_ptr_nonnull(sm_malloc_heap());
	(void)stay_on_one_node(); /* each node would have lists and windows of its own */
	handed = 100 + (int)sm_test_scaled(900);
	pthread_barrier_init(&in_step, NULL, 2);
	ck_assert_int_eq(pthread_create(&t, NULL, consume, NULL), 0);
	for (int round = 0; round < handed; round++) {
		for (int i = 0; i < BATCH; i++)
			/* an assertion writes to a pipe each time */
			if ((batch[i] = sm_malloc(64)) == NULL)
				ck_abort_msg("round %d: no memory", round);
		if (round == 50)
			sm__malloc_pageheap(&before);
		pthread_barrier_wait(&in_step);
		pthread_barrier_wait(&in_step);
	}
	pthread_join(t, NULL);
	/* 50 rounds or many more of 256 KB went through since: not a quarter of a round's memory
	 * more than then. */
	sm__malloc_pageheap(&after);
	ck_assert_uint_le(after.in_use_bytes, before.in_use_bytes + BATCH * 64 / 4);
	ck_assert_uint_eq(sm_heap_check(sm_malloc_heap()), 0);
}
END_TEST

/* ---- bounds, identities, exit, fork ------------------------------------------------------- */

static void *storm(void *arg)
{
	unsigned seed = (unsigned)(uintptr_t)arg;
	static _Atomic(void *) shared[512]; /* threads free each other's */

	for (int i = 0, n = (int)sm_test_scaled(300000); i < n; i++) {
		void *p = sm_malloc(16 + (unsigned)rand_r(&seed) % 200);

		sm_free(sm_exchange_acqrel(&shared[rand_r(&seed) % 512], p));
		if (i % 50000 == 49999)
			sm_malloc_trim();
	}
	for (int i = 0; i < 512; i++)
		sm_free(sm_exchange_acqrel(&shared[i], NULL));
	return NULL;
}

static void run_storm(void)
{
	pthread_t t[8];

	for (uintptr_t i = 0; i < 8; i++)
		ck_assert_int_eq(pthread_create(&t[i], NULL, storm, (void *)(i + 1)), 0);
	for (int i = 0; i < 8; i++)
		pthread_join(t[i], NULL);
}

START_TEST(a_storm_leaves_every_identity)
{
	run_storm();
	ck_assert_uint_eq(sm_heap_check(sm_malloc_heap()), 0);
	ck_assert_ptr_null(sm__shard_check());
	/* A wrong figure is found. */
	sm_fetch_add_relaxed(&sm__depot_of(0, 4)->credit, 1);
	ck_assert_ptr_nonnull(sm__shard_check());
	sm_fetch_sub_relaxed(&sm__depot_of(0, 4)->credit, 1);
	sm_malloc_trim();
	ck_assert_uint_eq(stats().depot_bytes, 0);
	ck_assert_uint_eq(sm_heap_check(sm_malloc_heap()), 0);
}
END_TEST

#define EACH 512 /* bytes: some dozens in a span */

/* Frees what it is given by address, but of each two spans in turns. */
static void *free_in_turns(void *arg)
{
	uintptr_t *p = arg;
	const struct sm_span *s = sm_span_of(&sm_malloc_heap()->pages.range, p[OBJECTS / 2]);
	int each = s->nslots;

	for (int from = 0; from < OBJECTS; from += 2 * each)
		for (int k = 0; k < each; k++)
			for (int at = from + k; at <= from + each + k; at += each)
				if (at < OBJECTS)
					sm_free((void *)p[at]);
	return NULL;
}

/* Behind an object a list has one of the next span in memory, and then one of the first again. */
START_TEST(a_list_goes_to_and_fro_between_two_spans)
{
	static uintptr_t p[OBJECTS];
	size_t close = 0;
	pthread_t t;

	for (int i = 0; i < OBJECTS; i++)
		p[i] = (uintptr_t)sm_malloc(EACH);
	qsort(p, OBJECTS, sizeof(*p), by_address);
	for (int i = 1; i < OBJECTS; i++)
		close += p[i] - p[i - 1] < 2 * (size_t)EACH;
	ck_assert_uint_gt(close, OBJECTS / 2); /* or no span has a neighbour */
	ck_assert_int_eq(pthread_create(&t, NULL, free_in_turns, p), 0);
	pthread_join(t, NULL);
	ck_assert_uint_eq(sm_heap_check(sm_malloc_heap()), 0);
	sm_malloc_trim();
	ck_assert_uint_eq(stats().depot_bytes, 0);
	ck_assert_uint_eq(sm_heap_check(sm_malloc_heap()), 0);
}
END_TEST

static void *fill_and_empty(void *arg)
{
	void **p = arg;

	for (int i = 0; i < OBJECTS; i++)
		p[i] = sm_malloc(512);
	for (int i = 0; i < OBJECTS; i++)
		sm_free(p[i]);
	return NULL;
}

START_TEST(a_depot_keeps_at_most_half_of_a_class)
{
	void **p = calloc(OBJECTS, sizeof(*p));
	pthread_t t;

	(void)stay_on_one_node(); /* a depot is a node's, and so is its bound */
	for (int i = 0; i < 4; i++) {
		ck_assert_int_eq(pthread_create(&t, NULL, fill_and_empty, p), 0);
		pthread_join(t, NULL);
	}
	/* Lists keep spans alive: half of the most there was, and a few lists. */
	ck_assert_uint_gt(stats().depot_bytes, 0);
	ck_assert_uint_le(stats().depot_bytes, OBJECTS * 512 / 2 + 8 * 16 * SM_KIB);
	ck_assert_uint_eq(sm_heap_check(sm_malloc_heap()), 0);
	free(p);
}
END_TEST

/* Of a peak that was freed, the depots keep what all of them may and no class's share of it. */
START_TEST(depots_shrink_with_what_is_in_use)
{
	static const size_t sizes[] = {256, 512, 1024};
	enum { BYTES = 24 << 20 };
	void **p = calloc(BYTES / 256, sizeof(*p));

	(void)stay_on_one_node();
	for (unsigned k = 0; k < 3; k++) {
		size_t n = BYTES / sizes[k];

		for (size_t i = 0; i < n; i++)
			p[i] = sm_malloc(sizes[k]);
		for (size_t i = 0; i < n; i++)
			sm_free(p[i]);
		ck_assert_uint_gt(stats().depot_bytes, 0);
		ck_assert_uint_le(stats().depot_bytes, (4 << 20) + (3 * 4 * 16 << 10));
		ck_assert_ptr_null(sm__shard_check());
	}
	ck_assert_uint_eq(sm_heap_check(sm_malloc_heap()), 0);
	free(p);
}
END_TEST

/* While much is in use, the depots keep an eighth of what is out beyond what a little heap may. */
START_TEST(depots_keep_an_eighth_of_what_is_out)
{
	enum { BYTES = 64 << 20, SIZE = 512, N = BYTES / SIZE };
	void **p = calloc(N, sizeof(*p));

	(void)stay_on_one_node();
	for (int i = 0; i < N; i++)
		p[i] = sm_malloc(SIZE);
	for (int i = 0; i < N; i += 2)
		sm_free(p[i]);
	ck_assert_uint_gt(stats().depot_bytes, (4 << 20) - (16 << 10));
	ck_assert_uint_le(stats().depot_bytes, BYTES / 2 / 7 + (4 * 16 << 10));
	for (int i = 1; i < N; i += 2)
		sm_free(p[i]);
	ck_assert_uint_eq(sm_heap_check(sm_malloc_heap()), 0);
	free(p);
}
END_TEST

/* ---- what lists start with ---------------------------------------------------------------- */

static void *first_of_many(void *arg)
{
	unsigned *start = arg;

	sm_free(sm_malloc(64));
	*start = sm__mcache->start;
	pthread_barrier_wait(&in_step);
	pthread_barrier_wait(&in_step);
	return NULL;
}

/* All that are there at the same time; the last of them first. */
START_TEST(lists_start_shorter_where_there_are_more_threads)
{
	static const struct {
		unsigned threads, start;
	} want[] = {{1, 4096}, {7, 4096}, {15, 2048}, {31, 1024}, {63, 512}, {100, 512}};
	unsigned n = want[_i].threads, least = 4096, start[100];
	pthread_t t[100];

	sm_free(sm_malloc(64));
	ck_assert_uint_eq(sm__mcache->start, 4096);
	pthread_barrier_init(&in_step, NULL, n + 1);
	for (unsigned i = 0; i < n; i++)
		ck_assert_int_eq(pthread_create(&t[i], NULL, first_of_many, &start[i]), 0);
	pthread_barrier_wait(&in_step);
	for (unsigned i = 0; i < n; i++)
		least = start[i] < least ? start[i] : least;
	ck_assert_uint_eq(least, want[_i].start);
	pthread_barrier_wait(&in_step);
	for (unsigned i = 0; i < n; i++)
		pthread_join(t[i], NULL);
	ck_assert_uint_eq(sm_heap_check(sm_malloc_heap()), 0);
}
END_TEST

static void *give_for_ever(void *arg)
{
	_Atomic(bool) *stop = arg;
	static __thread void *p[4096];

	while (!sm_load_relaxed(stop)) {
		for (int i = 0; i < 4096; i++)
			p[i] = sm_malloc(64);
		for (int i = 0; i < 4096; i++)
			sm_free(p[i]);
	}
	return NULL;
}

START_TEST(a_child_finds_every_shard_whole)
{
	_Atomic(bool) stop = false;
	pthread_t t[3];

	/* A fork while another thread makes the heap is not what this is about. */
	ck_assert_ptr_nonnull(sm_malloc_heap());
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(pthread_create(&t[i], NULL, give_for_ever, &stop), 0);
	for (int i = 0; i < 30; i++) {
		int status;
		pid_t pid = fork();

		if (pid == 0) {
			void *p[2000];

			if (sm__shard_check() != NULL)
				_exit(1);
			for (int k = 0; k < 2000; k++)
				p[k] = sm_malloc(64);
			for (int k = 0; k < 2000; k++)
				sm_free(p[k]);
			_exit(sm__shard_check() == NULL ? 0 : 2);
		}
		ck_assert_int_eq(waitpid(pid, &status, 0), pid);
		ck_assert(WIFEXITED(status));
		ck_assert_int_eq(WEXITSTATUS(status), 0);
	}
	sm_store_relaxed(&stop, true);
	for (int i = 0; i < 3; i++)
		pthread_join(t[i], NULL);
}
END_TEST

/* ---- what the depot has no place for ------------------------------------------------------ */

#define LIST 64

/* The list that was filled last is drained, for it is in the CPU's cache: the spare one, which is
 * not, stays. */
START_TEST(of_two_lists_the_warm_one_goes_back_to_spans)
{
	char *p[2 * LIST + 1], err[200];
	unsigned ours = 0;

	ck_assert_int_eq(sm_malloc_configure("malloc.depot", "0k", err, sizeof(err)), 0);
	ck_assert_int_eq(sm_malloc_configure("cache.slots", "64", err, sizeof(err)), 0);
	for (unsigned i = 0; i < 2 * LIST + 1; i++)
		p[i] = sm_malloc(64);
	if (sm__process_heap.nnodes > 1) {
		SM_SKIP("a list is sorted by nodes first");
	}
	/* With the last one the second list is full, and nobody has a place for it. */
	for (unsigned i = 0; i < 2 * LIST + 1; i++)
		sm_free(p[i]);
	ck_assert_ptr_eq(sm_malloc(64), p[2 * LIST]);
	for (unsigned i = 0; i < LIST; i++) {
		void *q = sm_malloc(64);

		for (unsigned k = 0; k < LIST; k++)
			ours += q == p[k];
	}
	ck_assert_uint_eq(ours, LIST);
	ck_assert_uint_eq(sm_heap_check(sm_malloc_heap()), 0);
}
END_TEST

/* Of a short list all objects are still in the CPU's cache when it goes back to spans. It is long
 * again when it is of use. */
START_TEST(a_list_that_goes_back_to_spans_gets_shorter)
{
	enum { N = 20000 };
	static void *p[N];
	unsigned cls = sm__malloc_class_of(64);
	const struct sm_mclass *m;
	char err[200];

	ck_assert_int_eq(sm_malloc_configure("malloc.depot", "0k", err, sizeof(err)), 0);
	for (unsigned i = 0; i < N; i++)
		p[i] = sm_malloc(64);
	if (sm__process_heap.nnodes > 1) {
		SM_SKIP("a list is sorted by nodes first");
	}
	m = &sm__mcache->cold[cls];
	for (unsigned i = 0; i < N; i++)
		sm_free(p[i]);
	ck_assert_uint_eq(m->limit, m->most / 4);
	for (unsigned i = 0; i < N; i++)
		p[i] = sm_malloc(64);
	for (unsigned i = 0; i < 4 * m->most; i++)
		sm_free(p[i]);
	ck_assert_uint_ge(m->limit, m->most / 2);
	ck_assert_uint_eq(sm_heap_check(sm_malloc_heap()), 0);
}
END_TEST

int main(void)
{
	return SM_SUITE(
		"shard", 60, SM_T(threads_get_their_own_objects_back),
		SM_T(a_surplus_of_others_comes_after_own_lists),
		SM_T(what_another_thread_frees_is_used_again), SM_T(a_storm_leaves_every_identity),
		SM_T(a_list_goes_to_and_fro_between_two_spans),
		SM_T(a_depot_keeps_at_most_half_of_a_class),
		SM_T(depots_keep_an_eighth_of_what_is_out), SM_T(depots_shrink_with_what_is_in_use),
		SM_LOOP(lists_start_shorter_where_there_are_more_threads, 0, 6),
		SM_T(a_child_finds_every_shard_whole),
		SM_T(of_two_lists_the_warm_one_goes_back_to_spans),
		SM_T(a_list_that_goes_back_to_spans_gets_shorter));
}
