/* A program limits its own address space after it has started (CPython's test_resource users,
 * judges, thumbnailers, prlimit -p). usage: as MIB */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
static void *w(void *x)
{
	char *p = malloc(1000);
	memset(p, 1, 1000);
	free(p);
	return x;
}
int main(int c, char **a)
{
	(void)c;
	struct rlimit r = {atol(a[1]) << 20, RLIM_INFINITY};
	free(malloc(100));
	if (setrlimit(RLIMIT_AS, &r))
		return 3;
	char *p = malloc(100 << 20);
	printf("malloc(100 MiB): %s\n", p ? "ok" : strerror(errno));
	if (!p)
		return 6;
	memset(p, 1, 100 << 20);
	free(p);
	p = mmap(0, 10 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	printf("mmap(10 MiB): %s\n", p != MAP_FAILED ? "ok" : strerror(errno));
	if (p == MAP_FAILED)
		return 4;
	pthread_t t;
	int e = pthread_create(&t, 0, w, 0);
	printf("pthread_create: %s\n", e ? strerror(e) : "ok");
	if (e)
		return 5;
	pthread_join(t, 0);
	p = malloc(2000l << 20);
	printf("malloc(2000 MiB) %s\n", p ? "granted: the limit is not kept" : "refused, as asked");
	free(p);
	return p != NULL;
}
