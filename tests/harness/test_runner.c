/*
 * harness/run/runner.c against workers that misbehave in every way we could think of. The
 * workers are this very program, started again with --worker BEHAVIOUR.
 */
#include "harness/run/runner.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/support/run.h"

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

/* Leaves a child that outlives us by 30 s at most, and that has left our process group where it is
 * a daemon: known before we go on, for our end is the end of the whole group. */
static void leave_child(bool daemon)
{
	int told[2];
	char byte;

	if (pipe(told) != 0)
		_exit(4);
	if (fork() == 0) {
		if (daemon)
			setsid();
		say(told[1], "!");
		sleep(30);
		_exit(0);
	}
	if (read(told[0], &byte, 1) != 1)
		_exit(4);
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
		if (rmdir(getenv("SM_TEST_HANGS")) == 0) {
			kill(getppid(), SIGTSTP);
			pause();
		}
		say(SM_WORKER_SAMPLE_FD, good);
	} else if (!strcmp(how, "stop")) {
		raise(SIGSTOP);
	} else if (!strcmp(how, "stubborn")) {
		signal(SIGTERM, SIG_IGN);
		signal(SIGINT, SIG_IGN);
		for (;;)
			pause();
	} else if (!strcmp(how, "interrupts-us")) {
		signal(SIGTERM, SIG_IGN);
		kill(getppid(), SIGTERM);
		for (;;)
			pause();
	} else if (!strcmp(how, "presses-ctrl-c")) { /* and goes on when it is told to */
		kill(getppid(), SIGINT);
		if (open(getenv("SM_TEST_GO"), O_RDONLY) < 0)
			return 4;
		say(SM_WORKER_SAMPLE_FD, good);
	} else if (!strcmp(how, "kills-us")) {
		kill(getppid(), SIGKILL);
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
		leave_child(false);
		say(SM_WORKER_SAMPLE_FD, good);
	} else if (!strcmp(how, "grandchild-hang")) {
		leave_child(false);
		pause();
	} else if (!strcmp(how, "escapee")) { /* a daemon that keeps the pipes open */
		leave_child(true);
		say(SM_WORKER_SAMPLE_FD, good);
	} else if (!strcmp(how, "environment")) { /* exits with what it has of these, as bits */
		const char *one = getenv("SM_TEST_ONE"), *two = getenv("SM_TEST_TWO"),
			   *path = getenv("PATH");
		unsigned ones = 0;

		for (char **e = environ; *e != NULL; e++)
			ones += strncmp(*e, "SM_TEST_ONE=", 12) == 0;
		return (one != NULL && strcmp(one, "new") == 0) | (ones == 1) << 1 |
		       (two != NULL && *two == '\0') << 2 | (path != NULL) << 3;
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

static const char *run_worker(const char *how, double timeout)
{
	char *argv[] = {strdup(sm_runner_self(false)), (char *)"--worker", (char *)how, NULL};
	struct sm_runner r = {.argv = argv, .timeout_s = timeout, .on_stderr = on_stderr};

	sm_worker_end_free(&end);
	sm_record_free(&rec);
	rec = (struct sm_record){0};
	sm_runner_run(&r, "{\"job\":1}", &end);
	sm_runner_record(&r, &end, &rec, &pool);
	free(argv[0]);
	return sm_outcome_names[rec.status];
}

static const char *run(const char *how, double timeout)
{
	const char *outcome = run_worker(how, timeout);

	ck_assert_msg(waitpid(-1, NULL, WNOHANG) == -1 && errno == ECHILD, "%s left a child", how);
	return outcome;
}

START_TEST(good_sample)
{
	ck_assert_str_eq(run("good", 60), "ok");
	ck_assert_uint_eq(rec.nresults, 1);
	ck_assert_double_eq(rec.results[0].value, 1);
	ck_assert_double_gt(rec.took_s, 0);
}
END_TEST

START_TEST(job_arrives)
{
	ck_assert_str_eq(run("echo", 60), "ok");
	ck_assert_str_eq(rec.output, "{\"job\":1}");
}
END_TEST

START_TEST(bad_output)
{
	ck_assert_str_eq(run("nothing", 60), "bad-output");
	ck_assert_ptr_nonnull(strstr(rec.message, "sent nothing"));
	ck_assert_str_eq(run("rubbish", 60), "bad-output");
	ck_assert_ptr_nonnull(strstr(rec.message, "no sample"));
}
END_TEST

START_TEST(crashes)
{
	ck_assert_str_eq(run("segv", 60), "crashed");
	ck_assert_ptr_nonnull(strstr(rec.message, "signal 11"));
	ck_assert_str_eq(run("kill", 60), "crashed");
	ck_assert_ptr_nonnull(strstr(rec.message, "signal 9"));
	ck_assert_str_eq(run("status", 60), "crashed");
	ck_assert_ptr_nonnull(strstr(rec.message, "status 9"));
	ck_assert_ptr_nonnull(strstr(rec.message, "the heap is on fire"));
	ck_assert_ptr_nonnull(strstr(heard, "first line"));
	/* a sample from a process that then failed is no sample */
	ck_assert_str_eq(run("good-then-status", 60), "crashed");
	ck_assert_uint_eq(rec.nresults, 0);
}
END_TEST

START_TEST(timeouts)
{
	static const char *const ways[] = {"hang",	     "stop",	     "stubborn",
					   "closed",	     "flood-stdout", "flood-stderr",
					   "grandchild-hang"};

	for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
		ck_assert_msg(!strcmp(run(ways[i], 0.3), "timeout"), "%s: %s: %s", ways[i],
			      sm_outcome_names[rec.status], rec.message);
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

/* What a worker leaves behind becomes ours to reap when it has gone, so that we can see how it
 * ended. The one that hangs has as long as it takes until it has made a child. */
START_TEST(grandchildren_go_too)
{
	int status = 0;
	pid_t pid = -1;

	ck_assert_int_eq(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
	if (_i == 0) {
		ck_assert_str_eq(run_worker("grandchild", 60), "ok");
		pid = waitpid(-1, &status, 0);
	}
	for (double limit = 0.3; limit < 100 && pid < 0; limit *= 3) {
		ck_assert_str_eq(run_worker("grandchild-hang", limit), "timeout");
		pid = waitpid(-1, &status, 0);
	}
	ck_assert_int_gt(pid, 0);
	ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL, "it ended by itself");
}
END_TEST

/* A daemon that keeps the pipes open is none of ours: it lives on, and is not waited for. */
START_TEST(an_escapee_does_not_hold_us_up)
{
	siginfo_t daemon = {0};

	ck_assert_int_eq(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
	ck_assert_str_eq(run_worker("escapee", 60), "ok");
	ck_assert_int_eq(waitid(P_ALL, 0, &daemon, WEXITED | WNOHANG | WNOWAIT), 0);
	ck_assert_msg(daemon.si_pid == 0, "we were held up until it ended");
}
END_TEST

START_TEST(no_descriptor_leaks)
{
	int extra = open("/dev/null", O_RDONLY); /* without close-on-exec */

	ck_assert_int_ge(extra, 0);
	ck_assert_str_eq(run("descriptors", 60), "ok");
	close(extra);
	for (int i = 0; i < 50; i++)
		run("good", 60);
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
	ck_assert_str_eq(run("good", 60), "crashed");
	ck_assert_ptr_nonnull(strstr(rec.message, "could not be started"));
}
END_TEST

/* Our caller ignores SIGCHLD, and exec keeps that: the kernel waits for the worker in our place. */
START_TEST(somebody_else_has_waited)
{
	signal(SIGCHLD, SIG_IGN);
	ck_assert_str_eq(run("good", 30), "ok");
	signal(SIGCHLD, SIG_DFL);
}
END_TEST

/* Does it stand still? */
static bool is_stopped(pid_t pid)
{
	char path[64], state = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	f = fopen(path, "re");
	if (f == NULL || fscanf(f, "%*d (%*[^)]) %c", &state) != 1)
		_exit(4);
	fclose(f);
	return state == 'T';
}

/* Stopped by the user's terminal in the middle of a sample: it is measured anew. */
START_TEST(a_stopped_sample_begins_anew)
{
	char hangs[] = "/tmp/spanmark-hangs-XXXXXX"; /* as long as it is there */
	pid_t pid = getpid(), other;

	ck_assert_ptr_nonnull(mkdtemp(hangs));
	setenv("SM_TEST_HANGS", hangs, 1);
	ck_assert_int_eq(sm_runner_catch_signals(), 0);
	other = fork();
	if (other == 0) {
		while (!is_stopped(pid))
			usleep(1000);
		kill(pid, SIGCONT);
		_exit(0);
	}
	{
		char *argv[] = {strdup(sm_runner_self(false)), (char *)"--worker",
				(char *)"hang-once", NULL};
		struct sm_runner r = {.argv = argv, .timeout_s = 60};

		sm_runner_run(&r, "{}", &end);
		sm_runner_record(&r, &end, &rec, &pool);
		free(argv[0]);
	}
	ck_assert_int_eq(rec.status, SM_OUTCOME_OK);
	ck_assert_int_eq(waitpid(other, NULL, 0), other);
}
END_TEST

START_TEST(interrupted)
{
	ck_assert_int_eq(sm_runner_catch_signals(), 0);
	run("interrupts-us", 60);
	ck_assert_int_eq(rec.status, SM_OUTCOME_INTERRUPTED);
	ck_assert(sm_runner_interrupted());
}
END_TEST

static const char *go; /* a FIFO */

static void let_it_go(void *ctx)
{
	(void)ctx;
	close(open(go, O_WRONLY));
}

static void press_again(void *ctx)
{
	(void)ctx;
	raise(SIGINT);
}

/* Of Ctrl-C: the first waits for the worker, the second does not. */
START_TEST(interrupted_from_the_keyboard)
{
	char folder[] = "/tmp/spanmark-go-XXXXXX", fifo[64];
	char *argv[] = {strdup(sm_runner_self(false)), (char *)"--worker", (char *)"presses-ctrl-c",
			NULL};
	struct sm_runner r = {.argv = argv, .timeout_s = 60};

	ck_assert_ptr_nonnull(mkdtemp(folder));
	snprintf(fifo, sizeof(fifo), "%s/go", folder);
	ck_assert_int_eq(mkfifo(fifo, 0600), 0);
	setenv("SM_TEST_GO", fifo, 1);
	go = fifo;
	for (int twice = 0; twice < 2; twice++) {
		r.on_interrupt = twice ? press_again : let_it_go;
		ck_assert_int_eq(sm_runner_catch_signals(), 0);
		sm_worker_end_free(&end);
		sm_record_free(&rec);
		rec = (struct sm_record){0};
		sm_runner_run(&r, "{}", &end);
		sm_runner_record(&r, &end, &rec, &pool);
		ck_assert_int_eq(rec.status, twice ? SM_OUTCOME_INTERRUPTED : SM_OUTCOME_OK);
		ck_assert(sm_runner_interrupted());
		/* no further one is begun */
		sm_worker_end_free(&end);
		sm_runner_run(&r, "{}", &end);
		ck_assert_int_eq(end.how, SM_WORKER_INTERRUPTED);
	}
	unlink(fifo);
	rmdir(folder);
	free(argv[0]);
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
		run("kills-us", 60);
		_exit(0);
	}
	ck_assert_int_eq(waitpid(command, &status, 0), command);
	ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	worker = waitpid(-1, &status, 0);
	ck_assert_int_gt(worker, 0);
	ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}
END_TEST

/* What is given replaces the command's own of the same name, and the rest stays. */
START_TEST(environment_of_its_own)
{
	const char *const env[] = {"SM_TEST_ONE=new", "SM_TEST_TWO=", NULL};
	char *argv[] = {strdup(sm_runner_self(false)), (char *)"--worker", (char *)"environment",
			NULL};
	struct sm_runner r = {.argv = argv, .timeout_s = 30, .env = env};

	setenv("PATH", "/usr/bin", 1);
	setenv("SM_TEST_ONE", "old", 1);
	setenv("SM_TEST_ONE_MORE", "stays", 1);
	sm_runner_run(&r, "{}", &end);
	ck_assert_int_eq(end.code, 1 | 2 | 4 | 8);
	ck_assert_str_eq(getenv("SM_TEST_ONE"), "old");
	ck_assert_ptr_null(getenv("SM_TEST_TWO"));
	sm_worker_end_free(&end);
	r.env = NULL;
	sm_runner_run(&r, "{}", &end);
	ck_assert_int_eq(end.code, 2 | 8);
	free(argv[0]);
}
END_TEST

int main(int argc, char **argv)
{
	if (argc == 3 && !strcmp(argv[1], "--worker"))
		return behave(argv[2]);
	return SM_SUITE("runner", 120, SM_T(good_sample), SM_T(job_arrives),
			SM_T(environment_of_its_own), SM_T(bad_output), SM_T(crashes),
			SM_T(timeouts), SM_T(tiny_timeouts), SM_T(output_is_bounded),
			SM_LOOP(grandchildren_go_too, 0, 2), SM_T(an_escapee_does_not_hold_us_up),
			SM_T(no_descriptor_leaks), SM_T(not_started), SM_T(no_descriptors_left),
			SM_T(somebody_else_has_waited), SM_T(a_stopped_sample_begins_anew),
			SM_T(interrupted), SM_T(interrupted_from_the_keyboard),
			SM_T(worker_dies_with_the_command));
}
