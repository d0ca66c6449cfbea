/* store_runs.c: the runs of a store: their list, what names one, one deleted. See store.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/store/store_internal.h"

/* ---- names -------------------------------------------------------------------------------- */

static int no_run(struct sm_store *s, const char *text)
{
	snprintf(s->error, sizeof(s->error), "store '%s': no such run: %.60s", s->path, text);
	return -ENOENT;
}

/* One bound text; the first column of the first row goes to *found. How many rows there are, up to
 * two, or -errno. */
static int ask(struct sm_store *s, const char *sql, const char *text, int64_t *found)
{
	int rc = 0, step = SQLITE_DONE, n = 0;
	sqlite3_stmt *st = sm__store_prepare(s, sql, &rc);

	if (rc == 0)
		sqlite3_bind_text(st, 1, text, -1, SQLITE_STATIC);
	while (rc == 0 && n < 2 && (step = sqlite3_step(st)) == SQLITE_ROW)
		if (n++ == 0)
			*found = sqlite3_column_int64(st, 0);
	if (rc == 0)
		rc = sm__store_fail(s, step);
	sqlite3_finalize(st);
	return rc ? rc : n;
}

bool sm_store_is_name(const char *text)
{
	size_t len = strlen(text);

	if (strcmp(text, SM_STORE_LAST) == 0)
		return true;
	return len > 0 && len <= 32 && strspn(text, "0123456789abcdef") == len &&
	       (len >= SM_STORE_PREFIX || strspn(text, "0123456789") == len);
}

int sm_store_find(struct sm_store *s, const char *text, int64_t *run)
{
	bool number;
	int n = 0;

	*run = 0;
	text = text != NULL ? text : SM_STORE_LAST;
	number = strspn(text, "0123456789") == strlen(text);
	if (!sm_store_is_name(text)) {
		snprintf(s->error, sizeof(s->error),
			 "'%.80s' is no run; allowed: a number, %d digits or more of an identity "
			 "(spanmark runs), %s",
			 text, SM_STORE_PREFIX, SM_STORE_LAST);
		return -EINVAL;
	}
	if (strcmp(text, SM_STORE_LAST) == 0)
		n = ask(s, "SELECT id FROM run WHERE ?<>'' ORDER BY id DESC", text, run);
	else if (number)
		n = ask(s, "SELECT id FROM run WHERE id=CAST(? AS INTEGER)", text, run);
	if (n > 0)
		return 0;
	if (n == 0 && strlen(text) >= SM_STORE_PREFIX)
		n = ask(s, "SELECT id FROM run WHERE identity GLOB ?||'*'", text, run);
	if (n == 2) {
		snprintf(s->error, sizeof(s->error),
			 "store '%s': several runs begin with %.32s; give more of it", s->path,
			 text);
		return -EINVAL;
	}
	return n < 0 ? n : n == 1 ? 0 : no_run(s, text);
}

/* ---- list --------------------------------------------------------------------------------- */

static const char *keep(struct sm_pool *pool, sqlite3_stmt *st, int column, int *rc)
{
	const char *text = sm_pool_str(pool, (const char *)sqlite3_column_text(st, column));

	if (text == NULL)
		*rc = -ENOMEM;
	return text != NULL ? text : "";
}

static int add_run(struct sm_store *s, sqlite3_stmt *st, struct sm_runs *out)
{
	struct sm_run_row *bigger = out->v, *r;
	int rc = 0;

	if ((out->n & (out->n - 1)) == 0)
		bigger = realloc(out->v, (out->n ? out->n * 2 : 1) * sizeof(*out->v));
	if (bigger == NULL)
		return -ENOMEM;
	out->v = bigger;
	r = &out->v[out->n++];
	*r = (struct sm_run_row){
		.id = sqlite3_column_int64(st, 0),
		.identity = keep(&out->pool, st, 1, &rc),
		.host = keep(&out->pool, st, 2, &rc),
		.started = keep(&out->pool, st, 3, &rc),
		.finished = keep(&out->pool, st, 4, &rc),
		.state = keep(&out->pool, st, 5, &rc),
		.command_line = keep(&out->pool, st, 6, &rc),
		.cpu_model = keep(&out->pool, st, 7, &rc),
		.note = keep(&out->pool, st, 8, &rc),
		.planned = (uint64_t)sqlite3_column_int64(st, 9),
		.samples = (uint64_t)sqlite3_column_int64(st, 10),
		.failed = (uint64_t)sqlite3_column_int64(st, 11),
	};
	r->state = sm__store_state(s, r->id, r->state);
	return rc;
}

int sm_store_runs(struct sm_store *s, struct sm_runs *out)
{
	int rc = 0, step = SQLITE_DONE;
	sqlite3_stmt *st = sm__store_prepare(
		s,
		"SELECT id,identity,host,started,coalesce(finished,''),state,command_line,"
		"CASE WHEN json_valid(environment) THEN json_extract(environment,'$.cpu_model')"
		" END,CASE WHEN json_valid(environment) THEN"
		" json_extract(environment,'$.note') END,planned,(SELECT count(*) FROM sample "
		"WHERE run=run.id),"
		"(SELECT count(*) FROM sample WHERE run=run.id AND status NOT IN('ok','n/a'))"
		" FROM run ORDER BY id",
		&rc);

	*out = (struct sm_runs){0};
	while (rc == 0 && (step = sqlite3_step(st)) == SQLITE_ROW)
		rc = add_run(s, st, out);
	if (rc == 0)
		rc = sm__store_fail(s, step);
	sqlite3_finalize(st);
	return rc;
}

void sm_runs_free(struct sm_runs *r)
{
	free(r->v);
	sm_pool_free(&r->pool);
	*r = (struct sm_runs){0};
}

int sm_store_annotate(struct sm_store *s, int64_t run, const char *member, const char *json)
{
	int rc = 0;
	sqlite3_stmt *st =
		sm__store_prepare(s,
				  "UPDATE run SET environment=json_set(environment,'$.'||?,json(?))"
				  " WHERE id=? AND json_valid(environment)",
				  &rc);

	if (rc == 0) {
		sqlite3_bind_text(st, 1, member, -1, SQLITE_STATIC);
		sqlite3_bind_text(st, 2, json, -1, SQLITE_STATIC);
		sqlite3_bind_int64(st, 3, run);
		rc = sm__store_fail(s, sqlite3_step(st));
	}
	sqlite3_finalize(st);
	return rc;
}
