/*
 * options.h: what the user asked of `spanmark run`, as typed.
 *
 * One table (run_table.c, option.h) holds every option. A plan file (configfile.h) is a second way
 * to type the same options; the command line wins. It is what --config names, or an operand:
 *
 *     [defaults]                long options without the dashes, for all that follows
 *     reps = 5
 *     backend = gc, libc
 *     gc.mode = stw             a dot: as --set, or -p where a workload stands before it
 *     [graph small]             a part: cases of its own. Named after its workload, or it says
 *     objects = 100k            workload = or program =; what is no option is a parameter
 *     [graph large]
 *     objects = 10m, 100m
 *     backend = gc
 *
 * Without a part the file is one, and has `workload =` among its defaults. A part takes the place
 * of lists in the defaults, key by key of parameters and settings. What concerns the whole run
 * (reps, counters, store, ..) is not for parts. [run], [params] (as -p) and [set] (as --set) are
 * older names for pieces of the defaults.
 *
 * Names are not looked up here (plan.c does) but for those of parts; numbers and words with a
 * fixed list are.
 */
#ifndef SM_HARNESS_OPTIONS_H
#define SM_HARNESS_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "harness/options/option.h"
#include "perf/by.h"

/* A growing list of strings, all owned. */
struct sm_strings {
	char **v;
	size_t n;
	/* from further out (a plan's defaults, the plan): the first use replaces it */
	bool inherited;
};

int sm_strings_add(struct sm_strings *s, const char *text, size_t len);
/* "a,b,c" */
int sm_strings_split(struct sm_strings *s, const char *text);
void sm_strings_free(struct sm_strings *s);

enum sm_format {
	SM_FORMAT_TABLE,
	SM_FORMAT_CSV,
	SM_FORMAT_JSON,
	SM_FORMAT_GO,
	SM_FORMAT_MARKDOWN,
	SM_FORMAT_OPENMETRICS
};
enum sm_count { SM_COUNT_AUTO, SM_COUNT_PMU, SM_COUNT_SW, SM_COUNT_SIM, SM_COUNT_NONE };
enum sm_color { SM_COLOR_AUTO, SM_COLOR_ALWAYS, SM_COLOR_NEVER };

struct sm_run_options {
	struct sm_strings workloads; /* -w; empty: all */
	/* -p KEY=VALUE or WORKLOAD.KEY=VALUE, a sweep where VALUE has commas */
	struct sm_strings params;
	struct sm_strings events;     /* -e */
	struct sm_strings sets;	      /* -C */
	struct sm_strings backends;   /* --backend; empty: the workload's first */
	struct sm_strings threads;    /* --threads; numbers, checked */
	struct sm_strings workers;    /* --workers */
	struct sm_strings place;      /* --place */
	struct sm_strings mark_place; /* --mark-place */
	struct sm_strings kinds;      /* --kind; names of kinds of cores */
	struct sm_strings settings;   /* --set KEY=VALUE, a sweep where VALUE has commas */
	struct sm_strings variants;   /* --variant "KEY=VALUE KEY=VALUE" */
	struct sm_strings programs;   /* --program; command lines */
	struct sm_strings metrics;    /* --metric NAME=REGEX */
	struct sm_strings better;     /* --better NAME=higher or lower */
	unsigned reps;		      /* 0: not said (3; with --quick 1) */
	bool quick;
	bool dry_run;
	bool multiplex;
	bool no_shuffle;
	bool resume;
	char *resume_run; /* --resume ID; NULL: the last unfinished one */
	uint64_t given;	  /* a bit for each entry of sm_options() that was said */
	bool seed_given;
	uint64_t seed;
	char *until;	   /* --until, checked; NULL: not asked */
	double max_time_s; /* of --until; 0: not said */
	double timeout_s;  /* 0: not said (300; with --quick 30) */
	enum sm_format format;
	enum sm_count counters;
	enum sm_by by;
	enum sm_color color;
	bool wide, waits; /* of the table */
	char *output;	  /* -o */
	char *store;	  /* --store */
	bool no_store;
	char *trace;	/* --trace */
	char *note;	/* --note */
	char *topology; /* --topology: an XML file or a synthetic string, for --dry-run */
	char *config;	/* --config, or an operand: a plan file, read already */
	bool print_plan;
	/* program/program.h */
	char *programs_file, *setup, *teardown, *server, *ready, *client;
	bool help;
	/* The parts of a plan file, each with all that holds for it; none: these options are the
	 * only one. */
	struct sm_run_options *parts;
	size_t nparts;
	char *title, *from; /* of a part: "graph small", "'plan.ini' line 7" */
};

/* The table of `spanmark run`, and its *n rows. */
extern const struct sm_option_table sm_run_options_table;
const struct sm_option *sm_options(size_t *n);

void sm_run_options_init(struct sm_run_options *o);
void sm_run_options_free(struct sm_run_options *o);

/*
 * Parses argv[1..]; plan files are read first wherever they stand. 0, or -EINVAL and one line in
 * err. *o is to be freed in every case.
 */
int sm_run_options_parse(struct sm_run_options *o, int argc, char **argv, char *err, size_t errlen);

/* Does the option decide which cases there are, so that parts may differ in it? The others hold for
 * the run. */
bool sm_option_is_of_parts(const struct sm_option *opt);

/* A plan file that asks for the same run: all that was said, and the seed. */
void sm_run_options_print_plan(const struct sm_run_options *o, uint64_t seed, FILE *f);

/* The option's value as one would type it, for options that decide what is measured. */
void sm_option_print(const struct sm_option *opt, const struct sm_run_options *o, FILE *f);

/* Names of enum values, as typed. */
const char *sm_count_name(enum sm_count c);

#endif
