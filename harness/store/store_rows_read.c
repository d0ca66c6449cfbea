/*
 * store_rows_read.c: the rows of a run's samples, read: of many samples at a time, and of alike
 * ones no more than what they differ in.
 */
#include "harness/store/store_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * Rows come by sample, each as one call of spanmark_row(sample, field, ..), whose arguments cost a
 * fifth of what a statement's columns do. A row is made out of that at its place in the sample
 * before, by what differs: of a shape that is known the fields that vary alone, which are all that
 * is asked for.
 */
enum { WORDS = 256, SHAPES = 16, FIELDS = 32 }; /* more than any type has */

/* A statement of all fields that are kept, or of those that vary, and where it puts them. */
struct statement {
	const struct sm_field *fields[FIELDS + 1]; /* the last one NULL */
	sqlite3_stmt *st;
};

/* Rows that samples of this shape have, but for what varies. */
struct model {
	int64_t shape;
	char *rows;
	size_t n;
};

struct reading {
	struct sm_store *s;
	const struct sm_row_type *type;
	struct sm_pool *pool;
	const struct sm__rows_of *of; /* the sample whose rows come; `end`: there is none */
	const struct sm__rows_of *end;
	int64_t sample; /* of the rows [0, n) */
	char *rows;	/* [0, made): of this sample and, behind it, of those before */
	size_t n, made, cap;
	const struct model *model; /* of the sample; NULL: all fields are read */
	bool short_rows;
	size_t ended; /* samples whose rows have all come */
	struct model models[SHAPES];
	size_t nmodels;
	struct {
		int64_t id;
		const char *text;
	} words[WORDS]; /* by the last digits of their number */
	sqlite3_stmt *word;
	struct statement statements[2]; /* [short_rows] */
	int rc;
};

static const struct model *find_model(const struct reading *r, int64_t shape)
{
	for (size_t i = 0; shape != 0 && i < SHAPES; i++)
		if (r->models[i].shape == shape)
			return &r->models[i];
	return NULL;
}

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
	case SM_FIELD_NS:
		return sqlite3_value_type(v) == SQLITE_INTEGER &&
		       (uint64_t)sqlite3_value_int64(v) == *(const uint64_t *)at;
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

static int other_shape(struct reading *r)
{
	snprintf(r->s->error, sizeof(r->s->error),
		 "store '%s': damaged: sample %lld has other rows of %s than it says", r->s->path,
		 (long long)r->sample, r->type->table);
	return -EILSEQ;
}

static int keep_model(struct reading *r, int64_t shape, const void *rows)
{
	struct model *m = &r->models[r->nmodels++ % SHAPES];
	size_t size = r->n * r->type->size;
	char *copy = realloc(m->rows, size);

	m->shape = 0;
	if (copy == NULL)
		return -ENOMEM;
	memcpy(copy, rows, size);
	*m = (struct model){.shape = shape, .rows = copy, .n = r->n};
	return 0;
}

/* The sample's rows have all come. */
static int end_sample(struct reading *r)
{
	void *rows;

	if (r->n == 0 || r->of == r->end || r->of->sample != r->sample)
		return 0;
	if (r->model != NULL && r->n != r->model->n)
		return other_shape(r);
	r->ended++;
	rows = sm_pool_room(r->pool, r->n * r->type->size);
	if (rows == NULL)
		return -ENOMEM;
	memcpy(rows, r->rows, r->n * r->type->size);
	*r->of->array = rows;
	*r->of->n = r->n;
	return r->of->shape != 0 && r->model == NULL ? keep_model(r, r->of->shape, rows) : 0;
}

static int make_room(struct reading *r, size_t n)
{
	size_t cap = r->cap ? r->cap : 64;
	char *rows;

	while (cap < n)
		cap *= 2;
	if (cap == r->cap)
		return 0;
	rows = realloc(r->rows, cap * r->type->size);
	if (rows == NULL)
		return -ENOMEM;
	r->rows = rows;
	r->cap = cap;
	return 0;
}

/* Rows of another sample come. */
static int begin_sample(struct reading *r, int64_t sample)
{
	const struct model *last = r->model, *m;
	int rc = end_sample(r);

	r->n = 0;
	r->sample = sample;
	while (r->of != r->end && r->of->sample < sample)
		r->of++;
	m = r->short_rows && r->of != r->end ? find_model(r, r->of->shape) : NULL;
	r->model = m;
	if (rc || m == NULL || m == last)
		return rc;
	rc = make_room(r, m->n);
	if (rc)
		return rc;
	memcpy(r->rows, m->rows, m->n * r->type->size);
	r->made = m->n > r->made ? m->n : r->made;
	return 0;
}

/* The next row of the sample, as that at its place was before; NULL, and r->rc. */
static char *next_row(struct reading *r)
{
	char *row;

	if (r->model != NULL && r->n == r->model->n)
		r->rc = other_shape(r);
	if (r->rc == 0 && r->n == r->cap)
		r->rc = make_room(r, r->n + 1);
	if (r->rc)
		return NULL;
	row = r->rows + r->n++ * r->type->size;
	if (r->n <= r->made)
		return row;
	r->made = r->n;
	sm_row_init(r->type, row);
	r->rc = sm_row_keep(r->type, row, r->pool);
	return r->rc == 0 ? row : NULL;
}

/* spanmark_row(sample, field, ..): NULL, so that the statement that asks for rows where it is true
 * goes through all of them and returns none. */
static void take_row(sqlite3_context *context, int n, sqlite3_value **v)
{
	struct reading *r = sqlite3_user_data(context);
	int64_t sample = sqlite3_value_int64(v[0]);
	char *row;

	(void)n;
	if (r->rc == 0 && (sample != r->sample || r->n == 0))
		r->rc = begin_sample(r, sample);
	row = r->rc == 0 ? next_row(r) : NULL;
	for (const struct sm_field *const *f = r->statements[r->short_rows].fields;
	     *f != NULL && r->rc == 0; f++)
		r->rc = set_field(r, *f, row, *++v);
	if (r->rc)
		sqlite3_result_error(context, "", 0);
}

/* One transaction writes a sample and its rows, so that rows stand in the order of their samples.
 * Where it is known how many each sample has, by which read_range finds out if they do not, they
 * are read as they stand, otherwise by the index. */
static const char by_sample[] = "SELECT 1 FROM %s WHERE sample BETWEEN ?1 AND ?2"
				" AND spanmark_row(sample%s) ORDER BY sample, rowid";
static const char by_place[] = "SELECT 1 FROM %s WHERE spanmark_row(sample%s) AND rowid BETWEEN"
			       " (SELECT min(rowid) FROM %s WHERE sample=?1) AND"
			       " (SELECT max(rowid) FROM %s WHERE sample=?2) ORDER BY rowid";

static void prepare_rows(struct reading *r, bool short_rows)
{
	struct statement *s = &r->statements[short_rows];
	char names[1024] = "", sql[1200];
	size_t n = 0, nfields = 0;

	for (const struct sm_field *f = r->type->fields; f->name != NULL && nfields < FIELDS; f++) {
		if (!f->kept || (short_rows && !sm__row_varies(f)))
			continue;
		s->fields[nfields++] = f;
		n += (size_t)snprintf(names + n, sizeof(names) - n, ",\"%s\"", f->name);
	}
	snprintf(sql, sizeof(sql), short_rows ? by_place : by_sample, r->type->table, names,
		 r->type->table, r->type->table);
	s->st = sm__store_prepare(r->s, sql, &r->rc);
}

/* Of the samples [of, end), whose numbers follow each other. */
static void read_range(struct reading *r, const struct sm__rows_of *of,
		       const struct sm__rows_of *end)
{
	sqlite3_stmt *st = r->statements[r->short_rows].st;
	int step;

	sqlite3_bind_int64(st, 1, of->sample);
	sqlite3_bind_int64(st, 2, end[-1].sample);
	r->ended = 0;
	step = sqlite3_step(st);
	if (r->rc == 0)
		r->rc = sm__store_fail(r->s, step);
	if (r->rc == 0)
		r->rc = end_sample(r);
	if (r->rc == 0 && r->short_rows && r->ended != (size_t)(end - of))
		r->rc = other_shape(r);
	r->n = 0;
	sqlite3_reset(st);
}

/* Samples that are read by one statement: those of known shapes, those without one, or one of a new
 * shape. */
static const struct sm__rows_of *range_end(struct reading *r, const struct sm__rows_of *of)
{
	const struct sm__rows_of *next = of + 1;
	bool known = find_model(r, of->shape) != NULL;

	r->short_rows = known;
	while ((known || of->shape == 0) && next != r->end && next->sample == next[-1].sample + 1 &&
	       (known ? find_model(r, next->shape) != NULL : next->shape == 0))
		next++;
	return next;
}

int sm__store_load_rows(struct sm_store *s, const struct sm_row_type *type,
			const struct sm__rows_of *of, size_t n, struct sm_pool *pool)
{
	struct reading r = {.s = s, .type = type, .pool = pool, .of = of, .end = of + n};

	r.rc = sm__store_fail(s, sqlite3_create_function(s->db, "spanmark_row", -1, SQLITE_UTF8, &r,
							 take_row, NULL, NULL));
	for (int i = 0; i < 2 && r.rc == 0; i++)
		prepare_rows(&r, i);
	for (const struct sm__rows_of *next; of != r.end && r.rc == 0; of = next) {
		next = range_end(&r, of);
		read_range(&r, of, next);
	}
	for (int i = 0; i < 2; i++)
		sqlite3_finalize(r.statements[i].st);
	sqlite3_finalize(r.word);
	sqlite3_create_function(s->db, "spanmark_row", -1, SQLITE_UTF8, NULL, NULL, NULL, NULL);
	for (size_t i = 0; i < SHAPES; i++)
		free(r.models[i].rows);
	free(r.rows);
	return r.rc;
}
