/* harness/process/neighbours.c: what is told of what went on beside a sample, over made-up trees of
 * /proc and /sys, and of a real process that spins. */
#include "harness/process/neighbours.h"

#include <check.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/support/faketree.h"
#include "tests/support/run.h"

#define SECOND UINT64_C(1000000000)
#define SELF   300

static struct faketree tree;
static struct sm_neighbours n;
static long hz;

static void set_up(void)
{
	faketree_init(&tree);
	hz = sysconf(_SC_CLK_TCK);
}

static void tear_down(void)
{
	sm_neighbours_free(&n);
	faketree_remove(&tree);
}

/* A process that has used so many hundredths of a second, its ended children so many. */
static void process(int pid, const char *name, int parent, long user, long children, long start)
{
	char path[40], text[400];

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	snprintf(text, sizeof(text),
		 "%d (%s) S %d 1 1 0 -1 4194304 5 0 0 0 %ld 0 %ld 0 20 0 1 0 %ld 1000000 100", pid,
		 name, parent, user * hz / 100, children * hz / 100, start);
	faketree_write(&tree, path, text);
}

static void gone(int pid)
{
	char path[160];

	snprintf(path, sizeof(path), "%s/proc/%d/stat", tree.root, pid);
	ck_assert_int_eq(remove(path), 0);
}

static void cpus(long busy, long stolen)
{
	char text[128];

	snprintf(text, sizeof(text), "cpu  %ld 0 0 9000 0 0 0 %ld 0 0", busy * hz / 100,
		 stolen * hz / 100);
	faketree_write(&tree, "/proc/stat", text);
}

static void begin(void)
{
	ck_assert_int_eq(sm_neighbours_begin(&n, tree.root, SELF, SECOND), 0);
}

/* What is told after so many hundredths of a second since begin(); static storage. */
static const char *told(unsigned hundredths)
{
	static char text[2000];
	FILE *f = fmemopen(text, sizeof(text), "w");

	n.rest_ns = SECOND / 5; /* whatever a look took here */
	sm_neighbours_tell(&n, SECOND + hundredths * (SECOND / 100), f);
	text[ftell(f)] = '\0';
	fclose(f);
	return text;
}

START_TEST(busy_processes_are_named)
{
	process(1, "init", 0, 10, 20, 1);
	process(SELF, "spanmark", 1, 10, 500, 50);
	process(100, "evil\n(x) y", 1, 1000, 0, 20);
	process(101, "quiet", 1, 1000, 0, 20);
	cpus(5000, 0);
	begin();
	/* two seconds later: a half is not above it, our own worker's time is ours */
	process(100, "evil\n(x) y", 1, 1160, 0, 20);
	process(101, "quiet", 1, 1100, 0, 20);
	process(SELF, "spanmark", 1, 20, 680, 50);
	process(301, "worker", SELF, 150, 0, 900);
	cpus(5000 + 160 + 100 + 190 + 150, 0);
	ck_assert_str_eq(told(200), "meanwhile: process 100 (evil?(x) y) took 0.8 CPUs\n");
}
END_TEST

/* What an ended child used before goes to its parent at once, but it is no time of now. */
START_TEST(time_of_the_ended_is_not_of_now)
{
	process(SELF, "spanmark", 1, 10, 0, 50);
	process(100, "make", 1, 50, 0, 20);
	process(101, "sh", 100, 10, 300, 21);
	process(102, "cc1", 101, 400, 0, 22);
	cpus(5000, 0);
	begin();
	gone(101);
	gone(102);
	/* sh used 1 more, cc1 49, another child of sh 10 */
	process(100, "make", 1, 50, 310 + 400 + 60, 20);
	cpus(5060, 0);
	ck_assert_str_eq(told(100), "meanwhile: process 100 (make) took 0.6 CPUs\n");
	process(100, "make", 1, 50, 310 + 400 + 60 + 40, 20);
	cpus(5100, 0);
	ck_assert_str_eq(told(200), "");
}
END_TEST

/* The same number, another process: all that it used is new. */
START_TEST(numbers_are_used_again)
{
	process(SELF, "spanmark", 1, 10, 0, 50);
	process(100, "old", 1, 5000, 0, 20);
	cpus(6000, 0);
	begin();
	process(100, "new", 1, 80, 0, 700);
	cpus(6080, 0);
	ck_assert_str_eq(told(100), "meanwhile: process 100 (new) took 0.8 CPUs\n");
}
END_TEST

/* Many small ones, or ones that are over, are told of together. */
START_TEST(the_rest_is_told_together)
{
	process(SELF, "spanmark", 1, 10, 0, 50);
	process(100, "a", 1, 50, 0, 20);
	cpus(5000, 0);
	begin();
	process(SELF, "spanmark", 1, 10, 100, 50);
	process(100, "a", 1, 90, 0, 20);
	cpus(5000 + 100 + 40 + 80, 0);
	ck_assert_str_eq(told(100), "meanwhile: other processes, each with less or unseen, "
				    "took 1.2 CPUs\n");
	/* ticks are not counted so well that a little more were something */
	process(SELF, "spanmark", 1, 10, 300, 50);
	cpus(5220 + 260, 0);
	ck_assert_str_eq(told(200), "");
}
END_TEST

START_TEST(the_machine_is_told_of)
{
	process(SELF, "spanmark", 1, 10, 0, 50);
	cpus(5000, 70);
	faketree_write(&tree, "/sys/devices/system/cpu/cpu0/thermal_throttle/core_throttle_count",
		       "7");
	faketree_write(&tree,
		       "/sys/devices/system/cpu/cpu0/thermal_throttle/package_throttle_count",
		       "100");
	faketree_write(&tree, "/proc/self/mountinfo",
		       "30 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw");
	faketree_write(&tree, "/proc/self/cgroup", "0::/box/job");
	faketree_write(&tree, "/sys/fs/cgroup/box/cgroup.procs", "");
	faketree_write(&tree, "/sys/fs/cgroup/box/cpu.stat",
		       "usage_usec 100\nnr_periods 9\nnr_throttled 4\nthrottled_usec 1000");
	faketree_write(&tree, "/sys/fs/cgroup/box/job/cpu.stat", "usage_usec 100");
	begin();
	ck_assert_str_eq(told(100), "");
	process(SELF, "spanmark", 1, 10, 90, 50);
	cpus(5090, 80);
	faketree_write(&tree, "/sys/devices/system/cpu/cpu0/thermal_throttle/core_throttle_count",
		       "9");
	faketree_write(&tree,
		       "/sys/devices/system/cpu/cpu0/thermal_throttle/package_throttle_count",
		       "101");
	faketree_write(&tree, "/sys/fs/cgroup/box/cpu.stat",
		       "usage_usec 100\nnr_periods 9\nnr_throttled 16\nthrottled_usec 21500");
	ck_assert_str_eq(told(200),
			 "meanwhile: 10.0% of the CPU time that was wanted went to other guests "
			 "(steal)\n"
			 "meanwhile: heat or power throttled CPUs (3 events)\n"
			 "meanwhile: the control group's limit of CPU time stopped processes 12 "
			 "times, 20.5 ms in all\n");
}
END_TEST

/* Too early says nothing and loses nothing. */
START_TEST(looks_are_rare)
{
	process(SELF, "spanmark", 1, 10, 0, 50);
	process(100, "a", 1, 50, 0, 20);
	cpus(5000, 0);
	begin();
	ck_assert_uint_ge(n.rest_ns, SECOND / 5);
	process(100, "a", 1, 65, 0, 20);
	cpus(5015, 0);
	ck_assert_str_eq(told(19), "");
	process(100, "a", 1, 66, 0, 20);
	cpus(5016, 0);
	ck_assert_str_eq(told(20), "meanwhile: process 100 (a) took 0.8 CPUs\n");
	ck_assert_str_eq(told(60), "");
}
END_TEST

/* Spins until it has used so much, says so, and waits. */
static pid_t spin(int pipe_in, double seconds)
{
	pid_t pid = fork();
	struct timespec t;

	if (pid != 0)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	do
		clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	while ((double)t.tv_sec + (double)t.tv_nsec * 1e-9 < seconds);
	if (write(pipe_in, "!", 1) != 1)
		_exit(1);
	for (;;)
		pause();
}

START_TEST(a_real_one_is_named)
{
	int fds[2], status;
	char byte, want[40];
	pid_t idle, pid;
	const char *text;

	ck_assert_int_eq(pipe(fds), 0);
	idle = spin(fds[1], 0);
	ck_assert_int_eq(read(fds[0], &byte, 1), 1);
	/* what we call ourselves here is the idle one, so that the other is a neighbour */
	ck_assert_int_eq(sm_neighbours_begin(&n, "", idle, SECOND), 0);
	/* by a clock of ours, however long it takes: then those that are busy here are too busy */
	for (size_t i = 0; i < n.then.all.n; i++)
		n.then.all.v[i].user += (uint64_t)hz * 3600;
	pid = spin(fds[1], 0.5);
	ck_assert_int_eq(read(fds[0], &byte, 1), 1);
	text = told(70);
	snprintf(want, sizeof(want), "process %d (", (int)pid);
	ck_assert_msg(strstr(text, want) != NULL, "told: '%s'", text);
	ck_assert_msg(strstr(text, ") took 0.7 CPUs") != NULL, "told: '%s'", text);
	/* and by its parent it is not */
	sm_neighbours_free(&n);
	ck_assert_int_eq(sm_neighbours_begin(&n, "", getpid(), SECOND), 0);
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	pid = spin(fds[1], 0.5);
	ck_assert_int_eq(read(fds[0], &byte, 1), 1);
	snprintf(want, sizeof(want), "process %d (", (int)pid);
	ck_assert(strstr(told(70), want) == NULL);
	kill(pid, SIGKILL);
	kill(idle, SIGKILL);
	waitpid(pid, &status, 0);
	waitpid(idle, &status, 0);
}
END_TEST

int main(void)
{
	return SM_SUITE_EACH("neighbours", 60, set_up, tear_down, SM_T(busy_processes_are_named),
			     SM_T(time_of_the_ended_is_not_of_now), SM_T(numbers_are_used_again),
			     SM_T(the_rest_is_told_together), SM_T(the_machine_is_told_of),
			     SM_T(looks_are_rare), SM_T(a_real_one_is_named));
}
