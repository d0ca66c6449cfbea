/*
 * ranks.h: how far two samples are apart, by ranks: no assumption that timings are normal, and
 * nothing claimed that the number of values cannot support.
 *
 * compare works on logarithms, so a shift is the logarithm of a ratio.
 *
 *   sign          of pairs' differences: their median, between order statistics (the sign test
 *                 inverted). Assumes nothing.
 *   signed rank   of pairs' differences: the median of the means of two of them, between such means
 *                 (Wilcoxon's signed rank test inverted). Assumes that differences lie alike on
 *                 both sides of their centre, as those of two equal things in random order do.
 *   rank sum      of two samples without pairs: the median of all differences between them, between
 *                 such differences (Mann & Whitney's test inverted). Assumes one shape.
 *
 * The estimates are Hodges & Lehmann's (1963); Hollander & Wolfe, Nonparametric Statistical
 * Methods, 3.1 to 3.4 and 4.1 to 4.3. Intervals are exact up to SM_RANKS_EXACT values a side, by
 * the normal approximation beyond. Ties and zeros are kept: a closed interval then covers rather
 * more.
 *
 * An interval that the number of values cannot support is absent: with 5 pairs the widest there is
 * covers 93.75 %.
 */
#ifndef SM_HARNESS_RANKS_H
#define SM_HARNESS_RANKS_H

#include <stdbool.h>
#include <stddef.h>

#define SM_RANKS_EXACT 50
/* With fewer pairs nobody can tell whether their differences lie alike on both sides. */
#define SM_RANKS_FEW_PAIRS 10

struct sm_shift {
	double estimate;   /* NAN: no values */
	bool has_interval; /* at the confidence asked for */
	double low, high;
	double coverage; /* what the interval really covers */
};

/* Reorder what they are given, which is finite. 0 or -ENOMEM. */
int sm_shift_sign(double *differences, size_t n, double confidence, struct sm_shift *out);
int sm_shift_signed_rank(double *differences, size_t n, double confidence, struct sm_shift *out);
/* Of b against a: positive where b is greater. */
int sm_shift_rank_sum(double *a, size_t na, double *b, size_t nb, double confidence,
		      struct sm_shift *out);
/* By sign for few pairs, else by signed rank. */
int sm_shift_pairs(double *differences, size_t n, double confidence, struct sm_shift *out);

/*
 * The confidence each of n intervals needs so that all of them together hold with `confidence`
 * (Bonferroni's inequality: whatever depends on what). Holm's procedure rejects more but yields no
 * intervals.
 */
double sm_ranks_widened(double confidence, size_t n);

/* The fewest pairs, or values on each side, with which an interval exists. */
unsigned sm_ranks_fewest(double confidence, bool paired);

/*
 * The pairs, or values on each side, with which an interval misses 0 with the probability `power`
 * where the shift is `shift` and one difference (one value) spreads with standard deviation sd:
 * the normal formula with Guenther's correction, over the least efficiency of ranks for normal
 * values, 3/pi. At least sm_ranks_fewest.
 */
unsigned sm_ranks_needed(double sd, double shift, double confidence, double power, bool paired);

/* Standard deviation, with n - 1; 0 of fewer than two. */
double sm_ranks_deviation(const double *values, size_t n);

#endif
