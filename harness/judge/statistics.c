/* statistics.c: see statistics.h. */
#include "harness/judge/statistics.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static int compare_values(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* Most are the few repetitions of a case. */
static void sort_values(double *v, size_t n)
{
	if (n > 16) {
		qsort(v, n, sizeof(*v), compare_values);
		return;
	}
	for (size_t i = 1; i < n; i++) {
		double x = v[i];
		size_t at = i;

		for (; at > 0 && v[at - 1] > x; at--)
			v[at] = v[at - 1];
		v[at] = x;
	}
}

double sm_stats_quantile(const double *sorted, size_t n, double q)
{
	double at = q * (double)(n - 1);
	size_t i = (size_t)at;

	if (i + 1 >= n)
		return sorted[n - 1];
	return sorted[i] + (at - (double)i) * (sorted[i + 1] - sorted[i]);
}

bool sm_tail_take(struct sm_tail *t, double p)
{
	double coverage;

	t->below += p;
	coverage = 1 - 2 * t->below;
	if (coverage < t->confidence - 1e-12) /* the sum's last bits */
		return false;
	t->rank++;
	t->coverage = coverage;
	return true;
}

/* The ranks of a median: how many of n values lie below it is Binomial(n, 1/2). Its terms are made
 * one out of the other, by their logarithms: from n = 1075 on the first is below any double. */
bool sm_stats_median_interval(const double *sorted, size_t n, double confidence, double *low,
			      double *high, double *coverage)
{
	struct sm_tail t = {.confidence = confidence};
	double term = (double)n * log(0.5);

	for (size_t k = 0; k < n / 2; k++) {
		if (!sm_tail_take(&t, exp(term)))
			break;
		term += log((double)(n - k) / (double)(k + 1));
	}
	if (t.rank == 0)
		return false;
	*low = sorted[t.rank - 1];
	*high = sorted[n - t.rank];
	*coverage = t.coverage;
	return true;
}

static size_t far_out(const double *v, size_t n)
{
	double q1, q3, reach;
	size_t count = 0;

	if (n < 4)
		return 0;
	q1 = sm_stats_quantile(v, n, 0.25);
	q3 = sm_stats_quantile(v, n, 0.75);
	reach = 3 * (q3 - q1);
	for (size_t i = 0; i < n; i++)
		count += v[i] < q1 - reach || v[i] > q3 + reach;
	return count;
}

void sm_stats_compute(double *values, size_t n, double confidence, struct sm_stats *out)
{
	size_t kept = 0;

	*out = (struct sm_stats){0};
	for (size_t i = 0; i < n; i++) {
		if (isfinite(values[i]))
			values[kept++] = values[i];
	}
	out->n = kept;
	if (kept == 0)
		return;
	sort_values(values, kept);
	out->min = values[0];
	out->max = values[kept - 1];
	out->median = sm_stats_quantile(values, kept, 0.5);
	out->outliers = far_out(values, kept);
	out->has_interval = sm_stats_median_interval(values, kept, confidence, &out->low,
						     &out->high, &out->confidence);
}
