/*
 * statistics.h: what repetitions say. Order statistics only: no assumption that timings are normal.
 *
 * Interval of the median: the order statistics x(j), x(k) between which the true median lies with
 * at least 95% probability, from the binomial distribution (Conover, Practical Nonparametric
 * Statistics, 1971; David & Nagaraja, Order Statistics, 2003, 7.1). With fewer than 6 values no
 * pair of them reaches 95%: the interval is then absent, and the reports say that there are too few
 * repetitions.
 *
 * Outliers are Tukey's: beyond 3 interquartile ranges from the quartiles (far out). They are
 * counted and reported, never dropped.
 */
#ifndef SM_HARNESS_STATISTICS_H
#define SM_HARNESS_STATISTICS_H

#include <stdbool.h>
#include <stddef.h>

#define SM_STATS_CONFIDENCE 0.95
#define SM_STATS_MIN_REPS   6 /* the fewest with which a 95% interval exists */

struct sm_stats {
	size_t n;	   /* finite values that went in */
	double median;	   /* n > 0 */
	double min, max;   /* n > 0 */
	bool has_interval; /* enough values for one; of 95%: n >= SM_STATS_MIN_REPS */
	double low, high;  /* interval of the median, with has_interval */
	double confidence; /* what the interval really covers, at least what was asked */
	size_t outliers;   /* far-out values, kept in all of the above */
};

/* Values that are not finite are left out (and so not in n). Reorders values[]. confidence: of the
 * interval, SM_STATS_CONFIDENCE or more. */
void sm_stats_compute(double *values, size_t n, double confidence, struct sm_stats *out);

/* Quantile q in 0..1 of sorted values, linear between neighbours (Hyndman & Fan's type 7). n > 0.
 */
double sm_stats_quantile(const double *sorted, size_t n, double q);

/*
 * The largest rank d, from 1, whose interval [d-th smallest, d-th largest] covers with the
 * confidence, when a count T with known probabilities, symmetric about its mean, says how many
 * values lie below: 1 - 2 P(T < d). Take P(T = 0), P(T = 1), .. until it says no.
 */
struct sm_tail {
	double confidence; /* asked */
	double below;
	size_t rank;	 /* 0: even the full range covers less */
	double coverage; /* of that rank */
};
bool sm_tail_take(struct sm_tail *t, double p);

/* Of the median of sorted values, with at least the confidence. false: too few values for it. */
bool sm_stats_median_interval(const double *sorted, size_t n, double confidence, double *low,
			      double *high, double *coverage);

#endif
