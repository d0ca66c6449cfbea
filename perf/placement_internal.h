/* What placement.c (mutators) and placement_workers.c (mark workers) share: a plan in the making.
 */
#ifndef SM_PERF_PLACEMENT_INTERNAL_H
#define SM_PERF_PLACEMENT_INTERNAL_H

#include "perf/placement.h"

struct sm__place_plan {
	const struct sm_topology *t;
	const struct sm_place_request *r;
	struct sm_placement *out;
	int *order;	    /* candidate PUs for mutators, best first */
	int n_order;	    /* how many */
	int *pu_users;	    /* [n_pus]: threads placed there */
	int *core_mutators; /* [n_cores] */
	int *core_workers;
	int *node_mutators; /* [n_nodes] */
	int *node_workers;
	int *partners; /* [threads]: workers that were given to this mutator */
	char *err;
	size_t errlen;
};

/* Writes the user's line, returns -EINVAL. */
int sm__place_refuse(struct sm__place_plan *p, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* Appends a thread; pu SM_NONE: not pinned. */
void sm__place_put(struct sm__place_plan *p, enum sm_role role, unsigned index, int pu);

/*
 * Rank of a PU among the allowed PUs of its core (0 = the one to use first). Disallowed siblings do
 * not count: under `taskset` to the second sibling of each core that sibling is the core's first.
 */
int sm__place_smt_rank(const struct sm_topology *t, int pu);

/* 0 for the fastest kind of core, and for all where that is not known. */
int sm__place_kind_rank(const struct sm_topology *t, int pu);

/* Cores with an allowed PU. */
int sm__place_cores(const struct sm_topology *t);

/* Places mark worker i by the request's policy, all mutators and the workers before it being
 * placed. 0 or -EINVAL. */
int sm__place_worker(struct sm__place_plan *p, unsigned i);

#endif
