/*
 * sample.h: runs a workload at small size in this process, and reads its results. What is not there
 * fails the case.
 */
#ifndef SM_TESTS_SUPPORT_SAMPLE_H
#define SM_TESTS_SUPPORT_SAMPLE_H

#include "workloads/session.h"

/* Of the latest run; the test frees it. */
extern struct sm_sample sample;

/* Runs workload `name`, its quick values changed by assignments "k=v k=v", with settings "k=v k=v":
 * sm_session_run's value. ok: it must be 0. */
int run_with(const char *name, enum sm_wl_backend backend, const char *assignments,
	     const char *settings);
void ok(const char *name, enum sm_wl_backend backend, const char *assignments,
	const char *settings);

/* A result: whole, or any. */
int64_t integer(const char *name);
double number(const char *name);

/* The workload has the backend, and it is installed here. */
bool runs_on(const char *name, unsigned backend);
#define EACH_BACKEND(b, name)                      \
	for (unsigned b = 0; b < SM_WL_COUNT; b++) \
		if (runs_on(name, b))

#endif
