/*
 * main.c: spanmark: finds the command and runs it. What the commands do is told in cmd.h.
 */
#include "harness/command/cmd.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "harness/run/runner.h"
#include "perf/privilege.h"
#include "harness/base/complain.h"

/*
 * A descriptor 0, 1 or 2 that the caller closed would be given to the next file we open, and a
 * message to "stderr" would end up in the user's result file. /dev/null takes their places.
 */
static void claim_standard_descriptors(void)
{
	for (int fd = 0; fd <= 2; fd++) {
		/* What is printed on a closed 1 has no reader: writing there fails, it does not
		 * vanish. */
		int mode = fd == STDOUT_FILENO ? O_RDONLY : O_RDWR;

		if (fcntl(fd, F_GETFD) < 0 && errno == EBADF && open("/dev/null", mode) < 0)
			_exit(SM_EXIT_USAGE);
	}
}

/* help, help COMMAND, help --manual FOLDER */
static int help(int argc, char **argv)
{
	const struct sm_command *c;

	if (argc < 2) {
		sm_print_commands(stdout);
		return SM_EXIT_OK;
	}
	if (strcmp(argv[1], "--manual") == 0 && argc == 3)
		return sm_manual(argv[2]);
	c = sm_command_find(argv[1]);
	if (c == NULL)
		return sm_command_unknown(argv[1]);
	sm_command_help(c, stdout);
	return SM_EXIT_OK;
}

static int dispatch(int argc, char **argv)
{
	const struct sm_command *c;

	if (argc < 2) { /* nothing was asked, so nothing is wrong */
		sm_front_page(stdout);
		return SM_EXIT_OK;
	}
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
	    strcmp(argv[1], "help") == 0)
		return help(argc - 1, argv + 1);
	if (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0) {
		puts("spanmark " SM_VERSION);
		return SM_EXIT_OK;
	}
	if (strcmp(argv[1], "--complete") == 0)
		return sm_complete(argc - 2, argv + 2);
	if (strcmp(argv[1], SM_WORKER_COMMAND) == 0)
		return sm_cmd_worker(argc - 1, argv + 1);
	c = sm_command_find(argv[1]);
	return c != NULL ? c->run(argc - 1, argv + 1) : sm_command_unknown(argv[1]);
}

int main(int argc, char **argv)
{
	char err[256];
	int status;

	claim_standard_descriptors();
	if (sm_privilege_init(err, sizeof(err)) != 0) {
		sm_complain("%s", err);
		return SM_EXIT_USAGE;
	}
	signal(SIGPIPE, SIG_IGN); /* a reader that leaves (head) is a write error, not our death */
	signal(SIGXFSZ, SIG_IGN); /* so is the limit of a file's size */
	signal(SIGCHLD, SIG_DFL); /* a caller may ignore it: then no child could be waited for */
	status = dispatch(argc, argv);
	/* What could not be printed (disk full, closed pipe) must not pass for success. */
	if (fflush(stdout) != 0 || ferror(stdout)) {
		if (errno != EPIPE)
			sm_complain("cannot write to standard output: %s", strerror(errno));
		status = status ? status : SM_EXIT_FAILED;
	}
	sm_runner_end_by_signal();
	return status;
}
