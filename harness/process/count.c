/* count.c: the counters of a tree of processes. See count.h. */
#include "harness/process/count.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "perf/passes.h"
#include "perf/topology.h"
#include "workloads/counting_internal.h"

struct slot {
	int group; /* -1: in none */
	unsigned index;
};

struct sm_count {
	const struct sm_counterset *set;
	unsigned pass, ngroups;
	struct group {
		struct sm_counter_group g;
		struct sm_group_count from, to;
		bool lost;
	} * groups;
	struct slot *slots; /* [kind * n_events + event] */
};

/* ---- opening ------------------------------------------------------------------------------- */

/* pass SM_NONE: those that no PMU counts. */
static bool wanted(const struct sm_count *c, unsigned event, unsigned kind, int pass)
{
	const struct sm_cs_event *e = &c->set->events[event];
	const struct sm_event_resolved *r = &e->res[kind];

	if (pass != SM_NONE)
		return sm__is_hw(e, kind) && (e->in_pass >> pass & 1);
	return !e->constant && r->status == SM_STATUS_OK && r->code.backend == SM_BACKEND_PERF &&
	       r->code.source == SM_SOURCE_SW;
}

static void open_group(struct sm_count *c, pid_t pid, unsigned kind, int pass)
{
	const struct sm_event_code *codes[SM_GROUP_MAX];
	struct sm_group_options opt = {.opener = c->set->opt.opener,
				       .cpu = -1,
				       .pid = pid,
				       .inherit = true,
				       .no_user_read = true,
				       .multiplex = c->set->opt.multiplex};
	unsigned n = 0;

	for (unsigned e = 0; e < c->set->n_events && n < SM_GROUP_MAX; e++) {
		struct slot *s = &c->slots[kind * c->set->n_events + e];

		if (s->group >= 0 || !wanted(c, e, kind, pass))
			continue;
		*s = (struct slot){(int)c->ngroups, n};
		codes[n++] = &c->set->events[e].res[kind].code;
	}
	if (n > 0)
		sm_group_open(&c->groups[c->ngroups++].g, codes, n, &opt);
}

int sm_count_open(const struct sm_counterset *set, unsigned pass, pid_t pid, struct sm_count **out)
{
	size_t slots = set != NULL ? (size_t)set->n_events * set->n_kinds : 0;
	int from, to;
	struct sm_count *c;

	*out = NULL;
	if (set == NULL)
		return 0;
	c = calloc(1, sizeof(*c));
	if (c == NULL)
		return -ENOMEM;
	from = set->opt.multiplex ? 0 : (int)pass;
	to = set->opt.multiplex ? (int)set->n_groups : (int)pass + 1;
	c->slots = calloc(slots + 1, sizeof(*c->slots));
	c->groups = calloc((size_t)(to - from) * set->n_kinds + 1, sizeof(*c->groups));
	if (c->slots == NULL || c->groups == NULL) {
		sm_count_close(c);
		return -ENOMEM;
	}
	c->set = set;
	c->pass = pass;
	for (size_t i = 0; i < slots; i++)
		c->slots[i].group = -1;
	for (unsigned k = 0; k < set->n_kinds; k++)
		for (int i = from; i < to; i++)
			open_group(c, pid, k, i);
	open_group(c, pid, 0, SM_NONE);
	*out = c;
	return 0;
}

static void read_group(struct group *g, struct sm_group_count *to)
{
	if (g->g.n_open > 0 && sm_group_read(&g->g, to) != 0)
		g->lost = true;
}

void sm_count_begin(struct sm_count *c)
{
	for (unsigned i = 0; c != NULL && i < c->ngroups; i++)
		read_group(&c->groups[i], &c->groups[i].from);
}

void sm_count_end(struct sm_count *c)
{
	for (unsigned i = 0; c != NULL && i < c->ngroups; i++)
		read_group(&c->groups[i], &c->groups[i].to);
}

void sm_count_close(struct sm_count *c)
{
	if (c == NULL)
		return;
	for (unsigned i = 0; i < c->ngroups; i++)
		sm_group_close(&c->groups[i].g);
	free(c->groups);
	free(c->slots);
	free(c);
}

/* ---- readings ------------------------------------------------------------------------------ */

/* On a machine of several kinds of cores an event is enabled on all and runs on its own. */
static void judge(const struct sm_count *c, struct sm_reading *r)
{
	if (c->set->n_kinds > 1 && r->source == SM_SOURCE_PMU && !c->set->opt.multiplex)
		r->enabled = r->running;
	if (r->enabled > 0 && r->running == 0) {
		r->status = SM_STATUS_NOT_COUNTED;
		r->reason = "the kernel never scheduled it";
	} else if (r->running < r->enabled) {
		r->status = SM_STATUS_MULTIPLEXED;
		r->reason = c->set->opt.multiplex ? "multiplexed: scaled from a part of the time"
						  : "shared with another user of the PMU: scaled "
						    "from a part of the time";
	}
}

static void from_group(const struct sm_count *c, struct slot s, struct sm_reading *r)
{
	const struct group *group = &c->groups[s.group];
	const struct sm_counter_group *g = &group->g;

	r->source = g->codes[s.index]->source;
	r->status = g->ev[s.index].status;
	r->reason = r->status == SM_STATUS_OK ? NULL : g->ev[s.index].reason;
	if (r->status != SM_STATUS_OK)
		return;
	if (group->lost) {
		r->status = SM_STATUS_NOT_COUNTED;
		r->reason = "the kernel took the counters away (a pinned group lost its place on "
			    "the PMU)";
		return;
	}
	r->raw = group->to.values[s.index] - group->from.values[s.index];
	r->enabled = group->to.enabled - group->from.enabled;
	r->running = group->to.running - group->from.running;
	judge(c, r);
}

static bool is_switches(enum sm_soft what)
{
	return what == SM_SOFT_CONTEXT_SWITCHES || what == SM_SOFT_VOLUNTARY_SWITCHES ||
	       what == SM_SOFT_INVOLUNTARY_SWITCHES;
}

static uint64_t tv_ns(const struct timeval *tv)
{
	return (uint64_t)tv->tv_sec * 1000000000u + (uint64_t)tv->tv_usec * 1000u;
}

static void from_usage(const struct sm_event_code *code, const struct sm_count_total *t,
		       struct sm_reading *r)
{
	uint64_t clock = tv_ns(&t->used->ru_utime) + tv_ns(&t->used->ru_stime);

	r->source = SM_SOURCE_SW;
	r->status = SM_STATUS_OK;
	r->reason = NULL;
	if (is_switches(code->soft) && !t->switches) {
		r->status = SM_STATUS_NOT_COUNTED;
		r->reason = "the kernel keeps it for whole processes, not for a part of their time";
		return;
	}
	r->raw = sm_soft_value(code->soft, clock, t->used);
}

static void fill(const struct sm_count *c, unsigned event, unsigned kind,
		 const struct sm_count_total *t, struct sm_reading *r)
{
	const struct sm_cs_event *e = &c->set->events[event];
	struct slot s = c->slots[kind * c->set->n_events + event];

	*r = sm_counterset_missing(c->set, event, kind, c->pass);
	if (s.group >= 0)
		from_group(c, s, r);
	else if (kind == 0 && !e->constant && e->res[0].status == SM_STATUS_OK &&
		 e->res[0].code.backend == SM_BACKEND_SOFT)
		from_usage(&e->res[0].code, t, r);
}

/* ---- metrics ------------------------------------------------------------------------------- */

static int add_time(const struct sm_count_total *t, const struct sm_metric *names,
		    struct sm_sample *s)
{
	struct sm_metric m = *names;

	m.metric = "time";
	m.event = "wall clock";
	m.unit = "ns";
	m.source = SM_SOURCE_SW;
	m.has_value = true;
	m.value = t->wall_s * 1e9;
	m.enabled_ns = m.running_ns = (uint64_t)m.value;
	return sm_sample_add_metric(s, &m);
}

static int add_row(const struct sm_count *c, unsigned kind, const struct sm_reading *readings,
		   const struct sm_count_total *t, struct sm_sample *s)
{
	struct sm_metric_env env = {.ops = t->ops, .seconds = t->wall_s};
	struct sm_metric names;
	int rc;

	sm_row_init(&sm_metric_type, &names);
	names.by = SM_BY_ROLE;
	names.role = "program";
	names.phase = "total";
	if (c->set->n_kinds > 1)
		names.core_kind = c->set->pmus.pmus[kind].uarch;
	rc = add_time(t, &names, s);
	for (unsigned i = 0; i < c->set->n_metrics && rc == 0; i++) {
		const struct sm_cs_metric *cm = &c->set->metrics[i];
		struct sm_metric m = names;

		if (!sm__counting_has(c->set, c->pass, cm))
			continue;
		for (unsigned k = 0; k < cm->n_events; k++) {
			const struct sm_reading *e = &readings[cm->events[k]];

			m.enabled_ns = e->enabled > m.enabled_ns ? e->enabled : m.enabled_ns;
			if (k == 0 || e->running < m.running_ns)
				m.running_ns = e->running;
		}
		rc = sm__counting_metric(s, c->set, cm, kind, readings, &env, &m);
	}
	return rc;
}

int sm_count_report(const struct sm_count *c, const struct sm_count_total *t, struct sm_sample *s)
{
	struct sm_reading *readings;
	int rc = 0;

	if (c == NULL)
		return 0;
	readings = calloc(c->set->n_events + 1, sizeof(*readings));
	if (readings == NULL)
		return -ENOMEM;
	for (unsigned k = 0; k < c->set->n_kinds && rc == 0; k++) {
		for (unsigned e = 0; e < c->set->n_events; e++)
			fill(c, e, k, t, &readings[e]);
		rc = add_row(c, k, readings, t, s);
	}
	free(readings);
	return rc;
}
