/*
 * fuzz_config.c: the configuration file and all that it can ask for: INI text, then the plan that
 * comes of it on a machine of two packages. Either there is a plan, or one line says why not.
 */
#include "harness/options/options.h"
#include "harness/plan/plan.h"
#include "tests/fuzz/fuzz.h"

static char err[768];

static void plan(const struct sm_run_options *o)
{
	struct sm_plan p;

	err[0] = '\0';
	if (sm_plan_build(o, &p, err, sizeof(err)) != 0)
		fuzz_reason(err);
	else
		FUZZ_MUST(p.ncases > 0 && p.njobs == p.ncases * p.passes * p.reps);
	sm_plan_free(&p);
}

/* A matrix as large as is allowed takes seconds to write down. */
static int is_large(const struct sm_run_options *o)
{
	return o->reps > 3 || o->params.n + o->settings.n + o->threads.n + o->workers.n > 12;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *argv[] = {
		(char *)"run",	       (char *)"--config",   NULL,
		(char *)"--dry-run",   (char *)"--topology", (char *)"pack:2 [numa] core:2 pu:2",
		(char *)"--format=csv"};
	struct sm_run_options o;

	argv[2] = (char *)fuzz_file(data, size);
	sm_run_options_init(&o);
	err[0] = '\0';
	if (sm_run_options_parse(&o, 7, argv, err, sizeof(err)) != 0) {
		fuzz_reason(err);
	} else if (!is_large(&o)) {
		/* What this machine's counters and valgrind say is not the input's doing. */
		o.counters = SM_COUNT_NONE;
		plan(&o);
	}
	sm_run_options_free(&o);
	return 0;
}
