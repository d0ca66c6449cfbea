#include "tests/support/probe.h"

#include <stdlib.h>
#include <unistd.h>

static bool through_pipe(const void *from, void *to)
{
	int fd[2];
	bool ok;

	if (pipe(fd) != 0)
		abort();
	ok = write(fd[1], from, 1) == 1 && read(fd[0], to, 1) == 1;
	close(fd[0]);
	close(fd[1]);
	return ok;
}

bool probe_readable(const void *p)
{
	char c;

	return through_pipe(p, &c);
}

bool probe_writable(void *p)
{
	return through_pipe(p, p);
}
