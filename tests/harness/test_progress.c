/* harness/run/progress.c and environ.c: what is said while a run goes on, and what is remembered
 * of its circumstances. */
#include "harness/run/environ.h"
#include "harness/run/progress.h"

#include <check.h>
#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "tests/support/run.h"

static char *text;
static size_t len;
static FILE *out;
static struct sm_progress p;

static void begin(bool terminal)
{
	free(text);
	text = NULL;
	out = open_memstream(&text, &len);
	ck_assert_int_eq(sm_progress_init(&p, out, terminal, (const unsigned[]){2, 2}, 2), 0);
}

static void one(unsigned group, enum sm_outcome status, double took)
{
	sm_progress_start(&p, "graph gc", 0, 1);
	sm_progress_end(&p, group, "graph gc", 0, 1, status, "no memory", took);
}

static const char *done(void)
{
	fclose(out);
	sm_progress_free(&p);
	return text;
}

/* Where it is no terminal: a line for each tenth of the plan, and one for each failed sample. */
START_TEST(one_line_for_each_tenth)
{
	begin(false);
	p.planned[0] = 38; /* and two of group 1 */
	p.total = 40;
	one(1, SM_OUTCOME_OK, 1.5);
	one(1, SM_OUTCOME_CRASHED, 0.5);
	for (unsigned i = 0; i < 37; i++)
		one(0, SM_OUTCOME_OK, 1);
	ck_assert_str_eq(done(), "[2/40] graph gc rep 1 pass 2: crashed: no memory\n"
				 "[4/40] 1 of 2 cases done, 36 s left\n"
				 "[8/40] 1 of 2 cases done, 32 s left\n"
				 "[12/40] 1 of 2 cases done, 28 s left\n"
				 "[16/40] 1 of 2 cases done, 24 s left\n"
				 "[20/40] 1 of 2 cases done, 20 s left\n"
				 "[24/40] 1 of 2 cases done, 16 s left\n"
				 "[28/40] 1 of 2 cases done, 12 s left\n"
				 "[32/40] 1 of 2 cases done, 8 s left\n"
				 "[36/40] 1 of 2 cases done, 4 s left\n");
	begin(false);
	for (unsigned i = 0; i < 4; i++)
		one(i / 2, SM_OUTCOME_OK, 1);
	ck_assert_ptr_nonnull(strstr(done(), "\n[4/4] 2 of 2 cases done\n"));
}
END_TEST

START_TEST(one_line_that_changes)
{
	const char *s;

	begin(true);
	one(0, SM_OUTCOME_OK, 100);
	sm_progress_start(&p, "ring gc", 0, 0);
	sm_progress_relay(&p, "a worker speaks\n", 16);
	sm_progress_end(&p, 1, "ring gc", 0, 0, SM_OUTCOME_TIMEOUT, "too long", 20);
	s = done();
	ck_assert_ptr_nonnull(strstr(s, "[1/4] 0 of 2 cases done, 5:00 min left: ring gc rep 1"));
	ck_assert_ptr_nonnull(strstr(s, "\r\033[Ka worker speaks\n"));
	ck_assert_ptr_nonnull(strstr(s, "[2/4] ring gc rep 1: timeout: too long\n"));
	ck_assert_ptr_null(strstr(s, "done\n")); /* good samples leave no line on a terminal */
}
END_TEST

/* A line that wraps cannot be taken back, one on a dumb terminal not at all. */
START_TEST(terminals)
{
	const char *s;

	begin(true);
	p.total = 1000000;
	p.done = 900000;
	p.group_n[0] = 1;
	p.group_s[0] = 12345;
	sm_progress_start(&p, "a-workload-of-a-name-longer-than-most gc", 999, 63);
	s = done();
	ck_assert_uint_lt(strcspn(strstr(s, "[900000"), "\r\n"), 80);
	ck_assert(sm_progress_rewrites(true, "xterm"));
	ck_assert(!sm_progress_rewrites(false, "xterm"));
	ck_assert(!sm_progress_rewrites(true, "dumb"));
	ck_assert(!sm_progress_rewrites(true, NULL));
}
END_TEST

START_TEST(time_left)
{
	begin(false);
	ck_assert_double_lt(sm_progress_left(&p), 0);
	one(0, SM_OUTCOME_OK, 10);
	/* one more of group 0 at 10 s, two of group 1, of which nothing is known: 10 s each */
	ck_assert_double_eq_tol(sm_progress_left(&p), 30, 1e-9);
	one(1, SM_OUTCOME_OK, 2);
	ck_assert_double_eq_tol(sm_progress_left(&p), 12, 1e-9);
	one(0, SM_OUTCOME_OK, 20);
	one(1, SM_OUTCOME_OK, 2);
	ck_assert_double_eq_tol(sm_progress_left(&p), 0, 1e-9);
	done();
}
END_TEST

/* --until: more is planned in the middle of it; no more time is left than --max-time leaves. */
START_TEST(a_plan_that_grows)
{
	begin(false);
	one(0, SM_OUTCOME_OK, 10);
	one(1, SM_OUTCOME_OK, 2);
	ck_assert_double_eq_tol(sm_progress_left(&p), 12, 1e-9);
	sm_progress_more(&p, 3);
	ck_assert_double_eq_tol(sm_progress_left(&p), 48, 1e-9);
	p.most_s = 40;
	ck_assert_double_eq_tol(sm_progress_left(&p), 28, 1e-9);
	p.most_s = 11;
	ck_assert_double_eq(sm_progress_left(&p), 0);
	one(0, SM_OUTCOME_OK, 10);
	ck_assert_str_eq(done(), "[1/4] 0 of 2 cases done, 30 s left\n"
				 "[2/4] 0 of 2 cases done, 12 s left\n"
				 "[3/10] 0 of 2 cases done, 0 s left\n");
}
END_TEST

START_TEST(hostile_stderr)
{
	begin(false);
	sm_progress_relay(&p, "\033[2Jx\007\r", 7);
	one(0, SM_OUTCOME_OK, 1);
	ck_assert_str_eq(done(), "?[2Jx??\n[1/4] 0 of 2 cases done, 3 s left\n");
}
END_TEST

/* ---- circumstances ------------------------------------------------------------------------ */

static void put(const char *root, const char *path, const char *contents)
{
	char full[400];
	FILE *f;

	snprintf(full, sizeof(full), "%s%s", root, path);
	for (char *s = full + 1; (s = strchr(s, '/')); s++) {
		*s = 0;
		mkdir(full, 0700);
		*s = '/';
	}
	f = fopen(full, "w");
	ck_assert_ptr_nonnull(f);
	fputs(contents, f);
	fclose(f);
}

static const char *value(const cJSON *env, const char *name)
{
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(env, name);

	ck_assert_msg(item != NULL, "no %s", name);
	return cJSON_IsString(item) ? item->valuestring : NULL;
}

START_TEST(environment)
{
	char root[] = "/tmp/spanmark-environ-XXXXXX", command[64], busy[200], *json;
	char *argv[] = {(char *)"run", (char *)"-p", (char *)"it's=\033[1m", NULL};
	struct sm_run_options o;
	cJSON *env;

	ck_assert_ptr_nonnull(mkdtemp(root));
	put(root, "/proc/cpuinfo",
	    "processor\t: 0\nmodel name\t: Imaginary 9000\nmicrocode\t: 0xabc\nflags\t\t: fpu "
	    "hypervisor "
	    "sse\n");
	put(root, "/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", "performance\n");
	put(root, "/sys/devices/system/cpu/intel_pstate/no_turbo", "1\n");
	put(root, "/sys/kernel/mm/transparent_hugepage/enabled", "always [madvise] never\n");
	put(root, "/proc/loadavg", "12.25 9.00 3.00 2/512 4711\n");
	ck_assert(sm_environ_is_busy(root, 2, busy, sizeof(busy)));
	ck_assert_ptr_nonnull(strstr(busy, "load 12.2 on 2 CPUs"));
	ck_assert(!sm_environ_is_busy(root, 16, busy, sizeof(busy)));
	sm_run_options_init(&o);
	json = sm_environ_json(&o, NULL, NULL, 3, argv, root);
	env = cJSON_Parse(json);
	ck_assert_ptr_nonnull(env);
	ck_assert_str_eq(value(env, "cpu_model"), "Imaginary 9000");
	ck_assert_str_eq(value(env, "microcode"), "0xabc");
	ck_assert_str_eq(value(env, "governor"), "performance");
	ck_assert_str_eq(value(env, "turbo"), "off");
	ck_assert_str_eq(value(env, "thp"), "madvise");
	ck_assert(cJSON_IsTrue(cJSON_GetObjectItem(env, "virtual_machine")));
	/* not there: null, not a guess */
	ck_assert(cJSON_IsNull(cJSON_GetObjectItem(env, "smt")));
	ck_assert(cJSON_IsNull(cJSON_GetObjectItem(env, "aslr")));
	ck_assert_str_eq(value(env, "command_line"), "spanmark run -p 'it'\\''s=?[1m'");
	cJSON_Delete(env);
	free(json);
	snprintf(command, sizeof(command), "rm -rf '%s'", root);
	ck_assert_int_eq(system(command), 0);
}
END_TEST

int main(void)
{
	return SM_SUITE("progress", 0, SM_T(one_line_for_each_tenth), SM_T(one_line_that_changes),
			SM_T(terminals), SM_T(time_left), SM_T(a_plan_that_grows),
			SM_T(hostile_stderr), SM_T(environment));
}
