/* search.c: see search.h. The stages, in the order in which they run. */
#include "harness/search/search.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "harness/judge/ranks.h"
#include "harness/search/search_internal.h"

/* Shares of the budget that stages may use; what one leaves goes to the next. */
#define SCREEN_BY   0.40
#define HALVE_BY    0.60
#define REFINE_BY   0.80
#define ROUNDS	    4  /* of refining */
#define SCREEN_MAX  8  /* repetitions of a screening */
#define CONFIRM	    12 /* repetitions of a confirmation, at least */
#define CONFIRM_MAX 100
#define LIKED	    6	  /* levels, of different dials, that combinations are made of */
#define NEGLIGIBLE  0.003 /* that a setting must bring to be kept */

void sm_tune_found_free(struct sm_tune_found *f)
{
	for (unsigned i = 0; i < f->ntried; i++)
		free(f->tried[i].score);
	free(f->tried);
	for (unsigned w = 0; w < f->nworks; w++) {
		free(f->works[w].base);
		free(f->works[w].other);
	}
	free(f->total.base);
	free(f->total.other);
	*f = (struct sm_tune_found){0};
}

/* ---- the pilot and the screening ---------------------------------------------------------- */

/* Seconds of one point once. */
static double cost_of(const struct sm__tuning *t)
{
	return t->points_run > 0 ? t->seconds / t->points_run : 0;
}

/* How often n points can run until this share of the budget is used, between bounds. */
static unsigned reps_for(const struct sm__tuning *t, double share, unsigned n, unsigned least,
			 unsigned most)
{
	double left = share * t->s->budget_s - t->seconds, once = cost_of(t) * n;
	double reps = once > 0 ? left / once : most;

	return reps < least ? least : reps > most ? most : (unsigned)reps;
}

static int pilot(struct sm__tuning *t)
{
	unsigned the_default = 0;

	return sm__tuning_run(t, "pilot", &the_default, 1, 2);
}

static int screen(struct sm__tuning *t)
{
	unsigned all[SM_TUNE_KNOBS * SM_TUNE_LEVELS + 1], n = 1;

	all[0] = 0;
	for (unsigned d = 0; d < t->s->ndials; d++)
		for (unsigned level = 1; level < t->s->dials[d].levels; level++) {
			const struct sm_tune_dial *dial = &t->s->dials[d];
			struct sm_tune_point p = {{0}};
			int at;

			p.level[d] = (unsigned char)level;
			if (dial->of != 0)
				p.level[dial->of - 1] = (unsigned char)dial->at;
			at = sm__tuning_point(t, &p);
			if (at < 0)
				return at;
			t->found->tried[at].screened = d + 1;
			all[n++] = (unsigned)at;
		}
	return sm__tuning_run(t, "screen", all, n, reps_for(t, SCREEN_BY, n, 2, SCREEN_MAX));
}

/* ---- combinations, halved ----------------------------------------------------------------- */

/* The best level of each dial that is better than the default, the best dials first. */
static unsigned liked_levels(const struct sm__tuning *t, unsigned liked[LIKED])
{
	const struct sm_tune_tried *tried = t->found->tried;
	unsigned n = 0;

	for (unsigned d = 0; d < t->s->ndials; d++) {
		unsigned best = 0, at;

		for (unsigned i = 1; i < t->found->ntried; i++)
			if (tried[i].screened == d + 1 && tried[i].median < tried[best].median &&
			    sm__tuning_fits(t, i))
				best = i;
		if (best == 0)
			continue;
		for (at = n; at > 0 && tried[liked[at - 1]].median > tried[best].median; at--)
			if (at < LIKED)
				liked[at] = liked[at - 1];
		if (at < LIKED)
			liked[at] = best;
		n += n < LIKED;
	}
	return n;
}

static bool is_among(const unsigned *points, unsigned n, unsigned point)
{
	for (unsigned i = 0; i < n; i++)
		if (points[i] == point)
			return true;
	return false;
}

/* All combinations of what was liked, as points. How many, or -ENOMEM. */
static int combine(struct sm__tuning *t, const unsigned *liked, unsigned n, unsigned *out)
{
	int count = 0;

	for (unsigned which = 1; which < 1u << n; which++) {
		struct sm_tune_point p = {{0}};
		double expected = 0;
		int at;

		for (unsigned i = 0; i < n; i++) {
			const struct sm_tune_tried *l = &t->found->tried[liked[i]];

			if (!(which >> i & 1))
				continue;
			expected += l->median;
			for (unsigned d = 0; d < t->s->ndials; d++)
				if (l->point.level[d] != 0)
					p.level[d] = l->point.level[d];
		}
		at = sm__tuning_point(t, &p);
		if (at < 0)
			return at;
		/* What another one needs is in both: the fewest parts come first, and count. */
		if (is_among(out, (unsigned)count, (unsigned)at))
			continue;
		t->expected[at] = expected;
		out[count++] = (unsigned)at;
	}
	return count;
}

/* In ascending order of what is known, or expected, of them. */
static void sort_points(const struct sm__tuning *t, unsigned *points, unsigned n)
{
	for (unsigned i = 1; i < n; i++)
		for (unsigned k = i; k > 0 && sm__tuning_less(t, points[k], points[k - 1]); k--) {
			unsigned swap = points[k];

			points[k] = points[k - 1];
			points[k - 1] = swap;
		}
}

/* n points with r repetitions, n / 2 with 2 r, ..: as many as the budget has room for. */
static unsigned field_size(const struct sm__tuning *t, unsigned candidates)
{
	double left = HALVE_BY * t->s->budget_s - t->seconds;
	unsigned n = candidates < 32 ? candidates : 32;

	while (n > 2) {
		unsigned rungs = 0;

		for (unsigned k = n; k > 1; k = (k + 1) / 2)
			rungs++;
		if ((n + 1) * 3.0 * cost_of(t) * rungs <= left)
			break;
		n--;
	}
	return n;
}

static int halve(struct sm__tuning *t, unsigned *points, unsigned n)
{
	unsigned reps = 3;
	int rc = 0;

	while (n > 1 && rc == 0) {
		unsigned batch[33] = {0};

		memcpy(batch + 1, points, n * sizeof(*points));
		rc = sm__tuning_run(t, "halve", batch, n + 1, reps);
		for (unsigned i = 0; i < n; i++)
			t->expected[points[i]] = NAN; /* measured now */
		sort_points(t, points, n);
		while (n > 1 && !sm__tuning_fits(t, points[n - 1]))
			n--;
		n = (n + 1) / 2;
		reps = reps < 24 ? 2 * reps : reps;
	}
	return rc;
}

/* ---- around the one that is left ---------------------------------------------------------- */

struct around {
	unsigned batch[3 * SM_TUNE_KNOBS + 2]; /* the default, the winner, its neighbours */
	unsigned dial[3 * SM_TUNE_KNOBS + 2];
	unsigned n;
};

static int add_neighbour(struct sm__tuning *t, struct around *a, unsigned d, int level)
{
	struct sm_tune_point p = t->found->tried[a->batch[1]].point;
	int at;

	if (level < 0 || level >= (int)t->s->dials[d].levels)
		return 0;
	p.level[d] = (unsigned char)level;
	at = sm__tuning_point(t, &p);
	if (at > 0 && is_among(a->batch, a->n, (unsigned)at))
		return 0;
	if (at <= 0) /* without its only setting it is the default */
		return at;
	a->dial[a->n] = d;
	a->batch[a->n++] = (unsigned)at;
	return 0;
}

/* Each of its settings left out, one step less, one more. */
static int surround(struct sm__tuning *t, struct around *a)
{
	const struct sm_tune_point p = t->found->tried[a->batch[1]].point;
	int rc = 0;

	for (unsigned d = 0; d < t->s->ndials && rc == 0; d++) {
		if (p.level[d] == 0)
			continue;
		rc = add_neighbour(t, a, d, 0);
		if (rc == 0)
			rc = add_neighbour(t, a, d, p.level[d] - 1);
		if (rc == 0)
			rc = add_neighbour(t, a, d, p.level[d] + 1);
	}
	return rc;
}

/* A setting whose gain is next to nothing, or within what chance makes of nothing. */
static bool does_not_pay(const struct sm__tuning *t, unsigned without)
{
	double gain = t->last[without] - t->last[1];

	return !isnan(gain) && /* what fails without it needs it */
	       !(gain > NEGLIGIBLE + hypot(t->error[without], t->error[1]));
}

/* Settings that do not pay go. The point that is left, or -ENOMEM. */
static int leave_out(struct sm__tuning *t, const struct around *a)
{
	struct sm_tune_point lean = t->found->tried[a->batch[1]].point;
	int at;

	for (unsigned i = 2; i < a->n; i++)
		if (t->found->tried[a->batch[i]].point.level[a->dial[i]] == 0 && does_not_pay(t, i))
			lean.level[a->dial[i]] = 0;
	at = sm__tuning_point(t, &lean);
	/* none of them alone: what each brings, another stands in for */
	return at == 0 ? (int)a->batch[1] : at;
}

static int refine(struct sm__tuning *t, unsigned *winner)
{
	for (unsigned round = 0; round < ROUNDS; round++) {
		struct around a = {.batch = {0, *winner}, .n = 2};
		unsigned best = *winner;
		int rc = surround(t, &a);

		if (rc || a.n == 2)
			return rc;
		rc = sm__tuning_run(t, "refine", a.batch, a.n, reps_for(t, REFINE_BY, a.n, 3, 16));
		if (rc)
			return rc;
		for (unsigned i = 2; i < a.n; i++)
			if (sm__tuning_less(t, a.batch[i], best) && sm__tuning_fits(t, a.batch[i]))
				best = a.batch[i];
		if (best == *winner) {
			rc = leave_out(t, &a);
			if (rc < 0)
				return rc;
			best = (unsigned)rc;
		}
		if (best == *winner || t->seconds > REFINE_BY * t->s->budget_s) {
			*winner = best;
			return 0;
		}
		*winner = best;
	}
	return 0;
}

/* ---- confirmation ------------------------------------------------------------------------- */

static unsigned confirm_reps(const struct sm__tuning *t, unsigned winner)
{
	const struct sm_tune_tried *w = &t->found->tried[winner];
	unsigned wanted = CONFIRM, room = reps_for(t, 1, 2, CONFIRM, CONFIRM_MAX);
	double shift = fabs(w->median) - log1p(t->s->margin);

	if (w->n > 1 && shift > 0)
		wanted = sm_ranks_needed(sm_ranks_deviation(w->score, w->n), shift,
					 SM_VERDICT_CONFIDENCE, 0.9, true);
	return wanted < CONFIRM ? CONFIRM : wanted < room ? wanted : room;
}

static int confirm(struct sm__tuning *t, unsigned winner)
{
	unsigned batch[2] = {0, winner};
	struct sm_tune_found *f = t->found;
	const struct sm_verdict_options o = {.margin = t->s->margin, .target = 2 * t->s->margin};
	double each;
	int rc;

	t->keep = true;
	rc = sm__tuning_run(t, "confirm", batch, 2, confirm_reps(t, winner));
	if (rc == 0)
		rc = sm_verdict_table(&f->total, 1, &o, &each);
	if (rc == 0)
		rc = sm_verdict_table(f->works, f->nworks, &o, &each);
	if (rc)
		return rc;
	f->confirmed_any = true;
	f->winner = winner;
	f->recommended = f->total.verdict == SM_VERDICT_BETTER && !f->fails &&
			 !(t->s->max_memory > 0 && !(f->memory <= t->s->max_memory));
	return 0;
}

/* ---- the two methods ---------------------------------------------------------------------- */

unsigned sm_tune_grid(const struct sm_tune_dial *dials, unsigned n)
{
	unsigned points = 1;

	for (unsigned d = 0; d < n && points <= SM_TUNE_GRID; d++)
		points *= dials[d].levels;
	return points <= SM_TUNE_GRID ? points : SM_TUNE_GRID + 1;
}

static int by_halving(struct sm__tuning *t, unsigned *winner)
{
	unsigned liked[LIKED], points[1u << LIKED], n = 0;
	int rc = screen(t), count = 0;

	if (rc == 0)
		n = liked_levels(t, liked);
	if (rc || n == 0)
		return rc;
	count = combine(t, liked, n, points);
	if (count < 0)
		return count;
	sort_points(t, points, (unsigned)count);
	rc = halve(t, points, field_size(t, (unsigned)count));
	*winner = points[0];
	return rc ? rc : refine(t, winner);
}

static int by_grid(struct sm__tuning *t, unsigned *winner)
{
	unsigned grid = sm_tune_grid(t->s->dials, t->s->ndials), n = 0, *all;
	int rc = 0;

	if (grid > SM_TUNE_GRID)
		return -E2BIG;
	all = calloc(grid, sizeof(*all));
	if (all == NULL)
		return -ENOMEM;
	for (unsigned i = 0; i < grid && rc == 0; i++) {
		struct sm_tune_point p = {{0}};
		unsigned rest = i, known = t->found->ntried;
		int at;

		for (unsigned d = 0; d < t->s->ndials; d++) {
			p.level[d] = (unsigned char)(rest % t->s->dials[d].levels);
			rest /= t->s->dials[d].levels;
		}
		at = sm__tuning_point(t, &p);
		if (at < 0)
			rc = at;
		else if (i == 0 || (unsigned)at >= known) /* not one that differs in nothing */
			all[n++] = (unsigned)at;
	}
	if (rc == 0)
		rc = sm__tuning_run(t, "grid", all, n, reps_for(t, HALVE_BY, n, 2, 50));
	for (unsigned i = 1; i < n && rc == 0; i++)
		if (sm__tuning_less(t, all[i], *winner) && sm__tuning_fits(t, all[i]))
			*winner = all[i];
	free(all);
	return rc;
}

static int by_name(struct sm__tuning *t, unsigned *winner)
{
	const struct sm_tune_point p = {{1}};
	int at = sm__tuning_point(t, &p);

	*winner = at > 0 ? (unsigned)at : 0;
	return at < 0 ? at : 0;
}

/* Combinations for which the field had no room were never run: they are no result. */
static void forget_untried(struct sm_tune_found *f, unsigned *winner)
{
	unsigned n = 0;

	for (unsigned i = 0; i < f->ntried; i++) {
		const struct sm_tune_tried *x = &f->tried[i];

		if (i != 0 && i != *winner && x->n + x->failed + x->excused == 0) {
			free(x->score);
			continue;
		}
		if (i == *winner)
			*winner = n;
		f->tried[n++] = *x;
	}
	f->ntried = n;
}

int sm_tune_search(const struct sm_tune_search *s, struct sm_tune_found *out)
{
	static int (*const methods[])(struct sm__tuning *,
				      unsigned *) = {[SM_TUNE_HALVING] = by_halving,
						     [SM_TUNE_EXHAUSTIVE] = by_grid,
						     [SM_TUNE_CHECK] = by_name};
	const struct sm_tune_point zero = {{0}};
	struct sm__tuning t = {.s = s, .found = out};
	unsigned winner = 0;
	int rc;

	*out = (struct sm_tune_found){.memory = NAN};
	rc = sm__tuning_point(&t, &zero);
	if (rc == 0)
		rc = pilot(&t);
	if (rc == 0)
		rc = methods[s->method](&t, &winner);
	if (rc == 0 && winner != 0 && (out->tried[winner].median < 0 || s->method == SM_TUNE_CHECK))
		rc = confirm(&t, winner);
	forget_untried(out, &out->winner);
	free(t.expected);
	free(t.last);
	free(t.error);
	return rc;
}
