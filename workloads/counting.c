/*
 * counting.c: the counters of a run: attaching threads, splitting them at the timed part's borders, and
 * turning their readings into metrics by thread, by role, and over all phases.
 */
#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "allocator/atomic.h"
#include "allocator/phase.h"
#include "perf/counterset.h"
#include "perf/privilege.h"
#include "perf/region.h"
#include "workloads/counting.h"
#include "workloads/counting_uncore.h"
#include "workloads/run_priv.h"

/* Regions are the phases, and one more for what is not timed. */
#define OUTSIDE	  ((unsigned)SM_PHASE_COUNT)
#define N_REGIONS ((unsigned)SM_PHASE_COUNT + 1)
_Static_assert(N_REGIONS <= SM_REGION_MAX, "a region for each phase");

/* Phases that change every few microseconds: only what can be read without a system call is split there. */
#define LIGHT (1u << SM_PHASE_REFILL | 1u << SM_PHASE_BARRIER | 1u << SM_PHASE_SWEEP)

struct sm_counted {
	/* fixed once started */
	struct sm_counting *counting;
	char role[16];
	unsigned index;
	struct sm_seat seat;
	struct sm_region_thread *regions; /* NULL when they could not be opened */
	struct sm_phase_hook hook;
	struct sm_counted *next; /* under counting->lock */
	/* owner thread only */
	bool timed;	/* what it knows of counting->armed */
	unsigned depth; /* phases entered and not left */
};

struct sm_counting {
	/* fixed after creation */
	struct sm_run *run;
	const struct sm_counterset *set;
	unsigned pass;
	struct sm_uncore_run *uncore; /* NULL: no packages or L3s to count */
	/* Written by thread 0; read relaxed by all: each thread splits its own counts when it sees the change,
	 * nothing else depends on it. */
	_Atomic(bool) armed;
	pthread_mutex_t lock;
	struct sm_counted *threads; /* under lock while threads run */
};

static __thread struct sm_counted *self;

/* ---- threads ------------------------------------------------------------------------------------- */

/* Base region: OUTSIDE, with APP pushed on it while a timed part is open. */
static void sync_border(struct sm_counted *t)
{
	bool armed = sm_load_relaxed(&t->counting->armed);

	if (SM_LIKELY(armed == t->timed))
		return;
	if (armed)
		sm_region_enter(t->regions, SM_PHASE_APP);
	else
		sm_region_leave(t->regions);
	t->timed = armed;
}

static void enter(void *ctx, enum sm_phase phase)
{
	struct sm_counted *t = ctx;

	if (t->depth++ == 0)
		sync_border(t);
	sm_region_enter(t->regions, t->timed ? (unsigned)phase : OUTSIDE);
}

static void leave(void *ctx, enum sm_phase phase)
{
	struct sm_counted *t = ctx;

	(void)phase;
	sm_region_leave(t->regions);
	if (--t->depth == 0)
		sync_border(t);
}

void sm__counting_thread_start(struct sm_counting *c, const char *role, unsigned index,
			       const struct sm_seat *seat)
{
	struct sm_region_options opt = {.n_regions = N_REGIONS, .first = OUTSIDE, .light = LIGHT};
	struct sm_counted *t;
	char why[200] = "out of memory";

	if (c == NULL)
		return;
	t = calloc(1, sizeof(*t));
	if (t == NULL) {
		sm__run_warn(c->run, "%s %u is not counted: out of memory\n", role, index);
		return;
	}
	t->counting = c;
	snprintf(t->role, sizeof(t->role), "%s", role);
	t->index = index;
	t->seat = seat != NULL ? *seat : (struct sm_seat){.cpu = -1, .node = -1};
	t->hook = (struct sm_phase_hook){.enter = enter, .leave = leave, .ctx = t};
	opt.pass = c->pass;
	opt.pu_os = t->seat.cpu;
	if (sm_region_thread_open(c->set, &opt, &t->regions, why, sizeof(why)) != 0)
		sm__run_warn(c->run, "%s %u is not counted: %s\n", role, index, why);
	pthread_mutex_lock(&c->lock);
	t->next = c->threads;
	c->threads = t;
	pthread_mutex_unlock(&c->lock);
	self = t;
	sm_phase_set_hook(&t->hook);
	sync_border(t);
}

void sm__counting_thread_stop(struct sm_counting *c)
{
	if (c == NULL || self == NULL)
		return;
	sm_phase_set_hook(NULL);
	sm_region_thread_stop(self->regions);
	self = NULL;
}

void sm__counting_sync(struct sm_counting *c)
{
	if (c != NULL && self != NULL && self->depth == 0)
		sync_border(self);
}

/*
 * Rights that the file gave the process (perf/privilege.h) go as soon as nobody needs them: mark workers have
 * started with the collector, each dropped its own when its counters were open; this is for thread 0, once
 * all mutators are there.
 */
static void drop_rights(struct sm_counting *c)
{
	unsigned mutators = 0;

	pthread_mutex_lock(&c->lock);
	for (const struct sm_counted *t = c->threads; t != NULL; t = t->next)
		mutators += strcmp(t->role, "mutator") == 0;
	pthread_mutex_unlock(&c->lock);
	if (mutators >= c->run->nthreads)
		sm_privilege_drop();
}

void sm__counting_arm(struct sm_counting *c, bool on)
{
	if (c == NULL)
		return;
	if (on)
		drop_rights(c);
	sm__uncore_arm(c->uncore, on);
	sm_store_relaxed(&c->armed, on);
	sm__counting_sync(c);
}

/* ---- metrics ------------------------------------------------------------------------------------- */

/* What one row is made of: a thread or a role, one phase or all. */
struct row {
	const struct sm_counting *c;
	struct sm_sample *sample;
	const char *role, *phase;
	int thread; /* -1: all of the role */
	struct sm_seat seat;
	unsigned kind;
	struct sm_reading *readings; /* [n_events] */
	struct sm_region_time time;
	double ops;
};

static enum sm_metric_status status_of(enum sm_status s)
{
	switch (s) {
	case SM_STATUS_OK: return SM_METRIC_OK;
	case SM_STATUS_MULTIPLEXED: return SM_METRIC_SCALED;
	case SM_STATUS_UNSUPPORTED: return SM_METRIC_UNSUPPORTED;
	case SM_STATUS_DENIED: return SM_METRIC_DENIED;
	case SM_STATUS_NOT_COUNTED: break;
	}
	return SM_METRIC_NOT_COUNTED;
}

static void fill_names(const struct row *r, struct sm_metric *m)
{
	memset(m, 0, sizeof(*m));
	snprintf(m->role, sizeof(m->role), "%s", r->role);
	snprintf(m->phase, sizeof(m->phase), "%s", r->phase);
	m->thread = r->thread;
	m->cpu = r->seat.cpu;
	m->node = r->seat.node;
	if (r->c->set->n_kinds > 1)
		snprintf(m->core_kind, sizeof(m->core_kind), "%s", r->c->set->pmus.pmus[r->kind].uarch);
}

static int add_time(const struct row *r)
{
	struct sm_metric m;
	int err;

	fill_names(r, &m);
	snprintf(m.metric, sizeof(m.metric), "time");
	snprintf(m.event, sizeof(m.event), "wall clock");
	snprintf(m.unit, sizeof(m.unit), "ns");
	snprintf(m.source, sizeof(m.source), "sw");
	m.has_value = true;
	m.value = (double)r->time.ns;
	m.enabled_ns = m.running_ns = r->time.ns;
	err = sm_sample_add_metric(r->sample, &m);
	snprintf(m.metric, sizeof(m.metric), "enters");
	snprintf(m.event, sizeof(m.event), "times that the phase was entered");
	snprintf(m.unit, sizeof(m.unit), "times");
	m.value = (double)r->time.enters;
	return err != 0 ? err : sm_sample_add_metric(r->sample, &m);
}

/* Metrics of this pass; those that cannot be counted at all are told in the first pass. */
static bool belongs(const struct sm_counting *c, const struct sm_cs_metric *m)
{
	if (m->uncore)
		return false;
	if (m->refused != SM_STATUS_OK)
		return c->pass == 0;
	return m->source == SM_SOURCE_SW || m->pass == c->pass;
}

static int add_metric(const struct row *r, const struct sm_cs_metric *cm)
{
	struct sm_metric_env env = {.ops = r->ops, .seconds = (double)r->time.ns * 1e-9};
	struct sm_metric_value v;
	struct sm_metric m;

	sm_metric_eval(r->c->set, cm, r->kind, r->readings, &env, &v);
	fill_names(r, &m);
	snprintf(m.metric, sizeof(m.metric), "%s", cm->name);
	sm_counterset_label(r->c->set, cm, r->kind, m.event, sizeof(m.event));
	snprintf(m.unit, sizeof(m.unit), "%s", cm->unit);
	snprintf(m.source, sizeof(m.source), "%s", sm_source_name(v.source));
	snprintf(m.reason, sizeof(m.reason), "%s", v.reason);
	m.status = status_of(v.status);
	m.has_value = v.status == SM_STATUS_OK || v.status == SM_STATUS_MULTIPLEXED;
	m.value = m.has_value ? v.value : 0;
	for (unsigned i = 0; i < cm->n_events; i++) {
		const struct sm_reading *e = &r->readings[cm->events[i]];

		m.enabled_ns = e->enabled > m.enabled_ns ? e->enabled : m.enabled_ns;
		if (i == 0 || e->running < m.running_ns)
			m.running_ns = e->running;
	}
	return sm_sample_add_metric(r->sample, &m);
}

static int add_row(const struct row *r)
{
	int err = add_time(r);

	for (unsigned i = 0; i < r->c->set->n_metrics && err == 0; i++)
		if (belongs(r->c, &r->c->set->metrics[i]))
			err = add_metric(r, &r->c->set->metrics[i]);
	return err;
}

static void clear_row(struct row *r)
{
	for (unsigned i = 0; i < r->c->set->n_events; i++)
		r->readings[i] = SM_READING_ZERO;
	r->time = (struct sm_region_time){0};
}

/* A light region's count that stayed with the enclosing region is in that one's reading. */
static bool counted_elsewhere(const struct row *r, unsigned region, const struct sm_reading *reading)
{
	return strcmp(r->phase, "total") == 0 && (LIGHT >> region & 1) != 0 &&
	       reading->status == SM_STATUS_NOT_COUNTED;
}

/*
 * Adds one region of one thread to the row. An idle worker is in APP from its first phase of a timed part to
 * its first one after it: its counts are right (it sleeps), its wall time is what the timed part leaves.
 */
static void add_region(struct row *r, const struct sm_counted *t, unsigned region, uint64_t timed_ns,
		       struct sm_reading *scratch)
{
	struct sm_region_time time;

	sm_region_get(t->regions, region, r->kind, scratch, &time);
	for (unsigned i = 0; i < r->c->set->n_events; i++)
		if (!counted_elsewhere(r, region, &scratch[i]))
			sm_reading_add(&r->readings[i], &scratch[i]);
	if (region == SM_PHASE_APP && strcmp(t->role, "mutator") != 0) {
		uint64_t busy = 0;

		for (unsigned other = 0; other < (unsigned)SM_PHASE_COUNT; other++)
			if (other != SM_PHASE_APP) {
				struct sm_region_time x;

				sm_region_get(t->regions, other, r->kind, scratch, &x);
				busy += x.ns;
			}
		time.ns = timed_ns > busy ? timed_ns - busy : 0;
	}
	r->time.ns += time.ns;
	r->time.enters += time.enters;
}

static const char *phase_label(const char *role, unsigned region)
{
	return region == SM_PHASE_APP && strcmp(role, "mutator") != 0 ? "idle"
								      : sm_phase_name((enum sm_phase)region);
}

static bool happened(const struct sm_counted *t, unsigned region, struct sm_reading *scratch)
{
	struct sm_region_time time;

	sm_region_get(t->regions, region, sm_region_kind(t->regions), scratch, &time);
	return time.enters > 0;
}

/* One thread: each phase it was in, and all of them. */
static int collect_thread(struct row *r, const struct sm_counted *t, uint64_t timed_ns,
			  struct sm_reading *scratch)
{
	int err = 0;

	r->role = t->role;
	r->thread = (int)t->index;
	r->seat = t->seat;
	r->kind = sm_region_kind(t->regions);
	for (unsigned g = 0; g < (unsigned)SM_PHASE_COUNT && err == 0; g++) {
		if (!happened(t, g, scratch))
			continue;
		r->phase = phase_label(t->role, g);
		clear_row(r);
		add_region(r, t, g, timed_ns, scratch);
		err = add_row(r);
	}
	r->phase = "total";
	clear_row(r);
	for (unsigned g = 0; g < (unsigned)SM_PHASE_COUNT; g++)
		add_region(r, t, g, timed_ns, scratch);
	return err != 0 ? err : add_row(r);
}

/* The threads of a role on one core kind, summed; phase SM_PHASE_COUNT: all phases. */
static int collect_role(struct row *r, const char *role, unsigned kind, unsigned phase, uint64_t timed_ns,
			struct sm_reading *scratch)
{
	bool any = false;

	r->role = role;
	r->thread = -1;
	r->seat = (struct sm_seat){.cpu = -1, .node = -1};
	r->kind = kind;
	r->phase = phase == (unsigned)SM_PHASE_COUNT ? "total" : phase_label(role, phase);
	clear_row(r);
	for (const struct sm_counted *t = r->c->threads; t != NULL; t = t->next) {
		if (t->regions == NULL || strcmp(t->role, role) != 0 || sm_region_kind(t->regions) != kind)
			continue;
		for (unsigned g = 0; g < (unsigned)SM_PHASE_COUNT; g++)
			if ((g == phase || phase == (unsigned)SM_PHASE_COUNT) && happened(t, g, scratch)) {
				any = true;
				add_region(r, t, g, timed_ns, scratch);
			}
	}
	return any ? add_row(r) : 0;
}

/* The list is last started first; metrics are told in the order of roles' first start, then by index. */
static struct sm_counted *in_order(struct sm_counted *list)
{
	struct sm_counted *sorted = NULL;

	while (list != NULL) {
		struct sm_counted *t = list, **at = &sorted;

		list = t->next;
		while (*at != NULL && (strcmp((*at)->role, t->role) < 0 ||
				       (strcmp((*at)->role, t->role) == 0 && (*at)->index < t->index)))
			at = &(*at)->next;
		t->next = *at;
		*at = t;
	}
	return sorted;
}

static int collect_roles(struct row *r, uint64_t timed_ns, struct sm_reading *scratch)
{
	const char *role = "";
	int err = 0;

	for (const struct sm_counted *t = r->c->threads; t != NULL; t = t->next) {
		if (strcmp(t->role, role) == 0)
			continue;
		role = t->role;
		for (unsigned kind = 0; kind < r->c->set->n_kinds; kind++)
			for (unsigned p = 0; p <= (unsigned)SM_PHASE_COUNT && err == 0; p++)
				err = collect_role(r, role, kind, p, timed_ns, scratch);
	}
	return err;
}

/* The cost of reading, as the worst thread has it. */
static int collect_cost(const struct sm_counting *c, struct sm_sample *sample)
{
	struct sm_region_cost cost, worst = {0};
	int err;

	for (const struct sm_counted *t = c->threads; t != NULL; t = t->next) {
		if (t->regions == NULL)
			continue;
		sm_region_cost(t->regions, &cost);
		if (cost.share >= worst.share)
			worst = cost;
	}
	err = sm_sample_add_double(sample, "counting_share", worst.share, "");
	if (err == 0)
		err = sm_sample_add_double(sample, "counting_ns_per_change", worst.ns_per_change, "ns");
	if (err == 0 && isnan(worst.instructions_per_change))
		err = sm_sample_add_none(sample, "counting_insn_per_change", "insn",
					 "instructions are not counted");
	else if (err == 0)
		err = sm_sample_add_double(sample, "counting_insn_per_change", worst.instructions_per_change,
					   "insn");
	if (err == 0 && worst.mode == SM_READ_NONE)
		err = sm_sample_add_none(sample, "counting_in_user_space", "",
					 "there are no hardware counters to read");
	else if (err == 0)
		err = sm_sample_add_int(sample, "counting_in_user_space", worst.mode == SM_READ_USER, "");
	if (worst.share > 0.02)
		sm__run_warn(c->run,
			     "reading the counters took %.1f%% of a thread's time (%.0f ns a phase change, "
			     "mode %s)\n",
			     worst.share * 100, worst.ns_per_change, sm_read_mode_name(worst.mode));
	return err;
}

int sm__counting_collect(struct sm_counting *c, struct sm_sample *sample, uint64_t ops, uint64_t timed_ns)
{
	struct row r = {.c = c, .sample = sample, .ops = (double)ops};
	struct sm_reading *scratch;
	int err = 0;

	if (c == NULL)
		return 0;
	r.readings = calloc(c->set->n_events + 1, sizeof(*r.readings));
	scratch = calloc(c->set->n_events + 1, sizeof(*scratch));
	if (r.readings == NULL || scratch == NULL)
		err = -ENOMEM;
	c->threads = in_order(c->threads);
	for (const struct sm_counted *t = c->threads; t != NULL && err == 0; t = t->next)
		if (t->regions != NULL)
			err = collect_thread(&r, t, timed_ns, scratch);
	if (err == 0)
		err = collect_roles(&r, timed_ns, scratch);
	if (err == 0)
		err = sm__uncore_collect(c->uncore, sample, r.ops, timed_ns);
	if (err == 0)
		err = collect_cost(c, sample);
	free(r.readings);
	free(scratch);
	return err;
}

/* ---- life ---------------------------------------------------------------------------------------- */

int sm__counting_new(struct sm_run *run, struct sm_counting **out)
{
	const struct sm_counterset *set = run->job->counters;
	struct sm_counting *c;

	*out = NULL;
	if (set == NULL)
		return 0;
	if (run->job->pass >= (set->n_passes > 0 ? set->n_passes : 1))
		return sm_run_fail(run, -EINVAL, "pass %u of %u", run->job->pass, set->n_passes);
	c = calloc(1, sizeof(*c));
	if (c == NULL)
		return sm_run_fail(run, -ENOMEM, "out of memory for counters");
	c->run = run;
	c->set = set;
	c->pass = run->job->pass;
	c->uncore = sm__uncore_new(set, c->pass, run->job->topology);
	pthread_mutex_init(&c->lock, NULL);
	*out = c;
	return 0;
}

void sm__counting_free(struct sm_counting *c)
{
	if (c == NULL)
		return;
	while (c->threads != NULL) {
		struct sm_counted *t = c->threads;

		c->threads = t->next;
		sm_region_thread_free(t->regions);
		free(t);
	}
	sm__uncore_free(c->uncore);
	pthread_mutex_destroy(&c->lock);
	free(c);
}
