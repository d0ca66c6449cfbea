/*
 * bench_report: reports of many samples, plans of many jobs, and stores of many runs: CPU time at
 * N / 4 and at N, and what it grows by (4 is linear).
 *
 *   bench_report [N]     samples, three repetitions a case, two warnings in each; jobs
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "harness/plan/plan.h"
#include "harness/store/store.h"
#include "harness/report/writer.h"

enum { REPS = 3 };

static double cpu_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void die(const char *what)
{
	fprintf(stderr, "bench_report: %s\n", what);
	exit(1);
}

static void add_metrics(struct sm_record *r)
{
	static const char *const phases[] = {"app", "refill", "total"};
	static const char *const names[] = {"time", "cycles", "instructions", "task_clock"};

	for (unsigned i = 0; i < 12; i++) {
		struct sm_metric *m = sm_row_add(&sm_metric_type, &r->metrics, &r->nmetrics);

		if (m == NULL)
			die("out of memory");
		m->by = SM_BY_ROLE;
		m->role = "mutator";
		m->phase = phases[i / 4];
		m->metric = m->event = names[i % 4];
		m->unit = "ns";
		m->has_value = i % 4 != 2;
		m->value = 100.0 + i + r->ordinal % 7;
		m->status = m->has_value ? SM_STATUS_OK : SM_STATUS_UNSUPPORTED;
		m->reason = m->has_value ? "" : "no PMU offers this event";
	}
}

static void add_results(struct sm_record *r)
{
	static const char *const names[] = {"wall_s", "ops", "ns_per_op", "gc_cycles"};

	for (unsigned i = 0; i < 4; i++) {
		struct sm_result *s = sm_row_add(&sm_result_type, &r->results, &r->nresults);

		if (s == NULL)
			die("out of memory");
		s->name = names[i];
		s->has_value = true;
		s->value = 1.0 + i + r->ordinal % 5;
	}
}

/* One run of n samples. */
static void fill(struct sm_store *s, unsigned n)
{
	struct sm_run_info info = {.environment = "{\"counters\":{\"passes\":1}}",
				   .topology = "",
				   .command_line = "bench_report",
				   .by = "role"};
	int64_t run;

	if (sm_store_begin(s, &info, NULL, &run) != 0)
		die(sm_store_error(s));
	for (unsigned i = 0; i < n; i++) {
		char params[64];
		struct sm_record r = {.ordinal = i,
				      .group = i / REPS,
				      .rep = i % REPS,
				      .workload = "churn",
				      .backend = "gc",
				      .params = params,
				      .config = "{}",
				      .placement =
					      "{\"place\":\"compact\",\"workers\":1,\"placed\":"
					      "\"1 mutator\"}",
				      .message = "",
				      .output = "",
				      .warnings = "memory is not bound\nnode 3: careful\n",
				      .library = ""};

		snprintf(params, sizeof(params), "{\"ops\":%u}", i / REPS);
		add_metrics(&r);
		add_results(&r);
		if (sm_store_add(s, run, &r) != 0)
			die(sm_store_error(s));
		sm_record_free(&r);
	}
}

static double write_s(const struct sm_report *r, enum sm_format format)
{
	struct sm_writer w = {.format = format, .by = SM_BY_ROLE};
	FILE *null = fopen("/dev/null", "we");
	double from = cpu_s();

	if (null == NULL || sm_report_write(r, &w, null) != 0)
		die("the report cannot be written");
	fclose(null);
	return cpu_s() - from;
}

/* What spanmark show does with the last run, but for the file that it prints to. */
static void load(struct sm_store *s, struct sm_report *out)
{
	if (sm_store_load(s, 0, out) != 0)
		die(sm_store_error(s));
}

enum { RUN = 100 }; /* samples of a run of a store of many */

/* Opens a store of n samples in runs of a hundred as spanmark runs and spanmark show do. */
static void many_runs(unsigned n, double *list, double *show)
{
	char path[] = "/tmp/bench-report-XXXXXX", err[300], command[64];
	struct sm_report r;
	struct sm_runs runs;
	struct sm_store *s;

	if (mkdtemp(path) == NULL || chdir(path) != 0 ||
	    sm_store_open("s.db", &s, err, sizeof(err)) != 0)
		die("no store");
	for (unsigned i = 0; i < n / RUN; i++)
		fill(s, RUN);
	sm_store_close(s);
	*list = cpu_s();
	if (sm_store_open_read("s.db", &s, err, sizeof(err)) != 0 || sm_store_runs(s, &runs) != 0 ||
	    runs.n != n / RUN || runs.v[0].samples != RUN)
		die("no list");
	*list = cpu_s() - *list;
	sm_runs_free(&runs);
	sm_store_close(s);
	*show = cpu_s();
	if (sm_store_open_read("s.db", &s, err, sizeof(err)) != 0)
		die(err);
	load(s, &r);
	write_s(&r, SM_FORMAT_TABLE);
	*show = cpu_s() - *show;
	sm_report_free(&r);
	sm_store_close(s);
	snprintf(command, sizeof(command), "rm -rf %s", path);
	if (system(command) != 0)
		die(command);
}

/* A sweep of a tenth of the jobs as cases, ten repetitions each. */
static double plan_s(unsigned jobs)
{
	char *values = NULL, err[300], reps[] = "10";
	size_t len;
	FILE *f = open_memstream(&values, &len);
	struct sm_run_options o;
	struct sm_plan p;
	double from;

	if (f == NULL)
		die("out of memory");
	fputs("ops=", f);
	for (unsigned i = 0; i < jobs / 10; i++)
		fprintf(f, "%s%u", i ? "," : "", 1000 + i);
	fclose(f);
	char *argv[] = {"run", "-w", "churn", "-p", values, "--reps", reps, "-c", "sw", NULL};

	from = cpu_s();
	sm_run_options_init(&o);
	if (sm_run_options_parse(&o, 9, argv, err, sizeof(err)) != 0 ||
	    sm_plan_build(&o, &p, err, sizeof(err)) != 0)
		die(err);
	from = cpu_s() - from;
	sm_plan_free(&p);
	sm_run_options_free(&o);
	free(values);
	return from;
}

static void row(const char *what, const double s[2])
{
	printf("%-22s %9.2f s %9.2f s  %5.1f times\n", what, s[0], s[1], s[1] / s[0]);
}

int main(int argc, char **argv)
{
	unsigned n = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 100000;
	double table[2], csv[2], json[2], stored[2], loaded[2], plan[2], list[2], show[2];
	char err[300];

	for (int i = 0; i < 2; i++) {
		struct sm_store *s;
		struct sm_report r;

		if (sm_store_open(NULL, &s, err, sizeof(err)) != 0)
			die(err);
		stored[i] = cpu_s();
		fill(s, i ? n : n / 4);
		stored[i] = cpu_s() - stored[i];
		loaded[i] = cpu_s();
		load(s, &r);
		loaded[i] = cpu_s() - loaded[i];
		table[i] = write_s(&r, SM_FORMAT_TABLE);
		csv[i] = write_s(&r, SM_FORMAT_CSV);
		json[i] = write_s(&r, SM_FORMAT_JSON);
		sm_report_free(&r);
		sm_store_close(s);
		many_runs(i ? n : n / 4, &list[i], &show[i]);
		plan[i] = plan_s(i ? n : n / 4);
	}
	printf("%-22s %9u   %9u\n", "", n / 4, n);
	row("stored", stored);
	row("loaded", loaded);
	row("table", table);
	row("CSV", csv);
	row("JSON", json);
	row("planned", plan);
	row("runs of 100: list", list);
	row("runs of 100: show one", show);
	return 0;
}
