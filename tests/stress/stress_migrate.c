/*
 * stress_migrate: caches per CPU (cache.mode=cpu) under threads that are moved from CPU to CPU
 * while they allocate and free. A mover pins each thread to another CPU over and over, wherever
 * that thread just is, so restartable sections are cut off at any of their instructions; threads
 * hop by themselves too, and hand blocks over to each other. Every block is written full with its
 * owner's word and looked at before it goes: a slot handed out twice, or lost, shows.
 *
 *   stress_migrate [malloc|gc]     both, without a name
 */
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "spanmark/malloc.h"
#include "allocator/malloc/cpu_cache.h"
#include "allocator/malloc/malloc_fast.h"
#include "tests/support/stress.h"

#define MAX_THREADS 16
#define HELD	    200
#define BOXES	    64
#define OPS_A_HOP   64

static struct sm_stress stress;
static unsigned cpus[SM_MAX_CPUS], ncpus;

struct thread {
	unsigned index;
	_Atomic(int) tid;
	uint64_t ops;
	uint64_t elsewhere; /* looks at the CPU that found it on another than the time before */
};
static struct thread threads[MAX_THREADS];
static unsigned nthreads;
static _Atomic(unsigned) done;

static void find_cpus(void)
{
	cpu_set_t set;

	SM_MUST(sched_getaffinity(0, sizeof(set), &set) == 0);
	for (unsigned c = 0; c < CPU_SETSIZE && c < SM_MAX_CPUS; c++)
		if (CPU_ISSET(c, &set))
			cpus[ncpus++] = c;
	nthreads = ncpus * 2 < 4 ? 4 : ncpus * 2 > MAX_THREADS ? MAX_THREADS : ncpus * 2;
}

static void move(int tid, struct sm_rng *r)
{
	cpu_set_t one;

	CPU_ZERO(&one);
	CPU_SET(cpus[sm_rng_below(r, ncpus)], &one);
	/* A CPU that went offline refuses; a thread that has ended is no more there. */
	(void)sched_setaffinity(tid, sizeof(one), &one);
}

/* Moves the threads that are there until all have ended. */
static void *mover(void *arg)
{
	struct sm_rng r;

	sm_rng_seed(&r, stress.seed, 1000);
	while (sm_load_acquire(&done) < nthreads) {
		int tid = sm_load_relaxed(&threads[sm_rng_below(&r, nthreads)].tid);

		if (tid != 0)
			move(tid, &r);
		usleep(20);
	}
	return arg;
}

static void begin(struct thread *t)
{
	sm_store_relaxed(&t->tid, (int)syscall(SYS_gettid));
}

static void end(struct thread *t)
{
	sm_store_relaxed(&t->tid, 0);
	sm_fetch_add_acqrel(&done, 1);
}

/* Every so many operations: note where we are, and now and then go elsewhere by ourselves. */
static void hop(struct thread *t, struct sm_rng *r, int *cpu)
{
	int now = sched_getcpu();

	t->elsewhere += now != *cpu;
	*cpu = now;
	if (sm_rng_below(r, 4) == 0)
		move(0, r);
}

static void run_all(void *(*fn)(void *))
{
	void *args[MAX_THREADS];
	uint64_t ops = 0, elsewhere = 0;
	pthread_t moving;

	for (unsigned i = 0; i < nthreads; i++) {
		threads[i] = (struct thread){.index = i};
		args[i] = &threads[i];
	}
	moving = sm_stress_thread(mover, NULL);
	sm_stress_threads(NULL, nthreads, fn, args);
	pthread_join(moving, NULL);
	for (unsigned i = 0; i < nthreads; i++) {
		ops += threads[i].ops;
		elsewhere += threads[i].elsewhere;
	}
	printf("  %u threads on %u CPUs: %llu operations, found on another CPU %llu times\n",
	       nthreads, ncpus, (unsigned long long)ops, (unsigned long long)elsewhere);
	SM_MUST(ncpus == 1 || elsewhere > 0, "no thread was ever moved");
}

/* ---- explicit free ------------------------------------------------------------------------ */

struct block {
	uint64_t *words;
	size_t n;
	uint64_t stamp;
};
static _Atomic(void *) boxes[BOXES]; /* struct block, made by malloc too: frees across threads */

static void take(struct block *b, size_t n, uint64_t stamp)
{
	*b = (struct block){sm_malloc(n * 8), n, stamp};
	SM_MUST(b->words != NULL);
	for (size_t i = 0; i < n; i++)
		b->words[i] = stamp + i;
}

static void give(struct block *b)
{
	for (size_t i = 0; i < b->n; i++)
		SM_MUST(b->words[i] == b->stamp + i, "word %zu of %zu of a block is another's", i,
			b->n);
	sm_free(b->words);
	b->words = NULL;
}

/* Leaves the block for the next thread, and frees what lay there. */
static void post(struct block *b, struct sm_rng *r)
{
	struct block *letter = sm_malloc(sizeof(*letter)), *old;

	SM_MUST(letter != NULL);
	*letter = *b;
	b->words = NULL;
	old = sm_exchange_acqrel(&boxes[sm_rng_below(r, BOXES)], letter);
	if (old == NULL)
		return;
	give(old);
	sm_free(old);
}

static void *allocate_and_free(void *arg)
{
	struct thread *t = arg;
	struct block held[HELD] = {{0}};
	struct sm_rng r;
	int cpu = -1;

	begin(t);
	sm_rng_seed(&r, stress.seed, t->index);
	for (;;) {
		struct block *b = &held[sm_rng_below(&r, HELD)];

		if (b->words == NULL)
			take(b, 1 + sm_rng_below(&r, t->ops % 50 ? 40 : 700), sm_rng_next(&r));
		else if (sm_rng_below(&r, 16) == 0)
			post(b, &r);
		else
			give(b);
		if (++t->ops % OPS_A_HOP == 0) {
			hop(t, &r, &cpu);
			if (!sm_stress_goes_on(&stress))
				break;
		}
	}
	for (unsigned i = 0; i < HELD; i++)
		if (held[i].words)
			give(&held[i]);
	end(t);
	return NULL;
}

/* Empties the caches of all CPUs while they are in use. */
static void *drainer(void *arg)
{
	while (sm_load_acquire(&done) < nthreads) {
		sm_malloc_trim();
		usleep(2000);
	}
	return arg;
}

static void test_malloc(void)
{
	struct sm_pageheap_stats st;
	struct sm_heap *heap;
	pthread_t draining;
	char err[256];

	SM_MUST(sm_malloc_configure("cache.mode", "cpu", err, sizeof(err)) == 0, "%s", err);
	heap = sm_malloc_heap();
	SM_MUST(heap != NULL && (sm__process_heap.nslabs != 0));
	sm_store_relaxed(&done, 0);
	draining = sm_stress_thread(drainer, NULL);
	run_all(allocate_and_free);
	pthread_join(draining, NULL);
	for (unsigned i = 0; i < BOXES; i++) {
		struct block *b = sm_load_relaxed(&boxes[i]);

		if (b != NULL) {
			give(b);
			sm_free(b);
		}
	}
	SM_MUST(sm_heap_check(heap) == 0);
	sm_malloc_trim();
	sm__pageheap_stats(&heap->pages, 0, &st);
	SM_MUST(st.in_use_bytes == 0, "%zu bytes are still in use", (size_t)st.in_use_bytes);
	SM_MUST(sm_heap_check(heap) == 0);
}

/* ---- collected heap ----------------------------------------------------------------------- */

#define LISTS 32

struct node {
	struct node *next;
	/* canary: id turned over, so that an object handed out twice is found */
	uint64_t id, canary;
	uint64_t pad;
};

static struct sm_gc *gc;
static const struct sm_type *node_type;
static void *lists[MAX_THREADS][LISTS];

static uint64_t walk(const struct node *n)
{
	uint64_t length = 0;

	for (; n; n = n->next, length++)
		SM_MUST(n->canary == ~n->id, "a node of a list is another's");
	return length;
}

static void *build_lists(void *arg)
{
	struct thread *t = arg;
	struct sm_mutator *m;
	struct sm_rng r;
	int cpu = -1;

	begin(t);
	m = sm_mutator_attach(gc);
	SM_MUST(m != NULL);
	sm_rng_seed(&r, stress.seed, 100 + t->index);
	for (;;) {
		void **list = &lists[t->index][sm_rng_below(&r, LISTS)];
		struct node *n;

		if (sm_rng_below(&r, 64) == 0) {
			walk(*list);
			sm_store(m, list, NULL);
		}
		n = sm_new(m, node_type);
		SM_MUST(n != NULL && n->id == 0 && n->canary == 0, "a fresh node is not empty");
		n->id = sm_rng_next(&r);
		n->canary = ~n->id;
		sm_store(m, (void **)&n->next, *list);
		sm_store(m, list, n);
		if (sm_rng_below(&r, 8) == 0)
			SM_MUST(sm_new_bytes(m, 16 + sm_rng_below(&r, 600)) != NULL);
		if (++t->ops % OPS_A_HOP == 0) {
			hop(t, &r, &cpu);
			if (!sm_stress_goes_on(&stress))
				break;
		}
		sm_safepoint(m);
	}
	for (unsigned i = 0; i < LISTS; i++)
		walk(lists[t->index][i]);
	sm_mutator_detach(m);
	end(t);
	return NULL;
}

static void test_gc(void)
{
	gc = sm_stress_gc(&stress, true, "cache.mode=cpu");
	SM_MUST(sm_gc_heap(gc)->cpus != NULL);
	node_type = sm_type_prefix(gc, sizeof(struct node), 1);
	sm_store_relaxed(&done, 0);
	SM_MUST(sm_root_add(gc, lists, MAX_THREADS * LISTS) == 0);
	run_all(build_lists);
	sm_root_remove(gc, lists);
	sm_stress_end(gc);
}

int main(int argc, char **argv)
{
	const char *why = "";

	if (!sm__rseq_usable(&why)) {
		printf("SKIP: restartable sequences cannot be used here: %s\n", why);
		return 77;
	}
	find_cpus();
	if (argc < 2 || strcmp(argv[1], "malloc") == 0) {
		sm_stress_begin(&stress, "stress_migrate malloc", 3);
		test_malloc();
	}
	if (argc < 2 || strcmp(argv[1], "gc") == 0) {
		sm_stress_begin(&stress, "stress_migrate gc", 3);
		test_gc();
	}
	return 0;
}
