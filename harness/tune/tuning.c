/* tuning.c: what the numbers of a tuning say. See tuning.h. */
#include "harness/tune/tuning.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "harness/judge/statistics.h"

enum sm_advice sm_tuning_advice(const struct sm_tuning *t, char *why, size_t len)
{
	const struct sm_tune_found *f = t->found;
	double percent = t->search->margin * 100;

	if (!f->confirmed_any) {
		snprintf(why, len, "nothing that was tried looked better than the default");
		return SM_ADVICE_DEFAULT;
	}
	if (f->fails) {
		snprintf(why, len, "what looked best fails more often than the default");
		return SM_ADVICE_DEFAULT;
	}
	if (f->recommended) {
		snprintf(why, len, "better than the default, on samples that the search never saw");
		return SM_ADVICE_TAKE;
	}
	if (f->total.verdict == SM_VERDICT_BETTER) {
		snprintf(why, len, "better, but at %.3g of the default's memory: more than allowed",
			 f->memory);
		return SM_ADVICE_DEFAULT;
	}
	if (f->total.verdict == SM_VERDICT_SAME) {
		snprintf(why, len, "the default is as good, within %g %%", percent);
		return SM_ADVICE_DEFAULT;
	}
	if (f->total.verdict == SM_VERDICT_WORSE || (f->total.has_interval && f->total.low > 1)) {
		snprintf(why, len, "what looked best is no better on fresh samples");
		return SM_ADVICE_DEFAULT;
	}
	snprintf(why, len, "not confirmed: %s; a larger --budget may tell", f->total.reason);
	return SM_ADVICE_UNCLEAR;
}

const struct sm_tune_tried *sm_tuning_alone(const struct sm_tuning *t, unsigned knob,
					    unsigned level)
{
	for (unsigned i = 0; i < t->found->ntried; i++) {
		const struct sm_tune_tried *x = &t->found->tried[i];

		if (x->screened == knob + 1 && x->point.level[knob] == level)
			return x;
	}
	return NULL;
}

struct sm_ratio sm_tuning_ratio(const struct sm_tune_tried *x)
{
	struct sm_ratio r = {.median = NAN, .low = NAN, .high = NAN, .n = x->n};
	double *copy = malloc((x->n + 1) * sizeof(*copy));
	struct sm_stats s;

	if (copy == NULL || x->n == 0) {
		free(copy);
		return r;
	}
	memcpy(copy, x->score, x->n * sizeof(*copy));
	sm_stats_compute(copy, x->n, SM_STATS_CONFIDENCE, &s);
	free(copy);
	r.median = exp(s.median);
	r.has_interval = s.has_interval;
	if (s.has_interval) {
		r.low = exp(s.low);
		r.high = exp(s.high);
	}
	return r;
}

bool sm_tuning_on_front(const struct sm_tuning *t, unsigned point)
{
	const struct sm_tune_tried *a = &t->found->tried[point];

	if (isnan(a->median) || isnan(a->memory))
		return false;
	for (unsigned i = 0; i < t->found->ntried; i++) {
		const struct sm_tune_tried *b = &t->found->tried[i];

		if (i != point && b->median <= a->median && b->memory <= a->memory &&
		    (b->median < a->median || b->memory < a->memory))
			return false;
	}
	return true;
}
