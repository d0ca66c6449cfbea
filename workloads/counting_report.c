/*
 * counting_report.c: from the readings of threads to metrics: by thread, by role, and by core, L3,
 * node or core kind where the job asks for it. perf/rollup.h adds up; formulas are evaluated over
 * the sums, where all events are at hand.
 */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "perf/names.h"
#include "perf/rollup.h"
#include "workloads/counting_internal.h"
#include "workloads/counting_uncore.h"

/* The label of APP in a thread that has no application. */
#define LABEL_IDLE SM_REGIONS

/* ---- metrics ------------------------------------------------------------------------------ */

/* What one row is made of: a thread or a sum over threads, one phase or all. */
struct row {
	const struct sm_counting *c;
	struct sm_sample *sample;
	struct sm_metric names; /* what all metrics of the row say of it */
	unsigned kind;
	const struct sm_reading *readings; /* [n_events] */
	struct sm_region_time time;
	double ops;
};

static int add_time(const struct row *r)
{
	struct sm_metric m = r->names;
	int err;

	m.metric = "time";
	m.event = "wall clock";
	m.unit = "ns";
	m.source = SM_SOURCE_SW;
	m.has_value = true;
	m.value = (double)r->time.ns;
	m.enabled_ns = m.running_ns = r->time.ns;
	err = sm_sample_add_metric(r->sample, &m);
	m.metric = "enters";
	m.event = "times that the phase was entered";
	m.unit = "times";
	m.value = (double)r->time.enters;
	return err != 0 ? err : sm_sample_add_metric(r->sample, &m);
}

int sm__counting_metric(struct sm_sample *sample, const struct sm_counterset *set,
			const struct sm_cs_metric *cm, unsigned kind,
			const struct sm_reading *readings, const struct sm_metric_env *env,
			struct sm_metric *m)
{
	struct sm_metric_value v;
	char event[256];

	sm_metric_eval(set, cm, kind, readings, env, &v);
	sm_counterset_label(set, cm, kind, event, sizeof(event));
	m->metric = cm->name;
	m->event = event;
	m->unit = cm->unit;
	m->source = v.source;
	m->status = v.status;
	m->reason = v.reason;
	m->has_value = sm_status_has_value(v.status);
	m->value = m->has_value ? v.value : 0;
	return sm_sample_add_metric(sample, m);
}

static int add_metric(const struct row *r, const struct sm_cs_metric *cm)
{
	struct sm_metric_env env = {.ops = r->ops, .seconds = (double)r->time.ns * 1e-9};
	struct sm_metric m = r->names;

	for (unsigned i = 0; i < cm->n_events; i++) {
		const struct sm_reading *e = &r->readings[cm->events[i]];

		m.enabled_ns = e->enabled > m.enabled_ns ? e->enabled : m.enabled_ns;
		if (i == 0 || e->running < m.running_ns)
			m.running_ns = e->running;
	}
	return sm__counting_metric(r->sample, r->c->set, cm, r->kind, r->readings, &env, &m);
}

static int add_row(const struct row *r)
{
	int err = add_time(r);

	for (unsigned i = 0; i < r->c->set->n_metrics && err == 0; i++)
		if (sm__counting_has(r->c->set, r->c->pass, &r->c->set->metrics[i]))
			err = add_metric(r, &r->c->set->metrics[i]);
	return err;
}

/* ---- rows --------------------------------------------------------------------------------- */

/* The list is last started first; metrics are told in the order of roles' names, then by index. */
static struct sm_counted *in_order(struct sm_counted *list)
{
	struct sm_counted *sorted = NULL;

	while (list != NULL) {
		struct sm_counted *t = list, **at = &sorted;

		list = t->next;
		while (*at != NULL &&
		       (strcmp((*at)->role, t->role) < 0 ||
			(strcmp((*at)->role, t->role) == 0 && (*at)->index < t->index)))
			at = &(*at)->next;
		t->next = *at;
		*at = t;
	}
	return sorted;
}

/* A thread that is no mutator has no application code: there it is idle. */
static const uint8_t *idle_labels(void)
{
	static const uint8_t labels[SM_REGIONS] = {
		[SM_PHASE_APP] = LABEL_IDLE,
		[SM_PHASE_REFILL] = SM_PHASE_REFILL,
		[SM_PHASE_ASSIST] = SM_PHASE_ASSIST,
		[SM_PHASE_BARRIER] = SM_PHASE_BARRIER,
		[SM_PHASE_STACK_SCAN] = SM_PHASE_STACK_SCAN,
		[SM_PHASE_WAIT] = SM_PHASE_WAIT,
		[SM_PHASE_MARK] = SM_PHASE_MARK,
		[SM_PHASE_MARK_FRACTIONAL] = SM_PHASE_MARK_FRACTIONAL,
		[SM_PHASE_MARK_IDLE] = SM_PHASE_MARK_IDLE,
		[SM_PHASE_SWEEP] = SM_PHASE_SWEEP,
		[SM_PHASE_SCAVENGE] = SM_PHASE_SCAVENGE,
		[SM_PHASE_COMPACT] = SM_PHASE_COMPACT,
	};

	return labels;
}

/* 1 + the first of the n listed threads that has this one's role and index: a workload may start
 * its threads more than once (larson's generations). 0: none. */
static unsigned taken_over(const struct sm_counted *const *counted, unsigned n,
			   const struct sm_counted *t)
{
	for (unsigned i = 0; i < n; i++)
		if (counted[i]->index == t->index && strcmp(counted[i]->role, t->role) == 0)
			return i + 1;
	return 0;
}

/*
 * The threads as the roll-up takes them. An idle worker is in APP from its first phase of a timed
 * part to its first one after it: its counts are right (it sleeps), its wall time is what the timed
 * part leaves.
 */
static unsigned list_threads(const struct sm_counting *c, uint64_t timed_ns,
			     struct sm_rollup_thread *list, const struct sm_counted **counted)
{
	unsigned n = 0;

	for (const struct sm_counted *t = c->threads; t != NULL; t = t->next) {
		bool mutator = strcmp(t->role, "mutator") == 0;

		if (list != NULL) {
			counted[n] = t;
			list[n] =
				(struct sm_rollup_thread){.t = t->regions,
							  .role = t->role,
							  .pu_os = t->seat.cpu,
							  .label = mutator ? NULL : idle_labels(),
							  .fill = mutator ? SM_NONE : SM_PHASE_APP,
							  .fill_ns = timed_ns,
							  .took_over = taken_over(counted, n, t)};
		}
		n++;
	}
	return n;
}

static const char *phase_name(unsigned label)
{
	return label == SM_ROLLUP_TOTAL ? "total"
	       : label == LABEL_IDLE	? "idle"
					: sm_phase_name((enum sm_phase)label);
}

/* Where a row's threads are: the thread's seat, or the place that the sum is of. */
static void name_place(struct sm_metric *m, const struct sm_topology *topo,
		       const struct sm_rollup_row *s)
{
	int pu = topo != NULL && m->cpu >= 0 ? sm_topology_pu(topo, m->cpu) : SM_NONE;
	int kind = m->by == SM_BY_KIND ? s->key : SM_NONE;

	if (pu != SM_NONE) {
		m->core = topo->pus[pu].core;
		m->l3 = topo->pus[pu].l3;
		kind = topo->pus[pu].kind;
	} else if (m->by == SM_BY_CORE)
		m->core = s->key;
	else if (m->by == SM_BY_L3)
		m->l3 = s->key;
	else if (m->by == SM_BY_NODE)
		m->node = s->key >= 0 ? topo->nodes[s->key].os : -1;
	if (m->core_kind[0] == '\0' && kind != SM_NONE && topo->n_kinds > 1)
		m->core_kind = sm_topology_kind_name(topo, kind);
	else if (m->core_kind[0] == '\0' && m->by == SM_BY_KIND && topo->n_kinds > 1)
		m->core_kind = "unpinned"; /* on cores of whatever kind */
}

static int add_rollup(const struct sm_counting *c, struct sm_sample *sample, double ops,
		      enum sm_by by, const struct sm_rollup *sums,
		      const struct sm_counted *const *counted)
{
	int err = 0;

	for (unsigned i = 0; i < sums->n && err == 0; i++) {
		const struct sm_rollup_row *s = &sums->rows[i];
		struct row r = {.c = c,
				.sample = sample,
				.kind = s->pmu,
				.readings = s->readings,
				.time = s->time,
				.ops = ops};

		sm_row_init(&sm_metric_type, &r.names);
		r.names.by = by;
		r.names.role = s->role != NULL ? s->role : "";
		r.names.phase = phase_name(s->label);
		if (c->set->n_kinds > 1)
			r.names.core_kind = c->set->pmus.pmus[s->pmu].uarch;
		if (by == SM_BY_THREAD) {
			r.names.thread = (int)counted[s->key]->index;
			r.names.cpu = counted[s->key]->seat.cpu;
			r.names.node = counted[s->key]->seat.node;
		}
		name_place(&r.names, c->run->job->topology, s);
		err = add_row(&r);
	}
	return err;
}

/* ---- marking, for an object --------------------------------------------------------------- */

/* Results, and the metrics of the sets that they are made of. */
static const struct {
	enum sm_result_id result;
	const char *metric;
} marked[] = {{SM_RESULT_mark_cycles_per_object, "cycles"},
	      {SM_RESULT_mark_insn_per_object, "instructions"},
	      {SM_RESULT_mark_l1d_miss_per_object, "l1d_miss"},
	      {SM_RESULT_mark_llc_miss_per_object, "llc_miss"},
	      {SM_RESULT_mark_dtlb_walk_per_object, "dtlb_walk"}};

static bool is_marking(unsigned label)
{
	return label == SM_PHASE_MARK || label == SM_PHASE_MARK_FRACTIONAL ||
	       label == SM_PHASE_MARK_IDLE;
}

/* Adds the metric up over the phases of mark workers: without a value where one has none. What is
 * another thing on another kind of core is not added. */
static struct sm_metric_value sum_marking(const struct sm_counting *c,
					  const struct sm_rollup *by_role,
					  const struct sm_cs_metric *cm, unsigned *kind)
{
	const struct sm_metric_env env = {.ops = NAN, .seconds = NAN};
	struct sm_metric_value sum = {.status = SM_STATUS_NOT_COUNTED,
				      .reason = "no mark worker was counted"};
	bool first = true;

	for (unsigned i = 0; i < by_role->n; i++) {
		const struct sm_rollup_row *s = &by_role->rows[i];
		struct sm_metric_value v;

		if (!is_marking(s->label))
			continue;
		sm_metric_eval(c->set, cm, s->pmu, s->readings, &env, &v);
		if (!sm_status_has_value(v.status))
			return v;
		if (!first && s->pmu != *kind)
			return (struct sm_metric_value){
				.status = SM_STATUS_NOT_COUNTED,
				.reason = "mark workers ran on cores of several kinds"};
		v.value += first ? 0 : sum.value;
		v.status = first || sum.status == SM_STATUS_OK ? v.status : sum.status;
		sum = v;
		*kind = s->pmu;
		first = false;
	}
	return sum;
}

static int report_marked(const struct sm_counting *c, struct sm_sample *sample,
			 const struct sm_rollup *by_role, enum sm_result_id id,
			 const struct sm_cs_metric *cm)
{
	struct sm_result r = {.name = sm_results[id].name,
			      .unit = sm_results[id].unit,
			      .reason = "",
			      .how = "",
			      .better = ""};
	char event[256], how[300];
	unsigned kind = 0;
	struct sm_metric_value sum = sum_marking(c, by_role, cm, &kind);

	r.has_value = sm_status_has_value(sum.status);
	r.reason = r.has_value ? "" : sum.reason;
	r.value = r.has_value ? sum.value / (double)c->run->timed.by_workers : 0;
	sm_counterset_label(c->set, cm, kind, event, sizeof(event));
	snprintf(how, sizeof(how), "%s [%s%s]", event, sm_source_names[sum.source],
		 sum.status == SM_STATUS_MULTIPLEXED ? ", scaled" : "");
	if (r.has_value)
		r.how = how;
	return sm_sample_add_result(sample, &r);
}

/* What marking an object took the threads that do nothing else: where they marked any. */
static int report_marking(const struct sm_counting *c, struct sm_sample *sample,
			  const struct sm_rollup *by_role)
{
	int err = 0;

	for (size_t i = 0; i < sizeof(marked) / sizeof(marked[0]) && err == 0; i++)
		for (unsigned m = 0; m < c->set->n_metrics && err == 0; m++) {
			const struct sm_cs_metric *cm = &c->set->metrics[m];

			if (strcmp(cm->name, marked[i].metric) == 0 &&
			    c->run->timed.by_workers > 0 && sm__counting_has(c->set, c->pass, cm))
				err = report_marked(c, sample, by_role, marked[i].result, cm);
		}
	return err;
}

/* ---- all of it ---------------------------------------------------------------------------- */

/* By thread, by role, and by what the job asks for beside these. */
static int collect_rows(const struct sm_counting *c, struct sm_sample *sample, double ops,
			uint64_t timed_ns)
{
	const enum sm_by all[] = {SM_BY_THREAD, SM_BY_ROLE, c->run->job->by};
	unsigned n = list_threads(c, timed_ns, NULL, NULL), kinds = all[2] > SM_BY_THREAD ? 3 : 2;
	struct sm_rollup_thread *list = calloc(n + 1, sizeof(*list));
	const struct sm_counted **counted = calloc(n + 1, sizeof(*counted));
	int err = list != NULL && counted != NULL ? 0 : -ENOMEM;

	if (err == 0)
		list_threads(c, timed_ns, list, counted);
	if (c->run->job->topology == NULL)
		kinds = 2; /* it is unknown what core a CPU belongs to */
	for (unsigned i = 0; i < kinds && err == 0; i++) {
		struct sm_rollup_options opt = {.by = all[i],
						.n_regions = SM_PHASE_COUNT,
						.totals = true,
						.light = SM_REGIONS_LIGHT};
		struct sm_rollup sums;

		err = sm_rollup(c->set, c->run->job->topology, list, n, &opt, &sums);
		if (err == 0)
			err = add_rollup(c, sample, ops, all[i], &sums, counted);
		if (err == 0 && all[i] == SM_BY_ROLE && i == 1)
			err = report_marking(c, sample, &sums);
		sm_rollup_free(&sums);
	}
	free(list);
	free(counted);
	return err;
}

/*
 * The cost of reading, as the worst thread has it. A thread that ran for less than a hundredth of
 * the longest one's time (a scavenger that woke once) says nothing about the run: half of next to
 * nothing is nothing.
 */
static struct sm_region_cost worst_cost(const struct sm_counting *c)
{
	struct sm_region_cost cost, worst = {0};
	uint64_t longest = 0;

	for (const struct sm_counted *t = c->threads; t != NULL; t = t->next) {
		sm_region_cost(t->regions, &cost);
		longest = cost.total_ns > longest ? cost.total_ns : longest;
	}
	for (const struct sm_counted *t = c->threads; t != NULL; t = t->next) {
		sm_region_cost(t->regions, &cost);
		if (t->regions != NULL && cost.total_ns >= longest / 100 &&
		    cost.share >= worst.share)
			worst = cost;
	}
	return worst;
}

static void report_cost(const struct sm_counting *c)
{
	struct sm_region_cost worst = worst_cost(c);

	sm_run_result(c->run, SM_RESULT_counting_share, worst.share);
	sm_run_result(c->run, SM_RESULT_counting_ns_per_change, worst.ns_per_change);
	if (isnan(worst.instructions_per_change))
		sm_run_result_none(c->run, SM_RESULT_counting_insn_per_change,
				   "instructions are not counted");
	else
		sm_run_result(c->run, SM_RESULT_counting_insn_per_change,
			      worst.instructions_per_change);
	if (worst.mode == SM_READ_NONE)
		sm_run_result_none(c->run, SM_RESULT_counting_in_user_space,
				   "there are no hardware counters to read");
	else
		sm_run_result(c->run, SM_RESULT_counting_in_user_space, worst.mode == SM_READ_USER);
	if (worst.share > 0.02)
		sm_run_warn(c->run,
			    "reading the counters took %.1f%% of a thread's time (%.0f ns a phase "
			    "change, %s)\n",
			    worst.share * 100, worst.ns_per_change,
			    worst.mode == SM_READ_NONE ? "software events alone"
						       : sm_read_mode_name(worst.mode));
}

int sm__counting_collect(struct sm_counting *c, struct sm_sample *sample, uint64_t ops,
			 uint64_t timed_ns)
{
	int err;

	if (c == NULL)
		return 0;
	c->threads = in_order(c->threads);
	err = collect_rows(c, sample, (double)ops, timed_ns);
	if (err == 0)
		err = sm__uncore_collect(c->uncore, sample, (double)ops, timed_ns);
	if (err == 0)
		report_cost(c);
	return err;
}
