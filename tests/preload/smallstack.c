/* a burst of frees beyond 64 MiB makes free() scavenge on this stack */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>
static ucontext_t back, there;
static void *v[6000];
static void ctx(void)
{
	for (int r = 0; r < 3; r++) {
		for (int i = 0; i < 3000; i++) {
			v[i] = malloc(100000);
			memset(v[i], 1, 100000);
		}
		for (int i = 0; i < 3000; i += 2)
			free(v[i]);
		sleep(1);
		for (int i = 1; i < 3000; i += 2)
			free(v[i]);
	}
}
int main(int c, char **a)
{
	size_t size = atoi(a[1]) * 1024;
	(void)c;
	char *m = mmap(0, size + 65536, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	mprotect(m + 65536, size, PROT_READ | PROT_WRITE);
	getcontext(&there);
	there.uc_stack.ss_sp = m + 65536;
	there.uc_stack.ss_size = size;
	there.uc_link = &back;
	makecontext(&there, ctx, 0);
	memset(m + 65536, 0xa5, size - 1024);
	swapcontext(&back, &there);
	size_t used = size;
	for (char *p = m + 65536; (unsigned char)*p == 0xa5; p++)
		used--;
	printf("coroutine of %zu KiB ok, %zu bytes used\n", size / 1024, used);
}
