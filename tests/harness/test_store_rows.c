/* harness/store/store_rows.c, store_rows_read.c: the rows of many samples, each its own. */
#include "harness/store/store_internal.h"
#include "tests/support/fake_run.h"

#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "tests/support/run.h"
#include "tests/support/store.h"

enum { SAMPLES = 60 };

static char dir[64];
static char path[96];

static void setup(void)
{
	store_dir_make(dir, sizeof(dir));
	snprintf(path, sizeof(path), "%s/s.db", dir);
}

static void teardown(void)
{
	store_dir_remove(dir);
}

/* Any of n, the same for the same seed. */
static unsigned pick(unsigned *seed, unsigned n)
{
	*seed = *seed * 1664525u + 1013904223u;
	return (*seed >> 16) % n;
}

/* A worker's answer whose rows differ from those of others in any field, and in how many there
 * are; of every ninth in the values alone. */
static void make_wire(unsigned seed, unsigned ordinal, char *text, size_t len)
{
	static const char *const roles[] = {"mutator", "mark", ""};
	static const char *const reasons[] = {"\"value\":7",
					      "\"status\":\"denied\",\"reason\":\"r1\"",
					      "\"status\":\"unsupported\",\"reason\":\"r2\"",
					      "\"value\":0.5,\"thread\":3,\"running_ns\":12"};
	unsigned rows;
	size_t n = (size_t)snprintf(text, len, "{\"error\":\"\",\"results\":[");

	seed += ordinal % 9;
	rows = pick(&seed, 5);
	for (unsigned i = 0; i < rows; i++)
		n += (size_t)snprintf(text + n, len - n, "%s{\"name\":\"r%u\",\"value\":%u}",
				      i ? "," : "", pick(&seed, 3), ordinal);
	n += (size_t)snprintf(text + n, len - n, "],\"metrics\":[");
	rows = pick(&seed, 5);
	for (unsigned i = 0; i < rows; i++) {
		const char *role = roles[pick(&seed, 3)], *reason = reasons[pick(&seed, 4)];

		n += (size_t)snprintf(text + n, len - n,
				      "%s{\"by\":\"%s\",\"role\":\"%s\",\"phase\":\"app\","
				      "\"metric\":\"m%u\",\"event\":\"e%u\",\"core\":%u,"
				      "\"enabled_ns\":%u,%s}",
				      i ? "," : "", pick(&seed, 2) ? "role" : "core", role,
				      pick(&seed, 3), pick(&seed, 300), pick(&seed, 2), ordinal * 3,
				      reason);
	}
	snprintf(text + n, len - n, "],\"output\":\"\",\"warnings\":\"\"}");
}

static void same_rows(const struct sm_row_type *type, const void *a, size_t na, const void *b,
		      size_t nb)
{
	ck_assert_uint_eq(na, nb);
	for (size_t i = 0; i < na * type->size; i += type->size)
		for (const struct sm_field *f = type->fields; f->name != NULL; f++) {
			struct sm_datum x = sm_field_get(type, f, (const char *)a + i),
					y = sm_field_get(type, f, (const char *)b + i);

			if (!f->kept)
				continue;
			ck_assert_int_eq(x.has_number, y.has_number);
			ck_assert_int_eq(x.text != NULL, y.text != NULL);
			if (x.has_number)
				ck_assert_double_eq(x.number, y.number);
			if (x.text != NULL)
				ck_assert_str_eq(x.text, y.text);
		}
}

/* The run's samples come back by case, each with the rows that were added. */
static void check_run(struct sm_store *s, int64_t run, unsigned seed)
{
	struct sm_report r;
	char text[4096], err[120];

	ck_assert_msg(sm_store_load(s, run, &r) == 0, "%s", sm_store_error(s));
	ck_assert_uint_eq(r.nrecords, SAMPLES);
	for (unsigned i = 0; i < SAMPLES; i++) {
		struct sm_record want = {0}, *is = &r.records[i];
		struct sm_pool pool = {0};

		ck_assert_uint_eq(is->group, i / 3);
		ck_assert_uint_eq(is->rep, i % 3);
		make_wire(seed, is->ordinal, text, sizeof(text));
		ck_assert_int_eq(
			sm_record_parse(&want, &pool, text, strlen(text), err, sizeof(err)), 0);
		same_rows(&sm_result_type, want.results, want.nresults, is->results, is->nresults);
		same_rows(&sm_metric_type, want.metrics, want.nmetrics, is->metrics, is->nmetrics);
		for (size_t k = 0; k < is->nmetrics; k++) /* each text is the report's one copy */
			ck_assert_ptr_eq(is->metrics[k].event,
					 sm_pool_find(&r.pool, is->metrics[k].event));
		sm_record_free(&want);
		sm_pool_free(&pool);
	}
	sm_report_free(&r);
}

static void add(struct sm_store *s, int64_t run, unsigned seed, unsigned ordinal, unsigned at)
{
	char text[4096];

	make_wire(seed, ordinal, text, sizeof(text));
	fake_run_add(s, run,
		     &(struct fake_sample){
			     .ordinal = ordinal, .group = at / 3, .rep = at % 3, .wire = text});
}

/* Measured at once, into one store, in another order than they are shown in. */
START_TEST(two_runs_that_take_turns)
{
	struct sm_store *s = open_store(path);
	int64_t one = fake_run(s, NULL, NULL, 0, SAMPLES),
		two = fake_run(s, NULL, NULL, 0, SAMPLES);

	for (unsigned i = 0; i < SAMPLES; i++) {
		unsigned mixed = i * 7 % SAMPLES;

		add(s, one, 1000, i, mixed);
		if (i % 5 != 4)
			add(s, two, 5000, SAMPLES - 1 - i, mixed);
	}
	for (unsigned i = 4; i < SAMPLES; i += 5)
		add(s, two, 5000, SAMPLES - 1 - i, i * 7 % SAMPLES);
	check_run(s, one, 1000);
	check_run(s, two, 5000);
	sm_store_close(s);
}
END_TEST

/* What is done to the rows of samples 1, 2 and 3, which are alike, is noticed. */
START_TEST(a_sample_of_other_rows_than_it_says_is_damage)
{
	static const char wire[] =
		"{\"error\":\"\",\"results\":[],\"metrics\":["
		"{\"role\":\"mutator\",\"phase\":\"app\",\"metric\":\"a\",\"value\":1},"
		"{\"role\":\"mutator\",\"phase\":\"app\",\"metric\":\"b\",\"value\":2}],"
		"\"output\":\"\",\"warnings\":\"\"}";
	static const struct fake_sample three[] = {{.ordinal = 0, .wire = wire},
						   {.ordinal = 1, .rep = 1, .wire = wire},
						   {.ordinal = 2, .rep = 2, .wire = wire}};
	static const char *const damages[] = {
		"DELETE FROM metric WHERE sample=3 AND metric='b'", /* a row is gone, .. */
		"DELETE FROM metric WHERE sample=3",		    /* .. all of a sample's */
		"DELETE FROM metric WHERE sample=2",
		"INSERT INTO metric(sample,metric) VALUES(3,'c')", /* one more */
		/* they no longer stand where their sample's are looked for */
		"UPDATE metric SET rowid=rowid+100 WHERE sample=2",
		"UPDATE metric SET rowid=rowid-100 WHERE sample=3"};
	struct sm_store *s = open_store(path);
	int64_t run = fake_run(s, NULL, three, 3, 3);
	struct sm_report r;

	ck_assert_int_eq(sm_store_load(s, run, &r), 0);
	ck_assert_ptr_eq(r.records[2].metrics[1].metric, r.records[0].metrics[1].metric);
	sm_report_free(&r);
	for (size_t i = 0; i < sizeof(damages) / sizeof(damages[0]); i++) {
		ck_assert_int_eq(sm__store_exec(s, "BEGIN"), 0);
		ck_assert_int_eq(sm__store_exec(s, damages[i]), 0);
		ck_assert_msg(sm_store_load(s, run, &r) == -EILSEQ, "%s", damages[i]);
		ck_assert_ptr_nonnull(strstr(sm_store_error(s), "damaged"));
		ck_assert_int_eq(sm__store_exec(s, "ROLLBACK"), 0);
	}
	ck_assert_int_eq(sm_store_load(s, run, &r), 0);
	sm_report_free(&r);
	sm_store_close(s);
}
END_TEST

int main(void)
{
	return SM_SUITE_EACH("store_rows", 60, setup, teardown, SM_T(two_runs_that_take_turns),
			     SM_T(a_sample_of_other_rows_than_it_says_is_damage));
}
