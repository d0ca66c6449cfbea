/*
 * writer_json.c: JSON, schema_version 1. Samples are printed one at a time: a long run does not
 * need to fit twice in memory.
 *
 *   {"schema_version":1, "environment":{..},
 *    "samples":[{"workload","backend","params":{},"config":{},"placement":{..},"rep","pass",
 *                "status","message","took_s","results":{"wall_s":1.5,..},"units":{..},
 *                "missing":{"name":"reason"}, "how":{"name":"words"} of results that are not
 *                always measured alike, if any, "library":{"path","version","build_id"}|null,
 *                "metrics":[{"role","phase","thread","cpu","node",..,"metric","event",
 *                            "value"|null,"unit","status","source"}],
 *                "series":[{"name":"heap_live","x_unit":"ns","y_unit":"bytes",
 *                           "points":[[x,y],..]}],
 *                "output","warnings":[..]}],
 *    "summary":[{"case","workload","backend","results":{"wall_s":{"n","median","low","high",..}},
 *                "counters":[{"role","phase","reps","occurred","values":{"cycles_per_op":{..}},
 *                             "missing":{"ipc":"reason"}}]}], "calibration":[..]}
 *
 * "counters" are the rows of the table, for what --by names.
 *
 * "library" is what served malloc; null: the sample's backend has its own, or it was not run. Of a
 * backend that is not installed the only sample of each case has the status "n/a".
 *
 * A value that is absent is null, its status says how (unsupported, denied, not_counted) and its
 * reason why. "calibration": "off" in a metric: an event behind it was found to count something
 * else; do not believe it.
 */
#include <cjson/cJSON.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "harness/report/summary.h"
#include "harness/report/writer.h"
#include "workloads/series.h"
#include "harness/base/text.h"
#include "perf/names.h"

/* cJSON's own numbers may lose the last bit: these read back as the same double, as in CSV. */
static cJSON *value_json(bool has, double v)
{
	char text[40];

	if (!has || !isfinite(v))
		return cJSON_CreateNull();
	sm_text_number(v, text, sizeof(text));
	return cJSON_CreateRaw(text);
}

static void add_value(cJSON *obj, const char *name, double v)
{
	cJSON_AddItemToObject(obj, name, value_json(true, v));
}

/* The object in `text`, or an empty one. */
static cJSON *object_json(const char *text)
{
	cJSON *obj = cJSON_Parse(text);

	if (cJSON_IsObject(obj))
		return obj;
	cJSON_Delete(obj);
	return cJSON_CreateObject();
}

static cJSON *datum_json(struct sm_datum d)
{
	return d.text != NULL ? cJSON_CreateString(d.text) : value_json(d.has_number, d.number);
}

static cJSON *metric_json(const struct sm_metric *metric)
{
	struct sm_metric m = sm__writer_metric(metric);
	cJSON *obj = cJSON_CreateObject();

	if (!m.core_kind[0])
		m.core_kind = "-";
	for (const struct sm_field *f = sm_metric_type.fields; f->name; f++) {
		struct sm_datum d = sm_field_get(&sm_metric_type, f, &m);

		if (f->json == SM_JSON_ALWAYS ||
		    (f->json == SM_JSON_IF_SET && d.text != NULL && d.text[0]))
			cJSON_AddItemToObjectCS(obj, f->name, datum_json(d));
	}
	return obj;
}

static void add_results(cJSON *obj, const struct sm_record *rec)
{
	cJSON *results = cJSON_AddObjectToObject(obj, "results");
	cJSON *units = cJSON_AddObjectToObject(obj, "units");
	cJSON *missing = cJSON_AddObjectToObject(obj, "missing"), *how = cJSON_CreateObject();

	for (size_t i = 0; i < rec->nresults; i++) {
		const struct sm_result *res = &rec->results[i];

		cJSON_AddItemToObject(results, res->name, value_json(res->has_value, res->value));
		cJSON_AddStringToObject(units, res->name, res->unit);
		if (!res->has_value)
			cJSON_AddStringToObject(missing, res->name, res->reason);
		if (res->how[0])
			cJSON_AddStringToObject(how, res->name, res->how);
	}
	if (how->child != NULL)
		cJSON_AddItemToObject(obj, "how", how);
	else
		cJSON_Delete(how);
}

static cJSON *lines_json(const char *text)
{
	cJSON *list = cJSON_CreateArray();

	while (*text) {
		size_t len = strcspn(text, "\n");
		char *line = strndup(text, len);

		if (line != NULL && len)
			cJSON_AddItemToArray(list, cJSON_CreateString(line));
		free(line);
		text += len + (text[len] != 0);
	}
	return list;
}

static void add_series(cJSON *obj, const struct sm_record *rec)
{
	cJSON *list = cJSON_AddArrayToObject(obj, "series");

	for (size_t i = 0; i < rec->nseries; i++) {
		const struct sm_series *s = &rec->series[i];
		cJSON *one = cJSON_CreateObject();
		double(*points)[2];
		size_t n;

		cJSON_AddStringToObject(one, "name", s->name);
		cJSON_AddStringToObject(one, "x_unit", s->x_unit);
		cJSON_AddStringToObject(one, "y_unit", s->y_unit);
		if (sm_series_read(s->points, &points, &n) == 0)
			cJSON_AddItemToObject(one, "points", cJSON_CreateRaw(s->points));
		else
			cJSON_AddArrayToObject(one, "points");
		free(points);
		cJSON_AddItemToArray(list, one);
	}
}

static cJSON *sample_json(const struct sm_record *rec)
{
	cJSON *obj = cJSON_CreateObject(), *metrics;

	cJSON_AddStringToObject(obj, "workload", rec->workload);
	cJSON_AddStringToObject(obj, "backend", rec->backend);
	cJSON_AddItemToObject(obj, "params", object_json(rec->params));
	cJSON_AddItemToObject(obj, "config", object_json(rec->config));
	cJSON_AddItemToObject(obj, "placement", object_json(rec->placement));
	cJSON_AddNumberToObject(obj, "case", rec->group);
	cJSON_AddNumberToObject(obj, "rep", rec->rep);
	cJSON_AddNumberToObject(obj, "pass", rec->pass);
	cJSON_AddNumberToObject(obj, "ordinal", rec->ordinal);
	cJSON_AddStringToObject(obj, "status", sm_outcome_names[rec->status]);
	cJSON_AddStringToObject(obj, "message", rec->message);
	add_value(obj, "took_s", rec->took_s);
	add_results(obj, rec);
	cJSON_AddItemToObject(obj, "library",
			      rec->library[0] != '\0' ? object_json(rec->library)
						      : cJSON_CreateNull());
	metrics = cJSON_AddArrayToObject(obj, "metrics");
	for (size_t i = 0; i < rec->nmetrics; i++)
		cJSON_AddItemToArray(metrics, metric_json(&rec->metrics[i]));
	add_series(obj, rec);
	cJSON_AddStringToObject(obj, "output", rec->output);
	cJSON_AddItemToObject(obj, "warnings", lines_json(rec->warnings));
	return obj;
}

static cJSON *stats_json(const struct sm_stats *s)
{
	cJSON *obj = cJSON_CreateObject();

	cJSON_AddNumberToObject(obj, "n", (double)s->n);
	add_value(obj, "median", s->median);
	cJSON_AddItemToObject(obj, "low", value_json(s->has_interval, s->low));
	cJSON_AddItemToObject(obj, "high", value_json(s->has_interval, s->high));
	cJSON_AddItemToObject(obj, "confidence", value_json(s->has_interval, s->confidence));
	add_value(obj, "min", s->min);
	add_value(obj, "max", s->max);
	cJSON_AddNumberToObject(obj, "outliers", (double)s->outliers);
	return obj;
}

/* A row of the table. */
static cJSON *row_json(const struct sm_summary *u, size_t row, enum sm_by by)
{
	cJSON *obj = cJSON_CreateObject(), *values, *missing;

	cJSON_AddStringToObject(obj, sm_by_names[by], u->rows[row].who);
	cJSON_AddStringToObject(obj, "phase", u->rows[row].phase);
	cJSON_AddNumberToObject(obj, "reps", u->rows[row].reps);
	cJSON_AddNumberToObject(obj, "occurred", u->rows[row].occurred);
	values = cJSON_AddObjectToObject(obj, "values");
	missing = cJSON_AddObjectToObject(obj, "missing");
	for (size_t c = 0; c < u->ncolumns; c++) {
		const struct sm_cell *cell = &u->cells[row * u->ncolumns + c];
		char name[128];

		sm__writer_column(&u->columns[c], name, sizeof(name));
		if (cell->has_value)
			cJSON_AddItemToObject(values, name, stats_json(&cell->stats));
		else
			cJSON_AddStringToObject(missing, name,
						cell->reason != NULL ? cell->reason : "");
	}
	return obj;
}

/* Medians and intervals of every result of the group that starts at records[first], and its rows of
 * the table, from *row on. */
static cJSON *summary_json(const struct sm_report *r, size_t first, const struct sm_summary *u,
			   size_t *row, enum sm_by by)
{
	const struct sm_record *rec = &r->records[first];
	cJSON *obj = cJSON_CreateObject(), *results, *rows;
	size_t with_results = first;

	while (with_results < r->nrecords && r->records[with_results].group == rec->group &&
	       r->records[with_results].nresults == 0)
		with_results++;
	cJSON_AddNumberToObject(obj, "case", rec->group);
	cJSON_AddStringToObject(obj, "workload", rec->workload);
	cJSON_AddStringToObject(obj, "backend", rec->backend);
	results = cJSON_AddObjectToObject(obj, "results");
	rows = cJSON_AddArrayToObject(obj, "counters");
	for (; *row < u->nrows && u->rows[*row].group == rec->group; ++*row)
		cJSON_AddItemToArray(rows, row_json(u, *row, by));
	if (with_results == r->nrecords || r->records[with_results].group != rec->group)
		return obj;
	rec = &r->records[with_results];
	for (size_t i = 0; i < rec->nresults; i++) {
		struct sm_stats s;
		const char *reason;

		if (sm_summary_result(r, rec->group, rec->results[i].name, &s, NULL, &reason))
			cJSON_AddItemToObject(results, rec->results[i].name, stats_json(&s));
	}
	return obj;
}

static cJSON *calibration_json(const struct sm_calibration_row *c)
{
	cJSON *obj = cJSON_CreateObject();

	cJSON_AddStringToObject(obj, "kernel", c->kernel);
	cJSON_AddStringToObject(obj, "metric", c->event);
	cJSON_AddStringToObject(obj, "event", c->label);
	add_value(obj, "expected", c->expected);
	cJSON_AddItemToObject(obj, "counted", value_json(c->has_value, c->counted));
	cJSON_AddItemToObject(obj, "error", value_json(c->has_value, c->error));
	cJSON_AddStringToObject(obj, "verdict", c->verdict);
	cJSON_AddStringToObject(obj, "reason", c->reason);
	return obj;
}

/* Prints and deletes the item. */
static int put(FILE *out, const char *before, cJSON *item)
{
	char *text = cJSON_PrintUnformatted(item);

	cJSON_Delete(item);
	if (text == NULL)
		return -ENOMEM;
	sm_text_clean(text); /* cJSON escapes control characters, but takes any byte above them */
	fputs(before, out);
	fputs(text, out);
	free(text);
	return 0;
}

static int put_summaries(const struct sm_report *r, enum sm_by by, FILE *out)
{
	struct sm_summary u;
	size_t row = 0;
	int rc = sm_summary_build(r, by, &u);

	fputs("],\n\"summary\":[", out);
	for (size_t i = 0; i < r->nrecords && rc == 0; i++) {
		if (i == 0 || r->records[i].group != r->records[i - 1].group)
			rc = put(out, i ? ",\n" : "\n", summary_json(r, i, &u, &row, by));
	}
	sm_summary_free(&u);
	return rc;
}

int sm_write_json(const struct sm_report *r, const struct sm_writer *w, FILE *out)
{
	int rc = put(out, "{\"schema_version\":1,\n\"environment\":", object_json(r->environment));

	fputs(",\n\"state\":", out);
	if (rc == 0)
		rc = put(out, "", cJSON_CreateString(r->state));
	fprintf(out, ",\n\"planned\":%u,\n\"samples\":[", r->planned);
	for (size_t i = 0; i < r->nrecords && rc == 0; i++)
		rc = put(out, i ? ",\n" : "\n", sample_json(&r->records[i]));
	if (rc == 0)
		rc = put_summaries(r, w->by, out);
	fputs("],\n\"calibration\":[", out);
	for (size_t i = 0; i < r->ncalibrations && rc == 0; i++)
		rc = put(out, i ? ",\n" : "\n", calibration_json(&r->calibrations[i]));
	fputs("]}\n", out);
	return rc;
}
