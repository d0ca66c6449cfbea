/* Groups over a mock PMU, every way of being refused, software counters for real, and a real PMU
 * where there is one. */
#include "perf/counter.h"
#include "perf/clock.h"
#include "tests/support/mockperf.h"

#include <check.h>
#include <errno.h>
#include <math.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "tests/support/run.h"
#include "tests/support/skip.h"

static struct mock_perf mock;

static struct sm_event_code hw(uint64_t config)
{
	return (struct sm_event_code){.backend = SM_BACKEND_PERF,
				      .source = SM_SOURCE_PMU,
				      .type = PERF_TYPE_RAW,
				      .config = config,
				      .exclude_kernel = true,
				      .scale = 1};
}

static struct sm_group_options mocked(void)
{
	return (struct sm_group_options){.opener = &mock.ops, .cpu = -1};
}

START_TEST(test_group_counts)
{
	struct sm_event_code a = hw(3), b = hw(5);
	const struct sm_event_code *codes[] = {&a, &b};
	struct sm_group_options opt = mocked();
	struct sm_counter_group g;
	struct sm_group_count c;

	mock_perf_init(&mock, 4);
	ck_assert_int_eq(sm_group_open(&g, codes, 2, &opt), 0);
	ck_assert_uint_eq(g.n_open, 2);
	ck_assert_int_eq(g.mode, SM_READ_SYSCALL);
	for (unsigned i = 1; i <= 3; i++) {
		ck_assert_int_eq(sm_group_read(&g, &c), 0);
		ck_assert_uint_eq(c.values[0], 3 * i);
		ck_assert_uint_eq(c.values[1], 5 * i);
		ck_assert_uint_eq(c.enabled, 1000 * i);
		ck_assert_uint_eq(c.running, 1000 * i);
	}
	sm_group_close(&g);
	ck_assert_uint_eq(mock_perf_leaks(&mock), 0);
}
END_TEST

/* A tree of processes: nothing before exec, then each event by itself, the times its leader's. */
START_TEST(test_inherited)
{
	struct sm_event_code a = hw(3), b = hw(5);
	const struct sm_event_code *codes[] = {&a, &b};
	struct sm_group_options opt = mocked();
	struct sm_counter_group g;
	struct sm_group_count c;

	mock_perf_init(&mock, 4);
	opt.pid = 4711;
	opt.inherit = true;
	ck_assert_int_eq(sm_group_open(&g, codes, 2, &opt), 0);
	ck_assert_uint_eq(g.n_open, 2);
	ck_assert_int_eq(sm_group_read(&g, &c), 0);
	ck_assert_uint_eq(c.values[0] + c.values[1] + c.enabled, 0);
	mock.executed = true;
	ck_assert_int_eq(sm_group_read(&g, &c), 0);
	ck_assert_uint_eq(c.values[0], 3);
	ck_assert_uint_eq(c.values[1], 5);
	ck_assert_uint_eq(c.enabled, 1000);
	ck_assert_uint_eq(c.running, 1000);
	mock.lose_all = true;
	ck_assert_int_eq(sm_group_read(&g, &c), -EIO);
	ck_assert(g.lost);
	sm_group_close(&g);
	ck_assert_uint_eq(mock_perf_leaks(&mock), 0);
}
END_TEST

/* One event refused: the others count, in their own places. */
START_TEST(test_hole_in_group)
{
	struct sm_event_code e[3] = {hw(3), hw(5), hw(7)};
	const struct sm_event_code *codes[] = {&e[0], &e[1], &e[2]};
	struct sm_group_options opt = mocked();
	struct sm_counter_group g;
	struct sm_group_count c;

	for (int hole = 0; hole < 3; hole++) {
		mock_perf_init(&mock, 4);
		mock.fail_config = e[hole].config;
		mock.fail_errno = ENOENT;
		ck_assert_int_eq(sm_group_open(&g, codes, 3, &opt), 0);
		ck_assert_uint_eq(g.n_open, 2);
		ck_assert_int_eq(g.ev[hole].status, SM_STATUS_UNSUPPORTED);
		ck_assert(g.ev[hole].reason[0] != '\0');
		ck_assert_int_eq(sm_group_read(&g, &c), 0);
		for (int i = 0; i < 3; i++)
			if (i != hole)
				ck_assert_uint_eq(c.values[i], e[i].config);
		sm_group_close(&g);
		ck_assert_uint_eq(mock_perf_leaks(&mock), 0);
		ck_assert_uint_eq(mock.orphans, 0);
	}
}
END_TEST

/* perf_event_open refused in every way that it knows: labelled, never 0, never fatal. */
START_TEST(test_every_errno)
{
	static const struct {
		int err;
		enum sm_status status;
	} all[] = {
		{EACCES, SM_STATUS_DENIED},	     {EPERM, SM_STATUS_DENIED},
		{ENOSYS, SM_STATUS_UNSUPPORTED},     {EMFILE, SM_STATUS_NOT_COUNTED},
		{EINVAL, SM_STATUS_UNSUPPORTED},     {ENOENT, SM_STATUS_UNSUPPORTED},
		{EBUSY, SM_STATUS_NOT_COUNTED},	     {ENODEV, SM_STATUS_UNSUPPORTED},
		{EOPNOTSUPP, SM_STATUS_UNSUPPORTED}, {E2BIG, SM_STATUS_UNSUPPORTED},
		{ENOMEM, SM_STATUS_NOT_COUNTED},     {EINTR, SM_STATUS_NOT_COUNTED},
	};
	struct sm_event_code a = hw(3);
	const struct sm_event_code *codes[] = {&a};
	struct sm_group_options opt = mocked();
	struct sm_counter_group g;
	struct sm_group_count c;

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		mock_perf_init(&mock, 4);
		mock.fail_all = all[i].err;
		ck_assert_int_eq(sm_group_open(&g, codes, 1, &opt), 0);
		ck_assert_int_eq(g.ev[0].status, all[i].status);
		ck_assert_msg(strlen(g.ev[0].reason) > 10, "errno %d: \"%s\"", all[i].err,
			      g.ev[0].reason);
		ck_assert_int_eq(sm_group_read(&g, &c), -EIO);
		ck_assert(!sm_group_fits(codes, 1, &mock.ops));
		sm_group_close(&g);
		ck_assert_uint_eq(mock_perf_leaks(&mock), 0);
	}
}
END_TEST

START_TEST(test_lost_group_says_so)
{
	struct sm_event_code a = hw(3);
	const struct sm_event_code *codes[] = {&a};
	struct sm_group_options opt = mocked();
	struct sm_counter_group g;
	struct sm_group_count c;

	mock_perf_init(&mock, 4);
	sm_group_open(&g, codes, 1, &opt);
	ck_assert_int_eq(sm_group_read(&g, &c), 0);
	mock.lose_all = true;
	ck_assert_int_eq(sm_group_read(&g, &c), -EIO);
	mock.lose_all = false; /* a pinned group in error state does not come back */
	ck_assert_int_eq(sm_group_read(&g, &c), -EIO);
	ck_assert(g.lost);
	sm_group_close(&g);
}
END_TEST

/* What fits is what the kernel schedules, not what it accepts. */
START_TEST(test_fits)
{
	struct sm_event_code e[6] = {hw(1), hw(2), hw(3), hw(4), hw(5), hw(6)};
	const struct sm_event_code *codes[] = {&e[0], &e[1], &e[2], &e[3], &e[4], &e[5]};

	mock_perf_init(&mock, 5);
	mock.stolen = 1; /* the NMI watchdog */
	ck_assert(sm_group_fits(codes, 4, &mock.ops));
	ck_assert(!sm_group_fits(codes, 5, &mock.ops)); /* opens, is thrown out */
	ck_assert(!sm_group_fits(codes, 6, &mock.ops)); /* EINVAL */
	ck_assert_uint_eq(mock_perf_leaks(&mock), 0);
}
END_TEST

START_TEST(test_user_pages_fall_back)
{
	struct sm_event_code a = hw(3), b = hw(5);
	const struct sm_event_code *codes[] = {&a, &b};
	struct sm_group_options opt = mocked();
	struct sm_counter_group g;
	struct sm_group_count c;

	mock_perf_init(&mock, 4);
	mock.user_pages = true; /* index 0: not on a counter, so read() it is */
	sm_group_open(&g, codes, 2, &opt);
	ck_assert_int_eq(g.mode, SM_READ_USER);
	ck_assert_int_eq(sm_group_read(&g, &c), 0);
	ck_assert_uint_eq(c.values[1], 5);
	ck_assert_uint_eq(mock.reads, 1);
	sm_group_close(&g);
	ck_assert_uint_eq(mock_perf_leaks(&mock), 0);
	opt.no_user_read = true;
	sm_group_open(&g, codes, 2, &opt);
	ck_assert_int_eq(g.mode, SM_READ_SYSCALL);
	ck_assert_uint_eq(mock.maps, 0);
	sm_group_close(&g);
}
END_TEST

START_TEST(test_too_many_events)
{
	struct sm_event_code a = hw(3);
	const struct sm_event_code *codes[SM_GROUP_MAX + 1];
	struct sm_counter_group g;

	for (int i = 0; i <= SM_GROUP_MAX; i++)
		codes[i] = &a;
	ck_assert_int_eq(sm_group_open(&g, codes, SM_GROUP_MAX + 1, NULL), -EINVAL);
}
END_TEST

/* ---- readings ----------------------------------------------------------------------------- */

START_TEST(test_values)
{
	struct sm_reading r = {
		.raw = 100, .enabled = 2000, .running = 500, .status = SM_STATUS_MULTIPLEXED};
	double v = -1;

	ck_assert(sm_reading_value(&r, &v));
	ck_assert(v == 400.0);
	r.running = 0;
	v = -1;
	ck_assert(!sm_reading_value(&r, &v));
	r = (struct sm_reading){.raw = 5, .status = SM_STATUS_NOT_COUNTED};
	ck_assert(!sm_reading_value(&r, &v));
	ck_assert(v == -1);
	r = (struct sm_reading){
		.raw = UINT64_MAX, .enabled = UINT64_MAX, .running = UINT64_MAX / 2};
	r.status = SM_STATUS_MULTIPLEXED; /* no overflow on the way */
	ck_assert(sm_reading_value(&r, &v));
	ck_assert(isfinite(v) && v > 3e19 && v < 4e19);
}
END_TEST

START_TEST(test_sum_with_a_hole_is_a_hole)
{
	struct sm_reading sum = SM_READING_ZERO, ok = {.raw = 10, .source = SM_SOURCE_PMU};
	struct sm_reading denied = {.status = SM_STATUS_DENIED, .reason = "because"};
	double v;

	sm_reading_add(&sum, &ok);
	sm_reading_add(&sum, &ok);
	ck_assert(sm_reading_value(&sum, &v) && v == 20.0);
	sm_reading_add(&sum, &denied);
	sm_reading_add(&sum, &ok);
	ck_assert(!sm_reading_value(&sum, &v));
	ck_assert_str_eq(sum.reason, "because");
	ck_assert_int_eq(sum.status, SM_STATUS_DENIED);
}
END_TEST

/* ---- software, for real ------------------------------------------------------------------- */

static uint64_t cpu_ns(const struct rusage *r)
{
	return (uint64_t)(r->ru_utime.tv_sec + r->ru_stime.tv_sec) * 1000000000u +
	       (uint64_t)(r->ru_utime.tv_usec + r->ru_stime.tv_usec) * 1000u;
}

START_TEST(test_soft_counts)
{
	struct sm_event_code e[SM_SOFT_COUNT];
	const struct sm_event_code *codes[SM_SOFT_COUNT];
	struct sm_counter_group g;
	struct sm_group_count a, b;
	size_t page = (size_t)sysconf(_SC_PAGESIZE), n = 200;
	uint64_t until = sm_clock_thread_ns() + 20000000;
	struct rusage before, after;
	char *p;

	for (int i = 0; i < SM_SOFT_COUNT; i++) {
		e[i] = (struct sm_event_code){.backend = SM_BACKEND_SOFT,
					      .source = SM_SOURCE_SW,
					      .soft = (enum sm_soft)i,
					      .scale = 1};
		codes[i] = &e[i];
	}
	ck_assert_int_eq(sm_group_open(&g, codes, SM_SOFT_COUNT, NULL), 0);
	ck_assert_int_eq(g.mode, SM_READ_SOFT);
	ck_assert_int_eq(sm_group_read(&g, &a), 0);
	p = mmap(NULL, n * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	madvise(p, n * page, MADV_NOHUGEPAGE);
	for (size_t i = 0; i < n; i++)
		p[i * page] = 1;
	munmap(p, n * page);
	for (int i = 0; i < 10; i++) /* one may be over before it sleeps */
		usleep(1000);
	while (sm_clock_thread_ns() < until)
		;
	getrusage(RUSAGE_THREAD, &before);
	ck_assert_int_eq(sm_group_read(&g, &b), 0);
	getrusage(RUSAGE_THREAD, &after);
	ck_assert_uint_ge(b.values[SM_SOFT_USER_TIME] + b.values[SM_SOFT_SYSTEM_TIME],
			  cpu_ns(&before));
	ck_assert_uint_le(b.values[SM_SOFT_USER_TIME] + b.values[SM_SOFT_SYSTEM_TIME],
			  cpu_ns(&after));
	ck_assert_uint_ge(b.values[SM_SOFT_MINOR_FAULTS] - a.values[SM_SOFT_MINOR_FAULTS], n);
	ck_assert_uint_lt(b.values[SM_SOFT_MINOR_FAULTS] - a.values[SM_SOFT_MINOR_FAULTS], 2 * n);
	ck_assert_uint_eq(b.values[SM_SOFT_FAULTS],
			  b.values[SM_SOFT_MINOR_FAULTS] + b.values[SM_SOFT_MAJOR_FAULTS]);
	ck_assert_uint_gt(b.values[SM_SOFT_TASK_CLOCK] - a.values[SM_SOFT_TASK_CLOCK], 10000000);
	ck_assert_uint_gt(b.values[SM_SOFT_VOLUNTARY_SWITCHES],
			  a.values[SM_SOFT_VOLUNTARY_SWITCHES]);
	ck_assert_uint_eq(b.values[SM_SOFT_CONTEXT_SWITCHES],
			  b.values[SM_SOFT_VOLUNTARY_SWITCHES] +
				  b.values[SM_SOFT_INVOLUNTARY_SWITCHES]);
	sm_group_close(&g);
}
END_TEST

/* perf_event's own software events, as far as this process may. */
START_TEST(test_perf_software)
{
	struct sm_event_code a = {.backend = SM_BACKEND_PERF,
				  .source = SM_SOURCE_SW,
				  .type = PERF_TYPE_SOFTWARE,
				  .config = PERF_COUNT_SW_PAGE_FAULTS,
				  .exclude_kernel = true,
				  .scale = 1};
	const struct sm_event_code *codes[] = {&a};
	struct sm_counter_group g;
	struct sm_group_count x, y;
	size_t page = (size_t)sysconf(_SC_PAGESIZE), n = 100;
	char *p;

	sm_group_open(&g, codes, 1, NULL);
	if (g.ev[0].status != SM_STATUS_OK) {
		ck_assert(g.ev[0].reason[0] != '\0');
		printf("perf software events: %s\n", g.ev[0].reason);
		sm_group_close(&g);
		SM_SKIP("no perf software events");
	}
	ck_assert_int_eq(sm_group_read(&g, &x), 0);
	p = mmap(NULL, n * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	madvise(p, n * page, MADV_NOHUGEPAGE);
	for (size_t i = 0; i < n; i++)
		p[i * page] = 1;
	ck_assert_int_eq(sm_group_read(&g, &y), 0);
	munmap(p, n * page);
	ck_assert_uint_ge(y.values[0] - x.values[0], n);
	ck_assert_uint_lt(y.values[0] - x.values[0], 2 * n);
	ck_assert_uint_eq(y.enabled, y.running);
	sm_group_close(&g);
}
END_TEST

/* ---- a real PMU --------------------------------------------------------------------------- */

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static uint64_t counted_loop(struct sm_counter_group *g, unsigned index, uint64_t rounds)
{
	struct sm_group_count a, b;

	ck_assert_int_eq(sm_group_read(g, &a), 0);
	for (uint64_t i = rounds; i; i--)
		__asm__ volatile("" : "+r"(i));
	ck_assert_int_eq(sm_group_read(g, &b), 0);
	ck_assert_uint_eq(b.enabled - a.enabled, b.running - a.running);
	return b.values[index] - a.values[index];
}

/* Ten times the work is ten times the instructions; reads in user space and by read() agree. Real
 * hardware only. */
START_TEST(test_real_instructions)
{
	struct sm_event_code a = {.backend = SM_BACKEND_PERF,
				  .source = SM_SOURCE_PMU,
				  .type = PERF_TYPE_HARDWARE,
				  .config = PERF_COUNT_HW_INSTRUCTIONS,
				  .exclude_kernel = true,
				  .scale = 1};
	const struct sm_event_code *codes[] = {&a};
	struct sm_group_options opt = {.cpu = -1, .no_user_read = _i == 1};
	struct sm_counter_group g;
	double slopes[15], slope;

	sm_group_open(&g, codes, 1, &opt);
	if (g.ev[0].status != SM_STATUS_OK) {
		ck_assert(g.ev[0].reason[0] != '\0');
		printf("hardware instructions: n/a, %s\n", g.ev[0].reason);
		sm_group_close(&g);
		SM_SKIP("no PMU");
	}
	printf("hardware instructions: read by %s\n", sm_read_mode_name(g.mode));
	counted_loop(&g, 0, 100000);
	/* Short runs and the median: an emulated PMU also counts what other CPUs and interrupts do
	 * meanwhile. */
	for (int i = 0; i < 15; i++) {
		uint64_t small = counted_loop(&g, 0, 10000);

		slopes[i] = (double)(counted_loop(&g, 0, 110000) - small) / 100000;
	}
	qsort(slopes, 15, sizeof(slopes[0]), by_value);
	slope = slopes[7];
	printf("instructions a round: %.4f\n", slope);
	ck_assert(slope > 1.9 && slope < 6.1);
	ck_assert(fabs(slope - round(slope)) < 0.01);
	sm_group_close(&g);
}
END_TEST

/* On the same counters, a user-space read lies between two read()s. Real hardware that allows it
 * only. */
START_TEST(test_real_user_read_agrees)
{
	struct sm_event_code e[2] = {
		{.type = PERF_TYPE_HARDWARE, .config = PERF_COUNT_HW_CPU_CYCLES},
		{.type = PERF_TYPE_HARDWARE, .config = PERF_COUNT_HW_INSTRUCTIONS}};
	const struct sm_event_code *codes[] = {&e[0], &e[1]};
	struct sm_counter_group g;
	struct sm_group_count before, user, after;

	for (int i = 0; i < 2; i++) {
		e[i].backend = SM_BACKEND_PERF;
		e[i].source = SM_SOURCE_PMU;
		e[i].exclude_kernel = true;
	}
	sm_group_open(&g, codes, 2, NULL);
	if (g.mode != SM_READ_USER) {
		printf("user-space reads: n/a, %s\n",
		       g.ev[0].reason[0] ? g.ev[0].reason : "not allowed here");
		sm_group_close(&g);
		SM_SKIP("no PMU that user space may read");
	}
	for (int round = 0; round < 1000; round++) {
		g.mode = SM_READ_SYSCALL;
		ck_assert_int_eq(sm_group_read(&g, &before), 0);
		g.mode = SM_READ_USER;
		ck_assert_int_eq(sm_group_read(&g, &user), 0);
		g.mode = SM_READ_SYSCALL;
		ck_assert_int_eq(sm_group_read(&g, &after), 0);
		for (unsigned i = 0; i < g.n; i++) {
			if (g.ev[i].status != SM_STATUS_OK)
				continue;
			ck_assert_msg(before.values[i] <= user.values[i] &&
					      user.values[i] <= after.values[i],
				      "event %u: %llu, in user space %llu, %llu", i,
				      (unsigned long long)before.values[i],
				      (unsigned long long)user.values[i],
				      (unsigned long long)after.values[i]);
		}
	}
	printf("user-space reads: agree with read() 1000 times\n");
	sm_group_close(&g);
}
END_TEST

int main(void)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	return SM_SUITE("counter", 60, SM_T(test_group_counts), SM_T(test_inherited),
			SM_T(test_hole_in_group), SM_T(test_every_errno),
			SM_T(test_lost_group_says_so), SM_T(test_fits),
			SM_T(test_user_pages_fall_back), SM_T(test_too_many_events),
			SM_T(test_values), SM_T(test_sum_with_a_hole_is_a_hole),
			SM_T(test_soft_counts), SM_T(test_perf_software),
			SM_LOOP(test_real_instructions, 0, 2), SM_T(test_real_user_read_agrees));
}
