/*
 * tuning.h: what spanmark tune found, for people and programs: tuning_text.c prints it,
 * tuning_json.c makes the document that the store and the report have, tuning_ini.c writes
 * spanmark.ini.
 */
#ifndef SM_HARNESS_TUNING_H
#define SM_HARNESS_TUNING_H

#include <stdio.h>

#include "harness/tune/counterfactual.h"
#include "harness/tune/knobs.h"
#include "harness/tune/objective.h"
#include "harness/tune/trials.h"

struct cJSON;

struct sm_tuning {
	const struct sm_space *space;
	const struct sm_objective *objective;
	const struct sm_trials *trials;
	const struct sm_tune_search *search;
	const struct sm_tune_found *found;
	const struct sm_counterfactual *counterfactual;
	const char *backend;
	const struct sm_strings *weights; /* as typed */
	const char *environment;	  /* of the last run: the machine */
};

/* Recommended; the default is as good; nothing can be said. */
enum sm_advice { SM_ADVICE_TAKE, SM_ADVICE_DEFAULT, SM_ADVICE_UNCLEAR };
/* What to do, and one line that says why. */
enum sm_advice sm_tuning_advice(const struct sm_tuning *t, char *why, size_t len);

void sm_tuning_table(const struct sm_tuning *t, FILE *out);
struct cJSON *sm_tuning_json(const struct sm_tuning *t);
/* Returns nothing: whether it came to the disk is the caller's to see. */
void sm_tuning_ini(const struct sm_tuning *t, FILE *out);

/* The same file, for --check. Members are malloc'ed. */
struct sm_tuning_file {
	char *backend, *objective;
	char *identity; /* of the machine; NULL: it does not say */
	char *variant;	/* its settings, as a --variant */
	unsigned nsettings;
	struct sm_strings options; /* of spanmark run: what was measured */
	struct sm_strings weights; /* as typed */
	double max_memory, margin; /* 0: none, the usual one */
};
/* 0, -EINVAL and one line in err, -ENOMEM. Free in every case. */
int sm_tuning_file_read(const char *path, struct sm_tuning_file *out, char *err, size_t errlen);
void sm_tuning_file_free(struct sm_tuning_file *f);

/* The screening of one knob at one level, and its scores; NULL: it was not tried alone. */
const struct sm_tune_tried *sm_tuning_alone(const struct sm_tuning *t, unsigned knob,
					    unsigned level);
/* The median ratio, and an interval of it where there are enough scores. */
struct sm_ratio {
	double median, low, high;
	bool has_interval;
	unsigned n;
};
struct sm_ratio sm_tuning_ratio(const struct sm_tune_tried *x);
/* No other tried point is at least as good in both. */
bool sm_tuning_on_front(const struct sm_tuning *t, unsigned point);

#endif
