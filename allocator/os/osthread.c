/*
 * osthread.c: threads that take no signals; CPUs counted by the mask.
 */
#include "allocator/os/osthread.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <unistd.h>

int sm__os_thread(pthread_t *thread, void *(*run)(void *arg), void *arg)
{
	/* Blocked, they would end the process even where the program has a handler. */
	static const int faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS};
	sigset_t all, old;
	int err;

	sigfillset(&all);
	for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++)
		sigdelset(&all, faults[i]);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	err = pthread_create(thread, NULL, run, arg);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	/* glibc hands through what mmap and mprotect of the stack gave: EPERM, EACCES. */
	return err ? -EAGAIN : 0;
}

/* A mask for 16,384 CPUs: the kernel refuses one that is smaller than its own. */
unsigned sm__os_cpus(void)
{
	unsigned long mask[256];
	long bytes = syscall(SYS_sched_getaffinity, 0, sizeof(mask), mask);
	unsigned n = 0;

	for (size_t i = 0; bytes > 0 && i < (size_t)bytes / sizeof(mask[0]); i++)
		n += (unsigned)__builtin_popcountl(mask[i]);
	if (bytes <= 0) {
		long online = sysconf(_SC_NPROCESSORS_ONLN);

		n = online > 0 ? (unsigned)online : 1;
	}
	return n ? n : 1;
}
