/*
 * store.h: where samples are kept: one SQLite file, any number of runs in it.
 *
 * A run is begun with its environment and its plan; each sample is committed in a transaction of
 * its own as it arrives (WAL, so readers are not in the way); kill -9 at any moment loses at most
 * the sample in flight, and sm_store_unfinished finds the run to go on with. Reports read only from
 * here.
 *
 *     run 1 --- n plan      the jobs, as JSON, in the order of running
 *         1 --- n sample    1 --- n result
 *                           1 --- n metric --- event, reason: a number of word
 *                           1 --- n series
 *         1 --- n calibration   expected and counted, by spanmark doctor --calibrate
 *
 * A database is recognised by its application_id; the layout's number is user_version. Opening
 * anything else fails and changes nothing. Calls return 0 or -errno; err gets one line that names
 * the file. Single-threaded.
 */
#ifndef SM_HARNESS_STORE_H
#define SM_HARNESS_STORE_H

#include <stdio.h>

#include "harness/plan/record.h"
#include "harness/plan/until.h"

#define SM_STORE_SCHEMA	 7
#define SM_STORE_DEFAULT "spanmark.db" /* in the current folder */

struct sm_store;

/* path NULL: a private temporary database that vanishes with the process. */
int sm_store_open(const char *path, struct sm_store **out, char *err, size_t errlen);
/* An existing store, which stays as it is to the byte: for reports. One of an older layout, or on a
 * read-only disk, is read too. */
int sm_store_open_read(const char *path, struct sm_store **out, char *err, size_t errlen);
void sm_store_close(struct sm_store *s);
/* Of what these two returned: a full disk, a limit or a lock, not the command line's fault, unless
 * the path names a device or folder. */
bool sm_store_is_no_mistake(int rc, const char *path);

/* What the last failure was, one line. */
const char *sm_store_error(const struct sm_store *s);

/* ---- writing ------------------------------------------------------------------------------ */

struct sm_run_info {
	const char *environment; /* JSON object */
	const char *topology;	 /* hwloc XML; may be NULL */
	const char *command_line;
	const char *by; /* --by of the run, for its reports */
	uint64_t seed;
	unsigned planned; /* samples */
};

int sm_store_begin(struct sm_store *s, const struct sm_run_info *info, const char *const *jobs,
		   int64_t *run);
int sm_store_add(struct sm_store *s, int64_t run, const struct sm_record *r);
/* More jobs for the plan, behind those it has. */
int sm_store_grow(struct sm_store *s, int64_t run, const char *const *jobs, unsigned n);
/* The plan ends before job `planned`: none from there on has a sample. */
int sm_store_cut(struct sm_store *s, int64_t run, unsigned planned);
/* state: "done", "interrupted", .. */
int sm_store_end(struct sm_store *s, int64_t run, const char *state);

/* One event under one kernel of a calibration (perf/calibrate.h). */
struct sm_calibration_row {
	const char *event, *kernel, *verdict, *reason; /* event: the metric's name */
	const char *label;			       /* the resolved event */
	bool has_value;
	double expected, counted, error;
};
/* What was known of this machine's counters when the run began. */
int sm_store_add_calibration(struct sm_store *s, int64_t run, const struct sm_calibration_row *c);

/* ---- reading ------------------------------------------------------------------------------ */

struct sm_report {
	int64_t run;
	const char *identity, *host; /* of the machine */
	const char *environment;     /* JSON object */
	const char *topology;	     /* hwloc XML; "": not kept */
	const char *command_line, *state, *started, *by;
	uint64_t seed;
	unsigned planned;
	struct sm_record *records; /* by group, then rep, then pass; their rows are in the pool */
	size_t nrecords;
	struct sm_calibration_row *calibrations;
	size_t ncalibrations;
	unsigned reps;	       /* repetitions that were begun */
	struct sm_until until; /* ntargets 0: without --until */
	double confidence;     /* of one interval: 95 %, widened for the looks of --until */
	struct sm_pool pool;
};

/* run 0: the last one. -ENOENT when there is none. */
int sm_store_load(struct sm_store *s, int64_t run, struct sm_report *out);
/* By what a user calls it. */
int sm_store_load_named(struct sm_store *s, const char *name, struct sm_report *out);
void sm_report_free(struct sm_report *r);

/*
 * What a user calls a run: its number in this store; the first digits of its identity, which is the
 * same in every store that the run was copied to; "last".
 */
#define SM_STORE_LAST	"last"
#define SM_STORE_PREFIX 4 /* digits of an identity, at least */
bool sm_store_is_name(const char *text);
/* name NULL: the last. 0; -ENOENT: there is none; -EINVAL: no name, or of several. */
int sm_store_find(struct sm_store *s, const char *name, int64_t *run);

struct sm_run_row {
	int64_t id;
	const char *identity, *host, *cpu_model, *started, *finished, *command_line;
	const char *note;  /* --note */
	const char *state; /* "running", "unfinished": it is not, "interrupted", "done" */
	uint64_t planned, samples, failed;
};
struct sm_runs {
	struct sm_run_row *v; /* by number */
	size_t n;
	struct sm_pool pool;
};
/* Adds a member to the environment of a run, or replaces it: what its samples showed. */
int sm_store_annotate(struct sm_store *s, int64_t run, const char *member, const char *json);

/* Free in every case. */
int sm_store_runs(struct sm_store *s, struct sm_runs *out);
void sm_runs_free(struct sm_runs *r);

/* The ids of the last n runs, the last first. How many there are, or -errno. */
int sm_store_last(struct sm_store *s, int64_t *ids, int n);

/* Run *run, with 0 the last one that lacks samples, or that has them all and was not ended; its
 * jobs, and its environment, malloc'ed. -ENOENT when there is none that could go on. */
int sm_store_unfinished(struct sm_store *s, int64_t *run, unsigned *planned, char **environment);
/*
 * The caller measures this run, until it closes the store. -EBUSY: another process of this machine
 * does. 0, too, where that cannot be told.
 */
int sm_store_hold(struct sm_store *s, int64_t run);
/* No longer; sm_store_close does so too. */
void sm_store_release(struct sm_store *s);
/* Does a process of this machine measure it? */
bool sm_store_is_held(struct sm_store *s, int64_t run);
/* How many jobs have no sample, by group: (*left)[0 .. *ngroups), malloc'ed. 0 or -errno. */
int sm_store_left(struct sm_store *s, int64_t run, unsigned **left, unsigned *ngroups);
/* The first n jobs of the plan; *jobs and each are malloc'ed. 0, -ENOMEM, -ENOENT: it has fewer. */
int sm_store_jobs(struct sm_store *s, int64_t run, unsigned n, char ***jobs);
/* Job JSON of ordinal, malloc'ed; NULL when there is none or it has a sample already. */
char *sm_store_pending(struct sm_store *s, int64_t run, unsigned ordinal);

/* ---- between stores (store_merge.c) -------------------------------------------------------- */

enum sm_merge {
	SM_MERGED_NEW,
	SM_MERGED_MORE,	   /* it was there, with fewer samples: those that lacked are there now */
	SM_MERGED_KNOWN,   /* all of it was there */
	SM_MERGED_DIFFERS, /* either has samples that the other lacks: left as it was */
};
extern const char *const sm_merged_names[];

struct sm_merged {
	int64_t id; /* in `to` */
	enum sm_merge how;
};
/* Copies a run, in one transaction; sm_store_error(to) says what went wrong in either. */
int sm_store_merge(struct sm_store *to, struct sm_store *from, int64_t run, struct sm_merged *out);
/* -EBUSY: it is being measured. */
int sm_store_delete(struct sm_store *s, int64_t run);
/* Gives the disk back what was deleted, where that is a quarter of the store or more. */
int sm_store_shrink(struct sm_store *s);

/* ---- store_past.c ------------------------------------------------------------------------- */

struct sm_plan;
/* One line on how long the plan will take, by the latest good samples of the same cases with counts
 * from the same source (--counters). path NULL: SM_STORE_DEFAULT; it need not be there. */
void sm_store_print_estimate(const char *path, const struct sm_plan *p, const char *from, FILE *f);

#endif
