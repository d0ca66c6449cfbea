/* File capabilities: switched on, used to open counters, dropped; the environment is not obeyed.
 * Really done when run as root. */
#include "perf/counter.h"
#include "perf/privilege.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/perf_event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

START_TEST(test_variables)
{
	static const char *const hostile[] = {"HWLOC_XMLFILE=x", "LD_PRELOAD", "LIBPFM_FORCE_PMU",
					      "GLIBC_TUNABLES", "SPANMARK_SETS"};
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

static int copy_self(const char *to)
{
	char buf[65536];
	int in = open("/proc/self/exe", O_RDONLY),
	    out = open(to, O_WRONLY | O_CREAT | O_EXCL, 0755);
	ssize_t n;

	if (in < 0 || out < 0)
		return -1;
	while ((n = read(in, buf, sizeof(buf))) > 0)
		if (write(out, buf, (size_t)n) != n)
			return -1;
	close(in);
	return close(out);
}

START_TEST(test_file_capability)
{
	struct vfs_cap_data cap = {.magic_etc = VFS_CAP_REVISION_2,
				   .data[1].permitted = 1u << (38 - 32)};
	char dir[] = "/tmp/sm_privXXXXXX", exe[64];
	int status = -1;
	pid_t pid;

#if defined(__SANITIZE_ADDRESS__)
	puts("a sanitized program does not run with capabilities: not tried");
	return;
#endif
	if (geteuid()) {
		puts("not root: the file capability is not tried");
		return;
	}
	ck_assert_ptr_nonnull(mkdtemp(dir));
	chmod(dir, 0755);
	snprintf(exe, sizeof(exe), "%s/copy", dir);
	if (copy_self(exe) || setxattr(exe, "security.capability", &cap, XATTR_CAPS_SZ_2, 0)) {
		printf("the file capability is not tried: %s\n", strerror(errno));
		unlink(exe);
		rmdir(dir);
		return;
	}
	pid = fork();
	if (!pid) {
		char *argv[] = {exe, (char *)"--child", NULL};
		char *env[] = {(char *)"HWLOC_XMLFILE=/etc/passwd", (char *)"KEEP=1",
			       (char *)"LIBPFM_FORCE_PMU=skx", NULL};

		if (setgroups(0, NULL) || setgid(65534) || setuid(65534))
			_exit(100);
		execve(exe, argv, env);
		_exit(101);
	}
	waitpid(pid, &status, 0);
	unlink(exe);
	rmdir(dir);
	ck_assert(WIFEXITED(status));
	if (WEXITSTATUS(status) == 101 || WEXITSTATUS(status) == 1) {
		puts("this file system or kernel grants no file capabilities: not tried");
		return;
	}
	ck_assert_int_eq(WEXITSTATUS(status), 0);
}
END_TEST

int main(int argc, char **argv)
{
	Suite *s = suite_create("privilege");
	TCase *tc = tcase_create("all");
	SRunner *sr;
	int failed;

	if (argc > 1 && !strcmp(argv[1], "--child"))
		return child();
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, test_variables);
	tcase_add_test(tc, test_ordinary_process);
	tcase_add_test(tc, test_file_capability);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? 1 : 0;
}
