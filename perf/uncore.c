/* uncore.c: see uncore.h. */
#include "perf/uncore.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One event on one instance and CPU. */
struct cell {
	unsigned event, row;
	struct sm_event_code code;
	struct sm_counter_group g;
	struct sm_group_count from;
	bool started, counted;
	struct sm_reading sum; /* over all stretches between start and stop */
};

struct sm_uncore {
	const struct sm_counterset *cs;
	const struct sm_topology *topo;
	unsigned n_rows, n_cells;
	struct sm_uncore_row *rows;
	struct cell *cells;
	/* [n_events]: why a part of the event is counted nowhere, so that its sums are none */
	const char **lacks;
};

/* Is the device the PMU of this name, or one of its numbered instances? */
static bool instance_of(const char *device, const char *base, size_t len)
{
	if (strncmp(device, base, len) != 0)
		return false;
	if (!device[len])
		return true;
	return device[len] == '_' && device[len + 1] &&
	       strspn(device + len + 1, "0123456789") == strlen(device + len + 1);
}

static int row_for(struct sm_uncore *u, bool is_l3, int index)
{
	struct sm_uncore_row *r;

	for (unsigned i = 0; i < u->n_rows; i++)
		if (u->rows[i].is_l3 == is_l3 && u->rows[i].index == index)
			return (int)i;
	r = realloc(u->rows, (u->n_rows + 1) * sizeof(*r));
	if (r == NULL)
		return -ENOMEM;
	u->rows = r;
	r += u->n_rows;
	*r = (struct sm_uncore_row){.is_l3 = is_l3, .index = index};
	r->readings = calloc(u->cs->n_events, sizeof(*r->readings));
	if (r->readings == NULL)
		return -ENOMEM;
	for (unsigned e = 0; e < u->cs->n_events; e++) {
		r->readings[e].source = SM_SOURCE_PMU;
		r->readings[e].status = SM_STATUS_NOT_COUNTED;
		r->readings[e].reason = "not an event of this package or L3";
	}
	return (int)u->n_rows++;
}

static int add_cell(struct sm_uncore *u, unsigned event, const struct sm_event_code *code,
		    const struct sm_pmu *pmu, int cpu)
{
	struct sm_group_options opt = {
		.opener = u->cs->opt.opener, .pid = -1, .cpu = cpu, .no_user_read = true};
	int pu = sm_topology_pu(u->topo, cpu), row;
	bool is_l3 = strstr(pmu->device, "l3") != NULL && pu != SM_NONE &&
		     u->topo->pus[pu].l3 != SM_NONE;
	const struct sm_event_code *codes[1];
	struct cell *c;

	if (pu == SM_NONE) {
		u->lacks[event] = "a unit of it belongs to a CPU that is not in the topology";
		return 0;
	}
	row = row_for(u, is_l3, is_l3 ? u->topo->pus[pu].l3 : u->topo->pus[pu].package);
	if (row < 0)
		return row;
	c = realloc(u->cells, (u->n_cells + 1) * sizeof(*c));
	if (c == NULL)
		return -ENOMEM;
	u->cells = c;
	c += u->n_cells++;
	*c = (struct cell){.event = event, .row = (unsigned)row, .code = *code};
	codes[0] = &c->code;
	sm_group_open(&c->g, codes, 1, &opt);
	if (c->g.ev[0].status == SM_STATUS_DENIED)
		snprintf(c->g.ev[0].reason, sizeof(c->g.ev[0].reason),
			 "counting a whole package or L3 needs perf_event_paranoid 0 or less, or "
			 "CAP_PERFMON");
	return 0;
}

/* The event's own terms on every instance of its PMU. */
static int open_event(struct sm_uncore *u, unsigned event)
{
	const char *string = u->cs->events[event].string, *slash = strchr(string, '/');
	struct sm_event_options eo = {.pmus = &u->cs->pmus};
	struct sm_event_resolved r;
	char name[SM_EVENT_STRING + 64];
	int rc = 0;

	for (unsigned i = u->cs->pmus.n_core; slash != NULL && !rc && i < u->cs->pmus.n; i++) {
		const struct sm_pmu *pmu = &u->cs->pmus.pmus[i];

		if (pmu->core || !instance_of(pmu->device, string, (size_t)(slash - string)))
			continue;
		snprintf(name, sizeof(name), "%s%s", pmu->device, slash);
		if (!sm_event_resolve(name, &eo, &r, NULL)) {
			u->lacks[event] = "not every unit of its PMU has this event";
			continue;
		}
		for (int cpu = sm_cpumask_next(&pmu->cpus, 0); !rc && cpu >= 0;
		     cpu = sm_cpumask_next(&pmu->cpus, cpu + 1))
			rc = add_cell(u, event, &r.code, pmu, cpu);
	}
	return rc;
}

int sm_uncore_open(const struct sm_counterset *cs, const struct sm_topology *topo,
		   struct sm_uncore **out)
{
	struct sm_uncore *u = calloc(1, sizeof(*u));
	int rc = u != NULL ? 0 : -ENOMEM;

	*out = u;
	if (u == NULL)
		return rc;
	u->cs = cs;
	u->topo = topo;
	u->lacks = calloc(cs->n_events + 1, sizeof(*u->lacks));
	rc = u->lacks != NULL ? 0 : -ENOMEM;
	for (unsigned e = 0; !rc && e < cs->n_events; e++)
		if (cs->events[e].uncore && cs->opt.from == SM_COUNTERS_AUTO)
			rc = open_event(u, e);
	/* The array moved while it grew: codes are found again. */
	for (unsigned i = 0; i < u->n_cells; i++)
		u->cells[i].g.codes[0] = &u->cells[i].code;
	if (rc) {
		sm_uncore_free(u);
		*out = NULL;
		return rc;
	}
	sm_uncore_start(u);
	return 0;
}

void sm_uncore_start(struct sm_uncore *u)
{
	for (unsigned i = 0; u != NULL && i < u->n_cells; i++)
		u->cells[i].started = !sm_group_read(&u->cells[i].g, &u->cells[i].from);
}

static struct sm_reading difference(struct cell *c)
{
	struct sm_reading r = {
		.source = SM_SOURCE_PMU, .status = c->g.ev[0].status, .reason = c->g.ev[0].reason};
	struct sm_group_count to;

	if (r.status != SM_STATUS_OK)
		return r;
	r.reason = NULL;
	if (!c->started || sm_group_read(&c->g, &to)) {
		r.status = SM_STATUS_NOT_COUNTED;
		r.reason = "the kernel could not read it";
		return r;
	}
	r.raw = to.values[0] - c->from.values[0];
	r.enabled = to.enabled - c->from.enabled;
	r.running = to.running - c->from.running;
	if (r.enabled && !r.running) {
		r.status = SM_STATUS_NOT_COUNTED;
		r.reason = "the kernel never scheduled it";
	} else if (r.running < r.enabled) {
		r.status = SM_STATUS_MULTIPLEXED;
		r.reason = "shared with other users: scaled from a part of the time";
	}
	return r;
}

/* The instances of one event in one package add up. */
static void publish(struct sm_uncore *u, const struct cell *c)
{
	struct sm_reading *sum = &u->rows[c->row].readings[c->event];
	bool first = true;

	for (const struct cell *other = u->cells; other < c; other++)
		first &= other->row != c->row || other->event != c->event;
	if (first)
		*sum = c->sum;
	else
		sm_reading_add(sum, &c->sum);
	if (u->lacks[c->event] != NULL && sm_status_has_value(sum->status)) {
		sum->status = SM_STATUS_NOT_COUNTED;
		sum->reason = u->lacks[c->event];
	}
}

void sm_uncore_stop(struct sm_uncore *u)
{
	for (unsigned i = 0; u != NULL && i < u->n_cells; i++) {
		struct cell *c = &u->cells[i];
		struct sm_reading r = difference(c);

		if (c->counted)
			sm_reading_add(&c->sum, &r);
		else
			c->sum = r;
		c->counted = true;
		publish(u, c);
	}
}

unsigned sm_uncore_rows(const struct sm_uncore *u, const struct sm_uncore_row **rows)
{
	*rows = u != NULL ? u->rows : NULL;
	return u != NULL ? u->n_rows : 0;
}

void sm_uncore_free(struct sm_uncore *u)
{
	if (u == NULL)
		return;
	for (unsigned i = 0; i < u->n_cells; i++)
		sm_group_close(&u->cells[i].g);
	for (unsigned i = 0; i < u->n_rows; i++)
		free(u->rows[i].readings);
	free(u->rows);
	free(u->cells);
	free(u->lacks);
	free(u);
}
