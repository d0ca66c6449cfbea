/*
 * Threads change graphs of nodes of every layout, pin and unpin some, hold others in handles, weak
 * references and on their stacks, attach and detach, while another thread moves objects again and
 * again. Every node and edge is checked after each round of a thread. With gc.generations minor
 * cycles come in between.
 */
#include <stdlib.h>
#include <string.h>

#include "collector/cycle/gc_internal.h"
#include "tests/support/moving.h"
#include "tests/support/stress.h"

enum { NODES = 1500, PINS = 8 };

struct shared {
	struct sm_stress *s;
	struct sm_gc *gc;
	_Atomic(uint64_t) rounds;
	_Atomic(uint32_t) stop;
};

struct worker {
	struct shared *sh;
	uint64_t index;
};

/* Nodes that may not move, by their hidden addresses. */
struct pins {
	uintptr_t hidden[PINS];
};

static SM_NOINLINE void pin_some(struct sm_moving *g, struct sm_mutator *m, struct pins *p,
				 struct sm_rng *rng)
{
	for (unsigned i = 0; i < PINS; i++) {
		if (p->hidden[i]) {
			/* It is where it was, and what it was. */
			struct sm_moving_node *x = (struct sm_moving_node *)~p->hidden[i];

			SM_MUST(x->id != 0 && x->id <= g->next_id);
			SM_MUST(sm_unpin(m, x) == 0);
			p->hidden[i] = 0;
			continue;
		}
		p->hidden[i] = sm_moving_hidden(g, sm_rng_below(rng, NODES));
		if (p->hidden[i])
			SM_MUST(sm_pin(m, (void *)~p->hidden[i]) == 0);
	}
}

static SM_NOINLINE void look_weakly(struct sm_moving *g, struct sm_mutator *m, struct sm_rng *rng)
{
	size_t slot = sm_rng_below(rng, NODES);
	uintptr_t hidden = sm_moving_hidden(g, slot);
	struct sm_weak *w = hidden ? sm_weak_new(m, (void *)~hidden) : NULL;

	if (w == NULL)
		return;
	for (int i = 0; i < 50; i++) {
		SM_MUST(sm_weak_get(m, w) == (void *)~sm_moving_hidden(g, slot));
		sm_safepoint(m);
	}
	sm_weak_free(m, w);
}

/* The address is on the stack alone, in its middle, while others may move. */
static SM_NOINLINE void hold_on_stack(struct sm_moving *g, struct sm_mutator *m, struct sm_rng *rng)
{
	size_t slot = sm_rng_below(rng, NODES);
	volatile uintptr_t inside = ~sm_moving_hidden(g, slot) + 8;
	uint64_t *id = (uint64_t *)inside, was;

	if (inside == (uintptr_t)7)
		return;
	was = *id;
	for (int i = 0; i < 20; i++) {
		sm_blocking_enter(m);
		sm_blocking_leave(m);
		SM_MUST(*(uint64_t *)inside == was);
		SM_MUST((uintptr_t)~sm_moving_hidden(g, slot) == inside - 8);
	}
}

static void play(struct worker *w, struct sm_moving_types *types)
{
	struct sm_mutator *m = sm_mutator_attach(w->sh->gc);
	struct sm_moving g;
	struct pins pins = {{0}};
	struct sm_rng rng;

	SM_MUST(m != NULL);
	sm_rng_seed(&rng, w->sh->s->seed, w->index + 100);
	sm_moving_init(&g, m, types, NODES, w->sh->s->seed, w->index);
	for (int round = 0; round < 12 && sm_stress_goes_on(w->sh->s); round++) {
		sm_moving_grow(&g, m, 50);
		sm_moving_link(&g, m, NODES);
		pin_some(&g, m, &pins, &rng);
		sm_moving_drop(&g, m, (unsigned)sm_rng_below(&rng, 95));
		SM_MUST(sm_moving_intact(&g, m));
		look_weakly(&g, m, &rng);
		hold_on_stack(&g, m, &rng);
		sm_fetch_add_relaxed(&w->sh->rounds, 1);
	}
	for (unsigned i = 0; i < PINS; i++)
		if (pins.hidden[i])
			SM_MUST(sm_unpin(m, (void *)~pins.hidden[i]) == 0);
	sm_handle_free(m, g.table);
	sm_mutator_detach(m);
}

static void *worker(void *arg)
{
	struct sm_stress_worker *sw = arg;
	struct worker w = {.sh = sw->shared, .index = sw->index};
	struct sm_moving_types types;

	sm_moving_types(&types, w.sh->gc, w.index % 2);
	do
		play(&w, &types);
	while (sm_stress_goes_on(w.sh->s));
	return NULL;
}

/* On the control thread, before it decides. */
static void choose_minor(void *ctx, enum sm_cycle_event event)
{
	struct shared *sh = ctx;

	if (event == SM_CYCLE_BEGINS)
		sh->gc->pacer.minor = true;
}

static void *mover(void *arg)
{
	struct shared *sh = arg;

	while (!sm_load_relaxed(&sh->stop)) {
		SM_MUST(sm_collect_compact(sh->gc, NULL) == 0);
		for (int i = 0; i < 3 && sh->gc->gen.made; i++)
			SM_MUST(sm__gc_collect_and_wait(sh->gc, NULL, false) == 0);
	}
	return NULL;
}

enum { THREADS = 4, KINDS = 7 };

/* A stop for all; slices, by default and as many as can be; an armed cycle with one stop. */
static const struct {
	const char *name, *keys;
} kind[KINDS] = {
	{"full", "gc.compact=full"},
	{"auto", "gc.compact=auto"},
	{"force", "gc.compact=force,gc.compact_slice_us=1"},
	{"once", "gc.compact=force,gc.compact_slice_us=0"},
	{"young-full", "gc.generations=on,gc.compact=full"},
	{"young-auto", "gc.generations=on,gc.compact=auto,gc.compact_percent=5"},
	{"young-force", "gc.generations=on,gc.compact=force,gc.compact_slice_us=1"},
};

static void play_kind(struct sm_stress *s, unsigned k)
{
	struct sm_gc_compact_stats st;
	struct sm_gc_stats cycles;
	struct sm_stress_worker args[THREADS];
	struct shared sh = {.s = s};
	void *arg[THREADS];
	pthread_t moving;

	sh.gc = sm_stress_gc(s, true, kind[k].keys);
	if (sh.gc->gen.made)
		SM_MUST(sm_gc_on_cycle(sh.gc, choose_minor, &sh) == 0);
	moving = sm_stress_thread(mover, &sh);
	for (unsigned i = 0; i < THREADS; i++) {
		args[i] = (struct sm_stress_worker){&sh, i};
		arg[i] = &args[i];
	}
	sm_stress_threads(NULL, THREADS, worker, arg);
	sm_store_relaxed(&sh.stop, 1);
	pthread_join(moving, NULL);
	SM_MUST(sm_gc_on_cycle(sh.gc, NULL, NULL) == 0);
	sm_gc_compact_stats(sh.gc, &st);
	sm_gc_stats(sh.gc, &cycles);
	printf("%s: rounds %llu, %llu of %u cycles minor, compactions %llu, slices %llu, "
	       "moved %llu, pinned by stacks %llu, by the program %llu, noted %llu\n",
	       kind[k].name, (unsigned long long)sh.rounds, (unsigned long long)cycles.minors,
	       cycles.cycles, (unsigned long long)st.compactions,
	       (unsigned long long)st.total.slices, (unsigned long long)st.total.moved_objects,
	       (unsigned long long)st.total.pinned_objects[SM_PINNED_STACK],
	       (unsigned long long)st.total.pinned_objects[SM_PINNED_PROGRAM],
	       (unsigned long long)st.total.slots_noted);
	SM_MUST(st.compactions > 0);
	SM_MUST(cycles.minors > 0 || !sh.gc->gen.made || st.compactions < 3);
	sm_stress_end(sh.gc);
}

/* A kind as argument; all of them, each for its share of the time. */
int main(int argc, char **argv)
{
	struct sm_stress s;
	double seconds;

	sm_stress_begin(&s, "compact", 10);
	seconds = s.seconds;
	for (unsigned k = 0; k < KINDS; k++) {
		if (argc > 1 && strcmp(argv[1], kind[k].name) != 0)
			continue;
		s.seconds = argc > 1 ? seconds : seconds * (k + 1) / KINDS;
		play_kind(&s, k);
	}
	return 0;
}
