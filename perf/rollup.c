/* See rollup.h. */
#include "perf/rollup.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

const char *sm_rollup_by_name(enum sm_rollup_by by)
{
	static const char *const names[] = {"thread", "role", "core", "l3", "node", "package", "kind"};

	return names[by];
}

static int key_of(const struct sm_topology *topo, const struct sm_rollup_thread *th, unsigned index,
		  enum sm_rollup_by by)
{
	int pu = topo ? sm_topology_pu(topo, th->pu_os) : SM_NONE;

	if (by == SM_BY_THREAD)
		return (int)index;
	if (by == SM_BY_ROLE || pu == SM_NONE)
		return SM_NONE;
	switch (by) {
	case SM_BY_CORE: return topo->pus[pu].core;
	case SM_BY_L3: return topo->pus[pu].l3;
	case SM_BY_NODE: return topo->pus[pu].node;
	case SM_BY_PACKAGE: return topo->pus[pu].package;
	default: return topo->pus[pu].kind;
	}
}

static struct sm_rollup_row *find_row(const struct sm_counterset *cs, struct sm_rollup *out,
				      const struct sm_rollup_row *want)
{
	struct sm_rollup_row *r;

	for (unsigned i = 0; i < out->n; i++) {
		r = &out->rows[i];
		if (r->role == want->role && r->region == want->region && r->key == want->key &&
		    r->pmu == want->pmu)
			return r;
	}
	r = realloc(out->rows, (out->n + 1) * sizeof(*r));
	if (!r)
		return NULL;
	out->rows = r;
	r += out->n;
	*r = *want;
	r->readings = calloc(cs->n_events ? cs->n_events : 1, sizeof(*r->readings));
	if (!r->readings)
		return NULL;
	for (unsigned e = 0; e < cs->n_events; e++)
		r->readings[e] = SM_READING_ZERO;
	out->n++;
	return r;
}

static int by_order(const void *a, const void *b)
{
	const struct sm_rollup_row *x = a, *y = b;

	if (x->role != y->role)
		return x->role < y->role ? -1 : 1;
	if (x->region != y->region)
		return x->region < y->region ? -1 : 1;
	if (x->key != y->key)
		return x->key < y->key ? -1 : 1;
	return x->pmu < y->pmu ? -1 : x->pmu > y->pmu;
}

static int add_thread(const struct sm_counterset *cs, const struct sm_rollup_thread *th, int key,
		      unsigned n_regions, struct sm_reading *scratch, struct sm_rollup *out)
{
	unsigned first = th->pu_os >= 0 ? sm_region_kind(th->t) : 0;
	unsigned last = th->pu_os >= 0 ? first + 1 : cs->n_kinds;

	for (unsigned region = 0; region < n_regions; region++) {
		for (unsigned k = first; k < last; k++) {
			struct sm_rollup_row want = {.role = th->role,
						     .region = region,
						     .key = key,
						     .pmu = k},
					     *row;
			struct sm_region_time tm = {0};

			sm_region_get(th->t, region, k, scratch, &tm);
			if (!tm.enters && !tm.ns)
				continue;
			row = find_row(cs, out, &want);
			if (!row)
				return -ENOMEM;
			row->n_threads++;
			row->time.ns += tm.ns;
			row->time.enters += tm.enters;
			for (unsigned e = 0; e < cs->n_events; e++)
				sm_reading_add(&row->readings[e], &scratch[e]);
		}
	}
	return 0;
}

int sm_rollup(const struct sm_counterset *cs, const struct sm_topology *topo,
	      const struct sm_rollup_thread *threads, unsigned n, unsigned n_regions, enum sm_rollup_by by,
	      struct sm_rollup *out)
{
	struct sm_reading *scratch = calloc(cs->n_events ? cs->n_events : 1, sizeof(*scratch));
	int rc = scratch ? 0 : -ENOMEM;

	*out = (struct sm_rollup){0};
	for (unsigned i = 0; !rc && i < n; i++)
		if (threads[i].t)
			rc = add_thread(cs, &threads[i], key_of(topo, &threads[i], i, by), n_regions, scratch,
					out);
	free(scratch);
	if (rc)
		sm_rollup_free(out);
	else if (out->n)
		qsort(out->rows, out->n, sizeof(*out->rows), by_order);
	return rc;
}

void sm_rollup_free(struct sm_rollup *r)
{
	for (unsigned i = 0; i < r->n; i++)
		free(r->rows[i].readings);
	free(r->rows);
	*r = (struct sm_rollup){0};
}
