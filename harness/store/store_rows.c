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

int sm__store_define(struct sm_store *s, const struct sm_row_type *type)
{
	char *text = NULL, probe[160];
	size_t len;
	FILE *sql = open_memstream(&text, &len);
	int rc = 0;

	if (sql == NULL)
		return -ENOMEM;
	fprintf(sql,
		"CREATE TABLE IF NOT EXISTS %s(sample INTEGER NOT NULL REFERENCES sample(id));"
		"CREATE INDEX IF NOT EXISTS %s_sample ON %s(sample);",
		type->table, type->table, type->table);
	for (const struct sm_field *f = type->fields; f->name != NULL && rc == 0; f++) {
		snprintf(probe, sizeof(probe),
			 "SELECT count(*) FROM pragma_table_info('%s') WHERE name='%s'",
			 type->table, f->name);
		if (!f->kept || sm__store_number(s, probe, &rc) > 0)
			continue;
		fprintf(sql, "ALTER TABLE %s ADD COLUMN \"%s\" ", type->table, f->name);
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

/* ---- reading ------------------------------------------------------------------------------ */

/*
 * Rows come by sample, each as one call of spanmark_row(sample, field, ..), whose arguments cost a
 * fifth of what a statement's columns do. Most samples of a run have the rows of the one before but
 * for their values: a row is made out of that at its place, by what differs.
 */
enum { WORDS = 256 };
struct reading {
	struct sm_store *s;
	const struct sm_row_type *type;
	struct sm_pool *pool;
	const struct sm__rows_of *of; /* where the rows of the sample go; `end`: there is none */
	const struct sm__rows_of *end;
	int64_t sample; /* of the rows [0, n) */
	char *rows;	/* [0, made): of this sample and, behind it, of those before */
	size_t n, made, cap;
	struct {
		int64_t id;
		const char *text;
	} words[WORDS]; /* by the last digits of their number */
	sqlite3_stmt *word;
	int rc;
};

static const char *find_word(struct reading *r, int64_t id)
{
	size_t at = (size_t)id % WORDS;
	const unsigned char *text = NULL;

	if (r->words[at].text != NULL && r->words[at].id == id)
		return r->words[at].text;
	if (r->word == NULL)
		r->word = sm__store_prepare(r->s, "SELECT text FROM word WHERE id=?", &r->rc);
	if (r->rc)
		return NULL;
	sqlite3_bind_int64(r->word, 1, id);
	if (sqlite3_step(r->word) == SQLITE_ROW)
		text = sqlite3_column_text(r->word, 0);
	r->words[at].id = id;
	r->words[at].text = sm_pool_str(r->pool, (const char *)text);
	sqlite3_reset(r->word);
	return r->words[at].text;
}

static struct sm_datum datum(sqlite3_value *v)
{
	switch (sqlite3_value_type(v)) {
	case SQLITE_NULL: return (struct sm_datum){0};
	case SQLITE_TEXT: return (struct sm_datum){.text = (const char *)sqlite3_value_text(v)};
	default: return (struct sm_datum){.has_number = true, .number = sqlite3_value_double(v)};
	}
}

/* Is it what stands in the field? The quick way to say so of what most fields are. */
static bool is_same(const struct sm_field *f, const char *row, sqlite3_value *v)
{
	const void *at = row + f->offset;
	const char *text;

	switch (f->kind) {
	case SM_FIELD_TEXT:
		text = (const char *)sqlite3_value_text(v);
		return text != NULL && strcmp(text, *(const char *const *)at) == 0;
	case SM_FIELD_ENUM:
		text = (const char *)sqlite3_value_text(v);
		return text != NULL && strcmp(text, f->names[*(const int *)at]) == 0;
	case SM_FIELD_INDEX: return *(const int *)at == -1 && sqlite3_value_type(v) == SQLITE_NULL;
	default: return false;
	}
}

static int set_field(struct reading *r, const struct sm_field *f, char *row, sqlite3_value *v)
{
	struct sm_datum d;
	const char *text;
	int rc;

	if (is_same(f, row, v))
		return 0;
	d = datum(v);
	if (f->kind == SM_FIELD_WORDS) {
		text = find_word(r, d.has_number ? (int64_t)d.number : 0);
		d = (struct sm_datum){.text = text};
		return text != NULL ? sm_field_set(r->type, f, row, d) : -ENOMEM;
	}
	rc = sm_field_set(r->type, f, row, d);
	if (rc != 0)
		snprintf(r->s->error, sizeof(r->s->error),
			 "store '%s': damaged: no %s has the %s '%.40s'", r->s->path,
			 r->type->table, f->name, (const char *)sqlite3_value_text(v));
	if (rc != 0 || f->kind != SM_FIELD_TEXT)
		return rc ? -EILSEQ : 0;
	text = sm_pool_str(r->pool, d.text);
	return text == NULL ? -ENOMEM
			    : sm_field_set(r->type, f, row, (struct sm_datum){.text = text});
}

/* The sample's rows have all come. */
static int end_sample(struct reading *r)
{
	size_t room = 1; /* sm_row_add takes an array's room for a power of 2 */
	void *rows;

	while (r->of != r->end && r->of->sample < r->sample)
		r->of++;
	if (r->n == 0 || r->of == r->end || r->of->sample != r->sample)
		return 0;
	while (room < r->n)
		room *= 2;
	rows = malloc(room * r->type->size);
	if (rows == NULL)
		return -ENOMEM;
	memcpy(rows, r->rows, r->n * r->type->size);
	*r->of->array = rows;
	*r->of->n = r->n;
	r->n = 0;
	return 0;
}

/* The next row of the sample, as that at its place was before; NULL: no memory. */
static char *next_row(struct reading *r)
{
	char *row;

	if (r->n == r->cap) {
		size_t cap = r->cap ? 2 * r->cap : 64;
		char *rows = realloc(r->rows, cap * r->type->size);

		if (rows == NULL)
			return NULL;
		r->rows = rows;
		r->cap = cap;
	}
	row = r->rows + r->n++ * r->type->size;
	if (r->n <= r->made)
		return row;
	r->made = r->n;
	sm_row_init(r->type, row);
	return sm_row_keep(r->type, row, r->pool) == 0 ? row : NULL;
}

/* spanmark_row(sample, field, ..) */
static void take_row(sqlite3_context *context, int n, sqlite3_value **v)
{
	struct reading *r = sqlite3_user_data(context);
	int64_t sample = sqlite3_value_int64(v[0]);
	char *row;
	int at = 1;

	(void)n;
	if (r->rc == 0 && sample != r->sample)
		r->rc = end_sample(r);
	r->sample = sample;
	row = r->rc == 0 ? next_row(r) : NULL;
	if (row == NULL)
		r->rc = r->rc ? r->rc : -ENOMEM;
	for (const struct sm_field *f = r->type->fields; f->name != NULL && r->rc == 0; f++)
		if (f->kept)
			r->rc = set_field(r, f, row, v[at++]);
	if (r->rc)
		sqlite3_result_error(context, "", 0);
}

static sqlite3_stmt *prepare_rows(struct reading *r)
{
	struct columns c = columns_of(r->type);
	char sql[sizeof(c) + 128];
	int rc = sqlite3_create_function(r->s->db, "spanmark_row", -1, SQLITE_UTF8, r, take_row,
					 NULL, NULL);

	r->rc = sm__store_fail(r->s, rc);
	snprintf(sql, sizeof(sql),
		 "SELECT spanmark_row(sample%s) FROM %s WHERE sample BETWEEN ? AND ? ORDER BY "
		 "sample, rowid",
		 c.names, r->type->table);
	return sm__store_prepare(r->s, sql, &r->rc);
}

/* Of the samples [of, end), whose numbers follow each other. */
static int read_range(struct reading *r, sqlite3_stmt *st, const struct sm__rows_of *of,
		      const struct sm__rows_of *end)
{
	int step;

	sqlite3_bind_int64(st, 1, of->sample);
	sqlite3_bind_int64(st, 2, end[-1].sample);
	while ((step = sqlite3_step(st)) == SQLITE_ROW)
		;
	if (r->rc == 0)
		r->rc = sm__store_fail(r->s, step);
	if (r->rc == 0)
		r->rc = end_sample(r);
	sqlite3_reset(st);
	return r->rc;
}

int sm__store_load_rows(struct sm_store *s, const struct sm_row_type *type,
			const struct sm__rows_of *of, size_t n, struct sm_pool *pool)
{
	struct reading r = {.s = s, .type = type, .pool = pool, .of = of, .end = of + n};
	sqlite3_stmt *st = prepare_rows(&r);

	for (size_t i = 0, next; i < n && r.rc == 0; i = next) {
		for (next = i + 1; next < n && of[next].sample == of[next - 1].sample + 1; next++)
			;
		read_range(&r, st, of + i, of + next);
	}
	sqlite3_finalize(st);
	sqlite3_finalize(r.word);
	sqlite3_create_function(s->db, "spanmark_row", -1, SQLITE_UTF8, NULL, NULL, NULL, NULL);
	free(r.rows);
	return r.rc;
}
