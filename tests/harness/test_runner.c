/*
 * harness/runner.c against workers that misbehave in every way we could think of. The workers are
 * this very program, started again with --worker BEHAVIOUR.
 */
#include "harness/runner.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static const char good[] =
	"{\"error\":\"\",\"results\":[{\"name\":\"wall_s\",\"unit\":\"s\",\"value\":1}],"
	"\"metrics\":[],\"output\":\"\",\"warnings\":\"\"}";

static void say(int fd, const char *text)
{
	if (write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		_exit(4);
}

/* ---- the other side ----------------------------------------------------------------------- */

static void flood(int fd)
{
	char buf[4096];

	memset(buf, 'x', sizeof(buf));
	for (;;) {
		if (write(fd, buf, sizeof(buf)) < 0)
			_exit(3);
	}
}

/* Stays alive outside our reach of time, in the same process group. */
static void leave_grandchild(void)
{
	if (fork() == 0) {
		pause();
		_exit(0);
	}
}

static int behave(const char *how)
{
	char buf[65536];
	ssize_t n;

	if (!strcmp(how, "good")) {
		say(SM_WORKER_SAMPLE_FD, good);
	} else if (!strcmp(how, "echo")) { /* the job, back as output */
		n = read(SM_WORKER_JOB_FD, buf, sizeof(buf));
		if (n < 0 || write(1, buf, (size_t)n) != n)
			return 1;
		say(SM_WORKER_SAMPLE_FD, good);
	} else if (!strcmp(how, "nothing")) {
	} else if (!strcmp(how, "rubbish")) {
		say(SM_WORKER_SAMPLE_FD, "{\"results\":");
	} else if (!strcmp(how, "status")) {
		say(2, "first line\nthe heap is on fire\n");
		return 9;
	} else if (!strcmp(how, "good-then-status")) {
		say(SM_WORKER_SAMPLE_FD, good);
		return 9;
	} else if (!strcmp(how, "segv")) {
		struct rlimit none = {0, 0};

		setrlimit(RLIMIT_CORE, &none);
		signal(SIGSEGV, SIG_DFL);
		raise(SIGSEGV);
	} else if (!strcmp(how, "kill")) {
		raise(SIGKILL);
	} else if (!strcmp(how, "hang")) {
		pause();
	} else if (!strcmp(how, "hang-once")) {
		if (open("hung", O_CREAT | O_EXCL | O_WRONLY, 0600) >= 0)
			pause();
		unlink("hung");
		say(SM_WORKER_SAMPLE_FD, good);
	} else if (!strcmp(how, "stop")) {
		raise(SIGSTOP);
	} else if (!strcmp(how, "stubborn")) {
		signal(SIGTERM, SIG_IGN);
		signal(SIGINT, SIG_IGN);
		for (;;)
			pause();
	} else if (!strcmp(how, "closed")) {
		for (int fd = 0; fd < 10; fd++)
			close(fd);
		pause();
	} else if (!strcmp(how, "flood-sample")) {
		flood(SM_WORKER_SAMPLE_FD);
	} else if (!strcmp(how, "flood-stderr")) {
		flood(2);
	} else if (!strcmp(how, "flood-stdout")) {
		flood(1);
	} else if (!strcmp(how, "grandchild")) {
		leave_grandchild();
		say(SM_WORKER_SAMPLE_FD, good);
	} else if (!strcmp(how, "grandchild-hang")) {
		leave_grandchild();
		pause();
	} else if (!strcmp(how, "escapee")) { /* a daemon that keeps the pipes open */
		if (fork() == 0) {
			setsid();
			sleep(5);
			_exit(0);
		}
		say(SM_WORKER_SAMPLE_FD, good);
	} else if (!strcmp(how, "descriptors")) { /* reports what it inherited beyond 4 */
		for (int fd = SM_WORKER_SAMPLE_FD + 1; fd < 1024; fd++) {
			if (fcntl(fd, F_GETFD) >= 0)
				return 5;
		}
		say(SM_WORKER_SAMPLE_FD, good);
	}
	return 0;
}

/* ---- this side ---------------------------------------------------------------------------- */

static struct sm_worker_end end;
static struct sm_record rec;
static struct sm_pool pool;
static char heard[256];

static void on_stderr(void *ctx, const char *data, size_t len)
{
	(void)ctx;
	snprintf(heard, sizeof(heard), "%.*s", (int)(len < 255 ? len : 255), data);
}

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec * 1e-9;
}

static const char *run(const char *how, double timeout)
{
	char *argv[] = {strdup(sm_runner_self(false)), (char *)"--worker", (char *)how, NULL};
	struct sm_runner r = {.argv = argv, .timeout_s = timeout, .on_stderr = on_stderr};

	sm_worker_end_free(&end);
	sm_record_free(&rec);
	rec = (struct sm_record){0};
	sm_runner_run(&r, "{\"job\":1}", &end);
	sm_runner_record(&r, &end, &rec, &pool);
	free(argv[0]);
	ck_assert_msg(waitpid(-1, NULL, WNOHANG) == -1 && errno == ECHILD, "%s left a child", how);
	return sm_outcome_names[rec.status];
}

START_TEST(good_sample)
{
	ck_assert_str_eq(run("good", 10), "ok");
	ck_assert_uint_eq(rec.nresults, 1);
	ck_assert_double_eq(rec.results[0].value, 1);
	ck_assert_double_gt(rec.took_s, 0);
}
END_TEST

START_TEST(job_arrives)
{
	ck_assert_str_eq(run("echo", 10), "ok");
	ck_assert_str_eq(rec.output, "{\"job\":1}");
}
END_TEST

START_TEST(bad_output)
{
	ck_assert_str_eq(run("nothing", 10), "bad-output");
	ck_assert_ptr_nonnull(strstr(rec.message, "sent nothing"));
	ck_assert_str_eq(run("rubbish", 10), "bad-output");
	ck_assert_ptr_nonnull(strstr(rec.message, "no sample"));
}
END_TEST

START_TEST(crashes)
{
	ck_assert_str_eq(run("segv", 10), "crashed");
	ck_assert_ptr_nonnull(strstr(rec.message, "signal 11"));
	ck_assert_str_eq(run("kill", 10), "crashed");
	ck_assert_ptr_nonnull(strstr(rec.message, "signal 9"));
	ck_assert_str_eq(run("status", 10), "crashed");
	ck_assert_ptr_nonnull(strstr(rec.message, "status 9"));
	ck_assert_ptr_nonnull(strstr(rec.message, "the heap is on fire"));
	ck_assert_ptr_nonnull(strstr(heard, "first line"));
	/* a sample from a process that then failed is no sample */
	ck_assert_str_eq(run("good-then-status", 10), "crashed");
	ck_assert_uint_eq(rec.nresults, 0);
}
END_TEST

START_TEST(timeouts)
{
	static const char *const ways[] = {"hang",	     "stop",	     "stubborn",
					   "closed",	     "flood-stdout", "flood-stderr",
					   "grandchild-hang"};

	for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
		double start = now();

		ck_assert_msg(!strcmp(run(ways[i], 0.3), "timeout"), "%s: %s: %s", ways[i],
			      sm_outcome_names[rec.status], rec.message);
		ck_assert_msg(now() - start < 10, "%s held us up", ways[i]);
		ck_assert_ptr_nonnull(strstr(rec.message, "0.3 s"));
	}
}
END_TEST

START_TEST(tiny_timeouts)
{
	for (int i = 0; i < 20; i++)
		ck_assert_str_eq(run("hang", 0.001), "timeout");
}
END_TEST

START_TEST(output_is_bounded)
{
	/* As long as it takes until more was written than is kept. */
	for (double limit = 0.3; limit < 100; limit *= 3) {
		run("flood-stdout", limit);
		ck_assert_uint_le(end.output.len, 64 << 10);
		if (end.output.cut)
			break;
	}
	ck_assert(end.output.cut);
	run("flood-stderr", 0.3);
	ck_assert_uint_le(end.diag.len, 4 << 10);
}
END_TEST

START_TEST(grandchildren_go_too)
{
	double start = now();

	/* It becomes ours to reap when its parent has gone: run() checks that none is left once it
	 * is dead. */
	ck_assert_int_eq(prctl(PR_SET_CHILD_SUBREAPER, 0), 0);
	ck_assert_str_eq(run("grandchild", 10), "ok");
	ck_assert_double_lt(now() - start, 8);
}
END_TEST

START_TEST(an_escapee_does_not_hold_us_up)
{
	double start = now();

	ck_assert_str_eq(run("escapee", 10), "ok");
	ck_assert_double_lt(now() - start, 4);
}
END_TEST

START_TEST(no_descriptor_leaks)
{
	int extra = open("/dev/null", O_RDONLY); /* without close-on-exec */

	ck_assert_int_ge(extra, 0);
	ck_assert_str_eq(run("descriptors", 10), "ok");
	close(extra);
	for (int i = 0; i < 50; i++)
		run("good", 10);
	extra = open("/dev/null", O_RDONLY);
	ck_assert_int_lt(extra, 20); /* nor on our side */
	close(extra);
}
END_TEST

START_TEST(not_started)
{
	char *argv[] = {(char *)"/does/not/exist", NULL};
	struct sm_runner r = {.argv = argv, .timeout_s = 5};

	sm_runner_run(&r, "{}", &end);
	sm_runner_record(&r, &end, &rec, &pool);
	ck_assert_int_eq(rec.status, SM_OUTCOME_CRASHED);
	ck_assert_ptr_nonnull(strstr(rec.message, "/does/not/exist"));
}
END_TEST

START_TEST(no_descriptors_left)
{
	struct rlimit tight = {8, 8};

	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &tight), 0);
	ck_assert_str_eq(run("good", 5), "crashed");
	ck_assert_ptr_nonnull(strstr(rec.message, "could not be started"));
}
END_TEST

/* Our caller ignores SIGCHLD, and exec keeps that: the kernel waits for the worker in our place. */
START_TEST(somebody_else_has_waited)
{
	double start = now();

	signal(SIGCHLD, SIG_IGN);
	ck_assert_str_eq(run("good", 30), "ok");
	ck_assert_double_lt(now() - start, 15);
	signal(SIGCHLD, SIG_DFL);
}
END_TEST

/* Stopped by the user's terminal in the middle of a sample: it is measured anew. */
START_TEST(a_stopped_sample_begins_anew)
{
	pid_t pid = getpid(), other;

	ck_assert_int_eq(sm_runner_catch_signals(), 0);
	other = fork();
	if (other == 0) {
		usleep(200000);
		kill(pid, SIGTSTP);
		usleep(300000);
		kill(pid, SIGCONT);
		_exit(0);
	}
	{
		char *argv[] = {strdup(sm_runner_self(false)), (char *)"--worker",
				(char *)"hang-once", NULL};
		struct sm_runner r = {.argv = argv, .timeout_s = 30};

		sm_runner_run(&r, "{}", &end);
		sm_runner_record(&r, &end, &rec, &pool);
		free(argv[0]);
	}
	ck_assert_int_eq(rec.status, SM_OUTCOME_OK);
	waitpid(other, NULL, 0);
}
END_TEST

START_TEST(interrupted)
{
	pid_t pid = getpid();
	double start = now();

	ck_assert_int_eq(sm_runner_catch_signals(), 0);
	if (fork() == 0) {
		usleep(200000);
		kill(pid, SIGTERM);
		_exit(0);
	}
	{
		char *argv[] = {strdup(sm_runner_self(false)), (char *)"--worker",
				(char *)"stubborn", NULL};
		struct sm_runner r = {.argv = argv, .timeout_s = 30};

		sm_runner_run(&r, "{}", &end);
		sm_runner_record(&r, &end, &rec, &pool);
		free(argv[0]);
	}
	ck_assert_int_eq(rec.status, SM_OUTCOME_INTERRUPTED);
	ck_assert(sm_runner_interrupted());
	ck_assert_double_lt(now() - start, 10);
}
END_TEST

/* The command dies: its worker must not live on. */
START_TEST(worker_dies_with_the_command)
{
	pid_t command, worker = -1;
	int status;

	/* The orphan comes to us, so that we can see how it ended. */
	ck_assert_int_eq(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
	command = fork();
	if (command == 0) {
		run("hang", 60);
		_exit(0);
	}
	usleep(500000);
	kill(command, SIGKILL);
	ck_assert_int_eq(waitpid(command, &status, 0), command);
	worker = waitpid(-1, &status, 0);
	ck_assert_int_gt(worker, 0);
	ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}
END_TEST

int main(int argc, char **argv)
{
	Suite *suite;
	TCase *tc;
	SRunner *sr;
	int failed;

	if (argc == 3 && !strcmp(argv[1], "--worker"))
		return behave(argv[2]);
	suite = suite_create("runner");
	tc = tcase_create("all");
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, good_sample);
	tcase_add_test(tc, job_arrives);
	tcase_add_test(tc, bad_output);
	tcase_add_test(tc, crashes);
	tcase_add_test(tc, timeouts);
	tcase_add_test(tc, tiny_timeouts);
	tcase_add_test(tc, output_is_bounded);
	tcase_add_test(tc, grandchildren_go_too);
	tcase_add_test(tc, an_escapee_does_not_hold_us_up);
	tcase_add_test(tc, no_descriptor_leaks);
	tcase_add_test(tc, not_started);
	tcase_add_test(tc, no_descriptors_left);
	tcase_add_test(tc, somebody_else_has_waited);
	tcase_add_test(tc, a_stopped_sample_begins_anew);
	tcase_add_test(tc, interrupted);
	tcase_add_test(tc, worker_dies_with_the_command);
	suite_add_tcase(suite, tc);
	sr = srunner_create(suite);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? 1 : 0;
}
