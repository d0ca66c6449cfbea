/* Source sim: this program runs itself under Callgrind and finds its own loops in the counts. */
#include "perf/counter_sim.h"
#include "perf/region.h"
#include "perf/topology.h"
#include "tests/support/faketree.h"

#include <check.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "tests/support/skip.h"
#include "tests/support/run.h"

/* ---- the child ---------------------------------------------------------------------------- */

/* Two instructions a round: decrement and branch (four or so where the compiler keeps it simple).
 */
static __attribute__((noinline)) void spin(uint64_t rounds)
{
	for (uint64_t i = rounds; i; i--)
		__asm__ volatile("" : "+r"(i));
}

struct work {
	struct sm_counterset *cs;
	struct sm_region_thread *t;
	uint64_t factor;
};

/* Region 1 ten times region 0's work, region 2 light inside region 1. */
static void *run(void *arg)
{
	struct work *w = arg;
	struct sm_region_options o = {.n_regions = 4, .pu_os = -1, .light = 1u << 2};
	char err[200];

	if (sm_region_thread_open(w->cs, &o, &w->t, err, sizeof(err)))
		abort();
	spin(5000); /* before the reset: forgotten */
	sm_region_reset(w->t);
	spin(10000 * w->factor);
	for (int i = 0; i < 10; i++) {
		sm_region_enter(w->t, 1);
		spin(9000 * w->factor);
		sm_region_enter(w->t, 2);
		spin(1000 * w->factor);
		sm_region_leave(w->t);
		sm_region_leave(w->t);
	}
	sm_region_thread_stop(w->t);
	spin(100000); /* after the stop: not counted */
	return NULL;
}

static void print_thread(const struct work *w, const char *name)
{
	struct sm_reading r[16];
	double v;

	for (unsigned region = 0; region <= 4; region++) {
		if (region < 4)
			sm_region_get(w->t, region, 0, r, NULL);
		else
			sm_region_total(w->t, 0, r, NULL);
		for (unsigned e = 0; e < w->cs->n_events; e++) {
			if (w->cs->events[e].res[0].code.backend != SM_BACKEND_SIM)
				continue;
			if (sm_reading_value(&r[e], &v))
				printf("%s %u %s %.0f %s\n", name, region, w->cs->events[e].name, v,
				       sm_source_names[r[e].source]);
			else
				printf("%s %u %s n/a %s\n", name, region, w->cs->events[e].name,
				       r[e].reason);
		}
	}
}

static int child(void)
{
	static const char *const sets[] = {"cycles", "branch"};
	struct sm_counterset_options o = {
		.sets = sets, .n_sets = 2, .user_dir = "", .from = SM_COUNTERS_SIM};
	struct work w[3] = {{.factor = 1}, {.factor = 2}, {.factor = 3}};
	pthread_t t[2];
	char err[300];

	if (sm_counterset_new(&o, &w[0].cs, err, sizeof(err)))
		abort();
	w[1].cs = w[2].cs = w[0].cs;
	pthread_create(&t[0], NULL, run, &w[1]);
	run(&w[0]);
	pthread_join(t[0], NULL);
	pthread_create(&t[1], NULL, run, &w[2]); /* takes over the ended thread's number */
	pthread_join(t[1], NULL);
	for (int i = 0; i < 3; i++) {
		char name[8];

		snprintf(name, sizeof(name), "t%d", i);
		print_thread(&w[i], name);
		sm_region_thread_free(w[i].t);
	}
	sm_counterset_free(w[0].cs);
	return 0;
}

/* ---- the parent --------------------------------------------------------------------------- */

static FILE *run_child(struct faketree *dir, pid_t *pid)
{
	char exe[512], *argv[] = {exe, (char *)"--child", NULL}, err[200];
	struct sm_topology *topo;
	ssize_t n = readlink("/proc/self/exe", exe, sizeof(exe) - 1);
	int fd[2];
	char **cmd;

	ck_assert_int_gt((int)n, 0);
	exe[n] = '\0';
	ck_assert_int_eq(sm_topology_load(NULL, &topo, err, sizeof(err)), 0);
	faketree_init(dir);
	cmd = sm_sim_command(topo, dir->root, argv);
	ck_assert_ptr_nonnull(cmd);
	ck_assert_int_eq(pipe(fd), 0);
	*pid = fork();
	if (!*pid) {
		setenv(SM_SIM_FOLDER_ENV, dir->root, 1);
		dup2(fd[1], 1);
		close(fd[0]);
		execv(cmd[0], cmd);
		_exit(127);
	}
	close(fd[1]);
	free(cmd);
	sm_topology_free(topo);
	return fdopen(fd[0], "r");
}

START_TEST(test_loops_are_found)
{
	struct faketree dir;
	unsigned long long ir[3][5] = {{0}}, branches[3][5] = {{0}};
	char line[300], light[300] = "", path[64], why[200];
	int status;
	pid_t pid;
	FILE *f;

	if (SM_SANITIZED || sm_sim_find(path, sizeof(path), why, sizeof(why))) {
		printf("not run: %s\n",
		       SM_SANITIZED ? "a sanitized program does not run under valgrind" : why);
		SM_SKIP("valgrind cannot run it");
	}
	f = run_child(&dir, &pid);
	while (fgets(line, sizeof(line), f)) {
		unsigned t, region;
		unsigned long long v;

		if (sscanf(line, "t%u %u instructions %llu", &t, &region, &v) == 3)
			ir[t][region] = v;
		else if (sscanf(line, "t%u %u branches %llu", &t, &region, &v) == 3)
			branches[t][region] = v;
		else if (strstr(line, "t0 2 instructions n/a"))
			snprintf(light, sizeof(light), "%s", line);
		ck_assert_msg(!strstr(line, "load:"), "%s", line);
	}
	fclose(f);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_msg(WIFEXITED(status) && !WEXITSTATUS(status), "child status %x", status);
	faketree_remove(&dir);
	ck_assert_msg(strstr(light, "light region") != NULL, "%s", light);
	/* Entering and leaving cost instructions of their own, the same in every thread:
	 * differences show the loops alone. */
	for (unsigned t = 0; t < 3; t++) {
		double work = 10000.0 * (t + 1);

		printf("thread %u: %llu instructions outside, %llu in region 1, %llu in all\n", t,
		       ir[t][0], ir[t][1], ir[t][4]);
		ck_assert(ir[t][0] >= 2 * work && ir[t][0] < 8 * work);
		ck_assert(ir[t][1] >= 20 * work && ir[t][1] < 80 * work);
		ck_assert_uint_eq(ir[t][0] + ir[t][1] + ir[t][3], ir[t][4]);
		ck_assert_uint_ge(branches[t][1], 10 * (unsigned)work);
		ck_assert_uint_lt(branches[t][1], 21 * (unsigned)work);
	}
	unsigned long long step = ir[1][0] - ir[0][0]; /* 10000 rounds */

	ck_assert_uint_ge(step, 20000);
	for (unsigned t = 1; t < 3; t++) {
		ck_assert_msg(llabs((long long)(ir[t][0] - ir[0][0] - t * step)) < 200, "thread %u",
			      t);
		ck_assert_msg(llabs((long long)(ir[t][1] - ir[0][1] - 10 * t * step)) < 200,
			      "thread %u", t);
	}
}
END_TEST

/* ---- the parser --------------------------------------------------------------------------- */

static void write_part(const struct faketree *dir, unsigned n, unsigned thread, const char *label,
		       const char *summary)
{
	char path[64], text[500];

	snprintf(path, sizeof(path), "/sm.77.%u-%02u", n, thread);
	snprintf(text, sizeof(text),
		 "# callgrind format\nversion: 1\npart: %u\nthread: %u\n\ndesc: Trigger: Client "
		 "Request: "
		 "%s\n\npositions: line\n"
		 "events: Ir Dr Dw I1mr D1mr D1mw\nsummary: %s\n\nfn=(1) main\n1 2 3\n",
		 n, thread, label, summary);
	faketree_write(dir, path, text);
}

START_TEST(test_parser)
{
	struct faketree dir;
	struct sm_sim_counts *c;
	char err[300] = "";
	uint64_t v;

	faketree_init(&dir);
	ck_assert_int_eq(sm_sim_load(dir.root, 77, &c, err, sizeof(err)), -ENOENT);
	ck_assert_int_eq(sm_sim_load("/nonexistent", 77, &c, err, sizeof(err)), -ENOENT);
	write_part(&dir, 1, 1, "sm open 0 0", "50");
	write_part(&dir, 2, 1, "sm open 1 3", "100 10 5");
	write_part(&dir, 2, 4, "sm open 1 3", "7");
	write_part(&dir, 3, 1, "sm change 0 0 2", "1000 0 0 0 4 6");
	write_part(&dir, 3, 4, "sm change 0 0 2", "300");
	write_part(&dir, 10, 1, "sm stop 0 2 0", "20");
	write_part(&dir, 10, 4, "sm stop 0 2 0", "40");
	write_part(&dir, 11, 4, "sm stop 1 3 0", "2");
	faketree_write(&dir, "/sm.78.1-01", "another process");
	faketree_write(&dir, "/sm.77-01", "the dump at the end");
	ck_assert_msg(!sm_sim_load(dir.root, 77, &c, err, sizeof(err)), "%s", err);
	ck_assert(sm_sim_value(c, 0, 0, SM_SIM_IR, &v) && v == 1100);
	ck_assert(sm_sim_value(c, 0, 2, SM_SIM_IR, &v) && v == 20);
	ck_assert(sm_sim_value(c, 0, -1, SM_SIM_IR, &v) && v == 1120);
	ck_assert(sm_sim_value(c, 0, 0, SM_SIM_D1, &v) && v == 10);
	ck_assert(sm_sim_value(c, 1, 3, SM_SIM_IR, &v) && v == 342);
	ck_assert(sm_sim_value(c, 1, 0, SM_SIM_IR, &v) && v == 0);
	ck_assert(!sm_sim_value(c, 2, 0, SM_SIM_IR, &v));
	ck_assert(!sm_sim_value(c, -1, 0, SM_SIM_IR, &v));
	sm_sim_free(c);
	/* Too many changes: totals stay, regions go. */
	write_part(&dir, 12, 4, "sm stop 1 3 1", "2");
	ck_assert_int_eq(sm_sim_load(dir.root, 77, &c, err, sizeof(err)), 0);
	ck_assert(!sm_sim_value(c, 0, 0, SM_SIM_IR, &v));
	ck_assert(sm_sim_value(c, 0, -1, SM_SIM_IR, &v) && v == 1120);
	sm_sim_free(c);
	faketree_write(&dir, "/sm.77.13-01", "cut short");
	ck_assert_int_eq(sm_sim_load(dir.root, 77, &c, err, sizeof(err)), -EINVAL);
	ck_assert_ptr_nonnull(strstr(err, "sm.77.13-01"));
	write_part(&dir, 13, 1, "sm change 0 0 99", "1");
	ck_assert_int_eq(sm_sim_load(dir.root, 77, &c, err, sizeof(err)), -EINVAL);
	faketree_remove(&dir);
}
END_TEST

START_TEST(test_cache_geometry)
{
	char buf[64];

	sm_sim_cache(32768, 8, 64, buf, sizeof(buf));
	ck_assert_str_eq(buf, "32768,8,64");
	sm_sim_cache(49152, 12, 64, buf, sizeof(buf));
	ck_assert_str_eq(buf, "49152,12,64");
	sm_sim_cache(36ull << 20, 12, 64, buf, sizeof(buf)); /* 49152 sets: not a power of two */
	ck_assert_str_eq(buf, "37748736,18,64");
	sm_sim_cache(33554432, 0, 0, buf, sizeof(buf));
	ck_assert_str_eq(buf, "33554432,8,64");
	sm_sim_cache(0, 8, 64, buf, sizeof(buf));
	ck_assert_str_eq(buf, "");
}
END_TEST

int main(int argc, char **argv)
{
	if (argc > 1 && !strcmp(argv[1], "--child"))
		return child();
	return SM_SUITE("counter_sim", 110, SM_T(test_loops_are_found), SM_T(test_parser),
			SM_T(test_cache_geometry));
}
