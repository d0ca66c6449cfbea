/*
 * The linter of counter sets: parses every formula, resolves every name in them, and encodes every
 * event string that this architecture's libpfm4 has tables for. x86-64 libraries know no ARM tables
 * and the other way round: such strings are counted as foreign, not passed off as checked.
 */
#ifndef SM_PERF_LINT_H
#define SM_PERF_LINT_H

#include <stdbool.h>
#include <stddef.h>

struct sm_lint_finding {
	const char *origin; /* file, or "built in" */
	const char *pmu;    /* "" when it is not about an event */
	const char *what;   /* metric or event */
	const char *message;
	bool bad; /* an error; else a note */
};

struct sm_lint_counts {
	unsigned sets, metrics, formulas, strings;
	unsigned
		/* strings that libpfm4 encoded, and raw, sysfs, sw, sim and const ones in good
		 * order */
		encoded;
	unsigned foreign; /* libpfm4 strings without tables here */
	unsigned errors;
};

typedef void (*sm_lint_fn)(const struct sm_lint_finding *f, void *arg);

/* Lints one text / one file / the built-in sets and the user's folder. 0 when it could be read;
 * errors are counted. */
int sm_lint_text(const char *text, const char *origin, sm_lint_fn fn, void *arg,
		 struct sm_lint_counts *c);
int sm_lint_file(const char *path, sm_lint_fn fn, void *arg, struct sm_lint_counts *c, char *err,
		 size_t errlen);
int sm_lint_all(sm_lint_fn fn, void *arg, struct sm_lint_counts *c, char *err, size_t errlen);

/* Does libpfm4 encode this string, whatever machine this is? 1 yes, 0 no, -1 no tables here. */
int sm_lint_encodes(const char *string, char *why, size_t whylen);

#endif
