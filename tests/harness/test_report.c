/*
 * test_report.c: the golden reports. A canned store of layout 2 (two cases, two repetitions, two
 * passes, sums by place, packages, kinds of cores, waits, what could not be counted, a crash,
 * calibrations) must be read and print, byte for byte, what stands beside it in tests/data/report/.
 *
 * A change that is meant: run with --write from the root of the repository, and look at the
 * difference.
 */
#include "harness/report/writer.h"
#include "tests/support/run.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct {
	const char *file;
	enum sm_format format;
	enum sm_by by;
	bool brief, waits;
	unsigned width; /* 0: SM_TABLE_WIDTH */
} golden[] = {
	{"role.txt", SM_FORMAT_TABLE, SM_BY_ROLE, false, true, 0},
	{"thread.txt", SM_FORMAT_TABLE, SM_BY_THREAD, false, true, 0},
	{"core.txt", SM_FORMAT_TABLE, SM_BY_CORE, false, true, 0},
	{"l3.txt", SM_FORMAT_TABLE, SM_BY_L3, false, true, 0},
	{"node.txt", SM_FORMAT_TABLE, SM_BY_NODE, false, true, 0},
	{"kind.txt", SM_FORMAT_TABLE, SM_BY_KIND, false, true, 0},
	{"brief.txt", SM_FORMAT_TABLE, SM_BY_ROLE, true, false, 0},
	{"brief-80.txt", SM_FORMAT_TABLE, SM_BY_ROLE, true, true, 80},
	{"report.csv", SM_FORMAT_CSV, SM_BY_ROLE, false, false, 0},
	{"report.json", SM_FORMAT_JSON, SM_BY_ROLE, false, false, 0},
};

/* From the root of the repository, or next to the program (emulated machines). */
static FILE *open_data(const char *name, const char *mode)
{
	char exe[512], path[800];
	ssize_t n = readlink("/proc/self/exe", exe, sizeof(exe) - 1);
	const char *dir = getenv("SM_TEST_DATA");
	FILE *f;

	snprintf(path, sizeof(path), "%s/report/%s", dir ? dir : "tests/data", name);
	f = fopen(path, mode);
	if (f || n <= 0)
		return f;
	exe[n] = '\0';
	*strrchr(exe, '/') = '\0';
	snprintf(path, sizeof(path), "%s/data/report/%s", exe, name);
	return fopen(path, mode);
}

/* A file of the test's data as text, malloc'ed. */
static char *read_data(const char *name)
{
	FILE *f = open_data(name, "re");
	char *text = NULL;
	size_t size = 0;

	if (f == NULL) {
		printf("tests/data/report/%s is not here: not tested\n", name);
		exit(77);
	}
	ck_assert_int_gt(getdelim(&text, &size, '\0', f), 0);
	fclose(f);
	return text;
}

static void load(struct sm_report *r)
{
	char dir[] = "/tmp/spanmark-report-XXXXXX", path[64], err[300],
	     *sql = read_data("store.sql");
	struct sm_store *s;
	sqlite3 *db;

	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/s.db", dir);
	ck_assert_int_eq(sqlite3_open(path, &db), SQLITE_OK);
	ck_assert_msg(sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK, "%s",
		      sqlite3_errmsg(db));
	sqlite3_close(db);
	free(sql);
	ck_assert_msg(sm_store_open(path, &s, err, sizeof(err)) == 0, "%s", err);
	ck_assert_msg(sm_store_load(s, 0, r) == 0, "%s", sm_store_error(s));
	sm_store_close(s);
	unlink(path);
	ck_assert_int_eq(rmdir(dir), 0);
}

static void print(const struct sm_report *r, unsigned i, FILE *f)
{
	struct sm_writer w = {.format = golden[i].format,
			      .by = golden[i].by,
			      .wide = !golden[i].brief,
			      .waits = golden[i].waits,
			      .width = golden[i].width};

	ck_assert_ptr_nonnull(f);
	ck_assert_int_eq(sm_report_write(r, &w, f), 0);
	fclose(f);
}

static bool writing;

START_TEST(a_canned_store_prints_its_golden_reports)
{
	const char *file = golden[_i].file;
	char *want, *got = NULL;
	struct sm_report r;
	size_t len = 0, same = 0;

	load(&r);
	if (writing) {
		print(&r, (unsigned)_i, open_data(file, "we"));
		sm_report_free(&r);
		return;
	}
	want = read_data(file);
	print(&r, (unsigned)_i, open_memstream(&got, &len));
	while (got[same] && got[same] == want[same])
		same++;
	ck_assert_msg(!got[same] && !want[same],
		      "%s differs at byte %zu: '%.60s' instead of '%.60s'", file, same, got + same,
		      want + same);
	free(got);
	free(want);
	sm_report_free(&r);
}
END_TEST

int main(int argc, char **argv)
{
	Suite *s = suite_create("report");
	TCase *tc = tcase_create("all");

	writing = argc > 1 && strcmp(argv[1], "--write") == 0;
	tcase_add_loop_test(tc, a_canned_store_prints_its_golden_reports, 0,
			    sizeof(golden) / sizeof(golden[0]));
	suite_add_tcase(s, tc);
	return sm_test_run(s);
}
