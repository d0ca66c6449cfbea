/*
 * tuner.h: one tuning from its question to what came of it: the search (search/search.h) over runs
 * (trials.h), the recorded run before it (counterfactual.h), the verdict in the store, on the
 * screen and in a file (tuning.h). harness/command/cmd_tune.c asks the question.
 */
#ifndef SM_HARNESS_TUNER_H
#define SM_HARNESS_TUNER_H

#include "harness/report/writer.h"
#include "harness/tune/counterfactual.h"
#include "harness/tune/trials.h"
#include "harness/tune/tuning.h"

struct sm_tuner {
	/* as typed */
	struct sm_strings args; /* of spanmark run */
	struct sm_strings knobs, weights;
	const char *backend, *objective_text, *output, *check, *store;
	double budget_s, max_memory, margin;
	enum sm_tune_method method;
	unsigned format; /* table, json */
	uint64_t seed;
	bool seed_given, margin_given, full, resume, dry_run, said_what;
	/* made of it */
	struct sm_tuning_file file;
	struct sm_space space;
	struct sm_objective objective;
	struct sm_trials trials;
	struct sm_tune_search search;
	struct sm_tune_found found;
	struct sm_counterfactual counterfactual;
	struct sm_output ini;
	char *environment;
	double used_s;	   /* of the budget, in samples */
	double points_run; /* that these took: each configuration once */
	char err[800];
};

/* All calls: 0, or -errno and one line in err. Whether it can be measured, before anything is. */
int sm_tuner_check(struct sm_tuner *t);
/* A setting that stays, by --set, is no knob, unless the user made it one. */
void sm_tuner_keep(struct sm_tuner *t);
/* Its id: a new one, or with resume the last one's. */
int sm_tuner_identify(struct sm_tuner *t);
int sm_tuner_search(struct sm_tuner *t);
/* Keeps, prints and writes it. Exit status. */
int sm_tuner_conclude(struct sm_tuner *t);

#endif
