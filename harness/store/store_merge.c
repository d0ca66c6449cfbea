/*
 * store_merge.c: a run copied from one store to another, whichever machine it is from, and a run
 * deleted. See store.h.
 *
 * Both know the tables below by name alone; what columns they have the store that is written says.
 * Rows are read by one connection and written by another, so that a store of an older layout, or
 * on a read-only disk, is merged as it is read (store_open.c).
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/store/store_internal.h"

/* What belongs to a run, and to a sample: a table of the layout is a word here. */
static const char *const of_run[] = {"plan", "calibration"};
static const char *const of_sample[] = {"result", "metric", "series"};
#define NPARTS(a) (sizeof(a) / sizeof((a)[0]))

const char *const sm_merged_names[] = {"new", "more", "known", "differs", NULL};

/* ---- rows --------------------------------------------------------------------------------- */

/* Rows of a table that one number is the key of. */
struct copy {
	struct sm_store *from, *to;
	sqlite3_stmt *read, *write;
	int columns; /* besides the key */
};

static bool is_word(const char *table, const char *column)
{
	const struct sm_field *f = sm_metric_type.fields;

	while (f->name != NULL && (f->kind != SM_FIELD_WORDS || strcmp(f->name, column) != 0))
		f++;
	return f->name != NULL && strcmp(table, sm_metric_type.table) == 0;
}

/* The statements in text, from the columns of the table in `to` but for the key and a number that
 * the store gives. */
static int write_sql(struct copy *c, const char *table, const char *key, FILE *read, FILE *write)
{
	char sql[120];
	int rc = 0;
	sqlite3_stmt *st;

	snprintf(sql, sizeof(sql),
		 "SELECT name FROM pragma_table_info('%s') WHERE name NOT IN('id','%s')", table,
		 key);
	st = sm__store_prepare(c->to, sql, &rc);
	fprintf(read, "SELECT %s", strcmp(table, "sample") == 0 ? "id" : "0");
	fprintf(write, "INSERT INTO %s(\"%s\"", table, key);
	while (rc == 0 && sqlite3_step(st) == SQLITE_ROW) {
		const char *name = (const char *)sqlite3_column_text(st, 0);

		fprintf(read,
			is_word(table, name) ? ",(SELECT text FROM word WHERE id=\"%s\")"
					     : ",\"%s\"",
			name);
		fprintf(write, ",\"%s\"", name);
		c->columns++;
	}
	fprintf(read, " FROM %s WHERE \"%s\"=?", table, key);
	fputs(") VALUES(?", write);
	sqlite3_reset(st);
	while (rc == 0 && sqlite3_step(st) == SQLITE_ROW)
		fputs(is_word(table, (const char *)sqlite3_column_text(st, 0))
			      ? ",coalesce((SELECT id FROM word WHERE text=?),0)"
			      : ",?",
		      write);
	fputc(')', write);
	sqlite3_finalize(st);
	return rc;
}

static int copy_open(struct copy *c, struct sm_store *from, struct sm_store *to, const char *table,
		     const char *key)
{
	char *texts[2] = {NULL, NULL};
	size_t len[2];
	FILE *f[2] = {open_memstream(&texts[0], &len[0]), open_memstream(&texts[1], &len[1])};
	int rc = f[0] != NULL && f[1] != NULL ? 0 : -ENOMEM;

	*c = (struct copy){.from = from, .to = to};
	if (rc == 0)
		rc = write_sql(c, table, key, f[0], f[1]);
	for (int i = 0; i < 2; i++)
		if (f[i] != NULL && fclose(f[i]) != 0 && rc == 0)
			rc = -ENOMEM;
	if (rc == 0)
		c->read = sm__store_prepare(from, texts[0], &rc);
	if (rc == 0)
		c->write = sm__store_prepare(to, texts[1], &rc);
	free(texts[0]);
	free(texts[1]);
	return rc;
}

static void copy_close(struct copy *c)
{
	sqlite3_finalize(c->read);
	sqlite3_finalize(c->write);
}

/* One more row of `from`: its number goes to *id. 1, 0: there is none, or -errno. */
static int copy_next(struct copy *c, int64_t *id)
{
	int step = sqlite3_step(c->read), rc = sm__store_fail(c->from, step);

	*id = step == SQLITE_ROW ? sqlite3_column_int64(c->read, 0) : 0;
	return rc ? rc : step == SQLITE_ROW;
}

/* Writes the row that was read, with another key; 0: the store gives one. */
static int copy_write(struct copy *c, int64_t key)
{
	int rc = key ? sqlite3_bind_int64(c->write, 1, key) : sqlite3_bind_null(c->write, 1);

	for (int i = 0; i < c->columns && rc == SQLITE_OK; i++)
		rc = sqlite3_bind_value(c->write, i + 2, sqlite3_column_value(c->read, i + 1));
	if (rc == SQLITE_OK)
		rc = sqlite3_step(c->write);
	rc = sm__store_fail(c->to, rc);
	sqlite3_reset(c->write);
	return rc;
}

static int copy_rows(struct copy *c, int64_t from_key, int64_t to_key)
{
	int64_t id;
	int rc;

	sqlite3_bind_int64(c->read, 1, from_key);
	while ((rc = copy_next(c, &id)) > 0 && (rc = copy_write(c, to_key)) == 0)
		;
	sqlite3_reset(c->read);
	return rc;
}

/* ---- a run -------------------------------------------------------------------------------- */

/* Texts of the run's rows that `to` does not have yet. */
static int copy_words(struct sm_store *from, struct sm_store *to, int64_t run)
{
	struct copy c = {.from = from, .to = to};
	int64_t id;
	int rc = 0;

	c.read = sm__store_prepare(from,
				   "WITH rows AS (SELECT event,reason FROM metric WHERE sample IN"
				   " (SELECT id FROM sample WHERE run=?))"
				   "SELECT 0,text FROM word WHERE id IN"
				   " (SELECT event FROM rows UNION SELECT reason FROM rows)",
				   &rc);
	c.write = sm__store_prepare(to, "INSERT OR IGNORE INTO word(text) VALUES(?)", &rc);
	if (rc == 0)
		sqlite3_bind_int64(c.read, 1, run);
	while (rc == 0 && (rc = copy_next(&c, &id)) > 0) {
		sqlite3_bind_value(c.write, 1, sqlite3_column_value(c.read, 1));
		rc = sm__store_fail(to, sqlite3_step(c.write));
		sqlite3_reset(c.write);
	}
	copy_close(&c);
	return rc;
}

static int copy_samples(struct sm_store *from, struct sm_store *to, int64_t run, int64_t as)
{
	struct copy samples, parts[NPARTS(of_sample)] = {0};
	int rc = copy_open(&samples, from, to, "sample", "run"), found = rc;
	int64_t id;

	for (size_t i = 0; i < NPARTS(of_sample) && rc == 0; i++)
		rc = copy_open(&parts[i], from, to, of_sample[i], "sample");
	if (rc == 0)
		sqlite3_bind_int64(samples.read, 1, run);
	while (rc == 0 && (found = copy_next(&samples, &id)) > 0) {
		int64_t to_id;

		rc = copy_write(&samples, as);
		to_id = sqlite3_last_insert_rowid(to->db);
		for (size_t i = 0; i < NPARTS(of_sample) && rc == 0; i++)
			rc = copy_rows(&parts[i], id, to_id);
	}
	copy_close(&samples);
	for (size_t i = 0; i < NPARTS(of_sample); i++)
		copy_close(&parts[i]);
	return rc ? rc : found;
}

/* As run *as of `to`; 0: a new number, which goes there. */
static int copy_run(struct sm_store *from, struct sm_store *to, int64_t run, int64_t *as)
{
	struct copy c;
	int64_t id;
	int rc = copy_open(&c, from, to, "run", "id");

	if (rc == 0) {
		sqlite3_bind_int64(c.read, 1, run);
		rc = copy_next(&c, &id);
		rc = rc > 0 ? copy_write(&c, *as) : rc ? rc : -ENOENT;
		*as = sqlite3_last_insert_rowid(to->db);
	}
	copy_close(&c);
	if (rc == 0)
		rc = copy_words(from, to, run);
	for (size_t i = 0; i < NPARTS(of_run) && rc == 0; i++) {
		rc = copy_open(&c, from, to, of_run[i], "run");
		if (rc == 0)
			rc = copy_rows(&c, run, *as);
		copy_close(&c);
	}
	return rc ? rc : copy_samples(from, to, run, *as);
}

static int delete_rows(struct sm_store *s, int64_t run)
{
	char sql[160];
	int rc = 0;

	for (size_t i = 0; i < NPARTS(of_sample) && rc == 0; i++) {
		snprintf(sql, sizeof(sql),
			 "DELETE FROM %s WHERE sample IN (SELECT id FROM sample WHERE run=%lld)",
			 of_sample[i], (long long)run);
		rc = sm__store_exec(s, sql);
	}
	for (size_t i = 0; i < NPARTS(of_run) && rc == 0; i++) {
		snprintf(sql, sizeof(sql), "DELETE FROM %s WHERE run=%lld", of_run[i],
			 (long long)run);
		rc = sm__store_exec(s, sql);
	}
	snprintf(sql, sizeof(sql),
		 "DELETE FROM sample WHERE run=%lld; DELETE FROM run WHERE id=%lld", (long long)run,
		 (long long)run);
	return rc ? rc : sm__store_exec(s, sql);
}

/* ---- merge -------------------------------------------------------------------------------- */

/* How many samples of the run there are, and how many the other store has too. */
static int count_common(struct sm_store *s, int64_t run, struct sm_store *other, int64_t same,
			int64_t *all, int64_t *common)
{
	int rc = 0, step = SQLITE_DONE;
	sqlite3_stmt *of = sm__store_prepare(s, "SELECT ordinal,at,took_s FROM sample WHERE run=?",
					     &rc),
		     *in = sm__store_prepare(other,
					     "SELECT 1 FROM sample WHERE run=? AND ordinal=? AND "
					     "at=? AND took_s=?",
					     &rc);

	*all = *common = 0;
	if (rc == 0) {
		sqlite3_bind_int64(of, 1, run);
		sqlite3_bind_int64(in, 1, same);
	}
	while (rc == 0 && (step = sqlite3_step(of)) == SQLITE_ROW) {
		for (int i = 0; i < 3; i++)
			sqlite3_bind_value(in, i + 2, sqlite3_column_value(of, i));
		++*all;
		*common += sqlite3_step(in) == SQLITE_ROW;
		sqlite3_reset(in);
	}
	if (rc == 0)
		rc = sm__store_fail(s, step);
	sqlite3_finalize(of);
	sqlite3_finalize(in);
	return rc;
}

/* The run of this identity; 0: there is none. */
static int64_t find_same(struct sm_store *from, int64_t run, struct sm_store *to, bool *done,
			 int *rc)
{
	sqlite3_stmt *st = sm__store_prepare(from, "SELECT identity,state FROM run WHERE id=?", rc),
		     *like = sm__store_prepare(to, "SELECT id,state FROM run WHERE identity=?", rc);
	int64_t same = 0;

	*done = false;
	if (*rc == 0) {
		sqlite3_bind_int64(st, 1, run);
		if (sqlite3_step(st) == SQLITE_ROW)
			sqlite3_bind_value(like, 1, sqlite3_column_value(st, 0));
		if (sqlite3_step(like) == SQLITE_ROW) {
			same = sqlite3_column_int64(like, 0);
			/* here it did not come to its end */
			*done = strcmp((const char *)sqlite3_column_text(st, 1), "done") == 0 &&
				strcmp((const char *)sqlite3_column_text(like, 1), "done") != 0;
		}
	}
	sqlite3_finalize(st);
	sqlite3_finalize(like);
	return same;
}

static int merge_run(struct sm_store *to, struct sm_store *from, int64_t run, struct sm_merged *out)
{
	int64_t theirs, ours, common, again;
	bool done;
	int rc = 0;

	out->id = find_same(from, run, to, &done, &rc);
	out->how = SM_MERGED_NEW;
	if (rc)
		return rc;
	if (out->id == 0)
		return copy_run(from, to, run, &out->id);
	rc = count_common(from, run, to, out->id, &theirs, &common);
	if (rc == 0)
		rc = count_common(to, out->id, from, run, &ours, &again);
	if (rc)
		return rc;
	out->how = SM_MERGED_KNOWN;
	if (common == theirs && (ours > theirs || !done))
		return 0;
	out->how = SM_MERGED_DIFFERS;
	if (again < ours)
		return 0;
	out->how = SM_MERGED_MORE;
	rc = sm_store_hold(to, out->id);
	if (rc == 0)
		rc = delete_rows(to, out->id);
	if (rc == 0)
		rc = copy_run(from, to, run, &out->id);
	sm_store_release(to);
	return rc;
}

int sm_store_merge(struct sm_store *to, struct sm_store *from, int64_t run, struct sm_merged *out)
{
	int rc;

	*out = (struct sm_merged){0};
	from->error[0] = to->error[0] = '\0';
	rc = sm__store_exec(from, "BEGIN"); /* one state of it, if it is still measured */
	if (rc == 0)
		rc = sm__store_exec(to, "BEGIN IMMEDIATE");
	if (rc == 0)
		rc = sm__store_end_transaction(to, merge_run(to, from, run, out));
	/* The caller asks `to` what went wrong. */
	if (rc && to->error[0] == '\0')
		snprintf(to->error, sizeof(to->error), "%s",
			 from->error[0] ? from->error : "out of memory");
	sqlite3_exec(from->db, "COMMIT", NULL, NULL, NULL);
	return rc;
}

/* ---- delete ------------------------------------------------------------------------------- */

int sm_store_delete(struct sm_store *s, int64_t run)
{
	int rc = sm_store_hold(s, run);

	if (rc == 0)
		rc = sm__store_exec(s, "BEGIN IMMEDIATE");
	if (rc == 0)
		rc = sm__store_end_transaction(s, delete_rows(s, run));
	sm_store_release(s);
	return rc;
}

int sm_store_shrink(struct sm_store *s)
{
	int rc = 0;
	int64_t spare = sm__store_number(s, "PRAGMA freelist_count", &rc),
		all = sm__store_number(s, "PRAGMA page_count", &rc);

	if (rc || spare * 4 <= all)
		return rc;
	return sm__store_exec(s, "DELETE FROM word WHERE id NOT IN"
				 " (SELECT event FROM metric UNION SELECT reason FROM metric);"
				 "VACUUM; PRAGMA wal_checkpoint(TRUNCATE);");
}
