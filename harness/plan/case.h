/*
 * case.h: what plan.c makes of the options with the help of expand.c (cases) and job.c (jobs).
 */
#ifndef SM_HARNESS_CASE_H
#define SM_HARNESS_CASE_H

#include "harness/mallocs/backend.h"
#include "harness/options/options.h"
#include "harness/program/program.h"
#include "perf/placement.h"
#include "workloads/pool.h"
#include "workloads/workload.h"

struct sm_counterset;
struct sm_topology;

#define SM_PLAN_MAX_CASES 10000
#define SM_PLAN_MAX_JOBS  1000000

/* A section of a plan file; a run without one is a single part. */
struct sm_plan_part {
	const struct sm_run_options *o;
	struct sm_case_backend *backends; /* what was named, else the kernels; looked for once */
	size_t nbackends;
	struct sm_programs programs;
	const struct sm_workload **workloads;
	unsigned nworkloads;
};

struct sm_case {
	const struct sm_plan_part *part;
	struct sm_params *params;
	const struct sm_case_backend *backend; /* the part's */
	struct sm_strings settings;	       /* KEY=VALUE, one value each */
	unsigned threads, workers;
	enum sm_place place;
	enum sm_mark_place mark_place;
	bool placed, mark_placed; /* the user said where: what is left open the plan decides */
	char kind[8];		  /* of cores, as --kind names it; "": not said */
	struct sm_placement placement;
	char *label; /* "graph objects=1000000 gc", for progress */
};

struct sm_plan {
	struct sm_topology *topology;
	struct sm_counterset *counters; /* NULL: --counters=none */
	char *counters_text;		/* of every job */
	const char *const *sets;	/* what it was made from: the options', or the default */
	unsigned nsets;
	unsigned passes; /* at least 1 */
	unsigned reps;	 /* with --until: at its first look */
	bool until;	 /* --until */
	unsigned step;	 /* repetitions of a Latin square of the largest family */
	bool shuffle;
	double timeout_s;
	uint64_t seed;
	struct sm_plan_part *parts;
	unsigned nparts;
	struct sm_case *cases;
	unsigned ncases;
	struct sm_pool keys; /* of the cases */
	/* a setting that a backend ignores, if one was left out of cases; "": none */
	char note[160];
	char beside_note
		[400];	      /* the first case without a simulated pass (run/beside.c); "": none */
	char kinds_note[240]; /* a case whose mutators are on cores of several kinds; "": none */
	char **jobs;	      /* in the order of running */
	unsigned *order;      /* of each job: case * passes + pass */
	unsigned njobs;	      /* of what is not installed one a case */
	unsigned nbeside;     /* of them, the last: simulated passes (harness/run/sim.h) */
	unsigned *family;     /* of each case */
};

/* All that decides what runs, as text: equal for cases that would run the same. whole false: of
 * cases that do the same work in the same place, over another backend or with other settings.
 * malloc'ed; NULL when out of memory. */
char *sm__case_key(const struct sm_case *c, bool whole);
/* Makes the label: only what the user said or what tells cases apart is worth the room. 0 or
 * -ENOMEM. */
int sm__case_label(struct sm_case *c);
/* What the backend ignores is not part of the case: cases that differ in it alone are one. What was
 * dropped last is named in note. */
void sm__case_drop_ignored(struct sm_case *c, char *note, size_t len);
void sm__case_free(struct sm_case *c);

/* plan.c: seats the case's threads: what the user named, else the best that the machine can give.
 * 0, or -errno and one line in err. */
int sm__plan_place(const struct sm_plan *p, struct sm_case *c, char *err, size_t errlen);

#endif
