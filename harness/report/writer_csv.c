/*
 * writer_csv.c: tidy CSV (RFC 4180): one row for each metric of each thread and phase of each
 * sample. A sample's own results are rows without role and phase, of metric "wall_s", "ops", ..; a
 * failed sample is one row of metric "sample" whose status says how it ended. `calibration` is
 * "off" where spanmark doctor --calibrate found an event behind the value to count something else,
 * and empty otherwise. `pass` is the counter pass, from 0: the rows of a whole process are there
 * once for each, so take one pass, or their mean, before counting repetitions. `reason` says why a
 * value is missing or a sample failed; where its backend is not installed the status is "n/a".
 * `library`, `version` and `build_id` are of what served malloc, empty where the backend has its
 * own.
 *
 * `run` names the case: workload/param=value/.., then the settings that were not the default. A
 * field of text that a spreadsheet would take for a formula gets an apostrophe in front (OWASP, CSV
 * injection).
 */
#include "harness/report/writer.h"
#include "harness/base/text.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* The columns that are the sample's; the others are fields of workloads/metric.def. */
enum {
	COL_RUN = 1,
	COL_REP = 2,
	COL_BACKEND = 9,
	COL_PASS = 21,
	COL_LIBRARY = 23,
	COL_VERSION = 24,
	COL_BUILD = 25,
};
static const char *const sample_columns[] = {
	[COL_RUN] = "run",	 [COL_REP] = "rep",	    [COL_BACKEND] = "backend",
	[COL_PASS] = "pass",	 [COL_LIBRARY] = "library", [COL_VERSION] = "version",
	[COL_BUILD] = "build_id"};

/* No escape sequences, for those who look at it in a terminal; line breaks and tabs stay. */
static char harmless(char c)
{
	return ((unsigned char)c < 0x20 && strchr("\t\r\n", c) == NULL) || c == 0x7f ? '?' : c;
}

static void put_text(FILE *out, const char *text)
{
	bool formula = text[0] && strchr("=+-@\t\r", text[0]) != NULL;
	bool quote = strpbrk(text, ",\"\r\n") != NULL;

	if (quote)
		fputc('"', out);
	if (formula)
		fputc('\'', out);
	for (const char *p = text; *p; p++) {
		if (*p == '"')
			fputc('"', out);
		fputc(harmless(*p), out);
	}
	if (quote)
		fputc('"', out);
}

/* What served malloc; "": not known, or no matter. */
struct library {
	char path[4096], version[64], build_id[80];
};

/* One line: a metric, or with `whole` something of the whole process, whose status is that word. */
struct line {
	const char *run;
	const struct sm_record *rec;
	const struct sm_metric *m;
	const char *whole;
	const struct library *library;
};

static void put_field(FILE *out, const struct line *l, const struct sm_field *f)
{
	struct sm_datum d = sm_field_get(&sm_metric_type, f, l->m);
	char number[40];

	if (l->whole != NULL && f->names == sm_status_names)
		d.text = l->whole;
	if (d.text != NULL) {
		put_text(out, d.text);
	} else if (d.has_number && f->kind == SM_FIELD_VALUE) {
		sm_text_number(d.number, number, sizeof(number));
		fputs(number, out);
	} else if (d.has_number &&
		   /* the process has no such times */
		   !(l->whole != NULL && f->kind == SM_FIELD_NS))
		fprintf(out, "%.0f", d.number);
}

/* The field whose column it is; NULL: the sample's, or beyond the last. */
static const struct sm_field *field_of(unsigned column)
{
	for (const struct sm_field *f = sm_metric_type.fields; f->name; f++)
		if (f->csv == column)
			return f;
	return NULL;
}

static bool is_sample_column(unsigned column)
{
	return column == COL_RUN || column == COL_REP || column == COL_BACKEND ||
	       column == COL_PASS || (column >= COL_LIBRARY && column <= COL_BUILD);
}

/* l NULL: the header. */
static void put_line(FILE *out, const struct line *l)
{
	const struct sm_field *f;

	for (unsigned c = 1; (f = field_of(c)) || is_sample_column(c); c++) {
		if (c > 1)
			fputc(',', out);
		if (l == NULL)
			fputs(f != NULL ? f->name : sample_columns[c], out);
		else if (f != NULL)
			put_field(out, l, f);
		else if (c == COL_REP || c == COL_PASS)
			fprintf(out, "%u", c == COL_REP ? l->rec->rep : l->rec->pass);
		else
			put_text(out, c == COL_RUN	 ? l->run
				      : c == COL_BACKEND ? l->rec->backend
				      : c == COL_LIBRARY ? l->library->path
				      : c == COL_VERSION ? l->library->version
							 : l->library->build_id);
	}
	fputc('\n', out);
}

static void put_whole(FILE *out, struct line l, const struct sm_result *res, const char *status)
{
	struct sm_metric m;

	sm_row_init(&sm_metric_type, &m);
	m.metric = res->name;
	m.reason = res->reason;
	m.unit = res->unit;
	m.has_value = res->has_value;
	m.value = res->value;
	m.source = SM_SOURCE_SW;
	l.m = &m;
	l.whole = status;
	put_line(out, &l);
}

static int put_record(FILE *out, const struct sm_record *rec)
{
	struct sm_result sample = {.name = "sample", .unit = "", .reason = rec->message};
	char *run = sm__writer_case(rec, NULL);
	struct library library;
	struct line l = {run, rec, NULL, NULL, &library};

	if (run == NULL)
		return -ENOMEM;
	sm_record_library_part(rec, "path", library.path, sizeof(library.path));
	sm_record_library_part(rec, "version", library.version, sizeof(library.version));
	sm_record_library_part(rec, "build_id", library.build_id, sizeof(library.build_id));
	if (rec->status != SM_OUTCOME_OK)
		put_whole(out, l, &sample, sm_outcome_names[rec->status]);
	for (size_t i = 0; i < rec->nresults; i++) {
		const struct sm_result *res = &rec->results[i];

		put_whole(out, l, res,
			  sm_status_names[res->has_value ? SM_STATUS_OK : SM_STATUS_NOT_COUNTED]);
	}
	for (size_t i = 0; i < rec->nmetrics; i++) {
		struct sm_metric m = sm__writer_metric(&rec->metrics[i]);

		l.m = &m;
		put_line(out, &l);
	}
	free(run);
	return 0;
}

int sm_write_csv(const struct sm_report *r, FILE *out)
{
	int rc = 0;

	put_line(out, NULL);
	for (size_t i = 0; i < r->nrecords && rc == 0; i++)
		rc = put_record(out, &r->records[i]);
	return rc;
}
