/* tried.c: the points that a search has tried, and what is known of each. See search_internal.h. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "harness/judge/statistics.h"
#include "harness/search/search_internal.h"

void sm_tune_settle(const struct sm_tune_dial *dials, unsigned n, struct sm_tune_point *p)
{
	for (unsigned d = 0; d < n; d++)
		if (dials[d].of != 0 && p->level[dials[d].of - 1] != dials[d].at)
			p->level[d] = 0;
}

int sm__tuning_point(struct sm__tuning *t, const struct sm_tune_point *wanted)
{
	struct sm_tune_found *f = t->found;
	struct sm_tune_point p = *wanted;
	struct sm_tune_tried *tried;
	double *expected;

	sm_tune_settle(t->s->dials, t->s->ndials, &p);
	for (unsigned i = 0; i < f->ntried; i++)
		if (memcmp(&f->tried[i].point, &p, sizeof(p)) == 0)
			return (int)i;
	tried = realloc(f->tried, (f->ntried + 1) * sizeof(*tried));
	if (tried == NULL)
		return -ENOMEM;
	f->tried = tried;
	expected = realloc(t->expected, (f->ntried + 1) * sizeof(*expected));
	if (expected == NULL)
		return -ENOMEM;
	t->expected = expected;
	expected[f->ntried] = NAN;
	tried[f->ntried] = (struct sm_tune_tried){
		.point = p, .median = f->ntried == 0 ? 0 : NAN, .memory = NAN};
	return (int)f->ntried++;
}

bool sm__tuning_fits(const struct sm__tuning *t, unsigned point)
{
	double memory = t->found->tried[point].memory;

	return t->s->max_memory <= 0 || isnan(memory) || memory <= t->s->max_memory;
}

bool sm__tuning_less(const struct sm__tuning *t, unsigned a, unsigned b)
{
	double x = isnan(t->expected[a]) ? t->found->tried[a].median : t->expected[a];
	double y = isnan(t->expected[b]) ? t->found->tried[b].median : t->expected[b];

	if (sm__tuning_fits(t, a) != sm__tuning_fits(t, b))
		return sm__tuning_fits(t, a);
	return isnan(y) ? !isnan(x) : x < y;
}

static double median_of(const double *values, unsigned n)
{
	double *copy = malloc((n + 1) * sizeof(*copy));
	struct sm_stats stats = {0};

	if (copy == NULL)
		return NAN;
	memcpy(copy, values, n * sizeof(*copy));
	sm_stats_compute(copy, n, SM_STATS_CONFIDENCE, &stats);
	free(copy);
	return stats.n > 0 ? stats.median : NAN;
}

/* Of the median, were the scores normal: 1.25 times that of the mean. */
static double error_of(const double *values, unsigned n)
{
	double sum = 0, squares = 0;
	unsigned m = 0;

	for (unsigned i = 0; i < n; i++)
		if (!isnan(values[i])) {
			sum += values[i];
			squares += values[i] * values[i];
			m++;
		}
	return m > 1 ? 1.25 * sqrt(fmax(0, squares - sum * sum / m) / (m - 1) / m) : INFINITY;
}

static double weight(const struct sm_tune_search *s, unsigned nworks, unsigned w)
{
	for (unsigned i = 0; i < nworks; i++)
		if (s->weights[i] > 0)
			return s->weights[w];
	return 1;
}

/* Of all works; NAN where one failed: it is no merit to fail. */
static double total_score(const struct sm__tuning *t, const struct sm_tune_batch *b, unsigned point,
			  unsigned rep)
{
	double sum = 0, weights = 0;

	for (unsigned w = 0; w < b->nworks; w++) {
		double by = weight(t->s, b->nworks, w);

		if (by <= 0)
			continue;
		sum += by * b->score[(w * b->npoints + point) * b->reps + rep];
		weights += by;
	}
	return weights > 0 ? sum / weights : NAN;
}

/* Counts the samples of a point that failed beside a default that did not. More than those of the
 * default? What was faster in the rest says nothing, then. */
static bool fails(const struct sm__tuning *t, const struct sm_tune_batch *b, unsigned point,
		  unsigned *failed, unsigned *excused)
{
	for (unsigned r = 0; r < b->reps; r++) {
		if (isnan(total_score(t, b, 0, r)))
			(*excused)++;
		else if (isnan(total_score(t, b, point, r)))
			(*failed)++;
	}
	return *failed > *excused;
}

static double worst_memory(const struct sm_tune_batch *b, unsigned point)
{
	double most = NAN;

	for (unsigned w = 0; w < b->nworks; w++)
		most = fmax(most, b->memory[w * b->npoints + point]);
	return most;
}

/* The scores of one point of the batch, behind those it has. */
static int learn(struct sm__tuning *t, const struct sm_tune_batch *b, unsigned at, unsigned point)
{
	struct sm_tune_tried *x = &t->found->tried[point];
	double *score = realloc(x->score, (x->n + b->reps) * sizeof(*score));

	if (score == NULL)
		return -ENOMEM;
	x->score = score;
	for (unsigned r = 0; r < b->reps; r++)
		score[x->n + r] = total_score(t, b, at, r);
	t->last[at] = median_of(score + x->n, b->reps);
	t->error[at] = error_of(score + x->n, b->reps);
	for (unsigned r = 0, from = x->n; r < b->reps; r++) /* none of what failed */
		if (!isnan(score[from + r]))
			score[x->n++] = score[from + r];
	if (point != 0)
		x->median = fails(t, b, at, &x->failed, &x->excused) ? NAN : median_of(score, x->n);
	x->memory = fmax(x->memory, worst_memory(b, at));
	return 0;
}

/* Ratios as the verdict takes them: 1 and the ratio. */
static int keep_row(struct sm_difference *d, unsigned reps)
{
	*d = (struct sm_difference){.paired = true, .better = SM_BETTER_LESS};
	d->base = malloc((reps + 1) * sizeof(*d->base));
	d->other = malloc((reps + 1) * sizeof(*d->other));
	return d->base != NULL && d->other != NULL ? 0 : -ENOMEM;
}

static void keep_value(struct sm_difference *d, double score)
{
	if (isnan(score))
		return;
	d->base[d->nbase++] = 1;
	d->other[d->nother++] = exp(score);
}

static int keep_confirmation(struct sm__tuning *t, const struct sm_tune_batch *b)
{
	struct sm_tune_found *f = t->found;
	unsigned failed = 0, excused = 0;
	int rc = keep_row(&f->total, b->reps);

	while (f->nworks < b->nworks && rc == 0)
		rc = keep_row(&f->works[f->nworks++], b->reps);
	for (unsigned r = 0; r < b->reps && rc == 0; r++) {
		keep_value(&f->total, total_score(t, b, 1, r));
		for (unsigned w = 0; w < b->nworks; w++)
			keep_value(&f->works[w], b->score[(w * b->npoints + 1) * b->reps + r]);
	}
	f->memory = worst_memory(b, 1);
	f->fails = fails(t, b, 1, &failed, &excused);
	return rc;
}

int sm__tuning_run(struct sm__tuning *t, const char *stage, const unsigned *points, unsigned n,
		   unsigned reps)
{
	struct sm_tune_point *list = calloc(n, sizeof(*list));
	double *last = realloc(t->last, n * sizeof(*last));
	double *error = realloc(t->error, n * sizeof(*error));
	struct sm_tune_batch b = {0};
	int rc = list != NULL && last != NULL && error != NULL ? 0 : -ENOMEM;

	t->last = last != NULL ? last : t->last;
	t->error = error != NULL ? error : t->error;
	for (unsigned i = 0; i < n && rc == 0; i++)
		list[i] = t->found->tried[points[i]].point;
	if (rc == 0)
		rc = t->s->measure(t->s->ctx, stage, list, n, reps, &b);
	if (rc == 0 && (b.nworks == 0 || b.nworks > SM_TUNE_WORKS))
		rc = -EINVAL;
	if (rc == 0 && t->keep)
		rc = keep_confirmation(t, &b);
	else
		for (unsigned i = 0; i < n && rc == 0; i++)
			rc = learn(t, &b, i, points[i]);
	t->seconds += b.seconds;
	t->points_run += (double)n * reps;
	free(list);
	free(b.score);
	free(b.memory);
	return rc;
}
