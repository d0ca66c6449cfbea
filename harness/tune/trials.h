/*
 * trials.h: the meter of spanmark tune: a batch of points is one run of `spanmark run`, a variant a
 * point, kept in the store like any other.
 *
 *     search --points--> trials --argv--> spanmark run (a child) --samples--> store
 *            <-scores---        <-------------------- report -------------------/
 *
 * Runs carry a note, "tune ID OPTIONS step N STAGE". A tuning that was cut off goes through its
 * steps again: what is done is read from the store, what is begun is resumed, the rest is measured.
 */
#ifndef SM_HARNESS_TRIALS_H
#define SM_HARNESS_TRIALS_H

#include "harness/options/options.h"
#include "harness/tune/knobs.h"
#include "harness/tune/objective.h"

struct sm_trials {
	/* set by the caller, whose it stays */
	const char *store;
	const struct sm_strings *args; /* options of spanmark run, as typed: what is tuned for */
	const struct sm_space *space;
	const struct sm_objective *objective;
	uint64_t seed;
	char id[17];	  /* of the tuning */
	char options[17]; /* what it was begun with, hashed */
	void (*say)(void *ctx, const char *stage, unsigned points, unsigned reps);
	void *ctx;
	/* found out */
	unsigned step; /* batches so far */
	unsigned resumed;
	int64_t last;		   /* the run of the last batch */
	int64_t screened;	   /* of the screening; 0: none */
	struct sm_strings works;   /* "churn size=64" */
	struct sm_strings figures; /* of each: what was read, "ns_per_op" */
	char err[800];
};

/*
 * What spanmark run would refuse of the options or of a value of a knob alone, before anything is
 * measured; the names of what it would run, once each, in workloads. 0, or -errno and one line in
 * err.
 */
int sm_trials_check(struct sm_trials *t, struct sm_strings *workloads);

/* A sm_tune_measure_fn over a struct sm_trials; the line for the user is in err. */
int sm_trials_measure(void *trials, const char *stage, const struct sm_tune_point *points,
		      unsigned n, unsigned reps, struct sm_tune_batch *out);
/* The note of the run that is this stage. */
#define SM_TRIALS_NOTE 128
void sm_trials_note(const struct sm_trials *t, const char *stage, char *buf, size_t len);
void sm_trials_free(struct sm_trials *t);

/* The id and options of the last tuning in the store. 0; -ENOENT: it has none. */
int sm_trials_last(const char *store, char id[17], char options[17], char *err, size_t errlen);

#endif
