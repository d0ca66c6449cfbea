/*
 * objective.h: what spanmark tune makes smaller.
 *
 *     time          for an operation, else the whole
 *     p999          of requests, else of steps, else of waits: whichever the workload reports
 *     memory        peak RSS
 *     misses        of the last level of cache, for an operation (counters)
 *     instructions  for an operation (counters)
 *
 * Several with weights, "time:0.7,memory:0.3", are one: ratios to these powers, multiplied.
 */
#ifndef SM_HARNESS_OBJECTIVE_H
#define SM_HARNESS_OBJECTIVE_H

#include "harness/plan/record.h"

enum sm_goal {
	SM_GOAL_TIME,
	SM_GOAL_P999,
	SM_GOAL_MEMORY,
	SM_GOAL_MISSES,
	SM_GOAL_INSTRUCTIONS,
	SM_GOALS
};

struct sm_objective {
	double weight[SM_GOALS]; /* their sum is 1 */
};

/* 0, or -EINVAL and one line in err. */
int sm_objective_parse(struct sm_objective *o, const char *text, char *err, size_t errlen);
/* Does it need counters? The sets that have them, for -C; NULL: none. */
const char *sm_objective_sets(const struct sm_objective *o);
/* "time", or "time:0.7,memory:0.3". */
void sm_objective_print(const struct sm_objective *o, char *buf, size_t len);

/* A goal of a sample; NAN: it has none. *what: the figure it was read from. */
double sm_goal_value(const struct sm_record *r, enum sm_goal goal, const char **what);

#endif
