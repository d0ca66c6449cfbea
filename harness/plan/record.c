/*
 * record.c: the wire between worker and runner, both ends. See record.h.
 *
 *   {"error":"", "results":[{"name":"wall_s", "unit":"s", "value":1.5}, ..],
 *   "metrics":[{"role":"mutator", ..}, ..], "series":[{"name":"heap_goal", ..}, ..],
 *    "began_ns", "ended_ns":CLOCK_MONOTONIC around the timed part,
 *    "timeout":true where the worker itself ended what it measured,
 *    "library":{"path":"..","version":"..","build_id":".."}, "output":"..", "warnings":".."}
 *
 * A row has the fields of its type (workloads/metric.h) that are kept, less those in which there is
 * nothing.
 */
#include "harness/plan/record.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/mallocs/library.h"
#include "harness/program/program.h"
#include "workloads/series.h"
#include "workloads/session.h"

#define MAX_ROWS 4000000

const char *const sm_outcome_names[] = {"ok",	      "failed",	     "crashed", "timeout",
					"bad-output", "interrupted", "n/a",	NULL};

void sm_record_free(struct sm_record *r)
{
	free(r->results);
	free(r->metrics);
	free(r->series);
	r->results = NULL;
	r->metrics = NULL;
	r->series = NULL;
	r->nresults = r->nmetrics = r->nseries = 0;
}

const struct sm_result *sm_record_result(const struct sm_record *r, const char *name)
{
	return sm_result_find(r->results, r->nresults, name);
}

/* ---- worker: sample -> JSON --------------------------------------------------------------- */

static void add_rows(cJSON *root, const char *name, const struct sm_row_type *type,
		     const void *rows, size_t n)
{
	cJSON *list = cJSON_AddArrayToObject(root, name);

	for (size_t i = 0; i < n; i++) {
		cJSON *obj = cJSON_CreateObject();

		for (const struct sm_field *f = type->fields; f->name; f++) {
			struct sm_datum d =
				sm_field_get(type, f, (const char *)rows + i * type->size);

			if (f->kept && d.has_number)
				cJSON_AddItemToObjectCS(obj, f->name, cJSON_CreateNumber(d.number));
			else if (f->kept && d.text != NULL && d.text[0])
				cJSON_AddItemToObjectCS(obj, f->name, cJSON_CreateString(d.text));
		}
		cJSON_AddItemToArray(list, obj);
	}
}

static cJSON *library_json(const struct sm_library *l)
{
	cJSON *obj = cJSON_CreateObject();

	cJSON_AddStringToObject(obj, "path", l->path);
	cJSON_AddStringToObject(obj, "version", l->version);
	cJSON_AddStringToObject(obj, "build_id", l->build_id);
	return obj;
}

char *sm_record_format(const struct sm_sample *s, const struct sm_library *library, int rc)
{
	cJSON *root = cJSON_CreateObject();
	char unknown[64], *text;

	snprintf(unknown, sizeof(unknown), "the session failed: %s", strerror(-rc));
	cJSON_AddStringToObject(root, "error", rc == 0 ? "" : s->error[0] ? s->error : unknown);
	if (rc == -ETIMEDOUT)
		cJSON_AddTrueToObject(root, "timeout");
	add_rows(root, "results", &sm_result_type, s->results, s->nresults);
	add_rows(root, "metrics", &sm_metric_type, s->metrics, s->nmetrics);
	add_rows(root, "series", &sm_series_type, s->series, s->nseries);
	cJSON_AddNumberToObject(root, "began_ns", (double)s->began_ns);
	cJSON_AddNumberToObject(root, "ended_ns", (double)s->ended_ns);
	if (library != NULL)
		cJSON_AddItemToObject(root, "library", library_json(library));
	cJSON_AddStringToObject(root, "output", s->output != NULL ? s->output : "");
	cJSON_AddStringToObject(root, "warnings", s->warnings != NULL ? s->warnings : "");
	text = cJSON_PrintUnformatted(root);
	cJSON_Delete(root);
	return text;
}

/* ---- runner: JSON -> record --------------------------------------------------------------- */

static int parse_row(const struct sm_row_type *type, void *row, const cJSON *obj,
		     struct sm_pool *pool)
{
	const cJSON *item;
	int rc = cJSON_IsObject(obj) ? 0 : -EINVAL;

	for (item = obj->child; item != NULL && rc == 0; item = item->next) {
		const struct sm_field *f = type->fields;
		struct sm_datum d = {.text = cJSON_GetStringValue(item),
				     .has_number = cJSON_IsNumber(item),
				     .number = item->valuedouble};

		while (f->name != NULL && (!f->kept || strcmp(f->name, item->string) != 0))
			f++;
		rc = f->name != NULL && (d.text != NULL || d.has_number)
			     ? sm_field_set(type, f, row, d)
			     : -EINVAL;
	}
	return rc ? rc : sm_row_keep(type, row, pool);
}

static int parse_rows(const struct sm_row_type *type, void *array, size_t *n, const cJSON *list,
		      struct sm_pool *pool)
{
	const cJSON *obj;
	int rc = cJSON_GetArraySize(list) > MAX_ROWS ? -EINVAL : 0;

	for (obj = list->child; obj != NULL && rc == 0; obj = obj->next) {
		void *row = sm_row_add(type, array, n);

		rc = row != NULL ? parse_row(type, row, obj, pool) : -ENOMEM;
	}
	return rc;
}

/* A member that must be a string; NULL when it is not. */
static const char *member_text(const cJSON *root, const char *name, struct sm_pool *pool)
{
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(root, name);

	return cJSON_IsString(item) ? sm_pool_str(pool, item->valuestring) : NULL;
}

/* The member as text, "" where it is not there; NULL when it is no such object. */
static const char *library_text(const cJSON *root, struct sm_pool *pool)
{
	const cJSON *obj = cJSON_GetObjectItemCaseSensitive(root, "library"), *item;
	const char *kept;
	char *text;

	if (obj == NULL)
		return sm_pool_str(pool, "");
	cJSON_ArrayForEach(item, obj) if (!cJSON_IsString(item)) return NULL;
	text = cJSON_IsObject(obj) ? cJSON_PrintUnformatted(obj) : NULL;
	kept = text != NULL ? sm_pool_str(pool, text) : NULL;
	cJSON_free(text);
	return kept;
}

/* A moment of CLOCK_MONOTONIC; 0: not there. */
static uint64_t member_ns(const cJSON *root, const char *name)
{
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(root, name);

	return cJSON_IsNumber(item) && item->valuedouble >= 0 && item->valuedouble <= 1e18
		       ? (uint64_t)item->valuedouble
		       : 0;
}

/* A sample has none where nothing was there to be seen. */
static int parse_series(struct sm_record *r, struct sm_pool *pool, const cJSON *root)
{
	const cJSON *series = cJSON_GetObjectItemCaseSensitive(root, "series");

	r->began_ns = member_ns(root, "began_ns");
	r->ended_ns = member_ns(root, "ended_ns");
	if (series == NULL)
		return 0;
	if (!cJSON_IsArray(series))
		return -EINVAL;
	return parse_rows(&sm_series_type, &r->series, &r->nseries, series, pool);
}

int sm_record_add_resident(struct sm_record *r, struct sm_pool *pool, const struct sm_trail *t)
{
	char *points = r->began_ns > 0 ? sm_trail_text(t, 0, r->began_ns, r->ended_ns) : NULL;
	struct sm_series *s;
	int rc = 0;

	if (points == NULL)
		return 0;
	s = sm_row_add(&sm_series_type, &r->series, &r->nseries);
	if (s != NULL)
		*s = (struct sm_series){
			.name = "rss", .x_unit = "ns", .y_unit = "bytes", .points = points};
	rc = s != NULL ? sm_row_keep(&sm_series_type, s, pool) : -ENOMEM;
	free(points);
	return rc;
}

static int parse_root(struct sm_record *r, struct sm_pool *pool, const cJSON *root)
{
	const cJSON *results = cJSON_GetObjectItemCaseSensitive(root, "results");
	const cJSON *metrics = cJSON_GetObjectItemCaseSensitive(root, "metrics");
	const char *error = member_text(root, "error", pool),
		   *output = member_text(root, "output", pool);
	const char *warnings = member_text(root, "warnings", pool);
	const char *library = library_text(root, pool);
	int rc;

	if (library == NULL || error == NULL || output == NULL || warnings == NULL ||
	    !cJSON_IsArray(results) || !cJSON_IsArray(metrics))
		return -EINVAL;
	r->output = output;
	r->warnings = warnings;
	r->message = error;
	r->library = library;
	r->status = error[0] == '\0' ? SM_OUTCOME_OK
		    : cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(root, "timeout"))
			    ? SM_OUTCOME_TIMEOUT
			    : SM_OUTCOME_FAILED;
	if (error[0])
		return 0;
	rc = parse_rows(&sm_result_type, &r->results, &r->nresults, results, pool);
	if (rc == 0)
		rc = parse_rows(&sm_metric_type, &r->metrics, &r->nmetrics, metrics, pool);
	return rc ? rc : parse_series(r, pool, root);
}

int sm_record_parse(struct sm_record *r, struct sm_pool *pool, const char *text, size_t len,
		    char *err, size_t errlen)
{
	cJSON *root = cJSON_ParseWithLength(text, len);
	int rc = root != NULL ? parse_root(r, pool, root) : -EINVAL;

	cJSON_Delete(root);
	if (rc) {
		sm_record_free(r);
		snprintf(err, errlen, "%s",
			 rc == -ENOMEM ? "out of memory"
			 : len == 0    ? "the worker sent nothing"
				       : "what the worker sent is no sample");
	}
	return rc;
}

bool sm_record_is_beside(const struct sm_record *r)
{
	return sm_record_result(r, "simulated_ops") != NULL;
}

bool sm_record_is_program(const struct sm_record *r)
{
	cJSON *params = cJSON_Parse(r->params);
	bool is = cJSON_HasObjectItem(params, sm_part_names[SM_PART_PROGRAM]) ||
		  cJSON_HasObjectItem(params, sm_part_names[SM_PART_SERVER]);

	cJSON_Delete(params);
	return is;
}

/* ---- what it ran with --------------------------------------------------------------------- */

void sm_record_library_part(const struct sm_record *r, const char *part, char *buf, size_t len)
{
	cJSON *obj = r->library[0] != '\0' ? cJSON_Parse(r->library) : NULL;
	const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(obj, part));

	snprintf(buf, len, "%s", text != NULL ? text : "");
	cJSON_Delete(obj);
}

void sm_record_library(const struct sm_record *r, char *buf, size_t len)
{
	char path[256], version[64], build[80];
	const char *slash;

	buf[0] = '\0';
	if (r->library[0] == '\0')
		return;
	sm_record_library_part(r, "path", path, sizeof(path));
	sm_record_library_part(r, "version", version, sizeof(version));
	sm_record_library_part(r, "build_id", build, sizeof(build));
	slash = strrchr(path, '/');
	snprintf(buf, len, "%s (%s, build %.12s)", version[0] ? version : "version unknown",
		 slash != NULL ? slash + 1 : path, build[0] ? build : "unknown");
}
