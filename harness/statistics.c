/* statistics.c: see statistics.h. */
#include "harness/statistics.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define CONFIDENCE 0.95
#define EXACT_MAX  20 /* of na and nb, for the exact distribution of U */

static int compare(const void *a, const void *b)
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

		below += exp(lgamma((double)n + 1) - lgamma((double)k + 1) - lgamma((double)(n - k) + 1) +
			     lognorm);
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
	qsort(values, kept, sizeof(*values), compare);
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

/* ---- Mann-Whitney ---------------------------------------------------------------------------- */

struct ranked {
	double value;
	bool first; /* of a */
};

static int compare_ranked(const void *a, const void *b)
{
	return compare(&((const struct ranked *)a)->value, &((const struct ranked *)b)->value);
}

/* Sum of a's mid-ranks; *ties gets the sum of t^3 - t over groups of equal values. */
static double rank_sum(struct ranked *all, size_t n, double *ties)
{
	double sum = 0;

	*ties = 0;
	qsort(all, n, sizeof(*all), compare_ranked);
	for (size_t i = 0; i < n;) {
		size_t j = i;
		double t, rank;

		while (j < n && all[j].value == all[i].value)
			j++;
		t = (double)(j - i);
		rank = (double)(i + 1 + j) / 2;
		*ties += t * t * t - t;
		for (; i < j; i++)
			sum += all[i].first ? rank : 0;
	}
	return sum;
}

/*
 * P(U <= u) under the null hypothesis: count[i][j][k] arrangements of i a's and j b's with U = k,
 * by the usual recurrence on the largest element, one j at a time.
 */
static double exact_tail(size_t na, size_t nb, double u)
{
	size_t top = na * nb, limit = (size_t)floor(u);
	double *f = calloc((na + 1) * (top + 1), sizeof(*f)), below = 0, all = 0;

	if (f == NULL)
		return NAN;
	for (size_t i = 0; i <= na; i++)
		f[i * (top + 1)] = 1;
	for (size_t j = 1; j <= nb; j++) {
		/* f(i, j, k) = f(i-1, j, k-j) + f(i, j-1, k); i ascending turns j-1 into j in place */
		for (size_t i = 1; i <= na; i++) {
			for (size_t k = j; k <= i * j; k++)
				f[i * (top + 1) + k] += f[(i - 1) * (top + 1) + k - j];
		}
	}
	for (size_t k = 0; k <= top; k++) {
		all += f[na * (top + 1) + k];
		if (k <= limit)
			below += f[na * (top + 1) + k];
	}
	free(f);
	return below / all;
}

double sm_stats_mann_whitney(const double *a, size_t na, const double *b, size_t nb)
{
	size_t n = na + nb;
	double ties, u, mean, var, z, p;
	struct ranked *all;

	if (na == 0 || nb == 0)
		return NAN;
	all = calloc(n, sizeof(*all));
	if (all == NULL)
		return NAN;
	for (size_t i = 0; i < na; i++)
		all[i] = (struct ranked){a[i], true};
	for (size_t i = 0; i < nb; i++)
		all[na + i] = (struct ranked){b[i], false};
	u = rank_sum(all, n, &ties) - (double)na * (double)(na + 1) / 2;
	free(all);
	mean = (double)na * (double)nb / 2;
	if (u > mean)
		u = 2 * mean - u;
	if (ties == 0 && na <= EXACT_MAX && nb <= EXACT_MAX) {
		p = 2 * exact_tail(na, nb, u);
		return p > 1 ? 1 : p;
	}
	var = (double)na * (double)nb / 12 * ((double)n + 1 - ties / ((double)n * (double)(n - 1)));
	if (var <= 0)
		return 1;
	z = (mean - u - 0.5) / sqrt(var);
	return z <= 0 ? 1 : erfc(z / sqrt(2));
}
