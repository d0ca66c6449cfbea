/* summary_rows.c: which rows the samples of one group have. See summary.h. */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/report/summary_internal.h"

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

	if (sm__is_shared(m)) {
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

/* ---- finding ------------------------------------------------------------------------------ */

/* A row in the making. `seen` counts records: the last one that had it, from 1. */
struct found {
	const char *who, *phase;
	size_t seen;	   /* the last record that named it, from 1 */
	bool timed, spent; /* in that record: its time is known; some time passed */
	bool alive;	   /* some record spent time there */
	/* of the name, kept in its first row: the time of this record, how many had some */
	unsigned first, records;
	double whole;
	double now, time;   /* of this record, of all */
	unsigned large;	    /* records in which it is no small part of the name's time */
	bool small;	    /* in most it is */
	unsigned joined;    /* phases that it stands for; 0: itself */
	struct found *into; /* stands for it */
	unsigned occurred;  /* repetitions in which it is alive */
	unsigned last_rep;  /* .. the last of them */
	unsigned place;	    /* where it comes to stand; UINT32_MAX: nowhere */
};

struct finder {
	struct found *rows;
	size_t n;
	int *slots; /* open addressing by who and phase, -1: free */
	size_t cap;
};

static int *slot_of(const struct finder *f, const char *who, const char *phase)
{
	size_t i = ((uintptr_t)who * 31 + (uintptr_t)phase) / 16 * 0x9e3779b97f4a7c15u;

	for (i = i >> 20 & (f->cap - 1); f->slots[i] >= 0; i = (i + 1) & (f->cap - 1)) {
		const struct found *row = &f->rows[f->slots[i]];

		if (row->who == who && row->phase == phase)
			break;
	}
	return &f->slots[i];
}

static int grow(struct finder *f)
{
	size_t cap = f->cap ? f->cap * 2 : 64;
	struct found *rows = realloc(f->rows, cap / 2 * sizeof(*rows));
	int *slots = rows != NULL ? malloc(cap * sizeof(*slots)) : NULL;

	f->rows = rows != NULL ? rows : f->rows;
	if (slots == NULL)
		return -ENOMEM;
	free(f->slots);
	f->slots = slots;
	f->cap = cap;
	for (size_t i = 0; i < cap; i++)
		slots[i] = -1;
	for (size_t i = 0; i < f->n; i++)
		*slot_of(f, f->rows[i].who, f->rows[i].phase) = (int)i;
	return 0;
}

/* Index of the row, made when there is none; -ENOMEM. */
static int row_for(struct finder *f, const char *who, const char *phase)
{
	int *slot;

	if (f->n * 2 >= f->cap && grow(f))
		return -ENOMEM;
	slot = slot_of(f, who, phase);
	if (*slot < 0) {
		unsigned first = 0;

		while (first < f->n && f->rows[first].who != who)
			first++;
		f->rows[f->n] = (struct found){.who = who, .phase = phase, .first = first};
		*slot = (int)f->n++;
	}
	return *slot;
}

static bool is_total(const struct found *row)
{
	return strcmp(row->phase, "total") == 0;
}

/* A phase in which no time passed did not occur. */
static void note_time(struct finder *f, struct found *row, size_t record, const struct sm_metric *m)
{
	if (row->seen != record) {
		row->seen = record;
		row->timed = row->spent = false;
		row->now = 0;
	}
	if (strcmp(m->metric, "time") != 0)
		return;
	row->timed = true;
	row->spent |= !m->has_value || m->value > 0;
	if (!m->has_value || is_total(row))
		return;
	row->now += m->value;
	row->time += m->value;
	f->rows[row->first].whole += m->value;
}

static void end_record(struct finder *f, size_t record, unsigned rep)
{
	for (size_t i = 0; i < f->n; i++) {
		struct found *row = &f->rows[i];

		if (row->seen != record || (row->timed && !row->spent))
			continue;
		row->occurred += !row->alive || row->last_rep != rep;
		row->last_rep = rep;
		row->alive = true;
		row->large += row->now >= SM_SUMMARY_SMALL * f->rows[row->first].whole;
	}
	for (size_t i = 0; i < f->n; i++) {
		f->rows[i].records += f->rows[i].whole > 0;
		f->rows[i].whole = 0;
	}
}

/* Has the metric at this place of the sample before the same row? Samples of a group are alike. */
static bool is_like_before(const struct sm__group *g, size_t record, size_t k)
{
	const struct sm_record *rec = &g->report->records[g->first + record], *before = rec - 1;

	return record > 0 && k < before->nmetrics && g->row_of[record - 1][k] >= 0 &&
	       sm_metrics_share_a_row(&before->metrics[k], &rec->metrics[k]);
}

/* Of the group's record number `record`. */
static int find_in_record(struct finder *f, struct sm_summary *r, enum sm_by by,
			  struct sm__group *g, size_t record)
{
	const struct sm_record *rec = &g->report->records[g->first + record];
	const struct sm_metric *last = NULL;
	int *row_of = calloc(rec->nmetrics + 1, sizeof(*row_of)), row = -1;

	g->row_of[record] = row_of;
	for (size_t k = 0; row_of != NULL && k < rec->nmetrics; k++) {
		const struct sm_metric *m = &rec->metrics[k];

		row_of[k] = -1;
		if (!sm__concerns(m, by))
			continue;
		if (last != NULL && sm_metrics_share_a_row(last, m))
			;
		else if (is_like_before(g, record, k))
			row = g->row_of[record - 1][k];
		else {
			const char *who = who_of(m, &r->pool);

			row = who != NULL ? row_for(f, who, m->phase) : -ENOMEM;
			if (row < 0)
				return -ENOMEM;
		}
		last = m;
		row_of[k] = row;
		note_time(f, &f->rows[row], record + 1, m);
	}
	if (row_of == NULL)
		return -ENOMEM;
	if (!sm_record_is_beside(rec)) /* what occurred, measured samples say */
		end_record(f, record + 1, rec->rep);
	return 0;
}

/* ---- which of them, in which order -------------------------------------------------------- */

/* By name, then as found. */
static int by_who(const void *a, const void *b)
{
	const struct found *const *x = a, *const *y = b;
	int who = (*x)->who != (*y)->who ? strcmp((*x)->who, (*y)->who) : 0;

	return who ? who : *x < *y ? -1 : *x > *y;
}

/*
 * A worker's idle time, and with it its total, say how long the sample took; a mutator's total says
 * something beside two phases or more. The samples keep all of them. Among rows [0, n) of one name.
 */
static void drop_redundant(struct found **rows, size_t n)
{
	bool idle = false;
	unsigned phases = 0;

	for (size_t i = 0; i < n; i++) {
		idle |= rows[i]->alive && strcmp(rows[i]->phase, "idle") == 0;
		phases += rows[i]->alive && !is_total(rows[i]);
	}
	for (size_t i = 0; i < n; i++) {
		if (strcmp(rows[i]->phase, "idle") == 0 ||
		    (is_total(rows[i]) && (idle || phases == 1)))
			rows[i]->alive = false;
	}
}

/* Among rows [0, n) of one name, whose time has their waiting in it: small is what most records
 * say. */
static void join_small(const struct finder *f, struct found **rows, size_t n)
{
	struct found *other = NULL;
	unsigned small = 0;

	for (size_t i = 0; i < n; i++) {
		rows[i]->small = rows[i]->alive && rows[i]->time > 0 &&
				 2 * rows[i]->large < f->rows[rows[i]->first].records;
		small += rows[i]->small;
	}
	for (size_t i = 0; i < n && small > 1; i++) {
		if (!rows[i]->small)
			continue;
		if (other == NULL) {
			other = rows[i];
			other->phase = "other";
			other->joined = small;
		} else {
			other->time += rows[i]->time;
			rows[i]->alive = false;
			rows[i]->into = other;
		}
	}
}

/* Mutators, then mark workers, then the rest, packages last. */
static int rank(const char *who)
{
	return strncmp(who, "mut", 3) == 0	 ? 0
	       : strncmp(who, "mark", 4) == 0	 ? 1
	       : strncmp(who, "package", 7) == 0 ? 3
						 : 2;
}

/* Cores and nodes by number; a total after its parts, which stay in the order of their numbers. */
static int by_place(const void *a, const void *b)
{
	const struct found *const *x = a, *const *y = b;
	int d = rank((*x)->who) - rank((*y)->who);

	d = d ? d : strverscmp((*x)->who, (*y)->who);
	d = d ? d : is_total(*x) - is_total(*y);
	return d ? d : *x < *y ? -1 : *x > *y;
}

/* As by_place, but of one name the longest phase first, what is joined last of them. */
static int by_time(const void *a, const void *b)
{
	const struct found *const *x = a, *const *y = b;

	if ((*x)->who != (*y)->who || is_total(*x) || is_total(*y))
		return by_place(a, b);
	if (((*x)->joined > 0) != ((*y)->joined > 0))
		return (*x)->joined > 0 ? 1 : -1;
	return (*x)->time > (*y)->time ? -1 : (*x)->time < (*y)->time ? 1 : by_place(a, b);
}

static unsigned reps_with_metrics(const struct sm__group *g)
{
	unsigned n = 0, last = 0;

	for (size_t i = g->first; i < g->end; i++) {
		const struct sm_record *rec = &g->report->records[i];

		if (rec->nmetrics == 0 || (n > 0 && rec->rep == last))
			continue;
		n++;
		last = rec->rep;
	}
	return n;
}

/* One more row and its cells, in doubling arrays. */
static struct sm_row *add_row(struct sm_summary *r)
{
	size_t room = r->nrows ? 2 * r->nrows : 16;

	if (r->nrows == 0 || (r->nrows >= 16 && (r->nrows & (r->nrows - 1)) == 0)) {
		struct sm_row *rows = realloc(r->rows, room * sizeof(*rows));
		struct sm_cell *cells;

		if (rows == NULL)
			return NULL;
		r->rows = rows;
		cells = realloc(r->cells, (room * r->ncolumns + 1) * sizeof(*cells));
		if (cells == NULL)
			return NULL;
		r->cells = cells;
	}
	memset(&r->cells[r->nrows * r->ncolumns], 0, r->ncolumns * sizeof(*r->cells));
	return &r->rows[r->nrows++];
}

static int append(struct sm_summary *r, struct sm__group *g, struct found **sorted, size_t n)
{
	unsigned reps = reps_with_metrics(g);

	for (size_t i = 0; i < n; i++) {
		struct found *f = sorted[i];
		struct sm_row *row;

		f->place = UINT32_MAX;
		if (!f->alive)
			continue;
		row = add_row(r);
		if (row == NULL)
			return -ENOMEM;
		f->place = (unsigned)g->nrows++;
		*row = (struct sm_row){.group = g->report->records[g->first].group,
				       .who = f->who,
				       .phase = f->phase,
				       .joined = f->joined,
				       .small = f->small,
				       .first = (unsigned)g->first,
				       .reps = reps,
				       .occurred = f->occurred};
	}
	for (size_t i = 0; i < n; i++)
		if (sorted[i]->into != NULL)
			sorted[i]->place = sorted[i]->into->place;
	return 0;
}

static int order_rows(struct sm_summary *r, bool brief, struct sm__group *g, struct finder *f)
{
	struct found **sorted = calloc(f->n + 1, sizeof(*sorted));
	int rc;

	if (sorted == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < f->n; i++)
		sorted[i] = &f->rows[i];
	qsort(sorted, f->n, sizeof(*sorted), by_who);
	for (size_t i = 0, n; i < f->n; i += n) {
		for (n = 1; i + n < f->n && sorted[i + n]->who == sorted[i]->who; n++)
			;
		drop_redundant(sorted + i, n);
		if (brief)
			join_small(f, sorted + i, n);
	}
	qsort(sorted, f->n, sizeof(*sorted), brief ? by_time : by_place);
	rc = append(r, g, sorted, f->n);
	free(sorted);
	return rc;
}

/* Of each row that joins several: the repetitions in which one of them occurred. */
static void count_joined(struct sm_summary *r, const struct sm__group *g)
{
	for (size_t row = 0; row < g->nrows; row++) {
		struct sm_row *joined = &r->rows[g->rows + row];
		unsigned n = 0, last = 0;

		for (size_t i = g->first; joined->joined && i < g->end; i++) {
			const struct sm_record *rec = &g->report->records[i];
			bool occurred = false;

			for (size_t k = 0; k < rec->nmetrics; k++)
				occurred |=
					g->row_of[i - g->first][k] == (int)row &&
					strcmp(rec->metrics[k].metric, "time") == 0 &&
					(!rec->metrics[k].has_value || rec->metrics[k].value > 0);
			n += occurred && (n == 0 || rec->rep != last);
			last = occurred ? rec->rep : last;
		}
		joined->occurred = joined->joined ? n : joined->occurred;
	}
}

int sm__summary_rows(struct sm_summary *r, enum sm_by by, bool brief, struct sm__group *g)
{
	struct finder f = {0};
	int rc = 0;

	g->rows = r->nrows;
	g->nrows = 0;
	g->row_of = calloc(g->end - g->first + 1, sizeof(*g->row_of));
	if (g->row_of == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < g->end - g->first && rc == 0; i++)
		rc = find_in_record(&f, r, by, g, i);
	if (rc == 0)
		rc = order_rows(r, brief, g, &f);
	for (size_t i = g->first; i < g->end && rc == 0; i++) {
		int *row_of = g->row_of[i - g->first];

		for (size_t k = 0; k < g->report->records[i].nmetrics; k++)
			if (row_of[k] >= 0)
				row_of[k] = f.rows[row_of[k]].place == UINT32_MAX
						    ? -1
						    : (int)f.rows[row_of[k]].place;
	}
	if (rc == 0)
		count_joined(r, g);
	free(f.rows);
	free(f.slots);
	return rc;
}

void sm__group_free(struct sm__group *g)
{
	for (size_t i = 0; g->row_of != NULL && i < g->end - g->first; i++)
		free(g->row_of[i]);
	free(g->row_of);
	g->row_of = NULL;
}
