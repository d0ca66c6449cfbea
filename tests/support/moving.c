/* moving.c: see moving.h. */
#include "tests/support/moving.h"

#include <stdlib.h>

static uint64_t below(struct sm_moving *g, uint64_t n)
{
	g->rng ^= g->rng >> 12;
	g->rng ^= g->rng << 25;
	g->rng ^= g->rng >> 27;
	return (g->rng * 0x2545f4914f6cdd1du >> 11) % n;
}

static void must(bool so)
{
	if (!so)
		abort();
}

/* Words of a node of each kind; FLEX has 0 to 20 elements behind the header. */
static size_t words_of(unsigned kind)
{
	return kind == SM_MOVING_PREFIX ? 4 : kind == SM_MOVING_BITMAP ? 75 : 6;
}

static const struct sm_type *bitmap_type(struct sm_gc *gc, size_t words)
{
	uint64_t bits[4] = {1};

	bits[(words - 1) / 64] |= (uint64_t)1 << ((words - 1) % 64);
	return sm_type_bitmap(gc, words * 8, bits);
}

void sm_moving_types(struct sm_moving_types *t, struct sm_gc *gc, bool fixed)
{
	uint64_t first = 1, rare[1];

	*t = (struct sm_moving_types){.fixed = fixed};
	t->of[SM_MOVING_PREFIX] = sm_type_prefix(gc, 32, 1);
	t->of[SM_MOVING_ALL_BUT_TAGS] = bitmap_type(gc, words_of(SM_MOVING_ALL_BUT_TAGS));
	t->of[SM_MOVING_BITMAP] = bitmap_type(gc, words_of(SM_MOVING_BITMAP));
	t->of[SM_MOVING_FLEX] = sm_type_flex(gc, 32, &first, 8, &first);
	t->of[SM_MOVING_FIXED] = sm_type_unmovable(gc, t->of[SM_MOVING_ALL_BUT_TAGS]);
	t->table = sm_type_pointers(gc, 1);
	for (unsigned i = 0; i < SM_MOVING_RARE_TYPES; i++) {
		/* The first and the last word, and one of those that stay NULL. */
		rare[0] = 1 | (uint64_t)1 << (i + 5) | (uint64_t)1 << 4;
		t->rare[i] = sm_type_bitmap(gc, (size_t)(i + 6) * 8, rare);
		must(t->rare[i] != NULL);
	}
	for (unsigned k = 0; k < SM_MOVING_KINDS; k++)
		must(k == SM_MOVING_RARE || t->of[k] != NULL);
}

void sm_moving_init(struct sm_moving *g, struct sm_mutator *m, struct sm_moving_types *t, size_t n,
		    uint64_t seed, uint64_t stream)
{
	void *table = sm_new_array(m, t->table, n);

	must(table != NULL);
	*g = (struct sm_moving){.gc = m->gc, .types = t, .n = n};
	g->table = sm_handle_new(m, table);
	must(g->table != NULL);
	g->rng = (seed + stream * 0x9e3779b97f4a7c15u) | 1;
}

static void **slots_of(struct sm_moving *g)
{
	return (void **)sm_handle_get(g->table);
}

/* Where the pointer to itself is; NULL: there is none. */
static void **self_of(struct sm_moving_node *x)
{
	void **w = (void **)x;

	switch (x->kind & 7) {
	case SM_MOVING_PREFIX: return NULL;
	case SM_MOVING_FLEX: return x->kind >> 3 ? &w[3 + (x->kind >> 3)] : NULL;
	case SM_MOVING_RARE: return &w[(x->kind >> 3) + 5];
	default: return &w[words_of(x->kind & 7) - 1];
	}
}

static SM_NOINLINE void make_node(struct sm_moving *g, struct sm_mutator *m, size_t slot)
{
	struct sm_moving_types *t = g->types;
	uint64_t kind = below(g, t->fixed ? SM_MOVING_KINDS : SM_MOVING_FIXED), more = 0;
	struct sm_moving_node *x;
	void **self;

	if (kind == SM_MOVING_FLEX) {
		more = below(g, 20);
		x = sm_new_flex(m, t->of[kind], more);
	} else if (kind == SM_MOVING_RARE) {
		more = below(g, SM_MOVING_RARE_TYPES);
		x = sm_new(m, t->rare[more]);
	} else {
		x = sm_new(m, t->of[kind]);
	}
	must(x != NULL);
	x->id = ++g->next_id;
	x->kind = kind | more << 3;
	self = self_of(x);
	if (self)
		sm_store(m, self, x);
	sm_store(m, &slots_of(g)[slot], x);
}

void sm_moving_grow(struct sm_moving *g, struct sm_mutator *m, unsigned percent)
{
	for (size_t i = 0; i < g->n; i++)
		if (below(g, 100) < percent)
			make_node(g, m, i);
}

void sm_moving_drop(struct sm_moving *g, struct sm_mutator *m, unsigned percent)
{
	for (size_t i = 0; i < g->n; i++)
		if (below(g, 100) < percent)
			sm_store(m, &slots_of(g)[i], NULL);
}

static SM_NOINLINE void link_one(struct sm_moving *g, struct sm_mutator *m)
{
	struct sm_moving_node *from = sm_load(&slots_of(g)[below(g, g->n)]),
			      *to = sm_load(&slots_of(g)[below(g, g->n)]);

	if (from == NULL)
		return;
	sm_store(m, &from->edge, to);
	from->want = to ? to->id : 0;
}

void sm_moving_link(struct sm_moving *g, struct sm_mutator *m, size_t times)
{
	while (times-- > 0) {
		link_one(g, m);
		sm_safepoint(m);
	}
}

static bool whole(const struct sm_moving *g, struct sm_moving_node *x)
{
	struct sm_moving_node *to = sm_load(&x->edge);
	void **self = self_of(x);

	if (x->id == 0 || x->id > g->next_id || (x->kind & 7) >= SM_MOVING_KINDS)
		return false;
	if (self && sm_load(self) != x)
		return false;
	/* Dropped nodes live on behind edges. */
	return to == NULL ? x->want == 0 : to->id == x->want;
}

SM_NOINLINE bool sm_moving_intact(struct sm_moving *g, struct sm_mutator *m)
{
	for (size_t i = 0; i < g->n; i++) {
		struct sm_moving_node *x = sm_load(&slots_of(g)[i]);

		if (x && !whole(g, x))
			return false;
		sm_safepoint(m);
	}
	return true;
}

SM_NOINLINE uintptr_t sm_moving_hidden(struct sm_moving *g, size_t slot)
{
	void *x = sm_load(&slots_of(g)[slot]);

	return x ? ~(uintptr_t)x : 0;
}
