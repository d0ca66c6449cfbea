/*
 * A sandbox that refuses system calls: {perf_event_open, sched_setaffinity, mbind, getcpu} x
 * {EPERM, EACCES, ENOSYS, EMFILE, ..}, by real seccomp filters. Everything is labelled, nothing is
 * 0, nothing ends the program.
 */
#include "perf/pin.h"
#include "perf/region.h"

#include <check.h>
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/run.h"
#include "tests/support/skip.h"

static const int errnos[] = {EPERM, EACCES, ENOSYS, EMFILE, ENOMEM, EINVAL, ENOENT, EBUSY};
#define N_ERRNOS (sizeof(errnos) / sizeof(errnos[0]))

/* From here on this process (a fork of the test) cannot make the call. */
static bool refuse(int call, int err)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)call, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ((unsigned)err & SECCOMP_RET_DATA)),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog prog = {.len = sizeof(code) / sizeof(code[0]), .filter = code};

	return !prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) &&
	       !prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog);
}

/* 77: no seccomp here. */
static int in_sandbox(int call, int err, int (*body)(int err))
{
	int status;
	pid_t pid = fork();

	if (!pid)
		_exit(refuse(call, err) ? body(err) : 77);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_msg(WIFEXITED(status), "the sandboxed process died of signal %d with errno %d",
		      WTERMSIG(status), err);
	if (WEXITSTATUS(status) == 77)
		sm_case_skipped(__func__, "no seccomp filters");
	return WEXITSTATUS(status);
}

static int find(const struct sm_counterset *cs, const char *name)
{
	for (unsigned i = 0; i < cs->n_events; i++)
		if (!strcmp(cs->events[i].name, name))
			return (int)i;
	return 0;
}

/* Exit status: which expectation failed. */
static int counters(int err)
{
	static const char *const sets[] = {"cycles", "cache", "soft"};
	struct sm_counterset_options o = {.sets = sets, .n_sets = 3, .user_dir = ""};
	struct sm_region_options ro = {.n_regions = 2, .pu_os = -1};
	struct sm_region_thread *t;
	struct sm_counterset *cs;
	struct sm_reading r[64];
	char msg[300];
	double v;
	int migrations, faults;

	(void)err;
	if (sm_counterset_new(&o, &cs, msg, sizeof(msg)) || cs->n_events > 64)
		return 1;
	for (unsigned m = 0; m < cs->n_metrics; m++)
		if (cs->metrics[m].source == SM_SOURCE_PMU &&
		    (cs->metrics[m].refused == SM_STATUS_OK || !cs->metrics[m].reason[0]))
			return 2;
	if (sm_region_thread_open(cs, &ro, &t, msg, sizeof(msg)))
		return 3;
	sm_region_enter(t, 1);
	sm_region_leave(t);
	sm_region_thread_stop(t);
	sm_region_get(t, 1, 0, r, NULL);
	migrations = find(cs, "migrations");
	faults = find(cs, "minor_faults");
	if (sm_reading_value(&r[migrations], &v) || !r[migrations].reason ||
	    !r[migrations].reason[0])
		return 4;
	if (!sm_reading_value(&r[faults], &v)) /* what needs no perf_event is still there */
		return 5;
	for (unsigned e = 0; e < cs->n_events; e++)
		if (r[e].status != SM_STATUS_OK && !r[e].reason)
			return 6;
	sm_region_thread_free(t);
	sm_counterset_free(cs);
	return 0;
}

START_TEST(test_perf_event_open)
{
	int rc = in_sandbox(SYS_perf_event_open, errnos[_i], counters);

	if (rc != 77)
		ck_assert_msg(rc == 0, "errno %d: expectation %d failed", errnos[_i], rc);
}
END_TEST

static int affinity(int err)
{
	char why[200] = "";
	int rc = sm_pin_thread(0, why, sizeof(why));

	if (rc != -err || !why[0] || !strstr(why, "CPU 0"))
		return 1;
	return 0;
}

START_TEST(test_sched_setaffinity)
{
	int rc = in_sandbox(SYS_sched_setaffinity, errnos[_i], affinity);

	if (rc != 77)
		ck_assert_msg(rc == 0, "errno %d: expectation %d failed", errnos[_i], rc);
}
END_TEST

/* A binding that cannot be read back is not believed. */
static int blind(int err)
{
	char why[200] = "";

	return sm_pin_thread(0, why, sizeof(why)) == -err && strstr(why, "read the binding back")
		       ? 0
		       : 1;
}

START_TEST(test_sched_getaffinity)
{
	int rc;

	if (errnos[_i] == EINVAL)
		return; /* means "mask too small" there, and is tried with larger ones */
	rc = in_sandbox(SYS_sched_getaffinity, errnos[_i], blind);
	if (rc != 77)
		ck_assert_msg(rc == 0, "errno %d", errnos[_i]);
}
END_TEST

/* The remedy is the next level that allows it: from 3 on nothing is allowed to users, at 2 counting
 * user mode is. */
START_TEST(test_the_remedy_is_the_next_level)
{
	static const struct {
		int level;
		const char *needs;
	} want[] = {{4, "perf_event_paranoid=4 forbids it; needs level 2 or less"},
		    {3, "perf_event_paranoid=3 forbids it; needs level 2 or less"},
		    {2, "perf_event_paranoid=2 forbids it; needs level 1 or less"},
		    {-100, "grant CAP_PERFMON"}};
	char why[160];

	for (size_t i = 0; i < sizeof(want) / sizeof(want[0]); i++) {
		sm__counter_denied(want[i].level, true, why, sizeof(why));
		ck_assert_msg(strstr(why, want[i].needs) != NULL, "%s", why);
		ck_assert_ptr_nonnull(strstr(why, "CAP_PERFMON"));
	}
	sm__counter_denied(2, false, why, sizeof(why));
	ck_assert_ptr_nonnull(strstr(why, "this software event"));
}
END_TEST

int main(void)
{
	return SM_SUITE("counter_denied", 60, SM_T(test_the_remedy_is_the_next_level),
			SM_LOOP(test_perf_event_open, 0, N_ERRNOS),
			SM_LOOP(test_sched_setaffinity, 0, N_ERRNOS),
			SM_LOOP(test_sched_getaffinity, 0, N_ERRNOS));
}
