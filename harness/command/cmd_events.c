/*
 * cmd_events.c: spanmark events: what can be counted by which name, and the linter of the counter
 * sets.
 */
#include "harness/options/option_value.h"
#include "harness/command/cmd.h"

#include <errno.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "perf/counterset.h"
#include "perf/lint.h"
#include "harness/base/complain.h"

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

struct events_options {
	const char *pmu;
	bool sets, check;
	struct sm_strings operands;
};

static int run_events(int argc, char **argv)
{
	struct events_options o = {0};
	int status;

	if (sm_options_parse(&sm_command_events, &o, argc, argv, &status)) {
		if (o.check)
			status = check(o.operands.v, (int)o.operands.n);
		else
			status = o.sets ? list_sets()
					: list_events(o.pmu, o.operands.v, (int)o.operands.n);
	}
	sm_strings_free(&o.operands);
	return status;
}

static const struct sm_option rows[] = {
	{"pmu", 0, "NAME", "the tables of another PMU (amd64_fam19h_zen4, skx, arm_n1, sw, ..)",
	 SM_INTO(sm__take_borrowed, struct events_options, pmu)},
	{"sets", 0, NULL,
	 "the counter sets that -C accepts: their metrics, the events behind them here, and "
	 "whether they can be counted",
	 SM_INTO(sm__take_flag, struct events_options, sets)},
	{"check", 0, NULL,
	 "lint the built-in sets and the user's, or the given files: every formula is parsed, "
	 "every event encoded that this architecture's libpfm4 can encode",
	 SM_INTO(sm__take_flag, struct events_options, check)},
};
static const struct sm_option operand = {NULL, 0, "[PATTERN | FILE ..]",
					 "what to look for; with --check the files of sets",
					 SM_INTO(sm__take_item, struct events_options, operands)};
static const struct sm_option_table table = {"events", rows, SM_COUNT_OF(rows), &operand, NULL};

const struct sm_command sm_command_events = {
	.name = "events",
	.summary = "counter sets and events, and what they resolve to here",
	.run = run_events,
	.options = &table,
	.about = "Lists the events that -e accepts: software metrics (sw::), simulated ones "
		 "(sim::), and libpfm4's tables for this machine's PMU. Every PATTERN must match: "
		 "a substring or shell pattern, ignoring case.",
	.examples =
		(const char *const[]){
			"spanmark events MISS",
			"all whose name has it",
			"spanmark events --pmu skx 'MEM_LOAD*'",
			"those of another machine",
			"spanmark events --sets",
			"what -C cache means here",
			"spanmark events --check my-set.ini",
			"whether a set of one's own is sound",
			NULL,
		},
	.statuses =
		(const char *const[]){
			"0",
			"Done.",
			"1",
			"No event matches, or --check found something wrong. " SM_STATUS_UNWRITTEN,
			"2",
			"The command line is wrong.",
			NULL,
		},
};
