/*
 * runner_start.c: starts a worker: which file, with what environment, job and pipes. See
 * runner_internal.h.
 */
#include "harness/run/runner_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/uio.h>
#include <unistd.h>

#include "harness/base/descriptor.h"

const char *sm_runner_self(bool for_others)
{
	static char path[4096];
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 1);

	if (n <= 0)
		return (const char *)getauxval(AT_EXECFN);
	if (!for_others)
		return "/proc/self/exe";
	/* With rights from the file others may not look at us: the name must do. */
	if (prctl(PR_GET_DUMPABLE) == 1)
		n = snprintf(path, sizeof(path), "/proc/%d/exe", (int)getpid());
	path[n] = 0;
	return path;
}

/* The job as an open file at its beginning: no pipe whose writer could block. */
static int job_file(const char *job)
{
	int rc, fd = memfd_create("spanmark-job", MFD_CLOEXEC);

	if (fd < 0) {
		char name[] = "/tmp/spanmark-job-XXXXXX";

		fd = mkostemp(name, O_CLOEXEC);
		if (fd >= 0)
			unlink(name);
	}
	if (fd < 0)
		return -errno;
	rc = sm_descriptor_write(fd, job, strlen(job));
	if (rc) {
		close(fd);
		return rc;
	}
	lseek(fd, 0, SEEK_SET);
	fd = sm_descriptor_lift(fd);
	return fd < 0 ? -EMFILE : fd;
}

/* Into the pipe of standard error: the last words that the sample's message has. */
static void cannot_execute(int err)
{
	const char *why = strerrordesc_np(err); /* as strerror, and no locale is asked */
	struct iovec line[3] = {{(char *)"cannot execute it: ", 19}};
	ssize_t ignored;

	line[1].iov_base = (char *)(why != NULL ? why : "unknown error");
	line[1].iov_len = strlen(line[1].iov_base);
	line[2] = (struct iovec){(char *)"\n", 1};
	ignored = writev(STDERR_FILENO, line, 3);
	(void)ignored;
}

/* In the child, between fork and exec: async-signal-safe calls only. Failure is exit status 126. */
static void child(char *const *argv, char *const *env, int job, int trace,
		  const int ends[SM__NPIPES], pid_t parent)
{
	static const int targets[SM__NPIPES] = {SM_WORKER_SAMPLE_FD, 1, 2};
	static const int sigs[] = {SIGINT, SIGTERM, SIGHUP, SIGTSTP, SIGPIPE, SIGXFSZ};
	sigset_t none;
	int null = open("/dev/null", O_RDONLY);

	setpgid(0, 0);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent) /* it died before the line above */
		_exit(126);
	for (size_t i = 0; i < sizeof(sigs) / sizeof(sigs[0]); i++)
		signal(sigs[i], SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	if (null < 0 || dup2(null, 0) < 0 || dup2(job, SM_WORKER_JOB_FD) < 0)
		_exit(126);
	for (int i = 0; i < SM__NPIPES; i++) {
		if (dup2(ends[i], targets[i]) < 0)
			_exit(126);
	}
	/* All of ours are close-on-exec; what we inherited ourselves is not the worker's business.
	 */
	if (trace > 0 && dup2(trace, SM_WORKER_TRACE_FD) < 0)
		_exit(126);
	close_range(trace > 0 ? SM_WORKER_TRACE_FD + 1 : SM_WORKER_SAMPLE_FD + 1, ~0u, 0);
	execve(argv[0], argv, env);
	cannot_execute(errno);
	_exit(127);
}

static bool same_name(const char *a, const char *b)
{
	size_t len = strcspn(a, "=");

	return strncmp(a, b, len) == 0 && b[len] == '=';
}

/* The command's environment with these in it: the texts stay theirs, the array is the caller's. */
static char **environment(const char *const *extra)
{
	size_t have = 0, more = 0, n = 0;
	char **env;

	while (environ[have] != NULL)
		have++;
	while (extra != NULL && extra[more] != NULL)
		more++;
	env = calloc(have + more + 1, sizeof(*env));
	for (size_t i = 0; env != NULL && i < have; i++) {
		bool replaced = false;

		for (size_t k = 0; k < more; k++)
			replaced |= same_name(extra[k], environ[i]);
		if (!replaced)
			env[n++] = environ[i];
	}
	for (size_t k = 0; env != NULL && k < more; k++)
		env[n++] = (char *)extra[k];
	return env;
}

int sm__worker_start(struct sm__process *p, const struct sm_runner *r, const char *job)
{
	int pipes[SM__NPIPES][2], writers[SM__NPIPES], jobfd, rc = 0;
	pid_t parent = getpid();
	char **env = environment(r->env);

	for (int i = 0; i < SM__NPIPES; i++)
		pipes[i][0] = pipes[i][1] = p->fd[i] = -1;
	jobfd = job_file(job);
	rc = jobfd < 0 ? jobfd : env == NULL ? -ENOMEM : 0;
	for (int i = 0; i < SM__NPIPES && rc == 0; i++) {
		rc = sm_descriptor_pipe(pipes[i]);
		if (rc == 0 && fcntl(pipes[i][0], F_SETFL, O_NONBLOCK) != 0)
			rc = -errno;
		writers[i] = pipes[i][1];
		p->fd[i] = pipes[i][0];
	}
	if (rc == 0) {
		fflush(NULL);
		p->pid = fork();
		if (p->pid == 0)
			child(r->argv, env, jobfd, r->trace_fd, writers, parent);
		if (p->pid < 0)
			rc = -errno;
	}
	for (int i = 0; i < SM__NPIPES; i++) {
		if (pipes[i][1] >= 0)
			close(pipes[i][1]);
		if (rc && p->fd[i] >= 0)
			close(p->fd[i]);
	}
	if (jobfd >= 0)
		close(jobfd);
	free(env);
	if (rc)
		return rc;
	/* here too: we may want to kill the group before the child got there */
	setpgid(p->pid, p->pid);
	p->pidfd = pidfd_open(p->pid, 0);
	return 0;
}
