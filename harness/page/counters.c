/* counters.c: counts by role and phase, as the table of spanmark run has them. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "harness/page/section.h"
#include "perf/names.h"

/* Has any row a value in the column? */
static bool is_counted(const struct sm_summary *u, size_t col)
{
	for (size_t i = 0; i < u->nrows; i++)
		if (u->cells[i * u->ncolumns + col].has_value)
			return true;
	return false;
}

static const char *why_not(const struct sm_summary *u, size_t col)
{
	for (size_t i = 0; i < u->nrows; i++) {
		const struct sm_cell *cell = &u->cells[i * u->ncolumns + col];

		if (cell->reason != NULL && cell->reason[0])
			return cell->reason;
	}
	return "not counted";
}

static void put_head(struct sm_section *s, const struct sm_summary *u, enum sm_by by)
{
	char id[32], caption[160];

	snprintf(id, sizeof(id), "counters-%zu", s->index);
	snprintf(caption, sizeof(caption),
		 "For one operation of the workload, by %s and phase: medians, 95 %% below",
		 sm_by_names[by]);
	sm__grid_begin(s->out, id, caption);
	sm__grid_head(s->out, "workload", false, NULL);
	sm__grid_head(s->out, "backend", false, NULL);
	sm__grid_head(s->out, sm_by_names[by], false, NULL);
	sm__grid_head(s->out, "phase", false, NULL);
	for (size_t c = 0; c < u->ncolumns; c++)
		if (is_counted(u, c))
			sm__grid_head(s->out, u->columns[c].title, true, u->columns[c].event);
	sm__grid_body(s->out);
}

static const struct sm__case *case_of(const struct sm_section *s, const struct sm_row *row)
{
	for (size_t k = 0; k < s->cases.n; k++)
		if (s->r->records[s->cases.v[k].first].group == row->group)
			return &s->cases.v[k];
	return NULL;
}

static void put_row(struct sm_section *s, const struct sm_summary *u, size_t i,
		    struct sm__reasons *known)
{
	const struct sm_row *row = &u->rows[i];
	const struct sm__case *c = case_of(s, row);

	if (c == NULL)
		return;
	sm_html(s->out, "<tr data-case=\"%u\" data-who=\"%s\" data-phase=\"%s\" class=\"%s\">",
		row->group, row->who, row->phase, strcmp(row->phase, "total") == 0 ? "total" : "");
	sm_html(s->out,
		"<th scope=\"row\"><bdi>%s</bdi></th><td><bdi>%s</bdi></td><td>%s</td><td>%s",
		c->name, c->config, row->who, row->phase);
	if (row->occurred < row->reps)
		sm_html(s->out, " <small>in %u of %u</small>", row->occurred, row->reps);
	fputs("</td>", s->out);
	for (size_t k = 0; k < u->ncolumns; k++) {
		const struct sm_cell *cell = &u->cells[i * u->ncolumns + k];
		char marks[8];

		if (!is_counted(u, k))
			continue;
		snprintf(marks, sizeof(marks), "%s%s", cell->scaled ? "~" : "",
			 cell->doubted ? "?" : "");
		if (cell->has_value)
			sm__grid_value(s->out, &cell->stats,
				       strcmp(u->columns[k].unit, "ns") == 0 ? "ns" : "count",
				       marks);
		else
			sm__grid_na(s->out, known, cell->reason);
	}
	fputs("</tr>\n", s->out);
}

/* Columns without a value that lack it for the same reason, in one line. */
static void put_absent(struct sm_section *s, const struct sm_summary *u, size_t first)
{
	const char *why = why_not(u, first);

	for (size_t c = 0; c < first; c++)
		if (!is_counted(u, c) && strcmp(why_not(u, c), why) == 0)
			return; /* said there */
	sm_html(s->out, "<dt>%s", u->columns[first].title);
	for (size_t c = first + 1; c < u->ncolumns; c++)
		if (!is_counted(u, c) && strcmp(why_not(u, c), why) == 0)
			sm_html(s->out, ", %s", u->columns[c].title);
	sm_html(s->out, "</dt><dd>n/a: %s</dd>\n", why);
}

/* What each column is made of, and which columns are not there, with the reason. */
static void put_legend(struct sm_section *s, const struct sm_summary *u)
{
	fputs("<dl class=\"legend\">\n", s->out);
	for (size_t c = 0; c < u->ncolumns; c++) {
		const struct sm_column *col = &u->columns[c];

		if (is_counted(u, c))
			sm_html(s->out, "<dt>%s</dt><dd><bdi>%s%s%s</bdi>%s <i>%s</i></dd>\n",
				col->title, col->formula, col->formula[0] ? ": " : "",
				col->event[0] ? col->event : col->metric,
				col->per_op ? ", per operation" : "", col->source);
		else
			put_absent(s, u, c);
	}
	fputs("</dl>\n", s->out);
}

int sm__section_counters(struct sm_section *s)
{
	struct sm__reasons known = {.n = 0};
	int named = sm_names_find(sm_by_names, s->r->by), rc;
	enum sm_by by = named < 0 ? SM_BY_ROLE : (enum sm_by)named;
	struct sm_summary u;

	rc = sm_summary_build(s->r, by, &u);
	if (rc)
		return rc;
	if (u.nrows > 0 && u.ncolumns > 0) {
		sm__section_begin(s, "counters", "Counters");
		put_head(s, &u, by);
		for (size_t i = 0; i < u.nrows; i++)
			put_row(s, &u, i, &known);
		sm__grid_end(s->out);
		sm__grid_reasons(s->out, &known);
		put_legend(s, &u);
		sm__section_end(s);
	}
	sm_summary_free(&u);
	return 0;
}
