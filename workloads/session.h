/*
 * session.h: one sample: a workload, run once, in this process, under the placement, configuration
 * and counters that the job names.
 *
 * How a sample travels: sm_session_run pins the calling thread to the first mutator's seat, makes
 * the heap (and for backend gc the collector, whose mark workers it pins in their start callback),
 * opens counters for each thread as it starts, connects the allocator's phase hook to the counter
 * regions, calls workload->run, and collects results and metrics. It is meant for a fresh process
 * for each sample: peak memory, page faults and the collector's threads are the process's.
 *
 * What is timed. Only what lies between sm_run_timed_begin and sm_run_timed_end of the workload
 * counts: wall_s, ns_per_op, gc_cycles, allocated bytes, faults, stalls and every metric. Building
 * the data that a workload needs beforehand is excluded, reported as setup_s. peak_rss_kib is the
 * process's, since the kernel keeps no other.
 */
#ifndef SM_WORKLOADS_SESSION_H
#define SM_WORKLOADS_SESSION_H

#include "workloads/metric.h"
#include "workloads/workload.h"

struct sm_topology;   /* perf/topology.h */
struct sm_counterset; /* perf/counterset.h */
struct sm_trace_to;   /* workloads/trace/trace.h */

/* Where a thread is put. */
struct sm_seat {
	int cpu;  /* os number of the PU to pin to, -1: unpinned */
	int node; /* os number of the node local to it, -1: unknown */
};

struct sm_gc;

/* A setting of heap or collector: what --set KEY=VALUE says. */
struct sm_setting {
	const char *key, *value;
};

struct sm_job {
	const struct sm_params *params; /* with the workload */
	enum sm_wl_backend backend;
	const char *backend_name; /* as the user knows it; NULL: as the kernel is called */
	const char *library;	  /* bdwgc: the file to load; NULL: as the loader finds it */
	const struct sm_setting *settings;
	unsigned nsettings;
	/* mutators[0 .. sm_params_threads(params)): the first is the calling thread's. NULL:
	 * unpinned. */
	const struct sm_seat *mutators;
	/* Mark workers (backend gc). workers 0: as many as the settings or the collector say,
	 * unpinned. */
	unsigned workers;
	const struct sm_seat *marks; /* NULL: unpinned */
	/* The machine, for the heap's nodes and for labels. NULL: one node, nothing bound. */
	const struct sm_topology *topology;
	/* What to count, and which of its passes; NULL: nothing, the sample has results but no
	 * metrics. */
	const struct sm_counterset *counters;
	unsigned pass;
	/* Sums beside those by thread and role: SM_BY_CORE, .. _L3, .. _NODE, .. _KIND; SM_BY_ROLE:
	 * none. */
	enum sm_by by;
	uint64_t seed; /* of every random choice; equal seeds make equal choices */
	/* Where its timeline goes; what it has of rings and CPUs is set by the session. NULL: none
	 * is recorded. */
	const struct sm_trace_to *trace;
	/* Is told of the collector before the workload begins and, before that ends, with NULL: for
	 * benchmarks that do something beside it. NULL: nobody is. */
	void (*beside)(struct sm_gc *gc);
};

/* Fills *job with backend gc, no settings, nothing pinned, nothing counted, seed 1. */
void sm_job_init(struct sm_job *job, const struct sm_params *params);

/*
 * Checks what can be checked before a process is started: backend against workload,
 * parameters against each other, settings against the tables of heap and collector (and their
 * values), seats against nothing. 0, or -EINVAL
 * and one line in err that names the option, the value and what is allowed.
 */
int sm_job_check(const struct sm_job *job, char *err, size_t errlen);
/* A setting "env.NAME" is none of the heap's but a variable of the worker's environment, for a
 * malloc that reads it. NAME; NULL: it is another setting. */
const char *sm_job_setting_variable(const char *key);

/* Does the backend read the setting? What a heap without a collector, or libc, ignores is no case.
 */
bool sm_job_setting_counts(enum sm_wl_backend backend, const char *key);

/* The keys that settings may use, both tables; calls fn for each. */
void sm_job_setting_keys(void (*fn)(void *ctx, const char *key, const char *values,
				    const char *help),
			 void *ctx);

/* ---- what comes back ---------------------------------------------------------------------- */

/* Strings of results and metrics are the pool's. */
struct sm_sample {
	struct sm_result *results;
	size_t nresults;
	struct sm_metric *metrics;
	size_t nmetrics;
	struct sm_series *series;
	size_t nseries;
	/* CLOCK_MONOTONIC, when the first timed part began and the last one ended; 0: none did */
	uint64_t began_ns, ended_ns;
	struct sm_pool pool;
	char *output;	 /* what the workload printed (slices), lines; NULL when nothing */
	char *warnings;	 /* lines, each a degradation the reader must know of; NULL when none */
	char error[256]; /* why the sample failed, one line; "" when it did not */
};

/*
 * Runs the job. 0; or -errno and out->error: -EINVAL for what sm_job_check finds, -ENOMEM, -EIO
 * when a pin did not take, and the workload's own. *out is valid, and to be freed, in every case;
 * on failure it holds no results.
 */
int sm_session_run(const struct sm_job *job, struct sm_sample *out);

/* A second result of a name replaces the first. A value that is not finite is none. The strings are
 * copied. -ENOMEM. */
void sm_sample_init(struct sm_sample *s);
int sm_sample_add_result(struct sm_sample *s, const struct sm_result *r);
int sm_sample_add_metric(struct sm_sample *s, const struct sm_metric *m);
int sm_sample_add_series(struct sm_sample *s, const struct sm_series *series);
/* The result of this name, or NULL. */
const struct sm_result *sm_sample_result(const struct sm_sample *s, const char *name);
/* Of a simulated pass beside measured samples: keeps what was simulated, counts for a marked object
 * included, and how many operations it was (simulated_ops), and drops the rest. 0 or -ENOMEM. */
int sm_sample_keep_simulated(struct sm_sample *s);
/* Drops results, metrics and series: of a run that failed. */
void sm_sample_forget(struct sm_sample *s);
void sm_sample_free(struct sm_sample *s);

#endif
