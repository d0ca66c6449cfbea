/*
 * repeat.h: the loop of --until: after the repetitions of a plan it looks (until.h), and either
 * ends the run or lets the plan grow to the next look.
 *
 *     plan: 10 repetitions --> measured --> look --> narrow: done
 *             ^                   |           |
 *             +---- grows --------|-----------+ wide
 *                                 +--> time is up: the plan is cut to what was measured, and done
 */
#ifndef SM_HARNESS_REPEAT_H
#define SM_HARNESS_REPEAT_H

#include "harness/run/progress.h"
#include "harness/store/store.h"

struct sm_repeat {
	struct sm_store *store;
	int64_t run;
	unsigned cases;		     /* 0: the run is without --until */
	unsigned round, first_round; /* jobs of a repetition, of the first one */
	double max_time_s;	     /* from now on, a resumed run's too */
	double began_s;
	unsigned repetitions; /* begun since then */
	bool time_is_up;
};

/* 0 or -errno; what went wrong is the store's error. */
int sm_repeat_begin(struct sm_repeat *x, struct sm_store *store, int64_t run, double max_time_s);

/* May job `ordinal` begin? No repetition is begun that would end too late, but the first. */
bool sm_repeat_goes_on(struct sm_repeat *x, unsigned ordinal);

/*
 * Looks at what was measured, [0, done) of the plan, and says it. 1: the plan has grown to *total
 * jobs. 0: the run is done; or -errno.
 */
int sm_repeat_look(struct sm_repeat *x, unsigned done, unsigned *total, struct sm_progress *p);

#endif
