/*
 * behave.c: a program that behaves as programs do that nobody wants to measure, for
 * tests/cli/test_program.sh: behave HOW [ARGS ..]. What says "told" on its standard error has done
 * what it should, and waits.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static void say(int fd, const char *text)
{
	if (write(fd, text, strlen(text)) < 0)
		_exit(9);
}

/* To whoever reads the FIFO that SM_TELL names, then stays. */
static void tell_and_stay(void)
{
	const char *fifo = getenv("SM_TELL");
	FILE *f = fifo != NULL ? fopen(fifo, "w") : NULL;

	if (f != NULL) {
		fputs("told\n", f);
		fclose(f);
	}
	for (;;)
		pause();
}

/* Its parents are gone, and so is their session. 's': we stay, 'c': it chatters. */
static int become_daemon(char how)
{
	int up[2];
	char byte;

	if (pipe(up) != 0)
		return 9;
	if (fork() == 0) {
		setsid();
		if (fork() == 0) {
			signal(SIGTERM, SIG_IGN);
			say(up[1], "!");
			if (how == 's')
				tell_and_stay();
			for (;;) {
				poll(NULL, 0, 1);
				say(1, how == 'c' ? "still here\n" : "");
			}
		}
		_exit(0);
	}
	if (read(up[0], &byte, 1) != 1)
		return 9;
	if (how == 's')
		for (;;)
			pause();
	puts("started");
	return 0;
}

static int flood(long long bytes)
{
	static char buf[1 << 16];

	memset(buf, 'x', sizeof(buf));
	for (int i = 99; i < (int)sizeof(buf); i += 100)
		buf[i] = '\n';
	say(1, "first 1\n");
	for (; bytes > 0; bytes -= (long long)sizeof(buf))
		if (write(1, buf, sizeof(buf)) != (ssize_t)sizeof(buf))
			return 9;
	say(1, "\nlast 42\n");
	return 0;
}

/* Children that are there together, and end when they are let; leave: they are left behind. */
static int fork_many(int n, int leave)
{
	int gate[2], up[2], born = 0;
	char byte;

	if (pipe(gate) != 0 || pipe(up) != 0)
		return 9;
	for (int i = 0; i < n; i++) {
		pid_t pid = fork();

		if (pid < 0)
			return 8;
		if (pid == 0) {
			if (!leave) /* else it stays open */
				close(gate[1]);
			say(up[1], "!");
			_exit(read(gate[0], &byte, 1) < 0);
		}
	}
	while (born < n && read(up[0], &byte, 1) == 1)
		born++;
	if (leave)
		return 0;
	close(gate[1]);
	for (born = 0; wait(NULL) > 0; born++)
		;
	printf("children %d\n", born);
	return 0;
}

static int spread_out(double seconds)
{
	struct timespec t = {(time_t)seconds, 0};
	cpu_set_t set;

	memset(&set, 0xff, sizeof(set));
	if (sched_setaffinity(0, sizeof(set), &set) != 0)
		return 9;
	nanosleep(&t, NULL);
	return 0;
}

static int use_memory(int mib)
{
	size_t n = (size_t)mib << 20;
	char *p = malloc(n);

	for (size_t i = 0; p != NULL && i < n; i += 1024)
		p[i] = 1;
	printf("byte %d\n", p != NULL ? p[n / 2] : -1);
	return 0;
}

/* ---- server and client ---------------------------------------------------------------------- */

static int socket_at(int port, struct sockaddr_in *at)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0), one = 1;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	*at = (struct sockaddr_in){.sin_family = AF_INET,
				   .sin_port = htons((uint16_t)port),
				   .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	return fd;
}

/*
 * Its connection c is the first that its end closes, its many other files take a while: the kernel
 * (6.x) closes what was put last first.
 */
static int end_slowly(int port, int c)
{
	struct sockaddr_in at;
	struct rlimit many;
	int last = -1;

	getrlimit(RLIMIT_NOFILE, &many);
	many.rlim_cur = many.rlim_max < 100000 ? many.rlim_max : 100000;
	setrlimit(RLIMIT_NOFILE, &many);
	for (int fd = 0; fd >= 0; fd = socket_at(port, &at))
		last = fd;
	if (last > c && dup2(c, last) == last)
		close(c);
	return 3;
}

/* Answers each byte with it, and allocates for it; port 0: any, which it prints. */
static int serve(int port)
{
	struct sockaddr_in at;
	socklen_t len = sizeof(at);
	int fd = socket_at(port, &at), c;
	static void *kept[4096];
	unsigned n = 0;
	char byte;

	if (bind(fd, (struct sockaddr *)&at, sizeof(at)) != 0 || listen(fd, 64) != 0) {
		perror("bind");
		return 9;
	}
	getsockname(fd, (struct sockaddr *)&at, &len);
	printf("serving at port %d\n", ntohs(at.sin_port));
	fflush(stdout);
	while ((c = accept(fd, NULL, NULL)) >= 0) {
		while (read(c, &byte, 1) == 1) {
			free(kept[n % 4096]);
			kept[n % 4096] = malloc(16 + n % 1000);
			n++;
			if (byte == 'q')
				return end_slowly(port, c);
			if (write(c, &byte, 1) != 1)
				break;
		}
		close(c);
	}
	return 9;
}

static int request(int port, int n, char byte)
{
	struct sockaddr_in at;
	int fd = socket_at(port, &at);
	char back;

	if (connect(fd, (struct sockaddr *)&at, sizeof(at)) != 0) {
		perror("connect");
		return 9;
	}
	for (int i = 0; i < n; i++)
		if (write(fd, &byte, 1) != 1 || read(fd, &back, 1) != 1)
			return byte == 'q' ? 0 : 8;
	printf("requests %d\n", n);
	return 0;
}

int main(int argc, char **argv)
{
	const char *how = argc > 1 ? argv[1] : "";
	int n = argc > 2 ? atoi(argv[2]) : 0;

	if (strcmp(how, "daemon") == 0)
		return become_daemon('d');
	if (strcmp(how, "chatter") == 0)
		return become_daemon('c');
	if (strcmp(how, "stay") == 0) /* itself, and a daemon */
		return become_daemon('s');
	if (strcmp(how, "stubborn") == 0) {
		signal(SIGTERM, SIG_IGN);
		signal(SIGINT, SIG_IGN);
		signal(SIGHUP, SIG_IGN);
		say(2, "I stay\n");
		tell_and_stay();
	}
	if (strcmp(how, "flood") == 0)
		return flood((long long)n << 20);
	if (strcmp(how, "fork") == 0)
		return fork_many(n, 0);
	if (strcmp(how, "leave") == 0)
		return fork_many(n, 1);
	if (strcmp(how, "affinity") == 0)
		return spread_out(n);
	if (strcmp(how, "memory") == 0)
		return use_memory(n);
	if (strcmp(how, "close") == 0) {
		for (int fd = 0; fd < 1024; fd++)
			close(fd);
		return use_memory(1);
	}
	if (strcmp(how, "exec") == 0) {
		execv(argv[2], argv + 2);
		return 9;
	}
	if (strcmp(how, "status") == 0) {
		say(2, "first words\nlast words\n");
		return n;
	}
	if (strcmp(how, "signal") == 0)
		return raise(n);
	if (strcmp(how, "print") == 0)
		return argc > 2 ? puts(argv[2]) < 0 : 9;
	if (strcmp(how, "serve") == 0)
		return serve(n);
	if (strcmp(how, "serve-stubbornly") == 0) {
		signal(SIGTERM, SIG_IGN);
		return serve(n);
	}
	if (strcmp(how, "request") == 0)
		return request(n, argc > 3 ? atoi(argv[3]) : 1, 'x');
	if (strcmp(how, "quit") == 0)
		return request(n, 1, 'q');
	fprintf(stderr, "behave: no such behaviour '%s'\n", how);
	return 9;
}
