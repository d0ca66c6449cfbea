/* ranks.c: Hodges & Lehmann's estimates and the intervals around them. See ranks.h. */
#include "harness/judge/ranks.h"

#include <errno.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "harness/judge/statistics.h"

#define EFFICIENCY (3 / M_PI)

static int compare_values(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void sort(double *v, size_t n)
{
	qsort(v, n, sizeof(*v), compare_values);
}

/* The z with P(|Z| < z) = confidence. */
static double normal_two_sided(double confidence)
{
	double low = 0, high = 40;

	for (int i = 0; i < 100; i++) {
		double z = (low + high) / 2;

		if (erfc(z * M_SQRT1_2) > 1 - confidence)
			low = z;
		else
			high = z;
	}
	return high;
}

/* ---- the k-th smallest of very many combinations ------------------------------------------ */

/*
 * Combinations of sorted values that are never written out: `count` says how many are at most t.
 * The smallest t that has k of them is the k-th, found by halving the range of doubles, whose bits
 * order as they do.
 */
struct combined {
	const double *a, *b; /* sorted */
	size_t na, nb, total;
	size_t (*count)(const struct combined *c, double t);
};

/* Means of two differences, each pair once, each difference with itself too. */
static size_t count_means(const struct combined *c, double t)
{
	size_t count = 0, end = c->na; /* a[i] and any of a[i .. end) are at most t */

	for (size_t i = 0; i < c->na; i++) {
		while (end > i && (c->a[i] + c->a[end - 1]) / 2 > t)
			end--;
		if (end <= i)
			break;
		count += end - i;
	}
	return count;
}

/* Differences b - a. */
static size_t count_differences(const struct combined *c, double t)
{
	size_t count = 0, above = 0; /* a[0 .. above) are too far below b[i] */

	for (size_t i = 0; i < c->nb; i++) {
		while (above < c->na && c->b[i] - c->a[above] > t)
			above++;
		count += c->na - above;
	}
	return count;
}

static int64_t bits_of(double v)
{
	int64_t bits;

	v += 0.0; /* one zero */
	memcpy(&bits, &v, sizeof(bits));
	return bits >= 0 ? bits : INT64_MIN - bits;
}

static double of_bits(int64_t bits)
{
	double v;

	bits = bits >= 0 ? bits : INT64_MIN - bits;
	memcpy(&v, &bits, sizeof(v));
	return v;
}

/* k from 1. */
static double smallest(const struct combined *c, size_t k)
{
	int64_t low = bits_of(-INFINITY), high = bits_of(INFINITY);

	while (low < high) {
		int64_t middle = (low & high) + ((low ^ high) >> 1);

		if (c->count(c, of_bits(middle)) >= k)
			high = middle;
		else
			low = middle + 1;
	}
	return of_bits(low);
}

/* The median of the combinations, and between the tail's ranks its interval. */
static void fill(const struct combined *c, const struct sm_tail *t, struct sm_shift *out)
{
	out->estimate = (smallest(c, (c->total + 1) / 2) + smallest(c, c->total / 2 + 1)) / 2;
	if (t->rank == 0)
		return;
	out->has_interval = true;
	out->low = smallest(c, t->rank);
	out->high = smallest(c, c->total + 1 - t->rank);
	out->coverage = t->coverage;
}

/* ---- how many combinations lie below: Wilcoxon's distributions ---------------------------- */

static void approximate(struct sm_tail *t, double mean, double deviation)
{
	double rank = floor(mean + 0.5 - normal_two_sided(t->confidence) * deviation);

	if (rank < 1)
		return;
	t->rank = (size_t)rank;
	t->coverage = 1 - erfc((mean + 0.5 - rank) / deviation * M_SQRT1_2);
}

/* P(k) for every k up to the middle: the sum of those of 1 .. n whose coin shows heads. */
static int signed_rank_tail(size_t n, struct sm_tail *t)
{
	size_t half = n * (n + 1) / 4;
	double *p;

	if (n > SM_RANKS_EXACT) {
		double dn = (double)n;

		approximate(t, dn * (dn + 1) / 4, sqrt(dn * (dn + 1) * (2 * dn + 1) / 24));
		return 0;
	}
	p = calloc(half + 1, sizeof(*p));
	if (p == NULL)
		return -ENOMEM;
	p[0] = 1;
	for (size_t i = 1; i <= n; i++)
		for (size_t k = half + 1; k-- > 0;)
			p[k] = (p[k] + (k >= i ? p[k - i] : 0)) / 2;
	for (size_t k = 0; k <= half && sm_tail_take(t, p[k]); k++)
		;
	free(p);
	return 0;
}

/*
 * P(i, j, k): of i and j values k pairs lie so. The greatest of all i + j is one of the i with
 * probability i / (i + j), above all j; else it adds nothing. Row i holds it for the present j.
 */
static int rank_sum_tail(size_t na, size_t nb, struct sm_tail *t)
{
	size_t half = na * nb / 2, row = half + 1;
	double *p;

	if (na > SM_RANKS_EXACT || nb > SM_RANKS_EXACT) {
		double a = (double)na, b = (double)nb;

		approximate(t, a * b / 2, sqrt(a * b * (a + b + 1) / 12));
		return 0;
	}
	p = calloc((na + 1) * row, sizeof(*p));
	if (p == NULL)
		return -ENOMEM;
	for (size_t i = 0; i <= na; i++)
		p[i * row] = 1;
	for (size_t j = 1; j <= nb; j++) {
		for (size_t i = 1; i <= na; i++) {
			double *now = p + i * row, *fewer = now - row;
			double share = (double)i / (double)(i + j);

			for (size_t k = 0; k <= half; k++)
				now[k] = (1 - share) * now[k] + (k >= j ? share * fewer[k - j] : 0);
		}
	}
	for (size_t k = 0; k <= half && sm_tail_take(t, p[na * row + k]); k++)
		;
	free(p);
	return 0;
}

/* ---- shifts ------------------------------------------------------------------------------- */

int sm_shift_sign(double *d, size_t n, double confidence, struct sm_shift *out)
{
	*out = (struct sm_shift){.estimate = NAN};
	if (n == 0)
		return 0;
	sort(d, n);
	out->estimate = sm_stats_quantile(d, n, 0.5);
	out->has_interval =
		sm_stats_median_interval(d, n, confidence, &out->low, &out->high, &out->coverage);
	return 0;
}

int sm_shift_signed_rank(double *d, size_t n, double confidence, struct sm_shift *out)
{
	struct combined c = {.a = d, .na = n, .total = n * (n + 1) / 2, .count = count_means};
	struct sm_tail t = {.confidence = confidence};
	int rc = n > 0 ? signed_rank_tail(n, &t) : 0;

	*out = (struct sm_shift){.estimate = NAN};
	if (rc || n == 0)
		return rc;
	sort(d, n);
	fill(&c, &t, out);
	return 0;
}

int sm_shift_rank_sum(double *a, size_t na, double *b, size_t nb, double confidence,
		      struct sm_shift *out)
{
	struct combined c = {
		.a = a, .b = b, .na = na, .nb = nb, .total = na * nb, .count = count_differences};
	struct sm_tail t = {.confidence = confidence};
	int rc = c.total > 0 ? rank_sum_tail(na, nb, &t) : 0;

	*out = (struct sm_shift){.estimate = NAN};
	if (rc || c.total == 0)
		return rc;
	sort(a, na);
	sort(b, nb);
	fill(&c, &t, out);
	return 0;
}

int sm_shift_pairs(double *d, size_t n, double confidence, struct sm_shift *out)
{
	return n < SM_RANKS_FEW_PAIRS ? sm_shift_sign(d, n, confidence, out)
				      : sm_shift_signed_rank(d, n, confidence, out);
}

/* ---- how many are needed ------------------------------------------------------------------ */

double sm_ranks_widened(double confidence, size_t n)
{
	return n > 1 ? 1 - (1 - confidence) / (double)n : confidence;
}

/* The full range misses with 2 / 2^n of n pairs, with 2 / C(2n, n) of n on each side. */
unsigned sm_ranks_fewest(double confidence, bool paired)
{
	double miss = 2;
	unsigned n = 0;

	while (miss > (1 - confidence) * (1 + 1e-9) && n < 1000) {
		n++;
		miss *= paired ? 0.5 : n / (4.0 * n - 2);
	}
	return n;
}

unsigned sm_ranks_needed(double sd, double shift, double confidence, double power, bool paired)
{
	double z = normal_two_sided(confidence), reach = z + normal_two_sided(2 * power - 1);
	double n = pow(reach * sd / shift, 2), most = 1e6;
	unsigned fewest = sm_ranks_fewest(confidence, paired);

	n = paired ? n + z * z / 2 : 2 * n + z * z / 4;
	n = ceil(n / EFFICIENCY);
	if (!(n < most))
		n = most;
	return n > fewest ? (unsigned)n : fewest;
}

double sm_ranks_deviation(const double *v, size_t n)
{
	double mean = 0, squares = 0;

	for (size_t i = 0; i < n; i++)
		mean += v[i] / (double)n;
	for (size_t i = 0; i < n; i++)
		squares += (v[i] - mean) * (v[i] - mean);
	return n > 1 ? sqrt(squares / (double)(n - 1)) : 0;
}
