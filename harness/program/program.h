/*
 * program.h: a program as a workload: what --program, --server and the options about them say.
 *
 * The planner takes it for a workload like any other: its name is its file's, it has the parameter
 * threads (CPUs that it may use), and its backends are those that serve malloc. Its command line is
 * part of the case's parameters, so that reports, compare and resume tell programs apart as they
 * tell parameters apart.
 */
#ifndef SM_HARNESS_PROGRAM_PROGRAM_H
#define SM_HARNESS_PROGRAM_PROGRAM_H

#include "perf/better.h"
#include "workloads/workload.h"

struct cJSON;
struct sm_run_options;

/* Commands, by what they are for. A program has PROGRAM, or SERVER and CLIENT. */
enum sm_part {
	SM_PART_PROGRAM,
	SM_PART_SERVER,
	SM_PART_CLIENT,
	SM_PART_SETUP,
	SM_PART_TEARDOWN,
	SM_PARTS
};
extern const char *const sm_part_names[SM_PARTS]; /* "program", .. : options, and keys of JSON */

struct sm_program_metric {
	const char *name, *regex;
	enum sm_better better; /* as the user said */
};

struct sm_program {
	struct sm_workload workload;	/* run is NULL: no function does it */
	struct sm_param_desc params[2]; /* threads */
	char name[48];
	const char *line[SM_PARTS]; /* as typed; NULL: none */
	char **argv[SM_PARTS];
	const char *ready; /* of a server: a port, or an expression in what it prints */
	struct sm_program_metric *metrics;
	unsigned nmetrics;
};

/* The program that this workload is; NULL: it is none. */
static inline const struct sm_program *sm_program_of(const struct sm_workload *w)
{
	return w->run == NULL ? (const struct sm_program *)w : NULL;
}

/* PROGRAM or SERVER. */
static inline enum sm_part sm_program_main(const struct sm_program *p)
{
	return p->argv[SM_PART_SERVER] != NULL ? SM_PART_SERVER : SM_PART_PROGRAM;
}

struct sm_programs {
	struct sm_program **v;
	unsigned n;
	char *text; /* of --programs */
};

/* What the options name, none twice. Strings are the options'. 0; -EINVAL and one line in err;
 * -ENOMEM. Free in every case. */
int sm_programs_make(struct sm_programs *out, const struct sm_run_options *o, char *err,
		     size_t errlen);
void sm_programs_free(struct sm_programs *p);

/* May it be run under a library in place of malloc? false and why not: one line. */
bool sm_program_takes_preload(const struct sm_program *p, char *why, size_t whylen);

/* Its part of a case's parameters, and of a job: how it is started. */
void sm_program_params(const struct sm_program *p, struct cJSON *params);
struct cJSON *sm_program_json(const struct sm_program *p);
/* Back from sm_program_json; strings are the JSON's. 0, -EINVAL, -ENOMEM. Free in every case. */
int sm_program_parse(const struct cJSON *json, struct sm_program **out);
void sm_program_free(struct sm_program *p);
/* Fills what the planner wants of it. */
void sm__program_describe(struct sm_program *p);

#endif
