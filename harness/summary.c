/* summary.c: rows and cells of the table. See summary.h. */
#include "harness/summary.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "perf/expr.h"

/* Counted for a whole package or L3, whoever caused it: a row of its own whatever --by says. */
static bool is_shared(const struct sm_metric *m)
{
	return m->by > SM_BY_THREAD && m->role[0];
}

/* Every row has been summed by the worker (perf/rollup.h), where all events are at hand: here it is
 * picked. */
static bool concerns(const struct sm_metric *m, enum sm_by by)
{
	return is_shared(m) || m->by == by;
}

static void numbered(char *text, size_t len, const char *what, int number)
{
	if (number < 0)
		snprintf(text, len, "unpinned");
	else
		snprintf(text, len, "%s %d", what, number);
}

/* What the metric's row is called. */
static const char *who_of(const struct sm_metric *m, struct sm_pool *pool)
{
	char text[64];

	if (is_shared(m)) {
		numbered(text, sizeof(text), m->role, m->thread);
		return sm_pool_str(pool, text);
	}
	switch (m->by) {
	case SM_BY_ROLE: /* counters of different kinds of cores count different things */
		snprintf(text, sizeof(text), m->core_kind[0] ? "%.16s %.20s" : "%s", m->role,
			 m->core_kind);
		break;
	case SM_BY_THREAD:
		snprintf(text, sizeof(text), "%.16s %d",
			 strcmp(m->role, "mutator") != 0 ? m->role : "mut", m->thread);
		break;
	case SM_BY_KIND:
		snprintf(text, sizeof(text), "%s", m->core_kind[0] ? m->core_kind : "all cores");
		break;
	case SM_BY_CORE: numbered(text, sizeof(text), "core", m->core); break;
	case SM_BY_L3: numbered(text, sizeof(text), "L3", m->l3); break;
	case SM_BY_NODE: numbered(text, sizeof(text), "node", m->node); break;
	case SM_BY_PACKAGE: numbered(text, sizeof(text), "package", m->thread); break;
	}
	return sm_pool_str(pool, text);
}

/* Once for each metric: rows are compared by pointer from here on (phases are interned by the
 * report). */
static int name_metrics(const struct sm_report *report, enum sm_by by, struct sm_summary *r)
{
	r->who = calloc(report->nrecords + 1, sizeof(*r->who));
	if (r->who == NULL)
		return -ENOMEM;
	r->nrecords = report->nrecords;
	for (size_t i = 0; i < report->nrecords; i++) {
		const struct sm_record *rec = &report->records[i];

		r->who[i] = calloc(rec->nmetrics + 1, sizeof(**r->who));
		if (r->who[i] == NULL)
			return -ENOMEM;
		for (size_t k = 0; k < rec->nmetrics; k++) {
			if (!concerns(&rec->metrics[k], by))
				continue;
			r->who[i][k] = who_of(&rec->metrics[k], &r->pool);
			if (r->who[i][k] == NULL)
				return -ENOMEM;
		}
	}
	return 0;
}

/* ---- rows --------------------------------------------------------------------------------- */

static int add_row(struct sm_summary *r, unsigned record, unsigned group, const char *who,
		   const char *phase)
{
	struct sm_row *rows;

	for (size_t i = r->nrows; i-- > 0 && r->rows[i].group == group;) {
		if (r->rows[i].who == who && r->rows[i].phase == phase)
			return 0;
	}
	rows = realloc(r->rows, (r->nrows + 1) * sizeof(*rows));
	if (rows == NULL)
		return -ENOMEM;
	r->rows = rows;
	rows[r->nrows++] =
		(struct sm_row){.group = group, .who = who, .phase = phase, .first = record};
	return 0;
}

/* Did anything happen there? A phase in which no time passed is no row. */
static bool is_idle(const struct sm_record *rec, const char *const *whos, const char *who,
		    const char *phase)
{
	bool timed = false;

	for (size_t i = 0; i < rec->nmetrics; i++) {
		const struct sm_metric *m = &rec->metrics[i];

		if (whos[i] != who || m->phase != phase || strcmp(m->metric, "time") != 0)
			continue;
		timed = true;
		if (!m->has_value || m->value > 0)
			return false;
	}
	return timed;
}

static int find_rows(const struct sm_report *report, struct sm_summary *r)
{
	for (size_t i = 0; i < report->nrecords; i++) {
		const struct sm_record *rec = &report->records[i];
		const char *last_who = NULL, *last_phase = NULL;

		for (size_t k = 0; k < rec->nmetrics; k++) {
			const char *who = r->who[i][k], *phase = rec->metrics[k].phase;

			if (who == NULL || (who == last_who && phase == last_phase))
				continue;
			last_who = who;
			last_phase = phase;
			if (!is_idle(rec, r->who[i], who, phase) &&
			    add_row(r, (unsigned)i, rec->group, who, phase))
				return -ENOMEM;
		}
	}
	return 0;
}

/* ---- cells -------------------------------------------------------------------------------- */

/* One sample, one row. */
struct scope {
	const struct sm_record *rec;
	const struct sm_row *row;
	const char *const *who; /* of the record's metrics */
	bool scaled, doubted;
	enum sm_status status; /* of the first part that is missing, as its reason */
	const char *reason;
};

/* The row's metric of this sample. false: missing in part or altogether. */
static bool find_metric(struct scope *s, const char *name, double *out)
{
	for (size_t i = 0; i < s->rec->nmetrics; i++) {
		const struct sm_metric *m = &s->rec->metrics[i];

		if (s->who[i] != s->row->who || m->phase != s->row->phase ||
		    strcmp(m->metric, name) != 0)
			continue;
		if (!m->has_value) {
			if (s->reason == NULL) {
				s->status = m->status;
				s->reason = m->reason;
			}
			return false;
		}
		s->scaled |= m->status == SM_STATUS_MULTIPLEXED;
		s->doubted |= m->calibration[0] != 0;
		*out = m->value;
		return true;
	}
	return false;
}

static bool lookup(void *ctx, const char *name, double *value)
{
	struct scope *s = ctx;
	const struct sm_result *res;

	if (strcmp(name, "ops") == 0) {
		res = sm_record_result(s->rec, "ops");
		*value = res != NULL ? res->value : 0;
		return res != NULL && res->has_value;
	}
	if (strcmp(name, "seconds") == 0) {
		if (!find_metric(s, "time", value))
			return false;
		*value *= 1e-9;
		return true;
	}
	return find_metric(s, name, value);
}

/* The value of a column that is a formula: the worker's, where a set has that formula; else the
 * table's own. */
static bool formula_value(struct scope *s, const struct sm_column *c, double *v)
{
	char err[120];

	if (find_metric(s, c->metric, v))
		return true;
	if (s->reason != NULL)
		return false;
	if (sm_expr_eval(c->formula, lookup, s, v, err, sizeof(err)) == 0)
		return true;
	if (s->reason == NULL) {
		s->status = SM_STATUS_NOT_COUNTED;
		s->reason = "what it is made of was not counted in one pass";
	}
	return false;
}

static bool cell_value(struct scope *s, const struct sm_column *c, double *v)
{
	double ops;

	if (c->formula[0] ? !formula_value(s, c, v) : !find_metric(s, c->metric, v))
		return false;
	if (!c->per_op)
		return true;
	if (!lookup(s, "ops", &ops) || ops <= 0) {
		s->status = SM_STATUS_NOT_COUNTED;
		s->reason = "the workload counts no operations";
		return false;
	}
	*v /= ops;
	return true;
}

/*
 * Values of a group, one for each repetition: counter passes repeat a repetition, they are no
 * further ones, so what several of them say is their mean. Records come by repetition.
 */
struct by_rep {
	double *values; /* NULL: out of memory, nothing is taken */
	size_t n;
	unsigned rep, passes; /* of the last value */
};

static void take(struct by_rep *b, unsigned rep, double v)
{
	if (b->values == NULL)
		return;
	if (b->n == 0 || b->rep != rep) {
		b->values[b->n++] = v;
		b->rep = rep;
		b->passes = 1;
	} else
		b->values[b->n - 1] += (v - b->values[b->n - 1]) / ++b->passes;
}

/* Was the thread in this phase during this sample? */
static bool occurred(const struct scope *s)
{
	for (size_t i = 0; i < s->rec->nmetrics; i++) {
		if (s->who[i] == s->row->who && s->rec->metrics[i].phase == s->row->phase)
			return true;
	}
	return false;
}

/* Over the samples in which the phase occurred: the others have nothing to say about it. */
static int fill_cell(const struct sm_report *report, struct sm_summary *r, size_t row, size_t col)
{
	struct sm_cell *cell = &r->cells[row * r->ncolumns + col];
	struct by_rep b = {.values = calloc(report->nrecords + 1, sizeof(double))};
	double v;

	if (b.values == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < report->nrecords; i++) {
		struct scope s = {
			.rec = &report->records[i], .row = &r->rows[row], .who = r->who[i]};

		if (s.rec->group != s.row->group || !occurred(&s))
			continue;
		if (cell_value(&s, &r->columns[col], &v)) {
			take(&b, s.rec->rep, v);
			cell->scaled |= s.scaled;
			cell->doubted |= s.doubted;
			r->columns[col].doubted |= s.doubted;
			if (!r->columns[col].pass && strcmp(r->columns[col].source, "pmu") == 0)
				r->columns[col].pass = 1 + s.rec->pass;
		} else if (s.reason != NULL &&
			   (cell->reason == NULL || cell->status == SM_STATUS_NOT_COUNTED)) {
			cell->status = s.status;
			cell->reason = s.reason;
		}
	}
	sm_stats_compute(b.values, b.n, &cell->stats);
	cell->has_value = cell->stats.n > 0;
	free(b.values);
	return 0;
}

/*
 * A worker's idle time, and with it its total, say how long the sample took; a mutator's total says
 * something beside two phases or more. The samples keep all of them.
 */
static int drop_redundant(struct sm_summary *r)
{
	bool *drop = calloc(r->nrows + 1, sizeof(*drop));
	size_t kept = 0;

	if (drop == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < r->nrows; i++) {
		const struct sm_row *row = &r->rows[i];
		bool idle = false;
		unsigned phases = 0;

		for (size_t k = 0; k < r->nrows; k++) {
			if (r->rows[k].group != row->group || r->rows[k].who != row->who)
				continue;
			idle |= strcmp(r->rows[k].phase, "idle") == 0;
			phases += strcmp(r->rows[k].phase, "total") != 0;
		}
		drop[i] = strcmp(row->phase, "idle") == 0 ||
			  (strcmp(row->phase, "total") == 0 && (idle || phases == 1));
	}
	for (size_t i = 0; i < r->nrows; i++) {
		if (!drop[i])
			r->rows[kept++] = r->rows[i];
	}
	r->nrows = kept;
	free(drop);
	return 0;
}

/* Mutators, then mark workers, then the rest, packages last; cores and nodes by number; a total
 * after its parts. */
static int rank(const char *who)
{
	return strncmp(who, "mut", 3) == 0	 ? 0
	       : strncmp(who, "mark", 4) == 0	 ? 1
	       : strncmp(who, "package", 7) == 0 ? 3
						 : 2;
}

static bool before(const struct sm_row *a, const struct sm_row *b)
{
	int who = strverscmp(a->who, b->who);

	if (rank(a->who) != rank(b->who))
		return rank(a->who) < rank(b->who);
	if (who != 0)
		return who < 0;
	return strcmp(a->phase, "total") != 0 && strcmp(b->phase, "total") == 0;
}

/* Stable: phases stay in the order of their numbers. */
static void sort_rows(struct sm_summary *r)
{
	for (size_t i = 1; i < r->nrows; i++) {
		struct sm_row row = r->rows[i];
		size_t k = i;

		for (; k > 0 && r->rows[k - 1].group == row.group && before(&row, &r->rows[k - 1]);
		     k--)
			r->rows[k] = r->rows[k - 1];
		r->rows[k] = row;
	}
}

int sm_summary_build(const struct sm_report *report, enum sm_by by, struct sm_summary *r)
{
	int rc;

	*r = (struct sm_summary){0};
	rc = name_metrics(report, by, r);
	if (rc == 0)
		rc = find_rows(report, r);
	if (rc == 0)
		rc = drop_redundant(r);
	if (rc == 0) {
		sort_rows(r);
		rc = sm__summary_columns(report, r);
	}
	if (rc == 0) {
		r->cells = calloc(r->nrows * r->ncolumns + 1, sizeof(*r->cells));
		rc = r->cells != NULL ? 0 : -ENOMEM;
	}
	for (size_t i = 0; i < r->nrows && rc == 0; i++) {
		for (size_t k = 0; k < r->ncolumns && rc == 0; k++)
			rc = fill_cell(report, r, i, k);
	}
	if (rc)
		sm_summary_free(r);
	return rc;
}

void sm_summary_free(struct sm_summary *r)
{
	for (size_t i = 0; r->who != NULL && i < r->nrecords; i++)
		free(r->who[i]);
	free(r->who);
	free(r->columns);
	free(r->rows);
	free(r->cells);
	sm_pool_free(&r->pool);
	*r = (struct sm_summary){0};
}

bool sm_summary_result(const struct sm_report *report, unsigned group, const char *name,
		       struct sm_stats *out, const char **unit, const char **reason)
{
	struct by_rep b = {.values = calloc(report->nrecords + 1, sizeof(double))};

	*reason = "";
	for (size_t i = 0; b.values != NULL && i < report->nrecords; i++) {
		const struct sm_result *res = report->records[i].group == group
						      ? sm_record_result(&report->records[i], name)
						      : NULL;

		if (res == NULL)
			continue;
		if (unit != NULL)
			*unit = res->unit;
		if (res->has_value)
			take(&b, report->records[i].rep, res->value);
		else
			*reason = res->reason;
	}
	sm_stats_compute(b.values, b.n, out);
	free(b.values);
	return out->n > 0;
}
