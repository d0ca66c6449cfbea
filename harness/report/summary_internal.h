/* What the parts of a summary share: the rows of one group in the making, and values of it by
 * repetition. */
#ifndef SM_HARNESS_SUMMARY_INTERNAL_H
#define SM_HARNESS_SUMMARY_INTERNAL_H

#include "harness/report/summary.h"

/* One group of samples and its rows. */
struct sm__group {
	const struct sm_report *report;
	size_t first, end;  /* its records */
	size_t rows, nrows; /* its rows in the summary: [rows, rows + nrows) */
	int **row_of;	    /* [record - first][metric]: the row, counted from `rows`; -1: none */
};

/* summary_rows.c: finds the rows of the group's records, sorted, and appends them; brief: with
 * small phases joined, the longest first. 0 or -ENOMEM; the group is to be freed in every case. */
int sm__summary_rows(struct sm_summary *r, enum sm_by by, bool brief, struct sm__group *g);
void sm__group_free(struct sm__group *g);

/* Counted for a whole package or L3, whichever thread caused it: a row of its own whatever --by
 * says. */
static inline bool sm__is_shared(const struct sm_metric *m)
{
	return m->by > SM_BY_THREAD && m->role[0];
}

/* Does it belong to a row of --by? Every row has been summed by the worker (perf/rollup.h), where
 * all events are at hand: here it is picked. */
static inline bool sm__concerns(const struct sm_metric *m, enum sm_by by)
{
	return sm__is_shared(m) || m->by == by;
}

/*
 * Values of a group, one for each repetition: counter passes repeat a repetition, they are no
 * further ones, so what several of them say is their mean. Records come by repetition.
 */
struct sm__by_rep {
	double *values;
	size_t n;
	unsigned rep, passes; /* of the last value */
};

static inline void sm__by_rep_take(struct sm__by_rep *b, unsigned rep, double v)
{
	if (b->n == 0 || b->rep != rep) {
		b->values[b->n++] = v;
		b->rep = rep;
		b->passes = 1;
	} else
		b->values[b->n - 1] += (v - b->values[b->n - 1]) / ++b->passes;
}

#endif
