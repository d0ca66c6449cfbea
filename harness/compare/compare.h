/*
 * compare.h: two sides of spanmark compare: which samples are a side's, what they are matched on,
 * and the rows of values that verdict.h judges.
 *
 * A side is a run, or those cases of a run that have a backend or settings:
 *
 *     4   last   lab.db:4   libc   gc.mode=stw   4/gc,gc.mode=stw   default (no setting at all)
 *
 * A case of one run that both sides name is the narrower side's: `gc` beside `gc.percent=50` has
 * the rest.
 *
 * Two cases are matched when workload, parameters, threads and the mutators' place are the same,
 * and backend, settings and mark workers too, apart from what a side names. What is left over then
 * is matched where only one case of either side is left: two runs of different backends are
 * compared, and the difference is listed. Repetitions pair up where both sides are of one run:
 * they ran in one block (plan.h).
 */
#ifndef SM_HARNESS_COMPARE_H
#define SM_HARNESS_COMPARE_H

#include <stdio.h>

#include "harness/store/store.h"
#include "harness/options/options.h"
#include "harness/judge/verdict.h"

struct sm_side {
	const char *text;	 /* as typed */
	struct sm_strings wants; /* backends, KEY=VALUE of settings, "default" */
	const char *store;	 /* file; NULL: the one of --store */
	char *run;		 /* as store.h names it; NULL: the last */
	const struct sm_report *report;
};

/* 0, -EINVAL with one line in err, -ENOMEM. Free in every case. */
int sm_side_parse(struct sm_side *s, const char *text, char *err, size_t errlen);
/* Each side's report, of its own store or of `store`: side i has reports[i], or what an earlier
 * side has of the same run, so that they pair up. 0 or -errno, a line in err. */
int sm_sides_load(struct sm_side *sides, size_t n, const char *store, struct sm_report *reports,
		  char *err, size_t errlen);
/* The same cases of the same report. */
bool sm_sides_same(const struct sm_side *a, const struct sm_side *b);
void sm_side_free(struct sm_side *s);

struct sm_compare_row {
	char *name; /* of the case: workload, and the parameters that vary */
	const char *metric, *who, *kind, *unit; /* who, kind: of a counter, its role and cores */
	struct sm_difference d;
	size_t note; /* of the table: the number of d.reason */
};

struct sm_comparison {
	struct sm_compare_row *rows; /* by case */
	size_t nrows;
	struct sm_strings hidden;    /* "kernel: 6.1 / 6.5" */
	struct sm_strings unmatched; /* "A alone has graph objects=1000" */
	/* Cases without a figure, named in unmatched too: "graph", "2 of 2 samples of B failed
	 * (timeout: ..)", "A alone has it". */
	struct sm_strings lost, why;
	double each; /* the confidence of one interval */
};

/* What is asked of the sides. */
struct sm_compare_what {
	struct sm_strings metrics;   /* none: the results that a person would look at first */
	struct sm_strings gated;     /* further ones, of --fail-if */
	struct sm_strings workloads; /* none: all */
};

/* 0, -EINVAL with a line in err (nothing matches, a metric that no sample has), -ENOMEM. Free in
 * every case. */
int sm_compare_sides(const struct sm_side *base, const struct sm_side *other,
		     const struct sm_compare_what *what, struct sm_comparison *out, char *err,
		     size_t errlen);
void sm_comparison_free(struct sm_comparison *c);
/* Judges all rows of comparisons with one base as one table: its 95 % hold for all of them. 0 or
 * -ENOMEM. */
int sm_compare_judge(struct sm_comparison *cmps, size_t n, const struct sm_verdict_options *o);

/* ---- compare_text.c ----------------------------------------------------------------------- */

struct sm_compare_text {
	const struct sm_side *base, *other;
	struct sm_comparison *c;
	struct sm_verdict_options judged;
	double power; /* --require-power; above 0 where it was asked */
};
/* base and other: the first and the second side; several comparisons follow one another. */
void sm_compare_table(const struct sm_compare_text *t, FILE *out);
void sm_compare_csv(const struct sm_compare_text *t, bool head, FILE *out);
struct cJSON *sm_compare_json(const struct sm_compare_text *t);

/* ---- parts -------------------------------------------------------------------------------- */

/* compare_rows.c: the rows of two matched groups, from their first records. */
int sm__compare_rows(const struct sm_side *base, size_t b, const struct sm_side *other, size_t o,
		     const struct sm_compare_what *what, const char *name,
		     struct sm_comparison *out);
/* The cases of a run, as they are told apart. */
struct sm__case {
	size_t first; /* record */
	char *work;   /* all that two cases share which do the same work in the same place */
	char *name;   /* "churn ops=1000": the work, and what of it varies */
	char *config; /* "gc gc.percent=50": backend and settings; workers, where they vary */
	unsigned threads;
};
struct sm__cases {
	struct sm__case *v;
	size_t n;
};
/* workloads: none: all. 0 or -ENOMEM; to be freed in every case. */
int sm__compare_cases(const struct sm_report *r, const struct sm_strings *workloads,
		      struct sm__cases *out);
void sm__cases_free(struct sm__cases *c);
/* The values of a result of two groups of one run, from their first records, as pairs; base and
 * other are malloc'ed. 0 or -ENOMEM. */
int sm__compare_result(const struct sm_report *r, size_t a, size_t b, const char *result,
		       struct sm_difference *d);
bool sm__compare_has(const struct sm_comparison *c, const char *metric); /* a row of it? */
bool sm__strings_have(const struct sm_strings *s, const char *text);
/* Lists the case where all samples of a group failed. 1 when it did, 0, -ENOMEM. */
int sm__compare_lost(const struct sm_side *base, size_t b, const struct sm_side *other, size_t o,
		     const char *name, struct sm_comparison *out);
/* Lists the backend where both ran it with different libraries, once. */
int sm__compare_library(const struct sm_side *base, size_t b, const struct sm_side *other, size_t o,
			struct sm_comparison *out);
/* compare_environ.c: what differs between two JSON objects of circumstances, one line each. */
int sm__compare_hidden(const char *base, const char *other, struct sm_strings *out);
int sm__strings_printf(struct sm_strings *s, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

#endif
