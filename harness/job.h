/*
 * job.h: reading a job's JSON (plan.h has its form), for the worker and for the loop that runs jobs.
 */
#ifndef SM_HARNESS_JOB_H
#define SM_HARNESS_JOB_H

#include "harness/record.h"
#include "workloads/session.h"

struct sm_topology;
struct sm_counterset;

/* Fills what was run (workload .. rep) of a record from the job's text. 0, -EINVAL, -ENOMEM. */
int sm_job_describe(const char *text, struct sm_record *r, struct sm_pool *pool);

/* A job as the session wants it, and everything it points to. */
struct sm_job_parts {
	struct sm_job job;
	struct sm_params *params;
	struct sm_setting *settings;
	struct sm_seat *mutators, *marks;
	struct sm_topology *topology;
	struct sm_counterset *counters;
	const char **sets, **events; /* names that the counter set refers to */
	struct cJSON *root;
};

/*
 * Builds it from text: looks names up, loads the topology, builds the counter set. 0, or -errno and one
 * line in err. Free in every case.
 */
int sm_job_parse(const char *text, size_t len, struct sm_job_parts *out, char *err, size_t errlen);
void sm_job_parts_free(struct sm_job_parts *p);

#endif
