/*
 * case.c: see case.h.
 */
#include "harness/case.h"

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
	fprintf(f, "%s %s", w->name, sm_wl_backend_name(c->backend));
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

		if (sm_job_setting_counts(c->backend, s)) {
			c->settings.v[kept++] = s;
			continue;
		}
		snprintf(note, len,
			 "--set %.*s: backend %s ignores it, so its cases are there once",
			 (int)strcspn(s, "="), s, sm_wl_backend_name(c->backend));
		free(s);
	}
	c->settings.n = kept;
}

static bool same_settings(const struct sm_strings *a, const struct sm_strings *b)
{
	if (a->n != b->n)
		return false;
	for (size_t i = 0; i < a->n; i++)
		if (strcmp(a->v[i], b->v[i]) != 0)
			return false;
	return true;
}

static bool same_params(const struct sm_params *a, const struct sm_params *b)
{
	for (unsigned i = 0; i < sm_workload_nparams(a->workload); i++) {
		const struct sm_param_value *x = &a->values[i], *y = &b->values[i];

		if (x->number != y->number || x->n != y->n || strcmp(x->text, y->text) != 0 ||
		    memcmp(x->list, y->list, x->n * sizeof(x->list[0])) != 0)
			return false;
	}
	return true;
}

bool sm__case_same(const struct sm_case *a, const struct sm_case *b)
{
	return a->params->workload == b->params->workload && a->backend == b->backend &&
	       a->threads == b->threads && a->workers == b->workers && a->place == b->place &&
	       a->mark_place == b->mark_place && strcmp(a->kind, b->kind) == 0 &&
	       same_settings(&a->settings, &b->settings) && same_params(a->params, b->params);
}
