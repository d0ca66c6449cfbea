/* counting_uncore.c: see counting_uncore.h. */
#include "workloads/counting_uncore.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "perf/uncore.h"
#include "workloads/counting_internal.h"

struct sm_uncore_run {
	const struct sm_counterset *set;
	const struct sm_topology *topology;
	struct sm_uncore *counters;
};

static bool any(const struct sm_counterset *set)
{
	for (unsigned i = 0; i < set->n_metrics; i++)
		if (set->metrics[i].uncore)
			return true;
	return false;
}

/* They share nothing with the core's counters: the first pass counts all of them. */
struct sm_uncore_run *sm__uncore_new(const struct sm_counterset *set, unsigned pass,
				     const struct sm_topology *topology)
{
	struct sm_uncore_run *u;

	if (pass != 0 || topology == NULL || !topology->is_thissystem || !any(set))
		return NULL;
	u = calloc(1, sizeof(*u));
	if (u == NULL)
		return NULL;
	u->set = set;
	u->topology = topology;
	if (sm_uncore_open(set, topology, &u->counters) != 0) {
		free(u);
		return NULL;
	}
	return u;
}

void sm__uncore_arm(struct sm_uncore_run *u, bool on)
{
	if (u == NULL)
		return;
	if (on)
		sm_uncore_start(u->counters);
	else
		sm_uncore_stop(u->counters);
}

/* Does the metric concern this row: are all its events of this package's or this L3's kind? */
static bool concerns(const struct sm_counterset *set, const struct sm_cs_metric *m,
		     const struct sm_uncore_row *row)
{
	for (unsigned i = 0; i < m->n_events; i++) {
		const struct sm_cs_event *e = &set->events[m->events[i]];

		if (e->uncore && (strstr(e->string, "l3") != NULL) != row->is_l3)
			return false;
	}
	return m->uncore;
}

static int add(const struct sm_uncore_run *u, const struct sm_uncore_row *row,
	       const struct sm_cs_metric *cm, const struct sm_metric_env *env,
	       struct sm_sample *sample)
{
	struct sm_metric m;

	sm_row_init(&sm_metric_type, &m);
	m.by = row->is_l3 ? SM_BY_L3 : SM_BY_PACKAGE;
	m.role = sm_by_names[m.by];
	m.phase = "total";
	m.thread = row->is_l3 ? row->index : u->topology->packages[row->index].os;
	if (cm->n_events > 0) {
		m.enabled_ns = row->readings[cm->events[0]].enabled;
		m.running_ns = row->readings[cm->events[0]].running;
	}
	return sm__counting_metric(sample, u->set, cm, 0, row->readings, env, &m);
}

/* Metrics for which the machine has no PMU at all have no row of their own: told once, for package
 * 0. */
static int add_missing(const struct sm_uncore_run *u, const struct sm_metric_env *env,
		       struct sm_sample *sample, const struct sm_uncore_row *rows, unsigned n)
{
	struct sm_reading *none = calloc(u->set->n_events, sizeof(*none));
	struct sm_uncore_row row = {.readings = none};
	int err = none != NULL ? 0 : -ENOMEM;

	for (unsigned i = 0; err == 0 && i < u->set->n_events; i++)
		none[i] = sm_counterset_missing(u->set, i, 0, 0);
	for (unsigned m = 0; err == 0 && m < u->set->n_metrics; m++) {
		const struct sm_cs_metric *cm = &u->set->metrics[m];
		bool has_row = false;

		for (unsigned i = 0; i < n; i++)
			has_row |= concerns(u->set, cm, &rows[i]);
		if (cm->uncore && !has_row)
			err = add(u, &row, cm, env, sample);
	}
	free(none);
	return err;
}

int sm__uncore_collect(const struct sm_uncore_run *u, struct sm_sample *sample, double ops,
		       uint64_t timed_ns)
{
	struct sm_metric_env env = {.ops = ops, .seconds = (double)timed_ns * 1e-9};
	const struct sm_uncore_row *rows;
	unsigned n;
	int err;

	if (u == NULL)
		return 0;
	n = sm_uncore_rows(u->counters, &rows);
	err = add_missing(u, &env, sample, rows, n);
	for (unsigned i = 0; i < n; i++)
		for (unsigned m = 0; err == 0 && m < u->set->n_metrics; m++)
			if (concerns(u->set, &u->set->metrics[m], &rows[i]))
				err = add(u, &rows[i], &u->set->metrics[m], &env, sample);
	return err;
}

void sm__uncore_free(struct sm_uncore_run *u)
{
	if (u == NULL)
		return;
	sm_uncore_free(u->counters);
	free(u);
}
