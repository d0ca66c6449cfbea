/*
 * plan.h: from what was asked to the list of jobs.
 *
 *     workload x parameters x backend x threads x placement x settings = cases (rows of the report)
 *     case x counter pass x repetition                                 = jobs (worker processes)
 *
 * All checks of names and values happen here, before anything runs: unknown workload, parameter, setting,
 * backend, event or set; out-of-range values; placements that the machine cannot give. The message is
 * one line that says what is allowed.
 *
 * Jobs are shuffled within a repetition by the seed, so that a machine that grows slower with time does not favour
 * whoever came first, and an interrupted run has whole repetitions. The same seed gives the same order and
 * the same random choices inside the workloads.
 *
 * A job is a JSON object, the same text that goes to the worker and into the store:
 *   {"workload":"graph","backend":"gc","params":{..},"config":{..},"placement":{..},"group":0,"pass":0,"rep":0,
 *    "seed":"18446744073709551615","mutators":[[cpu,node],..],"workers":1,"marks":[[cpu,node],..],
 *    "counters":{"from":"auto","sets":[..],"events":[..],"multiplex":false,"plan":{"metrics":[{"name","pass"},..],
 *    "verdicts":[{"event","kind","status","reason"},..]}}|null,"by":"role","quick":false}
 */
#ifndef SM_HARNESS_PLAN_H
#define SM_HARNESS_PLAN_H

#include "harness/options.h"
#include "perf/placement.h"
#include "workloads/workload.h"

#include <stdio.h>

struct sm_counterset;
struct cJSON;

#define SM_PLAN_MAX_CASES 10000
#define SM_PLAN_MAX_JOBS  1000000

struct sm_case {
	struct sm_params *params;
	enum sm_wl_backend backend;
	struct sm_strings settings; /* KEY=VALUE, one value each */
	unsigned threads, workers;
	enum sm_place place;
	enum sm_mark_place mark_place;
	struct sm_placement placement;
	char *label; /* "graph objects=1000000 gc", for progress */
};

struct sm_plan {
	struct sm_topology *topology;
	struct sm_counterset *counters; /* NULL: --counters=none */
	const char *const *sets;	/* what it was made from: the options', or the default */
	unsigned nsets;
	unsigned passes; /* at least 1 */
	unsigned reps;
	double timeout_s;
	uint64_t seed;
	struct sm_case *cases;
	unsigned ncases;
	char **jobs; /* in the order of running */
	unsigned njobs;
};

/*
 * Builds the plan. 0; -EINVAL (the user's mistake) or another -errno, with one line in err. *out is to be freed
 * in every case.
 */
int sm_plan_build(const struct sm_run_options *o, struct sm_plan *out, char *err, size_t errlen);
void sm_plan_free(struct sm_plan *p);

/* --dry-run: cases, placement, jobs. */
void sm_plan_print(const struct sm_plan *p, FILE *out);

/* Seed of a repetition's job: the same for all cases and passes of a repetition, so that they do the same. */
uint64_t sm_plan_job_seed(uint64_t seed, unsigned rep);

/* Shuffles n indexes (Fisher-Yates) by a generator of its own, seeded. */
void sm_plan_shuffle(unsigned *order, unsigned n, uint64_t seed);

/* expand.c: the cases that the options span, without placement and counters. Same errors. */
int sm__plan_expand(const struct sm_run_options *o, struct sm_plan *p, char *err, size_t errlen);
/* Is the last case one of those before it ("-w churn,churn", "-p objects=1m,1048576")? Its samples would count twice. */
bool sm__plan_repeats(const struct sm_plan *p);
/* job.c: the JSON text of a job, malloc'ed; NULL when out of memory. */
char *sm__job_format(const struct sm_run_options *o, const struct sm_plan *p, unsigned group, unsigned pass,
		     unsigned rep);

#endif
