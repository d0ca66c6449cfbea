/*
 * resume.h: may a run that was begun go on? Only as what it was: the same options where any are
 * said, the same version of spanmark, the same machine with the same settings. Else two things
 * would be summed in one median.
 */
#ifndef SM_HARNESS_RESUME_H
#define SM_HARNESS_RESUME_H

#include "harness/options/options.h"

struct cJSON;
struct sm_plan;

/* What decides what is measured, as one would type it: into the run's environment, "asked". */
void sm_resume_describe(struct cJSON *env, const struct sm_run_options *o,
			const struct sm_plan *plan);

/*
 * begun: the environment of the run, now: that of today (sm_environ_json without plan). 0, or
 * -EINVAL and one line that names the first difference.
 */
int sm_resume_check(const char *begun, const char *now, const struct sm_run_options *o, char *err,
		    size_t errlen);

#endif
