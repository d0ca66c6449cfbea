/*
 * run.h: a test program's main in one expression: the suite's name, its time limit, its cases.
 * SM_TEST_CASE=NAME in the environment runs the case of that name alone; SM_TEST_FIRST=1 ends with
 * the first case that fails.
 */
#ifndef SM_TESTS_SUPPORT_RUN_H
#define SM_TESTS_SUPPORT_RUN_H

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <check.h>

/* One case: raises `signal` if not 0; runs for i in [from, to) if to is not 0. */
struct sm_test {
	const TTest *test;
	int signal, from, to;
};
#define SM_T(t)             \
	{                   \
		.test = (t) \
	}
#define SM_RAISES(t, sig)                    \
	{                                    \
		.test = (t), .signal = (sig) \
	}
#define SM_LOOP(t, lo, hi)                                      \
	{                                                       \
		.test = (t), .from = (int)(lo), .to = (int)(hi) \
	}
#define SM_LOOP_RAISES(t, sig, lo, hi)                                           \
	{                                                                        \
		.test = (t), .signal = (sig), .from = (int)(lo), .to = (int)(hi) \
	}

/* Runs and frees s. Returns the exit status: 0 all passed, 1. */
static inline int sm_test_run(Suite *s)
{
	SRunner *r = srunner_create(s);
	int failed;

	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? 1 : 0;
}

struct sm_fixture {
	void (*setup)(void), (*teardown)(void);
	int once; /* for all cases together, in the runner; else for each, in its process */
};

static inline int sm_test_wanted(const struct sm_test *t)
{
	const char *only = getenv("SM_TEST_CASE");

	return only == NULL || strcmp(only, t->test->name) == 0;
}

/* A suite of one set of cases, empty. timeout: seconds a case, 0: check's own. */
static inline Suite *sm_suite_new(const char *name, double timeout, struct sm_fixture fixture,
				  TCase **cases)
{
	Suite *s = suite_create(name);

	*cases = tcase_create(name);
	if (timeout > 0)
		tcase_set_timeout(*cases, timeout);
	if (fixture.once)
		tcase_add_unchecked_fixture(*cases, fixture.setup, fixture.teardown);
	else
		tcase_add_checked_fixture(*cases, fixture.setup, fixture.teardown);
	suite_add_tcase(s, *cases);
	return s;
}

static inline int sm_suite_run(const char *name, double timeout, struct sm_fixture fixture,
			       const struct sm_test *tests, unsigned n)
{
	bool first = getenv("SM_TEST_FIRST") && !fixture.once;
	TCase *c = NULL;
	Suite *s = first ? NULL : sm_suite_new(name, timeout, fixture, &c);
	int failed = 0;

	for (const struct sm_test *t = tests; t < tests + n; t++) {
		int to = t->to ? t->to : 1;

		if (!sm_test_wanted(t))
			continue;
		if (!first)
			_tcase_add_test(c, t->test, t->signal, 0, t->from, to);
		for (int i = t->from; first && i < to && !failed; i++) {
			s = sm_suite_new(name, timeout, fixture, &c);
			_tcase_add_test(c, t->test, t->signal, 0, i, i + 1);
			failed = sm_test_run(s);
		}
	}
	return first ? failed : sm_test_run(s);
}

#define SM_SUITE_WITH(name, timeout, fixture, ...)              \
	sm_suite_run(name, timeout, (struct sm_fixture)fixture, \
		     (const struct sm_test[]){__VA_ARGS__},     \
		     sizeof((const struct sm_test[]){__VA_ARGS__}) / sizeof(struct sm_test))
#define SM_FIXTURE(...)     \
	{                   \
		__VA_ARGS__ \
	}
#define SM_SUITE(name, timeout, ...) SM_SUITE_WITH(name, timeout, SM_FIXTURE(0), __VA_ARGS__)
/* With a fixture for each case, and with one for all of them. */
#define SM_SUITE_EACH(name, timeout, setup, teardown, ...) \
	SM_SUITE_WITH(name, timeout, SM_FIXTURE(setup, teardown, 0), __VA_ARGS__)
#define SM_SUITE_ONCE(name, timeout, setup, teardown, ...) \
	SM_SUITE_WITH(name, timeout, SM_FIXTURE(setup, teardown, 1), __VA_ARGS__)

#endif
