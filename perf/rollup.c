/* rollup.c: see rollup.h. */
#include "perf/rollup.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define NAME(constant, name) #name,
const char *const sm_by_names[] = {SM_BY_LIST(NAME) NULL};

/* One roll-up in the making. */
struct rolling {
	const struct sm_counterset *cs;
	const struct sm_topology *topo;
	const struct sm_rollup_thread *threads;
	unsigned n;
	const struct sm_rollup_options *opt;
	struct sm_reading *scratch; /* [n_events] */
	struct sm_rollup *out;
};

static int key_of(const struct rolling *r, unsigned thread)
{
	const struct sm_topology *topo = r->topo;
	int pu = topo != NULL ? sm_topology_pu(topo, r->threads[thread].pu_os) : SM_NONE;

	if (r->opt->by == SM_BY_THREAD)
		return (int)(r->threads[thread].took_over ? r->threads[thread].took_over - 1
							  : thread);
	if (r->opt->by == SM_BY_ROLE || pu == SM_NONE)
		return SM_NONE;
	/* Of one kind are they all, pinned or not: they must meet in one row. */
	if (r->opt->by == SM_BY_KIND && (r->cs->n_kinds > 1 || topo->n_kinds <= 1))
		return SM_NONE;
	switch (r->opt->by) {
	case SM_BY_CORE: return topo->pus[pu].core;
	case SM_BY_L3: return topo->pus[pu].l3;
	case SM_BY_NODE: return topo->pus[pu].node;
	case SM_BY_PACKAGE: return topo->pus[pu].package;
	default: return topo->pus[pu].kind;
	}
}

/* Number of the role's first thread: the order of roles. */
static unsigned role_order(const struct rolling *r, const char *role)
{
	unsigned i = 0;

	while (role != NULL && i < r->n && strcmp(r->threads[i].role, role) != 0)
		i++;
	return i;
}

static bool same_role(const char *a, const char *b)
{
	return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

/* <0, 0, >0: where two rows stand. */
static int compare_rows(const struct rolling *r, const struct sm_rollup_row *a,
			const struct sm_rollup_row *b)
{
	if (a->key != b->key)
		return a->key < b->key ? -1 : 1;
	if (!same_role(a->role, b->role))
		return role_order(r, a->role) < role_order(r, b->role) ? -1 : 1;
	if (a->pmu != b->pmu)
		return a->pmu < b->pmu ? -1 : 1;
	return a->label < b->label ? -1 : a->label > b->label;
}

/* The row like `want`, put in its place when there is none yet; NULL when out of memory. */
static struct sm_rollup_row *find_row(struct rolling *r, const struct sm_rollup_row *want)
{
	struct sm_rollup *out = r->out;
	struct sm_rollup_row *rows;
	struct sm_reading *readings;
	unsigned at = out->n;

	while (at > 0 && compare_rows(r, &out->rows[at - 1], want) >= 0) {
		at--;
		if (compare_rows(r, &out->rows[at], want) == 0)
			return &out->rows[at];
	}
	readings = calloc(r->cs->n_events ? r->cs->n_events : 1, sizeof(*readings));
	rows = readings != NULL ? realloc(out->rows, (out->n + 1) * sizeof(*rows)) : NULL;
	if (rows == NULL) {
		free(readings);
		return NULL;
	}
	for (unsigned e = 0; e < r->cs->n_events; e++)
		readings[e] = SM_READING_ZERO;
	out->rows = rows;
	memmove(rows + at + 1, rows + at, (out->n - at) * sizeof(*rows));
	rows[at] = *want;
	rows[at].readings = readings;
	out->n++;
	return &rows[at];
}

static uint64_t filled_ns(const struct rolling *r, const struct sm_rollup_thread *th, unsigned pmu)
{
	struct sm_region_time time;
	uint64_t others = 0;

	for (unsigned region = 0; region < r->opt->n_regions; region++) {
		if ((int)region == th->fill)
			continue;
		sm_region_get(th->t, region, pmu, r->scratch, &time);
		others += time.ns;
	}
	return th->fill_ns > others ? th->fill_ns - others : 0;
}

/* Adds the region that is in r->scratch to a row. */
static int add(struct rolling *r, struct sm_rollup_row *want, const struct sm_region_time *time,
	       bool first, bool light)
{
	struct sm_rollup_row *row = find_row(r, want);

	if (row == NULL)
		return -ENOMEM;
	row->n_threads += first;
	row->time.ns += time->ns;
	row->time.enters += time->enters;
	for (unsigned e = 0; e < r->cs->n_events; e++)
		if (!(light && r->scratch[e].status == SM_STATUS_NOT_COUNTED))
			sm_reading_add(&row->readings[e], &r->scratch[e]);
	return 0;
}

static int add_thread(struct rolling *r, unsigned thread, unsigned pmu)
{
	const struct sm_rollup_thread *th = &r->threads[thread];
	struct sm_rollup_row want = {.role = r->opt->by <= SM_BY_THREAD ? th->role : NULL,
				     .key = key_of(r, thread),
				     .pmu = pmu};
	bool first = true;
	int rc = 0;

	for (unsigned region = 0; rc == 0 && region < r->opt->n_regions; region++) {
		struct sm_region_time time = {0};
		uint64_t fill = (int)region == th->fill ? filled_ns(r, th, pmu) : 0;

		sm_region_get(th->t, region, pmu, r->scratch, &time);
		if (!time.enters && !time.ns)
			continue;
		if ((int)region == th->fill)
			time.ns = fill;
		want.label = th->label != NULL ? th->label[region] : region;
		rc = add(r, &want, &time, true, false);
		if (rc || !r->opt->totals)
			continue;
		want.label = SM_ROLLUP_TOTAL;
		rc = add(r, &want, &time, first, (r->opt->light >> region & 1) != 0);
		first = false;
	}
	return rc;
}

int sm_rollup(const struct sm_counterset *cs, const struct sm_topology *topo,
	      const struct sm_rollup_thread *threads, unsigned n,
	      const struct sm_rollup_options *opt, struct sm_rollup *out)
{
	struct rolling r = {.cs = cs,
			    .topo = topo,
			    .threads = threads,
			    .n = n,
			    .opt = opt,
			    .scratch = calloc(cs->n_events ? cs->n_events : 1, sizeof(*r.scratch)),
			    .out = out};
	int rc = r.scratch != NULL ? 0 : -ENOMEM;

	*out = (struct sm_rollup){0};
	for (unsigned i = 0; !rc && i < n; i++) {
		if (threads[i].t == NULL)
			continue;
		unsigned pmu = threads[i].pu_os >= 0 ? sm_region_kind(threads[i].t) : 0;
		unsigned last = threads[i].pu_os >= 0 ? pmu + 1 : cs->n_kinds;

		for (; !rc && pmu < last; pmu++)
			rc = add_thread(&r, i, pmu);
	}
	free(r.scratch);
	if (rc)
		sm_rollup_free(out);
	return rc;
}

void sm_rollup_free(struct sm_rollup *r)
{
	for (unsigned i = 0; i < r->n; i++)
		free(r->rows[i].readings);
	free(r->rows);
	*r = (struct sm_rollup){0};
}
