/* A program with an io_uring library of its own in the executable (statically linked, exported for
 * its plug-ins). Its function is called by the allocator in place of liburing's. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <malloc.h>
#include <unistd.h>
struct my_ring {
	int fd;
};
int calls;
int io_uring_queue_init(unsigned entries, struct my_ring *r, unsigned flags)
{
	(void)entries;
	(void)flags;
	calls++;
	r->fd = 42;
	return 0;
}
int io_uring_submit(struct my_ring *r)
{
	(void)r;
	calls++;
	return 0;
}
int main(void)
{
	static void *v[4000];
	alarm(60);
	for (int i = 0; i < 4000; i++) {
		v[i] = malloc(100000);
		memset(v[i], 1, 100000);
	}
	for (int i = 0; i < 4000; i += 2)
		free(v[i]);
	malloc_trim(0);
	printf("the program's own io_uring functions were called %d times by somebody else\n",
	       calls);
	return calls != 0;
}
