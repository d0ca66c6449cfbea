/*
 * test_killed.c: a process that is killed while it writes to a store, at each of its writes in
 * turn: what it was told to be kept is there, what is there is whole, and an old layout is either
 * taken over or not. SQLite's own calls of the system are counted, so that a moment is a number.
 */
#include "harness/store/store_internal.h"
#include "tests/support/fake_run.h"
#include "tests/support/layout.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/run.h"
#include "tests/support/store.h"

enum { SAMPLES = 4, MOST = 2000 };

static char dir[64], path[96], old[96], err[300];

static const char wire[] =
	"{\"error\":\"\",\"results\":[{\"name\":\"wall_s\",\"value\":1},{\"name\":\"ops\","
	"\"value\":2}],\"metrics\":[{\"role\":\"mark\",\"phase\":\"mark\",\"metric\":\"l1d_miss\","
	"\"event\":\"x\",\"status\":\"denied\",\"reason\":\"paranoid\"}],\"output\":\"\","
	"\"warnings\":\"\"}";

static void setup(void)
{
	store_dir_make(dir, sizeof(dir));
	snprintf(path, sizeof(path), "%s/s.db", dir);
	snprintf(old, sizeof(old), "%s/old.db", dir);
}

static void teardown(void)
{
	store_dir_remove(dir);
}

/* ---- moments ------------------------------------------------------------------------------ */

static long left; /* writes that this process may still do */

static ssize_t count_pwrite(int fd, const void *buf, size_t n, off_t at)
{
	if (left-- > 0)
		return pwrite(fd, buf, n, at);
	(void)!pwrite(fd, buf, n / 2, at); /* the kernel got half of it */
	kill(getpid(), SIGKILL);
	return -1;
}

static int count_truncate(int fd, off_t size)
{
	if (left-- <= 0)
		kill(getpid(), SIGKILL);
	return ftruncate(fd, size);
}

static int count_unlink(const char *name)
{
	if (left-- <= 0)
		kill(getpid(), SIGKILL);
	return unlink(name);
}

static void may_write(long n)
{
	sqlite3_vfs *vfs = sqlite3_vfs_find(NULL);

	left = n;
	ck_assert_int_eq(vfs->xSetSystemCall(vfs, "pwrite", (sqlite3_syscall_ptr)count_pwrite), 0);
	vfs->xSetSystemCall(vfs, "pwrite64", (sqlite3_syscall_ptr)count_pwrite); /* else 32 bits */
	ck_assert_int_eq(vfs->xSetSystemCall(vfs, "ftruncate", (sqlite3_syscall_ptr)count_truncate),
			 0);
	ck_assert_int_eq(vfs->xSetSystemCall(vfs, "unlink", (sqlite3_syscall_ptr)count_unlink), 0);
}

/* Runs it in a process that may write n times. Was that enough? */
static bool ends(void (*write_it)(int told), long n, int *done)
{
	int told[2], status;
	char c[SAMPLES + 2];
	ssize_t got;
	pid_t pid;

	ck_assert_int_eq(pipe(told), 0);
	pid = fork();
	if (pid == 0) {
		close(told[0]);
		may_write(n);
		write_it(told[1]);
		_exit(0);
	}
	close(told[1]);
	waitpid(pid, &status, 0);
	ck_assert_msg((WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) || status == 0,
		      "after %ld writes: status %x", n, (unsigned)status);
	got = read(told[0], c, sizeof(c)); /* it has ended: all is there */
	close(told[0]);
	*done = got > 0 ? (int)got : 0;
	return status == 0;
}

/* ---- samples ------------------------------------------------------------------------------ */

static void measure(int told)
{
	const char *const jobs[SAMPLES] = {"{}", "{}", "{}", "{}"};
	struct sm_run_info info = {.environment = "{}",
				   .topology = "",
				   .command_line = "",
				   .by = "role",
				   .planned = SAMPLES};
	struct sm_store *s;
	int64_t run;

	if (sm_store_open(path, &s, err, sizeof(err)) != 0 ||
	    sm_store_begin(s, &info, jobs, &run) != 0)
		_exit(1);
	(void)!write(told, "r", 1);
	for (unsigned i = 0; i < SAMPLES; i++) {
		struct sm_pool pool = {0};
		struct sm_record r = {.ordinal = i,
				      .workload = "w",
				      .backend = "gc",
				      .params = "{}",
				      .config = "{}",
				      .placement = "{}",
				      .library = ""};

		if (sm_record_parse(&r, &pool, wire, strlen(wire), err, sizeof(err)) != 0)
			_exit(2);
		r.message = "";
		if (sm_store_add(s, run, &r) != 0)
			_exit(3);
		(void)!write(told, "s", 1);
		sm_record_free(&r);
		sm_pool_free(&pool);
	}
	sm_store_end(s, run, "done");
	sm_store_close(s);
}

START_TEST(no_sample_that_was_kept_is_lost)
{
	bool all = false;
	long n;

	for (n = 0; n < MOST && !all; n++) {
		struct sm_store *s;
		struct sm_report r;
		int done;
		char command[400];

		all = ends(measure, n, &done);
		s = open_store(path);
		if (done > 0 || sm_store_load(s, 0, &r) == 0) {
			unsigned pending = 0;

			if (done > 0)
				ck_assert_int_eq(sm_store_load(s, 0, &r), 0);
			/* the one in flight may be there, or not */
			ck_assert_int_ge((int)r.nrecords, done - 1);
			ck_assert_int_le((int)r.nrecords, done);
			for (size_t i = 0; i < r.nrecords; i++) {
				ck_assert_uint_eq(r.records[i].ordinal, i);
				ck_assert_uint_eq(r.records[i].nresults, 2);
				ck_assert_uint_eq(r.records[i].nmetrics, 1);
				ck_assert_str_eq(r.records[i].metrics[0].reason, "paranoid");
			}
			for (unsigned i = 0; i < SAMPLES; i++) {
				char *job = sm_store_pending(s, r.run, i);

				pending += job != NULL;
				free(job);
			}
			ck_assert_uint_eq(pending + r.nrecords, SAMPLES);
			sm_report_free(&r);
		}
		sm_store_close(s);
		snprintf(command, sizeof(command), "rm -f '%s'*", path);
		ck_assert_int_eq(system(command), 0);
	}
	ck_assert_msg(all, "%d writes are not enough", MOST);
	ck_assert_int_gt(n, 10);
	printf("%ld moments\n", n);
}
END_TEST

/* ---- an old layout ------------------------------------------------------------------------ */

static void take_over(int told)
{
	(void)told;
	sm_store_close(open_store(path));
}

START_TEST(a_migration_is_whole_or_not_there)
{
	bool all = false;
	long n, before = 0;

	layout_make(old);
	for (n = 0; n < MOST && !all; n++) {
		char command[400];
		struct sm_store *s;
		sqlite3 *db;
		sqlite3_stmt *st;
		int done;

		snprintf(command, sizeof(command), "rm -f '%s'* && cp '%s' '%s'", path, old, path);
		ck_assert_int_eq(system(command), 0);
		all = ends(take_over, n, &done);
		ck_assert_int_eq(sqlite3_open(path, &db), SQLITE_OK);
		ck_assert_int_eq(sqlite3_prepare_v2(db,
						    "SELECT user_version, (SELECT count(*) FROM "
						    "pragma_table_info('run') WHERE name='identity'"
						    ") FROM pragma_user_version",
						    -1, &st, NULL),
				 SQLITE_OK);
		ck_assert_int_eq(sqlite3_step(st), SQLITE_ROW);
		ck_assert_int_eq(sqlite3_column_int(st, 0),
				 sqlite3_column_int(st, 1) ? SM_STORE_SCHEMA : 5);
		before += sqlite3_column_int(st, 0) == 5;
		sqlite3_finalize(st);
		sqlite3_close(db);
		s = open_store(path);
		layout_holds_all(s, old);
		sm_store_close(s);
	}
	ck_assert_msg(all, "%d writes are not enough", MOST);
	ck_assert_int_gt(before, 5);
	ck_assert_int_gt(n - before, 1);
	printf("%ld moments, %ld of them before it was taken over\n", n, before);
}
END_TEST

int main(void)
{
	return SM_SUITE_EACH("killed", 300, setup, teardown, SM_T(no_sample_that_was_kept_is_lost),
			     SM_T(a_migration_is_whole_or_not_there));
}
