/*
 * metric.c: the fields of metrics and results as tables, and what is done with any row.
 */
#include "workloads/metric.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "perf/names.h"

#define KIND_TEXT   SM_FIELD_TEXT, NULL
#define KIND_WORDS  SM_FIELD_WORDS, NULL
#define KIND_INDEX  SM_FIELD_INDEX, NULL
#define KIND_NS	    SM_FIELD_NS, NULL
#define KIND_VALUE  SM_FIELD_VALUE, NULL
#define KIND_STATUS SM_FIELD_ENUM, sm_status_names
#define KIND_SOURCE SM_FIELD_ENUM, sm_source_names
#define KIND_BY	    SM_FIELD_ENUM, sm_by_names
#define FIELD(type, kind, name, kept, json, csv) \
	{#name, KIND_##kind, offsetof(struct type, name), kept, SM_JSON_##json, csv},
#define METRIC_FIELD(...) FIELD(sm_metric, __VA_ARGS__)
#define RESULT_FIELD(...) FIELD(sm_result, __VA_ARGS__)
#define SERIES_FIELD(...) FIELD(sm_series, __VA_ARGS__)

static const struct sm_field metric_fields[] = {
#define X METRIC_FIELD
#include "workloads/metric.def"
#undef X
	{.name = NULL},
};

static const struct sm_field result_fields[] = {SM_RESULT_FIELDS(RESULT_FIELD){.name = NULL}};
static const struct sm_field series_fields[] = {SM_SERIES_FIELDS(SERIES_FIELD){.name = NULL}};

const struct sm_row_type sm_metric_type = {"metric", sizeof(struct sm_metric),
					   offsetof(struct sm_metric, has_value), metric_fields};
const struct sm_row_type sm_result_type = {"result", sizeof(struct sm_result),
					   offsetof(struct sm_result, has_value), result_fields};
const struct sm_row_type sm_series_type = {"series", sizeof(struct sm_series), 0, series_fields};

/* A place in a row, as what it is. Enums are ints here. */
union place {
	void *at;
	const char **text;
	int *number;
	uint64_t *ns;
	double *value;
	bool *has_value;
};
_Static_assert(sizeof(enum sm_status) == sizeof(int) && sizeof(enum sm_by) == sizeof(int),
	       "an enum is an int");

static union place place(const void *row, size_t offset)
{
	return (union place){.at = (char *)row + offset};
}

static bool is_text(const struct sm_field *f)
{
	return f->kind == SM_FIELD_TEXT || f->kind == SM_FIELD_WORDS;
}

struct sm_datum sm_field_get(const struct sm_row_type *type, const struct sm_field *f,
			     const void *row)
{
	union place p = place(row, f->offset);

	switch (f->kind) {
	case SM_FIELD_TEXT:
	case SM_FIELD_WORDS: return (struct sm_datum){.text = *p.text};
	case SM_FIELD_INDEX:
		return (struct sm_datum){.has_number = *p.number >= 0, .number = *p.number};
	case SM_FIELD_NS: return (struct sm_datum){.has_number = true, .number = (double)*p.ns};
	case SM_FIELD_VALUE:
		return (struct sm_datum){.has_number = *place(row, type->has_value).has_value,
					 .number = *p.value};
	case SM_FIELD_ENUM: return (struct sm_datum){.text = f->names[*p.number]};
	}
	return (struct sm_datum){0};
}

int sm_field_set(const struct sm_row_type *type, const struct sm_field *f, void *row,
		 struct sm_datum d)
{
	bool takes_text = is_text(f) || f->kind == SM_FIELD_ENUM;
	union place p = place(row, f->offset);
	int word;

	if (takes_text ? d.has_number : d.text != NULL || (d.has_number && !isfinite(d.number)))
		return -EINVAL;
	switch (f->kind) {
	case SM_FIELD_TEXT:
	case SM_FIELD_WORDS: *p.text = d.text != NULL ? d.text : ""; break;
	case SM_FIELD_INDEX:
		if (d.has_number && !(d.number >= -1 && d.number <= 1 << 20))
			return -EINVAL;
		*p.number = d.has_number ? (int)d.number : -1;
		break;
	case SM_FIELD_NS:
		if (d.has_number && !(d.number >= 0 && d.number <= 1e18))
			return -EINVAL;
		*p.ns = d.has_number ? (uint64_t)d.number : 0;
		break;
	case SM_FIELD_VALUE:
		*place(row, type->has_value).has_value = d.has_number;
		*p.value = d.number;
		break;
	case SM_FIELD_ENUM:
		word = d.text != NULL ? sm_names_find(f->names, d.text) : 0;
		if (word < 0)
			return -EINVAL;
		*p.number = word;
		break;
	}
	return 0;
}

void sm_row_init(const struct sm_row_type *type, void *row)
{
	for (const struct sm_field *f = type->fields; f->name != NULL; f++)
		(void)sm_field_set(type, f, row, (struct sm_datum){0});
}

int sm_row_keep(const struct sm_row_type *type, void *row, struct sm_pool *pool)
{
	for (const struct sm_field *f = type->fields; f->name != NULL; f++) {
		const char **text = place(row, f->offset).text;

		if (!is_text(f))
			continue;
		*text = sm_pool_str(pool, *text);
		if (*text == NULL)
			return -ENOMEM;
	}
	return 0;
}

void *sm_row_add(const struct sm_row_type *type, void *array, size_t *n)
{
	void **rows = array, *grown, *row;

	if ((*n & (*n - 1)) == 0) { /* full: the capacity is the next power of 2 */
		grown = realloc(*rows, (*n == 0 ? 1 : 2 * *n) * type->size);
		if (grown == NULL)
			return NULL;
		*rows = grown;
	}
	row = (char *)*rows + (*n)++ * type->size;
	sm_row_init(type, row);
	return row;
}

const struct sm_result *sm_result_find(const struct sm_result *results, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (results[i].name[0] == name[0] && strcmp(results[i].name, name) == 0)
			return &results[i];
	return NULL;
}
