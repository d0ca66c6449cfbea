/* layout.c: see layout.h. */
#include "tests/support/layout.h"
#include "harness/store/store_internal.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* From the root of the repository, or next to the program (emulated machines). */
static char *read_data(const char *name)
{
	char exe[512] = "", from[800], *text = NULL;
	ssize_t n = readlink("/proc/self/exe", exe, sizeof(exe) - 1);
	const char *data = getenv("SM_TEST_DATA");
	size_t size = 0;
	FILE *f;

	snprintf(from, sizeof(from), "%s/store/%s", data ? data : "tests/data", name);
	f = fopen(from, "re");
	if (f == NULL && n > 0) {
		*strrchr(exe, '/') = '\0';
		snprintf(from, sizeof(from), "%s/data/store/%s", exe, name);
		f = fopen(from, "re");
	}
	if (f == NULL) {
		printf("tests/data/store/%s is not here: not tested\n", name);
		exit(77);
	}
	ck_assert_int_gt(getdelim(&text, &size, '\0', f), 0);
	fclose(f);
	return text;
}

void layout_make(const char *to)
{
	char *sql = read_data("layout5.sql");
	sqlite3 *db;

	ck_assert_int_eq(sqlite3_open(to, &db), SQLITE_OK);
	ck_assert_msg(sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK, "%s",
		      sqlite3_errmsg(db));
	ck_assert_int_eq(sqlite3_exec(db, "PRAGMA journal_mode=WAL", NULL, NULL, NULL), 0);
	sqlite3_close(db);
	free(sql);
}

static int64_t number(struct sm_store *s, const char *sql)
{
	int rc = 0;
	int64_t n = sm__store_number(s, sql, &rc);

	ck_assert_msg(rc == 0, "%s: %s", sql, sm_store_error(s));
	return n;
}

void layout_holds_all(struct sm_store *s, const char *old)
{
	static const char *const tables[] = {
		"run", "plan", "sample", "calibration", "result", "metric", "word",
	};
	char sql[2000];

	snprintf(sql, sizeof(sql), "ATTACH '%s' AS old", old);
	ck_assert_int_eq(sm__store_exec(s, sql), 0);
	for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++) {
		char columns[900];
		int rc = 0;
		sqlite3_stmt *st;

		snprintf(sql, sizeof(sql),
			 "SELECT group_concat('\"'||name||'\"') FROM pragma_table_info('%s','old')",
			 tables[i]);
		st = sm__store_prepare(s, sql, &rc);
		ck_assert_int_eq(sqlite3_step(st), SQLITE_ROW);
		snprintf(columns, sizeof(columns), "%s", sqlite3_column_text(st, 0));
		sqlite3_finalize(st);
		snprintf(sql, sizeof(sql), "SELECT count(*)>0 FROM old.%s", tables[i]);
		ck_assert_int_eq(number(s, sql), 1);
		snprintf(sql, sizeof(sql),
			 "SELECT count(*) FROM (SELECT %s FROM old.%s EXCEPT SELECT %s FROM "
			 "main.%s)",
			 columns, tables[i], columns, tables[i]);
		ck_assert_int_eq(number(s, sql), 0);
		snprintf(sql, sizeof(sql),
			 "SELECT (SELECT count(*) FROM old.%s)-(SELECT count(*) FROM main.%s)",
			 tables[i], tables[i]);
		ck_assert_int_eq(number(s, sql), 0);
	}
	ck_assert_int_eq(sm__store_exec(s, "DETACH old"), 0);
}
