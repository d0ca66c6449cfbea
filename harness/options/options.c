/*
 * options.c: the options of `spanmark run`: from argv and plan files. See options.h.
 */
#include "harness/options/options.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/options/option_value.h"
#include "harness/options/planfile.h"

#define MAX_FILES 16

const struct sm_option *sm_options(size_t *n)
{
	*n = sm_run_options_table.n;
	return sm_run_options_table.rows;
}

int sm_run_options_take(const struct sm_option *opt, struct sm_run_options *o, const char *value,
			char *err, size_t errlen)
{
	o->given |= UINT64_C(1) << (opt - sm_run_options_table.rows);
	return opt->take(opt, o, value, err, errlen);
}

void sm_run_options_inherit(struct sm_run_options *o)
{
	struct sm_strings *lists[] = {&o->workloads, &o->events,   &o->sets,	&o->backends,
				      &o->threads,   &o->workers,  &o->place,	&o->mark_place,
				      &o->kinds,     &o->programs, &o->variants};

	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++)
		lists[i]->inherited = true;
}

/* ---- argv --------------------------------------------------------------------------------- */

/* The command line, and the plan files that it names. */
struct line {
	int argc;
	char **argv;
	struct sm_plan_file files[MAX_FILES];
	size_t nfiles;
	size_t nparts;
};

static bool is_file(const struct sm_option *opt)
{
	return opt->name == NULL || strcmp(opt->name, "config") == 0;
}

static int load_file(void *ctx, const struct sm_option *opt, const char *value, char *err,
		     size_t errlen)
{
	struct line *l = ctx;
	struct sm_plan_file *f;
	int rc;

	if (!is_file(opt))
		return 0;
	if (l->nfiles == MAX_FILES) {
		snprintf(err, errlen, "'%.200s': at most %d plan files are read", value, MAX_FILES);
		return -EINVAL;
	}
	f = &l->files[l->nfiles++];
	rc = sm_plan_file_load(value, f, err, errlen);
	l->nparts += f->nparts;
	if (rc && f->text == NULL && opt->name == NULL && strchr(value, '.') == NULL) {
		size_t n = strlen(err);

		snprintf(err + n, errlen - n, "; workloads are named with -w");
	}
	return rc;
}

/* What is taken of the command line, and into which options. */
struct taking {
	const struct line *line;
	struct sm_run_options *o;
};

static int take_typed(void *ctx, const struct sm_option *opt, const char *value, char *err,
		      size_t errlen)
{
	const struct taking *t = ctx;

	if (opt->name == NULL)
		return sm__take_text(opt, t->o, value, err, errlen);
	if (t->line->nparts > 0 && opt->decides == SM_DECIDES_WORK) {
		snprintf(err, errlen,
			 "--%s: the plan's sections say what runs; leave it out, or give no plan",
			 opt->name);
		return -EINVAL;
	}
	return sm_run_options_take(opt, t->o, value, err, errlen);
}

/* Defaults, then a part of the file (NULL: none), then the command line. 1: --help. */
static int read_all(const struct line *l, const struct sm_plan_file *file, size_t part,
		    struct sm_run_options *o, char *err, size_t errlen)
{
	struct taking t = {l, o};
	int rc = 0;

	for (size_t i = 0; i < l->nfiles && rc == 0; i++)
		rc = sm_plan_file_defaults(&l->files[i], o, err, errlen);
	sm_run_options_inherit(o);
	if (rc == 0 && file != NULL)
		rc = sm_plan_file_part(file, part, o, err, errlen);
	sm_run_options_inherit(o);
	return rc ? rc
		  : sm_options_each(&sm_run_options_table, l->argc, l->argv, take_typed, &t, err,
				    errlen);
}

static int read_parts(const struct line *l, struct sm_run_options *o, char *err, size_t errlen)
{
	int rc = 0;

	o->parts = calloc(l->nparts + 1, sizeof(*o->parts));
	if (o->parts == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < l->nfiles; i++) {
		for (size_t k = 0; k < l->files[i].nparts && rc == 0; k++) {
			struct sm_run_options *part = &o->parts[o->nparts++];

			rc = read_all(l, &l->files[i], k, part, err, errlen);
			sm_plan_file_keep_own(part, o);
			o->given |= part->given;
		}
	}
	return rc;
}

/* What fits together only in certain ways. */
static int check_together(const struct sm_run_options *o, char *err, size_t errlen)
{
	const char *wrong = NULL;

	if (o->topology != NULL && !o->dry_run && !o->print_plan)
		wrong = "--topology is for planning: add --dry-run";
	else if (o->print_plan && o->resume)
		wrong = "--print-plan prints what is asked, --resume runs what the store keeps: "
			"leave one out";
	else if (o->max_time_s > 0 && o->until == NULL && !o->resume)
		wrong = "--max-time ends --until: add --until 1%";
	else if (o->resume && o->no_store && o->store == NULL)
		wrong = "--resume goes on with a run of a store: leave --no-store out";
	else if (o->resume && o->dry_run)
		wrong = "--resume runs the plan that the store keeps: leave --dry-run out";
	else if (o->trace != NULL && o->resume)
		wrong = "--trace records a run from its begin: leave --resume out";
	else if (o->trace != NULL && o->counters == SM_COUNT_SIM)
		wrong = "--trace records times, which mean nothing with --counters=sim: leave one "
			"out";
	else if (o->trace != NULL && (o->programs.n || o->programs_file || o->server))
		wrong = "--trace records workloads: leave --program, --programs and --server out";
	else if (o->counters == SM_COUNT_NONE && (o->events.n || o->sets.n))
		wrong = "--counters=none contradicts -e and -C; allowed with them: auto, pmu, sw, "
			"sim";
	if (wrong == NULL)
		return 0;
	snprintf(err, errlen, "%s", wrong);
	return -EINVAL;
}

int sm_run_options_parse(struct sm_run_options *o, int argc, char **argv, char *err, size_t errlen)
{
	struct line l = {.argc = argc, .argv = argv};
	int rc = sm_options_each(&sm_run_options_table, argc, argv, load_file, &l, err, errlen);

	if (rc == 0)
		rc = read_all(&l, NULL, 0, o, err, errlen);
	if (rc == 0)
		rc = read_parts(&l, o, err, errlen);
	for (size_t i = 0; i < l.nfiles; i++)
		sm_plan_file_free(&l.files[i]);
	if (rc == 1) {
		o->help = true;
		return 0;
	}
	if (rc == 0)
		rc = check_together(o, err, errlen);
	if (rc == -ENOMEM)
		snprintf(err, errlen, "out of memory");
	return rc;
}
