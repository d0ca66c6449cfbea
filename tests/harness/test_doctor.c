/* spanmark doctor over fake trees, calibration verdicts, calibration of this machine and of a mock
 * PMU, its JSON. */
#include "harness/command/cmd.h"
#include "harness/machine/doctor.h"
#include "perf/calibrate.h"
#include "perf/kernels.h"
#include "tests/support/faketree.h"
#include "tests/support/mockperf.h"

#include <cjson/cJSON.h>
#include <check.h>
#include <math.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/run.h"
#include "harness/base/complain.h"

static struct faketree tree;

static void setup(void)
{
	faketree_init(&tree);
}

static void teardown(void)
{
	faketree_remove(&tree);
}

static const struct sm_finding *finding(const struct sm_finding *f, unsigned n, const char *name)
{
	for (unsigned i = 0; i < n; i++)
		if (!strcmp(f[i].name, name))
			return &f[i];
	ck_abort_msg("no finding %s", name);
	return NULL;
}

/* A machine where nothing is as it should be: every finding is a warning or worse, with a remedy.
 */
START_TEST(test_sick_machine)
{
	static const char *const warned[] = {"nmi_watchdog", "governor",       "turbo",
					     "thp",	     "numa_balancing", "rdpmc",
					     "clocksource",  "load",	       "steal"};
	struct sm_finding f[SM_DOCTOR_MAX];
	unsigned n;

	faketree_x86(&tree, "GenuineIntel", 6, 0x8f);
	faketree_write(&tree, "/sys/bus/event_source/devices/cpu/rdpmc", "0");
	faketree_write(&tree, "/proc/sys/kernel/perf_event_paranoid", "4");
	faketree_write(&tree, "/proc/sys/kernel/nmi_watchdog", "1");
	faketree_write(&tree, "/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", "powersave");
	faketree_write(&tree, "/sys/devices/system/cpu/intel_pstate/no_turbo", "0");
	faketree_write(&tree, "/sys/devices/system/cpu/smt/active", "1");
	faketree_write(&tree, "/sys/kernel/mm/transparent_hugepage/enabled",
		       "[always] madvise never");
	faketree_write(&tree, "/proc/sys/kernel/randomize_va_space", "2");
	faketree_write(&tree, "/proc/sys/kernel/numa_balancing", "1");
	faketree_write(&tree, "/sys/devices/system/clocksource/clocksource0/current_clocksource",
		       "hpet");
	faketree_write(&tree, "/proc/loadavg", "900.00 5 5 1/100 1");
	faketree_write(&tree, "/proc/stat", "cpu 100 0 100 1000 0 0 0 50");
	n = sm_doctor_examine(tree.root, true, f);
	for (size_t i = 0; i < sizeof(warned) / sizeof(warned[0]); i++) {
		const struct sm_finding *x = finding(f, n, warned[i]);

		ck_assert_msg(x->health == SM_HEALTH_WARN, "%s is %s", warned[i],
			      sm_health_name(x->health));
		ck_assert_msg(x->remedy[0] != '\0', "%s has no remedy", warned[i]);
	}
	ck_assert_ptr_nonnull(strstr(finding(f, n, "pmu")->value, "spr"));
	ck_assert_ptr_nonnull(strstr(finding(f, n, "thp")->value, "always"));
	ck_assert_ptr_nonnull(strstr(finding(f, n, "steal")->value, "20.00%"));
	ck_assert_int_eq(finding(f, n, "smt")->health, SM_HEALTH_INFO);
	if (geteuid())
		ck_assert_int_eq(finding(f, n, "perf_event_paranoid")->health, SM_HEALTH_BAD);
}
END_TEST

START_TEST(test_healthy_machine)
{
	struct sm_finding f[SM_DOCTOR_MAX];
	unsigned n;

	faketree_x86(&tree, "GenuineIntel", 6, 0x8f);
	faketree_write(&tree, "/sys/bus/event_source/devices/cpu/rdpmc", "1");
	faketree_write(&tree, "/proc/sys/kernel/perf_event_paranoid", "-1");
	faketree_write(&tree, "/proc/sys/kernel/nmi_watchdog", "0");
	faketree_write(&tree, "/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor",
		       "performance");
	faketree_write(&tree, "/sys/devices/system/cpu/intel_pstate/no_turbo", "1");
	faketree_write(&tree, "/sys/kernel/mm/transparent_hugepage/enabled",
		       "always [madvise] never");
	faketree_write(&tree, "/proc/sys/kernel/numa_balancing", "0");
	faketree_write(&tree, "/sys/devices/system/clocksource/clocksource0/current_clocksource",
		       "tsc");
	faketree_write(&tree, "/proc/loadavg", "0.00 0 0 1/100 1");
	faketree_write(&tree, "/proc/stat", "cpu 100 0 100 1000 0 0 0 0");
	n = sm_doctor_examine(tree.root, true, f);
	for (unsigned i = 0; i < n; i++)
		ck_assert_msg(f[i].health != SM_HEALTH_BAD && f[i].health != SM_HEALTH_WARN,
			      "%s is %s: %s", f[i].name, sm_health_name(f[i].health), f[i].value);
}
END_TEST

/* Whatever there is to see: each thing that may stand between a user and his counters has a line of
 * its own. */
START_TEST(test_everything_has_a_line)
{
	static const char *const lines[] = {"pmu",	   "perf_event_paranoid",
					    "cap_perfmon", "nmi_watchdog",
					    "governor",	   "turbo",
					    "smt",	   "thp",
					    "aslr",	   "numa_balancing",
					    "cpuset",	   "memlock",
					    "io_uring",	   "rseq",
					    "load",	   "steal"};
	struct sm_finding f[SM_DOCTOR_MAX];
	unsigned n = sm_doctor_examine("", false, f);
	bool user = false;

	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		finding(f, n, lines[i]);
	for (unsigned i = 0; i < n; i++) {
		user |= !strcmp(f[i].name, "perf_user_access") || !strcmp(f[i].name, "rdpmc");
		/* what is bad has a remedy */
		ck_assert_msg(f[i].health != SM_HEALTH_BAD || f[i].remedy[0], "%s", f[i].name);
	}
	ck_assert(user);
}
END_TEST

/* An empty tree: nothing can be read, nothing is invented, nothing crashes. */
START_TEST(test_nothing_to_see)
{
	struct sm_finding f[SM_DOCTOR_MAX];
	unsigned n = sm_doctor_examine(tree.root, true, f);

	/* nothing is mounted: no remount, and root has nothing to become */
	ck_assert_ptr_nonnull(strstr(finding(f, n, "tracepoints")->remedy, "mount -t tracefs"));
	ck_assert_ptr_null(strstr(finding(f, n, "tracepoints")->remedy, "remount"));
	ck_assert_int_eq(finding(f, n, "pmu")->health, SM_HEALTH_BAD);
	ck_assert_int_eq(finding(f, n, "perf_user_access")->health, SM_HEALTH_UNKNOWN);
	ck_assert_int_eq(finding(f, n, "governor")->health, SM_HEALTH_UNKNOWN);
	ck_assert_int_eq(finding(f, n, "thp")->health, SM_HEALTH_UNKNOWN);
	ck_assert_int_eq(finding(f, n, "perf_event_paranoid")->health, SM_HEALTH_BAD);
}
END_TEST

START_TEST(test_this_machine)
{
	struct sm_finding f[SM_DOCTOR_MAX];
	unsigned n = sm_doctor_examine("", false, f);

	ck_assert_uint_gt(n, 15);
	for (unsigned i = 0; i < n; i++) {
		ck_assert(f[i].value[0] != '\0');
		if (f[i].health == SM_HEALTH_WARN)
			ck_assert_msg(f[i].remedy[0] != '\0', "%s warns without a remedy",
				      f[i].name);
	}
}
END_TEST

/* ---- calibration -------------------------------------------------------------------------- */

START_TEST(test_verdicts)
{
	ck_assert_int_eq(sm_cal_judge(1000000, 990000, 1010000, 1000001), SM_VERDICT_EXACT);
	ck_assert_int_eq(sm_cal_judge(1000000, 990000, 1010000, 1001000), SM_VERDICT_GOOD);
	ck_assert_int_eq(sm_cal_judge(1000000, 990000, 1010000, 1100000), SM_VERDICT_OFF);
	ck_assert_int_eq(sm_cal_judge(1000000, 990000, 1010000, 0), SM_VERDICT_ZERO);
	ck_assert_int_eq(sm_cal_judge(0, 0, 500, 0),
			 SM_VERDICT_EXACT); /* nothing expected, nothing counted */
	ck_assert_int_eq(sm_cal_judge(0, 0, 500, 400), SM_VERDICT_GOOD);
	ck_assert_int_eq(sm_cal_judge(1, 1, 1, NAN), SM_VERDICT_NA);
}
END_TEST

START_TEST(test_kernels)
{
	struct sm_chase c;
	struct sm_pages p;
	void **at;
	size_t steps = 0;

	/* The chase is one cycle through every line. */
	ck_assert_int_eq(sm__chase_make(&c, 64 * 1000, 3), 0);
	at = c.start;
	do {
		at = (void **)*at;
		steps++;
	} while (at != c.start && steps <= 1000);
	ck_assert_uint_eq(steps, 1000);
	sm__kernel_chase(&c, 12345);
	sm__chase_free(&c);
	ck_assert_int_lt(sm__chase_make(&c, 64, 3), 0);

	/* Every page once. */
	ck_assert_int_eq(sm__pages_make(&p, 500, 3), 0);
	char *seen = calloc(1000, 1);
	size_t page = (size_t)sysconf(_SC_PAGESIZE);

	for (size_t i = 0; i < 500; i++) {
		size_t k = (size_t)((char *)p.start[i] - p.base) / page;

		ck_assert(k < 500 && !seen[k]);
		seen[k] = 1;
	}
	free(seen);
	sm__kernel_pages(&p, 1234);
	sm__pages_free(&p);
	if (!sm__code_make(&p, 300, 5)) {
		sm__kernel_code(&p, 1000); /* every page returns */
		sm__pages_free(&p);
	}
	sm__kernel_loop(0);
	sm__kernel_chain(0);
	sm__kernel_loop(1);
}
END_TEST

static const struct sm_cal_row *row(const struct sm_calibration *c, const char *event)
{
	for (unsigned i = 0; i < c->n; i++)
		if (!strcmp(c->rows[i].event, event))
			return &c->rows[i];
	ck_abort_msg("no row for %s", event);
	return NULL;
}

/*
 * For real. Page faults are exact everywhere. Where a PMU counts instructions they are exact; a
 * counter that opens and never moves (QEMU's without -icount) is found out. An instruction counter
 * that is deterministic (QEMU's -icount shift=N, SM_TEST_ICOUNT_SHIFT=N) must count to the
 * instruction, and cycles are 2^N a piece.
 */
START_TEST(test_calibrate_this_machine)
{
	const char *shift = getenv("SM_TEST_ICOUNT_SHIFT");
	struct sm_calibration c;
	struct sm_topology *t;
	char err[300];

	ck_assert_int_eq(sm_topology_load(NULL, &t, err, sizeof(err)), 0);
	ck_assert_msg(!sm_calibrate(t, NULL, &c, err, sizeof(err)), "%s", err);
	sm_topology_free(t);
	ck_assert_uint_eq(c.n, c.exact + c.good + c.off + c.zero + c.na);
	ck_assert(row(&c, "minor_faults")->counted >= 2000 &&
		  row(&c, "minor_faults")->counted < 2100);
	for (unsigned i = 0; i < c.n; i++) {
		const struct sm_cal_row *r = &c.rows[i];

		printf("%-30s %-13s expected %.0f counted %.0f %s %s\n", r->kernel, r->event,
		       r->expected, r->counted, sm_verdict_name(r->verdict), r->reason);
		ck_assert_int_eq(isnan(r->counted), r->verdict == SM_VERDICT_NA);
		ck_assert_int_eq(r->verdict == SM_VERDICT_NA, r->reason[0] != '\0');
	}
	if (row(&c, "instructions")->verdict == SM_VERDICT_ZERO) {
		ck_assert_msg(!shift, "SM_TEST_ICOUNT_SHIFT is set, but instructions read 0");
		ck_assert(row(&c, "instructions")->counted == 0);
	} else if (row(&c, "instructions")->verdict != SM_VERDICT_NA) {
		ck_assert_int_le(row(&c, "instructions")->verdict, SM_VERDICT_GOOD);
		ck_assert(fabs(row(&c, "instructions")->error) < 0.001);
	} else {
		ck_assert_msg(!shift,
			      "SM_TEST_ICOUNT_SHIFT is set, but instructions cannot be counted: %s",
			      row(&c, "instructions")->reason);
	}
	if (shift) {
		/* Constants cancel, interrupts are in kernel mode: exact but for the reading
		 * itself. */
		ck_assert(fabs(row(&c, "instructions")->counted -
			       row(&c, "instructions")->expected) < 64);
		const struct sm_cal_row *cyc = row(&c, "cycles");
		double insn = cyc->work / 16 * 18; /* 16 operations and the loop's two */

		ck_assert_msg(fabs(cyc->counted / (insn * (1 << atoi(shift))) - 1) < 0.01,
			      "cycles %.0f of %.0f instructions", cyc->counted, insn);
	}
	sm_calibration_free(&c);
}
END_TEST

/* A PMU that counts the same whatever the work: the differences are 0, nothing is believed. */
/* A machine on which others want the CPU too says nothing against its clock. */
START_TEST(test_calibrate_busy_machine)
{
	static const char *const sets[] = {"soft"};
	struct sm_counterset_options o = {.sets = sets, .n_sets = 1};
	struct sm_counterset *cs;
	struct sm_calibration c;
	cpu_set_t all, one;
	pid_t others[4];
	char err[300];

	ck_assert_int_eq(sched_getaffinity(0, sizeof(all), &all), 0);
	CPU_ZERO(&one);
	CPU_SET(sched_getcpu(), &one);
	ck_assert_int_eq(sched_setaffinity(0, sizeof(one), &one), 0);
	ck_assert_msg(!sm_counterset_new(&o, &cs, err, sizeof(err)), "%s", err);
	for (int i = 0; i < 4; i++) {
		others[i] = fork();
		while (others[i] == 0)
			alarm(60);
	}
	ck_assert_int_eq(sm__calibrate_software(cs, &c), 0);
	for (int i = 0; i < 4; i++) {
		kill(others[i], SIGKILL);
		waitpid(others[i], NULL, 0);
	}
	sched_setaffinity(0, sizeof(all), &all);
	printf("task_clock: counted %.0f of %.0f, %s %s\n", row(&c, "task_clock")->counted,
	       row(&c, "task_clock")->expected, sm_verdict_name(row(&c, "task_clock")->verdict),
	       row(&c, "task_clock")->reason);
	ck_assert_int_ne(row(&c, "task_clock")->verdict, SM_VERDICT_OFF);
	if (row(&c, "task_clock")->verdict == SM_VERDICT_NA)
		ck_assert_ptr_nonnull(strstr(row(&c, "task_clock")->reason, "took the CPU away"));
	ck_assert_int_le(row(&c, "minor_faults")->verdict, SM_VERDICT_GOOD);
	sm_calibration_free(&c);
	sm_counterset_free(cs);
}
END_TEST

START_TEST(test_calibrate_liar)
{
	static struct mock_perf mock;
	struct sm_counterset_options o = {.user_dir = "", .root = tree.root, .opener = &mock.ops};
	struct sm_calibration c;
	struct sm_topology *t;
	char err[300];

	faketree_x86(&tree, "AuthenticAMD", 0x1a, 2);
	mock_perf_init(&mock, 6);
	mock.dead_config = 0xff43; /* Zen 5 l1d_miss */
	ck_assert_int_eq(sm_topology_load(&(struct sm_topology_source){.synthetic = "core:1 pu:1"},
					  &t, err, sizeof(err)),
			 0);
	ck_assert_msg(!sm_calibrate(t, &o, &c, err, sizeof(err)), "%s", err);
	ck_assert_uint_ge(c.zero, 6);
	ck_assert_int_eq(row(&c, "instructions")->verdict, SM_VERDICT_ZERO);
	ck_assert_int_eq(row(&c, "cycles")->verdict, SM_VERDICT_ZERO);
	ck_assert_uint_eq(mock_perf_leaks(&mock), 0);

	/* And its JSON: n/a is null, the rest numbers. */
	struct sm_finding f[SM_DOCTOR_MAX];
	unsigned n = sm_doctor_examine(tree.root, true, f);
	cJSON *j = sm_doctor_json(f, n, &c), *rows = cJSON_GetObjectItem(j, "calibration"), *r;

	ck_assert_int_eq(cJSON_GetArraySize(rows), (int)c.n);
	ck_assert_int_eq(cJSON_GetArraySize(cJSON_GetObjectItem(j, "findings")), (int)n);
	cJSON_ArrayForEach(r, rows)
	{
		bool na = !strcmp(cJSON_GetStringValue(cJSON_GetObjectItem(r, "verdict")), "n/a");

		ck_assert_int_eq(cJSON_IsNull(cJSON_GetObjectItem(r, "counted")), na);
	}
	cJSON_Delete(j);
	sm_calibration_free(&c);
	sm_topology_free(t);
}
END_TEST

START_TEST(test_kept_calibration)
{
	char path[512], *back;

	setenv("XDG_STATE_HOME", tree.root, 1);
	ck_assert_ptr_null(sm_doctor_load_calibration());
	ck_assert_int_eq(sm_doctor_save_calibration("{\"x\":1}", path, sizeof(path)), 0);
	back = sm_doctor_load_calibration();
	ck_assert_str_eq(back, "{\"x\":1}");
	free(back);
	setenv("XDG_STATE_HOME", "/proc/nowhere", 1);
	ck_assert_int_lt(sm_doctor_save_calibration("{}", path, sizeof(path)), 0);
}
END_TEST

/* ---- the commands' usage errors ----------------------------------------------------------- */

static int run_command(int (*cmd)(int, char **), const char *a, const char *b, const char *c)
{
	char *argv[] = {(char *)"command", (char *)a, (char *)b, (char *)c, NULL};
	int argc = 1 + !!a + (a && b) + (a && b && c);

	return cmd(argc, argv);
}

START_TEST(test_usage)
{
	ck_assert_int_eq(run_command(sm_command_doctor.run, "--nonsense", NULL, NULL),
			 SM_EXIT_USAGE);
	ck_assert_int_eq(run_command(sm_command_doctor.run, "--format", "xml", NULL),
			 SM_EXIT_USAGE);
	ck_assert_int_eq(run_command(sm_command_doctor.run, "-o", "/nonexistent/x", NULL),
			 SM_EXIT_USAGE);
	ck_assert_int_eq(run_command(sm_command_doctor.run, "extra", NULL, NULL), SM_EXIT_USAGE);
	ck_assert_int_eq(run_command(sm_command_doctor.run, "--help", NULL, NULL), SM_EXIT_OK);
	ck_assert_int_eq(run_command(sm_command_topo.run, "--threads", "lots", NULL),
			 SM_EXIT_USAGE);
	ck_assert_int_eq(run_command(sm_command_topo.run, "--threads", NULL, NULL), SM_EXIT_USAGE);
	ck_assert_int_eq(run_command(sm_command_topo.run, "--place", "dense", NULL), SM_EXIT_USAGE);
	ck_assert_int_eq(run_command(sm_command_topo.run, "--synthetic", "pack:zwei", NULL),
			 SM_EXIT_USAGE);
	ck_assert_int_eq(
		run_command(sm_command_topo.run, "--synthetic", "core:2 pu:1", "--threads=3"),
		SM_EXIT_USAGE);
	ck_assert_int_eq(run_command(sm_command_topo.run, "--format", "json", NULL), SM_EXIT_OK);
	ck_assert_int_eq(run_command(sm_command_events.run, "--pmu", "z80", NULL), SM_EXIT_USAGE);
	ck_assert_int_eq(run_command(sm_command_events.run, "--check", NULL, NULL), SM_EXIT_OK);
	ck_assert_int_eq(run_command(sm_command_events.run, "--check", "/nonexistent.ini", NULL),
			 SM_EXIT_USAGE);
	ck_assert_int_eq(run_command(sm_command_events.run, "sw::minor", NULL, NULL), SM_EXIT_OK);
}
END_TEST

int main(void)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	return SM_SUITE_EACH(
		"doctor", 100, setup, teardown, SM_T(test_sick_machine), SM_T(test_healthy_machine),
		SM_T(test_everything_has_a_line), SM_T(test_nothing_to_see),
		SM_T(test_this_machine), SM_T(test_verdicts), SM_T(test_kernels),
		SM_T(test_calibrate_this_machine), SM_T(test_calibrate_busy_machine),
		SM_T(test_calibrate_liar), SM_T(test_kept_calibration), SM_T(test_usage));
}
