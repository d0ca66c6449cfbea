/*
 * One session, results as "name value unit" lines: what tests/bench/gc.sh and callgrind run.
 *
 *   bench_session WORKLOAD [KEY=VALUE ..] [-b BACKEND] [-s KEY=VALUE ..] [-k WORKERS] [-P
 *   CPU,CPU,..] [-m]
 *
 * KEY=VALUE are the workload's parameters, -s settings of heap and collector, -P the CPUs of
 * mutators and then mark workers, -m prints the metrics too.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "workloads/session.h"

#define MAX_SETTINGS 64
#define MAX_SEATS    256

static struct sm_setting settings[MAX_SETTINGS];
static struct sm_seat seats[MAX_SEATS];

static void die(const char *what)
{
	fprintf(stderr, "bench_session: %s\n", what);
	exit(2);
}

static void add_setting(struct sm_job *job, char *text)
{
	char *equals = strchr(text, '=');

	if (equals == NULL || job->nsettings == MAX_SETTINGS)
		die("-s takes KEY=VALUE");
	*equals = '\0';
	settings[job->nsettings++] = (struct sm_setting){.key = text, .value = equals + 1};
	job->settings = settings;
}

static void add_seats(struct sm_job *job, unsigned threads, char *text)
{
	unsigned n = 0;

	for (char *save = NULL, *w = strtok_r(text, ",", &save); w != NULL && n < MAX_SEATS;
	     w = strtok_r(NULL, ",", &save))
		seats[n++] = (struct sm_seat){.cpu = atoi(w), .node = -1};
	if (n < threads + job->workers)
		die("-P: a CPU for each mutator and mark worker");
	job->mutators = seats;
	job->marks = seats + threads;
}

static void print_results(const struct sm_sample *s)
{
	for (unsigned i = 0; i < s->nresults; i++) {
		const struct sm_result *r = &s->results[i];

		if (r->has_value)
			printf("%s %.15g %s\n", r->name, r->value, r->unit);
		else
			printf("%s n/a %s\n", r->name, r->reason);
	}
}

static void print_metrics(const struct sm_sample *s)
{
	for (unsigned i = 0; i < s->nmetrics; i++) {
		const struct sm_metric *m = &s->metrics[i];

		printf("metric %s %d %s %s ", m->role, m->thread, m->phase, m->metric);
		if (m->has_value)
			printf("%.9g %s\n", m->value, m->unit);
		else
			printf("n/a %s: %s\n", sm_status_names[m->status], m->reason);
	}
}

int main(int argc, char **argv)
{
	char err[256];
	struct sm_params params;
	struct sm_job job;
	struct sm_sample sample;
	const struct sm_workload *w = argc > 1 ? sm_workload_find(argv[1], err, sizeof(err)) : NULL;
	bool metrics = false;
	char *pins = NULL;
	int c;

	if (w == NULL)
		die(argc > 1 ? err : "no workload named");
	sm_params_init(&params, w, false);
	sm_job_init(&job, &params);
	for (optind = 2; optind < argc;) {
		c = getopt(argc, argv, "+b:s:k:P:m");
		if (c == 'b' && sm_wl_backend_parse(optarg, &job.backend, err, sizeof(err)) != 0)
			die(err);
		else if (c == 's')
			add_setting(&job, optarg);
		else if (c == 'k')
			job.workers = (unsigned)atoi(optarg);
		else if (c == 'P')
			pins = optarg;
		else if (c == 'm')
			metrics = true;
		else if (c == '?')
			return 2;
		else if (c == -1 && sm_params_set(&params, argv[optind++], err, sizeof(err)) != 0)
			die(err);
	}
	if (pins != NULL)
		add_seats(&job, sm_params_threads(&params), pins);
	c = sm_session_run(&job, &sample);
	if (sample.output != NULL)
		fputs(sample.output, stdout);
	if (sample.warnings != NULL)
		fputs(sample.warnings, stderr);
	print_results(&sample);
	if (metrics)
		print_metrics(&sample);
	if (c != 0)
		fprintf(stderr, "bench_session: %s\n", sample.error);
	sm_sample_free(&sample);
	return c == 0 ? 0 : 1;
}
