/* workloads/mmu.h: the least utilisation of windows, by hand and against all windows that can be
 * the least. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "workloads/mmu.h"
#include "workloads/rng.h"
#include "tests/support/run.h"

#define US ((uint64_t)1000)
#define MS (1000 * US)

static struct sm_mmu mmu;

static void reset(void)
{
	memset(&mmu, 0, sizeof(mmu));
}

static void is(unsigned window, double percent)
{
	double got = sm_mmu_percent(&mmu, window);

	ck_assert_msg(got > percent - 1e-9 && got < percent + 1e-9, "window %u: %.9g, not %.9g",
		      window, got, percent);
}

START_TEST(no_wait)
{
	reset();
	for (unsigned w = 0; w < SM_MMU_WINDOWS; w++)
		is(w, 100);
	sm_mmu_wait(&mmu, 5, 5);
	is(0, 100);
}
END_TEST

/* 0.5 ms of 1, 2, 5 .. 1000 ms, wherever the pause lies. */
START_TEST(one_pause)
{
	static const uint64_t at[] = {0, 1, 10 * MS, 10 * MS + 1, 3600000 * MS + 499};

	reset();
	sm_mmu_wait(&mmu, at[_i], at[_i] + 500 * US);
	for (unsigned w = 0; w < SM_MMU_WINDOWS; w++)
		is(w, 100 - 50.0 * (double)MS / (double)sm_mmu_lengths[w]);
}
END_TEST

/* A pause of 5 ms fills the windows up to that; the longer ones hold it once. */
START_TEST(longer_than_windows)
{
	reset();
	sm_mmu_wait(&mmu, 7 * MS, 12 * MS);
	for (unsigned w = 0; w < SM_MMU_WINDOWS; w++)
		is(w, sm_mmu_lengths[w] <= 5 * MS
			      ? 0
			      : 100 - 500.0 * (double)MS / (double)sm_mmu_lengths[w]);
	/* What it filled is left behind as any wait is. */
	sm_mmu_wait(&mmu, 2012 * MS, 2018 * MS);
	is(3, 40);
	is(9, 99.4);
}
END_TEST

/* 100 us in every ms: 90 % at every length, for as long as one likes. */
START_TEST(a_steady_pace)
{
	reset();
	for (uint64_t at = 900 * US; at < 20000 * MS; at += MS)
		sm_mmu_wait(&mmu, at, at + 100 * US);
	for (unsigned w = 0; w < SM_MMU_WINDOWS; w++)
		is(w, 90);
}
END_TEST

/* Two pauses of 1 ms, 4 ms apart from start to start: a window of 5 ms holds both, one of 2 ms one
 * and no part of the other. */
START_TEST(two_pauses)
{
	reset();
	sm_mmu_wait(&mmu, 3 * MS, 4 * MS);
	sm_mmu_wait(&mmu, 7 * MS, 8 * MS);
	is(0, 0);
	is(1, 50);
	is(2, 60);
	is(3, 80);
}
END_TEST

/* A sum of waits that reaches back before the last one: its length counts, after that. */
START_TEST(waits_that_overlap)
{
	reset();
	sm_mmu_wait(&mmu, 3 * MS, 3 * MS + 300 * US);
	sm_mmu_wait(&mmu, 3 * MS + 100 * US, 3 * MS + 300 * US);
	sm_mmu_wait(&mmu, 2 * MS, MS);
	is(0, 50);
	is(3, 95);
}
END_TEST

/* ---- against all windows ------------------------------------------------------------------ */

enum { WAITS = 1500 };
static struct {
	uint64_t since, until;
} waits[WAITS];

static uint64_t waited(uint64_t from, uint64_t to)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < WAITS; i++) {
		uint64_t a = waits[i].since > from ? waits[i].since : from,
			 b = waits[i].until < to ? waits[i].until : to;

		sum += b > a ? b - a : 0;
	}
	return sum;
}

/* What a window holds, as it moves on, only stops growing where it begins with a wait, and where it
 * ends with one; or at the ends of it all. */
static double least(uint64_t length, uint64_t all)
{
	uint64_t most = 0;

	for (unsigned i = 0; i < 2 * WAITS + 2; i++) {
		uint64_t from = i < WAITS	? waits[i].since
				: i < 2 * WAITS ? waits[i - WAITS].until - length
				: i & 1		? all - length
						: 0,
			 now;

		if (from > all - length) /* also where it would begin before 0 */
			continue;
		now = waited(from, from + length);
		most = now > most ? now : most;
	}
	return 100 - 100 * (double)most / (double)length;
}

START_TEST(random_waits)
{
	struct sm_rng r;
	uint64_t at = 0, all;

	reset();
	sm_rng_seed(&r, 17, (uint64_t)_i);
	for (unsigned i = 0; i < WAITS; i++) {
		/* Of 1 ns to some ms, with as much in between; at times a crowd, at times none. */
		at += sm_rng_next(&r) >> (42 + sm_rng_below(&r, 20));
		waits[i].since = at;
		at += sm_rng_next(&r) >> (43 + sm_rng_below(&r, 20));
		waits[i].until = at;
		sm_mmu_wait(&mmu, waits[i].since, waits[i].until);
	}
	all = at + sm_rng_below(&r, 3 * MS);
	for (unsigned w = 0; w < SM_MMU_WINDOWS; w++) {
		double exact, got = sm_mmu_percent(&mmu, w);

		if (sm_mmu_lengths[w] > all)
			continue;
		exact = least(sm_mmu_lengths[w], all);
		ck_assert_msg(got >= exact - 1e-9 && got <= exact + 100.0 / SM_MMU_STEPS + 1e-9,
			      "window %u of %d: %.9g, of all %.9g", w, _i, got, exact);
	}
}
END_TEST

int main(void)
{
	return SM_SUITE("mmu", 60, SM_T(no_wait), SM_LOOP(one_pause, 0, 5),
			SM_T(longer_than_windows), SM_T(a_steady_pace), SM_T(two_pauses),
			SM_T(waits_that_overlap), SM_LOOP(random_waits, 0, 8));
}
