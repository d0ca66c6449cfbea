/*
 * options.c: the options of `spanmark run`: from argv and the configuration file. See options.h.
 */
#include "harness/options/options.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/options/configfile.h"
#include "harness/options/option_value.h"

const struct sm_option *sm_options(size_t *n)
{
	*n = sm_run_options_table.n;
	return sm_run_options_table.rows;
}

static int take_value(const struct sm_option *opt, struct sm_run_options *o, const char *value,
		      char *err, size_t errlen)
{
	o->given |= UINT64_C(1) << (opt - sm_run_options_table.rows);
	return opt->take(opt, o, value, err, errlen);
}

static int set_option(void *options, const char *name, const char *value, char *err, size_t errlen)
{
	const struct sm_option *opt = sm_option_find(&sm_run_options_table, name, strlen(name));

	if (opt == NULL || opt == &sm_option_help)
		return sm_option_unknown(&sm_run_options_table, name, err, errlen);
	return take_value(opt, options, value, err, errlen);
}

/* ---- argv --------------------------------------------------------------------------------- */

static void mark_inherited(struct sm_run_options *o)
{
	struct sm_strings *lists[] = {&o->workloads, &o->events,   &o->sets,	&o->backends,
				      &o->threads,   &o->workers,  &o->place,	&o->mark_place,
				      &o->kinds,     &o->programs, &o->variants};

	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++)
		lists[i]->inherited = true;
}

/* One reading of argv: for --config alone, then for everything else. */
struct pass {
	struct sm_run_options *o;
	bool config;
};

static int take_in_pass(void *ctx, const struct sm_option *opt, const char *value, char *err,
			size_t errlen)
{
	struct pass *pass = ctx;
	bool config = strcmp(opt->name, "config") == 0;
	int rc;

	if (config != pass->config)
		return 0;
	rc = take_value(opt, pass->o, value, err, errlen);
	if (rc == 0 && config)
		rc = sm_config_file_read(pass->o->config, set_option, pass->o, err, errlen);
	return rc;
}

/* What fits together only in certain ways. */
static int check_together(const struct sm_run_options *o, char *err, size_t errlen)
{
	const char *wrong = NULL;

	if (o->topology != NULL && !o->dry_run)
		wrong = "--topology is for planning: add --dry-run";
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
	struct pass pass = {.o = o, .config = true};
	int rc = sm_options_each(&sm_run_options_table, argc, argv, take_in_pass, &pass, err,
				 errlen);

	if (rc == 0) {
		mark_inherited(o);
		pass.config = false;
		rc = sm_options_each(&sm_run_options_table, argc, argv, take_in_pass, &pass, err,
				     errlen);
	}
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
