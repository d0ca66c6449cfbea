/*
 * store_internal.h: what the parts of the store share: store_open.c opens, store.c writes,
 * store_read.c reads, store_rows.c and store_rows_read.c do so with the rows of a sample.
 */
#ifndef SM_HARNESS_STORE_INTERNAL_H
#define SM_HARNESS_STORE_INTERNAL_H

#include <sqlite3.h>

#include "harness/store/store.h"

struct sm_store {
	sqlite3 *db;
	char error[300];
	char path[200];
	int held; /* sm_store_hold's; 0: none */
};

/* -errno of a SQLite result; what went wrong is in s->error. 0 for OK, ROW and DONE. */
int sm__store_fail(struct sm_store *s, int rc);
/* NULL, and *rc, when it cannot be prepared or *rc was not 0 before. */
sqlite3_stmt *sm__store_prepare(struct sm_store *s, const char *sql, int *rc);

/* Commits; else, or where rc says so, rolls back and keeps the error. */
int sm__store_end_transaction(struct sm_store *s, int rc);
int sm__store_exec(struct sm_store *s, const char *sql);
/* The first column of the first row, 0 without one. *rc as above. */
int64_t sm__store_number(struct sm_store *s, const char *sql, int *rc);

/* What a run's state is: it says "running" for ever where its process was killed. */
const char *sm__store_state(struct sm_store *s, int64_t run, const char *kept);

/* What a file system of this statfs type is called where it is a network's; NULL: it is none. */
const char *sm__store_network(unsigned long type);
/* WAL, or over a network, where it cannot work, a journal. 0 or -errno. */
int sm__store_choose_journal(struct sm_store *s, const char *network);

/* ---- store_rows.c, store_rows_read.c: results and metrics of a sample --------------------- */

/* Makes the table, or adds what columns an old one lacks. These return 0 or -errno; what went wrong
 * is in s->error. */
int sm__store_define(struct sm_store *s, const struct sm_row_type *type);
int sm__store_insert(struct sm_store *s, const struct sm_row_type *type, int64_t sample,
		     const void *rows, size_t n);
/*
 * The shape of rows: equal where all that they say but values and times is equal, row by row, so
 * that of the samples of a run, which are alike, the first alone is read in full. FNV-1a of 64
 * bits; 0: it is not known.
 */
static inline bool sm__row_varies(const struct sm_field *f)
{
	return f->kind == SM_FIELD_VALUE || f->kind == SM_FIELD_NS;
}
int64_t sm__store_shape(const struct sm_row_type *type, const void *rows, size_t n);

/* The rows of a sample, which are in the pool, and how many it has: where they go. */
struct sm__rows_of {
	int64_t sample, shape;
	void **array; /* NULL at first */
	size_t *n;
};
/* Of n samples, by number. -EILSEQ: a word that is none of its enum's. */
int sm__store_load_rows(struct sm_store *s, const struct sm_row_type *type,
			const struct sm__rows_of *of, size_t n, struct sm_pool *pool);

#endif
