/* File capabilities: switched on, used to open counters, dropped; the environment is not obeyed.
 * Really done when run as root. */
#include "perf/counter.h"
#include "perf/privilege.h"

#include <check.h>
#include <linux/perf_event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/support/elevated.h"
#include "tests/support/run.h"

START_TEST(test_variables)
{
	static const char *const hostile[] = {
		"HWLOC_XMLFILE=x", "LD_PRELOAD",     "LIBPFM_FORCE_PMU", "GLIBC_TUNABLES",
		"SPANMARK_SETS",   "TMPDIR=/tmp/x",  "XDG_DATA_HOME=x",	 "SQLITE_TMPDIR=x",
		"MALLOC_CHECK_=3", "SM_TEST_CASE=x", "RES_OPTIONS",	 "LOCPATH=x"};
	static const char *const fine[] = {"PATH", "HOME",     "TERM",
					   "LANG", "NO_COLOR", "OLD_HWLOC_"};

	for (size_t i = 0; i < sizeof(hostile) / sizeof(hostile[0]); i++)
		ck_assert_msg(sm_privilege_hostile_variable(hostile[i]), "%s", hostile[i]);
	for (size_t i = 0; i < sizeof(fine) / sizeof(fine[0]); i++)
		ck_assert_msg(!sm_privilege_hostile_variable(fine[i]), "%s", fine[i]);
}
END_TEST

/* Not elevated: nothing is removed, nothing is dropped. */
START_TEST(test_ordinary_process)
{
	bool before = sm_privilege_has_perfmon();
	char err[200];

	ck_assert(!sm_privilege_elevated());
	setenv("HWLOC_XMLFILE", "x", 1);
	ck_assert_int_eq(sm_privilege_init(err, sizeof(err)), 0);
	ck_assert_str_eq(getenv("HWLOC_XMLFILE"), "x");
	ck_assert_int_eq(sm_privilege_drop(), 0);
	ck_assert_int_eq(sm_privilege_has_perfmon(), before);
	unsetenv("HWLOC_XMLFILE");
}
END_TEST

/* ---- the elevated child ------------------------------------------------------------------- */

/* A software event with kernel mode: beyond paranoid 1 only CAP_PERFMON opens it. */
static int open_kernel_event(struct sm_counter_group *g)
{
	static struct sm_event_code code = {.backend = SM_BACKEND_PERF,
					    .source = SM_SOURCE_SW,
					    .type = PERF_TYPE_SOFTWARE,
					    .config = PERF_COUNT_SW_CONTEXT_SWITCHES,
					    .scale = 1};
	const struct sm_event_code *codes[] = {&code};

	sm_group_open(g, codes, 1, NULL);
	return g->ev[0].status;
}

/* Exit status: the number of the first expectation that failed. */
static int child(void)
{
	struct sm_counter_group a, b;
	struct sm_group_count c;
	char err[200];
	int level = 2;
	FILE *f = fopen("/proc/sys/kernel/perf_event_paranoid", "re");

	if (f && fscanf(f, "%d", &level) != 1)
		level = 2;
	if (f)
		fclose(f);
	if (!sm_privilege_elevated())
		return 1;
	if (!getenv("HWLOC_XMLFILE") || !getenv("KEEP"))
		return 2;
	if (sm_privilege_init(err, sizeof(err)))
		return 3;
	if (getenv("HWLOC_XMLFILE") || getenv("LIBPFM_FORCE_PMU") || !getenv("KEEP"))
		return 4;
	if (!sm_privilege_has_perfmon())
		return 5;
	if (open_kernel_event(&a) != SM_STATUS_OK)
		return 6;
	if (sm_privilege_drop() || sm_privilege_has_perfmon())
		return 7;
	usleep(1000);
	if (sm_group_read(&a, &c) || !c.values[0])
		return 8; /* what was open still counts */
	if (level > 1 && open_kernel_event(&b) != SM_STATUS_DENIED)
		return 9;
	sm_group_close(&a);
	return 0;
}

START_TEST(test_file_capability)
{
	char *env[] = {(char *)"HWLOC_XMLFILE=/etc/passwd", (char *)"KEEP=1",
		       (char *)"LIBPFM_FORCE_PMU=skx", NULL};
	int status = elevated_run("--child", env);

	if (status != -1)
		ck_assert_int_eq(status, 0);
}
END_TEST

int main(int argc, char **argv)
{
	if (argc > 1 && !strcmp(argv[1], "--child"))
		return child();
	return SM_SUITE("privilege", 60, SM_T(test_variables), SM_T(test_ordinary_process),
			SM_T(test_file_capability));
}
