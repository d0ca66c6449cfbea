/* placement.c: placement of mutators, and the plan as a whole; placement.h says what each policy
 * means. */
#include "perf/placement_internal.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const place_names[] = {"compact", "scatter", "per-node", "one-per-core", "none"};
static const char *const mark_names[] = {"auto",    "dedicated",   "shared",
					 "sibling", "remote-node", "none"};

#define PLACE_LIST "compact, scatter, per-node, one-per-core, none"
#define MARK_LIST  "auto, dedicated, shared, sibling, remote-node, none"

int sm__place_refuse(struct sm__place_plan *p, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	if (p->err != NULL && p->errlen)
		vsnprintf(p->err, p->errlen, fmt, ap);
	va_end(ap);
	return -EINVAL;
}

void sm__place_put(struct sm__place_plan *p, enum sm_role role, unsigned index, int pu)
{
	struct sm_place_thread *th = &p->out->threads[p->out->n++];

	*th = (struct sm_place_thread){.role = role,
				       .index = index,
				       .pu = SM_NONE,
				       .pu_os = SM_NONE,
				       .core = SM_NONE,
				       .l3 = SM_NONE,
				       .node = SM_NONE,
				       .package = SM_NONE,
				       .kind = SM_NONE,
				       .node_os = SM_NONE};
	if (pu == SM_NONE)
		return;
	const struct sm_topo_pu *u = &p->t->pus[pu];

	th->pu = pu;
	th->pu_os = u->os;
	th->core = u->core;
	th->l3 = u->l3;
	th->node = u->node;
	th->package = u->package;
	th->kind = u->kind;
	th->node_os = p->t->nodes[u->node].os;
	p->pu_users[pu]++;
	if (role == SM_ROLE_MUTATOR) {
		p->core_mutators[u->core]++;
		p->node_mutators[u->node]++;
	} else {
		p->core_workers[u->core]++;
		p->node_workers[u->node]++;
	}
}

/*
 * Rank of a PU among the allowed PUs of its core (0 = the one to use first). Disallowed siblings do
 * not count: under `taskset` to the second sibling of each core that sibling is the core's first.
 */
int sm__place_smt_rank(const struct sm_topology *t, int pu)
{
	int rank = 0;

	for (int i = pu - 1; i >= 0 && t->pus[i].core == t->pus[pu].core; i--)
		rank += t->pus[i].allowed;
	return rank;
}

int sm__place_cores(const struct sm_topology *t)
{
	int n = 0;

	for (int i = 0; i < t->n_pus; i++)
		n += t->pus[i].allowed && sm__place_smt_rank(t, i) == 0;
	return n;
}

/* ---- mutators ----------------------------------------------------------------------------- */

int sm__place_kind_rank(const struct sm_topology *t, int pu)
{
	return t->kinds_ranked ? t->n_kinds - 1 - t->pus[pu].kind : 0;
}

/* In topology order, the fastest kind of core first. */
static void order_plain(struct sm__place_plan *p, bool one_per_core)
{
	for (int rank = 0; rank < p->t->n_kinds; rank++)
		for (int i = 0; i < p->t->n_pus; i++)
			if (p->t->pus[i].allowed && sm__place_kind_rank(p->t, i) == rank &&
			    !(one_per_core && sm__place_smt_rank(p->t, i)))
				p->order[p->n_order++] = i;
}

/*
 * Scatter, greedily: each next PU is of the fastest kind left and the one whose core, then package,
 * node, L3 hold the fewest threads so far. O(n^2) in PUs: a million steps for 1024 CPUs.
 */
static void order_scatter(struct sm__place_plan *p)
{
	const struct sm_topology *t = p->t;
	int *use =
		calloc((size_t)(t->n_cores + t->n_packages + t->n_nodes + t->n_l3s + t->n_pus + 5),
		       sizeof(int));
	int *core, *package, *node, *l3, *taken;

	if (use == NULL)
		return;
	core = use;
	package = core + t->n_cores;
	node = package + t->n_packages;
	l3 = node + t->n_nodes;
	taken = l3 + t->n_l3s + 1;
	for (int k = 0; k < t->n_allowed; k++) {
		int best = SM_NONE;

		for (int i = 0; i < t->n_pus; i++) {
			const struct sm_topo_pu *a = &t->pus[i],
						*b = best == SM_NONE ? NULL : &t->pus[best];

			if (!a->allowed || taken[i])
				continue;
			int al3 = a->l3 == SM_NONE ? t->n_l3s : a->l3;
			int bl3 = b == NULL || b->l3 == SM_NONE ? t->n_l3s : b->l3;
			int d = b == NULL
					? -1
					: sm__place_kind_rank(t, i) - sm__place_kind_rank(t, best);

			d = d ? d : core[a->core] - core[b->core];
			d = d ? d : package[a->package] - package[b->package];
			d = d ? d : node[a->node] - node[b->node];
			d = d ? d : l3[al3] - l3[bl3];
			if (d < 0)
				best = i;
		}
		if (best == SM_NONE)
			break;
		taken[best] = 1;
		core[t->pus[best].core]++;
		package[t->pus[best].package]++;
		node[t->pus[best].node]++;
		l3[t->pus[best].l3 == SM_NONE ? t->n_l3s : t->pus[best].l3]++;
		p->order[p->n_order++] = best;
	}
	free(use);
}

/* The next free PU of a node: of the fastest kind, first PUs of cores before siblings. */
static int next_in_node(struct sm__place_plan *p, int node)
{
	int best = SM_NONE, best_rank = 0;

	for (int i = 0; i < p->t->n_pus; i++) {
		int rank = sm__place_kind_rank(p->t, i) * (p->t->max_smt + 1) +
			   sm__place_smt_rank(p->t, i);

		if (!p->t->pus[i].allowed || p->t->pus[i].node != node || p->pu_users[i])
			continue;
		if (best == SM_NONE || rank < best_rank) {
			best = i;
			best_rank = rank;
		}
	}
	return best;
}

static int allowed_in_node(const struct sm_topology *t, int node)
{
	int n = 0;

	for (int i = 0; i < t->n_pus; i++)
		n += t->pus[i].allowed && t->pus[i].node == node;
	return n;
}

/* Equal blocks; a node that is too small for its share passes the rest on to the next one. */
static void place_per_node(struct sm__place_plan *p)
{
	unsigned left = p->r->threads, index = 0, carry;
	int nodes = 0;

	for (int n = 0; n < p->t->n_nodes; n++)
		nodes += allowed_in_node(p->t, n) > 0;
	for (carry = 1; left && carry;) {
		int rest = nodes;

		carry = 0;
		for (int n = 0; n < p->t->n_nodes && left; n++) {
			if (!allowed_in_node(p->t, n))
				continue;
			unsigned share = (left + (unsigned)rest - 1) / (unsigned)rest;

			rest--;
			for (; share; share--) {
				int pu = next_in_node(p, n);

				if (pu == SM_NONE)
					break;
				sm__place_put(p, SM_ROLE_MUTATOR, index++, pu);
				left--;
				carry = 1;
			}
			if (!rest)
				break;
		}
	}
}

static int plan_mutators(struct sm__place_plan *p)
{
	const struct sm_place_request *r = p->r;
	int limit = r->place == SM_PLACE_ONE_PER_CORE ? sm__place_cores(p->t) : p->t->n_allowed;

	if (r->place == SM_PLACE_NONE) {
		for (unsigned i = 0; i < r->threads; i++)
			sm__place_put(p, SM_ROLE_MUTATOR, i, SM_NONE);
		return 0;
	}
	if (r->threads > (unsigned)limit)
		return sm__place_refuse(p,
					"--threads %u: --place %s has room for %d on this topology "
					"(%d PUs, %d cores); "
					"allowed: 1 to %d, "
					"or --place none",
					r->threads, sm_place_name(r->place), limit, p->t->n_allowed,
					sm__place_cores(p->t), limit);
	if (r->place == SM_PLACE_PER_NODE) {
		place_per_node(p);
		return 0;
	}
	if (r->place == SM_PLACE_SCATTER)
		order_scatter(p);
	else
		order_plain(p, r->place == SM_PLACE_ONE_PER_CORE);
	if (p->n_order < (int)r->threads)
		return -ENOMEM;
	for (unsigned i = 0; i < r->threads; i++)
		sm__place_put(p, SM_ROLE_MUTATOR, i, p->order[i]);
	return 0;
}

static bool allocate(struct sm__place_plan *p)
{
	const struct sm_topology *t = p->t;
	size_t total = (size_t)p->r->threads + p->r->workers;

	p->out->threads = calloc(total ? total : 1, sizeof(*p->out->threads));
	p->order = calloc((size_t)t->n_pus, sizeof(int));
	p->pu_users = calloc((size_t)t->n_pus, sizeof(int));
	p->core_mutators = calloc((size_t)t->n_cores, sizeof(int));
	p->core_workers = calloc((size_t)t->n_cores, sizeof(int));
	p->node_mutators = calloc((size_t)t->n_nodes, sizeof(int));
	p->node_workers = calloc((size_t)t->n_nodes, sizeof(int));
	p->partners = calloc((size_t)p->r->threads + 1, sizeof(int));
	return p->out->threads != NULL && p->order != NULL && p->pu_users != NULL &&
	       p->core_mutators != NULL && p->core_workers != NULL && p->node_mutators != NULL &&
	       p->node_workers != NULL && p->partners != NULL;
}

static int place_all(struct sm__place_plan *p)
{
	int rc = allocate(p) ? plan_mutators(p) : -ENOMEM;

	for (unsigned i = 0; !rc && i < p->r->workers; i++)
		rc = sm__place_worker(p, i);
	free(p->order);
	free(p->pu_users);
	free(p->core_mutators);
	free(p->core_workers);
	free(p->node_mutators);
	free(p->node_workers);
	free(p->partners);
	return rc;
}

/* The topology as a plan sees it that may use some kinds of cores; its PUs are to be freed. */
static int mask_kinds(struct sm__place_plan *p, struct sm_topology *masked)
{
	*masked = *p->t;
	masked->pus = calloc((size_t)p->t->n_pus, sizeof(*masked->pus));
	if (masked->pus == NULL)
		return -ENOMEM;
	masked->n_allowed = 0;
	for (int i = 0; i < p->t->n_pus; i++) {
		masked->pus[i] = p->t->pus[i];
		masked->pus[i].allowed &= p->r->kinds >> p->t->pus[i].kind & 1;
		masked->n_allowed += masked->pus[i].allowed;
	}
	p->t = masked;
	return masked->n_allowed ? 0
				 : sm__place_refuse(p, "--kind: no core of that kind may be used "
						       "here (cpuset, taskset); allowed: all");
}

int sm_placement_plan(const struct sm_topology *t, const struct sm_place_request *r,
		      struct sm_placement *out, char *err, size_t errlen)
{
	struct sm__place_plan p = {.t = t, .r = r, .out = out, .err = err, .errlen = errlen};
	struct sm_topology masked = {0};
	int rc = 0;

	*out = (struct sm_placement){0};
	if (r->kinds)
		rc = mask_kinds(&p, &masked);
	if (rc == 0)
		rc = place_all(&p);
	free(masked.pus);
	if (rc == -ENOMEM && err != NULL && errlen)
		snprintf(err, errlen, "out of memory");
	if (rc)
		sm_placement_free(out);
	return rc;
}

int sm_placement_mutator_kinds(const struct sm_topology *t, const struct sm_placement *p)
{
	uint64_t seen = 0;

	for (unsigned i = 0; i < p->n; i++) {
		const struct sm_place_thread *th = &p->threads[i];

		if (th->role != SM_ROLE_MUTATOR)
			continue;
		if (th->pu != SM_NONE)
			seen |= UINT64_C(1) << th->kind;
		for (int k = 0; th->pu == SM_NONE && k < t->n_pus; k++)
			seen |= (uint64_t)t->pus[k].allowed << t->pus[k].kind;
	}
	return __builtin_popcountll(seen);
}

void sm_placement_free(struct sm_placement *p)
{
	free(p->threads);
	*p = (struct sm_placement){0};
}

/* ---- names -------------------------------------------------------------------------------- */

static int lookup(const char *const *names, int n, const char *name)
{
	for (int i = 0; i < n; i++)
		if (strcmp(names[i], name) == 0)
			return i;
	return -EINVAL;
}

int sm_place_kinds_parse(const struct sm_topology *t, const char *name, uint64_t *out, char *err,
			 size_t errlen)
{
	size_t n;

	*out = 0;
	if (strcmp(name, "all") == 0)
		return 0;
	for (int k = 0; t->n_kinds > 1 && k < t->n_kinds; k++)
		if (strcmp(sm_topology_kind_name(t, k), name) == 0)
			*out |= UINT64_C(1) << k;
	if (*out)
		return 0;
	n = (size_t)snprintf(err, errlen, "--kind %.16s: %s; allowed: all", name,
			     t->n_kinds > 1 ? "no such kind of cores here"
					    : "all cores here are of one kind");
	for (int k = t->n_kinds - 1; t->n_kinds > 1 && k >= 0 && n < errlen; k--)
		n += (size_t)snprintf(err + n, errlen - n, ", %s", sm_topology_kind_name(t, k));
	return -EINVAL;
}

int sm_place_parse(const char *name, enum sm_place *out, char *err, size_t errlen)
{
	int i = lookup(place_names, SM_PLACE_NONE + 1, name);

	if (i < 0) {
		snprintf(err, errlen, "--place %s: unknown policy; allowed: " PLACE_LIST, name);
		return -EINVAL;
	}
	*out = (enum sm_place)i;
	return 0;
}

int sm_mark_place_parse(const char *name, enum sm_mark_place *out, char *err, size_t errlen)
{
	int i = lookup(mark_names, SM_MARK_NONE + 1, name);

	if (i < 0) {
		snprintf(err, errlen, "--mark-place %s: unknown policy; allowed: " MARK_LIST, name);
		return -EINVAL;
	}
	*out = (enum sm_mark_place)i;
	return 0;
}

const char *sm_place_name(enum sm_place p)
{
	return place_names[p];
}

const char *sm_mark_place_name(enum sm_mark_place p)
{
	return mark_names[p];
}

const char *sm_role_name(enum sm_role r)
{
	static const char *const names[] = {"mutator", "mark-worker", "other"};

	return names[r < SM_ROLE_COUNT ? r : SM_ROLE_OTHER];
}
