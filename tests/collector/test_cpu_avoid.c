/* test_cpu_avoid: the collector's threads keep off the CPUs on which mutators run, and are let go
 * again. */
#include <sched.h>

#include "collector/cycle/gc_internal.h"
#include "tests/support/gctest.h"
#include "tests/support/run.h"
#include "tests/support/skip.h"

static cpu_set_t cpus(unsigned long bits)
{
	cpu_set_t s;

	CPU_ZERO(&s);
	for (int i = 0; i < 64; i++)
		if (bits >> i & 1)
			CPU_SET(i, &s);
	return s;
}

START_TEST(mask)
{
	static const struct {
		unsigned long own, busy, want;
	} cases[] = {
		{0xf, 0x1, 0xe},
		{0xf, 0, 0xf},
		{0xf, 0xf, 0xf}, /* nothing would be left */
		/* bound to that very CPU from outside */
		{0x2, 0x2, 0x2},
		{0x6, 0x1, 0x6},
		{0x6, 0xf0, 0x6},
		{0x3, 0x5, 0x2},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		cpu_set_t own = cpus(cases[i].own), busy = cpus(cases[i].busy), want,
			  expect = cpus(cases[i].want);

		sm__cpu_avoid_mask(&want, &own, &busy);
		ck_assert_msg(CPU_EQUAL(&want, &expect), "case %zu", i);
	}
}
END_TEST

static cpu_set_t bound(pid_t tid)
{
	cpu_set_t s;

	ck_assert_int_eq(sched_getaffinity(tid, sizeof(s), &s), 0);
	return s;
}

/* A cycle during which this thread runs, so that its CPU is known; sm_collect would wait in a
 * blocking section. */
static void cycle(struct sm_gc *gc, struct sm_mutator *m)
{
	uint64_t before = sm_load_relaxed(&gc->cycles_completed);

	sm__gc_ask(gc);
	while (sm_load_seqcst(&gc->cycles_completed) == before)
		sm_safepoint(m);
}

/* This thread on its first CPU alone; false: there is only one. */
static bool pin_to_first(cpu_set_t *all, int *first)
{
	cpu_set_t one;

	*all = bound(0);
	for (*first = 0; !CPU_ISSET(*first, all); (*first)++)
		continue;
	CPU_ZERO(&one);
	CPU_SET(*first, &one);
	return CPU_COUNT(all) > 1 && sched_setaffinity(0, sizeof(one), &one) == 0;
}

START_TEST(steps_aside)
{
	cpu_set_t all = bound(0), now, own;
	struct sm_gc *gc = GCTEST("gc.percent=0", "gc.workers=1");
	struct sm_mutator *m = sm_mutator_attach(gc);
	pid_t control, worker;
	int first;

	if (!pin_to_first(&all, &first)) {
		gctest_destroy(gc, m);
		SM_SKIP("one CPU");
	}
	while ((control = sm_load_acquire(&gc->control_cpu_avoid.tid)) == 0 ||
	       (worker = sm_load_acquire(&gc->workers[0].cpu_avoid.tid)) == 0)
		sched_yield();
	cycle(gc, m);
	now = bound(control);
	ck_assert(!CPU_ISSET(first, &now));
	ck_assert_int_eq(CPU_COUNT(&now), CPU_COUNT(&all) - 1);
	now = bound(worker);
	ck_assert(!CPU_ISSET(first, &now));
	/* The worker is bound from outside: that choice is kept, be it that very CPU. */
	own = bound(0);
	ck_assert_int_eq(sched_setaffinity(worker, sizeof(own), &own), 0);
	cycle(gc, m);
	now = bound(worker);
	ck_assert(CPU_EQUAL(&now, &own));
	/* No mutator runs: all that was taken is given back. */
	ck_assert_int_eq(sm_collect(gc, m), 0);
	now = bound(control);
	ck_assert(CPU_EQUAL(&now, &all));
	ck_assert_int_eq(sched_setaffinity(0, sizeof(all), &all), 0);
	gctest_destroy(gc, m);
}
END_TEST

/* More workers than CPUs are left: the rest is not squeezed together. */
START_TEST(no_more_than_fit)
{
	cpu_set_t all = bound(0), now;
	unsigned n = (unsigned)CPU_COUNT(&all);
	char workers[40];
	struct sm_gc *gc;
	struct sm_mutator *m;
	int first;

	snprintf(workers, sizeof(workers), "gc.workers=%u", n);
	gc = GCTEST("gc.percent=0", workers);
	m = sm_mutator_attach(gc);
	if (pin_to_first(&all, &first)) {
		for (unsigned i = 0; i < n; i++)
			while (sm_load_acquire(&gc->workers[i].cpu_avoid.tid) == 0)
				sched_yield();
		cycle(gc, m);
		now = bound(sm_load_relaxed(&gc->workers[0].cpu_avoid.tid));
		ck_assert(!CPU_ISSET(first, &now));
		now = bound(sm_load_relaxed(&gc->workers[n - 1].cpu_avoid.tid));
		ck_assert(CPU_EQUAL(&now, &all));
		ck_assert_int_eq(sched_setaffinity(0, sizeof(all), &all), 0);
	}
	gctest_destroy(gc, m);
}
END_TEST

START_TEST(switched_off)
{
	cpu_set_t all = bound(0), now;
	struct sm_gc *gc = GCTEST("gc.percent=0", "gc.avoid_cpus=0");
	struct sm_mutator *m = sm_mutator_attach(gc);

	cycle(gc, m);
	now = bound(sm_load_acquire(&gc->control_cpu_avoid.tid));
	ck_assert(CPU_EQUAL(&now, &all));
	gctest_destroy(gc, m);
}
END_TEST

int main(void)
{
	return SM_SUITE("cpu_avoid", 30, SM_T(mask), SM_T(steps_aside), SM_T(no_more_than_fit),
			SM_T(switched_off));
}
