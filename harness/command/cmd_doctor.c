/*
 * cmd_doctor.c: spanmark doctor: what can be counted here and why not, each with the remedy;
 * --calibrate tells whether to believe it.
 */
#include "harness/command/cmd.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "harness/machine/doctor.h"
#include "harness/options/option_value.h"
#include "harness/report/writer.h"
#include "perf/calibrate.h"
#include "harness/base/text.h"
#include "harness/base/complain.h"

struct doctor_options {
	bool calibrate, script;
	unsigned json; /* an index of the words of --format */
	const char *output;
};

/* ---- table -------------------------------------------------------------------------------- */

enum { INDENT = 29, WIDTH = 100 };

static void print_findings(FILE *f, const struct sm_finding *all, unsigned n)
{
	char remedy[300];

	for (unsigned i = 0; i < n; i++) {
		fprintf(f, "%-7s %-20s ", sm_health_name(all[i].health), all[i].name);
		sm_text_wrapped(f, all[i].value, INDENT, 0, WIDTH);
		if (!all[i].remedy[0])
			continue;
		snprintf(remedy, sizeof(remedy), "-> %s", all[i].remedy);
		fprintf(f, "%*s", INDENT, "");
		sm_text_wrapped(f, remedy, INDENT, 3, WIDTH);
	}
}

static void print_number(FILE *f, double v, int width)
{
	if (isnan(v))
		fprintf(f, " %*s", width, "n/a");
	else
		fprintf(f, " %*.*f", width, 0, v);
}

static void print_calibration(FILE *f, const struct sm_calibration *c)
{
	fprintf(f, "\ncalibration (counts are differences between two amounts of work)\n");
	fprintf(f, "%-30s %-12s %10s %10s %8s %8s %s\n", "kernel", "event", "expected", "counted",
		"error", "ns/op", "verdict");
	for (unsigned i = 0; i < c->n; i++) {
		const struct sm_cal_row *r = &c->rows[i];

		fprintf(f, "%-30s %-12s", r->kernel, r->event);
		print_number(f, r->expected, 10);
		print_number(f, r->counted, 10);
		if (isnan(r->error))
			fprintf(f, " %8s", "n/a");
		else
			fprintf(f, " %+7.2f%%", 100 * r->error);
		if (isnan(r->ns_per_op))
			fprintf(f, " %8s", "-");
		else
			fprintf(f, " %8.2f", r->ns_per_op);
		fprintf(f, " %s\n", sm_verdict_name(r->verdict));
	}
	fprintf(f, "%u exact, %u good, %u off, %u read 0, %u n/a\n", c->exact, c->good, c->off,
		c->zero, c->na);
	/* One line for each reason, not for each row. */
	for (unsigned i = 0; i < c->n; i++) {
		bool said = !c->rows[i].reason[0];

		for (unsigned j = 0; j < i; j++)
			said |= strcmp(c->rows[i].reason, c->rows[j].reason) == 0;
		if (!said)
			fprintf(f, "n/a: %s: %s\n", c->rows[i].event, c->rows[i].reason);
	}
}

/* ---- JSON --------------------------------------------------------------------------------- */

static cJSON *calibration_json(const struct sm_calibration *c)
{
	cJSON *list = cJSON_CreateArray();

	for (unsigned i = 0; i < c->n; i++) {
		const struct sm_cal_row *r = &c->rows[i];
		cJSON *o = cJSON_CreateObject();

		cJSON_AddStringToObject(o, "kernel", r->kernel);
		cJSON_AddStringToObject(o, "metric", r->event);
		cJSON_AddStringToObject(o, "event", r->label);
		cJSON_AddStringToObject(o, "core", r->core_kind);
		cJSON_AddStringToObject(o, "source", sm_source_names[r->source]);
		sm_json_number(o, "operations", r->work, true);
		sm_json_number(o, "expected", r->expected, true);
		sm_json_number(o, "low", r->low, true);
		sm_json_number(o, "high", r->high, true);
		sm_json_number(o, "counted", r->counted, true);
		sm_json_number(o, "error", r->error, true);
		sm_json_number(o, "ns_per_op", r->ns_per_op, true);
		cJSON_AddStringToObject(o, "verdict", sm_verdict_name(r->verdict));
		cJSON_AddStringToObject(o, "status", sm_status_names[r->status]);
		if (r->reason[0])
			cJSON_AddStringToObject(o, "reason", r->reason);
		cJSON_AddItemToArray(list, o);
	}
	return list;
}

struct cJSON *sm_doctor_json(const struct sm_finding *f, unsigned n, const struct sm_calibration *c)
{
	cJSON *root = cJSON_CreateObject(), *list;

	cJSON_AddNumberToObject(root, "schema_version", 1);
	list = cJSON_AddArrayToObject(root, "findings");
	for (unsigned i = 0; i < n; i++) {
		cJSON *o = cJSON_CreateObject();

		cJSON_AddStringToObject(o, "name", f[i].name);
		cJSON_AddStringToObject(o, "health", sm_health_name(f[i].health));
		cJSON_AddStringToObject(o, "value", f[i].value);
		cJSON_AddStringToObject(o, "remedy", f[i].remedy);
		cJSON_AddItemToArray(list, o);
	}
	if (c != NULL)
		cJSON_AddItemToObject(root, "calibration", calibration_json(c));
	else
		cJSON_AddNullToObject(root, "calibration");
	return root;
}

/* ---- the command -------------------------------------------------------------------------- */

static int calibrate(struct sm_calibration *c, char *model, size_t len)
{
	struct sm_topology *topo;
	char err[400];
	int rc = sm_topology_load(NULL, &topo, err, sizeof(err));

	if (!rc) {
		snprintf(model, len, "%s", topo->cpu_model);
		rc = sm_calibrate(topo, NULL, c, err, sizeof(err));
		sm_topology_free(topo);
	}
	if (rc)
		sm_complain("%s", err);
	return rc;
}

static void keep(const char *text)
{
	char path[512] = "";
	int rc = sm_doctor_save_calibration(text, path, sizeof(path));

	if (rc)
		fprintf(stderr, "spanmark: the calibration is not kept: %s%s%s\n", path,
			path[0] ? ": " : "", strerror(-rc));
}

static int write_all(FILE *f, const struct doctor_options *o, const struct sm_finding *all,
		     unsigned n, const struct sm_calibration *c, const char *model)
{
	cJSON *root = o->json || c != NULL ? sm_doctor_json(all, n, c) : NULL;
	char *text;

	if (c != NULL && root != NULL) /* whose counters they are: a home directory may be shared */
		cJSON_AddStringToObject(root, "cpu_model", model);
	text = root != NULL ? cJSON_Print(root) : NULL;
	cJSON_Delete(root);
	if (text != NULL)
		sm_text_clean(text);
	if (c != NULL && text != NULL)
		keep(text);
	if (o->json && text != NULL) {
		fprintf(f, "%s\n", text);
	} else if (!o->json) {
		print_findings(f, all, n);
		if (c != NULL)
			print_calibration(f, c);
	}
	free(text);
	return o->json && text == NULL ? -ENOMEM : 0;
}

static bool anything_bad(const struct sm_finding *all, unsigned n, const struct sm_calibration *c)
{
	for (unsigned i = 0; i < n; i++)
		if (all[i].health == SM_HEALTH_BAD)
			return true;
	return c != NULL && (c->off || c->zero);
}

static int examine(const struct doctor_options *o)
{
	struct sm_finding all[SM_DOCTOR_MAX];
	struct sm_calibration c = {0};
	char model[128] = "";
	struct sm_output out;
	char err[512];
	FILE *f;
	unsigned n;
	int rc;

	/* Opened first: an output that cannot be written is found before seconds are spent. */
	if (sm_output_open(&out, o->output, err, sizeof(err)) != 0) {
		sm_complain("%s", err);
		return SM_EXIT_USAGE;
	}
	f = out.file;
	n = sm_doctor_examine("", false, all);
	if (o->script) {
		sm_doctor_script(all, n, f);
		rc = SM_EXIT_OK;
	} else {
		rc = o->calibrate ? calibrate(&c, model, sizeof(model)) : 0;
		if (!rc)
			rc = write_all(f, o, all, n, o->calibrate ? &c : NULL, model);
		rc = rc || anything_bad(all, n, o->calibrate ? &c : NULL) ? SM_EXIT_FAILED
									  : SM_EXIT_OK;
	}
	/* what could not be printed on standard output is main's to tell */
	if (f != stdout && sm_output_close(&out, true, err, sizeof(err)) != 0) {
		sm_complain("%s", err);
		rc = SM_EXIT_FAILED;
	}
	sm_calibration_free(&c);
	return rc;
}

static int run_doctor(int argc, char **argv)
{
	struct doctor_options o = {0};
	int status;

	if (!sm_options_parse(&sm_command_doctor, &o, argc, argv, &status))
		return status;
	if (o.script && (o.calibrate || o.json)) {
		sm_complain(
			"--script prints a shell script alone: leave --calibrate and --format out");
		return SM_EXIT_USAGE;
	}
	return examine(&o);
}

static const struct sm_option rows[] = {
	{"calibrate", 0, NULL, "run kernels with known counts (some seconds)",
	 SM_INTO(sm__take_flag, struct doctor_options, calibrate),
	 .more = "Expected, counted, error and verdict for each event, and the time of a memory "
		 "access by working set. The result is kept and stored with runs."},
	{"script", 0, NULL, "print a shell script that prepares the machine, and puts it back",
	 SM_INTO(sm__take_flag, struct doctor_options, script),
	 .more = "It is printed, never run: `sudo sh FILE prepare` sets what was found to be "
		 "improvable (governor, turbo, transparent huge pages, NUMA balancing, the NMI "
		 "watchdog, who may count), once what was set before is kept; `sudo sh FILE "
		 "restore` puts that back. What it leaves to you stands in it as comments."},
	{"format", 'f', "FORMAT", "how to print",
	 SM_INTO(sm__take_word, struct doctor_options, json), .words = "table|json"},
	{"output", 'o', "FILE", "write there instead of standard output",
	 SM_INTO(sm__take_borrowed, struct doctor_options, output)},
};
static const struct sm_option_table table = {"doctor", rows, SM_COUNT_OF(rows), NULL, NULL};

const struct sm_command sm_command_doctor = {
	.name = "doctor",
	.summary = "what can be counted here, why not, and the remedy",
	.run = run_doctor,
	.options = &table,
	.about = "Tells what can be counted and measured on this machine, why not, and what to do "
		 "about it. Nothing is changed: remedies are commands for the administrator.",
	.examples =
		(const char *const[]){
			"spanmark doctor",
			"what this machine lets us count",
			"spanmark doctor --script -o prepare.sh",
			"a script: `sudo sh prepare.sh prepare` makes the machine steadier, "
			"restore "
			"puts it back",
			"spanmark doctor --calibrate --format json -o machine.json",
			"whether to believe the counts, for a program to read",
			NULL,
		},
	.statuses =
		(const char *const[]){
			"0",
			"Everything that was looked at can be measured.",
			"1",
			"Something is bad or off. " SM_STATUS_UNWRITTEN,
			"2",
			"The command line is wrong.",
			NULL,
		},
};
