/* child.c: see child.h. */
#include "harness/process/child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harness/base/complain.h"
#include "harness/base/text.h"

static volatile sig_atomic_t child_pid, told;

/* A terminal tells both of us; who sends to us alone means the child as well. */
static void pass_on(int signal)
{
	told = signal;
	if (child_pid > 0)
		kill((pid_t)child_pid, signal);
}

void sm_child_catch_signals(void)
{
	static const int signals[] = {SIGINT, SIGTERM, SIGHUP};
	struct sigaction mine = {.sa_handler = pass_on}, was;

	sigemptyset(&mine.sa_mask);
	for (int i = 0; i < 3; i++)
		if (sigaction(signals[i], NULL, &was) == 0 && was.sa_handler != SIG_IGN)
			sigaction(signals[i], &mine, NULL); /* nohup's stay ignored */
}

/* The last line of what it said. */
static void last_line(int fd, char *err, size_t errlen)
{
	char text[2048];
	off_t end = lseek(fd, 0, SEEK_END), from = end > 2048 ? end - 2048 : 0;
	ssize_t n = pread(fd, text, sizeof(text), from);

	if (n <= 0)
		return;
	sm_text_last_line(text, (size_t)n, err, errlen);
	if (strncmp(err, "spanmark: ", 10) == 0)
		memmove(err, err + 10, strlen(err + 10) + 1);
}

static _Noreturn void be_child(char **argv, int said, pid_t parent)
{
	prctl(PR_SET_PDEATHSIG, SIGTERM); /* killed as we may be, nothing of ours goes on */
	if (getppid() != parent)
		_exit(127);
	setpgid(0, 0); /* an INT of the terminal comes once, by us */
	if (said >= 0)
		dup2(said, STDERR_FILENO);
	execv("/proc/self/exe", argv);
	_exit(127);
}

static int ended(int status, const char *what, char *err, size_t errlen)
{
	if (told != 0)
		return -ECANCELED;
	if (WIFEXITED(status) && WEXITSTATUS(status) <= SM_EXIT_FAILED)
		return 0;
	if (err[0] == '\0')
		snprintf(err, errlen, "spanmark %s ended with status %d", what,
			 WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
	return WIFEXITED(status) && WEXITSTATUS(status) == SM_EXIT_USAGE ? -EINVAL : -EIO;
}

int sm_child_run(const struct sm_strings *words, char *err, size_t errlen)
{
	char **argv = calloc(words->n + 2, sizeof(*argv));
	int said = isatty(STDERR_FILENO) ? -1 : memfd_create("said", MFD_CLOEXEC);
	int status = 0;
	pid_t pid, me = getpid();

	err[0] = '\0';
	if (argv == NULL || told != 0) {
		free(argv);
		if (said >= 0)
			close(said);
		return told != 0 ? -ECANCELED : -ENOMEM;
	}
	argv[0] = (char *)"spanmark";
	memcpy(argv + 1, words->v, words->n * sizeof(*argv));
	pid = fork();
	if (pid == 0)
		be_child(argv, said, me);
	child_pid = pid;
	if (told != 0 && pid > 0)
		kill(pid, (int)told); /* it came before we knew whom to tell */
	while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	child_pid = 0;
	if (said >= 0 && pid > 0)
		last_line(said, err, errlen);
	if (said >= 0)
		close(said);
	free(argv);
	if (pid < 0) {
		snprintf(err, errlen, "cannot start a process: %s", strerror(errno));
		return -EAGAIN;
	}
	return ended(status, words->v[0], err, errlen);
}

int sm_child_signal(void)
{
	return (int)told;
}
