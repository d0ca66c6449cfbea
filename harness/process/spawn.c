/* spawn.c: a program in a process that waits before it executes. See spawn.h. */
#include "harness/process/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "harness/base/descriptor.h"

#define MAX_CPUS 8192

/* ---- the child: async-signal-safe calls alone ----------------------------------------------- */

static void reset_signals(void)
{
	sigset_t none;

	for (int sig = 1; sig < NSIG; sig++)
		signal(sig, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

static int keep_to(const struct sm_spawn *s)
{
	static unsigned long mask[MAX_CPUS / (8 * sizeof(long))];
	const unsigned word = 8 * sizeof(long);

	for (unsigned i = 0; s->cpus != NULL && i < s->ncpus; i++)
		if (s->cpus[i] >= 0 && s->cpus[i] < MAX_CPUS)
			mask[(unsigned)s->cpus[i] / word] |= 1ul << (unsigned)s->cpus[i] % word;
	return s->cpus == NULL || sched_setaffinity(0, sizeof(mask), (cpu_set_t *)mask) == 0
		       ? 0
		       : errno;
}

static void tell(int fd, const void *data, size_t len)
{
	ssize_t ignored = write(fd, data, len);

	(void)ignored;
}

static void child(const struct sm_spawn *s, int go, int told, int out, int err, pid_t parent)
{
	struct rusage used;
	int failed = 0, null = open("/dev/null", O_RDONLY);
	char byte;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(127);
	setsid();
	reset_signals();
	failed = keep_to(s);
	if (!failed && (dup2(null, 0) < 0 || dup2(out, 1) < 0 || dup2(err, 2) < 0))
		failed = errno;
	if (read(go, &byte, 1) != 1)
		_exit(127);
	getrusage(RUSAGE_SELF, &used);
	tell(told, &used, sizeof(used));
	if (!failed) {
		execve(s->argv[0], s->argv, s->env != NULL ? s->env : environ);
		failed = errno;
	}
	tell(told, &failed, sizeof(failed));
	_exit(127);
}

/* ---- this side ---------------------------------------------------------------------------- */

enum { PIPE_GO, PIPE_TOLD, PIPE_OUT, PIPE_ERR, NPIPES };

static void close_one(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

int sm_spawn(struct sm_spawn *s)
{
	int pipes[NPIPES][2], rc = 0;
	pid_t parent = getpid();

	s->pid = -1;
	s->out = s->err = s->go = s->told = -1;
	for (int i = 0; i < NPIPES; i++)
		pipes[i][0] = pipes[i][1] = -1;
	for (int i = 0; i < NPIPES && rc == 0; i++)
		rc = sm_descriptor_pipe(pipes[i]);
	if (rc == 0) {
		s->pid = fork();
		if (s->pid == 0) {
			close(pipes[PIPE_GO][1]); /* else our death would not be seen */
			child(s, pipes[PIPE_GO][0], pipes[PIPE_TOLD][1], pipes[PIPE_OUT][1],
			      pipes[PIPE_ERR][1], parent);
		}
		rc = s->pid < 0 ? -errno : 0;
	}
	close_one(&pipes[PIPE_GO][0]);
	close_one(&pipes[PIPE_TOLD][1]);
	close_one(&pipes[PIPE_OUT][1]);
	close_one(&pipes[PIPE_ERR][1]);
	s->go = pipes[PIPE_GO][1];
	s->told = pipes[PIPE_TOLD][0];
	s->out = pipes[PIPE_OUT][0];
	s->err = pipes[PIPE_ERR][0];
	if (rc) {
		sm_spawn_close(s);
		return rc;
	}
	fcntl(s->out, F_SETFL, O_NONBLOCK);
	fcntl(s->err, F_SETFL, O_NONBLOCK);
	return 0;
}

/* The next len bytes of the pipe; false at its end. */
static int hear(int fd, void *data, size_t len)
{
	size_t got = 0;

	while (got < len) {
		ssize_t n = read(fd, (char *)data + got, len - got);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return 0;
		got += (size_t)n;
	}
	return 1;
}

int sm_spawn_go(struct sm_spawn *s)
{
	int failed = 0;
	ssize_t n;

	do
		n = write(s->go, "", 1);
	while (n < 0 && errno == EINTR);
	close_one(&s->go);
	if (n != 1 || !hear(s->told, &s->before, sizeof(s->before)))
		failed = ECHILD; /* somebody ended it */
	else
		hear(s->told, &failed, sizeof(failed));
	close_one(&s->told);
	return -failed;
}

void sm_spawn_close(struct sm_spawn *s)
{
	close_one(&s->out);
	close_one(&s->err);
	close_one(&s->go);
	close_one(&s->told);
}
