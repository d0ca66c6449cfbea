/*
 * fuzz_store.c: a store that others have written to. The input is lines that change a good one:
 *
 *     sample.status = i 7         every row of the column, by value: t text, i integer, d real,
 *     metric.value = n            n NULL, b bytes
 *     raw 4100 255                a byte of the file
 *     user_version = 9            and application_id: the header's
 *     drop metric                 a table goes
 *
 * Then it is opened, read, reported and looked into for what could be resumed, as `spanmark run`
 * does.
 */
#include <sqlite3.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "harness/plan/job.h"
#include "harness/options/options.h"
#include "harness/run/resume.h"
#include "tests/fuzz/report.h"

static char dir[64], path[96], err[512];
static char *image;
static size_t image_len;

/* Where files cost nothing. */
static void make_dir(void)
{
	struct stat st;

	snprintf(dir, sizeof(dir), "%s/spanmark-fuzz-XXXXXX",
		 stat("/dev/shm", &st) == 0 && access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
	FUZZ_MUST(mkdtemp(dir) != NULL);
	snprintf(path, sizeof(path), "%s/s", dir);
}

static void clear(void)
{
	static const char *const ends[] = {"", "-wal", "-shm", "-journal"};
	char name[112];

	for (int i = 0; i < 4; i++) {
		snprintf(name, sizeof(name), "%s%s", path, ends[i]);
		unlink(name);
	}
}

static void leave(void)
{
	clear();
	rmdir(dir);
}

static void fill(struct sm_store *s)
{
	struct sm_run_info info = {.environment = report_environment,
				   .topology = "<topology/>",
				   .command_line = "fuzz",
				   .by = "role",
				   .planned = 3};
	const char *const jobs[] = {report_job, report_job, report_job};
	struct sm_calibration_row c = {.event = "cycles",
				       .kernel = "loop",
				       .verdict = "off",
				       .label = "zen4::CYCLES",
				       .reason = "x"};
	int64_t run;

	FUZZ_MUST(sm_store_begin(s, &info, jobs, &run) == 0);
	FUZZ_MUST(sm_store_add_calibration(s, run, &c) == 0);
	for (unsigned i = 0; i < 2; i++) {
		struct sm_record r = {.ordinal = i, .rep = i};
		struct sm_pool pool = {0};

		FUZZ_MUST(sm_job_describe(report_job, &r, &pool) == 0);
		r.ordinal = r.rep = i;
		FUZZ_MUST(sm_record_parse(&r, &pool, report_wire, strlen(report_wire), err,
					  sizeof(err)) == 0);
		FUZZ_MUST(sm_store_add(s, run, &r) == 0);
		sm_record_free(&r);
		sm_pool_free(&pool);
	}
}

/* The good store, once, kept as bytes. */
static void make_image(void)
{
	struct sm_store *s;
	FILE *f;

	make_dir();
	atexit(leave);
	FUZZ_MUST(sm_store_open(path, &s, err, sizeof(err)) == 0);
	fill(s);
	sm_store_close(s);
	f = fopen(path, "rb");
	FUZZ_MUST(f != NULL);
	image = malloc(1 << 20);
	image_len = fread(image, 1, 1 << 20, f);
	fclose(f);
	FUZZ_MUST(image_len > 4096);
}

/* ---- the lines ---------------------------------------------------------------------------- */

static void bind(sqlite3_stmt *st, const char *value)
{
	const char *rest = value[0] && value[1] ? value + 2 : "";

	switch (value[0]) {
	case 't': sqlite3_bind_text(st, 1, rest, -1, SQLITE_TRANSIENT); break;
	case 'b': sqlite3_bind_blob(st, 1, rest, (int)strlen(rest), SQLITE_TRANSIENT); break;
	case 'i': sqlite3_bind_int64(st, 1, atoll(rest)); break;
	case 'd': sqlite3_bind_double(st, 1, atof(rest)); break;
	default: break;
	}
}

static void set_column(sqlite3 *db, const char *table, const char *column, const char *value)
{
	char *sql = sqlite3_mprintf("UPDATE \"%w\" SET \"%w\"=?1", table, column);
	sqlite3_stmt *st = NULL;

	if (sqlite3_prepare_v2(db, sql, -1, &st, NULL) == SQLITE_OK && st != NULL) {
		if (sqlite3_bind_parameter_count(st) > 0)
			bind(st, value);
		sqlite3_step(st);
	}
	sqlite3_finalize(st);
	sqlite3_free(sql);
}

static void pragma(sqlite3 *db, const char *name, const char *value)
{
	char sql[80];

	snprintf(sql, sizeof(sql), "PRAGMA %s=%d", name, atoi(value));
	sqlite3_exec(db, sql, NULL, NULL, NULL);
}

static void apply(sqlite3 *db, char *line)
{
	char *eq = strstr(line, " = "), *dot;

	if (strncmp(line, "drop ", 5) == 0) {
		char *sql = sqlite3_mprintf("DROP TABLE \"%w\"", line + 5);

		sqlite3_exec(db, sql, NULL, NULL, NULL);
		sqlite3_free(sql);
		return;
	}
	if (eq == NULL)
		return;
	*eq = '\0';
	dot = strchr(line, '.');
	if (strcmp(line, "user_version") == 0 || strcmp(line, "application_id") == 0)
		pragma(db, line, eq + 3);
	else if (dot != NULL) {
		*dot = '\0';
		set_column(db, line, dot + 1, eq + 3);
	}
}

static void write_image(const char *text)
{
	char *bytes = malloc(image_len), *end;
	FILE *f = fopen(path, "wb");

	FUZZ_MUST(bytes != NULL && f != NULL);
	memcpy(bytes, image, image_len);
	for (const char *at = text; (at = strstr(at, "raw ")) != NULL; at += 4) {
		unsigned long where = strtoul(at + 4, &end, 10);

		bytes[where % image_len] = (char)strtoul(end, NULL, 10);
	}
	FUZZ_MUST(fwrite(bytes, 1, image_len, f) == image_len);
	fclose(f);
	free(bytes);
}

static void change(char *text)
{
	sqlite3 *db = NULL;
	char *save = NULL;

	write_image(text);
	if (sqlite3_open(path, &db) == SQLITE_OK)
		for (char *l = strtok_r(text, "\n", &save); l; l = strtok_r(NULL, "\n", &save))
			apply(db, l);
	sqlite3_close(db);
}

/* ---- what the command does with it -------------------------------------------------------- */

static void resume(struct sm_store *s)
{
	unsigned planned, *left = NULL, groups;
	struct sm_run_options o;
	char *environment, *job;
	int64_t run = 0;

	if (sm_store_unfinished(s, &run, &planned, &environment) != 0) {
		fuzz_reason(sm_store_error(s));
		return;
	}
	sm_run_options_init(&o);
	if (sm_resume_check(environment, report_environment, &o, err, sizeof(err)) != 0)
		FUZZ_MUST(err[0] != '\0');
	sm_run_options_free(&o);
	free(environment);
	sm_store_left(s, run, &left, &groups);
	free(left);
	for (unsigned i = 0; i < 3; i++) {
		job = sm_store_pending(s, run, i);
		if (job != NULL) {
			struct sm_pool pool = {0};
			struct sm_record r;

			sm_job_describe(job, &r, &pool);
			sm_record_free(&r);
			sm_pool_free(&pool);
		}
		free(job);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = fuzz_text(data, size);
	struct sm_report report;
	struct sm_store *s;

	if (image == NULL)
		make_image();
	clear();
	change(text);
	free(text);
	err[0] = '\0';
	if (sm_store_open(path, &s, err, sizeof(err)) != 0) {
		FUZZ_MUST(err[0] != '\0');
		return 0;
	}
	if (sm_store_load(s, 0, &report) == 0) {
		report_all(&report);
		sm_report_free(&report);
	} else {
		FUZZ_MUST(sm_store_error(s)[0] != '\0');
	}
	resume(s);
	sm_store_close(s);
	return 0;
}
