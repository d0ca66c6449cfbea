/* lint.c: the linter; see lint.h. */
#include "perf/lint.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "perf/setfile.h"

struct lint {
	const struct sm_setfile *s;
	sm_lint_fn fn;
	void *arg;
	struct sm_lint_counts *c;
};

static void report_finding(struct lint *l, const char *pmu, const char *what, const char *message,
			   bool bad)
{
	struct sm_lint_finding f = {
		.origin = l->s->origin, .pmu = pmu, .what = what, .message = message, .bad = bad};

	if (bad)
		l->c->errors++;
	if (l->fn != NULL)
		l->fn(&f, l->arg);
}

int sm_lint_encodes(const char *string, char *why, size_t whylen)
{
	/* A machine on which nothing is present but every core is of the string's PMU. */
	struct sm_pmu core = {.core = true, .type = 4};
	struct sm_pmus pmus = {.n = 1, .n_core = 1, .pmus = &core};
	struct sm_event_options eo = {.pmus = &pmus};
	struct sm_event_resolved r;
	const char *sep = strstr(string, "::");

	snprintf(why, whylen, "%s", "");
	if (sep != NULL)
		snprintf(core.uarch, sizeof(core.uarch), "%.*s", (int)(sep - string), string);
	if (sep != NULL && strncmp(string, "sw::", 4) != 0 && strncmp(string, "sim::", 5) != 0 &&
	    strncmp(string, "tp::", 4) != 0 && !sm_event_has_tables(core.uarch))
		return -1;
	if (sm_event_resolve(string, &eo, &r, NULL))
		return 1;
	snprintf(why, whylen, "%s", r.reason);
	return 0;
}

static bool known_pmu(const char *pmu)
{
	static const char *const special[] = {"any", "generic", "callgrind"};

	for (unsigned i = 0; i < sizeof(special) / sizeof(special[0]); i++)
		if (strcmp(special[i], pmu) == 0)
			return true;
	for (unsigned i = 0; sm_uarch_name(i); i++)
		if (strcmp(sm_uarch_name(i), pmu) == 0)
			return true;
	return sm_event_has_tables(pmu);
}

static void check_map(struct lint *l, const struct sm_set_mapping *m)
{
	char why[200], *end;
	const char *s = m->string, *slash = strchr(s, '/');

	l->c->strings++;
	if (!known_pmu(m->pmu))
		report_finding(l, m->pmu, m->event, "no such microarchitecture here or in libpfm4",
			       false);
	if (strncmp(s, "const::", 7) == 0) {
		strtod(s + 7, &end);
		if (end == s + 7 || *end)
			report_finding(l, m->pmu, m->event, "const:: wants a number", true);
		else
			l->c->encoded++;
		return;
	}
	/* Sysfs notation needs the machine that has the PMU: here only its shape can be checked. */
	if (slash != NULL) {
		if (slash == s || strrchr(s, '/') == slash || strrchr(s, '/') == slash + 1)
			report_finding(l, m->pmu, m->event, "want PMU/term=value,../", true);
		else
			l->c->encoded++;
		return;
	}
	switch (sm_lint_encodes(s, why, sizeof(why))) {
	case 1: l->c->encoded++; break;
	case -1: l->c->foreign++; break;
	default: report_finding(l, m->pmu, m->event, why, true);
	}
}

static bool defined(const struct sm_setfile *s, const char *event)
{
	for (unsigned i = 0; i < s->n_maps; i++)
		if (strcmp(s->maps[i].event, event) == 0)
			return true;
	return false;
}

static void check_metric(struct lint *l, const struct sm_set_metric *m)
{
	char names[16][SM_EXPR_NAME], why[200];
	int n;

	l->c->metrics++;
	if (!m->unit[0])
		report_finding(l, "", m->name, "has no unit", true);
	if (!m->formula[0]) {
		if (!defined(l->s, m->name))
			report_finding(l, "", m->name, "no [pmu] section defines this event", true);
		return;
	}
	l->c->formulas++;
	n = sm_expr_names(m->formula, names, 16, why, sizeof(why));
	if (n < 0)
		report_finding(l, "", m->name, why, true);
	for (int i = 0; i < n; i++) {
		if (strcmp(names[i], "ops") != 0 && strcmp(names[i], "seconds") != 0 &&
		    !defined(l->s, names[i])) {
			snprintf(why, sizeof(why), "uses \"%.31s\", which no [pmu] section defines",
				 names[i]);
			report_finding(l, "", m->name, why, true);
		}
	}
}

static void check_set(struct lint *l)
{
	l->c->sets++;
	for (unsigned i = 0; i < l->s->n_metrics; i++)
		check_metric(l, &l->s->metrics[i]);
	for (unsigned i = 0; i < l->s->n_maps; i++)
		check_map(l, &l->s->maps[i]);
}

static void bad_file(const char *origin, const char *err, sm_lint_fn fn, void *arg,
		     struct sm_lint_counts *c)
{
	struct sm_lint_finding f = {
		.origin = origin, .pmu = "", .what = "", .message = err, .bad = true};

	c->errors++;
	if (fn != NULL)
		fn(&f, arg);
}

int sm_lint_text(const char *text, const char *origin, sm_lint_fn fn, void *arg,
		 struct sm_lint_counts *c)
{
	struct sm_setfile *s;
	char err[300];

	if (sm_setfile_parse(text, origin, &s, err, sizeof(err))) {
		bad_file(origin, err, fn, arg, c);
		return 0;
	}
	check_set(&(struct lint){.s = s, .fn = fn, .arg = arg, .c = c});
	sm_setfile_free(s);
	return 0;
}

int sm_lint_file(const char *path, sm_lint_fn fn, void *arg, struct sm_lint_counts *c, char *err,
		 size_t errlen)
{
	struct sm_setfile *s;
	int rc = sm_setfile_read(path, &s, err, errlen);

	if (rc == -EINVAL) {
		bad_file(path, err, fn, arg, c);
		return 0;
	}
	if (rc)
		return rc;
	check_set(&(struct lint){.s = s, .fn = fn, .arg = arg, .c = c});
	sm_setfile_free(s);
	return 0;
}

static int lint_folder(const char *dir, sm_lint_fn fn, void *arg, struct sm_lint_counts *c,
		       char *err, size_t errlen)
{
	DIR *d = *dir ? opendir(dir) : NULL;
	struct dirent *e;
	char path[1024];
	int rc = 0;

	while (d != NULL && !rc && (e = readdir(d))) {
		size_t n = strlen(e->d_name);

		if (n < 5 || strcmp(e->d_name + n - 4, ".ini") != 0)
			continue;
		snprintf(path, sizeof(path), "%s/%s", dir, e->d_name);
		rc = sm_lint_file(path, fn, arg, c, err, errlen);
	}
	if (d != NULL)
		closedir(d);
	return rc;
}

int sm_lint_all(sm_lint_fn fn, void *arg, struct sm_lint_counts *c, char *err, size_t errlen)
{
	char dir[512];

	for (unsigned i = 0; sm_setfile_builtin_name(i); i++)
		sm_lint_text(sm_setfile_builtin_text(i), sm_setfile_builtin_name(i), fn, arg, c);
	sm_setfile_user_dir(dir, sizeof(dir));
	return lint_folder(dir, fn, arg, c, err, errlen);
}
