/* verdict.c: see verdict.h. */
#include "harness/judge/verdict.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "harness/judge/ranks.h"
#include "harness/judge/statistics.h"

const char *const sm_verdict_names[] = {"unclear", "same", "better", "worse", "differs", NULL};

static bool all_positive(const double *v, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!(v[i] > 0) || !isfinite(v[i]))
			return false;
	return true;
}

/* Has the row something that an interval could be made of? */
static bool is_sampled(const struct sm_difference *d)
{
	return !d->exact && d->nbase > 0 && d->nother > 0 && all_positive(d->base, d->nbase) &&
	       all_positive(d->other, d->nother);
}

static enum sm_verdict direction(const struct sm_difference *d, bool more)
{
	if (d->better == SM_BETTER_NEITHER)
		return SM_VERDICT_DIFFERS;
	return more == (d->better == SM_BETTER_MORE) ? SM_VERDICT_BETTER : SM_VERDICT_WORSE;
}

static void judge(struct sm_difference *d, double margin)
{
	double up = 1 + margin, down = 1 / up;

	if (!d->has_interval)
		return;
	if (d->low >= down && d->high <= up)
		d->verdict = SM_VERDICT_SAME;
	else if (d->low > up || d->high < down)
		d->verdict = direction(d, d->low > up);
	else
		snprintf(d->reason, sizeof(d->reason),
			 "the interval reaches across the margin of %g %%", margin * 100);
}

/* Every repetition changed in the same direction, or none did. */
static void judge_exact(struct sm_difference *d)
{
	double low = INFINITY, high = -INFINITY, sum = 0;

	for (size_t i = 0; i < d->nbase; i++) {
		double ratio = d->other[i] / d->base[i];

		low = ratio < low ? ratio : low;
		high = ratio > high ? ratio : high;
		sum += log(ratio) / (double)d->nbase;
	}
	d->ratio = low == high ? low : exp(sum);
	d->low = low;
	d->high = high;
	d->has_interval = true;
	if (low == 1 && high == 1)
		d->verdict = SM_VERDICT_SAME;
	else if (low > 1 || high < 1)
		d->verdict = direction(d, low > 1);
	else
		snprintf(d->reason, sizeof(d->reason), "some repetitions count more, some less");
}

static void too_few(struct sm_difference *d, double each, bool alone)
{
	size_t n = d->nbase < d->nother ? d->nbase : d->nother;

	snprintf(d->reason, sizeof(d->reason), "%zu %s%s: 95 %%%s takes %u%s", n,
		 d->paired ? "pair" : "repetition", n == 1 ? "" : "s",
		 alone ? "" : " over the whole table", sm_ranks_fewest(each, d->paired),
		 d->paired ? "" : " on each side");
}

/* The spread of one log ratio, or of one log value on either side. */
static void power(struct sm_difference *d, const double *a, const double *b, double each,
		  const struct sm_verdict_options *o)
{
	double sd = sm_ranks_deviation(a, d->nbase), shift = log1p(o->target) - log1p(o->margin);

	if (!d->paired) {
		double other = sm_ranks_deviation(b, d->nother);

		sd = sqrt((sd * sd + other * other) / 2);
	}
	d->needed = sm_ranks_needed(sd, shift, each, SM_VERDICT_POWER, d->paired);
}

static int compare_sampled(struct sm_difference *d, double each, bool alone,
			   const struct sm_verdict_options *o)
{
	double *a = malloc((d->nbase + d->nother) * sizeof(*a)), *b = a + d->nbase;
	struct sm_shift s;
	int rc;

	if (a == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < d->nbase; i++)
		a[i] = log(d->base[i]);
	for (size_t i = 0; i < d->nother; i++)
		b[i] = log(d->other[i]);
	for (size_t i = 0; d->paired && i < d->nbase; i++)
		a[i] = b[i] - a[i];
	power(d, a, b, each, o);
	rc = d->paired ? sm_shift_pairs(a, d->nbase, each, &s)
		       : sm_shift_rank_sum(a, d->nbase, b, d->nother, each, &s);
	free(a);
	if (rc)
		return rc;
	d->ratio = exp(s.estimate);
	d->has_interval = s.has_interval;
	d->low = exp(s.low);
	d->high = exp(s.high);
	if (s.has_interval)
		judge(d, o->margin);
	else
		too_few(d, each, alone);
	return 0;
}

static double split(double confidence, double by)
{
	return by > 1 ? 1 - (1 - confidence) / by : confidence;
}

int sm_verdict_table(struct sm_difference *rows, size_t n, const struct sm_verdict_options *o,
		     double *each)
{
	size_t sampled = 0;
	int rc = 0;

	for (size_t i = 0; i < n; i++)
		sampled += is_sampled(&rows[i]);
	*each = sm_ranks_widened(SM_VERDICT_CONFIDENCE, sampled);
	for (size_t i = 0; i < n && rc == 0; i++) {
		struct sm_difference *d = &rows[i];

		d->ratio = NAN;
		d->verdict = SM_VERDICT_UNCLEAR;
		if (is_sampled(d))
			rc = compare_sampled(d, split(*each, d->split), sampled == 1, o);
		else if (d->exact && d->nbase > 0 && all_positive(d->base, d->nbase) &&
			 all_positive(d->other, d->nother))
			judge_exact(d);
		else
			snprintf(d->reason, sizeof(d->reason),
				 d->nbase == 0 || d->nother == 0 ? "not measured on both sides"
								 : "a value of 0 has no ratio");
	}
	return rc;
}
