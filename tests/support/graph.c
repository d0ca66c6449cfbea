#include "tests/support/graph.h"

#include <stdlib.h>
#include <string.h>

#include "collector/cycle/gc_internal.h"

static uint64_t mix(uint64_t x)
{
	x ^= x >> 33;
	x *= 0xff51afd7ed558ccdull;
	x ^= x >> 33;
	x *= 0xc4ceb9fe1a85ec53ull;
	return x ^ (x >> 33);
}

/* Words of a rare node, and which of them are pointers. */
static unsigned rare_words(unsigned i)
{
	return 8 + i % 5 * 4;
}

static uint64_t rare_bits(unsigned i)
{
	return ((1ull << SM_GRAPH_EDGES) - 1) | ((mix(i + 1) << 6) & ((1ull << rare_words(i)) - 1));
}

void sm_graph_types_init(struct sm_graph_types *t, struct sm_gc *gc, unsigned table_slots)
{
	/* A prefix, a mask with a gap, a conservative one, one of a page and a large one. */
	uint64_t mask = 0xf;

	t->shape[0] = sm_type_prefix(gc, sizeof(struct sm_node), SM_GRAPH_EDGES);
	t->shape[1] = sm_type_prefix(gc, 96, SM_GRAPH_EDGES);
	t->shape[2] = sm_type_bitmap(gc, 128, &mask);
	t->shape[3] = sm_type_conservative(gc, 208);
	t->shape[4] = sm_type_prefix(gc, 40 * SM_KIB, SM_GRAPH_EDGES);
	for (unsigned i = 0; i < SM_GRAPH_RARE; i++) {
		uint64_t bits = rare_bits(i);

		t->rare[i] = sm_type_bitmap(gc, rare_words(i) * sizeof(void *), &bits);
		SM_MUST(t->rare[i] != NULL);
	}
	t->table = sm_type_pointers(gc, table_slots);
	t->table_slots = table_slots;
	for (unsigned i = 0; i < SM_GRAPH_SHAPES; i++)
		SM_MUST(t->shape[i] != NULL);
	SM_MUST(t->table != NULL);
}

void sm_graph_init(struct sm_graph *g, const struct sm_graph_types *t, uint64_t seed,
		   unsigned stream, unsigned nnodes)
{
	memset(g, 0, sizeof(*g));
	g->types = t;
	g->nnodes = nnodes;
	g->next_id = ((uint64_t)stream + 1) << 40;
	sm_rng_seed(&g->rng, seed, stream);
	g->node = calloc(nnodes, sizeof(*g->node));
	g->root = malloc(t->table_slots * sizeof(*g->root));
	SM_MUST(g->node && g->root);
	for (unsigned i = 0; i < t->table_slots; i++)
		g->root[i] = -1;
}

void sm_graph_fini(struct sm_graph *g)
{
	free(g->node);
	free(g->root);
}

/* ---- the heap's side ---------------------------------------------------------------------- */

static struct sm_node *edge_of(const struct sm_node *n, unsigned k)
{
	return sm_load((void *const *)&n->edge[k]);
}

static void set_edge(struct sm_mutator *m, struct sm_node *n, unsigned k, struct sm_node *to)
{
	sm_store(m, (void **)&n->edge[k], to);
}

/* A number where the layout says so: as a pointer it would lead to no object, which the verifier
 * reports. */
static SM_NOINLINE struct sm_node *new_rare(struct sm_mutator *m, const struct sm_graph_types *t,
					    unsigned i)
{
	void **n = sm_new(m, t->rare[i]);
	uint64_t bits = rare_bits(i);

	for (unsigned w = sizeof(struct sm_node) / sizeof(void *); n && w < rare_words(i); w++) {
		SM_MUST(n[w] == NULL, "a new object is not zeroed (rare type %u)", i);
		if (bits >> w & 1)
			sm_store(m, &n[w], n);
		else
			n[w] = n + 3;
	}
	return (struct sm_node *)n;
}

static struct sm_node *new_node(struct sm_mutator *m, const struct sm_graph_types *t,
				struct sm_rng *r, uint64_t id)
{
	/* Mostly small; a large one now and then. */
	uint64_t dice = sm_rng_below(r, 512);
	unsigned shape = dice == 0 ? 4 : (unsigned)(dice % 4);
	struct sm_node *n = dice % 8 >= 4 ? new_rare(m, t, (unsigned)sm_rng_below(r, SM_GRAPH_RARE))
					  : sm_new(m, t->shape[shape]);

	if (n == NULL)
		return NULL;
	for (unsigned k = 0; k < SM_GRAPH_EDGES; k++)
		SM_MUST(edge_of(n, k) == NULL, "a new object is not zeroed (shape %u)", shape);
	n->id = id;
	n->canary = mix(id);
	return n;
}

static void check_node(const struct sm_node *n, uint64_t id)
{
	SM_MUST(n != NULL, "object %#llx is in reach in the shadow, but its slot holds NULL",
		(unsigned long long)id);
	SM_MUST(n->id == id && n->canary == mix(id),
		"object %p should be %#llx, but its identity reads %#llx, canary %#llx instead of "
		"%#llx",
		(const void *)n, (unsigned long long)id, (unsigned long long)n->id,
		(unsigned long long)n->canary, (unsigned long long)mix(id));
}

/* ---- the shadow --------------------------------------------------------------------------- */

static uint64_t shadow_mark(struct sm_graph *g)
{
	int32_t *stack = malloc(g->nnodes * sizeof(*stack));
	unsigned top = 0;
	uint64_t n = 0;

	SM_MUST(stack != NULL);
	for (unsigned i = 0; i < g->nnodes; i++)
		g->node[i].seen = false;
	for (unsigned i = 0; i < g->types->table_slots; i++) {
		if (g->root[i] >= 0 && !g->node[g->root[i]].seen) {
			g->node[g->root[i]].seen = true;
			stack[top++] = g->root[i];
		}
	}
	while (top > 0) {
		struct shadow *s = &g->node[stack[--top]];

		n++;
		for (unsigned k = 0; k < SM_GRAPH_EDGES; k++) {
			if (s->edge[k] >= 0 && !g->node[s->edge[k]].seen) {
				g->node[s->edge[k]].seen = true;
				stack[top++] = s->edge[k];
			}
		}
	}
	free(stack);
	return n;
}

/* An entry for a new node, or -1: all are in reach. */
static int32_t shadow_new(struct sm_graph *g, uint64_t id)
{
	for (int tries = 0; tries < 2; tries++) {
		for (unsigned n = 0; n < 32; n++) {
			int32_t i = (int32_t)sm_rng_below(&g->rng, g->nnodes);

			if (g->node[i].id != 0)
				continue;
			g->node[i].id = id;
			for (unsigned k = 0; k < SM_GRAPH_EDGES; k++)
				g->node[i].edge[k] = -1;
			return i;
		}
		shadow_mark(g);
		for (unsigned i = 0; i < g->nnodes; i++)
			if (!g->node[i].seen)
				g->node[i].id = 0;
	}
	return -1;
}

/* A random walk from a random root: heap and shadow in step. False: that root is empty. */
static bool walk(struct sm_graph *g, void **table, struct sm_node **heap, int32_t *shadow)
{
	unsigned r = (unsigned)sm_rng_below(&g->rng, g->types->table_slots);
	unsigned steps = (unsigned)sm_rng_below(&g->rng, 12);
	struct sm_node *n = sm_load(&table[r]);
	int32_t s = g->root[r];

	if (s < 0) {
		SM_MUST(n == NULL, "root %u should be empty", r);
		return false;
	}
	check_node(n, g->node[s].id);
	while (steps-- > 0) {
		unsigned k = (unsigned)sm_rng_below(&g->rng, SM_GRAPH_EDGES);
		int32_t to = g->node[s].edge[k];
		struct sm_node *next = edge_of(n, k);

		if (to < 0) {
			SM_MUST(next == NULL, "edge %u of %#llx should be empty", k,
				(unsigned long long)n->id);
			continue;
		}
		check_node(next, g->node[to].id);
		n = next;
		s = to;
	}
	*heap = n;
	*shadow = s;
	return true;
}

/* ---- operations --------------------------------------------------------------------------- */

static void op_new(struct sm_graph *g, struct sm_mutator *m, void **table)
{
	uint64_t id = ++g->next_id;
	struct sm_node *n, *other;
	int32_t s, to;

	n = new_node(m, g->types, &g->rng, id);
	if (n == NULL)
		return;
	s = shadow_new(g, id);
	if (s < 0)
		return;
	g->news++;
	for (unsigned k = 0; k < 2; k++) {
		if (walk(g, table, &other, &to)) {
			set_edge(m, n, k, other);
			g->node[s].edge[k] = to;
		}
	}
	/* Into a root, or into an edge of something that is in reach. */
	if (sm_rng_below(&g->rng, 4) == 0 || !walk(g, table, &other, &to)) {
		unsigned r = (unsigned)sm_rng_below(&g->rng, g->types->table_slots);

		sm_store(m, &table[r], n);
		g->root[r] = s;
	} else {
		unsigned k = (unsigned)sm_rng_below(&g->rng, SM_GRAPH_EDGES);

		set_edge(m, other, k, n);
		g->node[to].edge[k] = s;
	}
}

static void op_link(struct sm_graph *g, struct sm_mutator *m, void **table)
{
	struct sm_node *a, *b;
	int32_t sa, sb;
	unsigned k = (unsigned)sm_rng_below(&g->rng, SM_GRAPH_EDGES);

	if (!walk(g, table, &a, &sa) || !walk(g, table, &b, &sb))
		return;
	set_edge(m, a, k, b);
	g->node[sa].edge[k] = sb;
}

static void op_unlink(struct sm_graph *g, struct sm_mutator *m, void **table)
{
	struct sm_node *a;
	int32_t sa;
	unsigned k = (unsigned)sm_rng_below(&g->rng, SM_GRAPH_EDGES);

	if (!walk(g, table, &a, &sa))
		return;
	if (sm_rng_below(&g->rng, 2)) {
		sm_exchange(m, (void **)&a->edge[k], NULL);
	} else {
		void *expected = edge_of(a, k);

		SM_MUST(sm_cas(m, (void **)&a->edge[k], &expected, NULL),
			"nobody else writes here");
	}
	g->node[sa].edge[k] = -1;
}

/* The only pointer to something is on this stack for a while, in which others allocate and collect.
 */
static void op_move(struct sm_graph *g, struct sm_mutator *m, void **table)
{
	struct sm_node *a, *b, *held;
	int32_t sa, sb, sheld;
	unsigned k = (unsigned)sm_rng_below(&g->rng, SM_GRAPH_EDGES);
	unsigned j = (unsigned)sm_rng_below(&g->rng, SM_GRAPH_EDGES);

	if (!walk(g, table, &a, &sa) || g->node[sa].edge[k] < 0)
		return;
	held = edge_of(a, k);
	sheld = g->node[sa].edge[k];
	set_edge(m, a, k, NULL);
	g->node[sa].edge[k] = -1;
	for (unsigned i = (unsigned)sm_rng_below(&g->rng, 4); i > 0; i--) {
		struct sm_node *junk = new_node(m, g->types, &g->rng, 1);

		if (junk)
			set_edge(m, junk, 0, held);
		sm_safepoint(m);
	}
	check_node(held, g->node[sheld].id);
	if (walk(g, table, &b, &sb)) {
		set_edge(m, b, j, held);
		g->node[sb].edge[j] = sheld;
	}
}

static void op_drop(struct sm_graph *g, struct sm_mutator *m, void **table)
{
	unsigned r = (unsigned)sm_rng_below(&g->rng, g->types->table_slots);

	sm_store(m, &table[r], NULL);
	g->root[r] = -1;
}

/* Edges of one node to another of its own, and the whole root table a place further. */
static void op_copy(struct sm_graph *g, struct sm_mutator *m, void **table)
{
	struct sm_node *a, *b;
	int32_t sa, sb;

	if (sm_rng_below(&g->rng, 16) == 0) {
		size_t n = g->types->table_slots;

		sm_copy_slots(m, table + 1, table, n - 1);
		memmove(g->root + 1, g->root, (n - 1) * sizeof(*g->root));
		return;
	}
	if (!walk(g, table, &a, &sa) || !walk(g, table, &b, &sb))
		return;
	sm_copy_slots(m, (void **)b->edge, (void *const *)a->edge, SM_GRAPH_EDGES);
	memmove(g->node[sb].edge, g->node[sa].edge, sizeof(g->node[sa].edge));
}

void sm_graph_step(struct sm_graph *g, struct sm_mutator *m, void **table)
{
	uint64_t dice = sm_rng_below(&g->rng, 100);
	struct sm_node *n;
	int32_t s;

	g->steps++;
	if (dice < 35)
		op_new(g, m, table);
	else if (dice < 55)
		op_link(g, m, table);
	else if (dice < 65)
		op_unlink(g, m, table);
	else if (dice < 80)
		op_move(g, m, table);
	else if (dice < 84)
		op_copy(g, m, table);
	else if (dice < 87)
		op_drop(g, m, table);
	else
		walk(g, table, &n, &s);
	sm_safepoint(m);
}

/* ---- the whole comparison ----------------------------------------------------------------- */

struct pair {
	const struct sm_node *n;
	int32_t s;
};

uint64_t sm_graph_check(struct sm_graph *g, void **table)
{
	struct pair *stack = malloc((size_t)g->nnodes * sizeof(*stack));
	unsigned top = 0;
	uint64_t n = 0;

	/* No safepoint in here: the pointers lie in malloc's memory, the objects are in reach of
	 * the table. */
	SM_MUST(stack != NULL);
	for (unsigned i = 0; i < g->nnodes; i++)
		g->node[i].seen = false;
	for (unsigned i = 0; i < g->types->table_slots; i++) {
		const struct sm_node *h = sm_load(&table[i]);

		if (g->root[i] < 0) {
			SM_MUST(h == NULL, "root %u should be empty", i);
			continue;
		}
		check_node(h, g->node[g->root[i]].id);
		if (!g->node[g->root[i]].seen) {
			g->node[g->root[i]].seen = true;
			stack[top++] = (struct pair){h, g->root[i]};
		}
	}
	while (top > 0) {
		struct pair p = stack[--top];

		n++;
		for (unsigned k = 0; k < SM_GRAPH_EDGES; k++) {
			int32_t to = g->node[p.s].edge[k];
			const struct sm_node *h = edge_of(p.n, k);

			if (to < 0) {
				SM_MUST(h == NULL, "edge %u of %#llx should be empty", k,
					(unsigned long long)p.n->id);
				continue;
			}
			check_node(h, g->node[to].id);
			if (!g->node[to].seen) {
				g->node[to].seen = true;
				stack[top++] = (struct pair){h, to};
			}
		}
	}
	free(stack);
	return n;
}

/* ---- packages ----------------------------------------------------------------------------- */

/* The depth is in the low bits of the identity: nothing but the identity is needed to check the
 * tree. */
struct sm_node *sm_package_new(struct sm_mutator *m, const struct sm_graph_types *t,
			       struct sm_rng *r, uint64_t id, unsigned depth)
{
	struct sm_node *n;

	id = (id & ~(uint64_t)15) | depth;
	n = new_node(m, t, r, id);
	if (n == NULL)
		return NULL;
	for (unsigned k = 0; depth > 0 && k < 2; k++) {
		struct sm_node *child = sm_package_new(m, t, r, mix(id + k), depth - 1);

		if (child == NULL)
			return NULL;
		set_edge(m, n, k, child);
	}
	return n;
}

uint64_t sm_package_check(const struct sm_node *n)
{
	uint64_t count = 1;
	unsigned depth = (unsigned)(n->id & 15);

	check_node(n, n->id);
	for (unsigned k = 0; depth > 0 && k < 2; k++) {
		const struct sm_node *child = edge_of(n, k);

		check_node(child, (mix(n->id + k) & ~(uint64_t)15) | (depth - 1));
		count += sm_package_check(child);
	}
	return count;
}

struct sm_handle *sm_deep_table(struct sm_mutator *m, struct sm_gc *gc, const struct sm_type *table,
				unsigned n, uintptr_t *disguised)
{
	const struct sm_type *cell = sm_type_prefix(gc, 16, 1);
	void **head;

	/* A pin would be a way to it, and short. */
	if (gc->config.compact != SM_GC_COMPACT_OFF)
		table = sm_type_unmovable(gc, table);
	head = sm_new(m, table);
	SM_MUST(head != NULL);
	*disguised = ~(uintptr_t)head;
	while (n-- > 0) {
		void **c = sm_new(m, cell);

		SM_MUST(c != NULL);
		sm_store(m, c, head);
		head = c;
	}
	return sm_handle_new(m, head);
}
