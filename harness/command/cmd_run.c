/*
 * cmd_run.c: spanmark run: options, plan, the loop over jobs, the report. cmd.h tells how a sample
 * travels.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "harness/store/calibration.h"
#include "harness/command/cmd.h"
#include "harness/run/environ.h"
#include "harness/plan/job.h"
#include "harness/plan/plan.h"
#include "harness/process/neighbours.h"
#include "harness/program/measure.h"
#include "harness/run/progress.h"
#include "harness/run/repeat.h"
#include "harness/run/resume.h"
#include "harness/run/runner.h"
#include "harness/run/sim.h"
#include "harness/run/timeline.h"
#include "harness/run/worker_env.h"
#include "harness/store/store.h"
#include "harness/report/writer.h"
#include "perf/clock.h"
#include "perf/names.h"
#include "perf/privilege.h"
#include "perf/topology.h"
#include "harness/base/complain.h"

/* Everything a run holds. */
struct run {
	struct sm_run_options opt;
	struct sm_plan plan;
	struct sm_store *store;
	struct sm_output output;
	struct sm_timeline timeline;
	struct sm_progress progress;
	struct sm_repeat repeat;
	struct sm_neighbours neighbours;
	char *self, *self_for_callgrind; /* paths of this program */
	int64_t id;
	unsigned total;	 /* jobs of the run, done ones included */
	unsigned failed; /* samples that are not ok */
	bool interrupted;
	bool default_store; /* none was named */
};

/* ---- one sample --------------------------------------------------------------------------- */

static void relay_stderr(void *ctx, const char *data, size_t len)
{
	struct run *run = ctx;

	sm_progress_relay(&run->progress, data, len);
}

static void say_that_it_ends(void *ctx)
{
	struct run *run = ctx;

	sm_progress_clear(&run->progress);
	sm_complain("interrupted: finishing this sample; a second interrupt drops it");
}

static void run_worker(struct run *run, struct sm_runner *runner, const struct sm_record *rec,
		       const char *job, struct sm_worker_end *end)
{
	char err[300];

	if (sm_worker_run(runner, rec, run->plan.topology, job, end, err, sizeof(err)) == 0)
		return;
	sm_progress_clear(&run->progress);
	sm_complain("%s", err);
}

/* What went on beside the sample is one more warning; a simulated one has no time to spoil. */
static void add_neighbours(struct run *run, struct sm_record *rec, struct sm_pool *pool)
{
	char *lines = NULL;
	size_t len;
	FILE *f = open_memstream(&lines, &len);
	const char *kept;

	if (f == NULL)
		return;
	fputs(rec->warnings, f);
	sm_neighbours_tell(&run->neighbours, sm_clock_ns(), rec->simulated ? NULL : f);
	kept = fclose(f) == 0 ? sm_pool_str(pool, lines) : NULL;
	rec->warnings = kept != NULL ? kept : rec->warnings;
	free(lines);
}

/* Runs the job and commits its sample. 0, or -errno when the store failed: then there is no point
 * in going on. */
static int run_one(struct run *run, unsigned ordinal, const char *job)
{
	char ticks[32], *argv[6] = {run->self, (char *)SM_WORKER_COMMAND, ticks};
	struct sm_runner runner = {.argv = argv,
				   .on_stderr = relay_stderr,
				   .on_interrupt = say_that_it_ends,
				   .ctx = run};
	struct sm_worker_end end = {.how = SM_WORKER_EXITED};
	struct sm_pool pool = {0};
	struct sm_record rec;
	int rc = sm_job_describe(job, &rec, &pool);

	if (rc) {
		sm_complain("a job in the plan is damaged");
		sm_pool_free(&pool);
		return rc;
	}
	if (rec.simulated)
		argv[0] = run->self_for_callgrind;
	snprintf(ticks, sizeof(ticks), "%.17g", sm_clock_ticks_per_ns());
	rec.ordinal = ordinal;
	runner.timeout_s = rec.timeout_s;
	runner.watch_memory = !rec.simulated; /* valgrind's memory is not the workload's */
	sm_progress_start(&run->progress, rec.label, rec.rep, rec.pass);
	sm_timeline_sample(&run->timeline, &rec, argv + 3, &runner.trace_fd);
	if (rec.program) { /* which the worker starts, preloads, and ends */
		runner.watch_memory = false;
		runner.timeout_s = sm_program_longest(rec.timeout_s);
		runner.grace_s = SM_PROGRAM_GRACE;
	}
	if (rec.missing[0] != '\0') {
		rec.status = SM_OUTCOME_ABSENT;
		rec.message = rec.missing;
	} else {
		run_worker(run, &runner, &rec, job, &end);
		sm_runner_record(&runner, &end, &rec, &pool);
		add_neighbours(run, &rec, &pool);
		sm_timeline_took(&run->timeline, &rec);
	}
	if (end.how == SM_WORKER_INTERRUPTED) {
		run->interrupted = true; /* not measured: --resume will */
	} else {
		/* A simulated pass that was not asked for by name is said to have failed, no more.
		 */
		run->failed += rec.status != SM_OUTCOME_OK && rec.status != SM_OUTCOME_ABSENT &&
			       !rec.beside;
		rc = sm_store_add(run->store, run->id, &rec);
		/* What is said to be finished is kept. */
		if (rc == 0) {
			sm_progress_end(&run->progress, rec.group, rec.label, rec.rep, rec.pass,
					rec.status, rec.message, rec.took_s);
		} else {
			sm_progress_clear(&run->progress);
			sm_complain("%s", sm_store_error(run->store));
		}
	}
	sm_worker_end_free(&end);
	sm_record_free(&rec);
	sm_pool_free(&pool);
	return rc;
}

/* The jobs from *next on that have no sample yet, in the plan's order. */
static int run_planned(struct run *run, unsigned *next)
{
	int rc = 0;

	for (; *next < run->total && rc == 0 && !run->interrupted; ++*next) {
		char *job = sm_store_pending(run->store, run->id, *next);

		/* A signal behind the last sample left nothing undone. */
		run->interrupted = job != NULL && sm_runner_interrupted();
		if (run->interrupted || (job != NULL && !sm_repeat_goes_on(&run->repeat, *next))) {
			free(job);
			break;
		}
		if (job != NULL)
			rc = run_one(run, *next, job);
		free(job);
	}
	return rc;
}

/* As planned, and with --until as much more as it takes. */
static int run_all(struct run *run)
{
	unsigned next = 0;
	int rc;

	do {
		rc = run_planned(run, &next);
		run->interrupted |= run->repeat.cases > 0 && sm_runner_interrupted();
		if (rc || run->interrupted)
			break;
		rc = sm_repeat_look(&run->repeat, next, &run->total, &run->progress);
		if (rc < 0)
			sm_complain("%s", sm_store_error(run->store));
	} while (rc > 0);
	sm_progress_clear(&run->progress);
	return rc;
}

/* ---- before and after --------------------------------------------------------------------- */

static int begin_new(struct run *run, int argc, char **argv)
{
	struct sm_topology_source here = {0};
	char *env = sm_environ_json(&run->opt, &run->plan, run->plan.topology, argc, argv, "");
	char *line = sm_environ_command_line(argc, argv), *xml = sm_topology_xml(&here);
	struct sm_run_info info = {
		.environment = env != NULL ? env : "{}",
		.topology = xml != NULL ? xml : "",
		.command_line = line != NULL ? line : "",
		.by = sm_by_names[run->opt.by],
		.seed = run->plan.seed,
		.planned = run->plan.njobs,
	};
	int rc = sm_store_begin(run->store, &info, (const char *const *)run->plan.jobs, &run->id);

	if (rc == 0)
		rc = sm_store_hold(run->store, run->id);
	if (rc == 0)
		rc = sm_calibration_keep(run->store, run->id, run->plan.topology->cpu_model);
	if (rc)
		sm_complain("%s", sm_store_error(run->store));
	free(env);
	free(line);
	free(xml);
	run->total = run->plan.njobs;
	return rc;
}

/* A run that was begun goes on, when everything is as it was. Exit status. */
static int begin_again(struct run *run, int argc, char **argv)
{
	char err[512] = "", *begun, *now;
	int rc;

	if (run->opt.resume_run != NULL &&
	    sm_store_find(run->store, run->opt.resume_run, &run->id) != 0) {
		sm_complain("%s", sm_store_error(run->store));
		return SM_EXIT_USAGE;
	}
	if (sm_store_unfinished(run->store, &run->id, &run->total, &begun) != 0) {
		sm_complain("%s", sm_store_error(run->store));
		return SM_EXIT_USAGE;
	}
	now = sm_environ_json(&run->opt, NULL, run->plan.topology, argc, argv, "");
	rc = sm_resume_check(begun, now != NULL ? now : "{}", &run->opt, err, sizeof(err));
	if (rc)
		sm_complain("%s", err);
	else if ((rc = sm_store_hold(run->store, run->id)) != 0)
		sm_complain("%s", sm_store_error(run->store));
	free(begun);
	free(now);
	return rc ? SM_EXIT_USAGE : SM_EXIT_OK;
}

/* What is left of each group, for the time left. */
static int start_progress(struct run *run)
{
	unsigned *left, groups;
	int rc = sm_repeat_begin(&run->repeat, run->store, run->id, run->opt.max_time_s);

	if (rc == 0)
		rc = sm_store_left(run->store, run->id, &left, &groups);

	if (rc) {
		sm_complain("%s", sm_store_error(run->store));
		return rc;
	}
	if (groups < run->repeat.cases) { /* the others will have more */
		unsigned *all = calloc(run->repeat.cases, sizeof(*all));

		for (unsigned i = 0; all != NULL && i < groups; i++)
			all[i] = left[i];
		free(left);
		left = all;
		groups = all != NULL ? run->repeat.cases : 0;
	}
	rc = sm_progress_init(&run->progress, stderr,
			      sm_progress_rewrites(isatty(STDERR_FILENO) == 1, getenv("TERM")),
			      left, groups);
	run->progress.most_s = run->repeat.cases > 0 ? run->repeat.max_time_s : 0;
	free(left);
	return rc;
}

/* Prints the run from the store. Exit status. */
static int report_run(struct run *run)
{
	struct sm_writer w = {.format = run->opt.format,
			      .by = run->opt.by,
			      .wide = run->opt.wide,
			      .waits = run->opt.waits || run->opt.wide};
	struct sm_report r;
	char err[512];
	int by, closed, rc = sm_store_load(run->store, run->id, &r);

	if (rc) {
		sm_complain("%s", sm_store_error(run->store));
		sm_output_close(&run->output, false, err, sizeof(err));
		return SM_EXIT_FAILED;
	}
	by = sm_names_find(sm_by_names, r.by);
	if (run->opt.resume) /* the sums that its samples have */
		w.by = by < 0 ? SM_BY_ROLE : (enum sm_by)by;
	sm_writer_fit(&w, run->opt.color, run->output.file);
	rc = sm_report_write(&r, &w, run->output.file);
	if (rc == -ENOMEM)
		sm_complain("out of memory while writing the report");
	closed = sm_output_close(&run->output, rc != -ENOMEM, err, sizeof(err));
	if (closed != 0 && closed != -EPIPE) { /* that were a reader that has seen enough */
		sm_complain("%s", err);
		/* What was measured is in no store: somewhere else, then. */
		if (run->opt.store != NULL)
			sm_complain("the run is kept: spanmark show %s:%lld", run->opt.store,
				    (long long)run->id);
		else if (sm_report_rescue(&r, &w, err, sizeof(err)) == 0)
			sm_complain("the report is in '%s'", err);
	}
	sm_report_free(&r);
	return rc || closed ? SM_EXIT_FAILED : SM_EXIT_OK;
}

static int measure(struct run *run)
{
	int rc = start_progress(run), status;
	char err[512];

	sm_neighbours_begin(&run->neighbours, "", getpid(), sm_clock_ns());
	if (rc == 0)
		rc = run_all(run);
	if (rc == 0) {
		rc = sm_store_end(run->store, run->id, run->interrupted ? "interrupted" : "done");
		if (rc)
			sm_complain("%s", sm_store_error(run->store));
	}
	if (sm_timeline_close(&run->timeline, true, err, sizeof(err)) != 0) {
		sm_complain("%s", err);
		rc = rc ? rc : -EIO;
	}
	sm_runner_release_signals(sm_output_abandon);
	status = report_run(run);
	if (!run->interrupted && sm_runner_interrupted())
		sm_complain("interrupted: all samples had been measured");
	if (run->interrupted)
		sm_complain("interrupted: the report has what was measured until then%s",
			    run->opt.store != NULL ? "; --resume goes on" : "");
	if (status == SM_EXIT_OK && (rc || run->failed || run->interrupted))
		status = SM_EXIT_FAILED;
	return status;
}

static int usage(const char *err)
{
	sm_complain("%s", err);
	return SM_EXIT_USAGE;
}

/* Without a word about a store the run is kept in the current folder's, if that takes it. */
static int open_store(struct run *run, char *err, size_t errlen)
{
	int rc = sm_store_open(run->opt.store, &run->store, err, errlen);

	if (rc == 0 || !run->default_store || run->opt.resume)
		return rc;
	fprintf(stderr, "warning: %s: this run is kept in no store (--store FILE names one)\n",
		err);
	free(run->opt.store);
	run->opt.store = NULL;
	return sm_store_open(NULL, &run->store, err, errlen);
}

/* Opens what is written to, in an order in which a refusal leaves nothing behind. Exit status. */
static int open_all(struct run *run, int argc, char **argv)
{
	char err[512];
	int rc;
	const char *self = sm_runner_self(false),
		   *other = self != NULL ? sm_runner_self(true) : NULL;

	run->self = self != NULL ? strdup(self) : NULL;
	run->self_for_callgrind = other != NULL ? strdup(other) : NULL;
	if (run->self == NULL || run->self_for_callgrind == NULL) {
		sm_complain("cannot find this program's own file: is /proc mounted?");
		return SM_EXIT_FAILED;
	}
	if (run->opt.output != NULL && run->opt.store != NULL &&
	    sm_output_hits_store(run->opt.output, run->opt.store)) {
		snprintf(err, sizeof(err),
			 "--output and --store name one file, or one that belongs to it, '%.300s'; "
			 "allowed: two different ones",
			 run->opt.output);
		return usage(err);
	}
	if (sm_output_open(&run->output, run->opt.output, err, sizeof(err)) != 0 ||
	    sm_timeline_open(&run->timeline, &run->opt, err, sizeof(err)) != 0)
		return usage(err);
	if (run->opt.resume && access(run->opt.store, F_OK) != 0) {
		snprintf(err, sizeof(err),
			 "--resume: there is no store '%.300s'; nothing to resume", run->opt.store);
		return usage(err);
	}
	rc = open_store(run, err, sizeof(err));
	if (rc) {
		sm_complain("%s", err);
		return sm_store_is_no_mistake(rc, run->opt.store) ? SM_EXIT_FAILED : SM_EXIT_USAGE;
	}
	if (run->opt.resume)
		return begin_again(run, argc, argv);
	return begin_new(run, argc, argv) == 0 ? SM_EXIT_OK : SM_EXIT_FAILED;
}

/* What the plan is otherwise than one may think; not beside a refusal, which is one line. */
static void print_notes(const struct sm_plan *p)
{
	const char *const notes[] = {p->note, p->kinds_note, p->beside_note};

	for (size_t i = 0; i < SM_COUNT_OF(notes); i++)
		if (notes[i][0] != '\0')
			sm_complain("%s", notes[i]);
}

static int run_command(struct run *run, int argc, char **argv)
{
	char err[768];
	int rc, status;

	if (sm_run_options_parse(&run->opt, argc, argv, err, sizeof(err)) != 0)
		return usage(err);
	if (run->opt.help) {
		sm_command_help(&sm_command_run, stdout);
		return SM_EXIT_OK;
	}
	run->default_store = run->opt.store == NULL && !run->opt.no_store;
	if (run->default_store && (run->opt.store = strdup(SM_STORE_DEFAULT)) == NULL)
		return usage("out of memory");
	if (run->opt.resume) /* the plan is in the store */
		rc = sm_topology_load(&(struct sm_topology_source){0}, &run->plan.topology, err,
				      sizeof(err));
	else
		rc = sm_plan_build(&run->opt, &run->plan, err, sizeof(err));
	if (rc == 0 && !run->opt.resume && sm_beside_plan(&run->opt, &run->plan) != 0) {
		rc = -ENOMEM;
		snprintf(err, sizeof(err), "out of memory");
	}
	if (rc)
		return usage(err);
	if (run->opt.print_plan || run->opt.dry_run)
		print_notes(&run->plan);
	if (run->opt.print_plan) {
		sm_run_options_print_plan(&run->opt, run->plan.seed, stdout);
		return SM_EXIT_OK;
	}
	if (run->opt.dry_run) {
		sm_plan_print(&run->plan, stdout);
		sm_store_print_estimate(run->opt.store, &run->plan,
					sm_count_name(run->opt.counters), stdout);
		return SM_EXIT_OK;
	}
	/* what needed more has been tried out; workers get theirs by exec */
	sm_privilege_drop();
	sm_runner_catch_signals(); /* from here on there is something to tidy up */
	status = open_all(run, argc, argv);
	if (status == SM_EXIT_OK)
		print_notes(&run->plan);
	if (status == SM_EXIT_OK &&
	    sm_environ_is_busy("", run->plan.topology->n_pus, err, sizeof(err)))
		fprintf(stderr, "warning: %s\n", err);
	if (status == SM_EXIT_OK)
		status = measure(run);
	sm_output_close(&run->output, false, err, sizeof(err));
	sm_timeline_close(&run->timeline, false, err, sizeof(err));
	return status;
}

int sm_run(int argc, char **argv)
{
	struct run run = {0};
	int status;

	sm_run_options_init(&run.opt);
	status = run_command(&run, argc, argv);
	sm_neighbours_free(&run.neighbours);
	sm_progress_free(&run.progress);
	sm_store_close(run.store);
	sm_plan_free(&run.plan);
	sm_run_options_free(&run.opt);
	free(run.self);
	free(run.self_for_callgrind);
	return status;
}
