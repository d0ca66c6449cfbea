/*
 * A run that was never measured, for tests of the store and the writers: known numbers in, known
 * text out.
 */
#ifndef SM_TESTS_FAKE_RUN_H
#define SM_TESTS_FAKE_RUN_H

#include "harness/store/store.h"

/* One sample; NULL members get a default. wire: the worker's JSON, see harness/plan/record.c. */
struct fake_sample {
	unsigned ordinal, group, pass, rep;
	const char *workload, *backend, *params, *config, *placement;
	enum sm_outcome status; /* not OK: no wire */
	const char *message;
	const char *wire;
};

/* Begins a run of n planned samples in the store and adds them. Aborts the test on failure. */
int64_t fake_run(struct sm_store *s, const char *environment, const struct fake_sample *samples,
		 unsigned n, unsigned planned);

/* One more sample of the run. */
void fake_run_add(struct sm_store *s, int64_t run, const struct fake_sample *f);

/* A small environment with counters "cycles", "instructions", "ipc" and the faults, as the planner
 * writes it. */
extern const char fake_environment[];

#endif
