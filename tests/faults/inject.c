/*
 * inject.c: runs a program in which the nth call to the operating system of a kind fails.
 *
 *   inject CALL ERRNO N[+] [-f PREFIX] [-x LIBRARY] [-e VAR=TEXT] [-t SECONDS] [-r FILE]
 *          PROGRAM [ARG ..]
 *
 * The call is not made; the program, its threads and children see ERRNO instead (the nth and, with
 * a plus, every later one; 0: none). Calls are counted over all of them; those of the dynamic
 * loader, which ends a program before it has begun, are not. -f counts only calls on files whose
 * path begins with PREFIX: what SQLite does to a store; -x none whose instruction is in a LIBRARY:
 * libc ends a process that cannot unmap a thread's stack. -e sets the program's environment. FILE
 * gets the number of calls seen.
 *
 * A filter of the kernel (seccomp) stops the calls and asks us, so it does not matter whether they
 * go through libc, from which library, or by an instruction of our own. Exit status: the program's;
 * 128 + a signal's number; 124: it ran past SECONDS (20); 125: it left a process behind; 77: this
 * kernel cannot do it.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define SKIP	  77
#define LATE	  124
#define LEFT	  125
#define CALLS_MAX 8

/* Where a call's file is: nowhere, argument n is a descriptor, argument n is a path. */
enum file { NO_FILE, FD0, FD4, PATH0, PATH1 };

static const struct call {
	const char *name;
	struct {
		int nr;
		enum file file;
	} nrs[CALLS_MAX]; /* ends with nr -1 */
} calls[] = {
	{"mmap", {{SYS_mmap, FD4}, {-1, 0}}},
	{"munmap", {{SYS_munmap, NO_FILE}, {-1, 0}}},
	{"mprotect", {{SYS_mprotect, NO_FILE}, {-1, 0}}},
	{"madvise", {{SYS_madvise, NO_FILE}, {-1, 0}}},
	{"mbind", {{SYS_mbind, NO_FILE}, {-1, 0}}},
	{"sched_setaffinity", {{SYS_sched_setaffinity, NO_FILE}, {-1, 0}}},
	{"membarrier", {{SYS_membarrier, NO_FILE}, {-1, 0}}},
	{"perf_event_open", {{SYS_perf_event_open, NO_FILE}, {-1, 0}}},
	{"io_uring",
	 {{SYS_io_uring_setup, NO_FILE},
	  {SYS_io_uring_enter, NO_FILE},
	  {SYS_io_uring_register, NO_FILE},
	  {-1, 0}}},
	{"open",
	 {{SYS_openat, PATH1},
#ifdef SYS_open
	  {SYS_open, PATH0},
#endif
	  {-1, 0}}},
	{"read", {{SYS_read, FD0}, {SYS_pread64, FD0}, {-1, 0}}},
	{"write", {{SYS_write, FD0}, {SYS_writev, FD0}, {SYS_pwrite64, FD0}, {-1, 0}}},
	{"fsync", {{SYS_fsync, FD0}, {SYS_fdatasync, FD0}, {-1, 0}}},
	{"truncate", {{SYS_ftruncate, FD0}, {SYS_fallocate, FD0}, {-1, 0}}},
	{"lock", {{SYS_fcntl, FD0}, {-1, 0}}}, /* F_SETLK and its like alone: is_counted */
	{"rename",
	 {{SYS_renameat2, PATH1},
	  {SYS_renameat, PATH1},
#ifdef SYS_rename
	  {SYS_rename, PATH0},
#endif
	  {-1, 0}}},
	{"pthread_create", {{SYS_clone3, NO_FILE}, {SYS_clone, NO_FILE}, {-1, 0}}},
	{"fork",
	 {{SYS_clone, NO_FILE},
#ifdef SYS_fork
	  {SYS_fork, NO_FILE},
	  {SYS_vfork, NO_FILE},
#endif
	  {-1, 0}}},
	{"execve", {{SYS_execve, NO_FILE}, {SYS_execveat, NO_FILE}, {-1, 0}}},
	{"pipe", {{SYS_pipe2, NO_FILE}, {-1, 0}}},
	{"poll",
	 {{SYS_ppoll, NO_FILE},
#ifdef SYS_poll
	  {SYS_poll, NO_FILE},
#endif
	  {-1, 0}}},
};

static const struct {
	const char *name;
	int err;
} errors[] = {
	{"EPERM", EPERM},   {"ENOENT", ENOENT}, {"EINTR", EINTR},   {"EIO", EIO},
	{"EAGAIN", EAGAIN}, {"ENOMEM", ENOMEM}, {"EACCES", EACCES}, {"EBUSY", EBUSY},
	{"EINVAL", EINVAL}, {"EMFILE", EMFILE}, {"ENFILE", ENFILE}, {"ENOSPC", ENOSPC},
	{"EROFS", EROFS},   {"ENOSYS", ENOSYS}, {"EXDEV", EXDEV},   {"EDQUOT", EDQUOT},
	{"ESRCH", ESRCH},   {"E2BIG", E2BIG},	{"ENODEV", ENODEV}, {"EOPNOTSUPP", EOPNOTSUPP},
};

static struct {
	const struct call *call;
	int err;
	long nth;
	bool all_after;
	const char *prefix, *library, *report;
	char *variable;
	int seconds;
	long seen;
	bool begun; /* the program itself has been executed */
} opt = {.seconds = 20};

/* ---- which call is it --------------------------------------------------------------------- */

static enum file file_of(int nr)
{
	for (int i = 0; opt.call->nrs[i].nr >= 0; i++)
		if (opt.call->nrs[i].nr == nr)
			return opt.call->nrs[i].file;
	return NO_FILE;
}

/* The path that a call is about; "" where there is none. */
static void path_of(const struct seccomp_notif *n, char *path, size_t len)
{
	enum file at = file_of(n->data.nr);
	char name[64];
	ssize_t got = 0;

	if (at == FD0 || at == FD4) {
		snprintf(name, sizeof(name), "/proc/%d/fd/%d", (int)n->pid,
			 (int)n->data.args[at == FD0 ? 0 : 4]);
		got = readlink(name, path, len - 1);
	} else if (at != NO_FILE) {
		int fd;

		snprintf(name, sizeof(name), "/proc/%d/mem", (int)n->pid);
		fd = open(name, O_RDONLY | O_CLOEXEC);
		got = pread(fd, path, len - 1, (off_t)n->data.args[at == PATH0 ? 0 : 1]);
		close(fd);
	}
	path[got > 0 ? got : 0] = '\0';
}

/* Does the calling instruction belong to the dynamic loader, or to the library that is left out? */
static bool from_outside(const struct seccomp_notif *n)
{
	unsigned long from, to;
	char line[512];
	bool outside = false;
	FILE *f;

	snprintf(line, sizeof(line), "/proc/%d/maps", (int)n->pid);
	f = fopen(line, "re");
	while (f != NULL && fgets(line, sizeof(line), f) != NULL) {
		if (sscanf(line, "%lx-%lx", &from, &to) == 2 &&
		    n->data.instruction_pointer >= from && n->data.instruction_pointer < to)
			outside = strstr(line, "/ld-") != NULL ||
				  (opt.library != NULL && strstr(line, opt.library) != NULL);
	}
	if (f != NULL)
		fclose(f);
	return outside;
}

static bool is_counted(const struct seccomp_notif *n)
{
	char path[512];
	bool thread;

	if (n->data.nr == SYS_execve && !opt.begun) {
		opt.begun = true;
		return false;
	}
	/* glibc makes threads by clone3 where there is one, and processes by clone. */
	if (n->data.nr == SYS_clone) {
		thread = n->data.args[0] & CLONE_THREAD;
		if (thread != (strcmp(opt.call->name, "pthread_create") == 0))
			return false;
	}
	if (n->data.nr == SYS_fcntl && n->data.args[1] != F_SETLK && n->data.args[1] != F_SETLKW &&
	    n->data.args[1] != F_OFD_SETLK && n->data.args[1] != F_OFD_SETLKW)
		return false;
	if (opt.prefix != NULL) {
		path_of(n, path, sizeof(path));
		if (strncmp(path, opt.prefix, strlen(opt.prefix)) != 0)
			return false;
	}
	return !from_outside(n);
}

/* ---- the kernel's questions --------------------------------------------------------------- */

static void answer(int listener)
{
	struct seccomp_notif n;
	struct seccomp_notif_resp r;
	bool fail = false;

	memset(&n, 0, sizeof(n));
	memset(&r, 0, sizeof(r));
	if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &n) != 0)
		return; /* a signal has ended the call, or the caller */
	if (is_counted(&n)) {
		opt.seen++;
		fail = opt.nth > 0 &&
		       (opt.seen == opt.nth || (opt.all_after && opt.seen > opt.nth));
	}
	r.id = n.id;
	if (fail)
		r.error = -opt.err;
	else
		r.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
	(void)ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &r);
}

static int install(void)
{
	struct sock_filter code[CALLS_MAX * 2 + 2];
	struct sock_fprog prog = {.filter = code};
	unsigned short n = 0;

	code[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
						 offsetof(struct seccomp_data, nr));
	for (int i = 0; opt.call->nrs[i].nr >= 0; i++) {
		code[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K,
							 (unsigned)opt.call->nrs[i].nr, 0, 1);
		code[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF);
	}
	code[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	prog.len = n;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
		return -1;
	return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER,
			    &prog);
}

/* ---- a descriptor from the child to us ---------------------------------------------------- */

union letter {
	char room[CMSG_SPACE(sizeof(int))];
	struct cmsghdr align;
};

static void send_fd(int to, int fd)
{
	union letter l;
	char byte = 0;
	struct iovec io = {&byte, 1};
	struct msghdr m = {.msg_iov = &io,
			   .msg_iovlen = 1,
			   .msg_control = l.room,
			   .msg_controllen = sizeof(l.room)};
	struct cmsghdr *c;

	memset(&l, 0, sizeof(l));
	c = CMSG_FIRSTHDR(&m);
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &fd, sizeof(int));
	(void)sendmsg(to, &m, 0);
}

static int receive_fd(int from)
{
	union letter l;
	char byte;
	struct iovec io = {&byte, 1};
	struct msghdr m = {.msg_iov = &io,
			   .msg_iovlen = 1,
			   .msg_control = l.room,
			   .msg_controllen = sizeof(l.room)};
	struct cmsghdr *c;
	int fd = -1;

	if (recvmsg(from, &m, MSG_CMSG_CLOEXEC) <= 0 || (c = CMSG_FIRSTHDR(&m)) == NULL)
		return -1;
	memcpy(&fd, CMSG_DATA(c), sizeof(int));
	return fd;
}

static _Noreturn void child(int pair[2], char **argv)
{
	int listener = install();

	if (listener < 0)
		_exit(SKIP);
	send_fd(pair[1], listener);
	close(listener);
	close(pair[0]);
	close(pair[1]);
	if (opt.variable != NULL)
		putenv(opt.variable);
	execve(argv[0], argv, environ);
	_exit(127);
}

/* ---- the program's life ------------------------------------------------------------------- */

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* Its children come to us when it is gone (PR_SET_CHILD_SUBREAPER): they have a while to end. */
static int watch(pid_t pid, int listener)
{
	double end = now() + opt.seconds;
	int status = 0, result = -1, s;
	struct pollfd p = {.fd = listener, .events = POLLIN};
	pid_t gone;

	for (;;) {
		if (poll(&p, 1, 10) > 0) {
			if (p.revents & POLLIN)
				answer(listener);
			else
				p.fd = -1; /* nobody has the filter any more */
		}
		while ((gone = waitpid(-1, &s, WNOHANG)) > 0) {
			if (gone != pid)
				continue;
			status = s;
			result = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
			end = now() + 20;
		}
		if (gone < 0)
			return result;
		if (now() > end)
			return result < 0 ? LATE : LEFT;
	}
}

static void report(void)
{
	FILE *f = opt.report != NULL ? fopen(opt.report, "we") : NULL;

	if (f == NULL)
		return;
	fprintf(f, "%ld\n", opt.seen);
	fclose(f);
}

static int run(char **argv)
{
	int pair[2], listener, result;
	pid_t pid;

	if (prctl(PR_SET_CHILD_SUBREAPER, 1) != 0 ||
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
		return SKIP;
	pid = fork();
	if (pid == 0) {
		setpgid(0, 0);
		child(pair, argv);
	}
	close(pair[1]);
	listener = receive_fd(pair[0]);
	if (pid < 0 || listener < 0) {
		waitpid(pid, NULL, 0);
		fprintf(stderr, "inject: this kernel or sandbox has no seccomp listeners\n");
		return SKIP;
	}
	result = watch(pid, listener);
	if (result == LATE || result == LEFT) {
		kill(-pid, SIGKILL);
		kill(pid, SIGKILL);
	}
	report();
	return result;
}

/* ---- arguments ---------------------------------------------------------------------------- */

static _Noreturn void usage(const char *why)
{
	fprintf(stderr,
		"inject: %s\nusage: inject CALL ERRNO N[+] [-f PREFIX] [-t SECONDS] [-r FILE] "
		"PROGRAM "
		"[ARGUMENT ..]\ncalls:",
		why);
	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++)
		fprintf(stderr, " %s", calls[i].name);
	fputc('\n', stderr);
	exit(2);
}

static void parse_cell(char **argv)
{
	char *end;

	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++)
		if (strcmp(calls[i].name, argv[1]) == 0)
			opt.call = &calls[i];
	for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++)
		if (strcmp(errors[i].name, argv[2]) == 0)
			opt.err = errors[i].err;
	opt.nth = strtol(argv[3], &end, 10);
	opt.all_after = *end == '+';
	if (opt.call == NULL || opt.err == 0 || end == argv[3])
		usage("no such call, errno or number");
}

int main(int argc, char **argv)
{
	int c;

	if (argc < 5)
		usage("too few arguments");
	parse_cell(argv);
	optind = 4;
	while ((c = getopt(argc, argv, "+f:x:e:t:r:")) != -1) {
		switch (c) {
		case 'f': opt.prefix = optarg; break;
		case 'x': opt.library = optarg; break;
		case 'e': opt.variable = optarg; break;
		case 't': opt.seconds = atoi(optarg); break;
		case 'r': opt.report = optarg; break;
		default: usage("unknown option");
		}
	}
	if (optind >= argc)
		usage("no program");
	return run(argv + optind);
}
