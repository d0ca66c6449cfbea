/*
 * record.h: a sample as it is stored and reported: what was run, how it ended, what was measured. The worker
 * sends the measured part as JSON (the wire), the store keeps all of it, the writers print it.
 *
 * Strings belong to the pool the record was made with, and are never NULL; "" is "none".
 */
#ifndef SM_HARNESS_RECORD_H
#define SM_HARNESS_RECORD_H

#include "harness/pool.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cJSON;

struct sm_record_result {
	const char *name, *unit;
	const char *reason; /* without a value: why */
	bool has_value;
	double value;
};

struct sm_record_metric {
	/* role "by-core", "by-l3", "by-node", "by-kind": the sum over all threads of that core, L3, node or kind */
	const char *role, *phase, *metric, *event, *unit;
	const char *status;		 /* ok | multiplexed | unsupported | denied | not_counted */
	const char *source;		 /* pmu | sw | sim */
	const char *reason;		 /* without a value: why */
	const char *kind;		 /* core kind, "-" on uniform machines */
	int thread, cpu, node, core, l3; /* -1: none, not pinned */
	bool has_value;
	double value;
	uint64_t enabled_ns, running_ns;
	const char *doubt; /* "off" where calibration found its event to count something else; "" */
};

/* How a sample ended. Everything but "ok" has a message and no results. */
#define SM_STATUS_WORD_OK	   "ok"
#define SM_STATUS_WORD_FAILED	   "failed"	/* the worker says what went wrong */
#define SM_STATUS_WORD_CRASHED	   "crashed"	/* ended by a signal, or without a word */
#define SM_STATUS_WORD_TIMEOUT	   "timeout"	/* ran past --timeout and was killed */
#define SM_STATUS_WORD_BAD_OUTPUT  "bad-output" /* what came back is no sample */
#define SM_STATUS_WORD_INTERRUPTED "interrupted"

struct sm_record {
	/* what was run */
	unsigned ordinal; /* in the order of running, from 0 */
	unsigned group;	  /* samples of one group differ in rep and pass alone; in the order of the plan */
	const char *workload, *backend;
	const char *params, *config, *placement; /* JSON objects, as text */
	unsigned pass, rep;
	/* how it ended */
	const char *status, *message;
	double took_s;		       /* the worker process, start to end */
	const char *output, *warnings; /* what the workload printed; degradations, lines */
	/* what was measured */
	struct sm_record_result *results;
	size_t nresults;
	struct sm_record_metric *metrics;
	size_t nmetrics;
};

void sm_record_free(struct sm_record *r);

const struct sm_record_result *sm_record_result(const struct sm_record *r, const char *name);

/*
 * Fills the measured part from the worker's JSON text (len bytes). 0; -EINVAL with a reason in err when it is
 * no sample: not JSON, wrong types, values that are not finite. -ENOMEM. A refused text leaves r without
 * measurements.
 */
int sm_record_parse(struct sm_record *r, struct sm_pool *pool, const char *text, size_t len, char *err,
		    size_t errlen);

struct sm_sample; /* workloads/session.h */
/* The worker's side: the same JSON from a sample, malloc'ed; NULL when out of memory. rc: what
 * sm_session_run returned. */
char *sm_record_format(const struct sm_sample *s, int rc);

#endif
