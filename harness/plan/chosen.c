/*
 * chosen.c: the workloads that the options name, and whether every parameter and setting that they
 * name exists; the parts of a plan, each of which names its own.
 */
#include "harness/plan/chosen.h"
#include "harness/plan/expand.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/base/suggest.h"
#include "harness/plan/variant.h"
#include "workloads/session.h"

/* ---- which workloads ---------------------------------------------------------------------- */

static int find_workload(const char *name, const struct sm_workload **out, char *err, size_t errlen)
{
	unsigned n;
	const struct sm_workload *const *all = sm_workloads(&n);
	const char *names[64];

	*out = sm_workload_find(name, err, errlen);
	if (*out)
		return 0;
	for (unsigned i = 0; i < n && i < 64; i++)
		names[i] = all[i]->name;
	sm_suggest_error(err, errlen, "workload", name, names, n < 64 ? n : 64);
	return -EINVAL;
}

int sm__chosen(const struct sm_run_options *o, const struct sm_programs *programs,
	       const struct sm_workload ***list, unsigned *n, char *err, size_t errlen)
{
	unsigned all, named = (unsigned)o->workloads.n;
	const struct sm_workload *const *known = sm_workloads(&all);
	int rc = 0;

	*n = named + programs->n > 0 ? named : all;
	*list = calloc(*n + programs->n + 1, sizeof(**list));
	if (!*list)
		return -ENOMEM;
	for (unsigned i = 0; i < *n && rc == 0; i++) {
		if (named)
			rc = find_workload(o->workloads.v[i], &(*list)[i], err, errlen);
		else
			(*list)[i] = known[i];
	}
	for (unsigned i = 0; i < programs->n; i++)
		(*list)[(*n)++] = &programs->v[i]->workload;
	return rc;
}

/* ---- parameters --------------------------------------------------------------------------- */

/* "graph.objects=1m": is the first part a workload's name? Returns the assignment behind it. */
static const char *strip_workload(const char *text, size_t *len)
{
	size_t dot = strcspn(text, ".=");

	*len = 0;
	if (text[dot] != '.')
		return text;
	*len = dot;
	return text + dot + 1;
}

static bool addressed(const struct sm_workload *w, const char *text, size_t prefix)
{
	return prefix == 0 || (strlen(w->name) == prefix && strncmp(w->name, text, prefix) == 0);
}

int sm__chosen_param(const struct sm_workload *w, const char *text, const char **assignment,
		     bool *particular)
{
	size_t prefix, len;

	*assignment = strip_workload(text, &prefix);
	*particular = prefix != 0;
	len = strcspn(*assignment, "=");
	for (unsigned i = 0; addressed(w, text, prefix) && i < sm_workload_nparams(w); i++) {
		if (strlen(w->params[i].name) == len &&
		    strncmp(w->params[i].name, *assignment, len) == 0)
			return (int)i;
	}
	return -1;
}

/* No chosen workload has this parameter: say which parameters there are. */
static int unknown_param(const char *text, const struct sm_workload *const *list, unsigned n,
			 char *err, size_t errlen)
{
	const char *names[64];
	char typed[80];
	size_t prefix, count = 0;
	const char *assignment = strip_workload(text, &prefix);

	if (prefix) {
		bool known = false;

		for (unsigned i = 0; i < n; i++)
			known |= addressed(list[i], text, prefix);
		if (!known) {
			for (unsigned i = 0; i < n && i < 64; i++)
				names[i] = list[i]->name;
			snprintf(typed, sizeof(typed), "%.*s", (int)(prefix < 60 ? prefix : 60),
				 text);
			sm_suggest_error(err, errlen, "workload in -p", typed, names,
					 n < 64 ? n : 64);
			return -EINVAL;
		}
	}
	for (unsigned i = 0; i < n; i++) {
		for (unsigned k = 0;
		     addressed(list[i], text, prefix) && k < sm_workload_nparams(list[i]); k++) {
			bool seen = false;

			for (size_t j = 0; j < count; j++)
				seen |= strcmp(names[j], list[i]->params[k].name) == 0;
			if (!seen && count < 64)
				names[count++] = list[i]->params[k].name;
		}
	}
	snprintf(typed, sizeof(typed), "%.*s", (int)strcspn(assignment, "="), assignment);
	sm_suggest_error(err, errlen, "parameter", typed, names, count);
	return -EINVAL;
}

static int check_params(const struct sm_run_options *o, const struct sm_workload *const *list,
			unsigned n, char *err, size_t errlen)
{
	for (size_t i = 0; i < o->params.n; i++) {
		const char *assignment;
		bool used = false, particular;

		for (unsigned k = 0; k < n; k++)
			used |= sm__chosen_param(list[k], o->params.v[i], &assignment,
						 &particular) >= 0;
		if (!used)
			return unknown_param(o->params.v[i], list, n, err, errlen);
	}
	return 0;
}

/* ---- settings ----------------------------------------------------------------------------- */

struct keys {
	const char *names[256];
	size_t n;
};

static void add_key(void *ctx, const char *key, const char *values, const char *help)
{
	struct keys *k = ctx;

	(void)values;
	(void)help;
	if (k->n < sizeof(k->names) / sizeof(k->names[0]))
		k->names[k->n++] = key;
}

/* The key of an assignment is in one of the tables. */
static int check_key(const struct keys *keys, const char *assignment, char *err, size_t errlen)
{
	/* Behind an @: one class or core, which the table's owner reads. */
	size_t len = strcspn(assignment, "=@");
	char typed[80];

	if (sm_job_setting_variable(assignment) != NULL)
		return 0; /* its name is sm_job_check's */
	for (size_t k = 0; k < keys->n; k++)
		if (strlen(keys->names[k]) == len && strncmp(keys->names[k], assignment, len) == 0)
			return 0;
	snprintf(typed, sizeof(typed), "%.*s", (int)(len < 79 ? len : 79), assignment);
	sm_suggest_error(err, errlen, "setting", typed, keys->names, keys->n);
	return -EINVAL;
}

static int check_variant(const struct keys *keys, const char *text, char *err, size_t errlen)
{
	const char *at = text, *word;
	size_t len;
	int rc = 0;

	if (strcmp(text, SM_VARIANT_DEFAULT) == 0)
		return 0;
	while (rc == 0 && sm__variant_next(&at, &word, &len)) {
		const char *equals = memchr(word, '=', len);

		if (equals == NULL || equals == word || equals + 1 == word + len) {
			snprintf(err, errlen,
				 "--variant '%.80s': allowed: KEY=VALUE with blanks between, or "
				 "'" SM_VARIANT_DEFAULT "'",
				 text);
			return -EINVAL;
		}
		if (sm__variant_word(word) == SM_WORD_SETTING)
			rc = check_key(keys, word, err, errlen);
	}
	return rc;
}

/* Every key of --set and --variant is known. */
static int check_settings(const struct sm_run_options *o, char *err, size_t errlen)
{
	struct keys keys = {.n = 0};
	int rc = 0;

	sm_job_setting_keys(add_key, &keys);
	for (size_t i = 0; i < o->settings.n && rc == 0; i++)
		rc = check_key(&keys, o->settings.v[i], err, errlen);
	for (size_t i = 0; i < o->variants.n && rc == 0; i++)
		rc = check_variant(&keys, o->variants.v[i], err, errlen);
	return rc;
}

int sm__chosen_check(const struct sm_run_options *o, const struct sm_workload *const *list,
		     unsigned n, char *err, size_t errlen)
{
	int rc = check_params(o, list, n, err, errlen);

	return rc ? rc : check_settings(o, err, errlen);
}

/* ---- parts -------------------------------------------------------------------------------- */

/* What the user named, or the kernels; each is looked for once. */
static int resolve_backends(struct sm_plan_part *part, char *err, size_t errlen)
{
	const struct sm_run_options *o = part->o;
	size_t n = o->backends.n ? o->backends.n : SM_WL_COUNT, known;
	const struct sm_backend_desc *all = sm_backends(&known);
	int rc = 0;

	part->backends = calloc(n, sizeof(*part->backends));
	if (part->backends == NULL)
		return -ENOMEM;
	while (part->nbackends < n && rc == 0) {
		size_t i = part->nbackends++;

		rc = sm_backend_resolve(&part->backends[i],
					o->backends.n ? o->backends.v[i] : all[i].name, err,
					errlen);
	}
	return rc;
}

/* Where nothing could be measured there is nothing to report either. */
static int check_any(const struct sm_plan *p, char *err, size_t errlen)
{
	for (unsigned i = 0; i < p->ncases; i++)
		if (p->cases[i].backend->missing[0] == '\0')
			return 0;
	if (p->ncases == 0)
		return 0;
	snprintf(err, errlen, "nothing of this can run here: backend %s is %s",
		 p->cases[0].backend->name, p->cases[0].backend->missing);
	return -EINVAL;
}

/* Every parameter that the parts have in common is one of some part's workloads. */
static int check_parts(const struct sm_run_options *o, const struct sm_plan *p, char *err,
		       size_t errlen)
{
	const struct sm_workload **all;
	unsigned n = 0, sum = 0;
	int rc;

	for (unsigned i = 0; i < p->nparts; i++)
		sum += p->parts[i].nworkloads;
	all = calloc(sum + 1, sizeof(*all));
	if (all == NULL)
		return -ENOMEM;
	for (unsigned i = 0; i < p->nparts; i++)
		for (unsigned k = 0; k < p->parts[i].nworkloads; k++)
			all[n++] = p->parts[i].workloads[k];
	rc = sm__chosen_check(o, all, n, err, errlen);
	free(all);
	return rc;
}

static int begin_part(struct sm_plan_part *part, char *err, size_t errlen)
{
	int rc = sm_programs_make(&part->programs, part->o, err, errlen);

	return rc ? rc
		  : sm__chosen(part->o, &part->programs, &part->workloads, &part->nworkloads, err,
			       errlen);
}

static int expand_part(struct sm_plan *p, struct sm_plan_part *part, char *err, size_t errlen)
{
	int rc = sm__chosen_check(part->o, part->workloads, part->nworkloads, err, errlen);

	if (rc == 0)
		rc = resolve_backends(part, err, errlen);
	for (unsigned i = 0; i < part->nworkloads && rc == 0; i++)
		rc = sm__plan_expand_workload(p, part, part->workloads[i], err, errlen);
	return rc;
}

/* An error of a part says which it is. */
static int of_part(int rc, const struct sm_plan_part *part, char *err, size_t errlen)
{
	char why[512];

	if (rc == -EINVAL && part->o->from != NULL) {
		snprintf(why, sizeof(why), "%s", err);
		snprintf(err, errlen, "%s [%.60s]: %s", part->o->from, part->o->title, why);
	}
	return rc;
}

int sm__plan_expand(const struct sm_run_options *o, struct sm_plan *p, char *err, size_t errlen)
{
	int rc = 0;

	p->nparts = o->nparts > 0 ? (unsigned)o->nparts : 1;
	p->parts = calloc(p->nparts, sizeof(*p->parts));
	if (p->parts == NULL) {
		p->nparts = 0;
		rc = -ENOMEM;
	}
	for (unsigned i = 0; i < p->nparts && rc == 0; i++) {
		p->parts[i].o = o->nparts > 0 ? &o->parts[i] : o;
		rc = of_part(begin_part(&p->parts[i], err, errlen), &p->parts[i], err, errlen);
	}
	if (rc == 0)
		rc = check_parts(o, p, err, errlen);
	for (unsigned i = 0; i < p->nparts && rc == 0; i++)
		rc = of_part(expand_part(p, &p->parts[i], err, errlen), &p->parts[i], err, errlen);
	if (rc == 0)
		rc = check_any(p, err, errlen);
	if (rc == -ENOMEM)
		snprintf(err, errlen, "out of memory");
	return rc;
}

void sm__plan_part_free(struct sm_plan_part *part)
{
	for (size_t i = 0; i < part->nbackends; i++)
		sm_backend_free(&part->backends[i]);
	free(part->backends);
	free(part->workloads);
	sm_programs_free(&part->programs);
}
