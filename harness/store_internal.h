/*
 * store_internal.h: what the two halves of the store share: store.c writes, store_read.c reads.
 */
#ifndef SM_HARNESS_STORE_INTERNAL_H
#define SM_HARNESS_STORE_INTERNAL_H

#include "harness/store.h"

#include <sqlite3.h>

struct sm_store {
	sqlite3 *db;
	char error[300];
	char path[200];
};

/* -errno of a SQLite result; what went wrong is in s->error. 0 for OK, ROW and DONE. */
int sm__store_fail(struct sm_store *s, int rc);
/* NULL, and *rc, when it cannot be prepared or *rc was not 0 before. */
sqlite3_stmt *sm__store_prepare(struct sm_store *s, const char *sql, int *rc);

#endif
