/*
 * The wire between worker and runner, both ends. See record.h.
 *
 *   {"error":"", "results":[[name, unit, value|null, reason]..],
 *    "metrics":[[role, phase, thread, cpu, node, metric, event, value|null, unit, status, source, reason,
 *                enabled_ns, running_ns, core kind where there are several]..],
 *    "output":"..", "warnings":".."}
 */
#include "harness/record.h"
#include "workloads/session.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_ROWS 4000000

void sm_record_free(struct sm_record *r)
{
	free(r->results);
	free(r->metrics);
	r->results = NULL;
	r->metrics = NULL;
	r->nresults = r->nmetrics = 0;
}

const struct sm_record_result *sm_record_result(const struct sm_record *r, const char *name)
{
	for (size_t i = 0; i < r->nresults; i++) {
		if (!strcmp(r->results[i].name, name))
			return &r->results[i];
	}
	return NULL;
}

/* ---- worker: sample -> JSON ----------------------------------------------------------------------- */

static void add_value(cJSON *row, bool has, double v)
{
	/* JSON has no inf and nan: such a value is none. */
	cJSON_AddItemToArray(row, has && isfinite(v) ? cJSON_CreateNumber(v) : cJSON_CreateNull());
}

static void add_text(cJSON *row, const char *text)
{
	cJSON_AddItemToArray(row, cJSON_CreateString(text));
}

static void add_number(cJSON *row, double v)
{
	cJSON_AddItemToArray(row, cJSON_CreateNumber(v));
}

static cJSON *result_row(const struct sm_result *res)
{
	cJSON *row = cJSON_CreateArray();
	double v = res->kind == SM_VALUE_INT ? (double)res->i : res->d;

	add_text(row, res->name);
	add_text(row, res->unit);
	add_value(row, res->kind != SM_VALUE_NONE, v);
	add_text(row, res->kind != SM_VALUE_NONE && !isfinite(v) ? "not a finite number" : res->reason);
	return row;
}

static cJSON *metric_row(const struct sm_metric *m)
{
	cJSON *row = cJSON_CreateArray();

	add_text(row, m->role);
	add_text(row, m->phase);
	add_number(row, m->thread);
	add_number(row, m->cpu);
	add_number(row, m->node);
	add_text(row, m->metric);
	add_text(row, m->event);
	add_value(row, m->has_value, m->value);
	add_text(row, m->unit);
	add_text(row, sm_metric_status_name(m->status));
	add_text(row, m->source);
	add_text(row, m->reason);
	add_number(row, (double)m->enabled_ns);
	add_number(row, (double)m->running_ns);
	if (m->core_kind[0])
		add_text(row, m->core_kind);
	return row;
}

char *sm_record_format(const struct sm_sample *s, int rc)
{
	cJSON *root = cJSON_CreateObject(), *results, *metrics;
	char unknown[64], *text;

	snprintf(unknown, sizeof(unknown), "the session failed: %s", strerror(-rc));
	cJSON_AddStringToObject(root, "error", rc == 0 ? "" : s->error[0] ? s->error : unknown);
	results = cJSON_AddArrayToObject(root, "results");
	for (unsigned i = 0; i < s->nresults; i++)
		cJSON_AddItemToArray(results, result_row(&s->results[i]));
	metrics = cJSON_AddArrayToObject(root, "metrics");
	for (unsigned i = 0; i < s->nmetrics; i++)
		cJSON_AddItemToArray(metrics, metric_row(&s->metrics[i]));
	cJSON_AddStringToObject(root, "output", s->output ? s->output : "");
	cJSON_AddStringToObject(root, "warnings", s->warnings ? s->warnings : "");
	text = cJSON_PrintUnformatted(root);
	cJSON_Delete(root);
	return text;
}

/* ---- runner: JSON -> record ----------------------------------------------------------------------- */

/* Takes the fields of a row in turn; the first that is not what it should be makes `bad` stay. */
struct cursor {
	const cJSON *at;
	struct sm_pool *pool;
	bool bad, nomem;
};

static const cJSON *next(struct cursor *c)
{
	const cJSON *item = c->at;

	if (item)
		c->at = item->next;
	else
		c->bad = true;
	return item;
}

static const char *take_text(struct cursor *c)
{
	const cJSON *item = next(c);
	const char *s;

	if (!cJSON_IsString(item)) {
		c->bad = true;
		return "";
	}
	s = sm_pool_str(c->pool, item->valuestring);
	c->nomem |= !s;
	return s ? s : "";
}

static double take_number(struct cursor *c, double min, double max)
{
	const cJSON *item = next(c);

	if (!cJSON_IsNumber(item) || !(item->valuedouble >= min && item->valuedouble <= max)) {
		c->bad = true;
		return 0;
	}
	return item->valuedouble;
}

static bool take_value(struct cursor *c, double *v)
{
	const cJSON *item = next(c);

	*v = 0;
	if (cJSON_IsNull(item))
		return false;
	if (!cJSON_IsNumber(item) || !isfinite(item->valuedouble)) {
		c->bad = true;
		return false;
	}
	*v = item->valuedouble;
	return true;
}

static struct cursor open_row(const cJSON *row, struct sm_pool *pool)
{
	return (struct cursor){.at = cJSON_IsArray(row) ? row->child : NULL, .pool = pool};
}

static int row_error(const struct cursor *c)
{
	return c->nomem ? -ENOMEM : c->bad || c->at ? -EINVAL : 0;
}

static int parse_result(struct sm_record_result *res, const cJSON *row, struct sm_pool *pool)
{
	struct cursor c = open_row(row, pool);

	res->name = take_text(&c);
	res->unit = take_text(&c);
	res->has_value = take_value(&c, &res->value);
	res->reason = take_text(&c);
	return row_error(&c);
}

static int parse_metric(struct sm_record_metric *m, const cJSON *row, struct sm_pool *pool)
{
	struct cursor c = open_row(row, pool);

	m->role = take_text(&c);
	m->phase = take_text(&c);
	m->thread = (int)take_number(&c, -1, 1 << 20);
	m->cpu = (int)take_number(&c, -1, 1 << 20);
	m->node = (int)take_number(&c, -1, 1 << 20);
	m->metric = take_text(&c);
	m->event = take_text(&c);
	m->has_value = take_value(&c, &m->value);
	m->unit = take_text(&c);
	m->status = take_text(&c);
	m->source = take_text(&c);
	m->reason = take_text(&c);
	m->enabled_ns = (uint64_t)take_number(&c, 0, 1e18);
	m->running_ns = (uint64_t)take_number(&c, 0, 1e18);
	m->kind = c.at ? take_text(&c) : sm_pool_str(pool, "-");
	m->core = m->l3 = -1;
	m->doubt = "";
	return m->kind ? row_error(&c) : -ENOMEM;
}

static int parse_rows(struct sm_record *r, struct sm_pool *pool, const cJSON *results, const cJSON *metrics)
{
	int nr = cJSON_GetArraySize(results), nm = cJSON_GetArraySize(metrics), rc = 0;
	const cJSON *row;

	if (nr > MAX_ROWS || nm > MAX_ROWS)
		return -EINVAL;
	r->results = calloc((size_t)nr + 1, sizeof(*r->results));
	r->metrics = calloc((size_t)nm + 1, sizeof(*r->metrics));
	if (!r->results || !r->metrics)
		return -ENOMEM;
	for (row = results->child; row && rc == 0; row = row->next)
		rc = parse_result(&r->results[r->nresults++], row, pool);
	for (row = metrics->child; row && rc == 0; row = row->next)
		rc = parse_metric(&r->metrics[r->nmetrics++], row, pool);
	return rc;
}

/* A member that must be a string; NULL when it is not. */
static const char *member_text(const cJSON *root, const char *name, struct sm_pool *pool)
{
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(root, name);

	return cJSON_IsString(item) ? sm_pool_str(pool, item->valuestring) : NULL;
}

static int parse_root(struct sm_record *r, struct sm_pool *pool, const cJSON *root)
{
	const cJSON *results = cJSON_GetObjectItemCaseSensitive(root, "results");
	const cJSON *metrics = cJSON_GetObjectItemCaseSensitive(root, "metrics");
	const char *error = member_text(root, "error", pool), *output = member_text(root, "output", pool);
	const char *warnings = member_text(root, "warnings", pool);

	if (!error || !output || !warnings || !cJSON_IsArray(results) || !cJSON_IsArray(metrics))
		return -EINVAL;
	r->output = output;
	r->warnings = warnings;
	r->message = error;
	r->status = sm_pool_str(pool, error[0] ? SM_STATUS_WORD_FAILED : SM_STATUS_WORD_OK);
	if (!r->status)
		return -ENOMEM;
	return error[0] ? 0 : parse_rows(r, pool, results, metrics);
}

int sm_record_parse(struct sm_record *r, struct sm_pool *pool, const char *text, size_t len, char *err,
		    size_t errlen)
{
	cJSON *root = cJSON_ParseWithLength(text, len);
	int rc = root ? parse_root(r, pool, root) : -EINVAL;

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
