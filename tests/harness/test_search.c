/* harness/search/search.c and tried.c over surfaces that are made up: it finds the optimum that was
 * planted, under noise; it finds what the whole grid finds; and where nothing differs it recommends
 * nothing more often than it says. Seeds are fixed: every run counts the same. */
#include "harness/search/search.h"

#include <check.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/run.h"

#define RUNS 200

/* ---- a surface, and its meter ------------------------------------------------------------- */

static const struct sm_tune_dial dials[] = {
	{"window", 5, 0, 0},  {"spans", 4, 0, 0}, {"mode", 3, 0, 0},
	{"percent", 4, 0, 0}, {"place", 2, 0, 0},
};
#define NDIALS 5

struct surface {
	double (*value)(const struct sm_tune_point *p); /* logarithm of the ratio to the default */
	double (*memory)(const struct sm_tune_point *p);
	double noise;  /* standard deviation of a sample's logarithm */
	bool heavy;    /* one in ten is three times as far out */
	unsigned dead; /* percent of the samples that fail */
	bool unsafe;   /* that is so of what has mode 2 only, which is much faster */
	uint64_t state;
	unsigned batches, samples;
	unsigned fail_at; /* the batch that is interrupted, from 1 */
	char stages[400];
};

static double uniform(uint64_t *s)
{
	*s ^= *s << 13;
	*s ^= *s >> 7;
	*s ^= *s << 17;
	return (double)(*s >> 11) / (double)(1ull << 53);
}

static double normal(uint64_t *s)
{
	double u = uniform(s), v = uniform(s);

	return sqrt(-2 * log(u + 1e-300)) * cos(2 * M_PI * v);
}

static double noise(struct surface *s)
{
	double x = s->noise * normal(&s->state);

	return s->heavy && uniform(&s->state) < 0.1 ? 3 * x : x;
}

/* Two works: the second gains half as much. */
static int measure(void *ctx, const char *stage, const struct sm_tune_point *points, unsigned n,
		   unsigned reps, struct sm_tune_batch *out)
{
	struct surface *s = ctx;

	s->batches++;
	s->samples += n * reps;
	snprintf(s->stages + strlen(s->stages), sizeof(s->stages) - strlen(s->stages), "%s:%u*%u ",
		 stage, n, reps);
	if (s->batches == s->fail_at)
		return -ECANCELED;
	*out = (struct sm_tune_batch){n,
				      reps,
				      2,
				      calloc(2ul * n * reps, sizeof(double)),
				      calloc(2ul * n, sizeof(double)),
				      2.0 * n * reps};
	for (unsigned w = 0; w < 2; w++)
		for (unsigned r = 0; r < reps; r++) {
			double the_default = noise(s);

			for (unsigned i = 0; i < n; i++) {
				double v = s->value(&points[i]) / (w + 1);

				v += i == 0 ? 0 : noise(s) - the_default;
				if (s->unsafe && points[i].level[2] == 2)
					v -= 1;
				if ((!s->unsafe || points[i].level[2] == 2) &&
				    uniform(&s->state) * 100 < s->dead)
					v = NAN;
				out->score[(w * n + i) * reps + r] = v;
				out->memory[w * n + i] =
					s->memory != NULL ? s->memory(&points[i]) : 1;
			}
		}
	return 0;
}

static struct sm_tune_search search(struct surface *s, enum sm_tune_method method)
{
	return (struct sm_tune_search){.dials = dials,
				       .ndials = NDIALS,
				       .method = method,
				       .budget_s = 4000,
				       .margin = SM_VERDICT_MARGIN,
				       .measure = measure,
				       .ctx = s};
}

static double flat(const struct sm_tune_point *p)
{
	(void)p;
	return 0;
}

/* All but the default are better by exactly what is no difference. */
static double at_the_margin(const struct sm_tune_point *p)
{
	static const struct sm_tune_point zero;

	return memcmp(p, &zero, sizeof(zero)) == 0 ? 0 : -log1p(SM_VERDICT_MARGIN) * 4 / 3;
}

/* A bowl around window 3, spans 2, whose parts help each other; mode 1 is bad, the rest no matter.
 */
static double bowl(const struct sm_tune_point *p)
{
	double window = p->level[0] - 3.0, spans = p->level[1] - 2.0;

	return 0.02 * (window * window - 9) + 0.015 * (spans * spans - 4) -
	       (p->level[0] == 3 && p->level[1] == 2 ? 0.03 : 0) + (p->level[2] == 1 ? 0.3 : 0);
}
#define BOWL_BEST (-0.18 - 0.06 - 0.03)

static double memory_of_windows(const struct sm_tune_point *p)
{
	return 1 + 0.1 * p->level[0];
}

static double value_of(const struct surface *s, const struct sm_tune_found *f)
{
	return s->value(&f->tried[f->winner].point);
}

/* ---- what is recommended ------------------------------------------------------------------ */

static unsigned recommended(double (*value)(const struct sm_tune_point *), bool heavy,
			    enum sm_tune_method method)
{
	unsigned n = 0;

	for (unsigned i = 0; i < RUNS; i++) {
		struct surface s = {
			.value = value, .noise = 0.04, .heavy = heavy, .state = 7919 * i + 1};
		struct sm_tune_search what = search(&s, method);
		struct sm_tune_found f;

		ck_assert_int_eq(sm_tune_search(&what, &f), 0);
		n += f.recommended;
		sm_tune_found_free(&f);
	}
	return n;
}

START_TEST(nothing_is_recommended_where_nothing_differs)
{
	/* 5 of 100, and what chance adds to 200 of them in one of a thousand. */
	ck_assert_uint_le(recommended(flat, false, SM_TUNE_HALVING), 20);
	ck_assert_uint_le(recommended(flat, true, SM_TUNE_HALVING), 20);
	ck_assert_uint_le(recommended(at_the_margin, false, SM_TUNE_HALVING), 20);
	ck_assert_uint_le(recommended(at_the_margin, true, SM_TUNE_HALVING), 20);
}
END_TEST

START_TEST(the_planted_optimum_is_found)
{
	unsigned near = 0, sure = 0;

	for (unsigned i = 0; i < RUNS; i++) {
		struct surface s = {
			.value = bowl, .noise = 0.04, .heavy = i & 1, .state = 104729 * i + 1};
		struct sm_tune_search what = search(&s, SM_TUNE_HALVING);
		struct sm_tune_found f;

		ck_assert_int_eq(sm_tune_search(&what, &f), 0);
		near += value_of(&s, &f) < BOWL_BEST + 0.03;
		sure += f.recommended;
		if (f.recommended) {
			ck_assert_double_lt(f.total.high, 1);
			ck_assert_uint_eq(f.nworks, 2);
		}
		sm_tune_found_free(&f);
	}
	ck_assert_msg(near >= RUNS * 9 / 10, "near the optimum in %u of %d", near, RUNS);
	ck_assert_msg(sure >= RUNS * 95 / 100, "recommended in %u of %d", sure, RUNS);
}
END_TEST

/* What the search finds is as good as what the whole grid finds. */
START_TEST(it_finds_what_the_grid_finds)
{
	double halving = 0, grid = 0;

	ck_assert_uint_eq(sm_tune_grid(dials, NDIALS), 480);
	for (unsigned i = 0; i < 40; i++) {
		struct surface s = {.value = bowl, .noise = 0.02, .state = 15485863 * i + 1};
		struct surface g = s;
		struct sm_tune_search what = search(&s, SM_TUNE_HALVING),
				      all = search(&g, SM_TUNE_EXHAUSTIVE);
		struct sm_tune_found f;

		ck_assert_int_eq(sm_tune_search(&what, &f), 0);
		halving += value_of(&s, &f) / 40;
		sm_tune_found_free(&f);
		all.budget_s = 20000;
		ck_assert_int_eq(sm_tune_search(&all, &f), 0);
		ck_assert_uint_eq(f.ntried, 480);
		grid += value_of(&g, &f) / 40;
		sm_tune_found_free(&f);
		ck_assert_uint_lt(s.samples, g.samples);
	}
	ck_assert_msg(halving < grid + 0.01, "%g by halving, %g by the grid", halving, grid);
}
END_TEST

START_TEST(memory_is_kept_within_bounds)
{
	struct surface s = {.value = bowl, .memory = memory_of_windows, .noise = 0.01, .state = 3};
	struct sm_tune_search what = search(&s, SM_TUNE_HALVING);
	struct sm_tune_found f;

	what.max_memory = 1.25; /* windows up to 2 */
	ck_assert_int_eq(sm_tune_search(&what, &f), 0);
	ck_assert(f.recommended);
	ck_assert_uint_eq(f.tried[f.winner].point.level[0], 2);
	ck_assert_uint_eq(f.tried[f.winner].point.level[1], 2);
	ck_assert_double_eq_tol(f.memory, 1.2, 1e-9);
	sm_tune_found_free(&f);
}
END_TEST

static double two_gains(const struct sm_tune_point *p)
{
	return (p->level[0] == 1 ? -0.1 : 0) + (p->level[1] == 1 ? -0.08 : 0);
}

static double memory_of_both(const struct sm_tune_point *p)
{
	return 1 + (p->level[0] == 1 ? 0.06 : 0) + (p->level[1] == 1 ? 0.06 : 0);
}

/* Each of two settings keeps within the bound, and both of them do not: one of them it is, not the
 * faster two that nobody may have. */
START_TEST(what_exceeds_the_memory_hides_nothing)
{
	static const enum sm_tune_method methods[] = {SM_TUNE_HALVING, SM_TUNE_EXHAUSTIVE};

	for (unsigned i = 0; i < 2; i++) {
		struct surface s = {
			.value = two_gains, .memory = memory_of_both, .noise = 0.01, .state = 17};
		struct sm_tune_search what = search(&s, methods[i]);
		struct sm_tune_found f;

		what.max_memory = 1.1;
		what.ndials = 2;
		ck_assert_int_eq(sm_tune_search(&what, &f), 0);
		ck_assert_msg(f.recommended, "method %u", i);
		ck_assert_uint_eq(f.tried[f.winner].point.level[0], 1);
		ck_assert_uint_ne(f.tried[f.winner].point.level[1], 1);
		sm_tune_found_free(&f);
	}
}
END_TEST

/* Settings that bring nothing are not in what is recommended. */
START_TEST(what_does_not_pay_is_left_out)
{
	struct surface s = {.value = bowl, .noise = 0.01, .state = 11};
	struct sm_tune_search what = search(&s, SM_TUNE_HALVING);
	struct sm_tune_found f;

	ck_assert_int_eq(sm_tune_search(&what, &f), 0);
	ck_assert(f.recommended);
	for (unsigned d = 2; d < NDIALS; d++)
		ck_assert_uint_eq(f.tried[f.winner].point.level[d], 0);
	sm_tune_found_free(&f);
}
END_TEST

/* Weights decide which work counts. */
START_TEST(weights_decide_whose_time_counts)
{
	struct surface s = {.value = bowl, .noise = 0.001, .state = 5};
	struct sm_tune_search what = search(&s, SM_TUNE_HALVING);
	struct sm_tune_found f;
	double first;

	what.weights[0] = 1;
	ck_assert_int_eq(sm_tune_search(&what, &f), 0);
	first = f.total.ratio;
	sm_tune_found_free(&f);
	s = (struct surface){.value = bowl, .noise = 0.001, .state = 5};
	what.weights[0] = 0;
	what.weights[1] = 1;
	ck_assert_int_eq(sm_tune_search(&what, &f), 0);
	ck_assert_double_eq_tol(first, exp(BOWL_BEST), 0.01);
	ck_assert_double_eq_tol(f.total.ratio, exp(BOWL_BEST / 2), 0.01);
	sm_tune_found_free(&f);
}
END_TEST

/* ---- knobs that need another's value -------------------------------------------------------- */

static const struct sm_tune_dial needy[] = {
	{"mark", 3, 0, 0}, {"dense", 4, 1, 1}, {"place", 2, 0, 0}};

static bool is_settled(const struct sm_tune_point *p)
{
	return p->level[1] == 0 || p->level[0] == 1;
}

/* mark 1 is worse by itself, and best with dense 2; mark 2 is a little better. */
static double needing(const struct sm_tune_point *p)
{
	ck_assert_msg(is_settled(p), "a point is measured in which a level does nothing");
	return p->level[0] == 2 ? -0.03 : p->level[0] != 1 ? 0 : p->level[1] == 2 ? -0.2 : 0.05;
}

/* No point twice in a batch: they would be one variant given twice. */
static int measure_once(void *ctx, const char *stage, const struct sm_tune_point *points,
			unsigned n, unsigned reps, struct sm_tune_batch *out)
{
	for (unsigned i = 0; i < n; i++)
		for (unsigned k = 0; k < i; k++)
			ck_assert(memcmp(&points[i], &points[k], sizeof(*points)) != 0);
	return measure(ctx, stage, points, n, reps, out);
}

START_TEST(a_level_that_needs_another_is_tried_with_it)
{
	for (int m = SM_TUNE_HALVING; m <= SM_TUNE_EXHAUSTIVE; m++)
		for (unsigned i = 0; i < 20; i++) {
			struct surface s = {.value = needing, .noise = 0.01, .state = 77 + i};
			struct sm_tune_search what = search(&s, (enum sm_tune_method)m);
			const struct sm_tune_tried *w;
			struct sm_tune_found f;

			what.dials = needy;
			what.ndials = 3;
			what.measure = measure_once;
			ck_assert_int_eq(sm_tune_search(&what, &f), 0);
			w = &f.tried[f.winner];
			ck_assert(f.recommended);
			ck_assert_uint_eq(w->point.level[0], 1);
			ck_assert_uint_eq(w->point.level[1], 2);
			if (m == SM_TUNE_EXHAUSTIVE) /* of 24, those that differ in something */
				ck_assert_uint_eq(f.ntried, 12);
			sm_tune_found_free(&f);
		}
}
END_TEST

/* ---- what goes wrong ---------------------------------------------------------------------- */

START_TEST(failed_samples_are_no_merit)
{
	struct surface s = {.value = bowl, .noise = 0.02, .dead = 20, .state = 9};
	struct sm_tune_search what = search(&s, SM_TUNE_HALVING);
	struct sm_tune_found f;

	ck_assert_int_eq(sm_tune_search(&what, &f), 0);
	ck_assert(f.confirmed_any);
	ck_assert_uint_eq(f.total.nbase, f.total.nother);
	for (unsigned i = 0; i < f.ntried; i++)
		for (unsigned k = 0; k < f.tried[i].n; k++)
			ck_assert(isfinite(f.tried[i].score[k]));
	sm_tune_found_free(&f);
	s = (struct surface){.value = bowl, .noise = 0.02, .dead = 101, .state = 9};
	ck_assert_int_eq(sm_tune_search(&what, &f), 0);
	ck_assert(!f.recommended && !f.confirmed_any && f.winner == 0);
	sm_tune_found_free(&f);
}
END_TEST

/* What fails where the default does not is never chosen, whatever it gains in the rest. */
START_TEST(what_fails_at_times_is_not_chosen)
{
	for (int m = 0; m < 2; m++)
		for (unsigned i = 0; i < 20; i++) {
			struct surface s = {.value = bowl,
					    .noise = 0.02,
					    .dead = 25,
					    .unsafe = true,
					    .state = 900 + i};
			struct sm_tune_search what =
				search(&s, m == 0 ? SM_TUNE_HALVING : SM_TUNE_EXHAUSTIVE);
			struct sm_tune_found f;

			ck_assert_int_eq(sm_tune_search(&what, &f), 0);
			ck_assert(!f.recommended || f.tried[f.winner].point.level[2] != 2);
			sm_tune_found_free(&f);
		}
}
END_TEST

/* The same values lead to the same steps, and an interruption ends it wherever it comes. */
START_TEST(a_search_is_repeated_by_its_values)
{
	struct surface a = {.value = bowl, .noise = 0.03, .state = 21}, b = a;
	struct sm_tune_search one = search(&a, SM_TUNE_HALVING), two = search(&b, SM_TUNE_HALVING);
	struct sm_tune_found f, g;

	ck_assert_int_eq(sm_tune_search(&one, &f), 0);
	ck_assert_int_eq(sm_tune_search(&two, &g), 0);
	ck_assert_str_eq(a.stages, b.stages);
	ck_assert_uint_eq(f.winner, g.winner);
	ck_assert_double_eq(f.total.ratio, g.total.ratio);
	sm_tune_found_free(&f);
	sm_tune_found_free(&g);
	for (unsigned at = 1; at <= a.batches; at++) {
		struct surface c = {.value = bowl, .noise = 0.03, .state = 21, .fail_at = at};
		struct sm_tune_search cut = search(&c, SM_TUNE_HALVING);

		ck_assert_int_eq(sm_tune_search(&cut, &f), -ECANCELED);
		ck_assert_uint_eq(c.batches, at);
		ck_assert(strncmp(c.stages, a.stages, strlen(c.stages)) == 0);
		sm_tune_found_free(&f);
	}
}
END_TEST

START_TEST(a_small_budget_ends_soon)
{
	struct surface s = {.value = bowl, .noise = 0.02, .state = 33};
	struct sm_tune_search what = search(&s, SM_TUNE_HALVING);
	struct sm_tune_found f;

	what.budget_s = 1; /* the least of every stage */
	ck_assert_int_eq(sm_tune_search(&what, &f), 0);
	ck_assert_uint_lt(s.samples, 150);
	/* Combinations that found no room in it are no result, and not counted. */
	for (unsigned i = 1; i < f.ntried; i++)
		ck_assert_uint_gt(f.tried[i].n + f.tried[i].failed + f.tried[i].excused, 0);
	ck_assert_uint_lt(f.winner, f.ntried);
	ck_assert_double_lt(f.tried[f.winner].median, 0);
	sm_tune_found_free(&f);
}
END_TEST

START_TEST(a_grid_too_large_is_refused)
{
	static const struct sm_tune_dial many[] = {
		{"a", 12, 0, 0}, {"b", 12, 0, 0}, {"c", 12, 0, 0}, {"d", 12, 0, 0}};
	struct surface s = {.value = flat, .state = 1};
	struct sm_tune_search what = search(&s, SM_TUNE_EXHAUSTIVE);
	struct sm_tune_found f;

	what.dials = many;
	what.ndials = 4;
	ck_assert_uint_eq(sm_tune_grid(many, 4), SM_TUNE_GRID + 1);
	ck_assert_int_eq(sm_tune_search(&what, &f), -E2BIG);
	sm_tune_found_free(&f);
}
END_TEST

int main(void)
{
	return SM_SUITE("search", 120, SM_T(nothing_is_recommended_where_nothing_differs),
			SM_T(the_planted_optimum_is_found), SM_T(it_finds_what_the_grid_finds),
			SM_T(memory_is_kept_within_bounds),
			SM_T(what_exceeds_the_memory_hides_nothing),
			SM_T(what_does_not_pay_is_left_out), SM_T(weights_decide_whose_time_counts),
			SM_T(a_level_that_needs_another_is_tried_with_it),
			SM_T(failed_samples_are_no_merit), SM_T(what_fails_at_times_is_not_chosen),
			SM_T(a_search_is_repeated_by_its_values), SM_T(a_small_budget_ends_soon),
			SM_T(a_grid_too_large_is_refused));
}
