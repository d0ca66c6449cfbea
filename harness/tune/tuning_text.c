/* tuning_text.c: what was found, on a screen. See tuning.h. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "harness/base/text.h"
#include "harness/tune/tuning.h"

#define NAME_WIDTH 34

static void print_ratio(FILE *out, double ratio, const struct sm_difference *d)
{
	if (isnan(ratio))
		fputs("     n/a", out);
	else
		fprintf(out, "  %6.4f", ratio);
	if (d == NULL)
		return;
	if (d->has_interval)
		fprintf(out, "  %6.4f..%6.4f", d->low, d->high);
	fprintf(out, "  %zu pairs", d->nbase);
}

/* Each setting that was chosen, and what it did alone. */
static void print_settings(const struct sm_tuning *t, FILE *out)
{
	const struct sm_tune_point *p = &t->found->tried[t->found->winner].point;

	fprintf(out, "\n%-*s  %-12s %10s   %s\n", NAME_WIDTH, "setting", "value", "alone", "why");
	for (unsigned i = 0; i < t->space->n; i++) {
		const struct sm_tune_tried *alone = sm_tuning_alone(t, i, p->level[i]);

		if (p->level[i] == 0)
			continue;
		sm_text_name(out, t->space->knobs[i].key, NAME_WIDTH);
		fprintf(out, "  %-12s", sm_space_value(t->space, i, p->level[i]));
		if (alone != NULL)
			fprintf(out, " %10.4f", sm_tuning_ratio(alone).median);
		else
			fprintf(out, " %10s", "-");
		fprintf(out, "   %s\n", t->space->knobs[i].why);
	}
}

static void print_confirmation(const struct sm_tuning *t, FILE *out)
{
	const struct sm_tune_found *f = t->found;

	fprintf(out, "\n%-*s  %6s  %14s\n", NAME_WIDTH, "confirmed, over the default", "ratio",
		"95 %");
	for (unsigned w = 0; w < f->nworks; w++) {
		fputs("  ", out);
		sm_text_name(out, w < t->trials->works.n ? t->trials->works.v[w] : "?",
			     NAME_WIDTH - 2);
		print_ratio(out, f->works[w].ratio, &f->works[w]);
		fputc('\n', out);
	}
	sm_text_name(out, "all", NAME_WIDTH);
	print_ratio(out, f->total.ratio, &f->total);
	fputc('\n', out);
	if (!isnan(f->memory))
		fprintf(out, "%-*s  %6.4f\n", NAME_WIDTH, "peak RSS, the largest", f->memory);
	else
		fprintf(out, "%-*s     n/a\n", NAME_WIDTH, "peak RSS, the largest");
}

/* What every value did alone: how flat it is, and where it ends. */
static void print_screening(const struct sm_tuning *t, FILE *out)
{
	fprintf(out, "\n%-*s  ratio of each value alone\n", NAME_WIDTH, "knob");
	for (unsigned i = 0; i < t->space->n; i++) {
		bool any = false;

		for (unsigned level = 1; level < t->space->dials[i].levels; level++) {
			const struct sm_tune_tried *x = sm_tuning_alone(t, i, level);

			if (x == NULL)
				continue;
			if (!any)
				sm_text_name(out, t->space->knobs[i].key, NAME_WIDTH);
			any = true;
			if (isnan(x->median))
				fprintf(out, "  %s fails", sm_space_value(t->space, i, level));
			else
				fprintf(out, "  %s %.3f", sm_space_value(t->space, i, level),
					exp(x->median));
		}
		if (any)
			fputc('\n', out);
	}
}

/* The point that is the winner but for one dial; NULL: it was not tried. */
static const struct sm_tune_tried *beside(const struct sm_tuning *t, unsigned dial, unsigned level)
{
	struct sm_tune_point p = t->found->tried[t->found->winner].point;

	p.level[dial] = (unsigned char)level;
	sm_tune_settle(t->space->dials, t->space->n, &p);
	for (unsigned i = 0; i < t->found->ntried; i++)
		if (memcmp(&t->found->tried[i].point, &p, sizeof(p)) == 0)
			return &t->found->tried[i];
	return NULL;
}

/* How flat it is around what was found: each setting a step less, as it is, a step more. */
static void print_around(const struct sm_tuning *t, FILE *out)
{
	const struct sm_tune_point *p = &t->found->tried[t->found->winner].point;

	fprintf(out, "\n%-*s  ratio of its neighbours, the rest as found\n", NAME_WIDTH,
		"around it");
	for (unsigned i = 0; i < t->space->n; i++) {
		if (p->level[i] == 0)
			continue;
		sm_text_name(out, t->space->knobs[i].key, NAME_WIDTH);
		for (unsigned level = 0; level < t->space->dials[i].levels; level++) {
			const struct sm_tune_tried *x = beside(t, i, level);

			if (x != NULL && !isnan(x->median))
				fprintf(out, "  %s%s %.3f", level == p->level[i] ? "*" : "",
					sm_space_value(t->space, i, level), exp(x->median));
		}
		fputc('\n', out);
	}
}

static void print_front(const struct sm_tuning *t, FILE *out)
{
	bool any = false;

	fprintf(out, "\nobjective against memory: what nothing beats in both\n");
	for (unsigned i = 0; i < t->found->ntried; i++) {
		const struct sm_tune_tried *x = &t->found->tried[i];
		char *variant;

		if (!sm_tuning_on_front(t, i))
			continue;
		any = true;
		variant = sm_space_variant(t->space, &x->point);
		fprintf(out, "  %6.4f  RSS %6.4f  %s\n", exp(x->median), x->memory,
			variant != NULL ? variant : "?");
		free(variant);
	}
	if (!any)
		fprintf(out, "  n/a: the peak RSS of these samples is not known\n");
}

/* Do the counts of the objective come from a simulation? */
static bool is_simulated(const struct sm_tuning *t)
{
	const struct sm_strings *args = t->trials->args;
	bool simulated = false;

	for (size_t i = 0; i + 1 < args->n; i++)
		if (strcmp(args->v[i], "--counters") == 0)
			simulated = strcmp(args->v[i + 1], "sim") == 0;
	return simulated && sm_objective_sets(t->objective) != NULL;
}

void sm_tuning_table(const struct sm_tuning *t, FILE *out)
{
	char objective[80], why[200];
	enum sm_advice advice = sm_tuning_advice(t, why, sizeof(why));

	sm_objective_print(t->objective, objective, sizeof(objective));
	fprintf(out, "%s, %s%s: %u configuration%s of %u knob%s\n", t->backend, objective,
		is_simulated(t) ? " (simulated)" : "", t->found->ntried,
		t->found->ntried == 1 ? "" : "s", t->space->n, t->space->n == 1 ? "" : "s");
	if (advice == SM_ADVICE_TAKE) {
		print_settings(t, out);
	} else if (t->found->confirmed_any) {
		char *variant =
			sm_space_variant(t->space, &t->found->tried[t->found->winner].point);

		fprintf(out, "\nlooked best: %s\n", variant != NULL ? variant : "?");
		free(variant);
	}
	if (t->found->confirmed_any)
		print_confirmation(t, out);
	if (t->found->winner != 0 && t->search->method != SM_TUNE_CHECK)
		print_around(t, out);
	if (t->search->method != SM_TUNE_CHECK)
		print_screening(t, out);
	print_front(t, out);
	if (t->counterfactual->n > 0) {
		fputc('\n', out);
		sm_counterfactual_print(t->counterfactual, out);
	}
	fprintf(out, "\n%s: %s\n",
		advice == SM_ADVICE_TAKE      ? "recommended"
		: advice == SM_ADVICE_DEFAULT ? "keep the default"
					      : "no recommendation",
		why);
}
