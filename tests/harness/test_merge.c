/* test_merge.c: runs found by what a user calls them, listed, copied between stores, deleted. */
#include "harness/report/writer.h"
#include "harness/store/store_internal.h"
#include "tests/support/fake_run.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/run.h"
#include "tests/support/store.h"

static char dir[64], path[96], other[96];

static const char wire[] =
	"{\"error\":\"\",\"results\":[{\"name\":\"wall_s\",\"unit\":\"s\",\"value\":0.1},"
	"{\"name\":\"gc_cycles\",\"unit\":\"cycles\",\"reason\":\"no collector\"}],"
	"\"metrics\":[{\"role\":\"mutator\",\"phase\":\"app\",\"metric\":\"cycles\","
	"\"event\":\"zen4::CYCLES\",\"value\":9007199254740991,\"unit\":\"cycles\"},"
	"{\"role\":\"mark\",\"phase\":\"mark\",\"metric\":\"l1d_miss\",\"event\":\"x\","
	"\"unit\":\"misses\",\"status\":\"denied\",\"reason\":\"paranoid\"}],"
	"\"output\":\"a line\\n\",\"warnings\":\"\"}";

static const struct fake_sample three[] = {
	{.ordinal = 0, .wire = wire},
	{.ordinal = 1, .rep = 1, .wire = wire},
	{.ordinal = 2, .rep = 2, .status = SM_OUTCOME_CRASHED, .message = "signal 11"},
};

static void setup(void)
{
	store_dir_make(dir, sizeof(dir));
	snprintf(path, sizeof(path), "%s/a.db", dir);
	snprintf(other, sizeof(other), "%s/b.db", dir);
}

static void teardown(void)
{
	store_dir_remove(dir);
}

static int64_t number(struct sm_store *s, const char *sql)
{
	int rc = 0;
	int64_t n = sm__store_number(s, sql, &rc);

	ck_assert_msg(rc == 0, "%s: %s", sql, sm_store_error(s));
	return n;
}

static enum sm_merge merge(struct sm_store *to, struct sm_store *from, int64_t run, int64_t *id)
{
	struct sm_merged m;

	ck_assert_msg(sm_store_merge(to, from, run, &m) == 0, "%s", sm_store_error(to));
	*id = m.id;
	return m.how;
}

/* All of a run but its number, as text. */
static char *report(struct sm_store *s, int64_t run)
{
	struct sm_report r;
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	ck_assert_msg(sm_store_load(s, run, &r) == 0, "%s", sm_store_error(s));
	fprintf(f, "%s %s %s %s %u %llu\n", r.identity, r.host, r.state, r.started, r.planned,
		(unsigned long long)r.seed);
	r.run = 0;
	ck_assert_int_eq(sm_write_json(&r, &(struct sm_writer){.by = SM_BY_ROLE}, f), 0);
	sm_report_free(&r);
	ck_assert_int_eq(fclose(f), 0);
	return text;
}

static void same_report(struct sm_store *a, int64_t run, struct sm_store *b, int64_t as)
{
	char *x = report(a, run), *y = report(b, as);

	ck_assert_str_eq(x, y);
	free(x);
	free(y);
}

/* Machines' stores give the same number to different runs. */
START_TEST(runs_of_two_stores_are_kept_apart)
{
	struct sm_store *a = open_store(path), *b = open_store(other);
	int64_t mine = fake_run(a, fake_environment, three, 1, 1), id, again,
		theirs = fake_run(b, fake_environment, three, 3, 3);

	ck_assert_int_eq(sm_store_end(b, theirs, "done"), 0);
	ck_assert_int_eq(mine, theirs);
	ck_assert_int_eq(merge(a, b, theirs, &id), SM_MERGED_NEW);
	ck_assert_int_ne(id, mine);
	same_report(b, theirs, a, id);
	ck_assert_int_eq(number(a, "SELECT count(*) FROM plan WHERE run=2"), 3);
	/* A second time it is known; and so it is where it came from. */
	ck_assert_int_eq(merge(a, b, theirs, &again), SM_MERGED_KNOWN);
	ck_assert_int_eq(again, id);
	ck_assert_int_eq(merge(b, a, id, &again), SM_MERGED_KNOWN);
	ck_assert_int_eq(again, theirs);
	ck_assert_int_eq(number(a, "SELECT count(*) FROM run"), 2);
	ck_assert_int_eq(number(a, "SELECT count(*) FROM sample"), 4);
	sm_store_close(a);
	sm_store_close(b);
}
END_TEST

static void add(struct sm_store *s, int64_t run, unsigned ordinal)
{
	struct sm_record r = {.ordinal = ordinal,
			      .workload = "w",
			      .backend = "gc",
			      .params = "{}",
			      .config = "{}",
			      .placement = "{}",
			      .message = "",
			      .output = "",
			      .warnings = "",
			      .took_s = 0.5 + ordinal,
			      .library = ""};

	ck_assert_msg(sm_store_add(s, run, &r) == 0, "%s", sm_store_error(s));
}

/* A run that went on elsewhere gets what it lacks; one that went on in both places is left. */
START_TEST(a_run_that_went_on)
{
	struct sm_store *a = open_store(path), *b = open_store(other);
	int64_t run = fake_run(a, NULL, three, 2, 5), id, at;

	fake_run(b, NULL, three, 1, 1);
	ck_assert_int_eq(merge(b, a, run, &id), SM_MERGED_NEW);
	add(b, id, 2);
	ck_assert_int_eq(merge(b, a, run, &at), SM_MERGED_KNOWN); /* b has all of it, and more */
	ck_assert_int_eq(merge(a, b, id, &at), SM_MERGED_MORE);
	ck_assert_int_eq(at, run);
	same_report(b, id, a, run);
	ck_assert_int_eq(number(a, "SELECT count(*) FROM sample"), 3);
	ck_assert_int_eq(sm_store_end(b, id, "done"), 0); /* as where --until was met */
	ck_assert_int_eq(merge(a, b, id, &at), SM_MERGED_MORE);
	same_report(b, id, a, run);
	add(a, run, 3);
	add(b, id, 4);
	ck_assert_int_eq(merge(a, b, id, &at), SM_MERGED_DIFFERS);
	ck_assert_int_eq(at, run);
	ck_assert_int_eq(number(a, "SELECT count(*) FROM sample"), 4);
	ck_assert_int_eq(number(a, "SELECT count(*) FROM sample WHERE ordinal=3"), 1);
	/* One that is measured just now is not changed. */
	add(b, id, 3);
	ck_assert_int_eq(sm_store_delete(a, run), 0);
	ck_assert_int_eq(merge(a, b, id, &run), SM_MERGED_NEW);
	add(b, id, 5);
	ck_assert_int_eq(sm_store_hold(b, id), 0);
	ck_assert_int_eq(merge(a, b, id, &at), SM_MERGED_MORE);
	add(a, run, 6);
	{
		struct sm_store *beside = open_store(other);
		struct sm_merged m;

		ck_assert_int_eq(sm_store_merge(beside, a, run, &m), -EBUSY);
		ck_assert_ptr_nonnull(strstr(sm_store_error(beside), "in progress"));
		ck_assert_int_eq(sm_store_delete(beside, id), -EBUSY);
		sm_store_close(beside);
	}
	ck_assert_int_eq(number(b, "SELECT count(*) FROM sample WHERE run=2"), 6);
	sm_store_close(a);
	sm_store_close(b);
}
END_TEST

static void wants(struct sm_store *s, const char *name, int64_t run)
{
	int64_t found;
	int rc = sm_store_find(s, name, &found);

	ck_assert_msg(rc == 0, "'%s': %s", name, sm_store_error(s));
	ck_assert_int_eq(found, run);
}

static void refused(struct sm_store *s, const char *name, int with, const char *says)
{
	int64_t found;

	ck_assert_int_eq(sm_store_find(s, name, &found), with);
	ck_assert_msg(strstr(sm_store_error(s), says) != NULL, "'%s': %s", name, sm_store_error(s));
}

START_TEST(names_of_runs)
{
	struct sm_store *s = open_store(path);

	refused(s, "last", -ENOENT, "no such run");
	for (int i = 0; i < 12; i++)
		fake_run(s, NULL, three, 1, 1);
	ck_assert_int_eq(
		sm__store_exec(s, "UPDATE run SET identity='00110000' WHERE id=2;"
				  "UPDATE run SET identity='cafe11' WHERE id=3;"
				  "UPDATE run SET identity='cafe12' WHERE id=4;"
				  "UPDATE run SET identity='0012'||substr(identity,5) WHERE id=5"),
		0);
	wants(s, "last", 12);
	wants(s, "1", 1);
	wants(s, "12", 12);
	wants(s, "cafe11", 3);
	wants(s, "00110", 2);
	wants(s, "0012", 12); /* a number first */
	refused(s, "cafe", -EINVAL, "several runs begin with cafe");
	refused(s, "cafe13", -ENOENT, "no such run: cafe13");
	refused(s, "13", -ENOENT, "no such run: 13");
	refused(s, "99999999999999999999", -ENOENT, "no such run");
	refused(s, "caf", -EINVAL, "allowed: a number");
	refused(s, "", -EINVAL, "allowed: a number");
	refused(s, "-1", -EINVAL, "allowed: a number");
	refused(s, "Cafe11", -EINVAL, "allowed: a number");
	refused(s, "cafe*", -EINVAL, "allowed: a number");
	sm_store_close(s);
}
END_TEST

START_TEST(a_list_of_runs)
{
	struct sm_store *s = open_store(path);
	struct sm_runs runs;
	int64_t run;

	ck_assert_int_eq(sm_store_runs(s, &runs), 0);
	ck_assert_uint_eq(runs.n, 0);
	sm_runs_free(&runs);
	fake_run(s, fake_environment, three, 3, 5);
	run = fake_run(s, "no json", three, 2, 2);
	ck_assert_int_eq(sm_store_hold(s, run), 0);
	ck_assert_int_eq(sm_store_runs(s, &runs), 0);
	ck_assert_uint_eq(runs.n, 2);
	ck_assert_str_eq(runs.v[0].cpu_model, "Test CPU");
	ck_assert_str_eq(runs.v[0].state, "unfinished");
	ck_assert_uint_eq(runs.v[0].planned, 5);
	ck_assert_uint_eq(runs.v[0].samples, 3);
	ck_assert_uint_eq(runs.v[0].failed, 1);
	ck_assert_uint_eq(strlen(runs.v[0].identity), 32);
	ck_assert_str_ne(runs.v[0].identity, runs.v[1].identity);
	ck_assert_str_eq(runs.v[1].cpu_model, "");
	ck_assert_str_eq(runs.v[1].state, "running");
	ck_assert_uint_eq(runs.v[1].failed, 0);
	sm_runs_free(&runs);
	sm_store_close(s);
}
END_TEST

static off_t size_of(const char *p)
{
	struct stat st;

	ck_assert_int_eq(stat(p, &st), 0);
	return st.st_size;
}

START_TEST(a_deleted_run_is_gone)
{
	static const char *const tables[] = {"run",    "plan",	 "calibration",
					     "sample", "result", "metric"};
	struct sm_calibration_row c = {
		.event = "cycles", .kernel = "chain", .verdict = "off", .reason = ""};
	struct sm_store *s = open_store(path);
	int64_t kept = fake_run(s, fake_environment, three, 2, 2), last = 0;
	char *before = report(s, kept), *after;
	off_t full;

	for (int i = 0; i < 300; i++) {
		last = fake_run(s, fake_environment, three, 3, 3);
		ck_assert_int_eq(sm_store_add_calibration(s, last, &c), 0);
	}
	ck_assert_int_eq(sm_store_shrink(s), 0); /* nothing is free */
	sm_store_close(s);
	full = size_of(path);
	s = open_store(path);
	for (int64_t run = kept + 1; run <= last; run++)
		ck_assert_int_eq(sm_store_delete(s, run), 0);
	for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++) {
		char sql[80];

		snprintf(sql, sizeof(sql), "SELECT count(*)>4 FROM %s", tables[i]);
		ck_assert_int_eq(number(s, sql), 0);
	}
	ck_assert_int_eq(sm_store_shrink(s), 0);
	ck_assert_int_lt(size_of(path), full / 2);
	after = report(s, kept);
	ck_assert_str_eq(before, after);
	/* What was called 301 is not another one tomorrow. */
	ck_assert_int_eq(fake_run(s, NULL, three, 1, 1), last + 1);
	free(before);
	free(after);
	sm_store_close(s);
}
END_TEST

int main(void)
{
	return SM_SUITE_EACH("merge", 60, setup, teardown, SM_T(runs_of_two_stores_are_kept_apart),
			     SM_T(a_run_that_went_on), SM_T(names_of_runs), SM_T(a_list_of_runs),
			     SM_T(a_deleted_run_is_gone));
}
