/*
 * expand.h: the matrix of the options.
 */
#ifndef SM_HARNESS_EXPAND_H
#define SM_HARNESS_EXPAND_H

#include "harness/plan/case.h"

/* The cases that the options span, without placement and counters. 0; -EINVAL, -ENOMEM and one line
 * in err. */
int sm__plan_expand(const struct sm_run_options *o, struct sm_plan *p, char *err, size_t errlen);

#endif
