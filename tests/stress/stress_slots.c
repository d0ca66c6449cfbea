/*
 * Slots against the marker: arrays of pointers are moved, reversed, cleared and copied while cycles
 * run (scenario 5), many threads write the same slots (9), and objects and spans are born while
 * stacks and heap are scanned (6). Every object's identity is checked after each move; the verifier
 * is on.
 */
#include <stdlib.h>
#include <string.h>

#include "tests/support/graph.h"

#define ARRAY	1500
#define RACED	4
#define THREADS 4
#define BIRTHS	64

struct shared {
	struct sm_stress *s;
	struct sm_gc *gc;
	struct sm_graph_types types;
	const struct sm_type *array, *births[5];
	struct sm_handle *raced;
	double until;
	_Atomic(uint64_t) ops;
};

/* A registered range; not in run()'s frame, which is scanned anyway. */
static void *root_range[16];

/* ---- 5: copies ---------------------------------------------------------------------------- */

/* The shadow knows which package lies in which slot by its identity. */
static void check_slots(void **a, const uint64_t *shadow, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct sm_node *p = sm_load(&a[i]);

		if (shadow[i] == 0) {
			SM_MUST(p == NULL, "slot %zu should be empty", i);
		} else {
			SM_MUST(p && p->id == shadow[i], "slot %zu", i);
			sm_package_check(p);
		}
	}
}

static void *copier(void *arg)
{
	struct sm_stress_worker *w = arg;
	struct shared *sh = w->shared;
	struct sm_mutator *m = sm_mutator_attach(sh->gc);
	uint64_t *shadow = calloc(ARRAY, sizeof(*shadow));
	struct sm_rng r;
	void **a;

	SM_MUST(m && shadow);
	sm_rng_seed(&r, sh->s->seed, w->index);
	a = sm_new(m, sh->array);
	SM_MUST(a != NULL);
	while (sm_stress_before(sh->until)) {
		size_t n = 1 + sm_rng_below(&r, ARRAY / 2), from = sm_rng_below(&r, ARRAY - n);
		size_t to = sm_rng_below(&r, ARRAY - n);

		switch (sm_rng_below(&r, 4)) {
		case 0: /* fill a few */
			for (size_t i = 0; i < 32; i++) {
				size_t at = sm_rng_below(&r, ARRAY);
				struct sm_node *p =
					sm_package_new(m, &sh->types, &r, sm_rng_next(&r),
						       (unsigned)sm_rng_below(&r, 3));

				SM_MUST(p != NULL);
				sm_store(m, &a[at], p);
				shadow[at] = p->id;
			}
			break;
		case 1: /* move within, overlapping */
		case 2:
			sm_copy_slots(m, a + to, a + from, n);
			memmove(shadow + to, shadow + from, n * sizeof(*shadow));
			break;
		case 3:
			if (n > 64)
				n = 64;
			sm_clear_slots(m, a + from, n);
			memset(shadow + from, 0, n * sizeof(*shadow));
			break;
		}
		check_slots(a, shadow, ARRAY);
		sm_safepoint(m);
		sm_fetch_add_relaxed(&sh->ops, 1);
	}
	free(shadow);
	sm_mutator_detach(m);
	return NULL;
}

/* ---- 9: racing writers -------------------------------------------------------------------- */

static void *racer(void *arg)
{
	struct sm_stress_worker *w = arg;
	struct shared *sh = w->shared;
	struct sm_mutator *m = sm_mutator_attach(sh->gc);
	struct sm_rng r;

	SM_MUST(m != NULL);
	sm_rng_seed(&r, sh->s->seed, w->index);
	while (sm_stress_before(sh->until)) {
		void **slots = sm_rng_below(&r, 2) ? sm_handle_get(sh->raced) : root_range;
		void **slot = &slots[sm_rng_below(&r, RACED)];
		struct sm_node *p, *got;

		/* What is read may be overwritten at any moment by three others; it must stay
		 * whole. */
		got = sm_load(slot);
		if (sm_rng_below(&r, 2)) {
			p = sm_package_new(m, &sh->types, &r, sm_rng_next(&r),
					   (unsigned)sm_rng_below(&r, 4));
			SM_MUST(p != NULL);
		} else {
			p = sm_load(&slots[sm_rng_below(&r, RACED)]);
		}
		sm_store(m, slot, p);
		p = NULL;
		sm_safepoint(m);
		if (got)
			sm_package_check(got);
		sm_fetch_add_relaxed(&sh->ops, 1);
	}
	sm_mutator_detach(m);
	return NULL;
}

/* ---- 6: births ---------------------------------------------------------------------------- */

/* Objects of every layout, some large, kept in a short ring: each is whole when it is next seen,
 * and new ones are zero where pointers go. Windows, spans and page heap turn over all the time. */
static void *bearer(void *arg)
{
	struct sm_stress_worker *w = arg;
	struct shared *sh = w->shared;
	struct sm_mutator *m = sm_mutator_attach(sh->gc);
	struct sm_rng r;
	void **ring;
	uint64_t expect[BIRTHS] = {0};
	uint32_t size[BIRTHS] = {0};
	size_t at = 0;

	SM_MUST(m != NULL);
	sm_rng_seed(&r, sh->s->seed, w->index);
	ring = sm_new(m, sm_type_pointers(sh->gc, BIRTHS));
	SM_MUST(ring != NULL);
	while (sm_stress_before(sh->until)) {
		const struct sm_type *t =
			sh->births[sm_rng_below(&r, 64) == 0 ? 4 : sm_rng_below(&r, 4)];
		uint64_t *o = sm_new(m, t);

		SM_MUST(o != NULL);
		for (size_t i = 0; i < t->size / sizeof(*o) && t->layout->kind != SM_SCAN_NONE; i++)
			SM_MUST(o[i] == 0, "word %zu of a new object of %u B is %#llx", i, t->size,
				(unsigned long long)o[i]);
		/* The last word is never a pointer in these types. */
		o[t->size / 8 - 1] = expect[at % BIRTHS] = sm_rng_next(&r) | 1ull << 63;
		if (t->layout->kind != SM_SCAN_NONE)
			sm_store(m, (void **)o, ring[(at + 7) % BIRTHS]);
		if (sm_rng_below(&r, 8) == 0 && t->layout->kind != SM_SCAN_NONE)
			sm_store(m, (void **)o, NULL);
		/* The chain of first words is cut, or everything would live. */
		if (at % 16 == 0 && t->layout->kind != SM_SCAN_NONE)
			sm_store(m, (void **)o, NULL);
		size[at % BIRTHS] = t->size;
		sm_store(m, &ring[at % BIRTHS], o);
		at++;
		if (at >= BIRTHS) {
			uint64_t *old = sm_load(&ring[at % BIRTHS]);
			size_t words = size[at % BIRTHS] / 8;

			SM_MUST(old[words - 1] == expect[at % BIRTHS],
				"an object in the ring has lost its canary");
		}
		sm_safepoint(m);
		sm_fetch_add_relaxed(&sh->ops, 1);
	}
	sm_mutator_detach(m);
	return NULL;
}

static void run(struct sm_stress *s, const char *what, void *(*fn)(void *), double until)
{
	struct shared sh = {.s = s, .until = until};
	struct sm_mutator *m;
	uint64_t mask = 1;
	struct sm_rng r;

	sh.gc = sm_stress_gc(s, true, NULL);
	m = sm_mutator_attach(sh.gc);
	SM_MUST(m != NULL);
	sm_graph_types_init(&sh.types, sh.gc, 4);
	sh.array = sm_type_pointers(sh.gc, ARRAY);
	sh.births[0] = sm_type_prefix(sh.gc, 32, 1);
	sh.births[1] = sm_type_bitmap(sh.gc, 320, (uint64_t[]){mask});
	sh.births[2] = sm_type_prefix(sh.gc, 4000, 8);
	sh.births[3] = sm_type_prefix(sh.gc, 208, 0);
	sh.births[4] = sm_type_prefix(sh.gc, 70000, 1);
	sh.raced = sm_handle_new(m, sm_new(m, sm_type_pointers(sh.gc, RACED)));
	SM_MUST(sh.raced && sm_root_add(sh.gc, root_range, 16) == 0);
	/* What only the registered range holds, for as long as the test runs. */
	sm_rng_seed(&r, s->seed, 99);
	for (unsigned i = RACED; i < 16; i++) {
		sm_store(m, &root_range[i], sm_package_new(m, &sh.types, &r, i << 8, 3));
		SM_MUST(root_range[i] != NULL);
	}
	sm_stress_beside_collector(sh.gc, m, THREADS, fn, &sh);
	printf("  %s: %llu operations\n", what, (unsigned long long)sh.ops);
	for (unsigned i = RACED; i < 16; i++)
		SM_MUST(sm_package_check(root_range[i]) == 15);
	SM_MUST(sm_root_remove(sh.gc, root_range) == 0);
	memset(root_range, 0, sizeof(root_range));
	sm_handle_free(m, sh.raced);
	sm_mutator_detach(m);
	sm_stress_end(sh.gc);
	s->seed++;
}

int main(void)
{
	struct sm_stress s;
	double each;

	sm_stress_begin(&s, "stress_slots", 9);
	each = s.seconds / 3;
	run(&s, "copies", copier, each);
	run(&s, "races", racer, 2 * each);
	run(&s, "births", bearer, 3 * each);
	return 0;
}
