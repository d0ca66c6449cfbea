/*
 * store.h: a folder for a test's stores, and a store in it.
 */
#ifndef SM_TESTS_SUPPORT_STORE_H
#define SM_TESTS_SUPPORT_STORE_H

#include <stdio.h>
#include <stdlib.h>

#include <check.h>

#include "harness/store/store.h"

/* A new folder, whose name goes to dir. */
static inline void store_dir_make(char *dir, size_t len)
{
	snprintf(dir, len, "/tmp/spanmark-store-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
}

static inline void store_dir_remove(const char *dir)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -rf '%s'", dir);
	ck_assert_int_eq(system(command), 0);
}

static inline struct sm_store *open_store(const char *path)
{
	struct sm_store *s;
	char err[512];

	ck_assert_msg(sm_store_open(path, &s, err, sizeof(err)) == 0, "%s", err);
	return s;
}

#endif
