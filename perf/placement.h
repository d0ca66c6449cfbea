/*
 * Which thread runs where: a pure function of a topology, two policies and two counts.
 *
 * The plan is a list, mutators first, then mark workers, each with the PU to pin to (pin.h does it)
 * and the node that is local there. Only allowed PUs are used. Nothing here touches the machine, so
 * plans for XML and synthetic machines are printed by `spanmark topo` exactly as they would be
 * carried out.
 *
 * Where kinds of cores differ and it is known which is faster, the fastest are taken first,
 * whatever the policy; `kinds` leaves the others out altogether.
 *
 * Mutators (--place):
 *   compact       fills PUs in topology order: siblings of a core, then the next core, L3, node,
 *                 package
 *   scatter       as far apart as possible: round robin over packages, nodes, L3s, then cores;
 *                 siblings last
 *   per-node      equal blocks of threads on every node that has CPUs; in a node cores first,
 *                 siblings last
 *   one-per-core  the first PU of each core, in topology order
 *   none          not pinned: the scheduler's choice (pu = SM_NONE), any number of threads
 * Mark workers (--mark-place); worker i belongs to a mutator, in turn, evenly over the nodes that
 * have mutators:
 *   auto          the default, never refused: a core of its own for each, near its mutator, while
 *                 there are such; then one worker to a core, the cores with the fewest threads
 *                 first (an SMT sibling of a mutator before its own PU); a second one on a core
 *                 only when each has one
 *   dedicated     a core of its own for each, in its mutator's node where one is free; else refused
 *   shared        on the PU of its mutator; those that are more than the mutators go where auto
 *                 would put them
 *   sibling       on a free SMT sibling of a mutator's core
 *   remote-node   on a free core of another node than its mutator's, the nearest one first
 *   none          not pinned
 */
#ifndef SM_PERF_PLACEMENT_H
#define SM_PERF_PLACEMENT_H

#include "perf/topology.h"

enum sm_place {
	SM_PLACE_COMPACT,
	SM_PLACE_SCATTER,
	SM_PLACE_PER_NODE,
	SM_PLACE_ONE_PER_CORE,
	SM_PLACE_NONE
};

enum sm_mark_place {
	SM_MARK_AUTO,
	SM_MARK_DEDICATED,
	SM_MARK_SHARED,
	SM_MARK_SIBLING,
	SM_MARK_REMOTE_NODE,
	SM_MARK_NONE,
};

enum sm_role { SM_ROLE_MUTATOR, SM_ROLE_WORKER, SM_ROLE_OTHER, SM_ROLE_COUNT };

/* One thread of the plan. Indexes refer to the topology's arrays; SM_NONE throughout when not
 * pinned. */
struct sm_place_thread {
	enum sm_role role;
	unsigned index; /* 0.. within its role */
	int pu;		/* PU index */
	int pu_os;	/* what pin.h wants */
	int core, l3, node, package, kind;
	int node_os;
};

struct sm_place_request {
	enum sm_place place;
	enum sm_mark_place mark_place;
	unsigned threads; /* mutators */
	unsigned workers; /* mark workers */
	/* bit set of the kinds of cores that may be used (--kind); 0: all */
	uint64_t kinds;
};

struct sm_placement {
	unsigned n;			 /* threads + workers */
	struct sm_place_thread *threads; /* mutators, then workers */
};

/*
 * Plans. Returns 0; -EINVAL when the machine cannot do what was asked, with one line in err that
 * names the option, the value, and what is allowed; -ENOMEM. On error *out is empty.
 */
int sm_placement_plan(const struct sm_topology *t, const struct sm_place_request *r,
		      struct sm_placement *out, char *err, size_t errlen);
void sm_placement_free(struct sm_placement *p);

#define SM_PLACED_TEXT 200 /* room for every description */
/* What the mark workers share their cores with, in one line: "1 mutator, 2 mark workers: on cores
 * of their own". */
void sm_placement_describe(const struct sm_topology *t, const struct sm_placement *p, char *buf,
			   size_t len);

/* How many kinds of cores the mutators are on, or may be where they are not pinned. */
int sm_placement_mutator_kinds(const struct sm_topology *t, const struct sm_placement *p);

/* The bit set for a name of sm_topology_kind_name(), 0 for "all"; -EINVAL and the list of what is
 * allowed in err. */
int sm_place_kinds_parse(const struct sm_topology *t, const char *name, uint64_t *out, char *err,
			 size_t errlen);

/* Names <-> policies. The parsers return -EINVAL and the list of what is allowed in err. */
int sm_place_parse(const char *name, enum sm_place *out, char *err, size_t errlen);
int sm_mark_place_parse(const char *name, enum sm_mark_place *out, char *err, size_t errlen);
const char *sm_place_name(enum sm_place p);
const char *sm_mark_place_name(enum sm_mark_place p);
const char *sm_role_name(enum sm_role r);

#endif
