/* report.h: a run for the targets that go through a store, and all reports of it. */
#ifndef SM_TESTS_FUZZ_REPORT_H
#define SM_TESTS_FUZZ_REPORT_H

#include "harness/store/store.h"
#include "tests/fuzz/fuzz.h"

extern const char report_environment[], report_job[], report_wire[];

/* Writes the report in each form, by each thing. */
void report_all(const struct sm_report *r);

#endif
