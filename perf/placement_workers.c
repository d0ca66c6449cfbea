/* placement_workers.c: placement of mark workers; placement.h says what each policy means. */
#include "perf/placement_internal.h"

#include <limits.h>
#include <stdio.h>

/*
 * The mutator whose neighbourhood the next worker goes to; NULL when none is pinned. The one with
 * the fewest workers yet; among those one whose node has the fewest workers for its mutators, so
 * that three workers beside mutators in blocks on two nodes are not all on the first.
 */
static const struct sm_place_thread *next_partner(struct sm__place_plan *p)
{
	const struct sm_place_thread *all = p->out->threads;
	unsigned best = UINT_MAX;

	for (unsigned i = 0; i < p->r->threads; i++) {
		const struct sm_place_thread *a = &all[i],
					     *b = best == UINT_MAX ? NULL : &all[best];
		long more;

		if (a->pu == SM_NONE)
			continue;
		more = b == NULL ? -1 : p->partners[i] - p->partners[best];
		/* workers a / mutators a < workers b / mutators b */
		if (more == 0)
			more = (long)p->node_workers[a->node] * p->node_mutators[b->node] -
			       (long)p->node_workers[b->node] * p->node_mutators[a->node];
		if (more < 0)
			best = i;
	}
	if (best == UINT_MAX)
		return NULL;
	p->partners[best]++;
	return &all[best];
}

#define OTHER_KIND 100000 /* further than any distance */

/* How far a PU is from a mutator: same kind of core, same L3, same node, then by distance. Without
 * one, workers take the fastest cores and spread over the nodes. */
static long farness(const struct sm__place_plan *p, const struct sm_place_thread *m, int pu)
{
	const struct sm_topo_pu *u = &p->t->pus[pu];
	long other;

	if (m == NULL)
		return (long)sm__place_kind_rank(p->t, pu) * OTHER_KIND + p->node_workers[u->node];
	other = u->kind != m->kind ? OTHER_KIND : 0;
	if (u->node != m->node)
		return other + 2 + (long)sm_topology_distance(p->t, m->node, u->node);
	return other + (u->l3 == m->l3 ? 0 : 1);
}

/* An unused core, nearest to mutator m, not on m's node when `remote`. */
static int free_core(const struct sm__place_plan *p, const struct sm_place_thread *m, bool remote)
{
	int best = SM_NONE;

	for (int i = 0; i < p->t->n_pus; i++) {
		const struct sm_topo_pu *u = &p->t->pus[i];

		if (!u->allowed || sm__place_smt_rank(p->t, i) || p->core_mutators[u->core] ||
		    p->core_workers[u->core] || (remote && m != NULL && u->node == m->node))
			continue;
		if (best == SM_NONE || farness(p, m, i) < farness(p, m, best))
			best = i;
	}
	return best;
}

/*
 * The PU where one more worker is least in the way: workers to one core first, since two of them on
 * a core mark no faster than one; then mutators on that core, then threads on that PU; the nearest
 * to m among equals.
 */
static int least_loaded(const struct sm__place_plan *p, const struct sm_place_thread *m)
{
	int best = SM_NONE;

	for (int i = 0; i < p->t->n_pus; i++) {
		const struct sm_topo_pu *a = &p->t->pus[i],
					*b = best == SM_NONE ? NULL : &p->t->pus[best];
		long d;

		if (!a->allowed)
			continue;
		d = b == NULL ? -1 : p->core_workers[a->core] - p->core_workers[b->core];
		d = d ? d : p->core_mutators[a->core] - p->core_mutators[b->core];
		d = d ? d : p->pu_users[i] - p->pu_users[best];
		d = d ? d : farness(p, m, i) - farness(p, m, best);
		if (d < 0)
			best = i;
	}
	return best;
}

#define AT_MOST 32 /* room for it */
/* "at most 3 here, ", and nothing where there is no room at all. */
static const char *at_most(unsigned n, char buf[AT_MOST])
{
	buf[0] = '\0';
	if (n > 0)
		snprintf(buf, AT_MOST, "at most %u here, ", n);
	return buf;
}

static int worker_dedicated(struct sm__place_plan *p, unsigned i)
{
	int pu = free_core(p, next_partner(p), false);
	char most[AT_MOST];

	if (pu == SM_NONE)
		return sm__place_refuse(
			p,
			"--workers %u: --mark-place dedicated needs a core for each worker beside "
			"%u "
			"mutators "
			"and this topology has %d cores in all; allowed: %sfewer "
			"--threads, or --mark-place auto",
			p->r->workers, p->r->threads, sm__place_cores(p->t), at_most(i, most));
	sm__place_put(p, SM_ROLE_WORKER, i, pu);
	return 0;
}

static int free_sibling(const struct sm__place_plan *p, int core)
{
	const struct sm_topo_core *c = &p->t->cores[core];

	for (int i = c->first_pu; i < c->first_pu + c->n_pus; i++)
		if (p->t->pus[i].allowed && !p->pu_users[i])
			return i;
	return SM_NONE;
}

static int worker_sibling(struct sm__place_plan *p, unsigned i)
{
	int pu = SM_NONE;
	char most[AT_MOST];

	if (p->t->max_smt < 2)
		return sm__place_refuse(
			p,
			"--mark-place sibling: this topology has no SMT siblings; allowed: "
			"auto, dedicated, shared%s, none",
			p->t->n_cpu_nodes > 1 ? ", remote-node" : "");
	for (unsigned k = 0; pu == SM_NONE && k < p->r->threads; k++) {
		const struct sm_place_thread *m = next_partner(p);

		if (m != NULL)
			pu = free_sibling(p, m->core);
	}
	if (pu == SM_NONE)
		return sm__place_refuse(
			p,
			"--workers %u: --mark-place sibling finds no free sibling for worker "
			"%u beside %u mutators "
			"(--place %s); allowed: %s--place one-per-core, "
			"or --mark-place auto",
			p->r->workers, i, p->r->threads, sm_place_name(p->r->place),
			at_most(i, most));
	sm__place_put(p, SM_ROLE_WORKER, i, pu);
	return 0;
}

static int worker_remote(struct sm__place_plan *p, unsigned i)
{
	int pu;
	char most[AT_MOST];

	if (p->t->n_cpu_nodes < 2)
		return sm__place_refuse(
			p,
			"--mark-place remote-node: this topology has one node with CPUs; "
			"allowed: auto, dedicated, shared%s, none",
			p->t->max_smt > 1 ? ", sibling" : "");
	pu = free_core(p, next_partner(p), true);
	if (pu == SM_NONE)
		return sm__place_refuse(
			p,
			"--workers %u: --mark-place remote-node finds no free core on "
			"another node for worker %u "
			"(--threads %u --place %s); allowed: %sfewer "
			"--threads, or --place compact",
			p->r->workers, i, p->r->threads, sm_place_name(p->r->place),
			at_most(i, most));
	sm__place_put(p, SM_ROLE_WORKER, i, pu);
	return 0;
}

/* One worker beside each mutator; there is nothing to gain from a second one there while other
 * cores are free. */
static int worker_shared(struct sm__place_plan *p, unsigned i)
{
	const struct sm_place_thread *m = next_partner(p);
	bool alone = m != NULL && p->pu_users[m->pu] == 1;

	sm__place_put(p, SM_ROLE_WORKER, i, alone ? m->pu : least_loaded(p, m));
	return 0;
}

int sm__place_worker(struct sm__place_plan *p, unsigned i)
{
	switch (p->r->mark_place) {
	case SM_MARK_AUTO:
		sm__place_put(p, SM_ROLE_WORKER, i, least_loaded(p, next_partner(p)));
		return 0;
	case SM_MARK_DEDICATED: return worker_dedicated(p, i);
	case SM_MARK_SIBLING: return worker_sibling(p, i);
	case SM_MARK_REMOTE_NODE: return worker_remote(p, i);
	case SM_MARK_SHARED: return worker_shared(p, i);
	case SM_MARK_NONE: break;
	}
	sm__place_put(p, SM_ROLE_WORKER, i, SM_NONE);
	return 0;
}

/* ---- in words ----------------------------------------------------------------------------- */

/* What a worker shares its core with, from best to worst. */
enum company {
	ALONE,
	SIBLING_OF_MUTATOR,
	WITH_WORKERS,
	WHERE_MUTATORS_ROAM, /* they are not pinned: here too, at times */
	ON_MUTATORS_PU,
	UNPINNED,
	COMPANIES
};

static enum company company_of(const struct sm_placement *p, const struct sm_place_thread *w)
{
	enum company c = ALONE;

	if (w->pu == SM_NONE)
		return UNPINNED;
	for (unsigned i = 0; i < p->n; i++) {
		const struct sm_place_thread *o = &p->threads[i];
		enum company with = o->role == SM_ROLE_WORKER ? WITH_WORKERS
				    : o->pu == w->pu	      ? ON_MUTATORS_PU
							      : SIBLING_OF_MUTATOR;

		if (o->role != SM_ROLE_WORKER && o->pu == SM_NONE && c < WHERE_MUTATORS_ROAM)
			c = WHERE_MUTATORS_ROAM;
		if (o != w && o->pu != SM_NONE && o->core == w->core && with > c)
			c = with;
	}
	return c;
}

void sm_placement_describe(const struct sm_topology *t, const struct sm_placement *p, char *buf,
			   size_t len)
{
	static const char *const one[COMPANIES] = {
		"on a core of its own",		"on the SMT sibling of a mutator",
		"on a core with other workers", "on a core that mutators use too",
		"on a mutator's CPU",		"where gc.avoid_cpus lets it"};
	static const char *const many[COMPANIES] = {
		"on cores of their own",       "on SMT siblings of mutators",
		"on cores with other workers", "on cores that mutators use too",
		"on mutators' CPUs",	       "where gc.avoid_cpus lets them"};
	unsigned n[COMPANIES] = {0}, workers = 0, mutators = 0, kinds = 0;
	bool roam = false;
	size_t used;

	for (unsigned i = 0; i < p->n; i++) {
		if (p->threads[i].role == SM_ROLE_WORKER) {
			n[company_of(p, &p->threads[i])]++;
			workers++;
		} else {
			mutators++;
			roam |= p->threads[i].pu == SM_NONE;
		}
	}
	used = (size_t)snprintf(buf, len, "%u mutator%s%s, %u mark worker%s", mutators,
				mutators == 1 ? "" : "s", roam ? " (not pinned)" : "", workers,
				workers == 1 ? "" : "s");
	for (int c = 0; c < COMPANIES; c++)
		kinds += n[c] > 0;
	for (int c = 0, said = 0; c < COMPANIES; c++) {
		if (!n[c] || used >= len)
			continue;
		used += (size_t)snprintf(buf + used, len - used, said++ ? ", " : ": ");
		if (kinds > 1 && used < len)
			used += (size_t)snprintf(buf + used, len - used, "%u ", n[c]);
		if (used < len)
			used += (size_t)snprintf(buf + used, len - used, "%s",
						 n[c] == 1 ? one[c] : many[c]);
	}
	if (workers != n[ALONE] + n[UNPINNED] + n[WHERE_MUTATORS_ROAM] && used < len)
		snprintf(buf + used, len - used, " (%d core%s allowed)", sm__place_cores(t),
			 sm__place_cores(t) == 1 ? "" : "s");
}
