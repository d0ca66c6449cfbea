/*
 * Finalizers run exactly once, on an attached thread, with their object whole, after it became
 * unreachable and not before; weak references read as the object or NULL, never as anything else
 * (scenario 16). Threads set, clear, drop, resurrect and read while cycles run.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tests/support/stress.h"

#define THREADS 4
#define SLOTS	64

struct thing {
	struct thing *other;
	uint64_t id, canary;
	uint64_t pad;
};

struct shared {
	struct sm_stress *s;
	struct sm_gc *gc;
	const struct sm_type *type, *table;
	struct sm_handle *saved;  /* resurrected things */
	_Atomic(uint32_t) *state; /* by identity: 0 never set, 1 set, 2 ran, 3 cleared */
	_Atomic(uint64_t) next, ran, resurrected;
	uint64_t max;
};

static void finalize(void *ctx, struct sm_mutator *m, void *object)
{
	struct shared *sh = ctx;
	struct thing *t = object;
	uint32_t set = 1;

	SM_MUST(m != NULL && t->canary == ~t->id && t->id < sh->max);
	SM_MUST(sm_cas_acqrel(&sh->state[t->id], &set, 2), "finalizer of %llu in state %u",
		(unsigned long long)t->id, set);
	if (t->other)
		SM_MUST(t->other->canary == ~t->other->id,
			"what a finalized object refers to is gone");
	sm_fetch_add_relaxed(&sh->ran, 1);
	/* Now and then a slow one: the queue behind it lives through cycles. */
	if (t->id % 4096 == 1) {
		sm_blocking_enter(m);
		nanosleep(&(struct timespec){0, 20000000}, NULL);
		sm_blocking_leave(m);
	}
	/* Every eighth comes back to life. */
	if (t->id % 8 == 0) {
		sm_store(m, sm_handle_get(sh->saved), t);
		sm_fetch_add_relaxed(&sh->resurrected, 1);
	}
}

static struct thing *new_thing(struct shared *sh, struct sm_mutator *m)
{
	struct thing *t = sm_new(m, sh->type);

	SM_MUST(t != NULL);
	t->id = sm_fetch_add_relaxed(&sh->next, 1);
	t->canary = ~t->id;
	return t;
}

static void *worker(void *arg)
{
	struct sm_stress_worker *w = arg;
	struct shared *sh = w->shared;
	struct sm_mutator *m = sm_mutator_attach(sh->gc);
	struct sm_weak *weak[SLOTS] = {NULL};
	uint64_t weak_id[SLOTS];
	void **table;
	struct sm_rng r;

	SM_MUST(m != NULL);
	sm_rng_seed(&r, sh->s->seed, w->index);
	table = sm_new(m, sh->table);
	SM_MUST(table != NULL);
	while (sm_stress_goes_on(sh->s) && sm_load_relaxed(&sh->next) < sh->max - THREADS) {
		size_t at = sm_rng_below(&r, SLOTS);
		struct thing *t = sm_load(&table[at]), *held;

		SM_MUST(t == NULL || t->canary == ~t->id);
		switch (sm_rng_below(&r, 6)) {
		case 0:
		case 1: /* a new one, with a finalizer, sometimes with a partner */
			t = new_thing(sh, m);
			sm_store_relaxed(&sh->state[t->id], 1);
			if (sm_rng_below(&r, 2))
				sm_store(m, (void **)&t->other,
					 sm_load(&table[sm_rng_below(&r, SLOTS)]));
			/* Chains are cut now and then. */
			if (sm_rng_below(&r, 4) == 0)
				sm_store(m, (void **)&t->other, NULL);
			SM_MUST(sm_finalizer_set(m, t, finalize, sh, NULL) == 0);
			SM_MUST(sm_finalizer_set(m, t, finalize, sh, NULL) == -EEXIST);
			sm_store(m, &table[at], t);
			break;
		case 2: sm_store(m, &table[at], NULL); break;
		case 3: /* in reach, so it has not run; cleared, it never will */
			if (t && t->id % 16 == 3) {
				uint32_t set = 1;
				int err = sm_finalizer_clear(m, t);

				SM_MUST(err == 0 || err == -ENOENT);
				if (err == 0)
					SM_MUST(sm_cas_acqrel(&sh->state[t->id], &set, 3));
			}
			break;
		case 4: /* weak */
			if (weak[at])
				sm_weak_free(m, weak[at]);
			weak[at] = t ? sm_weak_new(m, t) : NULL;
			weak_id[at] = t ? t->id : 0;
			break;
		case 5:
			held = weak[at] ? sm_weak_get(m, weak[at]) : NULL;
			if (held) {
				SM_MUST(held->id == weak_id[at] && held->canary == ~held->id);
				sm_safepoint(m);
				/* What a weak reference gave is held like anything else. */
				SM_MUST(held->canary == ~held->id);
				sm_store(m, &table[sm_rng_below(&r, SLOTS)], held);
			} else if (weak[at] && t && t->id == weak_id[at] &&
				   sm_load_relaxed(&sh->state[t->id]) == 1) {
				SM_MUST(0, "a weak reference to a reachable object reads NULL");
			}
			break;
		}
		sm_safepoint(m);
	}
	for (size_t i = 0; i < SLOTS; i++)
		if (weak[i])
			sm_weak_free(m, weak[i]);
	sm_mutator_detach(m);
	return NULL;
}

int main(void)
{
	struct sm_stress s;
	struct shared sh = {.s = &s};
	struct sm_mutator *m;
	uint64_t set = 0, ran = 0;

	sm_stress_begin(&s, "stress_finalizer", 6);
	sh.gc = sm_stress_gc(&s, true, NULL);
	sh.max = 4000000;
	sh.state = calloc(sh.max, sizeof(*sh.state));
	sh.type = sm_type_prefix(sh.gc, sizeof(struct thing), 1);
	sh.table = sm_type_pointers(sh.gc, SLOTS);
	m = sm_mutator_attach(sh.gc);
	SM_MUST(m && sh.state);
	sh.saved = sm_handle_new(m, sm_new(m, sm_type_pointers(sh.gc, 1)));
	SM_MUST(sh.saved != NULL);
	sm_stress_beside_collector(sh.gc, m, THREADS, worker, &sh);
	/* Everything is unreachable now but one resurrected thing; chains die a generation at a
	 * time at most. */
	for (int i = 0; i < 6; i++) {
		SM_MUST(sm_collect(sh.gc, m) == 0);
		sm_finalizer_wait(sh.gc, m);
	}
	for (uint64_t i = 0; i < sh.next; i++) {
		set += sh.state[i] == 1;
		ran += sh.state[i] == 2;
	}
	printf("  %llu finalizers ran, %llu resurrected, %llu have not run\n",
	       (unsigned long long)ran, (unsigned long long)sh.resurrected,
	       (unsigned long long)set);
	SM_MUST(ran == sh.ran);
	/* A stale word may hold one, and the one behind it. */
	SM_MUST(set <= 200, "%llu finalizers have not run", (unsigned long long)set);
	sm_handle_free(m, sh.saved);
	sm_mutator_detach(m);
	sm_stress_end(sh.gc);
	free((void *)sh.state);
	return 0;
}
