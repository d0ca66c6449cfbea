/*
 * test_pacer: the pacer as a simulation. A model program allocates at some rate and keeps some of
 * it; a model collector marks at some rate, from the trigger on, with assists as the pacer asks.
 */
#include "collector/cycle/pacer.h"
#include "tests/support/gctest.h"
#include "tests/support/run.h"

struct model {
	struct sm_pacer p;
	double alloc_rate; /* bytes a second, by all mutators with the CPUs that marking leaves */
	double scan_rate;  /* bytes a second of one CPU that marks */
	double workers, cpus;
	double scannable;    /* share of the live heap that is scanned */
	double late;	     /* seconds from the trigger to "barrier on everywhere" */
	double worker_share; /* of the time that workers are meant to have, what they get */
	bool serial;	     /* a list: nothing to assist with */
	size_t live;	     /* what the program keeps */
	size_t heap;	     /* now */
	size_t peak;	     /* at the end of marking */
	double assist_share;
	double holes;  /* memory for a byte of heap */
	size_t mapped; /* at the largest heap so far */
	double cost;   /* marking's share of the CPU time of a whole cycle */
};

static void model_init(struct model *s, unsigned percent, size_t min_heap, size_t limit)
{
	struct sm_pacer_config c = {.percent = percent,
				    .min_heap = min_heap,
				    .limit = limit,
				    .concurrent = true,
				    .utilization = 0.25};

	memset(s, 0, sizeof(*s));
	sm__pacer_init(&s->p, &c);
	s->alloc_rate = 200e6;
	s->scan_rate = 1e9;
	s->workers = 1;
	s->cpus = 4;
	s->scannable = 0.8;
	s->worker_share = 1;
	s->holes = 1;
	s->live = 20 * SM_MIB;
	s->heap = s->live;
}

/* One cycle in small steps: allocation goes on while marking does its work. */
static void cycle(struct model *s)
{
	struct sm_pacer_cycle c = {0};
	double work, done = 0, dt = 1e-5, busy = 0, wall = 0, before = 0, ratio;
	size_t start;

	if (s->heap < s->p.trigger) {
		before = (double)(s->p.trigger - s->heap) / s->alloc_rate;
		s->heap = s->p.trigger;
	}
	start = s->heap;
	s->heap += (size_t)(s->alloc_rate * s->late);
	work = (double)s->live * s->scannable + 1000;
	ratio = (double)sm__pacer_assist_ratio(&s->p, start) / 1024;
	while (done < work) {
		double alloc = s->alloc_rate * dt, owed = (double)(s->heap - start) * ratio - done,
		       assist = s->serial || owed < 0 ? 0 : owed,
		       worked = s->workers * s->worker_share * s->scan_rate * dt;
		double most = (s->cpus - s->workers) * s->scan_rate * dt;

		/* What the workers have done already need not be done by assists: they pay the
		 * rest. */
		if (assist > alloc * ratio)
			assist = alloc * ratio;
		if (assist > most) {
			alloc *= most / assist;
			assist = most;
		}
		done += worked + assist;
		busy += s->workers * s->worker_share * dt + assist / s->scan_rate;
		wall += dt;
		s->heap += (size_t)alloc;
	}
	s->peak = s->heap;
	s->assist_share = busy > 0 ? (busy - s->workers * wall) / busy : 0;
	c.live = s->live + (s->heap - start);
	c.scan = (size_t)work;
	c.roots = 64 * SM_KIB;
	c.growth = c.born = s->heap - start;
	c.heap = s->heap;
	/* Memory holds the heap and its holes, and what it held once it holds still. */
	if ((double)s->heap * s->holes > (double)s->mapped)
		s->mapped = (size_t)((double)s->heap * s->holes);
	c.mapped = s->mapped;
	c.utilization = busy / (wall * s->cpus);
	c.cost = s->cost = busy / (busy + before + s->late + wall);
	sm__pacer_end_cycle(&s->p, &c);
	s->heap = c.live;
	ck_assert_uint_le(s->p.trigger, s->p.goal);
	ck_assert_uint_ge(s->p.goal, c.live);
	ck_assert_uint_lt(s->p.goal, (size_t)1 << 50);
}

static void near_goal(struct model *s, size_t goal, double within)
{
	double off = ((double)s->peak - (double)goal) / (double)goal;

	ck_assert_msg(off < within && off > -within, "peak %zu, goal %zu: off by %.1f%%", s->peak,
		      goal, off * 100);
}

START_TEST(steady)
{
	struct model s;
	size_t goal = 0;

	model_init(&s, 100, 4 * SM_MIB, 0);
	s.alloc_rate = 50e6 * (double)(1 << _i);
	for (int i = 0; i < 25; i++) {
		goal = s.p.goal;
		cycle(&s);
	}
	near_goal(&s, goal, 0.05);
}
END_TEST

START_TEST(step)
{
	struct model s;
	size_t goal = 0;

	model_init(&s, 100, 4 * SM_MIB, 0);
	for (int i = 0; i < 50; i++) {
		if (i == 25) {
			s.alloc_rate *= 4;
			s.live *= 2;
		}
		goal = s.p.goal;
		cycle(&s);
	}
	near_goal(&s, goal, 0.05);
}
END_TEST

START_TEST(ramp)
{
	struct model s;
	size_t goal = 0;

	model_init(&s, 100, 4 * SM_MIB, 0);
	for (int i = 0; i < 25; i++) {
		s.alloc_rate *= 1.05;
		s.live += s.live / 20;
		goal = s.p.goal;
		cycle(&s);
	}
	near_goal(&s, goal, 0.05);
}
END_TEST

START_TEST(sawtooth)
{
	struct model s;
	size_t worst = 0;

	model_init(&s, 100, 4 * SM_MIB, 0);
	for (int i = 0; i < 60; i++) {
		size_t goal = s.p.goal;

		s.live = (size_t)(20 + i % 6 * 10) * SM_MIB;
		s.alloc_rate = i % 2 ? 100e6 : 400e6;
		cycle(&s);
		/* Live has jumped by a half at most: the goal may be passed by what it did not know
		 * of. */
		if (i > 25 && s.peak > goal && s.peak - goal > worst)
			worst = s.peak - goal;
	}
	ck_assert_uint_le(worst, 12 * SM_MIB);
}
END_TEST

/*
 * Mutators run on between the trigger and "barrier on everywhere", here for as long as marking
 * takes: the next runways pay for it.
 */
START_TEST(late_start)
{
	struct model s;
	size_t goal = 0;

	model_init(&s, 100, 4 * SM_MIB, 0);
	s.late = 0.005 * (1 + _i);
	for (int i = 0; i < 25; i++) {
		goal = s.p.goal;
		cycle(&s);
	}
	near_goal(&s, goal, 0.05);
}
END_TEST

/* A list, followed by one worker alone while mutators allocate at full speed: no assist can help.
 */
START_TEST(serial_list)
{
	struct model s;
	size_t goal = 0;

	model_init(&s, 100, 16 * SM_MIB, 0);
	s.live = 200 * SM_MIB;
	s.scannable = 0.02;
	s.scan_rate = 800e6;
	s.alloc_rate = 12e9;
	s.serial = true;
	s.cpus = 2;
	s.p.config.utilization = 0.5;
	for (int i = 0; i < 25; i++) {
		goal = s.p.goal;
		cycle(&s);
	}
	near_goal(&s, goal, 0.02);
	ck_assert_uint_le(s.peak, s.live * 22 / 10);
}
END_TEST

/* The mutators have the CPUs, and the worker what they leave: a third, a fifth. What grew counts as
 * it is. */
START_TEST(starved_worker)
{
	struct model s;
	size_t goal = 0;

	model_init(&s, 100, 4 * SM_MIB, 0);
	s.alloc_rate = 100e6;
	s.worker_share = _i ? 0.2 : 0.33;
	s.serial = true;
	for (int i = 0; i < 25; i++) {
		goal = s.p.goal;
		cycle(&s);
	}
	near_goal(&s, goal, 0.05);
}
END_TEST

/*
 * A cycle in which mutators had to help grows little, for they were held back. Its successors start
 * early enough for the workers alone: no mutator assists for ever.
 */
START_TEST(assists_do_not_last)
{
	struct model s;

	model_init(&s, 100, 4 * SM_MIB, 0);
	for (int i = 0; i < 25; i++)
		cycle(&s);
	s.alloc_rate *= 2;
	cycle(&s);
	ck_assert_msg(s.assist_share > 0.2, "nothing to get over: %.2f", s.assist_share);
	for (int i = 0; i < 25; i++)
		cycle(&s);
	ck_assert_msg(s.assist_share < 0.1, "assists still do %.2f", s.assist_share);
}
END_TEST

/* Little is live, much is allocated: room grows until marking is cheap, and not beyond what it may.
 */
START_TEST(room_follows_cost)
{
	struct model s;
	size_t settled;

	model_init(&s, 100, 4 * SM_MIB, 0);
	s.p.config.max_room = 64 * SM_MIB;
	s.live = 8 * SM_MIB;
	s.alloc_rate = 1e9;
	for (int i = 0; i < 25; i++)
		cycle(&s);
	settled = s.p.room;
	ck_assert_uint_gt(settled, 16 * SM_MIB);
	ck_assert_uint_le(settled, 64 * SM_MIB);
	near_goal(&s, s.p.goal, 0.05);
	/* It does not swing. */
	for (int i = 0; i < 25; i++) {
		cycle(&s);
		ck_assert_uint_eq(s.p.room, settled);
	}
	/* Marking has become cheap: the heap shrinks again. */
	s.alloc_rate = 20e6;
	for (int i = 0; i < 25; i++)
		cycle(&s);
	ck_assert_uint_lt(s.p.room, settled);
	ck_assert(s.cost < 0.1);
	/* With next to nothing to mark, a cycle's cost is not marking's, and room no help. */
	s.live = 64 * SM_KIB;
	s.alloc_rate = 10e9;
	s.late = 1e-5;
	for (int i = 0; i < 25; i++)
		cycle(&s);
	ck_assert_uint_eq(s.p.room, 4 * SM_MIB);
}
END_TEST

START_TEST(zero_live)
{
	struct model s;

	model_init(&s, 100, 4 * SM_MIB, 0);
	s.live = 0;
	s.heap = 0;
	for (int i = 0; i < 25; i++)
		cycle(&s);
	ck_assert_uint_ge(s.p.goal, 4 * SM_MIB);
	ck_assert_uint_le(s.p.goal, 6 * SM_MIB);
	ck_assert_uint_gt(s.p.trigger, 0);
}
END_TEST

START_TEST(limit_reached)
{
	struct model s;

	model_init(&s, 100, 4 * SM_MIB, 64 * SM_MIB);
	s.live = 40 * SM_MIB;
	for (int i = 0; i < 25; i++) {
		cycle(&s);
		ck_assert_uint_le(s.p.goal, 64 * SM_MIB);
	}
	/* More is live than the limit allows: the goal stays above it, by little, and nothing
	 * underflows. */
	s.live = 100 * SM_MIB;
	for (int i = 0; i < 5; i++)
		cycle(&s);
	ck_assert_uint_ge(s.p.goal, 100 * SM_MIB);
	ck_assert_uint_le(s.p.goal, 180 * SM_MIB);
	ck_assert_uint_le(s.p.trigger, s.p.goal);
}
END_TEST

/* A heap that takes more memory than it has objects stays under the limit all the same; and what it
 * has taken and cannot give back, one live object in each span, does not press the goal down cycle
 * after cycle. */
START_TEST(limit_is_of_memory)
{
	struct model s;
	size_t least;

	model_init(&s, 100, 4 * SM_MIB, 64 * SM_MIB);
	s.live = 30 * SM_MIB;
	s.holes = 1.25;
	for (int i = 0; i < 10; i++) {
		cycle(&s);
		/* The first that comes so far cannot know. */
		if (i == 1)
			s.mapped = 0;
	}
	ck_assert_uint_le(s.mapped, 66 * SM_MIB);
	ck_assert_uint_ge(s.mapped, 56 * SM_MIB);
	ck_assert_uint_gt(s.p.overhead, 10 * SM_MIB);
	ck_assert_uint_le(s.p.most, 52 * SM_MIB);
	least = s.p.goal;
	/* Beyond the limit for once, by a little. */
	s.mapped = 65 * SM_MIB;
	for (int i = 0; i < 100; i++)
		cycle(&s);
	ck_assert_msg(s.p.goal >= least - least / 8, "goal %zu, was %zu", s.p.goal, least);
}
END_TEST

/* Where nothing, or next to nothing, was allocated while the last cycles marked, the next is still
 * to start somewhat before the goal. */
START_TEST(trigger_keeps_off_the_goal)
{
	static const size_t live[] = {10 * SM_MIB, SM_GIB};

	for (size_t i = 0; i < 4; i++) {
		struct sm_pacer p;
		struct sm_pacer_config c = {
			.percent = 100, .concurrent = true, .utilization = 0.25};
		size_t l = live[i % 2];
		struct sm_pacer_cycle cy = {
			.live = l, .scan = l, .growth = i / 2 * 1000, .utilization = 0.25};

		sm__pacer_init(&p, &c);
		for (int n = 0; n < 2 * SM_PACER_HISTORY; n++)
			sm__pacer_end_cycle(&p, &cy);
		ck_assert_uint_eq(p.goal, 2 * l);
		/* A twentieth of the room, and no more than 4 MiB. */
		ck_assert_uint_eq(p.trigger,
				  i % 2 ? p.goal - 4 * SM_MIB : l + (size_t)((double)l * 0.95));
	}
}
END_TEST

/* What was born while marking does not raise the goal of a large heap as long as there is room for
 * the next cycle. */
START_TEST(born_takes_of_the_room)
{
	struct sm_pacer p;
	struct sm_pacer_config c = {.percent = 100,
				    .min_heap = 16 * SM_MIB,
				    .max_room = 64 * SM_MIB,
				    .concurrent = true};
	struct sm_pacer_cycle cy = {.scan = 128 * SM_MIB, .cost = 0.5};

	sm__pacer_init(&p, &c);
	cy.born = 90 * SM_MIB;
	cy.live = 128 * SM_MIB + cy.born;
	sm__pacer_end_cycle(&p, &cy);
	ck_assert_uint_eq(p.goal, 256 * SM_MIB);
	cy.born = 120 * SM_MIB;
	cy.live = 128 * SM_MIB + cy.born;
	sm__pacer_end_cycle(&p, &cy);
	ck_assert_uint_eq(p.goal, cy.live + 32 * SM_MIB);
	/* A small one, whose marking is expensive, has its room. */
	cy = (struct sm_pacer_cycle){
		.live = 20 * SM_MIB, .born = 10 * SM_MIB, .scan = SM_MIB, .cost = 0.5};
	sm__pacer_end_cycle(&p, &cy);
	ck_assert_uint_eq(p.goal, cy.live + 64 * SM_MIB - 5 * SM_MIB);
}
END_TEST

START_TEST(no_percent_no_goal)
{
	struct sm_pacer p;
	struct sm_pacer_config c = {
		.percent = 0, .min_heap = SM_MIB, .concurrent = true, .utilization = 0.25};

	sm__pacer_init(&p, &c);
	ck_assert_uint_gt(p.trigger, (size_t)1 << 60);
	c.limit = SM_GIB;
	sm__pacer_init(&p, &c);
	ck_assert_uint_le(p.goal, SM_GIB);
}
END_TEST

START_TEST(stw_triggers_at_the_goal)
{
	struct sm_pacer p;
	struct sm_pacer_config c = {.percent = 50, .min_heap = SM_MIB, .utilization = 0.25};
	struct sm_pacer_cycle cy = {.live = 10 * SM_MIB, .scan = 8 * SM_MIB, .roots = 2 * SM_MIB};

	sm__pacer_init(&p, &c);
	ck_assert_uint_eq(p.trigger, SM_MIB);
	sm__pacer_end_cycle(&p, &cy);
	ck_assert_uint_eq(p.goal, 16 * SM_MIB);
	ck_assert_uint_eq(p.trigger, p.goal);
}
END_TEST

START_TEST(extremes_do_not_underflow)
{
	struct sm_pacer p;
	struct sm_pacer_config c = {
		.percent = 100, .min_heap = 0, .concurrent = true, .utilization = 0};
	uint64_t rs = 3;

	sm__pacer_init(&p, &c);
	for (int i = 0; i < 20000; i++) {
		struct sm_pacer_cycle cy = {
			.live = gctest_random(&rs) >> (gctest_random(&rs) % 64),
			.scan = gctest_random(&rs) >> (gctest_random(&rs) % 64),
			.roots = gctest_random(&rs) >> (gctest_random(&rs) % 64),
			.growth = gctest_random(&rs) >> (gctest_random(&rs) % 64),
			.heap = gctest_random(&rs) >> (gctest_random(&rs) % 64),
			.mapped = gctest_random(&rs) >> (gctest_random(&rs) % 64),
			.utilization = (double)(gctest_random(&rs) % 1200) / 1000};

		p.config.limit = gctest_random(&rs) % 2 ? gctest_random(&rs) >> 20 : 0;
		sm__pacer_end_cycle(&p, &cy);
		if (p.trigger > p.goal || (cy.live < SIZE_MAX / 4 && p.goal < cy.live))
			ck_abort_msg("live %zu: trigger %zu, goal %zu", cy.live, p.trigger, p.goal);
		if (sm__pacer_assist_ratio(&p, cy.live) > 1024 * 1024)
			ck_abort_msg("assist ratio out of bounds");
	}
}
END_TEST

START_TEST(assists_ask_for_more_as_room_shrinks)
{
	struct model s;
	uint64_t before;

	model_init(&s, 100, 4 * SM_MIB, 0);
	for (int i = 0; i < 10; i++)
		cycle(&s);
	before = sm__pacer_assist_ratio(&s.p, s.p.trigger);
	ck_assert_uint_gt(before, 0);
	ck_assert_uint_gt(sm__pacer_assist_ratio(&s.p, (s.p.trigger + s.p.goal) / 2), before);
	s.p.scan *= 2;
	ck_assert_uint_gt(sm__pacer_assist_ratio(&s.p, s.p.trigger), before);
	/* Nothing was to scan in the last cycle, which does not say that nothing is in this one. */
	s.p.scan = s.p.roots = 0;
	ck_assert_uint_ge(sm__pacer_assist_ratio(&s.p, s.p.goal - 1000), 1024);
	ck_assert_uint_le(sm__pacer_assist_ratio(&s.p, s.p.goal * 2), 1024 * 1024);
}
END_TEST

START_TEST(workers_by_cpus)
{
	static const struct {
		unsigned cpus, dedicated;
		double fractional;
	} expect[] = {{1, 0, 0.25}, {2, 0, 0.5}, {3, 0, 0.75}, {4, 1, 0},  {5, 1, 0},
		      {6, 1, 0.5},  {7, 2, 0},	 {8, 2, 0},    {64, 16, 0}};

	for (size_t i = 0; i < sizeof(expect) / sizeof(expect[0]); i++) {
		double f;

		ck_assert_uint_eq(sm__pacer_workers(expect[i].cpus, &f), expect[i].dedicated);
		ck_assert_msg(f > expect[i].fractional - 0.01 && f < expect[i].fractional + 0.01,
			      "%u CPUs: %f", expect[i].cpus, f);
	}
}
END_TEST

int main(void)
{
	return SM_SUITE("pacer", 60, SM_LOOP(steady, 0, 5), SM_T(step), SM_T(ramp), SM_T(sawtooth),
			SM_LOOP(late_start, 0, 3), SM_T(serial_list), SM_LOOP(starved_worker, 0, 2),
			SM_T(assists_do_not_last), SM_T(room_follows_cost), SM_T(zero_live),
			SM_T(limit_reached), SM_T(limit_is_of_memory),
			SM_T(trigger_keeps_off_the_goal), SM_T(born_takes_of_the_room),
			SM_T(no_percent_no_goal), SM_T(stw_triggers_at_the_goal),
			SM_T(extremes_do_not_underflow), SM_T(assists_ask_for_more_as_room_shrinks),
			SM_T(workers_by_cpus));
}
