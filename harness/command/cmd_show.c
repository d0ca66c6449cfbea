/*
 * cmd_show.c: spanmark show: the report of a stored run, in the forms of spanmark run.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/base/complain.h"
#include "harness/command/cmd.h"
#include "harness/command/stored.h"
#include "harness/report/writer.h"
#include "perf/names.h"

#define AS_MEASURED ((enum sm_by) ~0u)

struct show {
	const char *store, *run;
	char *output;
	enum sm_format format;
	enum sm_by by;
	enum sm_color color;
	bool wide, waits;
};

static bool has_rows_by(const struct sm_report *r, enum sm_by by)
{
	for (size_t i = 0; i < r->nrecords; i++)
		for (size_t m = 0; m < r->records[i].nmetrics; m++)
			if (r->records[i].metrics[m].by == by)
				return true;
	return false;
}

/* The sums that the run has. 0 or -EINVAL. */
static int choose_by(const struct show *o, const struct sm_report *r, enum sm_by *by)
{
	int as = sm_names_find(sm_by_names, r->by);

	*by = o->by != AS_MEASURED ? o->by : as >= 0 ? (enum sm_by)as : SM_BY_ROLE;
	if (o->by == AS_MEASURED || *by == SM_BY_ROLE || *by == SM_BY_THREAD || has_rows_by(r, *by))
		return 0;
	sm_complain("--by %s: run %lld was measured --by %s; allowed: role, thread%s%s",
		    sm_by_names[*by], (long long)r->run, r->by, as > SM_BY_THREAD ? ", " : "",
		    as > SM_BY_THREAD ? r->by : "");
	return -EINVAL;
}

/* Exit status. */
static int print(const struct show *o, const struct sm_report *r)
{
	struct sm_writer w = {.format = o->format, .wide = o->wide, .waits = o->waits || o->wide};
	struct sm_output out;
	char err[512];
	int rc, closed;

	if (choose_by(o, r, &w.by) != 0)
		return SM_EXIT_USAGE;
	if (sm_output_open(&out, o->output, err, sizeof(err)) != 0) {
		sm_complain("%s", err);
		return SM_EXIT_USAGE;
	}
	sm_writer_fit(&w, o->color, out.file);
	rc = sm_report_write(r, &w, out.file);
	if (rc == -ENOMEM)
		sm_complain("out of memory while writing the report");
	closed = sm_output_close(&out, rc != -ENOMEM, err, sizeof(err));
	if (closed != 0 && closed != -EPIPE)
		sm_complain("%s", err);
	return rc || closed ? SM_EXIT_FAILED : SM_EXIT_OK;
}

static int run_show(int argc, char **argv)
{
	struct show o = {.store = SM_STORE_DEFAULT, .by = AS_MEASURED};
	struct sm_report r = {0};
	struct sm_side side = {0};
	char err[512];
	int status;

	if (sm_options_parse(&sm_command_show, &o, argc, argv, &status)) {
		status = SM_EXIT_USAGE;
		if (sm_stored_load("show", o.store, o.run, &side, &r, err, sizeof(err)) != 0)
			sm_complain("%s", err);
		else if (o.output != NULL && sm_output_hits_store(o.output, side.store))
			sm_complain("--output and --store name one file, or one that belongs to "
				    "it, '%.300s'; allowed: two different ones",
				    o.output);
		else
			status = print(&o, &r);
	}
	sm_report_free(&r);
	sm_side_free(&side);
	free(o.output);
	return status;
}

#define INTO(function, member) SM_INTO(function, struct show, member)

static const struct sm_option rows[] = {
	{"store", 0, "FILE", "the store: " SM_STORE_DEFAULT, INTO(sm__take_borrowed, store)},
	{"by", 0, "WHAT", "rows of the table: counts summed by this; as it was measured",
	 INTO(sm__take_word, by), .words = "role|thread|core|l3|node|kind"},
	{"format", 'f', "FORMAT", "how to print", INTO(sm__take_word, format),
	 .words = "table|csv|json|go|markdown|openmetrics"},
	{"output", 'o', "FILE", "print into FILE, which is replaced when all went well",
	 INTO(sm__take_text, output)},
	{"wide", 0, NULL, "the table with everything: every result, phase, event and wait",
	 INTO(sm__take_flag, wide)},
	{"waits", 0, NULL, "the table with the waits for the collector by their causes",
	 INTO(sm__take_flag, waits)},
	{"color", 0, "WHEN", "colour in the table", INTO(sm__take_word, color),
	 .words = "auto|always|never"},
};
static const struct sm_option operand = {NULL, 0, "[RUN]", "the run, or STORE:RUN: the last one",
					 INTO(sm__take_borrowed, run)};
static const struct sm_option_table table = {"show", rows, SM_COUNT_OF(rows), &operand, NULL};

const struct sm_command sm_command_show = {
	.name = "show",
	.summary = "print a run of a store again",
	.run = run_show,
	.options = &table,
	.about = "Prints the report of a stored run, of one that is still measured what it has.\n"
		 "\n" SM_STORED_NAMES,
	.examples =
		(const char *const[]){
			"spanmark show",
			"the last run of " SM_STORE_DEFAULT,
			"spanmark show 3 -f csv -o three.csv",
			"run 3, for a program to read",
			"spanmark show lab.db:a41c --by thread",
			"a run of another store, by its identity",
			NULL,
		},
};
