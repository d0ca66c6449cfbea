/* counterset.c: building a counter set: reading, resolving. Packing into passes is in passes.c,
 * evaluation in metric.c. */
#include "perf/counterset.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "perf/passes.h"

struct build {
	struct sm_counterset *cs;
	const struct sm_counterset_options *opt;
	const char *user_dir;
	char *err;
	size_t errlen;
};

static int fail_build(struct build *b, int rc, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

static int fail_build(struct build *b, int rc, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	if (b->err != NULL && b->errlen)
		vsnprintf(b->err, b->errlen, fmt, ap);
	va_end(ap);
	return rc;
}

static void *push(void **array, unsigned *n, size_t size)
{
	void *grown = realloc(*array, (*n + 1) * size);

	if (grown == NULL)
		return NULL;
	*array = grown;
	memset((char *)grown + *n * size, 0, size);
	return (char *)grown + (*n)++ * size;
}

/* Under Callgrind there is one kind of core, the simulated one. */
static const char *uarch(const struct sm_counterset *cs, unsigned kind)
{
	return cs->opt.from == SM_COUNTERS_SIM ? "callgrind" : cs->pmus.pmus[kind].uarch;
}

/* ---- events ------------------------------------------------------------------------------- */

static void resolve_switched_off(struct sm_event_resolved *r)
{
	if (r->status != SM_STATUS_OK || r->code.source != SM_SOURCE_PMU)
		return;
	r->status = SM_STATUS_NOT_COUNTED;
	snprintf(r->reason, sizeof(r->reason),
		 "hardware counters are switched off (--counters=sw)");
}

static bool resolve(struct build *b, const char *string, unsigned kind, struct sm_event_resolved *r,
		    bool *bad)
{
	struct sm_event_options eo = {
		.pmus = &b->cs->pmus, .core = kind, .count_kernel = b->opt->count_kernel};
	bool ok = sm_event_resolve(string, &eo, r, bad);

	/* A simulated run has no PMU to ask, and a real one no simulator. */
	if (ok && b->opt->from == SM_COUNTERS_SIM && r->code.source == SM_SOURCE_PMU) {
		r->status = SM_STATUS_UNSUPPORTED;
		snprintf(r->reason, sizeof(r->reason),
			 "hardware events do not exist under Callgrind (--counters=sim)");
		ok = false;
	} else if (ok && b->opt->from != SM_COUNTERS_SIM && r->code.source == SM_SOURCE_SIM) {
		r->status = SM_STATUS_UNSUPPORTED;
		snprintf(r->reason, sizeof(r->reason), "simulated events need --counters=sim");
		ok = false;
	}
	if (ok && b->opt->from == SM_COUNTERS_SW)
		resolve_switched_off(r);
	return ok;
}

static int find_event(const struct sm_counterset *cs, const char *name, const char *string)
{
	for (unsigned i = 0; i < cs->n_events; i++)
		if (strcmp(cs->events[i].name, name) == 0 &&
		    strcmp(cs->events[i].string, string) == 0)
			return (int)i;
	return -ENOENT;
}

/* The event of a set's name: resolved on each kind by that kind's section. Index or -errno. */
static int add_set_event(struct build *b, const struct sm_setfile *f, const char *name)
{
	struct sm_counterset *cs = b->cs;
	const struct sm_set_mapping *maps[SM_PMU_KINDS] = {NULL};
	const char *string = "";
	struct sm_cs_event *e;
	int i;

	for (unsigned k = cs->n_kinds; k-- > 0;) {
		maps[k] = sm_setfile_map(f, uarch(cs, k), name);
		if (maps[k] != NULL)
			string = maps[k]->string;
	}
	i = find_event(cs, name, string);
	if (i >= 0 && string[0])
		return i;
	e = push((void **)&cs->events, &cs->n_events, sizeof(*e));
	if (e == NULL)
		return fail_build(b, -ENOMEM, "out of memory");
	snprintf(e->name, sizeof(e->name), "%.200s", name);
	memcpy(e->string, string, strlen(string) + 1); /* both are SM_EVENT_STRING long */
	if (strncmp(string, "const::", 7) == 0) {
		e->constant = true;
		e->value = strtod(string + 7, NULL);
	}
	for (unsigned k = 0; k < cs->n_kinds && !e->constant; k++) {
		if (maps[k] != NULL) {
			resolve(b, maps[k]->string, k, &e->res[k], NULL);
			e->uncore |= e->res[k].code.backend == SM_BACKEND_UNCORE;
			continue;
		}
		e->res[k].status = SM_STATUS_UNSUPPORTED;
		if (b->opt->from == SM_COUNTERS_SIM)
			snprintf(e->res[k].reason, sizeof(e->res[k].reason),
				 "Callgrind does not simulate it");
		else
			snprintf(e->res[k].reason, sizeof(e->res[k].reason),
				 "set %s has no %.31s for %s", f->name, name, uarch(cs, k));
	}
	return (int)cs->n_events - 1;
}

static bool known_in_sets(const struct sm_setfile *f, const char *name)
{
	for (unsigned i = 0; i < f->n_maps; i++)
		if (strcmp(f->maps[i].event, name) == 0)
			return true;
	return false;
}

/* ---- metrics ------------------------------------------------------------------------------ */

static int metric_events(struct build *b, const struct sm_setfile *f, struct sm_cs_metric *m)
{
	char names[SM_METRIC_EVENTS + 2][SM_EXPR_NAME], why[200];
	int n = 1, e;

	strcpy(names[0], "");
	if (m->formula[0])
		n = sm_expr_names(m->formula, names, SM_METRIC_EVENTS + 2, why, sizeof(why));
	else
		snprintf(names[0], sizeof(names[0]), "%.31s", m->name);
	if (n < 0)
		return fail_build(b, -EINVAL, "set %s (%s): metric %s: %s", f->name, f->origin,
				  m->name, why);
	for (int i = 0; i < n; i++) {
		/* These come from the run. */
		if (m->formula[0] &&
		    (strcmp(names[i], "ops") == 0 || strcmp(names[i], "seconds") == 0))
			continue;
		if (!known_in_sets(f, names[i]))
			return fail_build(
				b, -EINVAL,
				"set %s (%s): metric %s uses \"%s\", which no [pmu] section "
				"defines",
				f->name, f->origin, m->name, names[i]);
		if (m->n_events == SM_METRIC_EVENTS)
			return fail_build(b, -EINVAL,
					  "set %s (%s): metric %s uses more than %d events",
					  f->name, f->origin, m->name, SM_METRIC_EVENTS);
		e = add_set_event(b, f, names[i]);
		if (e < 0)
			return e;
		m->events[m->n_events++] = (unsigned)e;
	}
	return 0;
}

static bool have_metric(const struct sm_counterset *cs, const char *set, const char *name)
{
	for (unsigned i = 0; i < cs->n_metrics; i++)
		if (strcmp(cs->metrics[i].set, set) == 0 && strcmp(cs->metrics[i].name, name) == 0)
			return true;
	return false;
}

static int add_set(struct build *b, const char *name)
{
	struct sm_counterset *cs = b->cs;
	struct sm_setfile *f;
	int rc = sm_setfile_find(name, b->user_dir, &f, b->err, b->errlen);

	if (rc)
		return rc;
	for (unsigned i = 0; !rc && i < f->n_metrics; i++) {
		struct sm_cs_metric *m;

		if (have_metric(cs, f->name, f->metrics[i].name))
			continue;
		m = push((void **)&cs->metrics, &cs->n_metrics, sizeof(*m));
		if (m == NULL) {
			rc = fail_build(b, -ENOMEM, "out of memory");
			break;
		}
		snprintf(m->set, sizeof(m->set), "%s", f->name);
		snprintf(m->name, sizeof(m->name), "%s", f->metrics[i].name);
		snprintf(m->formula, sizeof(m->formula), "%s", f->metrics[i].formula);
		snprintf(m->unit, sizeof(m->unit), "%s", f->metrics[i].unit);
		snprintf(m->help, sizeof(m->help), "%s", f->metrics[i].help);
		m->better = f->metrics[i].better;
		rc = metric_events(b, f, m);
	}
	sm_setfile_free(f);
	return rc;
}

/* -e: one metric, one event. A string that no kind could ever resolve is a usage error. */
static int add_raw(struct build *b, const char *string)
{
	struct sm_counterset *cs = b->cs;
	struct sm_cs_event *e;
	struct sm_cs_metric *m;
	bool all_bad = true;

	if (strlen(string) >= SM_EVENT_STRING)
		return fail_build(b, -EINVAL, "-e %.40s...: longer than %d characters", string,
				  SM_EVENT_STRING - 1);
	if (have_metric(cs, "", string))
		return 0;
	e = push((void **)&cs->events, &cs->n_events, sizeof(*e));
	m = e != NULL ? push((void **)&cs->metrics, &cs->n_metrics, sizeof(*m)) : NULL;
	if (m == NULL)
		return fail_build(b, -ENOMEM, "out of memory");
	snprintf(e->name, sizeof(e->name), "%s", string);
	snprintf(e->string, sizeof(e->string), "%s", string);
	snprintf(m->name, sizeof(m->name), "%s", string);
	for (unsigned k = 0; k < cs->n_kinds; k++) {
		bool bad = false;

		resolve(b, string, k, &e->res[k], &bad);
		e->uncore |= e->res[k].code.backend == SM_BACKEND_UNCORE;
		all_bad &= bad;
	}
	if (all_bad)
		return fail_build(
			b, -EINVAL,
			"-e %s: %s; allowed: libpfm4 names (spanmark events PATTERN lists "
			"them), rNNN, "
			"PMU/term=value,../, "
			"sw::NAME, tp::CATEGORY:NAME",
			string, e->res[0].reason);
	snprintf(m->unit, sizeof(m->unit), "%s",
		 e->res[0].code.backend == SM_BACKEND_SOFT ? sm_soft_unit(e->res[0].code.soft)
							   : "count");
	m->n_events = 1;
	m->events[0] = cs->n_events - 1;
	return 0;
}

/* ---- all together ------------------------------------------------------------------------- */

/* A microarchitecture that only libpfm4 knows by name: user sets may refer to it. */
static void name_by_pfm(struct sm_counterset *cs)
{
	const char *pfm = cs->pmus.root[0] ? NULL : sm_event_detected_pmu();

	if (pfm != NULL && cs->pmus.n_core == 1 && strcmp(cs->pmus.pmus[0].uarch, "unknown") == 0)
		snprintf(cs->pmus.pmus[0].uarch, sizeof(cs->pmus.pmus[0].uarch), "%s", pfm);
}

static int build(struct build *b)
{
	struct sm_counterset *cs = b->cs;
	int rc = sm_pmus_scan(b->opt->root, &cs->pmus);

	if (rc == -E2BIG)
		return fail_build(b, -EINVAL,
				  "this machine has more than %d kinds of cores with a PMU each; "
				  "allowed: --counters=none",
				  SM_PMU_KINDS);
	if (rc)
		return fail_build(b, rc, "out of memory");
	name_by_pfm(cs);
	cs->n_kinds = b->opt->from == SM_COUNTERS_SIM ? 1 : cs->pmus.n_core;
	for (unsigned i = 0; !rc && i < b->opt->n_sets; i++)
		rc = add_set(b, b->opt->sets[i]);
	for (unsigned i = 0; !rc && i < b->opt->n_events; i++)
		rc = add_raw(b, b->opt->events[i]);
	if (!rc)
		rc = sm__passes_plan(cs);
	if (rc == -EINVAL && b->opt->plan != NULL)
		fail_build(b, rc, "the counter sets are not those that the run was planned with");
	if (rc == -ENOMEM)
		fail_build(b, rc, "out of memory");
	return rc;
}

int sm_counterset_new(const struct sm_counterset_options *opt, struct sm_counterset **out,
		      char *err, size_t errlen)
{
	char dir[512];
	struct build b = {.opt = opt, .user_dir = opt->user_dir, .err = err, .errlen = errlen};
	int rc;

	*out = NULL;
	if (b.user_dir == NULL) {
		sm_setfile_user_dir(dir, sizeof(dir));
		b.user_dir = dir;
	}
	b.cs = calloc(1, sizeof(*b.cs));
	if (b.cs == NULL)
		return fail_build(&b, -ENOMEM, "out of memory");
	b.cs->opt = *opt;
	/* The caller's arrays are not kept. */
	b.cs->opt.sets = b.cs->opt.events = NULL;
	rc = build(&b);
	b.cs->opt.user_dir = b.cs->opt.root = NULL;
	b.cs->opt.plan = NULL;
	if (rc) {
		sm_counterset_free(b.cs);
		return rc;
	}
	*out = b.cs;
	return 0;
}

void sm_counterset_free(struct sm_counterset *cs)
{
	if (cs == NULL)
		return;
	sm_pmus_free(&cs->pmus);
	free(cs->events);
	free(cs->metrics);
	free(cs);
}
