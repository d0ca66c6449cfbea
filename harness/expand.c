/*
 * expand.c: the matrix: which cases the options span. See plan.h.
 *
 * Every swept option (a list, or KEY=V1,V2) is one digit of an odometer; the last one given turns
 * fastest.
 */
#include "harness/expand.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/suggest.h"
#include "workloads/session.h"

/* One dimension of the matrix for one workload: assignments to choose from. */
struct axis {
	enum {
		AXIS_PARAM,
		AXIS_BACKEND,
		AXIS_THREADS,
		AXIS_WORKERS,
		AXIS_PLACE,
		AXIS_MARK,
		AXIS_KIND,
		AXIS_SETTING
	} what;
	const char *key; /* PARAM, SETTING: points into the options */
	size_t keylen;
	struct sm_strings values;
};

struct axes {
	struct axis *v;
	size_t n;
};

static void axes_free(struct axes *a)
{
	for (size_t i = 0; i < a->n; i++)
		sm_strings_free(&a->v[i].values);
	free(a->v);
	*a = (struct axes){0};
}

static struct axis *axis_add(struct axes *a, int what)
{
	struct axis *v = realloc(a->v, (a->n + 1) * sizeof(*v));

	if (v == NULL)
		return NULL;
	a->v = v;
	v[a->n] = (struct axis){.what = what};
	return &v[a->n++];
}

/* Splits text at commas into values; a comma without a value between is kept for the parser to
 * refuse. */
static int split(struct sm_strings *values, const char *text)
{
	for (;; text++) {
		size_t len = strcspn(text, ",");
		int rc = sm_strings_add(values, text, len);

		if (rc)
			return rc;
		text += len;
		if (!*text)
			return 0;
	}
}

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

static int chosen_workloads(const struct sm_run_options *o, const struct sm_workload ***list,
			    unsigned *n, char *err, size_t errlen)
{
	unsigned all;
	const struct sm_workload *const *known = sm_workloads(&all);
	int rc = 0;

	*n = o->workloads.n ? (unsigned)o->workloads.n : all;
	*list = calloc(*n + 1, sizeof(**list));
	if (!*list)
		return -ENOMEM;
	for (unsigned i = 0; i < *n && rc == 0; i++) {
		if (o->workloads.n)
			rc = find_workload(o->workloads.v[i], &(*list)[i], err, errlen);
		else
			(*list)[i] = known[i];
	}
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

/* Index of the parameter that "key=.." names; -1. */
static int param_of(const struct sm_workload *w, const char *assignment)
{
	size_t len = strcspn(assignment, "=");

	for (unsigned i = 0; i < sm_workload_nparams(w); i++) {
		if (strlen(w->params[i].name) == len &&
		    strncmp(w->params[i].name, assignment, len) == 0)
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
		size_t prefix;
		const char *assignment = strip_workload(o->params.v[i], &prefix);
		bool used = false;

		for (unsigned k = 0; k < n; k++)
			used |= addressed(list[k], o->params.v[i], prefix) &&
				param_of(list[k], assignment) >= 0;
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

/* Every key of --set is in one of the tables. */
static int check_settings(const struct sm_run_options *o, char *err, size_t errlen)
{
	struct keys keys = {.n = 0};

	sm_job_setting_keys(add_key, &keys);
	for (size_t i = 0; i < o->settings.n; i++) {
		/* Behind an @: one class or core, which the table's owner reads. */
		size_t len = strcspn(o->settings.v[i], "=@");
		bool known = false;
		char typed[80];

		for (size_t k = 0; k < keys.n; k++)
			known |= strlen(keys.names[k]) == len &&
				 strncmp(keys.names[k], o->settings.v[i], len) == 0;
		if (known)
			continue;
		snprintf(typed, sizeof(typed), "%.*s", (int)(len < 79 ? len : 79),
			 o->settings.v[i]);
		sm_suggest_error(err, errlen, "setting", typed, keys.names, keys.n);
		return -EINVAL;
	}
	return 0;
}

/* ---- axes of one workload ----------------------------------------------------------------- */

static int add_param_axis(struct axes *axes, const struct sm_workload *w, const char *assignment)
{
	int index = param_of(w, assignment);
	struct axis *axis;
	size_t keylen = strcspn(assignment, "=");

	if (index < 0)
		return 0; /* another workload's */
	/* A later, more particular -p takes the place of an earlier one. */
	for (size_t i = 0; i < axes->n; i++) {
		if (axes->v[i].what == AXIS_PARAM && axes->v[i].keylen == keylen &&
		    strncmp(axes->v[i].key, assignment, keylen) == 0) {
			sm_strings_free(&axes->v[i].values);
			return w->params[index].kind == SM_PARAM_LIST
				       ? sm_strings_add(&axes->v[i].values, assignment + keylen + 1,
							strlen(assignment + keylen + 1))
				       : split(&axes->v[i].values, assignment + keylen + 1);
		}
	}
	axis = axis_add(axes, AXIS_PARAM);
	if (axis == NULL)
		return -ENOMEM;
	axis->key = assignment;
	axis->keylen = keylen;
	if (w->params[index].kind == SM_PARAM_LIST) /* its commas are its own */
		return sm_strings_add(&axis->values, assignment + keylen + 1,
				      strlen(assignment + keylen + 1));
	return split(&axis->values, assignment + keylen + 1);
}

static int add_list_axis(struct axes *axes, int what, const struct sm_strings *values)
{
	struct axis *axis;
	int rc = 0;

	if (values->n == 0)
		return 0;
	axis = axis_add(axes, what);
	if (axis == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < values->n && rc == 0; i++)
		rc = sm_strings_add(&axis->values, values->v[i], strlen(values->v[i]));
	return rc;
}

static int add_setting_axis(struct axes *axes, const char *assignment)
{
	struct axis *axis = axis_add(axes, AXIS_SETTING);

	if (axis == NULL)
		return -ENOMEM;
	axis->key = assignment;
	axis->keylen = strcspn(assignment, "=");
	return split(&axis->values, assignment + axis->keylen + 1);
}

static int build_axes(const struct sm_run_options *o, const struct sm_workload *w,
		      struct axes *axes)
{
	int rc = 0;

	for (int particular = 0; particular <= 1; particular++) {
		for (size_t i = 0; i < o->params.n && rc == 0; i++) {
			size_t prefix;
			const char *assignment = strip_workload(o->params.v[i], &prefix);

			if ((prefix != 0) == particular && addressed(w, o->params.v[i], prefix))
				rc = add_param_axis(axes, w, assignment);
		}
	}
	if (rc == 0)
		rc = add_list_axis(axes, AXIS_BACKEND, &o->backends);
	if (rc == 0)
		rc = add_list_axis(axes, AXIS_THREADS, &o->threads);
	if (rc == 0)
		rc = add_list_axis(axes, AXIS_WORKERS, &o->workers);
	if (rc == 0)
		rc = add_list_axis(axes, AXIS_PLACE, &o->place);
	if (rc == 0)
		rc = add_list_axis(axes, AXIS_MARK, &o->mark_place);
	if (rc == 0)
		rc = add_list_axis(axes, AXIS_KIND, &o->kinds);
	for (size_t i = 0; i < o->settings.n && rc == 0; i++)
		rc = add_setting_axis(axes, o->settings.v[i]);
	return rc;
}

/* ---- cases -------------------------------------------------------------------------------- */

static int apply_text(struct sm_case *c, const struct axis *axis, const char *value, char *err,
		      size_t errlen)
{
	char pair[600];

	if (snprintf(pair, sizeof(pair), "%.*s=%s", (int)axis->keylen, axis->key, value) >=
	    (int)sizeof(pair)) {
		snprintf(err, errlen, "'%.60s..' is too long; allowed: 599 bytes", pair);
		return -EINVAL;
	}
	if (axis->what == AXIS_SETTING)
		return sm_strings_add(&c->settings, pair, strlen(pair));
	return sm_params_set(c->params, pair, err, errlen) ? -EINVAL : 0;
}

static int apply_value(struct sm_case *c, const struct axis *axis, const char *value, char *err,
		       size_t errlen)
{
	unsigned threads;

	switch (axis->what) {
	case AXIS_PARAM:
	case AXIS_SETTING: return apply_text(c, axis, value, err, errlen);
	case AXIS_BACKEND: return sm_wl_backend_parse(value, &c->backend, err, errlen);
	case AXIS_THREADS:
		threads = (unsigned)strtoul(value, NULL, 10);
		return sm_params_set_threads(c->params, threads, err, errlen) ? -EINVAL : 0;
	case AXIS_WORKERS: c->workers = (unsigned)strtoul(value, NULL, 10); return 0;
	case AXIS_PLACE: return sm_place_parse(value, &c->place, err, errlen);
	case AXIS_MARK: return sm_mark_place_parse(value, &c->mark_place, err, errlen);
	case AXIS_KIND: snprintf(c->kind, sizeof(c->kind), "%s", value); return 0;
	}
	return -EINVAL;
}

static enum sm_wl_backend first_backend(const struct sm_workload *w)
{
	for (unsigned b = 0; b < SM_WL_COUNT; b++) {
		if (w->backends & 1u << b)
			return (enum sm_wl_backend)b;
	}
	return SM_WL_GC;
}

/* Backend against workload, settings against their tables. */
static int check_case(struct sm_case *c, char *err, size_t errlen)
{
	struct sm_setting *settings = calloc(c->settings.n + 1, sizeof(*settings));
	char *copies = NULL;
	size_t total = 1;
	struct sm_job job;
	char *at;
	int rc;

	for (size_t i = 0; i < c->settings.n; i++)
		total += strlen(c->settings.v[i]) + 1;
	copies = malloc(total);
	if (settings == NULL || copies == NULL) {
		free(settings);
		free(copies);
		return -ENOMEM;
	}
	at = copies;
	for (size_t i = 0; i < c->settings.n; i++) {
		strcpy(at, c->settings.v[i]);
		settings[i].key = at;
		at[strcspn(at, "=")] = 0;
		settings[i].value = at + strlen(at) + 1;
		at += strlen(c->settings.v[i]) + 1;
	}
	sm_job_init(&job, c->params);
	job.backend = c->backend;
	job.settings = settings;
	job.nsettings = (unsigned)c->settings.n;
	rc = sm_job_check(&job, err, errlen);
	free(settings);
	free(copies);
	return rc;
}

/*
 * Cases of the matrix that make no sense are left out: a backend or a number of threads that this
 * workload does not have, when the user named no workload or named several and others of the values
 * fit; and repetitions of the same case, where a backend has no mark workers to place.
 */
static bool skips(const struct sm_workload *w, const struct sm_run_options *o,
		  const struct sm_case *c, const struct axes *axes, const size_t *at)
{
	bool any = o->workloads.n == 0;

	for (size_t i = 0; i < axes->n; i++) {
		const struct axis *axis = &axes->v[i];

		if (axis->what == AXIS_THREADS && o->workloads.n == 0 &&
		    sm_workload_param(w, "threads") < 0 &&
		    strtoul(axis->values.v[at[i]], NULL, 10) != 1)
			return true;
		if ((axis->what == AXIS_WORKERS || axis->what == AXIS_MARK) &&
		    c->backend != SM_WL_GC && at[i] > 0)
			return true;
	}
	for (size_t i = 0; i < o->backends.n; i++) {
		enum sm_wl_backend b;
		char err[160];

		if (sm_wl_backend_parse(o->backends.v[i], &b, err, sizeof(err)) == 0)
			any |= (w->backends & 1u << b) != 0;
	}
	return any && !(w->backends & 1u << c->backend);
}

/* The backend is known before the rest: it decides what else counts. */
static int apply_backend(struct sm_case *c, const struct axes *axes, const size_t *at, char *err,
			 size_t errlen)
{
	for (size_t i = 0; i < axes->n; i++) {
		if (axes->v[i].what == AXIS_BACKEND)
			return apply_value(c, &axes->v[i], axes->v[i].values.v[at[i]], err, errlen);
	}
	return 0;
}

/* Is the last case one of those before it ("-w churn,churn", "-p objects=1m,1048576")? Its samples
 * would count twice. */
static bool repeats(const struct sm_plan *p)
{
	const struct sm_case *last = &p->cases[p->ncases - 1];

	for (const struct sm_case *c = p->cases; c < last; c++)
		if (sm__case_same(c, last))
			return true;
	return false;
}

static void drop_last(struct sm_plan *p)
{
	sm__case_free(&p->cases[--p->ncases]);
}

static int add_case(struct sm_plan *p, const struct sm_workload *w, const struct sm_run_options *o,
		    const struct axes *axes, const size_t *at, char *err, size_t errlen)
{
	struct sm_case *cases, *c;
	int rc = 0;

	if (p->ncases >= SM_PLAN_MAX_CASES) {
		snprintf(err, errlen,
			 "these options span more than %d cases; allowed: fewer values",
			 SM_PLAN_MAX_CASES);
		return -EINVAL;
	}
	cases = realloc(p->cases, (p->ncases + 1) * sizeof(*cases));
	if (cases == NULL)
		return -ENOMEM;
	p->cases = cases;
	c = &cases[p->ncases];
	*c = (struct sm_case){.params = malloc(sizeof(*c->params)), .backend = first_backend(w)};
	if (c->params == NULL)
		return -ENOMEM;
	p->ncases++; /* from here on sm_plan_free releases it */
	sm_params_init(c->params, w, o->quick);
	rc = apply_backend(c, axes, at, err, errlen);
	if (rc == 0 && skips(w, o, c, axes, at)) {
		drop_last(p);
		return 0;
	}
	for (size_t i = 0; i < axes->n && rc == 0; i++)
		rc = apply_value(c, &axes->v[i], axes->v[i].values.v[at[i]], err, errlen);
	c->threads = sm_params_threads(c->params);
	if (rc == 0)
		rc = check_case(c, err, errlen);
	if (rc == 0)
		sm__case_drop_ignored(c, p->note, sizeof(p->note));
	if (rc == 0 && repeats(p))
		drop_last(p);
	return rc;
}

/* Turns the odometer; false when it is through. */
static bool turn(const struct axes *axes, size_t *at)
{
	for (size_t i = axes->n; i-- > 0;) {
		if (++at[i] < axes->v[i].values.n)
			return true;
		at[i] = 0;
	}
	return false;
}

static int expand_workload(const struct sm_run_options *o, const struct sm_workload *w,
			   struct sm_plan *p, char *err, size_t errlen)
{
	struct axes axes = {0};
	size_t *at = NULL;
	int rc = build_axes(o, w, &axes);

	if (rc == 0) {
		at = calloc(axes.n + 1, sizeof(*at));
		rc = at != NULL ? 0 : -ENOMEM;
	}
	if (rc == 0) {
		do
			rc = add_case(p, w, o, &axes, at, err, errlen);
		while (rc == 0 && turn(&axes, at));
	}
	free(at);
	axes_free(&axes);
	return rc;
}

int sm__plan_expand(const struct sm_run_options *o, struct sm_plan *p, char *err, size_t errlen)
{
	const struct sm_workload **list = NULL;
	unsigned n = 0;
	int rc = chosen_workloads(o, &list, &n, err, errlen);

	if (rc == 0)
		rc = check_params(o, list, n, err, errlen);
	if (rc == 0)
		rc = check_settings(o, err, errlen);
	for (unsigned i = 0; i < n && rc == 0; i++)
		rc = expand_workload(o, list[i], p, err, errlen);
	free(list);
	if (rc == -ENOMEM)
		snprintf(err, errlen, "out of memory");
	return rc;
}
