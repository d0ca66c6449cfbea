/* statistics.c: see statistics.h. */
#include "harness/statistics.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define CONFIDENCE 0.95

static int compare_values(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

double sm_stats_quantile(const double *sorted, size_t n, double q)
{
	double at = q * (double)(n - 1);
	size_t i = (size_t)at;

	if (i + 1 >= n)
		return sorted[n - 1];
	return sorted[i] + (at - (double)i) * (sorted[i + 1] - sorted[i]);
}

/*
 * Largest d such that [x(d), x(n+1-d)] covers the median with >= 95%: the coverage is
 * 1 - 2 P(Binomial(n, 1/2) < d). Returns d (1-based), 0 when even the full range covers less.
 */
static size_t interval_rank(size_t n, double *coverage)
{
	double lognorm = (double)n * log(0.5), below = 0;
	size_t d = 0;

	for (size_t k = 0; k < n / 2; k++) {
		double c;

		below += exp(lgamma((double)n + 1) - lgamma((double)k + 1) -
			     lgamma((double)(n - k) + 1) + lognorm);
		c = 1 - 2 * below;
		if (c < CONFIDENCE)
			break;
		d = k + 1;
		*coverage = c;
	}
	return d;
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

void sm_stats_compute(double *values, size_t n, struct sm_stats *out)
{
	size_t kept = 0, d;

	*out = (struct sm_stats){0};
	for (size_t i = 0; i < n; i++) {
		if (isfinite(values[i]))
			values[kept++] = values[i];
	}
	out->n = kept;
	if (kept == 0)
		return;
	qsort(values, kept, sizeof(*values), compare_values);
	out->min = values[0];
	out->max = values[kept - 1];
	out->median = sm_stats_quantile(values, kept, 0.5);
	out->outliers = far_out(values, kept);
	d = interval_rank(kept, &out->confidence);
	if (d > 0) {
		out->has_interval = true;
		out->low = values[d - 1];
		out->high = values[kept - d];
	}
}
