/*
 * forward.c: a malloc library that hands everything to the C library's: what --backend
 * preload:PATH takes. Built with NO_FREE it lacks free; with LEAVES its constructor begins the
 * program anew without it; with MEMORY=0 it never has any, and leaves errno alone.
 */
#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t n, size_t size);
extern void *__libc_realloc(void *p, size_t size);
extern void __libc_free(void *p);

#ifndef MEMORY
#define MEMORY 1
#endif

#define API __attribute__((visibility("default")))

API void *malloc(size_t size)
{
	return MEMORY ? __libc_malloc(size) : NULL;
}

API void *calloc(size_t n, size_t size)
{
	return MEMORY ? __libc_calloc(n, size) : NULL;
}

API void *realloc(void *p, size_t size)
{
	return MEMORY ? __libc_realloc(p, size) : NULL;
}

#ifndef NO_FREE
API void free(void *p)
{
	__libc_free(p);
}
#endif

#ifdef LEAVES
/* As a wrapper does that clears its traces. */
__attribute__((constructor)) static void leave(void)
{
	static char text[1 << 16];
	char *argv[64];
	int n = 0, fd = open("/proc/self/cmdline", O_RDONLY | O_CLOEXEC);
	ssize_t len = fd >= 0 ? read(fd, text, sizeof(text) - 1) : 0;

	for (ssize_t at = 0; at < len && n < 63; at += (ssize_t)strlen(text + at) + 1)
		argv[n++] = text + at;
	argv[n] = NULL;
	unsetenv("LD_PRELOAD");
	execv("/proc/self/exe", argv);
}
#endif
