/* trials.c: see trials.h. */
#include "harness/tune/trials.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "harness/compare/compare.h"
#include "harness/plan/job.h"
#include "harness/plan/plan.h"
#include "harness/store/store.h"
#include "harness/process/child.h"

void sm_trials_free(struct sm_trials *t)
{
	sm_strings_free(&t->works);
	sm_strings_free(&t->figures);
}

/* ---- the run of a step -------------------------------------------------------------------- */

void sm_trials_note(const struct sm_trials *t, const char *stage, char *buf, size_t len)
{
	snprintf(buf, len, "tune %s %s step %u %s", t->id, t->options, t->step, stage);
}

struct known {
	int64_t run; /* 0: not begun */
	bool done;
};

static int list_runs(const char *store, struct sm_runs *out, char *err, size_t errlen)
{
	struct sm_store *s = NULL;
	int rc = sm_store_open_read(store, &s, err, errlen);

	*out = (struct sm_runs){.n = 0};
	if (rc == 0) {
		rc = sm_store_runs(s, out);
		if (rc)
			snprintf(err, errlen, "%s", sm_store_error(s));
	}
	sm_store_close(s);
	return rc;
}

static int look_up(struct sm_trials *t, const char *note, struct known *out)
{
	struct sm_runs runs;
	int rc;

	*out = (struct known){0};
	if (access(t->store, F_OK) != 0)
		return 0; /* the first step makes it */
	rc = list_runs(t->store, &runs, t->err, sizeof(t->err));
	for (size_t i = 0; i < runs.n && rc == 0; i++)
		if (strcmp(runs.v[i].note, note) == 0)
			*out = (struct known){runs.v[i].id, strcmp(runs.v[i].state, "done") == 0};
	sm_runs_free(&runs);
	return rc;
}

int sm_trials_last(const char *store, char id[17], char options[17], char *err, size_t errlen)
{
	struct sm_runs runs;
	int rc = list_runs(store, &runs, err, errlen);

	if (rc == 0) {
		rc = -ENOENT;
		for (size_t i = runs.n; i-- > 0 && rc != 0;)
			if (sscanf(runs.v[i].note, "tune %16[0-9a-f] %16[0-9a-f] step ", id,
				   options) == 2)
				rc = 0;
		if (rc)
			snprintf(err, errlen, "store '%.300s' has no tuning to go on with", store);
	}
	sm_runs_free(&runs);
	return rc;
}

/* ---- the child ---------------------------------------------------------------------------- */

static int add(struct sm_strings *argv, const char *word)
{
	return sm_strings_add(argv, word, strlen(word));
}

static int add_number(struct sm_strings *argv, const char *option, uint64_t n)
{
	char text[32];
	int rc = add(argv, option);

	snprintf(text, sizeof(text), "%llu", (unsigned long long)n);
	return rc ? rc : add(argv, text);
}

/* A batch has its own seed: fresh samples are of other random choices, too. */
static uint64_t seed_of(const struct sm_trials *t)
{
	return t->seed + 1000003ull * t->step;
}

static int new_run(const struct sm_trials *t, const char *note, const struct sm_tune_point *points,
		   unsigned n, unsigned reps, struct sm_strings *argv)
{
	const char *sets = sm_objective_sets(t->objective);
	int rc = add(argv, "run");

	for (size_t i = 0; i < t->args->n && rc == 0; i++)
		rc = add(argv, t->args->v[i]);
	for (unsigned i = 0; i < n && rc == 0; i++) {
		char *variant = sm_space_variant(t->space, &points[i]);

		rc = variant != NULL ? add(argv, "--variant") : -ENOMEM;
		rc = rc ? rc : add(argv, variant);
		free(variant);
	}
	rc = rc ? rc : add(argv, sets != NULL ? "--counter-set" : "--counters");
	rc = rc ? rc : add(argv, sets != NULL ? sets : "none");
	rc = rc ? rc : add(argv, "--note");
	rc = rc ? rc : add(argv, note);
	rc = rc ? rc : add_number(argv, "--reps", reps);
	return rc ? rc : add_number(argv, "--seed", seed_of(t));
}

/* ---- before anything is measured ----------------------------------------------------------- */

static int add_workload(struct sm_strings *workloads, const char *job)
{
	struct sm_pool pool = {0};
	struct sm_record rec;
	int rc = sm_job_describe(job, &rec, &pool);

	for (size_t i = 0; rc == 0 && i < workloads->n; i++)
		rc = strcmp(workloads->v[i], rec.workload) == 0;
	if (rc == 0)
		rc = add(workloads, rec.workload);
	if (rc >= 0)
		sm_record_free(&rec);
	sm_pool_free(&pool);
	return rc < 0 ? rc : 0;
}

static int plan_step(struct sm_trials *t, struct sm_strings *argv, struct sm_strings *workloads)
{
	struct sm_run_options opt;
	struct sm_plan plan = {0};
	int rc;

	sm_run_options_init(&opt);
	rc = sm_run_options_parse(&opt, (int)argv->n, argv->v, t->err, sizeof(t->err));
	if (rc == 0)
		rc = sm_plan_build(&opt, &plan, t->err, sizeof(t->err));
	for (unsigned i = 0; i < plan.njobs && rc == 0; i++)
		rc = add_workload(workloads, plan.jobs[i]);
	sm_plan_free(&plan);
	sm_run_options_free(&opt);
	return rc;
}

int sm_trials_check(struct sm_trials *t, struct sm_strings *workloads)
{
	struct sm_tune_point points[1 + SM_TUNE_KNOBS * SM_TUNE_LEVELS] = {0};
	struct sm_strings argv = {0};
	unsigned n = 1;
	int rc;

	for (unsigned k = 0; k < t->space->n; k++)
		for (unsigned v = 1; v < t->space->dials[k].levels; v++)
			points[n++].level[k] = (unsigned char)v;
	rc = new_run(t, "check", points, n, 1, &argv);
	rc = rc ? rc : plan_step(t, &argv, workloads);
	sm_strings_free(&argv);
	return rc;
}

static int run_step(struct sm_trials *t, const char *note, const struct known *known,
		    const struct sm_tune_point *points, unsigned n, unsigned reps)
{
	struct sm_strings argv = {0};
	int rc;

	if (known->run > 0) {
		rc = add(&argv, "run");
		rc = rc ? rc : add_number(&argv, "--resume", (uint64_t)known->run);
	} else {
		rc = new_run(t, note, points, n, reps, &argv);
	}
	rc = rc ? rc : add(&argv, "--store");
	rc = rc ? rc : add(&argv, t->store);
	rc = rc ? rc : add(&argv, "--format");
	rc = rc ? rc : add(&argv, "csv");
	rc = rc ? rc : add(&argv, "--output");
	rc = rc ? rc : add(&argv, "/dev/null");
	if (rc == 0)
		rc = sm_child_run(&argv, t->err, sizeof(t->err));
	sm_strings_free(&argv);
	return rc;
}

/* ---- what it came to ---------------------------------------------------------------------- */

/* Each work in the order of groups, and which figure each goal was read from. */
static int name_works(struct sm_trials *t, const struct sm_report *r, unsigned n, unsigned nworks)
{
	const struct sm_strings all = {0};
	struct sm__cases cases = {0};
	int rc = t->works.n > 0 ? 0 : sm__compare_cases(r, &all, &cases);

	for (unsigned w = 0; w < nworks && rc == 0 && t->works.n < nworks; w++) {
		const char *name = "?";

		for (size_t i = 0; i < cases.n; i++)
			if (r->records[cases.v[i].first].group == w * n)
				name = cases.v[i].name;
		rc = add(&t->works, name);
	}
	sm__cases_free(&cases);
	return rc;
}

/* The goals of one sample as one logarithm; NAN: one is missing. */
static double score_of(const struct sm_trials *t, const struct sm_record *r, const char **what)
{
	double sum = 0;

	for (int g = 0; g < SM_GOALS; g++) {
		double v;

		if (t->objective->weight[g] <= 0)
			continue;
		v = sm_goal_value(r, (enum sm_goal)g, what);
		sum += v > 0 ? t->objective->weight[g] * log(v) : NAN;
	}
	return sum;
}

/* Several passes of a repetition: the one that has the figure. */
static void take_record(const struct sm_trials *t, const struct sm_record *r,
			struct sm_tune_batch *b, double *memory)
{
	unsigned w = r->group / b->npoints, point = r->group % b->npoints;
	const char *what = "";
	double score, kib;

	if (w >= b->nworks || r->rep >= b->reps)
		return;
	score = score_of(t, r, &what);
	kib = sm_goal_value(r, SM_GOAL_MEMORY, &what);
	if (!isnan(score))
		b->score[(w * b->npoints + point) * b->reps + r->rep] = score;
	if (!isnan(kib)) /* the largest: what is bounded is never more */
		memory[r->group] = fmax(memory[r->group], kib);
}

static int fill_batch(struct sm_trials *t, const struct sm_report *r, unsigned n, unsigned reps,
		      struct sm_tune_batch *b)
{
	unsigned groups = 0;
	double *memory;

	for (size_t i = 0; i < r->nrecords; i++)
		groups = r->records[i].group + 1 > groups ? r->records[i].group + 1 : groups;
	if (groups == 0 || groups % n != 0 || groups / n > SM_TUNE_WORKS) {
		snprintf(t->err, sizeof(t->err),
			 "%u cases of %u configurations each; allowed: 1 to %d workloads, all with "
			 "one backend",
			 groups, n, SM_TUNE_WORKS);
		return -EINVAL;
	}
	*b = (struct sm_tune_batch){n, reps, groups / n, NULL, NULL, 0};
	b->score = malloc((size_t)groups * reps * sizeof(*b->score));
	b->memory = malloc((size_t)groups * sizeof(*b->memory));
	memory = malloc((size_t)groups * sizeof(*memory));
	for (size_t i = 0; b->score != NULL && i < (size_t)groups * reps; i++)
		b->score[i] = NAN;
	for (unsigned i = 0; memory != NULL && i < groups; i++)
		memory[i] = NAN;
	if (b->score == NULL || b->memory == NULL || memory == NULL) {
		free(memory);
		return -ENOMEM;
	}
	for (size_t i = 0; i < r->nrecords; i++) {
		take_record(t, &r->records[i], b, memory);
		b->seconds += r->records[i].took_s;
	}
	for (unsigned i = 0; i < groups; i++)
		b->memory[i] = memory[i / n * n] > 0 ? memory[i] / memory[i / n * n] : NAN;
	free(memory);
	/* against the default of the same repetition, which comes last: it is read until then */
	for (unsigned i = groups; i-- > 0;)
		for (unsigned k = 0; k < reps; k++)
			b->score[(size_t)i * reps + k] -= b->score[(size_t)(i / n * n) * reps + k];
	return name_works(t, r, n, groups / n);
}

/* A counter that the default lacks, and why. */
static int lacks_counter(struct sm_trials *t, const struct sm_record *r, const char *name)
{
	const char *why = "not counted here";

	for (size_t i = 0; i < r->nmetrics; i++)
		if (strcmp(r->metrics[i].metric, name) == 0 && !r->metrics[i].has_value &&
		    r->metrics[i].reason != NULL)
			why = r->metrics[i].reason;
	snprintf(t->err, sizeof(t->err),
		 "--objective: %s has no %s of an operation: %.200s; allowed: --counters sim, or "
		 "time, p999, memory",
		 r->workload, name, why);
	return -EINVAL;
}

/* A pass of the same sample has it. */
static bool any_pass_has(const struct sm_report *r, const struct sm_record *one, enum sm_goal goal)
{
	const char *what = "";

	for (size_t i = 0; i < r->nrecords; i++)
		if (r->records[i].group == one->group && r->records[i].rep == one->rep &&
		    sm_goal_value(&r->records[i], goal, &what) > 0)
			return true;
	return false;
}

/* The default of a work has no figure: nothing could ever be better than it. */
static int check_default(struct sm_trials *t, const struct sm_report *r, unsigned n)
{
	for (size_t i = 0; i < r->nrecords; i++) {
		const struct sm_record *rec = &r->records[i];
		const char *what = "";

		if (rec->group % n != 0 || rec->pass != 0)
			continue;
		if (rec->status != SM_OUTCOME_OK) {
			snprintf(t->err, sizeof(t->err), "%s fails with the default: %.200s",
				 rec->workload, rec->message);
			return -EINVAL;
		}
		for (int g = 0; g <= SM_GOAL_MEMORY; g++)
			if (t->objective->weight[g] > 0 &&
			    !(sm_goal_value(rec, (enum sm_goal)g, &what) > 0)) {
				snprintf(t->err, sizeof(t->err),
					 "%s reports none of the objective's figures (%s); "
					 "allowed: another objective, or other workloads",
					 rec->workload,
					 what[0] ? what
						 : "request_p999_us, p999_us, "
						   "stall_p999_us");
				return -EINVAL;
			}
		for (int g = SM_GOAL_MISSES; g < SM_GOALS; g++)
			if (t->objective->weight[g] > 0 && !any_pass_has(r, rec, (enum sm_goal)g)) {
				(void)sm_goal_value(rec, (enum sm_goal)g, &what);
				return lacks_counter(t, rec, what);
			}
	}
	return 0;
}

static int read_step(struct sm_trials *t, int64_t run, unsigned n, unsigned reps,
		     struct sm_tune_batch *out)
{
	struct sm_store *s = NULL;
	struct sm_report r;
	int rc = sm_store_open_read(t->store, &s, t->err, sizeof(t->err));

	if (rc)
		return rc;
	rc = sm_store_load(s, run, &r);
	if (rc)
		snprintf(t->err, sizeof(t->err), "%s", sm_store_error(s));
	sm_store_close(s);
	if (rc)
		return rc;
	rc = t->step == 1 ? check_default(t, &r, n) : 0;
	if (rc == 0)
		rc = fill_batch(t, &r, n, reps, out);
	sm_report_free(&r);
	return rc;
}

/* The last line that its run said is in err. */
static int not_done(struct sm_trials *t, const char *stage)
{
	char said[sizeof(t->err)];

	snprintf(said, sizeof(said), "%s", t->err);
	snprintf(t->err, sizeof(t->err), "the step '%s' did not come to its end%s%.600s", stage,
		 said[0] != '\0' ? ": " : "", said);
	return -EIO;
}

int sm_trials_measure(void *trials, const char *stage, const struct sm_tune_point *points,
		      unsigned n, unsigned reps, struct sm_tune_batch *out)
{
	struct sm_trials *t = trials;
	struct known known;
	char note[SM_TRIALS_NOTE];
	int rc;

	t->step++;
	sm_trials_note(t, stage, note, sizeof(note));
	rc = look_up(t, note, &known);
	if (rc)
		return rc;
	if (t->say != NULL)
		t->say(t->ctx, stage, n, reps);
	if (known.done) {
		t->resumed++;
	} else {
		rc = run_step(t, note, &known, points, n, reps);
		if (rc == 0)
			rc = look_up(t, note, &known);
		if (rc == 0 && !known.done)
			rc = not_done(t, stage);
	}
	t->last = known.run;
	if (strcmp(stage, "screen") == 0)
		t->screened = known.run;
	return rc ? rc : read_step(t, known.run, n, reps, out);
}
