/* summary.c: the cells of the table, group by group, and statistics of results. See summary.h. */
#include "harness/report/summary.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/report/summary_internal.h"
#include "perf/expr.h"

/* ---- one sample, one row ------------------------------------------------------------------ */

/* A sample's metrics by row: head[row] is the first, next[metric] the next one of its row. */
struct links {
	int *head, *next;
	bool beside; /* the sample is a simulated pass beside others */
};

struct scope {
	const struct sm_report *report;
	const struct sm_record *rec;
	const struct links *links;
	int row;
	bool joined;  /* the row is several phases' */
	bool absent;  /* the phase did not occur: what was counted elsewhere is 0 here */
	int who, end; /* the rows of the same name: [who, end) */
	int rows;     /* of the group */
	bool scaled, doubted;
	enum sm_status status; /* of the first part that is missing, as its reason */
	const char *reason;
};

static const struct sm_metric *metric_in(const struct scope *s, int row, const char *name)
{
	for (int k = s->links->head[row]; k >= 0; k = s->links->next[k])
		if (s->rec->metrics[k].metric == name)
			return &s->rec->metrics[k];
	return NULL;
}

/* Nothing happened in the phase: the count is 0 where another phase of the row's name has one; or,
 * where no row of the name is in the sample (a worker that did nothing), any row. */
static bool find_absent(const struct scope *s, const char *name, double *out)
{
	const struct sm_metric *m;
	bool alone = true;

	for (int row = s->who; row < s->end; row++)
		alone &= s->links->head[row] < 0;
	for (int row = alone ? 0 : s->who; row < (alone ? s->rows : s->end); row++) {
		m = metric_in(s, row, name);
		if (m != NULL && m->has_value && !sm__is_shared(m)) {
			*out = 0;
			return true;
		}
	}
	return false;
}

static void missing(struct scope *s, enum sm_status status, const char *reason)
{
	if (s->reason != NULL)
		return;
	s->status = status;
	s->reason = reason;
}

static bool take_metric(struct scope *s, const struct sm_metric *m, double *out)
{
	if (!m->has_value) {
		missing(s, m->status, m->reason);
		return false;
	}
	s->scaled |= m->status == SM_STATUS_MULTIPLEXED;
	s->doubted |= m->calibration[0] != 0;
	*out += m->value;
	return true;
}

/* The sum over the row's phases. One that has its time, but this metric not even as missing, is a
 * part that is missing. */
static bool find_joined(struct scope *s, const char *name, double *out)
{
	const char *time = sm_pool_find(&s->report->pool, "time");
	unsigned parts = 0, phases = 0;

	for (int k = s->links->head[s->row]; k >= 0; k = s->links->next[k]) {
		const struct sm_metric *m = &s->rec->metrics[k];

		phases += m->metric == time;
		if (m->metric != name)
			continue;
		parts++;
		if (!take_metric(s, m, out))
			return false;
	}
	if (parts > 0 && parts < phases)
		missing(s, SM_STATUS_NOT_COUNTED, "in a part of the phases that are joined here");
	return parts > 0 && parts >= phases;
}

/* The row's metric of this sample, by its interned name. false: missing in part or altogether. */
static bool find_metric(struct scope *s, const char *name, double *out)
{
	const struct sm_metric *m;

	if (name == NULL)
		return false;
	*out = 0;
	if (s->absent)
		return find_absent(s, name, out);
	if (s->joined)
		return find_joined(s, name, out);
	m = metric_in(s, s->row, name);
	return m != NULL && take_metric(s, m, out);
}

static bool lookup(void *ctx, const char *name, double *value)
{
	struct scope *s = ctx;
	const struct sm_result *res;

	if (strcmp(name, "ops") == 0) {
		res = sm_record_result(s->rec, s->links->beside ? "simulated_ops" : "ops");
		*value = res != NULL ? res->value : 0;
		return res != NULL && res->has_value;
	}
	if (strcmp(name, "seconds") == 0) {
		if (!find_metric(s, sm_pool_find(&s->report->pool, "time"), value))
			return false;
		*value *= 1e-9;
		return true;
	}
	return find_metric(s, sm_pool_find(&s->report->pool, name), value);
}

/* The value of a column that is a formula: the worker's, where a set has that formula and the row
 * is one phase (a sum of ratios is none); else the table's own. */
static bool formula_value(struct scope *s, const struct sm_column *c, double *v)
{
	char err[120];

	if (!s->absent && !s->joined && find_metric(s, c->name, v))
		return true;
	if (s->reason != NULL)
		return false;
	if (sm_expr_eval(c->formula, lookup, s, v, err, sizeof(err)) == 0)
		return true;
	missing(s, SM_STATUS_NOT_COUNTED, "what it is made of was not counted in one pass");
	return false;
}

static bool cell_value(struct scope *s, const struct sm_column *c, double *v)
{
	double ops;

	if (c->formula[0] ? !formula_value(s, c, v) : !find_metric(s, c->name, v))
		return false;
	if (!c->per_op)
		return true;
	if (!lookup(s, "ops", &ops) || ops <= 0) {
		s->reason = NULL;
		missing(s, SM_STATUS_NOT_COUNTED, "the workload counts no operations");
		return false;
	}
	*v /= ops;
	return true;
}

/* ---- cells of a group --------------------------------------------------------------------- */

/* What a group's cells are made with: values of each repetition, with and without the zeros of
 * those in which the phase did not occur. */
struct filling {
	struct sm_summary *r;
	const struct sm__group *g;
	struct links *links; /* [record - first] */
	double *values, *zeros;
};

static int link_record(const struct sm__group *g, size_t i, struct links *l)
{
	size_t n = g->report->records[i].nmetrics;

	l->head = malloc((g->nrows + n + 1) * sizeof(int));
	if (l->head == NULL)
		return -ENOMEM;
	l->next = l->head + g->nrows;
	l->beside = sm_record_is_beside(&g->report->records[i]);
	for (size_t k = 0; k < g->nrows; k++)
		l->head[k] = -1;
	for (size_t k = n; k-- > 0;) {
		int row = g->row_of[i - g->first][k];

		if (row < 0)
			continue;
		l->next[k] = l->head[row];
		l->head[row] = (int)k;
	}
	return 0;
}

static void note(struct sm_cell *cell, struct sm_column *c, const struct scope *s)
{
	cell->scaled |= s->scaled;
	cell->doubted |= s->doubted;
	c->doubted |= s->doubted;
	if (!c->pass && strcmp(c->source, "pmu") == 0)
		c->pass = 1 + s->rec->pass;
}

/* A part that is missing where the phase occurred leaves no room for zeros: they would be all that
 * is counted. */
static void fill_cell(const struct filling *f, size_t row, size_t col, int who, int end)
{
	struct sm_cell *cell = &f->r->cells[(f->g->rows + row) * f->r->ncolumns + col];
	struct sm_column *c = &f->r->columns[col];
	struct sm__by_rep with = {.values = f->zeros}, without = {.values = f->values};
	bool told = false; /* by the simulated pass */
	double v;

	for (size_t i = f->g->first; i < f->g->end; i++) {
		const struct links *l = &f->links[i - f->g->first];
		struct scope s = {.report = f->g->report,
				  .rec = &f->g->report->records[i],
				  .links = l,
				  .row = (int)row,
				  .joined = f->r->rows[f->g->rows + row].joined > 0,
				  .absent = l->head[row] < 0,
				  .who = who,
				  .end = end,
				  .rows = (int)f->g->nrows};
		bool beside = l->beside; /* and why it has none goes first */

		if (!(beside && s.absent) && cell_value(&s, c, &v)) {
			sm__by_rep_take(&with, s.rec->rep, v);
			if (s.absent)
				continue;
			sm__by_rep_take(&without, s.rec->rep, v);
			note(cell, c, &s);
		} else if (beside && strcmp(c->source, "sim") == 0) {
			cell->status = SM_STATUS_NOT_COUNTED; /* not that there is no PMU */
			cell->reason = s.absent ? "did not occur in the simulated pass" : s.reason;
			told = cell->reason != NULL;
		} else if (!beside && !told && !s.absent && s.reason != NULL &&
			   (cell->reason == NULL || cell->status == SM_STATUS_NOT_COUNTED)) {
			cell->status = s.status;
			cell->reason = s.reason;
		}
	}
	if (cell->reason != NULL || without.n == 0)
		with = without;
	sm_stats_compute(with.values, with.n, f->g->report->confidence, &cell->stats);
	cell->has_value = cell->stats.n > 0;
}

static void fill_rows(const struct filling *f)
{
	const struct sm_row *rows = f->g->nrows > 0 ? f->r->rows + f->g->rows : NULL;

	for (size_t i = 0, n; i < f->g->nrows; i += n) {
		for (n = 1; i + n < f->g->nrows && rows[i + n].who == rows[i].who; n++)
			;
		for (size_t k = i; k < i + n; k++)
			for (size_t c = 0; c < f->r->ncolumns; c++)
				fill_cell(f, k, c, (int)i, (int)(i + n));
	}
}

static int add_group(struct sm_summary *r, enum sm_by by, bool brief, struct sm__group *g)
{
	size_t n = g->end - g->first;
	struct filling f = {.r = r,
			    .g = g,
			    .links = calloc(n, sizeof(*f.links)),
			    .values = calloc(2 * n, sizeof(*f.values))};
	int rc = f.links != NULL && f.values != NULL ? sm__summary_rows(r, by, brief, g) : -ENOMEM;

	f.zeros = f.values + n;
	for (size_t i = 0; i < n && rc == 0; i++)
		rc = link_record(g, g->first + i, &f.links[i]);
	if (rc == 0)
		fill_rows(&f);
	for (size_t i = 0; f.links != NULL && i < n; i++)
		free(f.links[i].head);
	free(f.links);
	free(f.values);
	sm__group_free(g);
	return rc;
}

static size_t group_end(const struct sm_report *report, size_t first)
{
	size_t i = first;

	while (i < report->nrecords && report->records[i].group == report->records[first].group)
		i++;
	return i;
}

static int build(const struct sm_report *report, enum sm_by by, bool brief, struct sm_summary *r)
{
	int rc;

	*r = (struct sm_summary){0};
	rc = sm__summary_columns(report, r);
	for (size_t i = 0; i < report->nrecords && rc == 0;) {
		struct sm__group g = {.report = report, .first = i, .end = group_end(report, i)};

		rc = add_group(r, by, brief, &g);
		i = g.end;
	}
	if (rc)
		sm_summary_free(r);
	return rc;
}

int sm_summary_build(const struct sm_report *report, enum sm_by by, struct sm_summary *r)
{
	return build(report, by, false, r);
}

int sm_summary_build_brief(const struct sm_report *report, enum sm_by by, struct sm_summary *r)
{
	return build(report, by, true, r);
}

void sm_summary_free(struct sm_summary *r)
{
	free(r->columns);
	free(r->rows);
	free(r->cells);
	sm_pool_free(&r->pool);
	*r = (struct sm_summary){0};
}

/* ---- results ------------------------------------------------------------------------------ */

void sm_summary_group(const struct sm_report *report, unsigned group, size_t *first, size_t *end)
{
	size_t low = 0, high = report->nrecords;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (report->records[middle].group < group)
			low = middle + 1;
		else
			high = middle;
	}
	*first = *end = low;
	while (*end < report->nrecords && report->records[*end].group == group)
		++*end;
}

/* The values of a result, one for each repetition, malloc'ed; what values need not have in unit and
 * reason. */
static struct sm__by_rep result_values(const struct sm_report *report, unsigned group,
				       const char *name, const char **unit, const char **reason)
{
	struct sm__by_rep b;
	size_t first, end;

	sm_summary_group(report, group, &first, &end);
	b = (struct sm__by_rep){.values = calloc(end - first + 1, sizeof(double))};
	for (size_t i = first; b.values != NULL && i < end; i++) {
		const struct sm_result *res = sm_record_result(&report->records[i], name);

		if (res == NULL)
			continue;
		if (unit != NULL)
			*unit = res->unit;
		if (res->has_value)
			sm__by_rep_take(&b, report->records[i].rep, res->value);
		else
			*reason = res->reason;
	}
	return b;
}

size_t sm_summary_values(const struct sm_report *report, unsigned group, const char *name,
			 double **values, const char **unit)
{
	const char *reason;
	struct sm__by_rep b = result_values(report, group, name, unit, &reason);

	*values = b.values;
	return b.n;
}

bool sm_summary_result(const struct sm_report *report, unsigned group, const char *name,
		       struct sm_stats *out, const char **unit, const char **reason)
{
	struct sm__by_rep b;

	*reason = "";
	b = result_values(report, group, name, unit, reason);
	sm_stats_compute(b.values, b.n, report->confidence, out);
	free(b.values);
	return out->n > 0;
}
