/* fuzz_setfile.c: counter sets as text, and the lint over them. */
#include <string.h>

#include "perf/lint.h"
#include "perf/setfile.h"
#include "tests/fuzz/fuzz.h"

static void found(const struct sm_lint_finding *f, void *arg)
{
	(void)f;
	(void)arg;
}

static void look_at(const struct sm_setfile *s)
{
	FUZZ_MUST(s->n_metrics > 0 && s->name[0]);
	for (unsigned i = 0; i < s->n_maps; i++) {
		const struct sm_set_mapping *m =
			sm_setfile_map(s, s->maps[i].pmu, s->maps[i].event);

		FUZZ_MUST(m == &s->maps[i]);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = fuzz_text(data, size), err[300] = "";
	struct sm_lint_counts counts = {0};
	struct sm_setfile *s;

	if (sm_setfile_parse(text, "fuzz", &s, err, sizeof(err)) == 0) {
		look_at(s);
		sm_lint_text(text, "fuzz", found, NULL, &counts);
	} else {
		fuzz_reason(err);
	}
	sm_setfile_free(s);
	free(text);
	return 0;
}
