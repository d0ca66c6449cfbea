/*
 * expand.h: the matrix of the options (expand.c), for each part of a plan (chosen.c).
 */
#ifndef SM_HARNESS_EXPAND_H
#define SM_HARNESS_EXPAND_H

#include "harness/plan/case.h"

/* The cases that the options span, without placement and counters. 0; -EINVAL, -ENOMEM and one line
 * in err. */
int sm__plan_expand(const struct sm_run_options *o, struct sm_plan *p, char *err, size_t errlen);

/* Those of one workload. */
int sm__plan_expand_workload(struct sm_plan *p, const struct sm_plan_part *part,
			     const struct sm_workload *w, char *err, size_t errlen);
void sm__plan_part_free(struct sm_plan_part *part);

#endif
