#include "tests/support/elevated.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "tests/support/skip.h"

#define PERFMON 38 /* CAP_PERFMON: headers before Linux 5.8 have no name for it */

static int copy_self(const char *to)
{
	char buf[65536];
	int in = open("/proc/self/exe", O_RDONLY | O_CLOEXEC),
	    out = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0755);
	ssize_t n = in < 0 || out < 0 ? -1 : 1;

	while (n > 0 && (n = read(in, buf, sizeof(buf))) > 0)
		if (write(out, buf, (size_t)n) != n)
			n = -1;
	if (in >= 0)
		close(in);
	return out >= 0 && close(out) == 0 ? (int)n : -1;
}

static int run_as_nobody(const char *exe, const char *arg, char *const *env)
{
	char *argv[] = {(char *)exe, (char *)arg, NULL};
	int status = -1;
	pid_t pid = fork();

	if (pid == 0) {
		if (setgroups(0, NULL) || setgid(65534) || setuid(65534))
			_exit(101);
		execve(exe, argv, env);
		_exit(101);
	}
	waitpid(pid, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 256 + WTERMSIG(status);
}

static int not_tried(const char *why)
{
	sm_case_skipped("rights of a file", "%s", why);
	return -1;
}

int elevated_run(const char *arg, char *const *env)
{
	struct vfs_cap_data cap = {.magic_etc = VFS_CAP_REVISION_2,
				   .data[1].permitted = 1u << (PERFMON - 32)};
	char dir[] = "/tmp/sm_elevatedXXXXXX", exe[64];
	int status;

#if SM_SANITIZED
	return not_tried("a sanitized program does not run with capabilities");
#endif
	if (geteuid() != 0)
		return not_tried("not root");
	if (mkdtemp(dir) == NULL)
		return not_tried(strerror(errno));
	chmod(dir, 0755);
	snprintf(exe, sizeof(exe), "%s/copy", dir);
	if (copy_self(exe) || setxattr(exe, "security.capability", &cap, XATTR_CAPS_SZ_2, 0))
		status = not_tried(strerror(errno));
	else
		status = run_as_nobody(exe, arg, env);
	unlink(exe);
	rmdir(dir);
	if (status == 101 || status == 1)
		return not_tried("this file system or kernel grants none");
	return status;
}
