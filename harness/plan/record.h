/*
 * record.h: a sample as it is stored and reported: what was run, how it ended, what was measured.
 * The worker sends the measured part as JSON (the wire), the store keeps all of it, the writers
 * print it.
 *
 * Strings belong to the pool the record was made with, and are never NULL; "" is "none".
 */
#ifndef SM_HARNESS_RECORD_H
#define SM_HARNESS_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "workloads/metric.h"

/* How a sample ended. Everything but OK has a message and no results. */
enum sm_outcome {
	SM_OUTCOME_OK,
	SM_OUTCOME_FAILED,     /* the worker says what went wrong */
	SM_OUTCOME_CRASHED,    /* ended by a signal, or without a word */
	SM_OUTCOME_TIMEOUT,    /* ran past --timeout and was killed */
	SM_OUTCOME_BAD_OUTPUT, /* what came back is no sample */
	SM_OUTCOME_INTERRUPTED,
	SM_OUTCOME_ABSENT, /* its backend is not installed: not run, and no failure */
};
/* "ok", "failed", "crashed", "timeout", "bad-output", "interrupted", "n/a"; NULL after the
 * last (perf/names.h). */
extern const char *const sm_outcome_names[];

struct sm_record {
	/* what was run */
	unsigned ordinal; /* in the order of running, from 0 */
	/* samples of one group differ in rep and pass alone; in the order of the plan */
	unsigned group;
	const char *workload, *backend;
	const char *params, *config, *placement; /* JSON objects, as text */
	unsigned pass, rep;
	/* of a job, not kept */
	const char *label; /* "graph gc gc.mode=stw", for progress */
	bool simulated;	   /* runs under Callgrind */
	bool beside;  /* a simulated pass beside samples that are measured: see harness/run/sim.h */
	bool program; /* is one: the worker starts it */
	double timeout_s;
	const char *preload; /* into the worker; "": nothing */
	const char *missing; /* why it is not to be run; "": it is */
	/* how it ended */
	enum sm_outcome status;
	const char *message;
	double took_s;		       /* the worker process, start to end */
	const char *output, *warnings; /* what the workload printed; degradations, lines */
	const char *library; /* {"path","version","build_id"} of what it ran with; "": none */
	/* what was measured */
	struct sm_result *results;
	size_t nresults;
	struct sm_metric *metrics;
	size_t nmetrics;
	struct sm_series *series;
	size_t nseries;
	uint64_t began_ns, ended_ns; /* of a worker's answer, not kept: as in struct sm_sample */
};

struct sm_trail; /* workloads/series.h */

void sm_record_free(struct sm_record *r);

/* Of --program or --server. */
bool sm_record_is_program(const struct sm_record *r);
/* Of a simulated pass beside measured samples: it has counts for an operation of a smaller size,
 * and nothing else. */
bool sm_record_is_beside(const struct sm_record *r);
const struct sm_result *sm_record_result(const struct sm_record *r, const char *name);

/*
 * Fills the measured part from the worker's JSON text (len bytes). 0; -EINVAL with a reason in err
 * when it is no sample: not JSON, wrong types, values that are not finite. -ENOMEM. A refused text
 * leaves r without measurements.
 */
int sm_record_parse(struct sm_record *r, struct sm_pool *pool, const char *text, size_t len,
		    char *err, size_t errlen);

/* The runner's: the worker's resident memory since its timed part began, as one more series. 0 or
 * -ENOMEM. */
int sm_record_add_resident(struct sm_record *r, struct sm_pool *pool, const struct sm_trail *t);

/* Of the library: "5.3.0 (libjemalloc.so.2, build 1d5163c246dc)"; "" where there is none. */
void sm_record_library(const struct sm_record *r, char *buf, size_t len);
/* Its "path", "version" or "build_id"; "": not known. */
void sm_record_library_part(const struct sm_record *r, const char *part, char *buf, size_t len);

struct sm_sample;  /* workloads/session.h */
struct sm_library; /* library.h */
/* The worker's side: the same JSON from a sample, malloc'ed; NULL when out of memory. rc: what
 * sm_session_run returned. library NULL: it ran with none. */
char *sm_record_format(const struct sm_sample *s, const struct sm_library *library, int rc);

#endif
