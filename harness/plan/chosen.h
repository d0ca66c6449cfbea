/*
 * chosen.h: the names in the options, looked up.
 */
#ifndef SM_HARNESS_CHOSEN_H
#define SM_HARNESS_CHOSEN_H

#include "harness/options/options.h"
#include "harness/program/program.h"

/*
 * The workloads that are named and the programs; all workloads where nothing is. *list is to be
 * freed in every case. 0; -ENOMEM; -EINVAL and one line in err: there is no such workload.
 */
int sm__chosen(const struct sm_run_options *o, const struct sm_programs *programs,
	       const struct sm_workload ***list, unsigned *n, char *err, size_t errlen);
/* Is there each parameter among those of the n workloads, and each setting? */
int sm__chosen_check(const struct sm_run_options *o, const struct sm_workload *const *list,
		     unsigned n, char *err, size_t errlen);

/*
 * Index of w's parameter that "[WORKLOAD.]KEY=VALUE" is about; -1: none. *assignment is the part
 * behind the dot, *particular whether a workload was named.
 */
int sm__chosen_param(const struct sm_workload *w, const char *text, const char **assignment,
		     bool *particular);

#endif
