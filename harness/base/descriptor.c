/*
 * descriptor.c: see descriptor.h.
 */
#include "harness/base/descriptor.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

int sm_descriptor_lift(int fd)
{
	int high = fcntl(fd, F_DUPFD_CLOEXEC, SM_DESCRIPTOR_LEAST), saved = errno;

	close(fd);
	errno = saved;
	return high;
}

int sm_descriptor_pipe(int ends[2])
{
	ends[0] = ends[1] = -1;
	if (pipe2(ends, O_CLOEXEC) != 0)
		return -errno;
	ends[0] = sm_descriptor_lift(ends[0]);
	ends[1] = sm_descriptor_lift(ends[1]);
	return ends[0] < 0 || ends[1] < 0 ? -EMFILE : 0;
}

int sm_descriptor_write(int fd, const void *data, size_t len)
{
	const char *at = data;

	while (len > 0) {
		ssize_t n = write(fd, at, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		at += n;
		len -= (size_t)n;
	}
	return 0;
}
