/*
 * fuzz_sample.c: what a worker sends, as JSON: into a record, from there into a store, out of it
 * again, and into all reports.
 */
#include <string.h>

#include "harness/store/store.h"
#include "tests/fuzz/report.h"

static void keep(struct sm_record *r)
{
	struct sm_run_info info = {.environment = report_environment,
				   .command_line = "fuzz",
				   .by = "role",
				   .planned = 1};
	const char *const jobs[] = {report_job};
	struct sm_report report;
	struct sm_store *s;
	char err[300];
	int64_t run;

	FUZZ_MUST(sm_store_open(NULL, &s, err, sizeof(err)) == 0);
	FUZZ_MUST(sm_store_begin(s, &info, jobs, &run) == 0);
	FUZZ_MUST(sm_store_add(s, run, r) == 0);
	FUZZ_MUST(sm_store_load(s, run, &report) == 0 && report.nrecords == 1);
	FUZZ_MUST(report.records[0].nresults == r->nresults);
	FUZZ_MUST(report.records[0].nmetrics == r->nmetrics);
	report_all(&report);
	sm_report_free(&report);
	sm_store_close(s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct sm_record r = {.workload = "graph",
			      .backend = "gc",
			      .params = "{\"objects\":1000}",
			      .config = "{}",
			      .placement = "{\"place\":\"compact\"}",
			      .output = "",
			      .warnings = "",
			      .library = "",
			      .message = ""};
	struct sm_pool pool = {0};
	char err[200] = "";

	if (sm_record_parse(&r, &pool, (const char *)data, size, err, sizeof(err)) == 0)
		keep(&r);
	else
		fuzz_reason(err);
	sm_record_free(&r);
	sm_pool_free(&pool);
	return 0;
}
