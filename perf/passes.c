/*
 * passes.c: first-fit packing of metrics into passes. An item is one metric: all its hardware
 * events must count together. Whether a set of events fits is asked of the kernel (sm_group_fits),
 * on a CPU of each kind, never looked up.
 */
#include "perf/passes.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "perf/screen.h"

struct pass {
	unsigned n;
	unsigned events[SM_GROUP_MAX];
};

struct plan {
	struct sm_counterset *cs;
	struct pass passes[SM_PASSES_MAX];
	unsigned n;
};

bool sm__is_hw(const struct sm_cs_event *e, unsigned kind)
{
	const struct sm_event_resolved *r = &e->res[kind];

	return !e->constant && r->status == SM_STATUS_OK && r->code.backend == SM_BACKEND_PERF &&
	       r->code.source == SM_SOURCE_PMU;
}

/* The mask to return to; a set is built by one thread. */
static _Thread_local cpu_set_t saved;
static _Thread_local bool have_saved;

void sm__go_to_kind(const struct sm_counterset *cs, unsigned kind)
{
	const struct sm_pmu *pmu = &cs->pmus.pmus[kind];
	cpu_set_t set;

	if (cs->n_kinds < 2)
		return;
	if (!have_saved)
		have_saved = !sched_getaffinity(0, sizeof(saved), &saved);
	if (!have_saved)
		return;
	CPU_ZERO(&set);
	for (int c = sm_cpumask_next(&pmu->cpus, 0); c >= 0 && c < CPU_SETSIZE;
	     c = sm_cpumask_next(&pmu->cpus, c + 1))
		if (CPU_ISSET(c, &saved))
			CPU_SET(c, &set);
	if (CPU_COUNT(&set))
		sched_setaffinity(0, sizeof(set), &set);
}

void sm__go_back(const struct sm_counterset *cs)
{
	if (cs->n_kinds >= 2 && have_saved)
		sched_setaffinity(0, sizeof(saved), &saved);
	have_saved = false;
}

/* ---- each event alone --------------------------------------------------------------------- */

static void try_event(struct plan *p, struct sm_cs_event *e, unsigned kind)
{
	const struct sm_counterset_options *o = &p->cs->opt;
	struct sm_group_options opt = {
		.opener = o->opener, .cpu = -1, .no_user_read = true, .multiplex = o->multiplex};
	const struct sm_event_code *code = &e->res[kind].code;
	struct sm_event_resolved *r = &e->res[kind];
	struct sm_counter_group g;

	sm_group_open(&g, &code, 1, &opt);
	if (g.ev[0].status != SM_STATUS_OK) {
		r->status = g.ev[0].status;
		snprintf(r->reason, sizeof(r->reason), "%s", g.ev[0].reason);
	}
	sm_group_close(&g);
	if (r->status != SM_STATUS_OK || r->code.source != SM_SOURCE_PMU || o->multiplex)
		return;
	if (!sm_group_fits(&code, 1, o->opener)) {
		r->status = SM_STATUS_NOT_COUNTED;
		snprintf(r->reason, sizeof(r->reason),
			 "it opens, but the kernel finds no free counter for it (NMI watchdog, "
			 "another "
			 "profiler?)");
	}
}

static void try_events(struct plan *p)
{
	for (unsigned k = 0; k < p->cs->n_kinds; k++) {
		sm__go_to_kind(p->cs, k);
		for (unsigned i = 0; i < p->cs->n_events; i++) {
			struct sm_cs_event *e = &p->cs->events[i];

			if (!e->constant && e->res[k].status == SM_STATUS_OK &&
			    e->res[k].code.backend == SM_BACKEND_PERF)
				try_event(p, e, k);
		}
	}
	sm__go_back(p->cs);
}

/* ---- together ----------------------------------------------------------------------------- */

static bool fits_on(struct plan *p, const struct pass *s, unsigned kind)
{
	const struct sm_event_code *codes[SM_GROUP_MAX];
	unsigned n = 0;
	bool fits;

	for (unsigned i = 0; i < s->n; i++)
		if (sm__is_hw(&p->cs->events[s->events[i]], kind))
			codes[n++] = &p->cs->events[s->events[i]].res[kind].code;
	if (n < 2 || p->cs->opt.no_probe || p->cs->opt.plan != NULL)
		return true;
	sm__go_to_kind(p->cs, kind);
	fits = sm_group_fits(codes, n, p->cs->opt.opener);
	sm__go_back(p->cs);
	return fits;
}

static bool contains(const struct pass *s, unsigned event)
{
	for (unsigned i = 0; i < s->n; i++)
		if (s->events[i] == event)
			return true;
	return false;
}

static bool any_hw(const struct sm_counterset *cs, unsigned event)
{
	for (unsigned k = 0; k < cs->n_kinds; k++)
		if (sm__is_hw(&cs->events[event], k))
			return true;
	return false;
}

/* Adds a metric's events to the pass if the result fits on every kind. */
static bool add_to(struct plan *p, struct pass *s, const struct sm_cs_metric *m)
{
	struct pass grown = *s;

	for (unsigned i = 0; i < m->n_events; i++) {
		if (contains(&grown, m->events[i]) || !any_hw(p->cs, m->events[i]))
			continue;
		if (grown.n == SM_GROUP_MAX)
			return false;
		grown.events[grown.n++] = m->events[i];
	}
	for (unsigned k = 0; grown.n != s->n && k < p->cs->n_kinds; k++)
		if (!fits_on(p, &grown, k))
			return false;
	*s = grown;
	return true;
}

static unsigned hw_events_of(const struct plan *p, const struct sm_cs_metric *m)
{
	unsigned n = 0;

	for (unsigned i = 0; i < m->n_events; i++)
		n += any_hw(p->cs, m->events[i]);
	return n;
}

/* planned: the pass that it is in already, -1: none; NULL: the first that takes it. */
static void pack(struct plan *p, struct sm_cs_metric *m, const int *planned)
{
	unsigned n = hw_events_of(p, m);
	unsigned from = planned != NULL && *planned >= 0 ? (unsigned)*planned : 0;
	unsigned to = planned == NULL ? p->n + 1 : *planned < 0 ? 0 : from + 1;

	if (!n)
		return;
	for (unsigned i = from; i < to && i < SM_PASSES_MAX; i++) {
		if (!add_to(p, &p->passes[i], m))
			continue;
		m->pass = i;
		p->n = i + 1 > p->n ? i + 1 : p->n;
		return;
	}
	m->refused = SM_STATUS_NOT_COUNTED;
	snprintf(m->reason, sizeof(m->reason),
		 "its %u events do not fit on this PMU's free counters at once", n);
}

/* The metric's own verdict: what keeps it from being counted on every kind. */
static void judge(const struct sm_counterset *cs, struct sm_cs_metric *m)
{
	for (unsigned i = 0; i < m->n_events; i++) {
		const struct sm_cs_event *e = &cs->events[m->events[i]];
		const struct sm_event_resolved *worst = NULL;
		bool good = e->constant;

		for (unsigned k = 0; !e->constant && k < cs->n_kinds; k++) {
			if (e->res[k].status == SM_STATUS_OK)
				good = true;
			else
				worst = &e->res[k];
			if (e->res[k].code.source == SM_SOURCE_PMU)
				m->source = SM_SOURCE_PMU;
		}
		m->uncore |= e->uncore;
		if (!good && worst != NULL && m->refused == SM_STATUS_OK) {
			m->refused = worst->status;
			snprintf(m->reason, sizeof(m->reason), "%s", worst->reason);
		}
	}
}

static void set_source(const struct sm_counterset *cs, struct sm_cs_metric *m)
{
	m->source = SM_SOURCE_SW;
	for (unsigned i = 0; i < m->n_events; i++) {
		const struct sm_cs_event *e = &cs->events[m->events[i]];
		enum sm_source s = e->res[0].code.source;

		if (e->constant || s == SM_SOURCE_SW)
			continue;
		m->source = cs->opt.from == SM_COUNTERS_SIM ? SM_SOURCE_SIM : s;
	}
}

/* The verdicts of an earlier try of the events. -EINVAL: on another set. */
static int take_verdicts(struct sm_counterset *cs, const struct sm_pass_plan *plan)
{
	if (plan->n_metrics != cs->n_metrics)
		return -EINVAL;
	for (unsigned i = 0; i < cs->n_metrics; i++)
		if (strcmp(plan->metrics[i].name, cs->metrics[i].name) != 0)
			return -EINVAL;
	for (unsigned i = 0; i < plan->n_verdicts; i++) {
		const struct sm_pass_verdict *v = &plan->verdicts[i];
		struct sm_event_resolved *r;

		if (v->event >= cs->n_events || v->kind >= cs->n_kinds)
			return -EINVAL;
		r = &cs->events[v->event].res[v->kind];
		r->status = v->status;
		snprintf(r->reason, sizeof(r->reason), "%s", v->reason);
	}
	return 0;
}

int sm_counterset_plan(const struct sm_counterset *cs, struct sm_pass_plan *out)
{
	*out = (struct sm_pass_plan){
		.n_metrics = cs->n_metrics,
		.metrics = calloc(cs->n_metrics + 1, sizeof(*out->metrics)),
		.verdicts = calloc(cs->n_events * cs->n_kinds + 1, sizeof(*out->verdicts)),
	};
	if (out->metrics == NULL || out->verdicts == NULL) {
		free(out->metrics);
		free(out->verdicts);
		return -ENOMEM;
	}
	for (unsigned i = 0; i < cs->n_metrics; i++) {
		const struct sm_cs_metric *m = &cs->metrics[i];

		out->metrics[i] = (struct sm_pass_metric){
			m->name, m->refused == SM_STATUS_OK ? (int)m->pass : -1};
	}
	for (unsigned e = 0; e < cs->n_events; e++)
		for (unsigned k = 0; k < cs->n_kinds; k++) {
			const struct sm_event_resolved *r = &cs->events[e].res[k];

			if (r->status != SM_STATUS_OK)
				out->verdicts[out->n_verdicts++] =
					(struct sm_pass_verdict){e, k, r->status, r->reason};
		}
	return 0;
}

int sm__passes_plan(struct sm_counterset *cs)
{
	const struct sm_pass_plan *before = cs->opt.plan;
	static _Thread_local struct plan plan; /* large: not for the stack of a small thread */
	struct plan *p = &plan;

	memset(p, 0, sizeof(*p));
	p->cs = cs;
	if (before != NULL && take_verdicts(cs, before))
		return -EINVAL;
	if (before == NULL && !cs->opt.no_probe && cs->opt.from != SM_COUNTERS_SIM) {
		try_events(p);
		if (!cs->opt.no_screen)
			sm__screen(cs);
	}
	p->n = 1;
	for (unsigned i = 0; i < cs->n_metrics; i++) {
		set_source(cs, &cs->metrics[i]);
		judge(cs, &cs->metrics[i]);
		if (cs->metrics[i].refused == SM_STATUS_OK && cs->opt.from != SM_COUNTERS_SIM)
			pack(p, &cs->metrics[i], before != NULL ? &before->metrics[i].pass : NULL);
	}
	for (unsigned i = 0; i < p->n; i++) {
		for (unsigned j = 0; j < p->passes[i].n; j++)
			cs->events[p->passes[i].events[j]].in_pass |= (uint64_t)1 << i;
		if (p->passes[i].n > cs->most_together)
			cs->most_together = p->passes[i].n;
	}
	cs->n_groups = p->n;
	cs->n_passes = cs->opt.multiplex ? 1 : p->n;
	return 0;
}
