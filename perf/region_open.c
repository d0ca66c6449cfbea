/* region_open.c: opening a thread's counters and measuring what reading them costs. See region.h.
 */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "perf/counter_sim.h"
#include "perf/passes.h"
#include "perf/privilege.h"
#include "perf/region_internal.h"

#define CALIBRATE_ROUNDS 32

/* ---- opening ------------------------------------------------------------------------------ */

struct picker {
	struct sm_region_thread *t;
	const struct sm_event_code *codes[SM_GROUP_MAX];
	struct sm__slot *slots[SM_GROUP_MAX];
	unsigned n;
};

static void pick_event(struct picker *p, unsigned event, unsigned kind)
{
	struct sm__slot *s = &p->t->slots[kind * p->t->cs->n_events + event];

	if (p->n == SM_GROUP_MAX || s->group >= 0)
		return;
	p->codes[p->n] = &p->t->cs->events[event].res[kind].code;
	p->slots[p->n++] = s;
}

/* What the set's plan counts could be counted when it was made: what the kernel refuses now, it
 * does not lack. */
static void not_unsupported(struct sm_counter_group *g)
{
	char now[160];

	for (unsigned i = 0; i < g->n; i++)
		if (g->codes[i]->source == SM_SOURCE_PMU &&
		    g->ev[i].status == SM_STATUS_UNSUPPORTED) {
			g->ev[i].status = SM_STATUS_NOT_COUNTED;
			memcpy(now, g->ev[i].reason, sizeof(now));
			snprintf(g->ev[i].reason, sizeof(g->ev[i].reason),
				 "it could be counted when the run was planned; now: %.100s", now);
		}
}

static void open_picked(struct picker *p)
{
	struct sm_region_thread *t = p->t;
	struct sm_group_options opt = {.opener = t->cs->opt.opener,
				       .cpu = -1,
				       .multiplex = t->cs->opt.multiplex,
				       .no_user_read = t->cs->opt.no_user_read};

	if (p->n && t->n_groups < SM__REGION_GROUPS) {
		sm_group_open(&t->groups[t->n_groups], p->codes, p->n, &opt);
		not_unsupported(&t->groups[t->n_groups]);
		for (unsigned i = 0; i < p->n; i++)
			*p->slots[i] = (struct sm__slot){.group = (int8_t)t->n_groups,
							 .index = (uint8_t)i};
		if (p->codes[0]->source == SM_SOURCE_PMU && t->groups[t->n_groups].n_open)
			t->mode = t->groups[t->n_groups].mode;
		t->n_groups++;
	}
	p->n = 0;
}

/* One group per pass that is to be counted, and kind. */
static void open_hardware(struct sm_region_thread *t, unsigned kind)
{
	const struct sm_counterset *cs = t->cs;
	struct picker p = {.t = t};
	unsigned from = cs->opt.multiplex ? 0 : t->opt.pass,
		 to = cs->opt.multiplex ? cs->n_groups : t->opt.pass + 1;

	for (unsigned pass = from; pass < to; pass++) {
		for (unsigned e = 0; e < cs->n_events; e++)
			if (sm__is_hw(&cs->events[e], kind) && cs->events[e].in_pass >> pass & 1)
				pick_event(&p, e, kind);
		open_picked(&p);
	}
}

/* perf_event's software events and tracepoints, then what getrusage tells. Those are of no kind:
 * kind 0's encoding serves all. */
static void open_software(struct sm_region_thread *t)
{
	static const enum sm_backend order[] = {SM_BACKEND_PERF, SM_BACKEND_SOFT};
	const struct sm_counterset *cs = t->cs;

	for (unsigned b = 0; b < 2; b++) {
		struct picker p = {.t = t};

		for (unsigned e = 0; e < cs->n_events; e++) {
			const struct sm_event_resolved *r = &cs->events[e].res[0];

			if (!cs->events[e].constant && r->status == SM_STATUS_OK &&
			    r->code.backend == order[b] && r->code.source == SM_SOURCE_SW)
				pick_event(&p, e, 0);
		}
		open_picked(&p);
	}
	for (unsigned k = 1; k < cs->n_kinds; k++)
		for (unsigned e = 0; e < cs->n_events; e++)
			if (cs->events[e].res[0].code.source == SM_SOURCE_SW &&
			    cs->events[e].res[0].status == SM_STATUS_OK)
				t->slots[k * cs->n_events + e] = t->slots[e];
}

static void open_groups(struct sm_region_thread *t)
{
	if (t->cs->opt.from != SM_COUNTERS_SIM) {
		for (unsigned k = 0; k < t->cs->n_kinds; k++)
			if (t->opt.pu_os < 0 || k == t->kind)
				open_hardware(t, k);
	}
	open_software(t);
	for (unsigned g = 0; g < t->n_groups; g++) {
		t->base[g + 1] = t->base[g] + SM__REGION_HEAD + t->groups[g].n;
		t->user[g] = t->groups[g].mode == SM_READ_USER;
	}
	t->n_slots = t->base[t->n_groups];
}

static int allocate(struct sm_region_thread *t)
{
	size_t row = t->n_slots ? t->n_slots : 1;

	t->last = calloc(row, sizeof(uint64_t));
	t->first = calloc(row, sizeof(uint64_t));
	t->final = calloc(row, sizeof(uint64_t));
	t->counts = calloc(row * t->opt.n_regions, sizeof(uint64_t));
	return t->last != NULL && t->first != NULL && t->final != NULL && t->counts != NULL
		       ? 0
		       : -ENOMEM;
}

/* ---- cost --------------------------------------------------------------------------------- */

/* The slot of a counted event by name; group -1 when there is none. */
static struct sm__slot find_counted(const struct sm_region_thread *t, const char *name)
{
	for (unsigned e = 0; e < t->cs->n_events; e++) {
		struct sm__slot s = t->slots[t->kind * t->cs->n_events + e];

		if (strcmp(t->cs->events[e].name, name) == 0 && s.group >= 0 &&
		    t->groups[s.group].ev[s.index].status == SM_STATUS_OK)
			return s;
	}
	return (struct sm__slot){.group = -1};
}

/* ns of one change; the fastest of three rounds, the others were interrupted. */
static double time_changes(struct sm_region_thread *t, bool everything)
{
	uint64_t best = UINT64_MAX;

	for (int round = 0; round < 3; round++) {
		uint64_t from = sm_clock_ns(), took;

		for (int i = 0; i < CALIBRATE_ROUNDS; i++) {
			sm__write_begin(t);
			sm__region_account(t, everything);
			sm__write_end(t);
		}
		took = sm_clock_ns() - from;
		if (took < best)
			best = took;
	}
	return (double)best / CALIBRATE_ROUNDS;
}

static void measure_cost(struct sm_region_thread *t)
{
	struct sm__slot s = find_counted(t, "instructions");
	uint64_t before;
	unsigned at;

	t->insn_change = NAN;
	t->ns_light = time_changes(t, false);
	t->ns_change = time_changes(t, true);
	if (s.group < 0)
		return;
	at = t->base[s.group] + SM__REGION_HEAD + s.index;
	before = t->last[at];
	time_changes(t, true);
	if (t->last[at] > before)
		t->insn_change = (double)(t->last[at] - before) / (3 * CALIBRATE_ROUNDS);
}

int sm_region_thread_open(const struct sm_counterset *cs, const struct sm_region_options *opt,
			  struct sm_region_thread **out, char *err, size_t errlen)
{
	struct sm_region_thread *t;

	*out = NULL;
	if (!opt->n_regions || opt->n_regions > SM_REGION_MAX || opt->first >= opt->n_regions ||
	    opt->pass >= cs->n_passes) {
		snprintf(err, errlen,
			 "regions: %u regions starting in %u, pass %u of %u; allowed: 1 to %d "
			 "regions",
			 opt->n_regions, opt->first, opt->pass, cs->n_passes, SM_REGION_MAX);
		return -EINVAL;
	}
	t = calloc(1, sizeof(*t));
	if (t == NULL ||
	    !(t->slots = calloc((size_t)cs->n_events * cs->n_kinds + 1, sizeof(*t->slots)))) {
		free(t);
		snprintf(err, errlen, "out of memory");
		return -ENOMEM;
	}
	t->cs = cs;
	t->opt = *opt;
	t->cur = t->owner = (uint8_t)opt->first;
	t->sim = -1;
	t->kind = opt->pu_os >= 0 && cs->n_kinds > 1 ? sm_pmus_of_cpu(&cs->pmus, opt->pu_os) : 0;
	t->use_ns = !sm_clock_ticks_reliable();
	t->ticks_per_ns = t->use_ns ? 1.0 : sm_clock_ticks_per_ns();
	for (unsigned i = 0; i < cs->n_events * cs->n_kinds; i++)
		t->slots[i].group = -1;
	open_groups(t);
	if (allocate(t)) {
		t->open = true;
		sm_region_thread_stop(t);
		sm_region_thread_free(t);
		snprintf(err, errlen, "out of memory");
		return -ENOMEM;
	}
	t->open = true;
	t->last_ticks = sm__region_now(t);
	measure_cost(t);
	sm_region_reset(t);
	sm__add(&t->enters[opt->first], 1);
	if (cs->opt.from == SM_COUNTERS_SIM)
		t->sim = sm__sim_open(opt->first);
	/* The main thread keeps its rights until all other threads have started: they inherit what
	 * it has. */
	if (gettid() != getpid())
		sm_privilege_drop();
	*out = t;
	return 0;
}
