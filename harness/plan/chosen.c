/*
 * chosen.c: the workloads that the options name, and whether every parameter and setting that they
 * name exists.
 */
#include "harness/plan/chosen.h"

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

static int chosen_workloads(const struct sm_run_options *o, const struct sm_programs *programs,
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

int sm__chosen(const struct sm_run_options *o, const struct sm_programs *programs,
	       const struct sm_workload ***list, unsigned *n, char *err, size_t errlen)
{
	int rc = chosen_workloads(o, programs, list, n, err, errlen);

	if (rc == 0)
		rc = check_params(o, *list, *n, err, errlen);
	return rc ? rc : check_settings(o, err, errlen);
}
