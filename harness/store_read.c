/*
 * The reading half of the store. See store.h.
 */
#include "harness/calibration.h"
#include "harness/store_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Text of a column in the pool; "" for NULL. *rc becomes -ENOMEM when there is no room. */
static const char *text_at(sqlite3_stmt *st, int col, struct sm_pool *pool, int *rc)
{
	const char *t = sm_pool_str(pool, (const char *)sqlite3_column_text(st, col));

	if (!t)
		*rc = -ENOMEM;
	return t ? t : "";
}

/* Room for one more in a doubling array. */
static void *room(void *array, size_t n, size_t size, int *rc)
{
	void *bigger;

	if (n & (n - 1))
		return array;
	bigger = realloc(array, (n ? n * 2 : 1) * size);
	if (!bigger)
		*rc = -ENOMEM;
	return bigger ? bigger : array;
}

static int load_results(struct sm_store *s, int64_t sample, struct sm_record *r, struct sm_pool *pool)
{
	int rc = 0, step = SQLITE_DONE;
	sqlite3_stmt *st = sm__store_prepare(
		s, "SELECT name,unit,reason,value FROM result WHERE sample=? ORDER BY rowid", &rc);

	if (rc == 0)
		sqlite3_bind_int64(st, 1, sample);
	while (rc == 0 && (step = sqlite3_step(st)) == SQLITE_ROW) {
		r->results = room(r->results, r->nresults, sizeof(*r->results), &rc);
		if (rc)
			break;
		r->results[r->nresults++] = (struct sm_record_result){
			.name = text_at(st, 0, pool, &rc),
			.unit = text_at(st, 1, pool, &rc),
			.reason = text_at(st, 2, pool, &rc),
			.has_value = sqlite3_column_type(st, 3) != SQLITE_NULL,
			.value = sqlite3_column_double(st, 3),
		};
	}
	if (rc == 0)
		rc = sm__store_fail(s, step);
	sqlite3_finalize(st);
	return rc;
}

static int load_metrics(struct sm_store *s, int64_t sample, struct sm_record *r, struct sm_pool *pool)
{
	int rc = 0, step = SQLITE_DONE;
	sqlite3_stmt *st = sm__store_prepare(
		s,
		"SELECT role,phase,thread,cpu,node,core,l3,kind,metric,event,unit,enabled_ns,"
		"running_ns,status,source,reason,value FROM metric WHERE sample=? ORDER BY rowid",
		&rc);

	if (rc == 0)
		sqlite3_bind_int64(st, 1, sample);
	while (rc == 0 && (step = sqlite3_step(st)) == SQLITE_ROW) {
		r->metrics = room(r->metrics, r->nmetrics, sizeof(*r->metrics), &rc);
		if (rc)
			break;
		r->metrics[r->nmetrics++] = (struct sm_record_metric){
			.role = text_at(st, 0, pool, &rc),
			.phase = text_at(st, 1, pool, &rc),
			.thread = sqlite3_column_int(st, 2),
			.cpu = sqlite3_column_int(st, 3),
			.node = sqlite3_column_int(st, 4),
			.core = sqlite3_column_int(st, 5),
			.l3 = sqlite3_column_int(st, 6),
			.kind = text_at(st, 7, pool, &rc),
			.metric = text_at(st, 8, pool, &rc),
			.event = text_at(st, 9, pool, &rc),
			.unit = text_at(st, 10, pool, &rc),
			.enabled_ns = (uint64_t)sqlite3_column_int64(st, 11),
			.running_ns = (uint64_t)sqlite3_column_int64(st, 12),
			.status = text_at(st, 13, pool, &rc),
			.source = text_at(st, 14, pool, &rc),
			.reason = text_at(st, 15, pool, &rc),
			.has_value = sqlite3_column_type(st, 16) != SQLITE_NULL,
			.value = sqlite3_column_double(st, 16),
			.doubt = "",
		};
	}
	if (rc == 0)
		rc = sm__store_fail(s, step);
	sqlite3_finalize(st);
	return rc;
}

static int load_sample(struct sm_store *s, sqlite3_stmt *st, struct sm_report *out)
{
	struct sm_pool *pool = &out->pool;
	struct sm_record *r;
	int rc = 0;

	out->records = room(out->records, out->nrecords, sizeof(*out->records), &rc);
	if (rc)
		return rc;
	r = &out->records[out->nrecords++];
	*r = (struct sm_record){
		.ordinal = (unsigned)sqlite3_column_int64(st, 1),
		.group = (unsigned)sqlite3_column_int64(st, 2),
		.workload = text_at(st, 3, pool, &rc),
		.backend = text_at(st, 4, pool, &rc),
		.params = text_at(st, 5, pool, &rc),
		.config = text_at(st, 6, pool, &rc),
		.placement = text_at(st, 7, pool, &rc),
		.pass = (unsigned)sqlite3_column_int64(st, 8),
		.rep = (unsigned)sqlite3_column_int64(st, 9),
		.status = text_at(st, 10, pool, &rc),
		.message = text_at(st, 11, pool, &rc),
		.took_s = sqlite3_column_double(st, 12),
		.output = text_at(st, 13, pool, &rc),
		.warnings = text_at(st, 14, pool, &rc),
	};
	if (rc == 0)
		rc = load_results(s, sqlite3_column_int64(st, 0), r, pool);
	if (rc == 0)
		rc = load_metrics(s, sqlite3_column_int64(st, 0), r, pool);
	return rc;
}

static int load_samples(struct sm_store *s, struct sm_report *out)
{
	int rc = 0, step = SQLITE_DONE;
	sqlite3_stmt *st = sm__store_prepare(
		s,
		"SELECT id,ordinal,grp,workload,backend,params,config,placement,pass,rep,status,"
		"message,took_s,output,warnings FROM sample WHERE run=? ORDER BY grp,rep,pass,ordinal",
		&rc);

	if (rc == 0)
		sqlite3_bind_int64(st, 1, out->run);
	while (rc == 0 && (step = sqlite3_step(st)) == SQLITE_ROW)
		rc = load_sample(s, st, out);
	if (rc == 0)
		rc = sm__store_fail(s, step);
	sqlite3_finalize(st);
	return rc;
}

static int load_run(struct sm_store *s, int64_t run, struct sm_report *out)
{
	int rc = 0, step;
	sqlite3_stmt *st = sm__store_prepare(
		s,
		run ? "SELECT id,environment,command_line,state,started,by_what,seed,planned FROM"
		      " run WHERE id=?"
		    : "SELECT id,environment,command_line,state,started,by_what,seed,planned FROM"
		      " run ORDER BY id DESC LIMIT 1",
		&rc);

	if (rc == 0 && run)
		sqlite3_bind_int64(st, 1, run);
	if (rc == 0) {
		step = sqlite3_step(st);
		if (step == SQLITE_DONE) {
			snprintf(s->error, sizeof(s->error), "store '%s': no such run", s->path);
			rc = -ENOENT;
		} else
			rc = sm__store_fail(s, step);
	}
	if (rc == 0) {
		out->run = sqlite3_column_int64(st, 0);
		out->environment = text_at(st, 1, &out->pool, &rc);
		out->command_line = text_at(st, 2, &out->pool, &rc);
		out->state = text_at(st, 3, &out->pool, &rc);
		out->started = text_at(st, 4, &out->pool, &rc);
		out->by = text_at(st, 5, &out->pool, &rc);
		out->seed = (uint64_t)sqlite3_column_int64(st, 6);
		out->planned = (unsigned)sqlite3_column_int64(st, 7);
	}
	sqlite3_finalize(st);
	return rc;
}

static int load_calibrations(struct sm_store *s, struct sm_report *out)
{
	int rc = 0, step = SQLITE_DONE;
	sqlite3_stmt *st = sm__store_prepare(
		s,
		"SELECT kernel,event,verdict,reason,expected,counted,error,label FROM calibration"
		" WHERE run=? ORDER BY rowid",
		&rc);

	if (rc == 0)
		sqlite3_bind_int64(st, 1, out->run);
	while (rc == 0 && (step = sqlite3_step(st)) == SQLITE_ROW) {
		out->calibrations =
			room(out->calibrations, out->ncalibrations, sizeof(*out->calibrations), &rc);
		if (rc)
			break;
		out->calibrations[out->ncalibrations++] = (struct sm_calibration_row){
			.kernel = text_at(st, 0, &out->pool, &rc),
			.event = text_at(st, 1, &out->pool, &rc),
			.verdict = text_at(st, 2, &out->pool, &rc),
			.reason = text_at(st, 3, &out->pool, &rc),
			.expected = sqlite3_column_double(st, 4),
			.has_value = sqlite3_column_type(st, 5) != SQLITE_NULL,
			.counted = sqlite3_column_double(st, 5),
			.error = sqlite3_column_double(st, 6),
			.label = text_at(st, 7, &out->pool, &rc),
		};
	}
	if (rc == 0)
		rc = sm__store_fail(s, step);
	sqlite3_finalize(st);
	return rc;
}

int sm_store_load(struct sm_store *s, int64_t run, struct sm_report *out)
{
	int rc;

	*out = (struct sm_report){0};
	rc = load_run(s, run, out);
	if (rc == 0)
		rc = load_samples(s, out);
	if (rc == 0)
		rc = load_calibrations(s, out);
	if (rc == 0)
		rc = sm_calibration_apply(out);
	if (rc)
		sm_report_free(out);
	return rc;
}

void sm_report_free(struct sm_report *r)
{
	for (size_t i = 0; i < r->nrecords; i++)
		sm_record_free(&r->records[i]);
	free(r->records);
	free(r->calibrations);
	sm_pool_free(&r->pool);
	*r = (struct sm_report){0};
}

/* ---- going on ------------------------------------------------------------------------------------ */

int sm_store_unfinished(struct sm_store *s, int64_t *run, unsigned *planned)
{
	int rc = 0;
	sqlite3_stmt *st = sm__store_prepare(
		s,
		"SELECT id,planned FROM run WHERE id=(SELECT max(id) FROM run) AND planned >"
		" (SELECT count(*) FROM sample WHERE run=run.id)",
		&rc);

	if (rc)
		return rc;
	rc = sqlite3_step(st);
	if (rc == SQLITE_ROW) {
		*run = sqlite3_column_int64(st, 0);
		*planned = (unsigned)sqlite3_column_int64(st, 1);
		rc = 0;
	} else if (rc == SQLITE_DONE) {
		snprintf(s->error, sizeof(s->error),
			 "store '%s': the last run is complete, nothing to resume", s->path);
		rc = -ENOENT;
	} else
		rc = sm__store_fail(s, rc);
	sqlite3_finalize(st);
	return rc;
}

char *sm_store_pending(struct sm_store *s, int64_t run, unsigned ordinal)
{
	int rc = 0;
	char *job = NULL;
	sqlite3_stmt *st = sm__store_prepare(s,
					     "SELECT job FROM plan WHERE run=?1 AND ordinal=?2 AND NOT EXISTS"
					     " (SELECT 1 FROM sample WHERE run=?1 AND ordinal=?2)",
					     &rc);

	if (rc)
		return NULL;
	sqlite3_bind_int64(st, 1, run);
	sqlite3_bind_int64(st, 2, ordinal);
	if (sqlite3_step(st) == SQLITE_ROW)
		job = strdup((const char *)sqlite3_column_text(st, 0));
	sqlite3_finalize(st);
	return job;
}
