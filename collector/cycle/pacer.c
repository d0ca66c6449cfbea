/* pacer.c: the arithmetic of when a cycle begins and how much it may cost. */
#include "collector/cycle/pacer.h"

#include <string.h>

#define TRIGGER_MIN	0.30 /* of the way from live to goal: no cycle starts earlier */
#define TRIGGER_MAX	0.95
#define TRIGGER_MAX_LAG (4 * SM_MIB) /* .. but the last bytes of a large heap are not given away */
/* Marking's share of the CPU time: expensive, what to aim at then, and so cheap that a smaller heap
 * is better. Cost is proportional to 1 / room, so halving at a fiftieth leads to less than a
 * twentieth: room does not swing. */
#define COST_DEAR  0.10
#define COST_AIM   0.05
#define COST_CHEAP 0.02
/* Times what is live, at most: with nothing to mark, what a cycle costs is not marking. */
#define ROOM_LIVE 8
/* When nothing but marking ran, how much more would have been allocated cannot be told. */
#define SHARE_MAX	 0.95
#define LIMIT_HEADROOM	 0.03
#define WORK_MIN	 1000u
#define WORKER_SHARE	 0.25
#define FRACTIONAL_ERROR 0.30
/* A minor cycle follows while at most the one part of what is new was kept, and at least the other
 * of the room that a major cycle left is there. */
#define KEPT_MOST    2
#define ROOM_LEAST   2
#define PATIENCE_MAX 16

static size_t add_sat(size_t a, size_t b)
{
	return a + b < a ? SIZE_MAX : a + b;
}

static size_t sub_sat(size_t a, size_t b)
{
	return a > b ? a - b : 0;
}

static size_t scale(size_t bytes, double by)
{
	double r = (double)bytes * by;

	return r >= (double)SIZE_MAX / 2 ? SIZE_MAX / 2 : (size_t)r;
}

/*
 * What is mapped beyond the heap's bytes: metadata, and holes in spans. A heap that took more
 * memory in this cycle had no use for the holes that it has; one that did not, used some, so the
 * least that was seen is right. (Were they counted then, too, the goal would sink from cycle to
 * cycle, for memory that holds one live object in a span does not shrink with the heap.)
 */
static void learn_overhead(struct sm_pacer *p, const struct sm_pacer_cycle *c)
{
	size_t now = sub_sat(c->mapped, c->heap),
	       grown = c->mapped > p->config.limit ? 0 : p->mapped / 64;

	if (now < p->overhead || c->mapped > add_sat(p->mapped, grown))
		p->overhead = now;
	p->mapped = c->mapped;
}

/* The goal that the limit allows: never below what is live and an eighth more, or every allocation
 * would collect. */
static size_t limit_goal(const struct sm_pacer *p)
{
	size_t head = scale(p->config.limit, LIMIT_HEADROOM), goal, least;

	if (head < SM_MIB)
		head = SM_MIB;
	goal = sub_sat(p->most, head);
	least = add_sat(p->live, p->live / 8 + 64 * SM_KIB);
	return goal > least ? goal : least;
}

static size_t goal_of(const struct sm_pacer *p)
{
	size_t goal = SIZE_MAX / 2, least, room;

	if (p->config.percent) {
		goal = add_sat(p->base,
			       scale(add_sat(p->base, p->roots), p->config.percent / 100.0));
		/* Where much is born while marking, there must be room for the next cycle all the
		 * same; in a large heap a quarter of what the percentage grants, or many mutators,
		 * which all go on while one marks, take half as much again. */
		least = scale(p->base, p->config.percent / 400.0);
		room = sub_sat(p->room, scale(p->base, p->config.percent / 200.0));
		if (least < room)
			least = room;
		if (p->live > 0 && goal < add_sat(p->live, least))
			goal = add_sat(p->live, least);
		if (goal < p->config.min_heap)
			goal = p->config.min_heap;
	}
	if (p->config.limit) {
		size_t most = limit_goal(p);

		if (goal > most)
			goal = most;
	}
	return goal;
}

static void adapt_room(struct sm_pacer *p, double cost)
{
	size_t most = scale(p->base, ROOM_LIVE);

	if (most > p->config.max_room)
		most = p->config.max_room;
	if (most < p->config.min_heap)
		most = p->config.min_heap;
	if (cost > COST_DEAR)
		p->room = scale(p->room, cost / COST_AIM);
	else if (cost > 0 && cost < COST_CHEAP)
		p->room /= 2;
	if (p->room < p->config.min_heap)
		p->room = p->config.min_heap;
	if (p->room > most)
		p->room = most;
}

static double worst_per_scan(const struct sm_pacer *p)
{
	double worst = 0;

	for (unsigned i = 0; i < SM_PACER_HISTORY; i++) {
		if (p->per_scan[p->minor][i] > worst)
			worst = p->per_scan[p->minor][i];
	}
	return worst;
}

/* What would have been allocated for each byte scanned, had marking got no more than the share
 * meant for it. */
static double per_scan_of(const struct sm_pacer *p, const struct sm_pacer_cycle *c)
{
	double u = p->config.utilization,
	       a = c->utilization < SHARE_MAX ? c->utilization : SHARE_MAX;
	double held_back = a / (1 - a) * (1 - u) / u;

	return (double)c->growth / (double)(c->scan + c->roots) * (held_back > 1 ? held_back : 1);
}

static size_t trigger_of(const struct sm_pacer *p)
{
	size_t span = sub_sat(p->goal, p->live), lo, hi, runway, trigger;

	if (!p->config.concurrent)
		return p->goal;
	lo = add_sat(p->live, scale(span, TRIGGER_MIN));
	hi = add_sat(p->live, scale(span, TRIGGER_MAX));
	if (hi < sub_sat(p->goal, TRIGGER_MAX_LAG))
		hi = sub_sat(p->goal, TRIGGER_MAX_LAG);
	runway = scale(add_sat(p->scan, p->roots), worst_per_scan(p));
	trigger = sub_sat(p->goal, runway);
	if (trigger < lo)
		trigger = lo;
	return trigger < hi ? trigger : hi;
}

void sm__pacer_init(struct sm_pacer *p, const struct sm_pacer_config *c)
{
	memset(p, 0, sizeof(*p));
	p->config = *c;
	if (!(p->config.utilization > 0.01))
		p->config.utilization = 0.01;
	if (p->config.utilization > 0.99)
		p->config.utilization = 0.99;
	p->room = c->min_heap;
	p->most = c->limit;
	p->goal = goal_of(p);
	p->trigger = trigger_of(p);
}

/* A major cycle: has the heap ceased to grow with it? What is built first stays, which tells
 * nothing of what is made later. */
static bool was_growing(struct sm_pacer *p, const struct sm_pacer_cycle *c, size_t lived)
{
	bool grew = p->grew;

	p->grew = sub_sat(p->base, p->last_base) > sub_sat(c->heap, lived) / KEPT_MOST;
	p->last_base = p->base;
	return grew && !p->grew;
}

/* Is the next cycle to be a minor one? lived: at the end of the last cycle. */
static bool minor_pays(struct sm_pacer *p, const struct sm_pacer_cycle *c, size_t lived)
{
	size_t room = sub_sat(p->goal, p->live), born = add_sat(lived, c->born);

	if (!c->minor) {
		p->first_room = room;
		p->wait -= p->wait != 0;
		if (was_growing(p, c, lived))
			p->wait = p->patience = 0;
		return p->wait == 0;
	}
	if (sub_sat(c->live, born) > sub_sat(c->heap, born) / KEPT_MOST) {
		p->patience = p->patience == 0 ? 1 : p->patience * 2;
		if (p->patience > PATIENCE_MAX)
			p->patience = PATIENCE_MAX;
		p->wait = p->patience;
		return false;
	}
	p->patience = 0;
	return room >= p->first_room / ROOM_LEAST;
}

/* A cycle that scanned nothing or was not timed says nothing about rates. */
static void learn_rate(struct sm_pacer *p, const struct sm_pacer_cycle *c)
{
	double *rate = p->per_scan[c->minor];

	if (!p->config.concurrent || c->scan + c->roots == 0 || !(c->utilization > 0.001))
		return;
	memmove(rate + 1, rate, (SM_PACER_HISTORY - 1) * sizeof(*rate));
	rate[0] = per_scan_of(p, c);
}

void sm__pacer_end_cycle(struct sm_pacer *p, const struct sm_pacer_cycle *c)
{
	size_t lived = p->live;

	p->live = c->live;
	p->scans[c->minor] = c->scan;
	p->roots = c->roots;
	learn_rate(p, c);
	/* What minor cycles cost says nothing of how dear the live heap is to mark. */
	if (!c->minor) {
		p->base = sub_sat(c->live, c->born);
		adapt_room(p, c->cost);
	}
	if (p->config.limit) {
		learn_overhead(p, c);
		p->most = p->config.limit > p->overhead ? p->config.limit - p->overhead : 1;
	}
	p->goal = goal_of(p);
	p->minor = p->config.generations && minor_pays(p, c, lived);
	p->scan = p->scans[p->minor];
	p->trigger = trigger_of(p);
}

void sm__pacer_next_is_major(struct sm_pacer *p)
{
	p->minor = false;
	p->scan = p->scans[0];
	p->trigger = trigger_of(p);
}

void sm__pacer_forget_minors(struct sm_pacer *p)
{
	p->wait = p->patience = 0;
}

uint64_t sm__pacer_assist_ratio(const struct sm_pacer *p, size_t heap_now)
{
	size_t work = add_sat(p->scan, p->roots), room = sub_sat(p->goal, heap_now);

	if (work < WORK_MIN)
		work = WORK_MIN;
	if (room == 0)
		room = 1;
	if (work / 1024 >= room)
		return 1024 * 1024; /* a byte allocated costs a KiB marked, at most */
	return work > SIZE_MAX / 1024 ? work / (room / 1024 + 1) : work * 1024 / room;
}

unsigned sm__pacer_workers(unsigned cpus, double *fractional)
{
	double want = cpus * WORKER_SHARE, error;
	unsigned n = (unsigned)(want + 0.5);

	*fractional = 0;
	error = (double)n / want - 1;
	if (error < -FRACTIONAL_ERROR || error > FRACTIONAL_ERROR) {
		if ((double)n > want)
			n--;
		*fractional = want - n;
	}
	return n;
}
