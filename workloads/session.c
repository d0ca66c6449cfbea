/*
 * session.c: one sample in this process: configuration, heap and collector, the run, its results.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collector/generations/remember.h"
#include "perf/clock.h"
#include "perf/counterset.h"
#include "perf/pin.h"
#include "perf/topology.h"
#include "spanmark/malloc.h"
#include "spanmark/stack.h"
#include "workloads/counting.h"
#include "workloads/requests.h"
#include "workloads/run_internal.h"
#include "workloads/trace/trace.h"

void sm_job_init(struct sm_job *job, const struct sm_params *params)
{
	memset(job, 0, sizeof(*job));
	job->params = params;
	job->backend = SM_WL_GC;
	job->by = SM_BY_ROLE;
	job->seed = 1;
}

/* ---- configuration ------------------------------------------------------------------------ */

static const char *backend_name(const struct sm_job *job)
{
	return job->backend_name != NULL ? job->backend_name : sm_wl_backend_name(job->backend);
}

static int check_backend(const struct sm_job *job, char *err, size_t errlen)
{
	const struct sm_workload *w = job->params->workload;
	size_t at;
	bool first = true;

	if ((w->backends & (1u << job->backend)) != 0)
		return 0;
	at = (size_t)snprintf(err, errlen, "%s: backend=%s: must be", w->name, backend_name(job));
	for (unsigned b = 0; b < SM_WL_COUNT && at < errlen; b++)
		if ((w->backends & (1u << b)) != 0) {
			at += (size_t)snprintf(err + at, errlen - at, "%s %s", first ? "" : " or",
					       sm_wl_backend_name((enum sm_wl_backend)b));
			first = false;
		}
	return -EINVAL;
}

const char *sm_job_setting_variable(const char *key)
{
	return strncmp(key, "env.", 4) == 0 ? key + 4 : NULL;
}

/* What is loaded into the worker is its backend's matter. */
static int check_variable(const char *name, char *err, size_t errlen)
{
	size_t n = strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_0123456789");

	if (n > 0 && name[n] == '\0' && (name[0] < '0' || name[0] > '9') &&
	    strncmp(name, "LD_", 3) != 0)
		return 0;
	snprintf(err, errlen,
		 "env.%.60s: allowed: env.NAME=VALUE, where NAME has letters, digits and _, and "
		 "does not begin with LD_",
		 name);
	return -EINVAL;
}

static int apply_settings(const struct sm_job *job, struct sm_gc_config *cfg, char *err,
			  size_t errlen)
{
	for (unsigned i = 0; i < job->nsettings; i++) {
		const char *key = job->settings[i].key, *variable = sm_job_setting_variable(key);
		int rc = variable != NULL
				 ? check_variable(variable, err, errlen)
				 : sm_gc_config_set(cfg, key, job->settings[i].value, err, errlen);

		if (rc != 0)
			return -EINVAL;
	}
	return 0;
}

static int check_params(const struct sm_job *job, char *err, size_t errlen)
{
	const struct sm_workload *w = job->params->workload;
	char why[160];

	if (w->check == NULL || w->check(job->params, why, sizeof(why)) == 0)
		return 0;
	snprintf(err, errlen, "%s: %s", w->name, why);
	return -EINVAL;
}

int sm_job_check(const struct sm_job *job, char *err, size_t errlen)
{
	struct sm_gc_config cfg;
	int rc = check_backend(job, err, errlen);

	if (rc == 0)
		rc = check_params(job, err, errlen);
	if (rc != 0)
		return rc;
	sm_gc_config_init(&cfg);
	rc = apply_settings(job, &cfg, err, errlen);
	return rc == 0 && job->backend == SM_WL_GC ? sm__remember_check(&cfg, err, errlen) : rc;
}

bool sm_job_setting_counts(enum sm_wl_backend backend, const char *key)
{
	if (sm_job_setting_variable(key) != NULL)
		return backend == SM_WL_LIBC || backend == SM_WL_BDWGC;
	return backend == SM_WL_GC || (backend == SM_WL_SPAN && strncmp(key, "gc.", 3) != 0);
}

void sm_job_setting_keys(void (*fn)(void *ctx, const char *key, const char *values,
				    const char *help),
			 void *ctx)
{
	for (const struct sm_config_key *k = sm_gc_config_keys(); k->name != NULL; k++)
		fn(ctx, k->name, k->values, k->help);
	for (const struct sm_config_key *k = sm_heap_config_keys(); k->name != NULL; k++)
		fn(ctx, k->name, k->values, k->help);
	fn(ctx, "env.NAME", "any text",
	   "environment variable of the worker, for the malloc libraries and programs that read "
	   "it");
}

/*
 * The machine's nodes and CPUs, as the plain arrays that the heap takes. Nodes without memory that
 * we may use, and what exceeds the arrays, stay out: such a CPU counts as node 0's.
 */
static void apply_topology(const struct sm_topology *t, struct sm_gc_config *cfg)
{
	if (t == NULL || !t->is_thissystem || t->n_nodes > SM_MAX_NODES)
		return;
	cfg->heap.nnodes = (unsigned)t->n_nodes;
	for (int i = 0; i < t->n_nodes; i++) {
		cfg->heap.node_os[i] = t->nodes[i].os;
		for (int j = 0; j < t->n_nodes; j++) {
			unsigned d = sm_topology_distance(t, i, j);

			cfg->heap.distance[i][j] = (uint16_t)(d < UINT16_MAX ? d : UINT16_MAX);
		}
	}
	for (int i = 0; i < t->n_pus; i++) {
		const struct sm_topo_pu *pu = &t->pus[i];

		if (pu->os < 0 || pu->os >= SM_MAX_CPUS)
			continue;
		if (pu->node >= 0)
			cfg->heap.cpu_node[pu->os] = (uint8_t)pu->node;
		if (pu->l3 >= 0)
			cfg->cpu_l3[pu->os] = (uint16_t)pu->l3;
	}
}

/* ---- the collector's threads -------------------------------------------------------------- */

static const struct sm_seat *mark_seat(const struct sm_job *job, unsigned index, const char *role)
{
	bool mark = strcmp(role, "mark") == 0;

	return mark && job->marks != NULL && index < job->workers ? &job->marks[index] : NULL;
}

/* Runs on each thread of the collector, before it does anything. */
static void worker_start(void *ctx, unsigned index, const char *role)
{
	struct sm_run *run = ctx;
	const struct sm_seat *seat = mark_seat(run->job, index, role);
	char who[48];

	snprintf(who, sizeof(who), "%s worker %u", role, index);
	if (seat == NULL || seat->cpu < 0)
		sm_pin_release(); /* it may have inherited a mutator's pin */
	else
		sm__run_seat(run, seat, who);
	sm__counting_thread_start(run->counting, role, index, seat);
	sm__trace_thread_start(run->trace, role, index);
}

static void worker_stop(void *ctx, unsigned index, const char *role)
{
	struct sm_run *run = ctx;
	char who[48];

	snprintf(who, sizeof(who), "%s worker %u", role, index);
	sm__run_seat_check(run, mark_seat(run->job, index, role), who);
	sm__trace_thread_stop(run->trace);
	sm__counting_thread_stop(run->counting);
}

/*
 * The malloc heap asks the kernel for the nodes where it is not told; we know, and count them the
 * same on every backend.
 */
static void configure_nodes(const struct sm_job *job)
{
	struct sm_gc_config cfg;

	sm_gc_config_init(&cfg);
	apply_topology(job->topology, &cfg);
	if (cfg.heap.nnodes > 1)
		(void)sm_malloc_configure_nodes(&cfg.heap);
}

/* Backend span: malloc's heap takes the heap's settings; those that are not for it, and all on
 * the others, are named in a warning. */
static int configure_explicit(struct sm_run *run)
{
	char why[200];

	if (run->job->backend == SM_WL_SPAN)
		configure_nodes(run->job);
	for (unsigned i = 0; i < run->job->nsettings; i++) {
		const struct sm_setting *s = &run->job->settings[i];
		int err = -ENOENT;

		if (sm_job_setting_variable(s->key) != NULL) /* it is in the environment */
			continue;
		if (run->job->backend == SM_WL_SPAN)
			err = sm_malloc_configure(s->key, s->value, why, sizeof(why));
		if (err == -ENOENT)
			sm_run_warn(run, "%s=%s has no effect on backend %s\n", s->key, s->value,
				    backend_name(run->job));
		else if (err == -EBUSY)
			sm_run_warn(run,
				    "%s=%s has no effect: this process has allocated already\n",
				    s->key, s->value);
		else if (err != 0)
			return sm_run_fail(run, err, "%s", why);
	}
	return 0;
}

bool sm__run_simulated(const struct sm_run *run)
{
	return run->job->counters != NULL && run->job->counters->opt.from == SM_COUNTERS_SIM;
}

static void warn_for_bdwgc(void *ctx, const char *text)
{
	sm_run_warn(ctx, "bdwgc: %s\n", text);
}

/* Before anything is pinned: its own threads inherit where they may run. */
static int begin_bdwgc(struct sm_run *run)
{
	char why[200];
	unsigned own;

	if (sm_bdwgc_load(run->job->library, why, sizeof(why)) != 0)
		return sm_run_fail(run, -ENOENT, "%s", why);
	own = sm_bdwgc_begin(run->nthreads, sm__run_simulated(run), warn_for_bdwgc, run);
	if (own > 0)
		sm_run_warn(run,
			    "bdwgc marks with %u thread%s of its own, whose counts and time are "
			    "in no row; GC_MARKERS=1 leaves marking to mutators\n",
			    own, own == 1 ? "" : "s");
	return 0;
}

static int make_collector(struct sm_run *run)
{
	struct sm_gc_config cfg;
	char why[200];

	sm_gc_config_init(&cfg);
	if (sm__run_simulated(run)) {
		/* Counts that repeat: threads run one at a time there, in an order that nobody
		 * chose. */
		cfg.tuning.sync = true;
		cfg.heap.scavenge_ms = 0;
	}
	apply_topology(run->job->topology, &cfg);
	if (apply_settings(run->job, &cfg, why, sizeof(why)) != 0)
		return sm_run_fail(run, -EINVAL, "%s", why);
	if (run->job->workers != 0)
		cfg.workers = run->job->workers;
	run->compacts = cfg.compact != SM_GC_COMPACT_OFF;
	cfg.worker_start = worker_start;
	cfg.worker_stop = worker_stop;
	cfg.worker_ctx = run;
	run->gc = sm_gc_create(&cfg, why, sizeof(why));
	if (run->gc == NULL)
		return sm_run_fail(run, errno != 0 ? -errno : -EINVAL, "cannot make the heap: %s",
				   why);
	if (run->compacts)
		sm__compactions_begin(run);
	return 0;
}

/* ---- the timeline ------------------------------------------------------------------------- */

/* The seats' CPUs, which the writer is kept off. malloc'ed. */
static int *seat_cpus(const struct sm_run *run, unsigned *n)
{
	const struct sm_job *job = run->job;
	int *cpus = calloc(run->nthreads + job->workers + 1, sizeof(*cpus));

	*n = 0;
	for (unsigned i = 0; cpus != NULL && job->mutators != NULL && i < run->nthreads; i++)
		cpus[(*n)++] = job->mutators[i].cpu;
	for (unsigned i = 0; cpus != NULL && job->marks != NULL && i < job->workers; i++)
		cpus[(*n)++] = job->marks[i].cpu;
	return cpus;
}

/* Before any thread starts or is pinned. Without it the sample is as good. */
static void open_trace(struct sm_run *run)
{
	struct sm_trace_to to;
	int *cpus, err = -ENOMEM;

	if (run->job->trace == NULL)
		return;
	to = *run->job->trace;
	to.cpus = cpus = seat_cpus(run, &to.ncpus);
	if (cpus != NULL)
		err = sm__trace_open(&to, &run->trace);
	free(cpus);
	if (err != 0)
		sm_run_warn(run, "there is no timeline: %s\n", strerror(-err));
}

static void collection(void *trace, enum sm_cycle_event event)
{
	sm__trace_span(trace, SM_TRACE_COLLECTION, event == SM_CYCLE_BEGINS);
}

static void watch_heap(struct sm_run *run)
{
	if (run->trace == NULL)
		return;
	if (run->gc != NULL)
		(void)sm_gc_on_cycle(run->gc, collection, run->trace);
	sm__trace_watch(run->trace, run->gc,
			run->job->backend == SM_WL_SPAN ? sm_malloc_heap() : NULL);
}

/* All threads have ended. */
static void close_trace(struct sm_run *run)
{
	struct sm_trace_totals n;

	if (run->trace == NULL)
		return;
	sm__trace_close(run->trace, &n);
	run->trace = NULL;
	if (n.err == 0) { /* else nobody knows how much the file has */
		sm_run_result(run, SM_RESULT_trace_events, (double)n.events);
		sm_run_result(run, SM_RESULT_trace_dropped, (double)n.dropped);
	}
	if (n.dropped > 0)
		sm_run_warn(run,
			    "the timeline lacks %" PRIu64 " of %" PRIu64
			    " events: rings were full, its tracks say where\n",
			    n.dropped, n.events + n.dropped);
	if (n.err != 0)
		sm_run_warn(run, "the timeline ends early, its file cannot be written: %s\n",
			    strerror(-n.err));
}

/* ---- the run ------------------------------------------------------------------------------ */

/* Calls the workload with a way out for sm_run_out_of_memory. */
static SM_NOINLINE int call_workload(struct sm_run *run)
{
	struct sm_thread_exit out;
	int err = -ENOMEM;

	sm__thread_exit = &out;
	if (setjmp(out.env) == 0)
		err = run->job->params->workload->run(run);
	sm__thread_exit = NULL;
	return err;
}

static void tell_beside(const struct sm_run *run, struct sm_gc *gc)
{
	if (run->job->beside != NULL && run->gc != NULL)
		run->job->beside(gc);
}

static void run_workload(struct sm_run *run)
{
	int err;

	if (sm__counting_new(run, &run->counting) != 0)
		return;
	open_trace(run);
	err = run->job->backend == SM_WL_GC	 ? make_collector(run)
	      : run->job->backend == SM_WL_BDWGC ? begin_bdwgc(run)
						 : 0;
	if (err == 0 && run->job->backend != SM_WL_GC)
		err = configure_explicit(run);
	if (err != 0)
		return;
	watch_heap(run);
	(void)sm_stack_watch("mutator 0");
	if (sm__thread_start(&run->thread0, run, 0) == 0) {
		tell_beside(run, run->gc);
		err = call_workload(run);
		tell_beside(run, NULL);
		if (err != 0)
			sm_run_fail(run, err, "%s failed: %s", run->job->params->workload->name,
				    strerror(-err));
		if (run->error == 0)
			sm__run_report(run);
		sm__thread_stop(&run->thread0);
	}
	sm_stack_unwatch();
	sm_bdwgc_end();
	sm__trace_watch(run->trace, NULL, NULL);
	if (run->gc != NULL)
		sm_gc_destroy(run->gc); /* its threads end, and hand their counts over */
	if (run->error == 0 &&
	    sm__counting_collect(run->counting, run->sample, run->ops, run->timed.ns) != 0)
		sm_run_fail(run, -ENOMEM, "out of memory for metrics");
}

int sm_session_run(const struct sm_job *job, struct sm_sample *out)
{
	struct sm_run run = {
		.job = job,
		.sample = out,
		.nthreads = sm_params_threads(job->params),
		.start_ns = sm_clock_ns(),
	};

	sm_sample_init(out);
	if (sm_job_check(job, out->error, sizeof(out->error)) != 0)
		return -EINVAL;
	pthread_mutex_init(&run.lock, NULL);
	run_workload(&run);
	close_trace(&run);
	sm__counting_free(run.counting);
	sm__requests_free(&run);
	pthread_mutex_destroy(&run.lock);
	if (run.error != 0)
		sm_sample_forget(out);
	return run.error;
}
