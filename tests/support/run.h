/* run.h: runs one suite, as every test's main does. */
#ifndef SM_TESTS_SUPPORT_RUN_H
#define SM_TESTS_SUPPORT_RUN_H

#include <check.h>

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

#endif
