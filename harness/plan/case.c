/*
 * case.c: see case.h.
 */
#include "harness/plan/case.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "workloads/session.h"

void sm__case_free(struct sm_case *c)
{
	free(c->params);
	free(c->label);
	sm_strings_free(&c->settings);
	sm_placement_free(&c->placement);
}

int sm__case_label(struct sm_case *c)
{
	const struct sm_workload *w = c->params->workload;
	size_t len = 0;
	FILE *f = open_memstream(&c->label, &len);

	if (f == NULL)
		return -ENOMEM;
	fprintf(f, "%s %s", w->name, c->backend->name);
	for (unsigned i = 0; i < sm_workload_nparams(w); i++) {
		char value[SM_PARAM_TEXT_MAX];

		if (!c->params->values[i].given)
			continue;
		sm_params_format(c->params, i, value, sizeof(value));
		fprintf(f, " %s=%s", w->params[i].name, value);
	}
	for (size_t i = 0; i < c->settings.n; i++)
		fprintf(f, " %s", c->settings.v[i]);
	return fclose(f) ? -ENOMEM : 0;
}

void sm__case_drop_ignored(struct sm_case *c, char *note, size_t len)
{
	size_t kept = 0;

	for (size_t i = 0; i < c->settings.n; i++) {
		char *s = c->settings.v[i];

		if (sm_job_setting_counts(c->backend->kernel, s)) {
			c->settings.v[kept++] = s;
			continue;
		}
		snprintf(note, len,
			 "--set %.*s: backend %s ignores it, so its cases are there once",
			 (int)strcspn(s, "="), s, c->backend->name);
		free(s);
	}
	c->settings.n = kept;
}

/* The work, and the place where it is done. */
static void print_work(FILE *f, const struct sm_case *c)
{
	const struct sm_workload *w = c->params->workload;

	fprintf(f, "%s %u %d %s", w->name, c->threads, c->place, c->kind);
	for (int i = 0; sm_program_of(w) != NULL && i < SM_PARTS; i++)
		if (sm_program_of(w)->line[i] != NULL)
			fprintf(f, "\n%s", sm_program_of(w)->line[i]);
	for (unsigned i = 0; i < sm_workload_nparams(w); i++) {
		const struct sm_param_value *v = &c->params->values[i];

		fprintf(f, "\n%lld %s", (long long)v->number, v->text);
		for (unsigned k = 0; k < v->n; k++)
			fprintf(f, ",%lld", (long long)v->list[k]);
	}
}

char *sm__case_key(const struct sm_case *c, bool whole)
{
	char *key = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&key, &len);

	if (f == NULL)
		return NULL;
	print_work(f, c);
	if (whole)
		fprintf(f, "\n%s %u %d %d %d", c->backend->name, c->workers, c->mark_place,
			c->placed, c->mark_placed);
	for (size_t i = 0; whole && i < c->settings.n; i++)
		fprintf(f, "\n%s", c->settings.v[i]);
	if (fclose(f) == 0)
		return key;
	free(key);
	return NULL;
}
