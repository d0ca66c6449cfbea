/*
 * fuzz_job.c: a job as JSON, as the worker gets it and as the store keeps it. Nothing is run: what
 * is refused is refused in one line, what is accepted has its seats and a backend.
 */
#include <stdbool.h>
#include <string.h>

#include "harness/plan/job.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = fuzz_text(data, size), err[300] = "";
	struct sm_job_parts parts;
	struct sm_pool pool = {0};
	struct sm_record r;
	static bool ready;

	if (!ready) {
		/* This machine by the kernel's files would take most of the time. */
		setenv("HWLOC_SYNTHETIC", "pack:1 core:2 pu:1", 1);
		ready = true;
	}
	if (sm_job_describe(text, &r, &pool) == 0)
		FUZZ_MUST(r.workload && r.backend && r.params && r.label && r.timeout_s > 0);
	sm_record_free(&r);
	sm_pool_free(&pool);
	if (sm_job_parse(text, size, &parts, err, sizeof(err)) == 0) {
		unsigned n = sm_params_threads(parts.params);

		FUZZ_MUST(n > 0 && parts.mutators != NULL && parts.topology != NULL);
		for (unsigned i = 0; i < n; i++)
			FUZZ_MUST(parts.mutators[i].cpu >= -1);
	} else {
		fuzz_reason(err);
	}
	sm_job_parts_free(&parts);
	free(text);
	return 0;
}
