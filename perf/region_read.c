/* region_read.c: reading regions out, by any thread. See region.h. */
#include <math.h>
#include <stdlib.h>

#include "perf/counter_sim.h"
#include "perf/region_internal.h"

/* ---- reading out -------------------------------------------------------------------------- */

static uint32_t read_begin(const struct sm_region_thread *t)
{
	uint32_t s;

	while ((s = __atomic_load_n(&t->seq, __ATOMIC_ACQUIRE)) & 1)
		;
	return s;
}

static bool read_retry(const struct sm_region_thread *t, uint32_t s)
{
#if !defined(__SANITIZE_THREAD__)
	/* The data must be read before the number is read again. */
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	return __atomic_load_n(&t->seq, __ATOMIC_RELAXED) != s;
#else
	return __atomic_load_n(&t->seq, __ATOMIC_ACQUIRE) != s;
#endif
}

/*
 * A thread that moves between kinds of cores: a kind's events are enabled on the others too, and
 * run on their own. Pinned to the PMU they count whenever the thread is there, so that nothing is
 * to be scaled. Rotated ones may have been off there as well: for how long is not known.
 */
static void judge_roaming(const struct sm_region_thread *t, struct sm_reading *r)
{
	if (!t->cs->opt.multiplex) {
		r->enabled = r->running;
	} else if (r->running < r->enabled) {
		r->status = SM_STATUS_NOT_COUNTED;
		r->reason = "multiplexed on a thread that moves between kinds of cores: pin it "
			    "(--place) or leave --multiplex out";
	}
}

static void judge(const struct sm_region_thread *t, struct sm_reading *r, bool light)
{
	if (t->opt.pu_os < 0 && t->cs->n_kinds > 1 && r->source == SM_SOURCE_PMU)
		judge_roaming(t, r);
	else if (r->enabled && !r->running) {
		r->status = SM_STATUS_NOT_COUNTED;
		r->reason = "the kernel never scheduled it in this region";
	} else if (r->running < r->enabled) {
		r->status = SM_STATUS_MULTIPLEXED;
		r->reason = t->cs->opt.multiplex ? "multiplexed: scaled from a part of the time"
						 : "shared with another user of the PMU: scaled "
						   "from a part of the time";
	}
	if (light) {
		r->status = SM_STATUS_NOT_COUNTED;
		r->reason =
			"light region: counted in the enclosing one (reading costs a system call)";
	}
}

/* A simulated count. region -1: the total. */
static void fill_sim(const struct sm_region_thread *t, enum sm_sim what, int region,
		     struct sm_reading *r)
{
	uint64_t v;

	if (t->sim < 0) {
		r->reason = "this process does not run under Callgrind";
	} else if (region >= 0 && sm__is_light(t, (unsigned)region)) {
		r->reason = "light region: counted in the enclosing one (a Callgrind dump costs "
			    "milliseconds)";
	} else if (sm__sim_lookup(t->sim, region, what, &v, &r->reason)) {
		r->raw = v;
		r->status = SM_STATUS_OK;
		r->reason = NULL;
	}
}

/* One event out of a row of counts (differences). */
static void fill(const struct sm_region_thread *t, unsigned event, unsigned kind,
		 const uint64_t *row, unsigned region, bool total, struct sm_reading *r)
{
	struct sm__slot s = t->slots[kind * t->cs->n_events + event];
	const struct sm_counter_group *g;

	*r = sm_counterset_missing(t->cs, event, kind, t->opt.pass);
	if (r->source == SM_SOURCE_SIM && r->status == SM_STATUS_NOT_COUNTED)
		fill_sim(t, (enum sm_sim)t->cs->events[event].res[kind].code.config,
			 total ? -1 : (int)region, r);
	if (s.group < 0)
		return;
	g = &t->groups[s.group];
	r->source = g->codes[s.index]->source;
	if (kind && t->opt.pu_os < 0 && r->source == SM_SOURCE_SW) {
		r->status = SM_STATUS_NOT_COUNTED;
		r->reason = "belongs to no core kind: counted in the first kind's row";
		return;
	}
	r->status = g->ev[s.index].status;
	r->reason = r->status == SM_STATUS_OK ? NULL : g->ev[s.index].reason;
	if (r->status != SM_STATUS_OK)
		return;
	if (__atomic_load_n(&t->lost, __ATOMIC_RELAXED) >> s.group & 1) {
		r->status = SM_STATUS_NOT_COUNTED;
		r->reason = "the kernel took the counters away (a pinned group lost its place on "
			    "the PMU)";
		return;
	}
	r->enabled = sm__get(&row[t->base[s.group]]);
	r->running = sm__get(&row[t->base[s.group] + 1]);
	r->raw = sm__get(&row[t->base[s.group] + SM__REGION_HEAD + s.index]);
	judge(t, r, !total && !t->user[s.group] && sm__is_light(t, region));
}

static void get_time(const struct sm_region_thread *t, uint64_t ticks, uint64_t enters,
		     struct sm_region_time *out)
{
	out->ns = (uint64_t)((double)ticks / t->ticks_per_ns + 0.5);
	out->enters = enters;
}

void sm_region_get(const struct sm_region_thread *t, unsigned region, unsigned kind,
		   struct sm_reading *readings, struct sm_region_time *time)
{
	uint32_t s;

	if (t == NULL || region >= t->opt.n_regions)
		return;
	do {
		s = read_begin(t);
		if (time != NULL)
			get_time(t, sm__get(&t->ticks[region]), sm__get(&t->enters[region]), time);
		for (unsigned e = 0; readings != NULL && e < t->cs->n_events; e++)
			fill(t, e, kind, t->counts + (size_t)region * t->n_slots, region, false,
			     &readings[e]);
	} while (read_retry(t, s));
}

void sm_region_total(const struct sm_region_thread *t, unsigned kind, struct sm_reading *readings,
		     struct sm_region_time *time)
{
	uint64_t *row, enters;
	uint32_t s;

	if (t == NULL)
		return;
	row = calloc(t->n_slots ? t->n_slots : 1, sizeof(*row));
	if (row == NULL)
		return;
	do {
		s = read_begin(t);
		enters = 0;
		for (unsigned r = 0; r < t->opt.n_regions; r++)
			enters += sm__get(&t->enters[r]);
		for (unsigned i = 0; i < t->n_slots; i++)
			row[i] = sm__get(&t->final[i]) - sm__get(&t->first[i]);
		if (time != NULL)
			get_time(t,
				 sm_clock_delta(sm__get(&t->start_ticks), sm__get(&t->end_ticks)),
				 enters, time);
		for (unsigned e = 0; readings != NULL && e < t->cs->n_events; e++)
			fill(t, e, kind, row, 0, true, &readings[e]);
	} while (read_retry(t, s));
	free(row);
}

void sm_region_cost(const struct sm_region_thread *t, struct sm_region_cost *out)
{
	struct sm_region_time total = {0};

	*out = (struct sm_region_cost){.instructions_per_change = NAN};
	if (t == NULL)
		return;
	sm_region_total(t, 0, NULL, &total);
	out->ns_per_change = t->ns_change;
	out->ns_per_light_change = t->ns_light;
	out->instructions_per_change = t->insn_change;
	out->changes = sm__get(&t->changes);
	out->light_changes = sm__get(&t->light_changes);
	out->mode = t->mode;
	out->dropped = sm__get(&t->dropped);
	out->total_ns = total.ns;
	if (total.ns)
		out->share = ((double)out->changes * t->ns_change +
			      (double)out->light_changes * t->ns_light) /
			     (double)total.ns;
}

unsigned sm_region_kind(const struct sm_region_thread *t)
{
	return t != NULL ? t->kind : 0;
}
