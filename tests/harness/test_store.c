/* harness/store/store.c and record.c: what goes in comes out; what is not ours or not whole is
 * refused. */
#include "harness/store/store_internal.h"
#include "tests/support/fake_run.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/run.h"
#include "tests/support/store.h"

static char dir[64];
static char path[96];
static char err[300];

static const char wire[] =
	"{\"error\":\"\",\"results\":[{\"name\":\"wall_s\",\"unit\":\"s\",\"value\":1.25},"
	"{\"name\":\"check\",\"value\":33274816},"
	"{\"name\":\"gc_cycles\",\"unit\":\"cycles\",\"reason\":\"no "
	"collector\"}],\"metrics\":[{\"by\":\"thread\",\"role\":\"mutator\",\"phase\":\"app\","
	"\"thread\":0,"
	"\"cpu\":3,\"node\":1,\"metric\":\"cycles\",\"event\":\"zen4::CYCLES\",\"value\":"
	"9007199254740991,"
	"\"unit\":\"cycles\",\"enabled_ns\":100,\"running_ns\":50},"
	"{\"role\":\"mark\",\"phase\":\"mark\",\"metric\":\"l1d_miss\",\"event\":\"x\",\"unit\":"
	"\"misses\","
	"\"status\":\"denied\",\"reason\":\"paranoid\"}],\"series\":[{\"name\":\"heap_goal\","
	"\"x_unit\":\"ns\",\"y_unit\":\"bytes\",\"points\":\"[[1,2],[3,4]]\"}],\"began_ns\":5,"
	"\"output\":\"a "
	"line\\n\",\"warnings\":\"careful\\n\"}";

static void setup(void)
{
	store_dir_make(dir, sizeof(dir));
	snprintf(path, sizeof(path), "%s/s.db", dir);
}

static void teardown(void)
{
	store_dir_remove(dir);
}

static void check_contents(struct sm_store *s, int64_t run)
{
	struct sm_report r;
	const struct sm_record *rec;

	ck_assert_int_eq(sm_store_load(s, run, &r), 0);
	ck_assert_uint_eq(r.nrecords, 2);
	ck_assert_uint_eq(r.seed, 42);
	ck_assert_uint_eq(r.planned, 3);
	ck_assert_str_eq(r.command_line, "spanmark run -w graph");
	rec = &r.records[0];
	ck_assert_int_eq(rec->status, SM_OUTCOME_OK);
	ck_assert_str_eq(rec->output, "a line\n");
	ck_assert_str_eq(rec->warnings, "careful\n");
	ck_assert_uint_eq(rec->nresults, 3);
	ck_assert_double_eq(sm_record_result(rec, "check")->value, 33274816);
	ck_assert(!sm_record_result(rec, "gc_cycles")->has_value);
	ck_assert_str_eq(sm_record_result(rec, "gc_cycles")->reason, "no collector");
	ck_assert_ptr_null(sm_record_result(rec, "nothing"));
	ck_assert_uint_eq(rec->nmetrics, 2);
	ck_assert_uint_eq(rec->nseries, 1);
	ck_assert_str_eq(rec->series[0].name, "heap_goal");
	ck_assert_str_eq(rec->series[0].y_unit, "bytes");
	ck_assert_str_eq(rec->series[0].points, "[[1,2],[3,4]]");
	ck_assert_double_eq(rec->metrics[0].value, 9007199254740991.0);
	ck_assert_int_eq(rec->metrics[0].cpu, 3);
	ck_assert_uint_eq(rec->metrics[0].enabled_ns, 100);
	ck_assert_uint_eq(rec->metrics[0].running_ns, 50);
	ck_assert(!rec->metrics[1].has_value);
	ck_assert_int_eq(rec->metrics[1].status, SM_STATUS_DENIED);
	ck_assert_str_eq(rec->metrics[1].reason, "paranoid");
	ck_assert_int_eq(r.records[1].status, SM_OUTCOME_CRASHED);
	ck_assert_str_eq(r.records[1].message, "ended by signal 11");
	sm_report_free(&r);
}

static const struct fake_sample two[] = {
	{.ordinal = 1, .group = 0, .wire = wire},
	{.ordinal = 0, .group = 1, .status = SM_OUTCOME_CRASHED, .message = "ended by signal 11"},
};

START_TEST(round_trip_in_a_file)
{
	struct sm_store *s = open_store(path);
	int64_t run = fake_run(s, NULL, two, 2, 3);

	check_contents(s, run);
	sm_store_close(s);
	s = open_store(path); /* and after the process has gone */
	check_contents(s, 0);
	sm_store_close(s);
}
END_TEST

START_TEST(round_trip_temporary)
{
	struct sm_store *s = open_store(NULL);

	check_contents(s, fake_run(s, NULL, two, 2, 3));
	sm_store_close(s);
}
END_TEST

/* Several first users of one store: each finds it as it should be. */
static int refuse_commit(void *ctx)
{
	(void)ctx;
	return 1;
}

/* What the disk did not take is an error, and no half of it is there. */
START_TEST(a_commit_that_fails_is_an_error)
{
	struct sm_store *s = open_store(path);
	const char *const jobs[] = {"{}"};
	struct sm_run_info info = {
		.command_line = "c", .planned = 1, .by = "role", .environment = "{}"};
	int64_t run;

	sqlite3_commit_hook(s->db, refuse_commit, NULL);
	ck_assert_int_ne(sm_store_begin(s, &info, jobs, &run), 0);
	ck_assert_str_ne(sm_store_error(s), "");
	sqlite3_commit_hook(s->db, NULL, NULL);
	ck_assert_int_eq(sm_store_begin(s, &info, jobs, &run), 0);
	ck_assert_int_eq(run, 1);
	sm_store_close(s);
}
END_TEST

START_TEST(a_full_disk_says_so)
{
	struct sm_store *s = open_store(path);
	const char *const jobs[] = {"{}"};
	static char big[1 << 20];
	struct sm_run_info info = {
		.command_line = big, .planned = 1, .by = "role", .environment = "{}"};
	int64_t run;

	memset(big, 'x', sizeof(big) - 1);
	ck_assert_int_eq(sm__store_exec(s, "PRAGMA max_page_count=64"), 0);
	ck_assert_int_eq(sm_store_begin(s, &info, jobs, &run), -ENOSPC);
	ck_assert_ptr_nonnull(strstr(sm_store_error(s), "full"));
	sm_store_close(s);
}
END_TEST

START_TEST(first_users_race)
{
	for (int round = 0; round < 5; round++) {
		int go[2], bad = 0, status;
		char c;

		ck_assert_int_eq(pipe(go), 0);
		for (int i = 0; i < 6; i++) {
			if (fork() == 0) {
				struct sm_store *s;
				int rc;

				close(go[1]);
				rc = (int)read(go[0], &c, 1); /* the end of the pipe */
				rc = sm_store_open(path, &s, err, sizeof(err));
				if (rc)
					printf("%s\n", err);
				fflush(stdout);
				_exit(rc != 0);
			}
		}
		close(go[0]);
		close(go[1]);
		while (wait(&status) > 0)
			bad += status != 0;
		ck_assert_int_eq(bad, 0);
		sm_store_close(open_store(path));
		unlink(path);
	}
}
END_TEST

START_TEST(several_runs)
{
	struct sm_store *s = open_store(path);
	int64_t a = fake_run(s, NULL, two, 1, 1), b = fake_run(s, NULL, two, 2, 3);
	struct sm_report r;

	ck_assert_int_ne(a, b);
	ck_assert_int_eq(sm_store_load(s, a, &r), 0);
	ck_assert_uint_eq(r.nrecords, 1);
	sm_report_free(&r);
	ck_assert_int_eq(sm_store_load(s, 0, &r), 0);
	ck_assert_int_eq(r.run, b);
	sm_report_free(&r);
	ck_assert_int_eq(sm_store_load(s, 99, &r), -ENOENT);
	ck_assert_ptr_nonnull(strstr(sm_store_error(s), "no such run"));
	sm_store_close(s);
}
END_TEST

START_TEST(goes_on_where_it_stopped)
{
	struct sm_store *s = open_store(path);
	int64_t run = fake_run(s, NULL, two, 2, 3), found = 0;
	unsigned planned;
	char *job, *env;

	ck_assert_int_eq(sm_store_unfinished(s, &found, &planned, &env), 0);
	ck_assert_ptr_nonnull(env);
	free(env);
	ck_assert_int_eq(found, run);
	ck_assert_uint_eq(planned, 3);
	ck_assert_ptr_null(sm_store_pending(s, run, 0));
	ck_assert_ptr_null(sm_store_pending(s, run, 1));
	job = sm_store_pending(s, run, 2);
	ck_assert_str_eq(job, "{\"workload\":\"graph\"}");
	free(job);
	ck_assert_ptr_null(sm_store_pending(s, run, 3));
	/* Runs after it do not hide it; a complete one and one that is not there are told apart. */
	found = fake_run(s, NULL, two, 2, 2);
	ck_assert_int_eq(sm_store_end(s, found, "done"), 0);
	ck_assert_int_eq(sm_store_unfinished(s, &found, &planned, &env), -ENOENT);
	ck_assert_ptr_nonnull(strstr(sm_store_error(s), "is complete"));
	found = 99;
	ck_assert_int_eq(sm_store_unfinished(s, &found, &planned, &env), -ENOENT);
	ck_assert_ptr_nonnull(strstr(sm_store_error(s), "there is no run 99"));
	found = 0;
	ck_assert_int_eq(sm_store_unfinished(s, &found, &planned, &env), 0);
	ck_assert_int_eq(found, run);
	free(env);
	sm_store_close(s);
}
END_TEST

/* Groups are counted by the store, in one question: of a resumed run too. */
START_TEST(what_is_left_of_each_group)
{
	const char *jobs[] = {
		"{\"group\":2}",	 "{\"group\":0}", "{\"group\":2}", "{\"group\":0}", "{}",
		"{\"group\":4000000000}"};
	struct sm_run_info info = {
		.environment = "{}", .command_line = "", .by = "role", .planned = 6};
	struct sm_store *s = open_store(path);
	struct sm_record r = {.ordinal = 1,
			      .workload = "w",
			      .backend = "gc",
			      .params = "{}",
			      .config = "{}",
			      .placement = "{}",
			      .message = "",
			      .output = "",
			      .warnings = "",
			      .library = "{\"path\":\"/lib/libjemalloc.so.2\"}"};
	unsigned *left, n;
	int64_t run;

	ck_assert_int_eq(sm_store_begin(s, &info, jobs, &run), 0);
	ck_assert_int_eq(sm_store_add(s, run, &r), 0);
	ck_assert_int_eq(sm_store_left(s, run, &left, &n), 0);
	ck_assert_uint_eq(n, 3);
	ck_assert_uint_eq(left[0], 1);
	ck_assert_uint_eq(left[1], 0);
	ck_assert_uint_eq(left[2], 2);
	free(left);
	ck_assert_int_eq(sm_store_left(s, 99, &left, &n), 0);
	ck_assert_uint_eq(n, 0);
	ck_assert_ptr_null(left);
	sm_store_close(s);
}
END_TEST

/* A plan grows while it runs, and is cut to what was measured. */
START_TEST(a_plan_grows_and_is_cut)
{
	const char *more[] = {"{\"rep\":1}", "{\"rep\":2}"};
	struct sm_store *s = open_store(path);
	int64_t run = fake_run(s, NULL, two, 2, 2), found = 0;
	struct sm_report r;
	unsigned planned;
	char **jobs, *job, *env;

	ck_assert_int_eq(sm_store_end(s, run, "done"), 0);
	ck_assert_int_eq(sm_store_unfinished(s, &found, &planned, &env), -ENOENT);
	ck_assert_int_eq(sm_store_grow(s, run, more, 2), 0);
	found = 0;
	ck_assert_int_eq(sm_store_unfinished(s, &found, &planned, &env), 0);
	ck_assert_int_eq(found, run);
	ck_assert_uint_eq(planned, 4);
	free(env);
	job = sm_store_pending(s, run, 3);
	ck_assert_str_eq(job, "{\"rep\":2}");
	free(job);
	ck_assert_int_eq(sm_store_jobs(s, run, 3, &jobs), 0);
	ck_assert_str_eq(jobs[2], "{\"rep\":1}");
	for (int i = 0; i < 3; i++)
		free(jobs[i]);
	free(jobs);
	ck_assert_int_eq(sm_store_jobs(s, run, 5, &jobs), -ENOENT);
	ck_assert_ptr_null(jobs);
	ck_assert_int_eq(sm_store_cut(s, run, 2), 0);
	ck_assert_ptr_null(sm_store_pending(s, run, 2));
	found = 0;
	ck_assert_int_eq(sm_store_unfinished(s, &found, &planned, &env), -ENOENT);
	ck_assert_int_eq(sm_store_load(s, run, &r), 0);
	ck_assert_uint_eq(r.planned, 2);
	sm_report_free(&r);
	ck_assert_int_lt(sm_store_grow(s, 99, more, 2), 0); /* there is no such run */
	sm_store_close(s);
}
END_TEST

/* One that was killed behind its last sample has them all, and goes on to its end; so does one that
 * was interrupted there by a spanmark of before, and each says what it is. */
START_TEST(goes_on_behind_the_last_sample)
{
	const char *const states[] = {"running", "interrupted"}, *const said[] = {"unfinished",
										  "interrupted"};
	struct sm_store *s = open_store(path);

	for (int i = 0; i < 2; i++) {
		int64_t run = fake_run(s, NULL, two, 2, 2), found = 0;
		struct sm_report r;
		unsigned planned;
		char *env;

		ck_assert_int_eq(sm_store_end(s, run, states[i]), 0);
		ck_assert_int_eq(sm_store_unfinished(s, &found, &planned, &env), 0);
		ck_assert_int_eq(found, run);
		free(env);
		ck_assert_int_eq(sm_store_load(s, run, &r), 0);
		ck_assert_str_eq(r.state, said[i]);
		sm_report_free(&r);
		ck_assert_int_eq(sm_store_hold(s, run), 0);
		ck_assert_int_eq(sm_store_load(s, run, &r), 0);
		ck_assert_str_eq(r.state, states[i]);
		sm_report_free(&r);
		sm_store_release(s);
		ck_assert_int_eq(sm_store_end(s, run, "done"), 0);
		ck_assert_int_eq(sm_store_unfinished(s, &found, &planned, &env), -ENOENT);
	}
	sm_store_close(s);
}
END_TEST

/* A run of --until that was killed before it looked has all its samples, and goes on. */
START_TEST(until_goes_on_before_its_look)
{
	static const char env[] = "{\"until\":{\"want\":\"1%\",\"first\":10,\"step\":1,"
				  "\"passes\":1,\"family\":[0,0]}}";
	struct sm_store *s = open_store(path);
	int64_t run = fake_run(s, env, two, 2, 2), found = 0;
	unsigned planned;
	char *text;

	ck_assert_int_eq(sm_store_unfinished(s, &found, &planned, &text), 0);
	ck_assert_int_eq(found, run);
	free(text);
	ck_assert_int_eq(sm_store_end(s, run, "done"), 0);
	found = 0;
	ck_assert_int_eq(sm_store_unfinished(s, &found, &planned, &text), -ENOENT);
	/* A run that says nonsense of it is refused. */
	run = fake_run(s, "{\"until\":{}}", two, 2, 2);
	{
		struct sm_report r;

		ck_assert_int_eq(sm_store_load(s, run, &r), -EILSEQ);
		ck_assert_ptr_nonnull(strstr(sm_store_error(s), "until what it repeats"));
	}
	sm_store_close(s);
}
END_TEST

START_TEST(the_same_sample_twice_is_refused)
{
	struct sm_store *s = open_store(path);
	int64_t run = fake_run(s, NULL, two, 2, 3);
	struct sm_record r = {.ordinal = 1,
			      .workload = "graph",
			      .backend = "gc",
			      .params = "{}",
			      .config = "{}",
			      .placement = "{}",
			      .status = SM_OUTCOME_OK,
			      .message = "",
			      .output = "",
			      .warnings = "",
			      .library = ""};

	ck_assert_int_lt(sm_store_add(s, run, &r), 0);
	check_contents(s, run); /* and the refusal left nothing behind */
	sm_store_close(s);
}
END_TEST

static void write_file(const char *text)
{
	FILE *f = fopen(path, "w");

	ck_assert_ptr_nonnull(f);
	fputs(text, f);
	fclose(f);
}

START_TEST(refuses_what_is_not_ours)
{
	struct sm_store *s;
	struct stat st;
	sqlite3 *db;

	write_file("a text of some length that is no database at all, not even a short one\n");
	ck_assert_int_lt(sm_store_open(path, &s, err, sizeof(err)), 0);
	ck_assert_ptr_nonnull(strstr(err, "not a SQLite database"));
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_int_eq(st.st_size, 71);
	unlink(path);
	ck_assert_int_eq(sqlite3_open(path, &db), SQLITE_OK);
	ck_assert_int_eq(sqlite3_exec(db, "CREATE TABLE theirs(x)", NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
	ck_assert_int_lt(sm_store_open(path, &s, err, sizeof(err)), 0);
	ck_assert_ptr_nonnull(strstr(err, "another program"));
	ck_assert_int_lt(sm_store_open("/does/not/exist/s.db", &s, err, sizeof(err)), 0);
	ck_assert_ptr_nonnull(strstr(err, "/does/not/exist/s.db"));
	ck_assert_int_lt(sm_store_open(dir, &s, err, sizeof(err)), 0);
}
END_TEST

START_TEST(refuses_a_later_layout)
{
	struct sm_store *s = open_store(path);
	sqlite3 *db;

	sm_store_close(s);
	ck_assert_int_eq(sqlite3_open(path, &db), SQLITE_OK);
	ck_assert_int_eq(sqlite3_exec(db, "PRAGMA user_version=99", NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
	ck_assert_int_lt(sm_store_open(path, &s, err, sizeof(err)), 0);
	ck_assert_ptr_nonnull(strstr(err, "layout 99"));
}
END_TEST

static int journal_is(struct sm_store *s, const char *mode)
{
	char sql[80];
	int rc = 0;

	snprintf(sql, sizeof(sql), "SELECT journal_mode='%s' FROM pragma_journal_mode", mode);
	return (int)sm__store_number(s, sql, &rc);
}

/* Two processes' connections write in turn, with the log and, as over a network, without. */
START_TEST(a_network_has_no_log)
{
	struct sm_store *s = open_store(path), *other;

	ck_assert_int_eq(journal_is(s, "wal"), 1);
	ck_assert_str_eq(sm__store_network(0x6969), "NFS");
	ck_assert_str_eq(sm__store_network(0xffffffffff534d42), "CIFS"); /* an int, extended */
	ck_assert_ptr_null(sm__store_network(0xef53));			 /* ext4 */
	ck_assert_ptr_null(sm__store_network(0x01021994));		 /* tmpfs */
	ck_assert_int_eq(sm__store_choose_journal(s, "NFS"), 0);
	ck_assert_int_eq(journal_is(s, "delete"), 1);
	check_contents(s, fake_run(s, NULL, two, 2, 3));
	ck_assert_int_eq(sm_store_open_read(path, &other, err, sizeof(err)), 0);
	check_contents(other, 1);
	sm_store_close(other);
	other = open_store(path); /* another machine's, which has the disk */
	ck_assert_int_eq(sm__store_choose_journal(s, "NFS"), 0); /* not while it is open */
	check_contents(other, fake_run(other, NULL, two, 2, 3));
	check_contents(s, fake_run(s, NULL, two, 2, 3));
	sm_store_close(other);
	sm_store_close(s);
}
END_TEST

START_TEST(wire_refusals)
{
	static const char *const bad[] = {
		"",
		"{",
		"[]",
		"{}",
		"\"text\"",
		"{\"error\":\"\",\"results\":[],\"metrics\":[],\"output\":\"\"}",
		"{\"error\":\"\",\"results\":{},\"metrics\":[],\"output\":\"\",\"warnings\":\"\"}",
		"{\"error\":\"\",\"results\":[[\"x\"]],\"metrics\":[],\"output\":\"\",\"warnings\":"
		"\"\"}",
		"{\"error\":\"\",\"results\":[{\"name\":\"x\",\"value\":\"1\"}],\"metrics\":[],"
		"\"output\":"
		"\"\",\"warnings\":\"\"}",
		"{\"error\":\"\",\"results\":[{\"name\":\"x\",\"value\":1e999}],\"metrics\":[],"
		"\"output\":"
		"\"\",\"warnings\":\"\"}",
		"{\"error\":\"\",\"results\":[{\"name\":\"x\",\"colour\":1}],\"metrics\":[],"
		"\"output\":\"\",\"warnings\":\"\"}",
		"{\"error\":\"\",\"results\":[],\"metrics\":[{\"status\":\"fine\"}],"
		"\"output\":\"\",\"warnings\":\"\"}",
		"{\"error\":\"\",\"results\":[],\"metrics\":[{\"calibration\":\"off\"}],"
		"\"output\":\"\",\"warnings\":\"\"}",
		"{\"error\":\"\",\"results\":[],\"metrics\":[{\"enabled_ns\":-1}],"
		"\"output\":\"\",\"warnings\":\"\"}",
		"{\"error\":\"\",\"results\":[],\"metrics\":[{\"by\":\"thread\",\"role\":\"a\","
		"\"phase\":"
		"\"b\",\"thread\":1e12,\"cpu\":0,\"node\":0,\"metric\":\"m\",\"event\":\"e\","
		"\"value\":1,\"source\":\"sw\"}],\"output\":\"\",\"warnings\":\"\"}",
	};
	struct sm_pool pool = {0};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct sm_record r = {0};

		ck_assert_msg(sm_record_parse(&r, &pool, bad[i], strlen(bad[i]), err,
					      sizeof(err)) == -EINVAL,
			      "accepted: %s", bad[i]);
		ck_assert_ptr_null(r.results);
		ck_assert_ptr_null(r.metrics);
		ck_assert_uint_gt(strlen(err), 0);
	}
	sm_pool_free(&pool);
}
END_TEST

/* Every prefix of a good sample, and every byte of it changed, is taken or refused, never a crash.
 */
START_TEST(wire_mutations)
{
	size_t len = strlen(wire);
	struct sm_pool pool = {0};
	char copy[sizeof(wire)];

	for (size_t n = 0; n < len; n++) {
		struct sm_record r = {0};

		ck_assert_int_ne(sm_record_parse(&r, &pool, wire, n, err, sizeof(err)), 0);
		sm_record_free(&r);
	}
	for (size_t i = 0; i < len; i++) {
		struct sm_record r = {0};

		memcpy(copy, wire, sizeof(wire));
		copy[i] ^= (char)(1 << i % 7);
		sm_record_parse(&r, &pool, copy, len, err, sizeof(err));
		sm_record_free(&r);
	}
	sm_pool_free(&pool);
}
END_TEST

START_TEST(a_failed_session_is_a_failed_sample)
{
	static const char text[] =
		"{\"error\":\"mutator 0: not pinned\",\"results\":[{\"name\":\"wall_s\","
		"\"unit\":\"s\",\"value\":1}],\"metrics\":[],\"output\":\"\",\"warnings\":\"\"}";
	struct sm_pool pool = {0};
	struct sm_record r = {0};

	ck_assert_int_eq(sm_record_parse(&r, &pool, text, strlen(text), err, sizeof(err)), 0);
	ck_assert_int_eq(r.status, SM_OUTCOME_FAILED);
	ck_assert_str_eq(r.message, "mutator 0: not pinned");
	ck_assert_uint_eq(r.nresults, 0);
	sm_record_free(&r);
	sm_pool_free(&pool);
}
END_TEST

START_TEST(calibrations_come_back)
{
	struct sm_store *s = open_store(path);
	struct sm_calibration_row c = {.event = "INSTR",
				       .kernel = "n instructions",
				       .verdict = "exact",
				       .label = "zen4::INSTR",
				       .reason = "",
				       .has_value = true,
				       .expected = 1000,
				       .counted = 1001,
				       .error = 0.001};
	struct sm_calibration_row d = {.event = "MISS",
				       .kernel = "chase",
				       .verdict = "n/a",
				       .reason = "no PMU",
				       .expected = 5};
	struct sm_report r;
	int64_t run;

	run = fake_run(s, NULL, two, 1, 1);
	ck_assert_int_eq(sm_store_add_calibration(s, run, &c), 0);
	ck_assert_int_eq(sm_store_add_calibration(s, run, &d), 0);
	ck_assert_int_eq(sm_store_load(s, run, &r), 0);
	ck_assert_uint_eq(r.ncalibrations, 2);
	ck_assert_double_eq(r.calibrations[0].counted, 1001);
	ck_assert_str_eq(r.calibrations[0].label, "zen4::INSTR");
	ck_assert_str_eq(r.calibrations[1].label, "");
	ck_assert(!r.calibrations[1].has_value);
	ck_assert_str_eq(r.calibrations[1].reason, "no PMU");
	sm_report_free(&r);
	sm_store_close(s);
}
END_TEST

/* What was calibrated and is bad is not believed in the report: whole labels count, not parts of
 * them. */
START_TEST(calibrations_are_applied)
{
	static const struct {
		const char *label, *verdict;
		bool has_value;
		const char *doubt;
	} cases[] = {
		{"zen4::CYCLES", "exact", true, ""}, {"zen4::CYCLES", "good", true, ""},
		{"zen4::CYCLES", "n/a", true, ""},   {"zen4::CYCLES", "off", true, "off"},
		{"zen4::CYC", "off", true, ""},	     {"zen4::CYCLES", "reads 0", false, ""},
		{"n4::CYCLES", "reads 0", true, ""}, {"", "off", true, ""},
	};
	struct sm_store *s = open_store(path);

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int64_t run = fake_run(s, NULL, two, 1, 1);
		struct sm_calibration_row c = {.event = "cycles",
					       .kernel = "chain",
					       .reason = "",
					       .verdict = cases[i].verdict,
					       .label = cases[i].label,
					       .has_value = true};
		struct sm_report r;
		const struct sm_metric *m;

		ck_assert_int_eq(sm_store_add_calibration(s, run, &c), 0);
		ck_assert_int_eq(sm_store_load(s, run, &r), 0);
		m = &r.records[0].metrics[0];
		ck_assert_msg(m->has_value == cases[i].has_value, "case %zu", i);
		ck_assert_str_eq(m->calibration, cases[i].doubt);
		if (!m->has_value) {
			ck_assert_int_eq(m->status, SM_STATUS_NOT_COUNTED);
			ck_assert_ptr_nonnull(strstr(m->reason, "never counts"));
		}
		/* what was denied stays denied */
		ck_assert_int_eq(r.records[0].metrics[1].status, SM_STATUS_DENIED);
		sm_report_free(&r);
	}
	sm_store_close(s);
}
END_TEST

static void change(const char *sql)
{
	sqlite3 *db;

	ck_assert_int_eq(sqlite3_open(path, &db), SQLITE_OK);
	ck_assert_msg(sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK, "%s",
		      sqlite3_errmsg(db));
	sqlite3_close(db);
}

/* A field that is new in workloads/metric.def is a column that the stores of yesterday lack. */
START_TEST(a_field_that_an_old_store_lacks_is_none)
{
	struct sm_store *s = open_store(path);
	int64_t run = fake_run(s, NULL, two, 2, 3);
	struct sm_report r;

	sm_store_close(s);
	change("ALTER TABLE metric DROP COLUMN unit; ALTER TABLE metric DROP COLUMN cpu;"
	       "ALTER TABLE metric DROP COLUMN source; ALTER TABLE metric DROP COLUMN value");
	s = open_store(path);
	ck_assert_int_eq(sm_store_load(s, run, &r), 0);
	ck_assert_str_eq(r.records[0].metrics[0].unit, "");
	ck_assert_int_eq(r.records[0].metrics[0].cpu, -1);
	ck_assert_int_eq(r.records[0].metrics[0].source, SM_SOURCE_PMU);
	ck_assert(!r.records[0].metrics[0].has_value);
	ck_assert_str_eq(r.records[0].metrics[0].event, "zen4::CYCLES");
	sm_report_free(&r);
	check_contents(s, fake_run(s, NULL, two, 2, 3)); /* and new ones have all of it */
	sm_store_close(s);
}
END_TEST

START_TEST(a_word_of_no_enum_is_damage)
{
	static const char *const damage[] = {"UPDATE metric SET status='fine'",
					     "UPDATE metric SET \"by\"='colour'",
					     "UPDATE sample SET status='maybe'"};

	for (size_t i = 0; i < sizeof(damage) / sizeof(damage[0]); i++) {
		struct sm_store *s;
		struct sm_report r;

		unlink(path);
		s = open_store(path);
		fake_run(s, NULL, two, 2, 3);
		change(damage[i]);
		ck_assert_int_eq(sm_store_load(s, 0, &r), -EILSEQ);
		ck_assert_ptr_nonnull(strstr(sm_store_error(s), "damaged"));
		sm_store_close(s);
	}
}
END_TEST

/* A store of the first layout, which had no labels, is taken over with all that is in it. */
START_TEST(first_layout_is_upgraded)
{
	struct sm_store *s = open_store(path);
	struct sm_calibration_row c = {
		.event = "cycles", .kernel = "chain", .verdict = "off", .reason = ""};
	struct sm_report r;
	int64_t run = fake_run(s, NULL, two, 2, 3);
	sqlite3 *db;

	ck_assert_int_eq(sm_store_add_calibration(s, run, &c), 0);
	sm_store_close(s);
	ck_assert_int_eq(sqlite3_open(path, &db), SQLITE_OK);
	ck_assert_int_eq(
		sqlite3_exec(db,
			     "ALTER TABLE calibration DROP COLUMN label;"
			     "ALTER TABLE sample DROP COLUMN library;"
			     "ALTER TABLE sample DROP COLUMN shape;"
			     "ALTER TABLE metric DROP COLUMN \"by\";"
			     "ALTER TABLE metric RENAME COLUMN core_kind TO kind;"
			     "ALTER TABLE metric RENAME COLUMN event TO e;"
			     "ALTER TABLE metric RENAME COLUMN reason TO r;"
			     "ALTER TABLE metric ADD COLUMN event TEXT NOT NULL DEFAULT '';"
			     "ALTER TABLE metric ADD COLUMN reason TEXT NOT NULL DEFAULT '';"
			     "UPDATE metric SET"
			     " event=coalesce((SELECT text FROM word WHERE id=e),''),"
			     " reason=coalesce((SELECT text FROM word WHERE id=r),'');"
			     "ALTER TABLE metric DROP COLUMN e;"
			     "ALTER TABLE metric DROP COLUMN r; DROP TABLE word;"
			     "DROP INDEX sample_failed;"
			     "PRAGMA user_version=1",
			     NULL, NULL, NULL),
		SQLITE_OK);
	sqlite3_close(db);
	s = open_store(path);
	check_contents(s, run);
	ck_assert_int_eq(sm_store_load(s, run, &r), 0);
	ck_assert_uint_eq(r.ncalibrations, 1);
	ck_assert_str_eq(r.calibrations[0].label, "");
	sm_report_free(&r);
	sm_store_close(s);
	sm_store_close(open_store(path));
}
END_TEST

/* A sentence that a thousand rows share is kept once. */
START_TEST(reasons_are_kept_once)
{
	struct fake_sample many[20];
	char text[8192], sql[200];
	struct sm_store *s = open_store(path);
	struct sm_report r;
	sqlite3_stmt *st;
	sqlite3 *db;
	int64_t run;
	size_t n = (size_t)snprintf(text, sizeof(text),
				    "{\"error\":\"\",\"results\":[],\"metrics\":[");

	for (unsigned i = 0; i < 40; i++)
		n += (size_t)snprintf(
			text + n, sizeof(text) - n,
			"%s{\"role\":\"mutator\",\"phase\":\"app\",\"metric\":\"m%u\","
			"\"event\":\"an event of a long name\",\"status\":"
			"\"unsupported\",\"reason\":\"no PMU offers this event\"}",
			i ? "," : "", i);
	snprintf(text + n, sizeof(text) - n, "],\"output\":\"\",\"warnings\":\"\"}");
	for (unsigned i = 0; i < 20; i++)
		many[i] = (struct fake_sample){.ordinal = i, .rep = i, .wire = text};
	run = fake_run(s, NULL, many, 20, 20);
	ck_assert_int_eq(sm_store_load(s, run, &r), 0);
	ck_assert_uint_eq(r.nrecords, 20);
	ck_assert_str_eq(r.records[19].metrics[39].reason, "no PMU offers this event");
	ck_assert_str_eq(r.records[19].metrics[39].event, "an event of a long name");
	sm_report_free(&r);
	sm_store_close(s);
	ck_assert_int_eq(sqlite3_open(path, &db), SQLITE_OK);
	snprintf(sql, sizeof(sql),
		 "SELECT (SELECT count(*) FROM word), (SELECT sum(length(reason)+length(event)) "
		 "FROM metric)");
	ck_assert_int_eq(sqlite3_prepare_v2(db, sql, -1, &st, NULL), SQLITE_OK);
	ck_assert_int_eq(sqlite3_step(st), SQLITE_ROW);
	ck_assert_int_eq(sqlite3_column_int(st, 0), 2);
	ck_assert_int_eq(sqlite3_column_int(st, 1), 800 * 2);
	sqlite3_finalize(st);
	sqlite3_close(db);
}
END_TEST

int main(void)
{
	return SM_SUITE_EACH(
		"store", 60, setup, teardown, SM_T(round_trip_in_a_file),
		SM_T(round_trip_temporary), SM_T(first_users_race),
		SM_T(a_commit_that_fails_is_an_error), SM_T(a_full_disk_says_so),
		SM_T(several_runs), SM_T(goes_on_where_it_stopped),
		SM_T(what_is_left_of_each_group), SM_T(a_plan_grows_and_is_cut),
		SM_T(goes_on_behind_the_last_sample), SM_T(the_same_sample_twice_is_refused),
		SM_T(until_goes_on_before_its_look), SM_T(the_same_sample_twice_is_refused),
		SM_T(refuses_what_is_not_ours), SM_T(refuses_a_later_layout),
		SM_T(a_network_has_no_log), SM_T(wire_refusals), SM_T(wire_mutations),
		SM_T(a_failed_session_is_a_failed_sample), SM_T(calibrations_come_back),
		SM_T(calibrations_are_applied), SM_T(first_layout_is_upgraded),
		SM_T(reasons_are_kept_once), SM_T(a_field_that_an_old_store_lacks_is_none),
		SM_T(a_word_of_no_enum_is_damage));
}
