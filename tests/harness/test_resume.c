/* harness/run/resume.c: a run goes on only as what it was. What the store says of it is made here;
 * one thing at a time is another. */
#include "harness/plan/plan.h"
#include "harness/run/resume.h"

#include <check.h>
#include <cjson/cJSON.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/run.h"

static const char begun_in[] =
	"{\"versions\":{\"spanmark\":\"1.0\",\"build\":\"abc\"},\"architecture\":\"x86_64\","
	"\"cpu_model\":\"T800\",\"kernel\":\"6.1\",\"governor\":\"performance\",\"smt\":\"on\","
	"\"topology\":{\"nodes\":2,\"pus\":8,\"pus_allowed\":8}}";

static char err[300];

static void parse(struct sm_run_options *o, const char *line)
{
	char copy[200], *argv[20] = {(char *)"run"};
	int argc = 1;

	snprintf(copy, sizeof(copy), "%s", line);
	for (char *save = NULL, *w = strtok_r(copy, " ", &save); w; w = strtok_r(NULL, " ", &save))
		argv[argc++] = w;
	sm_run_options_init(o);
	ck_assert_msg(sm_run_options_parse(o, argc, argv, err, sizeof(err)) == 0, "%s", err);
}

/* The environment of a run of `line`, as the store keeps it. */
static char *begin(const char *line)
{
	struct sm_run_options o;
	struct sm_plan plan = {.reps = 3, .seed = 7, .timeout_s = 60};
	cJSON *env = cJSON_Parse(begun_in);
	char *text;

	parse(&o, line);
	sm_resume_describe(env, &o, &plan);
	text = cJSON_PrintUnformatted(env);
	cJSON_Delete(env);
	sm_run_options_free(&o);
	return text;
}

/* 0 or -EINVAL, and err; `with` instead of `what` in today's environment. */
static int resume(const char *begun, const char *line, const char *what, const char *with)
{
	struct sm_run_options o;
	char now[600];
	const char *at = strstr(begun_in, what);
	int rc;

	ck_assert_ptr_nonnull(at);
	snprintf(now, sizeof(now), "%.*s%s%s", (int)(at - begun_in), begun_in, with,
		 at + strlen(what));
	parse(&o, line);
	err[0] = '\0';
	rc = sm_resume_check(begun, now, &o, err, sizeof(err));
	sm_run_options_free(&o);
	return rc;
}

START_TEST(the_same_goes_on)
{
	char *begun = begin("-w churn -p size=16 --reps 3");

	ck_assert_msg(resume(begun, "--resume --store s.db", "T800", "T800") == 0, "%s", err);
	ck_assert_msg(resume(begun, "--resume --store s.db -w churn --reps 3 --seed 7", "T800",
			     "T800") == 0,
		      "%s", err);
	/* where the report goes is no difference */
	ck_assert_msg(resume(begun, "--resume --store s.db --format json", "T800", "T800") == 0,
		      "%s", err);
	free(begun);
}
END_TEST

/* One line that names the option, what it was and what it is. */
START_TEST(another_option_is_refused)
{
	static const char *const lines[][2] = {{"--resume --store s.db -w graph", "--workload"},
					       {"--resume --store s.db --reps 4", "--reps"},
					       {"--resume --store s.db --seed 8", "--seed"},
					       {"--resume --store s.db -p size=32", "--param"},
					       {"--resume --store s.db --quick", "--quick"}};
	char *begun = begin("-w churn -p size=16 --reps 3");

	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		ck_assert_int_eq(resume(begun, lines[i][0], "T800", "T800"), -EINVAL);
		ck_assert_msg(strstr(err, lines[i][1]) != NULL, "%s says: %s", lines[i][0], err);
		ck_assert_ptr_null(strchr(err, '\n'));
	}
	free(begun);
}
END_TEST

START_TEST(another_machine_is_refused)
{
	static const char *const others[][3] = {
		{"T800", "T1000", "cpu_model"},
		{"6.1", "6.2", "kernel"},
		{"performance", "powersave", "governor"},
		{"\"pus\":8", "\"pus\":16", "pus"},
		{"\"spanmark\":\"1.0\"", "\"spanmark\":\"1.1\"", "spanmark"},
		{",\"smt\":\"on\"", "", "smt"}};
	char *begun = begin("-w churn");

	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		ck_assert_int_eq(resume(begun, "--resume --store s.db", others[i][0], others[i][1]),
				 -EINVAL);
		ck_assert_msg(strstr(err, others[i][2]) != NULL, "%s says: %s", others[i][1], err);
		ck_assert_ptr_null(strchr(err, '\n'));
	}
	free(begun);
}
END_TEST

/* A store of a version that did not say what was asked for. */
START_TEST(an_older_store_is_refused)
{
	ck_assert_int_eq(resume(begun_in, "--resume --store s.db", "T800", "T800"), -EINVAL);
	ck_assert_ptr_nonnull(strstr(err, "older"));
}
END_TEST

int main(void)
{
	return SM_SUITE("resume", 60, SM_T(the_same_goes_on), SM_T(another_option_is_refused),
			SM_T(another_machine_is_refused), SM_T(an_older_store_is_refused));
}
