/* A daemon: some work (memory goes back through the allocator's ring), then it closes what it
 * inherited (closefrom(3)), opens its socket and its log, and forks a worker. Right: the worker has
 * both. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
static void *v[6000];
static void churn(void)
{
	for (int i = 0; i < 6000; i++) {
		v[i] = malloc(100000);
		memset(v[i], 1, 100000);
	}
	for (int i = 0; i < 6000; i += 2)
		free(v[i]);
	malloc_trim(0);
	for (int i = 1; i < 6000; i += 2)
		free(v[i]);
}
int main(void)
{
	churn();
	close_range(3, ~0u, 0);
	int s = socket(AF_INET, SOCK_STREAM, 0),
	    l = open("daemon.log", O_WRONLY | O_CREAT | O_TRUNC, 0644);
	pid_t p = fork();
	if (p == 0) {
		int rs = fcntl(s, F_GETFD), rl = fcntl(l, F_GETFD);
		printf("worker: socket (fd %d) %s, log (fd %d) %s\n", s,
		       rs < 0 ? strerror(errno) : "open", l, rl < 0 ? strerror(errno) : "open");
		fflush(stdout);
		_exit(rs < 0 || rl < 0);
	}
	int st;
	waitpid(p, &st, 0);
	printf("parent: socket %s\n", fcntl(s, F_GETFD) < 0 ? "closed" : "open");
	return WEXITSTATUS(st);
}
