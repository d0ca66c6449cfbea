/*
 * lbo.h: spanmark lbo: what a collector costs, by the lower-bound overhead of Cai, Blackburn, Bond
 * and Maas ("Distilling the Real Cost of Production Garbage Collectors", ISPASS 2022).
 *
 * The cost of a program on an ideal memory manager, which costs nothing, is not known. Of each
 * configuration of the collector (mode, heap size, workers, ..) one can take off what is visibly
 * the collector's own, and gets the program and what is hidden in it: its distilled cost. The ideal
 * is no more than the least distilled cost of all configurations, so
 *
 *     lower-bound overhead of a configuration  =  its total / the least distilled cost
 *
 * says what it costs at least. More configurations make a better bound.
 *
 *     figure         total                             visibly the collector's
 *     wall           wall_s                            waits of the mutator, where there is one
 *     cpu            user_s + system_s                 task_clock of these:
 *     cycles         of all threads                    threads that are no mutators; of mutators
 *     instructions   of all threads                    all phases but app, refill and scavenge
 *
 * All for an operation. What could not be counted is not taken off: the bound is lower then, and
 * holds all the same. Waits of several mutators overlap: nobody knows how much of them is wall
 * time.
 *
 * Beside the bound stands what the method had to do without: the same work with explicit free, on
 * the same heap (backend span) and others. It is no ideal either, free has its price; a bound above
 * it says that free costs more than the most thrifty configuration hides.
 *
 * Ratios are of pairs, by ranks (ranks.h), so a bound need not be the quotient of the medians
 * beside it: what a repetition had in common (drift, a noisy hour) falls out. The bound is the
 * ratio to the configuration with the least median. Its interval is the greatest low and the
 * greatest high end over all configurations, each of which could be the least in truth, and the
 * bound is no less than the low end; those of a table hold together with 95 % (verdict.h).
 */
#ifndef SM_HARNESS_LBO_H
#define SM_HARNESS_LBO_H

#include <stdio.h>

#include "harness/store/store.h"
#include "harness/options/options.h"

struct sm_lbo_ratio {
	double ratio;	   /* NAN: none */
	bool has_interval; /* where there is a ratio */
	double low, high;
};

struct sm_lbo_row {
	char *name, *config; /* "churn ops=1000", "gc gc.percent=50" */
	const char *metric, *unit, *source;
	bool manual; /* freed explicitly */
	bool least;  /* its distilled cost is the bound of the ideal */
	size_t reps;
	double total, distilled;   /* medians, for an operation */
	struct sm_lbo_ratio bound; /* total / the least distilled */
	struct sm_lbo_ratio truth; /* total / that of `against` */
	const char *against;	   /* a backend that frees explicitly; "": there is none */
};

struct sm_lbo {
	struct sm_lbo_row *rows; /* by case, then metric, then configuration */
	size_t nrows;
	struct sm_strings left_out; /* "graph: one configuration of the collector" */
	struct sm_strings notes;
	unsigned unseen; /* figures of a case of which nothing could be taken off */
	double each;	 /* the confidence of one interval */
	unsigned needed; /* repetitions without which there are none; 0: there are */
};

extern const char *const sm_lbo_metrics[]; /* NULL after the last */

/* metrics, workloads: none: all. 0, -EINVAL and one line in err (what is missing, with the command
 * that measures it), -ENOMEM. Free in every case. */
int sm_lbo_compute(const struct sm_report *r, const char *store, const struct sm_strings *metrics,
		   const struct sm_strings *workloads, struct sm_lbo *out, char *err,
		   size_t errlen);
void sm_lbo_free(struct sm_lbo *l);

void sm_lbo_table(const struct sm_lbo *l, const struct sm_report *r, FILE *out);
void sm_lbo_csv(const struct sm_lbo *l, FILE *out);
void sm_lbo_json(const struct sm_lbo *l, const struct sm_report *r, FILE *out);

/* ---- lbo_sample.c ------------------------------------------------------------------------- */

/* As sm_lbo_metrics. */
enum { SM__LBO_WALL, SM__LBO_CPU, SM__LBO_CYCLES, SM__LBO_INSTRUCTIONS, SM__LBO_METRICS };
bool sm__lbo_collected(const struct sm_record *rec);
bool sm__lbo_idle(const struct sm_record *rec); /* a collector that did not run */
/* Total and what is visibly the collector's of it, for an operation. false: it is not known. */
bool sm__lbo_costs(const struct sm_record *rec, int metric, unsigned threads, double *total,
		   double *visible, const char **source);

#endif
