/*
 * test_pacer_minor: when a cycle is minor, as a simulation: a program with so much alive allocates,
 * of which a share stays, and as much of what is old dies; the world stands still while a cycle
 * marks.
 */
#include "collector/cycle/pacer.h"
#include "tests/support/gctest.h"
#include "tests/support/run.h"

struct model {
	struct sm_pacer p;
	double live;	 /* in reach */
	double floating; /* old and dead, for a major cycle to find */
	double share;	 /* of what is new stays */
	size_t peak;
	unsigned minors, majors;
	double marked; /* bytes, by all cycles */
};

static void model_init(struct model *s, size_t live, double share, bool generations)
{
	struct sm_pacer_config c = {
		.percent = 100, .min_heap = 4 * SM_MIB, .generations = generations};

	memset(s, 0, sizeof(*s));
	sm__pacer_init(&s->p, &c);
	s->live = (double)live;
	s->share = share;
}

static void cycle(struct model *s)
{
	double before = s->live + s->floating, heap, grown, kept;
	struct sm_pacer_cycle c = {.minor = s->p.minor};

	heap = (double)s->p.trigger > before ? (double)s->p.trigger : before;
	grown = heap - before;
	kept = grown * s->share;
	/* As much dies old as new objects stay. */
	s->floating += kept;
	if (!c.minor)
		s->floating = 0;
	s->minors += c.minor;
	s->majors += !c.minor;
	c.scan = (size_t)(c.minor ? kept : s->live);
	s->marked += (double)c.scan;
	c.live = (size_t)(s->live + s->floating);
	c.heap = (size_t)heap;
	if (s->majors > 1 && c.heap > s->peak)
		s->peak = c.heap;
	sm__pacer_end_cycle(&s->p, &c);
	ck_assert_uint_le(s->p.trigger, s->p.goal);
	ck_assert_uint_ge(s->p.goal, c.live);
}

/* So many bytes are allocated as n cycles without generations take. */
static void run(struct model *s, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		cycle(s);
}

START_TEST(garbage_that_dies_young)
{
	struct model on, off;

	model_init(&on, 100 * SM_MIB, 0.02, true);
	model_init(&off, 100 * SM_MIB, 0.02, false);
	run(&on, 400);
	run(&off, 400);
	ck_assert_uint_eq(off.minors, 0);
	/* Half of the room is given away at 2 % a cycle, ever less of it: in some 35. */
	ck_assert_uint_ge(on.minors, on.majors * 25);
	ck_assert_uint_ge(on.majors, 5);
	/* No more memory, and what is marked is a small part, though cycles come more often. */
	ck_assert_uint_le(on.peak, off.peak + off.peak / 100);
	ck_assert(on.marked < off.marked / 10);
}
END_TEST

/* Most of what is new stays: minor cycles would only come on top. */
START_TEST(objects_that_die_old)
{
	struct model s;

	model_init(&s, 100 * SM_MIB, 0.9, true);
	run(&s, 200);
	/* Tried once in 16, when it is known. */
	ck_assert_uint_ge(s.minors, 10);
	ck_assert_uint_le(s.minors, 18);
}
END_TEST

/* In between, a minor cycle or two between major ones, while they leave half of the room. */
START_TEST(a_fifth_stays)
{
	struct model s;

	model_init(&s, 100 * SM_MIB, 0.2, true);
	run(&s, 300);
	ck_assert_uint_ge(s.minors, s.majors);
	ck_assert_uint_le(s.minors, s.majors * 5);
}
END_TEST

/* What a program builds first stays: no reason to wait for long when it is built. */
START_TEST(built_first)
{
	struct model s;
	unsigned cycles, minors;

	model_init(&s, SM_MIB, 0.02, true);
	for (cycles = 0; s.p.wait < 8 && cycles < 100; cycles++) {
		double was = s.live, heap = (double)s.p.trigger;

		/* All that is new stays. */
		s.live = heap > was ? heap : was;
		s.share = 0;
		cycle(&s);
	}
	ck_assert_uint_eq(s.p.wait, 8);
	s.share = 0.02;
	minors = s.minors;
	for (cycles = 0; s.minors == minors && cycles < 10; cycles++)
		cycle(&s);
	ck_assert_uint_le(cycles, 4);
	run(&s, 30);
	ck_assert_uint_ge(s.minors, minors + 25);
}
END_TEST

/* A heap that begins to grow goes back to major cycles, and from them when it has grown. */
START_TEST(phases)
{
	struct model s;
	unsigned minors;

	model_init(&s, 50 * SM_MIB, 0.02, true);
	run(&s, 50);
	minors = s.minors;
	ck_assert_uint_gt(minors, 40);
	s.share = 0.95;
	run(&s, 50);
	ck_assert_uint_le(s.minors, minors + 7);
	minors = s.minors;
	s.share = 0.02;
	run(&s, 66);
	ck_assert_uint_ge(s.minors, minors + 40);
}
END_TEST

/* Scan work and rates are those of the next cycle's kind. */
START_TEST(kinds_are_apart)
{
	struct sm_pacer_config c = {.percent = 100,
				    .min_heap = SM_MIB,
				    .concurrent = true,
				    .generations = true,
				    .utilization = 0.25};
	struct sm_pacer_cycle major = {.live = 100 * SM_MIB,
				       .scan = 80 * SM_MIB,
				       .growth = 20 * SM_MIB,
				       .heap = 300 * SM_MIB,
				       .utilization = 0.25},
			      minor = {.minor = true,
				       .live = 100 * SM_MIB,
				       .scan = SM_MIB,
				       .growth = SM_MIB,
				       .heap = 200 * SM_MIB,
				       .utilization = 0.25};
	struct sm_pacer p;
	size_t trigger;

	sm__pacer_init(&p, &c);
	sm__pacer_end_cycle(&p, &major);
	ck_assert(p.minor);
	sm__pacer_end_cycle(&p, &minor);
	ck_assert(p.minor);
	ck_assert_uint_eq(p.scan, SM_MIB);
	trigger = p.trigger;
	/* A minor cycle needs less of a runway than a major one. */
	minor.live = 170 * SM_MIB;
	minor.heap = 300 * SM_MIB;
	sm__pacer_end_cycle(&p, &minor);
	ck_assert(!p.minor);
	ck_assert_uint_eq(p.scan, 80 * SM_MIB);
	ck_assert_uint_gt(p.goal - p.trigger, 200 * SM_MIB - trigger);
}
END_TEST

/* Made a major one, the next cycle begins as early as one that was to be. */
START_TEST(a_minor_cycle_becomes_a_major_one)
{
	struct sm_pacer_config config = {.percent = 100,
					 .min_heap = 4 * SM_MIB,
					 .concurrent = true,
					 .generations = true,
					 .utilization = 0.25};
	struct sm_pacer_cycle c = {.live = 100 * SM_MIB,
				   .scan = 100 * SM_MIB,
				   .growth = 40 * SM_MIB,
				   .heap = 150 * SM_MIB,
				   .utilization = 0.25};
	struct sm_pacer p;
	size_t trigger;

	sm__pacer_init(&p, &config);
	sm__pacer_end_cycle(&p, &c);
	c.minor = true;
	c.scan = SM_MIB;
	c.growth = SM_MIB / 4;
	sm__pacer_end_cycle(&p, &c);
	ck_assert(p.minor);
	trigger = p.trigger;
	sm__pacer_next_is_major(&p);
	ck_assert(!p.minor);
	ck_assert_uint_eq(p.scan, 100 * SM_MIB);
	ck_assert_uint_le(p.trigger + 30 * SM_MIB, trigger);
	ck_assert_uint_le(p.trigger, p.goal);
}
END_TEST

int main(void)
{
	return SM_SUITE("pacer_minor", 10, SM_T(garbage_that_dies_young),
			SM_T(a_minor_cycle_becomes_a_major_one), SM_T(objects_that_die_old),
			SM_T(a_fifth_stays), SM_T(built_first), SM_T(phases),
			SM_T(kinds_are_apart));
}
