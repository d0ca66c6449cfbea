/*
 * Hardware counters against loops whose counts are known: through libpfm4's names, the kernel's PMU
 * driver and both ways of reading. Skipped where instructions cannot be counted (most virtual
 * machines); the emulated machine arm64-n1 counts them exactly, real machines to within what
 * interrupts add.
 *
 * SM_MACHINE=arm64-n1 (its kernel command line says so) makes the expectations of that machine
 * binding: its clock runs at two nanoseconds an instruction and its PMU counts cycles of a
 * nanosecond, so cycles = 2 * instructions.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <check.h>

#include "perf/counter.h"
#include "perf/events.h"
#include "perf/pin.h"
#include "perf/pmu.h"
#include "tests/support/skip.h"

static struct sm_pmus pmus;
static struct sm_event_resolved instructions, cycles;
static bool emulated_n1;

/* 2 * n instructions for n > 0. */
static __attribute__((noinline)) void run_loop(uint64_t n)
{
#if defined(__aarch64__)
	__asm__ volatile("1:	subs %0, %0, #1\n"
			 "	b.ne 1b\n"
			 : "+r"(n)
			 :
			 : "cc");
#elif defined(__x86_64__)
	__asm__ volatile("1:	dec %0\n"
			 "	jnz 1b\n"
			 : "+r"(n)
			 :
			 : "cc");
#endif
}

static void open_group(struct sm_counter_group *g, bool with_cycles, bool no_user_read)
{
	const struct sm_event_code *codes[2] = {&instructions.code, &cycles.code};
	struct sm_group_options opt = {.cpu = -1, .no_user_read = no_user_read};

	ck_assert_int_eq(sm_group_open(g, codes, with_cycles ? 2 : 1, &opt), 0);
	ck_assert_uint_eq(g->n_open, with_cycles ? 2 : 1);
}

struct counted {
	int64_t instructions, cycles;
};

/* The smallest count of a few tries: what interrupts add is in the others. INT64_MAX where reading
 * fails. */
static struct counted count_loop(struct sm_counter_group *g, uint64_t n)
{
	struct counted best = {INT64_MAX, INT64_MAX};

	for (int i = 0; i < 20; i++) {
		struct sm_group_count a = {0}, b = {0};
		int ra, rb;

		/* No assertion in between: Check's macros run a thousand instructions. */
		ra = sm_group_read(g, &a);
		run_loop(n);
		rb = sm_group_read(g, &b);
		if (!ra && !rb && (int64_t)(b.values[0] - a.values[0]) < best.instructions) {
			best.instructions = (int64_t)(b.values[0] - a.values[0]);
			best.cycles = (int64_t)(b.values[1] - a.values[1]);
		}
	}
	return best;
}

/* The first of the names that this machine counts. */
static bool resolve(const char *const *names, struct sm_event_resolved *out, char *why,
		    size_t whylen)
{
	struct sm_event_options opt = {.pmus = &pmus};

	for (; *names; names++) {
		const struct sm_event_code *code = &out->code;
		struct sm_counter_group g;
		bool counts;

		if (!sm_event_resolve(*names, &opt, out, NULL)) {
			snprintf(why, whylen, "%s: %s", *names, out->reason);
			continue;
		}
		sm_group_open(&g, &code, 1, &(struct sm_group_options){.cpu = -1});
		counts = g.n_open == 1;
		if (!counts)
			snprintf(why, whylen, "%s: %s", *names, g.ev[0].reason);
		else if (!(counts = count_loop(&g, 100000).instructions >= 100000))
			snprintf(why, whylen, "%s opens but does not count", *names);
		sm_group_close(&g);
		if (counts)
			return true;
	}
	return false;
}

/* What a count exceeds the truth by is the cost of reading: a constant, the same for every length
 * of loop. */
static void check_exact(bool no_user_read)
{
	/* Shorter than a timer tick (4 ms), whose instructions the emulation counts now and then.
	 */
	static const uint64_t lengths[] = {1000, 10000, 100000, 300000};
	struct sm_counter_group g;
	int64_t least = INT64_MAX, most = INT64_MIN;

	open_group(&g, false, no_user_read);
	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		int64_t over = count_loop(&g, lengths[i]).instructions - 2 * (int64_t)lengths[i];

		least = over < least ? over : least;
		most = over > most ? over : most;
	}
	printf("%s by %s: exact but for %lld to %lld instructions of reading\n", instructions.name,
	       sm_read_mode_name(g.mode), (long long)least, (long long)most);
	ck_assert_int_ge(least, 0);
	ck_assert_int_lt(most, 1000);
	ck_assert_msg(most - least <= (emulated_n1 ? 8 : 200),
		      "the overhead varies from %lld to %lld", (long long)least, (long long)most);
	sm_group_close(&g);
}

START_TEST(instructions_are_exact_by_read)
{
	check_exact(true);
}
END_TEST

START_TEST(instructions_are_exact_in_user_mode)
{
	check_exact(false);
}
END_TEST

START_TEST(cycles_follow_instructions)
{
	struct sm_counter_group g;
	struct counted few, many;

	if (!emulated_n1)
		SM_SKIP("not the emulated machine");
	open_group(&g, true, true);
	few = count_loop(&g, 100000);
	many = count_loop(&g, 1000000);
	printf("a million rounds: %lld instructions, %lld cycles\n", (long long)many.instructions,
	       (long long)many.cycles);
	/* The counters are read one after the other, hence a constant, which the difference is free
	 * of. */
	ck_assert_int_le(
		llabs((many.cycles - few.cycles) - 2 * (many.instructions - few.instructions)), 64);
	ck_assert_int_le(llabs(many.cycles - 2 * many.instructions), 4000);
	sm_group_close(&g);
}
END_TEST

/* A user-space read between two read() calls lies between them, and the other way round; for every
 * event of the group. */
START_TEST(user_reads_agree_with_read)
{
	struct sm_counter_group g;

	open_group(&g, true, false);
	if (emulated_n1)
		ck_assert_msg(g.mode == SM_READ_USER, "the kernel grants no user reads here");
	if (g.mode != SM_READ_USER) {
		sm_group_close(&g);
		SM_SKIP("no user-space reads");
	}
	for (int round = 0; round < 200; round++) {
		struct sm_group_count user[2];
		uint64_t sys[3 + 2];

		run_loop(100 * round + 1);
		ck_assert_int_eq(sm_group_read(&g, &user[0]), 0);
		ck_assert_int_eq(read(g.leader, sys, sizeof(sys)), sizeof(sys));
		ck_assert_int_eq(sm_group_read(&g, &user[1]), 0);
		for (unsigned k = 0; k < 2; k++) {
			unsigned i = g.order[k];

			ck_assert_uint_le(user[0].values[i], sys[3 + k]);
			ck_assert_uint_le(sys[3 + k], user[1].values[i]);
			ck_assert_uint_le(user[1].values[i] - user[0].values[i], 1000000);
		}
	}
	ck_assert(!g.lost);
	sm_group_close(&g);
}
END_TEST

/* Work on another thread, or in another process' time, is not counted here. */
START_TEST(sleep_counts_next_to_nothing)
{
	struct sm_group_count a, b;
	struct sm_counter_group g;

	open_group(&g, true, true);
	sm_group_read(&g, &a);
	usleep(100000);
	sm_group_read(&g, &b);
	ck_assert_uint_lt(b.values[0] - a.values[0], 20000);
	sm_group_close(&g);
}
END_TEST

int main(void)
{
	static const char *const instruction_names[] = {"INST_RETIRED", "perf::INSTRUCTIONS", NULL};
	static const char *const cycle_names[] = {"CPU_CYCLES", "perf::CYCLES", NULL};
	const char *machine = getenv("SM_MACHINE");
	char why[400] = "";
	Suite *s = suite_create("pmu");
	TCase *tc = tcase_create("exact");
	SRunner *sr;
	int failed;

	emulated_n1 = machine && strcmp(machine, "arm64-n1") == 0;
	sm_pmus_scan("", &pmus);
	if (!resolve(instruction_names, &instructions, why, sizeof(why)) ||
	    !resolve(cycle_names, &cycles, why, sizeof(why))) {
		printf("%s: %s\n", emulated_n1 ? "FAILED, this machine has a PMU" : "SKIP", why);
		return emulated_n1 ? 1 : 77;
	}
	printf("PMU %s: %s, %s\n", pmus.pmus[0].uarch, instructions.name, cycles.name);
	tcase_add_test(tc, instructions_are_exact_by_read);
	tcase_add_test(tc, instructions_are_exact_in_user_mode);
	tcase_add_test(tc, cycles_follow_instructions);
	tcase_add_test(tc, user_reads_agree_with_read);
	tcase_add_test(tc, sleep_counts_next_to_nothing);
	tcase_set_timeout(tc, 20);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_VERBOSE);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	sm_pmus_free(&pmus);
	return failed ? 1 : 0;
}
