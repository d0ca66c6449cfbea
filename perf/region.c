/* Attribution of time and counts to regions; see region.h. */
#include "perf/region.h"
#include "perf/clock.h"
#include "perf/counter_sim.h"
#include "perf/passes.h"
#include "perf/privilege.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAX_GROUPS	 16
#define CALIBRATE_ROUNDS 32

/* A sequence of counts of one group: enabled, running, values. */
#define HEAD 2

/* Where event e of kind k is counted. */
struct slot {
	int8_t group; /* -1: nowhere */
	uint8_t index;
};

struct sm_region_thread {
	/* Fixed after open. */
	const struct sm_counterset *cs;
	struct sm_region_options opt;
	unsigned kind, n_groups, n_slots;
	bool use_ns; /* the tick counter is not to be trusted here */
	double ticks_per_ns;
	struct slot *slots;	       /* [kind * n_events + event] */
	unsigned base[MAX_GROUPS + 1]; /* first word of a group in a row of counts */
	bool user[MAX_GROUPS];	       /* read at every change, in user space */
	double ns_change, ns_light, insn_change;
	enum sm_read_mode mode;
	int sim; /* number under Callgrind, -1 */

	/* The owner's alone. */
	struct sm_counter_group groups[MAX_GROUPS];
	uint64_t last_ticks;
	uint64_t *last; /* a row: what was read last */
	uint8_t stack[SM_REGION_DEPTH];
	unsigned depth, over; /* `over`: entries beyond SM_REGION_DEPTH */
	uint8_t cur;	      /* the region that time goes to */
	uint8_t owner;	      /* the region that groups read by system calls go to */
	bool open;

	/* Written by the owner under `seq`, read by anybody: every access is atomic (relaxed), seq orders them. */
	uint32_t seq;
	uint32_t busy;
	uint64_t ticks[SM_REGION_MAX], enters[SM_REGION_MAX];
	uint64_t changes, light_changes, dropped;
	uint32_t lost; /* bit set of groups that the kernel took away */
	uint64_t start_ticks, end_ticks;
	uint64_t *counts; /* [region][row] */
	uint64_t *first;  /* a row: what was read at the start */
	uint64_t *final;  /* a row: a copy of `last` for readers */
};

static _Thread_local struct sm_region_thread *self;

struct sm_region_thread *sm_region_self(void)
{
	return self;
}

static inline uint64_t now(const struct sm_region_thread *t)
{
	return t->use_ns ? sm_clock_ns() : sm_clock_ticks();
}

/* Relaxed atomics: the words are shared with readers, the order comes from seq. */
static inline void put(uint64_t *p, uint64_t v)
{
	__atomic_store_n(p, v, __ATOMIC_RELAXED);
}

static inline uint64_t get(const uint64_t *p)
{
	return __atomic_load_n(p, __ATOMIC_RELAXED);
}

static inline void add(uint64_t *p, uint64_t v)
{
	put(p, get(p) + v); /* one writer: no read-modify-write needed */
}

/*
 * The sequence lock: odd while the owner writes. The release fence keeps the data behind the odd number, the release store
 * keeps it before the even one. Under ThreadSanitizer, which knows no fences, an exchange orders as strongly.
 */
static inline void write_begin(struct sm_region_thread *t)
{
	uint32_t s = __atomic_load_n(&t->seq, __ATOMIC_RELAXED);

#if defined(__SANITIZE_THREAD__)
	__atomic_exchange_n(&t->seq, s + 1, __ATOMIC_ACQ_REL);
#else
	__atomic_store_n(&t->seq, s + 1, __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_RELEASE);
#endif
}

static inline void write_end(struct sm_region_thread *t)
{
	__atomic_store_n(&t->seq, __atomic_load_n(&t->seq, __ATOMIC_RELAXED) + 1, __ATOMIC_RELEASE);
}

/* ---- accounting ------------------------------------------------------------------------------ */

static inline bool is_light(const struct sm_region_thread *t, unsigned region)
{
	return t->opt.light >> region & 1;
}

static void account_group(struct sm_region_thread *t, unsigned g, unsigned region)
{
	struct sm_counter_group *grp = &t->groups[g];
	uint64_t *last = t->last + t->base[g], *final = t->final + t->base[g];
	uint64_t *row = t->counts + (size_t)region * t->n_slots + t->base[g];
	struct sm_group_count c;

	if (sm_group_read(grp, &c)) {
		if (!(t->lost >> g & 1))
			__atomic_store_n(&t->lost, t->lost | 1u << g, __ATOMIC_RELAXED);
		return;
	}
	/* Differences modulo 2^64: a counter may be at any value, also a wrapped one. */
	add(&row[0], c.enabled - last[0]);
	add(&row[1], c.running - last[1]);
	last[0] = c.enabled;
	last[1] = c.running;
	put(&final[0], c.enabled);
	put(&final[1], c.running);
	for (unsigned i = 0; i < grp->n; i++) {
		if (grp->ev[i].status != SM_STATUS_OK)
			continue;
		add(&row[HEAD + i], c.values[i] - last[HEAD + i]);
		last[HEAD + i] = c.values[i];
		put(&final[HEAD + i], c.values[i]);
	}
}

/* Gives what passed since the last change to the regions that were current. */
static void account(struct sm_region_thread *t, bool everything)
{
	uint64_t at = now(t);

	add(&t->ticks[t->cur], sm_clock_delta(t->last_ticks, at));
	if (at > t->last_ticks)
		t->last_ticks = at;
	put(&t->end_ticks, t->last_ticks);
	for (unsigned g = 0; g < t->n_groups; g++) {
		if (t->user[g])
			account_group(t, g, t->cur);
		else if (everything)
			account_group(t, g, t->owner);
	}
	add(everything ? &t->changes : &t->light_changes, 1);
}

/* The innermost region on the stack (with `top` on it) that is not light. */
static unsigned owner_of(const struct sm_region_thread *t, unsigned top)
{
	if (!is_light(t, top))
		return top;
	for (unsigned d = t->depth; d-- > 0;)
		if (!is_light(t, t->stack[d]))
			return t->stack[d];
	return t->opt.first;
}

static void change(struct sm_region_thread *t, unsigned to, unsigned owner)
{
	write_begin(t);
	account(t, owner != t->owner);
	if (t->sim >= 0 && owner != t->owner)
		sm__sim_change(t->sim, t->owner, owner);
	t->cur = (uint8_t)to;
	t->owner = (uint8_t)owner;
	write_end(t);
}

/* A signal handler that lands between these two finds busy set. */
static inline bool grab(struct sm_region_thread *t)
{
	if (t->busy || !t->open) {
		add(&t->dropped, 1);
		return false;
	}
	t->busy = 1;
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	return true;
}

static inline void let_go(struct sm_region_thread *t)
{
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	t->busy = 0;
}

void sm_region_enter(struct sm_region_thread *t, unsigned region)
{
	if (!t || !grab(t))
		return;
	if (region >= t->opt.n_regions)
		region = t->opt.first;
	if (t->depth == SM_REGION_DEPTH) {
		t->over++;
		let_go(t);
		return;
	}
	t->stack[t->depth++] = t->cur;
	add(&t->enters[region], 1);
	change(t, region, owner_of(t, region));
	let_go(t);
}

void sm_region_leave(struct sm_region_thread *t)
{
	unsigned to;

	if (!t || !grab(t))
		return;
	if (t->over) {
		t->over--;
	} else if (!t->depth) {
		add(&t->dropped, 1);
	} else {
		to = t->stack[--t->depth];
		change(t, to, owner_of(t, to));
	}
	let_go(t);
}

void sm_region_reset(struct sm_region_thread *t)
{
	if (!t || !grab(t))
		return;
	write_begin(t);
	account(t, true);
	for (unsigned r = 0; r < SM_REGION_MAX; r++) {
		put(&t->ticks[r], 0);
		put(&t->enters[r], 0);
	}
	for (size_t i = 0; i < (size_t)t->opt.n_regions * t->n_slots; i++)
		put(&t->counts[i], 0);
	for (unsigned i = 0; i < t->n_slots; i++)
		put(&t->first[i], t->last[i]);
	put(&t->changes, 0);
	put(&t->light_changes, 0);
	put(&t->dropped, 0);
	put(&t->start_ticks, t->last_ticks);
	write_end(t);
	if (t->sim >= 0)
		sm__sim_reset(t->sim, t->owner);
	let_go(t);
}

/* ---- opening --------------------------------------------------------------------------------- */

struct picker {
	struct sm_region_thread *t;
	const struct sm_event_code *codes[SM_GROUP_MAX];
	struct slot *slots[SM_GROUP_MAX];
	unsigned n;
};

static void pick(struct picker *p, unsigned event, unsigned kind)
{
	struct slot *s = &p->t->slots[kind * p->t->cs->n_events + event];

	if (p->n == SM_GROUP_MAX || s->group >= 0)
		return;
	p->codes[p->n] = &p->t->cs->events[event].res[kind].code;
	p->slots[p->n++] = s;
}

static void open_picked(struct picker *p)
{
	struct sm_region_thread *t = p->t;
	struct sm_group_options opt = {.opener = t->cs->opt.opener,
				       .cpu = -1,
				       .multiplex = t->cs->opt.multiplex,
				       .no_user_read = t->cs->opt.no_user_read};

	if (p->n && t->n_groups < MAX_GROUPS) {
		sm_group_open(&t->groups[t->n_groups], p->codes, p->n, &opt);
		for (unsigned i = 0; i < p->n; i++)
			*p->slots[i] = (struct slot){.group = (int8_t)t->n_groups, .index = (uint8_t)i};
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
			if (sm__is_hw(&cs->events[e], kind) && cs->events[e].in_pass[0] >> pass & 1)
				pick(&p, e, kind);
		open_picked(&p);
	}
}

/* perf_event's software events and tracepoints, then what getrusage tells. Those are of no kind: kind 0's encoding serves all. */
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
				pick(&p, e, 0);
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
		t->base[g + 1] = t->base[g] + HEAD + t->groups[g].n;
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
	return t->last && t->first && t->final && t->counts ? 0 : -ENOMEM;
}

/* ---- cost ------------------------------------------------------------------------------------ */

/* The slot of a counted event by name; group -1 when there is none. */
static struct slot find_counted(const struct sm_region_thread *t, const char *name)
{
	for (unsigned e = 0; e < t->cs->n_events; e++) {
		struct slot s = t->slots[t->kind * t->cs->n_events + e];

		if (!strcmp(t->cs->events[e].name, name) && s.group >= 0 &&
		    t->groups[s.group].ev[s.index].status == SM_STATUS_OK)
			return s;
	}
	return (struct slot){.group = -1};
}

/* ns of one change; the fastest of three rounds, the others were interrupted. */
static double time_changes(struct sm_region_thread *t, bool everything)
{
	uint64_t best = UINT64_MAX;

	for (int round = 0; round < 3; round++) {
		uint64_t from = sm_clock_ns(), took;

		for (int i = 0; i < CALIBRATE_ROUNDS; i++) {
			write_begin(t);
			account(t, everything);
			write_end(t);
		}
		took = sm_clock_ns() - from;
		if (took < best)
			best = took;
	}
	return (double)best / CALIBRATE_ROUNDS;
}

static void measure_cost(struct sm_region_thread *t)
{
	struct slot s = find_counted(t, "instructions");
	uint64_t before;
	unsigned at;

	t->insn_change = NAN;
	t->ns_light = time_changes(t, false);
	t->ns_change = time_changes(t, true);
	if (s.group < 0)
		return;
	at = t->base[s.group] + HEAD + s.index;
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
			 "regions: %u regions starting in %u, pass %u of %u; allowed: 1 to %d regions",
			 opt->n_regions, opt->first, opt->pass, cs->n_passes, SM_REGION_MAX);
		return -EINVAL;
	}
	t = calloc(1, sizeof(*t));
	if (!t || !(t->slots = calloc((size_t)cs->n_events * cs->n_kinds + 1, sizeof(*t->slots)))) {
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
	t->last_ticks = now(t);
	measure_cost(t);
	sm_region_reset(t);
	add(&t->enters[opt->first], 1);
	if (cs->opt.from == SM_COUNTERS_SIM)
		t->sim = sm__sim_open(opt->first);
	/* The main thread keeps its rights until everybody else is started: they inherit what it has. */
	if (gettid() != getpid())
		sm_privilege_drop();
	self = t;
	*out = t;
	return 0;
}

void sm_region_thread_stop(struct sm_region_thread *t)
{
	if (!t || !t->open)
		return;
	if (t->counts && grab(t)) {
		write_begin(t);
		account(t, true);
		write_end(t);
		let_go(t);
	}
	t->open = false;
	if (t->sim >= 0)
		sm__sim_stop(t->sim, t->owner);
	for (unsigned g = 0; g < t->n_groups; g++) {
		/* What readers ask about the events (status, reason) stays; only the kernel's part goes. */
		t->groups[g].ops->close(&t->groups[g]);
	}
	if (self == t)
		self = NULL;
}

void sm_region_thread_free(struct sm_region_thread *t)
{
	if (!t)
		return;
	sm_region_thread_stop(t);
	free(t->slots);
	free(t->last);
	free(t->first);
	free(t->final);
	free(t->counts);
	free(t);
}

/* ---- reading out ----------------------------------------------------------------------------- */

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

static void judge(const struct sm_region_thread *t, struct sm_reading *r, bool light)
{
	if (r->enabled && !r->running) {
		r->status = SM_STATUS_NOT_COUNTED;
		r->reason = "the kernel never scheduled it in this region";
	} else if (r->running < r->enabled) {
		r->status = SM_STATUS_MULTIPLEXED;
		r->reason = t->cs->opt.multiplex
				    ? "multiplexed: scaled from a part of the time"
				    : "shared with another user of the PMU: scaled from a part of the time";
	}
	if (light) {
		r->status = SM_STATUS_NOT_COUNTED;
		r->reason = "light region: counted in the enclosing one (reading costs a system call)";
	}
}

/* A simulated count. region -1: the total. */
static void fill_sim(const struct sm_region_thread *t, enum sm_sim what, int region, struct sm_reading *r)
{
	uint64_t v;

	if (t->sim < 0) {
		r->reason = "this process does not run under Callgrind";
	} else if (region >= 0 && is_light(t, (unsigned)region)) {
		r->reason =
			"light region: counted in the enclosing one (a Callgrind dump costs milliseconds)";
	} else if (sm__sim_lookup(t->sim, region, what, &v, &r->reason)) {
		r->raw = v;
		r->status = SM_STATUS_OK;
		r->reason = NULL;
	}
}

/* One event out of a row of counts (differences). */
static void fill(const struct sm_region_thread *t, unsigned event, unsigned kind, const uint64_t *row,
		 unsigned region, bool total, struct sm_reading *r)
{
	struct slot s = t->slots[kind * t->cs->n_events + event];
	const struct sm_counter_group *g;

	*r = sm_counterset_missing(t->cs, event, kind, t->opt.pass);
	if (r->source == SM_SOURCE_SIM && r->status == SM_STATUS_NOT_COUNTED)
		fill_sim(t, (enum sm_sim)t->cs->events[event].res[kind].code.config, total ? -1 : (int)region,
			 r);
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
		r->reason = "the kernel took the counters away (a pinned group lost its place on the PMU)";
		return;
	}
	r->enabled = get(&row[t->base[s.group]]);
	r->running = get(&row[t->base[s.group] + 1]);
	r->raw = get(&row[t->base[s.group] + HEAD + s.index]);
	judge(t, r, !total && !t->user[s.group] && is_light(t, region));
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

	if (!t || region >= t->opt.n_regions)
		return;
	do {
		s = read_begin(t);
		if (time)
			get_time(t, get(&t->ticks[region]), get(&t->enters[region]), time);
		for (unsigned e = 0; readings && e < t->cs->n_events; e++)
			fill(t, e, kind, t->counts + (size_t)region * t->n_slots, region, false,
			     &readings[e]);
	} while (read_retry(t, s));
}

void sm_region_total(const struct sm_region_thread *t, unsigned kind, struct sm_reading *readings,
		     struct sm_region_time *time)
{
	uint64_t *row, enters;
	uint32_t s;

	if (!t)
		return;
	row = calloc(t->n_slots ? t->n_slots : 1, sizeof(*row));
	if (!row)
		return;
	do {
		s = read_begin(t);
		enters = 0;
		for (unsigned r = 0; r < t->opt.n_regions; r++)
			enters += get(&t->enters[r]);
		for (unsigned i = 0; i < t->n_slots; i++)
			row[i] = get(&t->final[i]) - get(&t->first[i]);
		if (time)
			get_time(t, sm_clock_delta(get(&t->start_ticks), get(&t->end_ticks)), enters, time);
		for (unsigned e = 0; readings && e < t->cs->n_events; e++)
			fill(t, e, kind, row, 0, true, &readings[e]);
	} while (read_retry(t, s));
	free(row);
}

void sm_region_cost(const struct sm_region_thread *t, struct sm_region_cost *out)
{
	struct sm_region_time total = {0};

	*out = (struct sm_region_cost){.instructions_per_change = NAN};
	if (!t)
		return;
	sm_region_total(t, 0, NULL, &total);
	out->ns_per_change = t->ns_change;
	out->ns_per_light_change = t->ns_light;
	out->instructions_per_change = t->insn_change;
	out->changes = get(&t->changes);
	out->light_changes = get(&t->light_changes);
	out->mode = t->mode;
	out->dropped = get(&t->dropped);
	if (total.ns)
		out->share =
			((double)out->changes * t->ns_change + (double)out->light_changes * t->ns_light) /
			(double)total.ns;
}

int sm_region_sim_id(const struct sm_region_thread *t)
{
	return t ? t->sim : -1;
}

unsigned sm_region_kind(const struct sm_region_thread *t)
{
	return t ? t->kind : 0;
}
