/*
 * sample.c: samples of workloads, and what they say.
 */
#include "tests/support/sample.h"

#include <check.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "allocator/base/base.h"
#include "workloads/bdwgc.h"

struct sm_sample sample;

int run_with(const char *name, enum sm_wl_backend backend, const char *assignments,
	     const char *settings)
{
	static char text[2][512], err[512];
	struct sm_setting list[16];
	struct sm_params params;
	struct sm_job job;
	const struct sm_workload *w = sm_workload_find(name, err, sizeof(err));

	ck_assert_msg(w != NULL, "%s", err);
	sm_params_init(&params, w, true);
	snprintf(text[0], sizeof(text[0]), "%s", assignments);
	snprintf(text[1], sizeof(text[1]), "%s", settings);
	for (char *save = NULL, *t = strtok_r(text[0], " ", &save); t;
	     t = strtok_r(NULL, " ", &save))
		ck_assert_msg(sm_params_set(&params, t, err, sizeof(err)) == 0, "%s", err);
	sm_job_init(&job, &params);
	job.backend = backend;
	job.settings = list;
	for (char *save = NULL, *t = strtok_r(text[1], " ", &save); t;
	     t = strtok_r(NULL, " ", &save)) {
		list[job.nsettings] = (struct sm_setting){.key = t, .value = strchr(t, '=') + 1};
		*strchr(t, '=') = '\0';
		job.nsettings++;
	}
	return sm_session_run(&job, &sample);
}

void ok(const char *name, enum sm_wl_backend backend, const char *assignments, const char *settings)
{
	int rc = run_with(name, backend, assignments, settings);

	ck_assert_msg(rc == 0, "%s %s on %s: %s", name, assignments, sm_wl_backend_name(backend),
		      sample.error);
}

int64_t integer(const char *name)
{
	const struct sm_result *r = sm_sample_result(&sample, name);

	ck_assert_msg(r != NULL, "no result %s", name);
	ck_assert_msg(r->has_value && r->value == trunc(r->value), "%s is no integer: %s", name,
		      r->reason);
	return (int64_t)r->value;
}

double number(const char *name)
{
	const struct sm_result *r = sm_sample_result(&sample, name);

	ck_assert_msg(r != NULL, "no result %s", name);
	ck_assert_msg(r->has_value, "%s is no number: %s", name, r->reason);
	return r->value;
}

/* Stops of the world by signals and the thread sanitizer, which holds signals back, do not go
 * together. */
static bool has_bdwgc(void)
{
	static bool said;
	char err[200] = "the thread sanitizer holds its signals back";
#if SM_TSAN
	bool has = false;
#else
	bool has = sm_bdwgc_load(NULL, err, sizeof(err)) == 0;
#endif

	if (!has && !said) {
		printf("SKIP bdwgc: %s\n", err);
		fflush(stdout);
	}
	said = true;
	return has;
}

bool runs_on(const char *name, unsigned backend)
{
	char err[512];

	return (sm_workload_find(name, err, sizeof(err))->backends >> backend & 1) != 0 &&
	       (backend != SM_WL_BDWGC || has_bdwgc());
}
