/*
 * metric.h: what a sample brings back: results, one figure of the whole run each, series, many of
 * one kind, and metrics, one figure of one row each. A row is a thread, a role or a place, in a
 * phase. Phases of a thread exclude each other; the phase "total" is all of them.
 *
 * All are rows of fields. A struct sm_row_type lists the fields, so that the code that sends,
 * keeps or prints rows does it in a loop over them: harness/plan/record.c (JSON between worker and
 * runner), store_rows.c (SQLite), writer_csv.c, writer_json.c.
 */
#ifndef SM_WORKLOADS_METRIC_H
#define SM_WORKLOADS_METRIC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "perf/by.h"
#include "perf/counter.h"
#include "workloads/pool.h"

/* clang-format off */
#define SM_DECLARE_TEXT(name)   const char *name; /* never NULL; "" is "none" */
#define SM_DECLARE_WORDS(name)  SM_DECLARE_TEXT(name)
#define SM_DECLARE_INDEX(name)  int name;
#define SM_DECLARE_NS(name)     uint64_t name;
#define SM_DECLARE_VALUE(name)  bool has_value; double name;
#define SM_DECLARE_STATUS(name) enum sm_status name;
#define SM_DECLARE_SOURCE(name) enum sm_source name;
#define SM_DECLARE_BY(name)     enum sm_by name;
#define SM_DECLARE(kind, name, kept, json, csv) SM_DECLARE_##kind(name)
/* clang-format on */

struct sm_metric {
#define X SM_DECLARE
#include "workloads/metric.def"
#undef X
};

/* As metric.def: the name ("wall_s", "check", ..), the unit, the value, and without one why. `how`
 * it was measured where that is not always the same, and which way is `better` (perf/better.h) of a
 * figure that the user asked for. */
#define SM_RESULT_FIELDS(X)             \
	X(TEXT, name, true, NEVER, 0)   \
	X(TEXT, unit, true, NEVER, 0)   \
	X(VALUE, value, true, NEVER, 0) \
	X(TEXT, reason, true, NEVER, 0) \
	X(TEXT, how, true, NEVER, 0)    \
	X(TEXT, better, true, NEVER, 0)

struct sm_result {
	SM_RESULT_FIELDS(SM_DECLARE)
};

/* Many figures of one kind, over time or over their size (series.h): the name ("heap_goal",
 * "stall_sweep", ..), the units of both, and the points, "[[x,y],..]", whole numbers. */
#define SM_SERIES_FIELDS(X)             \
	X(TEXT, name, true, NEVER, 0)   \
	X(TEXT, x_unit, true, NEVER, 0) \
	X(TEXT, y_unit, true, NEVER, 0) \
	X(TEXT, points, true, NEVER, 0)

struct sm_series {
	SM_SERIES_FIELDS(SM_DECLARE)
};

/* The result of this name, or NULL. */
const struct sm_result *sm_result_find(const struct sm_result *results, size_t n, const char *name);

/* ---- rows of fields ----------------------------------------------------------------------- */

enum sm_field_kind {
	SM_FIELD_TEXT,
	SM_FIELD_WORDS, /* a long text that few rows have for themselves: the store keeps it once */
	SM_FIELD_INDEX,
	SM_FIELD_NS,
	SM_FIELD_VALUE,
	SM_FIELD_ENUM
};
enum sm_field_json { SM_JSON_ALWAYS, SM_JSON_IF_SET, SM_JSON_NEVER };

struct sm_field {
	const char *name; /* NULL: the end of the list */
	enum sm_field_kind kind;
	const char *const *names; /* of an enum's values (perf/names.h) */
	size_t offset;
	bool kept;
	enum sm_field_json json;
	unsigned csv;
};

struct sm_row_type {
	const char *table; /* its name in the store */
	size_t size, has_value;
	const struct sm_field *fields;
};

extern const struct sm_row_type sm_metric_type, sm_result_type, sm_series_type;

/* What stands in a field: a text (an enum: its word), a number, or nothing. */
struct sm_datum {
	const char *text; /* NULL: none */
	bool has_number;
	double number;
};

struct sm_datum sm_field_get(const struct sm_row_type *type, const struct sm_field *f,
			     const void *row);
/* Nothing makes it "", -1, 0, no value or the first of the enum. -EINVAL: not what the field takes.
 */
int sm_field_set(const struct sm_row_type *type, const struct sm_field *f, void *row,
		 struct sm_datum d);

/* Every field as by sm_field_set of nothing. */
void sm_row_init(const struct sm_row_type *type, void *row);
/* Makes every text the pool's. -ENOMEM. */
int sm_row_keep(const struct sm_row_type *type, void *row, struct sm_pool *pool);
/* One more row, as by sm_row_init; `array` is where the pointer to the rows is. NULL when out of
 * memory. */
void *sm_row_add(const struct sm_row_type *type, void *array, size_t *n);

#endif
