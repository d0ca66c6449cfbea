/* A daemon closes 0..2 and opens its data file, which gets descriptor 2. io_uring is denied
 * (docker's default seccomp profile, kernel.io_uring_disabled=2). What the allocator says must not
 * land in the data. */
#include <errno.h>
#include <fcntl.h>
#include <seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
int main(int c, char **a)
{
	scmp_filter_ctx f = seccomp_init(SCMP_ACT_ALLOW);
	if (c > 1) {
		seccomp_rule_add(f, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(io_uring_setup), 0);
		seccomp_load(f);
	}
	close(0);
	close(1);
	close(2);
	open("/dev/null", O_RDWR);
	open("/dev/null", O_RDWR);
	int fd = open("data.bin", O_RDWR | O_CREAT | O_TRUNC, 0644);
	if (fd != 2)
		return 3;
	if (write(fd, "HEADER\n", 7) != 7)
		return 4;
	static void *v[6000];
	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < 6000; i++) {
			v[i] = malloc(100000);
			memset(v[i], 1, 100000);
		}
		for (int i = 0; i < 6000; i += 2)
			free(v[i]);
		sleep(1);
		for (int i = 1; i < 6000; i += 2)
			free(v[i]);
	}
	if (write(fd, "FOOTER\n", 7) != 7)
		return 4;
	return 0;
}
