/*
 * cmd_events.c: spanmark events: what can be counted by which name, and the linter of the counter
 * sets.
 */
#include "harness/options/arguments.h"
#include "harness/command/cmd.h"

#include <errno.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "perf/counterset.h"
#include "perf/lint.h"
#include "harness/base/complain.h"

static const char help[] =
	"usage: spanmark events [PATTERN..] [--pmu NAME] [--sets] [--check [FILE..]]\n"
	"\n"
	"Lists the events that -e accepts: software metrics (sw::), simulated ones (sim::), and "
	"libpfm4's "
	"tables for this\n"
	"machine's PMU. Every PATTERN must match: a substring or shell\n"
	"pattern, ignoring case.\n"
	"\n"
	"  --pmu NAME   the tables of another PMU (amd64_fam19h_zen4, skx, arm_n1, sw, ..)\n"
	"  --sets       the counter sets that -C accepts: their metrics, the events behind them "
	"here, and "
	"whether\n"
	"               they can be counted\n"
	"  --check      lint the built-in sets and the user's, or the given files: every formula "
	"is parsed, "
	"every event\n"
	"               encoded that this architecture's libpfm4 can encode; status 1 when "
	"something is "
	"wrong\n"
	"\n"
	"examples:\n"
	"  spanmark events MISS\n"
	"  spanmark events --pmu skx 'MEM_LOAD*'\n"
	"  spanmark events --sets\n"
	"  spanmark events --check my-set.ini\n";

struct search {
	char **patterns;
	int n;
	unsigned found;
};

static bool matches(const struct search *s, const char *name)
{
	char wide[400];

	for (int i = 0; i < s->n; i++) {
		snprintf(wide, sizeof(wide), "*%s*", s->patterns[i]);
		if (fnmatch(wide, name, FNM_CASEFOLD))
			return false;
	}
	return true;
}

static int show_event(const char *name, const char *desc, void *arg)
{
	struct search *s = arg;

	if (!matches(s, name))
		return 0;
	s->found++;
	if (strlen(name) > 46)
		printf("%s\n%-46s %.120s\n", name, "", desc != NULL ? desc : "");
	else
		printf("%-46s %.120s\n", name, desc != NULL ? desc : "");
	return 0;
}

static int list_events(const char *pmu, char **patterns, int n)
{
	struct search s = {.patterns = patterns, .n = n};

	if (pmu != NULL && strcmp(pmu, "sw") != 0 && strcmp(pmu, "sim") != 0 &&
	    !sm_event_has_tables(pmu)) {
		sm_complain("--pmu %s: libpfm4 of this architecture has no such tables (sw and sim "
			    "always "
			    "exist; this machine: "
			    "%s)",
			    pmu,
			    sm_event_detected_pmu() != NULL ? sm_event_detected_pmu()
							    : "none detected");
		return SM_EXIT_USAGE;
	}
	sm_event_list(pmu, show_event, &s);
	if (!s.found) {
		sm_complain("no event matches; try a shorter PATTERN or --pmu NAME");
		return SM_EXIT_FAILED;
	}
	return SM_EXIT_OK;
}

static void show_metric(const struct sm_counterset *cs, const struct sm_cs_metric *m)
{
	char label[600];

	sm_counterset_label(cs, m, 0, label, sizeof(label));
	printf("  %-18s %-14s ", m->name, m->unit);
	if (m->refused != SM_STATUS_OK)
		printf("n/a (%s: %s)\n", sm_status_names[m->refused], m->reason);
	else
		printf("pass %u  %s\n", m->pass + 1, m->formula[0] ? m->formula : label);
}

static int list_sets(void)
{
	struct sm_counterset *cs;
	char err[400];

	for (unsigned i = 0; sm_setfile_builtin_name(i); i++) {
		const char *name = sm_setfile_builtin_name(i);
		struct sm_counterset_options o = {.sets = &name, .n_sets = 1};

		if (sm_counterset_new(&o, &cs, err, sizeof(err))) {
			sm_complain("%s", err);
			return SM_EXIT_FAILED;
		}
		printf("%s: %u pass%s on %s\n", name, cs->n_passes, cs->n_passes == 1 ? "" : "es",
		       cs->pmus.pmus[0].uarch);
		for (unsigned m = 0; m < cs->n_metrics; m++)
			show_metric(cs, &cs->metrics[m]);
		sm_counterset_free(cs);
	}
	return SM_EXIT_OK;
}

static void show_finding(const struct sm_lint_finding *f, void *arg)
{
	(void)arg;
	printf("%s: %s: %s%s%s: %s\n", f->origin, f->bad ? "error" : "note",
	       f->pmu[0] ? f->pmu : "set", f->what[0] ? " " : "", f->what, f->message);
}

static int check(char **files, int n)
{
	struct sm_lint_counts c = {0};
	char err[400];
	int rc = n ? 0 : sm_lint_all(show_finding, NULL, &c, err, sizeof(err));

	for (int i = 0; i < n && !rc; i++)
		rc = sm_lint_file(files[i], show_finding, NULL, &c, err, sizeof(err));
	if (rc) { /* a file that cannot be read */
		sm_complain("%s", err);
		return SM_EXIT_USAGE;
	}
	printf("%u sets, %u metrics, %u formulas, %u event strings: %u encoded, %u of PMUs that "
	       "this "
	       "architecture's libpfm4 has no "
	       "tables for, %u errors\n",
	       c.sets, c.metrics, c.formulas, c.strings, c.encoded, c.foreign, c.errors);
	return c.errors ? SM_EXIT_FAILED : SM_EXIT_OK;
}

int sm_cmd_events(int argc, char **argv)
{
	static const struct option options[] = {
		{"pmu", required_argument, NULL, 'p'},
		{"sets", no_argument, NULL, 's'},
		{"check", no_argument, NULL, 'c'},
		{"help", no_argument, NULL, 'h'},
		{NULL, 0, NULL, 0},
	};
	const char *pmu = NULL;
	bool sets = false, lint = false;
	struct sm_arguments args = {
		.argc = argc, .argv = argv, .shorts = ":", .options = options, .help = help};
	int c;

	while ((c = sm_arguments_next(&args)) != -1) {
		switch (c) {
		case 'p': pmu = optarg; break;
		case 's': sets = true; break;
		default: lint = true; break;
		}
	}
	if (args.over)
		return args.status;
	if (lint)
		return check(argv + optind, argc - optind);
	return sets ? list_sets() : list_events(pmu, argv + optind, argc - optind);
}
