/*
 * One session, results as "name value unit" lines: what tests/bench/gc.sh and callgrind run.
 *
 *   bench_session WORKLOAD [KEY=VALUE ..] [-b BACKEND] [-s KEY=VALUE ..] [-k WORKERS] [-P
 *   CPU,CPU,..] [-m] [-c MS]
 *
 * KEY=VALUE are the workload's parameters, -s settings of heap and collector, -P the CPUs of
 * mutators and then mark workers, -m prints the metrics too. -c: a thread of its own compacts that
 * often while the workload runs (gc.compact); how much was pinned, of all these compactions, is in
 * lines of the name compacted_*.
 */
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "spanmark/gc.h"
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

/* ---- compactions beside the workload ------------------------------------------------------ */

static unsigned compact_ms;
static struct sm_gc *compacted;
static pthread_t compactor;
static _Atomic(int) over;

static void *compact_on(void *arg)
{
	while (!over) {
		usleep(compact_ms * 1000);
		if (sm_collect_compact(compacted, NULL) != 0)
			die("-c: the compaction failed; it takes -s gc.compact=full");
	}
	return arg;
}

static void print_compacted(void)
{
	struct sm_gc_compact_stats s;

	sm_gc_compact_stats(compacted, &s);
	printf("compacted_times %" PRIu64 "\ncompacted_objects %" PRIu64 "\n", s.compactions,
	       s.total.objects);
	for (unsigned i = 0; i < SM_PIN_CAUSES; i++)
		printf("compacted_pinned_%s %" PRIu64 "\n", sm_pin_cause_name((enum sm_pin_cause)i),
		       s.total.pinned_objects[i]);
}

static void beside(struct sm_gc *gc)
{
	if (gc != NULL) {
		compacted = gc;
		if (pthread_create(&compactor, NULL, compact_on, NULL) != 0)
			die("-c: no thread");
		return;
	}
	over = 1;
	/* The caller is a mutator, for which a stop waits. */
	sm_blocking_enter(sm_mutator_current(compacted));
	pthread_join(compactor, NULL);
	sm_blocking_leave(sm_mutator_current(compacted));
	print_compacted();
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
		c = getopt(argc, argv, "+b:s:k:P:mc:");
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
		else if (c == 'c')
			compact_ms = (unsigned)atoi(optarg);
		else if (c == '?')
			return 2;
		else if (c == -1 && sm_params_set(&params, argv[optind++], err, sizeof(err)) != 0)
			die(err);
	}
	if (pins != NULL)
		add_seats(&job, sm_params_threads(&params), pins);
	if (compact_ms != 0)
		job.beside = beside;
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
