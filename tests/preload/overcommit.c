/* vm.overcommit_memory=0 (the default): the kernel refuses what is obviously too much, more than
 * all memory and swap, and programs count on it: CPython's MemoryError, R's "cannot allocate
 * vector", sizes from damaged files, "as much as there is" probes. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysinfo.h>
int main(void)
{
	struct sysinfo si;
	sysinfo(&si);
	size_t ram = (si.totalram + si.totalswap) * si.mem_unit;
	int bad = 0;
	for (int k = 1; k <= 4; k++) {
		size_t n = ram * 2 * k;
		errno = 0;
		char *p = malloc(n);
		printf("malloc(%zu GiB) with %zu GiB of memory and swap: %s\n", n >> 30, ram >> 30,
		       p ? "granted" : strerror(errno));
		bad += p != NULL;
		free(p);
	}
	return bad;
}
