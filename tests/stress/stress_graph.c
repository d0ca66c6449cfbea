/*
 * Random graph operations on 2, 8 and 64 threads against a shadow (scenarios 2 and 9): what the
 * shadow reaches is intact at every step; threads swap packages by exchange and compare-and-swap on
 * shared slots; between the rounds, garbage must be gone within two collections, up to what stale
 * stack words may keep.
 */
#include <stdlib.h>

#include "tests/support/graph.h"

#define ROOTS  16
#define SHARED 8
#define DEEP   20000

struct shared {
	struct sm_stress *s;
	struct sm_gc *gc;
	struct sm_graph_types *types;
	struct sm_handle *deep; /* holds the table of SHARED packages, see sm_deep_table */
	uintptr_t table;
	pthread_barrier_t meet;
	unsigned threads, rounds;
	_Atomic(uint64_t) in_reach, steps, packages;
};

struct worker {
	struct shared *sh;
	unsigned index;
	double share; /* of the time */
};

static void meet(struct shared *sh, struct sm_mutator *m)
{
	sm_blocking_enter(m);
	pthread_barrier_wait(&sh->meet);
	sm_blocking_leave(m);
}

/* Puts a package into a shared slot; a thread that replaces one checks what it got. */
static SM_NOINLINE void swap_package(struct shared *sh, struct sm_mutator *m, struct sm_graph *g)
{
	void **slots = (void **)~sh->table;
	void **slot = &slots[sm_rng_below(&g->rng, SHARED)];
	struct sm_node *mine = sm_package_new(m, sh->types, &g->rng, sm_rng_next(&g->rng),
					      (unsigned)sm_rng_below(&g->rng, 5));
	struct sm_node *got;

	if (mine == NULL)
		return;
	if (sm_rng_below(&g->rng, 2)) {
		got = sm_exchange(m, slot, mine);
	} else {
		void *expected = sm_load(slot);

		got = sm_cas(m, slot, &expected, mine) ? expected : NULL;
	}
	sm_safepoint(m);
	if (got)
		sm_package_check(got);
	/* From one slot to another: this thread's buffer alone knows of it while the table is
	 * white. */
	got = sm_exchange(m, &slots[sm_rng_below(&g->rng, SHARED)], NULL);
	if (got)
		sm_store(m, &slots[sm_rng_below(&g->rng, SHARED)], got);
	/* And one that stays where it is, found by a plain load while others replace it. */
	got = sm_load(&slots[sm_rng_below(&g->rng, SHARED)]);
	if (got)
		sm_package_check(got);
	sm_fetch_add_relaxed(&sh->packages, 1);
}

static SM_NOINLINE void play(struct shared *sh, struct sm_mutator *m, struct sm_graph *g,
			     void **table, double until)
{
	struct sm_stress round = *sh->s;

	round.seconds = until;
	while (sm_stress_goes_on(&round)) {
		for (unsigned i = 0; i < 200; i++)
			sm_graph_step(g, m, table);
		swap_package(sh, m, g);
		/* Now and then blocked while a cycle is on. */
		if (sm_rng_below(&g->rng, 64) == 0) {
			sm_blocking_enter(m);
			sched_yield();
			sm_blocking_leave(m);
		}
	}
}

static void *worker(void *arg)
{
	struct worker *w = arg;
	struct shared *sh = w->sh;
	struct sm_mutator *m = sm_mutator_attach(sh->gc);
	struct sm_graph g;
	void **volatile table;

	SM_MUST(m != NULL);
	sm_graph_init(&g, sh->types, sh->s->seed, w->index, 300);
	table = sm_new(m, sh->types->table);
	SM_MUST(table != NULL);
	for (unsigned round = 1; round <= sh->rounds; round++) {
		play(sh, m, &g, table, w->share * round / sh->rounds);
		sm_stress_scrub_stack();
		sm_fetch_add_relaxed(&sh->in_reach, sm_graph_check(&g, table) + 1);
		meet(sh, m);
		/* The main thread collects and compares. */
		meet(sh, m);
		sm_graph_check(&g, table);
	}
	sm_fetch_add_relaxed(&sh->steps, g.steps);
	sm_graph_fini(&g);
	sm_mutator_detach(m);
	return NULL;
}

/* A function of its own: the end of the table, the start of what lies behind it, is on no thread's
 * stack afterwards. */
static SM_NOINLINE uint64_t count_packages(const struct shared *sh)
{
	void **slots = (void **)~sh->table;
	uint64_t n = 0;

	for (unsigned i = 0; i < SHARED; i++)
		if (slots[i])
			n += sm_package_check(slots[i]);
	return n;
}

/* All threads are blocked: two collections leave what is in reach, and what stale words may hold.
 */
static void compare(struct shared *sh, struct sm_mutator *m)
{
	uint64_t expect = sm_load_relaxed(&sh->in_reach) + 1 + DEEP + count_packages(sh);
	struct sm_gc_stats st;

	sm_stress_scrub_stack();
	SM_MUST(sm_collect(sh->gc, m) == 0 && sm_collect(sh->gc, m) == 0);
	sm_gc_stats(sh->gc, &st);
	SM_MUST(st.last_marked_objects >= expect, "marked %llu, but %llu are in reach",
		(unsigned long long)st.last_marked_objects, (unsigned long long)expect);
	/* A stale word holds a package or a part of a graph: at most a graph's worth a thread. */
	SM_MUST(st.last_marked_objects <= expect + 400 * (sh->threads + 1),
		"two collections later %llu objects are left, where %llu are in reach",
		(unsigned long long)st.last_marked_objects, (unsigned long long)expect);
	SM_MUST(st.verify_errors == 0);
	sm_store_relaxed(&sh->in_reach, 0);
}

static void run(struct sm_stress *s, unsigned threads, double from, double to, const char *keys)
{
	struct sm_gc *gc = sm_stress_gc(s, true, keys);
	struct shared sh = {.s = s, .gc = gc, .threads = threads, .rounds = 2};
	struct sm_graph_types types;
	struct sm_mutator *m = sm_mutator_attach(gc);
	struct worker *w = calloc(threads, sizeof(*w));
	pthread_t *t = calloc(threads, sizeof(*t));
	struct sm_stress_collector collector;

	SM_MUST(m && w && t);
	sm_graph_types_init(&types, gc, ROOTS);
	sh.types = &types;
	sh.deep = sm_deep_table(m, gc, sm_type_pointers(gc, SHARED), DEEP, &sh.table);
	SM_MUST(sh.deep != NULL);
	pthread_barrier_init(&sh.meet, NULL, threads + 1);
	for (unsigned i = 0; i < threads; i++) {
		w[i] = (struct worker){.sh = &sh, .index = i, .share = from + (to - from)};
		t[i] = sm_stress_thread(worker, &w[i]);
	}
	sm_stress_collector_start(&collector, gc);
	for (unsigned round = 0; round < sh.rounds; round++) {
		meet(&sh, m);
		compare(&sh, m);
		meet(&sh, m);
	}
	sm_stress_collector_stop(&collector, m);
	sm_blocking_enter(m);
	for (unsigned i = 0; i < threads; i++)
		pthread_join(t[i], NULL);
	sm_blocking_leave(m);
	printf("  %u threads: %llu steps, %llu packages\n", threads, (unsigned long long)sh.steps,
	       (unsigned long long)sh.packages);
	sm_handle_free(m, sh.deep);
	sm_mutator_detach(m);
	pthread_barrier_destroy(&sh.meet);
	sm_stress_end(gc);
	free(w);
	free(t);
}

int main(void)
{
	struct sm_stress s;
	double third;

	sm_stress_begin(&s, "stress_graph", 9);
	third = s.seconds / 3;
	run(&s, 2, 0, third, NULL);
	s.seed++;
	run(&s, 8, third, 2 * third, NULL);
	s.seed++;
	run(&s, 64, 2 * third, s.seconds, "gc.min_heap=4m");
	return 0;
}
