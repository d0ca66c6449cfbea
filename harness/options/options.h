/*
 * options.h: what the user asked of `spanmark run`, as typed.
 *
 * One table (run_table.c, option.h) holds every option. The configuration file (INI) is a second
 * way to type the same options; the command line wins.
 *
 *     [run]                     long options without the dashes
 *     workload = graph, churn
 *     reps = 5
 *     [params]                  as -p
 *     graph.objects = 1m
 *     [set]                     as --set
 *     gc.mode = stw
 *
 * Names are not looked up here (plan.c does); numbers and words with a fixed list are.
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
	/* came from the configuration file: the first use on the command line replaces it */
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
	char *config;	/* --config, read already */
	/* program/program.h */
	char *programs_file, *setup, *teardown, *server, *ready, *client;
	bool help;
};

/* The table of `spanmark run`, and its *n rows. */
extern const struct sm_option_table sm_run_options_table;
const struct sm_option *sm_options(size_t *n);

void sm_run_options_init(struct sm_run_options *o);
void sm_run_options_free(struct sm_run_options *o);

/*
 * Parses argv[1..]; --config is read first wherever it stands. 0, or -EINVAL and one line in err.
 * *o is to be freed in every case.
 */
int sm_run_options_parse(struct sm_run_options *o, int argc, char **argv, char *err, size_t errlen);

/* The option's value as one would type it, for options that decide what is measured. */
void sm_option_print(const struct sm_option *opt, const struct sm_run_options *o, FILE *f);

/* Names of enum values, as typed. */
const char *sm_count_name(enum sm_count c);

#endif
