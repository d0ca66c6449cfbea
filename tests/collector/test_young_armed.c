/*
 * test_young_armed: gc.generations with gc.compact=auto|force: when objects are to move, and that
 * the cycle which notes what leads to them is a major one.
 */
#include <errno.h>

#include "allocator/os/os.h"
#include "tests/support/run.h"
#include "tests/support/sparse.h"

static const char *const slices[] = {"gc.compact=force", "gc.compact_slice_us=1", NULL};

/* What the pacer says of the next cycle: the simulation of it is test_pacer_minor's. */
static void let_majors_follow(bool majors)
{
	gc->pacer.config.generations = !majors;
}

/* Candidates were chosen, so the next is a major cycle, whatever it was to be. */
START_TEST(an_armed_cycle_is_a_major_one)
{
	uint64_t minors;

	begin_with(slices);
	fill(32);
	let_majors_follow(true);
	ask();
	ck_assert_uint_gt(gc->armed.ncandidates, 0);
	let_majors_follow(false);
	minors = gctest_stats(gc).minors;
	ask();
	ck_assert_uint_eq(gctest_stats(gc).minors, minors);
	ck_assert_uint_gt(stats().total.moved_objects, KEPT / 2);
	check_numbers();
	end();
}
END_TEST

/* `force` takes the major cycles that come, and makes none of a minor one. */
START_TEST(force_makes_no_major_cycles)
{
	begin_with(slices);
	fill(32);
	for (int i = 0; i < 12; i++) {
		minor();
		ck_assert_uint_eq(gc->armed.ncandidates, 0);
	}
	ck_assert_uint_eq(stats().compactions, 0);
	end();
}
END_TEST

/* `auto` does, where enough comes free; of which there must be whole 2 MiB. */
static SM_NOINLINE void fill_more(const struct sm_type *type, struct sm_handle *h, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		uint64_t *x = sm_new(m, type);

		x[1] = i;
		sm_store(m, (void **)sm_handle_get(h) + i, x);
	}
}

static SM_NOINLINE void thin_out(struct sm_handle *h, size_t n, size_t each, bool pin)
{
	for (size_t i = 0; i < n; i++) {
		void **at = (void **)sm_handle_get(h) + i;

		if (i % each != 0)
			sm_store(m, at, NULL);
		else if (pin)
			ck_assert_int_eq(sm_pin(m, sm_load(at)), 0);
	}
}

enum { MANY = 40000, BEFORE = 8 };
static struct sm_handle *many;

static void fill_regions(bool pin)
{
	begin_with((const char *const[]){"gc.compact=auto", "gc.compact_percent=10",
					 "gc.min_heap=1m", NULL});
	many = sm_handle_new(m, sm_new_array(m, sm_type_pointers(gc, 1), MANY));
	fill_more(sm_type_prefix(gc, 256, 1), many, MANY);
	thin_out(many, MANY, 40, pin);
}

/* A reason, but none before so many minor cycles. */
static void minors_until_it_is_armed(void)
{
	for (int i = 1; i <= BEFORE; i++) {
		minor();
		ck_assert_int_eq(gc->armed.ncandidates != 0, i == BEFORE);
	}
}

START_TEST(memory_is_a_reason_for_a_major_cycle)
{
	uint64_t minors;

	fill_regions(false);
	minors_until_it_is_armed();
	ck_assert(!gc->pacer.minor);
	minors = gctest_stats(gc).minors;
	ask();
	ck_assert_uint_eq(gctest_stats(gc).minors, minors);
	ck_assert_uint_gt(stats().total.evacuated, 100);
	ck_assert_uint_gt(stats().total.moved_objects, 500);
	/* And then there is no more reason. */
	for (int i = 0; i < BEFORE + 1; i++)
		minor();
	ck_assert_uint_eq(stats().compactions, 1);
	end();
}
END_TEST

/* A major cycle knows best what has died: another one follows, but not a third. */
START_TEST(memory_is_a_reason_behind_a_major_cycle)
{
	fill_regions(true);
	ck_assert_int_eq(sm_collect(gc, m), 0);
	ck_assert_uint_gt(gc->armed.ncandidates, 0);
	ask();
	ck_assert_uint_eq(stats().compactions, 1);
	ck_assert_uint_eq(gc->armed.ncandidates, 0);
	minor();
	end();
}
END_TEST

/* Nothing comes free: it is tried again, but not at once; with a major cycle that comes anyway it
 * is. */
START_TEST(what_cannot_move_is_no_reason_at_once)
{
	fill_regions(true);
	for (unsigned k = 1; k <= 2; k++) {
		minors_until_it_is_armed();
		ask();
		ck_assert_uint_eq(stats().compactions, k);
		ck_assert_uint_eq(stats().total.evacuated, 0);
	}
	let_majors_follow(true);
	ask();
	ck_assert_uint_gt(gc->armed.ncandidates, 0);
	end();
}
END_TEST

/* Each request for address space is refused once: there is a collector, or an error that says what
 * there was no room for. */
START_TEST(no_room_for_the_pins)
{
	struct sm_gc_config cfg;
	bool pins = false;

	sm_gc_config_init(&cfg);
	cfg.generations = SM_GC_GENERATIONS_ON;
	cfg.compact = SM_GC_COMPACT_AUTO;
	for (long n = 1; n < 100; n++) {
		char err[200] = "";

		(void)sm__os_inject(SM_OS_RESERVE, n, ENOMEM);
		gc = sm_gc_create(&cfg, err, sizeof(err));
		(void)sm__os_inject(SM_OS_RESERVE, 0, 0);
		if (gc != NULL) {
			sm_gc_destroy(gc);
			continue;
		}
		ck_assert_int_eq(errno, ENOMEM);
		ck_assert_str_ne(err, "");
		pins |= strstr(err, "no address space for gc.compact with gc.generations") != NULL;
	}
	ck_assert(pins);
}
END_TEST

int main(void)
{
	return SM_SUITE("young_armed", 120, SM_T(an_armed_cycle_is_a_major_one),
			SM_T(force_makes_no_major_cycles),
			SM_T(memory_is_a_reason_for_a_major_cycle),
			SM_T(memory_is_a_reason_behind_a_major_cycle),
			SM_T(what_cannot_move_is_no_reason_at_once), SM_T(no_room_for_the_pins));
}
