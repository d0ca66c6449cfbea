/* Another preloaded library that wraps libc calls and allocates in its wrapper: libeatmydata-like
 * tools, tracers, fakeroot, Open MPI's memory hooks (madvise, munmap). */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
static int (*real_open)(const char *, int, ...);
static int (*real_madvise)(void *, size_t, int);
static int (*real_munmap)(void *, size_t);
#ifdef HOOK_OPEN
int open(const char *path, int flags, ...)
{
	va_list ap;
	va_start(ap, flags);
	int mode = va_arg(ap, int);
	va_end(ap);
	char *copy = malloc(strlen(path) + 1);
	strcpy(copy, path);
	if (!real_open)
		real_open = dlsym(RTLD_NEXT, "open");
	int fd = real_open(copy, flags, mode);
	free(copy);
	return fd;
}
#endif
#ifdef HOOK_MADVISE
static void *keep[4096];
static int nkeep;
static void work(void)
{
	for (int i = 0; i < 300; i++) {
		free(keep[nkeep & 4095]);
		keep[nkeep++ & 4095] = malloc(4000);
	}
	free(malloc(300000));
}
int madvise(void *p, size_t n, int advice)
{
	work();
	if (!real_madvise)
		real_madvise = dlsym(RTLD_NEXT, "madvise");
	return real_madvise(p, n, advice);
}
int munmap(void *p, size_t n)
{
	work();
	if (!real_munmap)
		real_munmap = dlsym(RTLD_NEXT, "munmap");
	return real_munmap(p, n);
}
#endif
