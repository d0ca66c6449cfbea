/*
 * summary.h: from the metrics of threads to the rows of the table.
 *
 * A row is (group of samples, what --by names, phase). A column is a metric or a formula over
 * metrics. For each sample the worker has summed the metric over the threads of the row and
 * evaluated the sets' formulas over such sums (perf/rollup.h); the table's own formulas take
 * metrics of one sample; so passes join by themselves, each column taking its values from the
 * samples that counted it, and no ratio mixes samples. The cell is the median over repetitions:
 * what several passes of one repetition say is one value, their mean.
 *
 * A sum with a part missing is missing, with the part's status and reason.
 */
#ifndef SM_HARNESS_SUMMARY_H
#define SM_HARNESS_SUMMARY_H

#include "harness/options.h"
#include "harness/statistics.h"
#include "harness/store.h"

struct sm_column {
	char title[16];
	char metric[96];   /* name, or what the formula makes */
	char formula[160]; /* over metric names, `ops` and `seconds`; "": the metric itself */
	char unit[24];
	/* hardware counters: the first counter pass that has values, from 1; 0: any */
	unsigned pass;
	bool doubted;	    /* some cell is */
	bool per_op;	    /* divide by the operations of the sample */
	char event[256];    /* resolved; "" when not known */
	const char *source; /* "pmu", "sw", "sim"; "" when not known */
};

struct sm_cell {
	bool has_value;
	bool scaled;  /* some value was multiplexed */
	bool doubted; /* calibration found an event behind it off */
	struct sm_stats stats;
	enum sm_status status; /* without a value, as the reason */
	const char *reason;
};

struct sm_row {
	unsigned group;
	const char *who; /* role, or "node 0", "core 3", .. */
	const char *phase;
	unsigned first; /* record where it was seen first: stands for the group's identity */
};

struct sm_summary {
	struct sm_column *columns;
	size_t ncolumns;
	struct sm_row *rows; /* by group, in the order of first appearance */
	size_t nrows;
	struct sm_cell *cells; /* [row * ncolumns + column] */
	/* who[record][metric]: the row's name that --by gives the metric, interned; NULL: it is in
	 * no row */
	const char ***who;
	size_t nrecords;
	struct sm_pool pool;
};

/* 0 or -ENOMEM. */
int sm_summary_build(const struct sm_report *report, enum sm_by by, struct sm_summary *out);
void sm_summary_free(struct sm_summary *r);

/* columns.c: the columns of a report, still without cells. 0 or -ENOMEM. */
int sm__summary_columns(const struct sm_report *report, struct sm_summary *r);

/*
 * The statistics of a result over the repetitions of a group, from its good samples; unit may be
 * NULL. false: no sample has a value, and *reason says why ("" when no sample reported it at all).
 */
bool sm_summary_result(const struct sm_report *report, unsigned group, const char *name,
		       struct sm_stats *out, const char **unit, const char **reason);

#endif
