/*
 * store_rows.c: the tables of results and metrics, whose columns are the fields of a row type
 * (workloads/metric.h).
 */
#include "harness/store/store_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A column of an old store gets for its rows what sm_row_init gives. */
static void column_type(FILE *sql, const struct sm_field *f)
{
	switch (f->kind) {
	case SM_FIELD_TEXT: fputs("TEXT NOT NULL DEFAULT ''", sql); break;
	case SM_FIELD_WORDS: fputs("INTEGER NOT NULL DEFAULT 0", sql); break; /* of word; 0: "" */
	case SM_FIELD_INDEX: fputs("INTEGER DEFAULT -1", sql); break;
	case SM_FIELD_NS: fputs("INTEGER NOT NULL DEFAULT 0", sql); break;
	case SM_FIELD_VALUE: fputs("REAL", sql); break; /* NULL: none */
	case SM_FIELD_ENUM: fprintf(sql, "TEXT NOT NULL DEFAULT '%s'", f->names[0]); break;
	}
}

static bool has_column(struct sm_store *s, const struct sm_row_type *type, const struct sm_field *f,
		       int *rc)
{
	char sql[160];

	snprintf(sql, sizeof(sql), "SELECT count(*) FROM pragma_table_info('%s') WHERE name='%s'",
		 type->table, f->name);
	return sm__store_number(s, sql, rc) > 0;
}

int sm__store_define(struct sm_store *s, const struct sm_row_type *type)
{
	char *text = NULL;
	size_t len;
	FILE *sql = open_memstream(&text, &len);
	int rc = 0;

	if (sql == NULL)
		return -ENOMEM;
	fprintf(sql,
		"CREATE TABLE IF NOT EXISTS %s(sample INTEGER NOT NULL REFERENCES sample(id));"
		"CREATE INDEX IF NOT EXISTS %s_sample ON %s(sample);",
		type->table, type->table, type->table);
	for (int i = 0; i < 2; i++) /* of a new table what varies first, which is read most */
		for (const struct sm_field *f = type->fields; f->name != NULL && rc == 0; f++)
			if (f->kept && sm__row_varies(f) == (i == 0) &&
			    !has_column(s, type, f, &rc)) {
				fprintf(sql, "ALTER TABLE %s ADD COLUMN \"%s\" ", type->table,
					f->name);
				column_type(sql, f);
				fputc(';', sql);
			}
	if (fclose(sql) && rc == 0)
		rc = -ENOMEM;
	if (rc == 0)
		rc = sm__store_exec(s, text);
	free(text);
	return rc;
}

/* ",a,b,c", and ",?,?,?" as they are written. */
struct columns {
	char names[1024], marks[1024];
};

static struct columns columns_of(const struct sm_row_type *type)
{
	struct columns c = {"", ""};
	size_t n = 0, m = 0;

	for (const struct sm_field *f = type->fields; f->name; f++) {
		if (!f->kept)
			continue;
		n += (size_t)snprintf(c.names + n, sizeof(c.names) - n, ",\"%s\"", f->name);
		m += (size_t)snprintf(c.marks + m, sizeof(c.marks) - m, "%s",
				      f->kind == SM_FIELD_WORDS
					      ? ",coalesce((SELECT id FROM word WHERE text=?),0)"
					      : ",?");
	}
	return c;
}

/* Words of the rows that the store does not have yet. */
static int add_words(struct sm_store *s, const struct sm_row_type *type, const void *rows, size_t n)
{
	int rc = 0;
	sqlite3_stmt *st = sm__store_prepare(s, "INSERT OR IGNORE INTO word(text) VALUES(?)", &rc);
	struct sm_pool seen = {0};

	for (size_t i = 0; i < n && rc == 0; i++)
		for (const struct sm_field *f = type->fields; f->name != NULL && rc == 0; f++) {
			const void *row = (const char *)rows + i * type->size;
			const char *text = f->kind == SM_FIELD_WORDS && f->kept
						   ? sm_field_get(type, f, row).text
						   : "";

			if (!text[0] || sm_pool_find(&seen, text) != NULL)
				continue;
			sm_pool_str(&seen, text);
			sqlite3_bind_text(st, 1, text, -1, SQLITE_STATIC);
			rc = sm__store_fail(s, sqlite3_step(st));
			sqlite3_reset(st);
		}
	sqlite3_finalize(st);
	sm_pool_free(&seen);
	return rc;
}

static int bind(sqlite3_stmt *st, int at, struct sm_datum d)
{
	if (d.text != NULL)
		return sqlite3_bind_text(st, at, d.text, -1, SQLITE_STATIC);
	return d.has_number ? sqlite3_bind_double(st, at, d.number) : sqlite3_bind_null(st, at);
}

int sm__store_insert(struct sm_store *s, const struct sm_row_type *type, int64_t sample,
		     const void *rows, size_t n)
{
	struct columns c = columns_of(type);
	char sql[sizeof(c) + 64];
	sqlite3_stmt *st;
	int rc = add_words(s, type, rows, n);

	snprintf(sql, sizeof(sql), "INSERT INTO %s(sample%s) VALUES(?%s)", type->table, c.names,
		 c.marks);
	st = sm__store_prepare(s, sql, &rc);
	for (size_t i = 0; i < n && rc == 0; i++) {
		const void *row = (const char *)rows + i * type->size;
		int at = 1, bound = sqlite3_bind_int64(st, at++, sample);

		for (const struct sm_field *f = type->fields; f->name != NULL && bound == SQLITE_OK;
		     f++)
			if (f->kept)
				bound = bind(st, at++, sm_field_get(type, f, row));
		rc = sm__store_fail(s, bound == SQLITE_OK ? sqlite3_step(st) : bound);
		sqlite3_reset(st);
	}
	sqlite3_finalize(st);
	return rc;
}

static uint64_t mix(uint64_t h, const void *bytes, size_t n)
{
	for (const unsigned char *p = bytes; n > 0; n--)
		h = (h ^ *p++) * 0x100000001b3u;
	return h;
}

int64_t sm__store_shape(const struct sm_row_type *type, const void *rows, size_t n)
{
	uint64_t h = 0xcbf29ce484222325u;

	for (size_t i = 0; i < n; i++)
		for (const struct sm_field *f = type->fields; f->name != NULL; f++) {
			struct sm_datum d =
				sm_field_get(type, f, (const char *)rows + i * type->size);

			if (!f->kept || sm__row_varies(f))
				continue;
			if (d.text != NULL)
				h = mix(h, d.text, strlen(d.text) + 1);
			else
				h = mix(h, &(int64_t){d.has_number ? (int64_t)d.number : -1}, 8);
		}
	return n > 0 ? (int64_t)h : 0;
}
