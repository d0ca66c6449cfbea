/*
 * fuzz_formula.c: formulas of metrics. What has a value has the same value again, and a finite one;
 * the names that it uses are those that it asks for.
 */
#include <errno.h>
#include <math.h>
#include <string.h>

#include "perf/expr.h"
#include "tests/fuzz/fuzz.h"

#define NAMES 16

struct asked {
	char (*names)[SM_EXPR_NAME];
	int n;
};

/* 1, 1.5, 2, ..; a name that was not told before is a fault. */
static bool value(void *ctx, const char *name, double *v)
{
	struct asked *a = ctx;

	for (int i = 0; i < a->n; i++) {
		*v = 1 + i * 0.5;
		if (strcmp(a->names[i], name) == 0)
			return true;
	}
	FUZZ_MUST(!"a name that sm_expr_names does not know");
	return false;
}

static bool nothing(void *ctx, const char *name, double *v)
{
	(void)ctx;
	(void)name;
	(void)v;
	return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = fuzz_text(data, size), err[300] = "";
	char names[NAMES][SM_EXPR_NAME];
	struct asked a = {.names = names};
	double x, y;
	int rc;

	a.n = sm_expr_names(text, names, NAMES, err, sizeof(err));
	if (a.n >= 0) {
		rc = sm_expr_eval(text, value, &a, &x, err, sizeof(err));
		FUZZ_MUST(rc == 0 || rc == -EDOM);
		if (rc == 0) {
			FUZZ_MUST(isfinite(x));
			FUZZ_MUST(sm_expr_eval(text, value, &a, &y, NULL, 0) == 0 && x == y);
		}
	} else {
		FUZZ_MUST(a.n == -EINVAL || a.n == -E2BIG);
		FUZZ_MUST(err[0] != '\0');
	}
	rc = sm_expr_eval(text, nothing, NULL, &x, NULL, 0);
	FUZZ_MUST(rc <= 0);
	free(text);
	return 0;
}
