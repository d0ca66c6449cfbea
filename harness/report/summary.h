/*
 * summary.h: from the metrics of threads to the rows of the table.
 *
 * A row is (group of samples, what --by names, phase). A column is a metric or a formula over
 * metrics. For each sample the worker has summed the metric over the threads of the row and
 * evaluated the sets' formulas over such sums (perf/rollup.h); the table's own formulas take
 * metrics of one sample; so passes join by themselves, each column taking its values from the
 * samples that counted it, and no ratio mixes samples. The cell is the median over repetitions:
 * what several passes of one repetition say is one value, their mean. A repetition in which the
 * phase did not occur counts as 0 for what is summed (not for a ratio), so that all rows of a case
 * are over the same repetitions; the row says in how many it occurred.
 *
 * A sum with a part missing is missing, with the part's status and reason.
 *
 * A brief summary joins the phases of a row's name that take less than SM_SUMMARY_SMALL of its
 * threads' time, waiting included, where there are two or more: one row `other`, whose metrics are
 * their sums in each sample, and whose formulas are evaluated over those sums.
 *
 * Work and memory are linear in samples: groups are taken one after another.
 */
#ifndef SM_HARNESS_SUMMARY_H
#define SM_HARNESS_SUMMARY_H

#include "harness/options/options.h"
#include "harness/judge/statistics.h"
#include "harness/store/store.h"
#include "perf/better.h"

struct sm_column {
	char title[16];
	char metric[96];   /* name, or what the formula makes */
	const char *name;  /* the same, interned as the report's metrics are; NULL: none has it */
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
	unsigned first;	 /* a record of the group: stands for its identity */
	unsigned joined; /* phases that it joins; 0: it is one */
	bool small;	 /* less than SM_SUMMARY_SMALL of its threads' time, each of them */
	/* repetitions with metrics, and those in which the phase occurred */
	unsigned reps, occurred;
};
#define SM_SUMMARY_SMALL 0.01

struct sm_summary {
	struct sm_column *columns;
	size_t ncolumns;
	struct sm_row *rows; /* by group, in the order of first appearance */
	size_t nrows;
	struct sm_cell *cells; /* [row * ncolumns + column] */
	struct sm_pool pool;   /* of the rows' names */
};

/* 0 or -ENOMEM. */
int sm_summary_build(const struct sm_report *report, enum sm_by by, struct sm_summary *out);
int sm_summary_build_brief(const struct sm_report *report, enum sm_by by, struct sm_summary *out);
void sm_summary_free(struct sm_summary *r);

/* columns.c: the columns of a report, still without cells. 0 or -ENOMEM. */
int sm__summary_columns(const struct sm_report *report, struct sm_summary *r);

/* Records [first, end) of the group; first == end: there is none. */
void sm_summary_group(const struct sm_report *report, unsigned group, size_t *first, size_t *end);

/*
 * The statistics of a result over the repetitions of a group, from its good samples; unit may be
 * NULL. false: no sample has a value, and *reason says why ("" when no sample reported it at all).
 */
bool sm_summary_result(const struct sm_report *report, unsigned group, const char *name,
		       struct sm_stats *out, const char **unit, const char **reason);
/* The values themselves, one for each repetition; *values is malloc'ed in every case. How many. */
size_t sm_summary_values(const struct sm_report *report, unsigned group, const char *name,
			 double **values, const char **unit);

/* Do two metrics of one report, the texts of which are interned, stand in one row? */
static inline bool sm_metrics_share_a_row(const struct sm_metric *a, const struct sm_metric *b)
{
	return a->by == b->by && a->role == b->role && a->phase == b->phase &&
	       a->thread == b->thread && a->core == b->core && a->l3 == b->l3 &&
	       a->node == b->node && a->core_kind == b->core_kind;
}

/* Which way a result is better: as the user said (--better), else as is known. */
enum sm_better sm_better_of_result(const struct sm_result *result);
/* As the run's counter set said, which may be the user's; an older run's did not. */
enum sm_better sm_better_of_counter(const struct sm_report *r, const char *name);

#endif
