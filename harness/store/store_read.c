/*
 * store_read.c: the reading half of the store. See store.h.
 */
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/store/calibration.h"
#include "harness/plan/case.h"
#include "harness/judge/statistics.h"
#include "harness/store/store_internal.h"
#include "perf/names.h"

/* Text of a column in the pool; "" for NULL. *rc becomes -ENOMEM when there is no room. */
static const char *text_at(sqlite3_stmt *st, int col, struct sm_pool *pool, int *rc)
{
	const char *t = sm_pool_str(pool, (const char *)sqlite3_column_text(st, col));

	if (t == NULL)
		*rc = -ENOMEM;
	return t != NULL ? t : "";
}

/* The same, where it is most often what `last` is, of the row before. */
static const char *text_like(sqlite3_stmt *st, int col, const char *last, struct sm_pool *pool,
			     int *rc)
{
	const char *t = (const char *)sqlite3_column_text(st, col);

	if (last != NULL && t != NULL && strcmp(t, last) == 0)
		return last;
	return text_at(st, col, pool, rc);
}

/* Room for one more in a doubling array. */
static void *room(void *array, size_t n, size_t size, int *rc)
{
	void *bigger;

	if (n & (n - 1))
		return array;
	bigger = realloc(array, (n ? n * 2 : 1) * size);
	if (bigger == NULL)
		*rc = -ENOMEM;
	return bigger != NULL ? bigger : array;
}

/* What is known of a sample's rows before they are read. */
struct rows_key {
	int64_t id, shape; /* of metrics */
	size_t record;
};

static int load_sample(struct sm_store *s, sqlite3_stmt *st, struct rows_key **keys,
		       struct sm_report *out)
{
	static const struct sm_record none;
	struct sm_pool *pool = &out->pool;
	const struct sm_record *last;
	int rc = 0,
	    status = sm_names_find(sm_outcome_names, (const char *)sqlite3_column_text(st, 10));

	if (status < 0) {
		snprintf(s->error, sizeof(s->error),
			 "store '%s': damaged: no sample ends so: '%.40s'", s->path,
			 sqlite3_column_text(st, 10));
		return -EILSEQ;
	}

	out->records = room(out->records, out->nrecords, sizeof(*out->records), &rc);
	*keys = room(*keys, out->nrecords, sizeof(**keys), &rc);
	if (rc)
		return rc;
	(*keys)[out->nrecords] = (struct rows_key){sqlite3_column_int64(st, 0),
						   sqlite3_column_int64(st, 16), out->nrecords};
	last = out->nrecords > 0 ? &out->records[out->nrecords - 1] : &none;
	out->records[out->nrecords++] = (struct sm_record){
		.ordinal = (unsigned)sqlite3_column_int64(st, 1),
		.group = (unsigned)sqlite3_column_int64(st, 2),
		.workload = text_like(st, 3, last->workload, pool, &rc),
		.backend = text_like(st, 4, last->backend, pool, &rc),
		.params = text_like(st, 5, last->params, pool, &rc),
		.config = text_like(st, 6, last->config, pool, &rc),
		.placement = text_like(st, 7, last->placement, pool, &rc),
		.pass = (unsigned)sqlite3_column_int64(st, 8),
		.rep = (unsigned)sqlite3_column_int64(st, 9),
		.status = (enum sm_outcome)status,
		.message = text_like(st, 11, last->message, pool, &rc),
		.took_s = sqlite3_column_double(st, 12),
		.output = text_like(st, 13, last->output, pool, &rc),
		.warnings = text_like(st, 14, last->warnings, pool, &rc),
		.library = text_like(st, 15, last->library, pool, &rc),
	};
	return rc;
}

/* The tables of rows, and where a record has theirs. */
static const struct {
	const struct sm_row_type *type;
	size_t array, n;
} tables[] = {
	{&sm_result_type, offsetof(struct sm_record, results),
	 offsetof(struct sm_record, nresults)},
	{&sm_metric_type, offsetof(struct sm_record, metrics),
	 offsetof(struct sm_record, nmetrics)},
	{&sm_series_type, offsetof(struct sm_record, series), offsetof(struct sm_record, nseries)},
};

static int by_sample(const void *a, const void *b)
{
	const struct rows_key *x = a, *y = b;

	return x->id < y->id ? -1 : x->id > y->id;
}

/* Of all samples, table by table. keys: of the records; they come to be by sample. */
static int load_rows(struct sm_store *s, struct rows_key *keys, struct sm_report *out)
{
	struct sm__rows_of *of = calloc(out->nrecords + 1, sizeof(*of));
	int rc = of != NULL ? 0 : -ENOMEM;

	if (out->nrecords > 0)
		qsort(keys, out->nrecords, sizeof(*keys), by_sample);
	for (size_t t = 0; t < sizeof(tables) / sizeof(tables[0]) && rc == 0; t++) {
		for (size_t i = 0; i < out->nrecords; i++) {
			char *record = (char *)&out->records[keys[i].record];

			of[i] = (struct sm__rows_of){
				.sample = keys[i].id,
				.shape = tables[t].type == &sm_metric_type ? keys[i].shape : 0,
				.array = (void *)(record + tables[t].array),
				.n = (void *)(record + tables[t].n)};
		}
		rc = sm__store_load_rows(s, tables[t].type, of, out->nrecords, &out->pool);
	}
	free(of);
	return rc;
}

/* By group, then rep, then pass. */
static int by_case(const void *a, const void *b)
{
	const struct sm_record *x = a, *y = b;
	const unsigned keys[][2] = {{x->group, y->group},
				    {x->rep, y->rep},
				    {x->pass, y->pass},
				    {x->ordinal, y->ordinal}};

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		if (keys[i][0] != keys[i][1])
			return keys[i][0] < keys[i][1] ? -1 : 1;
	return 0;
}

static int load_samples(struct sm_store *s, struct sm_report *out)
{
	int rc = 0, step = SQLITE_DONE;
	struct rows_key *keys = NULL;
	sqlite3_stmt *st = sm__store_prepare(
		s,
		"SELECT id,ordinal,grp,workload,backend,params,config,placement,pass,rep,status,"
		"message,took_s,output,warnings,library,shape FROM sample WHERE run=? ORDER BY "
		"ordinal",
		&rc);

	if (rc == 0)
		sqlite3_bind_int64(st, 1, out->run);
	while (rc == 0 && (step = sqlite3_step(st)) == SQLITE_ROW)
		rc = load_sample(s, st, &keys, out);
	if (rc == 0)
		rc = sm__store_fail(s, step);
	sqlite3_finalize(st);
	if (rc == 0)
		rc = load_rows(s, keys, out);
	free(keys);
	if (out->nrecords > 0) /* not by SQLite, which carries the whole rows through its sorting */
		qsort(out->records, out->nrecords, sizeof(*out->records), by_case);
	return rc;
}

static int load_run(struct sm_store *s, int64_t run, struct sm_report *out)
{
	int rc = 0, step;
	sqlite3_stmt *st = sm__store_prepare(
		s,
		"SELECT id,environment,command_line,state,started,by_what,seed,planned,topology,"
		"identity,host FROM run WHERE id=iif(?1=0,(SELECT max(id) FROM run),?1)",
		&rc);

	if (rc == 0) {
		sqlite3_bind_int64(st, 1, run);
		step = sqlite3_step(st);
		if (step == SQLITE_DONE) {
			snprintf(s->error, sizeof(s->error),
				 run ? "store '%s': no such run: %lld" : "store '%s': no such run",
				 s->path, (long long)run);
			rc = -ENOENT;
		} else
			rc = sm__store_fail(s, step);
	}
	if (rc == 0) {
		out->run = sqlite3_column_int64(st, 0);
		out->environment = text_at(st, 1, &out->pool, &rc);
		out->command_line = text_at(st, 2, &out->pool, &rc);
		out->state = sm__store_state(s, out->run, text_at(st, 3, &out->pool, &rc));
		out->started = text_at(st, 4, &out->pool, &rc);
		out->by = text_at(st, 5, &out->pool, &rc);
		out->seed = (uint64_t)sqlite3_column_int64(st, 6);
		out->planned = (unsigned)sqlite3_column_int64(st, 7);
		out->topology = text_at(st, 8, &out->pool, &rc);
		out->identity = text_at(st, 9, &out->pool, &rc);
		out->host = text_at(st, 10, &out->pool, &rc);
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
		out->calibrations = room(out->calibrations, out->ncalibrations,
					 sizeof(*out->calibrations), &rc);
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

/* How much the intervals of its samples may be trusted. */
static int load_until(struct sm_store *s, struct sm_report *out)
{
	int rc = sm_until_read(out->environment, &out->until);

	if (rc == -EINVAL) {
		snprintf(s->error, sizeof(s->error),
			 "store '%s': damaged: run %lld does not say "
			 "until what it repeats",
			 s->path, (long long)out->run);
		return -EILSEQ;
	}
	for (size_t i = 0; i < out->nrecords; i++) {
		unsigned rep = out->records[i].rep;

		if (rep >= SM_PLAN_MAX_JOBS) {
			snprintf(s->error, sizeof(s->error), "store '%s': damaged: repetition %u",
				 s->path, rep);
			return -EILSEQ;
		}
		out->reps = rep + 1 > out->reps ? rep + 1 : out->reps;
	}
	out->confidence = SM_STATS_CONFIDENCE;
	if (rc == 0 && out->until.ntargets > 0)
		out->confidence =
			1 - (1 - SM_STATS_CONFIDENCE) /
				    sm_until_split(sm_until_looks(&out->until, out->reps));
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
		rc = load_until(s, out);
	if (rc == 0)
		rc = load_calibrations(s, out);
	if (rc == 0)
		rc = sm_calibration_apply(out);
	if (rc)
		sm_report_free(out);
	return rc;
}

int sm_store_load_named(struct sm_store *s, const char *name, struct sm_report *out)
{
	int64_t run;
	int rc = sm_store_find(s, name, &run);

	*out = (struct sm_report){0};
	return rc ? rc : sm_store_load(s, run, out);
}

void sm_report_free(struct sm_report *r)
{
	free(r->records);
	free(r->calibrations);
	sm_until_free(&r->until);
	sm_pool_free(&r->pool);
	*r = (struct sm_report){0};
}

int sm_store_last(struct sm_store *s, int64_t *ids, int n)
{
	int rc = 0, step = SQLITE_DONE, found = 0;
	sqlite3_stmt *st = sm__store_prepare(s, "SELECT id FROM run ORDER BY id DESC LIMIT ?", &rc);

	if (rc == 0)
		sqlite3_bind_int(st, 1, n);
	while (rc == 0 && (step = sqlite3_step(st)) == SQLITE_ROW)
		ids[found++] = sqlite3_column_int64(st, 0);
	if (rc == 0)
		rc = sm__store_fail(s, step);
	sqlite3_finalize(st);
	return rc ? rc : found;
}

/* ---- going on ----------------------------------------------------------------------------- */

static int nothing_to_resume(struct sm_store *s, int64_t run)
{
	char which[64];
	int rc = 0;

	snprintf(which, sizeof(which), "SELECT count(*) FROM run WHERE id=%lld", (long long)run);
	if (run == 0)
		snprintf(which, sizeof(which), "every run is complete");
	else if (sm__store_number(s, which, &rc) > 0)
		snprintf(which, sizeof(which), "run %lld is complete", (long long)run);
	else
		snprintf(which, sizeof(which), "there is no run %lld", (long long)run);
	snprintf(s->error, sizeof(s->error), "store '%s': %s, nothing to resume", s->path, which);
	return rc ? rc : -ENOENT;
}

int sm_store_unfinished(struct sm_store *s, int64_t *run, unsigned *planned, char **environment)
{
	int rc = 0;
	sqlite3_stmt *st = sm__store_prepare(
		s,
		"SELECT id,planned,environment FROM run WHERE (?1=0 OR id=?1) AND (planned >"
		" (SELECT count(*) FROM sample WHERE run=run.id) OR state<>'done')"
		" ORDER BY id DESC LIMIT 1",
		&rc);

	*environment = NULL;
	if (rc)
		return rc;
	sqlite3_bind_int64(st, 1, *run);
	rc = sqlite3_step(st);
	if (rc == SQLITE_ROW) {
		*run = sqlite3_column_int64(st, 0);
		*planned = (unsigned)sqlite3_column_int64(st, 1);
		*environment = strdup((const char *)sqlite3_column_text(st, 2));
		rc = *environment != NULL ? 0 : -ENOMEM;
	} else if (rc == SQLITE_DONE)
		rc = nothing_to_resume(s, *run);
	else
		rc = sm__store_fail(s, rc);
	sqlite3_finalize(st);
	return rc;
}

int sm_store_left(struct sm_store *s, int64_t run, unsigned **left, unsigned *ngroups)
{
	int rc = 0, step = SQLITE_DONE;
	sqlite3_stmt *st =
		sm__store_prepare(s,
				  "SELECT json_extract(job,'$.group') AS grp, count(*) FROM plan "
				  "WHERE run=?1 AND grp BETWEEN 0 AND 1000000 AND NOT EXISTS"
				  " (SELECT 1 FROM sample WHERE run=?1 AND ordinal=plan.ordinal) "
				  "GROUP BY grp ORDER BY grp DESC",
				  &rc);

	*left = NULL;
	*ngroups = 0;
	if (rc == 0)
		sqlite3_bind_int64(st, 1, run);
	while (rc == 0 && (step = sqlite3_step(st)) == SQLITE_ROW) {
		unsigned group = (unsigned)sqlite3_column_int64(st, 0);

		if (!*left) { /* the highest comes first */
			*ngroups = group + 1;
			*left = calloc(*ngroups, sizeof(**left));
			if (!*left)
				rc = -ENOMEM;
		}
		if (rc == 0)
			(*left)[group] = (unsigned)sqlite3_column_int64(st, 1);
	}
	if (rc == 0)
		rc = sm__store_fail(s, step);
	sqlite3_finalize(st);
	return rc;
}

int sm_store_jobs(struct sm_store *s, int64_t run, unsigned n, char ***jobs)
{
	int rc = 0, step = SQLITE_DONE;
	unsigned found = 0;
	sqlite3_stmt *st = sm__store_prepare(
		s, "SELECT job FROM plan WHERE run=? AND ordinal<? ORDER BY ordinal", &rc);

	*jobs = calloc(n + 1, sizeof(**jobs));
	if (rc == 0) {
		sqlite3_bind_int64(st, 1, run);
		sqlite3_bind_int64(st, 2, n);
	}
	while (rc == 0 && *jobs != NULL && (step = sqlite3_step(st)) == SQLITE_ROW && found < n)
		(*jobs)[found++] = strdup((const char *)sqlite3_column_text(st, 0));
	if (rc == 0)
		rc = *jobs == NULL ? -ENOMEM : sm__store_fail(s, step);
	sqlite3_finalize(st);
	for (unsigned i = 0; rc == 0 && i < n; i++) {
		if ((*jobs)[i] == NULL)
			rc = i < found ? -ENOMEM : -ENOENT;
	}
	if (rc == -ENOENT)
		snprintf(s->error, sizeof(s->error), "store '%s': damaged: run %lld has no plan",
			 s->path, (long long)run);
	if (rc && *jobs != NULL) {
		for (unsigned i = 0; i < n; i++)
			free((*jobs)[i]);
		free(*jobs);
		*jobs = NULL;
	}
	return rc;
}

char *sm_store_pending(struct sm_store *s, int64_t run, unsigned ordinal)
{
	int rc = 0;
	char *job = NULL;
	sqlite3_stmt *st =
		sm__store_prepare(s,
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
