/* An ordinary user's program within the usual 8 MiB of lockable memory. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>
int main(void)
{
	struct rlimit rl = {8u << 20, 8u << 20};

	if (setrlimit(RLIMIT_MEMLOCK, &rl) != 0)
		return 77;
	free(malloc(1000));
	if (geteuid() == 0 && setresuid(65534, 65534, 65534))
		return 8;
	int rc = mlockall(MCL_CURRENT);
	printf("mlockall(MCL_CURRENT) as a user with 8 MiB of memlock: %s\n",
	       rc ? strerror(errno) : "ok");
	munlockall();
	rc = mlockall(MCL_CURRENT | MCL_FUTURE);
	printf("mlockall(MCL_CURRENT|MCL_FUTURE): %s\n", rc ? strerror(errno) : "ok");
	char *p = malloc(100000);
	if (p)
		memset(p, 1, 100000);
	printf("malloc(100000) afterwards: %s\n", p ? "ok" : strerror(errno));
	return rc != 0 || p == NULL;
}
