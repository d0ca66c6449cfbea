/*
 * job.h: one job, written by the plan, read by the loop that runs jobs and by the worker.
 *
 * A job is a JSON object, the same text that goes to the worker and into the store:
 *   {"workload":"graph","backend":"jemalloc","library":{"kernel":"libc","path":..,"build_id":..},
 *    "params":{..},"config":{..},"placement":{..},
 *    "group":0,"pass":0,"rep":0,"seed":"18446744073709551615","mutators":[[cpu,node],..],
 *    "workers":1,"marks":[[cpu,node],..],
 *    "counters":{"from":"auto","sets":[..],"events":[..],"multiplex":false,
 *    "plan":{"metrics":[{"name","pass"},..],
 *            "verdicts":[{"event","kind","status","reason"},..]}}|null,
 *    "by":"role","from":"auto","timeout_s":300}
 * "library" may have "missing" instead of a path: why nothing is to be run; without it the backend
 * is its own kernel. What decides how it runs stands in the job, the limit and whether Callgrind
 * runs it too: --resume measures by the job, never by its own command line. A program's job has
 * "program", as program/program.h writes and reads it.
 * "beside" is true in a simulated pass beside measured samples (harness/run/sim.h).
 */
#ifndef SM_HARNESS_JOB_H
#define SM_HARNESS_JOB_H

#include "harness/plan/case.h"
#include "harness/plan/record.h"
#include "workloads/session.h"

/* The part on counters, the same for every job (p->counters_text), malloc'ed; NULL when out of
 * memory. */
char *sm__job_counters(const struct sm_run_options *o, const struct sm_plan *p);

/* The JSON text of a job, malloc'ed; NULL when out of memory. */
char *sm__job_format(const struct sm_run_options *o, const struct sm_plan *p, unsigned group,
		     unsigned pass, unsigned rep);

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
	const char **sets, **events;	/* names that the counter set refers to */
	const char *library, *build_id; /* that malloc shall be served by; NULL: not said */
	struct sm_program *program;	/* NULL: a workload of ours */
	double timeout_s;
	bool beside; /* its simulated counts alone are sent */
	struct cJSON *root;
};

/*
 * Builds it from text: looks names up, loads the topology, builds the counter set. 0, or -errno and
 * one line in err. Free in every case.
 */
int sm_job_parse(const char *text, size_t len, struct sm_job_parts *out, char *err, size_t errlen);
void sm_job_parts_free(struct sm_job_parts *p);

#endif
