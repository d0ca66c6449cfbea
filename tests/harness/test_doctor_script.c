/* harness/machine/doctor_script.c: the script that prepares a machine and puts it back, run by sh
 * within a folder that plays /, never on this machine. */
#include "harness/machine/doctor.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/faketree.h"
#include "tests/support/run.h"
#include "tests/support/skip.h"

#define THP	    "/sys/kernel/mm/transparent_hugepage/enabled"
#define GOVERNOR(n) "/sys/devices/system/cpu/cpu" #n "/cpufreq/scaling_governor"

static struct faketree tree;
static char script[100], before[100], said[100];

/* A command of the shell's; its status. $T is the tree, $S the script, $B a copy of the tree. */
static int sh(const char *command)
{
	int status = system(command);

	ck_assert(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void set_up(void)
{
	faketree_init(&tree);
	snprintf(script, sizeof(script), "%s.script", tree.root);
	snprintf(before, sizeof(before), "%s.before", tree.root);
	snprintf(said, sizeof(said), "%s.said", tree.root);
	setenv("T", tree.root, 1);
	setenv("S", script, 1);
	setenv("B", before, 1);
	setenv("OUT", said, 1);
}

static void tear_down(void)
{
	sh("rm -rf \"$S\" \"$B\" \"$OUT\"");
	faketree_remove(&tree);
}

/* One that has more to improve than most. */
static void make_machine(void)
{
	faketree_x86(&tree, "GenuineIntel", 6, 0x8f);
	faketree_write(&tree, "/sys/bus/event_source/devices/cpu/rdpmc", "0");
	faketree_write(&tree, "/proc/sys/kernel/perf_event_paranoid", "4");
	faketree_write(&tree, "/proc/sys/kernel/nmi_watchdog", "1");
	faketree_write(&tree, GOVERNOR(0), "powersave");
	faketree_write(&tree, GOVERNOR(1), "ondemand");
	faketree_write(&tree, GOVERNOR(10), "performance");
	faketree_write(&tree, "/sys/devices/system/cpu/intel_pstate/no_turbo", "0");
	faketree_write(&tree, "/sys/devices/system/cpu/smt/active", "1");
	faketree_write(&tree, THP, "[always] madvise never");
	faketree_write(&tree, "/proc/sys/kernel/randomize_va_space", "2");
	faketree_write(&tree, "/proc/sys/kernel/numa_balancing", "1");
	faketree_write(&tree, "/proc/loadavg", "900.00 5 5 1/100 1");
	faketree_write(&tree, "/run/lock", "");
}

static void make_script(void)
{
	struct sm_finding found[SM_DOCTOR_MAX];
	unsigned n = sm_doctor_examine(tree.root, true, found);
	FILE *f = fopen(script, "w");

	ck_assert_ptr_nonnull(f);
	sm_doctor_script(found, n, f);
	ck_assert_int_eq(fclose(f), 0);
	ck_assert_int_eq(sh("sh -n \"$S\""), 0);
}

static int run_script(const char *what)
{
	setenv("WHAT", what, 1);
	return sh("SPANMARK_ROOT=$T sh \"$S\" $WHAT >\"$OUT\" 2>&1");
}

static void holds(const char *path, const char *want)
{
	char full[200], line[100] = "";
	FILE *f;

	snprintf(full, sizeof(full), "%s%s", tree.root, path);
	f = fopen(full, "r");
	ck_assert_ptr_nonnull(f);
	ck_assert_ptr_nonnull(fgets(line, sizeof(line), f));
	fclose(f);
	line[strcspn(line, "\n")] = '\0';
	ck_assert_str_eq(line, want);
}

START_TEST(restores_byte_for_byte)
{
	make_machine();
	make_script();
	ck_assert_int_eq(sh("cp -r \"$T\" \"$B\""), 0);
	ck_assert_int_eq(run_script("prepare"), 0);
	holds(GOVERNOR(0), "performance");
	holds(GOVERNOR(1), "performance");
	holds("/sys/devices/system/cpu/intel_pstate/no_turbo", "1");
	holds("/proc/sys/kernel/nmi_watchdog", "0");
	holds("/proc/sys/kernel/numa_balancing", "0");
	holds("/sys/bus/event_source/devices/cpu/rdpmc", "1");
	holds("/proc/sys/kernel/randomize_va_space", "2"); /* no reason to be less safe */
	holds(THP, "madvise");
	faketree_write(&tree, THP, "always [madvise] never"); /* as the kernel shows it */
	/* a second time would keep what the first one set */
	ck_assert_int_eq(run_script("prepare"), 1);
	ck_assert_int_eq(sh("grep -q 'restore first' \"$OUT\""), 0);
	ck_assert_int_eq(run_script("restore"), 0);
	holds(THP, "always");
	faketree_write(&tree, THP, "[always] madvise never");
	ck_assert_int_eq(sh("diff -r \"$T\" \"$B\""), 0);
	ck_assert_int_eq(run_script("restore"), 1);
	ck_assert_int_eq(sh("diff -r \"$T\" \"$B\""), 0);
}
END_TEST

/* What somebody else has put back already is no mistake, what cannot be is kept. */
START_TEST(keeps_what_it_could_not_put_back)
{
	make_machine();
	make_script();
	ck_assert_int_eq(run_script("prepare"), 0);
	faketree_write(&tree, GOVERNOR(0), "powersave");
	ck_assert_int_eq(sh("rm -r \"$T" GOVERNOR(1) "\" && mkdir \"$T" GOVERNOR(1) "\""), 0);
	ck_assert_int_eq(run_script("restore"), 1);
	ck_assert_int_eq(sh("grep -q 'cannot write ondemand to " GOVERNOR(1) "' \"$OUT\""), 0);
	holds("/proc/sys/kernel/nmi_watchdog", "1");
	ck_assert_int_eq(sh("rmdir \"$T" GOVERNOR(1) "\""), 0);
	faketree_write(&tree, GOVERNOR(1), "performance");
	ck_assert_int_eq(run_script("restore"), 0);
	holds(GOVERNOR(1), "ondemand");
}
END_TEST

/* A machine that is fit gets a script that sets nothing; no command is a mistake. */
START_TEST(sets_nothing_without_need)
{
	faketree_x86(&tree, "GenuineIntel", 6, 0x8f);
	faketree_write(&tree, "/sys/bus/event_source/devices/cpu/rdpmc", "1");
	faketree_write(&tree, "/proc/sys/kernel/perf_event_paranoid", "-1");
	faketree_write(&tree, GOVERNOR(0), "performance");
	faketree_write(&tree, THP, "always [madvise] never");
	faketree_write(&tree, "/run/lock", "");
	make_script();
	ck_assert_int_eq(sh("grep -q '^.set_to ' \"$S\""), 1);
	ck_assert_int_eq(sh("cp -r \"$T\" \"$B\""), 0);
	ck_assert_int_eq(run_script(""), 1);
	ck_assert_int_eq(run_script("nonsense"), 1);
	ck_assert_int_eq(run_script("prepare"), 0);
	ck_assert_int_eq(run_script("restore"), 0);
	ck_assert_int_eq(sh("diff -r \"$T\" \"$B\""), 0);
}
END_TEST

START_TEST(is_a_sound_script)
{
	if (sh("command -v shellcheck >/dev/null") != 0)
		SM_SKIP("no shellcheck");
	make_machine();
	make_script();
	ck_assert_int_eq(sh("shellcheck \"$S\""), 0);
}
END_TEST

int main(void)
{
	return SM_SUITE_EACH("doctor_script", 60, set_up, tear_down, SM_T(restores_byte_for_byte),
			     SM_T(keeps_what_it_could_not_put_back),
			     SM_T(sets_nothing_without_need), SM_T(is_a_sound_script));
}
