/*
 * moving.h: a graph whose nodes may move: of every layout, each with its number and those of the
 * nodes that it leads to, so that contents and edges can be checked wherever they lie.
 *
 * The nodes stand in a table, a large object behind a handle. No address of a node stays on the
 * stack of a caller.
 */
#ifndef SM_TESTS_SUPPORT_MOVING_H
#define SM_TESTS_SUPPORT_MOVING_H

#include "spanmark/gc.h"
#include "allocator/base/base.h"

enum sm_moving_kind {
	SM_MOVING_PREFIX,
	SM_MOVING_ALL_BUT_TAGS, /* a mask */
	SM_MOVING_BITMAP,	/* longer than 64 words */
	SM_MOVING_FLEX,
	SM_MOVING_RARE, /* one of many types, in spans of mixed layouts */
	SM_MOVING_FIXED,
	SM_MOVING_KINDS
};

#define SM_MOVING_RARE_TYPES 40

struct sm_moving_node {
	void *edge;	   /* another node, or NULL */
	uint64_t id, want; /* want: the edge's id */
	uint64_t kind;
	/* then, but with PREFIX: a pointer to the node itself in its last word */
};

struct sm_moving_types {
	const struct sm_type *of[SM_MOVING_KINDS], *rare[SM_MOVING_RARE_TYPES], *table;
	bool fixed; /* nodes of the unmovable type, too */
};

struct sm_moving {
	struct sm_gc *gc;
	struct sm_moving_types *types;
	struct sm_handle *table;
	size_t n;
	uint64_t next_id;
	uint64_t rng;
};

void sm_moving_types(struct sm_moving_types *t, struct sm_gc *gc, bool fixed);
void sm_moving_init(struct sm_moving *g, struct sm_mutator *m, struct sm_moving_types *t, size_t n,
		    uint64_t seed, uint64_t stream);
/* A new node in each slot with a probability of `per cent`. */
void sm_moving_grow(struct sm_moving *g, struct sm_mutator *m, unsigned percent);
/* Drops each with a probability of `per cent`. */
void sm_moving_drop(struct sm_moving *g, struct sm_mutator *m, unsigned percent);
/* New edges, at random. */
void sm_moving_link(struct sm_moving *g, struct sm_mutator *m, size_t times);
/* Every node, and what it leads to; false: something is damaged. */
bool sm_moving_intact(struct sm_moving *g, struct sm_mutator *m);
/* ~address of the node in a slot; 0: none. */
uintptr_t sm_moving_hidden(struct sm_moving *g, size_t slot);

#endif
