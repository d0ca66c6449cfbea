/* Regions: time and counts are exclusive and their sum is the thread's total. */
#include "perf/region_internal.h"
#include "tests/support/faketree.h"
#include "tests/support/mockperf.h"

#include <check.h>
#include <math.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/run.h"
#include "tests/support/skip.h"

/* ThreadSanitizer touches pages of its own. */
#if defined(__SANITIZE_THREAD__)
#define EXTRA_FAULTS 2000
#else
#define EXTRA_FAULTS 100
#endif

static struct sm_counterset *soft_set(void)
{
	static const char *const sets[] = {"soft", "cycles"};
	struct sm_counterset_options o = {.sets = sets, .n_sets = 2, .user_dir = ""};
	struct sm_counterset *cs = NULL;
	char err[300] = "";

	ck_assert_msg(!sm_counterset_new(&o, &cs, err, sizeof(err)), "%s", err);
	return cs;
}

static int event_index(const struct sm_counterset *cs, const char *name)
{
	for (unsigned i = 0; i < cs->n_events; i++)
		if (!strcmp(cs->events[i].name, name))
			return (int)i;
	ck_abort_msg("no event %s", name);
	return -1;
}

static void touch_pages(size_t n)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	char *p = mmap(NULL, n * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	ck_assert(p != MAP_FAILED);
	madvise(p, n * page, MADV_NOHUGEPAGE);
	for (size_t i = 0; i < n; i++)
		p[i * page] = 1;
	munmap(p, n * page);
}

static struct sm_region_thread *open_thread(const struct sm_counterset *cs, uint32_t light)
{
	struct sm_region_options o = {.n_regions = 4, .pu_os = -1, .light = light};
	struct sm_region_thread *t = NULL;
	char err[200] = "";

	ck_assert_msg(!sm_region_thread_open(cs, &o, &t, err, sizeof(err)), "%s", err);
	return t;
}

/* Every counted event: the sum over regions is the total, to the last count; time as well, to
 * rounding. */
static void check_sums(const struct sm_counterset *cs, const struct sm_region_thread *t,
		       unsigned n_regions, bool light)
{
	struct sm_reading *sum = calloc(cs->n_events, sizeof(*sum)),
			  *r = calloc(cs->n_events, sizeof(*r));
	struct sm_region_time tm, total;
	uint64_t ns = 0;

	for (unsigned e = 0; e < cs->n_events; e++)
		sum[e] = SM_READING_ZERO;
	for (unsigned i = 0; i < n_regions; i++) {
		sm_region_get(t, i, 0, r, &tm);
		ns += tm.ns;
		for (unsigned e = 0; e < cs->n_events; e++)
			sm_reading_add(&sum[e], &r[e]);
	}
	sm_region_total(t, 0, r, &total);
	ck_assert_uint_ge(ns + n_regions, total.ns);
	ck_assert_uint_le(ns, total.ns + n_regions);
	for (unsigned e = 0; e < cs->n_events; e++) {
		if (r[e].status != SM_STATUS_OK)
			continue;
		if (!light)
			ck_assert_int_eq(sum[e].status, SM_STATUS_OK);
		ck_assert_uint_eq(sum[e].raw, r[e].raw);
		ck_assert_uint_eq(sum[e].enabled, r[e].enabled);
	}
	free(sum);
	free(r);
}

START_TEST(test_faults_go_to_their_region)
{
	struct sm_counterset *cs = soft_set();
	struct sm_region_thread *t = open_thread(cs, 0);
	struct sm_reading *r = calloc(cs->n_events, sizeof(*r));
	int faults = event_index(cs, "minor_faults");
	struct sm_region_time tm;

	sm_region_enter(t, 1);
	touch_pages(100);
	sm_region_enter(t, 2);
	touch_pages(300);
	sm_region_leave(t);
	touch_pages(50);
	sm_region_leave(t);
	sm_region_thread_stop(t);

	sm_region_get(t, 1, 0, r, &tm);
	ck_assert_int_eq(r[faults].status, SM_STATUS_OK);
	ck_assert_uint_ge(r[faults].raw, 150);
	ck_assert_uint_lt(r[faults].raw, 150 + EXTRA_FAULTS);
	ck_assert_uint_eq(tm.enters, 1);
	sm_region_get(t, 2, 0, r, &tm);
	ck_assert_uint_ge(r[faults].raw, 300);
	ck_assert_uint_lt(r[faults].raw, 300 + EXTRA_FAULTS);
	ck_assert_uint_gt(tm.ns, 0);
	sm_region_get(t, 3, 0, r, &tm);
	ck_assert_uint_eq(r[faults].raw, 0);
	ck_assert_int_eq(r[faults].status, SM_STATUS_OK);
	ck_assert_uint_eq(tm.ns, 0);
	check_sums(cs, t, 4, false);
	sm_region_thread_free(t);
	sm_counterset_free(cs);
	free(r);
}
END_TEST

START_TEST(test_random_nesting_sums_up)
{
	struct sm_counterset *cs = soft_set();
	struct sm_region_thread *t = open_thread(cs, 0);
	unsigned depth = 0, state = 12345;

	for (int i = 0; i < 5000; i++) {
		state = state * 1103515245u + 12345u;
		if (depth && (state >> 16) % 2) {
			sm_region_leave(t);
			depth--;
			/* deeper than SM_REGION_DEPTH on purpose */
		} else if (depth < 30) {
			sm_region_enter(t, (state >> 20) % 6); /* and unknown regions */
			depth++;
		}
		if (i % 500 == 0) {
			touch_pages(3);
			check_sums(cs, t, 4, false);
		}
	}
	while (depth--)
		sm_region_leave(t);
	sm_region_thread_stop(t);
	check_sums(cs, t, 4, false);
	sm_region_thread_free(t);
	sm_counterset_free(cs);
}
END_TEST

START_TEST(test_light_region_counts_stay_outside)
{
	struct sm_counterset *cs = soft_set();
	struct sm_region_thread *t = open_thread(cs, 1u << 2);
	struct sm_reading *r = calloc(cs->n_events, sizeof(*r));
	int faults = event_index(cs, "minor_faults");
	struct sm_region_time tm;

	sm_region_enter(t, 1);
	sm_region_enter(t, 2);
	touch_pages(200);
	/* In the light one a region that is not: what came before is not the light one's either. */
	sm_region_enter(t, 3);
	sm_region_leave(t);
	sm_region_leave(t);
	sm_region_leave(t);
	sm_region_thread_stop(t);
	sm_region_get(t, 2, 0, r, &tm);
	ck_assert_int_eq(r[faults].status, SM_STATUS_NOT_COUNTED);
	ck_assert_ptr_nonnull(r[faults].reason);
	ck_assert_uint_gt(tm.ns, 0);
	sm_region_get(t, 1, 0, r, &tm);
	ck_assert_uint_ge(r[faults].raw, 200);
	check_sums(cs, t, 4, true);
	sm_region_thread_free(t);
	sm_counterset_free(cs);
	free(r);
}
END_TEST

START_TEST(test_uncounted_is_never_zero)
{
	struct sm_counterset *cs = soft_set();
	struct sm_region_thread *t = open_thread(cs, 0);
	struct sm_reading *r = calloc(cs->n_events, sizeof(*r));
	double v = -1;

	sm_region_thread_stop(t);
	sm_region_get(t, 0, 0, r, NULL);
	for (unsigned e = 0; e < cs->n_events; e++) {
		if (r[e].status == SM_STATUS_OK)
			continue;
		ck_assert_ptr_nonnull(r[e].reason);
		ck_assert(r[e].reason[0] != '\0');
		if (r[e].status != SM_STATUS_MULTIPLEXED)
			ck_assert(!sm_reading_value(&r[e], &v));
	}
	ck_assert(v == -1 || v >= 0);
	sm_region_thread_free(t);
	sm_counterset_free(cs);
	free(r);
}
END_TEST

START_TEST(test_reset_and_cost)
{
	struct sm_counterset *cs = soft_set();
	struct sm_region_thread *t = open_thread(cs, 1u << 3);
	struct sm_reading *r = calloc(cs->n_events, sizeof(*r));
	int faults = event_index(cs, "minor_faults");
	struct sm_region_cost cost;

	touch_pages(100);
	sm_region_reset(t);
	sm_region_enter(t, 1);
	sm_region_leave(t);
	sm_region_enter(t, 3);
	sm_region_leave(t);
	sm_region_leave(t); /* without enter */
	sm_region_cost(t, &cost);
	ck_assert_uint_eq(cost.changes, 2);
	ck_assert_uint_eq(cost.light_changes, 2);
	ck_assert_uint_eq(cost.dropped, 1);
	ck_assert(cost.ns_per_change > 0 && cost.ns_per_light_change > 0);
	ck_assert(cost.share > 0);
	sm_region_thread_stop(t);
	sm_region_total(t, 0, r, NULL);
	ck_assert_uint_lt(r[faults].raw, 100);
	sm_region_enter(t, 1); /* after stop: ignored */
	sm_region_thread_free(t);
	sm_counterset_free(cs);
	free(r);
}
END_TEST

/* What is entered beyond the depth is left without leaving anything else. */
START_TEST(test_too_deep)
{
	struct sm_counterset *cs = soft_set();
	struct sm_region_thread *t = open_thread(cs, 0);
	struct sm_region_cost cost;
	struct sm_region_time tm;

	for (int i = 0; i < SM_REGION_DEPTH; i++)
		sm_region_enter(t, 1);
	for (int i = 0; i < 3; i++)
		sm_region_enter(t, 2);
	for (int i = 0; i < 3 + SM_REGION_DEPTH; i++)
		sm_region_leave(t);
	sm_region_cost(t, &cost);
	ck_assert_uint_eq(cost.dropped, 0);
	sm_region_get(t, 1, 0, NULL, &tm);
	ck_assert_uint_eq(tm.enters, SM_REGION_DEPTH);
	sm_region_get(t, 2, 0, NULL, &tm);
	ck_assert_uint_eq(tm.enters, 0);
	sm_region_leave(t);
	sm_region_cost(t, &cost);
	ck_assert_uint_eq(cost.dropped, 1);
	/* From anew: nothing was entered. */
	sm_region_reset(t);
	sm_region_get(t, 1, 0, NULL, &tm);
	ck_assert_uint_eq(tm.enters, 0);
	sm_region_thread_free(t);
	sm_counterset_free(cs);
}
END_TEST

START_TEST(test_null_thread_is_nothing)
{
	struct sm_region_cost cost;

	sm_region_enter(NULL, 1);
	sm_region_leave(NULL);
	sm_region_reset(NULL);
	sm_region_thread_stop(NULL);
	sm_region_thread_free(NULL);
	sm_region_cost(NULL, &cost);
	ck_assert_uint_eq(cost.changes, 0);
	ck_assert(isnan(cost.instructions_per_change));
}
END_TEST

START_TEST(test_bad_options)
{
	struct sm_counterset *cs = soft_set();
	struct sm_region_thread *t;
	char err[200] = "";
	struct sm_region_options o = {.n_regions = SM_REGION_MAX + 1, .pu_os = -1};

	ck_assert_int_lt(sm_region_thread_open(cs, &o, &t, err, sizeof(err)), 0);
	ck_assert(err[0] != '\0');
	o = (struct sm_region_options){.n_regions = 2, .pass = cs->n_passes, .pu_os = -1};
	ck_assert_int_lt(sm_region_thread_open(cs, &o, &t, err, sizeof(err)), 0);
	ck_assert_ptr_null(t);
	sm_counterset_free(cs);
}
END_TEST

/* ---- what readers may see ----------------------------------------------------------------- */

static struct sm_region_thread *watched;
/* as the words stood while the counters were read, in the middle of a change */
static uint64_t enters_amid;
static ssize_t (*mock_read)(void *ctx, int fd, void *buf, size_t len);

static ssize_t reading(void *ctx, int fd, void *buf, size_t len)
{
	if (watched) {
		ck_assert_uint_eq(watched->seq & 1, 1); /* readers wait */
		enters_amid = watched->enters[1];
	}
	return mock_read(ctx, fd, buf, len);
}

/* An entry is counted with the time that ends with it: under the sequence lock, not before it. */
START_TEST(test_an_entry_is_seen_with_its_time)
{
	struct faketree tree;
	struct mock_perf mock;
	const char *sets[] = {"cycles"};
	struct sm_counterset_options o = {
		.sets = sets, .n_sets = 1, .user_dir = "", .no_screen = true};
	struct sm_counterset *cs;
	char err[200] = "";

	faketree_init(&tree);
	faketree_x86(&tree, "AuthenticAMD", 0x1a, 2);
	mock_perf_init(&mock, 6);
	mock_read = mock.ops.read;
	mock.ops.read = reading;
	o.root = tree.root;
	o.opener = &mock.ops;
	ck_assert_msg(!sm_counterset_new(&o, &cs, err, sizeof(err)), "%s", err);
	struct sm_region_thread *t = open_thread(cs, 0);

	watched = t;
	enters_amid = 99;
	sm_region_enter(t, 1);
	watched = NULL;
	ck_assert_uint_eq(enters_amid, 0);
	ck_assert_uint_eq(t->enters[1], 1);
	sm_region_thread_stop(t);
	sm_region_thread_free(t);
	sm_counterset_free(cs);
	faketree_remove(&tree);
}
END_TEST

/* A row of counts that the reader cannot read before the thread has changed region once more. */
static void *barred;
static size_t barred_bytes;
static struct sm_region_thread *changing;

static void change_and_open(int sig)
{
	(void)sig;
	mprotect(barred, barred_bytes, PROT_READ | PROT_WRITE);
	sm_region_enter(changing, 1);
	sm_region_leave(changing);
}

/* t's counts move to pages of their own, which are closed. The place where they were. */
static uint64_t *bar_counts(struct sm_region_thread *t)
{
	size_t bytes = (size_t)t->opt.n_regions * t->n_slots * sizeof(*t->counts);
	uint64_t *before = t->counts;

	barred_bytes = 65536;
	ck_assert_uint_le(bytes, barred_bytes);
	barred = mmap(NULL, barred_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		      0);
	ck_assert(barred != MAP_FAILED);
	t->counts = memcpy(barred, before, bytes);
	mprotect(barred, barred_bytes, PROT_NONE);
	changing = t;
	return before;
}

/* A change in the middle of a reading: the reader takes all of it or nothing. */
START_TEST(test_a_reading_is_of_one_moment)
{
	struct faketree tree;
	struct mock_perf mock;
	const char *sets[] = {"cycles"};
	struct sm_counterset_options o = {
		.sets = sets, .n_sets = 1, .user_dir = "", .no_screen = true};
	struct sigaction sa = {.sa_handler = change_and_open}, before;
	struct sm_counterset *cs;
	struct sm_reading r[64];
	struct sm_region_time tm;
	struct sm_region_thread *t;
	uint64_t *counts, once;
	char err[200] = "";

	faketree_init(&tree);
	faketree_x86(&tree, "AuthenticAMD", 0x1a, 2);
	mock_perf_init(&mock, 6);
	o.root = tree.root;
	o.opener = &mock.ops;
	ck_assert_msg(!sm_counterset_new(&o, &cs, err, sizeof(err)), "%s", err);
	ck_assert_uint_le(cs->n_events, 64);
	t = open_thread(cs, 0);
	sm_region_enter(t, 1);
	sm_region_leave(t);
	sm_region_get(t, 1, 0, r, &tm);
	ck_assert_uint_eq(tm.enters, 1);
	once = r[0].raw;
	ck_assert_uint_gt(once, 0);
	sigaction(SIGSEGV, &sa, &before);
	counts = bar_counts(t);
	sm_region_get(t, 1, 0, r, &tm);
	sigaction(SIGSEGV, &before, NULL);
	ck_assert_uint_eq(r[0].raw, 2 * once);
	ck_assert_uint_eq(tm.enters, 2);
	t->counts = counts;
	sm_region_thread_free(t);
	munmap(barred, barred_bytes);
	sm_counterset_free(cs);
	faketree_remove(&tree);
}
END_TEST

/* ---- another thread looks on, and a signal handler interferes ----------------------------- */

struct watch {
	const struct sm_counterset *cs;
	struct sm_region_thread *_Atomic t;
	_Atomic bool stop;
};

static void *watcher(void *arg)
{
	struct watch *w = arg;
	uint64_t last = 0;

	while (!w->stop) {
		struct sm_region_thread *t = w->t;
		struct sm_region_time a, total;
		uint64_t sum = 0;

		if (!t)
			continue;
		sm_region_total(t, 0, NULL, &total);
		ck_assert_uint_ge(total.ns, last);
		last = total.ns;
		for (unsigned r = 0; r < 4; r++) {
			sm_region_get(t, r, 0, NULL, &a);
			sum += a.ns;
		}
		ck_assert_uint_ge(sum + 8, last); /* read later: no less */
	}
	return NULL;
}

static struct sm_region_thread *volatile in_signal;

static void on_signal(int sig)
{
	(void)sig;
	sm_region_enter(in_signal, 3);
	sm_region_leave(in_signal);
}

START_TEST(test_readers_and_signals)
{
	struct watch w = {.cs = soft_set()};
	struct sigaction sa = {.sa_handler = on_signal};
	struct sm_region_thread *t;
	struct sigevent ev = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1};
	struct itimerspec every = {{0, 200000}, {0, 200000}};
	pthread_t other;
	timer_t timer;
	uint64_t until;
	sigset_t usr;

	/* The watcher must not take the signal: regions belong to their own thread. */
	sigemptyset(&usr);
	sigaddset(&usr, SIGUSR1);
	pthread_sigmask(SIG_BLOCK, &usr, NULL);
	ck_assert_int_eq(pthread_create(&other, NULL, watcher, &w), 0);
	pthread_sigmask(SIG_UNBLOCK, &usr, NULL);
	t = open_thread(w.cs, 0);
	in_signal = t;
	w.t = t;
	sigaction(SIGUSR1, &sa, NULL);
	ck_assert_int_eq(timer_create(CLOCK_MONOTONIC, &ev, &timer), 0);
	timer_settime(timer, 0, &every, NULL);
	until = sm_clock_ns() + 300000000;
	while (sm_clock_ns() < until) {
		sm_region_enter(t, 1);
		sm_region_enter(t, 2);
		sm_region_leave(t);
		sm_region_leave(t);
	}
	timer_delete(timer);
	signal(SIGUSR1, SIG_IGN);
	w.stop = true;
	pthread_join(other, NULL);
	sm_region_thread_stop(t);
	check_sums(w.cs, t, 4, false);
	sm_region_thread_free(t);
	sm_counterset_free((struct sm_counterset *)w.cs);
}
END_TEST

/* ---- tracepoints -------------------------------------------------------------------------- */

/* In a mount namespace of its own, so that tracefs can be mounted. Exit status: 77 not possible,
 * else what failed. */
static int count_page_allocations(void)
{
	const char *events[] = {"tp::kmem:mm_page_alloc", "sw::minor-faults"};
	struct sm_counterset_options o = {.events = events, .n_events = 2, .user_dir = ""};
	struct sm_region_options ro = {.n_regions = 2, .pu_os = -1};
	struct sm_region_thread *t;
	struct sm_counterset *cs;
	struct sm_reading r[2];
	char err[300];

	if (unshare(CLONE_NEWNS) || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    mount("tracefs", "/sys/kernel/tracing", "tracefs", 0, NULL))
		return 77;
	if (sm_counterset_new(&o, &cs, err, sizeof(err)) ||
	    sm_region_thread_open(cs, &ro, &t, err, sizeof(err)))
		return 1;
	sm_region_enter(t, 1);
	touch_pages(300);
	sm_region_leave(t);
	sm_region_thread_stop(t);
	sm_region_get(t, 1, 0, r, NULL);
	if (r[0].status != SM_STATUS_OK)
		return r[0].reason ? 77 : 2;
	printf("%llu page allocations, %llu faults\n", (unsigned long long)r[0].raw,
	       (unsigned long long)r[1].raw);
	if (r[0].raw < 300 || r[0].raw > 1000 + EXTRA_FAULTS)
		return 3;
	sm_region_get(t, 0, 0, r, NULL);
	return r[0].raw > 200 ? 4 : 0;
}

START_TEST(test_tracepoints)
{
	int status;
	pid_t pid = fork();

	if (!pid) {
		int rc = count_page_allocations();

		fflush(stdout);
		_exit(rc);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFEXITED(status));
	if (WEXITSTATUS(status) == 77)
		sm_case_skipped(__func__, "no tracepoints for this process");
	else
		ck_assert_int_eq(WEXITSTATUS(status), 0);
}
END_TEST

int main(void)
{
	return SM_SUITE("region", 60, SM_T(test_faults_go_to_their_region),
			SM_T(test_random_nesting_sums_up),
			SM_T(test_light_region_counts_stay_outside), SM_T(test_too_deep),
			SM_T(test_uncounted_is_never_zero), SM_T(test_reset_and_cost),
			SM_T(test_null_thread_is_nothing), SM_T(test_bad_options),
			SM_T(test_readers_and_signals), SM_T(test_an_entry_is_seen_with_its_time),
			SM_T(test_a_reading_is_of_one_moment), SM_T(test_tracepoints));
}
