/*
 * What a run counts: metrics, the events behind them, and which events can count together.
 *
 * sm_counterset_new() reads the sets asked for and the -e strings, resolves every event for each
 * core PMU of this machine, tries to open each one, and packs them into *passes*: a pass is what
 * fits on the counters at once, found by opening it, and all events of one formula are in one pass,
 * so that no ratio mixes groups that ran at different times. The harness runs a sample once per
 * pass (sm_region_thread_open takes the pass) and joins the metrics: each metric says in which pass
 * it was counted. With `multiplex` there is one pass and the kernel rotates the groups; its values
 * are scaled and labelled.
 *
 * A set is built once, before threads start, and is read-only afterwards: any thread may use it.
 * Reasons in readings point into it.
 */
#ifndef SM_PERF_COUNTERSET_H
#define SM_PERF_COUNTERSET_H

#include "perf/counter.h"
#include "perf/events.h"
#include "perf/pmu.h"
#include "perf/setfile.h"

#define SM_METRIC_EVENTS 12 /* events in one formula */

enum sm_counters_from {
	SM_COUNTERS_AUTO, /* pmu and sw */
	SM_COUNTERS_SW,	  /* sw only: hardware events are n/a "switched off" */
	SM_COUNTERS_SIM,  /* the run happens under Callgrind (counter_sim.h); sw still counts */
};

struct sm_counterset_options {
	const char *const *sets; /* names or paths of .ini files */
	unsigned n_sets;
	const char *const *events; /* -e strings, one each */
	unsigned n_events;
	enum sm_counters_from from;
	bool multiplex;	   /* all groups at once, the kernel rotates them */
	bool count_kernel; /* hardware events in kernel mode too (needs permission) */
	bool no_probe;	   /* resolve only: nothing is opened, one pass (the linter, listings) */
	bool no_user_read; /* never rdpmc */
	bool no_screen;	   /* do not look for events that open but never count (screen.h) */
	const struct sm_pass_plan *plan; /* as another was built; opens nothing; NULL: find out */
	const char *user_dir;		 /* the user's sets; NULL: sm_setfile_user_dir */
	const char *root;		 /* of /sys and /proc, for tests; NULL: "" */
	const struct sm_opener *opener;	 /* for tests; NULL: the kernel */
};

/* One event, resolved for each core PMU ("kind"). */
struct sm_cs_event {
	char name[SM_EVENT_STRING];   /* in formulas; for -e events the string itself */
	char string[SM_EVENT_STRING]; /* what was asked for, of the first kind that has it */
	bool constant;		      /* const::N in a set: a number, not an event */
	double value;
	bool uncore; /* counted per package or L3 (uncore.h), not per thread */
	/* bit set of the passes that count it (hardware events; software: every pass) */
	uint64_t in_pass;
	struct sm_event_resolved res[SM_PMU_KINDS];
};

/* One column. */
struct sm_cs_metric {
	char set[32];		    /* "" for -e */
	char name[SM_EVENT_STRING]; /* unique within its set */
	char formula[160];	    /* "": the single event's value */
	char unit[24];
	char help[120];
	enum sm_better better;
	unsigned n_events;
	unsigned events[SM_METRIC_EVENTS]; /* indexes into events */
	bool uncore;
	unsigned pass;
	enum sm_source source;	/* of its events; pmu where they are mixed with sw */
	enum sm_status refused; /* other than OK: cannot be counted here, for this reason: */
	char reason[160];
};

struct sm_counterset {
	struct sm_counterset_options opt;
	struct sm_pmus pmus;
	unsigned n_kinds; /* core PMUs */
	unsigned n_events, n_metrics;
	unsigned n_passes; /* how often a sample is run to count everything */
	/* groups of hardware events: one per pass, or all in one pass when multiplexing */
	unsigned n_groups;
	struct sm_cs_event *events;
	struct sm_cs_metric *metrics;
	/* hardware events in the fullest pass: how many counters were found */
	unsigned most_together;
};

/*
 * Builds. 0; -EINVAL or -ENOENT with one line naming the set or event and what is allowed; -ENOMEM.
 * Events that this machine cannot count are no error: their metrics say why.
 */
int sm_counterset_new(const struct sm_counterset_options *opt, struct sm_counterset **out,
		      char *err, size_t errlen);
void sm_counterset_free(struct sm_counterset *cs);

/*
 * What was found out when a set was built: which events cannot be counted on which kind of core,
 * and in which pass each metric is counted. A set of the same names that is built with the plan of
 * another (options.plan) opens nothing and has the same passes, however many counters are free by
 * then: a worker's beside its parent's.
 */
struct sm_pass_verdict {
	unsigned event, kind;
	enum sm_status status;
	const char *reason;
};
struct sm_pass_metric {
	const char *name;
	int pass; /* -1: in none */
};
struct sm_pass_plan {
	unsigned n_verdicts, n_metrics;
	struct sm_pass_verdict *verdicts;
	struct sm_pass_metric *metrics;
};

/* The plan of cs, whose strings it borrows; free() both arrays. 0 or -ENOMEM. */
int sm_counterset_plan(const struct sm_counterset *cs, struct sm_pass_plan *out);

/* The event label to print under a column: the resolved strings behind it, for one kind. */
void sm_counterset_label(const struct sm_counterset *cs, const struct sm_cs_metric *m,
			 unsigned kind, char *buf, size_t len);

/* Values that formulas may use beside events. NAN: not known. */
struct sm_metric_env {
	double ops;
	double seconds;
};

struct sm_metric_value {
	enum sm_status status;
	enum sm_source source;
	double value;	  /* only when status is OK or MULTIPLEXED */
	char reason[160]; /* "" when OK */
};

/*
 * Evaluates a metric over the readings of one row (one thread, or a sum over threads), readings[i]
 * belonging to event i. Never fails: what cannot be said has a status and a reason.
 */
void sm_metric_eval(const struct sm_counterset *cs, const struct sm_cs_metric *m, unsigned kind,
		    const struct sm_reading *readings, const struct sm_metric_env *env,
		    struct sm_metric_value *out);

/* The reading of an event that cannot be counted on this kind, or is not in this pass. */
struct sm_reading sm_counterset_missing(const struct sm_counterset *cs, unsigned event,
					unsigned kind, unsigned pass);

#endif
