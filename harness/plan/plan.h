/*
 * plan.h: from what was asked to the list of jobs.
 *
 *     workload x parameters x backend x threads x placement x settings = cases (rows of the report)
 *     case x counter pass x repetition                                 = jobs (worker processes)
 *
 * All checks of names and values happen here, before anything runs: unknown workload, parameter,
 * setting, backend, event or set; out-of-range values; placements that the machine cannot give. The
 * message is one line that says what is allowed.
 *
 * Cases that do the same work over different backends or settings are a family. In a repetition the
 * cases of a family follow one another, a block, so that spanmark compare can take them as pairs:
 * the samples of one repetition. The order within a block is a row of a random cyclic Latin square:
 * over as many repetitions as there are cases each runs once at each place, so that a machine that
 * grows slower with time favours none. Blocks are shuffled within the repetition; an interrupted
 * run has whole repetitions. The same seed gives the same order and the same random choices inside
 * the workloads (order.h). job.h has the form of a job.
 */
#ifndef SM_HARNESS_PLAN_H
#define SM_HARNESS_PLAN_H

#include <stdio.h>

#include "harness/plan/case.h"

/*
 * Builds the plan. 0; -EINVAL (the user's mistake) or another -errno, with one line in err. *out is
 * to be freed in every case.
 */
int sm_plan_build(const struct sm_run_options *o, struct sm_plan *out, char *err, size_t errlen);
void sm_plan_free(struct sm_plan *p);

/* --dry-run: cases, placement, jobs. */
void sm_plan_print(const struct sm_plan *p, FILE *out);

#endif
