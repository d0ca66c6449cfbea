/*
 * test_genchoice: gc.generations=auto, as a simulation with the pacer: a program with so much alive
 * allocates, of which a share stays, and as much of what is old dies; so many stores. What a cycle
 * costs is known, give or take some noise.
 */
#include "collector/generations/genchoice.h"
#include "collector/cycle/pacer.h"
#include "tests/support/gctest.h"
#include "tests/support/run.h"
#include "workloads/rng.h"

#define NS_MARK	 0.5 /* a byte marked */
#define NS_CYCLE 5e4 /* a cycle by itself */

struct model {
	struct sm_pacer p;
	struct sm_gen_choice c;
	struct sm_rng rng;
	double live, floating; /* bytes */
	double share;	       /* of what is new stays */
	double stores;	       /* for each byte */
	double ns_program;     /* for each byte */
	double noise;
	double ns; /* that all cycles took, and stores while generations were on */
	unsigned young, cycles, generational, minors, switches;
};

static void model_init(struct model *s, size_t live, double share, double stores)
{
	struct sm_pacer_config c = {.percent = 100, .min_heap = 4 * SM_MIB, .generations = true};

	memset(s, 0, sizeof(*s));
	sm__pacer_init(&s->p, &c);
	sm_rng_seed(&s->rng, 1, 2);
	s->live = (double)live;
	s->share = share;
	s->stores = stores;
	s->ns_program = 1;
}

static double noisy(struct model *s, double x)
{
	return x * (1 + s->noise * ((double)sm_rng_below(&s->rng, 2001) / 1000 - 1));
}

static void judge(struct model *s, const struct sm_pacer_cycle *pc, double grown, double ns)
{
	struct sm_gen_cycle g = {.minor = pc->minor,
				 .next_minor = s->p.minor,
				 .grows = s->p.grew,
				 .ns = noisy(s, ns),
				 .live = s->p.base,
				 .room = s->p.goal - pc->live,
				 .grown = (size_t)grown,
				 .born = 1 << 20,
				 .stores = (uint64_t)noisy(s, s->stores * (1 << 20))};
	bool was = s->c.on;

	g.program_ns = g.ns + noisy(s, grown * s->ns_program);
	s->young -= s->young != 0;
	sm__gen_learn(&s->c, &g);
	s->switches += s->c.on != was;
	if (s->c.on && !was) {
		s->young = 2;
		sm__pacer_forget_minors(&s->p);
	}
	if (!s->c.on || s->young != 0 || sm__gen_is_stale(&s->c))
		sm__pacer_next_is_major(&s->p);
}

static void cycle(struct model *s)
{
	double before = s->live + s->floating, heap, grown, kept, ns;
	struct sm_pacer_cycle c = {.minor = s->p.minor};

	heap = (double)s->p.trigger > before ? (double)s->p.trigger : before;
	grown = heap - before;
	kept = grown * s->share;
	s->floating = c.minor ? s->floating + kept : 0;
	s->minors += c.minor;
	s->generational += s->c.on;
	s->cycles++;
	c.scan = (size_t)(c.minor ? kept : s->live);
	c.live = (size_t)(s->live + s->floating);
	c.heap = (size_t)heap;
	ns = NS_CYCLE + (double)c.scan * NS_MARK;
	s->ns += ns + (s->c.on ? grown * s->stores * 2 : 0);
	sm__pacer_end_cycle(&s->p, &c);
	judge(s, &c, grown, ns);
}

static void run(struct model *s, unsigned n)
{
	while (n-- > 0)
		cycle(s);
}

static const double noises[] = {0, 0.2};

START_TEST(garbage_that_dies_young)
{
	struct model s;

	model_init(&s, 100 * SM_MIB, 0.02, 0.01);
	s.noise = noises[_i];
	run(&s, 500);
	/* Off until it is warm, then on for good; and it was right. */
	ck_assert_uint_ge(s.generational, 480);
	ck_assert_uint_eq(s.switches, 1);
	ck_assert_uint_ge(s.minors, 400);
}
END_TEST

START_TEST(objects_that_die_old)
{
	struct model s;

	model_init(&s, 100 * SM_MIB, 0.9, 0.01);
	s.noise = noises[_i];
	run(&s, 2000);
	/* Tried, and ever more seldom. */
	ck_assert_uint_ge(s.minors, 1);
	ck_assert(!s.c.on);
	ck_assert_uint_le(s.generational, 40);
	/* All that tries lost. */
	ck_assert(s.ns < 1.03 * s.cycles * (NS_CYCLE + 100 * SM_MIB * NS_MARK));
}
END_TEST

/* Hardly anything is alive: minor cycles cost what major ones do. */
START_TEST(nothing_to_save)
{
	struct model s;

	model_init(&s, 32 * SM_KIB, 0, 1.0 / 64);
	s.noise = noises[_i];
	run(&s, 2000);
	ck_assert_uint_le(s.generational, 40);
}
END_TEST

/* Most of what is new dies, but so many stores cost more than marking. */
START_TEST(stores_are_dear)
{
	struct model s;

	model_init(&s, 50 * SM_MIB, 0.02, 0.6);
	s.noise = noises[_i];
	run(&s, 200);
	ck_assert_uint_eq(s.generational, 0);
	s.stores = 0.01;
	run(&s, 200);
	ck_assert_uint_ge(s.generational, 180);
	s.stores = 0.6;
	run(&s, 200);
	ck_assert(!s.c.on);
}
END_TEST

/* Where stores are not counted, they take a 50th of the program's time. */
START_TEST(stores_that_are_not_counted)
{
	struct model s;

	model_init(&s, 50 * SM_MIB, 0.02, 0);
	s.ns_program = 100;
	run(&s, 200);
	ck_assert_uint_eq(s.generational, 0);
	s.ns_program = 1;
	run(&s, 200);
	ck_assert_uint_ge(s.generational, 150);
}
END_TEST

/* What is new begins to stay, and ceases to. */
START_TEST(phases)
{
	struct model s;
	unsigned was;

	model_init(&s, 50 * SM_MIB, 0.02, 0.01);
	s.noise = noises[_i];
	run(&s, 100);
	ck_assert(s.c.on);
	s.share = 0.95;
	was = s.generational;
	run(&s, 200);
	ck_assert(!s.c.on);
	ck_assert_uint_le(s.generational - was, 40);
	s.share = 0.02;
	/* A heap of another size, so it is asked soon. */
	s.live *= 3;
	was = s.generational;
	run(&s, 100);
	ck_assert(s.c.on);
	ck_assert_uint_ge(s.generational - was, 70);
}
END_TEST

/* What is built first stays, and is no time for a try. */
START_TEST(built_first)
{
	struct model s;
	unsigned cycles;

	model_init(&s, SM_MIB, 0, 0.01);
	while (s.live < 1000 * SM_MIB) {
		s.live = (double)s.p.trigger > s.live ? (double)s.p.trigger : s.live;
		cycle(&s);
	}
	ck_assert_uint_eq(s.minors, 0);
	s.share = 0.02;
	for (cycles = 0; s.minors == 0 && cycles < 20; cycles++)
		cycle(&s);
	ck_assert_uint_le(cycles, 6);
}
END_TEST

/* The cost of major cycles is looked at now and then, however long minor ones do. */
START_TEST(majors_come)
{
	struct model s;

	model_init(&s, 50 * SM_MIB, 0, 0.01);
	run(&s, 1000);
	ck_assert(s.c.on);
	ck_assert_uint_ge(s.cycles - s.minors, 1000 / 66);
	ck_assert_uint_le(s.cycles - s.minors, 50);
}
END_TEST

int main(void)
{
	return SM_SUITE("genchoice", 10, SM_LOOP(garbage_that_dies_young, 0, 2),
			SM_LOOP(objects_that_die_old, 0, 2), SM_LOOP(nothing_to_save, 0, 2),
			SM_LOOP(stores_are_dear, 0, 2), SM_T(stores_that_are_not_counted),
			SM_LOOP(phases, 0, 2), SM_T(built_first), SM_T(majors_come));
}
