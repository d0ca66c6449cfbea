/*
 * harness/program/: processes that are started, seen, measured and ended: spawn.c, tree.c,
 * cgroup.c, preload.c. What is started is this program again, with --child BEHAVIOUR; it says a
 * byte on its standard output once it has done what it should.
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harness/process/cgroup.h"
#include "harness/program/preload.h"
#include "harness/process/spawn.h"
#include "harness/process/tree.h"
#include "tests/support/run.h"
#include "tests/support/skip.h"

/* ---- the other side ------------------------------------------------------------------------ */

static void say(const char *text)
{
	if (write(1, text, strlen(text)) < 0)
		_exit(9);
}

static void wait_for_ever(void)
{
	say("!");
	for (;;)
		pause();
}

/* Twice forked, in a session of its own: nobody's child. The first ones end. */
static void become_daemon(void)
{
	signal(SIGTERM, SIG_IGN);
	if (fork() == 0) {
		setsid();
		if (fork() == 0)
			wait_for_ever();
	}
	_exit(0);
}

static void touch_pages(size_t mib)
{
	char *p = mmap(NULL, mib << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	for (size_t i = 0; i < mib << 20; i += 4096)
		p[i] = 1;
}

static void fork_many(int n)
{
	for (int i = 0; i < n; i++)
		if (fork() == 0)
			for (;;)
				pause();
}

static int behave(const char *how)
{
	cpu_set_t set;

	if (strcmp(how, "exit7") == 0)
		return 7;
	if (strcmp(how, "wait") == 0)
		wait_for_ever();
	if (strcmp(how, "daemon") == 0)
		become_daemon();
	if (strcmp(how, "bomb") == 0) {
		fork_many(300);
		wait_for_ever();
	}
	if (strcmp(how, "big") == 0) {
		touch_pages(48);
		wait_for_ever();
	}
	if (strcmp(how, "two") == 0) { /* 24 MiB shared, 16 MiB in the child alone */
		touch_pages(24);
		if (fork() == 0) {
			touch_pages(16);
			wait_for_ever();
		}
		for (;;)
			pause();
	}
	if (strcmp(how, "cpus") == 0) {
		sched_getaffinity(0, sizeof(set), &set);
		return CPU_COUNT(&set);
	}
	if (strcmp(how, "faults") == 0) {
		touch_pages(8); /* 2048 faults */
		return 0;
	}
	return 99;
}

/* ---- this side ----------------------------------------------------------------------------- */

static struct sm_spawn s;

static void begin(void)
{
	ck_assert_int_eq(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
}

static void start(const char *how)
{
	static char *argv[4];

	argv[0] = (char *)"/proc/self/exe";
	argv[1] = (char *)"--child";
	argv[2] = (char *)how;
	s.argv = argv;
	ck_assert_int_eq(sm_spawn(&s), 0);
}

static void hear(void)
{
	struct pollfd p = {.fd = s.out, .events = POLLIN};
	char byte;

	ck_assert_int_eq(poll(&p, 1, 20000), 1);
	ck_assert_int_eq(read(s.out, &byte, 1), 1);
}

static int status_of(pid_t pid, struct rusage *used)
{
	int status;

	ck_assert_int_eq(wait4(pid, &status, 0, used), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static size_t below(void)
{
	struct sm_tree t;
	size_t n;

	ck_assert_int_eq(sm_tree_read(&t, NULL), 0);
	n = sm_tree_alive(&t);
	sm_tree_free(&t);
	return n;
}

START_TEST(test_status_comes_back)
{
	struct rusage used;

	start("exit7");
	ck_assert_uint_eq(below(), 1); /* waits */
	ck_assert_int_eq(sm_spawn_go(&s), 0);
	ck_assert_int_eq(status_of(s.pid, &used), 7);
	sm_spawn_close(&s);
	ck_assert_uint_eq(below(), 0);
}
END_TEST

START_TEST(test_cannot_execute)
{
	char *argv[] = {(char *)"/etc/passwd", NULL};

	s = (struct sm_spawn){.argv = argv};
	ck_assert_int_eq(sm_spawn(&s), 0);
	ck_assert_int_eq(sm_spawn_go(&s), -EACCES);
	ck_assert_int_eq(status_of(s.pid, NULL), 127);
	sm_spawn_close(&s);
}
END_TEST

/* Faults of the fork before its exec are not the program's. */
START_TEST(test_usage_is_the_programs)
{
	struct rusage used;

	start("faults");
	ck_assert_int_eq(sm_spawn_go(&s), 0);
	ck_assert_int_eq(status_of(s.pid, &used), 0);
	ck_assert_int_gt(s.before.ru_minflt, 0);
	ck_assert_int_gt(s.before.ru_maxrss, 0);
	sm_rusage_subtract(&used, &s.before);
	ck_assert_int_ge(used.ru_minflt + 512 * used.ru_majflt, 16); /* huge pages take one */
	sm_spawn_close(&s);
}
END_TEST

START_TEST(test_pinned)
{
	cpu_set_t all;
	int cpu = 0;

	ck_assert_int_eq(sched_getaffinity(0, sizeof(all), &all), 0);
	while (!CPU_ISSET(cpu, &all))
		cpu++;
	s.cpus = &cpu;
	s.ncpus = 1;
	start("cpus");
	ck_assert_int_eq(sm_spawn_go(&s), 0);
	ck_assert_int_eq(status_of(s.pid, NULL), 1);
	sm_spawn_close(&s);
	s.cpus = NULL;
}
END_TEST

/* One that may run on what it was not given, and one that may not. */
START_TEST(test_strays)
{
	struct sm_tree t;
	cpu_set_t all;
	int cpus[CPU_SETSIZE];
	unsigned n = 0;

	ck_assert_int_eq(sched_getaffinity(0, sizeof(all), &all), 0);
	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
		if (CPU_ISSET(cpu, &all))
			cpus[n++] = cpu;
	start("wait");
	ck_assert_int_eq(sm_spawn_go(&s), 0);
	hear();
	ck_assert_int_eq(sm_tree_read(&t, NULL), 0);
	ck_assert_ptr_null(sm_tree_strays(&t, cpus, n));
	ck_assert_ptr_nonnull(sm_tree_strays(&t, cpus, n - 1));
	ck_assert_int_eq(sm_tree_strays(&t, cpus, n - 1)->pid, s.pid);
	sm_tree_free(&t);
	ck_assert_int_eq(sm_tree_end(NULL, 20, NULL), 0);
	sm_spawn_close(&s);
}
END_TEST

/* A daemon's parents are gone: it is ours, whatever signals it ignores. */
START_TEST(test_daemon_is_ended)
{
	struct rusage sum = {0};

	start("daemon");
	ck_assert_int_eq(sm_spawn_go(&s), 0);
	hear();
	ck_assert_int_eq(status_of(s.pid, NULL), 0);
	ck_assert_uint_eq(below(), 1);
	ck_assert_int_eq(sm_tree_end(NULL, 20, &sum), 0);
	ck_assert_uint_eq(below(), 0);
	ck_assert_int_gt(sum.ru_minflt, 0);
	ck_assert_int_eq(waitpid(-1, NULL, WNOHANG), -1);
	sm_spawn_close(&s);
}
END_TEST

START_TEST(test_many_are_ended)
{
	start("bomb");
	ck_assert_int_eq(sm_spawn_go(&s), 0);
	hear();
	ck_assert_uint_eq(below(), 301);
	ck_assert_int_eq(sm_tree_end(NULL, 30, NULL), 0);
	ck_assert_uint_eq(below(), 0);
	sm_spawn_close(&s);
}
END_TEST

/* What was there before stays. */
START_TEST(test_except)
{
	pid_t first[2] = {0, 0};
	struct sm_spawn kept;

	start("wait");
	ck_assert_int_eq(sm_spawn_go(&s), 0);
	hear();
	first[0] = s.pid;
	kept = s;
	start("wait");
	ck_assert_int_eq(sm_spawn_go(&s), 0);
	hear();
	ck_assert_uint_eq(below(), 2);
	ck_assert_int_eq(sm_tree_end(first, 20, NULL), 0);
	ck_assert_uint_eq(below(), 1);
	ck_assert_int_eq(kill(first[0], 0), 0);
	ck_assert_int_eq(sm_tree_end(NULL, 20, NULL), 0);
	ck_assert_uint_eq(below(), 0);
	sm_spawn_close(&s);
	sm_spawn_close(&kept);
}
END_TEST

START_TEST(test_memory_of_one)
{
	struct sm_tree_memory m;
	struct sm_tree t;

	start("big");
	ck_assert_int_eq(sm_spawn_go(&s), 0);
	hear();
	ck_assert_int_eq(sm_tree_read(&t, NULL), 0);
	sm_tree_memory(&t, &m);
	sm_tree_free(&t);
	ck_assert_uint_eq(m.processes, 1);
	ck_assert_msg(m.kib >= 48 << 10, "%llu KiB", (unsigned long long)m.kib);
#if !SM_SANITIZED
	ck_assert_msg(m.kib < 64 << 10, "%llu KiB", (unsigned long long)m.kib);
#endif
	ck_assert_int_eq(sm_tree_end(NULL, 20, NULL), 0);
	sm_spawn_close(&s);
}
END_TEST

/* What two processes share counts once: 40 MiB, not 64. */
START_TEST(test_memory_of_two)
{
	struct sm_tree_memory m;
	struct sm_tree t;

	start("two");
	ck_assert_int_eq(sm_spawn_go(&s), 0);
	hear();
	ck_assert_int_eq(sm_tree_read(&t, NULL), 0);
	sm_tree_memory(&t, &m);
	sm_tree_free(&t);
	ck_assert_int_eq(sm_tree_end(NULL, 20, NULL), 0);
	sm_spawn_close(&s);
	ck_assert_uint_eq(m.processes, 2);
	ck_assert_msg(m.kib >= 40 << 10, "%llu KiB", (unsigned long long)m.kib);
	if (m.rss)
		SM_SKIP("smaps_rollup cannot be read here");
#if !SM_SANITIZED
	ck_assert_msg(m.kib < 60 << 10, "%llu KiB", (unsigned long long)m.kib);
#endif
}
END_TEST

/* Our end is its end: even before it executes. */
START_TEST(test_dies_with_us)
{
	int told[2];
	pid_t middle, inner = 0;

	ck_assert_int_eq(pipe(told), 0);
	middle = fork();
	if (middle == 0) {
		start("wait");
		if (_i == 1) {
			sm_spawn_go(&s);
			hear();
		}
		if (write(told[1], &s.pid, sizeof(s.pid)) < 0)
			_exit(1);
		for (;;)
			pause();
	}
	ck_assert_int_eq(read(told[0], &inner, sizeof(inner)), sizeof(inner));
	kill(middle, SIGKILL);
	ck_assert_int_eq(waitpid(middle, NULL, 0), middle);
	ck_assert_int_eq(waitpid(inner, NULL, 0), inner); /* ours now, and ended by itself */
	ck_assert_uint_eq(below(), 0);
}
END_TEST

START_TEST(test_group)
{
	struct rusage used;
	struct sm_cgroup g;
	char file[1000];

	start("daemon");
	sm_cgroup_make(&g, "", s.pid);
	if (g.path[0] == '\0') {
		ck_assert_int_eq(sm_tree_end(NULL, 20, NULL), 0);
		SM_SKIP("no control group of version 2 may be made here");
	}
	ck_assert_int_eq(sm_spawn_go(&s), 0);
	hear();
	ck_assert_int_eq(status_of(s.pid, NULL), 0);
	ck_assert(sm_cgroup_times(&g, &used));
	sm_cgroup_kill(&g);
	ck_assert_int_eq(waitpid(-1, NULL, 0) > 0, 1); /* the daemon */
	snprintf(file, sizeof(file), "%s", g.path);
	sm_cgroup_remove(&g);
	ck_assert_int_ne(access(file, F_OK), 0);
	sm_spawn_close(&s);
}
END_TEST

/* No such system: no group, no harm. */
START_TEST(test_no_group)
{
	struct rusage used;
	struct sm_cgroup g;
	uint64_t v;

	sm_cgroup_make(&g, "/no-such-root", getpid());
	ck_assert_str_eq(g.path, "");
	ck_assert(!sm_cgroup_peak_kib(&g, &v) && !sm_cgroup_times(&g, &used));
	sm_cgroup_kill(&g);
	sm_cgroup_remove(&g);
}
END_TEST

static void prove(const char *lib, struct sm_preload_proof *proof)
{
	struct sm_preload p;

	ck_assert_int_eq(sm_preload_make(&p, lib), 0);
	s.env = p.env;
	start("exit7");
	ck_assert_int_eq(sm_spawn_go(&s), 0);
	ck_assert_int_eq(status_of(s.pid, NULL), 7);
	sm_preload_prove(&p, lib, s.pid, proof);
	sm_spawn_close(&s);
	sm_preload_free(&p);
	s.env = NULL;
}

START_TEST(test_proof)
{
	struct sm_preload_proof proof;
	char lib[256] = "", *slash;

#if SM_SANITIZED
	SM_SKIP("a sanitizer has a malloc of its own");
#endif
	prove(SM_PRELOAD_LIBC, &proof);
	ck_assert(proof.proved && proof.programs == 1 && proof.others == 0);
	ck_assert_msg(strstr(proof.object, "libc.so.6") != NULL, "%s", proof.object);
	/* a library without malloc takes nobody's place */
	prove("libm.so.6", &proof);
	ck_assert(!proof.proved && proof.programs == 1 && proof.others == 1);
	ck_assert_msg(strstr(proof.other, "libc.so.6") != NULL, "%s", proof.other);
	/* BUILD/tests/test_tree: the library is beside its folder */
	ck_assert(readlink("/proc/self/exe", lib, 200) > 0);
	slash = strstr(lib, "/tests/");
	ck_assert_ptr_nonnull(slash);
	strcpy(slash, "/libspanmark-malloc.so");
	if (access(lib, R_OK) != 0)
		SM_SKIP("no %s", lib);
	prove(lib, &proof);
	ck_assert(proof.proved && proof.programs == 1 && proof.others == 0);
	ck_assert_str_eq(proof.object, lib);
}
END_TEST

int main(int argc, char **argv)
{
	if (argc == 3 && strcmp(argv[1], "--child") == 0)
		return behave(argv[2]);
	return SM_SUITE_EACH("tree", 60, begin, NULL, SM_T(test_status_comes_back),
			     SM_T(test_cannot_execute), SM_T(test_usage_is_the_programs),
			     SM_T(test_pinned), SM_T(test_strays), SM_T(test_daemon_is_ended),
			     SM_T(test_many_are_ended), SM_T(test_except), SM_T(test_memory_of_one),
			     SM_T(test_memory_of_two), SM_LOOP(test_dies_with_us, 0, 2),
			     SM_T(test_group), SM_T(test_no_group), SM_T(test_proof));
}
