#include "tests/support/fake_run.h"

#include <check.h>
#include <string.h>

const char fake_environment[] =
	"{\"cpu_model\":\"Test CPU\",\"kernel\":\"6.1\",\"repetitions\":2,\"quick\":false,"
	"\"topology\":{\"cores\":4,\"nodes\":2},\"counters\":{\"passes\":1,\"chosen\":false,"
	"\"metrics\":[{\"metric\":\"ipc\",\"formula\":\"instructions / cycles\"}]}}";

static const char *or_else(const char *text, const char *otherwise)
{
	return text ? text : otherwise;
}

void fake_run_add(struct sm_store *s, int64_t run, const struct fake_sample *f)
{
	struct sm_pool pool = {0};
	struct sm_record r = {
		.ordinal = f->ordinal,
		.group = f->group,
		.pass = f->pass,
		.rep = f->rep,
		.workload = or_else(f->workload, "graph"),
		.backend = or_else(f->backend, "gc"),
		.params = or_else(f->params, "{\"objects\":1000}"),
		.config = or_else(f->config, "{}"),
		.placement = or_else(f->placement,
				     "{\"place\":\"compact\",\"threads\":1,\"workers\":1}"),
		.output = "",
		.warnings = "",
		.library = "",
		.took_s = 0.5,
	};
	char err[120] = "";

	if (f->wire)
		ck_assert_msg(
			sm_record_parse(&r, &pool, f->wire, strlen(f->wire), err, sizeof(err)) == 0,
			"%s", err);
	if (f->status != SM_OUTCOME_OK) {
		r.status = f->status;
		r.message = or_else(f->message, "");
	}
	ck_assert_msg(sm_store_add(s, run, &r) == 0, "%s", sm_store_error(s));
	sm_record_free(&r);
	sm_pool_free(&pool);
}

int64_t fake_run(struct sm_store *s, const char *environment, const struct fake_sample *samples,
		 unsigned n, unsigned planned)
{
	struct sm_run_info info = {
		.environment = environment ? environment : fake_environment,
		.command_line = "spanmark run -w graph",
		.by = "role",
		.seed = 42,
		.planned = planned,
	};
	const char *jobs[64];
	int64_t run;

	ck_assert_uint_le(planned, 64);
	for (unsigned i = 0; i < planned; i++)
		jobs[i] = "{\"workload\":\"graph\"}";
	ck_assert_msg(sm_store_begin(s, &info, jobs, &run) == 0, "%s", sm_store_error(s));
	for (unsigned i = 0; i < n; i++)
		fake_run_add(s, run, &samples[i]);
	return run;
}
