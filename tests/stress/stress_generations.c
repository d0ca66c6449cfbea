/*
 * Random graph operations on some threads against a shadow, under minor and major cycles that come
 * one after the other, in an order of their own (gc.generations): what the shadow reaches is intact
 * at every check, and the verifier, which looks for edges that are not remembered as well, finds
 * nothing; also where generations go off and on again every few cycles. Threads detach and attach
 * again; of each graph most nodes grow old; in some rounds they move.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "collector/cycle/gc_internal.h"
#include "tests/support/graph.h"

#define ROOTS	16
#define THREADS 4

struct shared {
	struct sm_stress *s;
	struct sm_gc *gc;
	struct sm_graph_types types;
	double until;
	struct sm_rng rng; /* the control thread's: which kind the next cycle is */
	_Atomic(uint64_t) steps;
	_Atomic(uint32_t) stop;
};

struct worker {
	struct shared *sh;
	unsigned index;
};

/* On the control thread, before it decides. One in eight is a major one; generations stay off for
 * two cycles, and on for twelve, of which the first two are major ones. */
static void choose(void *ctx, enum sm_cycle_event event)
{
	struct shared *sh = ctx;
	struct sm_gen_choice *c = &sh->gc->gen.choice;

	if (event != SM_CYCLE_BEGINS)
		return;
	sh->gc->pacer.minor = sm_rng_below(&sh->rng, 8) != 0;
	c->held = true;
	c->on = sm_rng_below(&sh->rng, c->on ? 12 : 2) != 0 ? c->on : !c->on;
}

static void *ask_for_cycles(void *arg)
{
	struct shared *sh = arg;
	bool moves = sh->gc->config.compact != SM_GC_COMPACT_OFF;

	for (unsigned i = 0; sm_load_acquire(&sh->stop) == 0; i++) {
		int err = moves && i % 8 == 0 ? sm_collect_compact(sh->gc, NULL) : 0;

		/* -ENOMEM: more was noted than there is room for. */
		SM_MUST(err == 0 || err == -ENOMEM);
		SM_MUST(sm__gc_collect_and_wait(sh->gc, NULL, false) == 0);
	}
	return NULL;
}

/* Some hundred steps, then a check of all that the shadow reaches. A frame of its own, so that the
 * handle alone holds the table while the thread is away. */
static SM_NOINLINE void play(struct shared *sh, struct sm_mutator *m, struct sm_graph *g,
			     struct sm_handle *h)
{
	void **volatile table = sm_handle_get(h);

	for (unsigned i = 0; i < 400; i++)
		sm_graph_step(g, m, table);
	sm_graph_check(g, table);
	sm_fetch_add_relaxed(&sh->steps, 400);
}

static SM_NOINLINE struct sm_handle *new_table(struct sm_mutator *m, struct shared *sh)
{
	void **table = sm_new(m, sh->types.table);

	SM_MUST(table != NULL);
	return sm_handle_new(m, table);
}

static void *worker(void *arg)
{
	struct worker *w = arg;
	struct shared *sh = w->sh;
	struct sm_stress round = *sh->s;
	struct sm_mutator *m = sm_mutator_attach(sh->gc);
	struct sm_handle *h = new_table(m, sh);
	struct sm_graph g;

	SM_MUST(h != NULL);
	round.seconds = sh->until;
	sm_graph_init(&g, &sh->types, sh->s->seed, w->index, w->index == 0 ? 3000 : 300);
	while (sm_stress_goes_on(&round)) {
		play(sh, m, &g, h);
		switch (sm_rng_below(&g.rng, 16)) {
		case 0:
			sm_mutator_detach(m);
			m = sm_mutator_attach(sh->gc);
			SM_MUST(m != NULL);
			break;
		case 1:
			sm_blocking_enter(m);
			sched_yield();
			sm_blocking_leave(m);
			break;
		default: break;
		}
	}
	play(sh, m, &g, h);
	sm_handle_free(m, h);
	sm_graph_fini(&g);
	sm_mutator_detach(m);
	return NULL;
}

static void run(struct sm_stress *s, double until, const char *keys)
{
	struct sm_gc *gc = sm_stress_gc(s, true, keys);
	struct shared sh = {.s = s, .gc = gc, .until = until};
	struct worker w[THREADS];
	pthread_t t[THREADS], asker;
	struct sm_gc_compact_stats moved;
	struct sm_gc_stats st;

	sm_rng_seed(&sh.rng, s->seed, 4711);
	sm_graph_types_init(&sh.types, gc, ROOTS);
	SM_MUST(sm_gc_on_cycle(gc, choose, &sh) == 0);
	asker = sm_stress_thread(ask_for_cycles, &sh);
	for (unsigned i = 0; i < THREADS; i++) {
		w[i] = (struct worker){.sh = &sh, .index = i};
		t[i] = sm_stress_thread(worker, &w[i]);
	}
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(t[i], NULL);
	sm_store_release(&sh.stop, 1);
	pthread_join(asker, NULL);
	SM_MUST(sm_gc_on_cycle(gc, NULL, NULL) == 0);
	sm_gc_stats(gc, &st);
	sm_gc_compact_stats(gc, &moved);
	printf("  %s: %llu steps, of %u cycles %llu generational, %llu minor, %llu remembered, "
	       "%llu "
	       "objects moved\n",
	       keys, (unsigned long long)sh.steps, st.cycles,
	       (unsigned long long)st.generational_cycles, (unsigned long long)st.minors,
	       (unsigned long long)st.total_remembered,
	       (unsigned long long)moved.total.moved_objects);
	SM_MUST(st.verify_errors == 0);
	/* On a busy machine there are few cycles; of auto's first ones in a row two are major. */
	SM_MUST(st.minors > 0 || st.generational_cycles < 8);
	sm_stress_end(gc);
}

/* .. which pages were written: for gc.remember=none. */
static bool kernel_tells(void)
{
	struct sm_dirty d;
	char err[300];

	if (sm__dirty_open(&d, err, sizeof(err)) == 0) {
		sm__dirty_close(&d);
		return true;
	}
	printf("  left out: %s\n", err);
	return false;
}

int main(void)
{
#define OBJECTS "gc.remember=objects"
#define PAGES	"gc.remember=none"
#define SLICES	"gc.compact=force,gc.compact_slice_us=1"
	static const char *const ways[] = {
		"on",
		"on,gc.mode=stw",
		"on,gc.mark=auto",
		"on,cache.mode=cpu",
		"on,gc.compact=full",
		"on," SLICES,
		"on," OBJECTS,
		"on," OBJECTS ",gc.mode=stw",
		"on," OBJECTS ",gc.mark=auto,cache.mode=cpu",
		"on," OBJECTS ",gc.compact=full",
		"on," OBJECTS "," SLICES,
		"auto",
		"auto,gc.mode=stw",
		"auto," SLICES,
		"auto," OBJECTS ",cache.mode=cpu",
		"auto," OBJECTS "," SLICES,
		"on," PAGES,
		"on," PAGES ",gc.mode=stw",
		"on," PAGES "," SLICES,
		"auto," PAGES,
	};
	enum { WAYS = sizeof(ways) / sizeof(ways[0]) };
	struct sm_stress s;
	char keys[100];

	sm_stress_begin(&s, "stress_generations", 12);
	for (unsigned i = 0; i < WAYS; i++, s.seed++) {
		if (strstr(ways[i], PAGES) != NULL && !kernel_tells())
			continue;
		snprintf(keys, sizeof(keys), "gc.generations=%s", ways[i]);
		run(&s, s.seconds * (i + 1) / WAYS, keys);
	}
	return 0;
}
