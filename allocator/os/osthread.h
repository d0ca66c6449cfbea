/*
 * osthread.h: threads that the library makes for itself, and how many CPUs there are for them.
 */
#ifndef SM_ALLOCATOR_OSTHREAD_H
#define SM_ALLOCATOR_OSTHREAD_H

#include <pthread.h>

/*
 * pthread_create, for a thread that takes none of the program's signals: all are blocked in it from
 * its first instruction on but those that a fault of its own raises, which go to the program's
 * handler if it has one. 0 or -EAGAIN.
 */
int sm__os_thread(pthread_t *thread, void *(*run)(void *arg), void *arg);

/* CPUs on which the calling thread may run (sched_getaffinity: a cpuset and taskset count), at
 * least 1. */
unsigned sm__os_cpus(void);

#endif
