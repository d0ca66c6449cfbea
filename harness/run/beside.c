/*
 * beside.c: the jobs of simulated passes. See sim.h.
 */
#include "harness/run/sim.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "harness/plan/job.h"
#include "perf/counter_sim.h"
#include "perf/counterset.h"

/* Of one pass; it takes a second or two where nobody else is. */
#define TIMEOUT 60.0

/* Hardware counters were asked for, and none can be read. */
static bool lacks_hardware(const struct sm_counterset *cs)
{
	bool asked = false;

	for (unsigned i = 0; i < cs->n_metrics; i++) {
		const struct sm_cs_metric *m = &cs->metrics[i];

		if (m->source != SM_SOURCE_PMU)
			continue;
		if (m->refused == SM_STATUS_OK || m->refused == SM_STATUS_MULTIPLEXED)
			return false;
		asked = true;
	}
	return asked;
}

static bool is_wanted(const struct sm_run_options *o, const struct sm_plan *p)
{
	char path[256], why[300];

	return o->counters == SM_COUNT_AUTO && p->counters != NULL && o->events.n == 0 &&
	       o->format == SM_FORMAT_TABLE && o->until == NULL && o->topology == NULL &&
	       o->trace == NULL && p->ncases <= SM_BESIDE_CASES && lacks_hardware(p->counters) &&
	       sm_sim_find(path, sizeof(path), why, sizeof(why)) == 0;
}

/* Makes the parameters those of the pass; why it cannot, NULL: it has. */
static const char *shrink(struct sm_params *own, bool quick)
{
	const struct sm_workload *w = own->workload;
	bool known = true;
	struct sm_params small;

	sm_params_init(&small, w, true);
	for (unsigned i = 0; i < sm_workload_nparams(w); i++)
		known = known && (w->params[i].kind != SM_PARAM_INT ||
				  strcmp(w->params[i].name, "threads") == 0);
	for (unsigned i = 0; i < sm_workload_nparams(w); i++) {
		const struct sm_param_desc *d = &w->params[i];
		struct sm_param_value *v = &own->values[i];
		int64_t most = d->simulated ? d->simulated : small.values[i].number;

		known |= d->simulated != 0;
		if (strcmp(d->name, "threads") == 0)
			continue;
		if (v->given && (d->kind != SM_PARAM_INT || v->number > most))
			return "its parameters are larger than those of a simulated pass; "
			       "--counters sim counts it, and takes its time";
		if (d->kind != SM_PARAM_INT && !quick)
			*v = small.values[i];
		else if (d->kind == SM_PARAM_INT && v->number > most)
			v->number = most;
	}
	return known ? NULL : "how long it would take is not known; --counters sim counts it";
}

/* Is the setting's last value this one? */
static bool is_set(const struct sm_case *c, const char *key, const char *value)
{
	size_t len = strlen(key);
	bool is = false;

	for (size_t i = 0; i < c->settings.n; i++) {
		const char *s = c->settings.v[i];

		if (strncmp(s, key, len) == 0 && s[len] == '=')
			is = strcmp(s + len + 1, value) == 0;
	}
	return is;
}

/* Why the case has no pass; NULL: nothing speaks against it. */
static const char *unsuited(const struct sm_case *c, struct sm_params *small, bool quick)
{
	const char *why;
	char err[300];

	if (c->backend->kernel == SM_WL_BDWGC)
		return "bdwgc's threads and stacks are not what Callgrind shows";
	if (is_set(c, "gc.remember", "none") &&
	    (is_set(c, "gc.generations", "on") || is_set(c, "gc.generations", "auto")))
		return "gc.remember=none asks the kernel what Callgrind does not know to ask";
	why = shrink(small, quick);
	if (why == NULL && c->params->workload->check != NULL &&
	    c->params->workload->check(small, err, sizeof(err)) != 0)
		why = "its parameters do not fit a smaller size";
	return why;
}

/* The job of case i, whose plan has it at its pass's size; NULL and *rc 0: it has none, and *why,
 * NULL where that is no news. */
static char *job_of(const struct sm_run_options *sim, struct sm_plan *p, unsigned i,
		    const char **why, int *rc)
{
	struct sm_case *c = &p->cases[i], was = *c;
	struct sm_plan_part part = *c->part;
	struct sm_params small = *c->params;
	char err[300], *job = NULL;

	*rc = 0;
	if (c->backend->missing[0] != '\0' || sm_program_of(c->params->workload) != NULL)
		return NULL;
	*why = unsuited(c, &small, c->part->o->quick);
	if (*why != NULL)
		return NULL;
	if (part.o->workers.n == 0)
		c->workers = 0; /* as many as one thread at a time can use */
	part.o = sim;
	c->part = &part;
	c->params = &small;
	c->placement = (struct sm_placement){0};
	if (sm__plan_place(p, c, err, sizeof(err)) == 0) {
		job = sm__job_format(sim, p, i, p->passes, 0);
		*rc = job != NULL ? 0 : -ENOMEM;
	}
	sm_placement_free(&c->placement);
	*c = was;
	return job;
}

int sm_beside_plan(const struct sm_run_options *o, struct sm_plan *p)
{
	struct sm_run_options sim = *o; /* borrows */
	struct sm_plan with = *p;	/* likewise, but for the counters */
	struct sm_counterset_options opt = {
		.sets = p->sets, .n_sets = p->nsets, .from = SM_COUNTERS_SIM};
	char err[300], **jobs;
	bool said = false;
	int rc;

	if (!is_wanted(o, p))
		return 0;
	jobs = realloc(p->jobs, (p->njobs + p->ncases + 1) * sizeof(*jobs));
	if (jobs == NULL)
		return -ENOMEM;
	p->jobs = jobs;
	sim.counters = SM_COUNT_SIM;
	rc = sm_counterset_new(&opt, &with.counters, err, sizeof(err));
	if (rc)
		return rc == -ENOMEM ? rc : 0;
	with.counters_text = sm__job_counters(&sim, &with);
	with.timeout_s = TIMEOUT;
	rc = with.counters_text != NULL ? 0 : -ENOMEM;
	for (unsigned i = 0; i < p->ncases && rc == 0; i++) {
		const char *why = NULL;
		char *job = job_of(&sim, &with, i, &why, &rc);

		if (job == NULL) {
			if (why != NULL && !said)
				snprintf(p->beside_note, sizeof(p->beside_note),
					 "%.120s: no simulated counts: %s", p->cases[i].label, why);
			said |= why != NULL;
			continue;
		}
		p->jobs[p->njobs++] = job;
		p->nbeside++;
	}
	free(with.counters_text);
	sm_counterset_free(with.counters);
	return rc;
}
