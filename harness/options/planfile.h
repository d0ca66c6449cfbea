/*
 * planfile.h: plan files on their way into options. See options.h for what they say.
 */
#ifndef SM_HARNESS_PLANFILE_H
#define SM_HARNESS_PLANFILE_H

#include "harness/options/options.h"

/* A plan file's text, and where its parts begin. */
struct sm_plan_file {
	char *path, *text;
	unsigned *lines; /* of sections that are parts */
	size_t nparts;
};

/* All calls: 0, or -EINVAL, -ENOMEM and one line in err that names file and line. */
int sm_plan_file_load(const char *path, struct sm_plan_file *out, char *err, size_t errlen);
void sm_plan_file_free(struct sm_plan_file *f);
/* What holds for all parts, into o. */
int sm_plan_file_defaults(const struct sm_plan_file *f, struct sm_run_options *o, char *err,
			  size_t errlen);
/* A part, into o, which has the defaults. */
int sm_plan_file_part(const struct sm_plan_file *f, size_t part, struct sm_run_options *o,
		      char *err, size_t errlen);

/* Of the parameters that the part has from the whole plan, those that its work has stay. */
void sm_plan_file_keep_own(struct sm_run_options *part, const struct sm_run_options *whole);

/* Takes a value as the option's, and notes that it was said. */
int sm_run_options_take(const struct sm_option *opt, struct sm_run_options *o, const char *value,
			char *err, size_t errlen);
/* Lists that are there are replaced by the next value, not made longer. */
void sm_run_options_inherit(struct sm_run_options *o);

#endif
