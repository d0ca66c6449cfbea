#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>
#include <stdlib.h>
void touch(void);
int main(void)
{
	touch();
	free(malloc(10));
	alarm(60);
	pid_t pid = fork();
	if (pid == 0) {
		free(malloc(100));
		free(malloc(1 << 20));
		_exit(7);
	}
	int st;
	waitpid(pid, &st, 0);
	printf("child status %d (expected 7)\n", WEXITSTATUS(st));
	return WEXITSTATUS(st) != 7;
}
