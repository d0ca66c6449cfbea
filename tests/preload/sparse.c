/* A sparse table: asks for more than the container has and touches little of it (numpy.zeros, hash
 * tables, sanitizer-like shadow maps, Java/Go heaps; what overcommit is for). usage: sparse MIB
 * TOUCH_MIB */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
int main(int c, char **a)
{
	(void)c;
	size_t n = atol(a[1]) << 20, t = atol(a[2]) << 20;
	char *p = calloc(1, n);
	if (!p) {
		printf("calloc(%s MiB): %s\n", a[1], strerror(errno));
		return 1;
	}
	memset(p + n / 2, 1, t);
	printf("calloc(%s MiB) ok, %s MiB touched\n", a[1], a[2]);
	return 0;
}
