/* plan.c: from the options to the jobs. See plan.h. */
#include "harness/plan/plan.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "collector/cycle/pacer.h"
#include "harness/plan/expand.h"
#include "harness/plan/job.h"
#include "harness/plan/order.h"
#include "harness/plan/until.h"
#include "workloads/results.h"
#include "perf/counter_sim.h"
#include "perf/counterset.h"

#define DEFAULT_REPS	3
#define DEFAULT_TIMEOUT 300.0
#define QUICK_TIMEOUT	30.0
/* Callgrind runs the program some 50 times slower. */
#define SIM_SLOWDOWN 60.0

/* What is counted when neither -C nor -e says: what the table's columns need. */
static const char *const default_sets[] = {"cycles", "cache", "tlb", "soft"};

/* ---- machine and placement ---------------------------------------------------------------- */

static int load_topology(const struct sm_run_options *o, struct sm_plan *p, char *err,
			 size_t errlen)
{
	struct sm_topology_source from = {0};
	int rc;

	/* "pack:2 core:4 pu:1" is a description, everything else a file. */
	if (o->topology != NULL && strchr(o->topology, ':') != NULL &&
	    strchr(o->topology, '/') == NULL)
		from.synthetic = o->topology;
	else
		from.xml = o->topology;
	rc = sm_topology_load(&from, &p->topology, err, errlen);
	if (rc && o->topology != NULL) { /* perf/ names the options of spanmark topo */
		const char *rest =
			strncmp(err, "--xml ", 6) == 0 || strncmp(err, "--synthetic ", 12) == 0
				? strchr(err, ' ') + 1
				: err;
		char text[512];

		snprintf(text, sizeof(text), "--topology %s", rest);
		snprintf(err, errlen, "%s", text);
	}
	return rc;
}

/* What gc.workers says, else the collector's own rule, over the CPUs that we may use; where threads
 * run one at a time one will do. */
static unsigned default_workers(const struct sm_case *c, const struct sm_topology *t, bool one)
{
	double fractional;
	unsigned n;

	for (size_t i = 0; i < c->settings.n; i++) {
		if (strncmp(c->settings.v[i], "gc.workers=", 11) == 0) {
			unsigned long said = strtoul(c->settings.v[i] + 11, NULL, 10);

			if (said > 0)
				return (unsigned)said;
		}
	}
	if (one)
		return 1;
	n = sm__pacer_workers(t->n_allowed > 0 ? (unsigned)t->n_allowed : 1, &fractional);
	return n > 0 ? n : 1;
}

static int try_place(const struct sm_topology *t, struct sm_case *c, enum sm_place place,
		     enum sm_mark_place mark, char *err, size_t errlen)
{
	struct sm_place_request r = {
		.place = place, .mark_place = mark, .threads = c->threads, .workers = c->workers};
	int rc = c->kind[0] ? sm_place_kinds_parse(t, c->kind, &r.kinds, err, errlen) : 0;

	if (rc == 0)
		rc = sm_placement_plan(t, &r, &c->placement, err, errlen);
	if (rc == 0) {
		c->place = place;
		c->mark_place = mark;
	}
	return rc;
}

/* As many as the workload has when nobody says how many. */
static bool has_its_own_threads(const struct sm_run_options *o, const struct sm_case *c)
{
	struct sm_params own;

	sm_params_init(&own, c->params->workload, o->quick);
	return o->threads.n == 0 && c->threads == sm_params_threads(&own);
}

/* A program that was not told how many CPUs it may use has all, of the kinds that were named. */
static unsigned all_cpus(const struct sm_topology *t, const struct sm_case *c)
{
	uint64_t kinds = 0;
	char err[160];
	unsigned n = 0;

	if (c->kind[0] && sm_place_kinds_parse(t, c->kind, &kinds, err, sizeof(err)) != 0)
		return 1; /* refused where it is placed */
	for (int i = 0; i < t->n_pus; i++)
		n += t->pus[i].allowed && (kinds == 0 || (kinds >> t->pus[i].kind & 1));
	return n > 0 ? n : 1;
}

/*
 * What the user named is done or refused. What was left open takes the best that the machine can
 * give: mutators one to a core, else packed, else, on one CPU, not pinned; mark workers as policy
 * auto says.
 */
int sm__plan_place(const struct sm_plan *p, struct sm_case *c, char *err, size_t errlen)
{
	const struct sm_run_options *o = c->part->o;
	static const enum sm_place places[] = {SM_PLACE_ONE_PER_CORE, SM_PLACE_COMPACT,
					       SM_PLACE_NONE};
	size_t nplaces = c->placed ? 1 : has_its_own_threads(o, c) ? 3 : 2;
	enum sm_mark_place mark = c->mark_placed ? c->mark_place : SM_MARK_AUTO;
	int rc = -EINVAL;

	if (c->threads == 0) {
		c->threads = all_cpus(p->topology, c);
		c->params->values[0].number = c->threads; /* "threads" */
	}
	if (c->backend->kernel != SM_WL_GC) {
		c->workers = 0;
		mark = SM_MARK_NONE;
	} else if (c->workers == 0)
		c->workers = default_workers(c, p->topology, o->counters == SM_COUNT_SIM);
	for (size_t i = 0; i < nplaces && rc == -EINVAL; i++)
		rc = try_place(p->topology, c, c->placed ? c->place : places[i], mark, err, errlen);
	return rc;
}

/* One line for the first case whose figures mix kinds of cores that the user did not ask for. */
static void note_kinds(struct sm_plan *p, const struct sm_case *c)
{
	int kinds = sm_placement_mutator_kinds(p->topology, &c->placement);

	if (kinds < 2 || c->kind[0] || p->kinds_note[0])
		return;
	snprintf(
		p->kinds_note, sizeof(p->kinds_note),
		"%.60s: mutators are on cores of %d kinds, figures of a whole run mix them; --kind "
		"%s keeps to one (spanmark topo)",
		c->label, kinds, sm_topology_kind_name(p->topology, p->topology->n_kinds - 1));
}

/* ---- counters ----------------------------------------------------------------------------- */

static int make_counters(const struct sm_run_options *o, struct sm_plan *p, char *err,
			 size_t errlen)
{
	struct sm_counterset_options opt = {
		.sets = (const char *const *)o->sets.v,
		.n_sets = (unsigned)o->sets.n,
		.events = (const char *const *)o->events.v,
		.n_events = (unsigned)o->events.n,
		.from = o->counters == SM_COUNT_SW    ? SM_COUNTERS_SW
			: o->counters == SM_COUNT_SIM ? SM_COUNTERS_SIM
						      : SM_COUNTERS_AUTO,
		.multiplex = o->multiplex,
		.no_probe = o->dry_run && o->topology != NULL, /* another machine's counters */
	};
	int rc;

	p->passes = 1;
	if (o->counters == SM_COUNT_NONE)
		return 0;
	if (opt.n_sets == 0 && opt.n_events == 0) {
		opt.sets = default_sets;
		opt.n_sets = sizeof(default_sets) / sizeof(default_sets[0]);
	}
	p->sets = opt.sets;
	p->nsets = opt.n_sets;
	rc = sm_counterset_new(&opt, &p->counters, err, errlen);
	if (rc)
		return rc == -ENOENT ? -EINVAL : rc;
	if (p->counters->n_passes > 1)
		p->passes = p->counters->n_passes;
	return 0;
}

/* --counters=sim without Callgrind is a refusal too. */
static int check_sim(const struct sm_run_options *o, char *err, size_t errlen)
{
	char path[256], why[300];

	if (o->counters != SM_COUNT_SIM || sm_sim_find(path, sizeof(path), why, sizeof(why)) == 0)
		return 0;
	snprintf(err, errlen, "--counters=sim: %s; allowed here: auto, pmu, sw, none", why);
	return -EINVAL;
}

/* --counters=pmu: not one hardware counter is a refusal, with the reason of the first. */
static int check_pmu(const struct sm_run_options *o, const struct sm_plan *p, char *err,
		     size_t errlen)
{
	const struct sm_cs_metric *first = NULL;

	if (o->counters != SM_COUNT_PMU)
		return 0;
	for (unsigned i = 0; i < p->counters->n_metrics; i++) {
		const struct sm_cs_metric *m = &p->counters->metrics[i];

		if (m->source != SM_SOURCE_PMU)
			continue;
		if (m->refused == SM_STATUS_OK || m->refused == SM_STATUS_MULTIPLEXED)
			return 0;
		first = first != NULL ? first : m;
	}
	snprintf(err, errlen,
		 "--counters=pmu: no hardware counter can be read here (%s); allowed here: auto, "
		 "sw, sim, "
		 "none",
		 first != NULL ? first->reason : "no hardware event was asked for");
	return -EINVAL;
}

/* --by of a place that this machine does not have would make one row of everything. */
static int check_by(const struct sm_run_options *o, const struct sm_plan *p, char *err,
		    size_t errlen)
{
	if (o->by != SM_BY_L3 || p->topology->n_l3s > 0)
		return 0;
	snprintf(err, errlen,
		 "--by l3: this machine has no L3 cache; allowed here: role, thread, core, node, "
		 "kind");
	return -EINVAL;
}

/* Of a program, by --metric NAME=REGEX. */
static bool is_figure(const struct sm_run_options *o, const char *name)
{
	size_t len = strlen(name);

	for (size_t i = 0; i < o->nparts; i++)
		if (is_figure(&o->parts[i], name))
			return true;
	for (size_t i = 0; i < o->metrics.n; i++)
		if (strncmp(o->metrics.v[i], name, len) == 0 && o->metrics.v[i][len] == '=')
			return true;
	return false;
}

/* --until of a result that nothing reports would never end. */
static int check_until(const struct sm_run_options *o, char *err, size_t errlen)
{
	struct sm_until u = {0};
	int rc = o->until != NULL ? sm_until_parse(o->until, u.targets, &u.ntargets, err, errlen)
				  : 0;

	for (size_t i = 0; i < u.ntargets && rc == 0; i++) {
		const char *metric = u.targets[i].metric;

		if (sm_result_desc_find(metric) != NULL || metric[0] == 0 || is_figure(o, metric))
			continue;
		rc = -EINVAL;
		snprintf(err, errlen,
			 "--until '%.60s': no workload reports it; allowed: ns_per_op, wall_s, "
			 "stall_max_us and other results, as -f json names them",
			 metric);
	}
	return rc;
}

/* ---- jobs --------------------------------------------------------------------------------- */

struct kin {
	const char *work; /* interned */
	unsigned index;
};

static int by_work(const void *a, const void *b)
{
	const struct kin *x = a, *y = b;

	if (x->work != y->work)
		return (uintptr_t)x->work < (uintptr_t)y->work ? -1 : 1;
	return x->index < y->index ? -1 : x->index > y->index;
}

/* Cases of one family do the same work; numbered as they first appear. 0 or -ENOMEM. */
static int find_families(const struct sm_plan *p, unsigned *family)
{
	struct kin *kin = calloc(p->ncases + 1, sizeof(*kin));
	struct sm_pool works = {0};
	int rc = kin != NULL ? 0 : -ENOMEM;
	unsigned n = 0;

	for (unsigned i = 0; i < p->ncases && rc == 0; i++) {
		char *key = sm__case_key(&p->cases[i], false);

		kin[i] = (struct kin){.work = key ? sm_pool_str(&works, key) : NULL, .index = i};
		free(key);
		rc = kin[i].work != NULL ? 0 : -ENOMEM;
	}
	if (rc == 0) {
		qsort(kin, p->ncases, sizeof(*kin), by_work);
		for (unsigned i = 0; i < p->ncases; i++) /* the first of them, for now */
			family[kin[i].index] = i > 0 && kin[i].work == kin[i - 1].work
						       ? family[kin[i - 1].index]
						       : kin[i].index;
		for (unsigned i = 0; i < p->ncases; i++)
			family[i] = family[i] == i ? n++ : family[family[i]];
	}
	sm_pool_free(&works);
	free(kin);
	return rc;
}

/* The order of all repetitions: p->order. */
static int make_order(struct sm_plan *p, unsigned round)
{
	int rc = 0;

	p->order = calloc((size_t)round * p->reps + 1, sizeof(*p->order));
	if (p->order == NULL)
		return -ENOMEM;
	for (unsigned rep = 0; rep < p->reps && rc == 0; rep++) {
		unsigned *order = p->order + (size_t)rep * round;

		for (unsigned i = 0; i < round && !p->shuffle; i++)
			order[i] = i;
		if (p->shuffle)
			rc = sm_plan_blocks(order, p->family, p->ncases, p->passes, rep, p->seed);
	}
	return rc;
}

/* Families, and with --until the repetitions before the first look: whole squares. */
static int make_families(const struct sm_run_options *o, struct sm_plan *p)
{
	unsigned *members = calloc(p->ncases + 1, sizeof(*members));
	int rc = -ENOMEM;

	p->family = calloc(p->ncases + 1, sizeof(*p->family));
	if (p->family != NULL && members != NULL)
		rc = find_families(p, p->family);
	p->shuffle = !o->no_shuffle;
	p->step = 1;
	for (unsigned i = 0; i < p->ncases && rc == 0 && p->shuffle; i++)
		if (++members[p->family[i]] > p->step)
			p->step = members[p->family[i]];
	p->until = o->until != NULL;
	if (p->until) {
		p->reps = o->reps > SM_UNTIL_FIRST ? o->reps : SM_UNTIL_FIRST;
		p->reps = (p->reps + p->step - 1) / p->step * p->step;
	}
	free(members);
	return rc;
}

static int make_jobs(const struct sm_run_options *o, struct sm_plan *p, char *err, size_t errlen)
{
	unsigned round = p->ncases * p->passes;
	int rc = make_families(o, p);

	if (rc)
		return rc;
	if ((uint64_t)round * p->reps > SM_PLAN_MAX_JOBS) {
		snprintf(err, errlen, "%llu samples are too many; allowed: %d",
			 (unsigned long long)round * p->reps, SM_PLAN_MAX_JOBS);
		return -EINVAL;
	}
	rc = make_order(p, round);
	if (rc)
		return rc;
	p->jobs = calloc((size_t)round * p->reps + 1, sizeof(*p->jobs));
	p->counters_text = sm__job_counters(o, p);
	if (p->jobs == NULL || p->counters_text == NULL)
		return -ENOMEM;
	for (unsigned i = 0; i < round * p->reps; i++) {
		unsigned group = p->order[i] / p->passes, pass = p->order[i] % p->passes;
		bool missing = p->cases[group].backend->missing[0] != '\0';
		char *job;

		if (missing && (pass > 0 || i / round > 0))
			continue;
		job = sm__job_format(o, p, group, pass, i / round);
		if (job == NULL)
			return -ENOMEM;
		p->jobs[p->njobs++] = job;
	}
	return 0;
}

static uint64_t fresh_seed(void)
{
	struct timespec ts;
	uint64_t state;

	clock_gettime(CLOCK_REALTIME, &ts);
	state = (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
	return sm_plan_job_seed(state, 0) >> 32; /* short enough to type again */
}

int sm_plan_build(const struct sm_run_options *o, struct sm_plan *p, char *err, size_t errlen)
{
	int rc;

	*p = (struct sm_plan){0};
	p->seed = o->seed_given ? o->seed : fresh_seed();
	p->reps = o->reps ? o->reps : o->quick ? 1 : DEFAULT_REPS;
	p->timeout_s = o->timeout_s > 0 ? o->timeout_s
					: (o->quick ? QUICK_TIMEOUT : DEFAULT_TIMEOUT) *
						  (o->counters == SM_COUNT_SIM ? SIM_SLOWDOWN : 1);
	rc = sm__plan_expand(o, p, err, errlen);
	if (rc == 0)
		rc = load_topology(o, p, err, errlen);
	for (unsigned i = 0; i < p->ncases && rc == 0; i++) {
		rc = sm__plan_place(p, &p->cases[i], err, errlen);
		if (rc == 0)
			rc = sm__case_label(&p->cases[i]);
		if (rc == 0)
			note_kinds(p, &p->cases[i]);
	}
	if (rc == 0)
		rc = make_counters(o, p, err, errlen);
	if (rc == 0)
		rc = check_by(o, p, err, errlen);
	if (rc == 0)
		rc = check_pmu(o, p, err, errlen);
	if (rc == 0)
		rc = check_sim(o, err, errlen);
	if (rc == 0)
		rc = check_until(o, err, errlen);
	if (rc == 0)
		rc = make_jobs(o, p, err, errlen);
	if (rc == -ENOMEM)
		snprintf(err, errlen, "out of memory");
	return rc;
}

void sm_plan_free(struct sm_plan *p)
{
	for (unsigned i = 0; i < p->ncases; i++)
		sm__case_free(&p->cases[i]);
	for (unsigned i = 0; i < p->nparts; i++)
		sm__plan_part_free(&p->parts[i]);
	free(p->parts);
	for (unsigned i = 0; i < p->njobs; i++)
		free(p->jobs[i]);
	free(p->cases);
	sm_pool_free(&p->keys);
	free(p->counters_text);
	free(p->jobs);
	free(p->order);
	free(p->family);
	sm_counterset_free(p->counters);
	sm_topology_free(p->topology);
	*p = (struct sm_plan){0};
}
