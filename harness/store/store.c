/* store.c: the store written. See store.h. */
#include "harness/store/store_internal.h"

#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

/* Seeds are unsigned, SQLite's integers signed: the same 64 bits. Results and metrics:
 * store_rows.c. */

/* ---- calls of SQLite, with errno and message ---------------------------------------------- */

static int to_errno(int rc)
{
	switch (rc & 0xff) {
	case SQLITE_OK:
	case SQLITE_ROW:
	case SQLITE_DONE: return 0;
	case SQLITE_NOMEM: return -ENOMEM;
	case SQLITE_FULL: return -ENOSPC;
	case SQLITE_READONLY: return -EROFS;
	case SQLITE_PERM: return -EACCES;
	case SQLITE_CANTOPEN: return -ENOENT;
	case SQLITE_BUSY:
	case SQLITE_LOCKED: return -EBUSY;
	case SQLITE_NOTADB:
	case SQLITE_CORRUPT: return -EILSEQ;
	default: return -EIO;
	}
}

int sm__store_fail(struct sm_store *s, int rc)
{
	int err = to_errno(rc), cause = 0;

	if (err == 0)
		return 0;
	/* SQLite's own words for a refused write, lock or mapping are "disk I/O error". */
	if (s->db != NULL && ((rc & 0xff) == SQLITE_IOERR || (rc & 0xff) == SQLITE_CANTOPEN))
		cause = sqlite3_system_errno(s->db);
	snprintf(s->error, sizeof(s->error), "store '%s': %s%s%s%s", s->path,
		 s->db != NULL ? sqlite3_errmsg(s->db) : sqlite3_errstr(rc), cause ? " (" : "",
		 cause ? strerror(cause) : "", cause ? ")" : "");
	return err;
}

int sm__store_exec(struct sm_store *s, const char *sql)
{
	return sm__store_fail(s, sqlite3_exec(s->db, sql, NULL, NULL, NULL));
}

const char *sm_store_error(const struct sm_store *s)
{
	return s->error;
}

/*
 * Runs one statement. `types` says what each argument is: t text, i int64_t, d double, n null (no
 * argument).
 */
static int run_sql(struct sm_store *s, sqlite3_stmt *st, const char *types, ...)
{
	va_list ap;
	int rc = SQLITE_OK;

	va_start(ap, types);
	for (int i = 1; *types && rc == SQLITE_OK; i++, types++) {
		switch (*types) {
		case 't':
			rc = sqlite3_bind_text(st, i, va_arg(ap, const char *), -1, SQLITE_STATIC);
			break;
		case 'i': rc = sqlite3_bind_int64(st, i, va_arg(ap, int64_t)); break;
		case 'd': rc = sqlite3_bind_double(st, i, va_arg(ap, double)); break;
		default: rc = sqlite3_bind_null(st, i); break;
		}
	}
	va_end(ap);
	if (rc == SQLITE_OK)
		rc = sqlite3_step(st);
	rc = sm__store_fail(s, rc);
	sqlite3_reset(st);
	sqlite3_clear_bindings(st);
	return rc;
}

sqlite3_stmt *sm__store_prepare(struct sm_store *s, const char *sql, int *rc)
{
	sqlite3_stmt *st = NULL;

	if (*rc == 0)
		*rc = sm__store_fail(s, sqlite3_prepare_v2(s->db, sql, -1, &st, NULL));
	return st;
}

int64_t sm__store_number(struct sm_store *s, const char *sql, int *rc)
{
	sqlite3_stmt *st = sm__store_prepare(s, sql, rc);
	int64_t v = 0;

	if (st != NULL) {
		int step = sqlite3_step(st);

		if (step == SQLITE_ROW)
			v = sqlite3_column_int64(st, 0);
		else
			*rc = sm__store_fail(s, step);
	}
	sqlite3_finalize(st);
	return v;
}

static void now_text(char buf[32])
{
	time_t t = time(NULL);
	struct tm tm;

	gmtime_r(&t, &tm);
	strftime(buf, 32, "%Y-%m-%dT%H:%M:%SZ", &tm);
}

int sm__store_end_transaction(struct sm_store *s, int rc)
{
	if (rc == 0)
		rc = sm__store_exec(s, "COMMIT");
	if (rc) {
		char kept[sizeof(s->error)];

		memcpy(kept, s->error, sizeof(kept));
		sqlite3_exec(s->db, "ROLLBACK", NULL, NULL, NULL);
		memcpy(s->error, kept, sizeof(kept));
	}
	return rc;
}

void sm_store_close(struct sm_store *s)
{
	if (s == NULL)
		return;
	sqlite3_close(s->db);
	sm_store_release(s);
	free(s);
}

/* ---- one process measures a run ------------------------------------------------------------ */

/*
 * By a name of the kernel's, that of a socket that nobody connects to: it is taken by one process
 * at a time and is free again when that ends, in whatever way. Nothing is left behind in the store
 * or beside it.
 */
static int take_name(struct sm_store *s, int64_t run, int *held)
{
	struct sockaddr_un name = {.sun_family = AF_UNIX};
	struct stat st;
	int fd, n;

	*held = 0;
	if (stat(s->path, &st) != 0)
		return 0;
	/* The first byte 0: a name that is no file's. */
	n = snprintf(name.sun_path + 1, sizeof(name.sun_path) - 1, "spanmark-run-%llx-%llx-%lld",
		     (unsigned long long)st.st_dev, (unsigned long long)st.st_ino, (long long)run);
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return 0;
	if (bind(fd, (struct sockaddr *)&name,
		 (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)n)) != 0) {
		bool taken = errno == EADDRINUSE;

		close(fd);
		return taken ? -EBUSY : 0;
	}
	*held = fd;
	return 0;
}

int sm_store_hold(struct sm_store *s, int64_t run)
{
	int rc = take_name(s, run, &s->held);

	if (rc)
		snprintf(s->error, sizeof(s->error),
			 "store '%s': run %lld is in progress in another process", s->path,
			 (long long)run);
	return rc;
}

void sm_store_release(struct sm_store *s)
{
	if (s->held > 0)
		close(s->held);
	s->held = 0;
}

bool sm_store_is_held(struct sm_store *s, int64_t run)
{
	int fd, rc = take_name(s, run, &fd);

	if (fd > 0)
		close(fd);
	return rc == -EBUSY;
}

const char *sm__store_state(struct sm_store *s, int64_t run, const char *kept)
{
	bool lost = kept != NULL && strcmp(kept, "running") == 0 && !sm_store_is_held(s, run);

	return lost ? "unfinished" : kept;
}

/* ---- writing ------------------------------------------------------------------------------ */

static int insert_plan(struct sm_store *s, int64_t run, unsigned from, const char *const *jobs,
		       unsigned n)
{
	int rc = 0;
	sqlite3_stmt *st = sm__store_prepare(s, "INSERT INTO plan VALUES(?,?,?)", &rc);

	for (unsigned i = 0; i < n && rc == 0; i++)
		rc = run_sql(s, st, "iit", run, (int64_t)from + i, jobs[i]);
	sqlite3_finalize(st);
	return rc;
}

int sm_store_begin(struct sm_store *s, const struct sm_run_info *info, const char *const *jobs,
		   int64_t *run)
{
	char now[32];
	struct utsname here = {.nodename = ""};
	int rc = sm__store_exec(s, "BEGIN IMMEDIATE");
	sqlite3_stmt *st;

	if (rc)
		return rc;
	now_text(now);
	uname(&here);
	st = sm__store_prepare(s,
			       "INSERT INTO run(identity,host,started,state,version,command_line,"
			       "seed,planned,by_what,environment,topology)"
			       " VALUES(lower(hex(randomblob(16))),?,?,'running',?,?,?,?,?,?,?)",
			       &rc);
	if (rc == 0)
		rc = run_sql(s, st, "ttttiittt", here.nodename, now, SM_VERSION, info->command_line,
			     (int64_t)info->seed, (int64_t)info->planned, info->by,
			     info->environment, info->topology);
	sqlite3_finalize(st);
	*run = sqlite3_last_insert_rowid(s->db);
	if (rc == 0 && jobs != NULL)
		rc = insert_plan(s, *run, 0, jobs, info->planned);
	return sm__store_end_transaction(s, rc);
}

static int set_planned(struct sm_store *s, int64_t run, unsigned planned)
{
	int rc = 0;
	sqlite3_stmt *st = sm__store_prepare(s, "UPDATE run SET planned=? WHERE id=?", &rc);

	if (rc == 0)
		rc = run_sql(s, st, "ii", (int64_t)planned, run);
	sqlite3_finalize(st);
	return rc;
}

int sm_store_grow(struct sm_store *s, int64_t run, const char *const *jobs, unsigned n)
{
	char sql[80];
	int rc = sm__store_exec(s, "BEGIN IMMEDIATE");
	int64_t had;

	if (rc)
		return rc;
	snprintf(sql, sizeof(sql), "SELECT planned FROM run WHERE id=%lld", (long long)run);
	had = sm__store_number(s, sql, &rc);
	if (rc == 0)
		rc = insert_plan(s, run, (unsigned)had, jobs, n);
	if (rc == 0)
		rc = set_planned(s, run, (unsigned)had + n);
	return sm__store_end_transaction(s, rc);
}

int sm_store_cut(struct sm_store *s, int64_t run, unsigned planned)
{
	int rc = sm__store_exec(s, "BEGIN IMMEDIATE");
	sqlite3_stmt *st;

	if (rc)
		return rc;
	st = sm__store_prepare(s, "DELETE FROM plan WHERE run=? AND ordinal>=?", &rc);
	if (rc == 0)
		rc = run_sql(s, st, "ii", run, (int64_t)planned);
	sqlite3_finalize(st);
	if (rc == 0)
		rc = set_planned(s, run, planned);
	return sm__store_end_transaction(s, rc);
}

int sm_store_add(struct sm_store *s, int64_t run, const struct sm_record *r)
{
	char now[32];
	int64_t id;
	int rc = sm__store_exec(s, "BEGIN IMMEDIATE");
	sqlite3_stmt *st;

	if (rc)
		return rc;
	now_text(now);
	st = sm__store_prepare(
		s,
		"INSERT INTO "
		"sample(run,ordinal,grp,workload,backend,params,config,placement,pass,rep,status,"
		"message,took_s,output,warnings,at,library,shape) "
		"VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
		&rc);
	if (rc == 0)
		rc = run_sql(s, st, "iiitttttiittdtttti", run, (int64_t)r->ordinal,
			     (int64_t)r->group, r->workload, r->backend, r->params, r->config,
			     r->placement, (int64_t)r->pass, (int64_t)r->rep,
			     sm_outcome_names[r->status], r->message, r->took_s, r->output,
			     r->warnings, now, r->library,
			     sm__store_shape(&sm_metric_type, r->metrics, r->nmetrics));
	sqlite3_finalize(st);
	id = sqlite3_last_insert_rowid(s->db);
	if (rc == 0)
		rc = sm__store_insert(s, &sm_result_type, id, r->results, r->nresults);
	if (rc == 0)
		rc = sm__store_insert(s, &sm_metric_type, id, r->metrics, r->nmetrics);
	if (rc == 0)
		rc = sm__store_insert(s, &sm_series_type, id, r->series, r->nseries);
	return sm__store_end_transaction(s, rc);
}

int sm_store_end(struct sm_store *s, int64_t run, const char *state)
{
	char now[32];
	int rc = 0;
	sqlite3_stmt *st =
		sm__store_prepare(s, "UPDATE run SET finished=?, state=? WHERE id=?", &rc);

	now_text(now);
	if (rc == 0)
		rc = run_sql(s, st, "tti", now, state, run);
	sqlite3_finalize(st);
	return rc;
}

int sm_store_add_calibration(struct sm_store *s, int64_t run, const struct sm_calibration_row *c)
{
	char now[32];
	int rc = 0;
	sqlite3_stmt *st = sm__store_prepare(
		s,
		"INSERT INTO "
		"calibration(run,at,kernel,event,verdict,reason,label,expected,counted,error)"
		" VALUES(?,?,?,?,?,?,?,?,?,?)",
		&rc);

	now_text(now);
	if (rc == 0)
		rc = run_sql(s, st, c->has_value ? "ittttttddd" : "ittttttdnn", run, now, c->kernel,
			     c->event, c->verdict, c->reason, c->label != NULL ? c->label : "",
			     c->expected, c->counted, c->error);
	sqlite3_finalize(st);
	return rc;
}
