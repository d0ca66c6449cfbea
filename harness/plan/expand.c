/*
 * expand.c: the matrix: which cases the options span. See plan.h.
 *
 * Every swept option (a list, or KEY=V1,V2) is one digit of an odometer; the last one given turns
 * fastest.
 */
#include "harness/plan/expand.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/plan/chosen.h"
#include "harness/plan/variant.h"
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
		AXIS_SETTING,
		AXIS_VARIANT
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

/* ---- axes of one workload ----------------------------------------------------------------- */

/* The axis of this parameter, empty: a later, more particular -p takes an earlier one's place. */
static struct axis *param_axis(struct axes *axes, const char *key, size_t keylen)
{
	for (size_t i = 0; i < axes->n; i++) {
		struct axis *axis = &axes->v[i];

		if (axis->what == AXIS_PARAM && axis->keylen == keylen &&
		    strncmp(axis->key, key, keylen) == 0) {
			sm_strings_free(&axis->values);
			return axis;
		}
	}
	return axis_add(axes, AXIS_PARAM);
}

static int add_param_axis(struct axes *axes, const struct sm_param_desc *d, const char *assignment)
{
	size_t keylen = strcspn(assignment, "=");
	const char *value = assignment + keylen + 1;
	struct axis *axis = param_axis(axes, assignment, keylen);

	if (axis == NULL)
		return -ENOMEM;
	axis->key = assignment;
	axis->keylen = keylen;
	if (d->kind == SM_PARAM_LIST) /* its commas are its own */
		return sm_strings_add(&axis->values, value, strlen(value));
	return split(&axis->values, value);
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
	const struct {
		int what;
		const struct sm_strings *values;
	} lists[] = {{AXIS_BACKEND, &o->backends}, {AXIS_THREADS, &o->threads},
		     {AXIS_WORKERS, &o->workers},  {AXIS_PLACE, &o->place},
		     {AXIS_MARK, &o->mark_place},  {AXIS_KIND, &o->kinds}};
	int rc = 0;

	for (int round = 0; round <= 1; round++) {
		for (size_t i = 0; i < o->params.n && rc == 0; i++) {
			const char *assignment;
			bool particular;
			int k = sm__chosen_param(w, o->params.v[i], &assignment, &particular);

			if (k >= 0 && particular == round)
				rc = add_param_axis(axes, &w->params[k], assignment);
		}
	}
	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]) && rc == 0; i++)
		rc = add_list_axis(axes, lists[i].what, lists[i].values);
	for (size_t i = 0; i < o->settings.n && rc == 0; i++)
		rc = add_setting_axis(axes, o->settings.v[i]);
	return rc ? rc : add_list_axis(axes, AXIS_VARIANT, &o->variants);
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
		return sm__case_set(c, pair, strlen(pair));
	return sm_params_set(c->params, pair, err, errlen) ? -EINVAL : 0;
}

static int apply_value(struct sm_case *c, const struct axis *axis, const char *value, char *err,
		       size_t errlen)
{
	unsigned threads;

	switch (axis->what) {
	case AXIS_PARAM:
	case AXIS_SETTING: return apply_text(c, axis, value, err, errlen);
	case AXIS_VARIANT: return sm__variant_apply(c, value, err, errlen);
	case AXIS_BACKEND: return 0; /* apply_backend's */
	case AXIS_THREADS:
		threads = (unsigned)strtoul(value, NULL, 10);
		return sm_params_set_threads(c->params, threads, err, errlen) ? -EINVAL : 0;
	case AXIS_WORKERS: c->workers = (unsigned)strtoul(value, NULL, 10); return 0;
	case AXIS_PLACE: return sm__case_place(c, value, err, errlen);
	case AXIS_MARK: return sm__case_mark_place(c, value, err, errlen);
	case AXIS_KIND: snprintf(c->kind, sizeof(c->kind), "%s", value); return 0;
	}
	return -EINVAL;
}

/* The first that the workload runs on; of what the user named the first. */
static const struct sm_case_backend *first_backend(const struct sm_plan_part *part,
						   const struct sm_workload *w)
{
	for (size_t i = 0; i < part->nbackends; i++) {
		if (w->backends & 1u << part->backends[i].kernel)
			return &part->backends[i];
	}
	return &part->backends[0];
}

/* A program's memory is malloc's, and a library must be able to take malloc's place. */
static int check_program(const struct sm_case *c, char *err, size_t errlen)
{
	const struct sm_program *p = sm_program_of(c->params->workload);
	char why[200];

	if (p == NULL)
		return 0;
	if (c->backend->kernel != SM_WL_LIBC) {
		snprintf(err, errlen,
			 "--backend %s does not apply to a program (%s); allowed: libc, and any "
			 "library of malloc, by name or preload:PATH",
			 c->backend->name, p->name);
		return -EINVAL;
	}
	if (c->backend->library == NULL || sm_program_takes_preload(p, why, sizeof(why)))
		return 0;
	snprintf(err, errlen,
		 "--backend %s: %s, so no library takes the place of its malloc; allowed: libc, it "
		 "then runs as it is",
		 c->backend->name, why);
	return -EINVAL;
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
	job.backend = c->backend->kernel;
	job.backend_name = c->backend->name;
	job.settings = settings;
	job.nsettings = (unsigned)c->settings.n;
	rc = sm_job_check(&job, err, errlen);
	free(settings);
	free(copies);
	return rc;
}

/* The option would win, and the case be called by the other number. */
static int check_workers(const struct sm_case *c, char *err, size_t errlen)
{
	for (size_t i = 0; i < c->settings.n && c->workers > 0; i++) {
		const char *text = c->settings.v[i];
		unsigned long said =
			strncmp(text, "gc.workers=", 11) == 0 ? strtoul(text + 11, NULL, 10) : 0;

		if (said == 0 || said == c->workers)
			continue;
		snprintf(err, errlen,
			 "--workers %u contradicts --set gc.workers=%lu; allowed: one of them",
			 c->workers, said);
		return -EINVAL;
	}
	return 0;
}

/* Does the workload, left as it is by default, run on this many threads? Too many for any workload
 * are apply_value's to refuse. */
static bool runs_on(const struct sm_workload *w, const struct sm_case *c, unsigned threads)
{
	int k = sm_workload_param(w, "threads");
	char err[160];

	if (k < 0)
		return threads == 1;
	if (threads < w->params[k].min)
		return false;
	return w->check == NULL ||
	       sm_params_set_threads(c->params, threads, err, sizeof(err)) != 0 ||
	       w->check(c->params, err, sizeof(err)) == 0;
}

/*
 * Cases of the matrix that make no sense are left out: a backend or a number of threads that this
 * workload does not have, when the user named no workload or named several and others of the values
 * fit; and repetitions of the same case, where a backend has no mark workers to place.
 */
static bool skips(const struct sm_workload *w, const struct sm_case *c, const struct axes *axes,
		  const size_t *at)
{
	const struct sm_plan_part *part = c->part;
	bool all = part->o->workloads.n == 0 && part->programs.n == 0, any = all;

	for (size_t i = 0; i < axes->n; i++) {
		const struct axis *axis = &axes->v[i];

		if (axis->what == AXIS_THREADS && all &&
		    !runs_on(w, c, (unsigned)strtoul(axis->values.v[at[i]], NULL, 10)))
			return true;
		if ((axis->what == AXIS_WORKERS || axis->what == AXIS_MARK) &&
		    c->backend->kernel != SM_WL_GC && at[i] > 0)
			return true;
	}
	for (size_t i = 0; i < part->nbackends; i++)
		any |= (w->backends & 1u << part->backends[i].kernel) != 0;
	return any && !(w->backends & 1u << c->backend->kernel);
}

/* The backend is known before the rest: it decides what else counts. */
static void apply_backend(struct sm_case *c, const struct axes *axes, const size_t *at)
{
	for (size_t i = 0; i < axes->n; i++) {
		if (axes->v[i].what == AXIS_BACKEND)
			c->backend = &c->part->backends[at[i]];
	}
}

/* Is the last case one of those before it ("-w churn,churn", "-p objects=1m,1048576")? Its samples
 * would count twice. 1, 0, -ENOMEM. */
static int repeats(struct sm_plan *p)
{
	char *key = sm__case_key(&p->cases[p->ncases - 1], true);
	int known = key != NULL ? sm_pool_find(&p->keys, key) != NULL : -ENOMEM;

	if (known == 0 && sm_pool_str(&p->keys, key) == NULL)
		known = -ENOMEM;
	free(key);
	return known;
}

static void drop_last(struct sm_plan *p)
{
	sm__case_free(&p->cases[--p->ncases]);
}

static int add_case(struct sm_plan *p, const struct sm_plan_part *part, const struct sm_workload *w,
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
	if ((p->ncases & (p->ncases - 1)) == 0) { /* full */
		cases = realloc(p->cases, (p->ncases ? 2 * p->ncases : 1) * sizeof(*cases));
		if (cases == NULL)
			return -ENOMEM;
		p->cases = cases;
	}
	c = &p->cases[p->ncases];
	*c = (struct sm_case){.part = part,
			      .params = malloc(sizeof(*c->params)),
			      .backend = first_backend(part, w)};
	if (c->params == NULL)
		return -ENOMEM;
	p->ncases++; /* from here on sm_plan_free releases it */
	sm_params_init(c->params, w, part->o->quick);
	apply_backend(c, axes, at);
	if (skips(w, c, axes, at)) {
		if (sm_program_of(w) != NULL && c->backend->kernel != SM_WL_LIBC)
			snprintf(p->note, sizeof(p->note),
				 "--backend %.40s does not apply to programs", c->backend->name);
		drop_last(p);
		return 0;
	}
	for (size_t i = 0; i < axes->n && rc == 0; i++)
		rc = apply_value(c, &axes->v[i], axes->v[i].values.v[at[i]], err, errlen);
	c->threads = sm_params_threads(c->params);
	if (rc == 0)
		rc = check_program(c, err, errlen);
	if (rc == 0)
		rc = check_case(c, err, errlen);
	if (rc == 0)
		rc = check_workers(c, err, errlen);
	if (rc == 0)
		sm__case_drop_ignored(c, p->note, sizeof(p->note));
	if (rc == 0)
		rc = repeats(p);
	if (rc > 0) {
		drop_last(p);
		rc = 0;
	}
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

int sm__plan_expand_workload(struct sm_plan *p, const struct sm_plan_part *part,
			     const struct sm_workload *w, char *err, size_t errlen)
{
	struct axes axes = {0};
	size_t *at = NULL;
	int rc = build_axes(part->o, w, &axes);

	if (rc == 0) {
		at = calloc(axes.n + 1, sizeof(*at));
		rc = at != NULL ? 0 : -ENOMEM;
	}
	if (rc == 0) {
		do
			rc = add_case(p, part, w, &axes, at, err, errlen);
		while (rc == 0 && turn(&axes, at));
	}
	free(at);
	axes_free(&axes);
	return rc;
}
