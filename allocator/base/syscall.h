/*
 * syscall.h: system calls made directly. Another library may have a wrapper of open, madvise or
 * munmap that allocates; called through libc's names it would run inside our locks and wait for us.
 * Nothing here touches errno: results are the kernel's, -errno for a failure.
 *
 * Sanitizers must see what is mapped, so with them the calls go through libc.
 */
#ifndef SM_ALLOCATOR_SYSCALL_H
#define SM_ALLOCATOR_SYSCALL_H

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "allocator/base/base.h"

#if defined(__x86_64__)
#include "allocator/base/arch/x86_64/syscall.h"
#elif defined(__aarch64__)
#include "allocator/base/arch/aarch64/syscall.h"
#else
SM_INLINE long sm__syscall6(long nr, long a, long b, long c, long d, long e, long f)
{
	int saved = errno;
	long ret = syscall(nr, a, b, c, d, e, f);

	ret = ret == -1 ? -errno : ret;
	errno = saved;
	return ret;
}
#endif

SM_INLINE bool sm__sys_failed(long ret)
{
	return (unsigned long)ret > -4096ul;
}

/* MAP_FAILED is never returned: an address, or -errno. */
SM_INLINE long sm__sys_mmap(void *p, size_t bytes, int prot, int flags, int fd, off_t offset)
{
#if SM_ASAN || SM_TSAN
	void *q = mmap(p, bytes, prot, flags, fd, offset);

	return q == MAP_FAILED ? -errno : (long)q;
#else
	return sm__syscall6(SYS_mmap, (long)p, (long)bytes, prot, flags, fd, offset);
#endif
}

SM_INLINE int sm__sys_munmap(void *p, size_t bytes)
{
#if SM_ASAN || SM_TSAN
	return munmap(p, bytes) == 0 ? 0 : -errno;
#else
	return (int)sm__syscall6(SYS_munmap, (long)p, (long)bytes, 0, 0, 0, 0);
#endif
}

SM_INLINE int sm__sys_mprotect(void *p, size_t bytes, int prot)
{
	return (int)sm__syscall6(SYS_mprotect, (long)p, (long)bytes, prot, 0, 0, 0);
}

SM_INLINE int sm__sys_madvise(void *p, size_t bytes, int advice)
{
#if SM_ASAN || SM_TSAN
	return madvise(p, bytes, advice) == 0 ? 0 : -errno;
#else
	return (int)sm__syscall6(SYS_madvise, (long)p, (long)bytes, advice, 0, 0, 0);
#endif
}

/* A small file's text, terminated; cut at len - 1. Its length, or -errno. Keeps no descriptor. */
SM_INLINE long sm__sys_read_text(const char *path, char *text, size_t len)
{
	long fd = sm__syscall6(SYS_openat, AT_FDCWD, (long)path, O_RDONLY | O_CLOEXEC, 0, 0, 0), n;

	if (sm__sys_failed(fd))
		return fd;
	n = sm__syscall6(SYS_read, fd, (long)text, (long)len - 1, 0, 0, 0);
	(void)sm__syscall6(SYS_close, fd, 0, 0, 0, 0, 0);
	if (n >= 0)
		text[n] = '\0';
	return n;
}

/*
 * A number in such a text. Not strtoul, and no snprintf or sysconf where a heap is made: these
 * touch the locale's tables and stdio's, some hundred KiB of libc that stay mapped and count in a
 * process that never comes there again.
 *
 * The digits behind any blanks at *at, which moves behind them; 0: there are none, *at stays. What
 * is too large is ULONG_MAX.
 */
SM_INLINE unsigned long sm__read_digits(const char **at)
{
	const char *p = *at;
	unsigned long n = 0, digit;

	while (*p == ' ' || *p == '\t')
		p++;
	if (*p < '0' || *p > '9')
		return 0;
	for (; *p >= '0' && *p <= '9'; p++) {
		digit = (unsigned long)(*p - '0');
		n = n > (ULONG_MAX - digit) / 10 ? ULONG_MAX : n * 10 + digit;
	}
	*at = p;
	return n;
}

#endif
