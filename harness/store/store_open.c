/* store_open.c: opens the store, to write or to read alone, in this layout. See store.h. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "harness/base/complain.h"
#include "harness/store/store_internal.h"

#define APPLICATION_ID 0x536d4b21 /* "SmK!" */

/* How long one process waits for another's transaction: that of a whole run, where stores are
 * merged. */
#define BUSY_MS 60000

/* Layout 5, with which a new store begins: what came since is added to it as to an old one.
 * Results and metrics: store_rows.c. */
static const char layout_5[] =
	"CREATE TABLE run(id INTEGER PRIMARY KEY, started TEXT NOT NULL, finished TEXT, state TEXT "
	"NOT NULL,"
	" version TEXT NOT NULL, command_line TEXT NOT NULL, seed INTEGER NOT NULL, planned "
	"INTEGER NOT NULL,"
	" by_what TEXT NOT NULL, environment TEXT NOT NULL, topology TEXT);"
	"CREATE TABLE plan(run INTEGER NOT NULL REFERENCES run(id), ordinal INTEGER NOT NULL, job "
	"TEXT NOT "
	"NULL,"
	" PRIMARY KEY(run, ordinal)) WITHOUT ROWID;"
	"CREATE TABLE sample(id INTEGER PRIMARY KEY, run INTEGER NOT NULL REFERENCES run(id), "
	"ordinal "
	"INTEGER NOT NULL,"
	" grp INTEGER NOT NULL, workload TEXT NOT NULL, backend TEXT NOT NULL, params TEXT NOT "
	"NULL,"
	" config TEXT NOT NULL, placement TEXT NOT NULL, pass INTEGER NOT NULL, rep INTEGER NOT "
	"NULL,"
	" status TEXT NOT NULL, message TEXT NOT NULL, took_s REAL NOT NULL, output TEXT NOT NULL,"
	" warnings TEXT NOT NULL, at TEXT NOT NULL, library TEXT NOT NULL DEFAULT '',"
	" UNIQUE(run, ordinal));"
	"CREATE TABLE calibration(run INTEGER NOT NULL, at TEXT NOT NULL, kernel TEXT NOT NULL, "
	"event TEXT "
	"NOT NULL,"
	" expected REAL, counted REAL, error REAL, verdict TEXT NOT NULL, reason TEXT NOT NULL,"
	" label TEXT NOT NULL DEFAULT '');"
	/* Long texts that many rows share, by number: what stands in metric.event and .reason. */
	"CREATE TABLE word(id INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE);";

/*
 * What each layout lacks of the next: [n] takes a store from layout n to n + 1. A new layout is one
 * more text here, one more in SM_STORE_SCHEMA, and a line of its history in docs/STORE.md; tables
 * of a run or of a sample are named in store_merge.c too, which copies and deletes them.
 */
static const char *const upgrades[] = {
	layout_5,
	/* A calibration had no label. */
	"ALTER TABLE calibration ADD COLUMN label TEXT NOT NULL DEFAULT '';",
	/* What a row is by stood in its role, "by-core", or had to be guessed. */
	"ALTER TABLE metric RENAME COLUMN kind TO core_kind;"
	"ALTER TABLE metric ADD COLUMN \"by\" TEXT NOT NULL DEFAULT 'role';"
	"UPDATE metric SET \"by\"=CASE WHEN role IN('package','l3') THEN role WHEN role LIKE "
	"'by-%' THEN "
	"substr(role,4)"
	" WHEN thread>=0 THEN 'thread' ELSE 'role' END;"
	"UPDATE metric SET role='' WHERE role LIKE 'by-%';"
	"UPDATE metric SET core_kind='' WHERE core_kind='-';",
	/* Each row had its own copy of what its events are called and why it has no value. */
	"CREATE TABLE word(id INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE);"
	"CREATE TABLE IF NOT EXISTS metric(sample INTEGER NOT NULL REFERENCES sample(id),"
	" event TEXT NOT NULL DEFAULT '', reason TEXT NOT NULL DEFAULT '');"
	"INSERT OR IGNORE INTO word(text) SELECT event FROM metric WHERE event<>'';"
	"INSERT OR IGNORE INTO word(text) SELECT reason FROM metric WHERE reason<>'';"
	"ALTER TABLE metric RENAME COLUMN event TO event_text;"
	"ALTER TABLE metric RENAME COLUMN reason TO reason_text;"
	"ALTER TABLE metric ADD COLUMN event INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE metric ADD COLUMN reason INTEGER NOT NULL DEFAULT 0;"
	"UPDATE metric SET event=coalesce((SELECT id FROM word WHERE text=event_text),0),"
	" reason=coalesce((SELECT id FROM word WHERE text=reason_text),0);"
	"ALTER TABLE metric DROP COLUMN event_text; ALTER TABLE metric DROP COLUMN reason_text;",
	/* A sample did not tell which library served malloc. */
	"ALTER TABLE sample ADD COLUMN library TEXT NOT NULL DEFAULT '';",
	/* A run had a number alone, which two stores give to two runs, and which a deleted one left
	 * to the next. Runs of before get an identity of what they were begun with. */
	"CREATE TABLE run_6(id INTEGER PRIMARY KEY AUTOINCREMENT, identity TEXT NOT NULL UNIQUE,"
	" host TEXT NOT NULL, started TEXT NOT NULL, finished TEXT, state TEXT NOT NULL,"
	" version TEXT NOT NULL, command_line TEXT NOT NULL, seed INTEGER NOT NULL,"
	" planned INTEGER NOT NULL, by_what TEXT NOT NULL, environment TEXT NOT NULL,"
	" topology TEXT);"
	"INSERT INTO run_6 SELECT id,"
	" spanmark_identity(started,seed,command_line,environment,topology,row_number() OVER"
	" (PARTITION BY started,seed,command_line,environment,topology ORDER BY id)),"
	" spanmark_host(topology),started,finished,state,version,command_line,seed,planned,"
	" by_what,environment,topology FROM run ORDER BY id;"
	"DROP TABLE run; ALTER TABLE run_6 RENAME TO run;"
	"CREATE INDEX sample_failed ON sample(run) WHERE status NOT IN('ok','n/a');",
	/* Each sample's rows were read in full, however alike they were. */
	"ALTER TABLE sample ADD COLUMN shape INTEGER NOT NULL DEFAULT 0;",
};
_Static_assert(sizeof(upgrades) / sizeof(upgrades[0]) == SM_STORE_SCHEMA, "a step to each layout");

/* ---- functions of the steps ---------------------------------------------------------------- */

/* spanmark_identity(ANY, ..): 32 hexadecimal digits that are always the same for the same values:
 * FNV-1a of 128 bits (Fowler, Noll, Vo; RFC 9923). */
static void identity_of(sqlite3_context *context, int n, sqlite3_value **v)
{
	const unsigned __int128 prime = ((unsigned __int128)1 << 88) + 0x13b;
	unsigned __int128 h = ((unsigned __int128)0x6c62272e07bb0142 << 64) + 0x62b821756295c58d;
	char text[33];

	for (int i = 0; i < n; i++) {
		const unsigned char *t = sqlite3_value_text(v[i]);

		for (; t != NULL && *t; t++)
			h = (h ^ *t) * prime;
		h *= prime; /* of a 0 between two of them */
	}
	snprintf(text, sizeof(text), "%016llx%016llx", (unsigned long long)(h >> 64),
		 (unsigned long long)h);
	sqlite3_result_text(context, text, -1, SQLITE_TRANSIENT);
}

/* spanmark_host(XML): the machine's name in a topology of hwloc; "": it has none. */
static void host_of(sqlite3_context *context, int n, sqlite3_value **v)
{
	static const char before[] = "name=\"HostName\" value=\"";
	const char *xml = (const char *)sqlite3_value_text(v[0]);
	const char *at = n == 1 && xml != NULL ? strstr(xml, before) : NULL;

	at = at != NULL ? at + sizeof(before) - 1 : "";
	sqlite3_result_text(context, at, (int)strcspn(at, "\""), SQLITE_TRANSIENT);
}

static int add_functions(struct sm_store *s)
{
	const int flags = SQLITE_UTF8 | SQLITE_DETERMINISTIC;
	int rc = sqlite3_create_function(s->db, "spanmark_identity", -1, flags, NULL, identity_of,
					 NULL, NULL);

	if (rc == SQLITE_OK)
		rc = sqlite3_create_function(s->db, "spanmark_host", 1, flags, NULL, host_of, NULL,
					     NULL);
	return sm__store_fail(s, rc);
}

/* ---- open --------------------------------------------------------------------------------- */

/* The tables of rows, with every field that this build has. */
static int define_rows(struct sm_store *s)
{
	int rc = sm__store_define(s, &sm_result_type);

	if (rc == 0)
		rc = sm__store_define(s, &sm_metric_type);
	return rc ? rc : sm__store_define(s, &sm_series_type);
}

/* From layout `from`, 0: an empty file, to ours, all of it or nothing. */
static int upgrade(struct sm_store *s, int64_t from)
{
	char stamp[128];
	int rc = sm__store_exec(s, "BEGIN IMMEDIATE");

	if (rc)
		return rc;
	/* another process was first */
	if (sm__store_number(s, "PRAGMA user_version", &rc) != from || rc)
		return sm__store_end_transaction(s, rc);
	snprintf(stamp, sizeof(stamp), "PRAGMA application_id=%d; PRAGMA user_version=%d;",
		 APPLICATION_ID, SM_STORE_SCHEMA);
	rc = sm__store_exec(s, stamp);
	for (int64_t i = from; rc == 0 && i < SM_STORE_SCHEMA; i = i ? i + 1 : 5)
		rc = sm__store_exec(s, upgrades[i]);
	if (rc == 0)
		rc = define_rows(s);
	return sm__store_end_transaction(s, rc);
}

/* SQLite takes a database that was cut off for none at all. */
static void describe_stranger(struct sm_store *s)
{
	const char *path = sqlite3_db_filename(s->db, "main");
	FILE *f = path != NULL ? fopen(path, "re") : NULL;
	unsigned char h[32] = {0};
	struct stat st = {0};
	long long page, pages;

	if (f != NULL && (fread(h, 1, sizeof(h), f) < sizeof(h) || fstat(fileno(f), &st) != 0))
		h[0] = 0;
	if (f != NULL)
		fclose(f);
	page = h[16] << 8 | h[17];
	page = page == 1 ? 65536 : page;
	pages = (long long)h[28] << 24 | h[29] << 16 | h[30] << 8 | h[31];
	if (memcmp(h, "SQLite format 3", 16) == 0 && st.st_size < page * pages)
		snprintf(s->error, sizeof(s->error),
			 "store '%s': cut off: %lld bytes are left of %lld", s->path,
			 (long long)st.st_size, page * pages);
	else
		snprintf(s->error, sizeof(s->error), "store '%s': not a SQLite database", s->path);
}

/* Ours, empty (becomes ours), or another program's (refused, unchanged). */
static int check_identity(struct sm_store *s)
{
	int rc = sm__store_exec(s, "BEGIN"); /* another process may be making it one */
	int64_t id = sm__store_number(s, "PRAGMA application_id", &rc);
	int64_t version = sm__store_number(s, "PRAGMA user_version", &rc);
	int64_t tables = sm__store_number(s, "SELECT count(*) FROM sqlite_master", &rc);

	rc = sm__store_end_transaction(s, rc);
	if (rc == -EILSEQ)
		describe_stranger(s);
	if (rc)
		return rc;
	if (id == 0 && version == 0 && tables == 0)
		return upgrade(s, 0);
	if (id != APPLICATION_ID) {
		snprintf(s->error, sizeof(s->error), "store '%s': a database of another program",
			 s->path);
		return -EILSEQ;
	}
	if (version < 1 || version > SM_STORE_SCHEMA) {
		snprintf(s->error, sizeof(s->error),
			 "store '%s': layout %lld is of a later spanmark; this one reads up to %d",
			 s->path, (long long)version, SM_STORE_SCHEMA);
		return -EPROTO;
	}
	return version < SM_STORE_SCHEMA ? upgrade(s, version) : 0;
}

/* SQLite does not wait by itself where another process switches, or reads, just now. */
static int switch_to_wal(struct sm_store *s)
{
	int rc, tries = 0;

	while ((rc = sm__store_exec(s, "PRAGMA journal_mode=WAL")) == -EBUSY && tries++ < 50)
		sqlite3_sleep(20);
	return rc;
}

/* Through the log of WAL, processes of one machine meet in shared memory: over a network there is
 * none. */
const char *sm__store_network(unsigned long type)
{
	static const struct {
		unsigned long type;
		const char *name;
	} known[] = {{0x6969, "NFS"},	     {0xff534d42, "CIFS"}, {0xfe534d42, "SMB"},
		     {0x0bd00bd0, "Lustre"}, {0x47504653, "GPFS"}, {0x00c36400, "Ceph"},
		     {0x5346414f, "AFS"},    {0x01021997, "9P"}};

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if ((type & 0xffffffff) == known[i].type)
			return known[i].name;
	return NULL;
}

int sm__store_choose_journal(struct sm_store *s, const char *network)
{
	int rc;

	if (network == NULL)
		return switch_to_wal(s);
	rc = sm__store_exec(s, "PRAGMA journal_mode=DELETE");
	return rc == -EBUSY ? 0 : rc; /* others have it open: as it is, then */
}

static const char *network_of(const char *path)
{
	struct statfs fs;

	return statfs(path, &fs) == 0 ? sm__store_network((unsigned long)fs.f_type) : NULL;
}

static int open_file(struct sm_store *s, const char *path, int flags)
{
	/* A store is one thread's: SQLite need not lock its calls. */
	int rc =
		sm__store_fail(s, sqlite3_open_v2(path, &s->db, flags | SQLITE_OPEN_NOMUTEX, NULL));

	if (rc == 0)
		sqlite3_busy_timeout(s->db, BUSY_MS);
	return rc ? rc : add_functions(s);
}

/* A store of this layout, or made one. */
static int bring_up(struct sm_store *s, const char *begin)
{
	int rc = check_identity(s);

	if (rc == 0)
		rc = sm__store_exec(s, begin);
	if (rc)
		return rc;
	return sm__store_end_transaction(s, define_rows(s));
}

static int open_to_write(struct sm_store *s, const char *path)
{
	int rc = open_file(s, path != NULL ? path : "", SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE);

	if (rc == 0) /* two first users add what lacks in turn */
		rc = bring_up(s, "BEGIN IMMEDIATE");
	if (rc == 0 && path != NULL) {
		const char *network = network_of(path);

		rc = sm__store_choose_journal(s, network);
		if (rc == 0 && network != NULL)
			sm_complain("store '%s' is on %s: write to it from one machine at a time; "
				    "stores on local disks can be merged (spanmark merge)",
				    s->path, network);
	}
	if (rc == 0)
		rc = sm__store_exec(s, "PRAGMA synchronous=NORMAL; PRAGMA foreign_keys=ON;");
	return rc;
}

/* On a read-only disk SQLite cannot make the files beside a store through which readers and writers
 * meet. There are no writers: the file alone is the store, unless one left samples beside it. */
static int open_unchanging(struct sm_store *s, const char *path)
{
	static const char hex[] = "0123456789abcdef";
	char wal[PATH_MAX + 8], uri[3 * PATH_MAX + 32] = "file:", *to = uri + 5;
	struct stat st;

	snprintf(wal, sizeof(wal), "%s-wal", path);
	if (stat(wal, &st) == 0 && st.st_size > 0) {
		snprintf(s->error, sizeof(s->error),
			 "store '%.150s': cannot be read here, with samples in its -wal file; copy "
			 "both to a folder that can be written to",
			 s->path);
		return -EACCES;
	}
	for (; *path; path++) {
		bool plain = strchr("?#%", *path) == NULL;

		*to++ = plain ? *path : '%';
		if (!plain) {
			*to++ = hex[(unsigned char)*path >> 4];
			*to++ = hex[*path & 15];
		}
	}
	strcpy(to, "?immutable=1");
	sqlite3_close(s->db);
	s->db = NULL;
	return open_file(s, uri, SQLITE_OPEN_READONLY | SQLITE_OPEN_URI);
}

/* Puts a private copy in the place of what may not be changed. */
static int copy_aside(struct sm_store *s)
{
	sqlite3 *from = s->db;
	sqlite3_backup *b;
	int rc;

	s->db = NULL;
	rc = open_file(s, "", SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE);
	b = rc == 0 ? sqlite3_backup_init(s->db, "main", from, "main") : NULL;
	if (b != NULL) {
		sqlite3_backup_step(b, -1);
		rc = sm__store_fail(s, sqlite3_backup_finish(b));
	} else if (rc == 0)
		rc = sm__store_fail(s, sqlite3_errcode(s->db));
	sqlite3_close(from);
	return rc;
}

static int open_to_read(struct sm_store *s, const char *path)
{
	int rc;

	if (access(path, F_OK) != 0) {
		snprintf(s->error, sizeof(s->error),
			 "there is no store '%s'; `spanmark run` makes one, --store names another",
			 s->path);
		return -ENOENT;
	}
	rc = open_file(s, path, SQLITE_OPEN_READWRITE); /* else it leaves files beside it */
	if (rc == 0)
		rc = sm__store_exec(s, "PRAGMA query_only=ON");
	if (rc == 0)
		sm__store_number(s, "SELECT count(*) FROM sqlite_master", &rc);
	if ((rc == -ENOENT || rc == -EROFS) && access(path, R_OK) == 0)
		rc = open_unchanging(s, path);
	if (rc == 0 || rc == -EILSEQ) /* it says what is wrong */
		rc = bring_up(s, "BEGIN");
	if (rc == -EROFS) { /* an older layout */
		rc = copy_aside(s);
		if (rc == 0)
			rc = bring_up(s, "BEGIN");
	}
	return rc;
}

/* SQLite's word for it is "disk I/O error", or that it cannot be opened. */
static int refuse_folder(struct sm_store *s, const char *path)
{
	struct stat st;

	if (stat(path, &st) != 0 || !S_ISDIR(st.st_mode))
		return 0;
	snprintf(s->error, sizeof(s->error), "store '%s': is a folder; allowed: a file", s->path);
	return -EISDIR;
}

bool sm_store_is_no_mistake(int rc, const char *path)
{
	struct stat st;

	if (path != NULL && stat(path, &st) == 0 && !S_ISREG(st.st_mode))
		return false;
	return rc == -EIO || rc == -ENOSPC || rc == -EBUSY || rc == -ENOMEM;
}

static int open_store(const char *path, int (*open_it)(struct sm_store *, const char *),
		      struct sm_store **out, char *err, size_t errlen)
{
	struct sm_store *s = calloc(1, sizeof(*s));
	int rc;

	*out = NULL;
	if (s == NULL) {
		snprintf(err, errlen, "out of memory");
		return -ENOMEM;
	}
	snprintf(s->path, sizeof(s->path), "%s", path != NULL ? path : "(temporary)");
	rc = path != NULL ? refuse_folder(s, path) : 0;
	rc = rc ? rc : open_it(s, path);
	if (rc) {
		snprintf(err, errlen, "%s", s->error);
		sm_store_close(s);
		return rc;
	}
	*out = s;
	return 0;
}

int sm_store_open(const char *path, struct sm_store **out, char *err, size_t errlen)
{
	return open_store(path, open_to_write, out, err, errlen);
}

int sm_store_open_read(const char *path, struct sm_store **out, char *err, size_t errlen)
{
	return open_store(path, open_to_read, out, err, errlen);
}
