/*
 * test_migration.c: stores of earlier layouts. tests/data/store/layoutN.sql is one that a spanmark
 * of that time wrote, as text: nothing of it is lost, and a reader changes no byte of it.
 */
#include "harness/store/store_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/support/layout.h"
#include "tests/support/run.h"
#include "tests/support/store.h"

static char dir[64], path[96], old[96], err[300];

static void setup(void)
{
	store_dir_make(dir, sizeof(dir));
	snprintf(path, sizeof(path), "%s/s.db", dir);
	snprintf(old, sizeof(old), "%s/old.db", dir);
	layout_make(path);
	layout_make(old);
}

static void teardown(void)
{
	store_dir_remove(dir);
}

static struct sm_store *open_with(int (*open_it)(const char *, struct sm_store **, char *, size_t),
				  const char *p)
{
	struct sm_store *s;

	ck_assert_msg(open_it(p, &s, err, sizeof(err)) == 0, "%s", err);
	return s;
}

static int64_t number(struct sm_store *s, const char *sql)
{
	int rc = 0;
	int64_t n = sm__store_number(s, sql, &rc);

	ck_assert_msg(rc == 0, "%s: %s", sql, sm_store_error(s));
	return n;
}

START_TEST(nothing_is_lost)
{
	struct sm_store *s = open_with(sm_store_open, path);
	unsigned planned;
	int64_t run = 0;
	char *env;

	layout_holds_all(s, old);
	ck_assert_int_eq(number(s, "PRAGMA user_version"), SM_STORE_SCHEMA);
	ck_assert_int_eq(number(s, "SELECT count(*) FROM run WHERE host='vm' AND "
				   "length(identity)=32"),
			 2);
	ck_assert_int_eq(sm_store_unfinished(s, &run, &planned, &env), 0);
	ck_assert_int_eq(run, 2);
	free(env);
	sm_store_close(s);
	s = open_with(sm_store_open, path); /* and there it stays */
	layout_holds_all(s, old);
	sm_store_close(s);
}
END_TEST

static char *bytes_of(const char *p, size_t *len)
{
	static char buf[1 << 20];
	FILE *f = fopen(p, "re");

	ck_assert_ptr_nonnull(f);
	*len = fread(buf, 1, sizeof(buf), f);
	fclose(f);
	return buf;
}

START_TEST(a_reader_changes_no_byte)
{
	struct sm_store *s = open_with(sm_store_open_read, path);
	size_t len, after;
	char *before = memcpy(malloc(1 << 20), bytes_of(old, &len), 1 << 20);
	struct sm_report r;

	ck_assert_int_eq(sm_store_load(s, 1, &r), 0);
	ck_assert_uint_eq(r.nrecords, 4);
	sm_report_free(&r);
	sm_store_close(s);
	ck_assert_int_eq(memcmp(before, bytes_of(path, &after), len), 0);
	ck_assert_uint_eq(after, len);
	free(before);
}
END_TEST

/* Only what must be taken over is copied for it: a store may be large. */
START_TEST(a_store_of_today_is_read_in_place)
{
	struct sm_store *s = open_with(sm_store_open_read, path);

	ck_assert_str_eq(sqlite3_db_filename(s->db, "main"), "");
	sm_store_close(s);
	sm_store_close(open_with(sm_store_open, path));
	s = open_with(sm_store_open_read, path);
	ck_assert_str_eq(sqlite3_db_filename(s->db, "main"), path);
	sm_store_close(s);
}
END_TEST

/* A run of before has the same identity in each copy of its store, however each was taken over. */
START_TEST(an_old_run_twice_is_one)
{
	struct sm_store *s = open_with(sm_store_open, path),
			*o = open_with(sm_store_open_read, old);
	struct sm_merged m;

	for (int64_t run = 1; run <= 2; run++) {
		ck_assert_int_eq(sm_store_merge(s, o, run, &m), 0);
		ck_assert_int_eq(m.how, SM_MERGED_KNOWN);
		ck_assert_int_eq(m.id, run);
	}
	ck_assert_int_eq(number(s, "SELECT count(DISTINCT identity) FROM run"), 2);
	sm_store_close(s);
	sm_store_close(o);
}
END_TEST

int main(void)
{
	return SM_SUITE_EACH("migration", 60, setup, teardown, SM_T(nothing_is_lost),
			     SM_T(a_reader_changes_no_byte),
			     SM_T(a_store_of_today_is_read_in_place),
			     SM_T(an_old_run_twice_is_one));
}
