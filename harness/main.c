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
#include "harness/base/suggest.h"
#include "perf/privilege.h"
#include "harness/base/complain.h"

static const struct sm_command commands[] = {
	{"run", "measure workloads and print a counter table", sm_cmd_run},
	{"compare", "which of two runs, backends or settings is better, and is it real",
	 sm_cmd_compare},
	{"lbo", "what collection costs at least, and what it costs beside explicit free",
	 sm_cmd_lbo},
	{"list", "workloads, backends, counter sets, configuration keys", sm_cmd_list},
	{"topo", "the machine, and which thread a placement puts where", sm_cmd_topo},
	{"events", "counter sets and events, and what they resolve to here", sm_cmd_events},
	{"doctor", "what can be counted here, why not, and the remedy", sm_cmd_doctor},
	{"heap", "a heap dump: totals by type, what keeps an object alive", sm_cmd_heap},
};
#define NCOMMANDS (sizeof(commands) / sizeof(commands[0]))

static void print_commands(FILE *out)
{
	fputs("spanmark measures memory managers with hardware counters, per GC phase, thread "
	      "role, core and "
	      "node.\n"
	      "\n"
	      "  spanmark COMMAND [OPTION ..]\n"
	      "\n",
	      out);
	for (size_t i = 0; i < NCOMMANDS; i++)
		fprintf(out, "  %-8s %s\n", commands[i].name, commands[i].summary);
	fputs("\n"
	      "Start here:\n"
	      "  spanmark run --quick                      all workloads, small, in seconds\n"
	      "  spanmark doctor                           what this machine lets us count\n"
	      "  spanmark run -w graph -p objects=8m -C cache --reps 5\n"
	      "                                            one workload, cache counters, medians "
	      "of five\n"
	      "  spanmark run -w binary-trees --backend span,gc,libc --threads 1,2 --format csv -o "
	      "trees.csv\n"
	      "                                            every combination, as tidy CSV\n"
	      "\n"
	      "`spanmark COMMAND --help` has the options and more examples. --version prints the "
	      "version.\n",
	      out);
}

static int unknown_command(const char *name)
{
	const char *names[NCOMMANDS];
	char err[256];

	for (size_t i = 0; i < NCOMMANDS; i++)
		names[i] = commands[i].name;
	sm_suggest_error(err, sizeof(err), "command", name, names, NCOMMANDS);
	sm_complain("%s", err);
	return SM_EXIT_USAGE;
}

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

static int dispatch(int argc, char **argv)
{
	if (argc < 2) {
		print_commands(stderr);
		return SM_EXIT_USAGE;
	}
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
	    strcmp(argv[1], "help") == 0) {
		print_commands(stdout);
		return SM_EXIT_OK;
	}
	if (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0) {
		puts("spanmark " SM_VERSION);
		return SM_EXIT_OK;
	}
	if (strcmp(argv[1], SM_WORKER_COMMAND) == 0)
		return sm_cmd_worker(argc - 1, argv + 1);
	for (size_t i = 0; i < NCOMMANDS; i++) {
		if (strcmp(argv[1], commands[i].name) == 0)
			return commands[i].run(argc - 1, argv + 1);
	}
	return unknown_command(argv[1]);
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
