/* cmd_lbo.c: spanmark lbo: options, the run, the report. See lbo.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/options/option_value.h"
#include "harness/command/cmd.h"
#include "harness/command/stored.h"
#include "harness/compare/compare.h"
#include "harness/compare/lbo.h"
#include "perf/names.h"
#include "harness/base/complain.h"

struct lbo {
	const char *store, *run;
	enum sm_format format;
	struct sm_strings metrics, workloads;
	struct sm_side side;
	struct sm_report report;
	struct sm_lbo l;
};

static void print(const struct lbo *c)
{
	switch (c->format) {
	case SM_FORMAT_TABLE: sm_lbo_table(&c->l, &c->report, stdout); break;
	case SM_FORMAT_CSV: sm_lbo_csv(&c->l, stdout); break;
	case SM_FORMAT_JSON: sm_lbo_json(&c->l, &c->report, stdout); break;
	default: break; /* not among its --format */
	}
}

static int run_lbo(int argc, char **argv)
{
	struct lbo c = {.store = SM_STORE_DEFAULT};
	char err[800] = "out of memory";
	int status, rc;

	if (sm_options_parse(&sm_command_lbo, &c, argc, argv, &status)) {
		rc = sm_stored_load("lbo", c.store, c.run, &c.side, &c.report, err, sizeof(err));
		if (rc == 0)
			rc = sm_lbo_compute(&c.report, c.side.store, &c.metrics, &c.workloads, &c.l,
					    err, sizeof(err));
		if (rc == 0)
			print(&c);
		else
			sm_complain("%s", err);
		status = rc == 0 ? SM_EXIT_OK : SM_EXIT_USAGE;
	}
	sm_lbo_free(&c.l);
	sm_report_free(&c.report);
	sm_side_free(&c.side);
	sm_strings_free(&c.metrics);
	sm_strings_free(&c.workloads);
	return status;
}

static const struct sm_option rows[] = {
	{"store", 0, "FILE", "where the run is: " SM_STORE_DEFAULT,
	 SM_INTO(sm__take_borrowed, struct lbo, store)},
	{"metric", 0, "NAME,..", "figures: all that were measured",
	 SM_INTO(sm__take_words, struct lbo, metrics), .words = "wall|cpu|cycles|instructions"},
	{"workload", 'w', "NAME,..", "these workloads alone",
	 SM_INTO(sm__take_list, struct lbo, workloads), .topic = "workloads"},
	{"format", 'f', "FORMAT", "how to print", SM_INTO(sm__take_word, struct lbo, format),
	 .words = "table|csv|json"},
};
static const struct sm_option operand = {NULL,
					 0,
					 "[RUN]",
					 "the run, or STORE:RUN: the last one of --store",
					 SM_INTO(sm__take_borrowed, struct lbo, run),
					 .topic = "runs"};
static const struct sm_option_table table = {"lbo", rows, SM_COUNT_OF(rows), &operand, NULL};

const struct sm_command sm_command_lbo = {
	.name = "lbo",
	.summary = "what collection costs at least, and what it costs beside explicit free",
	.run = run_lbo,
	.options = &table,
	.about = "Tells what collection costs at least, by the lower-bound overhead of Cai et al. "
		 "(2022): what is visibly the collector's is taken off each configuration, the "
		 "least that is left bounds the ideal, and each total is divided by it, in pairs "
		 "of one repetition: the bound may differ from the quotient of the printed "
		 "medians. Beside it stands the truth that the method lacks: the same work with "
		 "explicit free, on the same heap.\n"
		 "\n"
		 "The run needs two configurations of the collector or more, and a backend that "
		 "frees explicitly for the truth.",
	.examples =
		(const char *const[]){
			"spanmark run -w binary-trees --backend gc,span --set "
			"gc.percent=50,100,200,400 --reps 15",
			"measures several sizes of the heap, and explicit free",
			"spanmark lbo",
			"what each heap size costs of an ideal collector, at least, and of "
			"explicit free",
			"spanmark run -w churn,graph --backend gc,span --set "
			"gc.mode=stw,concurrent -C cycles,soft --until 2%",
			"both modes of the collector, with cycles",
			"spanmark lbo --metric cpu,cycles -f csv",
			"the CPU time and the cycles of both modes, mark workers included",
			"spanmark run --store sim.db -w binary-trees -p depth=12 --backend gc,span "
			"--set "
			"gc.percent=50,200 --counters sim -C cycles --reps 1",
			"instructions that repeat",
			"spanmark lbo sim.db:1 --metric instructions",
			"simulated: on any machine, however busy",
			NULL,
		},
	.statuses =
		(const char *const[]){
			"0",
			"Done.",
			"1",
			SM_STATUS_UNWRITTEN,
			"2",
			"The command line is wrong, or the run lacks what it takes.",
			NULL,
		},
};
