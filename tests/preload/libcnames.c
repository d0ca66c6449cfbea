/* glibc's other names of the same functions: programs and libraries that call them (qemu, some
 * JITs, crt code, musl shims) */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <dlfcn.h>
#include <malloc.h>
extern void *__libc_malloc(size_t), *__libc_calloc(size_t, size_t), *__libc_realloc(void *, size_t),
	*__libc_memalign(size_t, size_t), *__libc_valloc(size_t);
extern void __libc_free(void *);
extern int __posix_memalign(void **, size_t, size_t);
int main(void)
{
	void (*cfree)(void *);
	struct mallinfo info;
	void *p;
	setvbuf(stdout, 0, _IONBF, 0);
	p = __libc_malloc(100);
	memset(p, 1, 100);
	free(p);
	puts("__libc_malloc -> free ok");
	p = malloc(100);
	__libc_free(p);
	puts("malloc -> __libc_free ok");
	p = __libc_memalign(64, 100);
	free(p);
	puts("__libc_memalign -> free ok");
	p = __libc_realloc(malloc(10), 1000);
	free(p);
	puts("__libc_realloc ok");
	p = __libc_calloc(3, 100);
	p = realloc(p, 2000);
	free(p);
	puts("__libc_calloc -> realloc ok");
	/* No longer in libc's headers, but in old programs. */
	cfree = (void (*)(void *))dlsym(RTLD_DEFAULT, "cfree");
	if (cfree)
		cfree(malloc(100));
	puts("malloc -> cfree ok");
	p = malloc(1000000);
	info = mallinfo();
	if (info.uordblks + info.hblkhd < 1000000)
		return 1;
	free(p);
	puts("mallinfo ok");
	return 0;
}
